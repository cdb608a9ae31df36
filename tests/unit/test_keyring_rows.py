# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keyring and endpoint modules answer, into rows: keyrings, replicas, copies, deployments."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.waba.flows.plugins.module_utils._host_argspec import KEYRING_SPEC
from ansible_collections.waba.flows.plugins.plugin_utils import _keyring_rows as keyrings
from ansible_collections.waba.flows.tests.unit.role_rows import (
    ROTATING,
    UNREACHABLE,
    A,
    B,
    C,
    D,
    Row,
    Rows,
    answer,
    at,
    broken_ring,
    exported,
    generation,
    generations,
    noted,
    pem,
    predicted_ring,
    put,
    put_key,
    ring,
)

FAILED: t.Final = {"failed": True, "msg": "wrong passphrase", "error": {"type": "KeyringError"}}


# -- keyrings


def test_the_row_of_a_keyring() -> None:
    result = answer("default", due_at="2026-06-01T12:00:00Z", reencrypted=[B], exported={"secret": "text"}, pruned=[D],
                    accepted={"106": noted(C)}, lease={"owner": "me", "expires_at": None, "other": {"owner": "you"}})
    assert keyrings.keyring_rows([result]) == [{
        "name": "default", "to_publish": {"fingerprint": C, "business_public_key": pem(C), "state": "pending"},
        "generations": generations(ROTATING), "pruned": [D], "accepted": {"106": noted(C)}, "pending": C, "current": B,
        "predicted": False, "check_mode": False, "due_at": "2026-06-01T12:00:00Z", "other_run": {"owner": "you"},
        "reencrypted": [B], "message": "",
    }]


@pytest.mark.parametrize("lease", [None, {"owner": "me", "expires_at": "2026-03-01T12:00:00Z", "other": None}])
def test_no_other_run_is_at_work(lease: Row | None) -> None:
    assert ring(lease=lease)["other_run"] is None


@pytest.mark.parametrize(("result", "message"), [
    ({**FAILED}, "wrong passphrase"), ({**UNREACHABLE}, UNREACHABLE["msg"]), ({}, "The vault host gave no answer."),
    ({"msg": ""}, "The vault host gave no answer."), ({"to_publish": None, "generations": []}, "The vault host gave no answer."),
])
def test_a_keyring_that_cannot_be_used_says_why(result: Row, message: str) -> None:
    row, = keyrings.keyring_rows([{"item": "default", **result}])
    assert row == {
        "name": "default", "to_publish": None, "generations": [], "pruned": [], "accepted": {}, "pending": None,
        "current": None, "predicted": False, "check_mode": False, "due_at": None, "other_run": None, "reencrypted": [],
        "message": message,
    }


def test_predictions_are_told_as_such() -> None:
    row = predicted_ring()
    assert (row["predicted"], row["check_mode"], row["message"]) == (True, True, "")


def test_keys_that_were_left_alone_are_rows_as_well() -> None:
    problems = {"partner": "replica down", "mine": "replica down"}
    rows = keyrings.keyring_rows([answer("default"), {"item": "mine", **FAILED}], problems)
    assert [(row["name"], row["message"]) for row in rows] == [
        ("default", ""), ("mine", "wrong passphrase"), ("partner", "replica down"),
    ]
    assert {key: value for key, value in rows[2].items() if key not in ("name", "message")} == {
        key: value for key, value in broken_ring().items() if key not in ("name", "message")
    }


# -- replicas


def test_what_copies_know_the_vault_host_must_know() -> None:
    results = [
        answer(at("r1"), "A:retired B:current C:pending"), answer(at("r2"), "A:retired B:current", serial=8),
        answer(at("r1", "partner"), "D:pending"), answer(at("r2", "partner"), ""), answer(at("r1", "new"), ""),
    ]
    assert keyrings.replica_view(results) == {
        "required": {"default": [A, B, C], "partner": [D], "new": []}, "problems": {},
        "newest": {"default": {"serial": 8, "host": "r2"}, "partner": {"serial": 7, "host": "r1"},
                   "new": {"serial": 7, "host": "r1"}},
    }


def test_a_keyring_that_is_behind_its_newest_copy_is_told_with_what_to_do() -> None:
    newest = {name: {"serial": 7, "host": "r1"} for name in ("default", "partner")}
    results = [answer("default", serial=6), answer("partner"), answer("new", serial=0), {"item": "default", **FAILED}]
    (message,) = keyrings.behind(results, newest)
    assert message.startswith("The keyring 'default' is at change 6, its copy on r1 at change 7. ")
    assert message.endswith("waba.flows.restore -e encryption_keys_restore_from=r1")


