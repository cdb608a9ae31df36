# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of key texts, private keys and sealed messages: whatever is fed is a key, or an error that quotes nothing."""

from __future__ import annotations

import base64
import functools
import time
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.module_utils import _errors, _keys
from ansible_collections.waba.flows.plugins.module_utils._envelope import EnvelopeError, Sealed, open_answer, seal
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey
from ansible_collections.waba.flows.plugins.module_utils._keys import PublicKey, parse_public_key, published_key
from ansible_collections.waba.flows.tests.unit.helpers import FlowRequest, Keys, body_pieces
from ansible_collections.waba.flows.tests.unit.key_texts import PASSPHRASE, Private, private_keys, public_texts
from ansible_collections.waba.flows.tests.unit.laws import (
    fingerprint_law,
    is_json,
    private_key_law,
    public_key_law,
    published_key_law,
    sealed_answer_law,
)
from ansible_collections.waba.flows.tests.unit.properties import ANY_TEXT, Prove, mutated, mutations, prove_fixture

FIXTURES = (prove_fixture,)  # for pytest to find


@pytest.fixture(scope="module")
def public_forms(keys: Keys) -> list[str]:
    return public_texts(keys.a, keys.b)


@pytest.fixture(scope="module")
def private(keys: Keys) -> Private:
    return private_keys(keys.a)


@pytest.fixture(scope="module")
def private_forms(private: Private) -> list[str]:
    return private.texts


@pytest.fixture(scope="module")
def pieces(private: Private) -> frozenset[str]:
    return private.pieces


# -- public keys


@pytest.mark.attack("understood", "key texts of any characters, and every form of key after random changes")
def test_any_text_is_a_key_or_an_error(prove: Prove) -> None:
    prove(public_key_law, 150, text=ANY_TEXT)
    prove(published_key_law, 150, text=ANY_TEXT)


@pytest.mark.attack("understood", "key texts of any characters, and every form of key after random changes")
def test_a_changed_key_is_that_key_or_another_or_an_error(prove: Prove, public_forms: list[str], keys: Keys) -> None:
    def law(text: str, changes: t.Any) -> None:
        public_key_law(mutated(text, changes))
        published_key_law(mutated(text, changes))

    prove(law, 500, text=st.sampled_from(public_forms), changes=mutations())
    read = [public_key_law(text) for text in public_forms]
    assert sum(key is not None and key.fingerprint == keys.a.fingerprint for key in read) == 10


@pytest.mark.attack("deadline", "megabytes of text that begins like keys again and again")
@pytest.mark.parametrize("text", [
    "-----BEGIN A-----" * 120_000, "".join(f"-----BEGIN {number:X}-----" for number in range(90_000)),
    "-" * 2_000_000, "-----BEGIN " + "A" * 2_000_000, "-----BEGIN A-----" + "A:" * 1_000_000 + "-----END A-----",
    "-----BEGIN A-----" + "a" * 2_000_000 + "-----END A-----", "\\n" * 1_000_000,
], ids=["one label", "many labels", "dashes", "a label without end", "headers", "a body without lines", "line ends"])
def test_text_costs_no_more_than_its_length(text: str) -> None:
    began = time.process_time()
    for read in (parse_public_key, published_key):
        try:
            read(text)
        except InvalidKey as error:
            assert len(str(error)) < 500
    assert time.process_time() - began < 2


# -- private keys


@pytest.mark.attack("secret", "private keys of every form, changed at random, wherever a public key or a fingerprint belongs")
def test_no_message_has_a_piece_of_a_private_key(prove: Prove, private_forms: list[str], pieces: frozenset[str]) -> None:
    assert len(pieces) > 3000

    def law(text: str, changes: t.Any) -> None:
        fed = mutated(text, changes)
        public_key_law(fed, pieces)
        fingerprint_law(fed, pieces)
        published_key_law(fed, pieces)

    prove(law, 500, text=st.sampled_from(private_forms), changes=mutations(4))


