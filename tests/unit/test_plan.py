# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each number needs, the waves, what stops a key, and what came of each number."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans
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
    blind_plan,
    broken_ring,
    broken_wave,
    maybe_sent,
    not_noted,
    not_sent,
    noted,
    number,
    plan_of,
    predicted_ring,
    proof,
    read,
    ring,
    sent,
    taken,
    unasked,
    unread,
    wave,
)


def planned(fingerprint: str | None, status: str | None = "VALID", **options: t.Any) -> Row:
    return plans.make_plan([number()], [read("shop", fingerprint, status)], [ring()], **options)[0]


def final_of(plan: Rows, *waves: Row, max_failures: int = 0, blocks: Row | None = None) -> dict[str, Row]:
    """Return the final rows by name, as the role makes them."""
    stops = plans.stopped(plan, list(waves), max_failures)
    return {row["name"]: row for row in plans.final_rows(plan, list(waves), blocks or {}, stops)}


# -- the plan


@pytest.mark.parametrize(("held", "status", "outcome"), [
    (None, "MISMATCH", "set"), (None, None, "set"),
    (C, "VALID", "unchanged"), (C, None, "unchanged"), (C, "MISMATCH", "resigned"),
    (B, "VALID", "replaced"), (A, "MISMATCH", "replaced"), (FOREIGN, "VALID", "refused"), (FOREIGN, "MISMATCH", "refused"),
])
def test_the_plan_of_each_state(held: str | None, status: str | None, outcome: str) -> None:
    row = planned(held, status)
    publish = outcome in ("set", "resigned", "replaced")
    assert (row["outcome"], row["publish"]) == (outcome, publish)
    assert (row["before"], row["after"], row["status"], row["target"], row["readable"]) == (held, held, status, C, True)
    assert row["business_public_key"] == ("the public key C" if publish else None)
    assert bool(row["message"]) == (outcome == "refused")


def test_a_foreign_key_is_named_with_the_ways_to_allow_it() -> None:
    row = planned(FOREIGN)
    for text in (FOREIGN, "'default' does not know", "Import", "encryption_keys_replaceable_fingerprints",
                 "encryption_keys_replace_foreign: true"):
        assert text in row["message"]


@pytest.mark.parametrize("options", [
    {"replace_foreign": True}, {"replaceable": [FOREIGN]}, {"replaceable": [FOREIGN.split(":")[1] + "="]},
])
def test_a_foreign_key_that_may_be_replaced_is_part_of_the_compare_and_set(options: Row) -> None:
    row = planned(FOREIGN, **options)
    assert row["outcome"] == "replaced"
    assert row["expected"] == sorted([A, B, C, FOREIGN])


@pytest.mark.parametrize("held", [B, None])
def test_replacing_foreign_keys_does_not_allow_one_that_was_not_seen(held: str | None) -> None:
    assert planned(held, replace_foreign=True)["expected"] == [A, B, C]


def test_a_key_that_may_be_replaced_is_so_wherever_it_is_held() -> None:
    """Fingerprints that the user names count for all numbers; whatever is foreign counts for the number that holds it alone."""
    named = plan_of({"a": FOREIGN, "b": B}, replaceable=[FOREIGN])
    seen = plan_of({"a": FOREIGN, "b": B}, replace_foreign=True)
    assert [FOREIGN in row["expected"] for row in named] == [True, True]
    assert [FOREIGN in row["expected"] for row in seen] == [True, False]


def test_a_replaceable_fingerprint_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="encryption_keys_replaceable_fingerprints: 'x' is not"):
        planned(None, replaceable=["x"])


def test_a_revoked_key_is_known_so_it_is_replaced() -> None:
    plan = plan_of({"shop": A}, ring("default", "A:revoked B:current"))
    assert (plan[0]["outcome"], plan[0]["target"], plan[0]["expected"]) == ("replaced", B, [A, B])


def test_the_key_of_another_keyring_is_foreign() -> None:
    plan = plan_of({"a": B, "b": B}, ring("default", "A:retired B:current"), ring("partner", "D:current"), keys={"b": "partner"})
    assert [(row["outcome"], row["target"]) for row in plan] == [("unchanged", B), ("refused", D)]


def test_a_predicted_key_is_planned_as_a_real_one() -> None:
    assert plan_of({"shop": B}, predicted_ring()) == plan_of({"shop": B}, ring())


def test_numbers_that_cannot_be_published_to() -> None:
    rows = plans.make_plan(
        [number("a"), number("b"), number("c", problem="It has no ID."), number("d", "partner"), number("e", "nowhere"),
         number("f")],
        [unread("a"), read("c"), read("d"), read("e", FOREIGN), read("f")], [ring(), broken_ring("partner")],
    )
    assert [(row["outcome"], row["readable"], row["message"]) for row in rows] == [
        ("failed", False, "no such number"),
        ("failed", False, "It was not read."),
        ("failed", False, "It has no ID."),
        ("skipped", True, "The keyring 'partner' is not usable, see its message."),
        ("skipped", True, "The keyring 'nowhere' is not usable, see its message."),
        ("replaced", True, ""),
    ]
    assert [row["publish"] for row in rows] == [False] * 5 + [True]
    for name in ("before", "after"):
        assert [row[name] for row in rows] == [None, None, None, B, FOREIGN, B]
    assert [row["status"] for row in rows] == [None, None, None, "VALID", "VALID", "VALID"]
    assert [row["target"] for row in rows] == [None] * 5 + [C]


