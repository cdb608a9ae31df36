# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the endpoints have to prove, whom to ask, what they answered, and why nothing may be published."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.plugin_utils import _proofs as proofs
from ansible_collections.waba.flows.tests.unit.role_rows import (
    ROTATING,
    UNREACHABLE,
    A,
    B,
    C,
    D,
    Row,
    Rows,
    at,
    deployed,
    endpoint,
    maybe_sent,
    not_sent,
    pem,
    plan_of,
    pong,
    predicted_ring,
    proof,
    put,
    put_key,
    ring,
    sent,
)

BROKEN = {"endpoint_url": ""}  # an endpoint that cannot be asked


def wanted(fingerprint: str = C, key_name: str = "default") -> Row:
    return {"key_name": key_name, "fingerprint": fingerprint, "business_public_key": pem(fingerprint)}


def asked(*endpoints: Row, rings: Rows | None = None, put_rows: Rows | None = None, keys: Rows | None = None) -> Rows:
    return proofs.pings(keys or [wanted()], list(endpoints), rings or [ring()], put_rows or [])


# -- which keys


def test_each_key_that_is_to_be_published_is_proven_once() -> None:
    plan = plan_of({"a": B, "p": A, "b": None, "c": C}, ring(), ring("partner", "A:retired D:current"), keys={"p": "partner"})
    assert proofs.wanted_proofs(plan) == [wanted(C), wanted(D, "partner")]


def test_where_nothing_is_to_be_published_nothing_is_to_be_proven() -> None:
    assert proofs.wanted_proofs(plan_of({"a": C, "b": "SHA256:" + "X" * 43})) == []


def test_one_key_pair_under_two_names_is_proven_for_each() -> None:
    """Which endpoints have to decrypt with it differs."""
    plan = plan_of({"a": A, "p": A}, ring("default", "A:retired B:current"), ring("partner", "A:retired B:current"),
                   keys={"p": "partner"})
    assert proofs.wanted_proofs(plan) == [wanted(B), wanted(B, "partner")]


def test_what_the_api_returned_after_publishing_is_proven_again() -> None:
    plan = plan_of({"a": B, "b": B, "p": A, "c": B}, ring(), ring("partner", "A:retired D:current"), keys={"p": "partner"})
    rows = [sent("a"), sent("b"), sent("p", fingerprint=D), not_sent("c")]
    published = {"numbers": rows, "published_keys": {C: "as the API has it", D: "another", B: "unchanged"}}
    assert proofs.published_proofs(plan, published) == [
        {"key_name": "default", "fingerprint": C, "business_public_key": "as the API has it"},
        {"key_name": "partner", "fingerprint": D, "business_public_key": "another"},
    ]


@pytest.mark.parametrize("published", [
    {}, {**UNREACHABLE}, {"numbers": [sent("a")]}, {"numbers": [sent("a")], "published_keys": None},
    {"numbers": [maybe_sent("a")], "published_keys": {"null": None}},
    {"numbers": [sent("a", "unchanged", changed=False)], "published_keys": {C: "text"}},
])
def test_without_a_published_key_there_is_nothing_to_prove_again(published: Row) -> None:
    assert proofs.published_proofs(plan_of({"a": B}), published) == []


# -- whom to ask


def test_every_endpoint_that_serves_a_key_is_asked() -> None:
    endpoints = [
        endpoint("all"), endpoint("one", "default"), endpoint("other", "partner"), endpoint("both", "partner", "default"),
    ]
    keys = [wanted(), wanted(D, "partner")]
    rows = asked(*endpoints, keys=keys, rings=[ring(), ring("partner", "A:retired D:current")])
    assert [(row["key_name"], row["fingerprint"], row["endpoint"]) for row in rows] == [
        ("default", C, "all"), ("default", C, "one"), ("default", C, "both"),
        ("partner", D, "all"), ("partner", D, "other"), ("partner", D, "both"),
    ]


def test_an_endpoint_that_cannot_be_asked_is_not() -> None:
    assert [row["endpoint"] for row in asked(endpoint("bad", **BROKEN), endpoint("good"))] == ["good"]


def test_a_ping_has_what_the_module_needs() -> None:
    row, = asked(endpoint("web", endpoint_timeout=3, validate_certs=False, ca_path="/ca.pem", allow_http=True))
    assert row == {
        "key_name": "default", "fingerprint": C, "business_public_key": pem(C), "endpoint": "web", "fresh": False,
        "provable": True,
        "options": {"url": "https://web.example.com/flow", "timeout": 3.0, "validate_certs": False, "ca_path": "/ca.pem",
                    "allow_http": True},
    }


