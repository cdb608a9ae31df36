# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another passphrase for a keyring: every key file, or nothing where something is in the way; and the call again."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.waba.flows.plugins.module_utils import _files, _keyring
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, KeyringError, WabaError
from ansible_collections.waba.flows.plugins.module_utils._keys import PrivateKey, load_private_key
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    IMPORTS,
    PASSPHRASE,
    Box,
    Maker,
    box_fixture,
    maker_fixture,
    orphaned,
    private_pieces,
    rotated,
    states,
    to_link,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
NEW = "the new passphrase"


@pytest.fixture
def three(box: Box, keys: Keys, maker: Maker) -> Box:
    """Key a is retired, b current, c pending."""
    rotated(box, keys)
    box("staged", force=True)
    return box


def passphrase_of(path: Path) -> str:
    """Tell under which passphrase a file is."""
    for name, passphrase in (("old", PASSPHRASE), ("new", NEW)):
        try:
            load_private_key(path.read_bytes(), passphrase, path.name)
        except InvalidKey:
            continue
        return name
    return "neither"


def passphrases(box: Box) -> list[str]:
    return [passphrase_of(path) for path in sorted(box.folder.glob("*.pem"))]


def encrypted(box: Box, number: int) -> None:
    """Encrypt so many files anew, as a call that was killed would have left it."""
    for path in sorted(box.folder.glob("*.pem"))[:number]:
        key = serialization.load_pem_private_key(path.read_bytes(), PASSPHRASE.encode())
        path.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(NEW.encode())))


CALLS: dict[str, tuple[str, t.Callable[[Keys], Params], dict[str, str]]] = {
    "present": ("present", lambda keys: {}, {"a": "retired", "b": "current", "c": "pending"}),
    "staged": ("staged", lambda keys: {"force": True}, {"a": "retired", "b": "current", "c": "pending"}),
    "promoted": ("promoted", lambda keys: {"fingerprint": keys.c.fingerprint}, {"a": "retired", "b": "retired", "c": "current"}),
    "rolled_back": ("rolled_back", lambda keys: {"fingerprint": keys.a.fingerprint},
                    {"a": "current", "b": "retired", "c": "retired"}),
    "replaced": ("staged", lambda keys: {"replace_fingerprint": keys.c.fingerprint, "force": True},
                 {"a": "retired", "b": "current", "c": "retired", "d": "pending"}),
    "import": ("present", lambda keys: IMPORTS["plain"](keys.d),
               {"a": "retired", "b": "current", "c": "pending", "d": "retired"}),
}


@pytest.mark.parametrize("done", [0, 1, 2, 3])
@pytest.mark.parametrize("call", CALLS)
def test_every_key_gets_the_new_passphrase_and_what_follows_uses_it(
    *, call: str, done: int, three: Box, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_keyring, "generate_private_key", lambda: PrivateKey(keys.d.private))
    state, given, after = CALLS[call]
    encrypted(three, done)
    outdated = [key.fingerprint for key in keys[:3] if passphrase_of(three.pem(key)) == "old"]
    before = three.files()
    predicted = three(state, new_passphrase=NEW, check_mode=True, **given(keys))
    assert three.files() == before
    result = three(state, new_passphrase=NEW, **given(keys))
    assert states(result) == {getattr(keys, name).fingerprint: expected for name, expected in after.items()}
    assert result["reencrypted"] == outdated
    assert result["changed"] is (done < 3 or call not in ("present", "staged"))
    assert passphrases(three) == ["new"] * len(after)
    assert len(outdated) == 3 - done
    compared = {**result, "check_mode": True, "predicted": predicted["predicted"], "generations": 0}
    assert {**predicted, "generations": 0} == compared
    assert len(predicted["generations"]) == len(result["generations"])
    assert three("staged", passphrase=NEW)["changed"] is False


def test_the_same_call_again_changes_nothing(three: Box) -> None:
    three(new_passphrase=NEW)
    before = three.files()
    for passphrase in (PASSPHRASE, NEW, None):
        again = three(new_passphrase=NEW, passphrase=passphrase)
        assert (again["changed"], again["reencrypted"]) == (False, [])
    assert three.files() == before


def test_only_private_keys_are_written(three: Box) -> None:
    before = three.files()
    three(new_passphrase=NEW)
    after = three.files()
    assert before.keys() == after.keys()
    assert {Path(name).suffix for name in before if before[name] != after[name]} == {".pem"}
    assert {mode for name, (dummy, mode, content) in after.items() if name.endswith(".pem")} == {0o100600}


