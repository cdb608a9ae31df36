# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends: promotion, going back after a failed wave, revocation, and what is kept of it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.plugin_utils import _endings as endings
from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans
from ansible_collections.waba.flows.plugins.plugin_utils import _proofs as proofs
from ansible_collections.waba.flows.plugins.plugin_utils import _records as records
from ansible_collections.waba.flows.tests.unit.role_rows import (
    FOREIGN,
    ROTATING,
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
    broken_wave,
    deployed,
    final,
    generation,
    generations,
    kept,
    maybe_sent,
    not_noted,
    not_sent,
    noted,
    pem,
    plan_of,
    predicted_ring,
    proof,
    put,
    put_key,
    ring,
    sent,
    taken,
    uncertain,
    unreadable,
    wave,
)

FAILED: t.Final = {"failed": True, "msg": "disk full", "error": {"type": "KeyringError"}}
STOPPED: t.Final = {"default": "b failed in wave 2"}
# What the fleet module tells of a number that cannot be asked, and did not take another key than C.
BLIND_AT_C: t.Final = {"fingerprint": C, "previous_fingerprint": C, "fingerprint_source": "recorded", "status": None}


# -- promotion


@pytest.mark.parametrize(("others", "ready"), [
    ([], True),
    ([kept("b")], True),  # held it already, as after an interrupted run
    ([kept("b", "refused", after=FOREIGN)], True),
    ([unreadable("b")], True),
    ([final("b", "failed", after=B)], False),
    ([final("b", "failed")], False),  # holds it, and the API does not call it valid
    ([uncertain("b")], False),
    ([kept("b", "skipped", after=B)], False),
    ([kept("b", after=B)], False),
    ([final("b", "failed", after=B, key_name="partner")], True),
    ([accepted("b")], True),  # its provider cannot be asked
    ([kept("b", source="recorded")], True),
    ([kept("b", "refused", after=None, source=None, readable=False, certain=False)], True),
    ([final("b", "failed", after=B, source="recorded", may_hold=[B])], False),
    ([uncertain("b", source="recorded", may_hold=[B])], False),
    ([kept("b", "skipped", after=B, source="recorded", may_hold=[B])], False),
])
def test_a_key_is_promoted_when_all_hold_it_that_were_read_and_not_refused(others: Rows, ready: bool) -> None:
    found = endings.promotable([ring()], [final("a"), *others], 0)
    assert found == ([{"name": "default", "fingerprint": C, "predicted": False}] if ready else [])


@pytest.mark.parametrize("left_out", [1, 799])
def test_with_numbers_left_out_nothing_is_promoted(left_out: int) -> None:
    assert endings.promotable([ring()], [final("a")], left_out) == []


def test_a_key_that_nobody_holds_or_that_is_current_is_not_promoted() -> None:
    assert endings.promotable([ring()], [kept("a", "refused", after=FOREIGN), unreadable("b")], 0) == []
    assert endings.promotable([ring()], [], 0) == []
    assert endings.promotable([ring("default", "B:retired C:current")], [kept("a")], 0) == []
    assert endings.promotable([broken_ring()], [kept("a", "skipped")], 0) == []


def test_each_key_is_promoted_for_itself() -> None:
    rings = [ring(), ring("partner", "A:current D:pending"), predicted_ring("third")]
    rows = [final("a"), final("b", after=D, key_name="partner"), final("c", "failed", key_name="partner"),
            final("d", key_name="third")]
    assert endings.promotable(rings, rows, 0) == [
        {"name": "default", "fingerprint": C, "predicted": False}, {"name": "third", "fingerprint": C, "predicted": True},
    ]


def test_a_key_that_an_endpoint_does_not_decrypt_after_the_last_wave_is_not_promoted() -> None:
    """Every number holds it, but the numbers may be about to go back."""
    plan = plan_of({"a": B})
    done = [wave(1, sent("a"), proofs=[proof(proven=False, when="after wave 1")])]
    stops = plans.stopped(plan, done, 0)
    rows = plans.final_rows(plan, done, {}, stops)
    assert endings.promotable([ring()], rows, 0) != []
    assert endings.promotable([ring()], rows, 0, stops) == []


def test_what_came_of_promoting() -> None:
    ready = [{"name": name, "fingerprint": C, "predicted": name == "new"} for name in ("a", "b", "c", "d", "e", "new")]
    results = [
        answer({"name": "a"}, "B:retired C:current"), {"item": {"name": "b"}, **FAILED}, {"item": {"name": "c"}, **UNREACHABLE},
        answer({"name": "d"}), {**UNREACHABLE},
    ]
    assert [(row["name"], row["message"]) for row in endings.promoted_rows(ready, results)] == [
        ("a", ""), ("b", "disk full"), ("c", UNREACHABLE["msg"]), ("d", "The vault host gave no answer."),
        ("e", "The vault host gave no answer."), ("new", ""),
    ]
    assert endings.promoted_rows([], []) == []


