# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What a damaged keyring becomes: what can still be read of its state, and the generations that its key files make. Pure.

A generation that is known but whose key file is lost stays as a retired one, so that numbers that hold it are not foreign
and are brought to the current key.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import typing as t
from datetime import datetime

from . import _generations as g
from ._errors import KeyringError
from ._keys import fingerprint_hex16

# Files of keys that were generated, and of keys that were imported: only the former can be what a new key is taken from.
GENERATED = re.compile(r"[0-9]{8}T[0-9]{6}Z-([0-9a-f]{16})")
IMPORTED_SUFFIX = "-imported"
OURS = re.compile(GENERATED.pattern + f"(?:{IMPORTED_SUFFIX})?")
# How the rows begin that are written; so nothing is looked into that is nested deeper than they are.
_ROW = re.compile(r'\{(?=\s*"id")')
_RECORD = re.compile(r'"((?:[^"\\]|\\.){1,400})"\s*:\s*(?=\{\s*"(?:fingerprints|certain|at)")')
_SERIAL = re.compile(r'"serial": (\d{1,15}),')
_FINGERPRINT_TEXT = re.compile(f'"({g.FINGERPRINT.pattern})"')


@dataclasses.dataclass(frozen=True)
class KeyFile:
    """A file that is named as a key file is. C(fingerprint) is that of the key in it; None where it does not open: C(why).

    C(whole): it does not open, but looks as it would under another passphrase.
    """

    id: str
    fingerprint: str | None
    why: str = ""
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class Recovery:
    """How a keyring comes to be whole. C(written): generations whose key lies in a file that is not its own, by that file's id.

    C(aside): ids of files that do not open and get another name. C(copies): by file, the generation whose key lies in another
    file as well. C(lost): keys that numbers hold and no file has.
    """

    ring: g.Ring
    written: t.Mapping[str, g.Generation]
    aside: t.Collection[str]
    copies: t.Mapping[str, g.Generation]
    lost: tuple[str, ...]


# -- what can still be read


def salvage(text: bytes) -> g.Ring:
    """Return what can still be read of a keyring.json that cannot be read as a whole."""
    content = text.decode("utf-8", "replace")
    rows: dict[str, g.Generation] = {}
    accepted: dict[str, g.Accepted] = {}
    for match in _ROW.finditer(content):
        generation = _as_generation(_object_at(content, match.start()))
        if generation is not None:
            rows.setdefault(generation.fingerprint, generation)
    for match in _RECORD.finditer(content):
        row, name = _object_at(content, match.end()), _as_name(match.group(1))
        if name and g.is_accepted(row):
            accepted[name] = t.cast(g.Accepted, row)
    unique = {one.id: one for one in rows.values()}
    serial = _SERIAL.search(content)
    return g.Ring(tuple(unique.values()), accepted, _pruned(content, {one.fingerprint for one in unique.values()}),
                  int(serial.group(1)) if serial else 0)


def _object_at(content: str, start: int) -> t.Any:
    try:
        return json.JSONDecoder().raw_decode(content, start)[0]
    except (ValueError, RecursionError):
        return None


def _as_generation(row: t.Any) -> g.Generation | None:
    """Return a row as a generation, unless anything in it does not fit, such as its fingerprint and the name of its files."""
    try:
        generation = g.from_row(row)
    except ValueError:
        return None
    match = OURS.fullmatch(generation.id)
    return None if match and match.group(1) != fingerprint_hex16(generation.fingerprint) else generation


def _as_name(text: str) -> str:
    try:
        name = json.loads(f'"{text}"')
    except ValueError:
        return ""
    return "" if "\ufffd" in name else str(name)


def _pruned(content: str, known: t.Container[str]) -> tuple[str, ...]:
    """Return the fingerprints at the end, after C("pruned"), which are of no generation."""
    tail = content.rpartition('"pruned"')[2] if '"pruned"' in content else ""
    return tuple(dict.fromkeys(one for one in _FINGERPRINT_TEXT.findall(tail) if one not in known))


# -- what it becomes


