# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdicts of an audit, and its account."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.waba.flows.plugins.plugin_utils import _audit as audits
from ansible_collections.waba.flows.tests.unit.role_rows import (
    FOREIGN,
    A,
    B,
    C,
    D,
    Row,
    Rows,
    answer,
    noted,
    number,
    pem,
    read,
    unasked,
    unread,
)

NOW = "2026-03-31T12:00:00Z"
FOUR = "A:revoked B:retired C:current D:pending"
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "audit-schema.json"


def keyring(name: str = "default", text: str = FOUR, **members: t.Any) -> Row:
    """Return what the keyring module answers to state read; C was promoted ten days before now."""
    found = answer(name, text, **members)
    for row in found["generations"]:
        if row["state"] == "current":
            row["promoted_at"] = "2026-03-21T12:00:00Z"
    return found


def audited(asked: Row, *results: Row, **members: t.Any) -> Row:
    """Return the row of one number."""
    row, = audits.audited_rows([number(**members)], [asked], list(results) or [keyring()], {}, NOW)
    return row


@pytest.mark.parametrize(("asked", "verdict", "told"), [
    (read(fingerprint=C), "current", ""),
    (read(fingerprint=D), "pending", ""),
    (read(fingerprint=B), "retired", "an older key of ours"),
    (read(fingerprint=A), "foreign", "REVOKED"),
    (read(fingerprint=FOREIGN), "foreign", FOREIGN),
    (read(fingerprint=None, status="MISMATCH"), "absent", "no key"),
    (read(fingerprint=C, status="MISMATCH"), "mismatch", "stale"),
    (read(fingerprint=FOREIGN, status="MISMATCH"), "foreign", FOREIGN),
    (unasked("shop"), "unknown", "cannot be asked"),
    (unread(), "unreachable", "no such number"),
])
def test_the_verdict_of_a_number(asked: Row, verdict: str, told: str) -> None:
    row = audited(asked)
    assert row["verdict"] == verdict
    assert told in row["message"]
    assert bool(row["message"]) is bool(told)


def test_a_number_whose_variables_cannot_be_used_is_unreachable() -> None:
    row, = audits.audited_rows([{**number(), "problem": "It has no ID."}], [], [keyring()], {}, NOW)
    assert (row["verdict"], row["message"], row["provider"]) == ("unreachable", "It has no ID.", None)


@pytest.mark.parametrize(("record", "verdict", "source"), [
    (noted(C), "current", "recorded"), (noted(B), "retired", "recorded"), (noted(B, C, certain=False), "unknown", None),
])
def test_a_number_that_cannot_be_read_goes_by_its_record(record: Row, verdict: str, source: str | None) -> None:
    row = audited(unasked("shop"), keyring(accepted={"id-shop": record}))
    assert (row["verdict"], row["source"]) == (verdict, source)


def test_a_key_of_another_keyring_is_foreign_and_named() -> None:
    row = audited(read(fingerprint=FOREIGN), keyring(), {"item": "partner", "generations": [{"fingerprint": FOREIGN}]})
    assert row["verdict"] == "foreign"
    assert "'partner'" in row["message"]


@pytest.mark.parametrize(("fingerprint", "status", "verdict"), [
    (C, "VALID", "unknown"), (C, "MISMATCH", "mismatch"), (None, None, "absent"),
])
def test_without_the_keyring_only_the_keys_are_known(fingerprint: str | None, status: str | None, verdict: str) -> None:
    row = audited(read(fingerprint=fingerprint, status=status), {"item": "default", "msg": "no route"})
    assert (row["verdict"], row["since"], row["age_days"]) == (verdict, None, None)
    assert ("no route" in row["message"]) is (verdict == "unknown")


def test_age_and_due_date_are_those_of_the_key() -> None:
    ring = keyring(due_at="2026-06-01T12:00:00Z")
    row = audited(read(fingerprint=C), ring)
    assert (row["since"], row["age_days"], row["due_at"]) == ("2026-03-21T12:00:00Z", 10.0, "2026-06-01T12:00:00Z")
    retired = audited(read(fingerprint=B), ring)
    assert (retired["age_days"], retired["due_at"]) == (29.0, None)


def test_the_vault_hosts_clock_may_be_ahead() -> None:
    ring = keyring()
    ring["generations"][2]["promoted_at"] = "2026-04-02T12:00:00Z"
    assert audited(read(fingerprint=C), ring)["age_days"] == 0.0


def test_labels_are_taken_from_the_host_and_never_fail() -> None:
    class Broken(dict):  # type: ignore[type-arg]
        def get(self, name: str, default: t.Any = None) -> t.Any:
            raise ValueError("undefined")

    found = audits.labels_of(["a", "b", "c"], {"a": {"whatsapp_waba_id": 12}, "b": {}, "c": Broken()})
    nothing = dict.fromkeys(audits.LABELS)
    assert found == {"a": {**nothing, "waba_id": "12"}, "b": nothing, "c": nothing}


def test_what_endpoints_are_asked_is_each_key_of_ours_that_is_held() -> None:
    rows = [{"key_name": "default", "fingerprint": key} for key in (C, B, C, FOREIGN, None, A)]
    assert audits.held_proofs(rows, [keyring()]) == [
        {"key_name": "default", "fingerprint": key, "business_public_key": pem(key)} for key in (B, C)]


