# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference endpoints of docs/examples, run as processes and pinged by the module's own code."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ansible_collections.waba.flows.plugins.module_utils._argspec import PING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._envelope import EnvelopeError, open_answer, seal
from ansible_collections.waba.flows.plugins.module_utils._keys import parse_public_key
from ansible_collections.waba.flows.plugins.module_utils._ping import run_ping
from ansible_collections.waba.flows.tests.unit.helpers import FlowRequest, KeyPair, Keys, Params, module_params

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
NODE_FLOOR = (18, 3)
PASSPHRASE = "endpoint-passphrase-1"
NEW_PASSPHRASE = "endpoint-passphrase-2"
SECRET = "app-s3cret-0815"


class Program(t.NamedTuple):
    """One of the examples: what runs it, and its file."""

    interpreter: str
    path: Path

    def replaced(self, old: str, new: str, folder: Path) -> Program:
        """Return a copy of it with another text in one place."""
        text = self.path.read_text()
        assert text.count(old) == 1
        copy = folder / f"own_{self.path.name}"
        copy.write_text(text.replace(old, new))
        return self._replace(path=copy)


def python_example() -> Program:
    return Program(sys.executable, EXAMPLES / "flow_endpoint.py")


def node_example() -> Program:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
    if tuple(int(part) for part in version.split(".")[:2]) < NODE_FLOOR:
        pytest.skip(f"Node.js {version} is too old")
    return Program(node, EXAMPLES / "flow_endpoint.mjs")


MAKERS = {"python": python_example, "node": node_example}


@pytest.fixture(scope="session", params=MAKERS)
def program(request: pytest.FixtureRequest) -> Program:
    """Each of the examples."""
    return MAKERS[request.param]()


class Deployed:
    """A folder of keys on an endpoint host."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, key: KeyPair, name: str = "default") -> Path:
        return self.path / name / f"{hashlib.sha256(key.der).hexdigest()[:16]}.pem"

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a file as the collection does: whole or not at all."""
        unfinished = path.with_name(".tmp-" + path.name)
        unfinished.write_bytes(content)
        unfinished.replace(path)

    def key(self, key: KeyPair, passphrase: str = PASSPHRASE, name: str = "default") -> None:
        self.file(key, name).parent.mkdir(exist_ok=True)
        self.replace(self.file(key, name), key.private_pem(passphrase).encode())

    def manifest(self, *keys: KeyPair, name: str = "default") -> None:
        (self.path / name).mkdir(exist_ok=True)
        rows = [
            {"fingerprint": key.fingerprint, "file": self.file(key, name).name, "state": "retired" if index else "current"}
            for index, key in enumerate(keys)
        ]
        document = {"schema": 1, "key_name": name, "current": rows[0]["fingerprint"] if rows else None, "keys": rows}
        self.replace(self.path / name / "manifest.json", json.dumps(document).encode())

    def deploy(self, *keys: KeyPair, passphrase: str = PASSPHRASE, name: str = "default") -> None:
        for key in keys:
            self.key(key, passphrase, name)
        self.manifest(*keys, name=name)


def signature_of(body: bytes, app_secret: str) -> str:
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


class Service:
    """The endpoint as a process."""

    def __init__(self, program: Program, folder: Path, keys: Path) -> None:
        self._program, self._folder, self._keys = program, folder, keys
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.app_secret: str | None = None

    def start(self, *options: str, **environment: str) -> None:
        ready, log = self._folder / "ready", self._folder / "log"
        ready.unlink(missing_ok=True)
        settings = {"WHATSAPP_ENDPOINT_PASSPHRASE": PASSPHRASE, **environment}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WHATSAPP_")}
        with log.open("wb") as stream:
            command = [*map(str, self._program), "--keys", str(self._keys), "--port", "0", "--ready-file", str(ready), *options]
            self._process = subprocess.Popen(command, env={**clean, **settings}, stdout=stream, stderr=stream)
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        self.url = ready.read_text()

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def post(self, body: bytes, method: str = "POST", **headers: str) -> tuple[int, bytes]:
        """Send a raw body, signed if there is an app secret; return status and body of the answer."""
        if self.app_secret and not headers:
            headers = {"X_Hub_Signature_256": signature_of(body, self.app_secret)}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ask(self, document: t.Any, key: KeyPair) -> t.Any:
        """Send a Flow request as a client does; return the status, or what the answer holds."""
        sealed = seal(document, parse_public_key(key.pem))
        status, body = self.post(sealed.body)
        return open_answer(body, sealed) if status == 200 else status

    def ping(self, key: KeyPair, **options: t.Any) -> Params:
        fixed = {"url": self.url, "business_public_key": key.pem, "retries": 0, "probe_unknown_key": False}
        given = {**fixed, "app_secret": self.app_secret, **options}
        return run_ping(module_params(PING_SPEC, **given))

    def decrypts(self, *keys: KeyPair) -> list[bool]:
        """Tell for each key whether it decrypts with it; where not, it must have answered 421."""
        results = [self.ping(key) for key in keys]
        assert {result["status_code"] for result in results if not result["decrypts"]} <= {421}
        return [result["decrypts"] for result in results]


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    """An empty folder of keys."""
    (tmp_path / "keys").mkdir()
    return Deployed(tmp_path / "keys")


