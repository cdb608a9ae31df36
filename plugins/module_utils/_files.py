# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Files that are there whole or not at all, also after a power cut, and a lock on their folder. Functions raise OSError."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import stat
import time
import typing as t

from ._errors import KeyringError

LOCK_FILE = ".lock"
LOCK_SECONDS = 60.0
_TEMPORARY = ".tmp-"
# What syncing a parent folder ends with that somebody else made: it cannot be opened, or its file system cannot sync folders.
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def locked_folder(folder: str, create: bool) -> t.Iterator[None]:
    """Hold a folder alone, waiting up to LOCK_SECONDS. Raises KeyringError where another process keeps it.

    Without C(create) no lock file is made: where there is none, nobody else uses the folder yet.
    """
    try:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        descriptor = os.open(os.path.join(folder, LOCK_FILE), flags, 0o600)
    except FileNotFoundError:
        if create:
            raise
        yield
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.path.join(folder, LOCK_FILE))
        end = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor, folder):
            if time.monotonic() > end:
                raise KeyringError(f"{folder} has been in use by another process for {LOCK_SECONDS:.0f} s.",
                                   "Wait for the other run, then run again.")
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, folder: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise KeyringError(
            f"{folder} on {os.uname().nodename} cannot be held alone: {error.strerror} ({os.path.join(folder, LOCK_FILE)}).",
            "Its file system has to offer locks (flock): use a local one, or mount NFS with its lock service running.",
        ) from None


def make_folders(path: str, marker: str, parents_mode: int = 0o700) -> None:
    """Make a folder (0700) and its parents (C(parents_mode)), each durable before the next.

    Until it holds the file C(marker), the parents are synced even if they exist: a call that was killed may have made them
    just now.
    """
    new = not os.path.exists(os.path.join(path, marker))
    folders = _with_parents(path)
    for folder in folders:
        if not os.path.isdir(folder):
            mode = 0o700 if folder == folders[-1] else parents_mode
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, mode)
                if mode != 0o700:
                    os.chmod(folder, mode)  # whatever the umask
            fsync_folder(os.path.dirname(folder))
        elif new:
            _fsync_parent(os.path.dirname(folder))


def _fsync_parent(folder: str) -> None:
    try:
        fsync_folder(folder)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise


def _with_parents(path: str) -> list[str]:
    """Return a folder and its parents, the outermost first, without the root."""
    folders = []
    path = os.path.abspath(path)
    while path != os.path.dirname(path):
        folders.append(path)
        path = os.path.dirname(path)
    return folders[::-1]


def require_writable(path: str) -> None:
    """Raise the OSError that writing to a folder that may not exist yet would end with, as far as looking can tell."""
    existing = next((folder for folder in reversed(_with_parents(path)) if os.path.lexists(folder)), "/")
    if not os.path.isdir(existing):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), existing)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), existing)


def may_of(path: str, *, reads: bool, sticky: bool = False) -> tuple[str, str]:
    """Return which rights everybody has to a file or folder that nobody else may write to, nor with C(reads) read; and its group.

    They are as chmod names them, such as C(rw). With C(sticky), the sticky bit of a folder makes up for the right to write.
    """
    mode = os.stat(path).st_mode
    if sticky and mode & stat.S_ISVTX:
        return "", ""
    return _rights(mode, reads), _rights(mode >> 3, reads)


def _rights(mode: int, reads: bool) -> str:
    return ("r" if reads and mode & 4 else "") + ("w" if mode & 2 else "")


def foreign_owner(folder: str, paths: t.Iterable[str]) -> str:
    """Return the command that mends it where not all of a folder and its files belong to this user or root; empty where they do.

    Where this is root, they may all belong to one other user, whose keyring it is.
    """
    owners = {os.lstat(path).st_uid for path in (folder, *paths)}
    user = os.geteuid()
    if owners <= {0, user} or (user == 0 and len(owners) == 1):
        return ""
    return f"chown -R {user} {shlex.quote(folder)}"


def write_durably(path: str, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut.

    C(owner) are the numbers of user and group that it is to belong to before it gets its name; -1 stands for the caller's own.
    """
    with _named(path):
        _write_durably(path, data, mode, owner)


def _write_durably(path: str, data: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, _TEMPORARY + secrets.token_hex(8))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                written = os.write(descriptor, view)
                if not written:
                    raise OSError(errno.EIO, "nothing could be written")
                view = view[written:]
            if owner is not None and owner != (-1, -1):
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    fsync_folder(folder)


@contextlib.contextmanager
def _named(path: str) -> t.Iterator[None]:
    """Have errors name a path, which those of calls with a descriptor do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise


def why(error: OSError) -> str:
    """Return what an error means here, for a message."""
    return "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or "an error that it does not name"


def is_no_file(error: OSError) -> bool:
    """Tell whether an error of read_file says that something else is there than a file, and not that it could not be read."""
    return error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO)


def make_marker(path: str) -> None:
    """Make an empty file that says by being there; it is durable even if it was there already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    _fsync_and_close(descriptor, path)
    fsync_folder(os.path.dirname(path))


def fsync_folder(path: str) -> None:
    """Make the names in a folder durable: what was made, renamed or removed in it stays so."""
    _fsync_and_close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)


def fsync_file(path: str) -> None:
    """Make a file's content durable, whoever wrote it; its name becomes so with its folder."""
    _fsync_and_close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), path)


def _fsync_and_close(descriptor: int, path: str) -> None:
    with _named(path):
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_file(path: str, *, follow: bool = False) -> bytes:
    """Read a regular file, only with C(follow) through a symbolic link, and without waiting for whoever would fill a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        with _named(path), os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def remove_temporary_files(folder: str) -> None:
    """Remove what a killed call left half-written; only under the lock, so that no live call's file is hit."""
    for name in os.listdir(folder):
        if name.startswith(_TEMPORARY):
            os.unlink(os.path.join(folder, name))