@pytest.mark.parametrize(("answer", "fresh"), [
    (put("web", put_key(added=[C])), True),
    (put("web", put_key(removed=[A])), True),
    (put("web", put_key(rewritten=[C])), True),
    (put("web", put_key(), reload_needed=True), True),
    (put("web", put_key("partner", added=[D])), True),  # the program there loads all of its keys
    (put("web", put_key(changed=True)), False),
    (put("other", put_key(added=[C])), False),
    ({"item": "web", **UNREACHABLE}, False),
])
def test_an_endpoint_that_was_given_keys_may_need_a_moment(answer: Row, fresh: bool) -> None:
    assert [row["fresh"] for row in asked(endpoint("web"), put_rows=deployed(answer))] == [fresh]


@pytest.mark.parametrize(("state", "put_answer", "provable"), [
    (ring(), put("web", put_key(added=[C])), True),
    (ring(check_mode=True), put("web", put_key()), True),
    (ring(check_mode=True), put("web", put_key(added=[C])), False),
    (ring(check_mode=True), put("web", put_key(rewritten=[C])), False),
    (ring(check_mode=True), put("web", put_key(added=[A])), True),
    (ring(check_mode=True), put("web", put_key("partner", added=[C])), True),
    (ring(check_mode=True), put("other", put_key(added=[C])), True),
    (predicted_ring(), put("web", put_key()), False),
    (predicted_ring("partner"), put("web", put_key()), True),
])
def test_check_mode_asks_for_what_can_be_there(state: Row, put_answer: Row, provable: bool) -> None:
    assert [row["provable"] for row in asked(endpoint("web"), rings=[state], put_rows=deployed(put_answer))] == [provable]


@pytest.mark.parametrize(("state", "deploy", "hook", "provable"), [
    (predicted_ring(), False, False, True),  # nobody would give it the key, so a run would be held up as well
    (predicted_ring(), False, True, False),
    (ring(check_mode=True), False, True, False),
    (ring(check_mode=True), False, False, True),
    (ring(check_mode=True), True, True, True),
    (predicted_ring(), True, True, False),
    (ring(), False, True, True),
    (ring(), True, True, True),
])
def test_check_mode_asks_an_endpoint_that_this_run_would_not_give_the_key(
    *, state: Row, deploy: bool, hook: bool, provable: bool
) -> None:
    row, = proofs.pings([wanted()], [endpoint("web", endpoint_deploy=deploy)], [state], [], hook=hook)
    assert row["provable"] is provable


# -- what they answered


def test_an_endpoint_that_decrypts() -> None:
    item, = asked(endpoint("web"))
    assert proofs.proof_rows([item], [pong(item)], "before") == [proof("web")]


def test_an_endpoint_that_does_not_decrypt_says_why() -> None:
    item, = asked(endpoint("web"))
    answer = pong(item, decrypts=False, rejects_unknown_key=None, latency_ms=3.5, failed=True, msg="It has no private key of it.")
    assert proofs.proof_rows([item], [answer], "after wave 2") == [
        proof("web", proven=False, when="after wave 2", latency_ms=3.5, message="It has no private key of it."),
    ]


@pytest.mark.parametrize(("answer", "message"), [
    ({**UNREACHABLE}, UNREACHABLE["msg"]), ({"failed": True, "msg": "No app_secret.", "error": {}}, "No app_secret."),
    ({"decrypts": False}, "The ping was not sent."), ({}, "The ping was not sent."),
])
def test_without_an_answer_nothing_is_proven(answer: Row, message: str) -> None:
    item, = asked(endpoint("web"))
    row, = proofs.proof_rows([item], [{"item": item, **answer}], "before")
    assert (row["proven"], row["message"], row["latency_ms"], row["rejects_unknown_key"]) == (False, message, None, None)


@pytest.mark.parametrize("results", [[], [{**UNREACHABLE}], [{"item": "web", "decrypts": True}]])
def test_a_ping_that_is_not_among_the_answers_proves_nothing(results: Rows) -> None:
    rows = proofs.proof_rows(asked(endpoint("web")), results, "before")
    assert [(row["proven"], row["message"]) for row in rows] == [(False, "The ping was not sent.")]


def test_what_check_mode_cannot_ask_is_neither_proven_nor_not() -> None:
    items = asked(endpoint("web"), rings=[predicted_ring()])
    row, = proofs.proof_rows(items, [], "before")
    assert (row["proven"], row["message"]) == (None, "Not provable in check mode: the endpoint does not have the key yet.")


