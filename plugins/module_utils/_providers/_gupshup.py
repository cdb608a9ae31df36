# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Gupshup's partner API: C(/partner/app/{app_id}/flows/publicKey). A key belongs to an app, which can have several numbers."""

from __future__ import annotations

import re
import typing as t

from .._errors import TEMPORARY, THROTTLED, InvalidOptions, Meaning, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url
from .._reconcile import PublishedKey
from ._base import ACCESS_TOKEN, Capabilities, Connection, Option, Provider, header_secret, required
from ._bodies import JSON_HEADERS, api_error, bare_error, certain, json_body, key_of, no_success, unexpected

BASE_URL = "https://partner.gupshup.io"
APP_ID = Option("app_id", env="WHATSAPP_APP_ID")

_CREDENTIAL = Meaning("token", "Check access_token: the app's partner token (not the partner's, and without the word Bearer).")
_MEANINGS: t.Mapping[str | int, Meaning] = {
    400: Meaning("invalid_parameter", "Check that the key is an RSA-2048 public key, and app_id."),
    401: _CREDENTIAL,
    403: _CREDENTIAL,
    404: Meaning("not_found", "Check app_id, and that the app is one of this partner's."),
    429: THROTTLED,
    500: TEMPORARY,
}


class Gupshup(Provider):
    """See Provider."""

    name = "gupshup"
    capabilities = Capabilities(key_of="app")
    own_only = ("access_token",)
    options = (ACCESS_TOKEN, APP_ID)

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        base_url = check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        self._url = f"{base_url}/partner/app/{connection.option(APP_ID)}/flows/publicKey"
        self._headers = {"Authorization": connection.option(ACCESS_TOKEN)}

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        app_id = required(connection, APP_ID, "app ID")
        if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", app_id):
            raise InvalidOptions(f"app_id '{app_id[:80]}' is not an ID of letters, digits and dashes.")
        token = header_secret(connection, ACCESS_TOKEN, "partner token")
        check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        return [token]

    def check_number(self, phone_number_id: str) -> None:
        """Anything will do: the ID only names the number in results."""

    @classmethod
    def holder(cls, connection: Connection, phone_number_id: str) -> str:
        return f"app {connection.option(APP_ID)}"

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        answer = self.http.call(Request("GET", self._url, self._headers), self._classify, job)
        row = answer.document.get("encryption") if isinstance(answer.document, dict) else None
        if not isinstance(row, dict):
            raise unexpected("it has no object 'encryption'")
        return certain(key_of(row), answer.body)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        request = Request("POST", self._url, {**self._headers, **JSON_HEADERS}, body=json_body({"public_key": pem}))
        answer = self.http.call(request, self._classify, job)
        if not isinstance(answer.document, dict) or answer.document.get("status") != "success":
            raise no_success(answer)

    def _classify(self, answer: Answer) -> WabaError | None:
        document = answer.document
        if not isinstance(document, dict):
            return bare_error(answer, self.http.redact, _MEANINGS)
        if answer.status < 300 and document.get("status") != "error":
            return None
        details = document.get("details")
        return api_error(answer, self.http.redact, _MEANINGS, code=document.get("code"),
                         message=details if isinstance(details, str) else document.get("message"), details=details)