# -- which keys are held


@pytest.mark.parametrize(("row", "held"), [
    (final(), [C]), (kept(), [C]), (kept(before=None, after=None), []), (final(outcome="failed", after=B), [B]),
    (uncertain(), [B, C]), (uncertain(before=None), [C]), (uncertain(after=D), [B, C, D]), (unreadable(), []),
    (kept(outcome="refused", before=FOREIGN, after=FOREIGN), [FOREIGN]),
    (accepted(), [C]), (kept(source="recorded", may_hold=[C]), [C]),
    (final(outcome="failed", after=B, source="recorded", may_hold=[B]), [B]),
    (uncertain(source="recorded", may_hold=[B]), [B, C]),
    (uncertain(source=None, before=None, readable=False, may_hold=[A, D]), [A, C, D]),
])
def test_what_a_number_holds_or_may_hold_is_in_use(row: Row, held: list[str]) -> None:
    assert endings.in_use([row]) == held


def test_what_is_in_use_is_named_once() -> None:
    assert endings.in_use([final("a"), kept("b"), uncertain("c"), final("d", after=A)]) == [A, B, C]
    assert endings.in_use([]) == []


def test_a_key_of_which_nobody_knows_whether_it_was_sent_stays_in_use_with_the_one_before() -> None:
    plan = plan_of({"a": A, "b": C})
    done = [broken_wave(1, "a", **UNREACHABLE)]
    assert endings.in_use(plans.final_rows(plan, done, {}, {})) == [A, C]


def test_whether_all_numbers_were_read() -> None:
    assert endings.is_complete([final("a"), uncertain("b"), kept("c", "refused")], 0)
    assert not endings.is_complete([final("a")], 1)
    assert not endings.is_complete([final("a"), unreadable("b")], 0)
    assert endings.is_complete([accepted("a"), uncertain("b", source="recorded", may_hold=[B])], 0)


@pytest.mark.parametrize(("record", "complete"), [
    (noted(C), True), (noted(B), True), (noted(B, C, certain=False), False), (None, False),
])
def test_what_is_on_record_counts_as_read(record: Row | None, complete: bool) -> None:
    rows = plans.final_rows(blind_plan({"a": record}), [], {"default": ["x"]}, {})
    assert endings.is_complete(rows, 0) is complete


def test_a_number_that_accepted_its_key_is_known_whatever_was_known_before() -> None:
    plan = blind_plan({"a": noted(A, B, certain=False), "b": None}, replace_foreign=True)
    rows = plans.final_rows(plan, [wave(1, taken("a"), taken("b", previous_fingerprint=None))], {}, {})
    assert endings.is_complete(rows, 0)
    assert endings.in_use(rows) == [C]
    assert endings.promotable([ring()], rows, 0) == [{"name": "default", "fingerprint": C, "predicted": False}]


# -- going back


def undo_of(*rows: Row, result: Row | None = None, stops: t.Mapping[str, str] | None = None) -> Row:
    return endings.undo_plan(list(rows), STOPPED if stops is None else stops, [result or answer("default")])


def test_a_number_goes_back_to_the_key_that_it_had() -> None:
    undo = undo_of(final("a"))
    assert undo == {
        "plan": [{
            "name": "a", "phone_number_id": "id-a", "provider": "cloud_api", "key_holder": None, "key_name": "default",
            "before": C, "after": C, "target": B, "leaves": C, "status": "VALID", "readable": True, "source": "read",
            "may_hold": [], "recorded": None, "publish": True, "outcome": "replaced", "message": "",
            "business_public_key": pem(B), "expected": [B, C], "force": False,
        }],
        "impossible": {},
        "wanted": [{"key_name": "default", "fingerprint": B, "business_public_key": pem(B)}],
    }


def test_only_numbers_that_this_run_changed_go_back() -> None:
    undo = undo_of(
        final("changed"), final("resigned", "resigned", before=C), kept("held-it-already"),
        kept("not-started", "skipped", before=B, after=B), final("failed", "failed", changed=False, after=B),
        final("other-key", key_name="partner"), unreadable("unread"),
        kept("foreign", "refused", before=FOREIGN, after=FOREIGN),
    )
    assert [row["name"] for row in undo["plan"]] == ["changed"]
    assert undo["impossible"] == {}


def test_a_number_that_may_hold_the_new_key_goes_back_as_well() -> None:
    """Compare-and-set allows both keys, as it is not known which it holds, and what the API shows is no reason not to send."""
    undo = undo_of(uncertain("a"))
    assert [(row["before"], row["target"], row["expected"], row["force"]) for row in undo["plan"]] == [(None, B, [B, C], True)]


