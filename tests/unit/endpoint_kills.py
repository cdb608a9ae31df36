# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests that kill a deployment to an endpoint host share: the cases, and how one is killed and then checked.

A child makes a call and is killed right after the n-th of the system calls below, for every n, and once before the first.
What is there then must do for a program that loads it, and the same call again must end as if nothing had happened.
Syncing counts as a system call but is left out, as it matters to power cuts alone and takes most of the time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, WabaError
from ansible_collections.waba.flows.plugins.module_utils._keys import load_private_key
from ansible_collections.waba.flows.tests.unit.endpoint_host import OTHER, OTHERS_GROUP, PASSPHRASE, ROOT, SPOILT, Host, ring
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params, dies_after

SYSTEM_CALLS = ("open", "write", "fsync", "fchmod", "fchown", "chmod", "rename", "unlink", "mkdir")


@pytest.fixture(name="_unsynced")
def unsynced_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out syncing."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Case(t.NamedTuple):
    """What is there, what is asked for, and what is wrong with it at the start."""

    before: str
    after: str
    given: Params = {}  # noqa: RUF012
    spoilt: str = ""  # a letter
    passphrase: str = PASSPHRASE

    @property
    def pruned(self) -> str:
        """The letters of the keys that are there and no longer asked for."""
        return "".join(sorted({word[0] for word in self.before.split()} - {word[0] for word in self.after.split()}))


KILLED: dict[str, Case] = {
    "first": Case("", "a:retired b:current"),
    "first with modes": Case("", "b:current", {"mode": "0640", "directory_mode": "0750"}),
    "new": Case("a:current", "a:current b:pending"),
    "states": Case("a:current b:pending", "a:retired b:current"),
    "removed": Case("a:retired b:current", "b:current"),
    "revoked": Case("a:current b:pending", "a:revoked b:current"),
    "damaged": Case("a:retired b:current", "a:retired b:current", spoilt="b"),
    "other passphrase": Case("a:retired b:current", "a:retired b:current", passphrase=OTHER),
    "modes": Case("a:retired b:current", "a:retired b:current", {"mode": "0640", "directory_mode": "0750"}),
    "everything": Case("a:retired b:current", "a:revoked b:retired c:current d:pending", {"mode": "0440"}, spoilt="b"),
}
if ROOT:
    KILLED["owner"] = Case("a:current", "a:current b:pending", {"owner": "1", "group": str(OTHERS_GROUP)})
    KILLED["first with owner"] = Case("", "b:current", {"owner": "1", "directory_mode": "0750"})


class Victim:
    """One of KILLED: its start on disk, and the call that is made again and again from there. A stray file lies beside."""

    def __init__(self, case: Case, host: Host, keys: Keys) -> None:
        self.case, self.host, self.keys = case, host, keys
        self.start = host.path.parent.with_name("start")
        self.stray = host.folder / "stray.pem"
        self.spoilt = b""
        if self.case.before:
            host(ring(keys, self.case.before))
            self.stray.write_text("stray")
            if self.case.spoilt:
                path = host.pem(keys, self.case.spoilt)
                SPOILT["truncated"](path, keys)
                self.spoilt = path.read_bytes()
            shutil.copytree(host.path.parent, self.start)
        self.kept = {word[0] for word in self.case.before.split()} & {
            word[0] for word in self.case.after.split() if not word.endswith("revoked")}
        self.content = self.keys_on_disk()

    def reset(self) -> None:
        shutil.rmtree(self.host.path.parent, ignore_errors=True)
        if self.start.exists():
            shutil.copytree(self.start, self.host.path.parent)

    def call(self) -> Params:
        row = ring(self.keys, self.case.after, passphrase=self.case.passphrase, pruned=self.case.pruned)
        return self.host(row, reload="owed", passphrase=self.case.passphrase, **self.case.given)

    def keys_on_disk(self) -> tuple[dict[str, bytes], set[str]]:
        """What a program would see: the content of key files, and which are named."""
        folder = self.host.folder
        pems = {path.name: path.read_bytes() for path in folder.glob("*.pem")} if folder.exists() else {}
        named = {key["file"] for key in self.host.manifest()["keys"]} if (folder / "manifest.json").exists() else set()
        return pems, named

    def check_for_programs(self) -> None:
        """What the manifest names is there and opens, what was kept is named, and that keys changed is known."""
        pems, named = self.keys_on_disk()
        for name in named:
            assert pems[name] == self.spoilt != b"" or self.opens(name, pems[name]), f"{name} cannot be opened"
        for letter in self.kept:
            assert self.host.pem(self.keys, letter).name in named
        if (pems, named) != self.content:
            assert self.host.owed, "a reload was lost"
        for path in self.host.path.rglob("*"):
            assert not path.is_file() or b"BEGIN PRIVATE" not in path.read_bytes()

    def opens(self, name: str, pem: bytes) -> bool:
        fingerprint = next(key["fingerprint"] for key in self.host.manifest()["keys"] if key["file"] == name)
        for passphrase in (PASSPHRASE, self.case.passphrase):
            with contextlib.suppress(InvalidKey):
                return bool(load_private_key(pem, passphrase, name).public.fingerprint == fingerprint)
        return False


def kill(case: str, host: Host, keys: Keys, numbers: t.Iterable[int]) -> int:
    """Kill a case after each of these numbers of system calls, as far as it makes so many; return how often it was killed."""
    victim = Victim(KILLED[case], host, keys)
    whole = victim.call()
    expected, owed = host.state(), host.owed
    assert owed is whole["reload_needed"] is (case not in ("states", "modes"))
    kills = 0
    for number in numbers:
        victim.reset()
        if not dies_after(victim.call, number, SYSTEM_CALLS):
            break
        kills += 1
        try:
            victim.check_for_programs()
            again = victim.call()
            assert "failed" not in again
            assert again["reload_needed"] is owed
            assert host.state() == expected
            assert victim.call()["changed"] is False
        except (AssertionError, KeyError, WabaError) as error:
            raise AssertionError(f"{case}, killed after system call {number}: {error}") from error
    return kills
