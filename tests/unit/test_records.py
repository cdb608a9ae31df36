# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keyrings have on record of numbers that cannot be asked, before a key is sent to them and after."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans
from ansible_collections.waba.flows.plugins.plugin_utils import _records as records
from ansible_collections.waba.flows.tests.unit.role_rows import (
    UNREACHABLE,
    A,
    B,
    C,
    D,
    Row,
    Rows,
    accepted,
    answer,
    blind_plan,
    broken_ring,
    final,
    kept,
    maybe_sent,
    not_noted,
    not_sent,
    noted,
    number,
    plan_of,
    read,
    ring,
    sent,
    taken,
    unasked,
    unreadable,
)

FORGOTTEN: t.Final = {"fingerprints": [], "certain": False}
NEW_KEY: t.Final = {"fingerprints": [C], "certain": True}


def only(rows: Rows) -> dict[str, Row]:
    """Return what is to be noted in the one keyring, by the names of numbers."""
    assert [row["key_name"] for row in rows] in ([], ["default"])
    return {name[3:]: record for row in rows for name, record in row["accepted"].items()}


def two_rings(*, replace_foreign: bool = False) -> Rows:
    """Return a plan: a and p cannot be asked and hold B, r can; p is of another keyring."""
    rings = [ring(accepted={"id-a": noted(B)}), ring("partner", "B:current D:pending", accepted={"id-p": noted(B)})]
    numbers = [number("a"), number("p", "partner"), number("r")]
    return plans.make_plan(numbers, [unasked("a"), unasked("p"), read("r")], rings, replace_foreign=replace_foreign)


# -- before a key is sent


@pytest.mark.parametrize(("record", "fingerprints"), [
    (noted(B), [B, C]), (noted(A), [A, C]), (noted(A, B, certain=False), [A, B, C]), (noted(C, certain=False), [C]),
    (noted(B, C, certain=False), [B, C]),
])
def test_before_a_key_is_sent_a_number_may_hold_what_it_held_or_the_new_one(record: Row, fingerprints: list[str]) -> None:
    found = only(records.recording(blind_plan({"a": record}), ["a"]))
    assert found == {"a": {"fingerprints": fingerprints, "certain": False}}


def test_of_a_foreign_key_that_may_be_replaced_only_the_new_one_is_noted() -> None:
    plan = blind_plan({"a": None}, replace_foreign=True)
    assert only(records.recording(plan, ["a"])) == {"a": {"fingerprints": [C], "certain": False}}


def test_nothing_is_noted_of_numbers_that_can_be_read_or_are_sent_nothing() -> None:
    assert records.recording(plan_of({"a": B, "b": C}), ["a", "b"]) == []
    assert records.recording(blind_plan({"a": noted(C), "b": None}), ["a", "b"]) == []


def test_only_numbers_that_are_about_to_be_sent_a_key_are_noted() -> None:
    assert list(only(records.recording(blind_plan(dict.fromkeys("abc", noted(B))), ["b", "c"]))) == ["b", "c"]
    assert records.recording(blind_plan({"a": noted(B)}), []) == []


def test_each_keyring_notes_its_own_numbers() -> None:
    assert records.recording(two_rings(), ["a", "p", "r"]) == [
        {"key_name": "default", "accepted": {"id-a": {"fingerprints": [B, C], "certain": False}}},
        {"key_name": "partner", "accepted": {"id-p": {"fingerprints": [B, D], "certain": False}}},
    ]


# -- after a key was sent


@pytest.mark.parametrize(("record", "row", "expected"), [
    (noted(B), taken("a"), NEW_KEY),
    (noted(A, B, certain=False), taken("a"), NEW_KEY),
    (noted(B), taken("a", fingerprint_source="read", status="VALID"), FORGOTTEN),  # it can be read by now
    (noted(B), sent("a"), FORGOTTEN),
    (noted(B), not_sent("a"), {"fingerprints": [B], "certain": True}),
    (noted(B), sent("a", "skipped", changed=False, fingerprint=None), {"fingerprints": [B], "certain": True}),
    (noted(A, B, certain=False), not_sent("a", fingerprint=A), {"fingerprints": [A, B], "certain": False}),
    (noted(C, certain=False), not_sent("a", fingerprint=C), {"fingerprints": [C], "certain": False}),
])
def test_what_is_on_record_after_a_key_was_sent(record: Row, row: Row, expected: Row) -> None:
    plan = blind_plan({"a": record})
    assert only(records.recorded(plan, ["a"], {"numbers": [row]})) == {"a": expected}


def test_a_number_without_a_record_that_did_not_take_the_key_has_none_again() -> None:
    plan = blind_plan({"a": None}, replace_foreign=True)
    found = records.recorded(plan, ["a"], {"numbers": [not_sent("a", fingerprint=None)]})
    assert only(found) == {"a": FORGOTTEN}


