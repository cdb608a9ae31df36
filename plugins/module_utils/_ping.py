# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The proof that an endpoint decrypts: an encrypted ping under a given key, and one under a key that it cannot know."""

from __future__ import annotations

import dataclasses
import typing as t

from ._envelope import EnvelopeError, Sealed, open_answer, seal, signature
from ._errors import DeadlineExceeded, InvalidOptions, Timeout, TransportError, WabaError
from ._host_argspec import Params
from ._http import (
    Answer,
    Deadline,
    HttpClient,
    HttpOptions,
    Job,
    Request,
    Transport,
    check_scheme,
    check_url,
    host_only,
    wait_asked,
)
from ._keys import PublicKey, generate_private_key, require_cryptography
from ._options import _positive, _verify, public_key_of, total_timeout

Result = dict[str, t.Any]

_PING = {"version": "3.0", "action": "ping"}
_EXAMPLE = "https://flows.example.com/endpoint"


class EndpointError(WabaError):
    """The endpoint answered, and its answer is not what it should be. Worth repeating after 5xx and 429."""

    def __init__(self, message: str, remedy: str, answer: Answer) -> None:
        super().__init__(message, remedy)
        self.answer = answer
        self.http_status = answer.status
        self.retryable = answer.status >= 500 or answer.status == 429
        # Seconds that the answer asks to wait before the next try.
        self.wait = wait_asked(answer.headers)

    def as_dict(self) -> dict[str, t.Any]:
        return {**super().as_dict(), "http_status": self.http_status}


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where pings go: the URL, what of it may be shown, the app secret that they are signed with, and the client to use."""

    url: str
    shown: str
    app_secret: str | None = dataclasses.field(repr=False)
    http: HttpClient


@dataclasses.dataclass(frozen=True)
class Pinged:
    """What came of a ping: the answer of the last attempt, if it had a whole one, and what is wrong, if anything is."""

    answer: Answer | None
    error: WabaError | None
    attempts: int

    @property
    def status(self) -> int | None:
        """The HTTP status of the last attempt, or None if it had none."""
        return self.answer.status if self.answer else getattr(self.error, "http_status", None)


# Says what is wrong with an answer to a sealed request, or None.
Judge = t.Callable[[Answer, Sealed], t.Optional[WabaError]]


def run_ping(params: Params) -> Result:
    """Ping an endpoint (module whatsapp_flows_endpoint_ping). Raises WabaError for bad options."""
    require_cryptography()
    key = public_key_of(params)
    if key is None:
        raise InvalidOptions("No key is given.", "Give business_public_key or business_public_key_path.")
    transport = Transport()
    try:
        endpoint = _endpoint_of(params, transport)
        deadline = Deadline(total_timeout(params))
        proof = _ping(endpoint, key, _proof_judge(endpoint, key), deadline)
        probe = None
        if params["probe_unknown_key"] and proof.error is None:
            probe = _ping(endpoint, generate_private_key().public, _probe_judge, deadline)
    finally:
        transport.close()
    result = _result(endpoint, key, proof, probe)
    if not params["validate_certs"]:
        result["warnings"].append("validate_certs is false: this proof says nothing of the endpoint's certificate, which "
                                  "WhatsApp checks.")
    return result


def _endpoint_of(params: Params, transport: Transport) -> Endpoint:
    url = params["url"].strip()
    parts = check_url(url, "url", _EXAMPLE)
    if parts.fragment:
        raise InvalidOptions("url has a fragment.", "Leave out what follows the '#'.")
    check_scheme(parts, params["allow_http"], "url", "WhatsApp reaches endpoints by https alone")
    app_secret = params["app_secret"] or None
    options = HttpOptions(_positive(params, "timeout"), max(0, params["retries"]), _verify(params), url_option="url")
    secrets = [app_secret or "", f"?{parts.query}" if parts.query else ""]
    return Endpoint(url, host_only(url), app_secret, HttpClient(transport, options, secrets))


def _ping(endpoint: Endpoint, key: PublicKey, judge: Judge, deadline: Deadline) -> Pinged:
    """Send a ping, again where that can help: unlike the other POSTs it changes nothing, so it may be repeated."""
    sealed = seal(_PING, key)
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    if endpoint.app_secret:
        headers["X-Hub-Signature-256"] = signature(sealed.body, endpoint.app_secret)
    request = Request("POST", endpoint.url, headers, body=sealed.body, repeatable=True)
    job = Job(deadline)
    try:
        answer = endpoint.http.call(request, lambda answer: judge(answer, sealed), job)
    except EndpointError as error:
        return Pinged(error.answer, error, job.tally.requests)
    except TransportError as error:
        return Pinged(None, error, job.tally.requests)
    return Pinged(answer, None, job.tally.requests)


# -- the ping under the given key


def _proof_judge(endpoint: Endpoint, key: PublicKey) -> Judge:
    def judge(answer: Answer, sealed: Sealed) -> WabaError | None:
        if answer.status != 200:
            what, remedy = _refusal(answer.status, key.fingerprint, bool(endpoint.app_secret))
            if answer.body.lstrip().startswith(b"<"):
                remedy += " Its answer is HTML or XML, so it may come from something in front of the endpoint."
            return EndpointError(f"{endpoint.shown} {what} (HTTP {answer.status}).", remedy, answer)
        try:
            document = open_answer(answer.body, sealed)
        except EnvelopeError as error:
            return EndpointError(
                f"{endpoint.shown} answered HTTP 200 without proving that it decrypts. {error.message}", error.remedy, answer
            )
        if _is_active(document):
            return None
        return EndpointError(
            f"{endpoint.shown} decrypts the ping and encrypts its answer, but what it answers does not say that it is active.",
            'Answer {"action": "ping"} with {"data": {"status": "active"}}.', answer,
        )

    return judge


def _is_active(document: t.Any) -> bool:
    data = document.get("data") if isinstance(document, dict) else None
    return isinstance(data, dict) and data.get("status") == "active"


def _refusal(status: int, fingerprint: str, signed: bool) -> tuple[str, str]:
    """Return what an HTTP status other than 200 means, to follow the endpoint's name, and what to do about it."""
    give_secret = "" if signed else " If it checks signatures, give app_secret."
    if status == 421:
        return (f"does not have the private key of {fingerprint}, or cannot use it",
                "Deploy that key there, have the service load its keys again (reload or restart it), then run again.")
    if status == 432 and signed:
        return ("refused the signature of the ping",
                "app_secret is not the secret that it checks requests with: correct the one or the other, then run again.")
    if status == 432:
        return "refused the ping, which is not signed", "Give the secret of the app as app_secret."
    if status == 427:
        return ("refused the flow token of the ping, which has none",
                "Have it answer pings before it looks for a flow token.")
    if status in (401, 403):
        return ("does not let the ping in",
                f"WhatsApp brings no credential but X-Hub-Signature-256: ask no other of it.{give_secret}")
    if status in (404, 405, 410):
        return "takes no POST at this path", "Check the path of url."
    if status == 429:
        return "throttles", "Run again later."
    if status in (502, 503, 504):
        return "has no working service behind what answered", "Start the service, or see its log, then run again."
    if status >= 500:
        return ("fails on the ping",
                f"It may lack the private key of {fingerprint} and fail where it should answer 421, have a wrong passphrase for "
                "it, or fail for a reason of its own: see its log.")
    return ("did not answer the ping as a Flow endpoint does",
            f"It is to answer 200, or 421 where it cannot decrypt: see its log.{give_secret}")


