# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a vault host's disk can have in store for a keyring: other things than files, other people, other clocks, no room."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _generations as g
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, KeyringError
from ansible_collections.waba.flows.plugins.module_utils._keys import fingerprint_of
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    START,
    Box,
    Maker,
    box_fixture,
    fork,
    maker_fixture,
    rotated,
    states,
    unchecked_keys_fixture,
)
from ansible_collections.waba.flows.tests.unit.keyring_faults import short_writes

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
NOBODY = 65533
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
ROOT = os.geteuid() == 0
# The kinds of calls that write, after key a was retired and b made current.
CALLS: dict[str, Callable[[Box, Keys], Params]] = {
    "present": lambda box, keys: box(),
    "staged": lambda box, keys: box("staged", force=True),
    "promoted": lambda box, keys: box("promoted", fingerprint=keys.b.fingerprint),
    "rolled_back": lambda box, keys: box("rolled_back", fingerprint=keys.a.fingerprint),
    "revoked": lambda box, keys: box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[]),
    "pruned": lambda box, keys: box("pruned", in_use_fingerprints=[], day=400),
    "recorded": lambda box, keys: box("recorded", accepted={"1": {"fingerprints": [keys.b.fingerprint], "certain": True}}),
    "mirrored": lambda box, keys: box("mirrored", source={"generations": [], "private_keys": {}}, force=True),
    "recovered": lambda box, keys: box("recovered", in_use_fingerprints=[keys.b.fingerprint]),
}


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail a call that hangs."""

    def late(*dummy: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome_of_child(work: Callable[[], None]) -> bool:
    """Run a function in a child process; tell whether it ended well."""
    return os.waitpid(fork(work), 0)[1] == 0


# -- other things than files


def to_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def to_folder(path: Path, outside: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("inside")


def to_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def to_socket(path: Path, outside: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def to_device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this account cannot make devices")


KINDS = {"pipe": to_pipe, "folder": to_folder, "link": to_link, "socket": to_socket, "device": to_device}


@pytest.mark.attack("durable", "a pipe, folder, link, socket or device in the place of a key file, state, lock or folder")
@pytest.mark.parametrize("place", ["state", "key", "lock"])
@pytest.mark.parametrize("kind", KINDS)
def test_something_else_than_a_file_is_refused(
    kind: str, place: str, *, box: Box, keys: Keys, maker: Maker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rotated(box, keys)
    path = {"state": box.folder / "keyring.json", "key": box.pem(keys.b), "lock": box.folder / ".lock"}[place]
    outside = tmp_path / "outside"
    outside.write_bytes(path.read_bytes())
    content = outside.read_bytes()
    path.unlink()
    KINDS[kind](path, outside)
    kind_of = stat.S_IFMT(path.lstat().st_mode)
    for state in ("present", "staged", "promoted", "read"):
        given: Params = {"fingerprint": keys.b.fingerprint} if state == "promoted" else {}
        with at_most(5):
            if state == "read" and place == "key":
                assert [row["usable"] for row in box("read")["generations"]] == [True, False]
                continue
            with pytest.raises(KeyringError) as caught:
                box(state, **given)
        assert str(path) in str(caught.value)
    assert stat.S_IFMT(path.lstat().st_mode) == kind_of
    assert outside.read_bytes() == content
    record_property("tries", 4)


@pytest.mark.attack("durable", "a pipe, folder, link, socket or device in the place of a key file, state, lock or folder")
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_keyring_s_folder_that_is_a_link_is_refused(check_mode: bool, box: Box, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    box.path.mkdir(parents=True)
    box.folder.symlink_to(tmp_path / "outside")
    with pytest.raises(KeyringError, match="is a symbolic link"):
        box(check_mode=check_mode)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("place", ["parent", "path"])
def test_a_path_that_leads_through_a_link_is_followed(place: str, box: Box, keys: Keys, maker: Maker, tmp_path: Path) -> None:
    """Where the keyrings are kept is their owner's to say."""
    (tmp_path / "elsewhere" / "keys").mkdir(parents=True)
    if place == "parent":
        box.path.parent.symlink_to(tmp_path / "elsewhere")
    else:
        box.path.parent.mkdir()
        box.path.symlink_to(tmp_path / "elsewhere" / "keys")
    assert box()["changed"] is True
    assert (tmp_path / "elsewhere" / "keys" / "default" / "keyring.json").exists()
    assert box()["changed"] is False


