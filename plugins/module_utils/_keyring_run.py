# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What whatsapp_flows_keyring does: the transitions of a keyring, one method a state, and its result."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from datetime import datetime, timezone

from . import _generations as g
from . import _lease
from ._errors import InvalidKey, KeyringError, restore_from
from ._host_argspec import Params
from ._keyring import STATE_FILE, Keyring, printable
from ._keyring_options import Request
from ._keys import PrivateKey, PublicKey, load_private_key, require_cryptography
from ._recovery import recovery

Result = dict[str, t.Any]


def run_keyring(params: Params, check_mode: bool, now: datetime | None = None) -> Result:
    """Do what the module whatsapp_flows_keyring is asked. Raises WabaError; nothing is then half-done."""
    require_cryptography()
    request = Request(params, now or datetime.now(timezone.utc))
    keyring = Keyring(
        params["path"], params["name"], request.new_passphrase or request.passphrase, check_mode,
        old_passphrase=request.passphrase if request.new_passphrase else None, read_only=request.state == "read",
        recovering=request.state == "recovered",
    )
    if not os.path.lexists(keyring.folder):
        _check_required(keyring, request)  # before a folder is made
        if request.state in ("recorded", "recovered"):
            raise KeyringError(f"There is no keyring {keyring.folder} on {os.uname().nodename}.", "Check path and name.")
    with keyring.locked():
        before = keyring.ring
        if request.state not in ("read", "mirrored", "recovered"):
            keyring.require_state(request.imported_key.public.fingerprint if request.importing else "")
        _check_required(keyring, request)
        _check_private_keys(keyring, request)
        run = Run(keyring, request)
        run.reencrypt()
        getattr(run, request.state)()
        if request.state not in ("read", "recovered"):
            run.clean_up()
        run.lease()
        changed = run.changed or keyring.ring != before
        if request.state not in ("read", "mirrored") and (changed or request.state != "recovered"):
            run.save(g.note_seen(keyring.ring, request.in_use or (), request.now_text))
        return _result(run, before, changed)


