# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""HTTP for every provider: pooled sessions, timeouts, a total deadline, retries by method and error, redaction.

Nothing here knows Ansible or a provider. What went wrong is raised as a typed error of _errors.
"""

from __future__ import annotations

import dataclasses
import http.client
import ipaddress
import json
import logging
import os
import random
import re
import socket
import sys
import threading
import time
import typing as t
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import SplitResult, urlsplit

from ._budget import ALL, LONGEST_WAIT, Budget, regained_in
from ._connections import Attempt, OutOfTime, attempt_of
from ._errors import (
    Abandoned,
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    HeldBack,
    InvalidAnswer,
    InvalidOptions,
    Timeout,
    TlsError,
    TransportError,
    WabaError,
    require_library,
)
from ._masking import masked

try:
    import requests
    from requests.utils import get_environ_proxies
    from urllib3.exceptions import HTTPError, InvalidHeader, LocationValueError, ReadTimeoutError

    from ._connections import BoundedAdapter

    # urllib3 logs the whole URL, with its query, of an answer whose headers are malformed. Ansible's log file would have it.
    logging.getLogger("urllib3").propagate = False
    REQUESTS_VERSION: str | None = requests.__version__
except ImportError:
    REQUESTS_VERSION = None

REQUESTS_MINIMUM = "2.25.1"
USER_AGENT = "waba.flows (Ansible collection)"

# An answer of these APIs is below 1 kB, a page of 100 numbers below 100 kB.
MAX_BODY_BYTES = 2 * 1024 * 1024
_USAGE = ("call_count", "total_cputime", "total_time", "estimated_time_to_regain_access")
# Neither infinity, nor what is no number, nor an integer of thousands of digits goes into a result.
_BEYOND_RECKONING = 1e15
Done = t.TypeVar("Done")

_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 30.0


@dataclasses.dataclass(frozen=True)
class Request:
    """One HTTP request. C(form) is sent urlencoded, C(body) as it is. C(headers), C(query) and the URL's query may hold secrets.

    C(repeatable): sending it twice does no more than sending it once, as with every GET.
    """

    method: str
    url: str
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    query: dict[str, str] = dataclasses.field(default_factory=dict)
    form: dict[str, str] | None = None
    body: bytes | None = None
    repeatable: bool = False

    def may_be_repeated(self) -> bool:
        """Return whether this may be sent again although the one before may have been carried out: a GET, or declared so."""
        return self.method == "GET" or self.repeatable


@dataclasses.dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers with lower-case names, and the body decoded as JSON (None if it is not JSON).

    C(seconds) is the time from the start of the request, connecting included, to the end of the body.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    document: t.Any
    seconds: float = 0.0


@dataclasses.dataclass
class Tally:
    """What the work on one number cost: requests sent, retries among them, and the last usage headers seen."""

    requests: int = 0
    retries: int = 0
    usage: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def saw(self, usage: t.Mapping[str, t.Any]) -> None:
        """Note the usage that an answer told; that of a WABA replaces the one of the same WABA alone."""
        for name, told in usage.items():
            self.usage[name] = {**self.usage.get(name, {}), **told}

    def as_dict(self) -> dict[str, t.Any]:
        return {"requests": self.requests, "retries": self.retries, "usage": self.usage}


class Deadline:
    """A point in time by which the work on one number must end. C(clock) counts seconds."""

    def __init__(self, seconds: float, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.seconds = seconds

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._end - self._clock())


@dataclasses.dataclass
class Job:
    """The work on one number, as far as HTTP is concerned: its deadline, its tally, and the account that its calls count for."""

    deadline: Deadline
    tally: Tally = dataclasses.field(default_factory=Tally)
    account: str = ALL


@dataclasses.dataclass(frozen=True)
class HttpOptions:
    """Seconds for one attempt (C(timeout)), how often to try again, and how certificates are checked.

    C(verify) is True for the system's CAs, False for no check, or the path of a CA bundle. C(url_option) is the option that
    the URL comes from, for messages.
    """

    timeout: float
    retries: int
    verify: bool | str
    url_option: str = "base_url"


def check_base_url(url: str, allow_http: bool) -> str:
    """Return a base URL without trailing slash. Raises InvalidOptions.

    Plain http is refused, except to loopback, because the credential would travel readable.
    """
    parts = check_url(url, "base_url", "https://graph.facebook.com")
    if parts.query or parts.fragment:
        raise InvalidOptions("base_url has a query or fragment.", "Give scheme, host and path alone.")
    check_scheme(parts, allow_http, "base_url", "the credential would travel readable")
    return url.rstrip("/")


def check_url(url: str, option: str, example: str) -> SplitResult:
    """Return the parts of an http(s) URL. Raises InvalidOptions, which names C(option) and shows scheme and host at most.

    A name or password within the URL is refused because it would show in logs.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        usable = False
    if not usable:
        raise InvalidOptions(f"{option} '{host_only(url)}' is not an http(s) URL.", f"Example: {example}")
    if parts.username or parts.password:
        raise InvalidOptions(f"{option} holds a user name or password.", "Give credentials by their own options.")
    return parts


