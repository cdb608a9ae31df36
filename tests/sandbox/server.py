# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application, the listening socket, and a server in a thread for tests."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Union, final

from aiohttp import web

from .control import Control
from .faults import Fault
from .limits import Clock, Counts, Preset
from .service import RequestRecord, Service
from .state import DEFAULT_APP, Settings, State, make_state

PathLike = Union[str, Path]
CertAndKey = tuple[PathLike, PathLike]


def make_app(api: Service) -> web.Application:
    """The control interface, the providers by their prefixes, and everything else to the Cloud API."""
    app = web.Application()
    app.add_routes(Control(api).routes())
    for prefix, provider in api.prefixed.items():
        app.router.add_route("*", f"/{prefix}/{{path:.*}}", api.handler(provider))
    app.router.add_route("*", "/{path:.*}", api.handler(api.cloud_api))
    return app


def check_loopback(host: str) -> str:
    """The address, if it is a literal loopback address; ValueError otherwise.

    Names are refused too: what a name resolves to is not this program's to decide.
    """
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ValueError(f"the sandbox listens on loopback addresses only, not on {host}")


async def start(api: Service, host: str = "127.0.0.1", port: int = 0,
                tls: CertAndKey | None = None) -> tuple[web.AppRunner, str]:
    """Listen; returns the runner to clean up and the base URL."""
    check_loopback(host)
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(tls[0]), str(tls[1]))
    # aiohttp's own access log would write query strings, and with them tokens.
    runner = web.AppRunner(make_app(api), access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=context, backlog=1024).start()
    except BaseException:
        await runner.cleanup()
        raise
    name = f"[{host}]" if ":" in host else host
    return runner, f"{'https' if tls else 'http'}://{name}:{runner.addresses[0][1]}"


@final
class Sandbox:
    """A sandbox in a thread of its own, for the length of a `with` block."""

    def __init__(self, state: State | None = None, tls: CertAndKey | None = None,
                 state_file: PathLike | None = None, clock: Clock = time.monotonic) -> None:
        self._api = Service(state if state is not None else make_state(), state_file, clock)
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    def __enter__(self) -> Sandbox:
        self._thread.start()
        try:
            self._runner, self.base_url = asyncio.run_coroutine_threadsafe(
                start(self._api, tls=self._tls), self._loop).result(10)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, cancel requests that hang, end the thread."""
        if self._loop.is_closed():
            return
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def state(self) -> State:
        """The live state; members may be changed from the test's thread."""
        return self._api.state

    @property
    def settings(self) -> Settings:
        """The live server-wide settings."""
        return self._api.state.settings

    @property
    def requests(self) -> list[RequestRecord]:
        """API requests so far, oldest first."""
        return list(self._api.requests)

    @property
    def posts(self) -> list[RequestRecord]:
        """The requests that would set a key, of every provider."""
        return [item for item in self.requests if item.sets_key]

    def url_of(self, account_id: str) -> str:
        """The base URL for an account's provider, as a client of that account is given it."""
        provider = self.state.accounts[account_id].provider
        host = f"/{account_id}" if provider == "on_premises" else ""
        return f"{self.base_url}/{provider}{host}"

    def fault(self, phone_number_id: str, kind: str, **members: Any) -> None:
        """Append a fault to the queue of an id (`*`: any)."""
        self._api.faults.add(phone_number_id, Fault.from_json({"kind": kind, **members}))

    @property
    def connections(self) -> int:
        """Connections that brought API requests, none of them before the request log was emptied."""
        return self._api.connections

    @property
    def calls(self) -> dict[str, Counts]:
        """Calls, and calls while throttled, of each app and WABA."""
        return self._api.cloud_api.calls()

    def use_up(self, percent: int, waba_id: str | None = None, app_id: str = DEFAULT_APP) -> None:
        """Use up part of a WABA's limit, or without one of the app's, as if somebody else had called."""
        self._api.cloud_api.preset(Preset(percent, waba_id, app_id))

    def forget_logins(self) -> None:
        """Make every token invalid that a login of the On-Premises API has issued."""
        self._api.on_premises.forget_logins()

    def forget_requests(self) -> None:
        """Empty the request log, and count connections anew; faults stay."""
        self._api.forget_requests()

    def clear(self) -> None:
        """Forget faults, counted calls and the request log; the state and the settings stay."""
        self._api.clear()
