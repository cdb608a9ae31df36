# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests share that let a system call fail: which one, how, and what is checked then.

The cases are those of the kills. Here the n-th system call of a call of the keyring fails as a full or broken disk, a quota or
a network's file system would have it, instead of ending the process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._errors import KeyringError
from ansible_collections.waba.flows.tests.unit.helpers import Keys
from ansible_collections.waba.flows.tests.unit.keyring_box import Box, Maker
from ansible_collections.waba.flows.tests.unit.keyring_kills import Victim

FAILING = ("open", "write", "fsync", "fchmod", "fchown", "rename", "unlink", "mkdir", "listdir", "close")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.ESTALE)
# Where one of these was applied although it failed, as on a network's file system whose answer was lost.
APPLIED = ("rename", "unlink", "mkdir", "fsync", "fchmod", "close")
# By what a synced folder may fail that somebody else made, before there is a keyring: its parents.
PARENTS = (errno.EROFS, errno.EACCES)


@dataclasses.dataclass
class Fault:
    """The n-th of the system calls fails, before or after it does its work. C(hit) is which one it was, C(path) on what."""

    number: int
    code: int
    applied: bool = False
    counted: int = 0
    hit: str = ""
    path: str = ""
    synced: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        how = "after it was applied" if self.applied and self.hit in APPLIED else "before it was applied"
        return f"{self.hit} (number {self.number}) of {self.path} failed with {errno.errorcode[self.code]} {how}"

    @contextlib.contextmanager
    def active(self) -> t.Iterator[Fault]:
        """Have the calls of C(os) fail as told."""
        originals = {name: getattr(os, name) for name in FAILING}
        for name in FAILING:
            setattr(os, name, self._wrapped(name, originals[name]))
        try:
            yield self
        finally:
            for name, original in originals.items():
                setattr(os, name, original)

    def _wrapped(self, name: str, original: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            self.counted += 1
            if name == "fsync":
                self.synced.append(_path(arguments[0]))
            if self.counted != self.number:
                return original(*arguments, **options)
            self.hit, self.path = name, _path(arguments[0])
            if name == "close" or (self.applied and name in APPLIED):  # a descriptor is always closed, whatever close says
                original(*arguments, **options)
            raise OSError(self.code, os.strerror(self.code), *arguments[:1] if isinstance(arguments[0], str) else ())
        return call


def _path(argument: t.Any) -> str:
    return os.readlink(f"/proc/self/fd/{argument}") if isinstance(argument, int) else os.fspath(argument)


@contextlib.contextmanager
def short_writes() -> t.Iterator[None]:
    """Have each write take a few bytes only."""
    original = os.write
    os.write = lambda descriptor, data: original(descriptor, bytes(data)[:7])
    try:
        yield
    finally:
        os.write = original


def fail(name: str, box: Box, keys: Keys, maker: Maker, numbers: t.Iterable[int]) -> int:
    """Let a case fail at each of these numbers of system calls, in the ways in turn; return how often one failed."""
    victim = Victim(name, box, keys, maker)
    victim.run_to_end()
    tries = 0
    for number in numbers:
        victim.reset()
        turn = number + len(name)  # so that not each case has the same error at its first call
        fault = Fault(number, ERRORS[turn % len(ERRORS)], applied=turn // len(ERRORS) % 2 == 1)
        ended = _attempt(victim, fault)
        if not fault.hit:
            break
        tries += 1
        try:
            _check(victim, fault, ended)
        except (AssertionError, KeyringError) as error:
            raise AssertionError(f"{name}, {fault}: {error!r}") from error
    return tries


def _attempt(victim: Victim, fault: Fault) -> KeyringError | None:
    """Make the call under a fault; anything but a result or an error of ours goes through."""
    try:
        with fault.active():
            result = victim.call()
    except KeyringError as error:
        return error
    if fault.hit:
        victim.check_end(result)
    return None


def _check(victim: Victim, fault: Fault, ended: KeyringError | None) -> None:
    if ended is None:
        assert fault.hit in ("close", "listdir", "open") or (fault.hit == "fsync" and fault.code in PARENTS), "nothing was said"
    else:
        assert re.search(r"\(?/\S+", ended.message), f"no path in {ended.message}"
        assert ended.remedy
    _check_no_plain_key(victim)
    victim.check_after_kill(lambda call: _resynced(call, fault))
    _check_no_plain_key(victim)


def _resynced(call: t.Callable[[], t.Any], fault: Fault) -> t.Any:
    """Make the next call; a folder whose syncing failed is synced again in it, before it ends well."""
    watch = Fault(0, 0)
    with watch.active():
        result = call()
    if fault.hit == "fsync" and fault.code not in PARENTS and os.path.isdir(fault.path):
        assert fault.path in watch.synced, f"{fault.path} was not synced again"
    return result


def _check_no_plain_key(victim: Victim) -> None:
    for path in victim.root.rglob("*"):
        assert not path.is_file() or not re.search(rb"BEGIN (RSA )?PRIVATE", path.read_bytes()), f"{path} is in plain"
