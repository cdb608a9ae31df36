# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of awx_setup agree with the code that they are for: variables of the environment, options, playbooks."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "awx_setup"
EXAMPLE = ROOT / "docs" / "examples" / "awx"
Data = dict[str, t.Any]

# The type of AWX that holds a provider's credentials.
TYPE_OF = {
    "cloud_api": "WhatsApp Cloud API", "on_premises": "WhatsApp On-Premises API", "kaleyra": "WhatsApp Kaleyra",
    "graph_compatible": "WhatsApp gateway", "gupshup": "WhatsApp Gupshup",
}
# Tokens that the role takes from no environment, as they could be another provider's: the inventory takes them from there.
OF_THE_INVENTORY = {"gupshup": "WHATSAPP_GUPSHUP_ACCESS_TOKEN", "graph_compatible": "WHATSAPP_GATEWAY_ACCESS_TOKEN"}


class Loader(yaml.SafeLoader):
    """Reads text that Ansible is not to template as text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(t.cast("yaml.ScalarNode", node)))


def read(path: Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 (a safe loader with one tag more)


DEFAULTS: Data = read(ROLE / "defaults" / "main.yml")
SPEC: Data = read(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
TYPES: dict[str, Data] = {item["name"]: item for item in DEFAULTS["awx_setup_credential_types"]}


def environment(name: str) -> set[str]:
    return set(TYPES[name]["injectors"]["env"])


def test_each_provider_has_a_type() -> None:
    """AWS has one of AWX's own."""
    assert set(TYPE_OF) == set(PROVIDERS) - {"aws"}
    assert set(TYPES) == {*TYPE_OF.values(), "WhatsApp Flows keyring"}


@pytest.mark.parametrize("provider", sorted(TYPE_OF))
def test_a_type_sets_the_variables_that_the_code_reads(provider: str) -> None:
    options = [option for option in PROVIDERS[provider].options if option.name not in PROVIDERS[provider].own_only]
    expected = {option.env for option in options if option.env}
    if provider == "cloud_api":
        expected.add("WHATSAPP_ACCESS_TOKENS")
    if provider in OF_THE_INVENTORY:
        expected.add(OF_THE_INVENTORY[provider])
    assert environment(TYPE_OF[provider]) == expected


def test_the_role_reads_the_other_variables() -> None:
    role = (ROOT / "roles" / "encryption_keys" / "defaults" / "main.yml").read_text(encoding="utf-8")
    role_vars = (ROOT / "roles" / "encryption_keys" / "vars" / "main.yml").read_text(encoding="utf-8")
    plugin = (ROOT / "plugins" / "inventory" / "whatsapp_phone_numbers.py").read_text(encoding="utf-8")
    assert environment("WhatsApp Flows keyring") == set(re.findall(r"'(WHATSAPP_\w+)'", role))
    assert "'WHATSAPP_ACCESS_TOKENS'" in role_vars
    assert "- name: WHATSAPP_ACCESS_TOKENS\n" in plugin
    inventory = (EXAMPLE / "inventory" / "hosts.yml").read_text(encoding="utf-8")
    assert set(OF_THE_INVENTORY.values()) == set(re.findall(r"'(WHATSAPP_\w+)'", inventory))


@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_field_of_a_type_is_used_and_each_secret_is_one(name: str) -> None:
    fields = {field["id"]: field for field in TYPES[name]["inputs"]["fields"]}
    used = {value.strip("{} ") for value in TYPES[name]["injectors"]["env"].values()}
    assert used == set(fields)
    assert {key for key, field in fields.items() if not field.get("secret")} <= {"username", "sid", "app_id"}
    assert all(field["type"] == "string" for field in fields.values())  # without it, AWX adds it and it would be found changed


def test_secrets_are_references() -> None:
    values = [value for item in DEFAULTS["awx_setup_credentials"] for value in item["inputs"].values()]
    assert len(values) == 5
    reference = re.compile(r"\{\{ lookup\('ansible\.builtin\.env', 'WHATSAPP_\w+'\)( \| string)? \}\}")
    assert all(reference.fullmatch(value) for value in values)


def test_defaults_and_specs_agree() -> None:
    assert set(SPEC) == set(DEFAULTS)
    for name, option in SPEC.items():
        if "default" in option:
            assert option["default"] == DEFAULTS[name], name
        else:
            assert option["type"] == "list", name


def objects(data: t.Any, spec: Data, path: str) -> t.Iterator[tuple[str, set[str], set[str]]]:
    """Yield each object of the data with its members and those that the specs know."""
    for item in data:
        yield path, set(item), set(spec["options"])
        for name, option in spec["options"].items():
            if option.get("elements") == "dict" and name in item:
                yield from objects(item[name], option, f"{path}.{name}")


def test_each_member_of_the_data_is_in_the_specs() -> None:
    checked = 0
    for name, option in SPEC.items():
        if option.get("elements") == "dict":
            for path, members, known in objects(DEFAULTS[name], option, name):
                assert members <= known, path
                checked += 1
    assert checked > 30


def test_each_member_of_the_specs_is_handed_on() -> None:
    tasks = "".join(path.read_text(encoding="utf-8") for path in (ROLE / "tasks").glob("*.yml"))
    for name, option in SPEC.items():
        assert name in tasks + (ROLE / "vars" / "main.yml").read_text(encoding="utf-8") + str(DEFAULTS), name
        for member in option.get("options", {}):
            used = rf"(item(\.[01])?|__awx_setup_\w+)\.{member}\b|subelements\('{member}'\)|attribute='{member}'"
            assert re.search(used, tasks), (name, member)


def test_the_example_project_has_what_the_data_name() -> None:
    playbooks = {item["playbook"] for item in DEFAULTS["awx_setup_job_templates"]}
    paths = {source["source_path"] for item in DEFAULTS["awx_setup_inventories"] for source in item["sources"]}
    for path in playbooks | paths:
        assert (EXAMPLE / path).is_file(), path
    for playbook in playbooks:
        (play,) = read(EXAMPLE / playbook)
        name = play["ansible.builtin.import_playbook"].removeprefix("waba.flows.")
        assert (ROOT / "playbooks" / f"{name}.yml").is_file()


def test_questions_are_variables_of_the_playbook_that_asks_them() -> None:
    entries = read(ROOT / "roles" / "encryption_keys" / "meta" / "argument_specs.yml")["argument_specs"]
    entry_of = {"rotate.yml": "main", "audit.yml": "audit", "rollback.yml": "rollback"}
    for item in DEFAULTS["awx_setup_job_templates"]:
        known = set(entries[entry_of[item["playbook"]]]["options"])
        assert {question["variable"] for question in item["survey"]} | set(item["extra_vars"]) <= known


def test_schedules_answer_all_that_is_asked() -> None:
    surveys = {item["name"]: {question["variable"] for question in item["survey"]}
               for item in DEFAULTS["awx_setup_job_templates"]}
    for item in DEFAULTS["awx_setup_schedules"]:
        assert set(item.get("extra_data", {})) == surveys.get(item["unified_job_template"], set())
