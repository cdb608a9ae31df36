# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: whatever happens and however much is asked to be shown, none is anywhere but in its place."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.fleet import OldKey, example_fleet
from tests.sandbox import Sandbox

from .conftest import APP_SECRET, Run, Sshd, World, running_sshd
from .secret_scan import FORMS, Places, Scanner, Watch, encodings, leaks, secrets_of

IMPORT = {
    "encryption_keys_import_private_key_path": "{folder}/old-key.pem",
    "encryption_keys_import_passphrase": "{{{{ lookup('ansible.builtin.file', '{folder}/old-passphrase') }}}}",
}


def make_secretive(world: World) -> World:
    """Have every kind of secret in use."""
    for variables in world.numbers.values():
        variables["whatsapp_app_secret"] = APP_SECRET
    for token in world.fleet.state.tokens.values():
        token.app_secret = APP_SECRET
    endpoint = world.add_endpoint("endpoint-1", whatsapp_app_secret=APP_SECRET)
    endpoint.app_secret = APP_SECRET
    endpoint.stop()
    endpoint.start()
    world.add_replica("replica-1")
    (world.folder / "old-key.pem").write_bytes(world.fleet.old_keys["default"].private_pem)
    (world.folder / "old-passphrase").write_text(world.fleet.old_keys["default"].passphrase)
    return world


@pytest.fixture
def secretive(world: World) -> World:
    return make_secretive(world)


def rotate(world: World, places: Places, *arguments: str, **variables: t.Any) -> tuple[Run, dict[str, str]]:
    """Rotate with an import; return the run, and by place what it left, when the files are sound again."""
    options: dict[str, t.Any] = {
        **{name: value.format(folder=world.folder) for name, value in IMPORT.items()}, **places.outputs(),
        "encryption_keys_force": True, "encryption_keys_replica_group": "whatsapp_replicas", **variables,
    }
    with places.watch() as watch:
        run = world.run("waba.flows.rotate", *(arguments or ("-vvvv", "--diff")), **options)
    return run, places.found(run, watch)


def assert_nothing_shows(world: World, texts: dict[str, str], **more: str) -> None:
    """No secret is anywhere; what is searched was there to be searched."""
    used = {"standard output", "log file", "system log", "command lines", "JUnit files", "tree files", "events", "fact cache"}
    assert {place for place in used if not texts[place]} <= {"fact cache"}
    assert leaks(texts, {**secrets_of(world), **more}) == {}


# -- what goes wrong, by name: each returns what is secret beside what always is

Wrong = t.Callable[[World], t.Optional[t.Dict[str, str]]]


def token_refused(world: World) -> None:
    """The API answers 190 to all."""
    world.fleet.state.tokens.clear()


def token_echoed(world: World) -> dict[str, str]:
    """Each number is answered with the token in another form, in a message, in details, and in a header."""
    forms = list(encodings(world.fleet.token(world.fleet.wabas["number-01"])).values())
    halves = {}
    for index, name in enumerate(world.numbers):
        token = world.fleet.token(world.fleet.wabas[name])
        halves.update({f"first half {token}": token[:len(token) // 2], f"second half {token}": token[len(token) // 2:]})
        echo = [*encodings(token).values(), token[:len(token) // 2], token[len(token) // 2:]][index % (len(forms) + 2)]
        error = {"code": 190, "message": f"Malformed access token {echo}", "type": echo, "fbtrace_id": echo,
                 "error_data": {"details": f"it was {echo}"}}
        members: dict[str, t.Any] = {"status": 400, "body": json.dumps({"error": error}), "headers": {"X-Echo": echo}}
        if index % 3 == 2:
            members = {"status": 200, "body": f"You sent {echo}", "content_type": "text/plain", "headers": {"WWW-Authenticate": echo}}
        world.box.fault(world.fleet.numbers[name], "body", times=-1, **members)
    return halves


def passphrase_wrong(world: World) -> None:
    """The keyring is under another passphrase, and its keys are damaged."""
    tasks = [{"waba.flows.whatsapp_flows_keyring": {"path": str(world.keys), "passphrase": "another-passphrase"}}]
    assert world.play(tasks).status == 0
    for path in world.keys.rglob("*.pem"):
        path.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")


FAILURES: dict[str, Wrong] = {"nothing": lambda world: None, "token": token_refused, "echo": token_echoed, "passphrase": passphrase_wrong}


@pytest.mark.attack("secret", "a rotation with every kind of secret at -vvvv, with --diff, tracebacks and arguments asked for, that "
                              "succeeds, or fails in several ways")
@pytest.mark.parametrize("failure", FAILURES)
def test_no_secret_shows(secretive: World, failure: str) -> None:
    places = Places(secretive)
    more = FAILURES[failure](secretive) or {}
    run, texts = rotate(secretive, places, encryption_keys_replace_foreign=True)
    assert (run.status == 0) == (failure == "nothing"), run.output
    if failure == "passphrase":
        for path in secretive.keys.joinpath("default").glob("*.pem"):
            path.unlink()
    assert_nothing_shows(secretive, texts, **more)
