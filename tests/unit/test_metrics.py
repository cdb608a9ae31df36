# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a report: Prometheus' own parser reads them, they tell what the report tells, and no two files collide."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.waba.flows.plugins.plugin_utils._metrics import metrics
from ansible_collections.waba.flows.tests.unit.report_samples import (
    EVIL,
    NOW,
    ROOT,
    Row,
    audit,
    fp,
    poisoned,
    rotation,
)

parser = pytest.importorskip("prometheus_client.parser")
SAMPLES: dict[str, t.Callable[..., Row]] = {"audit": audit, "report": rotation}
DAY = 86400
Key = tuple[str, tuple[tuple[str, str], ...]]


def parsed(document: Row) -> dict[Key, float]:
    """Return each series with its value, as the official parser reads them."""
    found: dict[Key, float] = {}
    for family in parser.text_string_to_metric_families(metrics(document)):
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def values(document: Row, name: str, *shown: str) -> dict[t.Any, float]:
    """Return the values of a metric by some of its labels."""
    made = {tuple(dict(labels)[one] for one in shown): value for (full, labels), value in parsed(document).items()
            if full == f"waba_flows_{name}"}
    return {key[0] if len(key) == 1 else key: value for key, value in made.items()}


def test_the_run_is_told() -> None:
    document = audit()
    assert values(document, "run_timestamp_seconds", "kind") == {"audit": NOW.timestamp()}
    assert values(document, "run_duration_seconds", "kind") == {"audit": 42}
    assert values(document, "run_failures", "kind") == {"audit": 4}
    assert values(document, "run_succeeded", "kind") == {"audit": 0}
    assert values(document, "run_vault_reached", "kind") == {"audit": 1}
    assert values(rotation(), "run_numbers_left_out", "kind") == {"rotation": 12}


@pytest.mark.parametrize(("made", "succeeded", "check_mode", "told"), [
    (audit, True, False, True), (audit, True, True, True), (audit, False, False, False),
    (rotation, True, False, True), (rotation, True, True, False), (rotation, False, False, False),
])
def test_only_a_success_is_told_as_one(made: t.Callable[..., Row], succeeded: bool, check_mode: bool, told: bool) -> None:
    found = values(made(succeeded=succeeded, check_mode=check_mode), "run_last_success_timestamp_seconds", "kind")
    assert list(found.values()) == ([NOW.timestamp()] if told else [])


def test_numbers_are_told_by_key_and_verdict() -> None:
    document = audit()
    found = values(document, "audited_numbers", "key_name", "verdict")
    for (key, verdict), count in found.items():
        assert count == sum((row["key_name"], row["verdict"]) == (key, verdict) for row in document["numbers"])
    assert sum(found.values()) == len(document["numbers"])
    assert found["clinic", "current"] == 0


def test_numbers_are_told_by_key_and_outcome() -> None:
    document = rotation()
    found = values(document, "published_numbers", "key_name", "outcome")
    assert {outcome: count for (dummy, outcome), count in found.items() if count} == document["counts"]
    assert len(found) == 8


@pytest.mark.parametrize(("name", "family", "label"), [
    ("audit", "audited_numbers", "verdict"), ("report", "published_numbers", "outcome"),
])
def test_each_result_of_the_schema_has_its_series(name: str, family: str, label: str) -> None:
    schema = json.loads((ROOT / "docs" / f"{name}-schema.json").read_text(encoding="utf-8"))
    assert set(values(SAMPLES[name](), family, label)) == set(schema["$defs"]["counts"]["properties"])


def test_the_age_of_keys_is_told() -> None:
    assert values(audit(), "key_age_seconds", "key_name") == {"shop": 92 * DAY, "support": 31 * DAY, "bookings": 298 * DAY}


def test_when_keys_are_due_is_told() -> None:
    now = NOW.timestamp()
    assert values(audit(), "key_due_timestamp_seconds", "key_name") == {"shop": now - 2 * DAY, "support": now + 59 * DAY}
    assert values(audit(), "key_problem", "key_name") == {"shop": 0, "support": 0, "bookings": 0, "clinic": 1}
    assert values(rotation(), "key_problem", "key_name") == {"shop": 1}


