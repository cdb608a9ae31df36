# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several test files use: key pairs, a clock, module parameters, and what the sandbox saw."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import http.server
import ipaddress
import json
import os
import signal
import ssl
import threading
import time
import traceback
import typing as t
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ansible.module_utils.common.parameters import PASS_VARS
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import Spec
from ansible_collections.waba.flows.plugins.module_utils._http import Deadline, Job, Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider, make_provider

Params = dict[str, t.Any]
# What each "error" of a result has.
ERROR_MEMBERS = {"code", "subcode", "type", "message", "details", "http_status", "retryable", "throttled", "fbtrace_id"}


@dataclasses.dataclass(frozen=True)
class KeyPair:
    """A key pair, with a fingerprint that is computed independently of the code under test."""

    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> KeyPair:
        return cls(rsa.generate_private_key(65537, 2048))

    @property
    def der(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.der).digest()).decode().rstrip("=")

    def private_pem(self, passphrase: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        """The private key as openssl writes it, encrypted if there is a passphrase."""
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return self.private.private_bytes(Encoding.PEM, form, encryption).decode()


class FlowRequest:
    """A Flow request opened as an endpoint with the private key does, independently of the code under test.

    ``document`` is None where the key does not fit.
    """

    def __init__(self, body: bytes, key: KeyPair) -> None:
        members = {name: base64.b64decode(value, validate=True) for name, value in json.loads(body).items()}
        assert set(members) == {"encrypted_flow_data", "encrypted_aes_key", "initial_vector"}
        self.iv = members["initial_vector"]
        oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        try:
            self.aes_key = key.private.decrypt(members["encrypted_aes_key"], oaep)
        except ValueError:
            self.document = None
            return
        self.document = json.loads(AESGCM(self.aes_key).decrypt(self.iv, members["encrypted_flow_data"], None))

    def encrypt(self, text: bytes, *, inverted: bool = True) -> bytes:
        """Return an encrypted answer, not in base64 yet."""
        iv = bytes(255 - byte for byte in self.iv) if inverted else self.iv
        return AESGCM(self.aes_key).encrypt(iv, text, None)

    def answer(self, document: t.Any) -> bytes:
        """Return the body of an answer as it should be."""
        return base64.b64encode(self.encrypt(json.dumps(document).encode()))


class Keys(t.NamedTuple):
    """Four different key pairs."""

    a: KeyPair
    b: KeyPair
    c: KeyPair
    d: KeyPair


class Clock:
    """Time that passes only while somebody sleeps; ``slept`` lists each sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds


def internal_arguments(**options: t.Any) -> Params:
    """Return what Ansible hands a module besides its options; newer versions are asked for the invocation."""
    if "inject_invocation" in PASS_VARS:
        options["inject_invocation"] = True
    return {f"_ansible_{name}": value for name, value in options.items()}


def module_params(spec: Spec, **given: t.Any) -> Params:
    """The parameters that AnsibleModule would hand over: those given, and None or the default for the rest."""
    unknown = set(given) - set(spec)
    assert not unknown, f"no such option: {unknown}"
    params: Params = {}
    for name, option in spec.items():
        value = given.get(name, option.get("default"))
        if "options" in option and value is not None:
            if option["type"] == "dict":
                value = module_params(option["options"], **value)
            else:
                value = [module_params(option["options"], **row) for row in value]
        params[name] = value
    return params


def body_pieces(pem: str, size: int = 12) -> set[str]:
    """All pieces of that size of a PEM text's base64, none of which may show in a message."""
    lines = [line for line in pem.replace("\\r", "").replace("\\n", "\n").splitlines() if "-----" not in line]
    body = "".join("".join(lines).split())
    return {body[i:i + size] for i in range(len(body) - size + 1)}


def dies_after(work: t.Callable[[], object], number: int, calls: t.Sequence[str]) -> bool:
    """Do some work in a child process that is killed right after the n-th of these calls of C(os), or before the first.

    Return whether it came to that. The work itself must not fail.
    """
    child = os.fork()
    if child == 0:
        try:
            _kill_after(number, calls)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


def _kill_after(number: int, calls: t.Sequence[str]) -> None:
    counted = 0
    originals = {name: getattr(os, name) for name in calls}

    def wrap(name: str) -> t.Callable[..., t.Any]:
        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            nonlocal counted
            try:
                return originals[name](*arguments, **options)
            finally:
                counted += 1
                if counted == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        return call

    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    for name in calls:
        setattr(os, name, wrap(name))


def make_client(base_url: str, access_token: str = "sandbox-token-1", **options: t.Any) -> Provider:
    """A provider's client with a transport of its own, as the modules make it."""
    params = module_params(CONNECTION, base_url=base_url, access_token=access_token, **options)
    return make_provider(connection_of(params), Transport())


def self_signed(folder: Path) -> tuple[str, str]:
    """Write a self-signed certificate for 127.0.0.1 and its key into a folder; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def make_job(seconds: float = 30.0) -> Job:
    return Job(Deadline(seconds))


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


class Recorder:
    """A server on loopback that keeps whole requests, secrets and all, and counts connections.

    It answers each request with the next of ``answers`` (status, headers, body), the last one again and again; each after
    ``delay`` seconds.
    """

    def __init__(
        self, *answers: tuple[int, dict[str, str], t.Any], tls: tuple[str, str] | None = None, delay: float = 0.0
    ) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self._answers = list(answers) or [(200, {}, {"data": []})]
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                recorder.connections += 1
                super().setup()

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.seen.append(Seen(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
                time.sleep(delay)
                status, more, document = recorder.next_answer()
                content = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_CONNECT = answer

            def log_message(self, *arguments: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def next_answer(self) -> tuple[int, dict[str, str], t.Any]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
