# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The On-Premises API: a host with one number, a login with a password, and tokens that run out.

Paths are /on_premises/<account id>/v1/…; the account id stands for the host, as each customer ran one of their own.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from .answers import Answer, ApiError, json_answer
from .faults import Fault
from .graph import key_members
from .provider import Call, Code, Provider, bearer, read_json, segments, text_of
from .state import Account, Json
from .store import Store

LOGIN = "v1/users/login"
KEY = "v1/settings/business/whatsapp_business_encryption"
META: Json = {"api_status": "stable", "version": "v2.53.0-sandbox"}
TITLES: dict[Code, str] = {
    1005: "Access denied",
    1006: "Resource not found",
    1008: "Required parameter is missing",
    1009: "Parameter value is not valid",
    1014: "Internal error",
    1015: "Too many requests",
    1016: "Service overloaded",
}


@dataclass
class OnPremisesCall(Call):
    """A request to a host."""

    account_id: str = ""
    path: str = ""

    @property
    def fault_queues(self) -> tuple[str, ...]:
        """A login has a queue of its own: a fault for the number waits for its key, and `*` means numbers."""
        return (f"{self.number_id}/login",) if self.path == LOGIN else super().fault_queues


@dataclass
class _Login:
    account_id: str
    expires_at: float


class OnPremises(Provider[OnPremisesCall]):
    """The hosts of all accounts, and the tokens that they have issued."""

    name = "on_premises"
    throttled = 1015
    failed = 1014
    bad_key = (400, 1009)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._logins: dict[str, _Login] = {}

    def forget_logins(self) -> None:
        """Make every token invalid."""
        self._logins = {}

    async def parse(self, request: web.Request) -> OnPremisesCall:
        """The first segment is the account; the rest is the path on its host."""
        account_id, *rest = segments(request) or [""]
        account = self.account(account_id)
        path = "/".join(rest)
        credential = _basic(request).partition(":")[0] if path == LOGIN else bearer(request)
        return OnPremisesCall(
            request, number_id=account.numbers[0] if account else "", credential=credential,
            sets_key=request.method == "POST" and path == KEY, account_id=account_id, path=path)

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> ApiError:
        """A list of one error."""
        title = TITLES.get(code, "Error")
        row = {"code": code, "title": title, "details": message or title}
        return ApiError(title, status, {"errors": [row], "meta": META}, headers)

    async def answer(self, call: OnPremisesCall, fault: Fault | None) -> Answer:
        """Answer as the account's host."""
        account = self.account(call.account_id)
        if account is None or call.path not in (LOGIN, KEY):
            raise self.error(404, 1006, "There is nothing at this path")
        if call.path == LOGIN:
            return self._login(call, account)
        self._check_token(call)
        if self.number_of(account, call.number_id) is None:
            raise self.error(404, 1006, "The host has no number")
        if call.method == "GET":
            return json_answer(key_members(*self.store.read_key(call.number_id)))
        if call.method != "POST":
            raise self._bad_method(call)
        return await self._write_key(call, fault)

    def _bad_method(self, call: OnPremisesCall) -> ApiError:
        # A guess: no documented source tells what another method gets.
        return self.error(405, 1006, f"{call.method} is not supported here")

    def _login(self, call: OnPremisesCall, account: Account) -> Answer:
        if call.method != "POST":
            raise self._bad_method(call)
        expected = f"{account.user}:{account.secret}"
        if not hmac.compare_digest(_basic(call.request).encode(), expected.encode()):
            raise self.error(401, 1005, "Invalid credentials")
        token = secrets.token_urlsafe(24)
        expires_at = time.time() + account.token_seconds
        # A guess: tokens of earlier logins stay good, so that two clients do not throw each other out.
        self._logins[token] = _Login(call.account_id, expires_at)
        text = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(expires_at))
        return json_answer({"users": [{"token": token, "expires_after": text}], "meta": META})

    def _check_token(self, call: OnPremisesCall) -> None:
        login = self._logins.get(call.credential or "")
        if login is None or login.account_id != call.account_id or login.expires_at <= time.time():
            raise self.error(401, 1005, "The token is missing, not valid or has expired")

    async def _write_key(self, call: OnPremisesCall, fault: Fault | None) -> Answer:
        text = text_of(await read_json(call.request) or {}, "public_key")
        if text is None:
            raise self.error(400, 1008, "public_key is required, in a JSON object")
        key = self.checked_key(text)
        if not self.state.numbers[call.number_id].registered:
            raise self.error(403, 1005, "The number is not registered")  # status and code are a guess
        self.store.write_key(call.number_id, key, fault)
        return json_answer({"meta": META})


def _basic(request: web.Request) -> str:
    """User and password as HTTP Basic sends them; empty where it is something else."""
    scheme, dummy, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
