# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of a keyring: exact, refused where the source is the older one, and safe against what a source may hold."""

from __future__ import annotations

import copy
import json
import os
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, KeyringError, WabaError
from ansible_collections.waba.flows.plugins.module_utils._keys import PrivateKey, fingerprint_hex16, load_private_key
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    IMPORTS,
    PASSPHRASE,
    Box,
    Maker,
    box_fixture,
    copy_of,
    maker_fixture,
    orphaned,
    private_pieces,
    rotated,
    states,
    to_link,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
COPY_PASSPHRASE = "a passphrase of the copy"


@pytest.fixture
def vault(box: Box, keys: Keys, maker: Maker) -> Box:
    """Key a is retired, b current, c pending."""
    rotated(box, keys)
    box("staged", force=True)
    return box


@pytest.fixture
def replica(box: Box) -> Box:
    """A place for a copy; nothing is there yet."""
    return Box(box.path.with_name("copies"))


def mirror(replica: Box, source: Params, **given: t.Any) -> Params:
    return replica("mirrored", **{"passphrase": COPY_PASSPHRASE, "source": source, **given})


def check_is_copy(replica: Box, vault: Box, passphrase: str = COPY_PASSPHRASE) -> None:
    assert replica.document() == vault.document()
    kept = {row["id"]: row["fingerprint"] for row in vault.document()["generations"] if row["state"] != "revoked"}
    assert replica.names(".pem") == sorted(name + ".pem" for name in kept)
    assert replica.names(".pub") == sorted(name + ".pub" for name in kept)
    for identity, fingerprint in kept.items():
        pem = (replica.folder / f"{identity}.pem").read_bytes()
        assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        assert load_private_key(pem, passphrase, identity).public.fingerprint == fingerprint
        assert (replica.folder / f"{identity}.pub").read_bytes() == (vault.folder / f"{identity}.pub").read_bytes()
        assert (replica.folder / f"{identity}.pem").stat().st_mode & 0o777 == 0o600


# -- an exact copy


def test_a_copy_is_exact_and_again_changes_nothing(vault: Box, replica: Box, keys: Keys) -> None:
    source = copy_of(vault, COPY_PASSPHRASE)
    result = mirror(replica, source)
    assert (result["changed"], result["removed"], result["current"], result["pending"]) == (
        True, [], keys.b.fingerprint, keys.c.fingerprint)
    assert result["to_publish"] == {"fingerprint": keys.c.fingerprint, "business_public_key": keys.c.pem, "state": "pending"}
    check_is_copy(replica, vault)
    before = replica.files()
    again = mirror(replica, source, day=100)
    assert (again["changed"], again["diff"]) == (False, {})
    assert replica.files() == before


def test_keys_that_are_there_already_need_not_be_sent(vault: Box, replica: Box) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert mirror(replica, {**copy_of(vault, COPY_PASSPHRASE), "private_keys": {}})["changed"] is False
    assert mirror(replica, {**copy_of(vault, COPY_PASSPHRASE), "private_keys": None, "accepted": None})["changed"] is False


def test_a_copy_of_a_copy_rebuilds_the_source(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    rebuilt = Box(vault.path.with_name("rebuilt"))
    mirror(rebuilt, copy_of(replica, PASSPHRASE, COPY_PASSPHRASE), passphrase=PASSPHRASE)
    check_is_copy(rebuilt, vault, PASSPHRASE)
    assert rebuilt("staged", required_fingerprints=[keys.b.fingerprint, keys.c.fingerprint])["changed"] is False


def test_a_copy_follows_a_rotation(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    kept = replica.pem(keys.b).stat().st_mtime_ns
    vault("promoted", fingerprint=keys.c.fingerprint, day=20)
    vault("staged", force=True, in_use_fingerprints=[keys.a.fingerprint])
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert result["changed"] is True
    check_is_copy(replica, vault)
    assert replica.pem(keys.b).stat().st_mtime_ns == kept
    assert result["diff"]["after"].endswith(f"{keys.d.fingerprint} pending\n")


def test_what_numbers_accepted_is_copied(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    noted = vault("recorded", accepted={"1": {"fingerprints": [keys.b.fingerprint, keys.c.fingerprint]}})["accepted"]
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert (result["changed"], result["accepted"]) == (True, noted)
    check_is_copy(replica, vault)
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE))["changed"] is False


def test_keys_that_were_pruned_or_revoked_are_destroyed(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    vault("promoted", fingerprint=keys.c.fingerprint)
    vault("pruned", in_use_fingerprints=[keys.b.fingerprint], day=400)
    vault("revoked", fingerprint=keys.b.fingerprint, in_use_fingerprints=[])
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert (result["changed"], sorted(result["removed"])) == (True, sorted([keys.a.fingerprint, keys.b.fingerprint]))
    assert result["pruned"] == [keys.a.fingerprint]
    check_is_copy(replica, vault)
    assert len(replica.names(".pem")) == 1
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE))["changed"] is False


