# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows is run: the modules' EXAMPLES, the inventory and commands of the first steps, and the plays."""

from __future__ import annotations

import re
import shlex
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.documentation import blocks_of, kind_of
from tests.fleet import Endpoint, OldKey, fingerprint_of, local_vault
from tests.sandbox import Number, Token, make_account

from .conftest import ENDPOINT_PASSPHRASE, PASSPHRASE, ROOT, World

IDS = ("106540352242922", "106540352242923", "106540352242924")
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("whatsapp_*.py"))
GETTING_STARTED = ROOT / "docs" / "getting-started.md"
TOKEN = "token-of-the-documentation"


def examples(module: str) -> str:
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    match = re.search(r'^EXAMPLES = r"""\n(.*?)"""', text, re.DOTALL | re.MULTILINE)
    assert match is not None
    return match.group(1)


@pytest.fixture
def documented(world: World) -> World:
    """A sandbox with the numbers, and files with the key, that the documentation speaks of; the third number's is foreign."""
    key = OldKey()
    state = world.fleet.state
    state.tokens[TOKEN] = Token(app_secret="an-app-secret")
    for identity in IDS:
        pem = OldKey().public_pem if identity == IDS[2] else key.public_pem
        state.numbers[identity] = Number(waba_id=next(iter(state.wabas())), business_public_key=pem, signature_status="VALID")
    world.fleet.old_keys["documented"] = key
    (world.folder / "flows.pub").write_text(key.public_pem)
    (world.folder / "flows.pem").write_bytes(key.private_pem)
    world.environment["WHATSAPP_ACCESS_TOKEN"] = TOKEN
    return world


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_the_module(documented: World, module: str) -> None:
    held = documented.fleet.state.numbers[IDS[0]].business_public_key
    assert held is not None
    text = examples(module).replace("/etc/whatsapp-flows/keys", str(documented.keys))
    text = text.replace("/etc/whatsapp-flows/endpoint-keys", str(documented.folder / "endpoint-keys"))
    text = text.replace("/root/flows-private.pem", str(documented.folder / "flows.pem"))
    text = re.sub(r"SHA256:[A-Za-z0-9+/]{43}", fingerprint_of(held), text)
    new = OldKey()
    if "https://flows.example.com/endpoint" in text:
        endpoint = documented.add_endpoint("endpoint-1")
        endpoint.deploy(new, documented.fleet.old_keys["documented"])
        text = text.replace("https://flows.example.com/endpoint", endpoint.url)
    tasks = yaml.safe_load(text)
    account = make_account("kaleyra", ["+919900000001"])
    documented.fleet.state.numbers["+919900000001"] = Number(waba_id="")
    documented.fleet.state.accounts["HXIN0000000000IN"] = account
    for task in tasks:
        options: dict[str, t.Any] = next((value for name, value in task.items() if name.startswith("waba.flows.")), {})
        if options.get("provider") == "kaleyra":
            options["base_url"] = f"{documented.box.base_url}/kaleyra"
    taken_for_granted = {
        "whatsapp_access_token": TOKEN, "other_access_token": TOKEN, "whatsapp_app_secret": "an-app-secret",
        "new_public_key": new.public_pem, "keyring_passphrase": PASSPHRASE, "old_passphrase": "not-a-secret-old-passphrase",
        "endpoint_passphrase": "canary-endpoint-passphrase-2846", "kaleyra_api_key": account.secret,
    }
    play: dict[str, t.Any] = {
        "hosts": "whatsapp_vault", "gather_facts": False, "vars": taken_for_granted, "tasks": tasks,
        "module_defaults": {"group/waba.flows.whatsapp": {"base_url": documented.box.base_url}},
    }
    path = documented.folder / "examples.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    run = documented.run(str(path))
    assert run.status == 0, run.output
    assert run.recap["ok"] == len(tasks) >= 1


