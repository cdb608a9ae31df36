# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option that takes a secret is under no_log, and so is every task that handles one; messages quote nothing unforeseen."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.waba.flows.plugins.module_utils import _argspec, _errors, _host_argspec
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import OWN_OPTIONS
from ansible_collections.waba.flows.tests.looks_secret import secret_looking

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"
SECRET_NAME = re.compile("token|secret|passwo?r?d|passphrase|private_key|api_?key|session|credential")
# Options whose names only sound like it.
HARMLESS = {
    "import_private_key_path": "a path", "encryption_keys_import_private_key_path": "a path",
    "credential_header": "the name of a header", "credential_query": "the name of a parameter",
    "credential_scheme": "a word before the credential",
    "awx_setup_update_secrets": "true or false", "awx_setup_credential_types": "definitions",
    "awx_setup_credentials": "the modules of awx.awx get them under no_log",
    "awx_setup_project_credential": "a name in AWX", "awx_setup_machine_credential": "a name in AWX",
    "awx_setup_job_credentials": "names in AWX", "credentials": "names in AWX", "credential": "a name in AWX",
    "credential_type": "a name in AWX",
}
Options = t.Mapping[str, t.Mapping[str, t.Any]]


def options_of(options: Options, where: str) -> t.Iterator[tuple[str, str, t.Mapping[str, t.Any]]]:
    """Yield place, name and spec of each option, and of those within it."""
    for name, option in options.items():
        yield where, name, option
        yield from options_of(option.get("options") or {}, f"{where}.{name}")


def all_options() -> list[tuple[str, str, t.Mapping[str, t.Any]]]:
    found: list[tuple[str, str, t.Mapping[str, t.Any]]] = []
    for module in (_argspec, _host_argspec):
        for name, spec in vars(module).items():
            if name.isupper() and isinstance(spec, dict) and name != "PROVIDERS":
                found += options_of(spec, name)
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for entry, spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].items():
            found += options_of(spec.get("options", {}), f"{path.parent.parent.name}.{entry}")
    return found


@pytest.mark.attack("secret", "options of modules and roles that take a secret by their names, and are not under no_log")
def test_every_option_that_takes_a_secret_is_under_no_log(record_property: t.Callable[[str, object], None]) -> None:
    options = all_options()
    named = [(where, name, option) for where, name, option in options if SECRET_NAME.search(name) and name not in HARMLESS]
    assert [(where, name) for where, name, option in named if option.get("no_log") is not True] == []
    assert set(HARMLESS) <= {option[1] for option in options}
    assert {"access_token", "app_secret", "password", "api_key", "passphrase", "export_passphrase", "private_keys",
            "encryption_keys_passphrase", "encryption_keys_import_passphrase"} <= {option[1] for option in named}
    record_property("tries", len(options))


def test_what_a_provider_calls_secret_is_what_is_named_so() -> None:
    named = {option.name for option in OWN_OPTIONS if SECRET_NAME.search(option.name) and option.name not in HARMLESS}
    assert {option.name for option in OWN_OPTIONS if option.secret} == named


# -- the tasks

Task = t.Mapping[str, t.Any]
# Variables and steps of the filter that have a secret, or a private key under a passphrase.
HANDLES = re.compile(
    r"encryption_keys_(new_|endpoint_|import_)?passphrase|__encryption_keys_(endpoint_)?secret\b|__encryption_keys_credentials"
    r"|whatsapp_app_secret|__encryption_keys_taken|deploying_private|encryption_keys_deployment|awx_setup_credentials\b"
)
# What only passes on what is templated later, in the tasks within, or looks without showing.
PASSES_ON = re.compile(r"ansible\.builtin\.(import|include)_(tasks|role)")
HARMLESS_TASKS = {
    "Check that nothing is null": "the names alone are shown",
    "Check that the passphrase of the keyrings is given": "its message names no value",
    "Check that the passphrase of the keyrings is given, and which keys are chosen": "its message names no value",
    "Check the other passphrases": "its message names no value",
    "Check that there is exactly one vault host, and a passphrase": "its message names no value",
    "Check the tokens by WABA": "what is wrong is told without a value",
    "Check that they could be opened": "messages of the keyring's alone",
    "Check that nothing is limited that concerns all numbers": "whether there is one",
    "Check that the credentials hold what their types need": "the names of inputs",
    "Remove the credentials": "names alone",
    "Remove the credential types that no credential is of": "names alone",
}


def tasks_of(items: t.Any) -> t.Iterator[Task]:
    for item in items or []:
        yield item
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from tasks_of(item.get(part))


class Loader(yaml.SafeLoader):
    """Knows !unsafe."""


Loader.add_constructor("!unsafe", lambda loader, node: node.value)
FILES = [*sorted(ROLES.glob("*/tasks/*.yml")), *sorted((ROOT / "playbooks").glob("*.yml"))]


