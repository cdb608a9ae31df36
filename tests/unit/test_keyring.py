# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keyring on disk: every state, damaged and hostile folders, check mode, and processes at once."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _files, _keys
from ansible_collections.waba.flows.plugins.module_utils import _generations as g
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    InvalidKey,
    InvalidOptions,
    KeyringError,
    MissingLibrary,
    WabaError,
)
from ansible_collections.waba.flows.plugins.module_utils._keyring import Keyring
from ansible_collections.waba.flows.plugins.module_utils._keys import load_private_key
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    IMPORTS,
    PASSPHRASE,
    Box,
    Maker,
    box_fixture,
    fork,
    maker_fixture,
    orphaned,
    rotated,
    states,
    unchecked_keys_fixture,
    with_fingerprints,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")


# -- present


def test_present_generates_a_current_key_once(box: Box, keys: Keys, maker: Maker) -> None:
    first = box()
    assert first["changed"] is True
    assert states(first) == {keys.a.fingerprint: "current"}
    assert first["to_publish"] == {"fingerprint": keys.a.fingerprint, "business_public_key": keys.a.pem, "state": "current"}
    assert (first["current"], first["pending"], first["predicted"], first["removed"]) == (keys.a.fingerprint, None, False, [])
    before = box.files()
    second = box(day=900)
    assert (second["changed"], second["diff"]) == (False, {})
    assert {name: second[name] for name in ("current", "to_publish", "generations")} == {
        name: first[name] for name in ("current", "to_publish", "generations")}
    assert box.files() == before
    assert maker.count == 1


def test_a_key_is_really_generated(box: Box) -> None:
    result = box()
    (name,) = box.names(".pem")
    opened = load_private_key((box.folder / name).read_bytes(), PASSPHRASE, name)
    assert opened.public.fingerprint == result["current"]


def test_present_takes_the_pending_key_where_none_is_current(box: Box, keys: Keys, maker: Maker) -> None:
    box("staged")
    assert states(box("present")) == {keys.a.fingerprint: "current"}
    assert maker.count == 1


def test_the_result_holds_no_private_key_and_no_passphrase(box: Box, keys: Keys, maker: Maker) -> None:
    text = json.dumps([box(), box("staged", force=True)])
    assert "PRIVATE" not in text
    assert PASSPHRASE not in text


def test_names_keep_keyrings_apart(box: Box, keys: Keys, maker: Maker) -> None:
    assert box(name="one")["current"] == keys.a.fingerprint
    assert box(name="two")["current"] == keys.b.fingerprint
    assert box(name="one")["changed"] is False


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "x" * 65, "é", "a\n"])
def test_other_names_are_refused(name: str, box: Box) -> None:
    with pytest.raises(InvalidOptions, match="not allowed"):
        box(name=name)
    assert not box.path.exists()


# -- staged


def test_staged_creates_a_pending_key_where_there_is_none(box: Box, keys: Keys, maker: Maker) -> None:
    result = box("staged")
    assert (result["changed"], result["pending"], result["current"]) == (True, keys.a.fingerprint, None)
    assert result["to_publish"]["state"] == "pending"