def test_proofs_are_told() -> None:
    first, second, third = (f"flows-{name}.example.com" for name in ("eu-1", "eu-2", "us-1"))
    document = audit()
    assert values(document, "endpoint_proof_success", "endpoint", "fingerprint") == {
        (first, fp("shop2")): 1, (first, fp("shop3")): 1, (first, fp("support2")): 1,
        (second, fp("shop2")): 1, (second, fp("support2")): 0,
    }
    assert values(document, "endpoint_proof_latency_seconds", "endpoint", "fingerprint")[second, fp("shop2")] == 0.1204
    assert (second, fp("support2")) not in values(document, "endpoint_proof_latency_seconds", "endpoint", "fingerprint")
    assert values(document, "endpoint_problem", "endpoint") == {first: 0, second: 0, third: 1}
    assert values(document, "endpoint_rejects_unknown_key", "endpoint") == {first: 1, second: 0}


def test_of_several_pings_of_a_rotation_the_last_is_told() -> None:
    found = values(rotation(), "endpoint_proof_success", "endpoint")
    assert found == {"flows-eu-1.example.com": 1, "flows-eu-2.example.com": 0}


def test_a_proof_that_check_mode_could_not_ask_for_is_none() -> None:
    document = audit()
    for endpoint in document["endpoints"]:
        for proof in endpoint["proofs"]:
            proof["proven"] = None
    assert values(document, "endpoint_proof_success", "endpoint") == {}


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("name", SAMPLES)
def test_labels_are_escaped(name: str, evil: str) -> None:
    document = poisoned(SAMPLES[name](20), evil)
    told = {label for dummy, labels in parsed(document) for label in dict(labels).values()}
    assert f"shop{evil}" in told
    assert f"flows-eu-1.example.com{evil}" in told


@pytest.mark.parametrize("name", SAMPLES)
def test_the_order_is_always_the_same(name: str) -> None:
    document = SAMPLES[name]()
    turned = {member: one[::-1] if member in ("keys", "numbers") else one for member, one in reversed(document.items())}
    assert metrics(turned) == metrics(document)


def test_the_files_of_each_kind_do_not_collide() -> None:
    """The collector takes no series twice, and wants one help text of a metric."""
    documents = audit(), rotation(), rotation(kind="rollback")
    series = [key for document in documents for key in parsed(document)]
    assert len(series) == len(set(series))
    lines = {line for document in documents for line in metrics(document).splitlines() if line.startswith("# HELP")}
    assert len({line.split()[2] for line in lines}) == len(lines)


def test_no_number_is_named() -> None:
    for made in SAMPLES.values():
        told = metrics(made())
        assert not [row for row in made()["numbers"] if row["name"] in told or row["phone_number_id"] in told]


@pytest.mark.parametrize("name", SAMPLES)
def test_prometheus_own_tool_finds_nothing_wrong(name: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here: it is in Debian's package prometheus")
    done = subprocess.run([tool, "check", "metrics"], input=metrics(SAMPLES[name]()), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("schema", [2, None, "1"])
def test_an_unknown_schema_is_refused(schema: t.Any) -> None:
    with pytest.raises(ValueError, match=r"schema of this report is .*reads 1"):
        metrics({"schema": schema})


def test_old_documents_are_read_tolerantly() -> None:
    assert values({"schema": 1, "kind": "audit"}, "run_failures", "kind") == {"audit": 0}
    strange = {"schema": 1, "kind": 3, "keys": [{}, 3, {"name": ["x"]}], "numbers": [{"verdict": {}}],
               "endpoints": [{"proofs": [{}]}], "duration_seconds": float("nan"), "failures": "x"}
    assert parsed(strange)


@pytest.mark.parametrize(("previous", "kept"), [
    ('waba_flows_run_last_success_timestamp_seconds{kind="audit"} 1700000000\n', 1700000000.0),
    ('waba_flows_run_last_success_timestamp_seconds{kind="rotation"} 1700000000\n', None),
    ("garbage", None), ("", None),
])
def test_a_failed_run_keeps_when_the_last_one_succeeded(previous: str, kept: float | None) -> None:
    text = metrics(audit(succeeded=False), previous)
    found = [sample.value for family in parser.text_string_to_metric_families(text) for sample in family.samples
             if sample.name == "waba_flows_run_last_success_timestamp_seconds"]
    assert found == ([] if kept is None else [kept])


def test_a_run_that_succeeded_does_not_keep_it() -> None:
    done = metrics(audit(succeeded=True, failures=[]))
    again = metrics(audit(succeeded=True, failures=[]), done.replace("last_success_timestamp_seconds{kind=\"audit\"} ", "x 1 "))
    assert again == done