@pytest.mark.parametrize(("shown", "force"), [(B, True), (C, False)])
def test_a_number_that_still_shows_its_previous_key_is_sent_it_all_the_same(shown: str, force: bool) -> None:
    """The API took the new key and shows the old one for a while: by what it shows, nothing would have to be sent."""
    done = [wave(1, sent("a", "failed", fingerprint=shown, error={"message": "it shows another key"}))]
    undo = undo_of(*plans.final_rows(plan_of({"a": B}), done, {}, {}))
    assert [(row["target"], row["before"], row["force"]) for row in undo["plan"]] == [(B, shown, force)]


def test_while_a_key_that_leaked_is_revoked_no_number_goes_back() -> None:
    rows = [final("a"), final("b", "set", before=None), final("p", key_name="partner", before=A)]
    undo = endings.undo_plan(rows, {**STOPPED, "partner": "x"}, [answer("default"), answer("partner")], ["default"])
    assert [row["name"] for row in undo["plan"]] == ["p"]
    assert undo["impossible"] == dict.fromkeys("ab", "a key that leaked is being revoked, so the new one stays")
    assert endings.undo_rings(undo, [answer("default"), answer("partner")]) == [{"name": "partner", "fingerprint": B}]


@pytest.mark.attack("durable", "a key that is being rolled out is revoked or given up by another run, between waves")
@pytest.mark.parametrize("why", [
    f"another run went on meanwhile: {C} is revoked", "its keyring could not be read again before a wave: x",
])
def test_a_key_that_was_overtaken_is_not_undone(why: str) -> None:
    """Nor one whose vault host did not answer once: it may answer again when the numbers would go back."""
    result = answer("default")
    undo = endings.undo_plan([final("a")], {"default": why}, [result], overtaken={"default": why})
    assert undo == {"plan": [], "impossible": {"a": why}, "wanted": []}
    assert endings.undo_rings(undo, [result]) == []


@pytest.mark.attack("durable", "a key that is being rolled out is revoked or given up by another run, between waves")
@pytest.mark.parametrize("state", ["retired", "revoked"])
def test_a_key_that_was_overtaken_after_a_wave_failed_is_not_undone(state: str) -> None:
    result = answer("default", f"B:current C:{state} D:pending")
    undo = undo_of(final("a"), result=result)
    assert undo == {"plan": [], "impossible": {"a": f"another run went on meanwhile: {C} is {state}"}, "wanted": []}


def test_numbers_go_back_to_different_keys_each_proven() -> None:
    undo = undo_of(final("a"), final("b", before=A), final("c"))
    assert [(row["name"], row["target"], row["business_public_key"]) for row in undo["plan"]] == [
        ("a", B, pem(B)), ("b", A, pem(A)), ("c", B, pem(B)),
    ]
    assert [row["fingerprint"] for row in undo["wanted"]] == [B, A]


@pytest.mark.parametrize(("row", "result", "why"), [
    (final("a", "set", before=None), None, "it had no key before, and the API cannot take one away"),
    (uncertain("a", before=None), None, "it had no key before, and the API cannot take one away"),
    (accepted("a", before=None), None, "it is not known which key it had before, as its provider cannot be asked"),
    (uncertain("a", before=None, source=None), None,
     "it is not known which key it had before, as its provider cannot be asked"),
    (accepted("a", before=FOREIGN), None, f"its previous key {FOREIGN} is not in the keyring"),
    (final("a", before=FOREIGN), None, f"its previous key {FOREIGN} is not in the keyring"),
    (final("a"), {"item": "default", **UNREACHABLE}, f"the keyring 'default' could not be read: {UNREACHABLE['msg']}"),
    (final("a"), {"item": "default", **FAILED}, "the keyring 'default' could not be read: disk full"),
    (final("a"), {"item": "partner", **FAILED}, f"its previous key {B} is not in the keyring"),
    (final("a"), answer("default", "B:revoked C:pending"), f"the private key of {B} is revoked or cannot be opened"),
    (final("a"), answer("default", generations=[generation(B, "current", usable=False)]),
     f"the private key of {B} is current or cannot be opened"),
    (final("a"), answer("default", generations=[generation(B, "retired", business_public_key=None)]),
     f"the private key of {B} is retired or cannot be opened"),
])
def test_why_a_number_cannot_go_back(row: Row, result: Row | None, why: str) -> None:
    undo = undo_of(row, result=result)
    assert undo == {"plan": [], "impossible": {"a": why}, "wanted": []}
    after, = endings.undone_rows([row], undo, {"skipped": True})
    message = f"{row['message']} It was not rolled back: {why.rstrip('.')}.".strip()
    assert after == {**row, "rolled_back": False, "message": message}


