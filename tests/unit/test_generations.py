# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generations: every transition and refusal, retention, and what keyring.json may hold. No file is touched."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _generations as g
from ansible_collections.waba.flows.plugins.module_utils._errors import KeyringError

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
FINGERPRINTS = {name: "SHA256:" + name * 43 for name in "ABCDE"}


def day(number: float) -> str:
    return g.time_text(EPOCH + timedelta(days=number))


def generation(name: str, state: str, **members: t.Any) -> g.Generation:
    origin, created_at = members.pop("origin", "generated"), members.pop("created_at", day(0))
    return g.Generation(f"id-{name}", FINGERPRINTS[name], state, origin, created_at, **members)


def ring(**states: str) -> g.Ring:
    return g.Ring(tuple(generation(name, state) for name, state in states.items()))


def on_record(names: str, number: float = 0, *, certain: bool = True) -> g.Accepted:
    return {"fingerprints": [FINGERPRINTS[name] for name in names], "certain": certain, "at": day(number)}


def states(of: g.Ring) -> dict[str, str]:
    return {item.id[3:]: item.state for item in of.generations}


def find(of: g.Ring, name: str) -> g.Generation:
    found = of.find(FINGERPRINTS[name])
    assert found is not None
    return found


# -- promote


@pytest.mark.parametrize(("before", "after"), [
    ({"A": "pending"}, {"A": "current"}),
    ({"B": "current", "A": "pending"}, {"B": "retired", "A": "current"}),
    ({"C": "retired", "B": "current", "A": "pending"}, {"C": "retired", "B": "retired", "A": "current"}),
])
def test_promote_makes_the_pending_one_current_and_retires_the_current_one(before: dict[str, str], after: dict[str, str]) -> None:
    done = g.promote(ring(**before), FINGERPRINTS["A"], day(9))
    assert states(done) == after
    assert find(done, "A").promoted_at == find(done, "A").published_at == day(9)
    if "B" in before:
        assert find(done, "B").retired_at == find(done, "B").last_seen_at == day(9)


@pytest.mark.parametrize("before", [{"A": "current"}, {"A": "current", "B": "pending"}, {"B": "retired", "A": "current"}])
def test_promote_of_what_is_current_already_changes_nothing(before: dict[str, str]) -> None:
    assert g.promote(ring(**before), FINGERPRINTS["A"], day(9)) == ring(**before)


@pytest.mark.parametrize("before", [{}, {"B": "pending"}, {"A": "retired"}, {"A": "revoked"}, {"A": "retired", "B": "pending"}])
def test_promote_of_any_other_is_refused_and_names_the_pending_one(before: dict[str, str]) -> None:
    with pytest.raises(KeyringError, match="cannot be promoted") as caught:
        g.promote(ring(**before), FINGERPRINTS["A"], day(9))
    assert (FINGERPRINTS["B"] if "B" in before else "none") in str(caught.value)


def test_promote_keeps_when_it_was_first_published() -> None:
    before = g.Ring((generation("A", "pending", published_at=day(3)),))
    assert find(g.promote(before, FINGERPRINTS["A"], day(9)), "A").published_at == day(3)


# -- roll back


@pytest.mark.parametrize(("before", "after"), [
    ({"A": "retired", "B": "current"}, {"A": "current", "B": "retired"}),
    ({"A": "retired", "B": "current", "C": "pending"}, {"A": "current", "B": "retired", "C": "retired"}),
    ({"A": "retired"}, {"A": "current"}),
    ({"A": "retired", "C": "pending"}, {"A": "current", "C": "retired"}),
])
def test_roll_back_retires_the_current_and_the_pending_one(before: dict[str, str], after: dict[str, str]) -> None:
    done = g.roll_back(ring(**before), FINGERPRINTS["A"], day(9))
    assert states(done) == after
    for name in set(before) - {"A"}:
        assert find(done, name).retired_at == day(9)


