# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thinking of the role: numbers from host variables, the plan, what may be promoted, the report."""

from __future__ import annotations

import typing as t

import pytest
from jinja2 import StrictUndefined

from ansible_collections.waba.flows.plugins.plugin_utils import _rotation as rotation
from ansible_collections.waba.flows.tests.unit.helpers import Keys

Row = rotation.Row


def number(name: str = "shop", **variables: t.Any) -> Row:
    return rotation.collect_numbers([name], {name: {f"whatsapp_{key}": value for key, value in variables.items()}})[0]


def read_row(fingerprint: str | None, status: str | None = "VALID", name: str = "shop") -> Row:
    return {"name": name, "outcome": "read", "fingerprint": fingerprint, "status": status}


def ring(keys: Keys, state: str = "current", **members: t.Any) -> Row:
    """A usable keyring whose key to publish is a; b is retired."""
    return {
        "name": "default", "to_publish": {"fingerprint": keys.a.fingerprint, "business_public_key": keys.a.pem, "state": state},
        "generations": [{"fingerprint": keys.a.fingerprint}, {"fingerprint": keys.b.fingerprint}],
        "pending": keys.a.fingerprint if state == "pending" else None, "predicted": False, "check_mode": False,
        "message": "", **members,
    }


def planned(keys: Keys, fingerprint: str | None, status: str = "VALID", **options: t.Any) -> Row:
    return rotation.make_plan([number(phone_number_id="1")], [read_row(fingerprint, status)], [ring(keys)], **options)[0]


def final(outcome: str, after: str | None, name: str = "shop", **members: t.Any) -> Row:
    return {"name": name, "phone_number_id": "1", "key_name": "default", "before": None, "after": after, "status": "VALID",
            "outcome": outcome, "message": "", "readable": True, **members}


# -- numbers


def test_options_are_taken_from_the_variables_of_their_names() -> None:
    row = number(phone_number_id=106, access_token="t", key_name="partner", timeout=5, display_phone_number="+49")
    assert row == {"name": "shop", "key_name": "partner", "phone_number_id": "106", "access_token": "t", "timeout": 5}


def test_a_host_named_by_digits_is_its_id() -> None:
    assert number("106", access_token="t")["phone_number_id"] == "106"


@pytest.mark.parametrize(("variables", "message"), [
    ({}, "set the host variable whatsapp_phone_number_id"),
    ({"phone_number_id": "1", "key_name": "a/b"}, "whatsapp_key_name may hold"),
    ({"phone_number_id": "1", "access_token": "{{ nowhere }}"}, "whatsapp_access_token cannot be templated"),
    ({"phone_number_id": "1", "access_token": StrictUndefined(name="nowhere")}, "'nowhere' is undefined"),
    ({"phone_number_id": "1", "provider": "pigeon"}, "provider must be one of"),
    ({"phone_number_id": "1", "timeout": "soon"}, "timeout"),
    ({"phone_number_id": "1", "validate_certs": "perhaps"}, "validate_certs"),
])
def test_a_mistake_in_a_host_is_that_hosts_alone(variables: Row, message: str) -> None:
    hosts = {"bad": {f"whatsapp_{key}": value for key, value in variables.items()}, "good": {"whatsapp_phone_number_id": "2"}}
    bad, good = rotation.collect_numbers(hosts, hosts)
    assert message in bad["problem"]
    assert "access_token" not in bad
    assert "problem" not in good
    assert [row["name"] for row in rotation.for_module([bad, good], {})] == ["good"]


def test_public_rows_hold_no_credentials() -> None:
    rows = rotation.public_rows([number(phone_number_id="1", access_token="t", app_secret="s")])
    assert rows == [{"name": "shop", "phone_number_id": "1", "key_name": "default"}]


def test_credentials_of_the_environment_are_for_those_without_their_own() -> None:
    rows = [number("a", phone_number_id="1"), number("b", phone_number_id="2", access_token="own")]
    given = rotation.for_module(rows, {"access_token": "shared", "app_secret": ""})
    assert [row["access_token"] for row in given] == ["shared", "own"]
    assert all("app_secret" not in row and "key_name" not in row for row in given)


