# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""AWS End User Messaging Social, through boto3's client C(socialmessaging), which signs, and finds credentials by its own chain.

boto3 sends the requests, so two things differ from the other providers: an answer is read whole whatever its size, and an
attempt that began before the end of total_timeout can outlast it by up to C(timeout) seconds. Nothing is tried again by boto3.
"""

from __future__ import annotations

import importlib
import re
import typing as t
from urllib.parse import urlsplit

from .._errors import (
    TEMPORARY,
    THROTTLED,
    ApiError,
    ConnectionFailed,
    InvalidAnswer,
    InvalidOptions,
    Meaning,
    MissingLibrary,
    Timeout,
    TlsError,
    WabaError,
    meaning_of_status,
    require_library,
)
from .._http import HttpClient, Job, check_base_url, decode, wait_asked
from .._reconcile import PublishedKey
from ._base import Capabilities, Connection, Option, Provider
from ._bodies import HEARD, certain, published_of, unexpected

BOTO3_MINIMUM = "1.44.5"
PROFILE = Option("profile")
REGION = Option("region", env="AWS_REGION")
_MEMBERS = ("businessPublicKey", "businessPublicKeySignatureStatus")

_CREDENTIAL = Meaning("token", "Check the AWS credentials that boto3 finds (profile, environment or role), and the region.")
_PERMISSION = Meaning("permission", "Allow social-messaging:GetWhatsAppBusinessPublicKey and :PutWhatsAppBusinessPublicKey.")
_PARAMETER = Meaning("invalid_parameter", "Check that the key is an RSA-2048 public key, and the ID of the number.")
_MEANINGS = {
    "AccessDeniedException": _PERMISSION,
    "AccessDeniedByMetaException": Meaning(
        "permission", "Meta refused it: check in WhatsApp Manager that the account is linked to AWS and not restricted."
    ),
    "ResourceNotFoundException": Meaning(
        "not_found", "Give the ID of the number in AWS (phone-number-id-… or its ARN), and the region that it was linked in."
    ),
    "InvalidParametersException": _PARAMETER,
    "ValidationException": _PARAMETER,
    "ThrottledRequestException": THROTTLED,
    "ThrottlingException": THROTTLED,
    "TooManyRequestsException": THROTTLED,
    "InternalServiceException": TEMPORARY,
    "DependencyException": TEMPORARY,
}
_STATUS_MEANINGS = {"token": _CREDENTIAL, "permission": _PERMISSION}
for _code in ("RequestExpired", "InvalidSignatureException",
              "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException",
              "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationTokenException"):
    _MEANINGS[_code] = _CREDENTIAL


class Aws(Provider):
    """See Provider. A key that lives in KMS (C(kmsKeyArn)) is no concern of this collection, which keeps private keys itself."""

    name = "aws"
    capabilities = Capabilities()
    options = (PROFILE, REGION)

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        self._session, self._client = _make_client(connection)

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        _load()
        if connection.base_url:
            check_base_url(connection.base_url, connection.allow_http)
        return []  # they are boto3's; the client has them blotted out once it knows them

    def check_number(self, phone_number_id: str) -> None:
        if not re.fullmatch(r"phone-number-id-[0-9A-Za-z]+|arn:[0-9A-Za-z:_-]+:phone-number-id/[0-9A-Za-z]+", phone_number_id):
            raise InvalidOptions(
                f"phone_number_id '{phone_number_id[:60]}' is not the ID of a number in AWS.",
                "Give phone-number-id-… or its ARN (aws socialmessaging get-linked-whatsapp-business-account lists them), not "
                "Meta's ID.",
            )

    @classmethod
    def holder(cls, connection: Connection, phone_number_id: str) -> str:
        return re.split(r"phone-number-id[-/]", phone_number_id)[-1]  # the same in the ID and in the ARN

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        answer = self._call("get_whatsapp_business_public_key", job, originationPhoneNumberId=phone_number_id)
        return published_of(*map(answer.get, _MEMBERS))

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        self._call("put_whatsapp_business_public_key", job, originationPhoneNumberId=phone_number_id, businessPublicKey=pem)

    def _call(self, operation: str, job: Job, **members: str) -> dict[str, t.Any]:
        """Call the service. Raises WabaError."""
        repeatable = operation.startswith("get_")

        def once() -> dict[str, t.Any]:
            self.http.begin(job, repeatable)
            try:
                return t.cast("dict[str, t.Any]", getattr(self._client, operation)(**members))
            except Exception as error:
                raise self._error(error) from None

        return self.http.repeat(once, repeatable, job)

    def _error(self, error: Exception) -> WabaError:
        """Turn an error of boto3 into ours. Its text can hold what was signed, and with it the session token."""
        self._keep_credentials_secret()
        if isinstance(error, WabaError):
            return error
        exceptions = _load().exceptions
        cause = self.http.redact(str(error)[:HEARD])[:300]
        if isinstance(error, exceptions.ClientError):
            return self._api_error(error.response)
        unsent = (exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError, exceptions.ProxyConnectionError)
        if isinstance(error, unsent):
            return ConnectionFailed(f"AWS cannot be reached: {cause}.", "Check region, base_url and the network.",
                                    outcome_unknown=False)
        if isinstance(error, exceptions.ReadTimeoutError):
            return Timeout(f"AWS did not answer within {self.connection.timeout:.1f} s.", "Check the network, or raise timeout.")
        if isinstance(error, exceptions.SSLError) and "certificate verify failed" in str(error):
            return TlsError(f"The TLS connection to AWS was not accepted: {cause}.", "Name the CA with ca_path.",
                            outcome_unknown=False)
        if isinstance(error, exceptions.HTTPClientError):
            return ConnectionFailed(f"The connection to AWS broke: {cause}.", "Run again.")
        if _load().is_parser_error(error):
            return InvalidAnswer("The answer of AWS is not understood.", "Check base_url, and whether a proxy answers for AWS.")
        if isinstance(error, exceptions.BotoCoreError):  # no credentials, no such profile, a parameter of the wrong form
            return InvalidOptions(f"boto3: {cause.rstrip('.')}.", "Check the AWS credentials, profile and region.")
        # Of what boto3 does with JSON of no known form, some errors are its own, and others any of Python's.
        return InvalidAnswer(f"boto3 cannot read the answer of AWS ({type(error).__name__}).",
                             "Check base_url, and whether a proxy answers for AWS.")

    def _api_error(self, response: dict[str, t.Any]) -> ApiError:
        error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status = str(error.get("Code") or "")[:HEARD], int(metadata.get("HTTPStatusCode") or 0)
        own, headers = _meaning(code, status), _lower(metadata.get("HTTPHeaders", {}))
        return ApiError(
            self.http.redact(str(error.get("Message") or "AWS names no reason")[:HEARD])[:500], http_status=status,
            code=self.http.redact(code)[:60] or None, own_meaning=own, wait=wait_asked(headers) if own.throttled else None,
        )

    def _keep_credentials_secret(self) -> None:
        try:
            found = self._session.get_credentials().get_frozen_credentials()
        except Exception:
            return  # there are none, so none can show
        self.http.keep_secret(found.secret_key or "", found.token or "")


class _Boto(t.NamedTuple):
    boto3: t.Any
    config: t.Any
    exceptions: t.Any
    is_parser_error: t.Callable[[Exception], bool]


def _load() -> _Boto:
    """Return boto3, imported only where it is used as that takes a third of a second. Raises MissingLibrary."""
    try:
        boto3 = importlib.import_module("boto3")
        names = ("config", "exceptions", "parsers")
        config, exceptions, parsers = (importlib.import_module(f"botocore.{name}") for name in names)
    except ImportError:
        raise MissingLibrary("boto3", BOTO3_MINIMUM) from None
    require_library("boto3", BOTO3_MINIMUM, boto3.__version__)
    return _Boto(boto3, config, exceptions, lambda error: isinstance(error, parsers.ResponseParserError))


def _make_client(connection: Connection) -> tuple[t.Any, t.Any]:
    """Return boto3's session and client. Raises InvalidOptions where profile or region are missing or wrong."""
    boto = _load()
    # No proxy for loopback: plain http is allowed there because it does not leave the machine.
    own_proxies: dict[str, t.Any] = {"proxies": {}} if _is_this_machine(connection.base_url) else {}
    config = boto.config.Config(
        connect_timeout=connection.timeout, read_timeout=connection.timeout, retries={"total_max_attempts": 1},
        user_agent_extra="waba.flows", max_pool_connections=64, **own_proxies,
    )
    try:
        session = boto.boto3.session.Session(
            profile_name=connection.option(PROFILE) or None, region_name=connection.option(REGION) or None
        )
        client = session.client(
            "socialmessaging", endpoint_url=connection.base_url or None, verify=connection.verify, config=config
        )
        client.meta.events.register("before-parse.socialmessaging", _check_body)
        return session, client
    except (boto.exceptions.BotoCoreError, ValueError) as error:
        raise InvalidOptions(f"boto3: {str(error).rstrip('.')}.",
                             "Check profile and region (host variables whatsapp_profile and whatsapp_region).") from None


