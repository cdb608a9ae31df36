# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block of YAML, JSON and commands in the documentation is something that Ansible takes. Other tests run some of them."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import typing as t
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from ansible.galaxy.dependency_resolution.versioning import meets_requirements

from tests.documentation import PLUGIN, PREFIXES, Block, blocks_of, examples_of, kind_of, pages, plugins
from tests.sandbox import Business, Number, Token

from .conftest import BIN, ROOT, World

DEFAULTS = {
    name for path in (ROOT / "roles").glob("*/defaults/main.yml")
    for name in re.findall(r"^(\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
}
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
# Variables that playbooks alone take, and those that users give to the task files of their own.
MORE_VARIABLES = {
    "encryption_keys_vault_group", "encryption_keys_rollback_to", "encryption_keys_restore_from", "encryption_keys_recover_to",
    "encryption_keys_deployment",
}
GROUPS = {"whatsapp_numbers", "whatsapp_endpoints", "whatsapp_vault", "whatsapp_replicas"}
OTHER_MODULES = ["kubernetes.core.k8s"]
OTHER_LOOKUP = "lookup('community.hashi_vault.vault_kv2_get', 'whatsapp/partner').secret.token"
TOKEN = "token-of-the-documentation"
LANGUAGES = {"console", "ini", "json", "python", "shell", "text", "yaml"}


def plugin_options() -> dict[str, t.Any]:
    """Return the inventory plugin's own options and those that it has from Ansible."""
    text = (ROOT / "plugins" / "inventory" / "whatsapp_phone_numbers.py").read_text(encoding="utf-8")
    match = re.search(r'^DOCUMENTATION = r"""\n(.*?)"""', text, re.DOTALL | re.MULTILINE)
    assert match is not None
    constructed = ("compose", "groups", "keyed_groups", "strict", "use_extra_vars", "leading_separator")
    cached = ("cache", "cache_plugin", "cache_connection", "cache_timeout", "cache_prefix")
    return {**dict.fromkeys((*constructed, *cached)), **yaml.safe_load(match.group(1))["options"]}


OPTIONS = plugin_options()
YAML_BLOCKS = [block for page in pages() for block in blocks_of(page, "yaml")]
EXAMPLES = [block for plugin in plugins() for block in examples_of(plugin)]


def of_kind(kind: str) -> list[Block]:
    """Return the blocks and examples of a kind, those left out that a comment calls something else."""
    return [block for block in YAML_BLOCKS + EXAMPLES if not block.comment and kind_of(block.data, OPTIONS) == kind]


def file_name(block: Block) -> str:
    """Return the block's place as a name, so that Ansible's messages tell it."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", block.place)


def walk(data: t.Any) -> t.Iterator[t.Any]:
    """Yield a structure and all that is in it."""
    yield data
    for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from walk(item)


def tasks_of(data: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """Yield the tasks that use modules of this collection, with the module's name."""
    for item in walk(data):
        if isinstance(item, dict):
            yield from ((name, value) for name, value in item.items() if str(name).startswith("waba.flows.whatsapp_"))


def known_variables(collections: Path) -> set[str]:
    """Return the host variables that the code knows."""
    if str(collections) not in sys.path:
        sys.path.append(str(collections))
    rows = importlib.import_module("ansible_collections.waba.flows.plugins.plugin_utils._inventory_rows")
    names = {*rows._OPTIONS, *rows._ENDPOINT, "key_name", "key_names"}
    return {f"whatsapp_{name}" for name in names} | DEFAULTS | MORE_VARIABLES


def run(world: World, *command: str) -> str:
    """Run a program of Ansible's, which has to succeed."""
    (world.folder / "home").mkdir(exist_ok=True)
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=world.folder, env=world.all_environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


# -- nothing is left out


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.place)
def test_every_block_is_of_a_known_kind(block: Block) -> None:
    assert bool(block.comment) ^ bool(kind_of(block.data, OPTIONS)), (
        f"{block.place} is nothing that Ansible reads: say what it is in a comment before it, <!-- yaml: WHAT -->."
    )


