# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that dies at a system call or an HTTP request of its: from there on nothing that it does has an effect."""

from __future__ import annotations

import errno
import os
import threading
import typing as t

# What changes something on disk, or makes it durable.
_CALLS = frozenset(("open", "write", "fsync", "rename", "unlink", "mkdir", "fchmod", "fchown", "chmod"))


class Crashed(BaseException):
    """The run is dead. No code under test catches this."""


class Doom:
    """When the run that is at work dies: at its n-th call, before or after it took effect. Also what its disk refuses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: int | None = None
        self._after = False
        self.dead = False
        self.full_disk = False
        self.counted = 0

    def set(self, calls: int | None, after: bool = False) -> None:
        """Die at the n-th call from now on; None: never."""
        with self._lock:
            self._left, self._after, self.dead, self.counted = calls, after, False, 0

    def call(self, work: t.Callable[..., t.Any], *arguments: t.Any, **options: t.Any) -> t.Any:
        """Do a call, unless the run dies before it, or has died."""
        with self._lock:
            self.counted += 1
            if self._left is not None and not self.dead:
                self._left -= 1
                self.dead = self._left < 0
                if self.dead and self._after:
                    work(*arguments, **options)
            if self.dead:
                raise Crashed
        return work(*arguments, **options)


class DoomedOs:
    """The module C(os) for code whose run can die, and whose disk can be full."""

    def __init__(self, doom: Doom) -> None:
        self._doom = doom

    def __getattr__(self, name: str) -> t.Any:
        original = getattr(os, name)
        if name not in _CALLS:
            return original

        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            if name == "write" and self._doom.full_disk:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._doom.call(original, *arguments, **options)

        return call