@pytest.mark.attack("secret", "hard links to the files of a keyring, and links under the names of its temporary files")
def test_what_is_linked_to_is_not_written_to(box: Box, keys: Keys, maker: Maker, tmp_path: Path) -> None:
    rotated(box, keys)
    linked = {name: tmp_path / name for name in ("keyring.json", box.pem_name(keys.b))}
    for name, path in linked.items():
        os.link(box.folder / name, path)
    contents = {path: path.read_bytes() for path in linked.values()}
    (tmp_path / "victim").write_text("victim")
    (box.folder / ".tmp-0123").symlink_to(tmp_path / "victim")
    box("staged", force=True, new_passphrase="another long passphrase")
    assert {path: path.read_bytes() for path in linked.values()} == contents
    assert (tmp_path / "victim").read_text() == "victim"
    assert not list(box.folder.glob(".tmp-*"))


@pytest.mark.attack("understood", "an import from a pipe, a folder or a device that never ends")
@pytest.mark.parametrize("path", ["pipe", "folder", "/dev/zero"])
def test_an_import_that_is_no_file_is_refused(path: str, box: Box, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with at_most(5), pytest.raises(InvalidOptions, match="cannot be read"):
        box(import_private_key_path=str(tmp_path / path))
    assert box.names(".pem") + box.names(".json") == []


@pytest.mark.attack("understood", "file names in any bytes, foreign files and folders, and thousands of them, beside the keys")
def test_foreign_files_are_nobody_s_business(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    folder = os.fsencode(box.folder)
    names = [b"\xff\xfe.pem", b"-rf", b"a\nb.pem", b"{{ x }}.pem", "é.pub".encode(), b"20260301T110000Z-\xff123456789abcdef.pem",
             "\u0662026\u0660301T110000Z-0123456789abcdef.pem".encode(), b"x" * 251 + b".pem"]
    names += [b"foreign-%d.pem" % number for number in range(2000)]
    for name in names:
        Path(os.fsdecode(os.path.join(folder, name))).write_text("foreign")
    started = time.monotonic()
    for call in ("present", "staged", "promoted", "recorded", "pruned"):
        CALLS[call](box, keys)
    assert time.monotonic() - started < 20
    left = set(os.listdir(folder))
    assert set(names) <= left
    given = box("recovered", in_use_fingerprints=[], check_mode=True)["recovery"]["put_aside"]
    assert given == []


# -- other people


EVERYBODY: dict[str, tuple[str, int]] = {
    "folder": ("folder", 0o707), "folder, sticky": ("folder", 0o1777), "path": ("path", 0o777), "key read": ("key", 0o604),
    "key written": ("key", 0o602), "state": ("state", 0o666),
}
A_GROUP: dict[str, tuple[str, int]] = {
    "folder": ("folder", 0o770), "path": ("path", 0o775), "key": ("key", 0o660), "state": ("state", 0o660),
}


def places(box: Box, keys: Keys) -> dict[str, Path]:
    return {"folder": box.folder, "path": box.path, "key": box.pem(keys.a), "state": box.folder / "keyring.json"}


@pytest.mark.attack("secret", "folder, state or key files that everybody can change, or keys that everybody can read")
@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("what", EVERYBODY)
def test_what_others_can_get_at_is_refused_with_the_command_that_mends_it(
    what: str, *, check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    place, mode = EVERYBODY[what]
    places(box, keys)[place].chmod(mode)
    before = box.files()
    with pytest.raises(KeyringError, match="others than the account that keeps the keyring can get at it") as caught:
        box("staged", force=True, check_mode=check_mode)
    assert box.files() == before
    assert [row["usable"] for row in box("read")["generations"]] == [True, True]  # an audit may look
    subprocess.run(["sh", "-c", str(caught.value).rpartition(": ")[2]], check=True)
    assert box("staged", force=True, check_mode=check_mode)["changed"] is True


def test_one_message_names_all_that_others_can_get_at(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    for path in places(box, keys).values():
        path.chmod(0o777)
    with pytest.raises(KeyringError) as caught:
        box("staged")
    assert all(f"{path}" in str(caught.value) for path in places(box, keys).values())
    subprocess.run(["sh", "-c", str(caught.value).rpartition(": ")[2]], check=True)
    assert "warnings" in box("staged")


def test_no_folder_is_made_where_everybody_may_change_it(box: Box) -> None:
    box.path.mkdir(parents=True)
    box.path.chmod(0o777)
    with pytest.raises(KeyringError, match="can get at it"):
        box()
    assert not box.folder.exists()


@pytest.mark.parametrize("what", A_GROUP)
def test_what_a_group_can_get_at_is_a_warning_with_the_command_that_mends_it(
    what: str, box: Box, keys: Keys, maker: Maker
) -> None:
    """ACLs and volumes of containers look like this."""
    rotated(box, keys)
    place, mode = A_GROUP[what]
    places(box, keys)[place].chmod(mode)
    (warning,) = box("staged")["warnings"]
    assert str(places(box, keys)[place]) in warning
    subprocess.run(["sh", "-c", warning.rpartition(": ")[2]], check=True)
    assert "warnings" not in box("staged")


@pytest.mark.attack("secret", "another owner of the folder, of the state or of a key")
@pytest.mark.parametrize("place", ["folder", "state", "key"])
def test_another_owner_is_refused(place: str, box: Box, keys: Keys, maker: Maker) -> None:
    if not ROOT:
        pytest.skip("only root can give a file away")
    rotated(box, keys)
    os.chown(places(box, keys)[place], NOBODY, -1)
    with pytest.raises(KeyringError, match="chown -R 0 ") as caught:
        box("staged")
    subprocess.run(["sh", "-c", str(caught.value).rpartition(": ")[2]], check=True)
    assert box("staged")["changed"] is False


def test_root_may_keep_the_keyring_of_another_account(box: Box, keys: Keys, maker: Maker) -> None:
    if not ROOT:
        pytest.skip("only root can give a keyring away")
    rotated(box, keys)
    for path in (box.folder, *box.folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    assert box("staged")["changed"] is False


@pytest.mark.parametrize(("place", "mode"), [("path", 0o1777), ("path", 0o755), ("folder", 0o755), ("state", 0o644)])
def test_what_others_can_only_look_at_will_do(place: str, mode: int, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    places(box, keys)[place].chmod(mode)
    assert box("staged")["changed"] is False


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o027, 0o077])
def test_what_the_collection_made_is_as_it_should_be(umask: int, box: Box, keys: Keys, maker: Maker) -> None:
    before = os.umask(umask)
    try:
        rotated(box, keys)
        assert box("staged", force=True)["changed"] is True
        assert box("recovered", in_use_fingerprints=[])["changed"] is False
    finally:
        os.umask(before)


@pytest.mark.attack("durable", "a folder that the account may not write to, and one of a read-only file system")
@pytest.mark.parametrize("call", CALLS)
def test_a_folder_that_may_not_be_written_to(call: str, box: Box, keys: Keys, maker: Maker) -> None:
    """As another user than root in a process of its own, where this is root."""
    rotated(box, keys)
    for path in (box.path.parent, *box.path.parent.rglob("*")):
        if ROOT:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    for parent in list(box.path.parents)[1:]:
        if parent.owner() == "root" and ROOT and str(parent).startswith("/tmp/"):  # noqa: S108 (pytest's own)
            parent.chmod(0o755)
    before = box.files()

    def work() -> None:
        if ROOT:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        with pytest.raises(KeyringError, match=r"Permission denied .*Check owner"):
            CALLS[call](box, keys)

    assert outcome_of_child(work)
    assert box.files() == before


# -- no room


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(name="small_disk")
def small_disk_fixture(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    yield from mounted(tmp_path / "small", "size=64k,mode=0700")


@pytest.mark.attack("durable", "a file system of 64 KiB that is really full, from the first byte to the last")
def test_a_disk_that_is_really_full(
    small_disk: Path, keys: Keys, maker: Maker, unchecked_keys: None, record_property: Callable[[str, object], None]
) -> None:
    """Room for one page more each time: whatever the call comes to, it fails or is done, and afterwards it can be done."""
    box, filler = Box(small_disk / "keys"), small_disk / "filler"
    rotated(box, keys)
    good, failed = sorted(box.files()), 0
    for pages in range(12):
        _fill(filler, pages)
        document = box.document()
        told = _told(lambda: box("staged", force=True))
        if told:
            failed += 1
            assert "No space left on device" in told
            assert box.document() == document
        filler.unlink()
        assert box("staged", force=True)["pending"]
        assert not list(box.folder.glob(".tmp-*"))
        assert set(good) <= set(box.files())
        box("rolled_back", fingerprint=keys.b.fingerprint)
        pending = box.document()["generations"][2]
        box("revoked", fingerprint=pending["fingerprint"], in_use_fingerprints=[])
        _forget(box, pending["fingerprint"])
        maker.log.write_text("xx")
    record_property("tries", 12)
    assert 2 <= failed <= 11


def _told(call: Callable[[], object]) -> str:
    """Return the error that a call ends with; empty where it ends well."""
    try:
        call()
    except KeyringError as error:
        return str(error)
    return ""


def _fill(path: Path, pages: int) -> None:
    """Fill a disk but for some pages."""
    page = bytes(4096)
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as stream:
        while True:
            stream.write(page)
    os.truncate(path, max(0, path.stat().st_size - pages * len(page)))


def _forget(box: Box, fingerprint: str) -> None:
    """Take a generation out of the state, so that its key can be made anew."""
    document = box.document()
    rows = [row for row in document["generations"] if row["fingerprint"] != fingerprint]
    (box.folder / "keyring.json").write_text(json.dumps({**document, "generations": rows}))


@pytest.mark.attack("durable", "a limit on the size of files, and writes that take a few bytes at a time")
@pytest.mark.parametrize("limit", [10, 400, 1200])
def test_a_limit_on_the_size_of_files(limit: int, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    before = box.document()

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(KeyringError, match="File too large"):
            box("staged", force=True)

    assert outcome_of_child(work)
    assert box.document() == before
    assert box("staged", force=True)["pending"] == keys.d.fingerprint  # the other one never was on disk
    assert not list(box.folder.glob(".tmp-*"))


@pytest.mark.attack("durable", "a limit on the size of files, and writes that take a few bytes at a time")
def test_writes_that_take_a_few_bytes_at_a_time(box: Box, keys: Keys, maker: Maker) -> None:
    with short_writes():
        rotated(box, keys)
    assert [row["usable"] for row in box("read")["generations"]] == [True, True]


def test_a_write_that_takes_nothing_ends(box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with at_most(5), pytest.raises(KeyringError, match="nothing could be written"):
        box()


@pytest.mark.attack("durable", "a file system without locks")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
@pytest.mark.parametrize("call", ["staged", "read"])
def test_a_file_system_without_locks(
    *, code: int, call: str, box: Box, keys: Keys, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated(box, keys)
    before = box.files()

    def no_lock(descriptor: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(KeyringError, match=r"cannot be held alone: .*/\.lock.*offer locks"):
        box(call)
    assert box.files() == before


@pytest.mark.attack("durable", "a parent folder that fails to sync, before there is a keyring")
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_parent_that_fails_to_sync_is_told(code: int, box: Box, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that was killed may have made it: with it, everything in it would be gone after a power cut."""
    box.path.mkdir(parents=True)
    fsync, parent = os.fsync, box.path.parent.stat()

    def failing(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), parent):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(KeyringError, match=os.strerror(code)):
        box()
    monkeypatch.setattr(os, "fsync", fsync)
    assert box()["changed"] is True


@pytest.mark.attack("durable", "a key file and a state that somebody put there by hand, without syncing them")
def test_what_is_found_is_synced_before_it_is_handed_out(
    box: Box, keys: Keys, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated(box, keys)
    synced: set[str] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    assert box("staged")["to_publish"]["fingerprint"] == keys.b.fingerprint
    assert synced == {str(path) for path in (box.folder, box.folder / "keyring.json", box.pem(keys.b))}


# -- two at once


@pytest.mark.attack("resumed", "four processes at once, of which two cannot write")
def test_processes_at_once_of_which_some_cannot_write(box: Box) -> None:
    box()
    box("promoted", fingerprint=box("staged", force=True)["pending"])

    def work(limited: bool) -> None:
        if limited:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        with contextlib.suppress(KeyringError) if limited else contextlib.nullcontext():
            box("staged", force=True)

    children = [fork(functools.partial(work, number % 2 == 0)) for number in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert list(states(box("staged")).values()) == ["retired", "current", "pending"]
    assert not list(box.folder.glob(".tmp-*"))


# -- other clocks


def at(day: float) -> str:
    return g.time_text(START + timedelta(days=day))


@pytest.mark.attack("kept", "a clock that is days or years ahead or behind, when a key is retired or when old keys are removed")
@pytest.mark.parametrize("ahead", [2, 40, 4000])
def test_a_clock_that_is_ahead_removes_nothing(ahead: float, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    before = box.files()
    with pytest.raises(KeyringError, match=r"had their time, but the clock of .*nothing was deleted.*Set the clocks"):
        box("pruned", in_use_fingerprints=[], day=40 + ahead, clock=at(40))
    assert box.files() == before
    assert box("pruned", in_use_fingerprints=[], day=41, clock=at(40.5))["removed"] == [keys.a.fingerprint]


@pytest.mark.attack("kept", "a clock that is days or years ahead or behind, when a key is retired or when old keys are removed")
@pytest.mark.parametrize("behind", [3, 60, 400])
def test_a_key_that_is_retired_while_the_clock_is_behind_is_kept_for_its_time(
    behind: float, box: Box, keys: Keys, maker: Maker
) -> None:
    box(day=100)
    box("staged", force=True, day=200 - behind, clock=at(200))
    box("promoted", fingerprint=keys.b.fingerprint, day=200 - behind, clock=at(200))
    assert box("pruned", in_use_fingerprints=[], day=201, clock=at(201))["removed"] == []
    assert box("pruned", in_use_fingerprints=[], day=231, clock=at(231))["removed"] == [keys.a.fingerprint]


@pytest.mark.attack("kept", "a clock that is days or years ahead or behind, when a key is retired or when old keys are removed")
def test_a_clock_that_is_set_back_removes_nothing_and_ends_no_call(box: Box, keys: Keys, maker: Maker) -> None:
    """Also without another clock; a key is never retired before it was current."""
    box(day=100)
    box("staged", force=True, day=100)
    box("promoted", fingerprint=keys.b.fingerprint, day=-4000)
    assert box("pruned", in_use_fingerprints=[], day=-4000)["removed"] == []
    assert box("pruned", in_use_fingerprints=[], day=129)["removed"] == []
    assert box("pruned", in_use_fingerprints=[], day=130)["removed"] == [keys.a.fingerprint]


@pytest.mark.attack("kept", "a control node's clock that is years ahead while a key becomes the current one")
def test_another_clock_that_is_ahead_starts_retentions_alone(box: Box, keys: Keys, maker: Maker) -> None:
    """By the vault host's own clock the new key is due, and numbers accepted."""
    box(clock=at(4000))
    box("staged", force=True, day=1, clock=at(4000))
    box("promoted", fingerprint=keys.b.fingerprint, day=1, clock=at(4000))
    accepted = {"1": {"fingerprints": [keys.b.fingerprint], "certain": True}}
    done = box("recorded", accepted=accepted, clock=at(4000))
    old, new = done["generations"]
    assert (old["retired_at"], old["last_seen_at"]) == (at(4000), at(4000))
    assert (old["created_at"], old["promoted_at"], old["published_at"]) == (at(0), at(0), at(0))
    assert {new["created_at"], new["promoted_at"], new["published_at"], done["accepted"]["1"]["at"]} == {at(1)}
    assert box("staged", max_age="90d", day=400, clock=at(400))["pending"] == keys.c.fingerprint


def test_another_clock_that_agrees_changes_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    assert box("pruned", in_use_fingerprints=[], day=40, clock=at(39.9))["removed"] == [keys.a.fingerprint]


def test_a_clock_that_is_no_time_is_refused(box: Box) -> None:
    with pytest.raises(InvalidOptions, match="clock is not a time"):
        box(clock="noon")


# -- very many generations


def many(box: Box, count: int) -> list[str]:
    """Add so many revoked generations, and as many that were pruned, to a state."""
    document = box.document()
    fingerprints = [fingerprint_of(b"%d" % number) for number in range(2 * count)]
    rows = [
        {**document["generations"][0], "id": f"20250101T000000Z-{number:016x}", "fingerprint": fingerprint, "state": "revoked",
         "revoked_at": at(0)}
        for number, fingerprint in enumerate(fingerprints[:count])
    ]
    document = {**document, "generations": rows + document["generations"], "pruned": fingerprints[count:]}
    (box.folder / "keyring.json").write_text(json.dumps(document))
    return fingerprints


@pytest.mark.slow
@pytest.mark.attack("bounded", "a keyring of 10,000 generations and as many removed ones, through every kind of call")
def test_ten_thousand_generations(
    box: Box, keys: Keys, maker: Maker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rotated(box, keys)
    fingerprints = many(box, 10_000)
    copy = Box(tmp_path / "copies")
    calls: dict[str, Callable[[], object]] = {
        name: functools.partial(call, box, keys) for name, call in CALLS.items() if name not in ("mirrored", "revoked", "pruned")
    }
    calls["required"] = lambda: box("staged", required_fingerprints=fingerprints)
    calls["seen"] = lambda: box("staged", in_use_fingerprints=fingerprints)
    calls["mirrored"] = lambda: copy("mirrored", source=_source(box))
    calls["mirrored again"] = lambda: copy("mirrored", source=_source(box))
    for name, call in calls.items():
        started = time.process_time()
        call()
        assert time.process_time() - started < 5, f"{name} takes too long"
    record_property("tries", len(calls))


def _source(box: Box) -> Params:
    result = box("read", export_passphrase="a long passphrase")
    return {"generations": result["generations"], "pruned": result["pruned"], "private_keys": result["exported"]}


def test_a_refusal_tells_no_more_files_than_a_person_reads(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    for number in range(30):
        (box.folder / f"20260301T1100{number:02d}Z-{number:016x}.pem").write_text("")
    shutil.move(box.folder / "keyring.json", box.folder / "keyring.json.old")
    with pytest.raises(KeyringError, match="12 more were not looked at"):
        box()