class Run:
    """The transitions, one method a state. Each leaves the keyring either as it was or wholly changed."""

    def __init__(self, keyring: Keyring, request: Request) -> None:
        self.keyring = keyring
        self.request = request
        self.changed = False
        self.predicted: set[str] = set()
        self.removed: list[str] = []
        self.reencrypted: list[str] = []
        self.usable: dict[str, bool] = {}
        self.exported: dict[str, str] | None = None
        self.lease_row: Result | None = None
        self.recovery_row: Result | None = None

    # -- states

    def present(self) -> None:
        """There is a current key: the imported one, the pending one, an interrupted one, or a new one."""
        self._import()
        ring, now = self.keyring.ring, self.request.now_text
        if ring.current is None and ring.pending is not None:
            self.save(g.promote(ring, ring.pending.fingerprint, now))
        elif ring.current is None:
            pending = self._new_generation()
            self.save(g.promote(ring.add(pending), pending.fingerprint, now))

    def staged(self) -> None:
        """A pending key is resumed unless it is given up; one is created if none is current, or that is due or given up."""
        request = self.request
        self._check_given_up()
        self._import()
        due = g.due_at(self.keyring.ring, request.max_age)
        ring = g.give_up(self.keyring.ring, request.given_up, request.now_text)
        if g.needs_new(ring, request.given_up, request.force or bool(due and due <= request.now)):
            ring = ring.add(self._new_generation())
        self.save(ring)

    def recorded(self) -> None:
        """What numbers accepted whose provider cannot be asked later. Nothing else is changed."""
        self.save(g.record(self.keyring.ring, self.request.accepted, self.request.now_text))

    def promoted(self) -> None:
        """The pending key becomes current."""
        self.save(g.promote(self.keyring.ring, self.request.fingerprint, self.request.now_text))

    def rolled_back(self) -> None:
        """A retired key becomes current again, if its private half still opens."""
        ring = g.roll_back(self.keyring.ring, self.request.fingerprint, self.request.now_text)
        if ring.current is not None:
            self.keyring.open_private_key(ring.current)
        self.save(ring)

    def revoked(self) -> None:
        """The state says so before clean_up deletes the file, so that a kill between the two cannot bring the key back."""
        request = self.request
        self.save(g.revoke(self.keyring.ring, request.fingerprint, request.in_use or (), request.now_text))

    def pruned(self) -> None:
        """Files go before the state forgets them, so that a kill between the two leaves no file without a name."""
        gone = g.prunable(self.keyring.ring, self.request.in_use or (), self.request.retention, self.request.now)
        if gone and self.request.clock_in_doubt:
            raise KeyringError(
                f"{len(gone)} keys of {self.keyring.folder} seem to have had their time, but {self.request.clock_in_doubt}: "
                "nothing was deleted.",
                "Set the clocks right, then run again.",
            )
        for generation in gone:
            self.keyring.destroy(generation)
            self.removed.append(generation.fingerprint)
        self.keyring.save(self.keyring.ring.prune(gone))

    def mirrored(self) -> None:
        """Key files become durable before the state names them; files of keys that the source lacks go when it is written."""
        keyring, source = self.keyring, self.request.source
        self._check_source()
        kept = [one for one in source.ring.generations if one.state != "revoked"]
        lacking = {one.id: self._key_to_copy(one) for one in kept if not keyring.fits(one)}  # all, before one is written
        for generation in kept:
            if generation.id in lacking:
                self._copy(generation, lacking[generation.id])
            elif keyring.mend_public_key(generation):
                self.changed = True
        self._replace_state(source.ring)
        self.changed = keyring.destroy_copies(source.ring) or self.changed

    def read(self) -> None:
        """Nothing is written. With a passphrase every key is opened that was not revoked.

        One that is missing or damaged must not keep the others from where they are needed; that none opens is an error.
        """
        kept = [one for one in self.keyring.ring.generations if one.state != "revoked"]
        export = self.request.export_passphrase
        if self.request.passphrase:
            self.usable = {one.fingerprint: self.keyring.fits(one) for one in kept}
        if export:
            usable = [one for one in kept if self.keyring.fits(one)]
            if kept and not usable:
                self.keyring.open_private_key(kept[-1])
            self.exported = {one.id: self.keyring.open_private_key(one).encrypted_pem(export).decode() for one in usable}

    def recovered(self) -> None:
        """Keys come under their own names, then what no generation can use under another, then the state.

        So a call that is killed leaves every key in a file, and the damaged state where it was, for the next call to go on with.
        """
        keyring, request = self.keyring, self.request
        files, damage = keyring.key_files(), keyring.damage
        held = request.held + [row["fingerprints"][-1] for row in keyring.ring.accepted.values()]
        plan = recovery(
            keyring.ring, files, readable=not damage, held=held, chosen=request.fingerprint, now=request.now,
            where=keyring.folder,
        )
        for identity, generation in plan.written.items():
            keyring.write_key(generation, keyring.opened_key(identity))
        ids = {one.id for one in plan.ring.generations}  # the public half of a lost key is of use to who looks for it
        aside: list[Result] = [
            {"file": printable(f"{file.id}.pem"), "why": file.why,
             "now": keyring.put_aside(file.id, with_public=file.id not in ids)}
            for file in files if file.id in plan.aside
        ]
        for identity, generation in plan.copies.items():
            keyring.drop_copy(identity, generation, with_public=identity not in ids)
            own = "was revoked" if generation.state == "revoked" else "has a file of its own"
            aside.append({"file": printable(f"{identity}.pem"), "now": None,
                          "why": f"It holds the key of {generation.fingerprint}, which {own}."})
        for generation in plan.ring.generations:
            if generation.state != "revoked" and generation.fingerprint not in keyring.unwritten and keyring.fits(generation):
                self.changed = keyring.mend_public_key(generation) or self.changed
        ring = g.counted_from(keyring.ring, plan.ring, request.later_text)
        if damage:
            copied = keyring.replace_damaged_state(ring)
            aside += [{"file": STATE_FILE, "now": copied, "why": damage}] if copied else []
        keyring.save(ring)
        self.changed = bool(self.changed or damage or aside or plan.written)
        self.recovery_row = {"damage": damage or None, "put_aside": aside, "lost": list(plan.lost)}

    # -- what goes with every state that writes

    def save(self, ring: g.Ring) -> None:
        """Write the state, in which retentions start at the later of two clocks."""
        self.keyring.save(g.counted_from(self.keyring.ring, ring, self.request.later_text))

    def reencrypt(self) -> None:
        """Encrypt every key under the new passphrase, file by file, unless what else the call is to do would be refused."""
        if not self.request.new_passphrase:
            return
        outdated = self.keyring.outdated_keys()
        getattr(Run(self.keyring.rehearsal(), self.request), self.request.state)()
        for identity, key in outdated:
            self.keyring.reencrypt(identity, key)
            self.reencrypted.append(key.public.fingerprint)
            self.changed = True

    def clean_up(self) -> None:
        """Destroy the private keys of revoked generations: of this call's, and what a call that was killed left."""
        for generation in self.keyring.ring.generations:
            if generation.state == "revoked" and self.keyring.destroy(generation):
                self.removed.append(generation.fingerprint)
                self.changed = True

    def lease(self) -> None:
        """Take the lease when a rotation is staged, unless somebody else has it; release it when asked to. Never a change."""
        request, keyring = self.request, self.keyring
        if request.lease_owner is None:
            return
        found = keyring.lease()
        other = found if found and found.owner != request.lease_owner and found.is_live(request.now) else None
        own = found if found and found.owner == request.lease_owner and found.is_live(request.now) else None
        if request.release_lease:
            if found and found.owner == request.lease_owner:
                keyring.remove_lease()
            own = None
        elif request.state == "staged" and other is None:
            own = _lease.take(request.lease_owner, request.lease_seconds, request.now)
            keyring.write_lease(own)
        self.lease_row = {
            "owner": request.lease_owner,
            "expires_at": own.expires_at if own else None,
            "other": dataclasses.asdict(other) if other else None,
        }

    # -- steps of the states

    def _import(self) -> None:
        """Adopt the key to import, if there is one and the keyring does not know it: as current if none is, else as retired."""
        if not self.request.importing:
            return
        ring, request = self.keyring.ring, self.request
        key = request.imported_key
        known = ring.find(key.public.fingerprint)
        if known is not None and known.state == "revoked":
            raise KeyringError(f"{known.fingerprint} was revoked and cannot be imported again.", "Rotate to a new key.")
        if known is None:
            replace = request.force and request.state == "present"  # with staged, force asks for a new key
            stored = self.keyring.store(key, "retired", "imported", request.now)
            self.save(g.adopt(ring, stored, replace, request.now_text))

    def _check_given_up(self) -> None:
        """Raise KeyringError where no generation is, or is about to be, the key that is to be replaced."""
        given_up, ring = self.request.given_up, self.keyring.ring
        if given_up and given_up in _not_known(ring, self.request, [given_up]):
            raise KeyringError(
                f"{given_up} cannot be replaced: {self.keyring.folder} does not know it.",
                f"Known: {', '.join(f'{one.fingerprint} ({one.state})' for one in ring.generations) or 'none'}.",
            )

    def _new_generation(self) -> g.Generation:
        """Return a pending generation whose key is durable: what an interrupted call left, else a new key."""
        key, is_new = self.keyring.new_key()
        if is_new and self.keyring.check_mode:
            self.predicted.add(key.public.fingerprint)
        return self.keyring.store(key, "pending", "generated", self.request.now)

    def _check_source(self) -> None:
        """Refuse a source that never knew what this copy has, or counts fewer changes: it was lost, or is older."""
        here, source = self.keyring.ring, self.request.source.ring
        lost, revived = g.unknown(source, (one.fingerprint for one in here.generations)), g.revived(here, source)
        behind = source.serial < here.serial
        if self.request.force or not (lost or revived or behind):
            return
        newer = [f"{', '.join(lost)}, which the source does not know"] if lost else []
        newer += [f"{', '.join(revived)} as revoked, which the source has not"] if revived else []
        newer += [f"change {here.serial} where the source has {source.serial}"] if behind else []
        raise KeyringError(
            f"{self.keyring.folder} on {os.uname().nodename} has {', and '.join(newer)}: "
            "the source was lost or is older than this copy, or another run went on meanwhile. This copy was left as it is.",
            "Run again when no other run is at work. If that does not help, rebuild the source from this copy: "
            f"{restore_from('')} (the copy's name in the inventory). Only if this copy may be lost, use force.",
        )

    def _key_to_copy(self, generation: g.Generation) -> PrivateKey | None:
        """Return the private key of the source's that is missing here; None where check mode cannot have it."""
        pem = self.request.source.private_keys.get(generation.id)
        if pem is None:
            if self.keyring.check_mode:
                return None
            raise KeyringError(
                f"The private key of {generation.fingerprint} is neither usable in {self.keyring.folder} nor among the source's.",
                "Give private_keys as state: read returned them in exported.",
            )
        where = f"The source's private key of {generation.fingerprint}"
        if "ENCRYPTED" not in pem:
            raise KeyringError(f"{where} is not encrypted.", "Private keys travel under export_passphrase only.")
        try:
            key = load_private_key(pem.encode(errors="replace"), self.keyring.needed_passphrase(), where)
        except InvalidKey as error:
            raise KeyringError(error.message, "export_passphrase at the source must be passphrase here.") from None
        if key.public.fingerprint != generation.fingerprint:
            raise KeyringError(f"{where} is another one: {key.public.fingerprint}.", "Read the source again.")
        return key

    def _copy(self, generation: g.Generation, key: PrivateKey | None) -> None:
        source, self.changed = self.request.source, True
        if key is not None:
            self.keyring.write_key(generation, key)
        elif generation.fingerprint in source.public_keys:  # check mode
            self.keyring.unwritten[generation.fingerprint] = source.public_keys[generation.fingerprint]
        if self.keyring.check_mode and generation.fingerprint in source.predicted:
            self.predicted.add(generation.fingerprint)

    def _replace_state(self, ring: g.Ring) -> None:
        """Write the source's state. Until their files are gone, it names as revoked what the source does not have.

        So a call that is killed leaves no file without a name, and no state that names a missing current key.
        """
        keyring = self.keyring
        ids, known = {one.id for one in ring.generations}, {one.fingerprint for one in ring.generations}
        gone = [one for one in keyring.ring.generations if one.id not in ids and one.fingerprint not in known]
        if gone:  # under the serial of before, as it is not the source's state yet
            buried = g.burying(ring, gone, self.request.now_text)
            keyring.save_copy(dataclasses.replace(buried, serial=keyring.ring.serial))
        for generation in gone:
            if keyring.destroy(generation):
                self.removed.append(generation.fingerprint)
        keyring.save_copy(ring)