@pytest.mark.parametrize("published", [
    {"numbers": [maybe_sent("a")]}, {"numbers": []}, {}, {"skipped": True}, {"msg": "killed"}, {**UNREACHABLE},
])
def test_where_nobody_knows_the_record_stays_as_it_was_noted_before(published: Row) -> None:
    assert records.recorded(blind_plan({"a": noted(B)}), ["a"], published) == []


def test_after_a_refusal_of_the_fleet_module_the_former_record_is_put_back() -> None:
    plan = blind_plan({"a": noted(B), "b": noted(A, B, certain=False)})
    published = {"failed": True, "msg": "No SID.", "error": {"type": "InvalidOptions"}}
    assert only(records.recorded(plan, ["a", "b"], published)) == {
        "a": {"fingerprints": [B], "certain": True}, "b": {"fingerprints": [A, B], "certain": False},
    }


def test_an_error_of_some_numbers_is_no_refusal_of_all() -> None:
    plan = blind_plan({"a": noted(B), "b": noted(B)})
    published = {"failed": True, "error": {"type": "X"}, "numbers": [taken("a")]}
    assert only(records.recorded(plan, ["a", "b"], published)) == {"a": NEW_KEY}


def test_each_keyring_gets_what_its_own_numbers_took() -> None:
    published = {"numbers": [taken("a"), taken("p", fingerprint=D), sent("r")]}
    assert records.recorded(two_rings(), ["a", "p", "r"], published) == [
        {"key_name": "default", "accepted": {"id-a": NEW_KEY}},
        {"key_name": "partner", "accepted": {"id-p": {"fingerprints": [D], "certain": True}}},
    ]


# -- where it could not be noted


@pytest.mark.parametrize(("result", "why"), [
    ({}, "disk full"), ({**UNREACHABLE}, UNREACHABLE["msg"]), ({"changed": False}, "It gave no answer."),
])
def test_without_a_note_nothing_is_sent_to_numbers_that_cannot_be_read(result: Row, why: str) -> None:
    results = [not_noted("default", **result), answer({"key_name": "partner", "accepted": {}})]
    assert records.not_noted(results) == {"default": why}
    assert records.sendable(["a", "p", "r"], two_rings(), results) == ["p", "r"]


def test_what_was_noted_is_sent_in_the_order_of_the_wave() -> None:
    results = [answer({"key_name": name, "accepted": {}}) for name in ("default", "partner")]
    assert records.sendable(["r", "p", "a"], two_rings(), results) == ["r", "p", "a"]
    assert records.sendable(["r", "a"], two_rings(), []) == ["r", "a"]


def test_results_without_an_item_tell_nothing() -> None:
    assert records.not_noted([{**UNREACHABLE}, {"item": "default"}]) == {}


# -- numbers that can be read by now


def test_the_record_of_a_number_that_can_be_read_is_forgotten() -> None:
    rings = [ring(accepted={"id-a": noted(B), "id-b": noted(C), "id-d": noted(B), "id-gone": noted(A)}), ring("partner")]
    rows = [final("a"), accepted("b"), kept("c"), unreadable("d"), final("e", key_name="partner")]
    assert only(records.outdated_records(rows, rings)) == {"a": FORGOTTEN}


def test_a_keyring_that_cannot_be_used_forgets_nothing() -> None:
    state = {**broken_ring(), "accepted": {"id-a": noted(B)}}
    assert records.outdated_records([final("a")], [state]) == []
    assert records.outdated_records([final("a", key_name="lost")], [ring()]) == []


def test_without_records_there_is_nothing_to_forget() -> None:
    assert records.outdated_records([final("a"), accepted("b")], [ring()]) == []


# -- what a review found


def test_a_number_that_maybe_cannot_be_read_again_is_noted_before_it_is_sent() -> None:
    """It was read, by a provider that does not document reading."""
    row = {**plan_of({"a": B})[0], "provider": "kaleyra"}
    assert records.recording([row], ["a"]) == [
        {"key_name": "default", "accepted": {"id-a": {"fingerprints": [B, C], "certain": False}}}]
    read_back = {"numbers": [sent("a")]}
    assert records.recorded([row], ["a"], read_back)[0]["accepted"]["id-a"]["fingerprints"] == []
    assert records.recorded([row], ["a"], {"numbers": [taken("a")]})[0]["accepted"]["id-a"] == {
        "fingerprints": [C], "certain": True}
    assert records.recorded([row], ["a"], {"numbers": [maybe_sent("a")]}) == []


def test_the_record_under_a_former_key_is_forgotten_once_the_number_has_one_of_its_own() -> None:
    former, own = ring(accepted={"id-a": noted(B)}), ring("partner", "D:current", accepted={"id-a": noted(D)})
    rows = [{"name": "a", "phone_number_id": "id-a", "key_name": "partner", "source": "recorded", "outcome": "unchanged",
             "certain": True, "readable": True}]
    assert [row["key_name"] for row in records.outdated_records(rows, [former, own])] == ["default"]
    assert records.outdated_records(rows, [former, ring("partner", "D:current")]) == []
    assert records.outdated_records([{**rows[0], "certain": False, "source": "read"}], [former, own]) == []
