# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The generations of a key pair and their transitions. Pure: times come in, new states go out."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from datetime import datetime, timedelta, timezone

from ._errors import KeyringError

SCHEMA = 1
STATES = ("pending", "current", "retired", "revoked")
MINIMUM_RETENTION = timedelta(days=7)  # clients cache the public key for a week by default
# A copy that nobody reached since so many keys were deleted is refused as one of another keyring.
MOST_PRUNED = 100
LAST_SERIAL = 2**53  # what every reader of JSON can tell from the next
ORIGINS = ("generated", "imported")
KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,123}")  # with .pem, what a manifest takes
_TIME = "%Y-%m-%dT%H:%M:%SZ"
SECOND = timedelta(seconds=1)


@dataclasses.dataclass(frozen=True)
class Generation:
    """One key pair. C(id) is the name of its files; times are UTC text, or None where it has not happened.

    C(last_seen_at) is when a number was last known to hold it: retention counts from there.
    """

    id: str
    fingerprint: str
    state: str
    origin: str
    created_at: str
    published_at: str | None = None
    promoted_at: str | None = None
    retired_at: str | None = None
    revoked_at: str | None = None
    last_seen_at: str | None = None


class NewerSchema(ValueError):
    """The state was written by a newer version of the collection: it is not damaged."""


class Accepted(t.TypedDict):
    """What is on record for a number; see Ring."""

    fingerprints: list[str]
    certain: bool
    at: str


@dataclasses.dataclass(frozen=True)
class Ring:
    """All generations of one named key, oldest first.

    C(accepted) is for numbers whose provider cannot be asked: by phone-number ID the C(fingerprints) that the number may hold,
    and since when (C(at)). C(certain): the number accepted the one that is there. Otherwise the last was sent, or is about to be,
    and it is not known whether it was accepted.
    C(pruned) are the fingerprints of generations that were deleted after their retention, as far back as MOST_PRUNED: what a copy
    still has of those may go, and nothing else may.
    C(serial) counts the changes of the original, whatever clocks say: by it an original that was put back from a backup is known
    to be older than its copies. 0: version 1.4 or older wrote it.
    """

    generations: tuple[Generation, ...] = ()
    accepted: t.Mapping[str, Accepted] = dataclasses.field(default_factory=dict)
    pruned: tuple[str, ...] = ()
    serial: int = 0

    @property
    def current(self) -> Generation | None:
        return next((g for g in self.generations if g.state == "current"), None)

    @property
    def pending(self) -> Generation | None:
        return next((g for g in self.generations if g.state == "pending"), None)

    @property
    def recorded(self) -> frozenset[str]:
        """The fingerprints that some number is on record to hold, or maybe to hold."""
        return frozenset(one for row in self.accepted.values() for one in row["fingerprints"])

    def find(self, fingerprint: str) -> Generation | None:
        return next((g for g in self.generations if g.fingerprint == fingerprint), None)

    def add(self, generation: Generation) -> Ring:
        pruned = tuple(one for one in self.pruned if one != generation.fingerprint)  # it may be imported again
        return dataclasses.replace(self, generations=(*self.generations, generation), pruned=pruned)

    def put(self, *changed: Generation) -> Ring:
        """Return the ring with these generations in the place of those with the same id."""
        new = {g.id: g for g in changed}
        return dataclasses.replace(self, generations=tuple(new.get(g.id, g) for g in self.generations))

    def prune(self, gone: t.Sequence[Generation]) -> Ring:
        """Return the ring without these generations, of which their fingerprints are kept.

        Of earlier ones the newest are, so that the state does not grow for ever.
        """
        ids = {g.id for g in gone}
        kept = tuple(g for g in self.generations if g.id not in ids)
        pruned = (*self.pruned, *(g.fingerprint for g in gone))
        return dataclasses.replace(self, generations=kept, pruned=pruned[-max(MOST_PRUNED, len(gone)):])


