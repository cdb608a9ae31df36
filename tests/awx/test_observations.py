# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of awx.awx 24.6.1 on a real AWX 24.6.1 shows on the server as well: the role is written around these."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from .conftest import Setup

pytestmark = pytest.mark.slow

Task = dict[str, t.Any]
DEFAULT = {"organization": "Default"}
MACHINE = {**DEFAULT, "credential_type": "Machine", "inputs": {"username": "u", "password": "canary-ssh-3131"}}
WEBHOOK = {**DEFAULT, "notification_type": "webhook"}
HOOK = {"url": "https://hooks.example.com/x", "headers": {}}
APPROVAL = {"identifier": "ask", "unified_job_template": {"name": "Go on?", "type": "workflow_approval", "timeout": 60}}
# A module with its options, by what was seen of it.
TASKS: dict[str, tuple[str, Task]] = {
    "credential": ("credential", {"name": "a", **MACHINE}),
    "credential, secrets left": ("credential", {"name": "b", **MACHINE, "update_secrets": False}),
    "inventory": ("inventory", {"name": "a", **DEFAULT, "variables": {"a": 1}}),
    "inventory, kind given": ("inventory", {"name": "b", **DEFAULT, "kind": ""}),
    "notification": ("notification_template", {"name": "a", **WEBHOOK, "notification_configuration": HOOK}),
    "notification, with a password": ("notification_template", {
        "name": "b", **WEBHOOK, "notification_configuration": {**HOOK, "password": "canary-hook-4242"}}),
    "workflow, nodes given": ("workflow_job_template", {"name": "a", **DEFAULT, "workflow_nodes": [APPROVAL]}),
    "workflow": ("workflow_job_template", {"name": "b", **DEFAULT}),
    "node": ("workflow_job_template_node", {"workflow": "b", "identifier": "end", "approval_node": {"name": "End?"}}),
    "node, made and linked": ("workflow_job_template_node", {
        "workflow": "b", "identifier": "ask", "approval_node": {"name": "Go on?"}, "success_nodes": ["end"]}),
}


def states(setup: Setup, *arguments: str) -> dict[str, str]:
    """Return how each task ended: ok, changed or fatal."""
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [
        {"name": name, f"awx.awx.{module}": options, "ignore_errors": True} for name, (module, options) in TASKS.items()
    ]}
    path = setup.folder / "play.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    run = setup.play(str(path), "-e", "ansible_python_interpreter={{ ansible_playbook_python }}", *arguments)
    found = re.findall(r"^TASK \[(.*?)\] \*.*?^(ok|changed|fatal): ", run.output, re.MULTILINE | re.DOTALL)
    assert len(found) == len(TASKS), run.output
    return dict(found)


def test_what_was_seen_on_a_real_awx(fresh: Setup) -> None:
    first = states(fresh)
    assert {name for name, state in first.items() if state == "fatal"} == {"node, made and linked"}
    assert any("create_approval_template" in change.path for change in fresh.server.changes)
    again = states(fresh)
    assert {name for name, state in again.items() if state == "changed"} == {
        "credential", "notification, with a password", "workflow, nodes given",
    }
    check = states(fresh, "--check")
    assert {name for name, state in check.items() if state == "changed"} == {
        "credential", "notification, with a password", "workflow, nodes given", "inventory", "notification",
    }