@pytest.mark.parametrize("given", [{}, {"force": True}, {"max_age": "1s"}, {"force": True, "max_age": "1d"}])
def test_a_pending_key_is_resumed_whatever_age_and_force_say(given: Params, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", force=True)
    before = box.files()
    result = box("staged", day=500, **given)
    assert (result["changed"], result["pending"]) == (False, keys.b.fingerprint)
    assert result["to_publish"]["business_public_key"] == keys.b.pem
    assert box.files() == before
    assert maker.count == 2


@pytest.mark.parametrize(("max_age", "day", "due"), [
    (None, 10000, False), ("90d", 89.99, False), ("90d", 90, True), ("90d", 91, True), ("2160h", 90, True), ("7776000", 90, True),
    ("12w", 84, True), ("12w", 83, False), ("0", 0, True),
])
def test_a_key_is_due_at_its_age(*, max_age: str | None, day: float, due: bool, box: Box, keys: Keys, maker: Maker) -> None:
    box(day=0)
    result = box("staged", max_age=max_age, day=day)
    assert result["changed"] is due
    assert (result["pending"] == keys.b.fingerprint) is due
    assert result["to_publish"]["state"] == ("pending" if due else "current")


def test_when_a_key_is_due_is_told(box: Box, maker: Maker) -> None:
    assert box(max_age="90d")["due_at"] == "2026-05-30T12:00:00Z"
    assert box()["due_at"] is None


@pytest.mark.parametrize("option", ["max_age", "retention"])
@pytest.mark.parametrize("text", ["soon", "-1d", "1.5d", "1y", "d", "1d 2h", "99999999999999d"])
def test_an_odd_duration_is_refused(option: str, text: str, box: Box) -> None:
    with pytest.raises(InvalidOptions, match=f"{option} '{text}' is not a duration"):
        box("staged", **t.cast(Params, {option: text}))


def test_a_very_long_age_is_never_due(box: Box, maker: Maker) -> None:
    box()
    assert box("staged", max_age="9999999d")["changed"] is False


# -- promoted


def test_promoted_makes_the_pending_key_current(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", force=True)
    result = box("promoted", fingerprint=keys.b.fingerprint)
    assert result["changed"] is True
    assert states(result) == {keys.a.fingerprint: "retired", keys.b.fingerprint: "current"}
    before = box.files()
    assert box("promoted", fingerprint=keys.b.fingerprint, day=5)["changed"] is False
    assert box.files() == before


def test_promoting_another_than_the_pending_key_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    before = box.files()
    for fingerprint in (keys.a.fingerprint, keys.c.fingerprint):
        with pytest.raises(KeyringError, match="cannot be promoted"):
            box("promoted", fingerprint=fingerprint)
    assert box.files() == before


@pytest.mark.parametrize("state", ["promoted", "rolled_back", "revoked"])
def test_these_states_need_a_fingerprint(state: str, box: Box) -> None:
    with pytest.raises(InvalidOptions, match=f"state: {state} needs fingerprint"):
        box(state, in_use_fingerprints=[])
    with pytest.raises(InvalidKey, match="not a fingerprint"):
        box(state, fingerprint="abc", in_use_fingerprints=[])
    assert not box.path.exists()


# -- rolled_back


def test_rolled_back_makes_the_retired_key_current_again(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    result = box("rolled_back", fingerprint=keys.a.fingerprint, day=20, max_age="90d")
    assert states(result) == {keys.a.fingerprint: "current", keys.b.fingerprint: "retired"}
    assert result["to_publish"]["business_public_key"] == keys.a.pem
    assert result["due_at"] == "2026-06-19T12:00:00Z"
    before = box.files()
    assert box("rolled_back", fingerprint=keys.a.fingerprint, day=21)["changed"] is False
    assert box.files() == before


def test_rolling_back_retires_a_pending_key(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", force=True)
    result = box("rolled_back", fingerprint=keys.a.fingerprint)
    assert states(result) == {keys.a.fingerprint: "current", keys.b.fingerprint: "retired", keys.c.fingerprint: "retired"}


def test_rolling_back_to_a_key_that_does_not_open_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box.pem(keys.a).write_text("damaged")
    before = box.files()
    with pytest.raises(KeyringError, match="not a private key"):
        box("rolled_back", fingerprint=keys.a.fingerprint)
    assert box.files() == before


def test_rolling_back_is_the_way_out_of_a_lost_current_key(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box.pem(keys.b).unlink()
    assert box("rolled_back", fingerprint=keys.a.fingerprint)["current"] == keys.a.fingerprint


def test_rolling_back_from_a_lost_key_to_one_that_is_lost_too_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box.pem(keys.a).unlink()
    box.pem(keys.b).unlink()
    with pytest.raises(KeyringError, match=r"The private key .*\.pem is missing"):
        box("rolled_back", fingerprint=keys.a.fingerprint)


def test_rolling_back_to_the_current_key_gives_up_a_pending_one(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", force=True)
    result = box("rolled_back", fingerprint=keys.a.fingerprint)
    assert (result["changed"], result["pending"]) == (True, None)
    assert states(result) == {keys.a.fingerprint: "current", keys.b.fingerprint: "retired"}
    assert result["to_publish"]["business_public_key"] == keys.a.pem
    assert box("rolled_back", fingerprint=keys.a.fingerprint)["changed"] is False


def test_rolling_back_to_an_unknown_key_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    with pytest.raises(KeyringError, match="not known"):
        box("rolled_back", fingerprint=keys.c.fingerprint)


# -- revoked


def test_revoked_destroys_the_private_key_and_keeps_the_name(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    path = box.pem(keys.a)
    result = box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[keys.b.fingerprint])
    assert (result["changed"], result["removed"], result["to_publish"]) == (True, [keys.a.fingerprint], None)
    assert states(result) == {keys.a.fingerprint: "revoked", keys.b.fingerprint: "current"}
    assert not path.exists()
    assert not path.with_suffix(".pub").exists()
    again = box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    assert (again["changed"], again["removed"]) == (False, [])


def test_a_revoked_key_that_a_number_still_holds_is_refused_again(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    with pytest.raises(KeyringError, match="still held by a number"):
        box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[keys.a.fingerprint])


def test_a_pending_key_can_be_revoked_and_the_next_one_is_new(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", force=True)
    box("revoked", fingerprint=keys.b.fingerprint, in_use_fingerprints=[])
    assert box("staged", force=True)["pending"] == keys.c.fingerprint


@pytest.mark.parametrize(("name", "in_use"), [("b", ""), ("a", "a"), ("a", "ab"), ("c", "")])
def test_revoking_is_refused(name: str, in_use: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    before = box.files()
    with pytest.raises(KeyringError):
        box("revoked", fingerprint=getattr(keys, name).fingerprint,
            in_use_fingerprints=[getattr(keys, used).fingerprint for used in in_use])
    assert box.files() == before


@pytest.mark.parametrize("state", ["revoked", "pruned"])
def test_these_states_need_to_know_what_is_in_use(state: str, box: Box, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match=f"state: {state} needs in_use_fingerprints"):
        box(state, fingerprint=keys.a.fingerprint)


def test_a_key_file_that_a_kill_left_of_a_revoked_key_is_destroyed_by_the_next_call(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    path = box.pem(keys.a)
    content = path.read_bytes()
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path.write_bytes(content)
    result = box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    assert (result["changed"], result["removed"], path.exists()) == (True, [keys.a.fingerprint], False)


# -- pruned


@pytest.mark.parametrize(("day", "in_use", "gone"), [(39.9, "", False), (40, "", True), (400, "a", False), (400, "b", True)])
def test_pruned_deletes_what_nobody_held_for_the_retention(
    *, day: float, in_use: str, gone: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    path = box.pem(keys.a)
    result = box("pruned", in_use_fingerprints=[getattr(keys, name).fingerprint for name in in_use], day=day)
    assert result["changed"] is gone
    assert result["removed"] == ([keys.a.fingerprint] if gone else [])
    assert (keys.a.fingerprint in states(result)) is not gone
    assert path.exists() is not gone
    assert path.with_suffix(".pub").exists() is not gone
    assert result["pruned"] == box.document()["pruned"] == ([keys.a.fingerprint] if gone else [])
    assert box("pruned", in_use_fingerprints=[])["changed"] is False or in_use == "a"


def test_a_key_that_is_seen_again_starts_its_retention_anew(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", in_use_fingerprints=[keys.a.fingerprint], day=35)
    assert box("pruned", in_use_fingerprints=[], day=64)["removed"] == []
    assert box("pruned", in_use_fingerprints=[], day=65)["removed"] == [keys.a.fingerprint]


def test_noting_what_is_in_use_is_no_change(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    result = box("present", in_use_fingerprints=[keys.a.fingerprint], day=35)
    assert result["changed"] is False
    assert {row["fingerprint"]: row["last_seen_at"] for row in box.document()["generations"]}[keys.a.fingerprint] == \
        "2026-04-05T12:00:00Z"


def test_a_short_retention_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    with pytest.raises(KeyringError, match="too short"):
        box("pruned", retention="6d", in_use_fingerprints=[], day=900)
    assert box.pem(keys.a).exists()


def test_neither_pruning_nor_revoking_needs_the_passphrase(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", force=True)
    box("revoked", fingerprint=keys.c.fingerprint, in_use_fingerprints=[], passphrase=None)
    assert box("pruned", in_use_fingerprints=[], passphrase=None, day=900)["removed"] == [keys.a.fingerprint]


def test_a_pruned_key_is_not_taken_up_again(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("pruned", in_use_fingerprints=[], day=900)
    assert box("staged", force=True)["pending"] == keys.c.fingerprint


def test_a_pruned_key_can_be_imported_and_pruned_again(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    assert box("pruned", in_use_fingerprints=[], day=400)["pruned"] == [keys.a.fingerprint]
    again = box(**IMPORTS["plain"](keys.a))
    assert (again["pruned"], states(again)) == ([], {keys.b.fingerprint: "current", keys.a.fingerprint: "retired"})
    assert box("read")["pruned"] == []
    assert box("pruned", in_use_fingerprints=[], day=800)["pruned"] == [keys.a.fingerprint]


def test_a_keyring_of_version_1_0_has_pruned_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    document = box.document()
    del document["pruned"]
    (box.folder / "keyring.json").write_text(json.dumps(document))
    assert (box("read")["pruned"], box()["changed"]) == ([], False)
    assert box("pruned", in_use_fingerprints=[], day=400)["pruned"] == box("read")["pruned"] == [keys.a.fingerprint]


# -- import

@pytest.mark.parametrize("form", IMPORTS)
def test_an_imported_key_becomes_current_and_again_changes_nothing(form: str, box: Box, keys: Keys, maker: Maker) -> None:
    result = box(**IMPORTS[form](keys.c))
    assert (result["changed"], result["current"]) == (True, keys.c.fingerprint)
    assert result["generations"][0]["origin"] == "imported"
    assert result["to_publish"]["business_public_key"] == keys.c.pem
    assert box.pem(keys.c).read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    before = box.files()
    assert box(**IMPORTS[form](keys.c))["changed"] is False
    assert box.files() == before
    assert maker.count == 0


def test_a_key_is_imported_from_a_file(box: Box, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "old.pem").write_text(keys.c.private_pem())
    assert box(import_private_key_path=str(tmp_path / "old.pem"))["current"] == keys.c.fingerprint


@pytest.mark.parametrize("state", ["present", "staged"])
@pytest.mark.parametrize("form", IMPORTS)
def test_an_import_beside_a_current_key_is_retired(state: str, form: str, box: Box, keys: Keys, maker: Maker) -> None:
    box(day=0)
    result = box(state, day=5, **IMPORTS[form](keys.c))
    assert result["changed"] is True
    assert states(result) == {keys.a.fingerprint: "current", keys.c.fingerprint: "retired"}
    assert result["to_publish"] == {"fingerprint": keys.a.fingerprint, "business_public_key": keys.a.pem, "state": "current"}
    row = result["generations"][1]
    assert (row["origin"], row["promoted_at"]) == ("imported", None)
    assert row["created_at"] == row["retired_at"] == row["last_seen_at"] == "2026-03-06T12:00:00Z"
    opened = load_private_key(box.pem(keys.c).read_bytes(), PASSPHRASE, "c")
    assert opened.public.fingerprint == keys.c.fingerprint
    before = box.files()
    assert box(state, day=9, **IMPORTS[form](keys.c))["changed"] is False
    assert box.files() == before
    assert maker.count == 1


def test_an_import_by_force_becomes_current(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    result = box(force=True, **IMPORTS["plain"](keys.c))
    assert states(result) == {keys.a.fingerprint: "retired", keys.c.fingerprint: "current"}
    assert result["to_publish"]["business_public_key"] == keys.c.pem
    assert maker.count == 1


def test_with_staged_force_asks_for_a_new_key_and_not_for_the_imported_one(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    result = box("staged", force=True, **IMPORTS["plain"](keys.c))
    assert states(result) == {keys.a.fingerprint: "current", keys.c.fingerprint: "retired", keys.b.fingerprint: "pending"}


def test_an_import_beside_a_pending_key_alone_becomes_current(box: Box, keys: Keys, maker: Maker) -> None:
    box("staged")
    result = box("staged", **IMPORTS["plain"](keys.c))
    assert states(result) == {keys.a.fingerprint: "pending", keys.c.fingerprint: "current"}


def test_an_imported_key_can_be_rolled_back_to(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box(**IMPORTS["plain"](keys.c))
    assert box("rolled_back", fingerprint=keys.c.fingerprint)["to_publish"]["business_public_key"] == keys.c.pem


@pytest.mark.parametrize("given", [{}, {"force": True}])
def test_the_file_of_an_imported_key_is_named_so(given: Params, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    result = box(**given, **IMPORTS["plain"](keys.c))
    assert result["generations"][1]["id"] == f"20260301T120000Z-{_keys.fingerprint_hex16(keys.c.fingerprint)}-imported"
    assert box.pem(keys.c).exists()
    assert box.pem(keys.c).with_suffix(".pub").read_text() == keys.c.pem


def test_an_import_of_a_retired_key_changes_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    assert box(**IMPORTS["plain"](keys.a))["changed"] is False


def test_an_import_of_a_revoked_key_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    before = box.files()
    with pytest.raises(KeyringError, match="was revoked"):
        box(force=True, **IMPORTS["plain"](keys.a))
    assert box.files() == before


@pytest.mark.parametrize(("given", "why"), [
    ({"import_private_key_path": "/nonexistent"}, "cannot be read"),
    ({"import_private_key_path": "x", "import_private_key_content": "y"}, "exclude each other"),
    ({"import_private_key_content": "nonsense"}, "not a private key"),
    ({"import_private_key_content": "x", "state": "promoted", "fingerprint": "SHA256:" + 43 * "A"}, "A key is imported with"),
    ({"import_private_key_content": "x", "state": "pruned", "in_use_fingerprints": []}, "A key is imported with"),
])
def test_a_bad_import_is_refused_and_nothing_is_generated(given: Params, why: str, box: Box, maker: Maker) -> None:
    with pytest.raises(WabaError, match=why):
        box(given.pop("state", "present"), **given)
    assert maker.count == 0
    assert not box.folder.exists() or box.names(".pem") == []


def test_the_wrong_passphrase_of_an_import_is_named_as_such(box: Box, keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="import_private_key_content cannot be opened: the passphrase is wrong"):
        box(import_private_key_content=keys.c.private_pem("old"), import_passphrase="other")


# -- what is on disk


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_names_modes_and_forms_on_disk(umask: int, box: Box, keys: Keys, maker: Maker) -> None:
    old = os.umask(umask)
    try:
        rotated(box, keys)
    finally:
        os.umask(old)
    for folder in (box.path.parent, box.path, box.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    pems, pubs = box.names(".pem"), box.names(".pub")
    assert [Path(name).stem for name in pems] == [Path(name).stem for name in pubs]
    assert all(ID.fullmatch(Path(name).stem) for name in pems)
    assert [path.name for path in box.folder.iterdir() if path.suffix not in (".pem", ".pub")] != []
    assert {path.name for path in box.folder.iterdir()} == {*pems, *pubs, "keyring.json", ".lock"}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in box.folder.iterdir()}
    assert {modes[name] for name in (*pems, "keyring.json", ".lock")} == {0o600}
    assert {modes[name] for name in pubs} == {0o644}
    for key in (keys.a, keys.b):
        path = box.pem(key)
        assert path.stem.endswith("-" + _keys.fingerprint_hex16(key.fingerprint))
        assert path.with_suffix(".pub").read_text() == key.pem
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        assert b"\r" not in path.read_bytes()


def test_the_state_file(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    text = (box.folder / "keyring.json").read_text()
    assert text.endswith("}\n")
    document = json.loads(text)
    assert (document["schema"], document["accepted"]) == (1, {})
    first, second = document["generations"]
    assert first == {
        "id": f"20260301T120000Z-{_keys.fingerprint_hex16(keys.a.fingerprint)}", "fingerprint": keys.a.fingerprint,
        "state": "retired", "origin": "generated", "created_at": "2026-03-01T12:00:00Z", "published_at": "2026-03-01T12:00:00Z",
        "promoted_at": "2026-03-01T12:00:00Z", "retired_at": "2026-03-11T12:00:00Z", "revoked_at": None,
        "last_seen_at": "2026-03-11T12:00:00Z",
    }
    assert (second["fingerprint"], second["state"]) == (keys.b.fingerprint, "current")
    assert second["created_at"] == second["promoted_at"] == "2026-03-11T12:00:00Z"


@pytest.mark.attack("durable", "the order of writing, syncing and naming, call by call")
def test_a_key_file_is_durable_before_the_state_names_it(box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    rename, fsync = os.rename, os.fsync

    def noting_rename(source: str, target: str) -> None:
        events.append("rename " + Path(target).suffix)
        rename(source, target)

    def noting_fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("fsync folder" if folder else "fsync file")
        fsync(descriptor)

    box("present", passphrase=PASSPHRASE, name="other")  # the folders are there
    monkeypatch.setattr(os, "rename", noting_rename)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    box("staged", name="other", force=True)
    found_is_synced = ["fsync file", "fsync folder", "fsync file"]  # state, folder, current key
    assert events == found_is_synced + [
        step for suffix in (".pem", ".pub", ".json") for step in ("fsync file", f"rename {suffix}", "fsync folder")
    ]


@pytest.mark.attack("durable", "the order of writing, syncing and naming, call by call")
def test_until_there_is_a_state_every_parent_is_made_durable(box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that was killed may have made them just now."""
    synced: set[tuple[int, int]] = set()
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.add((found.st_dev, found.st_ino))
        fsync(descriptor)

    def identity(path: Path) -> tuple[int, int]:
        found = path.stat()
        return found.st_dev, found.st_ino

    box.folder.mkdir(mode=0o700, parents=True)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    box()
    assert {identity(path) for path in (box.folder, *box.folder.parents) if os.access(path, os.R_OK)} <= synced
    synced.clear()
    box("staged", force=True)
    assert identity(box.folder) in synced
    assert synced.isdisjoint({identity(path) for path in box.folder.parents})


# -- what refuses


def test_without_requests_for_a_passphrase_nothing_is_made(box: Box) -> None:
    for passphrase in (None, ""):
        with pytest.raises(InvalidOptions, match="No passphrase is given") as caught:
            box(passphrase=passphrase)
        assert "WHATSAPP_KEYRING_PASSPHRASE" in str(caught.value)
        with pytest.raises(InvalidOptions, match="No passphrase is given"):
            box("staged", passphrase=passphrase, check_mode=True)
    assert not box.folder.exists() or box.names(".pem") == []


@pytest.mark.parametrize(("state", "given"), [
    ("present", {}), ("staged", {}), ("staged", {"force": True}), ("promoted", {"fingerprint": "b"}),
    ("rolled_back", {"fingerprint": "a"}),
])
def test_a_wrong_passphrase_is_refused_before_anything_is_done(
    *, state: str, given: Params, box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    before = box.files()
    if "fingerprint" in given:
        given = {"fingerprint": getattr(keys, given["fingerprint"]).fingerprint}
    with pytest.raises(KeyringError, match="the passphrase is wrong") as caught:
        box(state, passphrase="another passphrase", **given)
    assert "encryption_keys_passphrase" in str(caught.value)
    assert box.files() == before


@pytest.mark.parametrize(("state", "given"), [
    ("present", {}), ("present", {"force": True}), ("staged", {}), ("staged", {"max_age": "0"}),
])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_missing_key_file_is_refused(
    *, check_mode: bool, state: str, given: Params, box: Box, keys: Keys, maker: Maker
) -> None:
    box()
    box.pem(keys.a).unlink()
    with pytest.raises(KeyringError, match=r"The private key .*\.pem is missing"):
        box(state, check_mode=check_mode, **given)
    assert maker.count == 1


@pytest.mark.parametrize("check_mode", [False, True])
def test_staged_by_force_is_a_way_out_of_a_lost_current_key(check_mode: bool, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box.pem(keys.a).unlink()
    result = box("staged", force=True, check_mode=check_mode)
    assert states(result) == {keys.a.fingerprint: "current", keys.b.fingerprint: "pending"}
    assert result["to_publish"] == {"fingerprint": keys.b.fingerprint, "business_public_key": keys.b.pem, "state": "pending"}
    assert result["predicted"] is check_mode


def test_the_way_out_of_a_lost_current_key_leads_to_its_end(box: Box, keys: Keys, maker: Maker) -> None:
    """The key that replaces it must also be resumed without force, and promoted."""
    box()
    box.pem(keys.a).unlink()
    box("staged", force=True)
    assert box("staged", force=True)["changed"] is False
    result = box("promoted", fingerprint=keys.b.fingerprint)
    assert states(result) == {keys.a.fingerprint: "retired", keys.b.fingerprint: "current"}
    assert box("staged")["to_publish"]["fingerprint"] == keys.b.fingerprint


def test_without_the_current_key_the_passphrase_is_checked_on_another_one(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box.pem(keys.b).unlink()
    before = box.files()
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        box("staged", force=True, passphrase="another passphrase")
    assert box.files() == before
    assert box("staged", force=True)["pending"] == keys.c.fingerprint


def test_a_lost_pending_key_is_named_also_where_the_current_one_is_lost(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", force=True)
    lost = box.pem(keys.b)
    for key in (keys.a, keys.b):
        box.pem(key).unlink()
    with pytest.raises(KeyringError, match=r"The private key .*\.pem is missing") as caught:
        box("staged", force=True)
    assert str(lost) in str(caught.value)


BAD_PASSPHRASES = {
    "short": "x" * 11, "short in letters": "\u00e9" * 11, "long": "x" * 1024, "long in bytes": "\u00e9" * 512,
}


@pytest.mark.parametrize("case", BAD_PASSPHRASES)
@pytest.mark.parametrize("state", ["present", "staged", "promoted", "rolled_back"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_passphrase_of_an_odd_length_is_refused(case: str, state: str, check_mode: bool, box: Box, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="must have 12 characters or more, and 1023 bytes or fewer") as caught:
        box(state, passphrase=BAD_PASSPHRASES[case], fingerprint=keys.a.fingerprint, check_mode=check_mode)
    assert BAD_PASSPHRASES[case] not in str(caught.value)
    assert not box.folder.exists() or box.names(".pem") == []


def test_a_passphrase_that_is_no_text_is_refused(box: Box) -> None:
    with pytest.raises(InvalidOptions, match="not text in UTF-8"):
        box(passphrase="\ud800" * 12)
    assert box.names(".pem") == []


@pytest.mark.parametrize(
    "passphrase", ["x" * 12, "\u00e9" * 12, "x" * 1023, "\u00e9" * 511 + "x"], ids=["12", "12 e", "1023", "1023 e"]
)
def test_passphrases_at_the_limits_will_do(passphrase: str, box: Box, maker: Maker) -> None:
    assert box(passphrase=passphrase)["changed"] is True
    assert box(passphrase=passphrase)["changed"] is False


@pytest.mark.parametrize("bad", [
    lambda ring: g.Ring((*ring.generations, replace(ring.generations[0], id="other"))),
    lambda ring: g.Ring((replace(ring.generations[0], state="lost"),)),
    lambda ring: g.Ring((replace(ring.generations[0], id="../x"),)),
], ids=["twice", "state", "id"])
def test_what_could_not_be_read_again_is_never_written(bad: t.Callable[[g.Ring], g.Ring], box: Box, maker: Maker) -> None:
    box()
    before = box.files()
    with Keyring(str(box.path), "default", PASSPHRASE).locked() as keyring, pytest.raises(ValueError, match=r"\w"):
        keyring.save(bad(keyring.ring))
    assert box.files() == before
    assert box()["changed"] is False


def test_swapped_key_files_are_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    shutil.copy(box.pem(keys.a), box.pem(keys.b))
    with pytest.raises(KeyringError, match=r"holds .*, not ") as caught:
        box()
    assert keys.a.fingerprint in str(caught.value)
    assert keys.b.fingerprint in str(caught.value)


DAMAGE: dict[str, t.Callable[[str], bytes]] = {
    "truncated": lambda text: text[: len(text) // 2].encode(),
    "empty": lambda text: b"",
    "not json": lambda text: b"hello",
    "not text": lambda text: b"\xff\xfe\x00",
    "older schema": lambda text: text.replace('"schema": 1', '"schema": 0').encode(),
    "unknown state": lambda text: text.replace('"current"', '"lost"').encode(),
    "null fingerprint": lambda text: re.sub(r'"fingerprint": "[^"]*"', '"fingerprint": null', text).encode(),
    "null id": lambda text: re.sub(r'"id": "[^"]*"', '"id": null', text, count=1).encode(),
    "nested too deep": lambda text: b"[" * 100000,
}


@pytest.mark.attack("recovered", "keyring.json cut, emptied, binary, of another form, deleted, or not a file")
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_damaged_state_file_is_refused_and_nothing_is_touched(
    *, damage: str, check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    path = box.folder / "keyring.json"
    path.write_bytes(DAMAGE[damage](path.read_text()))
    before = box.files()
    with pytest.raises(KeyringError, match=r"keyring\.json is damaged") as caught:
        box("staged", force=True, check_mode=check_mode)
    assert "ansible-playbook waba.flows.recover" in str(caught.value)
    assert all(box.pem_name(key) in str(caught.value) for key in (keys.a, keys.b))
    assert box.files() == before


@pytest.mark.parametrize("state", ["staged", "recovered"])
def test_the_state_of_a_newer_version_is_not_taken_for_damaged(state: str, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    path = box.folder / "keyring.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    before = box.files()
    with pytest.raises(KeyringError, match="Update the collection"):
        box(state, in_use_fingerprints=[])
    assert box.files() == before


def test_a_missing_state_file_beside_several_keys_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    (box.folder / "keyring.json").unlink()
    with pytest.raises(KeyringError, match=r"keyring\.json is missing beside key files"):
        box()
    assert maker.count == 2


@pytest.mark.parametrize("what", ["pem", "state"])
def test_a_symbolic_link_is_refused(what: str, box: Box, keys: Keys, maker: Maker, tmp_path: Path) -> None:
    box()
    path = box.pem(keys.a) if what == "pem" else box.folder / "keyring.json"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyringError, match="it is a symbolic link"):
        box()


def test_a_folder_in_the_place_of_a_file_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    path = box.pem(keys.a)
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyringError):
        box()


def test_a_path_that_cannot_be_made_is_named_with_host_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyringError, match="Not a directory") as caught:
        Box(tmp_path / "file")()
    assert os.uname().nodename in str(caught.value)
    assert "become" in str(caught.value)


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_keyring_as_it_was(
    call: str, box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    box()
    before = box.files()

    def fail(*arguments: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(KeyringError, match="No space left on device"):
            box("staged", force=True)
    assert box.files() == before
    assert box("staged", force=True)["pending"] is not None


def test_cryptography_is_needed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", None)
    with pytest.raises(MissingLibrary):
        box()
    assert not box.path.exists()


# -- what an interrupted call left


@pytest.mark.parametrize(("state", "becomes"), [("present", "current"), ("staged", "pending")])
def test_a_key_that_the_state_does_not_name_yet_is_taken(state: str, becomes: str, box: Box, keys: Keys, maker: Maker) -> None:
    path = orphaned(box, keys.c)
    result = box(state)
    assert states(result) == {keys.c.fingerprint: becomes}
    assert box.names(".pem") == [path.name]
    assert path.with_suffix(".pub").read_text() == keys.c.pem
    assert maker.count == 0


def test_an_orphan_waits_until_a_key_is_needed(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    path = orphaned(box, keys.c)
    assert box("staged")["changed"] is False
    assert box("staged", force=True)["pending"] == keys.c.fingerprint
    assert path.exists()
    assert maker.count == 1


def test_an_orphan_shows_in_check_mode_as_the_real_key_that_it_is(box: Box, keys: Keys, maker: Maker) -> None:
    orphaned(box, keys.c)
    predicted = box("staged", check_mode=True)
    assert predicted["pending"] == keys.c.fingerprint
    assert predicted["predicted"] is False
    assert maker.count == 0


def test_two_orphans_are_refused_and_named(box: Box, keys: Keys, maker: Maker) -> None:
    paths = [orphaned(box, keys.b), orphaned(box, keys.c)]
    with pytest.raises(KeyringError, match="is missing beside key files") as caught:
        box()
    assert all(path.stem in str(caught.value) for path in paths)
    assert all(path.exists() for path in paths)


def test_an_orphan_under_another_passphrase_is_refused(box: Box, keys: Keys, maker: Maker) -> None:
    path = orphaned(box, keys.c, passphrase="another passphrase")
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        box()
    assert path.exists()
    assert maker.count == 0


@pytest.mark.parametrize(("state", "check_mode"), [("present", False), ("staged", False), ("staged", True)])
def test_an_interrupted_first_import_is_never_taken_for_a_generated_key(
    *, state: str, check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    """Nor is a second key made beside it: it may be all that is left of a keyring whose state is lost."""
    path = orphaned(box, keys.c, suffix="-imported")
    content = path.read_bytes()
    with pytest.raises(KeyringError, match=r"keyring\.json is missing beside key files"):
        box(state, check_mode=check_mode)
    assert maker.count == 0
    assert path.read_bytes() == content
    assert list(states(box(**IMPORTS["plain"](keys.c)))) == [keys.c.fingerprint]


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_interrupted_import_is_never_taken_for_a_generated_key(check_mode: bool, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    path = orphaned(box, keys.c, suffix="-imported")
    content = path.read_bytes()
    assert list(states(box("staged", force=True, check_mode=check_mode))) == [keys.a.fingerprint, keys.b.fingerprint]
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["backup.pem", "copy of 20260301T110000Z-0123456789abcdef.pem", "20260301T110000Z-XYZ.pem",
                                  "20260301T110000Z-0123456789abcdef-old.pem", "20260301T110000Z-0123456789abcdef0.pem"])
@pytest.mark.parametrize("state", ["present", "staged"])
def test_a_file_under_another_name_is_ignored(state: str, name: str, box: Box, keys: Keys, maker: Maker) -> None:
    path = orphaned(box, keys.c)
    path.rename(box.folder / name)
    content = (box.folder / name).read_bytes()
    assert list(states(box(state))) == [keys.a.fingerprint]
    assert (box.folder / name).read_bytes() == content


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_copy_of_a_known_key_under_such_a_name_is_refused_and_named(
    check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    box()
    path = orphaned(box, keys.a)
    before = box.files()
    assert box("staged", check_mode=check_mode)["changed"] is False
    with pytest.raises(KeyringError, match="does not name") as caught:
        box("staged", force=True, check_mode=check_mode)
    assert path.stem in str(caught.value)
    assert box.files() == before
    assert maker.count == 1


def test_a_key_under_the_name_of_another_one_is_refused_and_named(box: Box, keys: Keys, maker: Maker) -> None:
    path = orphaned(box, keys.c)
    other = path.rename(box.folder / f"20260301T110000Z-{_keys.fingerprint_hex16(keys.d.fingerprint)}.pem")
    with pytest.raises(KeyringError, match="does not name") as caught:
        box()
    assert other.stem in str(caught.value)
    assert other.exists()
    assert maker.count == 0


def test_an_interrupted_import_goes_on_under_the_same_file(box: Box, keys: Keys, maker: Maker) -> None:
    path = orphaned(box, keys.c, suffix="-imported")
    result = box(**IMPORTS["plain"](keys.c))
    assert (result["current"], result["generations"][0]["id"]) == (keys.c.fingerprint, path.stem)
    assert box.names(".pem") == [path.name]


@pytest.mark.parametrize("state", ["present", "staged", "pruned"])
def test_temporary_files_are_removed(state: str, box: Box, keys: Keys, maker: Maker) -> None:
    box()
    leftover = box.folder / ".tmp-0123456789abcdef"
    leftover.write_text("half")
    assert box(state, in_use_fingerprints=[])["changed"] is False
    assert not leftover.exists()


# -- check mode

CALLS: dict[str, tuple[str, Params]] = {
    "present": ("present", {}),
    "staged": ("staged", {}),
    "staged by force": ("staged", {"force": True}),
    "staged when due": ("staged", {"max_age": "1d"}),
    "promoted": ("promoted", {"fingerprint": "c"}),
    "rolled_back": ("rolled_back", {"fingerprint": "a"}),
    "revoked": ("revoked", {"fingerprint": "a", "in_use_fingerprints": []}),
    "pruned": ("pruned", {"in_use_fingerprints": []}),
    "pruned nothing": ("pruned", {"in_use_fingerprints": ["a"]}),
}


@pytest.mark.parametrize("call", CALLS)
def test_check_mode_predicts_and_touches_nothing(call: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    if call in ("promoted", "rolled_back"):
        box("staged", force=True)
    state, given = CALLS[call][0], with_fingerprints(CALLS[call][1], keys)
    before = box.files()
    predicted = box(state, check_mode=True, day=400, **given)
    assert box.files() == before
    real = box(state, **given)
    assert predicted["changed"] is real["changed"]
    assert [row["state"] for row in predicted["generations"]] == [row["state"] for row in real["generations"]]
    assert predicted["removed"] == real["removed"]
    assert (predicted["check_mode"], real["check_mode"]) == (True, False)
    if not predicted["predicted"]:
        assert {**predicted, "diff": 0, "check_mode": 0} == {**real, "diff": 0, "check_mode": 0}
        assert predicted["diff"] == real["diff"]


@pytest.mark.parametrize("state", ["present", "staged"])
def test_check_mode_on_an_empty_place_makes_nothing_and_predicts_a_key(state: str, box: Box) -> None:
    result = box(state, check_mode=True)
    assert (result["changed"], result["predicted"]) == (True, True)
    assert result["to_publish"]["business_public_key"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert result["to_publish"]["fingerprint"] == (result["current"] or result["pending"])
    assert not box.path.parent.exists()


def test_a_predicted_key_is_thrown_away(box: Box) -> None:
    assert box("staged", check_mode=True)["pending"] != box("staged", check_mode=True)["pending"]


@pytest.mark.parametrize("form", IMPORTS)
def test_check_mode_of_an_import_knows_the_real_key(form: str, box: Box, keys: Keys) -> None:
    result = box(check_mode=True, **IMPORTS[form](keys.c))
    assert (result["changed"], result["predicted"], result["current"]) == (True, False, keys.c.fingerprint)
    assert result["to_publish"]["business_public_key"] == keys.c.pem
    assert not box.path.exists()


def test_check_mode_refuses_what_the_real_run_refuses(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    for given in ({"state": "promoted", "fingerprint": keys.c.fingerprint},
                  {"state": "present", "passphrase": "another passphrase"},
                  {"state": "revoked", "fingerprint": keys.b.fingerprint, "in_use_fingerprints": []}):
        with pytest.raises(KeyringError):
            box(check_mode=True, **given)


@pytest.mark.parametrize(("state", "force"), [("present", False), ("present", True), ("staged", False)])
def test_check_mode_of_an_import_beside_a_current_key(
    state: str, force: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    box()
    before = box.files()
    predicted = box(state, force=force, check_mode=True, **IMPORTS["plain"](keys.c))
    assert box.files() == before
    real = box(state, force=force, **IMPORTS["plain"](keys.c))
    assert {**predicted, "check_mode": False} == real


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("below", ["", "default", "default/more"])
def test_a_file_in_the_place_of_a_folder_is_refused_in_either_mode(check_mode: bool, below: str, box: Box, maker: Maker) -> None:
    place = box.path.parent if not below else box.path / below.split("/", maxsplit=1)[0]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    given: Params = {"path": str(box.path / "default")} if below == "default/more" else {}
    with pytest.raises(KeyringError, match=r"cannot be used: Not a directory \("):
        box(check_mode=check_mode, **given)
    assert maker.count == 0
    assert place.read_text() == ""


@pytest.mark.parametrize("exists", ["folder", "path", "parent"])
def test_check_mode_refuses_a_folder_that_cannot_be_written(
    exists: str, box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"folder": box.folder, "path": box.path, "parent": box.path.parent}[exists]
    place.mkdir(mode=0o700, parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place or not mode & os.W_OK)
    with pytest.raises(KeyringError, match=r"cannot be used: Permission denied \(") as caught:
        box(check_mode=True)
    assert f"({place})" in str(caught.value)
    assert list(place.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_folder_that_cannot_be_written_is_refused_in_either_mode(check_mode: bool, box: Box, maker: Maker) -> None:
    box.path.mkdir(mode=0o500, parents=True)
    with pytest.raises(KeyringError, match="cannot be used: Permission denied"):
        box(check_mode=check_mode)
    assert list(box.path.iterdir()) == []


def test_check_mode_leaves_temporary_files_alone(box: Box, maker: Maker) -> None:
    box()
    (box.folder / ".tmp-x").write_text("half")
    box(check_mode=True)
    assert (box.folder / ".tmp-x").exists()


def test_the_diff_lists_fingerprints_and_states(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    diff = box("staged", force=True)["diff"]
    assert diff["before"] == f"{keys.a.fingerprint} current\n"
    assert diff["after"] == f"{keys.a.fingerprint} current\n{keys.b.fingerprint} pending\n"


# -- processes at once


def test_processes_that_stage_at_once_share_one_key(box: Box) -> None:
    start = time.monotonic() + 0.2

    def stage() -> None:
        time.sleep(max(0.0, start - time.monotonic()))
        box("staged", force=True)

    children = [fork(stage) for dummy in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert len(box.names(".pem")) == 1
    assert [row["state"] for row in box.document()["generations"]] == ["pending"]


@contextlib.contextmanager
def holding_the_lock(box: Box) -> t.Iterator[None]:
    with open(box.folder / ".lock", "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_call_waits_for_the_lock(check_mode: bool, box: Box, maker: Maker) -> None:
    box()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with holding_the_lock(box):  # a lock belongs to an open file, so it keeps out this process's other threads as well
            waiting = pool.submit(box, check_mode=check_mode)
            time.sleep(0.3)
            assert not waiting.done()
        assert waiting.result(10)["changed"] is False


def test_a_lock_that_is_never_given_up_is_an_error(box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    box()
    monkeypatch.setattr(_files, "LOCK_SECONDS", 0.2)
    with holding_the_lock(box), pytest.raises(KeyringError, match="in use by another process"):
        box()
    assert box()["changed"] is False


def test_a_failed_call_gives_the_lock_back(box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    box()
    monkeypatch.setattr(_files, "LOCK_SECONDS", 0.2)
    with pytest.raises(KeyringError):
        box(passphrase="another passphrase")
    assert box()["changed"] is False
