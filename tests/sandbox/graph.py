# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Graph API's manner of speaking: error bodies, the check of a public key, usage headers."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from .state import Json

_SPKI_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n(?:[A-Za-z0-9+/=]+\n)+-----END PUBLIC KEY-----\n?")

MESSAGES = {
    1: "An unknown error occurred",
    2: "An unexpected error occurred. Please retry your request",
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    17: "User request limit reached",
    80007: "Business request limit reached for WhatsApp Business Account",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131016: "Service unavailable",
    131031: "Account has been locked",
    133010: "Phone number is not registered",
    133016: "Account register deregister rate limit exceeded",
}


@dataclass
class Answer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(data: Json, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A JSON answer with the content type that the Graph API sends."""
    return Answer(status, json.dumps(data).encode(), {"Content-Type": "application/json; charset=UTF-8",
                                                      **(headers or {})})


class GraphError(Exception):
    """An answer in the Graph API's error shape. extra: further members of `error`."""

    def __init__(self, status: int, code: int, message: str | None = None, *, kind: str = "OAuthException",
                 subcode: int | None = None, details: str | None = None, headers: dict[str, str] | None = None,
                 **extra: Any) -> None:
        super().__init__(message or MESSAGES.get(code, "An error occurred"))
        self.status = status
        self.headers = headers or {}
        self.error: Json = {"message": str(self), "type": kind, "code": code}
        if subcode is not None:
            self.error["error_subcode"] = subcode
        if details is not None:
            self.error["error_data"] = {"messaging_product": "whatsapp", "details": details}
        self.error.update((name, value) for name, value in extra.items() if value is not None)

    def answer(self) -> Answer:
        """The error as an answer; each one gets its own trace id."""
        body = {"error": {**self.error, "fbtrace_id": "A" + secrets.token_urlsafe(16)}}
        return json_answer(body, self.status, self.headers)


def unsupported(method: str, object_id: str, shape: str) -> GraphError:
    """The one answer for an object that is unknown, not visible, or of another kind."""
    if shape == "803":
        return GraphError(404, 803, "WhatsApp Business phone number not found", kind="GraphMethodException")
    return GraphError(
        400, 100, f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be "
        "loaded due to missing permissions, or does not support this operation",
        kind="GraphMethodException", subcode=33)


def _bad_key(details: str) -> GraphError:
    return GraphError(400, 100, "Business public key is invalid", details=details,
                      error_user_title="Invalid Public Key", error_user_msg="The provided public key format is invalid")


def canonical_public_key(text: str) -> str:
    """Check that the text is an RSA-2048 SPKI PEM with LF line ends, and write it anew; GraphError otherwise.

    Whether the real API takes CRLF, PKCS#1 or other sizes is not documented: the sandbox takes the strictest
    reading, so that a client that passes here passes there.
    """
    if "PRIVATE KEY" in text:
        raise _bad_key("The value is a private key")
    if "\r" in text or "\\n" in text:
        raise _bad_key("The lines of the key must end with a line feed")
    if not _SPKI_PEM.fullmatch(text):
        raise _bad_key("The key must be one PEM block of type PUBLIC KEY")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _bad_key("The key cannot be parsed") from None
    if not isinstance(key, RSAPublicKey):
        raise _bad_key("The key must be an RSA key")
    if key.key_size != 2048:
        raise _bad_key(f"The key must have 2048 bits, not {key.key_size}")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def use_case_usage(waba_id: str, percent: int, minutes: int = 0) -> str:
    """The value of x-business-use-case-usage for one WABA."""
    return json.dumps({waba_id: [{"type": "whatsapp", "call_count": percent, "total_cputime": percent // 4,
                                  "total_time": percent // 4, "estimated_time_to_regain_access": minutes}]})


class Usage:
    """Counts calls per WABA in windows of an hour. It only reports; throttling is scripted with faults."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._app = 0
        self._wabas: dict[str, int] = {}

    def headers(self, waba_id: str | None, calls_per_hour: int) -> dict[str, str]:
        """Count one call and return the usage headers of its answer."""
        if time.monotonic() - self._since >= 3600:
            self._since, self._app, self._wabas = time.monotonic(), 0, {}
        self._app += 1
        percent = min(100, self._app * 100 // calls_per_hour)
        found = {"x-app-usage": json.dumps({"call_count": percent, "total_cputime": percent // 4,
                                            "total_time": percent // 4})}
        if waba_id:
            calls = self._wabas[waba_id] = self._wabas.get(waba_id, 0) + 1
            found["x-business-use-case-usage"] = use_case_usage(waba_id, min(100, calls * 100 // calls_per_hour))
        return found