def test_the_plan_keeps_the_order_of_the_numbers_and_not_of_what_was_read() -> None:
    numbers = [number(name) for name in ("c", "a", "b")]
    plan = plans.make_plan(numbers, [read("b"), read("c"), read("a")], [ring()])
    assert [(row["name"], row["phone_number_id"]) for row in plan] == [("c", "id-c"), ("a", "id-a"), ("b", "id-b")]


@pytest.mark.parametrize(("outcomes", "names"), [
    (("read", "failed", "unknown"), ["x", "default"]), (("failed", "failed", "failed"), []),
    (("failed", "read", "failed"), ["x"]),
])
def test_keys_that_have_a_number_which_answered(outcomes: tuple[str, ...], names: list[str]) -> None:
    fleet = [{"name": name, "key_name": key} for name, key in (("a", "x"), ("b", "x"), ("c", "default"), ("d", "left out"))]
    assert plans.answering(fleet, [{"name": name, "outcome": outcome} for name, outcome in zip("abc", outcomes)]) == names


def many(provider: str = "cloud_api", publish: int = 100) -> tuple[list[Row], list[Row]]:
    """Plan and fleet of 120 numbers in two WABAs, of which some are published."""
    plan = [{"name": str(index), "provider": provider, "publish": index < publish} for index in range(120)]
    return plan, [{"name": str(index), "waba_id": f"10{index % 2}"} for index in range(120)]


def test_what_publishing_takes_is_told_with_what_others_have_used_up() -> None:
    plan, fleet = many()
    told = {"x-business-use-case-usage": {"101": [{"call_count": 98}]}}
    assert plans.calls_needed(plan, fleet, {}) == [
        "Publishing: 100 numbers, 300 calls in 2 WABAs: fits into 5,000 an hour for each WABA."
    ]
    assert plans.calls_needed(plan, fleet, told) == [
        "Publishing: 100 numbers, 300 calls in 2 WABAs: more than 5,000 an hour for 101 (150 calls, 98 % of the hour used "
        "up), so it will have to wait."
    ]


@pytest.mark.parametrize("given", [{"publish": 99}, {"publish": 0}, {"provider": "kaleyra"}, {"provider": None}])
def test_nothing_is_told_for_few_numbers_or_where_no_limit_is_documented(given: t.Any) -> None:
    assert plans.calls_needed(*many(**given), {}) == []


def test_what_is_held_is_what_was_read() -> None:
    rows = [read("a", C), read("b", B), read("c", B), read("d", None), unread("e"), {**unread("f"), "fingerprint": D}]
    assert plans.held(rows) == [B, C]


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("1w", 7), ("12h", 0.5), ("86400", 1)])
def test_a_retention_in_days(text: str, days: float) -> None:
    assert plans.retention_days(text) == days


@pytest.mark.parametrize("text", ["a month", "", "-7d", "9" * 20])
def test_a_retention_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"encryption_keys_retention '{text}' is not a duration"):
        plans.retention_days(text)


# -- waves


@pytest.mark.parametrize(("sizes", "expected"), [
    ([1, "10%", "100%"], [(1, False), (10, True), (100, True)]),
    (["1", " 5 ", "7 %"], [(1, False), (5, False), (7, True)]),
    (["999999999", "1%"], [(999999999, False), (1, True)]),
])
def test_sizes_of_waves(sizes: list[t.Any], expected: list[tuple[int, bool]]) -> None:
    assert plans.wave_sizes(sizes) == expected


@pytest.mark.parametrize(("value", "items"), [
    ([1, "10%"], [1, "10%"]), ((1, 2), [1, 2]), ([], []), ("1, 10%,100%", ["1", "10%", "100%"]), ("50%", ["50%"]), (" , ", []),
    ("", []), (5, [5]),
])
def test_lists_may_come_as_text_or_as_one_value(value: t.Any, items: list[t.Any]) -> None:
    assert plans.as_list(value) == items


