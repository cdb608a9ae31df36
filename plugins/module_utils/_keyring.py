# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The folder of a keyring: the only place that touches its files. keyring.json is the only state, replaced atomically.

A key file is written under a temporary name, fsynced, renamed, and its folder fsynced before the state names it. So a
process that is killed at any point leaves at most one whole key file that the state does not name yet; the next call
that needs a new key takes that one, and no key is generated twice.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
import shlex
import stat
import typing as t
from datetime import datetime, timezone

from . import _generations as g
from . import _lease
from ._errors import InvalidKey, InvalidOptions, KeyringError, WabaError, restore_from
from ._files import (
    foreign_owner,
    fsync_file,
    fsync_folder,
    is_no_file,
    locked_folder,
    make_folders,
    may_of,
    read_file,
    remove_temporary_files,
    require_writable,
    why,
    write_durably,
)
from ._keys import (
    PrivateKey,
    PublicKey,
    fingerprint_hex16,
    generate_private_key,
    is_whole_encrypted_key,
    load_private_key,
    parse_public_key,
)
from ._recovery import GENERATED, IMPORTED_SUFFIX, OURS, KeyFile, salvage

STATE_FILE = "keyring.json"
LEASE_FILE = "lease.json"
_MINIMUM_PASSPHRASE = 12
_MAXIMUM_PASSPHRASE_BYTES = 1023  # cryptography refuses longer ones
_PKCS8 = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_TOLD = 20  # files that a message lists
_PATHS_TOLD = 10
_ASIDE = "damaged-"  # how the names of files that were put aside go on
MISSING = "it is missing"
RECOVER = "ansible-playbook waba.flows.recover"


class _Opened(t.NamedTuple):
    """A private key, and whether its file is encrypted under the passphrase that the call writes with."""

    key: PrivateKey
    current: bool


