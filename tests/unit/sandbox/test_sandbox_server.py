# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files, the control interface, the request log, TLS, threads and the command line."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, DEFAULT_WABA, Sandbox, State, make_number, make_state

ROOT = Path(__file__).resolve().parents[3]
EDGE = f"/v25.0/{DEFAULT_NUMBER}/whatsapp_business_encryption"


def test_state_file_follows_every_change(request_to, pems, tmp_path):
    path = tmp_path / "state.json"
    with Sandbox(make_state(2), state_file=path) as box:
        assert request_to(box.base_url, "POST", EDGE, {"business_public_key": pems["good"]}).status == 200
        kept = State.load(path)
        assert kept == box.state
        assert kept.numbers[DEFAULT_NUMBER].business_public_key == pems["good"]
        request_to(box.base_url, "PATCH", f"/_sandbox/numbers/{DEFAULT_NUMBER}", '{"registered": false}')
        assert State.load(path).numbers[DEFAULT_NUMBER].registered is False
    assert os.listdir(tmp_path) == ["state.json"]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("data", "message"), [
    ([], "state: must be"), ({"number": {}}, "unknown member 'number'"), ({"numbers": []}, "numbers: must be"),
    ({"numbers": {"1": {}}}, r"numbers\[1\]: .*waba_id"), ({"numbers": {"1": {"waba_id": 7}}}, "waba_id must be str"),
    ({"numbers": {"1": {"waba_id": "7", "signature_status": "OK"}}}, "signature_status must be one of"),
    ({"tokens": {"secret": {"scope": 1}}}, r"tokens\[…\]: unknown member 'scope'"),
    ({"settings": {"latency": -1}}, "latency must be 0"), ({"settings": {"read_shape": "x"}}, "read_shape must be"),
])
def test_refused_states(client, box, data, message):
    with pytest.raises(ValueError, match=message):
        State.from_json(data)
    before = box.state.to_json()
    assert client("PUT", "/_sandbox/state", json.dumps(data)).status == 400
    assert box.state.to_json() == before


def test_factories():
    state = make_state(5, wabas=2)
    assert len(state.numbers) == 5
    assert len(state.wabas()) == 2
    assert make_number(key="k").signature_status == "VALID"
    assert make_number().signature_status == "MISMATCH"
    assert make_state(numbers={}, tokens={}).to_json()["tokens"] == {}


def test_control_of_state_and_settings(client, box):
    state = client("GET", "/_sandbox/state").json
    assert State.from_json(state) == box.state
    state["numbers"] = {"7": {"waba_id": DEFAULT_WABA}}
    assert client("PUT", "/_sandbox/state", json.dumps(state)).status == 200
    assert client.get("7").status == 200
    assert client.get().status == 400
    assert client("PATCH", "/_sandbox/numbers/7", '{"quality_rating": "RED"}').json["quality_rating"] == "RED"
    assert client("GET", "/v25.0/7").json["quality_rating"] == "RED"
    for path, body, status in [("numbers/7", '{"x": 1}', 400), ("numbers/7", "[]", 400), ("numbers/7", "{", 400),
                               ("numbers/8", "{}", 404), ("settings", '{"latency": "1"}', 400)]:
        assert client("PATCH", "/_sandbox/" + path, body).status == status
    assert client("PATCH", "/_sandbox/settings", '{"latency": 0.15, "read_shape": "flat"}').status == 200
    assert client("GET", "/_sandbox/settings").json["latency"] == 0.15
    started = time.monotonic()
    assert "business_public_key" in client.get("7").json
    assert time.monotonic() - started >= 0.15


def test_control_of_faults(client):
    path = "/_sandbox/faults/" + DEFAULT_NUMBER
    assert client("POST", path, '[{"kind": "html"}, {"kind": "nonsense"}]').status == 400
    assert client.get().status == 200  # none of a list with a bad entry
    assert client("POST", path, '[{"kind": "html", "status": 503}, {"kind": "empty"}]').json == {"added": 2}
    assert client.get().status == 503
    assert client("DELETE", "/_sandbox/faults").status == 200
    assert client.get().body
    client("POST", "/_sandbox/faults/*", '{"kind": "html"}')
    assert client.get().status == 502


def test_request_log(client, box, pems):
    client.post(pems["good"], query="?appsecret_proof=feedface")
    client.get("nope", token="secret-of-mine")
    log = client("GET", "/_sandbox/requests")
    first, second = log.json
    assert second.pop("at") >= first.pop("at")
    assert first == {"method": "POST", "path": EDGE, "phone_number_id": DEFAULT_NUMBER, "query": ["appsecret_proof"],
                     "content_type": "application/x-www-form-urlencoded", "status": 200, "has_app_secret_proof": True,
                     "token_hint": DEFAULT_TOKEN[:4]}
    assert (second["status"], second["content_type"], second["token_hint"]) == (401, None, "secr")
    for secret in (b"feedface", b"secret-of-mine", DEFAULT_TOKEN.encode()):
        assert secret not in log.body
    assert [record.path for record in box.posts] == [EDGE]
    client("DELETE", "/_sandbox/requests")
    assert box.requests == []


def test_many_threads(client, box):
    with ThreadPoolExecutor(16) as pool:
        assert {reply.status for reply in pool.map(lambda _n: client.get(), range(200))} == {200}
    assert len(box.requests) == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


def test_tls(request_to, certificate):
    with Sandbox(make_state(), tls=certificate) as box:
        assert box.base_url.startswith("https://127.0.0.1:")
        assert request_to(box.base_url, "GET", EDGE).status == 200
        box.fault(DEFAULT_NUMBER, "reset")
        with pytest.raises(ConnectionResetError):
            request_to(box.base_url, "GET", EDGE)
        assert box.connections == 2


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_command_line(request_to, pems, tmp_path, certificate, *, launch, stop):
    make_state().save(tmp_path / "fleet.json")
    options = ["--fleet", tmp_path / "fleet.json", "--state", tmp_path / "state.json"]
    tls = ["--tls-cert", certificate[0], "--tls-key", certificate[1]]
    for extra, method, body in [(["--verbose", *tls], "POST", {"business_public_key": pems["good"]}),
                                (["--latency", "0.2"], "GET", None)]:
        process, url = launch(tmp_path, *options, *extra)
        started = time.monotonic()
        reply = request_to(url, method, EDGE + "?appsecret_proof=feedface", body)
        assert reply.status == 200
        assert (time.monotonic() - started >= 0.2) is ("--latency" in extra)
        process.send_signal(stop)
        out, err = process.communicate(timeout=5)
        assert (process.returncode, out) == (0, "")
        # The log is silent unless asked for, and never has what a query or a header carries.
        assert err == (f"POST {EDGE} 200\n" if "--verbose" in extra else "")
    assert reply.json["data"][0]["business_public_key"] == pems["good"]  # kept over the restart


@pytest.mark.parametrize("args", [("--host", "0.0.0.0"), ("--host", "::"), ("--host", "localhost"),  # noqa: S104 (to see it refused)
                                  ("--host", "192.0.2.1"), ("--fleet", "/nonexistent"), ("--tls-cert", "x"),
                                  ("--window", "0"), ("--calls-per-hour=-1",)])
def test_command_line_refusals(args):
    command = [sys.executable, "-m", "tests.sandbox", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