# -- the ping under a key that the endpoint cannot know


def _probe_judge(answer: Answer, dummy: Sealed) -> WabaError | None:
    return None if answer.status == 421 else EndpointError(f"it answered HTTP {answer.status}.", "", answer)


def _rejects(probe: Pinged) -> bool | None:
    """Return whether an unknown key was answered with 421; None where no answer came in time, so that nothing is known."""
    if isinstance(probe.error, (Timeout, DeadlineExceeded)):
        return None
    return probe.error is None


def _probe_warning(shown: str, probe: Pinged) -> str:
    """Say what follows for users from a probe that was not answered with 421."""
    if _rejects(probe) is None:
        return f"Whether {shown} answers 421 to a key that it does not know could not be told: {probe.error}"
    return (
        f"{shown} decrypts, but does not answer HTTP 421 to a key that it does not know: {probe.error} Clients keep a public key "
        "for 7 to just under 30 days, and fetch the new one only when they are answered 421. Until then the Flows of those with "
        "a key that the endpoint no longer has will fail. Have it answer 421 whenever it cannot decrypt."
    )


def _result(endpoint: Endpoint, key: PublicKey, proof: Pinged, probe: Pinged | None) -> Result:
    """Return the module's result. It holds no secret by construction: statuses, a fingerprint, and messages of ours."""
    result: Result = {
        "changed": False,
        "decrypts": proof.error is None,
        "rejects_unknown_key": _rejects(probe) if probe else None,
        "status_code": proof.status,
        "unknown_key_status_code": probe.status if probe else None,
        "latency_ms": round(proof.answer.seconds * 1000, 1) if proof.answer else None,
        "fingerprint": key.fingerprint,
        "signed": bool(endpoint.app_secret),
        "attempts": proof.attempts,
        "warnings": [_probe_warning(endpoint.shown, probe)] if probe and probe.error else [],
    }
    if proof.error is not None:
        result.update(failed=True, msg=str(proof.error), error=proof.error.as_dict())
    return result
