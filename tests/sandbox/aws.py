# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS End User Messaging Social: /aws/v1/whatsapp/business-public-key, with requests signed as Signature Version 4 has it."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from aiohttp import web

from .answers import Answer, ApiError, json_answer
from .faults import Fault
from .provider import Call, Code, Provider, read_json, text_of
from .state import Account, Json, Number

PATH = "/aws/v1/whatsapp/business-public-key"
SERVICE = "social-messaging"
CLOCK_SKEW = 300  # seconds

_NUMBER_ID = re.compile(r"phone-number-id-.+|arn:aws[a-z-]*:social-messaging:[^:]*:[^:]*:phone-number-id/[0-9a-zA-Z]+")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/([0-9]{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


@dataclass
class AwsCall(Call):
    """A request; asked is the number as the request names it, by its id or by its ARN."""

    asked: str | None = None
    key_id: str = ""


@dataclass
class _Signature:
    """What the Authorization header says."""

    key_id: str
    date: str
    region: str
    service: str
    headers: list[str]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class Aws(Provider[AwsCall]):
    """An account is an access key with its secret, in one region."""

    name = "aws"
    throttled = "ThrottledRequestException"
    failed = "InternalServiceException"
    bad_key = (400, "InvalidParametersException")

    async def parse(self, request: web.Request) -> AwsCall:
        """The number is in the query of a read and in the body of a write."""
        source = request.query if request.method == "GET" else await read_json(request) or {}
        asked = text_of(source, "originationPhoneNumberId")
        signature = _parse_authorization(request)
        return AwsCall(
            request, number_id=_number_id(asked or ""), credential=signature.key_id if signature else None,
            sets_key=request.method == "PUT" and request.path == PATH, asked=asked)

    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> ApiError:
        """An error of the REST-JSON protocol: a header has the class, the body the message."""
        text = message or str(code)
        return ApiError(text, status, {"message": text}, {"x-amzn-ErrorType": str(code), **(headers or {})})

    async def answer(self, call: AwsCall, fault: Fault | None) -> Answer:
        """Answer a signed request."""
        if call.request.path != PATH or call.method not in ("GET", "PUT"):
            raise self.error(404, "UnknownOperationException")
        account = await self._signer(call.request)
        number = self._asked_number(call, account)
        if call.method == "GET":
            return json_answer(_key_json(*self.store.read_key(call.number_id)))
        return await self._write_key(call, number, fault)

    def _asked_number(self, call: AwsCall, account: Account) -> Number:
        if call.asked is None or len(call.asked) > 115 or not _NUMBER_ID.fullmatch(call.asked):
            raise self.error(400, "ValidationException", "originationPhoneNumberId is missing or malformed")
        number = self.number_of(account, call.number_id)
        if number is None:
            raise self.error(404, "ResourceNotFoundException", f"{call.asked} does not exist in this account")
        return number

    async def _write_key(self, call: AwsCall, number: Number, fault: Fault | None) -> Answer:
        body = await read_json(call.request) or {}
        text = text_of(body, "businessPublicKey")
        if (text is None) == ("kmsKeyArn" not in body):
            raise self.error(400, "ValidationException", "One of businessPublicKey and kmsKeyArn is required")
        if text is None:
            raise self.error(400, "ValidationException", "The sandbox has no KMS: send businessPublicKey")
        key = self.checked_key(text)
        if not number.registered:
            raise self.error(403, "AccessDeniedByMetaException", "The phone number is not registered")
        self.store.write_key(call.number_id, key, fault)
        return Answer(200, b"", {"Content-Type": "application/json"})

    # -- Signature Version 4

    async def _signer(self, request: web.Request) -> Account:
        """The account that has signed the request."""
        if "Authorization" not in request.headers:
            raise self.error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        found = _parse_authorization(request)
        if found is None:
            raise self._bad_signature("The Authorization header is malformed")
        account = self._account_of(found.key_id)
        if account is None:
            # Not in the service's own list of errors, but what a gateway of AWS calls an access key that it does not know.
            raise self.error(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        self._check_scope(request, found, account)
        expected = _sign(request, await request.read(), found, account.secret)
        if not hmac.compare_digest(expected, found.signature):
            raise self._bad_signature("The request signature we calculated does not match the signature you provided.")
        return account

    def _account_of(self, key_id: str) -> Account | None:
        found = (item for item in self.state.accounts.values() if item.provider == self.name and item.user == key_id)
        return next(found, None)

    def _bad_signature(self, message: str) -> ApiError:
        return self.error(403, "InvalidSignatureException", message)

    def _check_scope(self, request: web.Request, found: _Signature, account: Account) -> None:
        if (found.region, found.service) != (account.region, SERVICE):
            raise self._bad_signature(f"Credential should be scoped to {account.region}/{SERVICE}")
        if found.headers != sorted(found.headers):
            raise self._bad_signature("The signed headers must be sorted")
        must_sign = {"host", *(name.lower() for name in request.headers if name.lower().startswith("x-amz-"))}
        if not must_sign.issubset(found.headers):
            raise self._bad_signature("Host and all x-amz- headers must be signed")
        signed_at = _seconds(request.headers.get("X-Amz-Date", ""))
        if signed_at is None or not request.headers["X-Amz-Date"].startswith(found.date):
            raise self._bad_signature("X-Amz-Date is missing, malformed or of another day than the credential's scope")
        if abs(time.time() - signed_at) > CLOCK_SKEW:
            raise self._bad_signature("Signature expired or not yet current")


def _number_id(asked: str) -> str:
    """The id behind an id or an ARN."""
    return "phone-number-id-" + asked.rpartition("/")[2] if asked.startswith("arn:") else asked


def _key_json(key: str | None, status: str) -> Json:
    # A guess: the service's model has both members optional, and no text says what an unset key reads as.
    return {"businessPublicKey": key, "businessPublicKeySignatureStatus": status} if key else {}


def _parse_authorization(request: web.Request) -> _Signature | None:
    match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        return None
    key_id, date, region, service, headers, signature = match.groups()
    return _Signature(key_id, date, region, service, headers.split(";"), signature)


def _seconds(text: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def _canonical_query(raw: str) -> str:
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~"))
                   for name, value in parse_qsl(raw, keep_blank_values=True))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _canonical_request(request: web.Request, body: bytes, headers: list[str]) -> str:
    path, dummy, query = request.raw_path.partition("?")
    lines = [f"{name}:{' '.join(','.join(request.headers.getall(name, [])).split())}" for name in headers]
    # Every service but S3 encodes the path, as it is sent, a second time.
    return "\n".join([request.method, quote(path, safe="/-_.~"), _canonical_query(query), *lines, "", ";".join(headers),
                      hashlib.sha256(body).hexdigest()])


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _sign(request: web.Request, body: bytes, found: _Signature, secret: str) -> str:
    """The signature that the request ought to have."""
    digest = hashlib.sha256(_canonical_request(request, body, found.headers).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["X-Amz-Date"], found.scope, digest])
    key = ("AWS4" + secret).encode()
    for part in found.scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()
