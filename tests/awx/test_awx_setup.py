# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook against the server: everything made, nothing done twice, one value changed, everything removed, and failures."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.awx.store import Row, Store, Values
from tests.integration.secret_scan import Scanner

from .conftest import LOGIN, NEEDED, PASSWORD, REPOSITORY, ROOT, SECRETS, Setup

pytestmark = pytest.mark.slow

OURS = "WhatsApp"
OPTION = "awx_setup_"


def defaults() -> Values:
    text = (ROOT / "roles" / "awx_setup" / "defaults" / "main.yml").read_text(encoding="utf-8")
    return t.cast("Values", yaml.safe_load(text.replace("!unsafe ", "")))


def ours(store: Store) -> list[str]:
    """Return all that the playbook made, as resource and name."""
    left = ("users", "organizations", "instance_groups", "project_updates")
    return sorted(f"{resource}: {row.name}" for resource in store.rows if resource not in left for row in store.all(resource)
                  if not row.values.get("managed"))


def linked(store: Store, row: Row, name: str) -> set[str]:
    """Return the names of what an object is associated with."""
    return {other.name for other in store.all(row.spec.many[name]) if other.id in row.many.get(name, [])}


def nodes(store: Store) -> dict[str, Row]:
    return {row.name: row for row in store.all("workflow_job_template_nodes")}


# -- what there is


def test_everything_is_there(applied: Setup) -> None:
    store = applied.store
    cloud = store.named("credentials", "WhatsApp Flows Cloud API")
    assert cloud.values["inputs"] == {
        "access_token": SECRETS["WHATSAPP_ACCESS_TOKEN"], "access_tokens": SECRETS["WHATSAPP_ACCESS_TOKENS"],
        "app_secret": SECRETS["WHATSAPP_APP_SECRET"],
    }
    source = store.named("inventory_sources", "WhatsApp Flows numbers")
    assert source.values["source_path"] == "inventory/numbers.whatsapp_phone_numbers.yml"
    assert (source.values["credential"], source.values["update_on_launch"]) == (cloud.id, True)
    for name, playbook in (("rotate", "rotate.yml"), ("audit", "audit.yml"), ("rollback", "rollback.yml")):
        template = store.named("job_templates", f"WhatsApp Flows {name}")
        assert (template.values["playbook"], template.values["job_slice_count"]) == (playbook, 1)
        assert template.values["ask_job_type_on_launch"] is (name != "audit")  # that is check mode
        assert linked(store, template, "credentials") == {"WhatsApp Flows Cloud API", "WhatsApp Flows keyring"}
        assert linked(store, template, "notification_templates_error") == {"WhatsApp Flows failed"}
    questions = store.named("job_templates", "WhatsApp Flows rotate").survey["spec"]
    assert {question["variable"]: question["default"] for question in questions} == {
        "encryption_keys_max_age": "90d", "encryption_keys_waves": "1,10%,100%", "encryption_keys_force": "false",
    }


def test_the_workflow_goes_from_audit_over_approval_to_rotation_and_audit(applied: Setup) -> None:
    store = applied.store
    found = nodes(store)
    by_id = {row.id: name for name, row in found.items()}
    links = {(name, kind, by_id[target])
             for name, row in found.items() for kind, targets in row.many.items() for target in targets}
    assert links == {("audit before", "always_nodes", "approval"), ("approval", "success_nodes", "rotate"),
                     ("rotate", "always_nodes", "audit after")}
    approval = store.get("unified_job_templates", found["approval"].values["unified_job_template"])
    assert approval is not None
    assert (approval.resource, approval.values["timeout"]) == ("workflow_approval_templates", 86400)
    workflow = store.named("workflow_job_templates", "WhatsApp Flows audit, approve, rotate")
    assert linked(store, workflow, "notification_templates_approvals") == {"WhatsApp Flows failed"}


def test_schedules(applied: Setup) -> None:
    rows = {}
    for row in applied.store.all("schedules"):
        template = applied.store.get("unified_job_templates", row.values["unified_job_template"])
        assert template is not None
        rows[row.name] = (template.name, row.values["rrule"].partition("RRULE:")[2], row.values["enabled"])
    assert rows == {
        "WhatsApp Flows rotate daily": ("WhatsApp Flows rotate", "FREQ=DAILY;INTERVAL=1", True),
        "WhatsApp Flows audit nightly": ("WhatsApp Flows audit", "FREQ=DAILY;INTERVAL=1", True),
        "WhatsApp Flows numbers, every few hours": ("WhatsApp Flows numbers", "FREQ=HOURLY;INTERVAL=6", True),
    }