@pytest.mark.parametrize(("value", "found"), [
    (["current"], ["current"]), ("current, absent", ["current", "absent"]), ([], []), ("", []),
])
def test_accepted_verdicts_as_list_or_text(value: t.Any, found: list[str]) -> None:
    assert audits.accepted_verdicts(value) == found


def test_a_verdict_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no verdict good"):
        audits.accepted_verdicts(["current", "good"])


# -- the account


def run_of(rows: Rows, *results: Row, **members: t.Any) -> Row:
    return {
        "id": "20260331T120000Z-000001", "started_at": NOW, "check_mode": False, "left_out": 0, "ask_vault": True,
        "accept": ["current", "pending"], "rows": rows, "results": list(results) or [keyring()], "endpoints": [], "proofs": [],
        **members,
    }


def rows_of(*asked: Row, results: Rows | None = None) -> Rows:
    numbers = [number(row["name"]) for row in asked]
    return audits.audited_rows(numbers, list(asked), results or [keyring()], {}, NOW)


def made(run: Row) -> Row:
    found = audits.make_audit(run, "2026-03-31T12:00:30Z")
    jsonschema.validate(found["document"], json.loads(SCHEMA.read_text()))
    return found


def test_a_fleet_that_is_as_it_should_be_succeeds() -> None:
    found = made(run_of(rows_of(read("a", C), read("b", D))))
    assert (found["failures"], found["document"]["succeeded"]) == ([], True)
    assert found["document"]["counts"] == {"current": 1, "pending": 1}
    assert found["summary"]["counts"] == {"current": 1, "pending": 1}


def test_numbers_that_share_a_cause_share_a_failure() -> None:
    found = made(run_of(rows_of(read("a", B), read("b", C), read("c", B), read("d", None, None))))
    assert [line.split(":")[0] for line in found["failures"]] == ["a (id-a), c (id-c)", "d (id-d)"]


def test_what_is_accepted_is_no_failure() -> None:
    found = made(run_of(rows_of(read("a", B)), accept=["retired"]))
    assert found["failures"] == []


def test_a_keyring_that_cannot_be_read_is_a_failure_only_where_it_was_asked() -> None:
    lost = {"item": "default", "msg": "no route"}
    rows = rows_of(read("a", C), results=[lost])
    asked = made(run_of(rows, lost, accept=["unknown"]))
    assert asked["failures"] == ["default (keyring): no route"]
    assert asked["document"]["vault_reached"] is False
    assert made({**run_of(rows, accept=["unknown"], ask_vault=False), "results": []})["failures"] == []


def test_without_the_vault_host_the_numbers_are_counted_by_key() -> None:
    rows = rows_of(read("a", C), read("b", C), read("c", None, None), unread("d"), results=[{"item": "default"}])
    lines = made({**run_of(rows, ask_vault=False), "results": []})["lines"]
    assert [line for line in lines if line.startswith("  ")] == [f"  {C}: 2", "  (no key): 1"]


@pytest.mark.parametrize(("proven", "failed"), [(True, False), (False, True), (None, False)])
def test_an_endpoint_that_does_not_decrypt_what_is_held_is_a_failure(proven: bool | None, failed: bool) -> None:
    proof = {"endpoint": "e", "key_name": "default", "fingerprint": C, "proven": proven, "latency_ms": 3.0,
             "rejects_unknown_key": True, "message": "" if proven else "HTTP 421", "when": "audit"}
    found = made(run_of(rows_of(read("a", C)), endpoints=[{"name": "e", "key_names": None}], proofs=[proof]))
    assert bool(found["failures"]) is failed
    assert found["document"]["endpoints"][0]["proofs"][0]["proven"] is proven


def test_an_endpoint_that_cannot_be_asked_is_a_failure() -> None:
    found = made(run_of(rows_of(read("a", C)), endpoints=[{"name": "e", "key_names": None, "problem": "It has no URL."}]))
    assert found["failures"] == ["e (endpoint): It has no URL."]


@pytest.mark.parametrize(("count", "shown"), [(49, 49), (50, 1)])
def test_a_long_table_shows_what_is_not_accepted(count: int, shown: int) -> None:
    asked = [read(f"n{index}", C) for index in range(count - 1)] + [read("bad", B)]
    lines = made(run_of(rows_of(*asked)))["lines"]
    assert sum(line.startswith(("n", "bad")) and "id-" in line for line in lines) == shown
    assert any("are not shown" in line for line in lines) is (shown == 1)


def test_a_private_key_whose_file_is_missing_is_a_failure() -> None:
    ring = keyring()
    ring["generations"][2]["missing"] = True
    found = made(run_of(rows_of(read("a", C), results=[ring]), ring))
    assert [line.split(":")[0] for line in found["failures"]] == ["default (keyring)"]
    assert C in found["failures"][0]


def test_keys_that_no_endpoint_serves_are_named() -> None:
    lines = made(run_of(rows_of(read("a", C)), endpoints=[{"name": "e", "key_names": ["partner"]}]))["lines"]
    assert any(line.startswith("No endpoint was asked whether it decrypts with the key default") for line in lines)
