# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Meta's Cloud API: C(/{version}/{phone_number_id}/whatsapp_business_encryption)."""

from __future__ import annotations

import hashlib
import hmac
import re
import typing as t

from .._budget import USUAL_LIMIT
from .._errors import ApiError, InvalidAnswer, InvalidOptions, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url, wait_asked
from .._reconcile import PublishedKey
from ._base import ACCESS_TOKEN, Capabilities, Connection, Option, Provider, header_secret
from ._bodies import KEY, certain, has_members, key_of, no_success, not_json, said, unexpected

BASE_URL = "https://graph.facebook.com"
APP_SECRET = Option("app_secret", secret=True, env="WHATSAPP_APP_SECRET")
API_VERSION = Option("api_version", default="v24.0")


class CloudApi(Provider):
    """See Provider."""

    name = "cloud_api"
    capabilities = Capabilities()
    options = (ACCESS_TOKEN, APP_SECRET, API_VERSION)
    calls_an_hour = USUAL_LIMIT

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        base_url = check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        self._base = f"{base_url}/{connection.option(API_VERSION)}"
        self._headers = {"Authorization": f"Bearer {connection.option(ACCESS_TOKEN)}"}
        self._query = _proof(connection)

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        token = header_secret(connection, ACCESS_TOKEN, "access token")
        version = connection.option(API_VERSION)
        if not re.fullmatch(r"v[0-9]+\.[0-9]+", version):
            raise InvalidOptions(f"api_version '{version}' is not of the form v24.0.")
        check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        return [token, connection.option(APP_SECRET), *_proof(connection).values()]

    def check_number(self, phone_number_id: str) -> None:
        if not re.fullmatch(r"[0-9]{1,32}", phone_number_id):
            raise InvalidOptions(
                f"phone_number_id '{phone_number_id[:40]}' is not a number of digits alone.",
                "Give the ID of the phone number (GET /WABA_ID/phone_numbers lists them), not the phone number itself.",
            )

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        request = Request("GET", self._url(phone_number_id), self._headers, self._query)
        answer = self.http.call(request, self._classify, job)
        return certain(parse_read(answer.document), answer.body)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        # Meta's guide says urlencoded, its spec multipart, SDKs send JSON; the guide's form is the one seen longest.
        request = Request("POST", self._url(phone_number_id), self._headers, self._query, form={KEY: pem})
        answer = self.http.call(request, self._classify, job)
        check_success(answer)

    def _url(self, phone_number_id: str) -> str:
        return f"{self._base}/{phone_number_id}/whatsapp_business_encryption"

    def _classify(self, answer: Answer) -> WabaError | None:
        return parse_error(answer, self.http.redact)


def _proof(connection: Connection) -> dict[str, str]:
    """Return Meta's appsecret_proof: hex HMAC-SHA256 of the token under the app secret, as a query parameter."""
    secret = connection.option(APP_SECRET)
    if not secret:
        return {}
    token = connection.option(ACCESS_TOKEN).encode()
    return {"appsecret_proof": hmac.new(secret.encode(), token, hashlib.sha256).hexdigest()}


def parse_read(document: t.Any) -> PublishedKey:
    """Read the answer to GET in any form seen: an array or object under C(data), or flat as in Meta's guide.

    A blank or missing key within C(data) means that none is set. A flat object without either member is refused
    instead: taking an unknown answer for "no key" would overwrite one. Raises InvalidAnswer.
    """
    if not isinstance(document, dict):
        raise unexpected("it is not a JSON object")
    row = document.get("data", document)
    if isinstance(row, list):
        row = row[0] if row else {}
        if row == {}:
            return PublishedKey(None, None, None)
    if not isinstance(row, dict) or (row is document and not has_members(row)):
        raise unexpected("it has neither the key nor its status")
    return key_of(row)


def check_success(answer: Answer) -> None:
    """Raise InvalidAnswer unless the answer to a POST reports success, in JSON or, as some gateways do, in text."""
    success = answer.document.get("success") if isinstance(answer.document, dict) else None
    if success not in (True, "true"):
        raise no_success(answer)


def parse_error(answer: Answer, redact: t.Callable[[str], str]) -> WabaError | None:
    """Return the error that an answer holds, or None. A member C(error) counts whatever the HTTP status is."""
    document = answer.document
    body = document.get("error") if isinstance(document, dict) else None
    if body is None and answer.status < 300:
        return None if isinstance(document, (dict, list)) else not_json(answer, redact)
    if body is not None and not isinstance(body, dict) and answer.status < 300:
        return InvalidAnswer(
            "The API answered with an error that is not of its form.", "Check base_url.", http_status=answer.status
        )
    if not isinstance(body, dict):
        return ApiError(
            "The API answered with an error status and no error body of its form", http_status=answer.status,
            wait=wait_asked(answer.headers),
        )
    data = body.get("error_data")
    details = data.get("details") if isinstance(data, dict) else data
    error = ApiError(
        said(body.get("message"), redact) or "The API names no reason",
        http_status=answer.status,
        code=_integer(body.get("code")),
        subcode=_integer(body.get("error_subcode")),
        type_name=said(body.get("type"), redact, 100),
        details=said(details, redact) or said(body.get("error_user_msg"), redact),
        is_transient=body.get("is_transient") is True,
        fbtrace_id=said(body.get("fbtrace_id"), redact, 100),
    )
    if error.meaning.throttled:
        error.wait = wait_asked(answer.headers)
    return error


def _integer(value: t.Any) -> int | None:
    """Return a code as an integer; some gateways send numbers as strings."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