@pytest.fixture
def service(program: Program, tmp_path: Path, deployed: Deployed) -> t.Iterator[Service]:
    """The endpoint that uses it, not started yet."""
    made = Service(program, tmp_path, deployed.path)
    yield made
    made.close()
    shows_nothing(made)


@pytest.fixture(scope="module", params=[False, True], ids=["unsigned", "signed"])
def running(
    request: pytest.FixtureRequest, program: Program, tmp_path_factory: pytest.TempPathFactory, keys: Keys
) -> t.Iterator[Service]:
    """One with the first key that serves several tests: once without an app secret, once with one."""
    folder = tmp_path_factory.mktemp("endpoint")
    (folder / "keys").mkdir()
    Deployed(folder / "keys").deploy(keys.a)
    made = Service(program, folder, folder / "keys")
    try:
        made.start(**({"WHATSAPP_APP_SECRET": SECRET} if request.param else {}))
        made.app_secret = SECRET if request.param else None
        yield made
    finally:
        made.close()
    shows_nothing(made)


def shows_nothing(service: Service) -> None:
    """Look for secrets in what it logged."""
    for secret in (PASSPHRASE, NEW_PASSPHRASE, SECRET, "Traceback", "typed by a user"):
        assert secret not in service.log


def test_it_decrypts_with_every_key_and_answers_421_to_others(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.b, keys.a)
    service.start()
    for key in (keys.a, keys.b):
        result = service.ping(key, probe_unknown_key=True)
        assert (result["decrypts"], result["rejects_unknown_key"], result["warnings"]) == (True, True, [])
    assert service.decrypts(keys.c) == [False]
    assert service.stop() == 0


