# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud API: keys of numbers, numbers of a WABA, WABAs of a business, for tokens with scopes and expiry."""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from .faults import STAND_IN, Fault, FaultBook, reset, send_badly
from .graph import Answer, GraphError, Usage, canonical_public_key, json_answer, unsupported
from .state import MANAGEMENT, MESSAGING, Json, Number, State, Token

LOG = logging.getLogger("waba_flows.sandbox")
KEY_EDGE = "whatsapp_business_encryption"
OLDEST_VERSION = (21, 0)
KEY_FIELDS = ("business_public_key", "business_public_key_signature_status")
NUMBER_FIELDS = ("display_phone_number", "verified_name", "status", "quality_rating", "code_verification_status",
                 "account_mode", "host_platform", "platform_type", "messaging_limit_tier")
NUMBER_DEFAULTS = ("id", "display_phone_number", "verified_name", "quality_rating")


@dataclass
class RequestRecord:
    """What the request log keeps. phone_number_id is the path's id, whatever kind of object that is."""

    method: str
    path: str
    phone_number_id: str
    query: list[str]
    content_type: str | None
    has_app_secret_proof: bool
    token_hint: str
    at: float
    status: int | None = None


@dataclass
class Call:
    """A request, reduced to what the API looks at."""

    method: str
    version: str
    object_id: str
    edge: str
    query: Mapping[str, str]
    token_text: str | None
    origin: str
    params: Mapping[str, str] = field(default_factory=dict)
    token: Token = field(default_factory=Token)
    waba_id: str | None = None


@dataclass
class _Stale:
    reads: int
    key: str | None
    status: str


def _token_of(request: web.Request) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return request.query.get("access_token")  # paging.next carries it there
    scheme, dummy, text = header.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def parse(request: web.Request) -> Call:
    """Split a request's path into version, object and edge."""
    parts = request.path.strip("/").split("/")
    parts += [""] * (3 - len(parts))
    return Call(method=request.method, version=parts[0], object_id=parts[1], edge="/".join(parts[2:]),
                query=request.query, token_text=_token_of(request), origin=f"{request.scheme}://{request.host}")


async def read_params(request: web.Request) -> dict[str, str]:
    """The parameters of a body: urlencoded, multipart or JSON, as the guide, the spec and the SDKs send them."""
    if request.content_type == "application/json":
        try:
            data = json.loads(await request.read())
        except ValueError:
            raise GraphError(400, 100, "Invalid parameter: the body is not valid JSON") from None
        found = data if isinstance(data, dict) else {}
    else:
        found = dict(await request.post())
    return {name: value for name, value in found.items() if isinstance(value, str)}


def pick(call: Call, full: Json, node_type: str, default: tuple[str, ...] = (), *, keep_id: bool = True) -> Json:
    """The members that `fields` asks for; a name that the node does not have is an error."""
    asked = call.query.get("fields")
    names = [name.strip() for name in asked.split(",") if name.strip()] if asked else list(default or full)
    for name in names:
        if name not in full:
            raise GraphError(400, 100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})")
    if keep_id and "id" not in names:
        names.append("id")
    return {name: full[name] for name in names}