def use_documented_inventory(world: World) -> None:
    """The inventory of the first steps, with its vault host made this machine and the sandbox as the API."""
    (block,) = (block for block in blocks_of(GETTING_STARTED, "yaml") if "# inventory.yml" in block.text)
    world.inventory = block.data
    groups = world.inventory["all"]["children"]
    groups["whatsapp_vault"]["hosts"]["vault.example.com"] = local_vault()
    endpoint = Endpoint("flows1", world.folder, ENDPOINT_PASSPHRASE)
    endpoint.start()
    world.endpoints["flows1"] = endpoint
    documented_variables = groups["whatsapp_endpoints"]["hosts"]["flows1.example.com"]
    del documented_variables["whatsapp_endpoint_keys_group"]  # there is no such group on this machine
    documented_variables.update(endpoint.inventory())
    groups["whatsapp_numbers"]["vars"]["whatsapp_base_url"] = world.box.base_url


def playbook_commands(page: Path) -> list[str]:
    """Return the commands of a page that run playbooks."""
    lines = [line for block in blocks_of(page, "shell") for line in block.text.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.startswith("ansible-playbook")]


@pytest.mark.slow
def test_commands_of_the_first_steps(documented: World) -> None:
    """All commands, one after the other, with the number of the partner refused until its key is allowed to go."""
    use_documented_inventory(documented)
    lines = playbook_commands(GETTING_STARTED)
    assert set(playbook_commands(ROOT / "README.md")) <= set(lines)
    changed = []
    for line in lines:
        words = shlex.split(re.sub("/root/|/var/lib/node_exporter/textfile/", f"{documented.folder}/", line))
        assert words[:3] == ["ansible-playbook", "-i", "inventory.yml"]
        run = documented.run(*words[3:], encryption_keys_import_passphrase="not-a-secret-old-passphrase")
        found = "foreign" if words[3] == "waba.flows.audit" else "refused"
        assert f"partner (106540352242924): {found}" in run.failures, run.output
        changed.append(len(documented.box.posts))
    # Check; the import changes no number; not due; by force both that are not refused; the audit changes nothing.
    assert changed == [0, 0, 0, 2, 0]
    assert (documented.folder / "fleet.html").exists()
    assert "waba_flows_run_succeeded" in (documented.folder / "whatsapp_flows.prom").read_text()


def test_documented_plays(documented: World) -> None:
    use_documented_inventory(documented)
    documented.inventory["all"]["vars"] = {"vaulted_keyring_passphrase": PASSPHRASE, "encryption_keys_replace_foreign": True,
                                           "ansible_python_interpreter": local_vault()["ansible_python_interpreter"]}
    pages = (ROOT / "README.md", ROOT / "docs" / "rotating.md")
    blocks = [block for page in pages for block in blocks_of(page, "yaml") if kind_of(block.data, ()) == "plays"]
    plays = [play for block in blocks for play in block.data]
    assert len(plays) == 3
    for play in plays:
        play.pop("become", None)  # the tests may run as anybody
        play.setdefault("module_defaults", {}).setdefault("group/waba.flows.whatsapp", {})["base_url"] = documented.box.base_url
    path = documented.folder / "site.yml"
    path.write_text(yaml.safe_dump(plays, sort_keys=False))
    run = documented.run(str(path))
    assert run.status == 0, run.output
    assert len(documented.box.posts) == 4


def test_numbers_in_the_role_readme_are_its_defaults() -> None:
    """The table of variables, the defaults and the argument specs name the same variables."""
    role = ROOT / "roles" / "encryption_keys"
    listed = re.findall(r"^\| `(encryption_keys_\w+)` \|", (role / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = {**specs["argument_specs"]["audit"]["options"], **specs["argument_specs"]["main"]["options"]}
    assert sorted(listed) == sorted(defaults) == sorted(options)
    templated = {name for name, value in defaults.items() if "{{" in str(value)}
    assert templated == {"encryption_keys_passphrase", "encryption_keys_endpoint_passphrase"}
    assert {name: option["default"] for name, option in options.items() if name not in templated} == {
        name: value for name, value in defaults.items() if name not in templated
    }
