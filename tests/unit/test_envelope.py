# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The encryption of Flow messages, against an endpoint's side that is written anew in the helpers."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import random
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _keys
from ansible_collections.waba.flows.plugins.module_utils._envelope import EnvelopeError, Sealed, open_answer, seal, signature
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, MissingLibrary
from ansible_collections.waba.flows.plugins.module_utils._keys import PublicKey, parse_public_key
from ansible_collections.waba.flows.tests.unit.helpers import FlowRequest, Keys

PING = {"version": "3.0", "action": "ping"}
ACTIVE = {"data": {"status": "active"}}


@pytest.fixture
def sealed(keys: Keys) -> Sealed:
    """A ping for the holder of the first key."""
    return seal(PING, parse_public_key(keys.a.pem))


@pytest.fixture
def request_seen(keys: Keys, sealed: Sealed) -> FlowRequest:
    """The same, opened by that holder."""
    return FlowRequest(sealed.body, keys.a)


# -- requests


def test_a_request_is_opened_by_the_holder_of_the_key_alone(keys: Keys, sealed: Sealed) -> None:
    assert FlowRequest(sealed.body, keys.a).document == PING
    assert FlowRequest(sealed.body, keys.b).document is None


def test_the_sizes_are_those_of_the_protocol(keys: Keys, sealed: Sealed) -> None:
    members = {name: base64.b64decode(text, validate=True) for name, text in json.loads(sealed.body).items()}
    assert len(members["initial_vector"]) == 16
    assert len(members["encrypted_aes_key"]) == 256
    assert len(FlowRequest(sealed.body, keys.a).aes_key) == 16
    assert len(members["encrypted_flow_data"]) == len(json.dumps(PING)) + 16