def test_options_that_come_as_text() -> None:
    plan = plan_of({"a": FOREIGN, "b": B, "c": B}, replaceable=f"{D}, {FOREIGN}")
    assert [row["outcome"] for row in plan] == ["replaced"] * 3
    assert plans.make_waves(plan, [], t.cast("list[str]", "1,100%")) == [["a"], ["b", "c"]]
    assert plans.make_waves(plan, [], t.cast("list[str]", 2)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("size", [
    0, "0", "0%", -1, "101%", "1000%", "", "%", "1.5", 1.5, "ten", "10%%", "1 0", None, True, "²", "1" * 10,
])
def test_sizes_that_are_none_are_named(size: t.Any) -> None:
    with pytest.raises(ValueError, match="encryption_keys_waves: '") as caught:
        plans.wave_sizes([1, size])
    assert f"'{size}' is not a number from 1 on, or a percentage from 1% to 100%." in str(caught.value)


@pytest.mark.parametrize("sizes", [[], "", " , "])
def test_without_sizes_the_way_to_do_all_at_once_is_told(sizes: t.Any) -> None:
    with pytest.raises(ValueError, match=r"empty.*\['100%'\]"):
        plans.wave_sizes(sizes)


@pytest.mark.parametrize(("count", "sizes", "expected"), [
    (800, [1, "10%", "100%"], [1, 80, 719]),
    (15, [2, 4, "30%", "100%"], [2, 4, 4, 5]),
    (10, [3], [3, 3, 3, 1]),
    (10, ["30%"], [3, 3, 3, 1]),
    (7, [1, "2"], [1, 2, 2, 2]),
    (3, ["1%"], [1, 1, 1]),
    (3, [1, "10%", "100%"], [1, 1, 1]),
    (2, [1, "10%", "100%"], [1, 1]),
    (1, [1, "10%", "100%"], [1]),
    (1, ["100%"], [1]),
    (5, [100], [5]),
    (0, [1], []),
    (199, ["1%"], [1] * 199),
    (200, ["1%"], [2] * 100),
])
def test_waves_are_cut_as_serial_does(count: int, sizes: list[t.Any], expected: list[int]) -> None:
    names = [f"n{index}" for index in range(count)]
    waves = plans.make_waves(plan_of(dict.fromkeys(names, B)), [], sizes)
    assert [len(names) for names in waves] == expected
    assert [name for wave in waves for name in wave] == names  # each once, in inventory order


def test_a_percentage_is_of_the_numbers_that_need_a_post() -> None:
    held = {f"done-{index}": C for index in range(90)} | {f"todo-{index}": B for index in range(10)}
    waves = plans.make_waves(plan_of(held), [], ["50%"])
    assert [len(names) for names in waves] == [5, 5]
    assert all(name.startswith("todo-") for names in waves for name in names)


def test_numbers_of_keys_that_may_not_be_published_are_in_no_wave() -> None:
    plan = plan_of({"a": B, "b": A, "c": None}, ring(), ring("partner", "A:retired D:current"), keys={"b": "partner"})
    assert plans.make_waves(plan, ["default"], ["100%"]) == [["b"]]
    assert plans.make_waves(plan, ["default", "partner"], ["100%"]) == []
    assert plans.make_waves(plan, [], ["100%"]) == [["a", "b", "c"]]


@pytest.mark.parametrize("plan", [[], plan_of({"a": B})])
def test_a_wrong_size_shows_whether_or_not_there_is_anything_to_do(plan: Rows) -> None:
    with pytest.raises(ValueError, match="encryption_keys_waves"):
        plans.make_waves(plan, [], ["none"])


def test_of_a_wave_that_is_done_what_is_needed_later_is_kept() -> None:
    published = {"numbers": [sent("a")], "msg": "1 of 1 numbers failed", "error": {"type": "X"}, "published_keys": {C: "pem"},
                 "diff": [], "api": {}, "changed": True}
    proofs = [proof(when="before"), proof(when="after wave 1"), proof(when="after wave 12"), proof(when="after wave 2")]
    assert plans.wave_done(published, 1, ("a",), proofs) == {
        "wave": 1, "names": ["a"], "proofs": [proofs[1]], "not_noted": {}, "not_noted_after": {},
        "published": {"numbers": [sent("a")], "msg": "1 of 1 numbers failed", "error": {"type": "X"}},
    }
    assert plans.wave_done({**UNREACHABLE}, 2, ["b"], [])["published"] == {"msg": UNREACHABLE["msg"]}


# -- stopping


TWO_KEYS = {"keys": {"p1": "partner", "p2": "partner"}}


def two_keys() -> Rows:
    return plan_of({"a": B, "p1": A, "b": B, "p2": A, "c": B}, ring(), ring("partner", "A:retired D:current"), **TWO_KEYS)


@pytest.mark.parametrize(("max_failures", "stops"), [
    (0, "a failed in wave 1"), (1, "a, b failed in waves 1, 2"), (2, "a, b, c failed in waves 1, 2, 3"), (3, None), (-1, None),
])
def test_failures_add_up_over_the_waves(max_failures: int, stops: str | None) -> None:
    plan = plan_of(dict.fromkeys("abcd", B))
    done = [wave(1, not_sent("a")), wave(2, not_sent("b"), sent("d")), wave(3, maybe_sent("c"))]
    assert plans.stopped(plan, done, max_failures) == ({"default": stops} if stops else {})


@pytest.mark.parametrize("row", [not_sent("a"), maybe_sent("a"), sent("a", "refused", changed=False, fingerprint=FOREIGN)])
def test_whatever_leaves_a_number_without_its_key_is_a_failure(row: Row) -> None:
    assert plans.stopped(plan_of({"a": B}), [wave(1, row)], 0) == {"default": "a failed in wave 1"}


def test_a_throttled_number_says_nothing_of_the_others() -> None:
    plan = plan_of(dict.fromkeys("abc", B))
    throttled = not_sent("a", error={"message": "The rate limit is reached.", "throttled": True})
    refused = not_sent("b", error={"message": "No permission.", "throttled": False})
    assert plans.stopped(plan, [wave(1, throttled)], 0) == {}
    assert plans.stopped(plan, [wave(1, throttled), wave(2, refused)], 0) == {"default": "b failed in wave 2"}


@pytest.mark.parametrize("row", [sent("a"), sent("a", "set"), sent("a", "resigned"), sent("a", "unchanged", changed=False)])
def test_what_has_its_key_is_none(row: Row) -> None:
    assert plans.stopped(plan_of({"a": B}), [wave(1, row)], 0) == {}


@pytest.mark.parametrize(("names", "told"), [
    ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, e and 1 more"), ("abcdefg", "a, b, c, d, e and 2 more"),
])
def test_only_so_many_numbers_are_named(names: str, told: str) -> None:
    done = wave(1, *(not_sent(name) for name in names))
    assert plans.stopped(plan_of(dict.fromkeys(names, B)), [done], 4) == {"default": f"{told} failed in wave 1"}


@pytest.mark.parametrize("published", [{}, {**UNREACHABLE}, {"msg": "No token.", "error": {"type": "InvalidOptions"}}])
def test_a_wave_without_rows_has_failed_as_a_whole(published: Row) -> None:
    done = [broken_wave(1, "a", "b", **published)]
    assert plans.stopped(plan_of(dict.fromkeys("abc", B)), done, 1) == {"default": "a, b failed in wave 1"}


def test_failures_count_for_their_key_alone() -> None:
    plan = two_keys()
    done = [wave(1, not_sent("a"), sent("p1", fingerprint=D, previous_fingerprint=A))]
    assert plans.stopped(plan, done, 0) == {"default": "a failed in wave 1"}
    assert plans.going(["b", "p2", "c"], plan, done, 0) == ["p2"]
    assert plans.going(["b", "p2", "c"], plan, done, 1) == ["b", "p2", "c"]
    done.append(wave(2, not_sent("p2")))
    assert plans.stopped(plan, done, 0) == {"default": "a failed in wave 1", "partner": "p2 failed in wave 2"}


def test_before_the_first_wave_all_numbers_go() -> None:
    assert plans.going(["a", "p1"], two_keys(), [], 0) == ["a", "p1"]


@pytest.mark.parametrize("max_failures", [0, -1])
def test_an_endpoint_that_does_not_decrypt_stops_its_key_whatever_is_allowed(max_failures: int) -> None:
    plan = two_keys()
    own = [proof("web-1", when="after wave 1"), proof("web-2", proven=False, when="after wave 1"),
           proof("web-1", key_name="partner", fingerprint=D, when="after wave 1")]
    done = [wave(1, sent("a"), sent("p1", fingerprint=D, previous_fingerprint=A), proofs=own)]
    assert plans.stopped(plan, done, max_failures) == {
        "default": "after wave 1 the endpoint web-2 did not decrypt what was published: HTTP 421.",
    }


def looked(state: str) -> Row:
    """What the keyring module answers before a wave: key C is what the run publishes."""
    return {"item": "default", "generations": [{"fingerprint": B, "state": "retired"}, {"fingerprint": C, "state": state}]}


@pytest.mark.parametrize("state", ["pending", "current"])
def test_a_key_that_is_still_to_be_published_goes_on(state: str) -> None:
    assert plans.overtaken([looked(state)], plan_of({"a": B}), {}) == {}


@pytest.mark.parametrize(("result", "why"), [
    (looked("revoked"), f"another run went on meanwhile: {C} is revoked"),
    (looked("retired"), f"another run went on meanwhile: {C} is retired"),
    ({"item": "default", "generations": []}, f"another run went on meanwhile: {C} is not in the keyring any more"),
    ({"item": "default", **UNREACHABLE},
     "its keyring could not be read again before a wave: Failed to connect to the host via ssh."),
])
def test_a_key_that_another_run_went_on_from_stops(result: Row, why: str) -> None:
    plan = two_keys()
    found = plans.overtaken([result], plan, {"partner": "was so before"})
    assert found == {"default": why, "partner": "was so before"}
    assert plans.stopped(plan, [], -1, found) == found
    only_default = {"default": why}
    assert plans.going(["a", "p1"], plan, [], -1, only_default) == ["p1"]
    row = plans.final_rows(plan, [], {}, only_default)[0]
    assert (row["outcome"], row["message"]) == ("skipped", f"It was not started, because {why}.")


def test_what_check_mode_cannot_know_stops_nothing() -> None:
    done = [wave(1, sent("a"), proofs=[proof(proven=None, when="after wave 1")])]
    assert plans.stopped(plan_of({"a": B}), done, 0) == {}


def test_the_first_reason_stands() -> None:
    failing = [proof(proven=False, when="after wave 1"), proof("web-2", proven=False, when="after wave 1")]
    plan = plan_of(dict.fromkeys("ab", B))
    first = plans.stopped(plan, [wave(1, not_sent("a"), proofs=failing)], 0)
    assert first == {"default": "a failed in wave 1"}
    assert plans.stopped(plan, [wave(1, not_sent("a"), proofs=failing), wave(2, not_sent("b"))], 0) == first
    assert "web-1" in plans.stopped(plan, [wave(1, sent("a"), proofs=failing), wave(2, not_sent("b"))], 0)["default"]


# -- what came of each number


def merged(row: Row | None, published: Row | None = None, held: str | None = B, status: str | None = "VALID") -> Row:
    return plans.merge_number(planned(held, status), row, published if published is not None else {"numbers": [row]}, {})


def what(row: Row, *names: str) -> tuple[t.Any, ...]:
    return tuple(row[name] for name in names)


def test_a_number_that_got_its_key() -> None:
    got = merged(sent(attempts=2, seconds=1.25))
    assert got == {
        "name": "shop", "phone_number_id": "id-shop", "provider": "cloud_api", "key_holder": None, "key_name": "default",
        "before": B, "after": C, "status": "VALID", "target": C, "outcome": "replaced", "message": "", "readable": True,
        "source": "read", "may_hold": [], "changed": True, "attempts": 2, "seconds": 1.25, "certain": True, "rolled_back": None,
    }


def test_a_number_without_a_key_before() -> None:
    got = merged(sent("shop", "set", previous_fingerprint=None), held=None)
    assert what(got, "before", "after", "certain") == (None, C, True)


def test_a_number_whose_post_was_refused_holds_what_it_held() -> None:
    got = merged(not_sent(message="no permission"))
    assert what(got, "outcome", "before", "after", "status", "changed", "certain", "message") == (
        "failed", B, B, "VALID", False, True, "no permission")


def test_a_number_that_was_not_even_read_again_keeps_what_was_planned() -> None:
    row = not_sent(fingerprint=None, previous_fingerprint=None, status=None, attempts=0)
    assert what(merged(row), "before", "after", "status", "certain") == (B, B, "VALID", True)


def test_where_nobody_knows_whether_the_key_was_taken() -> None:
    assert what(merged(maybe_sent()), "outcome", "before", "after", "status", "changed", "certain", "message") == (
        "failed", B, None, None, True, False, "cut")


def test_the_signature_is_that_of_the_key_that_is_held_now() -> None:
    assert merged(sent(status=None))["status"] is None
    assert merged(sent(status="MISMATCH"))["status"] == "MISMATCH"
    assert merged(sent("shop", "resigned", previous_fingerprint=C), held=C, status="MISMATCH")["status"] == "VALID"


@pytest.mark.parametrize(("shown", "certain"), [(B, False), (FOREIGN, False), (C, True)])
def test_after_a_post_only_the_new_key_is_certain(shown: str, certain: bool) -> None:
    """The API accepted the key, and may show the old one for a while."""
    got = merged(sent("shop", "failed", fingerprint=shown, error={"message": "it still shows another"}))
    assert what(got, "outcome", "after", "changed", "certain") == ("failed", shown, True, certain)


def test_another_key_that_somebody_set_meanwhile_is_named() -> None:
    row = sent("shop", "refused", changed=False, fingerprint=FOREIGN, previous_fingerprint=FOREIGN,
               error={"message": "Add it to expected_fingerprints"})
    got = merged(row)
    assert what(got, "outcome", "before", "after", "certain") == ("refused", FOREIGN, FOREIGN, True)
    assert FOREIGN in got["message"]
    assert "expected_fingerprints" not in got["message"]  # an option of the module, and not of the role


@pytest.mark.parametrize(("published", "why"), [
    ({}, "The API host gave no answer."), ({"skipped": True}, "The API host gave no answer."), ({"msg": "broken"}, "broken"),
    ({**UNREACHABLE}, UNREACHABLE["msg"]), ({"msg": "killed", "numbers": []}, "killed"),
])
def test_without_an_answer_of_the_fleet_module_it_is_not_known_what_was_sent(published: Row, why: str) -> None:
    got = merged(None, published)
    assert what(got, "outcome", "before", "after", "status", "changed", "certain", "attempts", "seconds") == (
        "failed", B, None, None, True, False, 0, 0.0)
    assert got["message"] == f"It is not known whether its key was sent: publishing broke off. {why}"


def test_a_refusal_of_the_fleet_module_sent_nothing() -> None:
    got = merged(None, {"failed": True, "msg": "No access token.", "error": {"type": "InvalidOptions"}})
    assert what(got, "outcome", "changed", "certain", "before", "after", "status", "message") == (
        "failed", False, True, B, B, "VALID", "No access token.")


def test_each_number_is_as_its_wave_left_it_or_as_it_was_planned() -> None:
    plan = plan_of({"a": B, "b": B, "c": C, "d": FOREIGN, "e": B, "f": None})
    rows = final_of(plan, wave(1, sent("a")), wave(2, not_sent("b")))
    assert list(rows) == list("abcdef")
    assert {name: what(row, "outcome", "wave", "after", "changed", "certain") for name, row in rows.items()} == {
        "a": ("replaced", 1, C, True, True), "b": ("failed", 2, B, False, True), "c": ("unchanged", None, C, False, True),
        "d": ("refused", None, FOREIGN, False, True), "e": ("skipped", None, B, False, True),
        "f": ("skipped", None, None, False, True),
    }
    assert rows["e"]["message"] == "It was not started, because b failed in wave 2."
    assert rows["c"]["message"] == ""
    assert all(row["rolled_back"] is None for row in rows.values())


def test_why_a_number_was_not_started() -> None:
    plan = two_keys()
    blocked = final_of(plan, wave(1, sent("p1", fingerprint=D)), blocks={"default": ["an endpoint is down"]})
    assert what(blocked["a"], "outcome", "message") == ("skipped", "Nothing is published for the key 'default', see its message.")
    assert what(blocked["p2"], "outcome", "message") == ("skipped", "It was not started.")
    assert blocked["p1"]["outcome"] == "replaced"


def test_a_blocked_key_leaves_what_is_as_it_should_be() -> None:
    rows = final_of(plan_of({"a": C, "b": FOREIGN}), blocks={"default": ["x"]})
    assert [rows[name]["outcome"] for name in "ab"] == ["unchanged", "refused"]


def test_of_a_number_that_could_not_be_read_nothing_is_certain() -> None:
    plan = plans.make_plan([number("a"), number("b", problem="no ID")], [unread("a")], [ring()])
    rows = final_of(plan)
    assert [what(rows[name], "outcome", "certain", "readable", "after") for name in "ab"] == [("failed", False, False, None)] * 2


def test_a_wave_that_broke_off_takes_only_its_own_numbers_with_it() -> None:
    plan = plan_of(dict.fromkeys("abcd", B))
    rows = final_of(plan, wave(1, sent("a")), broken_wave(2, "b", "c", **UNREACHABLE), max_failures=-1)
    assert [what(row, "outcome", "certain", "wave") for row in rows.values()] == [
        ("replaced", True, 1), ("failed", False, 2), ("failed", False, 2), ("skipped", True, None),
    ]


def test_a_row_that_the_fleet_module_left_out_is_unknown() -> None:
    plan = plan_of(dict.fromkeys("ab", B))
    done = plans.wave_done({"numbers": [sent("a")]}, 1, ["a", "b"], [])
    rows = final_of(plan, done)
    assert [what(row, "outcome", "certain") for row in rows.values()] == [("replaced", True), ("failed", False)]


def test_check_mode_is_predicted_wave_by_wave() -> None:
    """The fleet module says in check mode what it would do; the rows are those of a real run."""
    plan = plan_of(dict.fromkeys("abc", B), predicted_ring("default", ROTATING))
    rows = final_of(plan, wave(1, sent("a", attempts=0)), wave(2, sent("b", attempts=0), sent("c", attempts=0)))
    assert [what(row, "outcome", "before", "after", "wave") for row in rows.values()] == [
        ("replaced", B, C, 1), ("replaced", B, C, 2), ("replaced", B, C, 2),
    ]


# -- numbers whose provider cannot be asked: what is on record counts


def blind(record: Row | None, **options: t.Any) -> Row:
    row, = blind_plan({"shop": record}, **options)
    return row


@pytest.mark.parametrize(("record", "outcome", "readable", "force"), [
    (noted(C), "unchanged", True, False),
    (noted(B), "accepted", True, False),
    (noted(A), "accepted", True, False),
    (noted(C, certain=False), "accepted", False, True),
    (noted(B, C, certain=False), "accepted", False, True),
    (noted(FOREIGN), "refused", True, False),
    (noted(B, FOREIGN, certain=False), "refused", False, True),
    (None, "refused", False, False),
])
def test_the_plan_by_what_is_on_record(*, record: Row | None, outcome: str, readable: bool, force: bool) -> None:
    row = blind(record)
    assert what(row, "outcome", "publish", "readable", "force") == (outcome, outcome == "accepted", readable, force)
    assert what(row, "provider", "key_holder", "status", "target") == ("kaleyra", None, None, C)
    assert (row["business_public_key"] is not None) == row["publish"]
    assert bool(row["message"]) == (outcome == "refused")


def test_what_a_number_is_on_record_to_hold_is_as_good_as_read() -> None:
    assert what(blind(noted(B)), "source", "before", "after", "may_hold", "recorded") == ("recorded", B, B, [B], B)


def test_what_is_sent_on_a_record_is_a_compare_and_set() -> None:
    assert blind(noted(B))["expected"] == [A, B, C]
    assert blind(noted(FOREIGN), replaceable=[FOREIGN])["expected"] == [A, B, C, FOREIGN]


def test_of_a_number_that_may_hold_several_keys_none_is_told() -> None:
    row = blind(noted(A, B, certain=False))
    assert what(row, "source", "before", "after", "may_hold") == (None, None, None, [A, B])


@pytest.mark.parametrize(("record", "options", "expected"), [
    (None, {"replace_foreign": True}, None),
    (noted(FOREIGN), {"replace_foreign": True}, [A, B, C, FOREIGN]),
    (noted(FOREIGN), {"replaceable": [FOREIGN]}, [A, B, C, FOREIGN]),
    (noted(B, FOREIGN, certain=False), {"replaceable": [FOREIGN]}, [A, B, C, FOREIGN]),
])
def test_foreign_keys_are_replaced_where_that_is_allowed(record: Row | None, options: Row, expected: list[str] | None) -> None:
    assert what(blind(record, **options), "outcome", "expected", "message") == ("accepted", expected, "")


def test_what_may_be_replaced_by_name_is_none_of_the_unknown() -> None:
    assert blind(None, replaceable=[FOREIGN])["outcome"] == "refused"


def test_a_number_without_a_record_is_told_how_it_gets_one() -> None:
    message = blind(None)["message"]
    for text in ("kaleyra", "'default' has none on record", "encryption_keys_replace_foreign: true", "once for this number"):
        assert text in message


@pytest.mark.parametrize("record", [noted(FOREIGN), noted(B, FOREIGN, certain=False)])
def test_a_foreign_key_on_record_is_named(record: Row) -> None:
    message = blind(record)["message"]
    for text in (FOREIGN, "Import its private half", "encryption_keys_replaceable_fingerprints"):
        assert text in message


def test_the_record_of_a_number_that_can_be_read_does_not_count() -> None:
    state = ring(accepted={"id-shop": noted(C)})
    row, = plans.make_plan([number()], [read("shop", B)], [state])
    assert what(row, "outcome", "before", "source", "may_hold", "recorded", "force") == ("replaced", B, "read", [], None, False)


def test_a_number_that_was_moved_is_on_record_where_it_was_before() -> None:
    """What it holds is foreign to its new keyring, but known."""
    rings = [ring(accepted={"id-a": noted(C)}), ring("partner", "D:current")]
    row, = plans.make_plan([number("a", "partner")], [unasked("a")], rings)
    assert what(row, "outcome", "source", "before") == ("refused", "recorded", C)
    allowed, = plans.make_plan([number("a", "partner")], [unasked("a")], rings, replaceable=[C])
    assert what(allowed, "outcome", "recorded", "target") == ("accepted", C, D)


def test_the_record_of_the_numbers_own_keyring_counts_first() -> None:
    rings = [ring(accepted={"id-a": noted(C)}), ring("partner", "D:current", accepted={"id-a": noted(D)})]
    row, = plans.make_plan([number("a", "partner")], [unasked("a")], rings)
    assert what(row, "outcome", "before") == ("unchanged", D)


def test_with_a_keyring_that_cannot_be_used_nothing_is_planned() -> None:
    row, = plans.make_plan([number("a")], [unasked("a")], [broken_ring()])
    assert what(row, "outcome", "publish", "provider", "source", "readable") == ("skipped", False, "kaleyra", None, False)


def test_what_is_held_is_not_taken_from_records() -> None:
    assert plans.held([{**unasked("a"), "fingerprint": A}, read("b", B)]) == [B]


# -- numbers that share one key


def sharing(*key_names: str, holder: str = "app 1", **members: t.Any) -> Rows:
    """Return the plan for numbers a, b, … of one app, by the names of their keyrings."""
    names = "abcd"[:len(key_names)]
    numbers = [number(name, key_name) for name, key_name in zip(names, key_names)]
    found = [{**read(name), "provider": "gupshup", "key_holder": holder, **members} for name in names]
    return plans.make_plan(numbers, found, [ring(), ring("partner", "B:current D:pending"), broken_ring("broken")])


def test_numbers_that_share_a_key_and_want_the_same_are_planned() -> None:
    assert [what(row, "outcome", "key_holder") for row in sharing("default", "default")] == [("replaced", "app 1")] * 2


def test_numbers_that_share_a_key_and_want_different_ones_are_all_refused() -> None:
    rows = sharing("default", "partner", "default")
    assert [what(row, "outcome", "publish") for row in rows] == [("refused", False)] * 3
    for row in rows:
        assert "app 1" in row["message"]
        assert "whatsapp_key_name" in row["message"]
    assert plans.make_waves(rows, [], ["100%"]) == []


@pytest.mark.parametrize("members", [{"holder": None}, {"outcome": "failed", "error": {"message": "x"}}])
def test_what_is_not_known_to_be_shared_is_not_refused(members: Row) -> None:
    assert "refused" not in [row["outcome"] for row in sharing("default", "partner", **members)]


def test_holders_of_different_providers_are_different_ones() -> None:
    rings = [ring(), ring("partner", "B:current D:pending")]
    found = [{**read("a"), "provider": "gupshup", "key_holder": "app 1"}, {**read("b"), "provider": "x", "key_holder": "app 1"}]
    rows = plans.make_plan([number("a"), number("b", "partner")], found, rings)
    assert [row["outcome"] for row in rows] == ["replaced", "replaced"]


# -- what came of numbers that cannot be asked


def blind_merged(record: Row | None, row: Row | None, published: Row | None = None, **lost: str) -> Row:
    return plans.merge_number(blind(record, replace_foreign=True), row, published or {"numbers": [row]}, lost)


@pytest.mark.parametrize(("record", "before"), [(noted(B), B), (None, None)])
def test_a_number_that_accepted_its_key(record: Row | None, before: str | None) -> None:
    got = blind_merged(record, taken(previous_fingerprint=before))
    assert what(got, "outcome", "before", "after", "source", "certain", "readable", "may_hold", "changed", "status") == (
        "accepted", before, C, "recorded", True, True, [], True, None)


def test_a_number_that_can_be_read_once_it_has_its_key() -> None:
    got = blind_merged(noted(B), taken(fingerprint_source="read", status="VALID"))
    assert what(got, "after", "source", "status", "certain", "readable") == (C, "read", "VALID", True, True)


def test_a_number_that_can_no_longer_be_read() -> None:
    assert what(merged(taken()), "outcome", "after", "source", "certain", "readable") == ("accepted", C, "recorded", True, True)


def test_a_number_that_did_not_take_its_key_holds_what_is_on_record() -> None:
    got = blind_merged(noted(B), not_sent(fingerprint_source="recorded", status=None))
    assert what(got, "outcome", "before", "after", "source", "certain", "readable", "may_hold") == (
        "failed", B, B, "recorded", True, True, [B])


@pytest.mark.parametrize(("record", "may_hold"), [(noted(A, B, certain=False), [A, B]), (None, [])])
def test_what_was_not_known_is_not_known_after_a_failure(record: Row | None, may_hold: list[str]) -> None:
    row = not_sent(fingerprint=may_hold[0] if may_hold else None, previous_fingerprint=None, status=None)
    got = blind_merged(record, row)
    assert what(got, "outcome", "source", "certain", "readable", "may_hold") == ("failed", None, False, False, may_hold)


def test_where_nobody_knows_whether_a_number_took_its_key_it_may_hold_either() -> None:
    got = blind_merged(noted(B), {**maybe_sent(), "provider": "kaleyra"})
    assert what(got, "before", "after", "target", "source", "certain", "may_hold", "changed") == (
        B, None, C, "recorded", False, [B], True)


def test_without_an_answer_nobody_knows_either() -> None:
    got = blind_merged(noted(A, B, certain=False), None, {**UNREACHABLE})
    assert what(got, "after", "certain", "may_hold", "changed", "readable") == (None, False, [A, B], True, False)


@pytest.mark.parametrize(("record", "certain"), [(noted(B), True), (noted(A, B, certain=False), False), (None, False)])
def test_what_could_not_be_noted_was_not_sent(record: Row | None, certain: bool) -> None:
    got = blind_merged(record, None, {"skipped": True}, default="disk full")
    assert what(got, "outcome", "changed", "certain", "attempts") == ("failed", False, certain, 0)
    assert got["message"] == "Nothing was sent, because the vault host could not note it beforehand: disk full"


def test_numbers_that_can_be_read_need_no_note() -> None:
    plan = planned(B)
    assert plans.merge_number(plan, sent(), {"numbers": [sent()]}, {"default": "disk full"})["outcome"] == "replaced"
    lost = blind_merged(noted(B), taken(), partner="disk full")
    assert lost["outcome"] == "accepted"


def test_a_wave_that_could_not_be_noted_stops_its_key() -> None:
    plan = blind_plan(dict.fromkeys("ab", noted(B)))
    done = [plans.wave_done({"skipped": True}, 1, ["a"], [], noted=[not_noted()])]
    assert done[0]["not_noted"] == {"default": "disk full"}
    assert plans.stopped(plan, done, 0) == {"default": "a failed in wave 1"}
    rows = final_of(plan, *done)
    assert [what(row, "outcome", "certain", "after", "changed") for row in rows.values()] == [
        ("failed", True, B, False), ("skipped", True, B, False),
    ]


def test_numbers_that_nothing_was_sent_to_tell_how_their_key_is_known() -> None:
    rows = final_of(blind_plan({"a": noted(C), "b": None, "c": noted(B)}), blocks={"default": ["x"]})
    assert {name: what(row, "outcome", "source", "certain", "after") for name, row in rows.items()} == {
        "a": ("unchanged", "recorded", True, C), "b": ("refused", None, False, None), "c": ("skipped", "recorded", True, B),
    }


def test_a_run_over_numbers_that_can_and_that_cannot_be_asked() -> None:
    state = ring(accepted={"id-b": noted(B), "id-c": noted(B), "id-d": noted(C)})
    answers = [read("a"), *(unasked(name) for name in "bcd")]
    plan = plans.make_plan([number(name) for name in "abcd"], answers, [state])
    rows = final_of(plan, wave(1, sent("a")), wave(2, taken("b")), broken_wave(3, "c", **UNREACHABLE))
    assert {name: what(row, "outcome", "after", "source", "certain") for name, row in rows.items()} == {
        "a": ("replaced", C, "read", True), "b": ("accepted", C, "recorded", True), "c": ("failed", None, "recorded", False),
        "d": ("unchanged", C, "recorded", True),
    }


# -- what a review found


def test_of_two_records_the_newest_counts() -> None:
    old, new = {**noted(C), "at": "2026-03-01T12:00:00Z"}, {**noted(D), "at": "2026-03-02T12:00:00Z"}
    rings = [ring(accepted={"id-a": old}), ring("partner", "D:current", accepted={"id-a": new})]
    row, = plans.make_plan([number("a")], [unasked("a")], rings)
    assert row["before"] == D


def test_numbers_of_one_app_under_two_key_names_are_refused_although_one_cannot_be_read() -> None:
    shared = {"provider": "gupshup", "key_holder": "app 1"}
    asked = [{**read("a"), **shared}, {**unread("b"), **shared}]
    rows = plans.make_plan([number("a"), number("b", "partner")], asked, [ring(), ring("partner", "D:current")])
    assert [what(row, "outcome", "publish") for row in rows] == [("refused", False), ("failed", False)]


def test_who_shares_a_key_that_was_changed_tells_what_it_holds_now() -> None:
    shared = {"provider": "gupshup", "key_holder": "app 1"}
    rows = plans.make_plan([number("a"), number("b")], [{**read("a"), **shared}, {**read("b"), **shared}], [ring()])
    done = plans.wave_done({"numbers": [{**sent("a"), **shared}]}, 1, ["a"], [])
    found = {row["name"]: row for row in plans.final_rows(rows, [done], {}, {"default": "stopped"})}
    assert what(found["b"], "outcome", "after", "certain") == ("skipped", C, True)


def test_what_the_numbers_of_a_key_hold_counts_as_often_as_they_hold_it() -> None:
    fleet = [{"name": name, "key_name": "other" if name == "e" else "default"} for name in "abcde"]
    held = {"a": A, "b": B, "c": A, "d": None, "e": C}
    read = [{"name": name, "outcome": "read", "fingerprint": fingerprint} for name, fingerprint in held.items()]
    assert plans.held_by(fleet, read, "default") == [A, B, A]
    assert plans.held_by(fleet, [{**row, "outcome": "failed"} for row in read], "default") == []


@pytest.mark.attack("recovered", "keyring.json lost while numbers cannot be read, or are left out by a limit")
@pytest.mark.parametrize(("damaged", "outcomes", "left_out", "chosen", "expected"), [
    (True, "read read", "", {}, []),
    (True, "read unknown", "", {}, []),  # nobody can ask that provider
    (True, "read failed", "", {}, ["key default: b"]),
    (True, "read", "", {}, ["key default: b"]),  # its variables cannot be used, so nobody asked for it
    (True, "read read", "c", {}, ["key default: c"]),
    (True, "failed failed", "cdefgh", {}, ["key default: a, b, c, d, e and 3 more"]),
    (True, "failed failed", "c", {"default": A}, []),
    (False, "failed failed", "c", {}, []),
])
def test_which_key_most_numbers_hold_is_told_by_all_of_them(
    *, damaged: bool, outcomes: str, left_out: str, chosen: dict[str, str], expected: list[str]
) -> None:
    fleet = [{"name": "a", "key_name": "default"}, {"name": "b", "key_name": "default"}, {"name": "x", "key_name": "other"}]
    read = [{"name": name, "outcome": outcome} for name, outcome in zip("ab", outcomes.split(), strict=False)]
    others = [{"name": name, "key_name": "default"} for name in left_out] + [{"name": "y", "key_name": "other"}]
    results: list[dict[str, t.Any]] = [
        {"item": "default", "changed": damaged}, {"item": "other", "changed": False}, {"failed": True},
    ]
    assert plans.undecided(results, fleet=fleet, read=read, left_out=others, chosen=chosen) == expected