def test_roll_back_to_what_is_current_already_retires_a_pending_one_and_restarts_the_due_clock() -> None:
    before = g.Ring((generation("A", "current", published_at=day(1), promoted_at=day(1)), generation("B", "pending")))
    done = g.roll_back(before, FINGERPRINTS["A"], day(9))
    assert states(done) == {"A": "current", "B": "retired"}
    assert find(done, "A") == dataclasses.replace(find(before, "A"), promoted_at=day(9))
    assert find(done, "B").retired_at == day(9)
    assert g.due_at(done, timedelta(days=90)) == EPOCH + timedelta(days=99)
    assert g.roll_back(done, FINGERPRINTS["A"], day(10)) == done


@pytest.mark.parametrize(("before", "why"), [
    ({"B": "current"}, "not known"),
    ({"B": "current", "A": "pending"}, "it is pending"),
    ({"B": "current", "A": "revoked"}, "it is revoked"),
])
def test_roll_back_to_any_other_is_refused(before: dict[str, str], why: str) -> None:
    with pytest.raises(KeyringError, match=why):
        g.roll_back(ring(**before), FINGERPRINTS["A"], day(9))


def test_the_refusal_of_a_roll_back_lists_what_could_be_rolled_back_to() -> None:
    with pytest.raises(KeyringError, match=f"Retired generations: {FINGERPRINTS['C']}".replace("+", r"\+")):
        g.roll_back(ring(B="current", C="retired"), FINGERPRINTS["A"], day(9))


def test_the_due_clock_starts_anew_at_a_roll_back() -> None:
    former = generation("A", "retired", promoted_at=day(1), retired_at=day(5))
    before = g.Ring((former, generation("B", "current", promoted_at=day(5))))
    done = g.roll_back(before, FINGERPRINTS["A"], day(9))
    assert g.due_at(done, timedelta(days=90)) == EPOCH + timedelta(days=99)
    assert find(done, "A").retired_at is None


# -- adopt


def imported(name: str = "A") -> g.Generation:
    return generation(name, "retired", origin="imported", created_at=day(8))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(("before", "after"), [({}, {"A": "current"}), ({"C": "pending"}, {"C": "pending", "A": "current"})])
def test_adopt_into_a_keyring_without_a_current_key(before: dict[str, str], after: dict[str, str], replace: bool) -> None:
    done = g.adopt(ring(**before), imported(), replace, day(9))
    assert states(done) == after
    assert (find(done, "A").origin, find(done, "A").promoted_at, find(done, "A").retired_at) == ("imported", day(9), None)


@pytest.mark.parametrize("before", [{"B": "current"}, {"B": "current", "C": "pending"}, {"C": "retired", "B": "current"}])
def test_adopting_beside_a_current_key_adds_a_retired_one(before: dict[str, str]) -> None:
    done = g.adopt(ring(**before), imported(), False, day(9))
    assert states(done) == {**before, "A": "retired"}
    assert done.generations[:-1] == ring(**before).generations
    added = find(done, "A")
    assert (added.origin, added.created_at, added.retired_at, added.last_seen_at) == ("imported", day(8), day(9), day(9))
    assert (added.promoted_at, added.published_at, added.revoked_at) == (None, None, None)


def test_adopting_to_replace_retires_the_current_key() -> None:
    done = g.adopt(ring(B="current", C="pending"), imported(), True, day(9))
    assert states(done) == {"B": "retired", "C": "pending", "A": "current"}
    assert (find(done, "B").retired_at, find(done, "A").promoted_at) == (day(9), day(9))


# -- revoke


@pytest.mark.parametrize("state", ["retired", "pending"])
def test_revoke_marks_for_good(state: str) -> None:
    done = g.revoke(ring(A=state, B="current"), FINGERPRINTS["A"], (), day(9))
    assert states(done) == {"A": "revoked", "B": "current"}
    assert (find(done, "A").revoked_at, find(done, "A").retired_at) == (day(9), day(9))


def test_revoke_keeps_when_it_was_retired() -> None:
    before = g.Ring((generation("A", "retired", retired_at=day(2)),))
    assert find(g.revoke(before, FINGERPRINTS["A"], (), day(9)), "A").retired_at == day(2)


def test_revoking_twice_changes_nothing() -> None:
    once = g.revoke(ring(A="retired"), FINGERPRINTS["A"], (), day(9))
    assert g.revoke(once, FINGERPRINTS["A"], (), day(10)) == once


