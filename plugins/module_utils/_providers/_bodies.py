# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What the answers of several providers have in common: Meta's members for a key, and bodies that are of no known form."""

from __future__ import annotations

import json
import re
import typing as t

from .._errors import ApiError, InvalidAnswer, InvalidKey, Meaning, WabaError, meaning_of_status
from .._http import Answer, wait_asked
from .._keys import published_key
from .._reconcile import VALID, PublishedKey

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
Redact = t.Callable[[str], str]
# Characters of a text that are looked at, of which a message has a few hundred: a text of megabytes would cost seconds.
HEARD = 4000

JSON_HEADERS = {"Content-Type": "application/json"}


def json_body(document: t.Any) -> bytes:
    """Return a document as the body of a request."""
    return json.dumps(document).encode()


def has_members(row: t.Any) -> bool:
    """Tell whether an object has at least one of Meta's members."""
    return isinstance(row, dict) and (KEY in row or STATUS in row)


def key_of(row: dict[str, t.Any]) -> PublishedKey:
    """Return what an object with Meta's members tells. Raises InvalidAnswer for one with none of them, but others."""
    if row and not has_members(row):
        raise unexpected("it has neither the key nor its status")
    return published_of(row.get(KEY), row.get(STATUS))


def published_of(pem: t.Any, status: t.Any) -> PublishedKey:
    """Return a key and its status as typed values. A blank or missing key means that none is set. Raises InvalidAnswer.

    A key that is VALID and yet missing is under another name: taking that for "no key" would overwrite it.
    """
    if not isinstance(pem, (str, type(None))) or not isinstance(status, (str, type(None))):
        raise unexpected("key and status are not text")
    status = status.strip().upper() if status else None
    if status and not re.fullmatch(r"[A-Z_]{1,40}", status):
        raise unexpected("its status is not a word")
    try:
        key = published_key(pem or "")
    except InvalidKey as error:
        raise unexpected(f"the key in it cannot be read ({error.message})") from None
    if key is None and status == VALID:
        raise unexpected("it calls a key valid that it does not show")
    return PublishedKey(key.pem or None if key else None, key.fingerprint if key else None, status or None)


def certain(found: PublishedKey, body: bytes) -> PublishedKey:
    """Return what was read. Raises InvalidAnswer where no key was found, and yet one stands somewhere in the body.

    However a form is misunderstood, a key that is there is never taken for none, and so never overwritten as if it were not.
    """
    if found.fingerprint is None and b"-----BEGIN" in body:
        raise unexpected("it shows a key in a place that is not known")
    return found


def said(value: t.Any, redact: Redact, longest: int = 500) -> str | None:
    """Return what an API says, text or not, without secrets and not without end; None where it says nothing."""
    if value is None or value in ("", 0, [], {}) or value is False:
        return None
    try:
        text = value if isinstance(value, str) else json.dumps(value)  # within JSON, redact knows a secret
    except RecursionError:
        return "…"
    return redact(text[:HEARD])[:longest]


def unexpected(why: str) -> InvalidAnswer:
    """Return the error for an answer to a read that is of no form that is known."""
    return InvalidAnswer(f"The API's answer is not understood: {why}.", "Nothing was changed for it; check base_url.")


def not_json(answer: Answer, redact: Redact) -> InvalidAnswer:
    """Return the error for an answer without an error status whose body is not JSON, or not of the API's form."""
    kind = "an empty body" if not answer.body.strip() else "something that is not JSON"
    if answer.document is not None:
        kind = "JSON of another form"
    content_type = redact(answer.headers.get("content-type", "no content type"))[:40]
    return InvalidAnswer(
        f"HTTP {answer.status} came with {kind} ({content_type}).", "Check base_url, and whether a proxy answers for the API.",
        http_status=answer.status,
    )


def no_success(answer: Answer) -> InvalidAnswer:
    """Return the error for an answer to a change that reports neither an error nor success."""
    return InvalidAnswer("The API answered without an error, but did not report success.", "Run again.",
                         http_status=answer.status, retryable=True)


def api_error(
    answer: Answer, redact: Redact, meanings: t.Mapping[str | int, Meaning], *,
    code: t.Any = None, message: t.Any = None, details: t.Any = None,
) -> ApiError:
    """Return the error of a provider with codes of its own: C(meanings) by code or, where that is not known, by HTTP status."""
    if isinstance(code, (str, int)):
        text = str(code)[:HEARD]
        code = code if redact(text) == text else redact(text)
    if isinstance(code, str) and code.isascii() and code.isdigit():  # some gateways send numbers as text
        code = int(code[:9])
    known = code if isinstance(code, (str, int)) and not isinstance(code, bool) and code != "" else None
    own = meanings.get(known) if known is not None else None
    own = own or meanings.get(answer.status) or meaning_of_status(answer.status)
    return ApiError(
        _text(message, redact) or "The API names no reason",
        http_status=answer.status, code=redact(known)[:40] if isinstance(known, str) else known,
        details=_text(details, redact), own_meaning=own, wait=wait_asked(answer.headers) if own.throttled else None,
    )


def bare_error(answer: Answer, redact: Redact, meanings: t.Mapping[str | int, Meaning]) -> WabaError:
    """Return the error for an answer that holds no error of the API's form: by its HTTP status, or as one that is no JSON."""
    if answer.status < 300:
        return not_json(answer, redact)
    return api_error(answer, redact, meanings, message="The API answered with an error status and no error body of its form")


def _text(value: t.Any, redact: Redact) -> str | None:
    """Return a text of the API's without secrets, and not without end."""
    return redact(value[:HEARD])[:500] if isinstance(value, str) and value.strip() else None