def test_a_replica_that_cannot_be_used_is_a_problem_of_the_keys_that_it_copies() -> None:
    results = [answer(at("r1")), {"item": at("r2"), **UNREACHABLE}, {"item": at("r2", "partner"), **FAILED},
               {"item": at("r3", "new")}]
    found = keyrings.replica_view(results)
    assert found["required"] == {"default": [A, B, C]}
    assert found["problems"] == {
        "default": f"Nothing was done with it, because the replica r2 cannot be used: {UNREACHABLE['msg']}",
        "partner": "Nothing was done with it, because the replica r2 cannot be used: wrong passphrase",
        "new": "Nothing was done with it, because the replica r3 cannot be used: It gave no answer.",
    }


def test_each_replica_gets_a_copy_of_each_keyring() -> None:
    assert keyrings.copies(["r1", "r2"], ["default", "partner"]) == [
        at("r1"), at("r1", "partner"), at("r2"), at("r2", "partner"),
    ]
    assert keyrings.copies([], ["default"]) == keyrings.copies(["r1"], []) == []


def source_problems(source: Row) -> list[str]:
    """Return what the module has against its option source."""
    options = {"state": "mirrored", "source": source}
    return list(ArgumentSpecValidator(KEYRING_SPEC).validate(options).error_messages)


def test_a_copy_is_made_of_what_was_exported() -> None:
    results = [exported("partner", "D:current"), {**exported(), "accepted": {"106": noted(C)}, "pruned": [D]}]
    source = keyrings.copy_source(results, "default")
    assert source == {
        "generations": generations(ROTATING), "accepted": {"106": noted(C)}, "pruned": [D], "serial": 7,
        "private_keys": results[1]["exported"],
    }
    assert source_problems(source) == []


def test_of_a_copy_whose_original_was_lost_no_record_is_certain() -> None:
    """Its records may be those from before numbers were sent the key that was about to come; so they are sent one again."""
    results = [{**exported("default", "A:revoked B:retired C:current D:pending"), "accepted": {"106": noted(C), "107": noted(A)}}]
    source = keyrings.copy_source(results, "default", lost=True)
    assert source["accepted"] == {"106": noted(C, B, D, certain=False), "107": noted(A, B, C, D, certain=False)}
    assert source["serial"] == results[0]["serial"] + 1
    assert source_problems(source) == []


def test_a_copy_can_be_made_of_states_alone() -> None:
    assert keyrings.copy_source([answer("default")], "default")["private_keys"] == {}
    assert source_problems(keyrings.copy_source([answer("default", "")], "default")) == []


@pytest.mark.parametrize("results", [
    [], [answer("partner")], [{"item": "default", **FAILED}], [{"item": "default", **UNREACHABLE}],
])
def test_a_keyring_that_could_not_be_read_is_not_copied_as_an_empty_one(results: Rows) -> None:
    """On a new replica an empty copy would pass for a durable one."""
    assert "generations" in source_problems(keyrings.copy_source(results, "default"))[0]


def test_the_rows_of_copies() -> None:
    results = [answer(at("r1"), changed=True), answer(at("r2", "partner")), {"item": at("r3"), **UNREACHABLE}, {"item": at("r4")},
               {**UNREACHABLE}]
    assert keyrings.copy_rows(results) == [
        {"host": "r1", "key_name": "default", "changed": True, "message": ""},
        {"host": "r2", "key_name": "partner", "changed": False, "message": ""},
        {"host": "r3", "key_name": "default", "changed": False, "message": UNREACHABLE["msg"]},
        {"host": "r4", "key_name": "default", "changed": False, "message": "It gave no answer."},
    ]


def test_a_copy_whose_source_could_not_be_read_says_why() -> None:
    copies = [{"item": at("r1"), "msg": "missing required arguments: generations"}, answer(at("r1", "partner"))]
    rows = keyrings.copy_rows(copies, [{"item": "default", **FAILED}, exported("partner")])
    assert [row["message"] for row in rows] == ["The vault host did not hand its keys over: wrong passphrase", ""]


def test_a_copy_of_nothing_is_none_even_if_the_replica_took_it() -> None:
    rows = keyrings.copy_rows([answer(at("r1"), "")], [{"item": "default", **UNREACHABLE}])
    assert rows[0]["message"] == f"The vault host did not hand its keys over: {UNREACHABLE['msg']}"


def test_what_was_recovered_is_told() -> None:
    rows = [{"fingerprint": A, "state": "retired", "missing": True}, {"fingerprint": B, "state": "current", "missing": False}]
    aside = [{"file": "a.pem", "now": "a.pem.damaged-01234567", "why": "It cannot be opened."},
             {"file": "b.pem", "now": None, "why": "It holds a copy."}]
    results: list[Row] = [
        {"item": "default", "changed": True, "generations": rows, "recovery": {"put_aside": aside, "lost": [A]}},
        {"item": "whole", "changed": False, "generations": [], "recovery": {"put_aside": [], "lost": []}},
        {"item": "lost", "msg": "There is no key file."},
    ]
    assert keyrings.recovered_lines(results) == [
        f"key default: recovered, generations: {A} retired (its private key is lost), {B} current",
        "key default: a.pem is now a.pem.damaged-01234567: It cannot be opened.",
        "key default: b.pem was deleted: It holds a copy.",
        f"key default: numbers hold {A}, whose private key is not here",
        "key whole: is not damaged, generations: none",
        "key lost: not recovered",
    ]