class Keyring:
    """The folder of one named key. C(passphrase) encrypts every private key in it; None will do where none is opened.

    C(old_passphrase) opens files as well: those that a change of the passphrase did not come to yet. With C(check_mode)
    changes are made in memory alone; C(read_only) is for a call that makes none, and may lack the right to. With
    C(recovering), a state that is damaged is not refused: what can still be read of it is taken, and C(damage) tells.
    """

    def __init__(
        self,
        path: str,
        name: str,
        passphrase: str | None,
        check_mode: bool = False,
        *,
        old_passphrase: str | None = None,
        read_only: bool = False,
        recovering: bool = False,
    ) -> None:
        if not g.KEY_NAME.fullmatch(name):
            raise InvalidOptions(f"The key name '{name[:80]}' is not allowed.", "Use letters, digits, - and _, at most 64.")
        if not os.path.isabs(path):  # it would depend on where the module happens to run, and a key would be made anew elsewhere
            raise InvalidOptions(f"path '{path}' is not absolute.", "For example: /etc/whatsapp-flows/keys")
        self.folder = os.path.join(path, name)
        self.ring = g.Ring()
        self.check_mode = check_mode
        # Public halves of keys that check mode did not write, by fingerprint.
        self.unwritten: dict[str, PublicKey] = {}
        self._passphrase = passphrase
        self._old_passphrase = old_passphrase
        self.damage = ""  # what is wrong with the state
        self._read_only = read_only
        self._recovering = recovering
        self._moved: set[str] = set()  # ids of files that have another name by now, or would have
        self._writes = not (check_mode or read_only)
        self.warnings: list[str] = []
        self._opened: dict[str, _Opened] = {}  # by id: opening a key costs tens of milliseconds

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[Keyring]:
        """Hold the keyring alone and load its state. In check mode nothing is created, not even the lock."""
        with self._os_errors():
            if os.path.islink(self.folder):
                raise KeyringError(f"{self.folder} on {os.uname().nodename} is a symbolic link, which is not followed.",
                                   "Have path name the folder that it leads to.")
            if not os.path.lexists(self.folder):
                self._require_own()  # of path, before anything is made
            if self._writes:
                make_folders(self.folder, STATE_FILE)
            elif not self._read_only:
                require_writable(self.folder)
            with locked_folder(self.folder, create=self._writes):
                self.ring = self._load()
                self._require_own()
                if self._writes:
                    remove_temporary_files(self.folder)
                    self._sync_state()
                yield self

    def rehearsal(self) -> Keyring:
        """Return this keyring in check mode, to see whether a call would be refused before anything of it is done."""
        other = copy.copy(self)
        other.check_mode, other._writes, other.unwritten = True, False, {}
        return other

    @contextlib.contextmanager
    def _os_errors(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise KeyringError(
                f"The keyring {self.folder} on {os.uname().nodename} cannot be used: {why(error)} ({where}).",
                "Check owner, permissions, free space and the disk, and run again; run the task with become if the folder "
                "belongs to root. A file that the disk has lost for good can be moved away.",
            ) from None

    # -- who else can get at it

    def _require_own(self) -> None:
        """Refuse what everybody can change, and keys that everybody can read, as OpenSSH does: they could be exchanged.

        What a group may do is a warning: masks of ACLs, volumes of containers and file systems without rights look like it.
        """
        if self._read_only:
            return
        parent, files = os.path.dirname(self.folder), self._own_files()
        found = [(path, *may_of(path, reads=path.endswith(".pem"), sticky=path == parent))
                 for path in (parent, self.folder, *files) if os.path.lexists(path)]
        owner = foreign_owner(self.folder, files) if os.path.lexists(self.folder) else ""
        refused = [(path, f"o-{rights}") for path, rights, dummy in found if rights]
        if refused or owner:
            what = ([f"{self.folder} or files in it belong to another user"] if owner else []) + _told(refused)
            command = " && ".join(filter(None, (owner, _chmod(refused))))
            raise KeyringError(
                f"On {os.uname().nodename} others than the account that keeps the keyring can get at it: {'; '.join(what)}. "
                "Nothing was done.",
                f"If all is as it should be, run this there, and then again: {command}",
            )
        told = [(path, f"g-{rights}") for path, dummy, rights in found if rights]
        self.warnings = [
            f"On {os.uname().nodename} a group can get at the keyring: {'; '.join(_told(told))}. "
            f"Unless it is to, run there: {_chmod(told)}"
        ] if told else []

    def _own_files(self) -> list[str]:
        """Return the paths of the state and the private keys; what else is there is left alone."""
        paths = [os.path.join(self.folder, STATE_FILE), *(self.file(identity, ".pem") for identity in self._key_ids())]
        return [path for path in paths if _is_regular(path)]

    # -- the state

    def _load(self) -> g.Ring:
        path = os.path.join(self.folder, STATE_FILE)
        try:
            text = read_file(path)
        except FileNotFoundError:
            if self.unnamed():
                self.damage = MISSING
            return g.Ring()
        except OSError as error:
            if not is_no_file(error):
                raise
            self.damage = why(error)
            if not self._recovering:
                raise self._damaged() from None
            return g.Ring()
        try:
            return g.from_document(json.loads(text))
        except g.NewerSchema as error:
            raise KeyringError(f"{path} cannot be read: {error}.", "Update the collection on the control node.") from None
        except (ValueError, RecursionError) as error:
            self.damage = str(error)
            if not self._recovering:
                raise self._damaged() from None
            return salvage(text)

    def require_state(self, imported: str = "") -> None:
        """Refuse a folder whose state is missing and which holds more than a first call leaves that was killed.

        That is one generated key, or the one that is being C(imported).
        """
        found = [identity for identity in self.unnamed() if OURS.fullmatch(identity)] if self.damage else []
        generated = [identity for identity in found if GENERATED.fullmatch(identity)]
        ending = fingerprint_hex16(imported) + IMPORTED_SUFFIX if imported else "/"
        expected = [identity for identity in found if identity.endswith(ending)]
        if len(generated) > 1 or len(found) > len(generated) + len(expected):
            raise self._damaged()

    def _damaged(self) -> KeyringError:
        path = os.path.join(self.folder, STATE_FILE)
        what = f"is damaged: {self.damage}." if self.damage != MISSING else "is missing beside key files."
        return KeyringError(
            f"{path} {what} {self._found()}",
            f"Nothing was changed, and no key file may be deleted, as numbers may still use it. Recover it: {RECOVER}. Or, where "
            f"there is a replica, move the folder away and rebuild it: {restore_from('')}",
        )

    def _found(self) -> str:
        """Return what the key files are worth, for a message."""
        files = self.key_files(_TOLD) if self._passphrase else []
        count = len(self._key_ids())
        good = [f"{file.id}.pem" for file in files if file.fingerprint]
        bad = [f"{file.id}.pem ({file.why})" for file in files if not file.fingerprint]
        more = f" {count - len(files)} more were not looked at." if count > len(files) > 0 else ""
        if not files:
            return f"It has {count} key files."
        return f"Key files that open: {', '.join(good) or 'none'}; that do not: {', '.join(bad) or 'none'}.{more}"

    def _sync_state(self) -> None:
        """Make durable what is there: a call that was killed, or whose syncing failed, may have left it as it is."""
        path = os.path.join(self.folder, STATE_FILE)
        if _is_regular(path):
            fsync_file(path)
        fsync_folder(self.folder)

    def sync(self, generation: g.Generation) -> None:
        """Make a generation's key file durable, whoever put it there."""
        if self._writes:
            fsync_file(self.file(generation.id, ".pem"))

    def save(self, ring: g.Ring, anew: bool = False) -> None:
        """Replace the state atomically and durably, where it changes or has to be written C(anew); in check mode in memory."""
        self.save_copy(g.counted(self.ring, ring), anew)

    def save_copy(self, ring: g.Ring, anew: bool = False) -> None:
        """Do as save does, but count no change: the ring is that of another keyring, as it is there."""
        if self._writes and (ring != self.ring or anew):
            document = g.to_document(ring)
            g.from_document(document)  # what could not be read again is never written
            text = json.dumps(document, indent=2) + "\n"
            write_durably(os.path.join(self.folder, STATE_FILE), text.encode(), 0o600)
        self.ring = ring

    # -- opening keys

    def open_private_key(self, generation: g.Generation) -> PrivateKey:
        """Decrypt a generation's key file and check that it is the key that the state names. Raises KeyringError.

        A file is decrypted once a call, unless it was written meanwhile.
        """
        path = self.file(generation.id, ".pem")
        try:
            key = self._open(generation.id).key
        except FileNotFoundError:
            raise KeyringError(
                f"The private key {path} is missing.",
                f"Restore it from a backup or another vault host, or do without it: {RECOVER}",
            ) from None
        except InvalidKey as error:
            raise KeyringError(
                error.message,
                "Give the passphrase that the keyring is encrypted with (encryption_keys_passphrase): after a change with "
                "new_passphrase only the new one opens it, and if that change was interrupted, both are needed, as passphrase "
                f"and new_passphrase. If the file is damaged, restore it, or do without it: {RECOVER}",
            ) from None
        if key.public.fingerprint != generation.fingerprint:
            raise KeyringError(
                f"{path} holds {key.public.fingerprint}, not {generation.fingerprint}.",
                f"Restore the right file, or have it looked for among the others: {RECOVER}",
            )
        return key

    def fits(self, generation: g.Generation) -> bool:
        """Tell whether a generation's private key is there, opens, and is the one that the state names."""
        try:
            self.open_private_key(generation)
        except (KeyringError, OSError):
            return False
        return True

    def is_missing(self, generation: g.Generation) -> bool:
        """Tell whether a generation's private key is not there."""
        return generation.id in self._moved or not os.path.lexists(self.file(generation.id, ".pem"))

    def public_key(self, generation: g.Generation) -> PublicKey | None:
        """Return a generation's public key of its file on disk; None where that is not there or holds another one."""
        try:
            key = parse_public_key(read_file(self.file(generation.id, ".pub")).decode())
        except (OSError, UnicodeDecodeError, WabaError):
            return None
        return key if key.fingerprint == generation.fingerprint else None

    def _open(self, identity: str) -> _Opened:
        """Decrypt a key file. Raises InvalidKey, InvalidOptions, OSError."""
        if identity not in self._opened:
            path = self.file(identity, ".pem")
            self._opened[identity] = self._decrypt(read_file(path), path)
        return self._opened[identity]

    def _decrypt(self, pem: bytes, path: str) -> _Opened:
        try:
            return _Opened(load_private_key(pem, self.needed_passphrase(), path), pem.startswith(_PKCS8))
        except InvalidKey:
            if not self._old_passphrase:
                raise
            return _Opened(load_private_key(pem, self._old_passphrase, path), False)

    def needed_passphrase(self) -> str:
        """Return the passphrase. Raises InvalidOptions where none was given."""
        if not self._passphrase:
            raise InvalidOptions(
                "No passphrase is given for the keyring.",
                "Set passphrase (role variable encryption_keys_passphrase), or WHATSAPP_KEYRING_PASSPHRASE in the environment.",
            )
        check_passphrase(self._passphrase, "The passphrase of the keyring")
        return self._passphrase

    # -- writing keys

    def new_key(self) -> tuple[PrivateKey, bool]:
        """Return the key that an interrupted call left, else a new one; and whether it is new."""
        left = self._orphan()
        return (left, False) if left is not None else (generate_private_key(), True)

    def store(self, key: PrivateKey, state: str, origin: str, now: datetime) -> g.Generation:
        """Make a private key durable on disk and return its generation, which the state does not name yet."""
        suffix = f"-{fingerprint_hex16(key.public.fingerprint)}" + (IMPORTED_SUFFIX if origin == "imported" else "")
        left = next((identity for identity in self.unnamed() if identity.endswith(suffix)), None)
        identity = left or f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}{suffix}"
        generation = g.Generation(identity, key.public.fingerprint, state, origin, g.time_text(now))
        self.write_key(generation, key)
        return generation

    def write_key(self, generation: g.Generation, key: PrivateKey) -> None:
        """Make a generation's key files durable; in check mode only remember the public half.

        The file is opened again from disk, so that what is published is what can be decrypted with.
        """
        self._opened.pop(generation.id, None)
        if not self._writes:
            self.unwritten[generation.fingerprint] = key.public
            return
        write_durably(self.file(generation.id, ".pem"), key.encrypted_pem(self.needed_passphrase()), 0o600)
        self._write_public_key(generation, key)
        self.open_private_key(generation)

    def mend_public_key(self, generation: g.Generation) -> bool:
        """Write the public half of a generation whose private key opens, unless it is right; return whether it was not."""
        if self.public_key(generation) is not None:
            return False
        key = self.open_private_key(generation)
        if self._writes:
            self._write_public_key(generation, key)
        else:
            self.unwritten[generation.fingerprint] = key.public
        return True

    def _write_public_key(self, generation: g.Generation, key: PrivateKey) -> None:
        write_durably(self.file(generation.id, ".pub"), key.public.pem.encode(), 0o644)

    def _orphan(self) -> PrivateKey | None:
        """Return the key that an interrupted call generated but did not get to name in the state, if there is one.

        Nothing else is taken for one: not an import that was interrupted, not a copy that somebody put there, not a file
        under another name. Raises KeyringError where it cannot be told.
        """
        found = [identity for identity in self.unnamed() if GENERATED.fullmatch(identity)]
        if len(found) > 1:
            raise self._unexpected_files(found)
        if not found:
            return None
        key = self._open_unnamed(found[0]).key
        known = self.ring.find(key.public.fingerprint) is not None
        if known or not found[0].endswith(fingerprint_hex16(key.public.fingerprint)):
            raise self._unexpected_files(found)
        return key

    def _open_unnamed(self, identity: str) -> _Opened:
        try:
            return self._open(identity)
        except InvalidKey as error:
            raise KeyringError(error.message, "Give the passphrase that it was written with, or move the file away.") from None

    def _unexpected_files(self, identities: list[str]) -> KeyringError:
        return KeyringError(
            f"{self.folder} holds key files that {STATE_FILE} does not name: {', '.join(identities)}.",
            f"Restore {STATE_FILE} from a backup, make generations of them ({RECOVER}), or move them away if nothing uses them.",
        )

    def unnamed(self) -> list[str]:
        """Return the ids of key files that the state does not name, whoever made them."""
        known = {generation.id for generation in self.ring.generations}
        names = self._names()
        return [name[:-4] for name in names if name.endswith(".pem") and not name.startswith(".") and name[:-4] not in known]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []

    # -- recovering a damaged keyring

    def key_files(self, limit: int | None = None) -> list[KeyFile]:
        """Return every file that is named as a key file of ours is, with the key in it; whatever else is there is not ours."""
        return [self._key_file(identity) for identity in self._key_ids()[:limit]]

    def _key_ids(self) -> list[str]:
        known = {generation.id for generation in self.ring.generations}
        found = [name[:-4] for name in self._names() if name.endswith(".pem")]
        return [identity for identity in found if identity in known or OURS.fullmatch(identity)]

    def _key_file(self, identity: str) -> KeyFile:
        path = self.file(identity, ".pem")
        try:
            return KeyFile(identity, self._open(identity).key.public.fingerprint)
        except InvalidKey as error:
            whole = error.undecrypted and is_whole_encrypted_key(read_file(path))
            return KeyFile(identity, None, printable(error.message), whole)
        except OSError as error:
            if not is_no_file(error):
                raise
            return KeyFile(identity, None, printable(f"{path}: {why(error)}."))

    def opened_key(self, identity: str) -> PrivateKey:
        """Return the key in a file of key_files that opens."""
        return self._open(identity).key

    def drop_copy(self, identity: str, generation: g.Generation, *, with_public: bool) -> None:
        """Delete a file that holds a generation's key once more, after that one's own was made durable and opened from disk.

        A copy would outlive a revocation, and a change of the passphrase. That of a revoked key needs no other.
        """
        if self._writes and generation.state != "revoked":
            self._opened.pop(generation.id, None)
            self.sync(generation)
            self.open_private_key(generation)
        self._moved.add(identity)
        self._destroy(identity, with_public=with_public)

    def put_aside(self, identity: str, *, with_public: bool) -> str:
        """Give a file that does not open another name, by which it is no key file any more; return that. Its content stays."""
        path = self.file(identity, ".pem")
        ending = f"{_ASIDE}{_digest(path)}"
        self._moved.add(identity)
        self._opened.pop(identity, None)
        if self._writes:
            public = self.file(identity, ".pub")
            if with_public and os.path.lexists(public):
                os.rename(public, _free(f"{public}.{ending}"))
            os.rename(path, _free(f"{path}.{ending}"))  # last: by it, what a killed call left is found again
            fsync_folder(self.folder)
        return printable(f"{identity}.pem.{ending}")

    def replace_damaged_state(self, ring: g.Ring) -> str:
        """Write a state in the place of the damaged one, of which a copy is kept; return the copy's name, empty without one."""
        path, name = os.path.join(self.folder, STATE_FILE), ""
        if os.path.lexists(path):
            name = f"{STATE_FILE}.damaged-{_digest(path)}"
            aside = os.path.join(self.folder, name)
            if self._writes and _is_regular(path):
                write_durably(aside, read_file(path), 0o600)
            elif self._writes:
                os.rename(path, _free(aside))
        self.save(ring, anew=True)
        self.damage = ""
        return name

    # -- changing the passphrase

    def outdated_keys(self) -> list[tuple[str, PrivateKey]]:
        """Return id and key of every file that is not encrypted under the passphrase yet. Raises KeyringError.

        Every key file that this keyring made is opened, also those that the state does not name; all of them, before
        anything is written. A generation whose file is missing is left out: what is done about it is the state's matter.
        """
        found = []
        for generation in self.ring.generations:
            if generation.state != "revoked" and not self.is_missing(generation):
                self.open_private_key(generation)
                found.append((generation.id, self._open(generation.id)))
        found += [(identity, self._open_unnamed(identity)) for identity in self.unnamed() if OURS.fullmatch(identity)]
        return [(identity, opened.key) for identity, opened in found if not opened.current]

    def reencrypt(self, identity: str, key: PrivateKey) -> None:
        """Replace a key file by one under the passphrase. It is tried before it takes the place of the only one there is."""
        if not self._writes:
            return
        path = self.file(identity, ".pem")
        pem = key.encrypted_pem(self.needed_passphrase())
        if load_private_key(pem, self.needed_passphrase(), path).public.fingerprint != key.public.fingerprint:
            raise KeyringError(f"{path} could not be encrypted again.", "Nothing was changed in this file.")
        write_durably(path, pem, 0o600)
        if read_file(path) != pem:
            raise KeyringError(f"{path} does not read as it was written.", "Restore it from a backup; check the disk.")
        self._opened[identity] = _Opened(key, True)

    # -- deleting keys

    def destroy(self, generation: g.Generation) -> bool:
        """Delete a generation's private key and its public half, and what was put aside of it; return whether there was one."""
        ours = f"[0-9]{{8}}T[0-9]{{6}}Z-{fingerprint_hex16(generation.fingerprint)}(?:{IMPORTED_SUFFIX})?"
        pattern = re.compile(rf"(?:{re.escape(generation.id)}|{ours})\.(?:pem|pub)\.{_ASIDE}.+")
        aside = [name for name in self._names() if pattern.fullmatch(name)]
        for name in aside if self._writes else ():
            os.unlink(os.path.join(self.folder, name))
        if aside and self._writes:
            fsync_folder(self.folder)
        return self._destroy(generation.id) or bool(aside)

    def destroy_copies(self, ring: g.Ring) -> bool:
        """Delete the files that hold a generation's key under another id than its own; return whether there was one.

        So a file does not outlive what is done about its key here, such as a revocation. Its name tells which are worth
        opening.
        """
        by_hash = {fingerprint_hex16(one.fingerprint): one for one in ring.generations}
        found = False
        for identity in self.unnamed():
            match = OURS.fullmatch(identity)
            generation = by_hash.get(match.group(1)) if match else None
            if generation is not None and self.fits(g.renamed(generation, identity)):
                found = self._destroy(identity) or found
        return found

    def _destroy(self, identity: str, *, with_public: bool = True) -> bool:
        self._opened.pop(identity, None)
        found = False
        # The private key last: by it, what a killed call left is found again.
        for suffix in (".pub", ".pem") if with_public else (".pem",):
            path = self.file(identity, suffix)
            if os.path.lexists(path):
                found = True
                if self._writes:
                    os.unlink(path)
        if found and self._writes:
            fsync_folder(self.folder)
        return found

    # -- the lease

    def lease(self) -> _lease.Lease | None:
        """Return the lease on this keyring; None where there is none that can be understood."""
        try:
            return _lease.from_json(read_file(os.path.join(self.folder, LEASE_FILE)))
        except FileNotFoundError:
            return None
        except OSError as error:
            if not is_no_file(error):
                raise
            return None

    def write_lease(self, lease: _lease.Lease) -> None:
        """Replace the lease."""
        if self._writes:
            write_durably(os.path.join(self.folder, LEASE_FILE), _lease.to_json(lease).encode(), 0o600)

    def remove_lease(self) -> None:
        """Delete the lease, which must be there."""
        if self._writes:
            os.unlink(os.path.join(self.folder, LEASE_FILE))
            fsync_folder(self.folder)

    def file(self, identity: str, suffix: str) -> str:
        """Return the path of a generation's file."""
        return os.path.join(self.folder, identity + suffix)


