# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Private keys, and the manifest that names them, in the folders of an endpoint host.

The manifest is what a program reads, and each change of it is one atomic replacement. A key file is durable before the
manifest names it, and is deleted after the manifest no longer does. In between, a journal lists the files in question, so
that a process that is killed at any point leaves none that the next call does not know. That a program has to load the keys
anew is told by a marker that is made before the first change, and stays until somebody says that it was done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import stat
import typing as t

from ._endpoint_options import Access, Request, Wanted, checked_path
from ._errors import InvalidKey, KeyringError, WabaError, restore_from
from ._files import (
    LOCK_FILE,
    fsync_folder,
    locked_folder,
    make_folders,
    make_marker,
    read_file,
    remove_temporary_files,
    require_writable,
    write_durably,
)
from ._generations import Generation, unknown
from ._host_argspec import Params
from ._keys import load_private_key, require_cryptography
from ._manifest import KEY_FILE, MANIFEST, Manifest, key_file, read_manifest

Result = dict[str, t.Any]

OWED = ".reload-owed"
JOURNAL = ".unfinished"
MADE = ".made"
_KEYRING = "keyring.json"
_PARENTS_MODE = 0o755  # they hold nothing but the folder, which others have to get at


# -- the folder of all keys


class Place:
    """The folder that the folders of the keys are in: its lock, its rights, and whether a program owes loading the keys."""

    def __init__(self, path: str, request: Request | None) -> None:
        self.path = path
        self.changed = False
        self._request = request
        self._marker = os.path.join(path, OWED)

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        """Hold the folder alone, and give it its rights if this module made it. In check mode nothing is written."""
        request = self._request
        with _os_errors(self.path):
            if request is not None and request.writes:
                self._make()
            elif request is not None and request.keys:
                require_writable(self.path)
            with locked_folder(self.path, create=request is not None and request.writes):
                if request is not None and request.keys and os.path.lexists(os.path.join(self.path, MADE)):
                    self._mend(request)
                yield

    def _make(self) -> None:
        """Make the folder if it is missing. What a killed call may have left of that is known by being empty."""
        make_folders(self.path, LOCK_FILE, _PARENTS_MODE)
        if not os.listdir(self.path) and stat.S_IMODE(os.stat(self.path).st_mode) == 0o700:
            make_marker(os.path.join(self.path, MADE))

    def _mend(self, request: Request) -> None:
        if not request.folders.fits(os.stat(self.path)):
            self.changed = True
            if not request.check_mode:
                _give(self.path, request.folders)

    @property
    def reload_owed(self) -> bool:
        """Whether keys were changed since a program last loaded them, as far as calls said so."""
        return os.path.lexists(self._marker)

    def owe_reload(self) -> None:
        """Make it durable that a program has to load the keys anew."""
        make_marker(self._marker)

    def reloaded(self) -> None:
        """Note durably that a program has loaded the keys."""
        os.unlink(self._marker)
        fsync_folder(self.path)


