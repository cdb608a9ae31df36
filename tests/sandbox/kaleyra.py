# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kaleyra's API: /kaleyra/v2/{sid}/whatsapp/{phone_number}/flows_encryption.

How a key is read back there is not documented beyond the page's existence, so a setting picks one of several answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from .answers import Answer, ApiError, json_answer
from .faults import Fault
from .graph import key_members
from .provider import Call, Code, Provider, segments
from .state import Json

MESSAGES: dict[Code, str] = {
    "RBC001": "Invalid SID or api-key",
    "WA-400": "Bad request",
    "WA-401": "Unauthorized",
    "WA-404": "Not found",
    "WA-405": "Method not allowed",
    "WA-429": "Too many requests",
    "WA-500": "Internal server error",
}


@dataclass
class KaleyraCall(Call):
    """A request; path_fits tells whether it is for the one edge that there is."""

    sid: str = ""
    path_fits: bool = False


class Kaleyra(Provider[KaleyraCall]):
    """An account is a SID with an API key; a number goes by its E.164 form."""

    name = "kaleyra"
    throttled = "WA-429"  # a guess: the documentation has no code for it
    failed = "WA-500"
    bad_key = (400, "WA-400")

    async def parse(self, request: web.Request) -> KaleyraCall:
        """SID and number are segments of the path."""
        parts = segments(request)
        fits = len(parts) == 5 and [parts[0], parts[2], parts[4]] == ["v2", "whatsapp", "flows_encryption"]
        return KaleyraCall(
            request, number_id=parts[3] if fits else "", credential=request.headers.get("api-key"),
            sets_key=fits and request.method == "POST", sid=parts[1] if fits else "", path_fits=fits)

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> ApiError:
        """An error in the envelope of all answers; the documentation shows it in two shapes."""
        text = MESSAGES.get(code, "Error")
        shape: Json = {"data": {}, "error": {"error": message or text}}
        if self.state.settings.kaleyra_error_shape == "string":
            shape = {"data": [], "error": message or text}
        return ApiError(text, status, {"code": str(code), "message": text, **shape}, headers)

    async def answer(self, call: KaleyraCall, fault: Fault | None) -> Answer:
        """Answer as Kaleyra's gateway."""
        if not call.path_fits:
            raise self.error(404, "WA-404")
        account = self.account(call.sid)
        if account is None or account.secret != call.credential:
            raise self.error(401, "RBC001")
        number = self.number_of(account, call.number_id)
        if number is None:
            # A guess, as to the code: which one an unknown number gets is not documented.
            raise self.error(400, "WA-400", f"The phone number {call.number_id} is not valid for this account")
        if call.method == "GET":
            return self._read_key(call)
        if call.method != "POST":
            raise self.error(405, "WA-405")
        key = self.checked_key(await self._key_text(call.request))
        if not number.registered:
            raise self.error(400, "WA-400", "The phone number is not registered")
        self.store.write_key(call.number_id, key, fault)
        return json_answer(_envelope({"success": True}))

    async def _key_text(self, request: web.Request) -> str:
        # Only what the documentation shows is taken. Without a key the same request may be meant as a read (its page
        # is headed POST); the strictest reading is that such a request is refused.
        text = (await request.post()).get("business_public_key") if _is_urlencoded(request) else None
        if not isinstance(text, str):
            raise self.error(400, "WA-400", "business_public_key is required")
        return text

    def _read_key(self, call: KaleyraCall) -> Answer:
        kind = self.state.settings.kaleyra_read
        if kind in ("404", "405"):
            raise self.error(int(kind), f"WA-{kind}")
        if kind == "empty":
            return json_answer(_envelope({}))
        if kind == "odd":
            return json_answer({"status": "ok", "items": [1, 2], "business_public_key": {"present": True}})
        members = key_members(*self.store.read_key(call.number_id))
        if kind == "flat":
            return json_answer({**_envelope({}), **members})
        return json_answer(_envelope([members] if kind == "list" else members))


def _is_urlencoded(request: web.Request) -> bool:
    return request.content_type == "application/x-www-form-urlencoded"


def _envelope(data: Json | list[Json]) -> Json:
    return {"code": "WA-200", "message": "Success", "data": data, "error": {}}
