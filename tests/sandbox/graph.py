# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Graph API's manner of speaking: parameters, answers about a key, error bodies, usage headers."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .answers import Answer, ApiError, json_answer
from .faults import Fault
from .keys import BadKey, canonical_public_key
from .limits import Usage
from .state import Json

KEY_EDGE = "whatsapp_business_encryption"
KEY_FIELDS = ("business_public_key", "business_public_key_signature_status")

MESSAGES: dict[int | str, str] = {
    1: "An unknown error occurred",
    2: "An unexpected error occurred. Please retry your request",
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    17: "User request limit reached",
    80007: "Business request limit reached for WhatsApp Business Account",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131016: "Service unavailable",
    131031: "Account has been locked",
    133010: "Phone number is not registered",
    133016: "Account register deregister rate limit exceeded",
}


class GraphError(ApiError):
    """An answer in the Graph API's error shape. extra: further members of `error`."""

    def __init__(self, status: int, code: int | str, message: str | None = None, *, kind: str = "OAuthException",
                 subcode: int | None = None, details: str | None = None, headers: dict[str, str] | None = None,
                 **extra: Any) -> None:
        message = message or MESSAGES.get(code, "An error occurred")
        self.error: Json = {"message": message, "type": kind, "code": code}
        super().__init__(message, status, {"error": self.error}, headers)
        if subcode is not None:
            self.error["error_subcode"] = subcode
        if details is not None:
            self.error["error_data"] = {"messaging_product": "whatsapp", "details": details}
        self.error.update((name, value) for name, value in extra.items() if value is not None)

    def answer(self) -> Answer:
        """The error as an answer; each one gets its own trace id."""
        body = {"error": {**self.error, "fbtrace_id": "A" + secrets.token_urlsafe(16)}}
        return json_answer(body, self.status, self.headers)


def unsupported(method: str, object_id: str, shape: str) -> GraphError:
    """The one answer for an object that is unknown, not visible, or of another kind."""
    if shape == "803":
        return GraphError(404, 803, "WhatsApp Business phone number not found", kind="GraphMethodException")
    return GraphError(
        400, 100, f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be "
        "loaded due to missing permissions, or does not support this operation",
        kind="GraphMethodException", subcode=33)


def checked_key(text: str | None) -> str:
    """The key as it is kept; GraphError where it is missing or not as Meta takes it."""
    if text is None:
        raise GraphError(400, 100, "Missing required parameter: business_public_key",
                         details="business_public_key is required")
    try:
        return canonical_public_key(text)
    except BadKey as exc:
        raise GraphError(400, 100, "Business public key is invalid", details=str(exc),
                         error_user_title="Invalid Public Key",
                         error_user_msg="The provided public key format is invalid") from None


def graph_fault(fault: Fault, waba_id: str) -> GraphError:
    """The error that the faults error, throttle and applied_then_error answer with."""
    headers = fault.error_headers()
    if fault.kind == "throttle":
        status, code, transient = 429, 130429, True
        if fault.estimated_minutes is not None:
            headers["x-business-use-case-usage"] = use_case_usage(waba_id, 100, fault.estimated_minutes)
    else:
        status, code, transient = 500, 131000, None
    return GraphError(
        status if fault.status is None else fault.status, code if fault.code is None else fault.code, fault.message,
        subcode=fault.subcode, headers=headers,
        is_transient=transient if fault.is_transient is None else fault.is_transient)


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


def pick(query: Mapping[str, str], full: Json, node_type: str, default: tuple[str, ...] = (), *,
         keep_id: bool = True) -> Json:
    """The members that `fields` asks for; a name that the node does not have is an error."""
    asked = query.get("fields")
    names = [name.strip() for name in asked.split(",") if name.strip()] if asked else list(default or full)
    for name in names:
        if name not in full:
            raise GraphError(400, 100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})")
    if keep_id and "id" not in names:
        names.append("id")
    return {name: full[name] for name in names}


def key_members(key: str | None, status: str) -> Json:
    """Meta's two members; a number without a key reads as one blank that does not match its signature."""
    return dict(zip(KEY_FIELDS, (key, status) if key else (" ", "MISMATCH")))


def key_data(query: Mapping[str, str], key: str | None, status: str, shape: str) -> Json:
    """The answer to a read of a key, in the shape that the settings ask for."""
    if key is None and shape == "empty_data":
        return {"data": []}
    if key is None and shape == "missing_members":
        return {"data": [{}]}
    picked = pick(query, key_members(key, status), "WhatsAppBusinessEncryptionInfo", keep_id=False)
    return picked if shape == "flat" else {"data": [picked]}


def use_case_usage(waba_id: str, percent: int, minutes: int = 0) -> str:
    """The value of x-business-use-case-usage for one WABA."""
    return json.dumps({waba_id: [{"type": "messaging", "call_count": percent, "total_cputime": percent // 4,
                                  "total_time": percent // 4, "estimated_time_to_regain_access": minutes}]})


def usage_headers(app: Usage, waba_id: str | None, waba: Usage | None) -> dict[str, str]:
    """What an answer tells about the calls of the app, and of those in the WABA that the call was about."""
    found = {"x-app-usage": json.dumps({"call_count": app.percent, "total_cputime": app.percent // 4,
                                        "total_time": app.percent // 4})}
    if waba_id and waba:
        found["x-business-use-case-usage"] = use_case_usage(waba_id, waba.percent, math.ceil(waba.wait / 60))
    return found


def over_limit(status: int, code: int, usage: Usage, retry_after: bool) -> GraphError:
    """The refusal of a call beyond a limit."""
    headers = {"Retry-After": str(math.ceil(usage.wait))} if retry_after else None
    return GraphError(status, code, subcode=2446079, headers=headers, is_transient=True)
