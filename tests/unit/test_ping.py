# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that an endpoint decrypts: what counts as one, what is tried again, and what is said of every kind of failure."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _http, _keys
from ansible_collections.waba.flows.plugins.module_utils._argspec import PING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, MissingLibrary, version_tuple
from ansible_collections.waba.flows.plugins.module_utils._ping import run_ping
from ansible_collections.waba.flows.tests.unit.helpers import (
    ERROR_MEMBERS,
    Clock,
    FlowRequest,
    KeyPair,
    Keys,
    Params,
    Recorder,
    module_params,
    self_signed,
)
from ansible_collections.waba.flows.tests.unit.network_faults import FAULTS, Fault
from ansible_collections.waba.flows.tests.unit.rude_server import Heard, RudeServer

SECRET = "app-s3cret-0815"
ACTIVE = {"data": {"status": "active"}}
RETRYABLE = (429, 500, 502, 503, 799)
VALUES = {"decrypts", "rejects_unknown_key", "status_code", "unknown_key_status_code", "latency_ms", "fingerprint", "signed",
          "attempts", "changed", "warnings"}

HttpAnswer = tuple[int, dict[str, str], t.Any]
Step = t.Callable[[FlowRequest], HttpAnswer]


def body(make: t.Callable[[FlowRequest], t.Any], content_type: str = "text/plain") -> Step:
    """A step of an endpoint: HTTP 200 with a body."""
    return lambda request: (200, {"Content-Type": content_type}, make(request))