@pytest.mark.parametrize(("before", "in_use", "why"), [
    ({"A": "current"}, "", "the current generation"),
    ({"A": "current"}, "A", "the current generation"),
    ({"A": "retired", "B": "current"}, "A", "still held by a number"),
    ({"A": "pending", "B": "current"}, "AB", "still held by a number"),
    ({"A": "revoked", "B": "current"}, "A", "still held by a number"),
    ({"B": "current"}, "", "not known to this keyring"),
])
def test_revoke_is_refused(before: dict[str, str], in_use: str, why: str) -> None:
    with pytest.raises(KeyringError, match=why):
        g.revoke(ring(**before), FINGERPRINTS["A"], {FINGERPRINTS[name] for name in in_use}, day(9))


@pytest.mark.parametrize("transition", [
    lambda of: g.promote(of, FINGERPRINTS["A"], day(9)), lambda of: g.roll_back(of, FINGERPRINTS["A"], day(9)),
])
def test_a_revoked_key_is_never_used_again(transition: t.Callable[[g.Ring], g.Ring]) -> None:
    with pytest.raises(KeyringError):
        transition(ring(A="revoked", B="current"))


# -- give up, replace


@pytest.mark.parametrize(("before", "after"), [
    ({}, {}), ({"A": "current"}, {"A": "current"}), ({"A": "retired", "B": "pending"}, {"A": "retired", "B": "pending"}),
    ({"A": "pending"}, {"A": "retired"}), ({"B": "current", "A": "pending"}, {"B": "current", "A": "retired"}),
])
def test_giving_up_retires_only_that_pending_one(before: dict[str, str], after: dict[str, str]) -> None:
    done = g.give_up(ring(**before), FINGERPRINTS["A"], day(9))
    assert states(done) == after
    assert g.give_up(done, FINGERPRINTS["A"], day(10)) == done
    if before.get("A") == "pending":
        assert find(done, "A").retired_at == find(done, "A").last_seen_at == day(9)


@pytest.mark.parametrize(("before", "due", "expected"), [
    ({}, False, True), ({"A": "retired"}, False, True), ({"A": "current"}, False, True), ({"B": "current"}, False, False),
    ({"B": "current"}, True, True), ({"A": "retired", "B": "current"}, False, False), ({"A": "revoked"}, False, True),
    ({"A": "current", "B": "pending"}, True, False), ({"B": "pending"}, True, False),
])
def test_a_new_one_is_needed(*, before: dict[str, str], due: bool, expected: bool) -> None:
    assert g.needs_new(ring(**before), FINGERPRINTS["A"], due) is expected


def test_without_one_to_give_up_only_a_missing_or_due_current_one_needs_a_new_one() -> None:
    assert not g.needs_new(ring(A="current"), "", False)
    assert g.needs_new(ring(A="current"), "", True)
    assert g.needs_new(ring(A="retired"), "", False)


def test_what_a_ring_does_not_know() -> None:
    of = ring(A="revoked", B="current")
    assert g.unknown(of, [FINGERPRINTS[name] for name in "DCBAC"]) == [FINGERPRINTS["C"], FINGERPRINTS["D"]]
    assert g.unknown(of, []) == []


def test_what_was_pruned_is_still_known() -> None:
    of = dataclasses.replace(ring(B="current"), pruned=(FINGERPRINTS["A"],))
    assert g.unknown(of, FINGERPRINTS.values()) == [FINGERPRINTS[name] for name in "CDE"]
    assert of.find(FINGERPRINTS["A"]) is None


def test_what_a_source_would_bring_back() -> None:
    here = ring(A="revoked", B="revoked", C="revoked", D="retired")
    assert g.revived(here, ring(A="retired", B="revoked", D="current")) == [FINGERPRINTS["A"]]
    assert g.revived(ring(), here) == []


def test_burying_adds_what_is_gone_as_revoked() -> None:
    gone = [generation("C", "current"), generation("D", "revoked", revoked_at=day(1))]
    done = g.burying(ring(A="current"), gone, day(9))
    assert states(done) == {"A": "current", "C": "revoked", "D": "revoked"}
    assert (find(done, "C").revoked_at, find(done, "D").revoked_at) == (day(9), day(1))
    assert g.from_document(g.to_document(done)) == done
    assert g.burying(done, (), day(9)) == done


