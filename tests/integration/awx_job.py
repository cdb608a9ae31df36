# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX makes of the example project: the inventory of a job or of a slice, its environment, its variables."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.fleet import local_vault

from .conftest import BIN, ROOT, World

SOURCE = "numbers.whatsapp_phone_numbers.yml"
VAULT = "vault.example.com"
Document = dict[str, t.Any]


def setup() -> Document:
    """Return what the role awx_setup has in AWX, before its own templates are evaluated."""
    text = (ROOT / "roles" / "awx_setup" / "defaults" / "main.yml").read_text(encoding="utf-8")
    return t.cast("Document", yaml.safe_load(text.replace("!unsafe ", "")))


def injected(credential_type: str, **inputs: str) -> dict[str, str]:
    """Return the environment that a credential gives to a job; fields without a value are empty, as in AWX."""
    kind = next(item for item in setup()["awx_setup_credential_types"] if item["name"] == credential_type)
    assert set(inputs) <= {field["id"] for field in kind["inputs"]["fields"]}
    environment = ImmutableSandboxedEnvironment()
    return {name: environment.from_string(text).render(inputs) for name, text in kind["injectors"]["env"].items()}


def answers(job_template: str) -> dict[str, str]:
    """Return the default answers of a job template's survey: all text."""
    objects = setup()
    template = next(item for item in objects["awx_setup_job_templates"] if item["name"].endswith(f" {job_template}"))
    environment = ImmutableSandboxedEnvironment()
    return {question["variable"]: environment.from_string(question["default"]).render(objects) for question in template["survey"]}


def example_project(world: World, project: Path) -> list[str]:
    """Copy the example project, with this machine as the vault host and the sandbox as the API. Return the IDs of its WABAs.

    The world's endpoints take the place of those that it names; numbers of other providers are left out.
    """
    shutil.copytree(ROOT / "docs" / "examples" / "awx", project)
    hosts, source = project / "inventory" / "hosts.yml", project / "inventory" / SOURCE
    groups = yaml.safe_load(hosts.read_text(encoding="utf-8"))["all"]["children"]
    groups["whatsapp_vault"]["hosts"] = {VAULT: {**local_vault(), "encryption_keys_path": str(world.keys)}}
    groups["whatsapp_endpoints"]["hosts"] = {name: endpoint.inventory() for name, endpoint in world.endpoints.items()}
    groups["whatsapp_numbers"] = {"vars": {"whatsapp_base_url": world.box.base_url}}
    hosts.write_text(yaml.safe_dump({"all": {"children": groups}}), encoding="utf-8")
    options = {**yaml.safe_load(source.read_text(encoding="utf-8")), "base_url": world.box.base_url}
    source.write_text(yaml.safe_dump(options), encoding="utf-8")
    world.numbers.clear()
    world.vaults.clear()
    return t.cast("list[str]", options["waba_ids"])


def imported(world: World, *sources: Path) -> Document:
    """Return inventory sources as AWX imports them, each on its own and one after the other."""
    merged: Document = {"_meta": {"hostvars": {}}}
    (world.folder / "home").mkdir(exist_ok=True)
    for source in sources:
        done = subprocess.run(
            [str(BIN / "ansible-inventory"), "-i", str(source), "--list", "--export"], cwd=world.folder,
            env=world.all_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=120,
        )
        document = json.loads(done.stdout, object_hook=_plain)
        for host, variables in document.pop("_meta")["hostvars"].items():
            merged["_meta"]["hostvars"].setdefault(host, {}).update(variables)
        for name, group in document.items():
            _merge(merged.setdefault(name, {"hosts": [], "children": [], "vars": {}}), group)
    return merged


def _plain(value: Document) -> t.Any:
    return value.get("__ansible_unsafe", value)  # ansible-core before 2.19 wraps text that is marked unsafe


def _merge(known: Document, group: Document) -> None:
    """Add a group of another source. Its variables go in the place of those that are known, as with overwrite_vars."""
    known["hosts"] += [host for host in group.get("hosts", []) if host not in known["hosts"]]
    known["children"] += [child for child in group.get("children", []) if child not in known["children"]]
    known["vars"] = group.get("vars", {})


def job_inventory(document: Document, number: int = 1, count: int = 1, disabled: t.Collection[str] = ()) -> Document:
    """Return what the script that AWX writes for a job prints: of the enabled hosts by name, each C(count)-th from C(number) on.

    Groups keep the hosts of the slice, their children and variables.
    """
    groups = {name: group for name, group in document.items() if name not in ("_meta", "all")}
    grouped = {host for group in groups.values() for host in group["hosts"]}
    names = sorted((grouped | set(document["_meta"]["hostvars"])) - set(disabled))
    hosts = names[number - 1::count]
    kept = {name: {**group, "hosts": [host for host in group["hosts"] if host in hosts]} for name, group in groups.items()}
    told = {"remote_host_enabled": "true", "remote_tower_enabled": "true"}
    return {
        "all": {"hosts": [host for host in hosts if host not in grouped], "children": list(groups)},
        **{name: {key: value for key, value in group.items() if value} for name, group in kept.items() if any(group.values())},
        "_meta": {"hostvars": {host: {**document["_meta"]["hostvars"].get(host, {}), **told} for host in hosts}},
    }


def write_script(path: Path, document: Document) -> Path:
    """Write an inventory as AWX does: a program that prints it."""
    path.write_text(f"#! /usr/bin/env python3\nprint({json.dumps(document)!r})\n", encoding="utf-8")
    path.chmod(0o700)
    return path
