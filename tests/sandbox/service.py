# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all providers have in common: HTTP, faults, latency, the request log."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from aiohttp import web

from .answers import Answer, ApiError
from .aws import Aws
from .cloud_api import CloudApi
from .faults import STAND_IN, Fault, FaultBook, reset, send_badly
from .graph_compatible import GraphCompatible
from .gupshup import Gupshup
from .kaleyra import Kaleyra
from .limits import Clock
from .on_premises import OnPremises
from .provider import Call, Provider
from .state import Json, State
from .store import Store

LOG = logging.getLogger("waba_flows.sandbox")
AnyProvider = Provider[Any]


@dataclass
class RequestRecord:
    """What the request log keeps. phone_number_id is the number's id, or with the Cloud API the path's, whatever that names."""

    method: str
    path: str
    phone_number_id: str
    query: list[str]
    content_type: str | None
    has_app_secret_proof: bool
    token_hint: str
    at: float
    status: int | None = None
    sets_key: bool = False


def record_json(record: RequestRecord) -> Json:
    """A record of the request log as JSON data; sets_key is for tests in this process and not a member there."""
    data = dataclasses.asdict(record)
    del data["sets_key"]
    return data


class Service:
    """Every provider over one state, with its faults and its request log."""

    def __init__(self, state: State, state_file: str | os.PathLike[str] | None = None,
                 clock: Clock = time.monotonic) -> None:
        self.store = Store(state, state_file)
        self.faults = FaultBook()
        self.requests: list[RequestRecord] = []
        self.connections = 0
        self._transports: WeakSet[asyncio.BaseTransport] = WeakSet()
        self.cloud_api = CloudApi(self.store, clock)
        self.on_premises = OnPremises(self.store)
        self.prefixed: dict[str, AnyProvider] = {
            provider.name: provider
            for provider in (self.on_premises, Kaleyra(self.store), GraphCompatible(self.store), Gupshup(self.store),
                             Aws(self.store))
        }

    @property
    def state(self) -> State:
        """The state as it is now."""
        return self.store.state

    @state.setter
    def state(self, state: State) -> None:
        self.store.state = state

    def save(self) -> None:
        """Keep the state in its file, if there is one."""
        self.store.save()

    def clear(self) -> None:
        """Forget faults, stale reads, counted calls and the request log; the state stays."""
        self.faults.clear()
        self.store.clear()
        self.cloud_api.forget_calls()
        self.forget_requests()

    def forget_requests(self) -> None:
        """Empty the request log, and count connections anew; one that is open already is not counted again."""
        self.requests.clear()
        self.connections = 0

    def handler(self, provider: AnyProvider) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The function that answers one provider's HTTP requests."""
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, provider)
        return handle

    async def _handle(self, request: web.Request, provider: AnyProvider) -> web.StreamResponse:
        call = await provider.parse(request)
        record = self._note(call)
        refusal = provider.admit(call)
        fault = None if refusal else self.faults.take(call.fault_queues, call.fault_method)
        delay = self.state.settings.latency + (fault.seconds if fault and fault.kind == "latency" else 0)
        if delay:
            await asyncio.sleep(delay)
        try:
            return await self._send(request, record, await self._answer(provider, call, refusal, fault), fault)
        except web.HTTPException as exc:
            record.status = exc.status
            raise
        finally:
            LOG.info("%s %s %s", record.method, record.path, record.status)

    def _note(self, call: Call) -> RequestRecord:
        content_type = call.request.headers.get("Content-Type")
        record = RequestRecord(
            method=call.method, path=call.request.path, phone_number_id=call.number_id, query=list(call.query),
            content_type=content_type.split(";")[0].strip().lower() if content_type else None,
            has_app_secret_proof="appsecret_proof" in call.query, token_hint=(call.credential or "")[:4],
            at=time.monotonic(), sets_key=call.sets_key)
        self.requests.append(record)
        self._note_connection(call.request.transport)
        return record

    def _note_connection(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None and transport not in self._transports:
            self._transports.add(transport)
            self.connections += 1

    async def _answer(self, provider: AnyProvider, call: Call, refusal: ApiError | None, fault: Fault | None) -> Answer:
        try:
            if refusal:
                raise refusal
            if fault and fault.kind in ("error", "throttle"):
                raise provider.fault_error(call, fault)
            if fault and fault.kind in STAND_IN and not fault.applied:
                return fault.stand_in()
            answer = await provider.answer(call, fault)
            if fault and fault.kind == "applied_then_error":
                raise provider.fault_error(call, fault)
            if fault and fault.kind in STAND_IN:
                return fault.stand_in()
            return provider.dress(call, answer)
        except ApiError as exc:
            return provider.dress(call, exc.answer())
        except web.HTTPException:
            raise
        except Exception:
            LOG.exception("the sandbox itself failed")
            return provider.crash().answer()

    async def _send(self, request: web.Request, record: RequestRecord, answer: Answer,
                    fault: Fault | None) -> web.StreamResponse:
        kind = fault.kind if fault else ""
        if kind in ("reset", "applied_then_reset"):
            reset(request)
        elif kind == "slow_first_byte" and fault:
            await asyncio.sleep(fault.seconds)
        # Set before the first byte leaves: a client that has its answer may read the log at once.
        record.status = None if kind in ("reset", "applied_then_reset") else answer.status
        if fault and kind in ("truncated", "slow_drip", "big_body"):
            return await send_badly(request, answer, fault)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