def check_scheme(parts: SplitResult, allow_http: bool, option: str, why: str) -> None:
    """Raise InvalidOptions, with the reason C(why), for plain http to hosts other than loopback unless it is allowed."""
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise InvalidOptions(
            f"{option} is plain http to {parts.hostname}: {why}.",
            "Use https, or set allow_http if the way there is secured otherwise.",
        )


def same_place(url: str) -> str:
    """Return a base URL in a form that is the same for all ways to write it: case of the host, default port, last slash."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_only(url: str) -> str:
    """Return what of a URL may be shown: scheme and host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    if parts.scheme:
        return f"{parts.scheme}://{parts.hostname or ''}"
    return re.split(r"[?#]", url.rsplit("@", 1)[-1])[0][:60]


def _watch_parent() -> t.Callable[[], bool]:
    """Return what tells whether this process, if multiprocessing made it as Ansible's workers are, has lost its parent.

    A worker outlives an C(ansible-playbook) that was killed, and would go on setting keys while the next run is at work.
    """
    forked = sys.modules.get("multiprocessing.process")
    parent = forked.parent_process() if forked else None
    if parent is None or (parent.pid != os.getppid() and _is_there(parent.pid)):  # the latter is a parent that never was one
        return lambda: False
    return lambda: os.getppid() != parent.pid


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