# -- checks before anything is done


def _check_required(keyring: Keyring, request: Request) -> None:
    """Refuse a keyring that does not know what a copy of it has: going on would give the fleet a key beside the real one."""
    lost = _not_known(keyring.ring, request, request.required) if request.required else []
    if lost:
        raise KeyringError(
            f"{keyring.folder} on {os.uname().nodename} does not know {', '.join(lost)}, which a copy of it has: this keyring "
            "was lost or is older than its copy.",
            f"Rebuild it: {restore_from(request.required_by)}",
        )
    if keyring.ring.serial < request.required_serial:
        raise KeyringError(
            f"{keyring.folder} on {os.uname().nodename} is at change {keyring.ring.serial}, a copy of it at change "
            f"{request.required_serial}: it was put back from a backup, or is older than its copy. Nothing was changed.",
            f"Rebuild it from the copy: {restore_from(request.required_by)}",
        )


def _not_known(ring: g.Ring, request: Request, fingerprints: t.Iterable[str]) -> list[str]:
    """Return those that neither the keyring has nor this call imports."""
    unknown = g.unknown(ring, fingerprints)
    if unknown and request.importing:
        unknown = [one for one in unknown if one != request.imported_key.public.fingerprint]
    return unknown


def _check_private_keys(keyring: Keyring, request: Request) -> None:
    """Open the keys that are or may be published: a wrong passphrase or a damaged file must show before anything is done."""
    if request.state in ("revoked", "pruned", "recorded"):
        return
    if request.state == "read" and not (request.passphrase or request.export_passphrase):
        return
    keyring.needed_passphrase()
    if request.state in ("present", "staged", "promoted"):
        _check_keys_in_work(keyring, request)
    # The others open what they need. Rolling back is the way out of a lost current key.


