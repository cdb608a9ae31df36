# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gupshup's partner API: /gupshup/partner/app/{app_id}/flows/publicKey, with one key for all numbers of an app."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from .answers import Answer, ApiError, json_answer
from .faults import Fault
from .graph import key_members
from .provider import Call, Code, Provider, read_json, segments, text_of
from .state import Account

# The codes are a guess: the documentation names the member, not its values.
DETAILS: dict[Code, str] = {
    400: "Bad request",
    401: "Unauthorised access to the resource",
    404: "Not found",
    405: "Method not allowed",
    429: "Too many requests",
    500: "Internal server error",
}


@dataclass
class GupshupCall(Call):
    """A request; path_fits tells whether it is for the one edge that there is."""

    app_id: str = ""
    path_fits: bool = False


class Gupshup(Provider[GupshupCall]):
    """An account is an app. The log and the faults know it by its first number."""

    name = "gupshup"
    throttled = 429
    failed = 500
    bad_key = (400, 400)

    async def parse(self, request: web.Request) -> GupshupCall:
        """The app's id is a segment of the path."""
        parts = segments(request)
        fits = len(parts) == 5 and [*parts[:2], *parts[3:]] == ["partner", "app", "flows", "publicKey"]
        app_id = parts[2] if fits else ""
        account = self.account(app_id)
        return GupshupCall(
            request, number_id=account.numbers[0] if account and account.numbers else "",
            credential=request.headers.get("Authorization"), sets_key=fits and request.method == "POST", app_id=app_id,
            path_fits=fits)

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> ApiError:
        """An error in the provider's envelope."""
        details = message or DETAILS.get(code, "Error")
        return ApiError(details, status, {"code": code, "details": details, "status": "error"}, headers)

    async def answer(self, call: GupshupCall, fault: Fault | None) -> Answer:
        """Answer for an app."""
        if not call.path_fits:
            raise self.error(404, 404)
        account = self.account(call.app_id)
        # The header is the token itself. An app that is not there is not told from one of somebody else's.
        if account is None or account.secret != call.credential:
            raise self.error(401, 401)
        if self.number_of(account, call.number_id) is None:
            raise self.error(400, 400, "The app has no number")
        if call.method == "GET":
            members = key_members(*self.store.read_key(call.number_id))
            return json_answer({"encryption": members, "status": "success"})
        if call.method != "POST":
            raise self.error(405, 405)
        return await self._write_key(call, account, fault)

    async def _write_key(self, call: GupshupCall, account: Account, fault: Fault | None) -> Answer:
        text = text_of(await read_json(call.request) or {}, "public_key")
        if text is None:
            raise self.error(400, 400, "public_key is required, in a JSON object")
        key = self.checked_key(text)
        numbers = [number_id for number_id in account.numbers if number_id in self.state.numbers]
        if not all(self.state.numbers[number_id].registered for number_id in numbers):
            raise self.error(400, 400, "The app's number is not registered")
        for number_id in numbers:
            self.store.write_key(number_id, key, fault)
        return json_answer({"status": "success"})
