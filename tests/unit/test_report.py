# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of a run: the document is of its documented form, the failures say what to do, the lines what has to be known."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.waba.flows.plugins.module_utils._reconcile import Outcome
from ansible_collections.waba.flows.plugins.plugin_utils import _endings as endings
from ansible_collections.waba.flows.plugins.plugin_utils import _inventory_rows as inventory
from ansible_collections.waba.flows.plugins.plugin_utils import _keyring_rows as keyrings
from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans
from ansible_collections.waba.flows.plugins.plugin_utils import _proofs as proofs
from ansible_collections.waba.flows.plugins.plugin_utils import _report as reports
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
    at,
    broken_ring,
    deployed,
    endpoint,
    exported,
    final,
    generations,
    kept,
    not_sent,
    pong,
    predicted_ring,
    proof,
    put,
    put_key,
    read,
    ring,
    sent,
    uncertain,
    unreadable,
    wave,
)

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report-schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FINISHED = "2026-03-01T12:01:30Z"


def run(*rows: Row, **members: t.Any) -> Row:
    """Return what the role gathers of a run, by default one with nothing to tell but its numbers."""
    return {
        "kind": "rotation", "id": "20260301T120000Z-000001", "started_at": "2026-03-01T12:00:00Z", "left_out": 0,
        "forced": False, "check_mode": False, "on_failure": "stop", "rows": list(rows), "keyrings": [ring()], "endpoints": [],
        "copied": [], "deployed": [], "proofs": [], "blocked": {}, "waves_done": [], "stopped": {}, "promoted": [],
        "given_up": [], "finished": {}, "late": [], "notes": [], **members,
    }


def report(*rows: Row, **members: t.Any) -> Row:
    """Make a report, and see that it is of its form."""
    given = run(*rows, **members)
    before = copy.deepcopy(given)
    made = reports.make_report(given, FINISHED)
    VALIDATOR.validate(json.loads(json.dumps(made["document"])))
    assert given == before
    assert made["failures"] == made["document"]["failures"]
    assert made["document"]["succeeded"] is (not made["failures"]) is made["summary"]["succeeded"]
    return made


def failures(*rows: Row, **members: t.Any) -> list[str]:
    return t.cast("list[str]", report(*rows, **members)["failures"])


def lines(*rows: Row, **members: t.Any) -> list[str]:
    return t.cast("list[str]", report(*rows, **members)["lines"])


def key(*rows: Row, **members: t.Any) -> Row:
    return t.cast(Row, report(*rows, **members)["document"]["keys"][0])


PROMOTED: Rows = [{"name": "default", "fingerprint": C, "predicted": False, "message": ""}]
GIVEN_UP: Rows = [{"name": "default", "fingerprint": B, "message": ""}]


# -- the schema


