# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted faults: what can go wrong with one number, how often, and how it looks on the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .answers import Answer
from .state import InvalidData, build

# The answer is not the API's at all; the request is not applied (html, empty and body: unless `applied`).
STAND_IN = frozenset(["error", "throttle", "html", "empty", "body", "reset", "redirect", "big_body"])
# These change what a POST does; without a method they wait for a POST. POST stands for whatever sets a key.
POST_ONLY = frozenset(["applied_then_error", "applied_then_reset", "mismatch", "ignored_post", "stale_reads"])
# The normal answer, sent late or badly.
DELIVERY = frozenset(["latency", "truncated", "slow_first_byte", "slow_drip"])
KINDS = STAND_IN | POST_ONLY | DELIVERY

_CHUNK = b" " * 65536


@dataclass
class Fault:
    """One entry of a number's script. Members that a kind does not use are ignored by it."""

    kind: str
    method: str = ""
    times: int = 1
    seconds: float = 0.0
    seconds_per_byte: float = 0.01
    status: int | None = None
    code: int | str | None = None
    subcode: int | None = None
    message: str | None = None
    is_transient: bool | None = None
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    estimated_minutes: int | None = None
    reads: int = 1
    body: str = ""
    content_type: str = "application/json"
    location: str = ""
    bytes: int = 1048576
    applied: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidData(f"fault: kind must be one of {', '.join(sorted(KINDS))}")
        self.method = self.method or ("POST" if self.kind in POST_ONLY else "*")
        if self.method not in ("GET", "POST", "*"):
            raise InvalidData("fault: method must be GET, POST or *")
        if self.times == 0 or self.times < -1:
            raise InvalidData("fault: times must be 1 or more, or -1 for ever")
        if self.kind == "error" and (self.status is None or self.code is None):
            raise InvalidData("fault: error needs status and code")
        if self.kind == "redirect" and not self.location:
            raise InvalidData("fault: redirect needs location")

    @classmethod
    def from_json(cls, data: object) -> Fault:
        """Read a fault from JSON data."""
        return build(cls, data, "fault")

    def error_headers(self) -> dict[str, str]:
        """The headers of error, throttle and applied_then_error, which are the same for every provider."""
        if self.kind == "throttle" and self.retry_after is not None:
            return {**self.headers, "Retry-After": str(self.retry_after)}
        return dict(self.headers)

    def stand_in(self) -> Answer:
        """The answer of the kinds that do not speak the API's language."""
        if self.kind == "html":
            page = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Something went wrong.</body></html>"
            return Answer(self.status or 502, page, {"Content-Type": "text/html; charset=utf-8", **self.headers})
        if self.kind == "redirect":
            return Answer(self.status or 302, b"", {"Location": self.location, **self.headers})
        content = self.body.encode() if self.kind == "body" else b""
        return Answer(self.status or 200, content, {"Content-Type": self.content_type, **self.headers})


class FaultBook:
    """Queues of faults, one per id; the queue `*` is for any number whose own queue has nothing to say."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Fault]] = {}
        # Tests add faults from their own thread while the server's thread takes them.
        self._lock = threading.Lock()

    def add(self, phone_number_id: str, fault: Fault) -> None:
        """Append a fault; the book counts it down in place."""
        with self._lock:
            self._queues.setdefault(phone_number_id, []).append(fault)

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._queues.clear()

    def take(self, names: tuple[str, ...], method: str) -> Fault | None:
        """The first fault of these queues that applies, counted down; it leaves its queue when it is used up."""
        if not self._queues:
            return None
        with self._lock:
            for name in names:
                queue = self._queues.get(name, [])
                for index, fault in enumerate(queue):
                    if fault.method not in ("*", method):
                        continue
                    if fault.times > 0:
                        fault.times -= 1
                        if not fault.times:
                            del queue[index]
                    return fault
        return None


def reset(request: web.Request) -> None:
    """Close the connection with RST: SO_LINGER 0 drops what is unsent instead of ending the stream politely."""
    transport = request.transport
    if transport is None:
        return
    sock: Any = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send_badly(request: web.Request, answer: Answer, fault: Fault) -> web.StreamResponse:
    """Send an answer cut short, a byte at a time, or far too long."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if fault.kind != "big_body":
        # big_body is chunked: a client must bound what it reads, not trust a header.
        response.content_length = len(answer.body)
    try:
        await response.prepare(request)
        if fault.kind == "truncated":
            await response.write(answer.body[: len(answer.body) // 2])
            if request.transport is not None:
                request.transport.close()
        elif fault.kind == "slow_drip":
            for index in range(len(answer.body)):
                await response.write(answer.body[index: index + 1])
                await asyncio.sleep(fault.seconds_per_byte)
        else:
            for start in range(0, fault.bytes, len(_CHUNK)):
                await response.write(_CHUNK[: fault.bytes - start])
        await response.write_eof()
    except ConnectionError:
        pass  # The client had enough, which is what these faults are for.
    return response
