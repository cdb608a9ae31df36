# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keyrings whose files are damaged: what is refused, and what state C(recovered) makes of them."""

from __future__ import annotations

import json
import os
import random
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.waba.flows.plugins.module_utils import _generations as g
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, KeyringError, WabaError
from ansible_collections.waba.flows.plugins.module_utils._keys import fingerprint_hex16, load_private_key
from ansible_collections.waba.flows.plugins.module_utils._recovery import salvage
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params
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
    to_folder,
    to_link,
    to_pipe,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
NUMBER = "+919900000001"


def short_key() -> KeyPair:
    return KeyPair(rsa.generate_private_key(65537, 1024))  # noqa: S505 (that is what is refused)


STATE_DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:700]),
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "another schema": lambda path: path.write_text('{"schema": 0}'),
    "two current keys": lambda path: path.write_text(path.read_text().replace('"retired"', '"current"')),
    "nested": lambda path: path.write_bytes(b'{"a":' * 5000),
    "gone": lambda path: path.unlink(),
    "folder": to_folder,
    "pipe": to_pipe,
    "link": to_link,
}
KEY_DAMAGE: dict[str, Callable[[Path, Keys], object]] = {
    "cut": lambda path, keys: path.write_bytes(path.read_bytes()[:900]),
    "empty": lambda path, keys: path.write_bytes(b""),
    "binary": lambda path, keys: path.write_bytes(bytes(range(256)) * 8),
    "altered": lambda path, keys: path.write_bytes(path.read_bytes().replace(b"\nMI", b"\nMA", 1)),
    "too short": lambda path, keys: path.write_text(short_key().private_pem(PASSPHRASE)),
    "folder": lambda path, keys: to_folder(path),
    "pipe": lambda path, keys: to_pipe(path),
    "gone": lambda path, keys: path.unlink(),
}


def recover(box: Box, *held: KeyPair, **given: t.Any) -> Params:
    return box("recovered", in_use_fingerprints=[key.fingerprint for key in held], **given)


def contents(box: Box) -> list[bytes]:
    """What is in the files below the folder that are no state, lock or public half: nothing of it may be lost."""
    return sorted(path.read_bytes() for path in box.folder.iterdir() if path.is_file() and ".pem" in path.name)


def opens(pem: bytes) -> bool:
    try:
        return bool(load_private_key(pem, PASSPHRASE, "it"))
    except WabaError:
        return False


def keys_on_disk(box: Box) -> set[str]:
    found = set()
    for path in (path for path in box.folder.glob("*.pem") if path.is_file()):
        try:
            found.add(load_private_key(path.read_bytes(), PASSPHRASE, path.name).public.fingerprint)
        except (WabaError, OSError):
            continue
    return found


def predicted_and_done(box: Box, *held: KeyPair, **given: t.Any) -> Params:
    """Recover, after check mode has told the same and changed nothing, and before a second run that changes nothing."""
    before, pems, known = box.files(), contents(box), keys_on_disk(box)
    told = recover(box, *held, check_mode=True, **given)
    assert box.files() == before
    done = recover(box, *held, **given)
    ignored = ("check_mode",)
    assert {name: value for name, value in told.items() if name not in ignored} == {
        name: value for name, value in done.items() if name not in ignored}
    assert keys_on_disk(box) == known
    assert not [content for content in pems if content not in contents(box) and not opens(content)]
    again, files = recover(box, *held, **given), box.files()
    assert again["changed"] is False
    assert recover(box, *held, **given)["recovery"] == {"damage": None, "put_aside": [], "lost": done["recovery"]["lost"]}
    assert box.files() == files
    return done


# -- the state


