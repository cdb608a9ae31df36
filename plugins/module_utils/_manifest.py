# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""manifest.json: what a program on an endpoint host reads to learn which private keys there are. Pure."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ._generations import Generation, Ring, parse_time

MANIFEST = "manifest.json"
KEY_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\.pem")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_SCHEMA = 1
_STATES = ("pending", "current", "retired")  # in the order in which keys of the same age are listed


@dataclasses.dataclass(frozen=True)
class Entry:
    """A key as the manifest names it."""

    fingerprint: str
    file: str
    state: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of manifest.json: newest usable key first."""

    key_name: str
    current: str | None
    keys: tuple[Entry, ...]

    @property
    def fingerprints(self) -> list[str]:
        return [entry.fingerprint for entry in self.keys]

    @property
    def files(self) -> set[str]:
        return {entry.file for entry in self.keys}

    def text(self) -> str:
        """Return the manifest as it is written."""
        document = {
            "schema": _SCHEMA, "key_name": self.key_name, "current": self.current,
            "keys": [dataclasses.asdict(entry) for entry in self.keys],
        }
        return json.dumps(document, indent=2) + "\n"


def key_file(generation: Generation) -> str:
    """Return the name of a generation's key file."""
    return generation.id + ".pem"


def manifest_of(name: str, ring: Ring) -> Manifest:
    """Return the manifest of a keyring's generations, without the revoked ones."""
    usable = [generation for generation in ring.generations if generation.state != "revoked"]
    usable.sort(key=lambda one: (_STATES.index(one.state), one.id))
    usable.sort(key=lambda one: parse_time(one.created_at), reverse=True)  # stable: keeps that order within a second
    keys = tuple(Entry(one.fingerprint, key_file(one), one.state) for one in usable)
    return Manifest(name, ring.current.fingerprint if ring.current else None, keys)


def read_manifest(text: bytes, name: str) -> Manifest:
    """Read manifest.json strictly. Raises ValueError that says what is wrong with it."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise ValueError(f"it is not of schema {_SCHEMA}")
    if document.get("key_name") != name:
        raise ValueError(f"it is that of another key than {name}")
    current, rows = document.get("current"), document.get("keys")
    if not isinstance(current, (str, type(None))) or not isinstance(rows, list) or not all(_is_entry(row) for row in rows):
        raise ValueError("its members are not of the form that this collection writes")
    keys = tuple(Entry(row["fingerprint"], row["file"], row["state"]) for row in rows)
    if current is not None and current not in {entry.fingerprint for entry in keys}:
        raise ValueError("its current key is not among its keys")
    return Manifest(name, current, keys)


def _is_entry(row: t.Any) -> bool:
    names = ("fingerprint", "file", "state")
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in names):
        return False
    forms = KEY_FILE.fullmatch(row["file"]), _FINGERPRINT.fullmatch(row["fingerprint"])
    return None not in forms and row["state"] in _STATES
