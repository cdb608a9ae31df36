# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP without a network: requests of the code under test are answered by the sandbox and the endpoints within the same call.

It costs a fifth of a connection over loopback. The sandbox's own code parses, refuses, fails and answers; what faults do to a
connection is told to the client as requests tells it.
"""

from __future__ import annotations

import io
import typing as t
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from ansible_collections.waba.flows.plugins.module_utils import _connections
from tests.sandbox import Sandbox

from .crashes import Doom
from .endpoints import Endpoints

T = t.TypeVar("T")
_LOST = ("reset", "applied_then_reset", "truncated")


class _Received:
    """A request as the sandbox takes it apart: what it uses of aiohttp's."""

    transport = None

    def __init__(self, request: requests.PreparedRequest) -> None:
        parts = urlsplit(str(request.url))
        self.method = str(request.method)
        self.path, self.query = parts.path, dict(parse_qsl(parts.query))
        self.raw_path = f"{parts.path}?{parts.query}"
        self.scheme, self.host = parts.scheme, parts.netloc
        self.headers = CaseInsensitiveDict(request.headers)
        self.content_type = str(self.headers.get("Content-Type", "")).split(";", maxsplit=1)[0]
        self._body = request.body or b""

    async def post(self) -> dict[str, str]:
        text = self._body.decode() if isinstance(self._body, bytes) else self._body
        return dict(parse_qsl(text))


def _driven(work: t.Coroutine[t.Any, t.Any, T]) -> T:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        return t.cast(T, end.value)
    raise AssertionError("It waits for something.")


class Wire:
    """Where requests go to. With C(real) they go over loopback."""

    def __init__(self, doom: Doom, box: Sandbox, endpoints: Endpoints, real: bool = False) -> None:
        self.real = real
        self._doom, self._box, self._endpoints = doom, box, endpoints

    def adapter(self) -> type[_connections.BoundedAdapter]:
        """Return an adapter of requests for code whose run can die: before the request, or when it was carried out."""
        wire = self

        class Adapter(_connections.BoundedAdapter):
            def send(self, request: requests.PreparedRequest, *arguments: t.Any, **options: t.Any) -> requests.Response:
                if wire.real:
                    return t.cast(requests.Response, wire._doom.call(super().send, request, *arguments, **options))
                _connections._CURRENT.attempt.unsent = False
                status, headers, body = wire._doom.call(wire._answer, request)
                raw = urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
                return self.build_response(request, raw)

        return Adapter

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        url = str(request.url)
        if url.startswith(self._endpoints.url):
            body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
            status, text = self._endpoints.answer(url.rsplit("/", 1)[1], body)
            return status, {}, text
        api, received = self._box._api, t.cast(t.Any, _Received(request))
        provider = api.prefixed.get(received.path.split("/")[1], api.cloud_api)
        call = _driven(provider.parse(received))
        record = api._note(call)
        refusal = provider.admit(call)
        fault = None if refusal else api.faults.take(call.fault_queues, call.fault_method)
        answer = _driven(api._answer(provider, call, refusal, fault))
        if fault and fault.kind in _LOST:
            raise requests.ConnectionError("Connection aborted.")
        record.status = answer.status
        return answer.status, dict(answer.headers), answer.body