def test_a_file_that_a_kill_left_of_a_revoked_key_is_destroyed(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path = replica.pem(keys.a)
    content = path.read_bytes()
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    path.write_bytes(content)
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert (result["changed"], result["removed"], path.exists()) == (True, [keys.a.fingerprint], False)


def test_the_same_key_under_another_name_is_not_left_behind(box: Box, replica: Box, keys: Keys) -> None:
    """It was imported on either host: a file that nothing names would outlive a revocation."""
    box(day=0, **IMPORTS["plain"](keys.d))
    replica(day=1, passphrase=COPY_PASSPHRASE, **IMPORTS["plain"](keys.d))
    result = mirror(replica, copy_of(box, COPY_PASSPHRASE))
    assert (result["changed"], result["removed"]) == (True, [])
    check_is_copy(replica, box)


def test_files_that_are_not_of_this_keyring_are_left_alone(vault: Box, replica: Box, keys: Keys) -> None:
    others = [orphaned(replica, keys.d, passphrase=COPY_PASSPHRASE)]
    for name in ("backup.pem", f"20260301T110000Z-{fingerprint_hex16(keys.a.fingerprint)}.pem", "notes.txt"):
        others.append(replica.folder / name)
        others[-1].write_text("not one of ours")
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    mirror(replica, copy_of(vault, COPY_PASSPHRASE), force=True)
    assert all(path.exists() for path in others)


def test_numbers_that_were_seen_are_the_source_s_to_note(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE), in_use_fingerprints=[keys.a.fingerprint, keys.c.fingerprint], day=50)
    check_is_copy(replica, vault)


def test_the_lease_is_not_copied(vault: Box, replica: Box) -> None:
    vault("staged", lease_owner="here")
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert not (replica.folder / "lease.json").exists()


def test_an_empty_source_makes_an_empty_copy(box: Box, replica: Box) -> None:
    assert mirror(replica, copy_of(box, COPY_PASSPHRASE))["changed"] is False
    assert replica.names(".pem") == []


# -- what is wrong here and is mended


DAMAGE: dict[str, t.Callable[[Path, Keys], object]] = {
    "missing": lambda path, keys: path.unlink(),
    "truncated": lambda path, keys: path.write_bytes(path.read_bytes()[:900]),
    "empty": lambda path, keys: path.write_text(""),
    "under another passphrase": lambda path, keys: path.write_text(keys.b.private_pem("another passphrase")),
    "another key": lambda path, keys: path.write_text(keys.a.private_pem(COPY_PASSPHRASE)),
    "a link": lambda path, keys: to_link(path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_key_that_does_not_open_here_is_written_again(damage: str, vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    DAMAGE[damage](replica.pem(keys.b), keys)
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE), check_mode=True)["changed"] is True
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE))["changed"] is True
    check_is_copy(replica, vault)


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_that_is_not_sent_either_is_an_error_and_nothing_is_changed(
    damage: str, vault: Box, replica: Box, keys: Keys
) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    DAMAGE[damage](replica.pem(keys.b), keys)
    vault("promoted", fingerprint=keys.c.fingerprint)
    before = replica.files()
    source = copy_of(vault, COPY_PASSPHRASE)
    del source["private_keys"][vault.pem(keys.b).stem]
    with pytest.raises(KeyringError, match=r"neither usable in .* nor among the source's") as caught:
        mirror(replica, source)
    assert keys.b.fingerprint in str(caught.value)
    assert replica.files() == before


