# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers that pass Meta's edge on: /graph_compatible/…/whatsapp_business_encryption.

They differ in the path before the edge, in whether it names the number, and in where the credential goes; all of
these are taken here. Answers and errors are in Meta's form.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from .answers import Answer, json_answer
from .faults import Fault
from .graph import KEY_EDGE, GraphError, checked_key, graph_fault, key_data, read_params, unsupported
from .provider import Call, Code, Provider, bearer, segments
from .state import Account


@dataclass
class ProxyCall(Call):
    """A request; account is whose credential it carries."""

    account: Account | None = None
    path_fits: bool = False


def _credential(request: web.Request) -> str | None:
    return request.query.get("token") or request.headers.get("D360-API-KEY") or bearer(request)


class GraphCompatible(Provider[ProxyCall]):
    """An account is known by its secret alone."""

    name = "graph_compatible"
    throttled = 130429
    failed = 131000
    bad_key = (400, 100)

    async def parse(self, request: web.Request) -> ProxyCall:
        """A segment that can be a number's id names the number; without one it is the account's only number."""
        parts = segments(request)
        fits = parts[-1:] == [KEY_EDGE]
        credential = _credential(request)
        account = self._account_of(credential)
        # A row of digits that is no known number counts as well: to take it for no number at all would set the key of
        # a number that nobody asked for.
        named = [part for part in parts[:-1] if part in self.state.numbers or (part.isdigit() and len(part) > 4)]
        if not named and account and len(account.numbers) == 1:
            named = account.numbers
        return ProxyCall(
            request, number_id=named[-1] if named else "", credential=credential,
            sets_key=fits and request.method == "POST", account=account, path_fits=fits)

    def _account_of(self, secret: str | None) -> Account | None:
        found = (item for item in self.state.accounts.values() if item.provider == self.name and item.secret == secret)
        return next(found, None)

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> GraphError:
        """An error in the Graph API's shape."""
        return GraphError(status, code, message, headers=headers)

    def fault_error(self, call: ProxyCall, fault: Fault) -> GraphError:
        """The error of a fault, with all that Meta's carries."""
        number = self.state.numbers.get(call.number_id)
        return graph_fault(fault, number.waba_id if number else call.number_id)

    async def answer(self, call: ProxyCall, fault: Fault | None) -> Answer:
        """Answer as Meta would, to the one edge."""
        if not call.path_fits:
            raise GraphError(404, 2500, "Unknown path components")
        if call.account is None:
            raise GraphError(401, 190, "Invalid OAuth access token")
        if not call.number_id:
            raise GraphError(400, 100, "The account has several numbers: the path must name one")  # a guess
        number = self.number_of(call.account, call.number_id)
        if number is None or call.method not in ("GET", "POST"):
            raise unsupported(call.method, call.number_id, self.state.settings.unknown_id)
        if call.method == "GET":
            return json_answer(
                key_data(call.query, *self.store.read_key(call.number_id), self.state.settings.read_shape))
        key = checked_key((await read_params(call.request)).get("business_public_key"))
        if not number.registered:
            raise GraphError(400, 133010, details="Register the phone number before setting a key")
        self.store.write_key(call.number_id, key, fault)
        return json_answer({"success": True})
