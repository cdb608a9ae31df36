# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Generations on disk. keyring.json is the only state; every transition is one atomic replacement of it.

A key file is written under a temporary name, fsynced, renamed, and its folder fsynced before the state names it. So a
process that is killed at any point leaves at most one whole key file that the state does not name yet; the next call
that needs a new key takes that one, and no key is generated twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t
from datetime import datetime, timedelta, timezone

from . import _generations as g
from ._errors import InvalidKey, InvalidOptions, KeyringError
from ._files import (
    fsync_folder,
    locked_folder,
    make_folders,
    read_file,
    remove_temporary_files,
    require_writable,
    write_durably,
)
from ._keys import (
    PrivateKey,
    PublicKey,
    fingerprint_hex16,
    generate_private_key,
    load_private_key,
    normalise_fingerprint,
    require_cryptography,
)
from ._options import Params, parse_duration

Result = dict[str, t.Any]

STATE_FILE = "keyring.json"
# Files of keys that were generated, and of keys that were imported: only the former can be what a new key is taken from.
_GENERATED = re.compile(r"\d{8}T\d{6}Z-([0-9a-f]{16})")
_IMPORTED_SUFFIX = "-imported"
_MINIMUM_PASSPHRASE = 12
_MAXIMUM_PASSPHRASE_BYTES = 1023  # cryptography refuses longer ones