def test_a_public_half_that_is_wrong_or_missing_is_written(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    replica.pem(keys.a).with_suffix(".pub").unlink()
    replica.pem(keys.c).with_suffix(".pub").write_text(keys.a.pem)
    predicted = mirror(replica, copy_of(vault, COPY_PASSPHRASE), check_mode=True)
    result = mirror(replica, {**copy_of(vault, COPY_PASSPHRASE), "private_keys": {}})
    assert {**predicted, "check_mode": False} == result
    assert result["changed"] is True
    check_is_copy(replica, vault)


def test_another_passphrase_of_the_copy_is_followed(vault: Box, replica: Box) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert mirror(replica, copy_of(vault, PASSPHRASE), passphrase=PASSPHRASE)["changed"] is True
    check_is_copy(replica, vault, PASSPHRASE)


# -- a source that was lost or is older


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("lost", ["pending", "current", "all"])
def test_a_source_that_does_not_know_what_this_copy_has_is_refused(
    *, lost: str, check_mode: bool, vault: Box, replica: Box, keys: Keys
) -> None:
    source = copy_of(vault, COPY_PASSPHRASE)
    mirror(replica, source)
    unknown = {"pending": [keys.c], "current": [keys.b], "all": [keys.b, keys.c]}[lost]
    rows = [row for row in source["generations"] if row["fingerprint"] not in [key.fingerprint for key in unknown]]
    older = {**source, "generations": [] if lost == "all" else rows}
    before = replica.files()
    with pytest.raises(KeyringError, match="the source was lost or is older than this copy") as caught:
        mirror(replica, older, check_mode=check_mode)
    assert all(key.fingerprint in str(caught.value) for key in unknown)
    assert "ansible-playbook waba.flows.restore -e encryption_keys_restore_from=HOST" in str(caught.value)
    assert replica.files() == before


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_revoked_key_does_not_come_back_from_an_older_source(
    check_mode: bool, vault: Box, replica: Box, keys: Keys
) -> None:
    older = copy_of(vault, COPY_PASSPHRASE)
    vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    before = replica.files()
    with pytest.raises(KeyringError, match="as revoked, which the source has not, and change 5 where ") as caught:
        mirror(replica, older, check_mode=check_mode)
    assert keys.a.fingerprint in str(caught.value)
    assert replica.files() == before
    assert mirror(replica, older, force=True)["changed"] is True


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_retired_key_that_the_source_never_knew_is_kept(
    check_mode: bool, vault: Box, replica: Box, keys: Keys
) -> None:
    """Numbers may hold it. The same once the source has pruned it: then it goes."""
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    source = copy_of(vault, COPY_PASSPHRASE)
    source["generations"] = source["generations"][1:]
    before = replica.files()
    for pruned in ([], None, [keys.d.fingerprint]):
        with pytest.raises(KeyringError, match=", which the source does not know: the source was lost or is older") as caught:
            mirror(replica, {**source, "pruned": pruned}, check_mode=check_mode)
        assert keys.a.fingerprint in str(caught.value)
        assert keys.b.fingerprint not in str(caught.value)
    assert replica.files() == before
    result = mirror(replica, {**source, "pruned": [keys.a.fingerprint]}, check_mode=check_mode)
    assert (result["removed"], result["pruned"]) == ([keys.a.fingerprint], [keys.a.fingerprint])


def test_a_key_revoked_here_that_the_source_never_knew_is_not_forgotten(vault: Box, replica: Box, keys: Keys) -> None:
    older = copy_of(vault, COPY_PASSPHRASE)
    older["generations"] = older["generations"][1:]
    vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    with pytest.raises(KeyringError, match="which the source does not know"):
        mirror(replica, older)
    assert states(replica("read"))[keys.a.fingerprint] == "revoked"


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_source_that_counts_fewer_changes_is_refused(check_mode: bool, vault: Box, replica: Box, keys: Keys) -> None:
    """Both know the same keys, but the copy knows what became of them, and of numbers, since then."""
    older = copy_of(vault, COPY_PASSPHRASE)
    vault("rolled_back", fingerprint=keys.a.fingerprint)
    vault("recorded", accepted={"106": {"fingerprints": [keys.a.fingerprint], "certain": True}}, day=vault.day - 1)
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert replica.document()["serial"] == vault.document()["serial"] == older["serial"] + 2
    before = replica.files()
    with pytest.raises(KeyringError, match=rf"has change {older['serial'] + 2} where the source has {older['serial']}: "):
        mirror(replica, older, check_mode=check_mode)
    assert replica.files() == before
    forced = mirror(replica, older, force=True)
    assert (forced["serial"], forced["accepted"]) == (older["serial"], older["accepted"])


def test_copies_of_versions_that_did_not_count_are_brought_up_to_date(vault: Box, replica: Box) -> None:
    older = {**copy_of(vault, COPY_PASSPHRASE), "serial": 0}
    mirror(replica, older)
    vault("staged", force=True, in_use_fingerprints=[row["fingerprint"] for row in older["generations"]], day=vault.day + 1)
    newer = {**copy_of(vault, COPY_PASSPHRASE), "serial": 0}
    assert newer["generations"] != older["generations"]
    assert mirror(replica, newer)["changed"] is True
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE))["serial"] == vault.document()["serial"] > 0