class Transport:
    """What the workers of one task share: a pooled session for each way of checking certificates, and the rate budgets.

    C(sleep) is how they wait.
    """

    def __init__(self, pool_size: int = 1, sleep: t.Callable[[float], None] = time.sleep) -> None:
        require_library("requests", REQUESTS_MINIMUM, REQUESTS_VERSION)
        self._pool_size = pool_size
        self.sleep = sleep
        self.abandoned = _watch_parent()
        self._budgets: dict[t.Hashable, Budget] = {}
        self._sessions: dict[bool | str, requests.Session] = {}
        self._proxies: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def budget(self, credential: t.Hashable) -> Budget:
        """Return the rate budget of a credential."""
        with self._lock:
            return self._budgets.setdefault(credential, Budget())

    def session(self, verify: bool | str) -> requests.Session:
        """Return the session for a way of checking certificates; kept apart so that none reuses another's connection."""
        with self._lock:
            if verify not in self._sessions:
                self._sessions[verify] = self._new_session(verify)
            return self._sessions[verify]

    def _new_session(self, verify: bool | str) -> requests.Session:
        session = requests.Session()
        # Without this, requests takes passwords from ~/.netrc and puts them in the place of ours.
        session.trust_env = False
        session.verify = verify
        # No cookie is wanted, and the session is shared by threads.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Even where redirects are not allowed, requests reads the whole body of one to prepare the next request.
        session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
        session.headers.clear()
        session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"})
        adapter = BoundedAdapter(pool_connections=self._pool_size, pool_maxsize=self._pool_size)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def proxies(self, url: str) -> dict[str, str]:
        """Return the proxies of the environment for a URL, looked up once a host and port.

        Never one for loopback: plain http is allowed there because it does not leave the machine.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if origin not in self._proxies:
                own = _is_loopback(parts.hostname or "")
                self._proxies[origin] = {} if own else get_environ_proxies(url, no_proxy=None)
            return self._proxies[origin]

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            session.close()


class HttpClient:
    """Sends the requests of one set of credentials. Thread-safe.

    C(secrets) are taken out of every message. When the API throttles, all who share the C(budget) wait until the time
    it named: calling on lengthens the wait.
    """

    def __init__(
        self,
        transport: Transport,
        options: HttpOptions,
        secrets: t.Iterable[str],
        *,
        budget: Budget | None = None,
        sleep: t.Callable[[float], None] | None = None,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._options = options
        self._secrets: set[str] = set()
        self.keep_secret(*secrets)
        self.budget = budget or Budget(clock)
        self._sleep = sleep or transport.sleep
        self._clock = clock

    def keep_secret(self, *secrets: str) -> None:
        """Have these taken out of every message as well: what the API handed out, such as a token."""
        self._secrets = {*self._secrets, *filter(None, secrets)}

    def redact(self, text: str) -> str:
        """Return the text with every secret of this client blotted out, in whatever form and also where it is cut.

        It is without halves of surrogate pairs, which could be written nowhere, neither to a screen nor to a file.
        """
        text = masked(text, self._secrets)
        return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")

    def call(self, request: Request, classify: t.Callable[[Answer], WabaError | None], job: Job) -> Answer:
        """Send a request, again where that is safe, and return an answer that C(classify) finds no error in.

        Only a GET, or a request declared repeatable, is repeated here, after any retryable error. Whoever sends another has to
        read before it sends it again: the first may have been applied, or somebody else may have set another key meanwhile.
        Raises the last error.
        """
        def once() -> Answer:
            answer = self._send(request, job)
            error = classify(answer)
            if error is not None:
                raise error
            return answer

        return self.repeat(once, request.may_be_repeated(), job)

    def repeat(self, once: t.Callable[[], Done], repeatable: bool, job: Job) -> Done:
        """Return what C(once) does, which sends one request by whatever means; tried again as C(call) does. Raises its error."""
        attempt = 0
        while True:
            try:
                return once()
            except WabaError as failure:
                error = failure
            self._note_throttling(error, job)
            if not repeatable or attempt >= self._options.retries or not error.retryable:
                raise error
            self.wait_before_retry(error, attempt, job)
            attempt += 1
            job.tally.retries += 1

    def wait_before_retry(self, error: WabaError, attempt: int, job: Job) -> None:
        """Sleep as the API asks, else for an exponential time with jitter; raise the error if that outlasts the deadline."""
        wait = getattr(error, "wait", None)
        if wait is None:
            ceiling = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(attempt, 9))
            jitter = random.uniform(0, ceiling / 2)  # noqa: S311 (it keeps workers apart and no secret)
            wait = max(ceiling / 2 + jitter, self.budget.wait(job.account))
            self._note_throttling(error, job, wait)
        if wait >= job.deadline.remaining():
            raise error
        self._sleep(wait)

    def _note_throttling(self, error: WabaError, job: Job, backoff: float | None = None) -> None:
        """Let all wait whom the limit concerns, also where the one that was throttled gives up."""
        if isinstance(error, ApiError) and error.meaning.throttled:
            account = job.account if error.meaning.of_account else ALL
            self.budget.throttle(account, backoff if error.wait is None else error.wait)

    def rest(self, job: Job) -> bool:
        """Wait until the API may be called again; return whether there was anything to wait for. Raises DeadlineExceeded."""
        wait = self.budget.wait(job.account)
        if wait <= 0:
            return False
        if wait >= job.deadline.remaining():
            where = f" (WABA {job.account})" if job.account else ""
            raise DeadlineExceeded(
                f"The API throttles this credential{where} for another {wait:.0f} s, longer than the time allowed.",
                "Run again later, or raise total_timeout.", outcome_unknown=False, throttled=True,
            )
        self._sleep(wait)
        return True

    def begin(self, job: Job, repeatable: bool) -> float:
        """Wait until a request may be sent, count it, and return the seconds that it may take.

        Raises DeadlineExceeded, HeldBack for a request that must not be sent later than planned (one that is not repeatable), and
        Abandoned.
        """
        if self._transport.abandoned():
            raise Abandoned("The process that asked for this has ended.", "Run again.", outcome_unknown=False)
        if not repeatable and self.budget.wait(job.account) > 0:
            raise HeldBack("The API throttled these credentials just before the request was to be sent.", "Run again.")
        self.rest(job)
        remaining = job.deadline.remaining()
        if remaining <= 0:
            raise DeadlineExceeded(
                f"The total time of {job.deadline.seconds:.0f} s is used up.", "Raise total_timeout, or run again.",
                outcome_unknown=False,
            )
        job.tally.requests += 1
        return min(self._options.timeout, remaining)

    def _send(self, request: Request, job: Job) -> Answer:
        """Send once. Raises a TransportError that says whether the request may have arrived."""
        timeout = self.begin(job, request.may_be_repeated())
        started = self._clock()
        with attempt_of(timeout, job.deadline.remaining) as attempt:
            try:
                response = self._transport.session(self._options.verify).request(
                    request.method, request.url, params=request.query, headers=request.headers,
                    data=request.form if request.body is None else request.body,
                    timeout=(timeout, timeout), allow_redirects=False, stream=True,
                    proxies=self._transport.proxies(request.url),
                )
                body = self._body_of(response, request.url)
            except OutOfTime:
                raise _still_arriving(job.deadline, attempt) from None
            except (requests.RequestException, HTTPError) as error:  # old versions of requests let some of urllib3's pass
                raise self._transport_error(error, request.url, timeout, attempt) from None
            except OSError as error:  # urllib3 raises some of these outside of requests' wrapping while a body is read
                raise ConnectionFailed(
                    f"The connection to {host_only(request.url)} broke: {self.redact(_root_cause(error))[:200]}.", "Run again.",
                    outcome_unknown=not attempt.unsent,
                ) from None
            except ValueError:  # of a proxy's user and password that no URL or header can have
                if not attempt.unsent:
                    raise
                raise InvalidOptions("The proxy of the environment cannot be used: its URL is malformed.",
                                     "Correct it; user and password have to be percent-encoded, in Latin-1.") from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, body, decode(body), self._clock() - started)
        usage = _usage(headers)
        job.tally.saw(usage)
        self.budget.answered(job.account, usage, answer.status < 300)
        return answer

    def _body_of(self, response: requests.Response, url: str) -> bytes:
        """Return the body of an answer whose connection can be used again then. Raises InvalidAnswer, or an error of requests."""
        status = response.status_code
        if status < 200 or 300 <= status < 400:
            # After an interim answer comes another, which the next request on this connection would take for its own. A redirect
            # could lead the credential to another host, so none is followed.
            response.raw.close()
            what = "nothing but an interim answer" if status < 200 else "a redirect"
            done = "" if status < 200 else "; it was not followed"
            raise InvalidAnswer(f"{host_only(url)} answered with {what} (HTTP {status}){done}.",
                                f"Check {self._options.url_option}.", http_status=status)
        try:
            return _read_body(response, self._options.url_option)
        finally:
            response.raw.release_conn()

    def _transport_error(self, error: Exception, url: str, timeout: float, attempt: Attempt) -> TransportError:
        """Turn an error of requests into ours. Its text is left out: it can hold the URL with its query.

        Raises InvalidOptions where requests finds that the URL is none.
        """
        host, cause = host_only(url), self.redact(_root_cause(error))[:200]
        invalid = (requests.exceptions.InvalidURL, LocationValueError)  # requests before 2.28 lets the latter through
        if isinstance(error, invalid) and not isinstance(error, requests.exceptions.InvalidProxyURL):
            # the only innermost text that quotes the URL
            raise InvalidOptions(f"{self._options.url_option} '{host_only(url)}' is not a URL that can be requested.") from None
        if isinstance(error, requests.exceptions.SSLError) and _is_about_a_certificate(error):
            return TlsError(
                f"The TLS connection to {host} was not accepted: {cause}.",
                "Name the CA with ca_path; validate_certs: false gives up the protection.", outcome_unknown=False,
            )
        if isinstance(error, requests.exceptions.Timeout) or any(isinstance(item, socket.timeout) for item in _chain(error)):
            return Timeout(
                f"{host} did not answer within {timeout:.1f} s.", "Check the network, or raise timeout or total_timeout.",
                outcome_unknown=not attempt.unsent,
            )
        if not attempt.unsent and _is_no_http(error):
            return InvalidAnswer(f"{host} answered with something that is not HTTP: {cause}.",
                                 f"Check {self._options.url_option}, the network and proxy settings.", retryable=True)
        what = "cannot be reached" if attempt.unsent else "closed the connection before a whole answer had arrived"
        return ConnectionFailed(
            f"{host} {what}: {cause}.", f"Check {self._options.url_option}, the network and proxy settings.",
            outcome_unknown=not attempt.unsent,
        )


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those that it came of, the innermost last: requests and urllib3 wrap in several ways."""
    chain = [error]
    while True:
        outer = chain[-1]
        inner = next((item for item in (getattr(outer, "reason", None), *outer.args) if isinstance(item, BaseException)), None)
        inner = inner or outer.__cause__ or outer.__context__
        if inner is None or inner in chain:
            return chain
        chain.append(inner)


