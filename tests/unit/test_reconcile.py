# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision table, whole: what a number holds, what it should hold, and what may be done for it."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.waba.flows.plugins.module_utils._reconcile import (
    CHANGING,
    UNMET,
    Desired,
    PublishedKey,
    Source,
    decide,
    is_met,
)

SAME, OTHER, THIRD = ("SHA256:" + letter * 43 for letter in "ABC")

# The fingerprints that expected_fingerprints holds. "lists it": the one that the number holds.
EXPECTED: dict[str, frozenset[str] | None] = {
    "any": None,
    "empty": frozenset(),
    "lists it": frozenset({OTHER, THIRD}),
    "lists another": frozenset({THIRD}),
}

# (what the number holds, status, force) → outcome, whatever expected_fingerprints says.
FIXED = {
    ("absent", "VALID", False): "set",
    ("absent", "VALID", True): "set",
    ("absent", "MISMATCH", False): "set",  # an unset key reads as MISMATCH
    ("absent", "MISMATCH", True): "set",
    ("absent", None, False): "set",
    ("absent", None, True): "set",
    ("same", "VALID", False): "unchanged",
    ("same", "VALID", True): "resigned",
    ("same", "MISMATCH", False): "resigned",
    ("same", "MISMATCH", True): "resigned",
    ("same", None, False): "unchanged",  # not told is not stale
    ("same", None, True): "resigned",
}
# For another key, only the list counts: neither status nor force lets a foreign key be replaced.
FOR_OTHER = {"any": "replaced", "empty": "refused", "lists it": "replaced", "lists another": "refused"}

TABLE = [
    (held, status, force, expected, FOR_OTHER[expected] if held == "other" else FIXED[held, status, force])
    for held, status, force, expected in itertools.product(
        ("absent", "same", "other"), ("VALID", "MISMATCH", None), (False, True), EXPECTED
    )
]


def published(held: str, status: str | None) -> PublishedKey:
    if held == "absent":
        return PublishedKey(None, None, status)
    return PublishedKey("PEM", SAME if held == "same" else OTHER, status)


def test_the_table_is_complete() -> None:
    assert len(TABLE) == 3 * 3 * 2 * 4


@pytest.mark.parametrize(("held", "status", "force", "expected", "outcome"), TABLE)
def test_decide(held: str, status: str | None, force: bool, expected: str, outcome: str) -> None:
    assert decide(Desired("PEM", SAME, EXPECTED[expected], force), published(held, status)) == outcome


@pytest.mark.parametrize(("held", "status", "met"), [
    ("same", "VALID", True),
    ("same", None, True),
    ("same", "MISMATCH", False),
    ("other", "VALID", False),
    ("other", "MISMATCH", False),
    ("absent", "VALID", False),
    ("absent", "MISMATCH", False),
    ("absent", None, False),
])
@pytest.mark.parametrize("force", [False, True])
def test_is_met(held: str, status: str | None, met: bool, force: bool) -> None:
    assert is_met(Desired("PEM", SAME, None, force), published(held, status)) is met


@pytest.mark.parametrize("status", ["VALID", "MISMATCH", None])
@pytest.mark.parametrize("held", ["absent", "same", "other"])
def test_without_force_whatever_is_met_is_left_alone(held: str, status: str | None) -> None:
    desired, found = Desired("PEM", SAME), published(held, status)
    assert is_met(desired, found) == (decide(desired, found) == "unchanged")


# -- numbers that were not read: (what is on record, force, expected_fingerprints) → outcome, whatever the status would be

WITHOUT_A_RECORD = {"any": "accepted", "empty": "refused", "lists it": "refused", "lists another": "refused"}
ON_RECORD = {"any": "accepted", "empty": "refused", "lists it": "accepted", "lists another": "refused"}

NOT_READ = [
    ("unknown", None, force, expected, WITHOUT_A_RECORD[expected])
    for force, expected in itertools.product((False, True), EXPECTED)
] + [
    ("recorded", OTHER, force, expected, ON_RECORD[expected]) for force, expected in itertools.product((False, True), EXPECTED)
] + [
    ("recorded", SAME, force, expected, "accepted" if force else "unchanged")
    for force, expected in itertools.product((False, True), EXPECTED)
]


@pytest.mark.parametrize(("source", "fingerprint", "force", "expected", "outcome"), NOT_READ)
def test_decide_without_reading(source: Source, fingerprint: str | None, force: bool, expected: str, outcome: str) -> None:
    published = PublishedKey(None, fingerprint, None, source)
    assert decide(Desired("PEM", SAME, EXPECTED[expected], force), published) == outcome


def test_what_was_accepted_is_a_change_and_not_a_failure() -> None:
    assert "accepted" in CHANGING - UNMET
    assert not {"unknown", "read"} & (CHANGING | UNMET)