def _give(folder: str, access: Access, flags: int = 0) -> None:
    """Give a folder owner, group and mode."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)
    try:
        if (access.uid, access.gid) != (-1, -1):
            os.fchown(descriptor, access.uid, access.gid)
        os.fchmod(descriptor, access.mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _os_errors(folder: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise KeyringError(
            f"The folder {folder} on {os.uname().nodename} cannot be used: {why} ({error.filename or folder}).",
            "Check owner, permissions and free space; run the task with become if the folder belongs to root.",
        ) from None


# -- one key


@dataclasses.dataclass
class Plan:
    """How the folder of a key comes from what it holds to what it should. Names are those of files in it."""

    before: Manifest | None
    after: Manifest
    folder: bool = False  # is to be made, or to get its rights
    manifest: bool = False  # is to be written
    writes: dict[str, bytes] = dataclasses.field(default_factory=dict, repr=False)  # key files from private_keys
    unknown: list[str] = dataclasses.field(default_factory=list)  # the same in check mode, without a private key
    rights: dict[str, bytes] = dataclasses.field(default_factory=dict, repr=False)  # right but for owner, group or mode
    gone: list[str] = dataclasses.field(default_factory=list)  # key files to delete
    left: frozenset[str] = frozenset()  # what a killed call was at
    journal: bool = False  # a killed call left one

    @property
    def added(self) -> list[str]:
        known = self.before.fingerprints if self.before else []
        return [fingerprint for fingerprint in self.after.fingerprints if fingerprint not in known]

    @property
    def removed(self) -> list[str]:
        known = self.before.fingerprints if self.before else []
        return [fingerprint for fingerprint in known if fingerprint not in self.after.fingerprints]

    @property
    def rewritten(self) -> list[str]:
        written = {entry.fingerprint for entry in self.after.keys if entry.file in self.writes or entry.file in self.unknown}
        return [fingerprint for fingerprint in self.after.fingerprints if fingerprint in written - set(self.added)]

    @property
    def keys_changed(self) -> bool:
        """Whether a program has to load the keys anew."""
        return bool(self.added or self.removed or self.writes or self.unknown)

    @property
    def changed(self) -> bool:
        return self.keys_changed or bool(self.folder or self.manifest or self.rights or self.gone)


class Deployment:
    """One key's folder. C(row) is what is told of it; it holds names, fingerprints and messages only."""

    def __init__(self, wanted: Wanted, request: Request, place: Place) -> None:
        self.wanted, self.request, self.place = wanted, request, place
        self.folder = os.path.join(place.path, wanted.name)
        self.keys_changed = False
        self.diff: Result = {}
        self.row: Result = {
            "name": wanted.name, "changed": False, "added": [], "removed": [], "rewritten": [], "current": None,
        }

    def run(self) -> None:
        """Bring the folder to what is wanted, or in check mode find out what that would change. An error goes into the row."""
        try:
            with _os_errors(self.folder):
                plan = self._plan()
                if self.request.check_mode:
                    self._note_manifest(plan)
                    self.row["rewritten"] = plan.rewritten
                    self.row["changed"], self.keys_changed = plan.changed, plan.keys_changed
                else:
                    self._apply(plan)
        except WabaError as error:
            self.row["error"] = error.as_dict()

    # Looking

    def _plan(self) -> Plan:
        """Look at what is there. Nothing is written but that what killed calls left half-written is removed."""
        if os.path.lexists(self._file(_KEYRING)):
            raise KeyringError(
                f"{self.folder} on {os.uname().nodename} is a keyring: keys for an endpoint would replace its own.",
                "Give another path (host variable whatsapp_endpoint_keys_path).",
            )
        status = self._folder_status()
        if status is None:
            plan = Plan(None, self.wanted.manifest, folder=True, manifest=True)
        else:
            if not self.request.check_mode:
                remove_temporary_files(self.folder)
            text = self._read(MANIFEST)
            # Without a manifest it is not known whether the folder itself is durable.
            folder = text is None or not self.request.folders.fits(status)
            plan = Plan(self._manifest(text), self.wanted.manifest, folder=folder)
            plan.manifest = text != plan.after.text().encode() or not self._has_rights(MANIFEST)
            self._find_left(plan)
        for generation in self.wanted.ring.generations:
            if generation.state != "revoked":
                self._plan_key(plan, generation)
        return plan

    def _folder_status(self) -> os.stat_result | None:
        try:
            status = os.lstat(self.folder)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            raise KeyringError(
                f"{self.folder} on {os.uname().nodename} is not a folder; a symbolic link is not followed.", "Move it away."
            )
        return status

    def _manifest(self, text: bytes | None) -> Manifest | None:
        """Return the manifest that is there. Raises KeyringError where it is damaged, or numbers may hold what nobody knows."""
        if text is None:
            return None
        path = self._file(MANIFEST)
        try:
            manifest = read_manifest(text, self.wanted.name)
        except (ValueError, RecursionError) as error:
            raise KeyringError(
                f"{path} on {os.uname().nodename} is damaged: {error}.",
                "If nothing else writes there, delete it and run again; the key files beside it are kept.",
            ) from None
        self.row["current"] = manifest.current
        lost = unknown(self.wanted.ring, manifest.fingerprints)
        if lost:
            raise KeyringError(
                f"{path} on {os.uname().nodename} has {', '.join(lost)}, which the keyring does not know: "
                "another run went on meanwhile, the keyring was lost or is older than this, or another one deploys here. Nothing "
                "was changed.",
                "Run again when no other run is at work. If that does not help, rebuild the vault host from a copy of the "
                f"keyring ({restore_from('')}). If the change is meant, delete that file and run again.",
            )
        return manifest

    def _find_left(self, plan: Plan) -> None:
        """Find the key files that the manifest will no longer name, those that a killed call did not get to included."""
        text = self._read(JOURNAL)
        plan.journal = text is not None
        plan.left = _read_journal(text or b"")
        known = plan.before.files if plan.before else set()
        for name in sorted((known | plan.left) - plan.after.files):
            if os.path.lexists(self._file(name)):
                if not stat.S_ISREG(os.lstat(self._file(name)).st_mode):
                    raise KeyringError(f"{self._file(name)} is not a regular file.", "Move it away.")
                plan.gone.append(name)

    def _plan_key(self, plan: Plan, generation: Generation) -> None:
        name = key_file(generation)
        found = self._sound(generation)
        if found is not None:
            if not self._has_rights(name):
                plan.rights[name] = found
            return
        pem = self.wanted.private_keys.get(generation.id)
        if pem is not None:
            self._check_given(generation, pem)
            plan.writes[name] = pem
        elif self.request.check_mode:
            plan.unknown.append(name)
        else:
            raise KeyringError(
                f"{self._file(name)} on {os.uname().nodename} is missing or cannot be opened, and the private key of "
                f"{generation.fingerprint} was not given.",
                "Give it in private_keys: whatsapp_flows_keyring returns it with state: read and export_passphrase.",
            )

    def _sound(self, generation: Generation) -> bytes | None:
        """Return a generation's key file if it is there, opens with the passphrase, and holds the key that it should."""
        name = key_file(generation)
        pem = self._read(name)
        if pem is None or not pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"):
            return None
        try:
            key = load_private_key(pem, self.request.passphrase, name)
        except InvalidKey:
            return None
        return pem if key.public.fingerprint == generation.fingerprint else None

    def _check_given(self, generation: Generation, pem: bytes) -> None:
        try:
            key = load_private_key(pem, self.request.passphrase, f"The private key of {generation.id}")
        except InvalidKey as error:
            raise InvalidKey(error.message, "Give as passphrase what it was exported under (export_passphrase).") from None
        if key.public.fingerprint != generation.fingerprint:
            raise InvalidKey(
                f"The private key of {generation.id} is that of {key.public.fingerprint}, not of {generation.fingerprint}.",
                "Take generations and private_keys from the same keyring.",
            )

    def _read(self, name: str) -> bytes | None:
        try:
            return read_file(self._file(name))
        except FileNotFoundError:
            return None

    def _has_rights(self, name: str) -> bool:
        path = self._file(name)
        return os.path.lexists(path) and self.request.files.fits(os.lstat(path))

    def _file(self, name: str) -> str:
        return os.path.join(self.folder, name)

    # Writing

    def _apply(self, plan: Plan) -> None:
        """Do what the plan says, in the order that lets a kill at any point be made good by the next call."""
        if plan.keys_changed and self.request.owes_reload:
            self.place.owe_reload()
        # Said before it is done: after an error nobody could tell how far it came.
        self.row["changed"], self.keys_changed = plan.changed, plan.keys_changed
        if plan.folder:
            self._make_folder()
        if plan.writes or plan.gone:
            self._write_journal(plan)
        for name, pem in {**plan.writes, **plan.rights}.items():
            self._write(name, pem)
        self.row["rewritten"] = plan.rewritten
        if plan.manifest:
            self._write(MANIFEST, plan.after.text().encode())
        self._note_manifest(plan)
        self._finish(plan)

    def _make_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        _give(self.folder, self.request.folders, os.O_NOFOLLOW)
        fsync_folder(self.place.path)

    def _write_journal(self, plan: Plan) -> None:
        names = sorted({*plan.writes, *plan.gone, *plan.left})
        write_durably(self._file(JOURNAL), (json.dumps(names) + "\n").encode(), 0o600)
        plan.journal = True

    def _write(self, name: str, data: bytes) -> None:
        """Write a file with its rights, and read it back."""
        path = self._file(name)
        write_durably(path, data, self.request.files.mode, self._owner(path))
        if read_file(path) != data:
            raise KeyringError(f"{path} does not read back as it was written.", "Check the disk of the host.")

    def _owner(self, path: str) -> tuple[int, int]:
        """Return to whom a file is to belong: who is asked for, else whom it belongs to already."""
        uid, gid = self.request.files.uid, self.request.files.gid
        if os.geteuid() == 0 and os.path.lexists(path):
            status = os.lstat(path)
            return (status.st_uid if uid == -1 else uid), (status.st_gid if gid == -1 else gid)
        return uid, gid

    def _note_manifest(self, plan: Plan) -> None:
        self.row.update(added=plan.added, removed=plan.removed, current=plan.after.current)
        before, after = plan.before.text() if plan.before else "", plan.after.text()
        if before != after:
            path = self._file(MANIFEST)
            self.diff = {"before_header": path, "after_header": path, "before": before, "after": after}

    def _finish(self, plan: Plan) -> None:
        """Delete what the manifest no longer names, durably before the journal that lists it.

        The folder is synced even if nothing was changed: what was found in it may be what a killed call did not get to sync.
        """
        for name in plan.gone:
            os.unlink(self._file(name))
        fsync_folder(self.folder)
        if plan.journal:
            os.unlink(self._file(JOURNAL))
            fsync_folder(self.folder)