@pytest.mark.attack("recovered", "keyring.json cut, emptied, binary, of another form, deleted, or not a file")
@pytest.mark.parametrize("damage", STATE_DAMAGE)
def test_a_damaged_state_is_refused_and_recovered(damage: str, box: Box, keys: Keys, maker: Maker, tmp_path: Path) -> None:
    rotated(box, keys)
    STATE_DAMAGE[damage](box.folder / "keyring.json")
    before = keys_on_disk(box)
    promoting = {"state": "promoted", "fingerprint": keys.b.fingerprint}
    for given in ({"state": "staged", "force": True}, promoting, {"state": "present"}):
        with pytest.raises(KeyringError, match=r"keyring\.json is (damaged|missing)") as caught:
            box(**given)
        assert "ansible-playbook waba.flows.recover" in str(caught.value)
        assert all(box.pem_name(key) in str(caught.value) for key in (keys.a, keys.b))
    done = predicted_and_done(box, keys.a, keys.b, keys.b, day=100)
    assert states(done) == {keys.a.fingerprint: "retired", keys.b.fingerprint: "current"}
    assert keys_on_disk(box) == before
    assert (done["changed"], maker.count) == (True, 2)
    assert len(list(box.folder.glob("keyring.json.damaged-*"))) == (damage != "gone")
    again = box("staged", day=101)
    assert (again["changed"], again["to_publish"]["fingerprint"]) == (False, keys.b.fingerprint)
    retired = next(row for row in again["generations"] if row["state"] == "retired")
    assert retired["retired_at"] == g.time_text(g.parse_time("2026-06-09T12:00:00Z"))


@pytest.mark.attack("recovered", "single bits of keyring.json altered at many places")
def test_bits_of_the_state_are_altered(
    box: Box, keys: Keys, maker: Maker, record_property: Callable[[str, object], None]
) -> None:
    """Each is refused, or is of no weight; recovered, all keys are there, in a state that a rotation can go on with."""
    rotated(box, keys)
    box("recorded", accepted={NUMBER: {"fingerprints": [keys.b.fingerprint], "certain": True}})
    path = box.folder / "keyring.json"
    good = path.read_bytes()
    refused = 0
    places = random.Random(7).sample(range(len(good) * 8), 60)
    for place in places:
        data = bytearray(good)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(data))
        try:
            box("staged")
        except KeyringError:
            refused += 1
        recover(box, keys.b, keys.b)
        known = {row["fingerprint"]: row["state"] for row in box.document()["generations"]}
        assert known[keys.b.fingerprint] in ("current", "retired")
        assert box("staged", force=known[keys.b.fingerprint] == "retired")["to_publish"] is not None
        assert {keys.a.fingerprint, keys.b.fingerprint} <= keys_on_disk(box)
        for extra in set(box.names(".pem")) - {box.pem_name(keys.a), box.pem_name(keys.b)}:
            (box.folder / extra).unlink()
    record_property("tries", len(places))
    assert refused > len(places) // 2