# -- prune


def prunable(members: dict[str, t.Any], in_use: str = "", days: float = 30, now: float = 100, state: str = "retired") -> bool:
    before = g.Ring((generation("A", state, **members), generation("B", "current")))
    used = {FINGERPRINTS[name] for name in in_use}
    gone = g.prunable(before, used, timedelta(days=days), EPOCH + timedelta(days=now))
    return [item.id for item in gone] == ["id-A"]


@pytest.mark.parametrize(("members", "expected"), [
    ({"retired_at": day(69)}, True),
    ({"retired_at": day(70)}, True),
    ({"retired_at": day(70.01)}, False),
    ({"retired_at": day(20), "last_seen_at": day(70)}, True),
    ({"retired_at": day(20), "last_seen_at": day(71)}, False),
    ({"retired_at": day(71), "last_seen_at": day(20)}, False),
    ({"created_at": day(80)}, False),
    ({}, True),
])
def test_retention_counts_from_the_last_use(members: dict[str, str], expected: bool) -> None:
    assert prunable(members) is expected


@pytest.mark.parametrize("state", ["pending", "current", "revoked"])
def test_only_retired_ones_are_pruned(state: str) -> None:
    before = g.Ring((generation("A", state, retired_at=day(1)),))
    assert g.prunable(before, (), timedelta(days=30), EPOCH + timedelta(days=900)) == []


def test_what_a_number_holds_is_never_pruned() -> None:
    assert prunable({"retired_at": day(1)}, now=900)
    assert not prunable({"retired_at": day(1)}, in_use="A", now=900)


@pytest.mark.parametrize("days", [0, 1, 6.99])
def test_a_retention_below_a_week_is_refused(days: float) -> None:
    with pytest.raises(KeyringError, match="too short"):
        prunable({}, days=days)


def test_a_retention_of_a_week_will_do() -> None:
    assert prunable({"retired_at": day(93)}, days=7)
    assert not prunable({"retired_at": day(93.5)}, days=7)


def test_pruning_remembers_fingerprints_in_their_order() -> None:
    of = ring(A="retired", B="retired", C="retired", D="current")
    once = of.prune([find(of, "B")])
    assert (states(once), once.pruned) == ({"A": "retired", "C": "retired", "D": "current"}, (FINGERPRINTS["B"],))
    twice = once.prune([find(of, "A"), find(of, "C")])
    assert (states(twice), twice.pruned) == ({"D": "current"}, tuple(FINGERPRINTS[name] for name in "BAC"))
    assert twice.prune([]) == twice


@pytest.mark.attack("bounded", "a thousand keys that are deleted after their retention, one by one and all at once")
def test_what_was_pruned_does_not_grow_for_ever() -> None:
    """Of those that are deleted in one call each is kept, as a copy may have all of them."""
    rows = tuple(g.Generation(f"id-{i}", f"SHA256:{i:043d}", "retired", "generated", day(0)) for i in range(1000))
    names = [row.fingerprint for row in rows]
    one_by_one = at_once = g.Ring(rows)
    for row in rows:
        one_by_one = one_by_one.prune([row])
    assert list(one_by_one.pruned) == names[-g.MOST_PRUNED:]
    assert list(at_once.prune(rows).pruned) == names


def test_what_comes_back_is_no_longer_pruned() -> None:
    of = ring(A="retired", B="retired", C="current")
    gone = of.prune(of.generations[:2])
    again = gone.add(find(of, "A"))
    assert (states(again), again.pruned) == ({"C": "current", "A": "retired"}, (FINGERPRINTS["B"],))
    assert again.prune([find(of, "A")]).pruned == (FINGERPRINTS["B"], FINGERPRINTS["A"])  # once each


