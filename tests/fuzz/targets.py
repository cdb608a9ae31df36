# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: parsers with the law that must hold of them, and what they are fed first.

Each target is made of its seeds and its law. Imported within C(atheris.instrument_imports), by the child of the tests alone.
"""

from __future__ import annotations

import base64
import functools
import json
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._envelope import seal
from ansible_collections.waba.flows.plugins.module_utils._keys import PublicKey
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.tests.unit import laws
from ansible_collections.waba.flows.tests.unit.heard import Listener, read_law, write_law
from ansible_collections.waba.flows.tests.unit.helpers import FlowRequest, KeyPair
from ansible_collections.waba.flows.tests.unit.key_texts import private_keys, public_texts
from tests.fuzz import planted

Law = t.Callable[[bytes], None]
Target = tuple[list[bytes], Law]
_STATUSES = (200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 503)
_FINGERPRINT = "SHA256:" + "A" * 43


def _pem() -> Target:
    key, other = KeyPair.generate(), KeyPair.generate()
    private, pieces = private_keys(key)

    def law(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        laws.public_key_law(text, pieces)
        laws.published_key_law(text, pieces)
        laws.fingerprint_law(text, pieces)
        laws.private_key_law(data, "a passphrase", pieces)

    return [text.encode() for text in [*public_texts(key, other), *private, key.fingerprint]], law


def _answers() -> Target:
    pem = KeyPair.generate().pem
    listeners = [Listener(name) for name in PROVIDERS]
    row = {"business_public_key": pem, "business_public_key_signature_status": "VALID"}
    error = {"message": "no", "code": 190, "type": "OAuthException", "error_data": {"details": "d"}, "is_transient": True}
    documents: list[t.Any] = [
        {"data": [row]}, {"data": row}, row, {"data": []}, {"encryption": row, "status": "success"}, {"error": error},
        {"businessPublicKey": pem, "businessPublicKeySignatureStatus": "VALID"}, {"success": True},
        {"__type": "ThrottlingException", "message": "no"},
        {"errors": [{"code": 1005, "title": "t", "details": "d"}]}, {"users": [{"token": "t"}]}, {"meta": {}},
        {"status": "error", "code": 429, "message": "m"}, {"code": "WA-400", "error": {"message": "m"}},
        {"data": {"success": "true"}},
    ]

    def law(data: bytes) -> None:
        listener, status = listeners[data[0] % len(listeners)], _STATUSES[data[1] % len(_STATUSES)]
        if data[2] % 4:
            read_law(listener, status, {}, data[3:])
        else:
            write_law(listener, pem, status, {}, data[3:])

    seeds = [bytes((provider, status, which)) + json.dumps(document).encode()
             for provider in range(len(listeners)) for status, which in ((0, 1), (5, 1), (0, 0)) for document in documents]
    return seeds, lambda data: law(data) if len(data) > 3 else None


def _files() -> Target:
    generation = {"id": "20260301T120000Z-00", "fingerprint": _FINGERPRINT, "state": "current", "origin": "generated",
                  "created_at": "2026-03-01T12:00:00Z", "retired_at": None}
    accepted = {"12": {"fingerprints": [_FINGERPRINT], "certain": True, "at": "2026-03-01T12:00:00Z"}}
    rings = [{"schema": 1, "generations": [{**generation, "state": state}], "accepted": accepted, "pruned": [_FINGERPRINT]}
             for state in ("current", "pending", "retired", "revoked", "lost")]
    manifest = {"schema": 1, "key_name": "default", "current": _FINGERPRINT,
                "keys": [{"fingerprint": _FINGERPRINT, "file": "a.pem", "state": "current"}]}
    lease = {"schema": 1, "owner": "x", "taken_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-01T13:00:00Z"}
    of_kind: tuple[Law, ...] = (laws.keyring_law, laws.manifest_law, laws.lease_law)
    seeds = [b"\0" + json.dumps(ring).encode() for ring in rings]
    seeds += [b"\1" + json.dumps(manifest).encode(), b"\2" + json.dumps(lease).encode()]
    return seeds, lambda data: of_kind[data[0] % 3](data[1:]) if data else None


def _headers() -> Target:
    names = ("retry-after", "x-app-usage", "x-business-use-case-usage")
    usage = b'{"call_count": 85, "total_cputime": 3.5, "estimated_time_to_regain_access": 7}'

    def law(data: bytes) -> None:
        values = data.decode("latin-1").split("\n")
        laws.headers_law(dict(zip(names, values)))

    return [b"7", b"\n" + usage, b"nan\n{}\n{\"12\": [" + usage + b"]}", b"Wed, 21 Oct 2026 07:28:00 GMT\n[]\n{}"], law


def _options() -> Target:
    plan = [{"name": str(number), "publish": number % 3 > 0, "key_name": "default"} for number in range(40)]

    def law(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        laws.duration_law(text)
        laws.waves_law(plan, text)
        laws.waves_law(plan, text.split(";"))

    return [b"90d", b" 12 h", b"3600", b"1, 10%, 100%", b"1;10%;100%", b"5;5"], law


def _pings() -> Target:
    key = KeyPair.generate()
    sealed = seal({"action": "ping"}, PublicKey(key.pem, key.fingerprint))
    opened = FlowRequest(sealed.body, key)
    active = opened.answer({"data": {"status": "active"}})

    def law(data: bytes) -> None:
        if data[0] % 2:
            laws.sealed_answer_law(data[1:], sealed, active)
            return
        body = base64.b64encode(opened.encrypt(data[1:]))
        laws.sealed_answer_law(body, sealed, body if laws.is_json(data[1:]) else None)

    return [b"\1" + active, b"\1{}", b"\1<html>", b'\1"AA=="', b'\0{"data": {"status": "active"}}', b"\0\xff"], \
        lambda data: law(data) if data else None


def _planted() -> Target:
    return [b"{}"], functools.partial(_call, planted.parse)


def _call(parse: t.Callable[[bytes], int], data: bytes) -> None:
    assert parse(data) == len(data)


TARGETS: dict[str, t.Callable[[], Target]] = {
    "pem": _pem, "answers": _answers, "files": _files, "headers": _headers, "options": _options, "pings": _pings,
    "planted": _planted,
}