def _check_body(response_dict: dict[str, t.Any], operation_model: t.Any, **dummy: t.Any) -> None:
    """Raise an error for a body that is not the service's, before boto3 looks at it.

    It takes one that is no JSON for an answer without members, which would be "no key is set", and fails in odd ways with other
    JSON. Only a change is answered by an empty body.
    """
    status, body = int(response_dict["status_code"]), response_dict["body"]
    is_read = operation_model.http.get("method") == "GET"
    document = decode(body)
    if isinstance(document, dict) and is_read and status < 300:
        _check_read(document, body)
    if isinstance(document, dict) or (not body.strip() and not is_read and status < 300):
        return
    if 300 <= status < 400:
        raise InvalidAnswer(f"AWS answered with a redirect (HTTP {status}); it was not followed.", "Check base_url.",
                            http_status=status)
    if status >= 400:
        raise ApiError("AWS answered with an error status and no error body of its form", http_status=status,
                       own_meaning=_meaning("", status), wait=wait_asked(_lower(response_dict["headers"])))
    raise InvalidAnswer(f"HTTP {status} came with a body that is not the service's.",
                        "Check base_url, and whether a proxy answers for AWS.", http_status=status)


def _check_read(document: dict[str, t.Any], body: bytes) -> None:
    """Raise an error for an answer to a read that boto3 would take for "no key": it drops the members that it does not know."""
    if document and not document.keys() & set(_MEMBERS):
        raise unexpected("it has neither the key nor its status")
    certain(published_of(*map(document.get, _MEMBERS)), body)


def _lower(headers: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _meaning(code: str, status: int) -> Meaning:
    """Return what an error of AWS means, by its class, else by its HTTP status; Meta's own remedies are of no use there."""
    own = _MEANINGS.get(code) or meaning_of_status(status)
    return _STATUS_MEANINGS.get(own.kind, own) if code not in _MEANINGS else own


def _is_this_machine(base_url: str | None) -> bool:
    return bool(base_url) and (urlsplit(base_url or "").hostname or "") in ("127.0.0.1", "::1", "localhost")
