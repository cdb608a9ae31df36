# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The heart: what a number should hold, what it holds, and so what to do. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

VALID = "VALID"
MISMATCH = "MISMATCH"

Outcome = t.Literal["unchanged", "set", "replaced", "resigned", "accepted", "refused", "skipped", "failed", "read", "unknown"]
Source = t.Literal["read", "recorded", "unknown"]

# Outcomes that a request to the API brought about.
CHANGING: frozenset[str] = frozenset({"set", "replaced", "resigned", "accepted"})
# Outcomes that leave a number without the key it should have.
UNMET: frozenset[str] = frozenset({"refused", "failed", "skipped"})


@dataclasses.dataclass(frozen=True)
class PublishedKey:
    """What a number holds.

    C(pem) and C(fingerprint) are None where no key is set. C(status) is about Meta's signature over the key
    (VALID, MISMATCH) or None where the API does not tell; it says nothing of the private key.

    C(source) tells how it is known: C(read) from the API; C(recorded) by somebody who noted what the number accepted, where
    the API cannot be asked; C(unknown) where there is not even that.
    """

    pem: str | None
    fingerprint: str | None
    status: str | None
    source: Source = "read"


@dataclasses.dataclass(frozen=True)
class Desired:
    """The key that a number should hold, and what may be done for it.

    C(expected) makes it a compare-and-set: a present key is replaced only if its fingerprint is listed (None: any).
    C(force) has the API sign again although all is well.
    """

    pem: str
    fingerprint: str
    expected: frozenset[str] | None = None
    force: bool = False


def decide(desired: Desired, published: PublishedKey) -> Outcome:
    """Return the outcome that sending, or not sending, the desired key would have.

    Whether a key is present is told by its fingerprint and never by the status: the API reports MISMATCH for an unset
    key as well. MISMATCH over the desired key means that Meta's signature is stale; sending the key again mends that.

    A key that was not read can only be accepted. One that is not known at all counts as one that nobody expected.
    """
    if published.source == "unknown":
        return "accepted" if desired.expected is None else "refused"
    if published.fingerprint is None:
        return "set"
    if published.fingerprint == desired.fingerprint:
        again = desired.force or published.status == MISMATCH
        return _sent(published, "resigned") if again else "unchanged"
    if desired.expected is not None and published.fingerprint not in desired.expected:
        return "refused"
    return _sent(published, "replaced")


def _sent(published: PublishedKey, outcome: Outcome) -> Outcome:
    return outcome if published.source == "read" else "accepted"


def is_met(desired: Desired, published: PublishedKey) -> bool:
    """Tell whether the number holds the desired key and the API does not call its signature stale."""
    return published.fingerprint == desired.fingerprint and published.status != MISMATCH