def test_every_fence_is_seen_and_names_its_language() -> None:
    for page in pages():
        found = blocks_of(page)
        assert len(re.findall(r"^ *```", page.read_text(encoding="utf-8"), re.MULTILINE)) == 2 * len(found), page
        assert {block.language for block in found} <= LANGUAGES, page


def test_every_kind_is_met_and_every_module_has_examples() -> None:
    kinds = {kind: len(of_kind(kind)) for kind in ("plays", "tasks", "inventory", "plugin", "variables", "requirements")}
    assert all(kinds.values()), kinds
    assert [path.name for path in plugins() if not examples_of(path)] == []


@pytest.mark.parametrize(("data", "kind"), [
    ([{"hosts": "all"}], "plays"), ([{"name": "x", "ansible.builtin.debug": {}}], "tasks"), ({"all": {"hosts": {}}}, "inventory"),
    ({"plugin": PLUGIN}, "plugin"), ({"include": []}, "plugin"), ({"whatsapp_provider": "aws"}, "variables"),
    ({"collections": []}, "requirements"), ({"anything": 1}, ""), ({"plugin": "other", "x": 1}, ""), ("text", ""), ([], ""),
    (None, ""),
])
def test_kinds(data: t.Any, kind: str) -> None:
    assert kind_of(data, OPTIONS) == kind


# -- YAML


def test_plays_and_tasks_pass_the_syntax_check(world: World) -> None:
    for name in OTHER_MODULES:  # whether a module of others is there does not matter here
        namespace, collection, module = name.split(".")
        folder = world.folder / "others" / "ansible_collections" / namespace / collection / "plugins" / "modules"
        folder.mkdir(parents=True)
        (folder / f"{module}.py").write_text("")
    world.environment["ANSIBLE_COLLECTIONS_PATH"] = f"{world.collections}:{world.folder / 'others'}"
    playbooks = []
    for block in of_kind("plays") + of_kind("tasks"):
        plays = block.data if block in of_kind("plays") else [{"hosts": "all", "gather_facts": False, "tasks": block.data}]
        playbooks.append(f"{file_name(block)}.yml")
        (world.folder / playbooks[-1]).write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    assert len(playbooks) >= 10
    output = run(world, "ansible-playbook", "-i", "localhost,", "--syntax-check", *playbooks)
    assert output.count("playbook: ") == len(playbooks)


def test_options_of_modules_are_those_that_there_are(world: World) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for block in YAML_BLOCKS + EXAMPLES:
        for name, options in tasks_of(block.data):
            used[name] |= set(options or ())
    assert len(used) >= 6
    documented = json.loads(run(world, "ansible-doc", "--json", *sorted(used)))
    for name, options in used.items():
        assert options <= set(documented[name]["doc"]["options"]), name


def test_variables_are_those_that_there_are(collections: Path) -> None:
    known = known_variables(collections)
    for block in YAML_BLOCKS:
        names = {name for item in walk(block.data) if isinstance(item, dict) for name in item if isinstance(name, str)}
        ours = {name for name in names if name.startswith(PREFIXES)} - GROUPS
        assert ours <= known, block.place


def test_inventories_are_read(world: World) -> None:
    """Those in files, and those of the plugin, which asks the sandbox."""
    state = world.fleet.state
    wabas = ["102200000000001", "102200000000002", "102200000000007"]
    for number, waba in enumerate(wabas):
        state.numbers[f"10660000000900{number}"] = Number(waba_id=waba)
    state.businesses = {"101100000000001": Business(owned=wabas)}
    state.tokens[TOKEN] = Token()
    for name in ("WHATSAPP_ACCESS_TOKEN", "META_SYSTEM_USER_TOKEN", "META_TOKEN", "TOKEN_SHOP", "TOKEN_PARTNER"):
        world.environment[name] = TOKEN
    files = [write_inventory(world, block) for block in of_kind("inventory") + of_kind("plugin")]
    assert len(files) >= 10
    world.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    sources = [word for name in files for word in ("-i", name)]
    listed = json.loads(run(world, "ansible-inventory", "--list", *sources))
    assert {"shop", "partner", "kiosk"} <= set(listed["whatsapp_numbers"]["hosts"])
    assert {f"waba_{waba}" for waba in wabas} <= set(listed)


