# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin as users meet it: ansible-inventory, playbooks, the role, vaulted tokens, cache and failures."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest
import yaml

from tests.sandbox import Business, Token

from .awx_job import example_project
from .conftest import APP_SECRET, BIN, ROOT, Run, World
from .secret_scan import Scanner

BUSINESS = "101100000000001"
NAME = "x.whatsapp_phone_numbers.yml"
CANARY = "EAAcanary-token-of-the-inventory-5581"
PLUGIN = ROOT / "plugins" / "inventory" / "whatsapp_phone_numbers.py"
Options = dict[str, t.Any]


@pytest.fixture
def listed(world: World) -> World:
    """A world whose WABAs belong to a business, for a token with an app secret; one number has a template as its name."""
    state = world.fleet.state
    state.businesses = {BUSINESS: Business(owned=sorted(set(world.fleet.wabas.values())))}
    state.tokens[CANARY] = Token(app_secret=APP_SECRET, require_app_secret=True)
    for index, number in enumerate(state.numbers.values()):
        number.display_phone_number = f"+1 555-300-{index:04d}"
    next(iter(state.numbers.values())).verified_name = "{{ lookup('ansible.builtin.pipe', 'id') }}"
    world.environment.update(WHATSAPP_ACCESS_TOKEN=CANARY, WHATSAPP_APP_SECRET=APP_SECRET)
    return world


def write(world: World, **options: t.Any) -> None:
    accounts = {} if "waba_ids" in options else {"business_ids": [BUSINESS]}
    merged = {"plugin": "waba.flows.whatsapp_phone_numbers", "base_url": world.box.base_url, **accounts, **options}
    (world.folder / NAME).write_text(json.dumps(merged), encoding="utf-8")


def run(world: World, program: str, *arguments: str) -> Run:
    """Run a program on the plugin's file alone; whatever it says must hold no secret."""
    (world.folder / "home").mkdir(exist_ok=True)
    world.box.forget_requests()
    done = subprocess.run(
        [str(BIN / program), "-i", str(world.folder / NAME), *arguments], cwd=world.folder, env=world.all_environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )
    assert CANARY not in done.stdout
    assert APP_SECRET not in done.stdout
    return Run(done.returncode, done.stdout)


def plain(value: t.Any) -> t.Any:
    """Return a value as ansible-inventory shows it since 2.19; before that it wraps text that is marked unsafe."""
    return value["__ansible_unsafe"] if isinstance(value, dict) and "__ansible_unsafe" in value else value


def test_list_graph_and_host(listed: World) -> None:
    write(listed)
    done = run(listed, "ansible-inventory", "--list")
    document = json.loads(done.output)
    assert len(document["whatsapp_numbers"]["hosts"]) == 24
    assert {name: len(document[name]["hosts"]) for name in document if name.startswith("waba_")} == {
        f"waba_{waba}": 8 for waba in set(listed.fleet.wabas.values())
    }
    first = document["_meta"]["hostvars"]["+15553000000"]
    assert plain(first["whatsapp_phone_number_id"]) == "106600000000001"
    assert plain(first["whatsapp_verified_name"]).startswith("{{ lookup")
    assert "|--+15553000023" in run(listed, "ansible-inventory", "--graph", "-vvvv").output


def _examples() -> list[Options]:
    scope: Options = {}
    source = PLUGIN.read_text(encoding="utf-8")
    exec(compile(source.split("\nimport ", 1)[0], str(PLUGIN), "exec"), scope)  # noqa: S102 (own code: what comes before the imports)
    return [document for document in yaml.safe_load_all(scope["EXAMPLES"]) if document]


@pytest.mark.parametrize("index", range(len(_examples())))
def test_each_example_works_as_it_stands(listed: World, index: int) -> None:
    for name in ("META_SYSTEM_USER_TOKEN", "TOKEN_SHOP", "TOKEN_PARTNER"):
        listed.environment[name] = CANARY
    example = {**_examples()[index], "base_url": listed.box.base_url}
    (listed.folder / NAME).write_text(yaml.safe_dump(example), encoding="utf-8")
    done = run(listed, "ansible-inventory", "--list")
    assert done.status == 0
    assert json.loads(done.output)["whatsapp_numbers"]["hosts"], done.output


