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

from .._errors import ApiError, InvalidAnswer, InvalidKey, InvalidOptions, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url, wait_asked
from .._keys import published_key
from .._reconcile import PublishedKey
from ._base import Connection, Provider

BASE_URL = "https://graph.facebook.com"
_KEY = "business_public_key"
_STATUS = "business_public_key_signature_status"


class CloudApi(Provider):
    """See Provider."""

    name = "cloud_api"

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        base_url = check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        self._url = f"{base_url}/{connection.api_version}/%s/whatsapp_business_encryption"
        self._headers = {"Authorization": f"Bearer {connection.access_token}"}
        self._query = _proof(connection)

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        if not connection.access_token:
            raise InvalidOptions(
                "No access token is given.",
                "Set access_token (host variable whatsapp_access_token), or WHATSAPP_ACCESS_TOKEN in the environment.",
            )
        if not re.fullmatch(r"[\x21-\x7e]+", connection.access_token):
            # A blank or line end would be refused by the HTTP library with a message that quotes the header.
            raise InvalidOptions("The access token holds blanks, line ends or other characters that no token has.",
                                 "Copy it again, or template it where it still holds braces.")
        if not re.fullmatch(r"v[0-9]+\.[0-9]+", connection.api_version):
            raise InvalidOptions(f"api_version '{connection.api_version}' is not of the form v24.0.")
        check_base_url(connection.base_url or BASE_URL, connection.allow_http)
        return [*connection.secrets(), *_proof(connection).values()]

    def check_number(self, phone_number_id: str) -> None:
        if not re.fullmatch(r"[0-9]{1,32}", phone_number_id):
            raise InvalidOptions(
                f"phone_number_id '{phone_number_id[:40]}' is not a number of digits alone.",
                "Give the ID of the phone number (GET /WABA_ID/phone_numbers lists them), not the phone number itself.",
            )

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        request = Request("GET", self._url % phone_number_id, self._headers, self._query)
        answer = self.http.call(request, self._classify, job)
        return parse_read(answer.document)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        # Meta's guide says urlencoded, its spec multipart, SDKs send JSON; the guide's form is the one seen longest.
        request = Request("POST", self._url % phone_number_id, self._headers, self._query, form={_KEY: pem})
        answer = self.http.call(request, self._classify, job)
        said = answer.document.get("success") if isinstance(answer.document, dict) else None
        if said not in (True, "true"):
            raise InvalidAnswer("The API answered without an error, but did not report success.", "Run again.",
                                http_status=answer.status, retryable=True)

    def _classify(self, answer: Answer) -> WabaError | None:
        return parse_error(answer, self.http.redact)


def _proof(connection: Connection) -> dict[str, str]:
    """Return Meta's appsecret_proof: hex HMAC-SHA256 of the token under the app secret, as a query parameter."""
    if not connection.app_secret:
        return {}
    token = (connection.access_token or "").encode()
    return {"appsecret_proof": hmac.new(connection.app_secret.encode(), token, hashlib.sha256).hexdigest()}


def parse_read(document: t.Any) -> PublishedKey:
    """Read the answer to GET in any form seen: an array or object under C(data), or flat as in Meta's guide.

    A blank or missing key within C(data) means that none is set. A flat object without either member is refused
    instead: taking an unknown answer for "no key" would overwrite one. Raises InvalidAnswer.
    """
    if not isinstance(document, dict):
        raise _unexpected("it is not a JSON object")
    row = document.get("data", document)
    if isinstance(row, list):
        row = row[0] if row else {}
        if row == {}:
            return PublishedKey(None, None, None)
    if not isinstance(row, dict) or (row is document and _KEY not in row and _STATUS not in row):
        raise _unexpected("it has neither the key nor its status")
    pem, status = row.get(_KEY), row.get(_STATUS)
    if not isinstance(pem, (str, type(None))) or not isinstance(status, (str, type(None))):
        raise _unexpected("key and status are not text")
    status = status.strip().upper() if status else None
    if status and not re.fullmatch(r"[A-Z_]{1,40}", status):
        raise _unexpected("its status is not a word")
    try:
        key = published_key(pem or "")
    except InvalidKey as error:
        raise _unexpected(f"the key in it cannot be read ({error.message})") from None
    return PublishedKey(key.pem if key else None, key.fingerprint if key else None, status or None)


def _unexpected(why: str) -> InvalidAnswer:
    return InvalidAnswer(f"The API's answer is not understood: {why}.", "Nothing was changed for it; check base_url.")


def parse_error(answer: Answer, redact: t.Callable[[str], str]) -> WabaError | None:
    """Return the error that an answer holds, or None. A member C(error) counts whatever the HTTP status is."""
    document = answer.document
    body = document.get("error") if isinstance(document, dict) else None
    if body is None and answer.status < 300:
        return None if isinstance(document, (dict, list)) else _not_json(answer, redact)
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
        redact(str(body.get("message") or "The API names no reason")),
        http_status=answer.status,
        code=_integer(body.get("code")),
        subcode=_integer(body.get("error_subcode")),
        type_name=redact(str(body["type"])) if body.get("type") else None,
        details=redact(str(details or body.get("error_user_msg") or "")) or None,
        is_transient=body.get("is_transient") is True,
        fbtrace_id=redact(str(body["fbtrace_id"])) if body.get("fbtrace_id") else None,
    )
    if error.meaning.throttled:
        error.wait = wait_asked(answer.headers)
    return error


def _not_json(answer: Answer, redact: t.Callable[[str], str]) -> InvalidAnswer:
    kind = "an empty body" if not answer.body.strip() else "something that is not JSON"
    content_type = redact(answer.headers.get("content-type", "no content type"))[:40]
    return InvalidAnswer(
        f"HTTP {answer.status} came with {kind} ({content_type}).", "Check base_url, and whether a proxy answers for the API.",
        http_status=answer.status,
    )


def _integer(value: t.Any) -> int | None:
    """Return a code as an integer; some gateways send numbers as strings."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