@pytest.mark.parametrize("change", [
    lambda of: g.promote(of, FINGERPRINTS["B"], day(9)), lambda of: g.roll_back(of, FINGERPRINTS["A"], day(9)),
    lambda of: g.give_up(of, FINGERPRINTS["B"], day(9)), lambda of: g.revoke(of, FINGERPRINTS["B"], (), day(9)),
    lambda of: g.note_seen(of, {FINGERPRINTS["A"], FINGERPRINTS["E"]}, day(9)),
    lambda of: g.burying(of, [generation("C", "retired")], day(9)),
    lambda of: g.adopt(of, generation("C", "retired"), True, day(9)),
    lambda of: g.record(g.record(of, {"1": on_record("B")}, day(8)), {"1": on_record("A")}, day(9)),
])
def test_no_transition_forgets_what_was_pruned(change: t.Callable[[g.Ring], g.Ring]) -> None:
    before = dataclasses.replace(ring(A="current", B="pending"), pruned=(FINGERPRINTS["E"], FINGERPRINTS["D"]))
    after = change(before)
    assert after.generations != before.generations
    assert after.pruned == before.pruned


# -- what is on record


def accepting(of: g.Ring, **records: g.Accepted) -> g.Ring:
    return dataclasses.replace(of, accepted={name[1:]: row for name, row in records.items()})


AB = ring(A="retired", B="current")


@pytest.mark.parametrize("certain", [True, False])
def test_what_a_number_accepted_is_noted_with_the_time(certain: bool) -> None:
    done = g.record(AB, {"1": on_record("B", certain=certain)}, day(9))
    assert done.accepted == {"1": on_record("B", 9, certain=certain)}
    assert done.generations == AB.generations
    assert done.recorded == {FINGERPRINTS["B"]}


@pytest.mark.parametrize("row", [on_record("B"), on_record("B", certain=False), on_record("AB", certain=False)])
def test_noting_the_same_once_more_changes_nothing(row: g.Accepted) -> None:
    once = g.record(AB, {"1": row}, day(9))
    assert g.record(once, {"1": row}, day(10)) is once


@pytest.mark.parametrize(("before", "after"), [
    (on_record("B", certain=False), on_record("B")), (on_record("B"), on_record("B", certain=False)),
    (on_record("A"), on_record("B")), (on_record("AB", certain=False), on_record("BA", certain=False)),
])
def test_another_record_takes_the_place_of_the_former(before: g.Accepted, after: g.Accepted) -> None:
    known = g.record(AB, {"1": before, "2": on_record("A")}, day(8))
    assert g.record(known, {"1": after}, day(9)).accepted == {"1": {**after, "at": day(9)}, "2": on_record("A", 8)}


def test_a_record_without_fingerprints_is_forgotten() -> None:
    known = accepting(AB, n1=on_record("A"), n2=on_record("B"))
    done = g.record(known, {"1": on_record("", certain=False), "3": on_record("", certain=False)}, day(9))
    assert done.accepted == {"2": on_record("B")}


def test_forgetting_what_is_not_known_changes_nothing() -> None:
    assert g.record(AB, {"1": on_record("", certain=False)}, day(9)) is AB
    assert g.record(AB, {}, day(9)) is AB


def test_a_key_that_the_ring_does_not_have_can_be_held_as_well() -> None:
    """A number that was moved here, or whose foreign key is about to be replaced."""
    done = g.record(AB, {"2": on_record("CB", certain=False)}, day(9))
    assert done.recorded == {FINGERPRINTS["C"], FINGERPRINTS["B"]}
    assert done.generations == AB.generations


def test_what_a_record_no_longer_names_was_held_until_then() -> None:
    before = accepting(g.Ring((generation("A", "retired", retired_at=day(1)), generation("B", "current"))), n1=on_record("A"))
    done = g.record(before, {"1": on_record("B")}, day(40))
    assert find(done, "A").last_seen_at == day(40)
    assert g.prunable(done, (), timedelta(days=30), EPOCH + timedelta(days=69)) == []
    assert g.prunable(done, (), timedelta(days=30), EPOCH + timedelta(days=70)) == [find(done, "A")]