def test_what_was_restored_is_told() -> None:
    results = [answer("default", changed=True), answer("partner", "D:pending"), {"item": "lost", **FAILED}]
    assert keyrings.restored_lines(results) == [
        f"key default: restored, generations: 3, current: {B}",
        "key partner: was complete already, generations: 1, current: none",
        "key lost: not restored",
    ]


# -- finding a key


@pytest.mark.parametrize("wanted", [D, D.split(":")[1], f" {D}= "])
def test_the_keyring_of_a_key(wanted: str) -> None:
    results = [answer("default"), {"item": "broken", **FAILED}, answer("partner", "D:revoked")]
    assert keyrings.keyrings_of(results, wanted) == ["partner"]


def test_an_imported_key_can_be_in_several_keyrings() -> None:
    results = [answer("default"), answer("other", "D:current"), answer("partner", "A:retired D:current")]
    assert keyrings.keyrings_of(results, A) == ["default", "partner"]
    with pytest.raises(ValueError, match="is in the keyrings default, partner: say which is meant") as caught:
        keyrings.aim(results, A)
    assert "encryption_keys_group" in str(caught.value)


def test_a_key_that_no_keyring_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="No keyring of these numbers") as caught:
        keyrings.keyrings_of([answer("default", "A:retired B:current"), answer("partner", "C:current")], D)
    assert str(caught.value) == (
        f"No keyring of these numbers has the key {D}. Known: {A} (default, retired), {B} (default, current), "
        f"{C} (partner, current)."
    )


def test_a_key_that_is_not_found_may_be_in_a_keyring_that_was_not_readable() -> None:
    with pytest.raises(ValueError, match="Not readable") as caught:
        keyrings.keyrings_of([{"item": "default", **FAILED}, {"item": "partner", **UNREACHABLE}], D)
    assert str(caught.value) == (
        f"No keyring of these numbers has the key {D}. Known: none. Not readable: default: wrong passphrase; partner: "
        f"{UNREACHABLE['msg']}"
    )


def test_what_is_no_fingerprint_is_told() -> None:
    with pytest.raises(ValueError, match="the fingerprint given: 'leaked' is not a fingerprint"):
        keyrings.keyrings_of([answer("default")], "leaked")


@pytest.mark.parametrize(("wanted", "state"), [(A, "retired"), (B, "current")])
def test_the_key_to_go_back_to(wanted: str, state: str) -> None:
    rows = keyrings.aim([answer("partner", "D:current"), answer("default")], wanted)
    assert rows == [{**ring(), "to_publish": {"fingerprint": wanted, "business_public_key": pem(wanted), "state": state}}]


@pytest.mark.parametrize(("text", "state"), [("A:pending B:current", "pending"), ("A:revoked B:current", "revoked")])
def test_only_a_retired_key_can_be_gone_back_to(text: str, state: str) -> None:
    with pytest.raises(ValueError, match=f"{A} is {state}; only a retired key can be gone back to") as caught:
        keyrings.aim([answer("default", text)], A)
    assert "only a retired key" in str(caught.value)


@pytest.mark.parametrize("lacks", [{"usable": False}, {"usable": None}, {"business_public_key": None}])
def test_a_key_that_cannot_be_opened_cannot_be_gone_back_to(lacks: Row) -> None:
    result = answer("default", generations=[generation(A, "retired", **lacks), generation(B, "current")])
    with pytest.raises(ValueError, match="is not on the vault host or cannot be opened; nothing was changed") as caught:
        keyrings.aim([result], A)
    assert A in str(caught.value)


def test_fingerprints_in_any_form_become_one() -> None:
    assert keyrings.normalised([A, A.split(":")[1], f"{A}="], "x") == {A}
    assert keyrings.normalised([], "x") == set()


# -- endpoints


def test_an_endpoint_gets_the_keys_that_it_serves() -> None:
    rings = [ring(pruned=[D]), ring("partner", "D:current"), broken_ring("broken")]
    taken = [exported(), exported("partner", "D:current"), {"item": "broken", **FAILED}]
    everything = keyrings.bundles(rings, taken)
    assert [(row["name"], row["private_keys"]) for row in everything] == [
        ("default", taken[0]["exported"]), ("partner", taken[1]["exported"]),
    ]
    assert [row["generations"] for row in everything] == [rings[0]["generations"], rings[1]["generations"]]
    assert [row["pruned"] for row in everything] == [[D], []]
    assert keyrings.bundles(rings, taken, ["partner", "broken"]) == everything[1:]
    assert keyrings.bundles(rings, taken, []) == []


