# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: at -vvvv, in success and failure, none shows anywhere but in its place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization

from .conftest import APP_SECRET, ENDPOINT_PASSPHRASE, PASSPHRASE, World


class Scanner:
    """Finds secrets in text, as they are and in the forms that they travel in."""

    def __init__(self, secrets: t.Mapping[str, str]) -> None:
        self._needles = {
            form: name for name, secret in secrets.items()
            for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")[:-1])
        }

    def find(self, text: str) -> set[str]:
        """Return the names of the secrets that a text holds."""
        return {name for needle, name in self._needles.items() if needle in text}


FORMS = {"PKCS#8": serialization.PrivateFormat.PKCS8, "PKCS#1": serialization.PrivateFormat.TraditionalOpenSSL}


def private_material(world: World) -> dict[str, str]:
    """Return each private key of keyrings, replicas and endpoints in plain, a piece a line, and its encrypted form."""
    pieces = {}
    places = {world.keys: PASSPHRASE, world.folder / "replica-1": PASSPHRASE, world.folder / "endpoint-1": ENDPOINT_PASSPHRASE}
    for path, passphrase in ((path, word) for folder, word in places.items() for path in folder.rglob("*.pem")):
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
        for label, form in FORMS.items():
            plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
            pieces.update({f"{path} {label} {i}": line for i, line in enumerate(plain.decode().splitlines()[2:-2])})
        pieces.update({f"{path} encrypted {i}": line for i, line in enumerate(path.read_text().splitlines()[6:-2])})
    return pieces


def secrets_of(world: World) -> dict[str, str]:
    secrets = {f"token {waba}": world.fleet.token(waba) for waba in set(world.fleet.wabas.values())}
    secrets.update({
        f"proof {waba}": hmac.new(APP_SECRET.encode(), world.fleet.token(waba).encode(), hashlib.sha256).hexdigest()
        for waba in set(world.fleet.wabas.values())
    })
    secrets.update({f"old passphrase {name}": key.passphrase for name, key in world.fleet.old_keys.items()})
    return {
        **secrets, "app secret": APP_SECRET, "passphrase": PASSPHRASE, "endpoint passphrase": ENDPOINT_PASSPHRASE,
        **private_material(world),
    }