def test_what_is_the_same_counts_as_no_change(vault: Box) -> None:
    before = vault.document()
    vault("staged")
    vault("read")
    assert vault.document() == before


def test_a_vault_rebuilt_from_an_older_copy_does_not_take_keys_from_a_newer_one(
    vault: Box, replica: Box, keys: Keys
) -> None:
    older = copy_of(vault, COPY_PASSPHRASE)
    vault("promoted", fingerprint=keys.c.fingerprint)
    vault("staged", force=True)
    vault("rolled_back", fingerprint=keys.c.fingerprint)  # d is retired now, and a number may hold it
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    rebuilt = Box(vault.path.with_name("rebuilt"))
    mirror(rebuilt, older)
    rebuilt("promoted", fingerprint=keys.c.fingerprint, passphrase=COPY_PASSPHRASE)
    before = replica.files()
    with pytest.raises(KeyringError, match="the source was lost or is older than this copy") as caught:
        mirror(replica, copy_of(rebuilt, COPY_PASSPHRASE, COPY_PASSPHRASE))
    assert keys.d.fingerprint in str(caught.value)
    assert replica.files() == before


def test_a_copy_remembers_what_was_pruned_so_that_a_rebuilt_source_knows_it(vault: Box, replica: Box, keys: Keys) -> None:
    lagging = Box(vault.path.with_name("lagging"))
    mirror(lagging, copy_of(vault, COPY_PASSPHRASE))
    vault("pruned", in_use_fingerprints=[], day=400)
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert replica("read")["pruned"] == [keys.a.fingerprint]
    rebuilt = Box(vault.path.with_name("rebuilt"))
    mirror(rebuilt, copy_of(replica, PASSPHRASE, COPY_PASSPHRASE), passphrase=PASSPHRASE)
    check_is_copy(rebuilt, vault, PASSPHRASE)
    assert mirror(lagging, copy_of(rebuilt, COPY_PASSPHRASE))["removed"] == [keys.a.fingerprint]


def test_a_key_that_was_pruned_and_imported_again_is_copied_again(vault: Box, replica: Box, keys: Keys) -> None:
    vault("pruned", in_use_fingerprints=[], day=400)
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    vault(**IMPORTS["plain"](keys.a))
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    assert (result["pruned"], states(result)[keys.a.fingerprint]) == ([], "retired")
    check_is_copy(replica, vault)


def test_a_pending_key_that_the_source_gave_up_is_no_loss(vault: Box, replica: Box, keys: Keys) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    vault("rolled_back", fingerprint=keys.b.fingerprint)
    assert mirror(replica, copy_of(vault, COPY_PASSPHRASE))["pending"] is None
    check_is_copy(replica, vault)


def test_force_takes_the_source_all_the_same(vault: Box, replica: Box, keys: Keys) -> None:
    replica(passphrase=COPY_PASSPHRASE, **IMPORTS["plain"](keys.d))
    with pytest.raises(KeyringError, match="the source was lost or is older"):
        mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    predicted = mirror(replica, copy_of(vault, COPY_PASSPHRASE), force=True, check_mode=True)
    result = mirror(replica, copy_of(vault, COPY_PASSPHRASE), force=True)
    assert {**predicted, "check_mode": False} == result
    assert result["removed"] == [keys.d.fingerprint]
    check_is_copy(replica, vault)


# -- the order of things