@pytest.mark.parametrize("certain", [True, False])
def test_what_is_on_record_is_never_pruned(certain: bool) -> None:
    old = ring(A="retired", B="retired", C="current")
    known = accepting(old, n1=on_record("A" if certain else "BA", certain=certain))
    gone = g.prunable(known, (), timedelta(days=30), EPOCH + timedelta(days=999))
    assert [item.id for item in gone] == (["id-B"] if certain else [])


@pytest.mark.parametrize("certain", [True, False])
def test_what_is_on_record_is_not_revoked(certain: bool) -> None:
    names = "A" if certain else "BA"
    known = accepting(AB, **{f"n{number}": on_record(names, certain=certain) for number in range(25)})
    with pytest.raises(KeyringError, match="it is on record for 0, 1, 10, ") as caught:
        g.revoke(known, FINGERPRINTS["A"], (), day(9))
    assert "state: recorded" in caught.value.remedy
    assert len(caught.value.message) < 250


def test_what_is_on_record_for_no_number_is_revoked() -> None:
    known = accepting(AB, n1=on_record("B"))
    assert find(g.revoke(known, FINGERPRINTS["A"], (), day(9)), "A").state == "revoked"


def test_revoking_what_is_revoked_changes_nothing_whatever_is_on_record() -> None:
    known = accepting(ring(A="revoked", B="current"), n1=on_record("A"))
    assert g.revoke(known, FINGERPRINTS["A"], (), day(9)) is known


# -- seen, due


def test_seeing_notes_the_first_publication_and_for_all_but_the_current_the_last_sight() -> None:
    done = g.note_seen(ring(A="retired", B="current", C="pending", D="retired"), {FINGERPRINTS[n] for n in "ABC"}, day(9))
    assert [(item.published_at, item.last_seen_at) for item in done.generations] == [
        (day(9), day(9)), (day(9), None), (day(9), day(9)), (None, None)
    ]
    again = g.note_seen(done, {FINGERPRINTS["A"]}, day(12))
    assert (find(again, "A").published_at, find(again, "A").last_seen_at) == (day(9), day(12))


def test_seeing_foreign_keys_changes_nothing() -> None:
    assert g.note_seen(ring(A="current"), {FINGERPRINTS["E"]}, day(9)) == ring(A="current")


def test_due_at() -> None:
    assert g.due_at(ring(A="current"), None) is None
    assert g.due_at(g.Ring(), timedelta(days=1)) is None
    assert g.due_at(ring(A="pending"), timedelta(days=1)) is None
    assert g.due_at(ring(A="current"), timedelta(days=1)) == EPOCH + timedelta(days=1)
    promoted = g.Ring((generation("A", "current", promoted_at=day(5)),))
    assert g.due_at(promoted, timedelta(days=1)) == EPOCH + timedelta(days=6)


def test_times_are_utc_whatever_the_zone() -> None:
    there = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert g.time_text(there) == "2026-01-01T00:00:00Z"
    assert g.parse_time(g.time_text(there)) == there


# -- the document


def test_a_ring_survives_its_document() -> None:
    former = generation("A", "retired", retired_at=day(1), last_seen_at=day(2))
    before = g.Ring((former, generation("B", "current")), {"1": on_record("B")}, (FINGERPRINTS["D"], FINGERPRINTS["C"]))
    assert g.from_document(json.loads(json.dumps(g.to_document(before)))) == before


def test_a_document_of_version_1_0_has_pruned_nothing() -> None:
    document = good_document()
    del document["pruned"]
    assert g.from_document(document) == ring(A="current")


def good_document() -> dict[str, t.Any]:
    return g.to_document(ring(A="current"))


def changed_row(**members: t.Any) -> dict[str, t.Any]:
    document = good_document()
    document["generations"][0].update(members)
    return document


def without(name: str) -> dict[str, t.Any]:
    document = good_document()
    del document["generations"][0][name]
    return document