def test_a_job_has_the_tokens_and_passphrases_in_its_environment(applied: Setup) -> None:
    """What AWX makes of types and credentials: each injector, rendered over the inputs; what is not given is empty."""
    environment: dict[str, str] = {}
    for credential in applied.store.all("credentials"):
        kind = applied.store.get("credential_types", credential.values["credential_type"])
        assert kind is not None
        for name, template in kind.values["injectors"]["env"].items():
            environment[name] = ImmutableSandboxedEnvironment().from_string(template).render(**credential.values["inputs"])
    assert environment == SECRETS
    assert json.loads(environment["WHATSAPP_ACCESS_TOKENS"])["102200000000002"] == "EAAcanary-partner-3371"


# -- again, and with one change


def test_again_and_in_check_mode_nothing_is_done(applied: Setup) -> None:
    for arguments in ((), ("--check",)):
        again = applied.run(*arguments)
        assert again.status == 0, again.output
        assert again.recap["changed"] == 0, again.output
        assert again.sent == []


def test_check_mode_on_a_new_awx_names_everything_and_sends_nothing(fresh: Setup) -> None:
    run = fresh.run("--check")
    assert run.status == 0, run.output
    assert run.sent == []
    assert ours(fresh.store) == []
    data = defaults()
    for kind in ("credential_types", "job_templates", "workflows", "schedules", "projects", "inventories"):
        names = {item["name"].replace("{{ awx_setup_name }}", "WhatsApp Flows") for item in data[OPTION + kind]}
        assert names <= run.changed


OTHER_TIME = {"rotate_at": "DTSTART;TZID=Europe/Berlin:20260101T043000 RRULE:FREQ=DAILY;INTERVAL=1"}
CHANGES: list[tuple[bool, Values, list[tuple[str, str]], set[str]]] = [
    (True, OTHER_TIME, [], {"WhatsApp Flows rotate daily"}),
    (False, OTHER_TIME, [("PATCH", "schedules")], {"WhatsApp Flows rotate daily"}),
    (False, {"minimum_numbers": 20, "project_branch": "production"}, [("PATCH", "projects"), *[("PATCH", "job_templates")] * 3],
     {"WhatsApp Flows", "WhatsApp Flows rotate", "WhatsApp Flows audit", "WhatsApp Flows rollback"}),
]


@pytest.mark.parametrize(("check", "variables", "sent", "names"), CHANGES)
def test_one_value_changed_changes_that_alone(
    applied: Setup, variables: Values, sent: list[tuple[str, str]], names: set[str], *, check: bool
) -> None:
    run = applied.run(*["--check"] * check, **variables)
    assert run.status == 0, run.output
    assert run.changed == names
    assert run.sent == sent


def test_a_changed_question_changes_surveys_alone(applied: Setup) -> None:
    data = defaults()[OPTION + "job_templates"]
    data[0]["survey"][1]["question_description"] = "Another text"
    run = applied.run(job_templates=data)
    assert run.status == 0, run.output
    assert run.sent == [("POST", "job_templates/survey_spec")]
    assert run.changed == {"WhatsApp Flows rotate"}


def test_changed_links_of_a_workflow(applied: Setup) -> None:
    data = defaults()[OPTION + "workflows"]
    data[0]["nodes"][2]["always"] = []
    data[0]["nodes"][2]["success"] = ["audit after"]
    run = applied.run(workflows=data)
    assert run.status == 0, run.output
    assert run.sent == [("POST", f"workflow_job_template_nodes/{link}") for link in ("always_nodes", "success_nodes")]


def test_a_changed_secret_is_sent_when_it_is_asked_for(applied: Setup) -> None:
    applied.environment["WHATSAPP_APP_SECRET"] = "canary-new-app-secret-1212"
    run = applied.run()
    assert (run.status, run.recap["changed"], run.sent) == (0, 0, [])
    run = applied.run(update_secrets=True)
    assert run.status == 0, run.output
    assert run.sent == [("PATCH", "credentials")] * 2
    stored = applied.store.named("credentials", "WhatsApp Flows Cloud API").values["inputs"]
    assert stored["app_secret"] == "canary-new-app-secret-1212"