def test_afterwards_the_old_passphrase_is_refused_with_a_hint(three: Box) -> None:
    three(new_passphrase=NEW)
    before = three.files()
    for state in ("present", "staged"):
        with pytest.raises(KeyringError, match="the passphrase is wrong") as caught:
            three(state)
        assert "after a change with new_passphrase only the new one opens it" in str(caught.value)
        assert "encryption_keys_passphrase" in str(caught.value)
    assert three.files() == before


@pytest.mark.parametrize("passphrase", [PASSPHRASE, NEW])
def test_after_an_interruption_one_of_the_two_will_not_do(passphrase: str, three: Box) -> None:
    encrypted(three, 2)
    with pytest.raises(KeyringError, match="both are needed, as passphrase and new_passphrase"):
        three(passphrase=passphrase)
    assert three(new_passphrase=NEW)["changed"] is True
    assert passphrases(three) == ["new"] * 3


def test_a_new_keyring_is_made_under_the_new_passphrase(box: Box, maker: Maker) -> None:
    result = box(new_passphrase=NEW)
    assert (result["changed"], result["reencrypted"]) == (True, [])
    assert passphrases(box) == ["new"]


def test_the_same_passphrase_is_no_change(three: Box) -> None:
    before = three.files()
    assert three(new_passphrase=PASSPHRASE)["changed"] is False
    assert three.files() == before


@pytest.mark.parametrize("suffix", ["", "-imported"])
def test_what_an_interrupted_call_left_is_encrypted_as_well(suffix: str, three: Box, keys: Keys) -> None:
    orphaned(three, keys.d, suffix)
    result = three(new_passphrase=NEW)
    assert result["reencrypted"][-1] == keys.d.fingerprint
    assert passphrases(three) == ["new"] * 4
    if not suffix:
        three("promoted", passphrase=NEW, fingerprint=keys.c.fingerprint)
        assert three("staged", passphrase=NEW, force=True)["pending"] == keys.d.fingerprint


