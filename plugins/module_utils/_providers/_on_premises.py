# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Meta's On-Premises API, which a business runs itself: one number a host, which the base URL names. Meta ended it in 2025."""

from __future__ import annotations

import base64
import threading
import typing as t

from .._errors import TEMPORARY, THROTTLED, ApiError, InvalidOptions, Meaning, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url, same_place
from .._reconcile import PublishedKey
from ._base import Capabilities, Connection, Option, Provider, required
from ._bodies import (
    JSON_HEADERS,
    KEY,
    STATUS,
    api_error,
    bare_error,
    certain,
    has_members,
    json_body,
    no_success,
    not_json,
    published_of,
    unexpected,
)

USERNAME = Option("username", env="WHATSAPP_USERNAME")
PASSWORD = Option("password", secret=True, env="WHATSAPP_PASSWORD")

_DENIED = Meaning("token", "Check username and password; a user's first login needs a change of the password, by other means.")
_PARAMETER = Meaning(
    "invalid_parameter", "Check that the key is an RSA-2048 public key, and that this version of the client knows Flows."
)
_MEANINGS: t.Mapping[str | int, Meaning] = {
    1005: _DENIED,
    1024: _DENIED,
    401: _DENIED,
    403: _DENIED,
    1006: Meaning("not_found", "Check base_url: it names the host of one number, and is scheme, host and port alone."),
    404: Meaning("not_found", "Check base_url, and that this version of the client knows Flows."),
    1008: _PARAMETER,
    1009: _PARAMETER,
    1015: THROTTLED,
    # Internal error, not ready, overloaded, and asked a node that is not the primary one: all of them pass.
    1011: TEMPORARY,
    1014: TEMPORARY,
    1016: TEMPORARY,
    1017: TEMPORARY,
    1018: TEMPORARY,
}


class OnPremises(Provider):
    """See Provider. The bearer token of a login is kept for as long as the client lives, and renewed when it is refused."""

    name = "on_premises"
    capabilities = Capabilities(numbers_per_credential="one")
    options = (USERNAME, PASSWORD)
    notice = "Meta ended the On-Premises API on 2025-10-23. Numbers that are still on it should be moved to the Cloud API."

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        self._base = _base_url(connection)
        self._token: str | None = None
        self._lock = threading.Lock()

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        if ":" in required(connection, USERNAME, "user name"):  # HTTP Basic could not tell where it ends
            raise InvalidOptions("The user name holds a colon.", "Give user name and password by their own options.")
        password = required(connection, PASSWORD, "password")
        _base_url(connection)
        return [password, _basic(connection)]

    def check_number(self, phone_number_id: str) -> None:
        """Anything will do: the ID only names the number in results."""

    @classmethod
    def holder(cls, connection: Connection, phone_number_id: str) -> str:
        return same_place(connection.base_url or "")

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        answer = self._call("GET", None, job)
        row = answer.document
        if not has_members(row):
            raise unexpected("it has neither the key nor its status")
        return certain(published_of(row.get(KEY), row.get(STATUS)), answer.body)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        answer = self._call("POST", json_body({"public_key": pem}), job)
        if not isinstance(answer.document, dict) or "meta" not in answer.document:
            raise no_success(answer)

    def _call(self, method: str, body: bytes | None, job: Job) -> Answer:
        """Send under the token of an earlier login; where that is refused, once more under a new one: nothing was done then."""
        token = self._token
        if token is not None:
            try:
                return self._send(method, body, token, job)
            except ApiError as error:
                if error.http_status != 401:
                    raise
        return self._send(method, body, self._login(token, job), job)

    def _send(self, method: str, body: bytes | None, token: str, job: Job) -> Answer:
        headers = {"Authorization": f"Bearer {token}", **(JSON_HEADERS if body else {})}
        request = Request(method, f"{self._base}/v1/settings/business/whatsapp_business_encryption", headers, body=body)
        return self.http.call(request, self._classify, job)

    def _login(self, refused: str | None, job: Job) -> str:
        """Return a token other than the refused one. Another worker may have logged in meanwhile."""
        with self._lock:
            if self._token is None or self._token == refused:
                headers = {"Authorization": f"Basic {_basic(self.connection)}"}
                # A login that is sent twice gives two tokens, of which one is not used.
                request = Request("POST", f"{self._base}/v1/users/login", headers, body=b"", repeatable=True)
                try:
                    self._token = _token_of(self.http.call(request, self._classify, job).document)
                except WabaError as error:
                    error.outcome_unknown = False  # whatever was to be sent under the token was not sent
                    raise
                self.http.keep_secret(self._token)
            return self._token

    def _classify(self, answer: Answer) -> WabaError | None:
        document = answer.document
        errors = document.get("errors") if isinstance(document, dict) else None
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            first = errors[0]
            return api_error(answer, self.http.redact, _MEANINGS, code=first.get("code"), message=first.get("title"),
                             details=first.get("details"))
        if answer.status >= 300 or not isinstance(document, (dict, list)):
            return bare_error(answer, self.http.redact, _MEANINGS)
        return not_json(answer, self.http.redact) if errors else None


def _base_url(connection: Connection) -> str:
    if not connection.base_url:
        raise InvalidOptions("No base_url is given.",
                             "Set it (host variable whatsapp_base_url) to the URL of the number's own On-Premises host.")
    return check_base_url(connection.base_url, connection.allow_http)


def _basic(connection: Connection) -> str:
    return base64.b64encode(f"{connection.option(USERNAME)}:{connection.option(PASSWORD)}".encode()).decode()


def _token_of(document: t.Any) -> str:
    """Return the token of the answer to a login. Raises InvalidAnswer."""
    users = document.get("users") if isinstance(document, dict) else None
    first = users[0] if isinstance(users, list) and users else None
    token = first.get("token") if isinstance(first, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
        raise unexpected("the login gave no token")
    return token