def test_what_an_endpoint_did_not_prove_is_not_gone_back_to() -> None:
    undo = undo_of(final("a"), final("b", before=A), final("c", "set", before=None))
    found = [
        proof(fingerprint=B, proven=True, when="before the rollback"),
        proof("web-2", fingerprint=B, proven=False, when="before the rollback"),
        proof(fingerprint=A, proven=None, when="before the rollback"),
        proof(fingerprint=A, proven=False, when="before"),  # of another point of the run
        proof(key_name="partner", fingerprint=A, proven=False, when="before the rollback"),
    ]
    allowed = endings.undo_allowed(undo, found)
    assert [row["name"] for row in allowed["plan"]] == ["b"]
    assert set(allowed["impossible"]) == {"a", "c"}
    assert allowed["impossible"]["a"] == f"the endpoint web-2 did not prove that it decrypts with {B}: HTTP 421."
    rows = endings.undone_rows([final("a")], allowed, {})
    assert rows[0]["message"].endswith(f"decrypts with {B}: HTTP 421.")


@pytest.mark.parametrize("found", [
    [], [proof(fingerprint=B, when="before the rollback")], [proof(fingerprint=B, proven=False, when="after wave 1")],
])
def test_what_the_endpoints_proved_is_gone_back_to(found: Rows) -> None:
    undo = undo_of(final("a"))
    assert endings.undo_allowed(undo, found) == undo


def test_the_pending_key_is_given_up_for_the_current_one() -> None:
    results = [answer("default"), answer("partner"), {"item": "broken", **FAILED}]
    assert endings.undo_rings(undo_of(final("a"), uncertain("b")), results) == [{"name": "default", "fingerprint": B}]


def test_in_check_mode_the_predicted_key_is_given_up() -> None:
    undo = undo_of(final("a"), result=answer("default", "A:retired B:current", check_mode=True))
    assert endings.undo_rings(undo, [answer("default", "A:retired B:current", check_mode=True)]) == [
        {"name": "default", "fingerprint": B},
    ]


@pytest.mark.parametrize(("rows", "text"), [
    ([], ROTATING),
    ([final("a", "set", before=None)], ROTATING),  # nothing can go back
    ([final("a")], "B:retired C:pending"),  # there is no current key to go back to
    ([final("a")], "B:retired C:current"),  # the run mended drift: the current key stays the current one
    ([final("a")], "B:current D:pending"),  # what is pending is another run's
    ([final("a")], "B:current"),
])
def test_keys_that_are_not_given_up(rows: Rows, text: str) -> None:
    result = answer("default", text)
    assert endings.undo_rings(undo_of(*rows, result=result), [result]) == []


def test_what_came_of_giving_up() -> None:
    asked = [{"name": name, "fingerprint": B} for name in ("a", "b", "c", "d", "e")]
    results = [answer({"name": "a"}, "B:current C:retired"), {"item": {"name": "b"}, **FAILED},
               {"item": {"name": "c"}, **UNREACHABLE}, answer({"name": "d"}, "C:current"), {**UNREACHABLE}]
    assert [(row["name"], row["message"]) for row in endings.given_up_rows(asked, results)] == [
        ("a", ""), ("b", "disk full"), ("c", UNREACHABLE["msg"]), ("d", "It gave no answer."), ("e", "It gave no answer."),
    ]
    assert endings.given_up_rows([], []) == []


def back(name: str, **members: t.Any) -> Row:
    """The fleet module's row of a number that went back."""
    return sent(name, **{"fingerprint": B, "previous_fingerprint": C, "seconds": 0.25, **members})


def test_numbers_that_went_back() -> None:
    rows = [final("a"), kept("b"), final("c", "failed", after=C, message="not valid")]
    undo = undo_of(*rows)
    got = endings.undone_rows(rows, undo, {"numbers": [back("a", status=None), back("c", attempts=2)]})
    assert got == [
        {**rows[0], "after": B, "status": None, "rolled_back": True, "attempts": 2, "seconds": 0.75},
        rows[1],
        {**rows[2], "after": B, "rolled_back": True, "attempts": 3, "seconds": 0.75},
    ]


def test_a_number_that_accepted_its_key_goes_back_on_record() -> None:
    row, = undo_of(accepted("a"))["plan"]
    assert {name: row[name] for name in ("target", "leaves", "source", "recorded", "may_hold", "expected", "force")} == {
        "target": B, "leaves": C, "source": "recorded", "recorded": C, "may_hold": [C], "expected": [B, C], "force": False,
    }
    assert records.recording([row], ["a"]) == [
        {"key_name": "default", "accepted": {"id-a": {"fingerprints": [C, B], "certain": False}}},
    ]
    refused = {"numbers": [not_sent("a", fingerprint=C, fingerprint_source="recorded")]}
    assert records.recorded([row], ["a"], refused) == [
        {"key_name": "default", "accepted": {"id-a": {"fingerprints": [C], "certain": True}}},
    ]


