# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit: every verdict, its exit status, what it writes, and that it changes nothing."""

from __future__ import annotations

import json
import typing as t

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.sandbox import make_account, make_number

from .conftest import PASSPHRASE, ROOT, Run, World, files

SCHEMA = ROOT / "docs" / "audit-schema.json"


def audit(world: World, *arguments: str, **variables: t.Any) -> Run:
    """Run the audit with a report."""
    return world.run("waba.flows.audit", *arguments, encryption_keys_report_path=str(world.folder / "audit.json"), **variables)


def document(world: World) -> dict[str, t.Any]:
    """Return the report, which is of its documented form."""
    found = json.loads((world.folder / "audit.json").read_text())
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    return t.cast("dict[str, t.Any]", found)


def verdicts(world: World) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in document(world)["numbers"]}


@pytest.fixture
def varied(world: World) -> World:
    """A fleet after a rotation, in which one number each has come to another verdict."""
    world.import_old_keys()
    world.add_endpoint("endpoint-1")
    assert world.run(encryption_keys_force=True, encryption_keys_replace_foreign=True).status == 0
    state, numbers = world.box.state, world.fleet.numbers
    staged = world.play([{"waba.flows.whatsapp_flows_keyring": {
        "path": str(world.keys), "passphrase": PASSPHRASE, "state": "staged", "force": True}}])
    assert staged.status == 0, staged.output
    pending = next(g["id"] for g in world.keyring("default")["generations"] if g["state"] == "pending")
    state.numbers[numbers["number-02"]].business_public_key = (world.keys / "default" / f"{pending}.pub").read_text()
    state.numbers[numbers["number-03"]].business_public_key = world.fleet.old_keys["default"].public_pem
    state.numbers[numbers["number-04"]].business_public_key = world.fleet.foreign_key.public_pem
    state.numbers[numbers["number-05"]].business_public_key = None
    state.numbers[numbers["number-06"]].signature_status = "MISMATCH"
    world.box.fault(numbers["number-07"], "error", status=403, code=10, times=-1)
    state.accounts["SID1"] = make_account("kaleyra", ["+15555550001"])
    state.numbers["+15555550001"] = make_number("")
    world.numbers["number-08"] = {
        "whatsapp_provider": "kaleyra", "whatsapp_base_url": f"{world.box.base_url}/kaleyra", "whatsapp_sid": "SID1",
        "whatsapp_api_key": state.accounts["SID1"].secret, "whatsapp_phone_number_id": "+15555550001",
        "whatsapp_verified_name": "<script>alert(1)</script>",
    }
    return world


EXPECTED = {
    "number-02": "pending", "number-03": "retired", "number-04": "foreign", "number-05": "absent", "number-06": "mismatch",
    "number-07": "unreachable", "number-08": "unknown",
}


def test_every_verdict(varied: World) -> None:
    before = files(varied.keys, varied.folder / "endpoint-1")
    run = audit(varied, encryption_keys_max_age="90d", encryption_keys_page_path=str(varied.folder / "audit.html"),
                encryption_keys_metrics_path=str(varied.folder / "audit.prom"))
    assert run.status == 2
    assert verdicts(varied) == {name: EXPECTED.get(name, "current") for name in varied.numbers}
    assert (varied.box.posts, files(varied.keys, varied.folder / "endpoint-1"), run.recap["changed"]) == ([], before, 0)
    for name, verdict in EXPECTED.items():
        assert (name in run.failures) == (verdict != "pending")
    report = document(varied)
    assert report["counts"]["current"] == len(varied.numbers) - len(EXPECTED)
    current = next(row for row in report["numbers"] if row["name"] == "number-01")
    assert (current["age_days"], current["message"]) == (0.0, "")
    assert current["due_at"] == next(key["due_at"] for key in report["keys"] if key["name"] == "default")
    proven = {proof["fingerprint"]: proof["proven"] for proof in report["endpoints"][0]["proofs"]}
    assert proven[varied.fingerprint("default", "current")] is True
    page = (varied.folder / "audit.html").read_text()
    assert "<script>alert(1)" not in page
    metrics = list(text_string_to_metric_families((varied.folder / "audit.prom").read_text()))
    assert {sample.labels["verdict"]: sample.value for family in metrics for sample in family.samples
            if sample.labels.get("key_name") == "default" and "verdict" in sample.labels}["foreign"] == 1


def test_what_is_accepted_decides_how_it_ends(ready: World) -> None:
    assert audit(ready).status == 2
    assert set(verdicts(ready).values()) == {"current", "absent", "mismatch"}
    assert audit(ready, encryption_keys_audit_accept="current, absent,mismatch").status == 0
    assert document(ready)["succeeded"] is True
    wrong = audit(ready, encryption_keys_audit_accept=["good"])
    assert wrong.status != 0
    assert "there is no verdict good" in wrong.output


def test_without_access_to_the_vault_host_the_groups_are_known(ready: World) -> None:
    ready.vaults["vault"].update(ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=9)
    run = audit(ready, encryption_keys_audit_vault=False, encryption_keys_audit_accept=["unknown", "absent", "mismatch"])
    assert run.status == 0, run.output
    assert document(ready)["vault_reached"] is False
    assert f"{ready.fleet.old_keys['partner'].fingerprint}: 8" in run.output


def test_a_vault_host_that_cannot_be_reached_is_a_failure(ready: World) -> None:
    """Of the keyrings, not of what was read."""
    ready.vaults["vault"].update(ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=9)
    run = audit(ready)
    assert run.status != 0
    assert "default (keyring)" in run.failures
    assert set(verdicts(ready).values()) == {"unknown", "absent", "mismatch"}


@pytest.mark.slow
def test_an_endpoint_that_lost_a_key_is_a_failure(ready: World) -> None:
    endpoint = ready.add_endpoint("endpoint-1")
    assert ready.run(encryption_keys_force=True).status == 0
    assert audit(ready).status == 0
    endpoint.stop()
    endpoint.start(keys=ready.folder / "elsewhere")
    run = audit(ready)
    assert run.status == 2
    assert "endpoint-1 (endpoint): it does not decrypt" in run.failures


def test_a_page_is_made_again_from_a_report_that_was_kept(ready: World) -> None:
    """Paths are those of the folder that the playbook is started from."""
    assert ready.run(encryption_keys_report_path="kept.json", encryption_keys_page_path="first.html").status == 0
    again = ready.run("waba.flows.page", encryption_keys_report_path="kept.json", encryption_keys_page_path="again.html")
    assert again.status == 0, again.output
    assert (ready.folder / "again.html").read_bytes() == (ready.folder / "first.html").read_bytes()