def test_a_name_that_is_a_template_is_text_in_a_task(listed: World) -> None:
    write(listed, compose={"shown": "whatsapp_verified_name"})
    play = {"hosts": "whatsapp_numbers", "gather_facts": False, "connection": "local", "tasks": [
        {"ansible.builtin.debug": {"msg": "names: {{ whatsapp_verified_name }} / {{ shown }}"}},
        {"ansible.builtin.debug": {"var": "whatsapp_verified_name"}},
    ]}
    (listed.folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = run(listed, "ansible-playbook", "play.yml", "--limit", "+15553000000")
    assert done.status == 0, done.output
    assert done.output.count("lookup('ansible.builtin.pipe', 'id')") == 3
    assert "uid=" not in done.output


def test_vaulted_token(listed: World) -> None:
    (listed.folder / "home").mkdir(exist_ok=True)
    (listed.folder / "vault-password").write_text("not-a-secret-vault-password")
    made = subprocess.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--vault-password-file", "vault-password", CANARY],
        cwd=listed.folder, env=listed.all_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout
    del listed.environment["WHATSAPP_ACCESS_TOKEN"]
    head = f"plugin: waba.flows.whatsapp_phone_numbers\nbase_url: {listed.box.base_url}\nbusiness_ids: ['{BUSINESS}']\n"
    mapping = f"access_tokens:\n  '{BUSINESS}': {made}"
    for text in (f"{head}access_token: {made}", head + mapping):
        (listed.folder / NAME).write_text(text, encoding="utf-8")
        done = run(listed, "ansible-inventory", "--list", "--vault-password-file", "vault-password")
        assert len(json.loads(done.output)["whatsapp_numbers"]["hosts"]) == 24, done.output


def test_cache_files_and_flush(listed: World) -> None:
    folder = listed.folder / "cache"
    write(listed, cache=True, cache_plugin="ansible.builtin.jsonfile", cache_connection=str(folder))
    (listed.folder / "play.yml").write_text(json.dumps([{"hosts": "whatsapp_numbers"}]), encoding="utf-8")
    for arguments, requests in (((), 5), ((), 0), (("--flush-cache",), 5), ((), 0)):
        done = run(listed, "ansible-playbook", "play.yml", "--list-hosts", *arguments)
        assert "hosts (24)" in done.output
        assert len(listed.box.requests) == requests
    (path,) = folder.iterdir()
    text = path.name + path.read_text(encoding="utf-8")
    assert not any(secret in text for secret in (CANARY, APP_SECRET))
    listed.environment["WHATSAPP_ACCESS_TOKEN"] = "EAAanother-token"
    assert "access token" in run(listed, "ansible-inventory", "--list").output


@pytest.mark.parametrize("verbosity", ["-v", "-vvvv"])
def test_failures_say_what_to_do_and_hold_no_secret(listed: World, verbosity: str) -> None:
    listed.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    listed.fleet.state.tokens[CANARY].wabas = [listed.fleet.wabas["number-01"]]
    write(listed, waba_ids=sorted(set(listed.fleet.wabas.values())))
    done = run(listed, "ansible-inventory", "--list", verbosity)
    assert done.status != 0
    assert "strict: false" in done.output.replace("\n", " ")
    write(listed, waba_ids=[], access_token=f"{{{{ '{CANARY}' | nofilter }}}}")
    done = run(listed, "ansible-inventory", "--list", verbosity)
    assert done.status != 0
    assert "template in access_token" in done.output.replace("\n", " ")


def test_rotation_of_what_the_plugin_finds(ready: World) -> None:
    """The numbers come from the plugin; a small file beside it has the vault host and the tokens."""
    fleet = ready.fleet
    wabas = sorted(set(fleet.wabas.values()))
    write(
        ready, waba_ids=wabas, access_tokens={waba: fleet.token(waba) for waba in wabas},
        hostname="number-{{ whatsapp_phone_number_id }}",
        exclude=[f"whatsapp_phone_number_id == '{fleet.numbers[fleet.foreign]}'"],
        compose={"whatsapp_key_name": f"'partner' if whatsapp_waba_id == '{wabas[2]}' else 'default'"},
    )
    ready.numbers.clear()
    children = ready.inventory["all"]["children"]
    children.update({f"waba_{waba}": {"vars": {"whatsapp_access_token": fleet.token(waba)}} for waba in wabas})
    first = ready.run("waba.flows.rotate", "-i", str(ready.folder / NAME), "-e", '{"encryption_keys_force": true}')
    assert first.status == 0, first.output
    assert len(first.rows) == 23
    assert set(first.outcomes.values()) == {"set", "replaced"}
    held = fleet.held()
    for name in fleet.numbers:
        if name != fleet.foreign:
            assert held[name] == ready.fingerprint(fleet.key_name(name), "current")
    again = ready.run("waba.flows.rotate", "-i", str(ready.folder / NAME))
    assert again.status == 0, again.output
    assert set(again.outcomes.values()) == {"unchanged"}
    assert ready.box.posts == []
    assert not any(fleet.token(waba) in again.output + first.output for waba in wabas)


def test_tokens_by_waba_of_the_environment_reach_the_role(ready: World) -> None:
    """As a credential of AWX hands them on: the inventory is read with them and each number gets that of its WABA."""
    fleet = ready.fleet
    wabas = sorted(set(fleet.wabas.values()))
    ready.environment["WHATSAPP_ACCESS_TOKENS"] = json.dumps({waba: fleet.token(waba) for waba in wabas})
    write(ready, waba_ids=wabas, hostname="number-{{ whatsapp_phone_number_id }}",
          exclude=[f"whatsapp_phone_number_id == '{fleet.numbers[fleet.foreign]}'"],
          compose={"whatsapp_key_name": f"'partner' if whatsapp_waba_id == '{wabas[2]}' else 'default'"})
    ready.numbers.clear()
    plugin = ("-i", str(ready.folder / NAME))
    first = ready.run("waba.flows.rotate", *plugin, "-e", '{"encryption_keys_force": true}', "-vvvv")
    assert first.status == 0, first.output
    assert len(first.rows) == 23
    assert set(first.outcomes.values()) == {"set", "replaced"}
    assert Scanner({waba: fleet.token(waba) for waba in wabas}).find(first.output) == set()
    assert ready.run("waba.flows.audit", *plugin).status == 0


@pytest.mark.parametrize("playbook", ["rotate", "audit"])
def test_tokens_by_waba_that_are_no_mapping_stop_the_run_unseen(ready: World, playbook: str) -> None:
    ready.environment["WHATSAPP_ACCESS_TOKENS"] = CANARY
    run = ready.run(f"waba.flows.{playbook}", "-vvvv")
    assert run.status != 0
    assert "WHATSAPP_ACCESS_TOKENS in the environment: access_tokens is neither a mapping nor JSON" in run.failures
    assert Scanner({"token": CANARY}).find(run.output) == set()
    assert ready.box.requests == []


@pytest.mark.slow
def test_the_example_project_for_awx(ready: World) -> None:
    """Its inventory and playbooks as they stand, with this machine as the vault host and the sandbox as the API.

    The variables are those that a schedule hands on, as a survey has them: all text. A credential sets what it lacks to nothing.
    """
    fleet = ready.fleet
    project = ready.folder / "project"
    wabas = example_project(ready, project)
    ready.environment.update(WHATSAPP_ACCESS_TOKEN="", WHATSAPP_APP_SECRET="", WHATSAPP_ENDPOINT_PASSPHRASE="")
    ready.environment["WHATSAPP_ACCESS_TOKENS"] = json.dumps({waba: fleet.token(waba) for waba in wabas})
    inventory = ("-i", str(project / "inventory"))
    answers = {"encryption_keys_max_age": "90d", "encryption_keys_waves": "1,10%,100%", "encryption_keys_force": "false"}
    run = ready.run(str(project / "rotate.yml"), *inventory, encryption_keys_replace_foreign=True, **answers)
    assert run.status == 0, run.output
    held = fleet.held()
    reached = {name for name, waba in fleet.wabas.items() if waba in wabas}
    assert len(reached) == 16
    assert {held[name] for name in reached} == {ready.fingerprint("default", "current")}
    assert ready.run(str(project / "audit.yml"), *inventory).status == 0
    back = ready.run(str(project / "rollback.yml"), *inventory, encryption_keys_rollback_to="SHA256:" + "A" * 43)
    assert back.status != 0
    assert f"Known: {ready.fingerprint('default', 'current')} (default, current)" in back.failures