def check_passphrase(passphrase: str, what: str) -> None:
    """Raise InvalidOptions unless keys can and may be encrypted under it; C(what) begins the message."""
    try:
        length = len(passphrase.encode())
    except UnicodeEncodeError:
        raise InvalidOptions(f"{what} is not text in UTF-8.") from None
    if len(passphrase) < _MINIMUM_PASSPHRASE or length > _MAXIMUM_PASSPHRASE_BYTES:
        raise InvalidOptions(
            f"{what} must have {_MINIMUM_PASSPHRASE} characters or more, and {_MAXIMUM_PASSPHRASE_BYTES} bytes or fewer.",
            "Use a long random one, for example of: openssl rand -base64 24",
        )


def _told(found: t.Sequence[tuple[str, str]]) -> list[str]:
    """Return the paths of rights that are too many, for a message."""
    more = [f"{len(found) - _PATHS_TOLD} more"] if len(found) > _PATHS_TOLD else []
    return [path for path, dummy in found[:_PATHS_TOLD]] + more


def _chmod(found: t.Iterable[tuple[str, str]]) -> str:
    """Return the command that takes rights away, each from its paths."""
    paths: dict[str, list[str]] = {}
    for path, change in found:
        paths.setdefault(change, []).append(shlex.quote(path))
    return " && ".join(f"chmod {change} {' '.join(those)}" for change, those in paths.items())


def printable(text: str) -> str:
    """Return a text that can hold names of files in any bytes as one that can be shown."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _digest(path: str) -> str:
    """Return what tells a file's content from another's, for a name."""
    try:
        content = read_file(path)
    except OSError:  # no regular file
        content = b""
    return hashlib.sha256(content).hexdigest()[:8]


def _free(path: str) -> str:
    """Return a path that nothing has, or that a file of the same content has, as its name tells."""
    number, free = 1, path
    while os.path.lexists(free) and not _is_regular(free):
        number, free = number + 1, f"{path}-{number + 1}"
    return free