def test_the_left_over_key_is_taken_in_the_same_call(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    orphaned(box, keys.c)
    result = box("staged", force=True, new_passphrase=NEW)
    assert (result["pending"], passphrases(box), maker.count) == (keys.c.fingerprint, ["new", "new"], 1)


def test_other_files_and_revoked_keys_are_left_alone(three: Box, keys: Keys) -> None:
    (three.folder / "backup.pem").write_text(keys.d.private_pem("something else entirely"))
    three("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    assert three(new_passphrase=NEW)["reencrypted"] == [keys.b.fingerprint, keys.c.fingerprint]


@pytest.mark.parametrize("form", ["plain", "des3"])
def test_a_file_in_another_form_is_put_right(form: str, three: Box, keys: Keys) -> None:
    old_form = serialization.PrivateFormat.TraditionalOpenSSL
    text = keys.b.private_pem() if form == "plain" else keys.b.private_pem(NEW, old_form)
    three.pem(keys.b).write_text(text)
    assert keys.b.fingerprint in three(new_passphrase=NEW)["reencrypted"]
    assert three.pem(keys.b).read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert passphrases(three) == ["new"] * 3


# -- what is in the way


IN_THE_WAY: dict[str, tuple[t.Callable[[Box, Keys], object], str]] = {
    "a damaged retired key": (lambda box, keys: box.pem(keys.a).write_text("x"), "not a private key"),
    "a retired key under another one": (
        lambda box, keys: box.pem(keys.a).write_text(keys.a.private_pem("another passphrase")), "the passphrase is wrong"),
    "swapped files": (lambda box, keys: box.pem(keys.a).write_bytes(box.pem(keys.c).read_bytes()), r"holds .*, not"),
    "a damaged current key": (lambda box, keys: box.pem(keys.b).write_text("x"), "not a private key"),
    "a missing pending key": (lambda box, keys: box.pem(keys.c).unlink(), "is missing"),
    "a left-over key under another one": (
        lambda box, keys: orphaned(box, keys.d, passphrase="another passphrase"), "move the file away"),
    "a link": (lambda box, keys: to_link(box.pem(keys.a)), "cannot be used"),
}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_cannot_be_opened_is_refused_and_nothing_is_written(
    *, what: str, check_mode: bool, three: Box, keys: Keys
) -> None:
    spoil, why = IN_THE_WAY[what]
    spoil(three, keys)
    before = three.files()
    with pytest.raises(KeyringError, match=why):
        three(new_passphrase=NEW, check_mode=check_mode)
    assert three.files() == before


def test_a_retired_key_that_is_missing_is_not_in_the_way(three: Box, keys: Keys) -> None:
    three.pem(keys.a).unlink()
    assert three(new_passphrase=NEW)["reencrypted"] == [keys.b.fingerprint, keys.c.fingerprint]


REFUSED: dict[str, tuple[str, t.Callable[[Keys], Params]]] = {
    "promoted": ("promoted", lambda keys: {"fingerprint": keys.a.fingerprint}),
    "rolled_back": ("rolled_back", lambda keys: {"fingerprint": keys.d.fingerprint}),
    "replaced": ("staged", lambda keys: {"replace_fingerprint": keys.d.fingerprint}),
    "required": ("present", lambda keys: {"required_fingerprints": [keys.d.fingerprint]}),
    "import": ("present", lambda keys: {"import_private_key_content": "nonsense"}),
    "import file": ("present", lambda keys: {"import_private_key_path": "/nonexistent"}),
}


@pytest.mark.parametrize("call", REFUSED)
def test_where_the_rest_is_refused_nothing_is_encrypted_anew(call: str, three: Box, keys: Keys) -> None:
    state, given = REFUSED[call]
    before = three.files()
    with pytest.raises(WabaError):
        three(state, new_passphrase=NEW, **given(keys))
    assert three.files() == before
    assert three()["changed"] is False


@pytest.mark.parametrize(("given", "why"), [
    ({"new_passphrase": "short"}, "new_passphrase must have 12 characters or more"),
    ({"new_passphrase": "x" * 1024}, "1023 bytes or fewer"),
    ({"new_passphrase": "\ud800" * 12}, "new_passphrase is not text"),
    ({"new_passphrase": NEW, "state": "revoked", "fingerprint": "SHA256:" + 43 * "A", "in_use_fingerprints": []}, "goes with"),
    ({"new_passphrase": NEW, "state": "pruned", "in_use_fingerprints": []}, "goes with"),
    ({"new_passphrase": NEW, "state": "read"}, "goes with"),
    ({"new_passphrase": NEW, "state": "mirrored", "source": {"generations": []}}, "goes with"),
])
def test_a_new_passphrase_that_will_not_do_is_refused(given: Params, why: str, three: Box) -> None:
    before = three.files()
    with pytest.raises(InvalidOptions, match=why) as caught:
        three(given.pop("state", "present"), **given)
    assert given["new_passphrase"] not in str(caught.value)
    assert three.files() == before


@pytest.mark.parametrize("passphrase", [None, "another passphrase"])
def test_without_the_old_passphrase_nothing_is_done(passphrase: str | None, three: Box) -> None:
    before = three.files()
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        three(new_passphrase=NEW, passphrase=passphrase)
    assert three.files() == before


# -- how it is written


def test_each_file_is_tried_before_it_takes_the_place_of_the_only_one(
    three: Box, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = three.files()
    monkeypatch.setattr(PrivateKey, "encrypted_pem", lambda self, passphrase: keys.d.private_pem(passphrase).encode())
    with pytest.raises(KeyringError, match="could not be encrypted again"):
        three(new_passphrase=NEW)
    assert three.files() == before


def test_a_file_that_does_not_read_as_it_was_written_is_an_error(three: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    write = _files.write_durably
    monkeypatch.setattr(_keyring, "write_durably", lambda path, data, mode: write(path, data[:-1], mode))
    with pytest.raises(KeyringError, match="does not read as it was written"):
        three(new_passphrase=NEW)


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_every_key_openable(call: str, three: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    original, counted = getattr(os, call), 0

    def fail(*arguments: t.Any) -> t.Any:
        nonlocal counted
        counted += 1
        if counted == 2:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(KeyringError, match="No space left on device"):
            three(new_passphrase=NEW)
    assert "neither" not in passphrases(three)
    assert three(new_passphrase=NEW)["changed"] is True
    assert passphrases(three) == ["new"] * 3


def test_nothing_private_is_in_the_result_and_in_errors(three: Box, keys: Keys) -> None:
    shown = [json.dumps(three(new_passphrase=NEW, check_mode=True)), json.dumps(three(new_passphrase=NEW))]
    three.pem(keys.a).write_text(keys.a.private_pem()[:-200])
    with pytest.raises(KeyringError) as caught:
        three(new_passphrase=PASSPHRASE, passphrase=NEW)
    text = "".join([*shown, repr(caught.value.as_dict())])
    assert NEW not in text
    assert PASSPHRASE not in text
    assert "PRIVATE" not in text
    assert not any(piece in text for piece in private_pieces(keys))