class CloudApi:
    """The API over one state, with its faults and its request log."""

    def __init__(self, state: State, state_file: str | os.PathLike[str] | None = None) -> None:
        self.state = state
        self.state_file = state_file
        self.faults = FaultBook()
        self.requests: list[RequestRecord] = []
        self._stale: dict[str, _Stale] = {}
        self._usage = Usage()

    def save(self) -> None:
        """Keep the state in its file, if there is one."""
        if self.state_file is not None:
            self.state.save(self.state_file)

    def clear(self) -> None:
        """Forget faults, stale reads and the request log; the state stays."""
        self.faults.clear()
        self._stale.clear()
        self.requests.clear()

    # -- HTTP

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        call = parse(request)
        record = self._note(request, call)
        fault = self.faults.take(call.object_id, call.method)
        delay = self.state.settings.latency + (fault.seconds if fault and fault.kind == "latency" else 0)
        if delay:
            await asyncio.sleep(delay)
        try:
            return await self._send(request, record, await self._answer(request, call, fault), fault)
        except web.HTTPException as exc:
            record.status = exc.status
            raise
        finally:
            LOG.info("%s %s %s", record.method, record.path, record.status)

    def _note(self, request: web.Request, call: Call) -> RequestRecord:
        content_type = request.headers.get("Content-Type")
        record = RequestRecord(
            method=call.method, path=request.path, phone_number_id=call.object_id, query=list(call.query),
            content_type=content_type.split(";")[0].strip().lower() if content_type else None,
            has_app_secret_proof="appsecret_proof" in call.query, token_hint=(call.token_text or "")[:4],
            at=time.monotonic())
        self.requests.append(record)
        return record

    async def _answer(self, request: web.Request, call: Call, fault: Fault | None) -> Answer:
        try:
            if fault and fault.kind in ("error", "throttle"):
                raise fault.graph_error(self._waba_of(call.object_id))
            if fault and fault.kind in STAND_IN and not fault.applied:
                return fault.stand_in()
            if call.method == "POST":
                call.params = await read_params(request)
            data = self.answer(call, fault)
            if fault and fault.kind == "applied_then_error":
                raise fault.graph_error(self._waba_of(call.object_id))
            if fault and fault.kind in STAND_IN:
                return fault.stand_in()
            usage = self._usage.headers(call.waba_id, self.state.settings.calls_per_hour)
            return json_answer(data, headers={**usage, "facebook-api-version": call.version})
        except GraphError as exc:
            return exc.answer()
        except web.HTTPException:
            raise
        except Exception:
            LOG.exception("the sandbox itself failed")
            return GraphError(500, 1).answer()

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

    def _waba_of(self, object_id: str) -> str:
        number = self.state.numbers.get(object_id)
        return number.waba_id if number else object_id

    # -- the API itself

    def answer(self, call: Call, fault: Fault | None = None) -> Json:
        """The answer's data; GraphError for anything that the API refuses."""
        self._check_version(call)
        call.token = self._check_token(call)
        self._check_proof(call)
        if not re.fullmatch(r"[0-9]+", call.object_id):
            raise GraphError(400, 100, "Invalid parameter: phone_number_id must be a valid numeric string")
        edges: dict[str, dict[str, Callable[[], Json]]] = {
            KEY_EDGE: {"GET": lambda: self._read_key(call), "POST": lambda: self._write_key(call, fault)},
            "": {"GET": lambda: self._show(call)},
            "phone_numbers": {"GET": lambda: self._list_numbers(call)},
            "owned_whatsapp_business_accounts": {"GET": lambda: self._list_wabas(call, "owned")},
            "client_whatsapp_business_accounts": {"GET": lambda: self._list_wabas(call, "client")},
        }
        if call.edge not in edges:
            raise GraphError(400, 2500, f"Unknown path components: /{call.edge}")
        if call.method not in edges[call.edge]:
            raise unsupported(call.method, call.object_id, "100")
        return edges[call.edge][call.method]()

    @staticmethod
    def _check_version(call: Call) -> None:
        # No documented source says what these two answer; code and wording are a guess.
        match = re.fullmatch(r"v([0-9]+)\.([0-9]+)", call.version)
        if match is None:
            raise GraphError(400, 2500, f"Unknown path components: /{call.version}", kind="GraphMethodException")
        if (int(match.group(1)), int(match.group(2))) < OLDEST_VERSION:
            raise GraphError(400, 12, f"(#12) API version {call.version} is no longer available",
                             kind="GraphMethodException")

    def _check_token(self, call: Call) -> Token:
        if call.token_text is None:
            raise GraphError(401, 104, "An access token is required to request this resource")
        token = self.state.tokens.get(call.token_text)
        if token is None:
            raise GraphError(401, 190, "Invalid OAuth access token")
        if token.expires_at is not None and token.expires_at <= time.time():
            raise GraphError(401, 190, "Error validating access token: Session has expired", subcode=463)
        return token

    @staticmethod
    def _check_proof(call: Call) -> None:
        proof = call.query.get("appsecret_proof")
        secret = call.token.app_secret
        if proof is None:
            if call.token.require_app_secret:
                raise GraphError(400, 100, "API calls from the server require an appsecret_proof argument",
                                 kind="GraphMethodException")
        elif secret is not None:
            good = hmac.new(secret.encode(), (call.token_text or "").encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(good.encode(), proof.encode()):
                raise GraphError(400, 100, "Invalid appsecret_proof provided in the API argument",
                                 kind="GraphMethodException")

    def _missing(self, call: Call) -> GraphError:
        return unsupported(call.method, call.object_id, self.state.settings.unknown_id)

    def _require(self, call: Call, waba_id: str | None, *permissions: str) -> None:
        """The WABA must be visible to the token, and the token must have one of the permissions."""
        if waba_id is not None and not call.token.sees(waba_id):
            raise self._missing(call)
        call.waba_id = waba_id
        if not set(permissions) & set(call.token.permissions):
            message = "Your app doesn't have permission to access this resource"
            raise GraphError(403, 200, message, subcode=1349174, details=f"Requires {' or '.join(permissions)}",
                             error_user_title="Permission Denied", error_user_msg=message)

    def _number(self, call: Call, *permissions: str) -> Number:
        number = self.state.numbers.get(call.object_id)
        if number is None:
            raise self._missing(call)
        self._require(call, number.waba_id, *permissions)
        return number

    def _read_key(self, call: Call) -> Json:
        number = self._number(call, MESSAGING)
        key, status = number.business_public_key, number.signature_status
        stale = self._stale.get(call.object_id)
        if stale is not None:
            key, status = stale.key, stale.status
            stale.reads -= 1
            if stale.reads <= 0:
                del self._stale[call.object_id]
        shape = self.state.settings.read_shape
        if key is None and shape == "empty_data":
            return {"data": []}
        if key is None and shape == "missing_members":
            return {"data": [{}]}
        # A number without a key reads as one blank that does not match its signature.
        full = dict(zip(KEY_FIELDS, (key, status) if key else (" ", "MISMATCH")))
        picked = pick(call, full, "WhatsAppBusinessEncryptionInfo", keep_id=False)
        return picked if shape == "flat" else {"data": [picked]}

    def _write_key(self, call: Call, fault: Fault | None) -> Json:
        number = self._number(call, MESSAGING)
        text = call.params.get("business_public_key")
        if text is None:
            raise GraphError(400, 100, "Missing required parameter: business_public_key",
                             details="business_public_key is required")
        key = canonical_public_key(text)
        if not number.registered:
            raise GraphError(400, 133010, details="Register the phone number before setting a key")
        kind = fault.kind if fault else ""
        if kind == "ignored_post":
            return {"success": True}
        if kind == "stale_reads" and fault and fault.reads > 0:
            self._stale[call.object_id] = _Stale(fault.reads, number.business_public_key, number.signature_status)
        number.business_public_key = key
        number.signature_status = "MISMATCH" if kind == "mismatch" else "VALID"
        self.save()
        return {"success": True}

    def _show(self, call: Call) -> Json:
        if call.object_id in self.state.numbers:
            number = self._number(call, MESSAGING, MANAGEMENT)
            return pick(call, _number_json(call.object_id, number), "WhatsAppBusinessPhoneNumber", NUMBER_DEFAULTS)
        if call.object_id not in self.state.wabas():
            raise self._missing(call)
        self._require(call, call.object_id, MESSAGING, MANAGEMENT)
        return pick(call, _waba_json(call.object_id), "WhatsAppBusinessAccount")

    def _list_numbers(self, call: Call) -> Json:
        if call.object_id not in self.state.wabas():
            raise self._missing(call)
        self._require(call, call.object_id, MANAGEMENT)
        ids = [name for name, number in self.state.numbers.items() if number.waba_id == call.object_id]
        return _page(call, ids, lambda name: pick(call, _number_json(name, self.state.numbers[name]),
                                                  "WhatsAppBusinessPhoneNumber"))

    def _list_wabas(self, call: Call, relation: str) -> Json:
        business = self.state.businesses.get(call.object_id)
        if business is None:
            raise self._missing(call)
        self._require(call, None, MANAGEMENT)
        ids = [waba for waba in (business.owned if relation == "owned" else business.client) if call.token.sees(waba)]
        return _page(call, ids, lambda name: pick(call, _waba_json(name), "WhatsAppBusinessAccount"))


def _number_json(number_id: str, number: Number) -> Json:
    members = vars(number)
    return {**{name: members[name] for name in NUMBER_FIELDS}, "id": number_id}


def _waba_json(waba_id: str) -> Json:
    return {"id": waba_id, "name": f"Sandbox WABA {waba_id}"}


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _start(call: Call, ids: list[str]) -> int:
    after = call.query.get("after")
    if not after:
        return 0
    try:
        return ids.index(base64.urlsafe_b64decode(after.encode()).decode()) + 1
    except (ValueError, binascii.Error):
        raise GraphError(400, 100, "(#100) Invalid cursor") from None


def _page(call: Call, ids: list[str], row: Callable[[str], Json]) -> Json:
    text = call.query.get("limit", "25")
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 100:
        raise GraphError(400, 100, "(#100) Invalid parameter: limit must be a number from 1 to 100")
    start = _start(call, ids)
    shown = ids[start: start + int(text)]
    data: Json = {"data": [row(name) for name in shown]}
    if shown:
        data["paging"] = {"cursors": {"before": _cursor(shown[0]), "after": _cursor(shown[-1])}}
        if start + len(shown) < len(ids):
            # Like the real one, the URL carries the token: a client that logs or follows it gives the token away.
            query = {"access_token": call.token_text or "", **{n: v for n, v in call.query.items() if n == "fields"},
                     "limit": text, "after": _cursor(shown[-1])}
            data["paging"]["next"] = f"{call.origin}/{call.version}/{call.object_id}/{call.edge}?{urlencode(query)}"
    return data


def record_json(record: RequestRecord) -> Json:
    """A record of the request log as JSON data."""
    return dataclasses.asdict(record)