def time_text(moment: datetime) -> str:
    """Return a moment as UTC text, to the second."""
    return moment.astimezone(timezone.utc).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Return the moment of a text of time_text. Raises ValueError."""
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)


def file_time(moment: datetime) -> str:
    """Return a moment as names of files have it."""
    return moment.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def time_of_file(name: str, now: datetime) -> str:
    """Return when a file was named, as text of time_text; that of now where its name does not tell, or lies."""
    try:
        moment = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return time_text(now)
    return time_text(min(moment, now))


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def retired(generation: Generation | None, now: str) -> list[Generation]:
    """Return a generation as a retired one, whose retention begins now; nothing for none."""
    if generation is None:
        return []
    return [dataclasses.replace(generation, state="retired", retired_at=now, last_seen_at=now)]


def _make_current(ring: Ring, generation: Generation, now: str) -> Ring:
    """Return the ring with a generation as current and the former current retired; the due clock starts now."""
    new = made_current(generation, now)
    former = ring.current
    return ring.put(new, *retired(former if former and former.id != new.id else None, now))


def made_current(generation: Generation, now: str) -> Generation:
    """Return a generation as the current one."""
    return dataclasses.replace(
        generation, state="current", published_at=generation.published_at or now, promoted_at=now, retired_at=None
    )


def renamed(generation: Generation, identity: str) -> Generation:
    """Return a generation as if its files had another name."""
    return dataclasses.replace(generation, id=identity)


def promote(ring: Ring, fingerprint: str, now: str) -> Ring:
    """Make the pending generation current. Already so: unchanged. Raises KeyringError for any other generation."""
    if ring.current and ring.current.fingerprint == fingerprint:
        return ring
    if ring.pending is None or ring.pending.fingerprint != fingerprint:
        pending = ring.pending.fingerprint if ring.pending else "none"
        raise KeyringError(
            f"{fingerprint} cannot be promoted: it is not the pending generation (pending: {pending}).",
            "Another run may have gone on meanwhile: run the rotation again.",
        )
    return _make_current(ring, ring.pending, now)


def roll_back(ring: Ring, fingerprint: str, now: str) -> Ring:
    """Make a retired generation current; the former current and any pending one are retired. Already so: unchanged.

    Giving up a pending generation for the current one restarts the due clock as well: otherwise a current generation that
    was due would get another pending one at the next run.
    """
    if ring.current and ring.current.fingerprint == fingerprint:
        if ring.pending is None:
            return ring
        return ring.put(dataclasses.replace(ring.current, promoted_at=now), *retired(ring.pending, now))
    target = ring.find(fingerprint)
    if target is None or target.state != "retired":
        state = target.state if target else "not known to this keyring"
        raise KeyringError(
            f"Cannot roll back to {fingerprint}: it is {state}.",
            f"Retired generations: {', '.join(g.fingerprint for g in ring.generations if g.state == 'retired') or 'none'}.",
        )
    return _make_current(ring.put(*retired(ring.pending, now)), target, now)


def adopt(ring: Ring, generation: Generation, replace: bool, now: str) -> Ring:
    """Add an imported generation: as current if there is none or it is to replace it, else as a retired one.

    Retired it is known, so that numbers that hold it are not foreign and are brought to the current key.
    """
    if ring.current is None or replace:
        return _make_current(ring.add(generation), generation, now)
    return ring.add(*retired(generation, now))


def give_up(ring: Ring, fingerprint: str, now: str) -> Ring:
    """Retire the pending generation if it is the one that must not be used any more. Otherwise unchanged."""
    if ring.pending is None or ring.pending.fingerprint != fingerprint:
        return ring
    return ring.put(*retired(ring.pending, now))


def needs_new(ring: Ring, given_up: str, due_or_forced: bool) -> bool:
    """Tell whether a new generation is to be made: none is pending, and none is current, or it is due or given up."""
    if ring.pending is not None:
        return False
    return ring.current is None or due_or_forced or ring.current.fingerprint == given_up


def unknown(ring: Ring, fingerprints: t.Iterable[str]) -> list[str]:
    """Return those fingerprints, sorted, that no generation has or had."""
    return sorted(set(fingerprints) - {one.fingerprint for one in ring.generations} - set(ring.pruned))


def revived(ring: Ring, source: Ring) -> list[str]:
    """Return the fingerprints of a ring's revoked generations that a source has in another state: which no key comes back to."""
    usable = {one.fingerprint for one in source.generations if one.state != "revoked"}
    return [one.fingerprint for one in ring.generations if one.state == "revoked" and one.fingerprint in usable]


