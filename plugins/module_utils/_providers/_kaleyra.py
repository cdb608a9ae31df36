# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Kaleyra: C(/v2/{sid}/whatsapp/{phone_number}/flows_encryption)."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

from .._errors import TEMPORARY, InvalidAnswer, InvalidOptions, Meaning, NotReadable, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url
from .._reconcile import PublishedKey
from ._base import Capabilities, Connection, Option, Provider, header_secret, required
from ._bodies import KEY, STATUS, api_error, bare_error, certain, has_members, no_success, published_of

PODS = {
    "in": "https://api.in.kaleyra.io",
    "sg": "https://api.kaleyra.io",
    "eu": "https://api.eu.kaleyra.io",
    "na": "https://api.na.kaleyra.ai",
}
SID = Option("sid", env="WHATSAPP_SID")
API_KEY = Option("api_key", secret=True, env="WHATSAPP_API_KEY")
POD = Option("pod", choices=tuple(sorted(PODS)))

_CREDENTIAL = Meaning("token", "Check sid and api_key, and that both are of the pod that is called (in, sg, eu or na).")
_MEANINGS: t.Mapping[str | int, Meaning] = {
    "RBC001": _CREDENTIAL,
    "WA-401": _CREDENTIAL,
    401: _CREDENTIAL,
    403: _CREDENTIAL,
    "WA-400": Meaning(
        "invalid_parameter", "Check that the key is an RSA-2048 public key, and that the number is one of this SID's."
    ),
    404: Meaning("not_found", "Check sid, the phone number and the pod (or base_url)."),
    "WA-500": TEMPORARY,
}


class Kaleyra(Provider):
    """See Provider. What reading answers is not documented; what is not understood for certain counts as not readable."""

    name = "kaleyra"
    capabilities = Capabilities(can_read="maybe")
    options = (SID, API_KEY, POD)
    exceptions_to_contract: t.ClassVar[t.Mapping[str, str]] = {
        "test_no_key_is_read": "Reading is not documented: see the tests of what it may answer.",
        "test_a_key_is_read": "Reading is not documented: see the tests of what it may answer.",
        "test_a_mismatch_is_read": "Reading is not documented: see the tests of what it may answer.",
        "test_a_mismatch_is_mended": "A stale signature cannot be seen; force sends the key again.",
    }

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        self._base = f"{_base_url(connection)}/v2/{quote(connection.option(SID), safe='')}/whatsapp"
        self._headers = {"api-key": connection.option(API_KEY)}

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        sid = required(connection, SID, "SID")
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", sid):
            raise InvalidOptions(f"sid '{sid[:80]}' is not one of letters and digits.", "Copy it from the account's page.")
        key = header_secret(connection, API_KEY, "API key")
        _base_url(connection)
        return [key]

    def check_number(self, phone_number_id: str) -> None:
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone_number_id):
            raise InvalidOptions(
                f"phone_number_id '{phone_number_id[:40]}' is not a phone number in E.164 form, such as +919900000000.",
                "Kaleyra takes the phone number itself, with its plus sign. Quote it in YAML, which drops the sign otherwise.",
            )

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        answer = self.http.call(Request("GET", self._url(phone_number_id), self._headers), self._classify_read, job)
        return _parse_read(answer)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        request = Request("POST", self._url(phone_number_id), self._headers, form={KEY: pem})
        answer = self.http.call(request, self._classify, job)
        data = answer.document.get("data")
        if not isinstance(data, dict) or data.get("success") not in (True, "true"):
            raise no_success(answer)

    def _url(self, phone_number_id: str) -> str:
        return f"{self._base}/{quote(phone_number_id, safe='')}/flows_encryption"

    def _classify_read(self, answer: Answer) -> WabaError | None:
        # Refused as a request, and neither for its credential nor for its rate: there is nothing to read from.
        code = answer.document.get("code") if isinstance(answer.document, dict) else None
        refused = 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 429)
        if (refused or answer.status == 501) and not (isinstance(code, str) and _MEANINGS.get(code) == _CREDENTIAL):
            return _not_readable(f"it answers HTTP {answer.status}")
        if answer.status < 300 and (not answer.body.strip() or isinstance(answer.document, list)):
            return _not_readable("its answer does not have Meta's members")
        return self._classify(answer)

    def _classify(self, answer: Answer) -> WabaError | None:
        """Return the error of an answer. C(error) is an object or a text, and there, but empty, also without an error."""
        document = answer.document
        if not isinstance(document, dict):
            return bare_error(answer, self.http.redact, _MEANINGS)
        error = document.get("error")
        if answer.status < 300 and not error:
            return None
        own = error if isinstance(error, dict) else {}
        reason = error if isinstance(error, str) else own.get("message") or own.get("error")
        return api_error(answer, self.http.redact, _MEANINGS, code=document.get("code") or own.get("code"),
                         message=document.get("message") or reason, details=reason)


def _base_url(connection: Connection) -> str:
    """Return the base URL; one that is given goes before the pod."""
    pod = connection.option(POD)
    if not connection.base_url and not pod:
        raise InvalidOptions("Neither pod nor base_url is given.",
                             "Set pod (host variable whatsapp_pod) to in, sg, eu or na: where the account is.")
    return check_base_url(connection.base_url or PODS[pod], connection.allow_http)


def _parse_read(answer: Answer) -> PublishedKey:
    """Read Meta's members, flat or within C(data), which is an object or a list. Raises NotReadable where they are not there."""
    document = answer.document
    data = document.get("data")
    candidates = [document, data, *(data[:1] if isinstance(data, list) else [])]
    row = next((candidate for candidate in candidates if has_members(candidate)), None)
    if row is None or KEY not in row:
        raise _not_readable("its answer does not have Meta's members")
    try:
        return certain(published_of(row.get(KEY), row.get(STATUS)), answer.body)
    except InvalidAnswer as error:
        raise _not_readable(error.message) from None


def _not_readable(why: str) -> NotReadable:
    return NotReadable(f"Kaleyra does not tell which key the number holds: {why}.")