def recovery(
    ring: g.Ring, files: t.Sequence[KeyFile], *, readable: bool, held: t.Sequence[str], chosen: str, now: datetime,
    where: str,
) -> Recovery:
    """Return how a keyring comes to be whole: as it was, as far as nothing is wrong with it.

    C(ring) is its state, or, where that is not C(readable), what could be salvaged of it; C(held) are the keys that numbers
    hold, each as often as numbers hold it. C(chosen) is to be the current one. Raises KeyringError where nothing can be done.
    """
    opening = [file for file in files if file.fingerprint is not None]
    _check_any_opens(ring, files, opening, readable=readable, where=where)
    if not chosen:
        _check_passphrase_fits(ring, files, readable=readable, held=held, where=where)
    homes = _homes(ring, opening)
    ring = _with_unnamed(ring, opening, homes, held if readable else None, now)
    written: dict[str, g.Generation] = {}
    taken = {file.id for file in files}
    for file in opening:
        generation = ring.find(file.fingerprint or "")
        if generation is not None and generation.state != "revoked" and file.fingerprint not in homes:
            moved = g.renamed(generation, _free_id(generation, taken, now))
            ring, homes = _replaced(ring, generation, moved), {**homes, moved.fingerprint: moved.id}
            written[file.id] = moved
    usable = {one.fingerprint for one in ring.generations if one.fingerprint in homes and one.state != "revoked"}
    ring = _with_states(ring, usable, readable=readable, held=held, chosen=chosen, now=g.time_text(now))
    lost = tuple(sorted({one for one in held if one not in usable}))
    aside = [file.id for file in files if file.fingerprint is None]
    return Recovery(ring, written, aside, _copies(ring, opening), lost)


def _check_any_opens(
    ring: g.Ring, files: t.Sequence[KeyFile], opening: t.Sequence[KeyFile], *, readable: bool, where: str
) -> None:
    wanted = [one for one in ring.generations if one.state != "revoked"]
    if opening or (readable and not wanted):
        return
    if files:
        raise KeyringError(
            f"None of the {len(files)} key files in {where} opens, so nothing was changed: "
            + "; ".join(file.why for file in files[:5]),
            "Give the passphrase that they were written with. If they are lost, restore them from a replica or a backup.",
        )
    raise KeyringError(
        f"There is no key file in {where}, so nothing can be recovered and nothing was changed.",
        "Restore it from a replica or a backup. If there is none, move the folder away and rotate to a new key.",
    )


def _check_passphrase_fits(
    ring: g.Ring, files: t.Iterable[KeyFile], *, readable: bool, held: t.Collection[str], where: str
) -> None:
    """Refuse files that are whole and under another passphrase, as a change of it that was interrupted leaves them.

    Put aside, their keys would be taken for lost, and another one for the current one. What no generation needs is no hindrance.
    """
    by_id, hashes = {one.id: one for one in ring.generations}, {fingerprint_hex16(one) for one in held}
    locked = []
    for file in files:
        known, match = by_id.get(file.id), OURS.fullmatch(file.id)
        needed = known.state != "revoked" if known else not readable or bool(match and match.group(1) in hashes)
        if file.whole and needed:
            locked.append(f"{file.id}.pem")
    if locked:
        raise KeyringError(
            f"Under another passphrase than other key files in {where} are: {', '.join(locked[:20])}. Nothing was changed.",
            "Most likely a change of the passphrase was interrupted: finish it with encryption_keys_passphrase and "
            "encryption_keys_new_passphrase as they were then, or give the passphrase that these were written with. Only if they "
            "are damaged or to be done without, name the key that is to be the current one: encryption_keys_recover_to.",
        )


def _homes(ring: g.Ring, opening: t.Iterable[KeyFile]) -> dict[str, str]:
    """Return by fingerprint the id of the file that is rightly named: as the state says, else by the hash in its name."""
    homes: dict[str, str] = {}
    named = {one.id for one in ring.generations}
    for file in opening:
        fingerprint = file.fingerprint or ""
        known, match = ring.find(fingerprint), OURS.fullmatch(file.id)
        if known is not None and known.id == file.id:
            homes[fingerprint] = file.id
        elif match and match.group(1) == fingerprint_hex16(fingerprint) and file.id not in named:
            homes.setdefault(fingerprint, file.id)
    return homes


