# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways to an API: names, addresses, certificates, TLS, proxies, redirects; and connections that are used again."""

from __future__ import annotations

import contextlib
import datetime
import json
import multiprocessing
import os
import socket
import threading
import time
import types
import typing as t
from collections.abc import Iterator
from unittest import mock
from urllib.parse import urlsplit

import pytest
import requests

from ansible_collections.waba.flows.plugins.module_utils import _connections
from ansible_collections.waba.flows.plugins.module_utils._argspec import INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._http import HttpClient, HttpOptions, Request, Transport
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_single
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params, Recorder, make_job, module_params
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS
from ansible_collections.waba.flows.tests.unit.rude_server import Authority, RudeServer, Wire, well
from tests.sandbox import Sandbox, make_mixed_state

pytestmark = pytest.mark.usefixtures("quick")

NUMBER = "106500000000001"
TOKEN = "EAAtoken-canary-0123456789"
SECRET = "appsecret-canary-0123456789"
PROXY_PASSWORD = "pr0xy-canary"
SLACK = 1.5
NO_KEY = json.dumps({"data": []}).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that nobody knows but by its file."""
    return Authority(tmp_path_factory.mktemp("ca"))


def run(base_url: str, key: KeyPair | None = None, seconds: float = 20.0, **more: t.Any) -> Params:
    """Read a number, or set its key; the result comes in time and holds no secret."""
    given = {"phone_number_id": NUMBER, "base_url": base_url, "access_token": TOKEN, "app_secret": SECRET, "retries": 0,
             "timeout": seconds, "total_timeout": seconds, "business_public_key": key.pem if key else None, "verify_timeout": 0.1}
    start = time.monotonic()
    result = run_single(module_params(SINGLE_SPEC, **{**given, **more}), False)
    assert time.monotonic() - start < seconds + SLACK
    text = json.dumps(result, allow_nan=False)
    assert not any(secret in text for secret in (TOKEN, SECRET, PROXY_PASSWORD))
    return result


def error_of(result: Params) -> tuple[str, bool, bool]:
    """The type of a failure, whether it is worth another try, and whether something may have been changed."""
    assert (result["failed"], result["outcome"]) == (True, "failed")
    return result["error"]["type"], result["error"]["retryable"], result["changed"]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return t.cast(int, probe.getsockname()[1])


def names(monkeypatch: pytest.MonkeyPatch, found: t.Callable[[], t.Any], host: str = "api.example") -> None:
    """Have one name resolve to what a function returns or raises."""
    original = socket.getaddrinfo

    def resolve(name: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
        return found() if name == host else original(name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


# -- names and addresses


@pytest.mark.attack("accounted", "hosts that cannot be reached: refused, unresolved, silent, on some addresses or on all")
def test_a_host_that_refuses_after_the_reading_was_sent_no_key(keys: Keys) -> None:
    def answer(heard: t.Any) -> bytes:
        server.refuse()
        return NO_KEY

    with RudeServer(answer) as server:
        server.rude = lambda method, target: (lambda wire, body: wire.say(well(body, "200 OK", "Connection: close")), True)
        result = run(server.base_url, keys.a)
    assert error_of(result) == ("ConnectionFailed", True, False)
    assert [heard.method for heard in server.heard] == ["GET"]


@pytest.mark.attack("understood", "hosts that cannot be reached: refused, unresolved, silent, on some addresses or on all")
@pytest.mark.parametrize("error", [
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"), socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
    UnicodeError("label too long"), OSError(24, "Too many open files"),
])
def test_a_name_that_does_not_resolve(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> t.NoReturn:
        raise error

    names(monkeypatch, fail)
    result = run("https://api.example")
    assert error_of(result) == ("ConnectionFailed", True, False)
    assert "https://api.example cannot be reached: " in result["msg"]


@pytest.mark.attack("deadline", "hosts that cannot be reached: refused, unresolved, silent, on some addresses or on all")
def test_a_resolver_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    names(monkeypatch, lambda: over.wait(10) and [])
    assert error_of(run("https://api.example", seconds=0.5)) == ("Timeout", True, False)
    over.set()


@pytest.mark.attack("deadline", "hosts that cannot be reached: refused, unresolved, silent, on some addresses or on all")
def test_many_silent_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_queues(*(f"127.9.9.{index}" for index in range(1, 9))) as (addresses, port):
        names(monkeypatch, lambda: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses])
        assert error_of(run(f"https://api.example:{port}", seconds=0.6, timeout=0.4)) == ("Timeout", True, False)


@contextlib.contextmanager
def full_queues(*addresses: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Give addresses of loopback at which nobody answers at a port, as the queue of its listener is full."""
    with contextlib.ExitStack() as stack:
        port = 0
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, port), backlog=0))
            port = int(listener.getsockname()[1])
            for dummy in range(8):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex((address, port))
        yield addresses, port


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with RudeServer(lambda heard: NO_KEY) as server:
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port)) for address in ("127.9.9.9", "127.0.0.1")]
        names(monkeypatch, lambda: rows)
        result = run(f"http://api.example:{server.port}", allow_http=True)
    assert result["outcome"] == "read"
    assert server.heard[0].headers["host"] == f"api.example:{server.port}"


