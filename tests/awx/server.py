# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server over HTTP, in a thread of its own, on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import typing as t
from types import TracebackType
from urllib.parse import parse_qsl

from aiohttp import web

from .api import Answer, Api, Fault, Request

_PRODUCT = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1"}


class AwxServer(Api):
    """An AWX for the length of a C(with) block. What it holds may be looked at and changed from the test's thread."""

    def __init__(self, token: str, password: str, repositories: t.Mapping[str, t.Sequence[str]]) -> None:
        super().__init__(token, password, repositories)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="awx", daemon=True)
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    def refuse(self, method: str, path: str, status: int, body: t.Any) -> None:
        """Answer requests of a method below a path so from now on."""
        self.faults.append(Fault(method, path, Answer(status, body)))

    def __enter__(self) -> AwxServer:
        self._thread.start()
        try:
            self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        except BaseException:
            self._stop()
            raise
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    def _stop(self) -> None:
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = None  # refused where a body is needed
        answer = self.answer(Request(
            request.method, request.path, parse_qsl(request.query_string, keep_blank_values=True), body,
            request.headers.get("Authorization", ""),
        ))
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        return web.Response(status=answer.status, body=content, content_type="application/json", headers=_PRODUCT)