class Keyring:
    """The folder of one named key. C(passphrase) encrypts every private key in it; None will do where none is opened."""

    def __init__(self, path: str, name: str, passphrase: str | None, check_mode: bool = False) -> None:
        if not g.KEY_NAME.fullmatch(name):
            raise InvalidOptions(f"The key name '{name[:80]}' is not allowed.", "Use letters, digits, - and _, at most 64.")
        self.folder = os.path.join(path, name)
        self.ring = g.Ring()
        self._passphrase = passphrase
        self.check_mode = check_mode

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[Keyring]:
        """Hold the keyring alone and load its state. In check mode nothing is created, not even the lock."""
        with self._os_errors():
            if self.check_mode:
                require_writable(self.folder)
            else:
                make_folders(self.folder, STATE_FILE)
            with locked_folder(self.folder, create=not self.check_mode):
                if not self.check_mode:
                    remove_temporary_files(self.folder)
                self.ring = self._load()
                yield self

    @contextlib.contextmanager
    def _os_errors(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise KeyringError(
                f"The keyring {self.folder} on {os.uname().nodename} cannot be used: {error.strerror} ({where}).",
                "Check owner, permissions and free space; run the task with become if the folder belongs to root.",
            ) from None

    def _load(self) -> g.Ring:
        path = os.path.join(self.folder, STATE_FILE)
        try:
            text = read_file(path)
        except FileNotFoundError:
            return g.Ring()
        try:
            return g.from_document(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise KeyringError(
                f"{path} is damaged: {error}.",
                "Restore it from a backup. Do not delete the key files beside it: numbers may still use them.",
            ) from None

    def save(self, ring: g.Ring) -> None:
        """Replace the state atomically and durably; in check mode only in memory."""
        if not self.check_mode and ring != self.ring:
            document = g.to_document(ring)
            g.from_document(document)  # what could not be read again is never written
            text = json.dumps(document, indent=2) + "\n"
            write_durably(os.path.join(self.folder, STATE_FILE), text.encode(), 0o600)
        self.ring = ring

    def open_private_key(self, generation: g.Generation) -> PrivateKey:
        """Decrypt a generation's key file and check that it is the key that the state names. Raises KeyringError."""
        path = self.file(generation.id, ".pem")
        try:
            key = load_private_key(read_file(path), self.needed_passphrase(), path)
        except FileNotFoundError:
            raise KeyringError(f"The private key {path} is missing.", "Restore it from a backup or another vault host.") from None
        except InvalidKey as error:
            raise KeyringError(
                error.message,
                "Give the passphrase that the keyring was made with (encryption_keys_passphrase), or restore the file.",
            ) from None
        if key.public.fingerprint != generation.fingerprint:
            raise KeyringError(f"{path} holds {key.public.fingerprint}, not {generation.fingerprint}.", "Restore the right file.")
        return key

    def store(self, key: PrivateKey, state: str, origin: str, now: datetime) -> g.Generation:
        """Make a private key durable on disk and return its generation, which the state does not name yet.

        The file is opened again from disk, so that what is published is what can be decrypted with.
        """
        suffix = f"-{fingerprint_hex16(key.public.fingerprint)}" + (_IMPORTED_SUFFIX if origin == "imported" else "")
        left = next((identity for identity in self._unnamed() if identity.endswith(suffix)), None)
        identity = left or f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}{suffix}"
        generation = g.Generation(identity, key.public.fingerprint, state, origin, g.time_text(now))
        if not self.check_mode:
            write_durably(self.file(identity, ".pem"), key.encrypted_pem(self.needed_passphrase()), 0o600)
            write_durably(self.file(identity, ".pub"), key.public.pem.encode(), 0o644)
            self.open_private_key(generation)
        return generation

    def orphan(self) -> PrivateKey | None:
        """Return the key that an interrupted call generated but did not get to name in the state, if there is one.

        Nothing else is taken for one: not an import that was interrupted, not a copy that somebody put there, not a file
        under another name. Raises KeyringError where it cannot be told.
        """
        found = [identity for identity in self._unnamed() if _GENERATED.fullmatch(identity)]
        if len(found) > 1:
            raise self._unexpected_files(found)
        if not found:
            return None
        path = self.file(found[0], ".pem")
        try:
            key = load_private_key(read_file(path), self.needed_passphrase(), path)
        except InvalidKey as error:
            raise KeyringError(error.message, "Give the passphrase that it was written with, or move the file away.") from None
        known = self.ring.find(key.public.fingerprint) is not None
        if known or not found[0].endswith(fingerprint_hex16(key.public.fingerprint)):
            raise self._unexpected_files(found)
        return key

    def _unexpected_files(self, identities: list[str]) -> KeyringError:
        return KeyringError(
            f"{self.folder} holds key files that {STATE_FILE} does not name: {', '.join(identities)}.",
            f"Restore {STATE_FILE} from a backup, or move those files away if nothing uses them.",
        )

    def _unnamed(self) -> list[str]:
        """Return the ids of key files that the state does not name."""
        known = {generation.id for generation in self.ring.generations}
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        return [name[:-4] for name in names if name.endswith(".pem") and not name.startswith(".") and name[:-4] not in known]

    def destroy(self, generation: g.Generation) -> bool:
        """Delete a generation's private key and its public half; return whether there was one."""
        found = False
        for suffix in (".pem", ".pub"):
            path = self.file(generation.id, suffix)
            if os.path.lexists(path):
                found = True
                if not self.check_mode:
                    os.unlink(path)
        if found and not self.check_mode:
            fsync_folder(self.folder)
        return found

    def file(self, identity: str, suffix: str) -> str:
        """Return the path of a generation's file."""
        return os.path.join(self.folder, identity + suffix)

    def is_missing(self, generation: g.Generation) -> bool:
        """Tell whether a generation's private key is not there."""
        return not os.path.lexists(self.file(generation.id, ".pem"))

    def needed_passphrase(self) -> str:
        """Return the passphrase. Raises InvalidOptions where none was given."""
        if not self._passphrase:
            raise InvalidOptions(
                "No passphrase is given for the keyring.",
                "Set passphrase (role variable encryption_keys_passphrase), or WHATSAPP_KEYRING_PASSPHRASE in the environment.",
            )
        try:
            length = len(self._passphrase.encode())
        except UnicodeEncodeError:
            raise InvalidOptions("The passphrase of the keyring is not text in UTF-8.") from None
        if len(self._passphrase) < _MINIMUM_PASSPHRASE or length > _MAXIMUM_PASSPHRASE_BYTES:
            raise InvalidOptions(
                f"The passphrase of the keyring must have {_MINIMUM_PASSPHRASE} characters or more, and "
                f"{_MAXIMUM_PASSPHRASE_BYTES} bytes or fewer.", "Use a long random one, for example of: openssl rand -base64 24",
            )
        return self._passphrase


def run_keyring(params: Params, check_mode: bool, now: datetime | None = None) -> Result:
    """Do what the module whatsapp_flows_keyring is asked. Raises WabaError; nothing is then half-done."""
    require_cryptography()
    request = Request(params, now or datetime.now(timezone.utc))
    with Keyring(params["path"], params["name"], params["passphrase"], check_mode).locked() as keyring:
        before = keyring.ring
        _check_private_keys(keyring, request)
        run = Run(keyring, request)
        getattr(run, params["state"])()
        noted = g.note_seen(keyring.ring, request.in_use or (), request.now_text)
        changed = run.changed or keyring.ring != before
        keyring.save(noted)
        return _result(keyring, run, before, changed)


class Request:
    """The module's options, parsed and checked before anything is touched."""

    def __init__(self, params: Params, now: datetime) -> None:
        self.now = now
        self.now_text = g.time_text(now)
        self.state: str = params["state"]
        self.force: bool = params["force"]
        self.retention = timedelta(seconds=parse_duration(params["retention"], "retention"))
        self.max_age = None
        if params["max_age"]:
            self.max_age = timedelta(seconds=parse_duration(params["max_age"], "max_age"))
        in_use = params["in_use_fingerprints"]
        self.in_use = None if in_use is None else frozenset(normalise_fingerprint(item) for item in in_use)
        self.fingerprint = normalise_fingerprint(params["fingerprint"]) if params["fingerprint"] else ""
        self.import_path: str | None = params["import_private_key_path"]
        self.import_content: str | None = params["import_private_key_content"]
        self.import_passphrase: str | None = params["import_passphrase"]
        self._check()

    def _check(self) -> None:
        if self.state in ("promoted", "rolled_back", "revoked") and not self.fingerprint:
            raise InvalidOptions(f"state: {self.state} needs fingerprint.", "Name the generation that is meant.")
        if self.state in ("revoked", "pruned") and self.in_use is None:
            raise InvalidOptions(
                f"state: {self.state} needs in_use_fingerprints.",
                "Read the whole fleet first (whatsapp_business_encryption_info); an empty list says that no number holds any.",
            )
        if self.importing and self.state not in ("present", "staged"):
            raise InvalidOptions("A key is imported with state: present or staged only.")
        if self.import_path and self.import_content:
            raise InvalidOptions("import_private_key_path and import_private_key_content exclude each other.")

    @property
    def importing(self) -> bool:
        return bool(self.import_path or self.import_content)

    def imported_key(self) -> PrivateKey:
        """Return the private key to import. Raises InvalidKey, InvalidOptions."""
        if self.import_content:
            return load_private_key(self.import_content.encode(), self.import_passphrase, "import_private_key_content")
        path = str(self.import_path)
        try:
            with open(path, "rb") as stream:
                pem = stream.read()
        except OSError as error:
            raise InvalidOptions(
                f"import_private_key_path {path} cannot be read on {os.uname().nodename}: {error.strerror}.",
                "The path is one on the vault host.",
            ) from None
        return load_private_key(pem, self.import_passphrase, path)


class Run:
    """The transitions, one method a state. Each leaves the keyring either as it was or wholly changed."""

    def __init__(self, keyring: Keyring, request: Request) -> None:
        self.keyring = keyring
        self.request = request
        self.changed = False
        self.predicted: PublicKey | None = None
        self.removed: list[str] = []

    def present(self) -> None:
        """There is a current key: the imported one, the pending one, an interrupted one, or a new one."""
        self._import()
        ring, now = self.keyring.ring, self.request.now_text
        if ring.current is None and ring.pending is not None:
            self.keyring.save(g.promote(ring, ring.pending.fingerprint, now))
        elif ring.current is None:
            pending = self._new_generation()
            self.keyring.save(g.promote(ring.add(pending), pending.fingerprint, now))

    def staged(self) -> None:
        """A pending key is resumed always; one is created if there is no current key, it is due, or by force."""
        self._import()
        ring = self.keyring.ring
        due = g.due_at(ring, self.request.max_age)
        if ring.pending is None and (ring.current is None or self.request.force or (due and due <= self.request.now)):
            self.keyring.save(ring.add(self._new_generation()))

    def _import(self) -> None:
        """Adopt the key to import, if there is one and the keyring does not know it: as current if none is, else as retired."""
        if not self.request.importing:
            return
        ring, request = self.keyring.ring, self.request
        key = request.imported_key()
        known = ring.find(key.public.fingerprint)
        if known is not None and known.state == "revoked":
            raise KeyringError(f"{known.fingerprint} was revoked and cannot be imported again.", "Rotate to a new key.")
        if known is None:
            replace = request.force and request.state == "present"  # with staged, force asks for a new key
            stored = self.keyring.store(key, "retired", "imported", request.now)
            self.keyring.save(g.adopt(ring, stored, replace, request.now_text))

    def promoted(self) -> None:
        """The pending key becomes current."""
        self.keyring.save(g.promote(self.keyring.ring, self.request.fingerprint, self.request.now_text))

    def rolled_back(self) -> None:
        """A retired key becomes current again, if its private half still opens."""
        ring = g.roll_back(self.keyring.ring, self.request.fingerprint, self.request.now_text)
        if ring.current is not None:
            self.keyring.open_private_key(ring.current)
        self.keyring.save(ring)

    def revoked(self) -> None:
        """The state says so before the file goes, so that a kill between the two cannot bring the key back."""
        ring = g.revoke(self.keyring.ring, self.request.fingerprint, self.request.in_use or (), self.request.now_text)
        self.keyring.save(ring)
        target = ring.find(self.request.fingerprint)
        if target is not None and self.keyring.destroy(target):
            self.removed.append(target.fingerprint)
            self.changed = True

    def pruned(self) -> None:
        """Files go before the state forgets them, so that a kill between the two leaves no file without a name."""
        gone = g.prunable(self.keyring.ring, self.request.in_use or (), self.request.retention, self.request.now)
        for generation in gone:
            self.keyring.destroy(generation)
            self.removed.append(generation.fingerprint)
        self.keyring.save(self.keyring.ring.without(gone))

    def _new_generation(self) -> g.Generation:
        """Return a pending generation whose key is durable: what an interrupted call left, else a new key."""
        orphan = self.keyring.orphan()
        key = orphan or generate_private_key()
        generation = self.keyring.store(key, "pending", "generated", self.request.now)
        self.predicted = key.public if self.keyring.check_mode and orphan is None else None
        return generation


def _check_private_keys(keyring: Keyring, request: Request) -> None:
    """Open the keys that are or may be published: a wrong passphrase or a damaged file must show before anything is done."""
    if request.state in ("revoked", "pruned"):
        return
    keyring.needed_passphrase()
    if request.state == "rolled_back":  # the way out of a lost current key; what it goes back to is opened then
        return
    pending, current = keyring.ring.pending, keyring.ring.current
    if pending is not None:
        keyring.open_private_key(pending)
    if current is None:
        return
    # The other way out of a lost current key: a new one is made, or there already, and can go on to be the current one.
    if not keyring.is_missing(current) or (pending is None and not (request.state == "staged" and request.force)):
        keyring.open_private_key(current)
    elif pending is None:
        _check_passphrase_on_another(keyring)


def _check_passphrase_on_another(keyring: Keyring) -> None:
    """Open the newest key that is there, so that a new one is not encrypted under a passphrase of its own."""
    there = [one for one in keyring.ring.generations if one.state != "revoked" and not keyring.is_missing(one)]
    if there:
        keyring.open_private_key(there[-1])


def _result(keyring: Keyring, run: Run, before: g.Ring, changed: bool) -> Result:
    ring = keyring.ring
    due = g.due_at(ring, run.request.max_age)
    target = ring.pending or ring.current
    return {
        "changed": changed,
        "name": os.path.basename(keyring.folder),
        "folder": keyring.folder,
        "generations": g.to_document(ring)["generations"],
        "current": ring.current.fingerprint if ring.current else None,
        "pending": ring.pending.fingerprint if ring.pending else None,
        "to_publish": _to_publish(keyring, run, target) if run.request.state not in ("revoked", "pruned") else None,
        "predicted": run.predicted is not None,
        "check_mode": keyring.check_mode,
        "due_at": g.time_text(due) if due else None,
        "removed": run.removed,
        "diff": {
            "before_header": keyring.folder, "after_header": keyring.folder,
            "before": _diff_text(before), "after": _diff_text(ring),
        } if changed else {},
    }


def _to_publish(keyring: Keyring, run: Run, target: g.Generation | None) -> Result | None:
    """Return the key that numbers should hold now: the pending one, else the current one."""
    if target is None:
        return None
    on_disk = os.path.exists(keyring.file(target.id, ".pem"))
    public = keyring.open_private_key(target).public if on_disk else run.predicted
    if public is None:  # check mode of an import: not on disk yet
        public = run.request.imported_key().public
    return {"fingerprint": public.fingerprint, "business_public_key": public.pem, "state": target.state}


def _diff_text(ring: g.Ring) -> str:
    return "".join(f"{generation.fingerprint} {generation.state}\n" for generation in ring.generations)