def objects(schema: t.Any, path: str = "") -> t.Iterator[tuple[str, Row]]:
    """Yield each form of an object in a schema, with its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for name, value in schema.items():
            yield from objects(value, f"{path}/{name}")


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {path.rpartition("/")[2] for path, dummy in objects(SCHEMA)} == {
        "report", "counts", "key", "wave", "endpoint", "proof", "replica", "number",
    }


@pytest.mark.parametrize(("path", "schema"), list(objects(SCHEMA)))
def test_the_schema_is_strict_and_says_what_each_member_is(path: str, schema: Row) -> None:
    assert schema["additionalProperties"] is False
    if not path.endswith("counts"):
        assert set(schema["required"]) == set(schema["properties"])
    for name, member in schema["properties"].items():
        text = member["description"]
        assert text.endswith("."), name
        assert ". " not in text, name
        assert set(member) - {"description"}, name


def test_the_schema_knows_every_outcome_that_a_number_can_end_with() -> None:
    """Nothing is ever only read by a run."""
    outcomes = set(t.get_args(Outcome)) - {"read", "unknown"}
    assert set(SCHEMA["$defs"]["counts"]["properties"]) == outcomes
    assert set(SCHEMA["$defs"]["number"]["properties"]["outcome"]["enum"]) == outcomes


def test_the_schema_refuses_what_is_not_documented() -> None:
    good = reports.make_report(run(final(), endpoints=[endpoint("web")], proofs=[proof("web")],
                                   copied=[{**at("r"), "changed": True, "message": ""}], waves_done=[wave(1, sent())]), FINISHED)
    document = good["document"]
    places: list[Row] = [document, *(document[name][0] for name in ("keys", "waves", "endpoints", "replicas", "numbers")),
                         document["endpoints"][0]["proofs"][0]]
    for place in places:
        for name in list(place):
            value = place.pop(name)
            assert not VALIDATOR.is_valid(document), name
            place[name] = value
        place["more"] = 1
        assert not VALIDATOR.is_valid(document)
        del place["more"]
    document["counts"]["more"] = 1
    assert not VALIDATOR.is_valid(document)


def test_the_role_gathers_what_a_report_is_made_of() -> None:
    variables = yaml.safe_load((ROOT / "roles" / "encryption_keys" / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert set(variables["__encryption_keys_run"]) == set(run())


# -- the document


def test_the_document_of_a_rotation() -> None:
    endpoints = [endpoint("web-1"), endpoint("web-2", "partner")]
    made = report(
        final("a", seconds=0.25), kept("b"),
        keyrings=[ring(due_at="2026-06-01T12:00:00Z")], endpoints=endpoints,
        proofs=[proof("web-1"), proof("web-1", when="after wave 1")],
        deployed=deployed(put("web-1", put_key(changed=True, added=[C]))), copied=[{**at("r"), "changed": True, "message": ""}],
        waves_done=[wave(1, sent("a"))], promoted=PROMOTED,
        finished={"default": {"generations": generations("B:retired C:current"), "removed": [A], "revoked": None}},
    )
    row = {"name": "a", "phone_number_id": "id-a", "provider": "cloud_api", "key_name": "default", "before": B, "after": C,
           "source": "read", "status": "VALID", "outcome": "replaced", "wave": 1, "attempts": 1, "seconds": 0.25,
           "certain": True, "rolled_back": None, "message": ""}
    proven = {"key_name": "default", "fingerprint": C, "when": "before", "proven": True, "latency_ms": 12.5,
              "rejects_unknown_key": True, "message": ""}
    assert made["document"] == {
        "schema": 1, "kind": "rotation", "run": "20260301T120000Z-000001", "started_at": "2026-03-01T12:00:00Z",
        "finished_at": FINISHED, "duration_seconds": 90.0, "check_mode": False, "left_out": 0,
        "counts": {"replaced": 1, "unchanged": 1},
        "keys": [{
            "name": "default", "rotation": generations(ROTATING)[2]["id"], "fingerprint": C, "state": "current",
            "predicted": False, "due_at": "2026-06-01T12:00:00Z", "promoted": True, "rolled_back": False, "stopped": None,
            "blocked": [], "revoked": None, "removed": [A], "reencrypted": False, "proven_by": ["web-1"], "endpoints": 1,
            "other_run": None, "message": "",
        }],
        "waves": [{"wave": 1, "numbers": 1}],
        "endpoints": [
            {"host": "web-1", "deployed": True, "changed": True, "message": "",
             "proofs": [proven, {**proven, "when": "after wave 1"}]},
            {"host": "web-2", "deployed": False, "changed": False, "proofs": [], "message": ""},
        ],
        "replicas": [{"host": "r", "key_name": "default", "message": ""}],
        "numbers": [row, {**row, "name": "b", "phone_number_id": "id-b", "before": C, "outcome": "unchanged", "wave": None,
                          "attempts": 0, "seconds": 0.0}],
        "failures": [], "succeeded": True,
    }
    assert made["summary"] == {
        "kind": "rotation", "run": "20260301T120000Z-000001", "check_mode": False, "succeeded": True, "duration_seconds": 90.0,
        "counts": {"replaced": 1, "unchanged": 1}, "failed_numbers": 0,
        "keys": {"default": {"rotation": generations(ROTATING)[2]["id"], "fingerprint": C, "state": "current"}},
    }


@pytest.mark.parametrize(("started", "finished", "seconds"), [
    ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", 0.0), ("2026-12-31T23:59:30Z", "2027-01-01T00:00:30Z", 60.0),
    ("2026-03-01T12:00:00Z", "2026-03-03T12:00:01Z", 172801.0),
])
def test_how_long_it_took(started: str, finished: str, seconds: float) -> None:
    assert reports.make_report(run(started_at=started), finished)["document"]["duration_seconds"] == seconds


def test_numbers_are_counted_by_outcome() -> None:
    made = report(final("a"), final("b"), unreadable("c"), kept("d", "skipped"), kept("e", "refused", after=FOREIGN),
                  final("f", "set"))
    assert made["document"]["counts"] == {"failed": 1, "refused": 1, "replaced": 2, "set": 1, "skipped": 1}
    assert list(made["document"]["counts"]) == sorted(made["document"]["counts"])
    assert made["summary"]["failed_numbers"] == 3


@pytest.mark.parametrize("left_out", ["0", 0])
def test_ansible_may_make_text_of_how_many_were_left_out(left_out: t.Any) -> None:
    made = report(final(), left_out=left_out)
    assert made["document"]["left_out"] == 0
    assert not any("--limit" in line for line in made["lines"])


@pytest.mark.parametrize(("members", "state", "promoted", "rolled_back"), [
    ({}, "pending", False, False),
    ({"promoted": PROMOTED}, "current", True, False),
    ({"promoted": [{**PROMOTED[0], "message": "disk full"}]}, "pending", False, False),
    ({"promoted": [{**PROMOTED[0], "name": "partner"}]}, "pending", False, False),
    ({"given_up": GIVEN_UP}, "retired", False, True),
    ({"given_up": [{**GIVEN_UP[0], "message": "disk full"}]}, "pending", False, False),
    ({"keyrings": [ring("default", "A:retired C:current")]}, "current", False, False),
    ({"kind": "rollback", "keyrings": keyrings.aim([answer("default", "C:retired B:current")], C)}, "current", False, False),
    ({"keyrings": [broken_ring()]}, None, False, False),
    ({"kind": "rollback", "keyrings": [broken_ring()]}, None, False, False),
])
def test_the_state_of_a_key_at_the_end(members: Row, state: str | None, promoted: bool, rolled_back: bool) -> None:
    found = key(final(), **members)
    assert (found["state"], found["promoted"], found["rolled_back"]) == (state, promoted, rolled_back)


def test_a_key_that_cannot_be_used_has_no_rotation() -> None:
    found = key(keyrings=[broken_ring()])
    assert (found["rotation"], found["fingerprint"], found["message"]) == (None, None, "wrong passphrase")


def test_what_is_told_of_a_key() -> None:
    state = ring(lease={"other": {"owner": "the other", "taken_at": "x", "expires_at": "y"}}, reencrypted=[B])
    finished = {"default": {"generations": [], "removed": [A], "revoked": B}}
    found = key(final(), keyrings=[state], finished=finished, stopped={"default": "b failed"},
                blocked={"default": ["x"], "partner": ["y"]})
    assert {name: found[name] for name in ("other_run", "reencrypted", "revoked", "removed", "stopped", "blocked")} == {
        "other_run": "the other", "reencrypted": True, "revoked": B, "removed": [A], "stopped": "b failed", "blocked": ["x"],
    }


def test_who_proved_a_key() -> None:
    endpoints = [endpoint("a"), endpoint("b"), endpoint("c", "partner"), endpoint("d", "default")]
    found = [
        proof("b"), proof("a"), proof("a", when="after wave 1"), proof("d", fingerprint=B), proof("d", proven=False),
        proof("c", key_name="partner"), proof("d", proven=None),
    ]
    rows = report(final(), endpoints=endpoints, proofs=found, keyrings=[ring(), ring("partner")])["document"]["keys"]
    assert [(row["proven_by"], row["endpoints"]) for row in rows] == [(["a", "b"], 3), (["c"], 3)]


@pytest.mark.parametrize(("answers", "told"), [
    ([], (False, False, "")),
    ([put("web", put_key())], (True, False, "")),
    ([put("web", put_key(), put_key("partner", changed=True))], (True, True, "")),
    ([put("web", put_key(changed=True), put_key("partner", error={"message": "full"}))], (False, True, "full")),
    ([put("web", put_key(error={"message": "x"}), put_key("p", error={"message": "y"}))], (False, False, "x; y")),
    ([{"item": "web", **UNREACHABLE}], (False, False, UNREACHABLE["msg"])),
    ([put("other", put_key(changed=True))], (False, False, "")),
])
def test_what_was_done_on_an_endpoint(answers: Rows, told: tuple[bool, bool, str]) -> None:
    row, = report(endpoints=[endpoint("web")], deployed=deployed(*answers))["document"]["endpoints"]
    assert (row["deployed"], row["changed"], row["message"]) == told


def test_an_endpoint_that_could_not_be_asked_says_why() -> None:
    row, = report(endpoints=[endpoint("web", endpoint_url="")])["document"]["endpoints"]
    assert "whatsapp_endpoint_url" in row["message"]


def test_waves_are_told_with_their_sizes() -> None:
    done = [wave(1, sent("a")), wave(3, sent("b"), not_sent("c"))]
    assert report(waves_done=done)["document"]["waves"] == [{"wave": 1, "numbers": 1}, {"wave": 3, "numbers": 2}]


# -- which runs get a report of their own


@pytest.mark.parametrize("members", [
    {"rows": [final()]}, {"rows": [uncertain()]}, {"promoted": PROMOTED}, {"given_up": GIVEN_UP}, {"late": ["x"]},
    {"finished": {"default": {"removed": [A], "revoked": None}}}, {"finished": {"default": {"removed": [], "revoked": A}}},
    {"keyrings": [ring(reencrypted=[B])]}, {"keyrings": [broken_ring()]}, {"rows": [unreadable()]},
    {"deployed": deployed(put("web", put_key(changed=True)))}, {"copied": [{**at("r"), "changed": True, "message": ""}]},
])
def test_a_run_that_changed_something_or_found_something_wrong_is_an_event(members: Row) -> None:
    assert report(**members)["eventful"] is True


def test_revoking_once_more_is_none() -> None:
    state = ring("default", "A:revoked C:current")
    assert report(keyrings=[state], finished={"default": {"removed": [], "revoked": A}})["eventful"] is False


def test_a_run_that_had_nothing_to_do_is_none() -> None:
    made = report(
        kept("a"), endpoints=[endpoint("web")], deployed=deployed(put("web", put_key())), notes=["x"],
        copied=[{**at("r"), "changed": False, "message": ""}], keyrings=[ring("default", "C:current")],
        finished={"default": {"generations": generations("C:current"), "removed": [], "revoked": None}},
    )
    assert (made["eventful"], made["failures"]) == (False, [])


# -- failures


def test_a_clean_run_has_no_failures() -> None:
    assert failures(final("a"), kept("b"), final("c", "set"), final("d", "resigned"), promoted=PROMOTED) == []


def test_numbers_that_share_a_cause_share_a_line() -> None:
    rows = [final(name, "failed", message=message) for name, message in (("a", "x"), ("b", "y"), ("c", "x"))]
    assert failures(*rows) == ["a (id-a), c (id-c): failed: x", "b (id-b): failed: y"]


def test_one_cause_with_two_outcomes_is_two_lines() -> None:
    rows = [final("a", "failed", message="x"), kept("b", "skipped", message="x"), kept("c", "refused", message="x")]
    assert failures(*rows) == ["a (id-a): failed: x", "b (id-b): skipped: x", "c (id-c): refused: x"]


def test_every_number_that_failed_is_named_however_many() -> None:
    text, = failures(*(final(f"n{index}", "failed", message="down") for index in range(800)))
    assert all(f"n{index} (id-n{index})" in text for index in range(800))


@pytest.mark.parametrize(("count", "shown"), [
    (10, "n9 (id-n9)"), (11, "n9 (id-n9) and 1 more"), (800, "n9 (id-n9) and 790 more"),
])
def test_of_the_numbers_that_were_not_started_some_are_named(count: int, shown: str) -> None:
    text, = failures(*(kept(f"n{index}", "skipped", message="not started") for index in range(count)))
    assert text.endswith(f"{shown}: skipped: not started")
    assert text.count("(id-") == 10


def test_a_number_without_an_id_says_so() -> None:
    assert failures(unreadable("a", phone_number_id="", message="set it")) == ["a (no ID): failed: set it"]


def test_keyring_and_promotion_failures_are_named() -> None:
    assert failures(keyrings=[broken_ring()]) == ["default (keyring): wrong passphrase"]
    ready = [{"name": "default", "fingerprint": C, "predicted": False}]
    done = endings.promoted_rows(ready, [{"item": {"name": "default"}, "msg": "disk full"}])
    assert failures(promoted=done) == ["default (promotion): disk full"]


def test_a_key_that_nothing_was_published_for_says_each_reason() -> None:
    number = kept("a", "skipped", message="see its message")
    assert failures(number, blocked={"default": ["r is down", "web did not prove it"]}) == [
        "default (nothing was published for it): r is down", "default (nothing was published for it): web did not prove it",
        "a (id-a): skipped: see its message",
    ]


STOPPED: t.Final = {"default": "a failed in wave 1"}
BECAUSE = "default (stopped): no further wave was started, because a failed in wave 1. "
GO_ON = ("Mend the cause, leave the number out of the group, or allow failures with encryption_keys_max_failures; the next run "
         "goes on with the same key.")


@pytest.mark.parametrize(("rows", "members", "told"), [
    ([], {}, f"What is done is kept. {GO_ON}"),
    ([], {"on_failure": "rollback"}, f"No number was rolled back. {GO_ON}"),
    ([final(rolled_back=False)], {"on_failure": "rollback"}, f"No number was rolled back. {GO_ON}"),
    ([final(rolled_back=True, key_name="partner")], {"on_failure": "rollback"}, f"No number was rolled back. {GO_ON}"),
    ([final(rolled_back=True)], {"on_failure": "rollback", "given_up": [{**GIVEN_UP[0], "message": "x"}]},
     f"Its numbers went back, but the key was not given up. {GO_ON}"),
    ([final(rolled_back=True)], {"on_failure": "rollback", "given_up": GIVEN_UP},
     "Its pending key was given up, and is due again when the current one is."),
])
def test_a_key_that_stopped_says_why_and_how_to_go_on(rows: Rows, members: Row, told: str) -> None:
    assert failures(*rows, stopped=STOPPED, **members)[0] == BECAUSE + told


def test_a_reason_that_is_a_sentence_already_ends_once() -> None:
    text, = failures(stopped={"default": "after wave 1 the endpoint web did not decrypt what was published: HTTP 421."})
    assert ": HTTP 421. What is done is kept." in text


def test_going_back_is_told_with_what_could_not() -> None:
    rows = [final("a", rolled_back=True), final("b", "failed", rolled_back=True, message="cut"),
            final("c", rolled_back=False, message="It was not rolled back: x."),
            final("d", "failed", rolled_back=False, message="cut It was not rolled back: y.")]
    assert failures(*rows, given_up=[{**GIVEN_UP[0], "message": "disk full"}]) == [
        "default (rollback): its pending key could not be given up: disk full",
        "b (id-b): failed: cut", "d (id-d): failed: cut It was not rolled back: y.",
        "rolled back to the previous key: a, b",
        "c (id-c): It was not rolled back: x.",
    ]


def test_a_pending_key_that_was_given_up_is_no_failure_of_its_own() -> None:
    assert failures(final(), given_up=GIVEN_UP) == []


@pytest.mark.parametrize(("found", "told"), [
    (proof(proven=False, fingerprint=B, when="after the rollback"),
     [f"web-1 (endpoint): after the rollback it did not decrypt {B}: HTTP 421."]),
    (proof(fingerprint=B, when="after the rollback"), []), (proof(proven=None, when="after the rollback"), []),
    (proof(proven=False, when="before"), []), (proof(proven=False, when="after wave 1"), []),  # told by the key that they stop
])
def test_an_endpoint_that_does_not_decrypt_after_going_back_is_named(found: Row, told: list[str]) -> None:
    assert failures(final(), proofs=[found]) == told


def test_what_went_wrong_at_the_end_is_told() -> None:
    assert failures(final(), late=["r (replica of default): no space"]) == ["r (replica of default): no space"]


FORCE_LINE = "To go on, run again without encryption_keys_force: with it, keys that are done are rotated once more."


@pytest.mark.parametrize(("forced", "check_mode", "outcome", "told"), [
    (True, False, "failed", True), (True, False, "skipped", True), (True, False, "refused", True),
    (False, False, "failed", False), (True, True, "failed", False), (True, False, "replaced", False),
])
def test_after_failures_of_a_forced_run_the_last_line_says_to_leave_out_force(
    *, forced: bool, check_mode: bool, outcome: str, told: bool
) -> None:
    found = failures(final("a", outcome, message="x"), check_mode=check_mode, forced=forced)
    assert found == [f"a (id-a): {outcome}: x"] * (outcome != "replaced") + [FORCE_LINE] * told


# -- lines


def test_the_table_of_numbers() -> None:
    rows = [final("a"), kept("long-name", before=None, after=None, status=None), unreadable("c", phone_number_id="", wave=None),
            uncertain("d", wave=12), final("e", rolled_back=True), final("f", "set", before=None, rolled_back=False)]
    table = [line.split() for line in lines(*rows)[:7]]
    assert table == [
        ["number", "phone-number", "ID", "key", "before", "after", "signature", "wave", "outcome"],
        ["a", "id-a", "default", B[:19] + "…", C[:19] + "…", "VALID", "1", "replaced"],
        ["long-name", "id-long-name", "default", "-", "-", "-", "-", "unchanged"],
        ["c", "-", "default", "-", "-", "-", "-", "failed"],
        ["d", "id-d", "default", B[:19] + "…", "?", "-", "12", "failed"],
        ["e", "id-e", "default", B[:19] + "…", C[:19] + "…", "VALID", "1", "replaced+back"],
        ["f", "id-f", "default", "-", C[:19] + "…", "VALID", "1", "set+stays"],
    ]


@pytest.mark.parametrize(("row", "after", "signature"), [
    (accepted(), C[:19] + "…", "recorded"),
    (kept(source="recorded", status=None), C[:19] + "…", "recorded"),
    (accepted(rolled_back=True, after=B), B[:19] + "…", "recorded"),
    (uncertain(source="recorded", may_hold=[B]), "?", "recorded"),
    (accepted(source="read", status="VALID"), C[:19] + "…", "VALID"),
    (kept(outcome="refused", before=None, after=None, status=None, source=None, readable=False, certain=False), "-", "-"),
])
def test_of_a_number_that_was_not_read_the_table_says_so(row: Row, after: str, signature: str) -> None:
    found = re.split("  +", lines(row)[1])
    assert (found[4], found[5]) == (after, signature)


def test_numbers_whose_provider_cannot_be_asked_are_told_from_those_that_were_read() -> None:
    rows = [accepted("a"), kept("b", source="recorded", status=None, provider="kaleyra"), final("c"), unreadable("d"),
            kept("e", "refused", provider="gupshup", before=None, after=None, status=None, source=None, readable=False,
                 certain=False, message="x")]
    made = report(*rows)
    assert [(row["provider"], row["source"], row["outcome"]) for row in made["document"]["numbers"]] == [
        ("kaleyra", "recorded", "accepted"), ("kaleyra", "recorded", "unchanged"), ("cloud_api", "read", "replaced"),
        ("cloud_api", None, "failed"), ("gupshup", None, "refused"),
    ]
    assert made["document"]["counts"]["accepted"] == 1
    assert made["summary"]["failed_numbers"] == 2


def test_a_key_that_was_accepted_is_an_event_and_no_failure() -> None:
    made = report(accepted())
    assert (made["eventful"], made["failures"], made["summary"]["succeeded"]) == (True, [], True)
    assert "1 numbers: 1 accepted." in made["lines"]


def test_the_columns_of_the_table_are_straight() -> None:
    head, *rows = lines(final("a"), final("a-long-name"), kept("b"))[:4]
    for name in ("phone-number ID", "key", "before", "after", "signature", "wave", "outcome"):
        column = head.index(name)
        assert all(row[column - 2:column] == "  " and row[column] != " " for row in rows)
    assert not any(line.endswith(" ") for line in (head, *rows))


@pytest.mark.parametrize(("count", "shown"), [(49, 49), (50, 1), (500, 1)])
def test_a_long_table_leaves_out_the_unchanged(count: int, shown: int) -> None:
    rows = [kept(f"n{index}") for index in range(count - 1)] + [final("shop")]
    found = lines(*rows)
    assert sum(line.startswith(("n", "shop")) and not line.startswith("number") for line in found) == shown
    assert (f"({count - shown} unchanged numbers are not shown)" in found) == (shown < count)


def test_a_long_table_of_numbers_that_nothing_was_to_be_done_for() -> None:
    found = lines(*(kept(f"n{index}") for index in range(50)))
    assert found[0].startswith("number")
    assert found[1:3] == ["(50 unchanged numbers are not shown)", ""]


def test_a_long_table_of_numbers_that_all_changed_leaves_out_none() -> None:
    assert not any("not shown" in line for line in lines(*(final(f"n{index}") for index in range(60))))


@pytest.mark.parametrize(("members", "line"), [
    ({"promoted": PROMOTED}, f"key default: {C}, promoted to current"),
    ({"promoted": PROMOTED, "keyrings": [ring(due_at="2026-06-01T12:00:00Z")]}, f"key default: {C}, promoted to current"),
    ({"promoted": PROMOTED, "keyrings": [predicted_ring()], "check_mode": True},
     "key default: a new key, would be promoted to current"),
    ({}, f"key default: {C}, pending: not every number holds it yet, the next run goes on with it"),
    ({"given_up": GIVEN_UP}, f"key default: {C}, given up and retired: the numbers went back"),
    ({"keyrings": [broken_ring()]}, "key default: not usable"),
    ({"keyrings": [ring("default", "C:current")]}, f"key default: {C}, current"),
    ({"keyrings": [ring("default", "C:current", due_at="2026-06-01T12:00:00Z")]},
     f"key default: {C}, current, due 2026-06-01T12:00:00Z"),
    ({"keyrings": [ring("default", "C:current", reencrypted=[C])],
      "finished": {"default": {"generations": [], "removed": [A, B], "revoked": D}}},
     f"key default: {C}, current, 2 old removed, {D} revoked, passphrase changed"),
    ({"keyrings": [ring(due_at="2026-06-01T12:00:00Z")]},
     f"key default: {C}, pending: not every number holds it yet, the next run goes on with it"),
])
def test_the_line_of_a_key(members: Row, line: str) -> None:
    assert [found for found in lines(**members) if found.startswith("key ")] == [line]


@pytest.mark.parametrize(("waves", "line"), [
    ([], "2 numbers: 1 replaced, 1 unchanged."), ([wave(1, sent("a"))], "2 numbers: 1 replaced, 1 unchanged."),
    ([wave(1, sent("a")), wave(2, sent("b"))], "2 numbers: 1 replaced, 1 unchanged in 2 waves."),
])
def test_how_many_numbers_ended_how(waves: Rows, line: str) -> None:
    assert line in lines(final("a"), kept("b"), waves_done=waves)


def proof_lines(*found: Row, endpoints: Rows | None = None) -> list[str]:
    told = lines(proofs=list(found), endpoints=[endpoint("web-1"), endpoint("web-2")] if endpoints is None else endpoints)
    return [line for line in told if "endpoint" in line]


SHORT = C[:19] + "…"


@pytest.mark.parametrize(("found", "line"), [
    (proof(latency_ms=7.5), f"endpoint web-1: decrypts with key default {SHORT}, 7.5 ms"),
    (proof("web-2", proven=None), "endpoint web-2: key default is not provable in check mode"),
    (proof(proven=False), f"endpoint web-1: does NOT decrypt with key default {SHORT} (before)"),
    (proof(proven=False, when="after wave 2"), f"endpoint web-1: does NOT decrypt with key default {SHORT} (after wave 2)"),
    (proof(when="after wave 2"), None),
    (proof(when="before the rollback"), None),
])
def test_what_an_endpoint_proved_is_told(found: Row, line: str | None) -> None:
    assert proof_lines(found) == ([line] if line else [])


def test_an_endpoint_that_takes_unknown_keys_is_warned_of_once() -> None:
    told = proof_lines(proof(rejects_unknown_key=False), proof(rejects_unknown_key=False, key_name="partner"),
                       proof("web-2", rejects_unknown_key=None))
    assert [line for line in told if "421" in line] == [
        "endpoint web-1: does not answer 421 to a key that it does not know, so clients that still use one never fetch the new "
        "key: mend that before an old key is removed",
    ]


def test_that_no_endpoint_was_asked_is_said() -> None:
    assert proof_lines(endpoints=[]) == [
        "No endpoint was asked to prove that it can decrypt with the key default: make sure that yours can.",
    ]
    found = lines(keyrings=[ring(), ring("partner"), ring("third")], endpoints=[endpoint("web", "partner")])
    assert "No endpoint was asked to prove that it can decrypt with the key default, third: make sure that yours can." in found


def test_what_else_has_to_be_known() -> None:
    state = ring(lease={"other": {"owner": "run-2"}})
    found = lines(final(), keyrings=[state], notes=["B is revoked."], left_out=3)
    assert found[-3:] == [
        "B is revoked.",
        "key default: another run, run-2, has not told its end: it is still at work, or was killed.",
        "3 numbers of the group were left out by --limit, so no key was promoted.",
    ]


@pytest.mark.parametrize("check_mode", [False, True])
def test_check_mode_is_told_also_where_no_keyring_is_usable(check_mode: bool) -> None:
    made = report(keyrings=[broken_ring("partner")], check_mode=check_mode)
    assert made["document"]["check_mode"] is made["summary"]["check_mode"] is check_mode
    assert (made["lines"][-1] == "Check mode: nothing was changed; this is what a run would do.") is check_mode


def test_a_predicted_key_is_shown_as_new() -> None:
    found = "\n".join(lines(final(), kept("b", "refused", before=FOREIGN, after=FOREIGN), keyrings=[predicted_ring()]))
    assert SHORT not in found
    assert C not in found
    assert "(new)" in found
    assert FOREIGN[:19] in found


# -- a whole run


def test_nothing_secret_is_in_a_report() -> None:
    """All steps of a run whose hosts have credentials and whose private keys travel, with one of everything that goes wrong."""
    secret = "canary-secret-5519"
    hosts = {name: {"whatsapp_phone_number_id": f"id-{name}", "whatsapp_access_token": secret, "whatsapp_app_secret": secret,
                    **more} for name, more in {"a": {}, "b": {}, "c": {}, "d": {"whatsapp_timeout": "x"}}.items()}
    web = {"whatsapp_endpoint_url": f"https://web.example.com/?token={secret}", "whatsapp_app_secret": secret}
    endpoints = inventory.collect_endpoints(["web"], {"web": web})
    numbers = inventory.public_rows(inventory.collect_numbers(hosts, hosts))
    taken = exported(secret=secret)
    rings = [ring(), broken_ring("partner")]
    plan = plans.make_plan(numbers, [read("a"), read("b"), read("c", FOREIGN)], rings)
    copied = keyrings.copy_rows([answer(at("r"), exported={"id": secret})], [taken])
    put_rows = deployed(put("web", put_key(added=[C]), private=secret))
    assert secret in str(keyrings.bundles(rings, [taken]))
    asked = proofs.pings(proofs.wanted_proofs(plan), endpoints, rings, put_rows)
    found = proofs.proof_rows(asked, [pong(item) for item in asked], "before")
    done = [wave(1, sent("a")), wave(2, not_sent("b"))]
    stops = plans.stopped(plan, done, 0)
    rows = plans.final_rows(plan, done, {}, stops)
    undo = endings.undo_plan(rows, stops, [taken])
    after = endings.undone_rows(rows, undo, {"numbers": [sent("a", fingerprint=B)]})
    given_up = endings.given_up_rows(endings.undo_rings(undo, [taken]), [answer({"name": "default"}, "B:current C:retired")])
    made = report(
        *after, keyrings=rings, endpoints=endpoints, copied=copied, deployed=put_rows, proofs=found, waves_done=done,
        stopped=stops, given_up=given_up, finished=endings.finished_rows([taken], {}, []), on_failure="rollback",
    )
    assert secret not in json.dumps(made)
    assert "business_public_key" not in json.dumps(made)
    assert {row["name"]: (row["outcome"], row["rolled_back"]) for row in made["document"]["numbers"]} == {
        "a": ("replaced", True), "b": ("failed", None), "c": ("refused", None), "d": ("failed", None),
    }
    assert made["document"]["keys"][0]["state"] == "retired"