def _with_unnamed(
    ring: g.Ring, opening: t.Sequence[KeyFile], homes: t.Mapping[str, str], held: t.Collection[str] | None, now: datetime,
) -> g.Ring:
    """Return the ring with the keys that it does not name, as retired ones, and with the files that it should name.

    With C(held), which goes with a state that can be read, a single generated key is left to the next call, as one that was
    killed leaves it, and imported ones are left to the next import; unless a number holds them.
    """
    known = {one.fingerprint for one in ring.generations}
    unnamed = [file for file in opening if file.fingerprint not in known]
    generated = {file.fingerprint for file in unnamed if GENERATED.fullmatch(file.id)}
    for file in unnamed:
        fingerprint = file.fingerprint or ""
        left_alone = held is not None and fingerprint not in held and (fingerprint not in generated or len(generated) == 1)
        if ring.find(fingerprint) is None and not left_alone:
            identity = homes.get(fingerprint, file.id)
            origin = "imported" if identity.endswith(IMPORTED_SUFFIX) else "generated"
            new = g.Generation(identity, fingerprint, "retired", origin, g.time_of_file(identity, now))
            ring = ring.add(*g.retired(new, g.time_text(now)))
    for one in ring.generations:
        home = homes.get(one.fingerprint, one.id)
        if home != one.id and one.state != "revoked":
            ring = _replaced(ring, one, g.renamed(one, home))
    if held is not None:
        return ring
    return dataclasses.replace(ring, generations=tuple(sorted(ring.generations, key=lambda one: (one.created_at, one.id))))


def _free_id(generation: g.Generation, taken: t.Container[str], now: datetime) -> str:
    suffix = f"-{fingerprint_hex16(generation.fingerprint)}" + (IMPORTED_SUFFIX if generation.origin == "imported" else "")
    moment = now
    while g.file_time(moment) + suffix in taken:
        moment += g.SECOND
    return g.file_time(moment) + suffix


def _replaced(ring: g.Ring, old: g.Generation, new: g.Generation) -> g.Ring:
    return dataclasses.replace(ring, generations=tuple(new if one is old else one for one in ring.generations))


def _with_states(
    ring: g.Ring, usable: t.Collection[str], *, readable: bool, held: t.Sequence[str], chosen: str, now: str
) -> g.Ring:
    """Return the ring with states that fit its keys. Those of a state that could be read stay, where the key is there."""
    current = _chosen(ring, usable, readable=readable, held=held, chosen=chosen)
    changed: list[g.Generation] = []
    for one in ring.generations:
        if one.fingerprint == current:
            if one.state != "current":
                changed.append(g.made_current(one, now))
        elif one.state != "revoked" and (not readable or one.state == "current" or
                                         (one.state == "pending" and one.fingerprint not in usable)):
            changed += g.retired(one, now)
    return ring.put(*changed)


def _chosen(ring: g.Ring, usable: t.Collection[str], *, readable: bool, held: t.Sequence[str], chosen: str) -> str | None:
    """Return the key to be the current one: the chosen one, that of the state, the one that most numbers hold, the newest."""
    if chosen and chosen not in usable:
        raise KeyringError(
            f"{chosen} cannot be made the current key: no key file here has it. Nothing was changed.",
            f"Those that open: {', '.join(sorted(usable)) or 'none'}.",
        )
    named = ring.current.fingerprint if ring.current and ring.current.fingerprint in usable else None
    if chosen or (readable and named):
        return chosen or named
    pending = ring.pending is not None and ring.pending.fingerprint in usable
    candidates = [one.fingerprint for one in ring.generations if one.fingerprint in usable]
    if not candidates or (readable and (ring.current is None or pending)):
        return None
    counts = collections.Counter(one for one in held if one in usable)
    most = max(counts.values(), default=0)
    if most:
        return [one for one in candidates if counts[one] == most][-1]
    return named or candidates[-1]


def _copies(ring: g.Ring, opening: t.Iterable[KeyFile]) -> dict[str, g.Generation]:
    """Return by file the generation whose key it holds, where that has a file of its own or was revoked."""
    found = {}
    for file in opening:
        known = ring.find(file.fingerprint or "")
        if known is not None and known.id != file.id:
            found[file.id] = known
    return found