# -- plan


def test_the_plan_of_each_state(keys: Keys) -> None:
    a, b, foreign = keys.a.fingerprint, keys.b.fingerprint, keys.c.fingerprint
    outcomes = {
        (None, "MISMATCH"): "set", (a, "VALID"): "unchanged", (a, "MISMATCH"): "resigned", (b, "VALID"): "replaced",
        (foreign, "VALID"): "refused",
    }
    assert {case: planned(keys, *case)["outcome"] for case in outcomes} == outcomes
    assert {case: planned(keys, *case)["publish"] for case in outcomes} == {
        case: outcome in ("set", "resigned", "replaced") for case, outcome in outcomes.items()
    }


def test_a_foreign_key_is_named_with_the_ways_to_allow_it(keys: Keys) -> None:
    row = planned(keys, keys.c.fingerprint)
    for text in (keys.c.fingerprint, "encryption_keys_replaceable_fingerprints", "encryption_keys_replace_foreign"):
        assert text in row["message"]


@pytest.mark.parametrize("options", ["replace_foreign", "replaceable"])
def test_a_foreign_key_that_may_be_replaced_is_part_of_the_compare_and_set(keys: Keys, options: str) -> None:
    allowed: Row = {"replace_foreign": True} if options == "replace_foreign" else {"replaceable": [keys.c.fingerprint]}
    row = planned(keys, keys.c.fingerprint, **allowed)
    assert row["outcome"] == "replaced"
    assert sorted(row["expected"]) == sorted(key.fingerprint for key in (keys.a, keys.b, keys.c))


def test_replacing_foreign_keys_does_not_allow_one_that_was_not_seen(keys: Keys) -> None:
    assert keys.c.fingerprint not in planned(keys, keys.b.fingerprint, replace_foreign=True)["expected"]


def test_numbers_that_cannot_be_published_to(keys: Keys) -> None:
    failed = {"name": "shop", "outcome": "failed", "error": {"message": "no such number"}}
    row = number(phone_number_id="1")
    assert rotation.make_plan([row], [failed], [ring(keys)])[0]["message"] == "no such number"
    assert rotation.make_plan([row], [], [ring(keys)])[0]["outcome"] == "failed"
    unusable = {**ring(keys), "to_publish": None, "message": "wrong passphrase"}
    assert rotation.make_plan([row], [read_row(None)], [unusable])[0]["outcome"] == "skipped"
    assert rotation.make_plan([number()], [], [ring(keys)])[0]["outcome"] == "failed"


def test_a_replaceable_fingerprint_that_is_none_is_named(keys: Keys) -> None:
    with pytest.raises(ValueError, match="encryption_keys_replaceable_fingerprints: 'x' is not"):
        planned(keys, None, replaceable=["x"])


def test_only_the_numbers_of_the_plan_are_published(keys: Keys) -> None:
    rows = [number("a", phone_number_id="1", access_token="t"), number("b", phone_number_id="2")]
    read = [read_row(keys.b.fingerprint, name="a"), read_row(keys.a.fingerprint, name="b")]
    plan = rotation.make_plan(rows, read, [ring(keys)])
    given = rotation.for_module(rows, {}, plan)
    assert [(row["name"], row["access_token"], row["business_public_key"]) for row in given] == [("a", "t", keys.a.pem)]
    assert given[0]["expected_fingerprints"] == sorted([keys.a.fingerprint, keys.b.fingerprint])


# -- outcome


def merged(keys: Keys, published: Row | None) -> Row:
    return rotation.merge_published([planned(keys, keys.b.fingerprint)], published)[0]


