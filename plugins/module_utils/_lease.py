# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The advisory lease on a keyring: who is rotating it, and until when that is to be believed. Pure.

It keeps two runs from treading on each other's report and is not needed for safety, so a lease that cannot be understood
counts as none, and whoever finds another's goes on all the same.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from datetime import datetime, timedelta

from ._generations import parse_time, time_text

SCHEMA = 1
LONGEST = 7 * 86400  # seconds; a run that takes longer has died


@dataclasses.dataclass(frozen=True)
class Lease:
    """Who holds it; since when and until when, as UTC text."""

    owner: str
    taken_at: str
    expires_at: str

    def is_live(self, now: datetime) -> bool:
        """Tell whether it has not expired."""
        return parse_time(self.expires_at) > now


def take(owner: str, seconds: int, now: datetime) -> Lease:
    """Return a lease from now on, for so many seconds (at most LONGEST)."""
    return Lease(owner, time_text(now), time_text(now + timedelta(seconds=seconds)))


def to_json(lease: Lease) -> str:
    """Return the content of lease.json."""
    return json.dumps({"schema": SCHEMA, **dataclasses.asdict(lease)}, indent=2) + "\n"


def from_json(text: bytes) -> Lease | None:
    """Read the content of lease.json; None where it is not one of take()."""
    try:
        document: t.Any = json.loads(text)
        if not isinstance(document, dict) or document.pop("schema", None) != SCHEMA:
            return None
        if not all(isinstance(value, str) for value in document.values()):
            return None
        lease = Lease(**document)
        parse_time(lease.taken_at)
        parse_time(lease.expires_at)
    except (ValueError, TypeError, RecursionError):
        return None
    return lease