def test_what_could_not_be_noted_or_forgotten_is_told() -> None:
    wave = {"not_noted_after": {"default": "disk full"}}
    lost = [{"item": {"key_name": "partner", "accepted": {}}, "msg": "gone"}]
    found = endings.late_failures({}, revoked=[], finished=[], copied=[], deployed=[], reloads=[], waves=[wave], noted=lost)
    assert [line.split(":")[0] for line in found] == [
        f"{name} (keyring)" for name in ("default", "partner")]
    assert "disk full" in found[0]
    assert "gone" in found[1]


def test_a_number_that_may_have_accepted_its_key_is_sent_the_previous_one_in_any_case() -> None:
    row, = undo_of(uncertain("a", source="recorded", may_hold=[B]))["plan"]
    assert (row["target"], row["force"], row["expected"]) == (B, True, [B, C])


def test_an_accepted_number_that_went_back() -> None:
    undo = undo_of(accepted("a"))
    published = {"numbers": [taken("a", fingerprint=B, previous_fingerprint=C)]}
    got, = endings.undone_rows([accepted("a")], undo, published)
    assert (got["after"], got["certain"], got["rolled_back"]) == (B, True, True)
    assert (got["source"], got["outcome"]) == ("recorded", "accepted")
    assert endings.in_use([got]) == [B]
    assert records.recorded(undo["plan"], ["a"], published) == [
        {"key_name": "default", "accepted": {"id-a": {"fingerprints": [B], "certain": True}}},
    ]


def test_an_accepted_number_that_did_not_go_back_holds_the_new_key() -> None:
    answered = not_sent("a", "throttled", **BLIND_AT_C)
    got, = endings.undone_rows([accepted("a")], undo_of(accepted("a")), {"numbers": [answered]})
    assert (got["after"], got["certain"], got["rolled_back"]) == (C, True, False)


def test_an_accepted_number_of_which_nobody_knows_whether_it_went_back_may_hold_either() -> None:
    got, = endings.undone_rows([accepted("a")], undo_of(accepted("a")), {**UNREACHABLE})
    assert (got["after"], got["certain"], got["rolled_back"]) == (None, False, False)
    assert endings.in_use([got]) == [B, C]


def test_what_could_not_be_noted_does_not_go_back() -> None:
    rows = [accepted("a"), final("b")]
    published = {"numbers": [back("b")]}
    got, other = endings.undone_rows(rows, undo_of(*rows), published, [not_noted()])
    assert (got["after"], got["certain"], got["rolled_back"]) == (C, True, False)
    assert got["message"].endswith("could not note it beforehand: disk full")
    assert other["rolled_back"] is True


def shared(name: str, holder: str = "app 1", provider: str = "gupshup", **members: t.Any) -> Row:
    return accepted(name, provider=provider, key_holder=holder, **members)


def test_numbers_that_share_a_key_with_one_that_went_back_hold_the_same() -> None:
    rows = [shared("a"), shared("b", outcome="unchanged", changed=False, before=C, wave=None, attempts=0),
            shared("c", outcome="skipped", changed=False, after=B, certain=True), shared("d", "app 2"), shared("e", provider="x"),
            accepted("f", changed=False)]
    got = endings.undone_rows(rows, undo_of(rows[0]), {"numbers": [taken("a", fingerprint=B, previous_fingerprint=C)]})
    assert [(row["name"], row["after"], row["certain"]) for row in got] == [
        ("a", B, True), ("b", B, True), ("c", B, True), ("d", C, True), ("e", C, True), ("f", C, True),
    ]
    assert [row["rolled_back"] for row in got] == [True, None, None, None, None, None]
    assert endings.in_use(got[:3]) == [B]


def test_a_number_that_did_not_go_back_leaves_those_it_shares_a_key_with_as_they_were() -> None:
    rows = [shared("a"), shared("b", changed=False)]
    answered = not_sent("a", "x", **BLIND_AT_C)
    got = endings.undone_rows(rows, undo_of(rows[0]), {"numbers": [answered]})
    assert got[1] == rows[1]


def test_a_number_that_never_got_the_key_went_back_without_a_post() -> None:
    row = uncertain("a")
    got, = endings.undone_rows([row], undo_of(row), {"numbers": [back("a", outcome="unchanged", changed=False, attempts=0)]})
    assert (got["after"], got["certain"], got["rolled_back"], got["outcome"], got["message"]) == (B, True, True, "failed", "cut")