def test_tokens_by_waba_can_be_a_mapping_of_references(fresh: Setup, tmp_path: Path) -> None:
    fresh.environment.update(TOKEN_SHOP="EAAcanary-own-shop-5656")
    inputs = {"access_tokens": {"102200000000001": "{{ lookup('ansible.builtin.env', 'TOKEN_SHOP') }}"}}
    credential = {"name": "WhatsApp Flows Cloud API", "credential_type": "WhatsApp Cloud API", "inputs": inputs}
    path = tmp_path / "my-awx.yml"
    path.write_text(yaml.safe_dump({OPTION + "credentials": [credential]}), encoding="utf-8")
    run = fresh.run("-e", f"@{path}", "-vvvv")
    assert run.status == 0, run.output
    stored = fresh.store.named("credentials", "WhatsApp Flows Cloud API").values["inputs"]
    assert {name: json.loads(value) for name, value in stored.items()} == {
        "access_tokens": {"102200000000001": "EAAcanary-own-shop-5656"},
    }
    assert "EAAcanary-own-shop-5656" not in run.output


def test_a_copy_of_the_file_gives_the_same(applied: Setup, tmp_path: Path) -> None:
    path = tmp_path / "my-awx.yml"
    shutil.copy(ROOT / "roles" / "awx_setup" / "defaults" / "main.yml", path)
    run = applied.run("-e", f"@{path}", "-e", json.dumps(NEEDED))
    assert run.status == 0, run.output
    assert (run.recap["changed"], run.sent) == (0, [])


# -- removed


def test_absent_removes_what_is_ours_and_nothing_else(applied: Setup) -> None:
    store = applied.store
    organization = store.named("organizations", "Default").id
    other = store.add("organizations", name="Other").id
    kept = [
        store.add("projects", name="WhatsApp Flows", organization=other, scm_type="git", scm_url=REPOSITORY),
        store.add("inventories", name="WhatsApp Flows too", organization=organization),
        store.add("credentials", name="Kaleyra of others", organization=other,
                  credential_type=store.named("credential_types", "WhatsApp Kaleyra").id),
        store.named("credential_types", "WhatsApp Kaleyra"),
    ]
    before = ours(store)
    check = applied.run("--check", state="absent")
    assert (check.status, check.sent) == (0, []), check.output
    assert ours(store) == before
    run = applied.run(state="absent")
    assert run.status == 0, run.output
    assert ours(store) == sorted(f"{row.resource}: {row.name}" for row in kept)
    assert check.recap["changed"] == run.recap["changed"] > 0
    assert check.changed == run.changed
    again = applied.run(state="absent")
    assert (again.status, again.recap["changed"], again.sent) == (0, 0, []), again.output


def test_two_fleets_side_by_side(applied: Setup) -> None:
    store = applied.store
    before = ours(store)
    second = applied.run(name="Partner")
    assert second.status == 0, second.output
    assert ("POST", "credential_types") not in second.sent
    assert len(ours(store)) == 2 * len(before) - len(defaults()[OPTION + "credential_types"])
    removed = applied.run(name="Partner", state="absent")
    assert removed.status == 0, removed.output
    # The types that only the first fleet has no credential of are gone.
    used = {"WhatsApp Cloud API", "WhatsApp Flows keyring"}
    assert ours(store) == [name for name in before if not name.startswith("credential_types") or name.partition(": ")[2] in used]


# -- failures


def test_a_wrong_token(fresh: Setup) -> None:
    fresh.environment["CONTROLLER_OAUTH_TOKEN"] = "canary-wrong-token-3030"
    run = fresh.run("-vvvv")
    assert run.status != 0
    assert "AWX cannot be asked: Invalid authentication credentials for /api/v2/organizations/ (HTTP 401)" in run.message
    assert "Set CONTROLLER_HOST and CONTROLLER_OAUTH_TOKEN" in run.message
    assert "canary-wrong-token-3030" not in run.output


def test_without_the_collection_awx_awx(fresh: Setup) -> None:
    fresh.environment["ANSIBLE_COLLECTIONS_PATH"] = fresh.environment["ANSIBLE_COLLECTIONS_PATH"].partition(":")[0]
    run = fresh.run()
    assert run.status != 0
    assert "needs the collection awx.awx, which is not installed" in run.message


