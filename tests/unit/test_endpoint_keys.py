# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and manifests on an endpoint host: what is added, kept, mended and removed, hostile input, and SIGKILL anywhere."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from ansible_collections.waba.flows.plugins.module_utils import _endpoint_keys, _files, _keys
from ansible_collections.waba.flows.plugins.module_utils._endpoint_options import Request
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    InvalidKey,
    InvalidOptions,
    KeyringError,
    MissingLibrary,
    WabaError,
)
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import ENDPOINT_KEYS_SPEC
from ansible_collections.waba.flows.plugins.module_utils._keys import load_private_key
from ansible_collections.waba.flows.tests.unit.endpoint_host import (  # noqa: F401  # pylint: disable=unused-import
    OTHER,
    OTHERS_GROUP,
    PASSPHRASE,
    ROOT,
    SPOILT,
    Host,
    host_fixture,
    pem_of,
    ring,
    unchecked_keys_fixture,
)
from ansible_collections.waba.flows.tests.unit.endpoint_kills import (  # noqa: F401  # pylint: disable=unused-import
    KILLED,
    SYSTEM_CALLS,
    kill,
    unsynced_fixture,
)
from ansible_collections.waba.flows.tests.unit.helpers import (
    ERROR_MEMBERS,
    KeyPair,
    Keys,
    Params,
    body_pieces,
    dies_after,
    module_params,
)

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
needs_root = pytest.mark.skipif(not ROOT, reason="only root may give files away")


def only(result: Params) -> Params:
    (row,) = result["deployed"]
    return t.cast(Params, row)


def fingerprints(keys: Keys, letters: str) -> list[str]:
    return [getattr(keys, letter).fingerprint for letter in letters]


def error_of(result: Params) -> str:
    assert result["failed"] is True
    assert only(result)["error"]["message"] in result["msg"]
    return t.cast(str, only(result)["error"]["message"])


# -- deploying


def test_a_first_deployment(host: Host, keys: Keys) -> None:
    result = host(ring(keys, "a:retired b:current c:pending"))
    assert "failed" not in result
    assert result["changed"] is result["keys_changed"] is result["reload_needed"] is True
    assert only(result) == {"name": "default", "changed": True, "added": fingerprints(keys, "cba"), "removed": [],
                            "rewritten": [], "current": keys.b.fingerprint}
    assert host.names() == sorted([*(host.pem(keys, letter).name for letter in "abc"), "manifest.json"])
    for letter in "abc":
        opened = load_private_key(host.pem(keys, letter).read_bytes(), PASSPHRASE, letter)
        assert opened.public.fingerprint == getattr(keys, letter).fingerprint
        assert host.pem(keys, letter).read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")