def _is_about_a_certificate(error: BaseException) -> bool:
    """Tell whether a TLS error came of checking the certificate, so that nothing was sent. Others can come at any time."""
    names = ("SSLCertVerificationError", "CertificateError")  # urllib3 before 2 has a class of its own for one with another name
    return any(type(item).__name__ in names for item in _chain(error))


def _is_no_http(error: BaseException) -> bool:
    """Tell whether what arrived breaks the rules of HTTP, as other than by its end."""
    cut = (http.client.RemoteDisconnected, http.client.IncompleteRead)
    return isinstance(error, (requests.exceptions.InvalidHeader, InvalidHeader)) or any(
        isinstance(item, http.client.HTTPException) and not isinstance(item, cut) for item in _chain(error)
    )


def _read_body(response: requests.Response, url_option: str) -> bytes:
    """Read the whole body, which is one of bounded size. Raises InvalidAnswer, OutOfTime, or an error of requests."""
    raw = response.raw
    read_some: t.Callable[[int], bytes] = getattr(raw, "read1", raw.read)
    body = bytearray()
    expected = response.headers.get("Content-Length", "")
    try:
        while piece := read_some(65536):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise InvalidAnswer(f"The answer is larger than {MAX_BODY_BYTES} bytes.", f"Check {url_option}.")
    except (InvalidAnswer, OutOfTime):
        raw.close()
        raise
    except ReadTimeoutError as error:
        raw.close()
        raise requests.exceptions.ReadTimeout(error) from error
    except Exception as error:  # urllib3's errors, which requests would wrap only in its own reading functions
        raw.close()
        raise requests.exceptions.ConnectionError(error) from error
    if re.fullmatch("[0-9]{1,18}", expected) and len(body) < int(expected):
        raw.close()
        raise requests.exceptions.ConnectionError(f"{len(body)} of {expected} bytes arrived")
    return bytes(body)