@pytest.mark.attack("durable", "the order of writing, syncing and naming, call by call")
def test_the_state_names_no_key_that_is_not_durable_and_no_file_is_without_a_name(
    vault: Box, replica: Box, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    vault("promoted", fingerprint=keys.c.fingerprint)
    vault("pruned", in_use_fingerprints=[keys.b.fingerprint], day=400)
    vault("staged", force=True)
    source, events = copy_of(vault, COPY_PASSPHRASE), []
    rename, unlink = os.rename, os.unlink

    def noting_rename(old: str, new: str) -> None:
        rename(old, new)
        events.append("write " + Path(new).suffix)
        if new.endswith(".json"):
            named = [row["id"] for row in replica.document()["generations"]]
            assert {Path(name).stem for name in replica.names(".pem")} <= set(named)

    def noting_unlink(path: str) -> None:
        unlink(path)
        events.append("delete " + Path(path).suffix)

    monkeypatch.setattr(os, "rename", noting_rename)
    monkeypatch.setattr(os, "unlink", noting_unlink)
    mirror(replica, source)
    assert events == ["write .pem", "write .pub", "write .json", "delete .pub", "delete .pem", "write .json"]


def test_keys_are_opened_no_more_often_than_needed(
    vault: Box, replica: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = copy_of(vault, COPY_PASSPHRASE)
    opened: list[bytes] = []
    load = serialization.load_pem_private_key

    def counting(pem: bytes, *arguments: t.Any, **options: t.Any) -> t.Any:
        opened.append(pem)
        return load(pem, *arguments, **options)

    monkeypatch.setattr(serialization, "load_pem_private_key", counting)
    mirror(replica, source)
    assert len(opened) == 6  # each as it came, and as it was read back
    opened.clear()
    mirror(replica, source)
    assert len(opened) == 3


# -- hostile and malformed sources


def row_of(**members: t.Any) -> t.Callable[[Params], object]:
    return lambda source: source["generations"][0].update(members)


MALFORMED: dict[str, t.Callable[[Params], object]] = {
    "an id that leads elsewhere": row_of(id="../../x"),
    "an absolute id": row_of(id="/etc/x"),
    "an id with a slash": row_of(id="a/b"),
    "a hidden id": row_of(id=".lock"),
    "an id with a null": row_of(id="a\0b"),
    "an id with a line": row_of(id="a\nb"),
    "an empty id": row_of(id=""),
    "a long id": row_of(id="x" * 300),
    "an id as number": row_of(id=7),
    "a fingerprint that is none": row_of(fingerprint="SHA256:x"),
    "a fingerprint with a line": row_of(fingerprint="SHA256:" + 43 * "A" + "\n"),
    "no fingerprint": row_of(fingerprint=None),
    "an unknown state": row_of(state="lost"),
    "an unknown origin": row_of(origin="x"),
    "a bad time": row_of(created_at="yesterday"),
    "an unknown member": row_of(private_key="x"),
    "a missing member": lambda source: source["generations"][0].pop("state"),
    "pruned that is no fingerprint": lambda source: source.update(pruned=["SHA256:x"]),
    "two current": row_of(state="current"),
    "the same id twice": lambda source: source["generations"][0].update(id=source["generations"][1]["id"]),
    "the same key twice": lambda source: source["generations"][0].update(fingerprint=source["generations"][1]["fingerprint"]),
    "a row that is no mapping": lambda source: source["generations"].append("x"),
    "a private key that is no text": lambda source: source["private_keys"].update({source["generations"][0]["id"]: 7}),
}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_source_is_refused_before_anything_is_done(
    *, what: str, check_mode: bool, vault: Box, replica: Box
) -> None:
    source = copy.deepcopy(copy_of(vault, COPY_PASSPHRASE))
    MALFORMED[what](source)
    # The module's helper would refuse a row that is no mapping before; Ansible hands over what it got.
    with pytest.raises(InvalidOptions, match="source is not what a keyring returned"):
        mirror(replica, source, check_mode=check_mode)
    assert not replica.path.exists()


def with_key(box: Box, source: Params, key: KeyPair, pem: str) -> Params:
    return {**source, "private_keys": {**source["private_keys"], box.pem(key).stem: pem}}


HOSTILE: dict[str, tuple[t.Callable[[Keys], str], str]] = {
    "swapped": (lambda keys: keys.c.private_pem(COPY_PASSPHRASE), "is another one: SHA256:"),
    "plain": (lambda keys: keys.b.private_pem(), "is not encrypted"),
    "plain with a word in it": (lambda keys: "ENCRYPTED\n" + keys.b.private_pem(), "cannot be opened"),
    "another passphrase": (lambda keys: keys.b.private_pem("another passphrase"), "passphrase is wrong"),
    "nonsense": (lambda keys: "ENCRYPTED", "not a private key"),
    "empty": (lambda keys: "", "is not encrypted"),
    "no text": (lambda keys: "ENCRYPTED \ud800 PRIVATE KEY-----", "cannot be opened|not a private key|is not encrypted"),
    "public": (lambda keys: keys.b.pem, "is not encrypted"),
    "truncated": (lambda keys: keys.b.private_pem(COPY_PASSPHRASE)[:900], "cannot be opened"),
}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_private_key_that_is_not_the_generation_s_is_refused_and_nothing_is_changed(
    *, what: str, check_mode: bool, vault: Box, replica: Box, keys: Keys
) -> None:
    make, why = HOSTILE[what]
    source = with_key(vault, copy_of(vault, COPY_PASSPHRASE), keys.b, make(keys))
    with pytest.raises(KeyringError, match=why) as caught:
        mirror(replica, source, check_mode=check_mode)
    assert keys.b.fingerprint in str(caught.value)
    text = repr(caught.value.as_dict())
    assert not any(piece in text for piece in private_pieces(keys))
    assert COPY_PASSPHRASE not in text
    assert not replica.path.exists() or (replica.names(".pem"), replica.names(".json")) == ([], [])


def test_a_key_in_an_old_form_is_stored_in_ours(vault: Box, replica: Box, keys: Keys) -> None:
    des3 = keys.b.private_pem(COPY_PASSPHRASE, serialization.PrivateFormat.TraditionalOpenSSL)
    mirror(replica, with_key(vault, copy_of(vault, COPY_PASSPHRASE), keys.b, des3))
    check_is_copy(replica, vault)


def test_private_keys_that_no_generation_has_go_nowhere(vault: Box, replica: Box, keys: Keys) -> None:
    source = copy_of(vault, COPY_PASSPHRASE)
    source["private_keys"]["../../evil"] = keys.d.private_pem(COPY_PASSPHRASE)
    source["private_keys"]["extra"] = keys.d.private_pem(COPY_PASSPHRASE)
    mirror(replica, source)
    check_is_copy(replica, vault)


def test_an_id_of_this_copy_with_another_key_is_not_confused(vault: Box, replica: Box, keys: Keys) -> None:
    """A hostile source gives its key the name of a retired one here."""
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    source = copy_of(vault, COPY_PASSPHRASE)
    identity = source["generations"][0]["id"]
    source["generations"][0]["fingerprint"] = keys.d.fingerprint
    source["private_keys"][identity] = keys.d.private_pem(COPY_PASSPHRASE)
    before = replica.files()
    with pytest.raises(KeyringError, match="which the source does not know"):
        mirror(replica, source)
    assert replica.files() == before
    result = mirror(replica, {**source, "pruned": [keys.a.fingerprint]})
    assert keys.a.fingerprint not in states(result)
    opened = load_private_key((replica.folder / f"{identity}.pem").read_bytes(), COPY_PASSPHRASE, "")
    assert opened.public.fingerprint == keys.d.fingerprint


@pytest.mark.parametrize(("given", "why"), [
    ({"source": None}, "state: mirrored needs source"),
    ({"passphrase": None}, "No passphrase is given"),
    ({"passphrase": "short"}, "12 characters or more"),
    ({"new_passphrase": PASSPHRASE}, "new_passphrase goes with"),
    ({"import_private_key_content": "x"}, "A key is imported with"),
])
def test_options_that_do_not_fit_are_refused(given: Params, why: str, vault: Box, replica: Box) -> None:
    with pytest.raises(InvalidOptions, match=why):
        mirror(replica, **{"source": copy_of(vault, COPY_PASSPHRASE), **given})
    assert not replica.folder.exists() or replica.names(".pem") == []


# -- check mode


def mirrored_then(later: t.Callable[[Box, Box, Keys], object]) -> t.Callable[[Box, Box, Keys], object]:
    """There is a copy; then something happens."""
    def happen(vault: Box, replica: Box, keys: Keys) -> None:
        mirror(replica, copy_of(vault, COPY_PASSPHRASE))
        later(vault, replica, keys)
    return happen


SITUATIONS: dict[str, t.Callable[[Box, Box, Keys], object]] = {
    "first": lambda vault, replica, keys: None,
    "again": mirrored_then(lambda vault, replica, keys: None),
    "promoted": mirrored_then(lambda vault, replica, keys: vault("promoted", fingerprint=keys.c.fingerprint)),
    "pruned": mirrored_then(lambda vault, replica, keys: vault("pruned", in_use_fingerprints=[], day=400)),
    "revoked": mirrored_then(
        lambda vault, replica, keys: vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])),
    "one file lost": mirrored_then(lambda vault, replica, keys: replica.pem(keys.b).unlink()),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_check_mode_predicts_and_touches_nothing(situation: str, vault: Box, replica: Box, keys: Keys) -> None:
    SITUATIONS[situation](vault, replica, keys)
    source = copy_of(vault, COPY_PASSPHRASE)
    before = replica.files()
    predicted = mirror(replica, source, check_mode=True)
    assert replica.files() == before
    assert replica.path.exists() is (situation != "first")
    real = mirror(replica, source)
    assert {**predicted, "check_mode": False} == real


def test_check_mode_goes_on_with_what_check_mode_predicted(vault: Box, replica: Box, keys: Keys) -> None:
    """The vault host is in check mode, too: there is a throw-away key, and no private key of it."""
    vault("promoted", fingerprint=keys.c.fingerprint)
    mirror(replica, copy_of(vault, COPY_PASSPHRASE))
    staged = vault("staged", force=True, check_mode=True)
    source = {name: staged[name] for name in ("generations", "accepted", "serial")}
    before = replica.files()
    result = mirror(replica, source, check_mode=True)
    assert (result["changed"], result["predicted"], result["pending"]) == (True, True, keys.d.fingerprint)
    assert result["generations"] == staged["generations"]
    assert result["to_publish"] == staged["to_publish"]
    assert replica.files() == before
    with pytest.raises(KeyringError, match="neither usable"):
        mirror(replica, source)


def test_check_mode_with_a_first_prediction(box: Box, replica: Box, keys: Keys, maker: Maker) -> None:
    staged = box("staged", check_mode=True)
    source = {"generations": staged["generations"], "accepted": {}, "private_keys": {}}
    result = mirror(replica, source, check_mode=True)
    assert (result["changed"], result["predicted"]) == (True, True)
    assert result["generations"] == staged["generations"]
    assert not replica.path.exists()


def test_a_predicted_row_that_lies_about_its_public_key_has_none(box: Box, replica: Box, keys: Keys, maker: Maker) -> None:
    staged = box("staged", check_mode=True)
    staged["generations"][0]["business_public_key"] = keys.d.pem
    source = {"generations": staged["generations"], "accepted": {}, "private_keys": {}}
    assert mirror(replica, source, check_mode=True)["generations"][0]["business_public_key"] is None


# -- nothing private shows


def test_nothing_private_is_in_results_and_errors(vault: Box, replica: Box, keys: Keys) -> None:
    source = copy_of(vault, COPY_PASSPHRASE)
    shown = [json.dumps(mirror(replica, source, check_mode=True)), json.dumps(mirror(replica, source))]
    damaged = [
        {**source, "private_keys": {name: pem[:900] for name, pem in source["private_keys"].items()}},
        {**source, "private_keys": {name: keys.a.private_pem() for name in source["private_keys"]}},
        {**source, "generations": [{**row, "created_at": keys.a.private_pem()} for row in source["generations"]]},
        {**source, "generations": [{**row, "id": keys.a.private_pem()} for row in source["generations"]]},
    ]
    fresh = Box(replica.path.with_name("fresh"))
    for one in damaged:
        with pytest.raises(WabaError) as caught:
            mirror(fresh, one)
        shown.append(repr(caught.value.as_dict()))
    text = "".join(shown)
    assert "PRIVATE" not in text
    assert not any(piece in text for piece in private_pieces(keys))
    assert PASSPHRASE not in text
    assert COPY_PASSPHRASE not in text


def test_what_is_handed_about_does_not_show_its_keys(keys: Keys) -> None:
    assert not any(piece in repr(PrivateKey(keys.a.private)) for piece in private_pieces(keys))