def test_a_login_by_user_and_password(applied: Setup) -> None:
    del applied.environment["CONTROLLER_OAUTH_TOKEN"]
    applied.environment.update(CONTROLLER_USERNAME="admin", CONTROLLER_PASSWORD=PASSWORD)
    run = applied.run()
    assert (run.status, run.recap["changed"]) == (0, 0), run.output
    assert PASSWORD not in run.output


@pytest.mark.parametrize(("variables", "environment", "message"), [
    ({"organization": "Elsewhere"}, {}, "AWX has no organization 'Elsewhere'"),
    ({"project_url": ""}, {}, "Set awx_setup_project_url"),
    ({"webhook_url": ""}, {}, "Set awx_setup_webhook_url"),
    ({}, {"WHATSAPP_KEYRING_PASSPHRASE": ""}, "'WhatsApp Flows keyring' lacks keyring_passphrase"),
    ({}, dict.fromkeys(SECRETS, ""), "'WhatsApp Flows Cloud API' lacks all its inputs"),
    ({"state": "gone"}, {}, "value of awx_setup_state must be one of: present, absent"),
    ({"schedules": [{"name": "a", "unified_job_template": "b", "rule": "c"}]}, {}, "rule. Supported parameters include"),
])
def test_what_is_not_as_it_should_be_is_told_before_anything_is_done(
    fresh: Setup, variables: Values, environment: dict[str, str], message: str
) -> None:
    fresh.environment.update(environment)
    run = fresh.run(**variables)
    assert run.status != 0
    assert message in run.message, run.output
    assert run.sent == []


@pytest.mark.parametrize(("path", "status", "body", "message"), [
    ("job_templates", 400, {"playbook": ["Playbook not found for project."]}, "Playbook not found for project."),
    ("job_templates", 403, {"detail": "You do not have permission to perform this action."}, "You don't have permission to POST"),
    ("credentials", 400, {"inputs": {"app_secret": ["too short"]}}, "WhatsApp Flows Cloud API: Unable to create credential"),
    ("notification_templates", 500, {"detail": "A server error has occurred."}, "WhatsApp Flows failed: The host sent back a"),
])
def test_a_server_that_refuses(fresh: Setup, path: str, status: int, body: Values, message: str) -> None:
    fresh.server.refuse("POST", f"/api/v2/{path}/", status, body)
    run = fresh.run("-vvvv")
    assert run.status != 0
    assert message in run.message
    assert Scanner({**SECRETS, "login": LOGIN}).find(run.output) == set()


def test_the_run_after_a_failure_goes_on(fresh: Setup, applied_store: Store) -> None:
    fresh.server.refuse("POST", "/api/v2/workflow_job_template_nodes/", 502, {})
    assert fresh.run().status != 0
    assert set(ours(fresh.store)) < set(ours(applied_store))
    fresh.server.faults.clear()
    run = fresh.run()
    assert run.status == 0, run.output
    assert ours(fresh.store) == ours(applied_store)


def test_a_repository_that_cannot_be_fetched(fresh: Setup) -> None:
    run = fresh.run(project_url="https://git.example.com/elsewhere.git")
    assert run.status != 0
    assert "Project update failed" in run.message


def test_no_secret_shows(fresh: Setup) -> None:
    """At -vvvv with diff: on the screen, in the log, in what is left in the home folder."""
    run = fresh.run("-vvvv", "--diff")
    assert run.status == 0, run.output
    files = [path for path in fresh.folder.rglob("*") if path.is_file()]
    assert any(path.name == "ansible.log" for path in files)
    text = "\n".join([run.output, *(path.read_text(errors="replace") for path in files)])
    parts = {f"token {waba}": token for waba, token in json.loads(SECRETS["WHATSAPP_ACCESS_TOKENS"]).items()}
    scanner = Scanner({**SECRETS, **parts, "login": LOGIN})
    assert scanner.find(text) == set()
    sent = json.dumps([request.body for request in fresh.server.requests])
    assert scanner.find(sent) >= {"WHATSAPP_ACCESS_TOKEN", "WHATSAPP_KEYRING_PASSPHRASE"}  # they went where they belong