@pytest.mark.parametrize(("answered", "after", "certain", "message"), [
    (back("a", outcome="failed", changed=False, fingerprint=C, error={"message": "throttled"}), C, True, "throttled"),
    (back("a", outcome="failed", fingerprint=None, status=None, error={"message": "cut"}), None, False, "cut"),
    (back("a", outcome="refused", changed=False, fingerprint=FOREIGN, error={"message": "x"}), FOREIGN, True, FOREIGN),
])
def test_a_number_that_did_not_go_back_says_what_it_holds(answered: Row, after: str | None, certain: bool, message: str) -> None:
    got, = endings.undone_rows([final("a")], undo_of(final("a")), {"numbers": [answered]})
    assert (got["after"], got["certain"], got["rolled_back"]) == (after, certain, False)
    assert got["message"].startswith("It was not rolled back: ")
    assert message in got["message"]


def test_where_going_back_broke_off_it_is_not_known_what_is_held() -> None:
    row = final("a", "failed", after=C, message="not valid.")
    got, = endings.undone_rows([row], undo_of(row), {**UNREACHABLE})
    assert (got["after"], got["certain"], got["rolled_back"]) == (None, False, False)
    assert got["message"].startswith("not valid. It was not rolled back: It is not known whether its key was sent")
    assert endings.in_use([got]) == [B, C]


def test_seconds_are_rounded() -> None:
    got, = endings.undone_rows([final("a", seconds=0.1)], undo_of(final("a")), {"numbers": [back("a", seconds=0.2)]})
    assert got["seconds"] == 0.3


def test_a_wave_that_failed_and_went_back() -> None:
    """The steps as the role takes them: a number each that went, that failed, that is unknown, and that had no key before."""
    plan = plan_of({"a": B, "b": A, "c": B, "d": None, "e": B})
    done = [
        wave(1, sent("a")),
        wave(2, sent("b", previous_fingerprint=A), not_sent("c"), sent("d", "set", previous_fingerprint=None)),
        wave(3, maybe_sent("e")),
    ]
    stops = plans.stopped(plan, done, 1)
    rows = plans.final_rows(plan, done, {}, stops)
    result = answer("default")
    undo = endings.undo_allowed(endings.undo_plan(rows, stops, [result]), [])
    assert [(row["name"], row["target"]) for row in undo["plan"]] == [("a", B), ("b", A), ("e", B)]
    assert endings.undo_rings(undo, [result]) == [{"name": "default", "fingerprint": B}]
    published = {"numbers": [back("a"), back("b", fingerprint=A), back("e")], "published_keys": {A: pem(A), B: pem(B)}}
    assert [row["fingerprint"] for row in proofs.published_proofs(undo["plan"], published)] == [A, B]
    after = endings.undone_rows(rows, undo, published)
    assert [(row["name"], row["outcome"], row["after"], row["rolled_back"]) for row in after] == [
        ("a", "replaced", B, True), ("b", "replaced", A, True), ("c", "failed", B, None), ("d", "set", C, False),
        ("e", "failed", B, True),
    ]
    assert endings.in_use(after) == [A, B, C]
    assert [row["wave"] for row in after] == [1, 2, 2, 2, 3]


# -- revocation


def revocation(*rows: Row, state: Row | None = None, complete: bool = True, fingerprint: str = B) -> Row:
    rings = [state or ring("default", "B:retired C:current")]
    return endings.revocation(fingerprint, rings=["default"], rows=list(rows), keyrings=rings, complete=complete)


@pytest.mark.parametrize("fingerprint", [B, B.split(":")[1]])
def test_a_key_that_nobody_holds_is_revoked(fingerprint: str) -> None:
    assert revocation(final("a"), kept("b"), fingerprint=fingerprint) == {
        "fingerprint": B, "rings": ["default"], "possible": True, "message": "", "note": "",
    }


@pytest.mark.parametrize(("state", "why"), [
    (ring("partner"), ""), (broken_ring("partner"), "its keyring partner is not usable"),
    (None, "its keyring partner is not usable"),
])
def test_a_key_in_several_keyrings_is_revoked_in_all_of_them(state: Row | None, why: str) -> None:
    rings = [ring(), *([state] if state else []), broken_ring("third")]
    found = endings.revocation(A, rings=["default", "partner"], rows=[final("a")], keyrings=rings, complete=True)
    assert (found["possible"], found["rings"]) == (not why, ["default", "partner"])
    assert why in found["message"]