def test_the_manifest(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current c:pending"))
    assert host.manifest() == {
        "schema": 1, "key_name": "default", "current": keys.b.fingerprint,
        "keys": [
            {"fingerprint": getattr(keys, letter).fingerprint, "file": host.pem(keys, letter).name, "state": state}
            for letter, state in (("c", "pending"), ("b", "current"), ("a", "retired"))
        ],
    }
    assert (host.folder / "manifest.json").read_text().endswith("}\n")


def test_keys_of_one_second_are_listed_by_their_state(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:retired c:current d:pending")
    for generation in row["generations"]:
        generation["created_at"] = "2026-03-01T12:00:00Z"
    host(row)
    assert [key["state"] for key in host.manifest()["keys"]] == ["pending", "current", "retired", "retired"]
    first = [key["fingerprint"] for key in host.manifest()["keys"]]
    row["generations"].reverse()
    assert host(row)["changed"] is False
    assert [key["fingerprint"] for key in host.manifest()["keys"]] == first


def test_again_nothing_is_changed_or_written(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:current")
    host(row)
    before = host.files()
    result = host(row)
    assert result["changed"] is result["keys_changed"] is result["reload_needed"] is False
    assert only(result) == {"name": "default", "changed": False, "added": [], "removed": [], "rewritten": [],
                            "current": keys.b.fingerprint}
    assert result["diff"] == []
    assert host.files() == before


def test_private_keys_are_not_needed_again(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    result = host(ring(keys, "a:retired b:retired c:current", without="ab"))
    assert only(result)["added"] == [keys.c.fingerprint]
    assert len(host.manifest()["keys"]) == 3


def test_a_new_generation_is_added_and_the_others_are_kept(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    inode = host.pem(keys, "a").stat().st_ino
    result = host(ring(keys, "a:current b:pending"))
    assert only(result) == {"name": "default", "changed": True, "added": [keys.b.fingerprint], "removed": [], "rewritten": [],
                            "current": keys.a.fingerprint}
    assert result["keys_changed"] is True
    assert host.pem(keys, "a").stat().st_ino == inode


def test_a_change_of_states_is_no_change_of_keys(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current b:pending"))
    before = {path.name: path.stat().st_mtime_ns for path in host.folder.glob("*.pem")}
    result = host(ring(keys, "a:retired b:current"), reload="owed")
    assert (result["changed"], result["keys_changed"], result["reload_needed"]) == (True, False, False)
    assert (only(result)["added"], only(result)["removed"], only(result)["current"]) == ([], [], keys.b.fingerprint)
    assert host.manifest()["current"] == keys.b.fingerprint
    assert {path.name: path.stat().st_mtime_ns for path in host.folder.glob("*.pem")} == before
    assert not host.owed


@pytest.mark.parametrize(("text", "pruned"), [("b:current", "a"), ("b:current", "ac"), ("a:revoked b:current", "")])
def test_a_key_that_is_pruned_or_revoked_is_removed(text: str, pruned: str, host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    result = host(ring(keys, text, without="a", pruned=pruned))
    assert (result["keys_changed"], only(result)["removed"], only(result)["added"]) == (True, [keys.a.fingerprint], [])
    assert host.names() == [host.pem(keys, "b").name, "manifest.json"]
    assert [key["fingerprint"] for key in host.manifest()["keys"]] == [keys.b.fingerprint]


def test_the_current_key_can_be_revoked_here_if_the_keyring_knows_it(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    assert only(host(ring(keys, "a:revoked b:current")))["removed"] == [keys.a.fingerprint]


def test_a_revoked_key_is_never_written(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:revoked b:current"))
    assert host.names() == [host.pem(keys, "b").name, "manifest.json"]


def test_a_keyring_without_generations_leaves_an_empty_manifest(host: Host, keys: Keys) -> None:
    result = host(ring(keys, ""))
    assert (only(result)["changed"], only(result)["current"], result["keys_changed"]) == (True, None, False)
    assert host.manifest()["keys"] == []
    assert host(ring(keys, ""))["changed"] is False


def test_several_keys_have_folders_of_their_own(host: Host, keys: Keys) -> None:
    result = host(ring(keys, "a:current"), ring(keys, "b:current", name="partner"))
    assert [row["current"] for row in result["deployed"]] == fingerprints(keys, "ab")
    assert host.manifest("partner")["key_name"] == "partner"
    before = {name: value for name, value in host.files().items() if "/partner" in name}
    host(ring(keys, "a:current c:pending"))
    assert {name: value for name, value in host.files().items() if "/partner" in name} == before


def test_without_keys_nothing_is_touched(host: Host) -> None:
    result = host()
    assert (result["changed"], result["deployed"], result["reload_needed"]) == (False, [], False)
    assert not host.path.exists()


def test_a_generation_under_another_id_takes_the_place_of_the_old_file(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    row = ring(keys, "a:current")
    row["generations"][0]["id"] = "20260401T120000Z-imported"
    row["private_keys"] = {"20260401T120000Z-imported": pem_of(keys.a, PASSPHRASE)}
    result = host(row)
    assert (only(result)["added"], only(result)["removed"], only(result)["rewritten"]) == ([], [], [keys.a.fingerprint])
    assert host.names() == ["20260401T120000Z-imported.pem", "manifest.json"]


def test_fingerprints_may_come_without_their_prefix(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    row["generations"][0]["fingerprint"] = keys.a.fingerprint[len("SHA256:"):] + "="
    host(row)
    assert host.manifest()["current"] == keys.a.fingerprint


@pytest.mark.parametrize("change", [
    lambda pem: pem.replace("\n", "\r\n"), lambda pem: pem.strip(), lambda pem: f"\n  {pem}  \n",
])
def test_line_ends_and_space_around_a_private_key_do_not_matter(
    change: t.Callable[[str], str], host: Host, keys: Keys
) -> None:
    row = ring(keys, "a:current")
    row["private_keys"] = {name: change(pem) for name, pem in row["private_keys"].items()}
    host(row)
    assert host.pem(keys, "a").read_text() == pem_of(keys.a, PASSPHRASE)


# -- mending

@pytest.mark.parametrize("how", SPOILT)
def test_a_key_file_that_is_not_as_it_should_be_is_written_again(how: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:current")
    host(row)
    SPOILT[how](host.pem(keys, "a"), keys)
    result = host(row, reload="owed")
    assert only(result) == {"name": "default", "changed": True, "added": [], "removed": [], "rewritten": [keys.a.fingerprint],
                            "current": keys.b.fingerprint}
    assert result["keys_changed"] is result["reload_needed"] is host.owed is True
    assert host.pem(keys, "a").read_text() == pem_of(keys.a, PASSPHRASE)
    assert host(row)["changed"] is False


@pytest.mark.parametrize("how", SPOILT)
def test_without_its_private_key_that_is_an_error_and_nothing_is_touched(how: str, host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    SPOILT[how](host.pem(keys, "a"), keys)
    before = host.files()
    result = host(ring(keys, "a:retired b:retired c:current", without="a"), reload="owed")
    message = error_of(result)
    assert "missing or cannot be opened" in message
    assert keys.a.fingerprint in message
    assert "export_passphrase" in message
    assert (result["changed"], result["keys_changed"], result["reload_needed"]) == (False, False, False)
    assert only(result)["current"] == keys.b.fingerprint
    assert host.files() == before


def test_a_new_passphrase_writes_every_file_again(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    result = host(ring(keys, "a:retired b:current", passphrase=OTHER), passphrase=OTHER)
    assert only(result)["rewritten"] == fingerprints(keys, "ba")
    for letter in "ab":
        load_private_key(host.pem(keys, letter).read_bytes(), OTHER, letter)


def test_a_deleted_manifest_is_written_again_and_the_files_are_kept(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:current")
    host(row)
    before = host.files()
    (host.folder / "manifest.json").unlink()
    result = host({**row, "private_keys": {}}, reload="owed")
    assert only(result)["added"] == fingerprints(keys, "ba")
    assert only(result)["rewritten"] == []
    after = host.files()
    assert {name for name in before if before[name] != after[name]} == {"endpoint-keys/default/manifest.json"}


def test_a_manifest_in_another_layout_is_written_again(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    path = host.folder / "manifest.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text)))
    result = host(ring(keys, "a:current"))
    assert (result["changed"], result["keys_changed"], result["diff"]) == (True, False, [])
    assert path.read_text() == text


# -- what refuses


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("there", "wanted"), [
    ("a:retired b:current", "a:retired c:current"),
    ("a:current b:pending", "a:current"),  # a run that lags behind the one that made it
    ("a:current b:pending", "a:retired c:current"),
    ("a:current b:retired", "a:current"),  # one that was given up, and that numbers may hold
    ("b:retired a:current", "a:retired c:current"),
    ("b:retired a:retired", "a:revoked"),
])
def test_a_key_that_the_keyring_does_not_know_is_refused(
    *, there: str, wanted: str, check_mode: bool, host: Host, keys: Keys
) -> None:
    host(ring(keys, there))
    before, current = host.files(), host.manifest()["current"]
    result = host(ring(keys, wanted, pruned="d"), check_mode=check_mode, reload="owed")
    message = error_of(result)
    assert keys.b.fingerprint in message
    assert keys.a.fingerprint not in message
    assert "another run" in message
    assert "waba.flows.restore" in message
    assert str(host.folder / "manifest.json") in message
    assert only(result)["current"] == current
    assert (result["changed"], result["reload_needed"]) == (False, False)
    assert host.files() == before


def test_the_way_on_from_there_is_to_delete_the_manifest(host: Host, keys: Keys) -> None:
    host(ring(keys, "b:current"))
    assert host(ring(keys, "c:current"))["failed"] is True
    (host.folder / "manifest.json").unlink()
    assert only(host(ring(keys, "c:current")))["current"] == keys.c.fingerprint
    assert host.pem(keys, "b").exists()  # no manifest names it now


def test_all_that_the_keyring_does_not_know_are_named(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:retired c:current d:pending"))
    before = host.files()
    message = error_of(host(ring(keys, "c:current", pruned="a")))
    assert f"has {', '.join(sorted([keys.b.fingerprint, keys.d.fingerprint]))}, which" in message
    assert host.files() == before


def test_an_older_vault_is_refused_for_that_key_alone(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"), ring(keys, "c:current", name="partner"))
    result = host(ring(keys, "b:current"), ring(keys, "c:retired d:current", name="partner"))
    assert ["error" in row for row in result["deployed"]] == [True, False]
    assert host.pem(keys, "a").exists()
    assert host.manifest("partner")["current"] == keys.d.fingerprint


def test_a_key_that_was_pruned_and_imported_again_is_deployed(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    host(ring(keys, "b:current", pruned="a"))
    assert only(host(ring(keys, "a:retired b:current")))["added"] == [keys.a.fingerprint]
    assert host(ring(keys, "a:retired b:current"))["changed"] is False


@pytest.mark.parametrize("pruned", [["abc"], ["SHA256:x"], [""], ["SHA256:" + 43 * "A" + "\n"]])
@pytest.mark.parametrize("check_mode", [False, True])
def test_odd_fingerprints_of_pruned_keys_are_refused(
    *, pruned: list[str], check_mode: bool, host: Host, keys: Keys
) -> None:
    with pytest.raises(InvalidOptions, match="pruned is not a list of fingerprints"):
        host({**ring(keys, "a:current"), "pruned": pruned}, check_mode=check_mode)
    assert not host.path.parent.exists()


def changed_manifest(**members: t.Any) -> t.Callable[[str], bytes]:
    return lambda text: json.dumps({**json.loads(text), **members}).encode()


def changed_entry(**members: t.Any) -> t.Callable[[str], bytes]:
    def change(text: str) -> bytes:
        document = json.loads(text)
        document["keys"][0].update(members)
        return json.dumps(document).encode()
    return change


DAMAGE: dict[str, t.Callable[[str], bytes]] = {
    "truncated": lambda text: text[: len(text) // 2].encode(),
    "empty": lambda text: b"",
    "not text": lambda text: b"\xff\xfe\x00",
    "a list": lambda text: b"[]",
    "nested too deep": lambda text: b"[" * 100000,
    "newer schema": changed_manifest(schema=2),
    "of another key": changed_manifest(key_name="other"),
    "no keys": changed_manifest(keys=None),
    "a key that is no object": changed_manifest(keys=["x"]),
    "current of another type": changed_manifest(current=["x"]),
    "current not among the keys": changed_manifest(current="SHA256:" + 43 * "A"),
    "a file elsewhere": changed_entry(file="../../passwd.pem"),
    "an absolute file": changed_entry(file="/etc/passwd.pem"),
    "a file that is no key": changed_entry(file="manifest.json"),
    "a hidden file": changed_entry(file=".x.pem"),
    "a file of no text": changed_entry(file=None),
    "an unknown state": changed_entry(state="lost"),
    "a fingerprint that is none": changed_entry(fingerprint="a canary"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_damaged_manifest_is_refused_and_nothing_is_touched(
    *, damage: str, check_mode: bool, host: Host, keys: Keys
) -> None:
    host(ring(keys, "a:retired b:current"))
    path = host.folder / "manifest.json"
    path.write_bytes(DAMAGE[damage](path.read_text()))
    before = host.files()
    result = host(ring(keys, "b:current c:pending"), check_mode=check_mode, reload="owed")
    message = error_of(result)
    assert f"{path} on {os.uname().nodename} is damaged: " in message
    assert "canary" not in message
    assert "delete it and run again" in message
    assert host.files() == before


WRONG: dict[str, tuple[t.Callable[[Params, Keys], Params], str]] = {
    "another passphrase": (lambda given, keys: dict.fromkeys(given, pem_of(keys.a, OTHER)), "passphrase is wrong"),
    "another key": (lambda given, keys: dict.fromkeys(given, pem_of(keys.d, PASSPHRASE)), "is that of SHA256:"),
    "missing": (lambda given, keys: {}, "was not given"),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_private_key_that_does_not_do_is_an_error_of_that_key_alone(how: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    row["private_keys"] = WRONG[how][0](row["private_keys"], keys)
    result = host(row, ring(keys, "b:current", name="partner"), reload="owed")
    first, second = result["deployed"]
    assert WRONG[how][1] in first["error"]["message"]
    assert set(first["error"]) == ERROR_MEMBERS
    assert (first["changed"], first["added"], first["current"]) == (False, [], None)
    assert not (host.folder / "manifest.json").exists()
    assert not list(host.path.glob("default/*"))
    assert (second["added"], "error" in second) == ([keys.b.fingerprint], False)
    assert result["failed"] is result["changed"] is result["reload_needed"] is True
    assert result["msg"].startswith("1 of 2 keys could not be deployed. default: ")
    assert len(result["diff"]) == 1


def test_the_first_error_does_not_stop_the_last_one_from_being_told(host: Host, keys: Keys) -> None:
    rows = [ring(keys, "a:current", name=name, without="a") for name in ("one", "two")]
    result = host(*rows, ring(keys, "b:current"))
    assert result["msg"].startswith("2 of 3 keys could not be deployed. one: ")
    assert " | two: " in result["msg"]


def linked(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("what", ["folder", "manifest", "kept key", "damaged key", "removed key", "journal"])
def test_a_symbolic_link_is_refused(what: str, check_mode: bool, host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    path = {
        "folder": host.folder, "manifest": host.folder / "manifest.json", "kept key": host.pem(keys, "b"),
        "damaged key": host.pem(keys, "b"), "removed key": host.pem(keys, "a"), "journal": host.folder / ".unfinished",
    }[what]
    if what in ("damaged key", "journal"):
        path.write_text("[]")
    linked(path)
    before = host.files()
    result = host(ring(keys, "b:retired c:current", pruned="a"), check_mode=check_mode, reload="owed")
    message = error_of(result)
    assert str(path) in message
    assert "symbolic link" in message or "not a regular file" in message
    assert host.files() == before


@pytest.mark.parametrize("what", ["manifest", "kept key", "removed key"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(what: str, kind: str, host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    path = {"manifest": host.folder / "manifest.json", "kept key": host.pem(keys, "b"), "removed key": host.pem(keys, "a")}[what]
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    before = host.files()
    assert str(path) in error_of(host(ring(keys, "b:current", pruned="a")))
    assert host.files() == before


@pytest.mark.parametrize("name", [".lock", ".reload-owed"])
def test_links_in_the_place_of_own_files_lead_nowhere(name: str, host: Host, keys: Keys, tmp_path: Path) -> None:
    host(ring(keys, "a:current"))
    (host.path / name).unlink(missing_ok=True)
    (host.path / name).symlink_to(tmp_path / "made")
    row = ring(keys, "a:current b:pending")
    if name == ".lock":
        with pytest.raises(KeyringError, match="it is a symbolic link"):
            host(row, reload="owed")
    else:
        assert "it is a symbolic link" in error_of(host(row, reload="owed"))
        assert len(host.manifest()["keys"]) == 1
    assert not (tmp_path / "made").exists()


def test_the_folder_of_all_keys_may_be_a_link(host: Host, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    host.path.parent.mkdir()
    host.path.symlink_to(tmp_path / "real")
    assert host(ring(keys, "a:current"))["changed"] is True
    assert host(ring(keys, "a:current"))["changed"] is False
    assert (tmp_path / "real" / "default" / "manifest.json").exists()
    assert host.path.is_symlink()


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_path_that_cannot_be_made_is_named_with_host_and_reason(check_mode: bool, host: Host, keys: Keys) -> None:
    host.path.parent.write_text("")
    with pytest.raises(KeyringError, match="Not a directory") as caught:
        host(ring(keys, "a:current"), check_mode=check_mode)
    assert os.uname().nodename in str(caught.value)
    assert "become" in str(caught.value)


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_keys_as_they_were(call: str, host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ring(keys, "a:current")
    host(row)
    before = host.files()

    def fail(*arguments: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert "No space left on device" in error_of(host(ring(keys, "a:current b:pending")))
    assert host.files() == before
    assert "failed" not in host(ring(keys, "a:current b:pending"))


def test_an_error_half_way_says_that_something_was_changed(
    host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(ring(keys, "a:current"))
    write = _files.write_durably

    def fail_on_manifest(path: str, *arguments: t.Any) -> None:
        if path.endswith("manifest.json"):
            raise OSError(28, "No space left on device", path)
        write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(_endpoint_keys, "write_durably", fail_on_manifest)
        result = host(ring(keys, "a:current b:pending"), reload="owed")
    assert (only(result)["changed"], only(result)["added"], only(result)["current"]) == (True, [], keys.a.fingerprint)
    assert result["changed"] is result["keys_changed"] is result["reload_needed"] is result["failed"] is True
    assert result["diff"] == []
    again = host(ring(keys, "a:current b:pending", without="ab"), reload="owed")
    assert only(again)["added"] == [keys.b.fingerprint]
    assert not (host.folder / ".unfinished").exists()


def test_what_does_not_read_back_is_not_named(host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    write = _files.write_durably

    def lose(path: str, data: bytes, *arguments: t.Any) -> None:
        write(path, data[:-1], *arguments)

    monkeypatch.setattr(_endpoint_keys, "write_durably", lose)
    assert "does not read back" in error_of(host(ring(keys, "a:current")))
    assert not (host.folder / "manifest.json").exists()


def test_cryptography_is_needed(host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", None)
    with pytest.raises(MissingLibrary):
        host(ring(keys, "a:current"))
    assert not host.path.exists()
    assert host(reload="done")["changed"] is False


# -- hostile options


@pytest.mark.parametrize("name", ["", "a b", "../x", "..", "a/b", ".hidden", "x" * 65, "\u00e9", "a\n", "a\0"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_other_names_are_refused(name: str, check_mode: bool, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="not allowed"):
        host(ring(keys, "a:current", name="fine"), ring(keys, "b:current", name=name), check_mode=check_mode)
    assert not host.path.parent.exists()


ODD_ROWS: dict[str, tuple[Params, str]] = {
    **{f"id {value!r:.20}": ({"id": value}, "id is not a")
       for value in ("../x", "x/y", ".x", "", "a\0b", "a\nb", "a b", "x" * 129, "-rf")},
    "no id": ({"id": None}, "wrong type"), "id twice": ({"id": "twice"}, "id occurs twice"),
    "state": ({"state": "lost"}, "state"), "no state": ({"state": None}, "wrong type"),
    "two current": ({"state": "current"}, "more than one generation is current"),
    "fingerprint": ({"fingerprint": "abc"}, "is not a fingerprint"), "no fingerprint": ({"fingerprint": None}, "wrong type"),
    "time": ({"created_at": "yesterday"}, "time"), "no time": ({"created_at": None}, "wrong type"),
    "time of another kind": ({"retired_at": 5}, "wrong type"), "more": ({"path": "/etc"}, "unknown ones"),
}


@pytest.mark.parametrize("how", ODD_ROWS)
@pytest.mark.parametrize("check_mode", [False, True])
def test_odd_generations_are_refused_before_anything_is_touched(how: str, check_mode: bool, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current b:pending")
    row["generations"][1].update(ODD_ROWS[how][0])
    if how == "id twice":
        row["generations"][0]["id"] = "twice"
    with pytest.raises((InvalidOptions, InvalidKey), match=ODD_ROWS[how][1]):
        host(ring(keys, "c:current", name="fine"), row, check_mode=check_mode)
    assert not host.path.parent.exists()


def test_one_fingerprint_in_two_forms_is_one(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current b:pending")
    row["generations"][1]["fingerprint"] = keys.a.fingerprint[len("SHA256:"):]
    with pytest.raises(InvalidOptions, match="fingerprint occurs twice"):
        host(row)


def test_a_missing_member_is_refused(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    del row["generations"][0]["created_at"]
    with pytest.raises(InvalidOptions, match="lacks members"):
        host(row)


def test_the_same_key_twice_is_refused(host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="more than once: default"):
        host(ring(keys, "a:current"), ring(keys, "b:current"))
    assert not host.path.parent.exists()


ODD_KEYS: dict[str, t.Callable[[KeyPair], t.Any]] = {
    "not encrypted": lambda key: key.private_pem(),
    "pkcs1": lambda key: key.private_pem(form=PrivateFormat.TraditionalOpenSSL),
    "openssl's old form": lambda key: key.private_pem(PASSPHRASE, PrivateFormat.TraditionalOpenSSL),
    "two": lambda key: pem_of(key, PASSPHRASE) * 2,
    "with a plain one": lambda key: pem_of(key, PASSPHRASE) + key.private_pem(),
    "with text": lambda key: "#!/bin/sh\n" + pem_of(key, PASSPHRASE),
    "public": lambda key: key.pem,
    "number": lambda key: 5,
    "list": lambda key: [pem_of(key, PASSPHRASE)],
    "empty": lambda key: "",
    "headers": lambda key: pem_of(key, PASSPHRASE).replace("KEY-----\n", "KEY-----\nX: y\n", 1),
}


@pytest.mark.parametrize("how", ODD_KEYS)
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_odd_private_key_is_refused_before_anything_is_touched(how: str, check_mode: bool, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    row["private_keys"] = {row["generations"][0]["id"]: ODD_KEYS[how](keys.a)}
    with pytest.raises(InvalidKey, match="not one encrypted PKCS#8 key") as caught:
        host(ring(keys, "c:current", name="fine"), row, check_mode=check_mode)
    assert not [piece for piece in body_pieces(keys.a.private_pem()) if piece in str(caught.value)]
    assert not host.path.parent.exists()


def test_private_keys_of_no_generation_here_are_not_looked_at(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:revoked b:current")
    row["private_keys"].update({"../../x": keys.d.private_pem(), row["generations"][0]["id"]: "nonsense"})
    assert "failed" not in host(row)
    assert host.names() == [host.pem(keys, "b").name, "manifest.json"]


@pytest.mark.parametrize("path", ["relative", "", "/x\0y"])
@pytest.mark.parametrize("reload", ["none", "done"])
def test_an_odd_path_is_refused(path: str, reload: str, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="absolute"):
        host(ring(keys, "a:current"), path=path, reload=reload)


@pytest.mark.parametrize(("passphrase", "why"), [
    (None, "No passphrase"), ("", "No passphrase"), ("short", "12 characters"), ("x" * 1024, "1023 bytes"),
    ("\ud800" * 12, "UTF-8"),
])
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_odd_passphrase_is_refused(*, passphrase: str | None, why: str, check_mode: bool, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match=why) as caught:
        host(ring(keys, "a:current"), passphrase=passphrase, check_mode=check_mode)
    assert not passphrase or passphrase not in str(caught.value)
    assert not host.path.parent.exists()


@pytest.mark.parametrize("option", ["owner", "group"])
@pytest.mark.parametrize("name", ["no-such-name-here", "a\0b", "\ud800", "4294967295", "99999999999", "-1", "1.5"])
def test_an_unknown_owner_is_refused(option: str, name: str, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match=f"The {option} '.*' is not known on {os.uname().nodename}"):
        host(ring(keys, "a:current"), **t.cast(Params, {option: name}))
    assert not host.path.parent.exists()


# -- owner and mode


def modes(host: Host) -> dict[str, str]:
    return {str(path.relative_to(host.path.parent)): f"{stat.S_IMODE(path.stat().st_mode):04o}"
            for path in [host.path.parent, *host.path.parent.rglob("*")]}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes(umask: int, host: Host, keys: Keys) -> None:
    old = os.umask(umask)
    try:
        host(ring(keys, "a:current"), mode="0640", directory_mode="0750", reload="owed")
    finally:
        os.umask(old)
    pem = host.pem(keys, "a").name
    assert modes(host) == {
        ".": "0755", "endpoint-keys": "0750", "endpoint-keys/.lock": "0600", "endpoint-keys/.made": "0600",
        "endpoint-keys/.reload-owed": "0600", "endpoint-keys/default": "0750", "endpoint-keys/default/manifest.json": "0640",
        f"endpoint-keys/default/{pem}": "0640",
    }


def test_modes_if_nothing_is_said(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    assert {name: mode for name, mode in modes(host).items() if name != "."} == {
        "endpoint-keys": "0700", "endpoint-keys/.lock": "0600", "endpoint-keys/.made": "0600", "endpoint-keys/default": "0700",
        "endpoint-keys/default/manifest.json": "0600", f"endpoint-keys/default/{host.pem(keys, 'a').name}": "0600"}


@pytest.mark.parametrize("what", ["endpoint-keys", "default", "manifest", "key"])
def test_a_mode_that_drifted_is_mended(what: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    host(row)
    expected = host.state()
    path = {"endpoint-keys": host.path, "default": host.folder, "manifest": host.folder / "manifest.json",
            "key": host.pem(keys, "a")}[what]
    path.chmod(0o711 if path.is_dir() else 0o444)
    before = host.files()
    predicted = host({**row, "private_keys": {}}, check_mode=True)
    assert host.files() == before
    result = host({**row, "private_keys": {}}, reload="owed")
    assert result["changed"] is predicted["changed"] is True
    assert (result["keys_changed"], result["reload_needed"], only(result)["rewritten"], result["diff"]) == (False, False, [], [])
    assert only(result)["changed"] is (what != "endpoint-keys")
    assert host.state() == expected
    assert host(row)["changed"] is False


def test_another_mode_is_given_to_everything(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    host(row)
    assert host(row, mode="0640", directory_mode="0750")["keys_changed"] is False
    assert set(modes(host).values()) == {"0755", "0750", "0640", "0600"}
    assert host(row, mode="0640", directory_mode="0750")["changed"] is False


def test_a_folder_that_was_there_before_is_left_as_it_is(host: Host, keys: Keys) -> None:
    host.path.mkdir(parents=True)
    host.path.chmod(0o755)
    (host.path / "README").write_text("ours")
    for dummy in range(2):
        host(ring(keys, "a:current"))
        assert modes(host)["endpoint-keys"] == "0755"
    assert modes(host)["endpoint-keys/default"] == "0700"


@pytest.mark.parametrize(("value", "mode"), [
    ("0600", 0o600), ("600", 0o600), ("0640", 0o640), ("0o440", 0o440), (0o600, 0o600), (0o640, 0o640), (0o644, 0o644),
    ("0444", 0o444),
])
def test_a_mode_is_octal_text_or_the_number_that_yaml_makes_of_it(value: t.Any, mode: int, host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"), mode=value)
    assert stat.S_IMODE(host.pem(keys, "a").stat().st_mode) == mode


@pytest.mark.parametrize("value", [
    600, 640, 644, 660, 400, 440, 444, 700, -1, 0, True, 1.5, None, ["0600"], "", "u=rw", "preserve", "0999", "06400", "1600",
    "0x180", "0602", "0666", "0060", "0700", "0611", "0620", "416", " 0600", "0600\n", "\u0660\u0666\u0660\u0660",
])
@pytest.mark.parametrize("check_mode", [False, True])
def test_other_modes_of_files_are_refused(value: t.Any, check_mode: bool, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="is not a mode for files"):
        host(ring(keys, "a:current"), mode=value, check_mode=check_mode)
    assert not host.path.parent.exists()


@pytest.mark.parametrize("value", [
    700, 750, 755, 770, 500, 550, "0777", "0702", "0640", "0600", "0070", "0000", "0300", "0740", None,
])
def test_other_modes_of_folders_are_refused(value: t.Any, host: Host, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="is not a mode for folders"):
        host(ring(keys, "a:current"), directory_mode=value)
    assert not host.path.parent.exists()


@pytest.mark.parametrize("value", ["0700", "0750", "0755", "0711", "0770", pytest.param("0550", marks=needs_root), 0o750])
def test_modes_of_folders(value: t.Any, host: Host, keys: Keys) -> None:
    assert "failed" not in host(ring(keys, "a:current"), directory_mode=value)


@pytest.mark.parametrize(("mode", "warned"), [("0600", 0), ("0640", 0), ("0644", 1), ("0604", 1)])
def test_a_mode_that_lets_all_read_is_warned_of(mode: str, warned: int, host: Host, keys: Keys) -> None:
    assert len(host(ring(keys, "a:current"), mode=mode)["warnings"]) == warned


def owners(host: Host) -> set[tuple[int, int]]:
    found = [path.stat() for path in [host.path, *host.path.rglob("*")] if path.name not in (".lock", ".made", ".reload-owed")]
    return {(status.st_uid, status.st_gid) for status in found}


@needs_root
@pytest.mark.parametrize("owner", ["daemon", "1"])
def test_owner_and_group_by_name_or_number(owner: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:current")
    host(row, owner=owner, group=str(OTHERS_GROUP))
    assert owners(host) == {(1, OTHERS_GROUP)}
    assert host(row, owner=owner, group=str(OTHERS_GROUP))["changed"] is False


@needs_root
@pytest.mark.parametrize("what", ["endpoint-keys", "default", "manifest", "key"])
def test_an_owner_that_drifted_is_mended(what: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    given: Params = {"owner": "1", "group": str(OTHERS_GROUP)}
    host(row, **given)
    os.chown({"endpoint-keys": host.path, "default": host.folder, "manifest": host.folder / "manifest.json",
              "key": host.pem(keys, "a")}[what], 0, OTHERS_GROUP)
    assert host(row, check_mode=True, **given)["changed"] is True
    result = host(row, **given)
    assert (result["changed"], result["keys_changed"]) == (True, False)
    assert owners(host) == {(1, OTHERS_GROUP)}


@needs_root
def test_an_owner_that_is_not_asked_for_is_kept(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"), owner="1", group=str(OTHERS_GROUP))
    SPOILT["truncated"](host.pem(keys, "a"), keys)
    host(ring(keys, "a:retired b:current"))
    pem = host.pem(keys, "b").stat()
    assert (pem.st_uid, pem.st_gid) == (0, 0)
    for path in (host.pem(keys, "a"), host.folder / "manifest.json", host.folder, host.path):
        assert (path.stat().st_uid, path.stat().st_gid) == (1, OTHERS_GROUP)


@needs_root
def test_a_file_belongs_to_its_owner_before_it_gets_its_name(
    host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    seen = {}

    def noting(source: str, target: str) -> None:
        status = os.stat(source)
        seen[Path(target).name] = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        rename(source, target)

    monkeypatch.setattr(os, "rename", noting)
    host(ring(keys, "a:current"), owner="1", group=str(OTHERS_GROUP), mode="0440")
    assert seen[host.pem(keys, "a").name] == seen["manifest.json"] == (1, OTHERS_GROUP, 0o440)


# -- files that are not ours


def test_files_that_no_manifest_named_are_never_touched(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:retired b:current"))
    strays = [host.folder / name for name in ("backup.pem", "notes.txt", "20260101T120000Z-0123456789abcdef.pem", ".hidden")]
    strays.append(host.path / "other" / "20260101T120000Z-0123456789abcdef.pem")
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.write_text("stray")
        path.chmod(0o604)
    before = {path: path.stat() for path in strays}
    assert host(ring(keys, "a:retired b:current"))["changed"] is False
    assert only(host(ring(keys, "b:retired c:current", pruned="a")))["removed"] == [keys.a.fingerprint]
    for path, status in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_mode) == (
            status.st_ino, status.st_mtime_ns, status.st_mode)


def test_temporary_files_are_removed(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    leftover = host.folder / ".tmp-0123456789abcdef"
    leftover.write_text("half")
    host(ring(keys, "a:current"), check_mode=True)
    assert leftover.exists()
    assert host(ring(keys, "a:current"))["changed"] is False
    assert not leftover.exists()


@pytest.mark.parametrize("text", [
    "", "nonsense", "{}", "[5]", '["../../x.pem", "/etc/x.pem", "manifest.json", ".x.pem"]', "[" * 100000,
])
def test_a_damaged_journal_names_nothing(text: str, host: Host, keys: Keys, tmp_path: Path) -> None:
    host(ring(keys, "a:current"))
    (tmp_path / "x.pem").write_text("stray")
    (host.folder / ".x.pem").write_text("stray")
    (host.folder / ".unfinished").write_text(text)
    assert host(ring(keys, "a:current"))["changed"] is False
    assert not (host.folder / ".unfinished").exists()
    assert (tmp_path / "x.pem").exists()
    assert (host.folder / ".x.pem").exists()
    assert host.manifest()["current"] == keys.a.fingerprint


# -- whether a program has to load the keys anew


def test_a_reload_is_owed_until_it_is_done(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    assert host(row, reload="owed")["reload_needed"] is host.owed is True
    again = host(row, reload="owed")
    assert (again["changed"], again["keys_changed"], again["reload_needed"]) == (False, False, True)
    assert host(row, reload="none")["reload_needed"] is False
    assert host(row, reload="none")["changed"] is False
    assert host(ring(keys, "a:retired b:current"), reload="owed")["reload_needed"] is True
    done = host(reload="done")
    assert (done["changed"], done["reload_needed"], done["deployed"], host.owed) == (True, False, [], False)
    assert host(reload="done")["changed"] is False
    assert host(ring(keys, "a:retired b:current"), reload="owed")["reload_needed"] is False


@pytest.mark.attack("durable", "the order of writing, syncing and naming, call by call")
def test_the_marker_is_empty_and_durable_before_anything_else(
    host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(ring(keys, "a:current"))
    events: list[str] = []
    rename, fsync, unlink, mark = os.rename, os.fsync, os.unlink, _files.make_marker

    def noting_rename(source: str, target: str) -> None:
        events.append("rename " + (Path(target).suffix or Path(target).name))
        rename(source, target)

    def noting_fsync(descriptor: int) -> None:
        events.append("sync " + ("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"))
        fsync(descriptor)

    def noting_unlink(path: str) -> None:
        events.append("unlink " + (Path(path).suffix or Path(path).name))
        unlink(path)

    def noting_mark(path: str) -> None:
        events.append("mark")
        mark(path)

    monkeypatch.setattr(os, "rename", noting_rename)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "unlink", noting_unlink)
    monkeypatch.setattr(_endpoint_keys, "make_marker", noting_mark)
    host(ring(keys, "a:revoked b:current"), reload="owed")
    written = [["sync file", f"rename {name}", "sync folder"] for name in (".unfinished", ".pem", ".json")]
    assert events == ["mark", "sync file", "sync folder", *written[0], *written[1], *written[2], "unlink .pem", "sync folder",
                      "unlink .unfinished", "sync folder"]
    assert (host.path / ".reload-owed").read_bytes() == b""


@pytest.mark.attack("durable", "the order of writing, syncing and naming, call by call")
def test_until_there_is_a_manifest_the_folders_are_made_durable(
    host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was killed may have made them just now."""
    synced: set[int] = set()
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    host.folder.mkdir(mode=0o700, parents=True)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    host(ring(keys, "a:current"))
    assert {path.stat().st_ino for path in (host.folder, host.path, host.path.parent)} <= synced
    (host.folder / "manifest.json").unlink()
    synced.clear()
    host(ring(keys, "a:current"))
    assert {path.stat().st_ino for path in (host.folder, host.path)} <= synced
    synced.clear()
    host(ring(keys, "a:current"))
    assert synced == {host.folder.stat().st_ino}


def test_done_needs_neither_keys_nor_passphrase_and_makes_nothing(host: Host) -> None:
    assert host(reload="done", passphrase=None) == {
        "changed": False, "deployed": [], "keys_changed": False, "reload_needed": False, "diff": []}
    assert not host.path.parent.exists()


def test_done_deploys_nothing(host: Host, keys: Keys) -> None:
    assert host(ring(keys, "a:current"), reload="done")["deployed"] == []
    assert not host.path.parent.exists()


def test_done_in_check_mode(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"), reload="owed")
    before = host.files()
    result = host(reload="done", check_mode=True)
    assert (result["changed"], result["reload_needed"]) == (True, False)
    assert host.files() == before


# -- check mode

CALLS: dict[str, tuple[str, str]] = {  # what is there, and what is asked for
    "first": ("", "a:retired b:current"),
    "unchanged": ("a:current", "a:current"),
    "new": ("a:current", "a:current b:pending"),
    "states": ("a:current b:pending", "a:retired b:current"),
    "pruned": ("a:retired b:current", "b:current"),
    "revoked": ("a:retired b:current", "a:revoked b:current"),
    "all": ("a:retired b:current", "b:retired c:current d:pending"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reload", ["none", "owed"])
@pytest.mark.parametrize("spoilt", [False, True])
def test_check_mode_predicts_and_touches_nothing(*, call: str, reload: str, spoilt: bool, host: Host, keys: Keys) -> None:
    if CALLS[call][0]:
        host(ring(keys, CALLS[call][0]))
        if spoilt:
            SPOILT["truncated"](next(iter(host.folder.glob("*.pem"))), keys)
    row = ring(keys, CALLS[call][1], pruned="" if "a:" in CALLS[call][1] else "a")
    before = host.files()
    predicted = host(row, check_mode=True, reload=reload)
    assert host.files() == before
    assert host.path.parent.exists() is bool(CALLS[call][0])
    assert host(row, reload=reload) == predicted
    assert "failed" not in predicted


def test_check_mode_counts_a_key_that_is_only_predicted(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current b:pending", without="b")
    row["generations"][1].update(predicted=True, business_public_key=None)
    for dummy in range(2):
        result = host(row, check_mode=True, reload="owed")
        assert "failed" not in result
        assert keys.b.fingerprint in only(result)["added"]
        assert result["changed"] is result["reload_needed"] is True
        host(ring(keys, "a:current"), reload="none")
    assert keys.b.fingerprint in result["diff"][0]["after"]


@pytest.mark.parametrize("how", ["another passphrase", "another key"])
def test_check_mode_refuses_a_private_key_that_does_not_do(how: str, host: Host, keys: Keys) -> None:
    row = ring(keys, "a:current")
    row["private_keys"] = WRONG[how][0](row["private_keys"], keys)
    assert WRONG[how][1] in error_of(host(row, check_mode=True))


def test_check_mode_says_that_a_reload_is_still_owed(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"), reload="owed")
    result = host(ring(keys, "a:current"), check_mode=True, reload="owed")
    assert (result["changed"], result["reload_needed"]) == (False, True)


# -- diff


def test_the_diff_shows_the_manifests(host: Host, keys: Keys) -> None:
    host(ring(keys, "a:current"))
    before = (host.folder / "manifest.json").read_text()
    (diff,) = host(ring(keys, "a:retired b:current"))["diff"]
    path = str(host.folder / "manifest.json")
    assert diff == {"before_header": path, "after_header": path, "before": before,
                    "after": (host.folder / "manifest.json").read_text()}


# -- secrets


def texts_of(*results: Params) -> str:
    return "".join(json.dumps(result) + repr(result) for result in results)


def test_no_result_and_no_message_holds_a_secret(host: Host, keys: Keys) -> None:
    rows = {text: ring(keys, text, pruned="" if "a:" in text else "a")
            for text in ("a:current", "a:current b:pending", "b:current")}
    results = [host(row, check_mode=check, reload="owed") for row in rows.values() for check in (True, False)]
    for spoil in SPOILT.values():
        spoil(host.pem(keys, "b"), keys)
        results += [host({**rows["b:current"], "private_keys": {}}), host(rows["b:current"])]
    for wrong, dummy in WRONG.values():
        row = ring(keys, "b:current c:pending", pruned="a")
        results.append(host({**row, "private_keys": wrong(row["private_keys"], keys)}))
    text = texts_of(*results)
    for odd in ODD_KEYS.values():
        row = ring(keys, "d:current")
        row["private_keys"] = {row["generations"][0]["id"]: odd(keys.d)}
        with pytest.raises(WabaError) as caught:
            host(row)
        text += f"{caught.value} {caught.value!r} {caught.value.as_dict()}"
    assert PASSPHRASE not in text
    assert OTHER not in text
    assert "PRIVATE" not in text
    secret = {piece for key in keys for pem in (key.private_pem(), pem_of(key, PASSPHRASE), pem_of(key, OTHER))
              for piece in body_pieces(pem)}
    # The public half is in the plain private one, and is no secret.
    secret -= {piece for key in keys for piece in body_pieces(key.pem)}
    assert not [piece for piece in secret if piece in text]


def test_no_repr_holds_a_secret(host: Host, keys: Keys) -> None:
    params = module_params(ENDPOINT_KEYS_SPEC, path="/x", passphrase=PASSPHRASE, keys=[ring(keys, "a:current")])
    request = Request(params, False)
    text = repr(request) + repr(request.keys) + repr(vars(request)["keys"])
    assert "PRIVATE" not in text
    plan = _endpoint_keys.Plan(None, request.keys[0].manifest, writes=dict(request.keys[0].private_keys))
    assert "PRIVATE" not in repr(plan)


# -- processes at once


@contextlib.contextmanager
def holding_the_lock(host: Host) -> t.Iterator[None]:
    with open(host.path / ".lock", "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("given", [{}, {"check_mode": True}, {"reload": "done"}])
def test_the_folder_is_held_alone(given: Params, host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    host(ring(keys, "a:current"))
    monkeypatch.setattr(_files, "LOCK_SECONDS", 0.2)
    with holding_the_lock(host), pytest.raises(KeyringError, match="in use by another process"):
        host(ring(keys, "a:current"), **given)
    host(ring(keys, "a:current"), **given)


def test_processes_that_deploy_at_once_end_as_one(host: Host, keys: Keys) -> None:
    row = ring(keys, "a:retired b:current")
    children = []
    for dummy in range(4):
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if "failed" not in host(row) else 1)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert host(row)["changed"] is False
    assert len(host.manifest()["keys"]) == 2


# -- SIGKILL, a sample; all of it is in tests/slow/test_endpoint_keys_kills.py


@pytest.mark.usefixtures("_unsynced")
@pytest.mark.attack("resumed", "SIGKILL after each system call of each deployment to an endpoint host")
@pytest.mark.parametrize("case", KILLED)
def test_sigkill_is_made_good_by_the_next_call(case: str, host: Host, keys: Keys) -> None:
    first = list(KILLED).index(case) % 7  # so that all kinds of system calls have their turn
    assert kill(case, host, keys, range(first, 1000, 7)) > 0


@pytest.mark.usefixtures("_unsynced")
def test_sigkill_while_a_reload_is_noted_as_done(host: Host, keys: Keys) -> None:
    row, number = ring(keys, "a:current"), 0
    host(row, reload="owed")
    while dies_after(lambda: host(reload="done"), number, SYSTEM_CALLS):
        assert host(row, reload="owed")["reload_needed"] is host.owed
        host(reload="done")
        assert host(row, reload="owed")["reload_needed"] is host.owed is False
        (host.path / ".reload-owed").touch()
        number += 1
    assert number > 3