def _read_journal(text: bytes) -> frozenset[str]:
    """Return the names of key files in a journal; a damaged one names none."""
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str) and KEY_FILE.fullmatch(name))


# -- the module


def run_endpoint_keys(params: Params, check_mode: bool) -> Result:
    """Do what the module whatsapp_flows_endpoint_keys is asked. Raises WabaError where the options or the folder are wrong.

    An error with one key stands in its row of C(deployed), and makes the result a failed one.
    """
    if params["reload"] == "done":
        return _reloaded(checked_path(params["path"]), check_mode)
    require_cryptography()
    request = Request(params, check_mode)
    place = Place(request.path, request)
    with place.held():
        deployments = [Deployment(wanted, request, place) for wanted in request.keys]
        for deployment in deployments:
            deployment.run()
        return _result(request, place, deployments)


def _reloaded(path: str, check_mode: bool) -> Result:
    place = Place(path, None)
    with place.held():
        owed = place.reload_owed
        if owed and not check_mode:
            place.reloaded()
    return {"changed": owed, "deployed": [], "keys_changed": False, "reload_needed": False, "diff": []}


def _result(request: Request, place: Place, deployments: list[Deployment]) -> Result:
    rows = [deployment.row for deployment in deployments]
    keys_changed = any(deployment.keys_changed for deployment in deployments)
    owed = request.owes_reload and place.reload_owed
    result: Result = {
        "changed": place.changed or any(row["changed"] for row in rows),
        "deployed": rows,
        "keys_changed": keys_changed,
        "reload_needed": keys_changed or owed,
        "diff": [deployment.diff for deployment in deployments if deployment.diff],
        "warnings": _warnings(request),
    }
    failed = [f"{row['name']}: {row['error']['message']}" for row in rows if "error" in row]
    if failed:
        result.update(failed=True, msg=f"{len(failed)} of {len(rows)} keys could not be deployed. " + " | ".join(failed))
    return result


def _warnings(request: Request) -> list[str]:
    if not request.files.mode & 0o004:
        return []
    return [f"mode {request.files.mode:04o} lets every user of {os.uname().nodename} read the files of private keys; only their "
            "passphrase protects them then."]