@pytest.mark.attack("secret", "private keys of every form, changed at random, where one is imported")
def test_no_message_about_an_import_has_a_piece_of_it(
    prove: Prove, private_forms: list[str], pieces: frozenset[str], unchecked: None
) -> None:
    def law(text: str, changes: t.Any, passphrase: str | None) -> None:
        private_key_law(mutated(text, changes).encode("utf-8", "surrogatepass"), passphrase, pieces)

    prove(law, 120, text=st.sampled_from(private_forms), changes=mutations(3),
          passphrase=st.sampled_from([None, "", PASSPHRASE, "another passphrase", "half of a pair: \ud800"]))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what costs most of the time of opening a key: whether its numbers fit together."""
    if _errors.version_tuple(_keys.CRYPTOGRAPHY_VERSION or "") >= (39,):
        load = functools.partial(serialization.load_pem_private_key, unsafe_skip_rsa_key_validation=True)
        monkeypatch.setattr(serialization, "load_pem_private_key", load)


@pytest.mark.attack("secret", "an API that returns a private key as the one that a number holds")
@pytest.mark.parametrize("place", range(4))
def test_a_private_key_that_an_api_returns_is_one_that_nobody_knows_and_is_not_shown(
    place: int, private_forms: list[str], pieces: frozenset[str]
) -> None:
    key = published_key(private_forms[place])
    assert key is not None
    assert key.fingerprint.startswith("SHA256:")
    assert not body_pieces(key.pem) & pieces


# -- sealed messages


@pytest.fixture(scope="module")
def sealed(keys: Keys) -> tuple[Sealed, FlowRequest]:
    made = seal({"action": "ping"}, PublicKey(keys.a.pem, keys.a.fingerprint))
    return made, FlowRequest(made.body, keys.a)


@pytest.mark.attack("proven", "answers to pings whose text, key or IV was changed, and garbage in their place")
def test_an_answer_opens_as_it_was_sent_and_not_otherwise(prove: Prove, sealed: tuple[Sealed, FlowRequest]) -> None:
    request, opened = sealed
    sent = opened.answer({"data": {"status": "active"}})
    assert open_answer(sent, request) == {"data": {"status": "active"}}

    def changed_text(changes: t.Any) -> None:
        sealed_answer_law(mutated(sent.decode(), changes).encode("utf-8", "surrogatepass"), request, sent)

    def changed_bytes(place: int, mask: int, cut: int) -> None:
        raw = bytearray(base64.b64decode(sent))
        raw[place % len(raw)] ^= mask
        sealed_answer_law(base64.b64encode(raw[:len(raw) - cut]), request, sent)

    def changed_key(place: int, mask: int, is_key: bool) -> None:
        key, iv = bytearray(request.aes_key), bytearray(request.iv)
        (key if is_key else iv)[place % 16] ^= mask
        with pytest.raises(EnvelopeError):
            open_answer(sent, Sealed(request.body, bytes(key), bytes(iv)))

    prove(changed_text, 100, changes=mutations())
    prove(changed_bytes, 100, place=st.integers(0, 10**4), mask=st.integers(1, 255), cut=st.integers(0, 60))
    prove(changed_key, 100, place=st.integers(0, 15), mask=st.integers(1, 255), is_key=st.booleans())


@pytest.mark.attack("understood", "answers of endpoints of any bytes, and any document encrypted well")
def test_any_bytes_are_an_answer_or_an_error(prove: Prove, sealed: tuple[Sealed, FlowRequest]) -> None:
    request, opened = sealed

    def any_plain_text(text: bytes) -> None:
        body = base64.b64encode(opened.encrypt(text))
        sealed_answer_law(body, request, body if is_json(text) else None)

    def any_bytes(body: bytes) -> None:
        sealed_answer_law(body, request)

    prove(any_bytes, 150, body=st.binary(max_size=200))
    prove(any_plain_text, 100, text=st.one_of(st.binary(max_size=60), st.sampled_from([b"[" * 10**5, b"9" * 5000, b"\xff"])))


@pytest.mark.attack("understood", "any document sealed, and opened as an endpoint does")
def test_what_is_sealed_is_what_an_endpoint_opens(prove: Prove, keys: Keys) -> None:
    key = PublicKey(keys.b.pem, keys.b.fingerprint)

    def law(document: dict[str, t.Any]) -> None:
        first, second = (seal(document, key) for dummy in range(2))
        assert FlowRequest(first.body, keys.b).document == document
        assert first.aes_key != second.aes_key
        assert first.iv != second.iv

    values = st.one_of(st.text(max_size=9), st.integers(), st.none())
    prove(law, 40, document=st.dictionaries(st.text(max_size=9), values, max_size=4))
