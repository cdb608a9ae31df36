# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The options of whatsapp_flows_keyring, parsed and checked before anything is touched. Raises InvalidOptions, InvalidKey."""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t
from datetime import datetime, timedelta

from . import _generations as g
from . import _lease
from ._durations import parse_duration
from ._errors import InvalidOptions, WabaError
from ._files import read_file
from ._host_argspec import Params
from ._keyring import check_passphrase
from ._keys import PrivateKey, PublicKey, load_private_key, normalise_fingerprint, parse_public_key

# Ansible makes no boolean of what is within a mapping, and templates leave text.
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

# A day more or less does not matter to a retention of weeks, and runs can take hours.
_CLOCKS_APART = timedelta(days=1)

# What the result adds to the members of a generation; none of it is state.
ADDED_MEMBERS = ("business_public_key", "usable", "missing", "predicted")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a copy is made of: the keyring to copy, its private keys (encrypted PEM, by id), and what check mode predicted.

    C(public_keys) holds, by fingerprint, what the source said of its public halves; C(predicted) the fingerprints of
    throw-away keys, which stand for some that are not there yet.
    """

    ring: g.Ring = dataclasses.field(default_factory=g.Ring)
    private_keys: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    public_keys: t.Mapping[str, PublicKey] = dataclasses.field(default_factory=dict)
    predicted: frozenset[str] = frozenset()


def source_of(given: Params) -> Source:
    """Read the option C(source) strictly: rows as the module returns them, and private keys as it exports them."""
    rows, private_keys = given["generations"], given["private_keys"] or {}
    try:
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a generation is not a mapping")
        bare = [{name: value for name, value in row.items() if name not in ADDED_MEMBERS} for row in rows]
        ring = g.from_document({
            "schema": g.SCHEMA, "generations": bare, "accepted": given["accepted"] or {}, "pruned": given.get("pruned") or [],
            "serial": given["serial"],
        })
        if not all(isinstance(pem, str) for pem in private_keys.values()):
            raise ValueError("a private key is not text")
    except ValueError as error:
        raise InvalidOptions(
            f"source is not what a keyring returned: {error}.",
            "Give generations, accepted, pruned and exported (as private_keys) as state: read returned them.",
        ) from None
    predicted = frozenset(row["fingerprint"] for row in rows if row.get("predicted"))
    return Source(ring, private_keys, _public_keys(rows), predicted)


def _public_keys(rows: t.Iterable[Params]) -> dict[str, PublicKey]:
    found = {}
    for row in rows:
        try:
            key = parse_public_key(str(row.get("business_public_key") or ""))
        except WabaError:
            continue
        found[key.fingerprint] = key
    return found


def _accepted(given: Params | None, now: str) -> dict[str, g.Accepted]:
    """Return what numbers accepted, or may have, by phone-number ID. Raises InvalidOptions and InvalidKey."""
    found: dict[str, g.Accepted] = {}
    for name, row in (given or {}).items():
        keys = row.get("fingerprints") if isinstance(row, dict) else None
        if not isinstance(keys, list):
            raise InvalidOptions(f"accepted: '{str(name)[:40]}' does not have a list of fingerprints.")
        unique = list(dict.fromkeys(normalise_fingerprint(str(item)) for item in keys))
        certain = _TRUTH.get(str(row.get("certain", False)).lower())
        if certain is None:
            raise InvalidOptions(f"accepted: certain of '{str(name)[:40]}' is neither true nor false.")
        if certain and len(unique) > 1:
            raise InvalidOptions(f"accepted: '{str(name)[:40]}' cannot hold {len(unique)} keys for certain.")
        found[str(name)] = {"fingerprints": unique, "certain": certain, "at": now}
    return found


def _clock(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return g.parse_time(text)
    except ValueError:
        raise InvalidOptions("clock is not a time.", "It looks like 2026-01-31T12:00:00Z, in UTC.") from None


class Request:
    """The module's options."""

    def __init__(self, params: Params, now: datetime) -> None:
        self.now = now
        self.other_now = _clock(params["clock"])
        self.now_text = g.time_text(now)
        # A retention counts from the later of two clocks, so that one that is behind shortens none.
        self.later_text = g.time_text(max(now, self.other_now or now))
        self.state: str = params["state"]
        self.force: bool = params["force"]
        self.retention = timedelta(seconds=parse_duration(params["retention"], "retention"))
        self.max_age = None
        if params["max_age"]:
            self.max_age = timedelta(seconds=parse_duration(params["max_age"], "max_age"))
        in_use = params["in_use_fingerprints"]
        self.held = [normalise_fingerprint(item) for item in in_use or ()]
        self.in_use = None if in_use is None else frozenset(self.held)
        self.fingerprint = normalise_fingerprint(params["fingerprint"]) if params["fingerprint"] else ""
        self.required = frozenset(normalise_fingerprint(item) for item in params["required_fingerprints"] or ())
        self.required_serial: int = params["required_serial"]
        self.required_by: str = params["required_by"] or ""
        self.given_up = normalise_fingerprint(params["replace_fingerprint"]) if params["replace_fingerprint"] else ""
        self.accepted = _accepted(params["accepted"], self.now_text)
        self.import_path: str | None = params["import_private_key_path"]
        self.import_content: str | None = params["import_private_key_content"]
        self.import_passphrase: str | None = params["import_passphrase"]
        self.passphrase: str | None = params["passphrase"] or None
        self.new_passphrase: str | None = params["new_passphrase"] or None
        self.export_passphrase: str | None = params["export_passphrase"] or None
        self.lease_owner: str | None = params["lease_owner"] or None
        self.lease_seconds: int = params["lease_seconds"]
        self.release_lease: bool = params["release_lease"]
        self._check_what_states_need(params)
        self._check_what_states_take(params)
        self._check_values()
        self.source = Source() if params["source"] is None else source_of(params["source"])

    def _check_what_states_need(self, params: Params) -> None:
        if self.state in ("promoted", "rolled_back", "revoked") and not self.fingerprint:
            raise InvalidOptions(f"state: {self.state} needs fingerprint.", "Name the generation that is meant.")
        if self.state in ("revoked", "pruned", "recovered") and self.in_use is None:
            raise InvalidOptions(
                f"state: {self.state} needs in_use_fingerprints.",
                "Read the whole fleet first (whatsapp_business_encryption_info); an empty list says that no number holds any.",
            )
        if self.state == "recorded" and params["accepted"] is None:
            raise InvalidOptions("state: recorded needs accepted.", "Give, by phone-number ID, fingerprints and certain.")
        if self.state == "mirrored" and params["source"] is None:
            raise InvalidOptions("state: mirrored needs source.", "Give what state: read returned of the keyring to copy.")

    def _check_what_states_take(self, params: Params) -> None:
        """Refuse an option that the state would not heed, where the caller relies on its being heeded."""
        if self.importing and self.state not in ("present", "staged"):
            raise InvalidOptions("A key is imported with state: present or staged only.")
        if self.import_path and self.import_content:
            raise InvalidOptions("import_private_key_path and import_private_key_content exclude each other.")
        taken = {
            "required_fingerprints": (self.required, ("present", "staged")),
            "required_serial": (self.required_serial, ("present", "staged")),
            "replace_fingerprint": (self.given_up, ("staged",)),
            "accepted": (self.accepted, ("recorded",)),
            "new_passphrase": (self.new_passphrase, ("present", "staged", "promoted", "rolled_back")),
            "export_passphrase": (self.export_passphrase, ("read",)),
            "source": (params["source"] is not None, ("mirrored",)),
        }
        for option, (given, states) in taken.items():
            if given and self.state not in states:
                raise InvalidOptions(f"{option} goes with state: {' or '.join(states)}, not with {self.state}.")
        if self.release_lease and self.state == "read":
            raise InvalidOptions("state: read writes nothing, so it cannot release a lease.")

    def _check_values(self) -> None:
        if self.new_passphrase:
            check_passphrase(self.new_passphrase, "new_passphrase")
        if self.export_passphrase:
            check_passphrase(self.export_passphrase, "export_passphrase")
        if self.release_lease and not self.lease_owner:
            raise InvalidOptions("release_lease needs lease_owner.", "Only who took a lease releases it.")
        if self.lease_owner and not (len(self.lease_owner) <= 200 and self.lease_owner.isprintable()):
            raise InvalidOptions("lease_owner must be 200 printable characters or fewer.", "For example a host and a job number.")
        if not 1 <= self.lease_seconds <= _lease.LONGEST:
            raise InvalidOptions(f"lease_seconds must be from 1 to {_lease.LONGEST}.")

    @property
    def clock_in_doubt(self) -> str:
        """What keeps this host's clock from being believed; empty where nothing does."""
        apart = abs(self.now - self.other_now) if self.other_now else timedelta()
        if not self.other_now or apart <= _CLOCKS_APART:
            return ""
        return f"the clock of {os.uname().nodename} says {g.time_text(self.now)}, another one {g.time_text(self.other_now)}"

    @property
    def importing(self) -> bool:
        return bool(self.import_path or self.import_content)

    @functools.cached_property
    def imported_key(self) -> PrivateKey:
        """The private key to import. Raises InvalidKey, InvalidOptions."""
        if self.import_content:
            return load_private_key(self.import_content.encode(), self.import_passphrase, "import_private_key_content")
        path = str(self.import_path)
        try:
            pem = read_file(path, follow=True)
        except OSError as error:
            raise InvalidOptions(
                f"import_private_key_path {path} cannot be read on {os.uname().nodename}: {error.strerror}.",
                "The path is one on the vault host.",
            ) from None
        return load_private_key(pem, self.import_passphrase, path)