def documents(path: Path) -> t.Any:
    """Return what a file of tasks or plays holds."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 (a SafeLoader)


def own_text(task: Task) -> str:
    """Return what a task itself has templated: all but the tasks within it."""
    return repr({name: value for name, value in task.items() if name not in ("block", "rescue", "always", "tasks")})


@pytest.mark.attack("secret", "tasks of roles and playbooks that handle a secret and are not under no_log")
def test_every_task_that_handles_a_secret_is_under_no_log(record_property: t.Callable[[str, object], None]) -> None:
    tasks = [(path, task) for path in FILES for task in tasks_of(documents(path))]
    handling = [(path.name, task) for path, task in tasks if HANDLES.search(own_text(task))]
    shown = [
        (name, task["name"]) for name, task in handling
        if task.get("no_log") is not True and task["name"] not in HARMLESS_TASKS and not any(map(PASSES_ON.fullmatch, task))
    ]
    assert shown == []
    assert set(HARMLESS_TASKS) <= {task.get("name") for dummy, task in tasks}
    assert len(handling) > 20
    record_property("tries", len(tasks))


def test_tasks_that_check_secrets_do_not_name_their_values() -> None:
    """Those that are not under no_log, as nobody could see then what is wrong."""
    for path in FILES:
        for task in tasks_of(documents(path)):
            if task.get("name") in HARMLESS_TASKS and "ansible.builtin.assert" in task:
                told = str(task["ansible.builtin.assert"]["fail_msg"])
                templates = [text for text in re.findall(r"{{.*?}}", told) if "map(attribute='msg')" not in text]
                assert not any(HANDLES.search(text) for text in templates), task["name"]


# -- the messages

ERRORS = {name for name, value in vars(_errors).items() if isinstance(value, type) and issubclass(value, BaseException)}
MAKERS = {*ERRORS, "EndpointError", "EnvelopeError", "unexpected", "_not_readable"}
UTILS = ROOT / "plugins" / "module_utils"
# What may stand in a message of those that talk to a peer. Nothing of an answer but its status is among it; cause and
# content_type went through redact().
MAY_BE_QUOTED = {
    # our own words, names of options, numbers
    "done", "type(error).__name__",
    "what", "why", "where", "kind", "option", "option.name", "example", "environment", "timeout", "wait", "url_option", "_PLACE",
    "self._options.url_option", "MAX_BODY_BYTES", "MAX_PAGES", "deadline.seconds", "job.deadline.seconds",
    "self.connection.timeout", "error.message", "status", "answer.status",
    # scheme and host of a URL
    "host", "host_only(url)", "host_only(request.url)", "parts.hostname",
    # options that are no secrets
    "version", "phone_number_id[:40]", "phone_number_id[:60]", "sid[:80]", "app_id[:80]", "gateway.header", "gateway.path[:80]",
    "identity", "identity[:40]",
    # of a library or a peer, masked
    "cause", "cause.rstrip('.')", "self.redact(_root_cause(error))[:200]", "content_type",
    # of boto3 about a profile or a region, before anything is signed
    "str(error).rstrip('.')",
}


@pytest.mark.attack("secret", "messages that quote what came from outside without masking it, looked for in the code")
def test_messages_of_those_that_talk_to_peers_quote_what_is_known_alone(record_property: t.Callable[[str, object], None]) -> None:
    quoted = set()
    for path in [*sorted((UTILS / "_providers").glob("*.py")), UTILS / "_http.py", UTILS / "_wabas.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                quoted |= {ast.unparse(part.value) for part in ast.walk(node) if isinstance(part, ast.FormattedValue)}
    assert quoted <= MAY_BE_QUOTED
    assert quoted >= MAY_BE_QUOTED, "no longer quoted"
    record_property("tries", len(quoted))


# -- what the repository has

@pytest.mark.attack("secret", "key material and what looks like a credential, looked for in each file of repository and tarball")
def test_no_file_of_the_repository_looks_like_a_secret(record_property: t.Callable[[str, object], None]) -> None:
    """What is built of it is looked into by test_the_tarball_holds_no_secret."""
    skipped = {
        ".git", ".venv", ".build", ".demo", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__", ".hypothesis",
        "output", ".ansible", "collections",
    }
    files = [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)]
    assert [str(path) for path in files if secret_looking(path.read_text(encoding="utf-8", errors="replace"))] == []
    assert len(files) > 100
    record_property("tries", len(files))


@pytest.mark.parametrize("planted", [
    "-----BEGIN RSA PRIVATE KEY-----\n" + ("A" * 64 + "\n") * 4, "x EAA" + "B" * 60, "AKIA" + "C" * 16, "ghp_" + "d" * 36,
    "sk_live_" + "e" * 20,
])
def test_what_is_planted_is_found(planted: str) -> None:
    assert secret_looking(f"some: {planted}")