def _still_arriving(deadline: Deadline, attempt: Attempt) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The answer was still arriving when the total time of {deadline.seconds:g} s was used up.",
        "Raise total_timeout, or run again.", outcome_unknown=not attempt.unsent,
    )


def decode(body: bytes) -> t.Any:
    """Return the JSON document of a body; None where it is none, or has a member twice, so that nobody knows which one counts."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        return None


def _each_once(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is there twice")
    return members


def _root_cause(error: BaseException) -> str:
    """Return the text of the innermost error, which names no URL."""
    root = _chain(error)[-1]
    text = str(root).rsplit("object at 0x", maxsplit=1)[-1]
    if isinstance(root, OSError) and root.strerror:
        text = root.strerror
    return text.strip().rstrip(".") or type(root).__name__


def _usage(headers: dict[str, str]) -> dict[str, t.Any]:
    """Return Meta's usage headers decoded (percentages; waits in minutes); a header that is no JSON is left out.

    Only numbers under the names that Meta documents are kept, and for WABAs only their IDs: results hold no text of a peer's.
    """
    usage: dict[str, t.Any] = {}
    app, cases = _header(headers, "x-app-usage"), _header(headers, "x-business-use-case-usage")
    if isinstance(app, dict):
        usage["x-app-usage"] = _numbers(app)
    if isinstance(cases, dict):
        usage["x-business-use-case-usage"] = {
            identity: [_numbers(row) for row in rows if isinstance(row, dict)]
            for identity, rows in cases.items() if re.fullmatch(r"[0-9]+", identity) and isinstance(rows, list)
        }
    return usage


def _header(headers: dict[str, str], name: str) -> t.Any:
    try:
        return json.loads(headers[name])
    except (KeyError, ValueError, RecursionError):
        return None


def _numbers(row: dict[str, t.Any]) -> dict[str, float]:
    values = {name: row.get(name) for name in _USAGE}
    return {name: value for name, value in values.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _BEYOND_RECKONING}


def wait_asked(headers: dict[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait: C(Retry-After), else Meta's estimate in minutes, else None."""
    try:
        return min(max(0.0, float(headers["retry-after"])), LONGEST_WAIT) or None
    except (KeyError, ValueError):
        pass
    cases = _usage(headers).get("x-business-use-case-usage", {})
    return max((regained_in(row) for rows in cases.values() for row in rows), default=0.0) or None