def _check_keys_in_work(keyring: Keyring, request: Request) -> None:
    """Open the pending and the current key, so that it is known that they can go on to be used.

    Missing may be one that is given up, or a current key that another one is about to replace: that is the way out of its
    loss.
    """
    pending, current = keyring.ring.pending, keyring.ring.current
    gives_up = pending is not None and pending.fingerprint == request.given_up
    replaced = (pending is not None and not gives_up) or (
        request.state == "staged" and current is not None and (request.force or current.fingerprint == request.given_up)
    )
    wanted = [
        one for one, may_be_missing in ((pending, gives_up), (current, replaced))
        if one is not None and not (may_be_missing and keyring.is_missing(one))
    ]
    for generation in wanted:
        keyring.open_private_key(generation)
        keyring.sync(generation)
    if not wanted:
        _check_passphrase_on_another(keyring)


def _check_passphrase_on_another(keyring: Keyring) -> None:
    """Open the newest key that is there, so that a new one is not encrypted under a passphrase of its own."""
    there = [one for one in keyring.ring.generations if one.state != "revoked" and not keyring.is_missing(one)]
    if there:
        keyring.open_private_key(there[-1])


# -- the result


def _result(run: Run, before: g.Ring, changed: bool) -> Result:
    keyring, ring = run.keyring, run.keyring.ring
    due = g.due_at(ring, run.request.max_age)
    target = ring.pending or ring.current
    document = g.to_document(ring)
    return {
        "changed": changed,
        "name": os.path.basename(keyring.folder),
        "folder": keyring.folder,
        "generations": [
            {**row, **_added(run, generation)} for row, generation in zip(document["generations"], ring.generations)
        ],
        "accepted": document["accepted"],
        "pruned": document["pruned"],
        "serial": document["serial"],
        "current": ring.current.fingerprint if ring.current else None,
        "pending": ring.pending.fingerprint if ring.pending else None,
        "to_publish": _to_publish(run, target) if run.request.state not in ("revoked", "pruned", "recorded") else None,
        "predicted": target is not None and target.fingerprint in run.predicted,
        "check_mode": keyring.check_mode,
        "due_at": g.time_text(due) if due else None,
        "removed": run.removed,
        "reencrypted": run.reencrypted,
        "exported": run.exported,
        "lease": run.lease_row,
        "recovery": run.recovery_row,
        **({"warnings": keyring.warnings} if keyring.warnings else {}),
        "diff": {
            "before_header": keyring.folder, "after_header": keyring.folder,
            "before": _diff_text(before), "after": _diff_text(ring),
        } if changed else {},
    }