def test_openssl_unwraps_the_aes_key(keys: Keys, sealed: Sealed, tmp_path: Path) -> None:
    """A third implementation of OAEP, since both sides above stand on the same library."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "key.pem").write_text(keys.a.private_pem())
    (tmp_path / "wrapped").write_bytes(base64.b64decode(json.loads(sealed.body)["encrypted_aes_key"]))
    options = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
    opened = subprocess.run(
        ["openssl", "pkeyutl", "-decrypt", "-inkey", "key.pem", "-in", "wrapped",
         *(word for option in options for word in ("-pkeyopt", option))],
        cwd=tmp_path, check=True, capture_output=True,
    )
    assert opened.stdout == sealed.aes_key


def test_no_two_requests_share_key_or_iv(keys: Keys) -> None:
    made = [seal(PING, parse_public_key(keys.a.pem)) for dummy in range(20)]
    assert len({item.aes_key for item in made}) == len({item.iv for item in made}) == len({item.body for item in made}) == 20


def test_what_opens_the_answer_shows_in_no_repr(sealed: Sealed) -> None:
    assert "body" in repr(sealed)
    for secret in (sealed.aes_key, sealed.iv):
        assert repr(secret)[2:-1] not in repr(sealed)
    assert {field.name for field in dataclasses.fields(sealed) if field.repr} == {"body"}


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_key_that_is_none_is_an_error_of_ours(pem: str) -> None:
    with pytest.raises(InvalidKey, match="Nothing can be encrypted under the key SHA256:x"):
        seal(PING, PublicKey(pem, "SHA256:x"))


def test_cryptography_must_be_there(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", None)
    with pytest.raises(MissingLibrary, match=r"cryptography >= 3\.4"):
        seal(PING, parse_public_key(keys.a.pem))


# -- the signature


def test_the_signature_is_over_the_raw_body() -> None:
    expected = hmac.new(b"app-s3cret", b'{"a": 1}', hashlib.sha256).hexdigest()
    assert signature(b'{"a": 1}', "app-s3cret") == f"sha256={expected}"
    assert signature(b'{"a":1}', "app-s3cret") != signature(b'{"a": 1}', "app-s3cret")


def test_a_signature_that_is_known() -> None:
    """The example of GitHub, which signs webhooks in the same way."""
    assert signature(b"Hello, World!", "It's a Secret to Everybody") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")


def test_a_secret_of_the_environment_that_is_not_utf8_signs_as_its_bytes() -> None:
    text = b"s\xff".decode("utf-8", "surrogateescape")
    assert signature(b"x", text) == "sha256=" + hmac.new(b"s\xff", b"x", hashlib.sha256).hexdigest()


def test_a_secret_that_is_no_text_is_not_shown() -> None:
    with pytest.raises(InvalidOptions, match="app_secret holds characters") as caught:
        signature(b"x", "s3cret\ud800")
    assert "s3cret" not in str(caught.value)


# -- answers


@pytest.mark.parametrize("around", [b"%s", b"%s\n", b"  %s\r\n", b"\n\t%s "])
def test_an_answer_is_opened(around: bytes, request_seen: FlowRequest, sealed: Sealed) -> None:
    assert open_answer(around % request_seen.answer(ACTIVE), sealed) == ACTIVE


@pytest.mark.parametrize("document", [ACTIVE, [], "text", None, 7, {"data": "ä€😀"}])
def test_any_document_is_returned(document: t.Any, request_seen: FlowRequest, sealed: Sealed) -> None:
    assert open_answer(request_seen.answer(document), sealed) == document


def test_the_answer_to_another_request_is_not_opened(keys: Keys, request_seen: FlowRequest) -> None:
    with pytest.raises(EnvelopeError, match="cannot be decrypted"):
        open_answer(request_seen.answer(ACTIVE), seal(PING, parse_public_key(keys.a.pem)))


def wrapped_lines(request: FlowRequest) -> bytes:
    return base64.encodebytes(request.encrypt(json.dumps({"data": "x" * 100}).encode()))


def unpadded(request: FlowRequest) -> bytes:
    return base64.b64encode(request.encrypt(b"{} ")).rstrip(b"=")


def url_safe(request: FlowRequest) -> bytes:
    """Until the text has one of the two letters that differ."""
    text = b""
    while not set(text) & set(b"-_"):
        text = base64.urlsafe_b64encode(request.encrypt(json.dumps({"x": random.random()}).encode()))
    return text


def stray_bits(request: FlowRequest) -> bytes:
    """The last letter before the padding has bits that stand for nothing: a lax decoder lets it pass."""
    text = base64.b64encode(request.encrypt(b"{} "))
    assert text.endswith(b"==")
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-3] + letters[letters.index(text[-3]) + 1:][:1] + b"=="


def plain_iv(request: FlowRequest) -> bytes:
    return base64.b64encode(request.encrypt(json.dumps(ACTIVE).encode(), inverted=False))


def changed(request: FlowRequest) -> bytes:
    encrypted = bytearray(request.encrypt(json.dumps(ACTIVE).encode()))
    encrypted[0] ^= 1
    return base64.b64encode(bytes(encrypted))


MISTAKES: list[tuple[t.Callable[[FlowRequest], bytes], str]] = [
    (lambda request: b"", "is empty"),
    (lambda request: b" \r\n", "is empty"),
    (plain_iv, "under the request's IV as it is.*Invert every bit"),
    (lambda request: json.dumps(ACTIVE).encode(), "plain JSON: it is not encrypted"),
    (lambda request: b'[{"data": 1}]', "plain JSON"),
    (lambda request: json.dumps(request.answer(ACTIVE).decode()).encode(), "JSON string: the text is in quotes"),
    (lambda request: b"<!doctype html><title>x</title>", "is HTML or XML"),
    (wrapped_lines, "is not base64.*in one line"),
    (url_safe, "is not base64"),
    (unpadded, "is not base64"),
    (stray_bits, "is not base64"),
    (lambda request: request.answer(ACTIVE) + b"=", "is not base64"),
    (lambda request: request.answer(ACTIVE) + b"AAAA=", "is not base64"),
    (lambda request: b"\xef\xbb\xbf" + request.answer(ACTIVE), "is not base64"),
    (lambda request: b"\xff\xfe\x00", "is not base64"),
    (lambda request: b"[" * 100_000, "is not base64"),
    (changed, "cannot be decrypted"),
    (lambda request: base64.b64encode(request.encrypt(b"{}")[:-16]), "cannot be decrypted.*lacks the 16-byte tag"),
    (lambda request: base64.b64encode(b"x" * 15), "cannot be decrypted"),
    (lambda request: base64.b64encode(b"x" * 16), "cannot be decrypted"),
    (lambda request: base64.b64encode(request.encrypt(b"active")), "what is in it is not JSON"),
    (lambda request: base64.b64encode(request.encrypt(b"\xff\xff")), "what is in it is not JSON"),
    (lambda request: base64.b64encode(request.encrypt(b"[" * 100_000)), "what is in it is not JSON"),
    (lambda request: base64.b64encode(request.encrypt(b"")), "what is in it is not JSON"),
]


@pytest.mark.parametrize(("make", "why"), MISTAKES)
def test_mistakes_are_named(
    make: t.Callable[[FlowRequest], bytes], why: str, request_seen: FlowRequest, sealed: Sealed
) -> None:
    with pytest.raises(EnvelopeError, match=why) as caught:
        open_answer(make(request_seen), sealed)
    assert caught.value.remedy


def mangled(text: bytes, chance: random.Random) -> bytes:
    """Put random bytes into a text, and take some out."""
    mine = bytearray(text)
    for dummy in range(chance.randrange(1, 6)):
        place = chance.randrange(len(mine) + 1)
        mine[place:place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(mine)


def test_no_garbage_raises_anything_else(request_seen: FlowRequest, sealed: Sealed) -> None:
    """Whatever opens must be what was encrypted."""
    chance = random.Random(20)
    good = request_seen.answer(ACTIVE)
    refused: list[str] = []
    for dummy in range(3000):
        text = mangled(good if chance.random() < 0.7 else b"", chance)
        try:
            opened = open_answer(text, sealed)
        except EnvelopeError as error:
            refused.append(str(error))
        else:
            assert (opened, text.strip()) == (ACTIVE, good)
    assert len(refused) > 2000
    assert not any(good[:12].decode() in message for message in refused)
