# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud API: keys of numbers, numbers of a WABA, WABAs of a business, for tokens with scopes and expiry."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from .answers import Answer, json_answer
from .faults import Fault
from .graph import (
    KEY_EDGE,
    GraphError,
    checked_key,
    graph_fault,
    key_data,
    over_limit,
    pick,
    read_params,
    unsupported,
    usage_headers,
)
from .limits import Clock, Counts, Limits, Preset
from .provider import Call, Code, Provider, bearer
from .state import MANAGEMENT, MESSAGING, InvalidData, Json, Number, Token
from .store import Store

OLDEST_VERSION = (21, 0)
NUMBER_FIELDS = ("display_phone_number", "verified_name", "status", "quality_rating", "code_verification_status",
                 "account_mode", "host_platform", "platform_type", "messaging_limit_tier")
NUMBER_DEFAULTS = ("id", "display_phone_number", "verified_name", "quality_rating")


@dataclass
class CloudCall(Call):
    """A request's path in its parts, and what is found out about it. number_id is the path's id, whatever that is."""

    version: str = ""
    edge: str = ""
    origin: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    token: Token = field(default_factory=Token)
    usage: dict[str, str] = field(default_factory=dict)


def _token_of(request: web.Request) -> str | None:
    text = bearer(request)
    return request.query.get("access_token") if text is None else text  # paging.next carries it there