def _added(run: Run, generation: g.Generation) -> Result:
    """Return what a generation's row tells beside its state; _keyring_options.ADDED_MEMBERS names the members."""
    key = _public_key(run.keyring, generation) if generation.state != "revoked" else None
    return {
        "business_public_key": key.pem if key else None,
        "usable": run.usable.get(generation.fingerprint),
        "missing": generation.state != "revoked" and generation.fingerprint not in run.keyring.unwritten
        and run.keyring.is_missing(generation),
        "predicted": generation.fingerprint in run.predicted,
    }


def _public_key(keyring: Keyring, generation: g.Generation) -> PublicKey | None:
    return keyring.unwritten.get(generation.fingerprint) or keyring.public_key(generation)


def _to_publish(run: Run, target: g.Generation | None) -> Result | None:
    """Return the key that numbers should hold now: the pending one, else the current one."""
    if target is None:
        return None
    keyring = run.keyring
    key = keyring.unwritten.get(target.fingerprint)
    if key is None and run.request.state == "read":
        key = keyring.public_key(target)
    elif key is None and not keyring.is_missing(target):
        key = keyring.open_private_key(target).public
    if key is None:
        return None
    return {"fingerprint": key.fingerprint, "business_public_key": key.pem, "state": target.state}


def _diff_text(ring: g.Ring) -> str:
    return "".join(f"{generation.fingerprint} {generation.state}\n" for generation in ring.generations)