@pytest.mark.parametrize(("rows", "who"), [
    ([final("a", "failed", after=B)], "a"), ([kept("a", "skipped", after=B), uncertain("b"), final("c")], "a, b"),
    ([final("a"), uncertain("b", before=None, target=B)], "b"),
    ([kept(f"n{index}", after=B) for index in range(20)], ", ".join(f"n{index}" for index in range(20))),
    ([kept(f"n{index}", after=B) for index in range(21)], ", ".join(f"n{index}" for index in range(20)) + " and 1 more"),
])
def test_a_key_that_a_number_holds_or_may_hold_is_not_revoked(rows: Rows, who: str) -> None:
    found = revocation(*rows)
    assert (found["possible"], found["note"]) == (False, "")
    assert found["message"] == (
        f"{B} was not revoked: {who} hold it, or may hold it. Mend that, then run the same command again."
    )


def test_as_long_as_a_number_was_not_read_nothing_is_revoked() -> None:
    found = revocation(final("a"), unreadable("b"), complete=False)
    assert not found["possible"]
    assert "not every number of the group was read" in found["message"]
    assert found["message"].endswith("run the same command again.")


@pytest.mark.parametrize("state", [broken_ring(), ring("partner"), {**broken_ring(), "check_mode": True}])
def test_in_a_keyring_that_cannot_be_used_nothing_is_revoked(state: Row) -> None:
    found = revocation(final("a"), state=state)
    assert not found["possible"]
    assert found["message"] == f"{B} was not revoked: its keyring default is not usable."


@pytest.mark.parametrize("complete", [True, False])
def test_check_mode_says_what_would_be_revoked(complete: bool) -> None:
    found = revocation(kept("a", after=B), state=predicted_ring(), complete=complete)
    assert (found["possible"], found["message"]) == (False, "")
    assert found["note"] == f"{B} would be revoked once no number holds it."


def test_what_is_no_fingerprint_is_told() -> None:
    with pytest.raises(ValueError, match="encryption_keys_revoke: 'x' is not a fingerprint"):
        revocation(fingerprint="x")


def test_what_a_revocation_means_for_users_is_told_when_it_is_done() -> None:
    revoking = revocation(final("a"))
    results = [answer("default", "B:revoked C:current")]
    finished = endings.finished_rows(results, revoking, results)
    notes = endings.revocation_notes(revoking, finished)
    assert notes[0] == (
        f"{B} is revoked: its private key is destroyed on the vault host, and on the replicas and endpoint hosts but for those "
        "that this run names as failed."
    )
    for text in ("cache the public key for 7 days", "421", "can be read by whoever has the leaked private key"):
        assert any(text in note for note in notes)


@pytest.mark.parametrize(("revoking", "finished"), [
    ({}, {}), ({}, {"default": {"revoked": None}}), (revocation(final("a")), {}),
    (revocation(final("a")), {"default": {"revoked": None}, "partner": {"revoked": B}}), (revocation(kept("a", after=B)), {}),
    ({**revocation(final("a")), "rings": ["default", "partner"]}, {"default": {"revoked": B}, "partner": {"revoked": None}}),
    ({**revocation(final("a")), "rings": ["default", "partner"]}, {"default": {"revoked": B}}),
])
def test_without_a_revocation_there_is_nothing_to_tell(revoking: Row, finished: dict[str, Row]) -> None:
    assert endings.revocation_notes(revoking, finished) == []


def test_check_mode_tells_it_in_advance() -> None:
    assert endings.revocation_notes(revocation(state=predicted_ring()), {}) == [f"{B} would be revoked once no number holds it."]


# -- what the keyrings hold at the end


def test_what_each_keyring_holds_at_the_end() -> None:
    results = [answer("default", "B:retired C:current", removed=[A], pruned=[A]), answer("partner", "D:current"),
               {"item": "broken", **FAILED}]
    assert endings.finished_rows(results, {}, []) == {
        "default": {"generations": generations("B:retired C:current"), "pruned": [A], "accepted": {}, "removed": [A],
                    "revoked": None},
        "partner": {"generations": generations("D:current"), "pruned": [], "accepted": {}, "removed": [], "revoked": None},
    }


@pytest.mark.parametrize(("revoked", "expected"), [
    ([], []), ([{"item": "default", **FAILED}, {"item": "partner", **UNREACHABLE}], []),
    ([answer("default")], ["default"]), ([{"item": "default", **FAILED}, answer("partner")], ["partner"]),
    ([answer("default"), answer("partner")], ["default", "partner"]),
])
def test_a_key_was_revoked_if_the_module_says_so(revoked: Rows, expected: list[str]) -> None:
    results = [answer("default", "C:current"), answer("partner", "D:current"), answer("third", "D:current")]
    finished = endings.finished_rows(results, revocation(final("a")), revoked)
    assert {name: row["revoked"] for name, row in finished.items() if row["revoked"]} == dict.fromkeys(expected, B)
    assert set(finished) == {"default", "partner", "third"}


