# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a keyring: what there is, whether it can be used, and the one way out for private keys."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, KeyringError
from ansible_collections.waba.flows.plugins.module_utils._keyring_options import ADDED_MEMBERS
from ansible_collections.waba.flows.plugins.module_utils._keys import load_private_key
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
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
EXPORT = "a passphrase for export"


def everything(path: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder below a path, with mtime, mode and size."""
    found = {str(one): one.lstat() for one in (path, *path.rglob("*"))}
    return {name: (status.st_mtime_ns, status.st_mode, status.st_size) for name, status in found.items()}


def usable(result: Params) -> dict[str, bool | None]:
    return {row["fingerprint"]: row["usable"] for row in result["generations"]}


@pytest.fixture
def four(box: Box, keys: Keys, maker: Maker) -> Box:
    """Key a is revoked, b retired, c current, d pending."""
    rotated(box, keys)
    box("staged", force=True)
    box("promoted", fingerprint=keys.c.fingerprint)
    box("staged", force=True)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    return box


# -- what is there


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("given", [{}, {"passphrase": None}, {"export_passphrase": EXPORT}, {"lease_owner": "here"}])
def test_a_keyring_that_does_not_exist_is_an_empty_one(given: Params, check_mode: bool, box: Box) -> None:
    result = box("read", check_mode=check_mode, **given)
    assert (result["changed"], result["generations"], result["accepted"]) == (False, [], {})
    assert (result["current"], result["pending"], result["to_publish"], result["check_mode"]) == (None, None, None, check_mode)
    assert not box.path.parent.exists()


@pytest.mark.parametrize("passphrase", [PASSPHRASE, None])
@pytest.mark.parametrize("check_mode", [False, True])
def test_reading_writes_nothing(check_mode: bool, passphrase: str | None, four: Box, keys: Keys) -> None:
    (four.folder / ".tmp-0123456789abcdef").write_text("half")
    orphaned(four, keys.a)  # a revoked key's copy, too, waits for a call that writes
    before = everything(four.path)
    result = four("read", check_mode=check_mode, passphrase=passphrase, day=900, lease_owner="here",
                  in_use_fingerprints=[keys.b.fingerprint, keys.c.fingerprint, keys.d.fingerprint])
    assert everything(four.path) == before
    assert result["changed"] is False
    rows = [{name: value for name, value in row.items() if name not in ADDED_MEMBERS} for row in result["generations"]]
    assert rows == four.document()["generations"]
    assert list(states(result).items()) == [
        (keys.a.fingerprint, "revoked"), (keys.b.fingerprint, "retired"),
        (keys.c.fingerprint, "current"), (keys.d.fingerprint, "pending")]
    assert (result["current"], result["pending"]) == (keys.c.fingerprint, keys.d.fingerprint)


def test_reading_makes_no_lock(four: Box) -> None:
    (four.folder / ".lock").unlink()
    before = everything(four.path)
    assert four("read")["current"] is not None
    assert everything(four.path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_reading_needs_no_right_to_write(four: Box) -> None:
    four.folder.chmod(0o500)
    assert four("read")["current"] is not None


def test_what_is_due_is_told(four: Box) -> None:
    assert four("read", max_age="90d")["due_at"] == "2026-06-09T12:00:00Z"


@pytest.mark.parametrize("damage", ["hello", "{}"])
def test_a_damaged_state_is_an_error(damage: str, four: Box) -> None:
    (four.folder / "keyring.json").write_text(damage)
    with pytest.raises(KeyringError, match=r"keyring\.json is damaged"):
        four("read")


def test_what_numbers_accepted_is_returned(four: Box, keys: Keys) -> None:
    noted = four("recorded", accepted={"1": {"fingerprints": [keys.c.fingerprint], "certain": True}})["accepted"]
    assert four("read")["accepted"] == four("staged")["accepted"] == noted
    assert noted["1"]["fingerprints"] == [keys.c.fingerprint]


# -- public keys


def test_rows_carry_the_public_keys_but_of_revoked_ones(four: Box, keys: Keys) -> None:
    expected = {keys.a.fingerprint: None} | {key.fingerprint: key.pem for key in (keys.b, keys.c, keys.d)}
    for result in (four("read"), four("read", passphrase=None), four("staged"), four("staged", check_mode=True),
                   four("pruned", in_use_fingerprints=[])):
        assert {row["fingerprint"]: row["business_public_key"] for row in result["generations"]} == expected
        assert [row["predicted"] for row in result["generations"]] == [False] * 4


PUBLIC_DAMAGE: dict[str, t.Callable[[Path, Keys], object]] = {
    "missing": lambda path, keys: path.unlink(),
    "another": lambda path, keys: path.write_text(keys.a.pem),
    "nonsense": lambda path, keys: path.write_text("hello"),
    "not text": lambda path, keys: path.write_bytes(b"\xff\xfe"),
    "a private key": lambda path, keys: path.write_text(keys.d.private_pem()),
    "a folder": lambda path, keys: to_folder(path),
    "a pipe": lambda path, keys: to_pipe(path),
    "a link": lambda path, keys: to_link(path),
}


@pytest.mark.parametrize("damage", PUBLIC_DAMAGE)
def test_a_public_key_that_is_not_the_generation_s_is_none(damage: str, four: Box, keys: Keys) -> None:
    PUBLIC_DAMAGE[damage](four.pem(keys.d).with_suffix(".pub"), keys)
    result = four("read")
    assert {row["fingerprint"]: bool(row["business_public_key"]) for row in result["generations"]} == {
        keys.a.fingerprint: False, keys.b.fingerprint: True, keys.c.fingerprint: True, keys.d.fingerprint: False}
    assert result["to_publish"] is None
    assert all(four("read")["generations"][number]["usable"] for number in (1, 2, 3))


def test_the_key_to_publish_is_read_as_well(four: Box, keys: Keys) -> None:
    assert four("read", passphrase=None)["to_publish"] == {
        "fingerprint": keys.d.fingerprint, "business_public_key": keys.d.pem, "state": "pending"}


def test_a_predicted_key_is_marked_so(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    rows = box("staged", force=True, check_mode=True)["generations"]
    assert [(row["predicted"], row["business_public_key"]) for row in rows] == [(False, keys.a.pem), (True, keys.b.pem)]


def test_an_imported_key_that_check_mode_does_not_write_has_its_public_half(box: Box, keys: Keys) -> None:
    rows = box(check_mode=True, import_private_key_content=keys.c.private_pem())["generations"]
    assert [(row["predicted"], row["business_public_key"]) for row in rows] == [(False, keys.c.pem)]


# -- whether keys can be used


PRIVATE_DAMAGE: dict[str, t.Callable[[Path, Keys], object]] = {
    "missing": lambda path, keys: path.unlink(),
    "truncated": lambda path, keys: path.write_bytes(path.read_bytes()[:900]),
    "under another passphrase": lambda path, keys: path.write_text(keys.b.private_pem("another passphrase")),
    "another": lambda path, keys: path.write_text(keys.a.private_pem(PASSPHRASE)),
    "a folder": lambda path, keys: to_folder(path),
    "a pipe": lambda path, keys: to_pipe(path),
    "a link": lambda path, keys: to_link(path),
}


def test_usable_tells_for_every_key_that_was_not_revoked(four: Box, keys: Keys) -> None:
    expected = {keys.a.fingerprint: None, keys.b.fingerprint: True, keys.c.fingerprint: True, keys.d.fingerprint: True}
    assert usable(four("read")) == usable(four("read", check_mode=True)) == expected


@pytest.mark.parametrize("damage", PRIVATE_DAMAGE)
def test_a_key_that_cannot_be_used_is_told_and_hides_no_other(damage: str, four: Box, keys: Keys) -> None:
    PRIVATE_DAMAGE[damage](four.pem(keys.b), keys)
    assert usable(four("read")) == {
        keys.a.fingerprint: None, keys.b.fingerprint: False, keys.c.fingerprint: True, keys.d.fingerprint: True}


def test_with_a_wrong_passphrase_none_is_usable(four: Box, keys: Keys) -> None:
    assert list(usable(four("read", passphrase="another passphrase")).values()) == [None, False, False, False]


def test_without_a_passphrase_and_with_other_states_nothing_is_told(four: Box) -> None:
    for result in (four("read", passphrase=None), four("read", passphrase=""), four("staged")):
        assert list(usable(result).values()) == [None] * 4


def test_a_passphrase_that_no_keyring_can_have_is_refused(four: Box) -> None:
    with pytest.raises(InvalidOptions, match="12 characters or more"):
        four("read", passphrase="short")


# -- export


def test_every_key_that_was_not_revoked_is_exported_under_the_passphrase_given(four: Box, keys: Keys) -> None:
    before = everything(four.path)
    result = four("read", export_passphrase=EXPORT)
    ids = {row["id"]: row["fingerprint"] for row in result["generations"] if row["state"] != "revoked"}
    assert set(result["exported"]) == set(ids)
    for identity, pem in result["exported"].items():
        assert pem.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        assert load_private_key(pem.encode(), EXPORT, "").public.fingerprint == ids[identity]
        with pytest.raises(Exception, match="passphrase is wrong"):
            load_private_key(pem.encode(), PASSPHRASE, "")
    assert everything(four.path) == before
    assert result["changed"] is False


def test_nothing_is_exported_without_being_asked_for(four: Box) -> None:
    assert four("read")["exported"] is None
    assert four("staged")["exported"] is None


@pytest.mark.parametrize("damage", PRIVATE_DAMAGE)
def test_a_key_that_cannot_be_opened_is_left_out_of_what_is_exported(damage: str, four: Box, keys: Keys) -> None:
    """It must not keep the others from the endpoints; it is told as not usable."""
    all_of_them = four("read", export_passphrase=EXPORT)["exported"]
    PRIVATE_DAMAGE[damage](four.pem(keys.b), keys)
    result = four("read", export_passphrase=EXPORT)
    assert set(result["exported"]) == set(all_of_them) - {four.pem(keys.b).stem}
    assert {row["fingerprint"] for row in result["generations"] if row["usable"] is False} == {keys.b.fingerprint}


def test_where_no_key_opens_that_is_an_error(four: Box) -> None:
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        four("read", passphrase="another-passphrase-entirely", export_passphrase=EXPORT)


@pytest.mark.parametrize(("given", "why"), [
    ({"export_passphrase": "short"}, "export_passphrase must have 12 characters or more"),
    ({"export_passphrase": "\ud800" * 12}, "export_passphrase is not text"),
    ({"export_passphrase": EXPORT, "passphrase": None}, "No passphrase is given"),
    ({"export_passphrase": EXPORT, "state": "staged"}, "export_passphrase goes with state: read"),
    ({"export_passphrase": EXPORT, "state": "present"}, "export_passphrase goes with state: read"),
    ({"new_passphrase": EXPORT}, "new_passphrase goes with state: present or staged or promoted or rolled_back, not with read"),
    ({"import_private_key_content": "x"}, "A key is imported with"),
    ({"source": {"generations": []}}, "source goes with state: mirrored"),
    ({"required_fingerprints": ["SHA256:" + 43 * "A"]}, "required_fingerprints goes with"),
    ({"replace_fingerprint": "SHA256:" + 43 * "A"}, "replace_fingerprint goes with"),
    ({"lease_owner": "here", "release_lease": True}, "read writes nothing"),
])
def test_what_does_not_go_with_reading_is_refused(given: Params, why: str, four: Box) -> None:
    before = everything(four.path)
    with pytest.raises(InvalidOptions, match=why):
        four(given.pop("state", "read"), **given)
    assert everything(four.path) == before


def test_nothing_private_is_in_what_is_read(four: Box, keys: Keys) -> None:
    result = four("read", export_passphrase=EXPORT)
    text = json.dumps(result)
    assert PASSPHRASE not in text
    assert EXPORT not in text
    assert not any(piece in text for piece in private_pieces(keys))
    assert "PRIVATE" not in json.dumps({**result, "exported": None})
    four.pem(keys.b).write_text(keys.b.private_pem()[:-100])
    damaged = four("read", export_passphrase=EXPORT)
    assert not any(piece in json.dumps(damaged) for piece in private_pieces(keys))


# -- how often keys are opened


@pytest.mark.parametrize(("state", "given", "times"), [
    ("present", {}, 2), ("staged", {}, 2), ("promoted", {"fingerprint": "d"}, 2), ("rolled_back", {"fingerprint": "b"}, 1),
    ("read", {}, 3), ("read", {"export_passphrase": EXPORT}, 3), ("read", {"passphrase": None}, 0),
    ("pruned", {"in_use_fingerprints": []}, 0),
])
def test_no_key_is_opened_twice(
    *, state: str, given: Params, times: int, four: Box, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    load = serialization.load_pem_private_key

    def counting(pem: bytes, *arguments: t.Any, **options: t.Any) -> t.Any:
        opened.append(pem)
        return load(pem, *arguments, **options)

    monkeypatch.setattr(serialization, "load_pem_private_key", counting)
    if "fingerprint" in given:
        given = {"fingerprint": getattr(keys, given["fingerprint"]).fingerprint}
    four(state, **given)
    assert len(opened) == len(set(opened)) == times


def test_a_new_key_is_opened_once_from_disk(
    box: Box, keys: Keys, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    box()
    opened = []
    load = serialization.load_pem_private_key

    def counting(pem: bytes, *arguments: t.Any, **options: t.Any) -> t.Any:
        opened.append(pem)
        return load(pem, *arguments, **options)

    monkeypatch.setattr(serialization, "load_pem_private_key", counting)
    box("staged", force=True)
    assert sorted(opened) == sorted([box.pem(keys.a).read_bytes(), box.pem(keys.b).read_bytes()])


def test_a_keyring_can_be_read_where_it_was_moved_to(four: Box, tmp_path: Path) -> None:
    shutil.move(four.path, tmp_path / "elsewhere")
    assert Box(tmp_path / "elsewhere")("read")["folder"] == str(tmp_path / "elsewhere" / "default")