def test_what_numbers_accepted_and_what_was_revoked_is_kept(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    box("staged", force=True)
    box("recorded", accepted={NUMBER: {"fingerprints": [keys.b.fingerprint], "certain": True}})
    path = box.folder / "keyring.json"
    path.write_text(path.read_text().replace('"state": "pending"', '"state": "pendinG"'))
    done = predicted_and_done(box)
    assert states(done) == {keys.a.fingerprint: "revoked", keys.b.fingerprint: "current", keys.c.fingerprint: "retired"}
    assert done["accepted"][NUMBER]["fingerprints"] == [keys.b.fingerprint]


def test_salvage_takes_nothing_that_does_not_fit(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("recorded", accepted={NUMBER: {"fingerprints": [keys.b.fingerprint], "certain": True}})
    text = (box.folder / "keyring.json").read_text()
    whole = salvage((text + "]").encode())
    assert [one.fingerprint for one in whole.generations] == [keys.a.fingerprint, keys.b.fingerprint]
    assert list(whole.accepted) == [NUMBER]
    assert salvage(text.replace(keys.a.fingerprint, keys.c.fingerprint).encode()).find(keys.c.fingerprint) is None
    assert salvage(text.replace(NUMBER, "\udcff").encode("utf-8", "surrogateescape")).accepted == {}
    assert salvage(json.dumps({"pruned": [keys.d.fingerprint]})[:-1].encode()).pruned == (keys.d.fingerprint,)
    assert salvage(b"\x00" * 100) == g.Ring()


@pytest.mark.parametrize(("held", "chosen", "current"), [
    ("", "", "b"), ("a", "", "a"), ("aab", "", "a"), ("ab", "", "b"), ("d", "", "b"), ("aab", "b", "b"), ("", "a", "a"),
])
def test_which_key_is_the_current_one(*, held: str, chosen: str, current: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    (box.folder / "keyring.json").write_text("")
    given = {"fingerprint": getattr(keys, chosen).fingerprint} if chosen else {}
    done = recover(box, *(getattr(keys, letter) for letter in held), **given)
    assert done["current"] == getattr(keys, current).fingerprint
    assert done["recovery"]["lost"] == ([keys.d.fingerprint] if held == "d" else [])


def test_a_choice_that_no_file_has_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    (box.folder / "keyring.json").write_text("")
    before = box.files()
    with pytest.raises(KeyringError, match="no key file here has it") as caught:
        recover(box, fingerprint=keys.d.fingerprint)
    assert keys.a.fingerprint in str(caught.value)
    assert box.files() == before


# -- key files


@pytest.mark.attack("recovered", "a key file cut, altered, emptied, binary, of 1024 bits, missing, or no file")
@pytest.mark.parametrize("letter", "ab")
@pytest.mark.parametrize("damage", KEY_DAMAGE)
def test_a_damaged_key_file_is_put_aside(damage: str, letter: str, box: Box, keys: Keys, maker: Maker) -> None:
    """Its generation stays, so that numbers that hold it are brought to the current one."""
    rotated(box, keys)
    hit, other = (keys.a, keys.b) if letter == "a" else (keys.b, keys.a)
    KEY_DAMAGE[damage](box.pem(hit), keys)
    if letter == "b":
        with pytest.raises(KeyringError, match=r"waba\.flows\.recover|cannot be used"):
            box("staged")
    done = predicted_and_done(box, keys.b)
    assert states(done) == {hit.fingerprint: "retired", other.fingerprint: "current"}
    assert {row["fingerprint"]: row["missing"] for row in done["generations"]}[hit.fingerprint] is True
    assert done["recovery"]["lost"] == ([hit.fingerprint] if letter == "b" else [])
    assert len(list(box.folder.glob("*.pem.damaged-*"))) == (damage != "gone")
    assert box("staged")["to_publish"]["fingerprint"] == other.fingerprint


@pytest.mark.attack("recovered", "key files exchanged with each other, or in the place of another")
def test_exchanged_key_files_come_under_their_own_names(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    a, b = box.pem(keys.a), box.pem(keys.b)
    texts = a.read_bytes(), b.read_bytes()
    a.write_bytes(texts[1])
    b.write_bytes(texts[0])
    with pytest.raises(KeyringError, match=r"holds .*, not .*waba\.flows\.recover"):
        box("staged")
    done = predicted_and_done(box, keys.b)
    assert states(done) == {keys.a.fingerprint: "retired", keys.b.fingerprint: "current"}
    assert not any(row["missing"] for row in done["generations"])
    assert [row["now"] for row in done["recovery"]["put_aside"]] == [None, None]
    assert len(box.names(".pem")) == len([name for name in os.listdir(box.folder) if ".pem" in name]) == 2
    assert box("staged")["to_publish"]["fingerprint"] == keys.b.fingerprint


def test_a_copy_of_another_key_in_the_place_of_one(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box.pem(keys.b).write_bytes(box.pem(keys.a).read_bytes())
    done = predicted_and_done(box, keys.b)
    assert states(done) == {keys.a.fingerprint: "current", keys.b.fingerprint: "retired"}
    assert done["recovery"]["lost"] == [keys.b.fingerprint]


def test_a_public_half_that_does_not_fit_is_written(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    path = box.pem(keys.b).with_suffix(".pub")
    path.write_text(keys.c.pem)
    assert predicted_and_done(box, keys.b)["changed"] is True
    assert path.read_text() == keys.b.pem


def test_two_keys_that_the_state_does_not_name_become_retired_ones(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    orphaned(box, keys.c)
    orphaned(box, keys.d)
    with pytest.raises(KeyringError, match=r"waba\.flows\.recover"):
        box("staged", force=True)
    done = predicted_and_done(box, keys.a)
    assert states(done) == {keys.a.fingerprint: "current", keys.c.fingerprint: "retired", keys.d.fingerprint: "retired"}


@pytest.mark.parametrize(("suffix", "held", "known"), [
    ("", "", False), ("", "c", True), ("-imported", "", False), ("-imported", "c", True),
])
def test_what_a_kill_left_is_left_to_the_next_call_unless_a_number_holds_it(
    *, suffix: str, held: str, known: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    box()
    orphaned(box, keys.c, suffix)
    done = predicted_and_done(box, *(getattr(keys, letter) for letter in held))
    assert (keys.c.fingerprint in states(done)) is known


OTHER = "another passphrase"


@pytest.mark.attack("recovered", "recovery after a change of the passphrase that was interrupted")
@pytest.mark.parametrize("what", ["retired", "current", "pending", "unnamed, held", "state lost"])
def test_a_whole_file_under_another_passphrase_is_no_damaged_one(what: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", force=True)
    orphaned(box, keys.d)
    hit = {"retired": keys.a, "pending": keys.c, "unnamed, held": keys.d}.get(what, keys.b)
    (box.folder / box.pem_name(hit)).write_text(hit.private_pem(OTHER))
    if what == "state lost":
        (box.folder / "keyring.json").unlink()
    before = box.files()
    with pytest.raises(KeyringError, match=r"Under another passphrase .*encryption_keys_new_passphrase") as caught:
        recover(box, *[keys.b] * 9, keys.d)
    assert box.pem_name(hit) in str(caught.value)
    assert box.files() == before
    if what in ("retired", "current", "pending"):
        (box.folder / box.pem_name(keys.d)).unlink()
        assert box("staged", new_passphrase=OTHER)["current"] == keys.b.fingerprint
        assert recover(box, keys.b, passphrase=OTHER)["changed"] is False


@pytest.mark.attack("recovered", "recovery after a change of the passphrase that was interrupted")
def test_a_file_under_another_passphrase_is_done_without_where_the_current_key_is_named(
    box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    box.pem(keys.b).write_text(keys.b.private_pem(OTHER))
    done = recover(box, keys.b, fingerprint=keys.a.fingerprint)
    assert states(done) == {keys.a.fingerprint: "current", keys.b.fingerprint: "retired"}
    assert len(list(box.folder.glob("*.pem.damaged-*"))) == 1


def test_what_nothing_needs_under_another_passphrase_is_put_aside(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    orphaned(box, keys.d)
    (box.folder / box.pem_name(keys.d)).write_text(keys.d.private_pem(OTHER))
    assert states(recover(box, keys.b))[keys.b.fingerprint] == "current"


def copied(box: Box, key: KeyPair) -> Path:
    """Another file of a key, as a backup that was put back under an older name."""
    path = box.folder / f"20250101T000000Z-{fingerprint_hex16(key.fingerprint)}.pem"
    path.write_bytes(box.pem(key).read_bytes())
    path.chmod(0o600)
    return path


@pytest.mark.attack("secret", "copies and damaged files of a key that a recovery came by, before the key was revoked or removed")
@pytest.mark.parametrize("way", ["revoked", "pruned"])
def test_nothing_of_a_key_survives_its_end(way: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    copied(box, keys.a)
    done = predicted_and_done(box, keys.b)
    assert [row["now"] for row in done["recovery"]["put_aside"]] == [None]
    copied(box, keys.a).write_text("cut")
    recover(box, keys.b)
    assert len(list(box.folder.glob("2025*.pem.damaged-*"))) == 1
    given: Params = {"fingerprint": keys.a.fingerprint} if way == "revoked" else {"day": 400.0}
    assert box(way, in_use_fingerprints=[keys.b.fingerprint], **given)["removed"] == [keys.a.fingerprint]
    ending = fingerprint_hex16(keys.a.fingerprint)
    assert [name for name in os.listdir(box.folder) if ending in name] == []


@pytest.mark.attack("secret", "copies of a key that stay under the old passphrase")
def test_no_copy_stays_under_the_old_passphrase(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    copied(box, keys.b)
    recover(box, keys.b)
    box("staged", new_passphrase=OTHER)
    assert not [path.name for path in box.folder.glob("*.pem*") if opens(path.read_bytes())]


# -- what is left alone


@pytest.mark.attack("recovered", "files of others beside the keys")
def test_files_that_are_not_ours_stay_as_they_are(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    (box.folder / "corporate-ca.pem").write_text("a certificate")
    (box.folder / "backup-of-key.pem").write_bytes(box.pem(keys.b).read_bytes())
    before = box.files()
    done = recover(box, keys.a, day=9)
    assert (done["changed"], box.files()) == (False, before)
    box.pem(keys.a).write_text("damaged")
    recover(box, keys.b)
    assert {"corporate-ca.pem", "backup-of-key.pem"} <= set(box.names(".pem"))


@pytest.mark.attack("recovered", "files of others beside the keys")
def test_a_recovery_cleans_up_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    key = box.pem(keys.a).read_bytes()
    path = box.pem(keys.a)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path.write_bytes(key)
    path.chmod(0o600)
    before = box.files()
    done = recover(box, keys.b)
    assert (done["changed"], done["removed"], box.files()) == (False, [], before)
    assert box("staged")["removed"] == [keys.a.fingerprint]


def test_a_keyring_that_is_not_damaged_is_left_alone(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", force=True)
    before = box.files()
    assert recover(box)["changed"] is False
    assert box.files() == before


@pytest.mark.attack("recovered", "recovery under the wrong passphrase, or where no key file is left")
@pytest.mark.parametrize("damaged", [False, True])
def test_with_the_wrong_passphrase_nothing_is_touched(damaged: bool, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    if damaged:
        (box.folder / "keyring.json").write_text("")
    before = box.files()
    with pytest.raises(KeyringError, match="None of the 2 key files"):
        recover(box, passphrase="a wrong passphrase")
    assert box.files() == before


def test_without_any_key_file_there_is_nothing_to_recover(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    for name in box.names(".pem"):
        (box.folder / name).unlink()
    with pytest.raises(KeyringError, match="There is no key file"):
        recover(box)


def test_a_keyring_that_is_not_there_is_not_made(box: Box) -> None:
    with pytest.raises(KeyringError, match="There is no keyring"):
        recover(box)
    assert not box.folder.exists()


def test_what_numbers_hold_has_to_be_told(box: Box) -> None:
    with pytest.raises(InvalidOptions, match="needs in_use_fingerprints"):
        box("recovered")


@pytest.mark.attack("secret", "messages and results of refused and recovered keyrings searched for keys and passphrases")
def test_neither_refusals_nor_results_hold_a_secret(box: Box, keys: Keys, maker: Maker) -> None:
    box(**IMPORTS["plain"](keys.d))
    box("staged", force=True)
    (box.folder / "keyring.json").write_text("")
    box.pem_name(keys.d)
    with pytest.raises(KeyringError) as caught:
        box("staged")
    texts = str(caught.value) + json.dumps(recover(box))
    assert not [piece for piece in private_pieces(keys) if piece in texts]
    assert PASSPHRASE not in texts