@pytest.mark.parametrize("taken", [
    [], [{"item": "default", **FAILED}], [{"item": "default", "skipped": True}], [answer("default")],
])
def test_without_an_export_no_private_key_goes_along(taken: Rows) -> None:
    assert keyrings.bundles([ring()], taken)[0]["private_keys"] == {}


def test_the_key_that_would_be_generated_is_marked() -> None:
    rows = keyrings.bundles([predicted_ring(), ring("partner", "A:retired D:pending", check_mode=True)], [])
    assert [[one["predicted"] for one in row["generations"]] for row in rows] == [[False, False, True], [False, False]]


def test_the_rows_of_deployments() -> None:
    answers = [
        put("web-1", put_key(changed=True, added=[C], removed=[A], rewritten=[B]), put_key("partner"), reload_needed=True),
        put("web-2", put_key(error={"message": "no space"}), failed=True, msg="1 of 1 keys could not be deployed."),
    ]
    assert keyrings.deployed_rows(answers) == [
        {"endpoint": "web-1", "reload_needed": True, "key_name": "default", "changed": True, "added": [C, B], "removed": [A],
         "message": ""},
        {"endpoint": "web-1", "reload_needed": True, "key_name": "partner", "changed": False, "added": [], "removed": [],
         "message": ""},
        {"endpoint": "web-2", "reload_needed": False, "key_name": "default", "changed": False, "added": [], "removed": [],
         "message": "no space"},
    ]


@pytest.mark.parametrize(("result", "message"), [
    ({**UNREACHABLE}, UNREACHABLE["msg"]), ({"failed": True, "msg": "no sudo"}, "no sudo"), ({}, "It gave no answer."),
])
def test_a_host_that_gave_no_rows_is_one_row_for_all_of_its_keys(result: Row, message: str) -> None:
    assert keyrings.deployed_rows([{"item": "web", **result}]) == [
        {"endpoint": "web", "reload_needed": False, "key_name": None, "changed": False, "added": [], "removed": [],
         "message": message},
    ]


def test_an_endpoint_that_serves_no_key_has_no_row() -> None:
    assert keyrings.deployed_rows([put("web")]) == []


def test_what_the_users_own_deployment_gets() -> None:
    """The manifest is what the module writes: newest first, without what is revoked, with the names of the files."""
    state = ring("default", "A:revoked B:retired C:current D:pending")
    given = keyrings.deployment(state, [exported("default", "A:revoked B:retired C:current D:pending")])
    names = {row["fingerprint"]: row["id"] + ".pem" for row in state["generations"]}
    assert given == {
        "key_name": "default",
        "manifest": {"schema": 1, "key_name": "default", "current": C, "keys": [
            {"fingerprint": fingerprint, "file": names[fingerprint], "state": one}
            for fingerprint, one in ((D, "pending"), (C, "current"), (B, "retired"))
        ]},
        "files": {names[B]: "encrypted B", names[C]: "encrypted C", names[D]: "encrypted D"},
    }


def test_where_only_states_changed_the_users_own_deployment_gets_no_files() -> None:
    given = keyrings.deployment(ring(), [])
    assert given["files"] == {}
    assert [key["state"] for key in given["manifest"]["keys"]] == ["pending", "current", "retired"]


@pytest.mark.parametrize(("result", "why"), [({**FAILED}, "wrong passphrase"), ({**UNREACHABLE}, UNREACHABLE["msg"])])
def test_keys_that_could_not_be_taken_are_not_deployed_as_none(result: Row, why: str) -> None:
    with pytest.raises(ValueError, match="did not hand the keys of 'default' over") as caught:
        keyrings.deployment(ring(), [exported("partner"), {"item": "default", **result}])
    assert why in str(caught.value)


def test_another_key_that_could_not_be_taken_is_no_obstacle() -> None:
    assert len(keyrings.deployment(ring(), [exported(), {"item": "partner", **FAILED}])["files"]) == 3


def test_in_check_mode_a_keyring_that_is_not_there_yet_has_no_files() -> None:
    given = keyrings.deployment(predicted_ring("default", "A:pending"), [answer("default", "", exported={})])
    assert given["files"] == {}
    assert given["manifest"]["current"] is None


@pytest.mark.parametrize(("result", "text"), [
    ({"msg": "why"}, "why"), ({"msg": ""}, "else"), ({"msg": None}, "else"), ({}, "else"),
])
def test_what_a_result_says(result: Row, text: str) -> None:
    assert keyrings.said(result, "else") == text