def counted(before: Ring, ring: Ring) -> Ring:
    """Return a ring as the next change of the one before, where it is one."""
    same = dataclasses.replace(ring, serial=before.serial) == before
    return before if same else dataclasses.replace(ring, serial=before.serial + 1)


def burying(ring: Ring, gone: t.Iterable[Generation], now: str) -> Ring:
    """Return a ring together with generations that it does not have, as revoked ones: until their files are deleted."""
    return dataclasses.replace(ring, generations=(*ring.generations, *(
        dataclasses.replace(one, state="revoked", revoked_at=one.revoked_at or now) for one in gone
    )))


def revoke(ring: Ring, fingerprint: str, in_use: t.Collection[str], now: str) -> Ring:
    """Mark a generation so that it is never used again. Raises KeyringError while it is current or held by a number, also
    by one that is only on record to hold it.
    """
    target = ring.find(fingerprint)
    if target is None:
        raise KeyringError(f"{fingerprint} is not known to this keyring.", "Nothing was changed.")
    if target.state == "current" or fingerprint in in_use:
        why = "the current generation" if target.state == "current" else "still held by a number"
        raise KeyringError(f"{fingerprint} cannot be revoked: it is {why}.", "Rotate away from it first.")
    if target.state == "revoked":
        return ring
    holders = [name for name, row in ring.accepted.items() if fingerprint in row["fingerprints"]]
    if holders:
        raise KeyringError(
            f"{fingerprint} cannot be revoked: it is on record for {', '.join(sorted(holders)[:20])}.",
            "Rotate away from it first. Numbers that are gone are forgotten with state: recorded, and an empty list of "
            "fingerprints for each in accepted.",
        )
    return ring.put(dataclasses.replace(target, state="revoked", revoked_at=now, retired_at=target.retired_at or now))


def prunable(ring: Ring, in_use: t.Collection[str], retention: timedelta, now: datetime) -> list[Generation]:
    """Return the retired generations that nobody was seen holding for the retention, nor is on record to hold.

    Raises KeyringError below 7 days.
    """
    if retention < MINIMUM_RETENTION:
        raise KeyringError(
            f"A retention of {retention.days} days is too short: clients cache the public key for 7 days or more.",
            "Use 7d or more (default 30d); only a revocation shortens that.",
        )
    used = {*in_use, *ring.recorded}
    return [
        g for g in ring.generations
        if g.state == "retired" and g.fingerprint not in used and now - _last_use(g) >= retention
    ]


def _last_use(generation: Generation) -> datetime:
    """Return when a key may last have been in use: a clock that was behind at one of these times makes it no earlier."""
    names = ("retired_at", "last_seen_at", "promoted_at", "published_at", "created_at")
    return max(parse_time(moment) for moment in (getattr(generation, name) for name in names) if moment)


def counted_from(before: Ring, ring: Ring, later: str) -> Ring:
    """Return a ring where each retention that was started since another one starts at a time of a later clock."""
    former = {one.fingerprint: one for one in before.generations}
    changed = []
    for one in ring.generations:
        old, moved = former.get(one.fingerprint), {}
        for name in ("retired_at", "last_seen_at"):
            moment = getattr(one, name)
            if moment and (old is None or moment != getattr(old, name)):
                moved[name] = max(moment, later)
        changed.append(dataclasses.replace(one, **moved))
    return ring.put(*changed)


def note_seen(ring: Ring, in_use: t.Collection[str], now: str) -> Ring:
    """Record that numbers hold these generations: when they were first published, and for retired ones when last seen."""
    changed = []
    for generation in ring.generations:
        if generation.fingerprint not in in_use:
            continue
        noted = dataclasses.replace(generation, published_at=generation.published_at or now)
        if noted.state != "current":
            noted = dataclasses.replace(noted, last_seen_at=now)
        changed.append(noted)
    return ring.put(*changed)


def record(ring: Ring, accepted: t.Mapping[str, Accepted], now: str) -> Ring:
    """Return the ring with what numbers accepted, or may have; one without fingerprints is forgotten.

    A number may hold a key of another keyring, or a foreign one, until it is sent one of this.
    """
    new: dict[str, Accepted] = dict(ring.accepted)
    for name, row in accepted.items():
        if not row["fingerprints"]:
            new.pop(name, None)
        elif name not in new or {**new[name], "at": now} != {**row, "at": now}:
            new[name] = {**row, "at": now}
    if new == dict(ring.accepted):
        return ring
    # What a number is about to lose was held until now: retention counts from here.
    return dataclasses.replace(note_seen(ring, ring.recorded, now), accepted=new)


