# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests that kill the keyring share: the cases, and how one is killed and then checked.

A child does a call and is killed right after the n-th of the system calls below, for every n (and once before the first):
being killed before one is being killed after the one before it, as nothing else touches the disk. Then the call is made
again, and must end as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _keyring
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, WabaError
from ansible_collections.waba.flows.plugins.module_utils._keys import fingerprint_hex16, load_private_key
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    IMPORTS,
    PASSPHRASE,
    Box,
    Maker,
    copy_of,
    fork,
    orphaned,
    rotated,
)

NEW_PASSPHRASE = "another long passphrase"
SYSTEM_CALLS = ("open", "write", "fsync", "fchmod", "rename", "unlink", "mkdir")


@pytest.fixture(scope="session", name="spare_keys")
def spare_keys_fixture() -> list[KeyPair]:
    """Keys for the calls after a kill that found no key to go on with."""
    return [KeyPair.generate() for dummy in range(2)]


@pytest.fixture(name="maker")
def maker_with_spare_keys_fixture(
    keys: Keys, spare_keys: list[KeyPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Maker:
    """Keys come from `keys` and then from `spare_keys`, in their order."""
    made = Maker([*keys, *spare_keys], tmp_path / "made")
    monkeypatch.setattr(_keyring, "generate_private_key", made)
    return made


@dataclasses.dataclass
class Scene:
    """A keyring, a place for a copy of it, the keys, and what a case's preparation hands to its call."""

    box: Box
    copy: Box
    keys: Keys
    maker: Maker
    source: Params = dataclasses.field(default_factory=dict)

    def fingerprint(self, name: str) -> str:
        return str(getattr(self.keys, name).fingerprint)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is there, and the call that is killed. C(generates): a new key is needed. C(of_copy): it works on the copy.

    C(recovers): the letters of the keys that files have, though the state may not.
    """

    prepare: t.Callable[[Scene], object]
    call: t.Callable[[Scene], Params]
    generates: bool = False
    of_copy: bool = False
    recovers: str = ""


def nothing(scene: Scene) -> None:
    """Nothing is there yet."""


def two(scene: Scene) -> None:
    """Key a is retired, b current."""
    rotated(scene.box, scene.keys)


def three(scene: Scene) -> None:
    """Key a is retired, b current, c pending."""
    two(scene)
    scene.box("staged", force=True)


def four(scene: Scene) -> None:
    """Key a is retired, b current, c pending, and d was left by a call that was killed."""
    three(scene)
    orphaned(scene.box, scene.keys.d)


def revoked_by_halves(scene: Scene) -> None:
    """Key a is revoked, but its file is still there; b is current."""
    two(scene)
    path = scene.box.pem(scene.keys.a)
    content = path.read_bytes()
    scene.box("revoked", fingerprint=scene.fingerprint("a"), in_use_fingerprints=[])
    path.write_bytes(content)


def leased(scene: Scene) -> None:
    """Key a is retired, b current; a lease is there."""
    two(scene)
    scene.box("staged", lease_owner="here")


def copied(scene: Scene) -> None:
    """The keyring with three keys is to be copied for the first time."""
    three(scene)
    scene.source = copy_of(scene.box)


def copied_before(scene: Scene) -> None:
    """There is a copy of the time when key b was current; since then c became current, and d is pending."""
    two(scene)
    scene.copy("mirrored", source=copy_of(scene.box))
    scene.box("staged", force=True)
    scene.box("promoted", fingerprint=scene.fingerprint("c"))
    scene.box("staged", force=True)
    scene.source = copy_of(scene.box)


def copied_before_removal(scene: Scene) -> None:
    """There is a copy with three keys; since then c became current, a was pruned and b revoked."""
    three(scene)
    scene.copy("mirrored", source=copy_of(scene.box))
    scene.box("promoted", fingerprint=scene.fingerprint("c"))
    scene.box("pruned", in_use_fingerprints=[scene.fingerprint("b")], day=400)
    scene.box("revoked", fingerprint=scene.fingerprint("b"), in_use_fingerprints=[])
    scene.source = copy_of(scene.box)


def another_is_there(scene: Scene) -> None:
    """Where the copy is to be, there is a keyring of its own, with a current and a pending key that the source lacks."""
    two(scene)
    scene.copy("staged")
    scene.copy("staged", **IMPORTS["plain"](scene.keys.d))
    scene.source = copy_of(scene.box)


def imported_on_both(scene: Scene) -> None:
    """The same key was imported at different times: so its files have different names."""
    scene.box(day=0, **IMPORTS["plain"](scene.keys.d))
    scene.copy(day=1, **IMPORTS["plain"](scene.keys.d))
    scene.source = copy_of(scene.box)


def damaged(scene: Scene) -> None:
    """Key a is retired, b current, c pending; the state is cut in the middle of its second row."""
    three(scene)
    path = scene.box.folder / "keyring.json"
    path.write_bytes(path.read_bytes()[:700])


def without_state(scene: Scene) -> None:
    """Key a is retired, b current, c pending; the state is gone."""
    three(scene)
    (scene.box.folder / "keyring.json").unlink()


def swapped(scene: Scene) -> None:
    """Key a is retired, b current, c pending; the files of a and b have each other's names, and that of c is cut."""
    three(scene)
    a, b, c = (scene.box.pem(key) for key in scene.keys[:3])
    a.rename(scene.box.folder / "between")
    b.rename(a)
    (scene.box.folder / "between").rename(b)
    c.write_bytes(c.read_bytes()[:500])


def recover(scene: Scene) -> Params:
    return scene.box("recovered", in_use_fingerprints=[scene.fingerprint("b")])


def mirror(scene: Scene) -> Params:
    return scene.copy("mirrored", source=scene.source)


CASES = {
    "first": Case(nothing, lambda s: s.box(), generates=True),
    "first staged": Case(nothing, lambda s: s.box("staged"), generates=True),
    "import": Case(nothing, lambda s: s.box(**IMPORTS["plain"](s.keys.c)), generates=True),
    "late import": Case(two, lambda s: s.box("staged", **IMPORTS["plain"](s.keys.c)), generates=True),
    "forced import": Case(two, lambda s: s.box(force=True, **IMPORTS["plain"](s.keys.c)), generates=True),
    "staged": Case(two, lambda s: s.box("staged", force=True), generates=True),
    "staged under a lease": Case(two, lambda s: s.box("staged", max_age="1d", lease_owner="here"), generates=True),
    "replaced": Case(two, lambda s: s.box("staged", replace_fingerprint=s.fingerprint("b")), generates=True),
    "replaced while pending": Case(
        three, lambda s: s.box("staged", replace_fingerprint=s.fingerprint("c"), max_age="1d"), generates=True),
    "promoted": Case(three, lambda s: s.box("promoted", fingerprint=s.fingerprint("c"))),
    "rolled_back": Case(three, lambda s: s.box("rolled_back", fingerprint=s.fingerprint("a"))),
    "rolled_back to the current": Case(three, lambda s: s.box("rolled_back", fingerprint=s.fingerprint("b"))),
    "revoked": Case(two, lambda s: s.box("revoked", fingerprint=s.fingerprint("a"), in_use_fingerprints=[])),
    "revoked while pending": Case(three, lambda s: s.box("revoked", fingerprint=s.fingerprint("c"), in_use_fingerprints=[])),
    "revoked by halves": Case(revoked_by_halves, lambda s: s.box("staged", force=True), generates=True),
    "pruned": Case(two, lambda s: s.box("pruned", in_use_fingerprints=[])),
    "lease released": Case(leased, lambda s: s.box("promoted", fingerprint=s.fingerprint("b"), lease_owner="here",
                                                   release_lease=True)),
    "mirrored": Case(copied, mirror, of_copy=True),
    "mirrored again": Case(copied_before, mirror, of_copy=True),
    "mirrored with removal": Case(copied_before_removal, mirror, of_copy=True),
    "mirrored by force": Case(another_is_there, lambda s: s.copy("mirrored", source=s.source, force=True), of_copy=True),
    "mirrored under another name": Case(imported_on_both, mirror, of_copy=True),
    "recovered": Case(damaged, recover, recovers="abc"),
    "recovered without a state": Case(without_state, recover, recovers="abc"),
    "recovered from swapped files": Case(swapped, recover, recovers="ab"),
    "passphrase": Case(four, lambda s: s.box(new_passphrase=NEW_PASSPHRASE)),
    "passphrase and promoted": Case(
        three, lambda s: s.box("promoted", fingerprint=s.fingerprint("c"), new_passphrase=NEW_PASSPHRASE)),
    "passphrase and staged": Case(two, lambda s: s.box("staged", force=True, new_passphrase=NEW_PASSPHRASE), generates=True),
}


def kill_after(number: int | None) -> t.Callable[[], int]:
    """Wrap the system calls of this process, so that it dies after the n-th (never: None); return a count of them."""
    counted = 0
    originals = {name: getattr(os, name) for name in SYSTEM_CALLS}

    def wrap(name: str) -> t.Callable[..., t.Any]:
        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            nonlocal counted
            try:
                return originals[name](*arguments, **options)
            finally:
                counted += 1
                if counted == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        return call

    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    for name in SYSTEM_CALLS:
        setattr(os, name, wrap(name))
    return lambda: counted


def opens(box: Box, fingerprint: str, passphrase: str, *, under_any_name: bool = False) -> bool:
    """Tell whether a file that bears the fingerprint's hash holds its private key, under the passphrase."""
    for path in box.folder.glob("*.pem" if under_any_name else f"*-{fingerprint_hex16(fingerprint)}*.pem"):
        with contextlib.suppress(InvalidKey):
            if load_private_key(path.read_bytes(), passphrase, path.name).public.fingerprint == fingerprint:
                return True
    return False


class Victim:
    """One of CASES: its start on disk, and the call that is made again and again from there."""

    def __init__(self, name: str, box: Box, keys: Keys, maker: Maker) -> None:
        self.case = CASES[name]
        self.changes_passphrase = name.startswith("passphrase")
        self.scene = Scene(box, Box(box.path.with_name("copies")), keys, maker)
        self.root = box.path.parent
        self.box = self.scene.copy if self.case.of_copy else box
        self._start = self.root.with_name("start")
        self.case.prepare(self.scene)
        if self.root.exists():
            shutil.copytree(self.root, self._start)
        self.box.day = 400
        self._made = maker.count
        self.before = self.rows()

    def rows(self) -> dict[str, Params]:
        """What the state on disk names, by fingerprint."""
        try:
            return {row["fingerprint"]: row for row in self.box.document()["generations"]}
        except (FileNotFoundError, ValueError):
            return {}

    def reset(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        if self._start.exists():
            shutil.copytree(self._start, self.root)
        self.scene.maker.log.write_text("x" * self._made)

    def call(self) -> Params:
        return self.case.call(self.scene)

    def run_to_end(self) -> None:
        """Make the call without a kill, and note how it ends."""
        self.call()
        self.after, self.document = self.rows(), self.box.document()
        self.lease = (self.box.folder / "lease.json").exists()
        self.published = [
            fingerprint for fingerprint, row in self.before.items()
            if row["state"] != "revoked" and self.after.get(fingerprint, {"state": "revoked"})["state"] != "revoked"
        ]
        if self.case.recovers:
            self.published = [self.scene.fingerprint(letter) for letter in self.case.recovers]

    def count(self, log: Path) -> int:
        """Return how many system calls the call makes."""

        def work() -> None:
            counted = kill_after(None)
            self.call()
            log.write_text(str(counted()))

        assert os.waitpid(fork(work), 0)[1] == 0
        return int(log.read_text())

    def dies_after(self, number: int) -> bool:
        """Make the call in a child that is killed after so many system calls; tell whether it came to that."""

        def work() -> None:
            kill_after(number)
            self.call()

        status = os.waitpid(fork(work), 0)[1]
        assert os.WIFSIGNALED(status) or status == 0
        return os.WIFSIGNALED(status)

    def opens(self, fingerprint: str) -> bool:
        passphrases = (PASSPHRASE, NEW_PASSPHRASE) if self.changes_passphrase else (PASSPHRASE,)
        anywhere = bool(self.case.recovers)
        return any(opens(self.box, fingerprint, passphrase, under_any_name=anywhere) for passphrase in passphrases)

    def check_after_kill(self, again_by: t.Callable[[t.Callable[[], Params]], Params] = lambda call: call()) -> None:
        """Nothing that counts may be lost, and the call made again (C(again_by)) must end as it would have."""
        left = self.rows()
        assert [one for one in self.published if not self.opens(one)] == []
        in_work = {row["state"]: fingerprint for fingerprint, row in left.items() if row["state"] in ("current", "pending")
                   and (fingerprint in self.published or not self.case.recovers)}
        assert [one for one in in_work.values() if not self.opens(one)] == []
        durable = set(self.box.names(".pem")) if self.box.folder.exists() else set()
        made = self.scene.maker.count
        again = again_by(self.call)
        self.check_end(again)
        if self.case.generates:
            new = {name for name in durable if name[:-4] not in {row["id"] for row in self.before.values()}}
            # A key that had become durable is used, and no second one is generated for it.
            assert new <= set(self.box.names(".pem"))
            assert self.scene.maker.count == made or not new
        else:
            assert self.scene.maker.count == made
            document = self.box.document()  # what a killed call wrote counts as well
            assert document == {**self.document, "serial": max(document["serial"], self.document["serial"])}
        pending = in_work.get("pending")
        if pending not in self.before:  # a key of this call's: it is the pending one still
            assert pending in (None, again["pending"])
        assert self.call()["changed"] is False

    def check_end(self, result: Params) -> None:
        """Compare with how the call ends that is not killed, and the files with what the state names."""
        rows = self.rows()
        assert [row["state"] for row in rows.values()] == [row["state"] for row in self.after.values()]
        assert [row["state"] for row in result["generations"]] == [row["state"] for row in self.after.values()]
        gone = {one for one in self.after if self.case.recovers and one not in self.published}
        expected = {row["id"] for one, row in rows.items() if row["state"] != "revoked" and one not in gone}
        unnamed = {path.stem for path in self._start.rglob("*.pem")} & {path.stem for path in self.root.rglob("*.pem")}
        kept = {row["id"] for one, row in rows.items() if one in gone}  # the public half of a key that is lost
        for suffix in (".pem", ".pub"):
            found = {name[:-4] for name in self.box.names(suffix)} - (kept if suffix == ".pub" else set())
            assert expected <= found <= expected | unnamed
        passphrase = NEW_PASSPHRASE if self.changes_passphrase else PASSPHRASE
        assert [one for one, row in rows.items()
                if row["state"] != "revoked" and one not in gone and not opens(self.box, one, passphrase)] == []
        if self.changes_passphrase:
            assert not [path for path in self.box.folder.glob("*.pem") if is_under(path, PASSPHRASE)]
        assert (self.box.folder / "lease.json").exists() is self.lease
        assert not [path for path in self.box.folder.iterdir() if path.name.startswith(".tmp")]
        if self.case.recovers and (self._start.joinpath("keys", "default", "keyring.json")).exists() and len(self.before) == 0:
            assert len(list(self.box.folder.glob("keyring.json.damaged-*"))) == 1


def is_under(path: Path, passphrase: str) -> bool:
    try:
        load_private_key(path.read_bytes(), passphrase, path.name)
    except InvalidKey:
        return False
    return True


def kill(name: str, box: Box, keys: Keys, maker: Maker, numbers: t.Iterable[int]) -> int:
    """Kill a case after each of these numbers of system calls, as far as it makes so many; return how often it was killed."""
    victim = Victim(name, box, keys, maker)
    victim.run_to_end()
    kills = 0
    for number in numbers:
        victim.reset()
        if not victim.dies_after(number):
            break
        kills += 1
        try:
            victim.check_after_kill()
        except (AssertionError, WabaError) as error:
            raise AssertionError(f"{name}, killed after system call {number}: {error}") from error
    return kills


def count_system_calls(name: str, box: Box, keys: Keys, maker: Maker) -> int:
    """Return how many of SYSTEM_CALLS a case makes when nobody kills it."""
    return Victim(name, box, keys, maker).count(box.path.parent.with_name("count"))