def write_inventory(world: World, block: Block) -> str:
    """Write a block as an inventory, and return its name."""
    if kind_of(block.data, OPTIONS) == "inventory":
        name = f"{file_name(block)}.yml"
        (world.folder / name).write_text(block.text, encoding="utf-8")
        return name
    name = f"{file_name(block)}.whatsapp_phone_numbers.yml"
    text = block.text.replace(OTHER_LOOKUP, "lookup('ansible.builtin.env', 'META_TOKEN')")
    whole = {"plugin": PLUGIN, "waba_ids": ["102200000000001"], **yaml.safe_load(text), "base_url": world.box.base_url}
    (world.folder / name).write_text(yaml.safe_dump(whole), encoding="utf-8")
    return name


def test_requirements_are_met_by_this_version() -> None:
    for block in of_kind("requirements"):
        for entry in block.data["collections"]:
            assert entry["name"] == f"{GALAXY['namespace']}.{GALAXY['name']}"
            assert meets_requirements(GALAXY["version"], entry["version"])
            assert not meets_requirements("0.9.0", entry["version"])


# -- the rest


def test_json_is_json() -> None:
    blocks = [block for page in pages() for block in blocks_of(page, "json")]
    assert blocks
    for block in blocks:
        assert json.loads(block.text), block.place


COMMANDS = [
    (block.place, line.removeprefix("$ "))
    for page in pages() for block in blocks_of(page, "shell", "console")
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines()
]


def test_commands_name_playbooks_modules_and_variables_that_there_are() -> None:
    seen = set()
    for place, line in COMMANDS:
        words = shlex.split(line, comments=True)
        for name in re.findall(r"\bwaba\.flows\.(\w+)", line):
            kinds = {"playbook": ROOT / "playbooks" / f"{name}.yml", "module": ROOT / "plugins" / "modules" / f"{name}.py"}
            found = [kind for kind, path in kinds.items() if path.exists()]
            assert found, f"{place}: {line}"
            seen.update(found)
        for name in re.findall(rf"\b(?:{'|'.join(PREFIXES[1:])})\w+", re.sub(r"waba\.flows\.\w+", "", " ".join(words))):
            assert name in DEFAULTS or name in MORE_VARIABLES, f"{place}: {line}"
            seen.add("variable")
        targets = re.findall(r"^make (\w+)$", line)
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets), place
    assert seen == {"playbook", "module", "variable"}


# -- what pages point to


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_into_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, anchor in re.findall(rf"{re.escape(GALAXY['repository'])}/(?:blob|raw)/main/([^)#\s]+)(#[^)\s]+)?", text):
        assert (ROOT / path).is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}, anchor
    relative = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text)
    assert all((page.parent / path).exists() for path in relative), relative
    assert not (relative and page.name == "README.md")  # Galaxy shows these pages elsewhere


def test_tests_that_the_documentation_names_are_there() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for page in pages() for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))}
    assert len(named) >= 15
    assert [name for name in sorted(named) if f"def {name}(" not in text] == []
    files = {name for page in pages() for name in re.findall(r"`(tests/[\w/.]+)`", page.read_text(encoding="utf-8"))}
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


def test_the_readme_has_what_galaxy_and_certification_ask_for() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sections = ["Description", "Requirements", "Installation", "Use cases", "Testing", "Support", "Release notes",
                "Related information", "License information"]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in sections] == sections
    assert not re.search(r"pip install (-\S+ )*ansible", text)