def status(code: int, content: bytes = b"", **headers: str) -> Step:
    return lambda request: (code, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def cut(request: FlowRequest) -> HttpAnswer:
    raise ConnectionResetError


good = body(lambda request: request.answer(ACTIVE))
rejects = status(421)


class Endpoint(Recorder):
    """Holds one key; answers what is encrypted under it with one step after the other, the last one again and again."""

    def __init__(self, key: KeyPair, *steps: Step, unknown: Step = rejects, **options: t.Any) -> None:
        super().__init__(**options)
        self.key, self.steps, self.unknown = key, list(steps) or [good], unknown
        self.probes = 0

    def __enter__(self) -> Endpoint:
        super().__enter__()
        return self

    def next_answer(self) -> HttpAnswer:
        request = FlowRequest(self.seen[-1].body, self.key)
        if request.document is None:
            self.probes += 1
            return self.unknown(request)
        assert request.document == {"version": "3.0", "action": "ping"}
        return (self.steps.pop(0) if len(self.steps) > 1 else self.steps[0])(request)

    @property
    def url(self) -> str:
        return f"{self.base_url}/flows"


def ping(url: str, key: KeyPair, **options: t.Any) -> Params:
    """What the module would end with, after looks at its form."""
    result = run_ping(module_params(PING_SPEC, url=url, business_public_key=key.pem, **options))
    assert set(result) == VALUES | ({"failed", "msg", "error"} if result.get("failed") else set())
    assert result["changed"] is False
    assert result["fingerprint"] == key.fingerprint
    assert bool(result.get("failed")) is not result["decrypts"]
    return result


def failure(url: str, key: KeyPair, **options: t.Any) -> Params:
    result = ping(url, key, **options)
    assert result["failed"] is True
    assert (result["rejects_unknown_key"], result["unknown_key_status_code"]) == (None, None)
    assert result["error"]["message"] == result["msg"]
    assert result["error"]["http_status"] == result["status_code"]
    assert set(result["error"]) == ERROR_MEMBERS
    return result


# -- the proof


def test_an_endpoint_that_decrypts(keys: Keys) -> None:
    with Endpoint(keys.a) as server:
        result = ping(server.url, keys.a)
    assert result.pop("latency_ms") > 0
    assert result == {
        "changed": False, "decrypts": True, "rejects_unknown_key": True, "status_code": 200, "unknown_key_status_code": 421,
        "fingerprint": keys.a.fingerprint, "signed": False, "attempts": 1, "warnings": [],
    }
    assert len(server.seen) == 2
    assert server.connections == 1


def test_what_is_sent(keys: Keys) -> None:
    with Endpoint(keys.a) as server:
        ping(f"{server.url}?tenant=s3cret%20one", keys.a, app_secret=SECRET)
    for seen in server.seen:
        assert (seen.method, seen.path, seen.query) == ("POST", "/flows", {"tenant": "s3cret one"})
        assert seen.headers["content-type"] == "application/json"
        signature = hmac.new(SECRET.encode(), seen.body, hashlib.sha256).hexdigest()
        assert seen.headers["x-hub-signature-256"] == f"sha256={signature}"
        assert SECRET.encode() not in seen.body


@pytest.mark.parametrize("secret", [None, ""])
def test_without_an_app_secret_nothing_is_signed(secret: str | None, keys: Keys) -> None:
    with Endpoint(keys.a) as server:
        assert ping(server.url, keys.a, app_secret=secret)["signed"] is False
    assert ["x-hub-signature-256" in seen.headers for seen in server.seen] == [False, False]


def test_the_key_can_come_from_a_file(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "flows.pub").write_text(keys.b.pem)
    with Endpoint(keys.b) as server:
        params = module_params(PING_SPEC, url=server.url, business_public_key_path=str(tmp_path / "flows.pub"))
        assert run_ping(params)["fingerprint"] == keys.b.fingerprint


@pytest.mark.parametrize("document", [
    ACTIVE, {"version": "3.0", **ACTIVE}, {"data": {"status": "active", "more": 1}}])
@pytest.mark.parametrize("around", [b"%s", b"\n%s\r\n"])
def test_these_answers_are_proof(document: Params, around: bytes, keys: Keys) -> None:
    with Endpoint(keys.a, body(lambda request: around % request.answer(document))) as server:
        assert ping(server.url, keys.a)["decrypts"] is True


def test_the_latency_is_that_of_the_last_ping_alone(keys: Keys) -> None:
    slow_start = [status(503, Retry_After="0.4"), good]
    with Endpoint(keys.a, *slow_start, delay=0.15) as server:
        started = time.monotonic()
        result = ping(server.url, keys.a)
    assert 150 <= result["latency_ms"] < 400
    assert time.monotonic() - started > 0.15 + 0.4 + 0.15 + 0.15


# -- answers that prove nothing


NO_PROOF: list[tuple[Step, str]] = [
    (body(lambda request: base64.b64encode(request.encrypt(json.dumps(ACTIVE).encode(), inverted=False))),
     "under the request's IV as it is.*Invert every bit of the IV"),
    (body(lambda request: ACTIVE, "application/json"), "plain JSON: it is not encrypted"),
    (body(lambda request: json.dumps(request.answer(ACTIVE).decode()).encode(), "application/json"), "in quotes.*text/plain"),
    (body(lambda request: b"<html>Welcome</html>", "text/html"), "HTML or XML"),
    (body(lambda request: b""), "is empty"),
    (body(lambda request: b"OK!"), "is not base64"),
    (body(lambda request: base64.b64encode(b"x" * 40)), "cannot be decrypted"),
    (body(lambda request: base64.b64encode(request.encrypt(b"active"))), "is not JSON"),
    (body(lambda request: request.answer({"data": {"status": "inactive"}})), "does not say that it is active"),
    (body(lambda request: request.answer({"status": "active"})), "does not say that it is active"),
    (body(lambda request: request.answer({"data": ["active"]})), "does not say that it is active"),
    (body(lambda request: request.answer([])), "does not say that it is active"),
]


@pytest.mark.parametrize(("step", "why"), NO_PROOF)
def test_an_answer_that_proves_nothing_is_named_and_final(step: Step, why: str, keys: Keys) -> None:
    with Endpoint(keys.a, step) as server:
        result = failure(server.url, keys.a)
    assert len(server.seen) == result["attempts"] == 1
    assert (result["status_code"], result["error"]["type"], result["error"]["retryable"]) == (200, "EndpointError", False)
    assert result["latency_ms"] > 0
    assert result["msg"].startswith("http://127.0.0.1 ")
    assert re.search(why, result["msg"])


REFUSALS: list[tuple[int, Params, str, int]] = [
    (421, {}, "does not have the private key of FINGERPRINT.*Deploy that key.*load its keys again", 1),
    (432, {"app_secret": SECRET}, "refused the signature.*app_secret is not the secret", 1),
    (432, {}, "is not signed.*app_secret", 1),
    (427, {}, "flow token.*answer pings before", 1),
    (400, {}, "421 where it cannot decrypt.*give app_secret", 1),
    (401, {}, "does not let the ping in.*give app_secret", 1),
    (403, {"app_secret": SECRET}, "does not let the ping in.*ask no other of it.$", 1),
    (404, {}, "Check the path of url", 1),
    (405, {}, "Check the path of url", 1),
    (408, {}, "did not answer the ping as a Flow endpoint does", 1),
    (204, {}, "did not answer the ping as a Flow endpoint does", 1),
    (201, {}, "did not answer the ping as a Flow endpoint does", 1),
    (429, {}, "throttles", 3),
    (500, {}, "lack the private key of FINGERPRINT.*421.*passphrase.*log", 3),
    (501, {}, "fails on the ping", 3),
    (502, {}, "no working service", 3),
    (503, {}, "no working service", 3),
]


@pytest.mark.parametrize(("code", "options", "why", "sent"), REFUSALS)
@pytest.mark.usefixtures("quick")
def test_every_status_says_what_to_do(code: int, options: Params, why: str, sent: int, keys: Keys) -> None:
    with Endpoint(keys.a, status(code, b"" if code == 204 else b"s3cret reasons")) as server:
        result = failure(server.url, keys.a, **options)
    assert re.search(why.replace("FINGERPRINT", re.escape(keys.a.fingerprint)), result["msg"])
    assert f"(HTTP {code})" in result["msg"]
    assert "s3cret reasons" not in json.dumps(result)
    assert (result["status_code"], result["attempts"], len(server.seen)) == (code, sent, sent)
    assert result["error"]["retryable"] is (sent > 1)


def test_a_page_of_something_in_front_is_named(keys: Keys) -> None:
    with Endpoint(keys.a, status(403, b"\n<!doctype html><title>s3cret</title>")) as server:
        result = failure(server.url, keys.a)
    assert "HTML or XML, so it may come from something in front" in result["msg"]
    assert "s3cret" not in json.dumps(result)


def test_an_endpoint_with_another_key_is_not_believed(keys: Keys) -> None:
    with Endpoint(keys.b) as server:
        result = failure(server.url, keys.a)
    assert result["status_code"] == 421
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(code: int, keys: Keys) -> None:
    with Endpoint(keys.a) as other, Endpoint(keys.a, status(code, Location=other.url + "?s3cret")) as server:
        result = failure(server.url, keys.a)
    assert (result["status_code"], result["latency_ms"], len(server.seen), len(other.seen)) == (code, None, 1, 0)
    assert "redirect" in result["msg"]
    assert "Check url." in result["msg"]
    assert "s3cret" not in json.dumps(result)


def test_an_answer_that_is_too_big(keys: Keys) -> None:
    with Endpoint(keys.a, body(lambda request: b"A" * 3_000_000)) as server:
        result = failure(server.url, keys.a)
    assert "larger than 2097152 bytes" in result["msg"]
    assert "Check url." in result["msg"]
    assert (result["status_code"], result["attempts"]) == (None, 1)


# -- what is sent again


@pytest.mark.parametrize("fault", [status(500), status(503), status(504), status(429), cut])
@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.usefixtures("quick")
def test_what_may_pass_is_tried_again(fault: Step, retries: int, keys: Keys) -> None:
    with Endpoint(keys.a, fault, fault, good) as server:
        result = ping(server.url, keys.a, retries=retries)
    assert (result["decrypts"], result["attempts"]) == (retries == 2, retries + 1)
    assert len(server.seen) == retries + 1 + server.probes
    assert server.probes == (1 if retries == 2 else 0)
    assert len({seen.body for seen in server.seen[:retries + 1]}) == 1


def test_the_wait_that_an_answer_asks_for_is_kept(keys: Keys, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    defaults = {"budget": None, "sleep": slept.append, "clock": time.monotonic}
    monkeypatch.setattr(_http.HttpClient.__init__, "__kwdefaults__", defaults)
    with Endpoint(keys.a, status(429, Retry_After="7"), status(503, Retry_After="3"), good) as server:
        assert ping(server.url, keys.a)["attempts"] == 3
        assert slept == [7.0, 3.0]
    with Endpoint(keys.a, status(429, Retry_After="90")) as server:
        assert failure(server.url, keys.a)["attempts"] == 1
    assert slept == [7.0, 3.0]


def test_the_status_is_that_of_the_last_attempt(keys: Keys, quick: None) -> None:
    with Endpoint(keys.a, status(500), cut) as server:
        result = failure(server.url, keys.a)
    assert (result["status_code"], result["latency_ms"], result["error"]["type"]) == (None, None, "ConnectionFailed")
    assert "closed the connection before a whole answer had arrived" in result["msg"]


def listen(serve: t.Callable[[socket.socket], None]) -> socket.socket:
    """A socket whose connections are each served by a function."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/flows"


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
    for dummy in range(1000):
        connection.sendall(b"A")
        time.sleep(0.03)


def half(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nAAAA")


def silent(connection: socket.socket) -> None:
    time.sleep(5)


def test_an_answer_cut_short_is_tried_again(keys: Keys, quick: None) -> None:
    with listen(half) as server:
        result = failure(url_of(server), keys.a)
    assert (result["attempts"], result["error"]["type"], result["status_code"]) == (3, "ConnectionFailed", None)


@pytest.mark.parametrize(("serve", "error"), [(drip, "DeadlineExceeded"), (silent, "Timeout")])
def test_the_total_time_is_kept(serve: t.Callable[[socket.socket], None], error: str, keys: Keys) -> None:
    started = time.monotonic()
    with listen(serve) as server:
        result = failure(url_of(server), keys.a, total_timeout=0.6, retries=9)
    assert 0.5 < time.monotonic() - started < 0.6 + 1.0
    assert result["error"]["type"] == error
    assert "total_timeout" in result["msg"]


def test_a_silent_endpoint_is_tried_again_within_the_time(keys: Keys, quick: None) -> None:
    with listen(silent) as server:
        result = failure(url_of(server), keys.a, timeout=0.1)
    assert (result["attempts"], result["error"]["type"]) == (3, "Timeout")
    assert "did not answer within 0.1 s" in result["msg"]


def test_nobody_there(keys: Keys, quick: None) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = failure(f"{url_of(unused)}?tenant=s3cret", keys.a)
    assert (result["attempts"], result["status_code"], result["latency_ms"]) == (3, None, None)
    assert "cannot be reached: Connection refused. Check url, the network" in result["msg"]
    assert "s3cret" not in json.dumps(result)


# -- the key that the endpoint cannot know


def only_warning(result: Params) -> str:
    assert result["decrypts"] is True
    (warning,) = result["warnings"]
    assert isinstance(warning, str)
    return warning


@pytest.mark.parametrize(("unknown", "code", "probes"), [
    (status(500), 500, 3), (status(503), 503, 3), (status(429), 429, 3), (status(400), 400, 1), (status(432), 432, 1),
    (status(200, b"AAAA"), 200, 1), (status(204), 204, 1), (status(302, Location="https://example.org/"), 302, 1),
    (cut, None, 3),
])
@pytest.mark.usefixtures("quick")
def test_an_endpoint_that_does_not_reject_an_unknown_key(
    unknown: Step, code: int | None, probes: int, keys: Keys
) -> None:
    with Endpoint(keys.a, unknown=unknown) as server:
        result = ping(server.url, keys.a)
    assert (result["rejects_unknown_key"], result["unknown_key_status_code"], server.probes) == (False, code, probes)
    assert (result["status_code"], result["attempts"]) == (200, 1)
    warning = only_warning(result)
    assert "does not answer HTTP 421 to a key that it does not know" in warning
    assert "Have it answer 421 whenever it cannot decrypt." in warning
    assert code is None or f"HTTP {code}" in warning
    assert "7 to just under 30 days" in warning


@pytest.mark.usefixtures("quick")
def test_421_after_a_blip_is_421(keys: Keys) -> None:
    steps = [status(502), cut, rejects]

    def answer(request: FlowRequest) -> HttpAnswer:
        return steps.pop(0)(request)

    with Endpoint(keys.a, unknown=answer) as server:
        result = ping(server.url, keys.a)
    assert (result["rejects_unknown_key"], result["unknown_key_status_code"], result["warnings"]) == (True, 421, [])


def test_where_no_answer_came_in_time_nothing_is_known(keys: Keys) -> None:
    def sleep(request: FlowRequest) -> HttpAnswer:
        time.sleep(1)
        return 421, {}, b""

    with Endpoint(keys.a, unknown=sleep) as server:
        result = ping(server.url, keys.a, timeout=0.3, retries=0)
    assert (result["rejects_unknown_key"], result["unknown_key_status_code"]) == (None, None)
    assert "could not be told: http://127.0.0.1 did not answer within 0.3 s." in only_warning(result)


def test_the_probe_can_be_left_out(keys: Keys) -> None:
    with Endpoint(keys.a, unknown=status(500)) as server:
        result = ping(server.url, keys.a, probe_unknown_key=False)
    assert (result["rejects_unknown_key"], result["unknown_key_status_code"], result["warnings"]) == (None, None, [])
    assert (server.probes, len(server.seen)) == (0, 1)


def test_the_key_of_the_probe_is_another_each_time(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    generate = _keys.generate_private_key

    def noted() -> _keys.PrivateKey:
        key = generate()
        made.append(key.public.fingerprint)
        return key

    monkeypatch.setattr("ansible_collections.waba.flows.plugins.module_utils._ping.generate_private_key", noted)
    with Endpoint(keys.a) as server:
        for dummy in range(2):
            ping(server.url, keys.a)
    assert len(set(made)) == 2
    assert keys.a.fingerprint not in made


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[str, str], keys: Keys) -> None:
    with Endpoint(keys.a, tls=certificate) as server:
        result = failure(server.url, keys.a)
        assert server.seen == []
    assert (result["error"]["type"], result["attempts"]) == ("TlsError", 1)
    assert "ca_path" in result["msg"]


def test_a_certificate_of_the_ca_named_is_accepted(certificate: tuple[str, str], keys: Keys) -> None:
    with Endpoint(keys.a, tls=certificate) as server:
        assert ping(server.url, keys.a, ca_path=certificate[0])["warnings"] == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_giving_up_the_check_is_warned_of(certificate: tuple[str, str], keys: Keys) -> None:
    with Endpoint(keys.a, tls=certificate) as server:
        warning = only_warning(ping(server.url, keys.a, validate_certs=False))
    assert "validate_certs is false" in warning


# -- options


@pytest.mark.parametrize(("options", "why"), [
    ({"url": "http://flows.example.com/x?token=s3cret"}, "url is plain http to flows.example.com: WhatsApp reaches endpoints by"),
    ({"url": "ftp://flows.example.com/s3cret"}, "url 'ftp://flows.example.com' is not an http"),
    ({"url": "flows.example.com?s3cret"}, "Example: https://flows.example.com/endpoint"),
    ({"url": ""}, "is not an http"),
    ({"url": "https://user:s3cret@flows.example.com"}, "url holds a user name or password"),
    ({"url": "https://flows.example.com/x#s3cret"}, "url has a fragment"),
    ({"url": "https://flows example.com/x?token=s3cret"}, "url 'https://flows example.com' is not a URL that can be requested"),
    ({"url": "https://.example.com/x?token=s3cret"}, "is not a URL that can be requested"),
    ({"business_public_key": None}, "No key is given"),
    ({"business_public_key_path": "/x"}, "exclude each other"),
    ({"timeout": 0.0}, "timeout must be more than 0"),
    ({"total_timeout": -1.0}, "total_timeout must be more than 0"),
    ({"ca_path": "/nonexistent/ca.pem"}, "ca_path /nonexistent/ca.pem does not exist"),
    ({"app_secret": "s3cret\ud800"}, "app_secret holds characters"),
])
def test_wrong_options(options: Params, why: str, keys: Keys) -> None:
    given = {"url": "https://127.0.0.1:9/x", "business_public_key": keys.a.pem, **options}
    if " " in str(given["url"]) and version_tuple(_http.REQUESTS_VERSION or "") < (2, 28):
        pytest.skip("this version of requests looks for the address of any name")
    with pytest.raises(InvalidOptions) as caught:
        run_ping(module_params(PING_SPEC, **given))
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_private_key_is_refused(keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="A private key was given"):
        run_ping(module_params(PING_SPEC, url="https://127.0.0.1:9", business_public_key=keys.a.private_pem()))


def test_plain_http_elsewhere_can_be_allowed(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint(keys.a) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        assert ping("http://flows.internal/x", keys.a, allow_http=True)["decrypts"] is True


@pytest.mark.parametrize(("module", "name", "library"), [(_keys, "CRYPTOGRAPHY_VERSION", "cryptography"),
                                                         (_http, "REQUESTS_VERSION", "requests")])
def test_libraries_must_be_there(
    module: t.Any, name: str, library: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, None)
    with pytest.raises(MissingLibrary, match=library):
        run_ping(module_params(PING_SPEC, url="https://127.0.0.1:9", business_public_key=keys.a.pem))


# -- secrets


@pytest.mark.parametrize("code", [200, 400, 421, 432, 500, 503])
@pytest.mark.usefixtures("quick")
def test_no_secret_is_in_a_result_even_if_the_endpoint_sends_it_back(code: int, keys: Keys) -> None:
    echo = status(code, f"{SECRET} s3cret-query <p>{SECRET}</p>".encode(), X_Secret=SECRET)
    with Endpoint(keys.a, echo) as failing, Endpoint(keys.a, unknown=echo) as warned:
        results = [
            ping(f"{server.url}/s3cret-path?tenant=s3cret-query", keys.a, app_secret=SECRET) for server in (failing, warned)
        ]
        wire = [seen for server in (failing, warned) for seen in server.seen]
    text = json.dumps(results)
    for secret in (SECRET, "s3cret-query", "s3cret-path", "tenant"):
        assert secret not in text
    for seen in wire:
        assert seen.headers["x-hub-signature-256"][7:] not in text
        assert json.loads(seen.body)["encrypted_aes_key"] not in text


# -- a hostile network


@pytest.mark.attack("deadline", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.attack("proven", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_no_fault_is_taken_for_a_proof(fault: Fault, keys: Keys) -> None:
    def answer(heard: Heard) -> bytes:
        request = FlowRequest(heard.body, keys.a)
        return request.answer(ACTIVE) if request.document else b""

    with RudeServer(answer) as server:
        server.rude = lambda method, target: (fault.act, True)
        start = time.monotonic()
        result = ping(f"{server.base_url}/flows", keys.a, app_secret=SECRET, retries=0, probe_unknown_key=False, **fault.times)
        assert time.monotonic() - start < fault.times["total_timeout"] + 1.5
    if fault.of_ping is None:
        assert result["decrypts"]
        return
    retryable = fault.retryable if fault.of_ping == fault.error else result["status_code"] in RETRYABLE
    assert (result["error"]["type"], result["error"]["retryable"]) == (fault.of_ping, retryable)
    assert SECRET not in json.dumps(result, allow_nan=False)