def test_an_ipv6_address(keys: Keys) -> None:
    try:
        server = RudeServer(lambda heard: NO_KEY, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert run(server.base_url)["outcome"] == "read"
    assert server.heard[0].headers["host"] == f"[::1]:{server.port}"


# -- TLS


@pytest.mark.attack("addressed", "certificates that are not right, and TLS that breaks off, drips or is none")
@pytest.mark.parametrize(("made_for", "days", "knows"), [
    ("127.0.0.1", 1, False), ("127.0.0.1", -1, True), ("127.0.0.2", 1, True), ("localhost", 1, True),
], ids=["unknown", "expired", "another address", "another name"])
def test_a_certificate_that_is_wrong(made_for: str, days: int, knows: bool, authority: Authority, keys: Keys) -> None:
    paths = authority.certificate(made_for, lasts=datetime.timedelta(days=days))
    with RudeServer(tls=paths) as server:
        result = run(server.base_url, keys.a, ca_path=authority.path if knows else None)
    assert error_of(result) == ("TlsError", False, False)
    assert server.heard == []
    assert "ca_path" in result["msg"]


def test_a_certificate_that_is_right(authority: Authority) -> None:
    with RudeServer(lambda heard: NO_KEY, tls=authority.certificate("127.0.0.1")) as server:
        assert run(server.base_url, ca_path=authority.path)["outcome"] == "read"


def drip_handshake(wire: Wire) -> None:
    wire.drip(b"\x16\x03\x03\x40\x00" + bytes(9999))


@pytest.mark.attack("deadline", "certificates that are not right, and TLS that breaks off, drips or is none")
@pytest.mark.attack("accounted", "certificates that are not right, and TLS that breaks off, drips or is none")
@pytest.mark.parametrize(("act", "error"), [
    (Wire.reset, "ConnectionFailed"), (lambda wire: None, "ConnectionFailed"), (Wire.hang, "Timeout"),
    (drip_handshake, "Timeout"), (lambda wire: wire.say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ConnectionFailed"),
    (lambda wire: wire.say(b"\x15\x03\x03\x00\x02\x02\x28"), "ConnectionFailed"),
], ids=["reset", "closed", "silent", "dripping", "no TLS", "alert"])
def test_tls_that_does_not_come_about(
    act: t.Callable[[Wire], None], error: str, authority: Authority, keys: Keys
) -> None:
    """The number is read, and then there is no connection by which the key could have been sent."""
    def last(wire: Wire, body: bytes) -> None:
        server.at_once = act
        wire.say(well(body, "200 OK", "Connection: close"))

    with RudeServer(lambda heard: NO_KEY, tls=authority.certificate("127.0.0.1")) as server:
        server.rude = lambda method, target: (last, True)
        result = run(server.base_url, keys.a, seconds=1.0, ca_path=authority.path)
    assert error_of(result) == (error, True, False)
    assert [heard.method for heard in server.heard] == ["GET"]


@pytest.mark.attack("deadline", "certificates that are not right, and TLS that breaks off, drips or is none")
def test_a_drip_of_headers_over_tls(authority: Authority) -> None:
    with RudeServer(tls=authority.certificate("127.0.0.1")) as server:
        server.rude = lambda method, target: (lambda wire, body: wire.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 999), True)
        assert error_of(run(server.base_url, seconds=0.6, ca_path=authority.path)) == ("DeadlineExceeded", False, False)


# -- proxies


class Proxy:
    """A proxy that opens tunnels, or does something else; C(lines) are the requests that it got, with their headers."""

    def __init__(self, act: t.Callable[[Wire], None] | None = None) -> None:
        self.lines: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._act = act
        self._server = RudeServer(at_once=self._serve)
        self.port = self._server.port

    def __enter__(self) -> Proxy:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__()

    def _serve(self, wire: Wire) -> None:
        line = wire.line().decode()
        self.lines.append(line)
        self.headers.append(wire.rest()[0])
        if self._act is not None:
            self._act(wire)
            return
        port = int(line.split()[1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            wire.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, wire._sock), daemon=True)
            back.start()
            pump(wire._sock, onward)


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_https_goes_through_a_tunnel_that_hears_nothing(
    authority: Authority, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RudeServer(lambda heard: NO_KEY, tls=authority.certificate("api.example")) as server, Proxy() as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
        result = run(f"https://api.example:{server.port}", ca_path=authority.path)
    assert result["outcome"] == "read"
    assert proxy.lines == [f"CONNECT api.example:{server.port} HTTP/1.{proxy.lines[0][-1]}"]
    assert "authorization" not in proxy.headers[0]
    assert proxy.headers[0]["proxy-authorization"].startswith("Basic ")
    assert server.heard[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "proxy-authorization" not in server.heard[0].headers


@pytest.mark.attack("addressed", "proxies that refuse, answer for the API, break off, drip or are not there")
@pytest.mark.attack("deadline", "proxies that refuse, answer for the API, break off, drip or are not there")
@pytest.mark.parametrize(("act", "error"), [
    (lambda wire: wire.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "ConnectionFailed"),
    (lambda wire: wire.say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"), "ConnectionFailed"),
    (lambda wire: wire.say(b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n"), "ConnectionFailed"),
    (lambda wire: wire.say(b"HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>"), "ConnectionFailed"),
    (lambda wire: wire.say(b"<html>"), "ConnectionFailed"),
    (Wire.reset, "ConnectionFailed"),
    (Wire.hang, "Timeout"),
    (lambda wire: wire.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 999), "DeadlineExceeded"),
    (lambda wire: wire.again_and_again(b"X: y\r\n", 0.01), "ConnectionFailed"),
    (lambda wire: (wire.say(b"HTTP/1.1 200 OK\r\n\r\n"), wire.hang()), "Timeout"),
], ids=["407", "502", "302", "html", "no http", "reset", "silent", "drip", "headers", "silent tunnel"])
def test_a_proxy_that_opens_no_tunnel(
    act: t.Callable[[Wire], None], error: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(act) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
        result = run("https://api.example", keys.a, seconds=0.6)
    kind, retryable, changed = error_of(result)
    assert (kind, retryable, changed) == (error, error != "DeadlineExceeded", False)
    assert all(line.startswith("CONNECT api.example:443 ") for line in proxy.lines)
    assert "authorization" not in proxy.headers[0]


@pytest.mark.attack("addressed", "proxies that refuse, answer for the API, break off, drip or are not there")
@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://user:pr0xy-canary@127.0.0.1:{}"])
def test_a_proxy_that_is_not_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", address.format(closed_port()))
    assert error_of(run("https://api.example")) == ("ConnectionFailed", True, False)


# -- redirects


@pytest.mark.attack("addressed", "redirects to another host, path and scheme, with every provider")
@pytest.mark.parametrize("provider", RIGS)
def test_no_credential_follows_a_redirect(
    provider: str, keys: Keys, monkeypatch: pytest.MonkeyPatch, record_property: t.Callable[[str, object], None]
) -> None:
    if provider == "aws":
        pytest.importorskip("boto3")
    tries = 0
    with Sandbox(make_mixed_state()) as box, Recorder() as other:
        rig = RIGS[provider](box)
        for name, value in rig.environment.items():
            monkeypatch.setenv(name, value)
        for location in (f"{other.base_url}/x", f"//127.0.0.1:{urlsplit(other.base_url).port}/x",
                         other.base_url.replace("http", "https"), "/elsewhere"):
            for status in (303,) if provider == "aws" else (301, 303, 307):  # each call of boto3 takes long
                for method in ("GET", "POST"):
                    rig.faults("redirect", method=method, status=status, location=location)
                    asked = len(box.requests)
                    result = rig.set(keys.a, retries=0, force=True) if method == "POST" else rig.read(retries=0)
                    if method == "GET":
                        assert result["error"]["type"] in ("InvalidAnswer", "ConnectionFailed" if provider == "aws" else "")
                    assert not any("elsewhere" in request.path for request in box.requests[asked:])
                    assert not any(secret in json.dumps(result) for secret in rig.secrets)
                    box.clear()
                    tries += 1
        assert (other.connections, other.seen) == (0, [])
    record_property("tries", tries)


# -- the connections themselves


def client(seconds: float = 5.0) -> HttpClient:
    return HttpClient(Transport(), HttpOptions(seconds, 0, True), [])


def test_an_interim_answer_is_not_taken_for_that_of_the_next_request() -> None:
    """What follows 103 would be read as the answer to the next request on the same connection."""
    stale = well(b'{"data": [{"business_public_key_signature_status": "STALE"}]}')

    def late(wire: Wire, body: bytes) -> bool:
        wire.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.1)
        wire.say(stale)
        return True

    with RudeServer(lambda heard: NO_KEY) as server:
        server.rude = lambda method, target: (late, True) if "first" in target else None
        http = client()
        with pytest.raises(Exception, match="interim answer"):
            http.call(Request("GET", f"{server.base_url}/first"), lambda answer: None, make_job())
        answer = http.call(Request("GET", f"{server.base_url}/second"), lambda answer: None, make_job())
        assert answer.document == {"data": []}
        assert server.connections == 2


def test_connections_are_kept_with_and_without_tls(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.path)
    for tls in (None, authority.certificate("127.0.0.1")):
        with RudeServer(lambda heard: NO_KEY, tls=tls) as server:
            http = HttpClient(Transport(), HttpOptions(5.0, 0, authority.path), [])
            for dummy in range(5):
                http.call(Request("GET", server.base_url), lambda answer: None, make_job())
            assert (len(server.heard), server.connections) == (5, 1)


def test_an_attempt_leaves_nothing_behind() -> None:
    with RudeServer(lambda heard: NO_KEY) as server:
        client().call(Request("GET", server.base_url), lambda answer: None, make_job())
    assert not hasattr(_connections._CURRENT, "attempt")


@pytest.mark.attack("accounted", "SIGKILL to ansible-playbook while its worker calls the API")
def test_a_worker_stops_when_the_process_that_made_it_was_killed(keys: Keys) -> None:
    """As one of Ansible's does when ansible-playbook gets SIGKILL."""
    rows = [{"phone_number_id": str(int(NUMBER) + index)} for index in range(200)]

    def answer(heard: t.Any) -> bytes:
        time.sleep(0.01)
        return NO_KEY

    with RudeServer(answer) as server:
        given = module_params(INFO_SPEC, base_url=server.base_url, access_token=TOKEN, phone_numbers=rows, max_workers=1)
        forking = multiprocessing.get_context("fork")

        def playbook() -> None:
            worker = forking.Process(target=run_info, args=(given,))
            worker.start()
            worker.join()

        parent = forking.Process(target=playbook)
        parent.start()
        wait_until(lambda: len(server.heard) > 10)
        parent.kill()
        parent.join()
        time.sleep(0.1)
        heard = len(server.heard)
        time.sleep(0.3)
        assert 10 < len(server.heard) == heard < 150


@pytest.mark.attack("accounted", "SIGKILL to ansible-playbook while its worker calls the API")
def test_a_worker_whose_parent_was_gone_before_it_began_sends_nothing() -> None:
    forking = multiprocessing.get_context("fork")
    here, there = forking.Pipe()

    def worker(parent: int) -> None:
        wait_until(lambda: os.getppid() != parent)
        there.send(Transport().abandoned())

    def playbook() -> None:
        forking.Process(target=worker, args=(os.getpid(),)).start()
        os._exit(0)

    parent = forking.Process(target=playbook)
    parent.start()
    parent.join()
    assert here.poll(10)
    assert here.recv() is True


def test_a_worker_whose_parent_lives_works_to_its_end(keys: Keys) -> None:
    with RudeServer(lambda heard: NO_KEY) as server:
        rows = [{"phone_number_id": str(int(NUMBER) + index)} for index in range(5)]
        given = module_params(INFO_SPEC, base_url=server.base_url, access_token=TOKEN, phone_numbers=rows)
        worker = multiprocessing.get_context("fork").Process(target=run_info, args=(given,))
        worker.start()
        worker.join()
        assert (worker.exitcode, len(server.heard)) == (0, 5)


def wait_until(happened: t.Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.attack("accounted", "proxies that refuse, answer for the API, break off, drip or are not there")
def test_through_a_socks_proxy_nobody_knows_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are not ours, so that a request may have arrived, whatever goes wrong."""
    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", lambda *arguments, **options: object())
    with _connections.attempt_of(1.0, lambda: 1.0) as attempt:
        assert attempt.unsent
        _connections.BoundedAdapter().proxy_manager_for("socks5://127.0.0.1:1")
    assert not attempt.unsent


@pytest.mark.attack("understood", "proxies that refuse, answer for the API, break off, drip or are not there")
@pytest.mark.parametrize("password", ["%E2%82%AC", "p[w"])
def test_a_proxy_whose_password_cannot_be_sent(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:{password}@127.0.0.1:9")
    with pytest.raises(InvalidOptions, match="proxy of the environment") as caught:
        client().call(Request("GET", "http://api.test/x"), lambda answer: None, make_job())
    assert password not in str(caught.value)


@pytest.mark.attack("accounted", "hosts that cannot be reached: refused, unresolved, silent, on some addresses or on all")
def test_without_a_thread_to_spare_names_are_resolved_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = types.SimpleNamespace(_dns_host="localhost", port=80)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        found = _connections._Bounded._addresses(t.cast(t.Any, connection), _connections.Attempt(1.0, lambda: 1.0))
    assert "127.0.0.1" in found