class ProcessList(threading.Thread):
    """Reads the command lines of all processes while a run goes on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue  # it ended meanwhile
            time.sleep(0.01)

    def __enter__(self) -> ProcessList:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self.join()


@pytest.fixture
def secretive(world: World) -> World:
    """A world in which every kind of secret is in use."""
    for variables in world.numbers.values():
        variables["whatsapp_app_secret"] = APP_SECRET
    for token in world.fleet.state.tokens.values():
        token.app_secret = APP_SECRET
    endpoint = world.add_endpoint("endpoint-1", whatsapp_app_secret=APP_SECRET)
    endpoint.app_secret = APP_SECRET
    endpoint.stop()
    endpoint.start()
    world.add_replica("replica-1")
    path = world.folder / "old-key.pem"
    path.write_bytes(world.fleet.old_keys["default"].private_pem)
    world.environment.update(ANSIBLE_LOG_PATH=str(world.folder / "ansible.log"), ANSIBLE_CACHE_PLUGIN="ansible.builtin.jsonfile",
                             ANSIBLE_CACHE_PLUGIN_CONNECTION=str(world.folder / "facts"))
    return world


def rotate_with_import(world: World) -> str:
    """Run the rotation at -vvvv with --diff, and return all that it wrote and all command lines while it ran."""
    options: dict[str, t.Any] = {
        "encryption_keys_import_private_key_path": str(world.folder / "old-key.pem"),
        "encryption_keys_import_passphrase": "{{ lookup('ansible.builtin.file', '%s') }}" % (world.folder / "old-passphrase"),
        "encryption_keys_force": True, "encryption_keys_replica_group": "whatsapp_replicas",
    }
    (world.folder / "old-passphrase").write_text(world.fleet.old_keys["default"].passphrase)
    with ProcessList() as processes:
        run = world.run("waba.flows.rotate", "-vvvv", "--diff", **options)
    assert any("ansible-playbook" in line for line in processes.seen)
    own = {"inventory.json", "old-key.pem", "old-passphrase"}  # what the test itself wrote secrets to
    own_folders = {world.keys, world.folder / "replica-1", *(endpoint.keys for endpoint in world.endpoints.values())}
    files = [p for p in world.folder.rglob("*") if p.is_file() and not own_folders & set(p.parents) and p.name not in own]
    files += list(world.keys.glob("report-*.json"))
    assert any(path.name == "ansible.log" for path in files)
    return "\n".join([run.output, *processes.seen, *(path.read_text(errors="replace") for path in files)])


@pytest.mark.attack("secret", "a rotation with every kind of secret at -vvvv that succeeds, or fails in several ways")
@pytest.mark.parametrize("failure", [None, pytest.param("ssh", marks=pytest.mark.slow), "token", "server", "passphrase"])
def test_no_secret_shows(request: pytest.FixtureRequest, secretive: World, failure: str | None) -> None:
    world = secretive
    if failure == "ssh":  # none, but the vault host is another one
        world.vaults["vault"] = request.getfixturevalue("sshd").vault()
    elif failure == "token":
        world.fleet.state.tokens.clear()  # the API answers 190 to all
    elif failure == "server":
        echo = f"Malformed access token {world.fleet.token(world.fleet.wabas['number-01'])}"
        world.box.fault("*", "error", status=400, code=190, message=echo, times=-1)
    elif failure == "passphrase":
        tasks = [{"waba.flows.whatsapp_flows_keyring": {"path": str(world.keys), "passphrase": "another-passphrase"}}]
        assert world.play(tasks).status == 0
        for path in world.keys.rglob("*.pem"):
            path.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    text = rotate_with_import(world)
    if failure == "passphrase":
        for path in world.keys.joinpath("default").glob("*.pem"):
            path.unlink()
    scanner = Scanner(secrets_of(world))
    assert scanner.find(text) == set()
    assert "PRIVATE KEY-----" not in text


@pytest.mark.parametrize("module", ["whatsapp_business_encryption", "whatsapp_business_encryption_fleet"])
@pytest.mark.parametrize("wrong", [{}, {"retries": "many"}])
def test_a_private_key_given_as_the_public_one_is_not_echoed(world: World, module: str, wrong: dict[str, t.Any]) -> None:
    """Neither where the key is refused, nor where another option is wrong before the key is looked at."""
    old = world.fleet.old_keys["default"]
    key = serialization.load_pem_private_key(old.private_pem, old.passphrase.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, FORMS["PKCS#8"], serialization.NoEncryption()).decode()
    number = {"phone_number_id": "1", "business_public_key": pem}
    options = number if module == "whatsapp_business_encryption" else {"phone_numbers": [number]}
    world.environment.update(ANSIBLE_LOG_PATH=str(world.folder / "ansible.log"), ANSIBLE_INJECT_INVOCATION="true")
    run = world.play([{f"waba.flows.{module}": {**options, **wrong, "access_token": "a-token-0123456789"}}], "-vvvv")
    assert run.status != 0
    assert ("many" if wrong else "private key was given") in run.output
    text = run.output + (world.folder / "ansible.log").read_text()
    assert Scanner({str(i): line for i, line in enumerate(pem.splitlines()[1:-1])}).find(text) == set()


def test_the_scanner_finds_what_is_planted(world: World) -> None:
    """A scanner that finds nothing proves nothing."""
    assert world.run(encryption_keys_replace_foreign=True).status == 0
    secrets = secrets_of(world)
    scanner = Scanner(secrets)
    assert len(secrets) > 50
    for name, secret in secrets.items():
        assert name in scanner.find(f"some text {secret} more")
        assert name in scanner.find(f"some text {quote(secret, safe='')} more")
        assert name in scanner.find(base64.b64encode(secret.encode()).decode())
    assert scanner.find("nothing here") == set()
    with ProcessList() as processes:
        subprocess.run(["sh", "-c", ": planted-in-a-command-line; sleep 0.3"], check=True)
    assert Scanner({"planted": "planted-in-a-command-line"}).find("\n".join(processes.seen)) == {"planted"}
    leak = world.play([{"ansible.builtin.debug": {"msg": "{{ hostvars['number-01'].whatsapp_access_token }}"}}])
    assert scanner.find(leak.output)