def test_answers_belong_to_their_endpoint_and_key() -> None:
    items = asked(endpoint("a"), endpoint("b"), keys=[wanted(B), wanted(C)])
    answers = [pong(item, decrypts=(item["endpoint"], item["fingerprint"]) == ("b", B), msg="no") for item in reversed(items)]
    rows = proofs.proof_rows(items, answers, "before")
    assert [(row["endpoint"], row["fingerprint"], row["proven"]) for row in rows] == [
        ("a", B, False), ("b", B, True), ("a", C, False), ("b", C, False),
    ]


def test_an_endpoint_that_takes_unknown_keys_is_noted() -> None:
    item, = asked(endpoint("web"))
    assert proofs.proof_rows([item], [pong(item, rejects_unknown_key=False)], "before")[0]["rejects_unknown_key"] is False


# -- why nothing may be published


TWO_RINGS = [ring(), ring("partner", "A:retired D:current")]


def blocked(*endpoints: Row, **found: t.Any) -> dict[str, list[str]]:
    given: Row = {"copied": [], "deployed": [], "proofs": [], "reloads": [], **found}
    return proofs.blocked(TWO_RINGS, endpoints=list(endpoints), **given)


def copied(host: str, key_name: str, message: str) -> Row:
    return {**at(host, key_name), "changed": False, "message": message}


def test_where_all_is_well_nothing_is_blocked() -> None:
    assert blocked() == {}
    assert blocked(
        endpoint("web"), copied=[copied("r", "default", "")], deployed=deployed(put("web", put_key(added=[C]))),
        proofs=[proof("web"), proof("web", proven=None)], reloads=[],
    ) == {}


@pytest.mark.parametrize(("endpoints", "found", "expected"), [
    ([], {"copied": [copied("r1", "default", ""), copied("r2", "default", "disk full"), copied("r2", "partner", "")]},
     {"default": "The replica r2 has no durable copy of its keys: disk full"}),
    ([endpoint("web", "partner", **BROKEN)], {},
     {"partner": "The endpoint web cannot be asked: It has no URL, so it cannot prove anything: set the host variable "
                 "whatsapp_endpoint_url."}),
    ([endpoint("web")], {"deployed": deployed(put("web", put_key(error={"message": "no space"}), put_key("partner")))},
     {"default": "The keys could not be put on the endpoint web: no space"}),
    ([endpoint("web", "partner")], {"deployed": deployed({"item": "web", **UNREACHABLE})},
     {"partner": f"The keys could not be put on the endpoint web: {UNREACHABLE['msg']}"}),
    ([endpoint("web")], {"deployed": deployed({"item": "web", "msg": "no sudo"})},
     {"default": "The keys could not be put on the endpoint web: no sudo",
      "partner": "The keys could not be put on the endpoint web: no sudo"}),
    ([endpoint("web", "default")], {"reloads": [{"endpoint": "web", "key_name": "", "message": "web did not reload"}]},
     {"default": "web did not reload"}),
    ([], {"reloads": [{"endpoint": "", "key_name": "partner", "message": "the tasks failed"}]}, {"partner": "the tasks failed"}),
    ([endpoint("web")], {"proofs": [proof("web", proven=False), proof("web", key_name="partner", fingerprint=D)]},
     {"default": f"The endpoint web did not prove that it decrypts with {C}: HTTP 421."}),
])
def test_each_reason_blocks_the_keys_that_it_concerns(endpoints: Rows, found: Row, expected: dict[str, str]) -> None:
    assert blocked(*endpoints, **found) == {name: [why] for name, why in expected.items()}


def test_a_problem_of_an_endpoint_that_does_not_serve_the_key_is_none() -> None:
    assert blocked(
        endpoint("web", "another", **BROKEN), deployed=deployed({"item": "web", **UNREACHABLE}),
        reloads=[{"endpoint": "web", "key_name": "", "message": "x"}],
    ) == {}


def test_all_reasons_are_told() -> None:
    found = blocked(
        endpoint("web", "default"), endpoint("bad", "default", **BROKEN), copied=[copied("r", "default", "gone")],
        deployed=deployed(put("web", put_key(error={"message": "full"}))), proofs=[proof("web", proven=False)],
        reloads=[{"endpoint": "web", "key_name": "", "message": "did not reload"}],
    )
    assert set(found) == {"default"}
    assert len(found["default"]) == 5
    assert all(word in why for word, why in zip(("replica", "asked", "put on", "reload", "prove"), found["default"]))


def test_a_key_that_every_number_holds_already_is_blocked_as_well() -> None:
    """So the run ends failed: an endpoint without the keys will miss them when a number is mended."""
    assert proofs.wanted_proofs(plan_of({"a": C}, ring("default", ROTATING))) == []
    assert set(blocked(endpoint("web"), deployed=deployed({"item": "web", **UNREACHABLE}))) == {"default", "partner"}