def test_what_the_fleet_module_says_counts(keys: Keys) -> None:
    row = {"name": "shop", "outcome": "failed", "fingerprint": None, "previous_fingerprint": keys.b.fingerprint, "status": None,
           "changed": True, "attempts": 2, "error": {"message": "cut"}}
    got = merged(keys, {"numbers": [row]})
    assert (got["outcome"], got["changed"], got["attempts"], got["message"], got["after"]) == ("failed", True, 2, "cut", None)
    raced = merged(keys, {"numbers": [{**row, "outcome": "refused", "fingerprint": keys.c.fingerprint}]})
    assert keys.c.fingerprint in raced["message"]
    assert "expected_fingerprints" not in raced["message"]


def test_a_number_that_was_not_started_keeps_what_was_planned(keys: Keys) -> None:
    row = {"name": "shop", "outcome": "skipped", "fingerprint": None, "previous_fingerprint": None, "status": None,
           "changed": False, "attempts": 0, "error": {"message": ""}}
    plan = planned(keys, keys.b.fingerprint)
    got = merged(keys, {"numbers": [row]})
    assert got == {
        **{name: plan[name] for name in ("name", "phone_number_id", "key_name", "before", "after", "status", "readable")},
        "outcome": "skipped", "changed": False, "attempts": 0,
        "message": "It was not started, because more numbers had failed than encryption_keys_max_failures allows.",
    }
    assert (got["before"], got["after"]) == (keys.b.fingerprint, keys.b.fingerprint)


@pytest.mark.parametrize(("published", "why"), [
    (None, "The API host gave no answer."), ({}, "The API host gave no answer."),
    ({"skipped": True}, "The API host gave no answer."),
    ({"msg": "broken"}, "broken"), ({"unreachable": True, "msg": "Failed to connect"}, "Failed to connect"),
])
def test_without_an_answer_of_the_fleet_module_it_is_not_known_what_was_sent(
    published: Row | None, why: str, keys: Keys
) -> None:
    got = merged(keys, published)
    assert (got["outcome"], got["changed"], got["before"], got["after"], got["status"]) == (
        "failed", False, keys.b.fingerprint, None, None)
    assert got["message"] == f"It is not known whether its key was sent: publishing broke off. {why}"


def test_a_refusal_of_the_fleet_module_sent_nothing(keys: Keys) -> None:
    got = merged(keys, {"failed": True, "msg": "No access token.", "error": {"type": "InvalidOptions"}})
    assert (got["outcome"], got["changed"], got["message"]) == ("failed", False, "No access token.")
    assert (got["before"], got["after"], got["status"]) == (keys.b.fingerprint, keys.b.fingerprint, "VALID")


@pytest.mark.parametrize("published", [None, {}, {"msg": "x", "error": {}}])
def test_what_was_not_to_be_published_stands_whatever_the_fleet_module_says(published: Row | None, keys: Keys) -> None:
    got = rotation.merge_published([planned(keys, keys.a.fingerprint)], published)[0]
    assert (got["outcome"], got["after"], got["message"]) == ("unchanged", keys.a.fingerprint, "")


@pytest.mark.parametrize(("others", "left_out", "ready"), [
    ([], 0, True),
    ([], 1, False),
    ([final("refused", "other")], 0, True),
    ([final("failed", None, readable=False)], 0, True),
    ([final("failed", None)], 0, False),
    ([final("skipped", None)], 0, False),
    ([final("unchanged", "other")], 0, False),
    ([final("failed", None, key_name="partner")], 0, True),
])
def test_a_key_is_promoted_when_all_hold_it_that_were_read_and_not_refused(
    keys: Keys, others: list[Row], left_out: int, ready: bool
) -> None:
    rows = [final("replaced", keys.a.fingerprint), *others]
    promotable = rotation.promotable([ring(keys, "pending")], rows, left_out)
    assert promotable == ([{"name": "default", "fingerprint": keys.a.fingerprint, "predicted": False}] if ready else [])


def test_a_key_that_nobody_holds_or_that_is_current_is_not_promoted(keys: Keys) -> None:
    assert rotation.promotable([ring(keys, "pending")], [final("refused", "other")], 0) == []
    assert rotation.promotable([ring(keys)], [final("unchanged", keys.a.fingerprint)], 0) == []


# -- report