def test_keys_of_all_names_or_of_those_named(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    deployed.deploy(keys.b, name="partner")
    deployed.deploy(keys.c, name="third")
    service.start()
    assert service.decrypts(keys.a, keys.b, keys.c) == [True, True, True]
    service.close()
    service.start("--key-name", "default", "--key-name", "third")
    assert service.decrypts(keys.a, keys.b, keys.c) == [True, False, True]


def test_without_any_key_it_answers_421(service: Service, deployed: Deployed, keys: Keys) -> None:
    service.start()
    assert service.decrypts(keys.a) == [False]
    deployed.deploy(keys.a)
    assert service.decrypts(keys.a) == [True]


# -- signatures


def test_a_signature_is_checked_where_there_is_an_app_secret(running: Service, keys: Keys) -> None:
    assert running.ping(keys.a, probe_unknown_key=True)["rejects_unknown_key"] is True
    for wrong in (None, "another"):
        assert running.ping(keys.a, app_secret=wrong)["status_code"] == (432 if running.app_secret else 200)


def test_only_the_exact_signature_will_do(running: Service, keys: Keys) -> None:
    body = seal({"action": "ping"}, parse_public_key(keys.a.pem)).body
    value = signature_of(body, SECRET)
    assert running.post(body, X_Hub_Signature_256=value)[0] == 200
    for changed in (value.upper(), value[7:], "sha1=" + value[7:], value[:-1], "", "\xff\xfe"):
        assert running.post(body, X_Hub_Signature_256=changed)[0] == (432 if running.app_secret else 200)
    assert running.post(body + b" ", X_Hub_Signature_256=value)[0] == (432 if running.app_secret else 200)


def test_garbage_is_not_even_looked_at_without_a_signature(running: Service) -> None:
    assert running.post(b"typed by a user", X_Hub_Signature_256="x") == (432 if running.app_secret else 400, b"")


# -- what is not as it should be


def tampered(body: bytes, name: str, change: t.Callable[[bytes], bytes]) -> bytes:
    document = json.loads(body)
    document[name] = base64.b64encode(change(base64.b64decode(document[name]))).decode()
    return json.dumps(document).encode()


@pytest.mark.parametrize("body", [
    b"", b"typed by a user", b"{", b"[]", b"null", b"7", b"{}", b"\xff", b"[" * 100_000,
    b'{"encrypted_aes_key": "AAAA", "initial_vector": "AAAA"}',
    b'{"encrypted_aes_key": 1, "initial_vector": "AAAA", "encrypted_flow_data": "AAAA"}',
    b'{"encrypted_aes_key": "*", "initial_vector": "AAAA", "encrypted_flow_data": "AAAA"}',
])
def test_garbage_is_a_bad_request_without_details(body: bytes, running: Service, keys: Keys) -> None:
    assert running.post(body) == (400, b"")
    assert running.decrypts(keys.a) == [True]


CHANGES: list[tuple[str, t.Callable[[bytes], bytes]]] = [
    ("encrypted_aes_key", lambda value: value[:-1]), ("encrypted_aes_key", lambda value: b""),
    ("encrypted_aes_key", lambda value: bytes(256)), ("initial_vector", lambda value: bytes(16)),
    ("initial_vector", lambda value: b""), ("initial_vector", lambda value: bytes(1000)),
    ("encrypted_flow_data", lambda value: value[:-1]), ("encrypted_flow_data", lambda value: b""),
    ("encrypted_flow_data", lambda value: value[:8]),
    ("encrypted_flow_data", lambda value: bytes([value[0] ^ 1]) + value[1:]),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_what_cannot_be_decrypted_is_421(
    name: str, change: t.Callable[[bytes], bytes], running: Service, keys: Keys
) -> None:
    body = seal({"action": "ping"}, parse_public_key(keys.a.pem)).body
    assert running.post(body)[0] == 200
    assert running.post(tampered(body, name, change)) == (421, b"")


@pytest.mark.parametrize("document", [[], {}, "ping", {"version": "3.0"}])
def test_a_request_of_no_known_form_is_500_without_details(document: t.Any, running: Service, keys: Keys) -> None:
    assert running.post(seal(document, parse_public_key(keys.a.pem)).body) == (500, b"")


def test_other_methods_are_refused(running: Service) -> None:
    assert running.post(b"", method="GET")[0] == 405


def test_a_request_that_is_too_big_is_refused(running: Service) -> None:
    assert running.post(b"x" * 2_000_000)[0] == 413


def test_the_answer_to_one_client_is_not_that_to_another(running: Service, keys: Keys) -> None:
    first, second = (seal({"action": "ping"}, parse_public_key(keys.a.pem)) for dummy in range(2))
    with pytest.raises(EnvelopeError, match="cannot be decrypted"):
        open_answer(running.post(first.body)[1], second)


def test_it_stands_by_the_protocol_as_others_read_it(running: Service, keys: Keys) -> None:
    """The answer is opened by the tests' own reading, not by the module's."""
    sealed = seal({"version": "3.0", "action": "ping"}, parse_public_key(keys.a.pem))
    status, body = running.post(sealed.body)
    assert status == 200
    request = FlowRequest(sealed.body, keys.a)
    inverted_iv = bytes(255 - byte for byte in request.iv)
    text = AESGCM(request.aes_key).decrypt(inverted_iv, base64.b64decode(body, validate=True), None)
    assert json.loads(text) == {"data": {"status": "active"}}


def test_other_requests_are_answered_by_answer(running: Service, keys: Keys) -> None:
    request = {"version": "3.0", "action": "data_exchange", "screen": "NAME", "data": {"name": "typed by a user"}}
    assert running.ask(request, keys.a) == {"screen": "SUCCESS", "data": {}}
    assert running.ask(request, keys.b) == 421


# -- the function that users replace


ECHO = {"screen": "NAME", "data": {"name": "typed by a user"}}
OWN_ANSWERS: list[tuple[str, str, t.Any]] = [
    ("python", 'return {"screen": request["screen"], "data": request["data"]}', ECHO),
    ("python", 'raise ValueError(request["data"]["name"])', 500),
    ("python", 'return {"data": {1, 2}}', 500),
    ("python", "raise web.HTTPForbidden()", 403),
    ("node", "return { screen: request.screen, data: request.data };", ECHO),
    ("node", "throw new RangeError(request.data.name);", 500),
    ("node", "throw request.data.name;", 500),
    ("node", "return JSON.parse(request.data.name);", 500),
    ("node", "return { data: 1n };", 500),
    ("node", "return;", 500),
    ("node", "throw new Refusal(427);", 427),
]
DEFAULT_ANSWER = {"python": 'return {"screen": "SUCCESS", "data": {}}', "node": 'return { screen: "SUCCESS", data: {} };'}
KIND_AND_PLACE = {
    "ValueError": r"ValueError at .*own_flow_endpoint\.py:\d+",
    "RangeError": r"RangeError at .*own_flow_endpoint\.mjs:\d+",
}


@pytest.mark.parametrize(("language", "code", "expected"), OWN_ANSWERS)
def test_answer_can_be_replaced(
    *, language: str, code: str, expected: t.Any, deployed: Deployed, tmp_path: Path, keys: Keys
) -> None:
    own = MAKERS[language]().replaced(DEFAULT_ANSWER[language], code, tmp_path)
    deployed.deploy(keys.a)
    service = Service(own, tmp_path, deployed.path)
    try:
        service.start()
        assert service.ask({"action": "data_exchange", **ECHO}, keys.a) == expected
        assert service.decrypts(keys.a) == [True]
        assert "typed by a user" not in service.log
        for kind, pattern in KIND_AND_PLACE.items():
            assert (re.search(pattern, service.log) is not None) is (kind in code)
    finally:
        service.close()


# -- changes while it runs


def test_a_new_key_is_taken_up_and_a_removed_one_given_up(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    service.start()
    assert service.decrypts(keys.a, keys.b) == [True, False]
    deployed.key(keys.b)
    assert service.decrypts(keys.a, keys.b) == [True, False]  # not in the manifest yet
    deployed.manifest(keys.b, keys.a)
    assert service.decrypts(keys.a, keys.b) == [True, True]
    deployed.manifest(keys.b)
    assert service.decrypts(keys.a, keys.b) == [False, True]  # though its file is still there
    deployed.manifest()
    assert service.decrypts(keys.a, keys.b) == [False, False]


def test_a_new_key_name_is_taken_up(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    service.start()
    deployed.deploy(keys.b, name="partner")
    assert service.decrypts(keys.a, keys.b) == [True, True]
    (deployed.path / "partner" / "manifest.json").unlink()
    assert service.decrypts(keys.a, keys.b) == [True, False]


def test_a_damaged_key_file_does_not_take_the_others_down(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    service.start()
    deployed.manifest(keys.b, keys.a)
    assert service.decrypts(keys.a, keys.b) == [True, False]  # it is not there at all
    whole = keys.b.private_pem(PASSPHRASE).encode()
    for content in (b"", whole[:60], whole[:-50], whole.replace(b"A", b"B"), bytes(100)):
        deployed.file(keys.b).write_bytes(content)
        assert service.decrypts(keys.a, keys.b) == [True, False]
    assert service.log.count(f"{deployed.file(keys.b)} cannot be opened") == 6
    deployed.key(keys.b)  # without a change of the manifest
    assert service.decrypts(keys.a, keys.b) == [True, True]


def test_a_file_that_cannot_be_opened_any_more_leaves_the_key_that_was_loaded(
    deployed: Deployed, service: Service, keys: Keys
) -> None:
    deployed.deploy(keys.a, keys.b)
    service.start()
    deployed.file(keys.a).write_bytes(b"half")
    deployed.manifest(keys.b, keys.a)
    assert service.decrypts(keys.a, keys.b) == [True, True]
    assert f"{deployed.file(keys.a)} cannot be opened" in service.log
    deployed.file(keys.a).unlink()
    assert service.decrypts(keys.a, keys.b) == [True, True]
    service.close()
    service.start()
    assert service.decrypts(keys.a, keys.b) == [False, True]


def test_a_file_with_another_key_than_the_manifest_says_is_not_used(
    deployed: Deployed, service: Service, keys: Keys
) -> None:
    deployed.deploy(keys.a)
    deployed.file(keys.a).write_text(keys.b.private_pem(PASSPHRASE))
    service.start()
    assert service.decrypts(keys.a, keys.b) == [False, False]


def test_a_plain_private_key_is_not_used(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    deployed.file(keys.a).write_text(keys.a.private_pem())
    service.start()
    assert service.decrypts(keys.a) == [False]


def test_a_damaged_manifest_leaves_what_was_loaded(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a)
    deployed.deploy(keys.b, name="partner")
    service.start()
    damaged = [
        "", "{", "[]", "null", '{"schema": 2, "keys": []}', '{"schema": 1}', '{"schema": 1, "keys": [{}]}',
        '{"schema": 1, "keys": 7}', '{"schema": 1, "keys": [{"file": 7, "fingerprint": "x"}]}', '{"schema": 1, "keys": ["x"]}',
    ]
    for seen, content in enumerate(damaged, 1):
        (deployed.path / "default" / "manifest.json").write_text(content)
        assert service.decrypts(keys.a, keys.b) == [True, True]
        assert service.log.count("manifest.json cannot be read") == seen
    deployed.deploy(keys.c)
    assert service.decrypts(keys.a, keys.b, keys.c) == [False, True, True]


def test_a_manifest_cannot_name_files_elsewhere(deployed: Deployed, service: Service, keys: Keys, tmp_path: Path) -> None:
    deployed.deploy(keys.a)
    (tmp_path / "outside.pem").write_text(keys.b.private_pem(PASSPHRASE))
    rows = [
        {"fingerprint": keys.b.fingerprint, "file": name, "state": "current"}
        for name in ("../../outside.pem", str(tmp_path / "outside.pem"), "..", "", "x\u0000y")
    ]
    document = {"schema": 1, "key_name": "default", "current": keys.b.fingerprint, "keys": rows}
    deployed.deploy(keys.c, name="partner")
    deployed.replace(deployed.path / "default" / "manifest.json", json.dumps(document).encode())
    service.start()
    assert service.decrypts(keys.b, keys.c) == [False, True]


def test_sighup_reads_every_file_again(deployed: Deployed, service: Service, keys: Keys) -> None:
    """Also one that changed without a trace: same size, time and inode."""
    deployed.deploy(keys.a)
    service.start()
    file = deployed.file(keys.a)
    before, text = file.stat(), keys.b.private_pem(PASSPHRASE)
    loaded = service.log.count(" keys: ")
    file.write_text(text.ljust(before.st_size)[:before.st_size])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert service.decrypts(keys.a) == [True]
    assert service.log.count(" keys: ") == loaded
    deployed.manifest(keys.a)
    assert service.decrypts(keys.a) == [True]
    loaded += 1
    assert service.log.count(" keys: ") == loaded
    assert "cannot be opened" not in service.log  # a new manifest does not cost opening the same files again
    service.signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while service.log.count(" keys: ") == loaded:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "cannot be opened, or is not the key" in service.log
    assert service.decrypts(keys.a) == [True]  # what was loaded stays


def test_keys_are_not_read_again_without_need(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a, keys.b)
    deployed.file(keys.b).write_bytes(b"half")
    service.start()
    for dummy in range(5):
        service.decrypts(keys.a)
    assert service.log.count(" keys: ") == 1
    assert service.log.count("cannot be opened") == 1


# -- passphrases


def test_a_change_of_the_passphrase_while_it_runs(deployed: Deployed, service: Service, keys: Keys) -> None:
    deployed.deploy(keys.a, keys.b)
    service.start()
    for key in (keys.a, keys.b):  # killed after each, as it were
        deployed.key(key, NEW_PASSPHRASE)
        assert service.decrypts(keys.a, keys.b) == [True, True]
    service.close()
    service.start(WHATSAPP_ENDPOINT_PASSPHRASE=NEW_PASSPHRASE)
    assert service.decrypts(keys.a, keys.b) == [True, True]


@pytest.mark.parametrize(("passphrase", "previous"), [(NEW_PASSPHRASE, PASSPHRASE), (PASSPHRASE, NEW_PASSPHRASE)])
def test_for_the_time_of_a_change_either_passphrase_opens(
    *, passphrase: str, previous: str, deployed: Deployed, service: Service, keys: Keys
) -> None:
    deployed.deploy(keys.a, keys.b)
    deployed.key(keys.b, NEW_PASSPHRASE)
    service.start(WHATSAPP_ENDPOINT_PASSPHRASE=passphrase)
    assert service.decrypts(keys.a, keys.b) == [passphrase == PASSPHRASE, passphrase == NEW_PASSPHRASE]
    service.close()
    service.start(WHATSAPP_ENDPOINT_PASSPHRASE=passphrase, WHATSAPP_ENDPOINT_PREVIOUS_PASSPHRASE=previous)
    assert service.decrypts(keys.a, keys.b) == [True, True]


def test_without_a_passphrase_it_does_not_start(program: Program, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WHATSAPP_")}
    command = [*map(str, program), "--keys", str(tmp_path)]
    ended = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "WHATSAPP_ENDPOINT_PASSPHRASE is not set.\n"


# -- what it is


def test_it_stands_alone(program: Program) -> None:
    text = program.path.read_text()
    assert "GNU General Public License v3.0+" in text
    assert "ansible_collections" not in text
    assert "module_utils" not in text


def test_it_needs_no_package_of_npm() -> None:
    imports = re.findall(r'from "([^"]+)"', (EXAMPLES / "flow_endpoint.mjs").read_text())
    assert len(imports) >= 5
    assert all(name.startswith("node:") for name in imports)