BAD_RECORDS: dict[str, t.Any] = {
    "null": None,
    "text": FINGERPRINTS["A"],
    "empty": {},
    "the form that was planned once": {"fingerprint": FINGERPRINTS["A"]},
    "no time": {"fingerprints": [FINGERPRINTS["A"]], "certain": True},
    "one more member": {**on_record("A"), "more": 1},
    "no fingerprints": on_record("", certain=False),
    "no list": {**on_record("A"), "fingerprints": FINGERPRINTS["A"]},
    "no fingerprint": {**on_record("A"), "fingerprints": ["yesterday"]},
    "null fingerprint": {**on_record("A"), "fingerprints": [None]},
    "a fingerprint with a line": {**on_record("A"), "fingerprints": [FINGERPRINTS["A"] + "\n"]},
    "certain of two": on_record("AB"),
    "certain is a number": {**on_record("A"), "certain": 1},
    "certain is null": {**on_record("A"), "certain": None},
    "a bad time": {**on_record("A"), "at": "yesterday"},
    "a null time": {**on_record("A"), "at": None},
    "a time that is a number": {**on_record("A"), "at": 20260101},
}

BAD: dict[str, t.Any] = {
    "no object": [],
    "null": None,
    "empty": {},
    "no schema": {**good_document(), "schema": None},
    "older schema": {**good_document(), "schema": 0},
    "newer schema": {**good_document(), "schema": 2},
    "text schema": {**good_document(), "schema": "1"},
    "no generations": {"schema": 1, "accepted": {}},
    "generations of another type": {**good_document(), "generations": {}},
    "no accepted": {"schema": 1, "generations": []},
    "accepted of another type": {**good_document(), "accepted": []},
    "row of another type": {**good_document(), "generations": ["x"]},
    **{f"accepted: {case}": {**good_document(), "accepted": {"1": row}} for case, row in BAD_RECORDS.items()},
    "unknown member": changed_row(extra="x"),
    "unknown state": changed_row(state="lost"),
    "number": changed_row(created_at=7),
    "no id": without("id"),
    "no fingerprint": without("fingerprint"),
    "no state": without("state"),
    "null id": changed_row(id=None),
    "null fingerprint": changed_row(fingerprint=None),
    "null state": changed_row(state=None),
    "null origin": changed_row(origin=None),
    "null created_at": changed_row(created_at=None),
    "id that leads elsewhere": changed_row(id="../x"),
    "hidden id": changed_row(id=".x"),
    "empty id": changed_row(id=""),
    "id with a null": changed_row(id="a\0b"),
    "id with a line": changed_row(id="a\n"),
    "absolute id": changed_row(id="/x"),
    "long id": changed_row(id="x" * 201),
    "fingerprint that is none": changed_row(fingerprint="SHA256:x"),
    "fingerprint with a line": changed_row(fingerprint=FINGERPRINTS["A"] + "\n"),
    "unknown origin": changed_row(origin="found"),
    "bad time": changed_row(promoted_at="yesterday"),
    "pruned of another type": {**good_document(), "pruned": {}},
    "pruned is null": {**good_document(), "pruned": None},
    "pruned number": {**good_document(), "pruned": [7]},
    "pruned that is no fingerprint": {**good_document(), "pruned": [FINGERPRINTS["B"], "SHA256:yesterday"]},
    "pruned with a line": {**good_document(), "pruned": [FINGERPRINTS["B"] + "\n"]},
    "two current": g.to_document(ring(A="current", B="current")),
    "two pending": g.to_document(ring(A="pending", B="pending")),
    "a fingerprint twice": {**good_document(), "generations": [*good_document()["generations"], *g.to_document(g.Ring((
        dataclasses.replace(generation("A", "retired"), id="id-other"),)))["generations"]]},
    "an id twice": {**good_document(), "generations": [*good_document()["generations"], *g.to_document(g.Ring((
        dataclasses.replace(generation("B", "retired"), id="id-A"),)))["generations"]]},
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_document_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        g.from_document(BAD[case])


@pytest.mark.parametrize("case", BAD)
def test_what_is_damaged_is_not_quoted(case: str) -> None:
    """It may be anything, also a private key that somebody put into the wrong place."""
    document = json.loads(json.dumps(BAD[case]).replace("yesterday", "PRIVATE").replace("found", "PRIVATE"))
    with pytest.raises(ValueError, match=r"\w") as caught:
        g.from_document(document)
    assert "PRIVATE" not in str(caught.value)


def test_the_good_document_is_accepted() -> None:
    assert states(g.from_document(good_document())) == {"A": "current"}