def report(rows: list[Row], keyrings: list[Row], promoted: list[Row], left_out: int = 0, forced: bool = False) -> Row:
    return rotation.make_report(rows, keyrings, promoted, left_out, forced)


def test_numbers_that_share_a_cause_share_a_line(keys: Keys) -> None:
    rows = [final("failed", None, name=name, message=message) for name, message in (("a", "x"), ("b", "y"), ("c", "x"))]
    assert report(rows, [ring(keys)], [])["failures"] == ["a (1), c (1): failed: x", "b (1): failed: y"]


def test_a_clean_run_has_no_failures(keys: Keys) -> None:
    got = report([final("replaced", keys.a.fingerprint)], [ring(keys, "pending")], [{"name": "default", "message": ""}])
    assert got["failures"] == []
    assert got["counts"] == {"replaced": 1}
    assert f"key default: {keys.a.fingerprint}, promoted to current" in got["lines"]


def test_keyring_and_promotion_failures_are_named(keys: Keys) -> None:
    broken = {**ring(keys), "to_publish": None, "message": "wrong passphrase"}
    assert report([], [broken], [])["failures"] == ["default (keyring): wrong passphrase"]
    answers = [{"item": {"name": "default"}, "msg": "disk full"}]
    done = rotation.promoted_rows([{"name": "default", "fingerprint": "f", "predicted": False}], answers)
    assert report([], [ring(keys, "pending")], done)["failures"] == ["default (promotion): disk full"]


FORCE_LINE = "To go on, run again without encryption_keys_force: with it, keys that are done are rotated once more."


@pytest.mark.parametrize(("forced", "check_mode", "outcome", "told"), [
    (True, False, "failed", True), (True, False, "skipped", True), (True, False, "refused", True),
    (False, False, "failed", False), (True, True, "failed", False), (True, False, "replaced", False),
])
def test_after_failures_of_a_forced_run_the_last_line_says_to_leave_out_force(
    *, forced: bool, check_mode: bool, outcome: str, told: bool, keys: Keys
) -> None:
    rows = [final(outcome, keys.a.fingerprint, message="x")]
    failures = report(rows, [ring(keys, check_mode=check_mode)], [], forced=forced)["failures"]
    assert failures == [f"shop (1): {outcome}: x"] * (outcome != "replaced") + [FORCE_LINE] * told


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_keyrings_tell_whether_it_was_check_mode(check_mode: bool, keys: Keys) -> None:
    answer = {"item": "default", **ring(keys, check_mode=check_mode)}
    lines = report([], rotation.keyring_rows([answer]), [])["lines"]
    assert any(line.startswith("Check mode: nothing was changed") for line in lines) is check_mode


def test_one_keyring_in_check_mode_is_enough(keys: Keys) -> None:
    broken = rotation.keyring_rows([{"item": "partner", "msg": "wrong passphrase"}])
    assert broken[0]["check_mode"] is False
    got = report([], [*broken, ring(keys, check_mode=True)], [], forced=True)
    assert got["failures"] == ["partner (keyring): wrong passphrase"]
    assert any("Check mode" in line for line in got["lines"])


def test_a_predicted_key_is_shown_as_new(keys: Keys) -> None:
    rows = [final("replaced", keys.a.fingerprint)]
    text = "\n".join(report(rows, [ring(keys, "pending", predicted=True, check_mode=True)], [])["lines"])
    assert keys.a.fingerprint[:19] not in text
    assert "(new)" in text
    assert "Check mode" in text


@pytest.mark.parametrize(("count", "shown"), [(49, 49), (50, 1), (500, 1)])
def test_a_long_table_leaves_out_the_unchanged(keys: Keys, count: int, shown: int) -> None:
    rows = [final("unchanged", keys.a.fingerprint, name=f"n{i}") for i in range(count - 1)] + [final("set", keys.a.fingerprint)]
    lines = report(rows, [ring(keys)], [])["lines"]
    assert sum(line.startswith(("n", "shop")) and not line.startswith("number") for line in lines) == shown
    assert any(f"{count - shown} unchanged numbers are not shown" in line for line in lines) == (shown < count)