class CloudApi(Provider[CloudCall]):
    """Meta's own API."""

    name = "cloud_api"
    throttled = 130429
    failed = 131000
    bad_key = (400, 100)

    def __init__(self, store: Store, clock: Clock = time.monotonic) -> None:
        super().__init__(store)
        self._limits = Limits(clock)

    async def parse(self, request: web.Request) -> CloudCall:
        """Split a request's path into version, object and edge."""
        parts = request.path.strip("/").split("/")
        parts += [""] * (3 - len(parts))
        return CloudCall(
            request, number_id=parts[1], credential=_token_of(request), version=parts[0], edge="/".join(parts[2:]),
            sets_key=request.method == "POST" and request.path.endswith("/" + KEY_EDGE),
            origin=f"{request.scheme}://{request.host}")

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> GraphError:
        """An error in the Graph API's shape."""
        return GraphError(status, code, message, headers=headers)

    def fault_error(self, call: CloudCall, fault: Fault) -> GraphError:
        """The error of a fault, with the usage of the number's WABA."""
        number = self.state.numbers.get(call.number_id)
        return graph_fault(fault, number.waba_id if number else call.number_id)

    def crash(self) -> GraphError:
        """An unknown error."""
        return GraphError(500, 1)

    def admit(self, call: CloudCall) -> GraphError | None:
        """Count a call of a token that is good, of an app therefore; refuse it beyond a limit.

        Status and code do not go together at Meta: its spec has 429 with code 4, its table of errors 400. A client that
        goes by the status is found out here.
        """
        try:
            token = self._check_token(call)
        except GraphError:
            return None
        settings, waba_id = self.state.settings, self._waba_of(call, token)
        app = self._limits.call(token.app_id, None, settings)
        waba = self._limits.call(token.app_id, waba_id, settings) if waba_id else None
        call.usage = usage_headers(app, waba_id, waba)
        if app.throttled:
            return over_limit(400, 4, app, settings.retry_after)
        if waba and waba.throttled:
            return over_limit(429, 80007, waba, settings.retry_after)
        return None

    def _waba_of(self, call: CloudCall, token: Token) -> str | None:
        """The WABA that a call is about, if the token sees it."""
        number = self.state.numbers.get(call.number_id)
        if number is None and call.number_id not in self.state.wabas():
            return None
        waba_id = number.waba_id if number else call.number_id
        return waba_id if waba_id and token.sees(waba_id) else None

    def preset(self, preset: Preset) -> None:
        """Use up part of a limit, as if somebody else had called."""
        if preset.waba_id is not None and preset.waba_id not in self.state.wabas():
            raise InvalidData(f"there is no WABA {preset.waba_id}")
        if preset.app_id not in {token.app_id for token in self.state.tokens.values()}:
            raise InvalidData(f"no token is of the app {preset.app_id}")
        self._limits.preset(preset, self.state.settings)

    def calls(self) -> dict[str, Counts]:
        """How many calls came, and how many of them while throttled, of each app and WABA."""
        return self._limits.counts(self.state.wabas())

    def forget_calls(self) -> None:
        """Empty the windows of all limits, and count calls anew."""
        self._limits.clear()

    def dress(self, call: CloudCall, answer: Answer) -> Answer:
        """Tell how much of the limits is used up, unless a fault tells something else."""
        answer.headers = {**call.usage, **answer.headers}
        return answer

    async def answer(self, call: CloudCall, fault: Fault | None) -> Answer:
        """Answer a request as the Graph API does."""
        if call.method == "POST":
            call.params = await read_params(call.request)
        data = self._data(call, fault)
        return json_answer(data, headers={"facebook-api-version": call.version})

    def _data(self, call: CloudCall, fault: Fault | None) -> Json:
        self._check_version(call)
        call.token = self._check_token(call)
        self._check_proof(call)
        if not re.fullmatch(r"[0-9]+", call.number_id):
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
            raise unsupported(call.method, call.number_id, "100")
        return edges[call.edge][call.method]()

    @staticmethod
    def _check_version(call: CloudCall) -> None:
        # No documented source says what these two answer; code and wording are a guess.
        match = re.fullmatch(r"v([0-9]+)\.([0-9]+)", call.version)
        if match is None:
            raise GraphError(400, 2500, f"Unknown path components: /{call.version}", kind="GraphMethodException")
        if (int(match.group(1)), int(match.group(2))) < OLDEST_VERSION:
            raise GraphError(400, 12, f"(#12) API version {call.version} is no longer available",
                             kind="GraphMethodException")

    def _check_token(self, call: CloudCall) -> Token:
        if call.credential is None:
            raise GraphError(401, 104, "An access token is required to request this resource")
        token = self.state.tokens.get(call.credential)
        if token is None:
            raise GraphError(401, 190, "Invalid OAuth access token")
        if token.expires_at is not None and token.expires_at <= time.time():
            raise GraphError(401, 190, "Error validating access token: Session has expired", subcode=463)
        return token

    @staticmethod
    def _check_proof(call: CloudCall) -> None:
        proof = call.query.get("appsecret_proof")
        secret = call.token.app_secret
        if proof is None:
            if call.token.require_app_secret:
                raise GraphError(400, 100, "API calls from the server require an appsecret_proof argument",
                                 kind="GraphMethodException")
        elif secret is not None:
            good = hmac.new(secret.encode(), (call.credential or "").encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(good.encode(), proof.encode()):
                raise GraphError(400, 100, "Invalid appsecret_proof provided in the API argument",
                                 kind="GraphMethodException")

    def _missing(self, call: CloudCall) -> GraphError:
        return unsupported(call.method, call.number_id, self.state.settings.unknown_id)

    def _require(self, call: CloudCall, waba_id: str | None, *permissions: str) -> None:
        """The WABA must be visible to the token, and the token must have one of the permissions."""
        if waba_id is not None and not call.token.sees(waba_id):
            raise self._missing(call)
        if not set(permissions) & set(call.token.permissions):
            message = "Your app doesn't have permission to access this resource"
            raise GraphError(403, 200, message, subcode=1349174, details=f"Requires {' or '.join(permissions)}",
                             error_user_title="Permission Denied", error_user_msg=message)

    def _number(self, call: CloudCall, *permissions: str) -> Number:
        number = self.state.numbers.get(call.number_id)
        if number is None or not number.waba_id:  # in no WABA: only another provider knows it
            raise self._missing(call)
        self._require(call, number.waba_id, *permissions)
        return number

    def _read_key(self, call: CloudCall) -> Json:
        self._number(call, MESSAGING)
        return key_data(call.query, *self.store.read_key(call.number_id), self.state.settings.read_shape)

    def _write_key(self, call: CloudCall, fault: Fault | None) -> Json:
        number = self._number(call, MESSAGING)
        key = checked_key(call.params.get("business_public_key"))
        if not number.registered:
            raise GraphError(400, 133010, details="Register the phone number before setting a key")
        self.store.write_key(call.number_id, key, fault)
        return {"success": True}

    def _show(self, call: CloudCall) -> Json:
        if call.number_id in self.state.numbers:
            number = self._number(call, MESSAGING, MANAGEMENT)
            return pick(call.query, _number_json(call.number_id, number), "WhatsAppBusinessPhoneNumber", NUMBER_DEFAULTS)
        if call.number_id not in self.state.wabas():
            raise self._missing(call)
        self._require(call, call.number_id, MESSAGING, MANAGEMENT)
        return pick(call.query, _waba_json(call.number_id), "WhatsAppBusinessAccount")

    def _list_numbers(self, call: CloudCall) -> Json:
        if call.number_id not in self.state.wabas():
            raise self._missing(call)
        self._require(call, call.number_id, MANAGEMENT)
        ids = [name for name, number in self.state.numbers.items() if number.waba_id == call.number_id]
        return _page(call, ids, lambda name: pick(call.query, _number_json(name, self.state.numbers[name]),
                                                  "WhatsAppBusinessPhoneNumber"))

    def _list_wabas(self, call: CloudCall, relation: str) -> Json:
        business = self.state.businesses.get(call.number_id)
        if business is None:
            raise self._missing(call)
        self._require(call, None, MANAGEMENT)
        ids = [waba for waba in (business.owned if relation == "owned" else business.client) if call.token.sees(waba)]
        return _page(call, ids, lambda name: pick(call.query, _waba_json(name), "WhatsAppBusinessAccount"))


def _number_json(number_id: str, number: Number) -> Json:
    members = vars(number)
    return {**{name: members[name] for name in NUMBER_FIELDS}, "id": number_id}


def _waba_json(waba_id: str) -> Json:
    return {"id": waba_id, "name": f"Sandbox WABA {waba_id}"}


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _start(call: CloudCall, ids: list[str]) -> int:
    after = call.query.get("after")
    if not after:
        return 0
    try:
        return ids.index(base64.urlsafe_b64decode(after.encode()).decode()) + 1
    except (ValueError, binascii.Error):
        raise GraphError(400, 100, "(#100) Invalid cursor") from None


def _page(call: CloudCall, ids: list[str], row: Callable[[str], Json]) -> Json:
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
            query = {"access_token": call.credential or "", **{n: v for n, v in call.query.items() if n == "fields"},
                     "limit": text, "after": _cursor(shown[-1])}
            data["paging"]["next"] = f"{call.origin}/{call.version}/{call.number_id}/{call.edge}?{urlencode(query)}"
    return data