@pytest.mark.parametrize(("text", "changed"), [
    (ROTATING, False), ("A:retired B:retired C:current", True), ("B:current C:pending", True),
    ("A:revoked B:current C:pending", True), ("A:retired B:current C:retired", True),
    ("A:retired B:current C:pending D:retired", True),
])
def test_endpoints_and_replicas_are_brought_up_to_date_where_states_changed(text: str, changed: bool) -> None:
    finished = endings.finished_rows([answer("default", text, pruned=[D])], {}, [])
    rows = endings.changed_keyrings([ring()], finished)
    assert rows == ([{**ring(), "generations": generations(text), "pruned": [D]}] if changed else [])


def test_replicas_get_other_times_as_well() -> None:
    """Retention on a vault host that is rebuilt from one counts from them."""
    seen = [{**row, "last_seen_at": "2026-04-01T12:00:00Z"} for row in generations(ROTATING)]
    finished = {"default": {"generations": seen, "pruned": [], "accepted": {}}}
    assert endings.changed_keyrings([ring()], finished) == [{**ring(), "generations": seen}]


@pytest.mark.parametrize(("records_now", "changed"), [
    ({"106": noted(B)}, False), ({"106": noted(C)}, True), ({}, True), ({"106": noted(B, certain=False)}, True),
    ({"106": noted(B), "107": noted(B)}, True), ({"106": {**noted(B), "at": "2026-04-01T12:00:00Z"}}, True),
])
def test_copies_get_what_numbers_accepted_meanwhile(records_now: Row, changed: bool) -> None:
    before = ring(accepted={"106": noted(B)})
    finished = endings.finished_rows([answer("default", accepted=records_now)], {}, [])
    assert finished["default"]["accepted"] == records_now
    assert endings.changed_keyrings([before], finished) == ([{**before, "accepted": records_now}] if changed else [])


def test_what_is_not_in_the_keyring_is_no_change() -> None:
    opened = [{**row, "usable": True, "predicted": False} for row in generations(ROTATING)]
    assert endings.changed_keyrings([ring()], {"default": {"generations": opened, "pruned": [], "accepted": {}}}) == []


def test_keyrings_of_check_mode_and_without_an_answer_did_not_change() -> None:
    rings = [ring("default", check_mode=True), ring("partner"), broken_ring("broken"), ring("last")]
    results = [answer("default", "C:current"), {"item": "partner", **FAILED}, answer("last", "C:current")]
    finished = endings.finished_rows(results, {}, [])
    assert [row["name"] for row in endings.changed_keyrings(rings, finished)] == ["last"]


# -- what went wrong at the end


def late(revoking: Row | None = None, **found: t.Any) -> list[str]:
    given: Row = {"revoked": [], "finished": [answer("default")], "copied": [], "deployed": [], "reloads": [],
                  **found}
    return endings.late_failures(revoking or {}, **given)


def test_where_all_went_well_nothing_is_told() -> None:
    assert late() == []
    assert late(revocation(final("a")), revoked=[answer("default")], deployed=deployed(put("web", put_key())),
                copied=[{"host": "r", "key_name": "default", "changed": True, "message": ""}]) == []
    assert late(revocation(state=predicted_ring())) == []


def test_a_revocation_that_was_not_possible_is_a_failure() -> None:
    revoking = revocation(kept("a", after=B))
    assert late(revoking) == [revoking["message"]]


@pytest.mark.parametrize(("revoked", "why"), [
    ({**FAILED}, "disk full"), ({**UNREACHABLE}, UNREACHABLE["msg"]), ({}, "It gave no answer."),
])
def test_a_revocation_that_failed_is_a_failure(revoked: Row, why: str) -> None:
    results = [answer("default"), {"item": "partner", **revoked}]
    assert late(revocation(final("a")), revoked=results) == [f"partner (keyring): the key could not be revoked: {why}"]


def test_everything_that_went_wrong_is_named_with_its_host() -> None:
    assert late(
        finished=[answer("default"), {"item": "partner", **FAILED}, {"item": "third", **UNREACHABLE}, {"item": "fourth"}],
        copied=[{"host": "r1", "key_name": "default", "changed": False, "message": "no space"}],
        deployed=deployed(put("web", put_key(error={"message": "no rights"})), {"item": "down", **UNREACHABLE}),
        reloads=[{"endpoint": "web", "key_name": "", "message": "web did not reload"}],
    ) == [
        "partner (keyring): disk full", f"third (keyring): {UNREACHABLE['msg']}", "fourth (keyring): It gave no answer.",
        "r1 (replica of default): no space",
        "web (endpoint): its manifest could not be brought up to date: no rights",
        f"down (endpoint): its manifest could not be brought up to date: {UNREACHABLE['msg']}",
        "web did not reload",
    ]
