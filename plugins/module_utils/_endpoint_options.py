# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Options of whatsapp_flows_endpoint_keys, checked and typed before anything is touched. Raises InvalidOptions and InvalidKey."""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import re
import stat
import typing as t

from . import _generations as g
from ._errors import InvalidKey, InvalidOptions
from ._host_argspec import Params
from ._keyring import check_passphrase
from ._keys import normalise_fingerprint
from ._manifest import KEY_FILE, Manifest, key_file, manifest_of

_PRIVATE_KEY = re.compile(
    r"\s*-----BEGIN ENCRYPTED PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END ENCRYPTED PRIVATE KEY-----\s*"
)
# Members of the rows of the keyring that its state does not have.
_ROWS_ONLY = ("business_public_key", "usable", "missing", "predicted")
_LARGEST_ID = 2**32 - 2


@dataclasses.dataclass(frozen=True)
class Access:
    """Owner, group (numbers, -1 keeps what is there) and mode of files or folders."""

    uid: int
    gid: int
    mode: int

    def fits(self, status: os.stat_result) -> bool:
        """Tell whether something has this owner, group and mode."""
        owned = self.uid in (-1, status.st_uid) and self.gid in (-1, status.st_gid)
        return owned and stat.S_IMODE(status.st_mode) == self.mode


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What one key should look like on this host. C(ring) has its revoked generations as well."""

    name: str
    ring: g.Ring
    private_keys: t.Mapping[str, bytes] = dataclasses.field(repr=False)

    @property
    def manifest(self) -> Manifest:
        return manifest_of(self.name, self.ring)


class Request:
    """The module's options, parsed and checked before anything is touched."""

    def __init__(self, params: Params, check_mode: bool) -> None:
        self.check_mode = check_mode
        self.path = checked_path(params["path"])
        self.passphrase = _checked_passphrase(params["passphrase"])
        uid, gid = _user_id(params["owner"]), _group_id(params["group"])
        self.files = Access(uid, gid, _parse_mode(params["mode"], "mode"))
        self.folders = Access(uid, gid, _parse_mode(params["directory_mode"], "directory_mode"))
        self.owes_reload: bool = params["reload"] == "owed"
        self.keys = [_parse_key(row) for row in params["keys"]]
        names = [wanted.name for wanted in self.keys]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidOptions(f"The same key is given more than once: {', '.join(twice)}.", "Nothing was written.")

    @property
    def writes(self) -> bool:
        """Whether anything may be written at all."""
        return bool(self.keys) and not self.check_mode


def checked_path(path: str) -> str:
    """Return the option path. Raises InvalidOptions where it is none that can be used."""
    if not os.path.isabs(path) or "\0" in path:
        raise InvalidOptions("path must be an absolute path.", "For example: /etc/whatsapp-flows/endpoint-keys")
    return path


def _checked_passphrase(text: str | None) -> str:
    if not text:
        raise InvalidOptions(
            "No passphrase is given for the keys of the endpoint.",
            "Set passphrase (role variable encryption_keys_endpoint_passphrase, by default that of the keyring), or "
            "WHATSAPP_ENDPOINT_PASSPHRASE in the environment.",
        )
    check_passphrase(text, "The passphrase of the endpoint")
    return text


def _user_id(name: str | None) -> int:
    return _identity(name, "owner", lambda known: pwd.getpwnam(known).pw_uid)


def _group_id(name: str | None) -> int:
    return _identity(name, "group", lambda known: grp.getgrnam(known).gr_gid)


def _identity(name: str | None, option: str, look_up: t.Callable[[str], int]) -> int:
    """Return the number of a user or a group, which may be given as one; -1 where none is given."""
    if not name:
        return -1
    try:
        number = int(name) if re.fullmatch(r"[0-9]{1,10}", name) else look_up(name)
    except (KeyError, ValueError):
        number = _LARGEST_ID + 1
    if number > _LARGEST_ID:
        raise InvalidOptions(
            f"The {option} '{name[:60]}' is not known on {os.uname().nodename}.", "Make it first, or give its number."
        )
    return number


def _parse_mode(value: t.Any, option: str) -> int:
    """Return the mode that an option gives: octal digits, or the number that YAML makes of unquoted ones.

    A mode that makes no sense is refused: it is what C(640) without quotes, which is decimal, turns into.
    """
    mode = -1
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3}", value):
        mode = int(value[-3:], 8)
    elif isinstance(value, int) and not isinstance(value, bool):
        mode = value
    if not 0 <= mode <= 0o777 or not _makes_sense(mode, folder=option == "directory_mode"):
        example = "0750" if option == "directory_mode" else "0640"
        raise InvalidOptions(
            f"{option} {str(value)[:20]!r} is not a mode for {'folders' if option == 'directory_mode' else 'files'} of keys.",
            f"Give octal digits in quotes, for example '{example}'. Others cannot be allowed to write.",
        )
    return mode


def _makes_sense(mode: int, *, folder: bool) -> bool:
    """Tell whether a mode lets the owner in, nobody else write, and has no right that is of no use without another."""
    owner, group, others = (mode >> shift & 7 for shift in (6, 3, 0))
    if others & 2:
        return False
    if folder:  # reading and writing take entering as well
        return owner & 5 == 5 and all(rights in (0, 1, 5, 7) for rights in (owner, group, others))
    return owner & 4 == 4 and all(rights in (0, 4, 6) for rights in (owner, group, others))


def _parse_key(row: Params) -> Wanted:
    name = row["name"]
    if not g.KEY_NAME.fullmatch(name):
        raise InvalidOptions(f"The key name '{name[:80]}' is not allowed.", "Use letters, digits, - and _, at most 64.")
    try:
        ring = _parse_generations(row["generations"], row.get("pruned") or [])
    except ValueError as error:
        raise InvalidOptions(
            f"The generations of the key {name} cannot be used: {error}.",
            "Give them as whatsapp_flows_keyring returns them. Nothing was written.",
        ) from None
    given = row["private_keys"] or {}
    wanted = [one.id for one in ring.generations if one.state != "revoked" and given.get(one.id) is not None]
    return Wanted(name, ring, {identity: _parse_private_key(given[identity], identity) for identity in wanted})


def _parse_generations(rows: t.Sequence[Params], pruned: t.Sequence[str]) -> g.Ring:
    """Read rows as the keyring returns them. Raises ValueError, InvalidKey."""
    known = [{member: value for member, value in row.items() if member not in _ROWS_ONLY} for row in rows]
    for row in known:
        if isinstance(row.get("fingerprint"), str):
            row["fingerprint"] = normalise_fingerprint(row["fingerprint"])
    ring = g.from_document({"schema": g.SCHEMA, "generations": known, "accepted": {}, "pruned": list(pruned)})
    if not all(KEY_FILE.fullmatch(key_file(generation)) for generation in ring.generations):
        raise ValueError("a generation's id is not a name that a keyring gives")
    return ring


def _parse_private_key(text: t.Any, identity: str) -> bytes:
    """Return the one PEM block of an encrypted private key, without anything around it. Raises InvalidKey."""
    match = _PRIVATE_KEY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidKey(
            f"The private key of {identity} is not one encrypted PKCS#8 key in PEM form. Nothing was written.",
            "Take it from whatsapp_flows_keyring (state: read with export_passphrase).",
        )
    body = "".join(match.group(1).split())
    lines = [body[i:i + 64] for i in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]).encode()