def due_at(ring: Ring, max_age: timedelta | None) -> datetime | None:
    """Return when the current generation is due for rotation; None if it never is, or there is none."""
    if max_age is None or ring.current is None:
        return None
    try:
        return parse_time(ring.current.promoted_at or ring.current.created_at) + max_age
    except OverflowError:  # beyond the calendar's end
        return None


def to_document(ring: Ring) -> dict[str, t.Any]:
    """Return the content of keyring.json."""
    return {
        "schema": SCHEMA,
        "serial": ring.serial,
        "generations": [dataclasses.asdict(generation) for generation in ring.generations],
        "accepted": dict(ring.accepted),
        "pruned": list(ring.pruned),
    }


def from_document(document: t.Any) -> Ring:
    """Read the content of keyring.json strictly. Raises ValueError that says what is wrong with it."""
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise NewerSchema(f"its schema is {schema}, this version of the collection reads {SCHEMA}")
    if schema != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    rows, accepted = document.get("generations"), document.get("accepted")
    if not isinstance(rows, list) or not isinstance(accepted, dict):
        raise ValueError("generations or accepted is missing")
    if not all(is_accepted(row) for row in accepted.values()):
        raise ValueError("accepted holds something else than fingerprints and a time")
    pruned = document.get("pruned", [])  # version 1.0 wrote none
    if not isinstance(pruned, list) or not all(isinstance(one, str) and FINGERPRINT.fullmatch(one) for one in pruned):
        raise ValueError("pruned is not a list of fingerprints")
    serial = document.get("serial", 0)  # before version 1.5 there was none
    if not isinstance(serial, int) or isinstance(serial, bool) or not 0 <= serial <= LAST_SERIAL:
        raise ValueError("serial is not a number of changes")
    ring = Ring(tuple(from_row(row) for row in rows), accepted, tuple(pruned), serial)
    for state in ("current", "pending"):
        if sum(g.state == state for g in ring.generations) > 1:
            raise ValueError(f"more than one generation is {state}")
    for name in ("id", "fingerprint"):
        if len({getattr(g, name) for g in ring.generations}) != len(ring.generations):
            raise ValueError(f"a generation's {name} occurs twice")
    return ring


def is_accepted(row: t.Any) -> bool:
    """Tell whether a value is what Accepted says."""
    if not isinstance(row, dict) or row.keys() != {"fingerprints", "certain", "at"} or not isinstance(row["fingerprints"], list):
        return False
    keys, certain = row["fingerprints"], row["certain"]
    if not isinstance(certain, bool) or not _is_time(str(row["at"])) or not keys or (certain and len(keys) != 1):
        return False
    return all(isinstance(one, str) and FINGERPRINT.fullmatch(one) for one in keys)


def from_row(row: t.Any) -> Generation:
    """Read a generation strictly. Raises ValueError that says what is wrong with it."""
    fields = {field.name for field in dataclasses.fields(Generation)}
    if not isinstance(row, dict) or not {"id", "fingerprint", "state", "origin", "created_at"} <= row.keys() <= fields:
        raise ValueError("a generation lacks members or has unknown ones")
    required = ("id", "fingerprint", "state", "origin", "created_at")
    if any(not isinstance(row[name], str) for name in required):
        raise ValueError("a generation has members of the wrong type")
    if any(not isinstance(value, (str, type(None))) for value in row.values()):
        raise ValueError("a generation has members of the wrong type")
    if row["state"] not in STATES or row["origin"] not in ORIGINS:
        raise ValueError("a generation's state or origin is not known")
    if not _FILE_NAME.fullmatch(row["id"]):
        raise ValueError("a generation's id is not a file name")
    if not FINGERPRINT.fullmatch(row["fingerprint"]):
        raise ValueError("a generation's fingerprint is not one")
    for name, value in row.items():
        if name.endswith("_at") and value is not None and not _is_time(value):
            raise ValueError("a generation's time is not one")
    return Generation(**row)
