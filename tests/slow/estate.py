# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole estate (vault host, replica, two endpoints, up to 23 numbers), and what must hold of it at any time and at the end."""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

import requests
from cryptography.hazmat.primitives import serialization

from tests.fleet import Endpoint, OldKey, fingerprint_of
from tests.integration.conftest import ENDPOINT_PASSPHRASE, PASSPHRASE, Run, World, files, shift

from .phone import Line, send
from .whole_run import WholeRun

NEW_PASSPHRASE = "canary-changed-passphrase-2285"
NAMES = ("default", "partner")
# What the runs take from the installed defaults, but for the replica; few workers, so that a wave takes a while.
OPTIONS: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas", "encryption_keys_max_workers": 2}
# Files that a run which changes nothing may write.
_TOUCHED = {"lease.json", ".lock", "report-unchanged.json"}


class Estate:
    """Endpoint-1 serves all keys, endpoint-2 only the first. The first keyring has an old key that is past its retention.

    With one key name the numbers of the other are left out: runs are shorter then.
    """

    def __init__(self, world: World, names: tuple[str, ...] = NAMES) -> None:
        self.world = world
        self.names = names
        for name in [name for name in world.numbers if world.fleet.key_name(name) not in names]:
            del world.numbers[name]
        self.replica = world.add_replica("replica-1")
        world.add_endpoint("endpoint-1")
        world.add_endpoint("endpoint-2", whatsapp_key_names=["default"])
        self.forgotten = OldKey()
        world.import_key("default", self.forgotten)
        shift(world, "default", 40)
        self.passphrases = [PASSPHRASE]
        self.original = self.held()

    def __enter__(self) -> Estate:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.world.stop()

    # -- runs

    def start(self, playbook: str = "waba.flows.rotate", **variables: t.Any) -> WholeRun:
        """Start a run, in which the API takes its time."""
        self.world.box.settings.latency = 0.05
        self.world.box.forget_requests()
        return WholeRun(self.world, playbook, **{**OPTIONS, **variables})

    def run(self, playbook: str = "waba.flows.rotate", **variables: t.Any) -> Run:
        """Run to the end."""
        self.world.box.settings.latency = 0
        return self.world.run(playbook, **{**OPTIONS, **variables})

    def assert_quiet(self, playbook: str = "waba.flows.rotate", **variables: t.Any) -> None:
        """A run changes nothing: neither numbers nor files."""
        before = self._files()
        run = self.run(playbook, **variables)
        assert (run.status, run.recap["changed"], len(self.world.box.posts)) == (0, 0, 0), run.output
        assert self._files() == before

    def _files(self) -> dict[str, tuple[int, int]]:
        found = files(self.world.keys, self.replica, *(endpoint.keys for endpoint in self.world.endpoints.values()))
        return {path: stamp for path, stamp in found.items() if Path(path).name not in _TOUCHED and Path(path).is_file()}

    # -- what there is

    def held(self) -> dict[str, str | None]:
        """Return the fingerprints that the numbers hold."""
        return {name: key for name, key in self.world.fleet.held().items() if name in self.world.numbers}

    def states(self) -> dict[str, list[str]]:
        """Return the states of the generations, oldest first, by key name."""
        return {name: [row["state"] for row in self.world.keyring(name)["generations"]] for name in self.names}

    def in_state(self, state: str) -> dict[str, str | None]:
        """Return the fingerprint of the generation in a state, by key name."""
        return {name: self.world.fingerprint(name, state) for name in self.names}

    def serving(self, key_name: str) -> list[Endpoint]:
        """Return the endpoints that have to decrypt with a key."""
        hosts = self.world.inventory["all"]["children"]["whatsapp_endpoints"]["hosts"]
        return [endpoint for name, endpoint in self.world.endpoints.items()
                if key_name in hosts[name].get("whatsapp_key_names", NAMES)]

    def line(self, name: str) -> Line:
        """Return a number as clients see it."""
        fleet = self.world.fleet
        url = f"{self.world.box.base_url}/v24.0/{fleet.numbers[name]}/whatsapp_business_encryption"
        endpoints = tuple(endpoint.url for endpoint in self.serving(fleet.key_name(name)))
        return Line(name, url, fleet.token(fleet.wabas[name]), endpoints)

    # -- what must hold at any time

    def assert_nothing_lost(self) -> None:
        """Every key that a number holds is on the vault host; what we published is on replica and endpoints as well."""
        published = {}
        for name, held in self.held().items():
            key_name = self.world.fleet.key_name(name)
            if held:
                self._assert_key(self.world.keys, key_name, held)
            if held and held != self.original[name]:
                published[key_name, held] = self.world.fleet.state.numbers[self.world.fleet.numbers[name]].business_public_key
        with requests.Session() as session:
            session.trust_env = False
            for (key_name, held), pem in published.items():
                self._assert_key(self.replica, key_name, held)
                assert {endpoint.name: send(endpoint.url, pem or "", session) for endpoint in self.serving(key_name)} == {
                    endpoint.name: 200 for endpoint in self.serving(key_name)}
        self._assert_no_secrets_elsewhere()

    def _assert_key(self, keys: Path, key_name: str, fingerprint: str) -> None:
        """The private key is there, named by the keyring, not revoked, and opens."""
        rows = json.loads((keys / key_name / "keyring.json").read_text())["generations"]
        row = next((row for row in rows if row["fingerprint"] == fingerprint), None)
        assert row is not None, f"{keys}: {fingerprint} is not in {rows}"
        assert row["state"] != "revoked"
        assert opened(keys / key_name / f"{row['id']}.pem", *self.passphrases) == fingerprint

    def _assert_no_secrets_elsewhere(self) -> None:
        places = {self.world.keys, self.replica, *(endpoint.keys for endpoint in self.world.endpoints.values())}
        for path in self.world.folder.rglob("*"):
            if path.is_file() and not places & set(path.parents) and not path.name.startswith("old-"):
                with contextlib.suppress(FileNotFoundError):
                    text = path.read_bytes()
                    for secret in (b"PRIVATE KEY", *(one.encode() for one in (PASSPHRASE, NEW_PASSPHRASE, ENDPOINT_PASSPHRASE))):
                        assert secret not in text, path

    # -- what must hold at the end

    def assert_settled(self, states: dict[str, list[str]]) -> None:
        """Every number holds the current key, vault host, replica and endpoints tell the same, and nothing lies about."""
        assert self.states() == {name: states[name] for name in self.names}
        current = self.in_state("current")
        assert self.held() == {name: current[self.world.fleet.key_name(name)] for name in self.held()}
        for name in self.names:
            self._assert_keyring(self.world.keys / name, {"lease.json"})
            self._assert_keyring(self.replica / name, set())
            assert json.loads((self.replica / name / "keyring.json").read_text()) == self.world.keyring(name)
            for endpoint in self.serving(name):
                self._assert_deployed(endpoint, name)
        assert not (self.world.endpoints["endpoint-2"].keys / "partner").exists()
        self.assert_nothing_lost()

    def _assert_keyring(self, folder: Path, allowed: set[str]) -> None:
        rows = json.loads((folder / "keyring.json").read_text())["generations"]
        usable = {row["id"]: row["fingerprint"] for row in rows if row["state"] != "revoked"}
        expected = {f"{identity}{suffix}" for identity in usable for suffix in (".pem", ".pub")} | {"keyring.json", ".lock"}
        assert {path.name for path in folder.iterdir()} - allowed == expected
        for identity, fingerprint in usable.items():
            assert opened(folder / f"{identity}.pem", self.passphrases[-1]) == fingerprint
            assert fingerprint_of((folder / f"{identity}.pub").read_text()) == fingerprint

    def _assert_deployed(self, endpoint: Endpoint, name: str) -> None:
        """The manifest tells of the keyring's usable keys, and they and nothing else are there."""
        manifest = self.world.manifest(endpoint, name)
        rows = [row for row in self.world.keyring(name)["generations"] if row["state"] != "revoked"]
        assert {(key["fingerprint"], key["state"], key["file"]) for key in manifest["keys"]} == {
            (row["fingerprint"], row["state"], f"{row['id']}.pem") for row in rows}
        assert manifest["current"] == self.world.fingerprint(name, "current")
        folder = endpoint.keys / name
        assert {path.name for path in folder.iterdir()} == {"manifest.json", *(key["file"] for key in manifest["keys"])}
        for key in manifest["keys"]:
            assert opened(folder / key["file"], ENDPOINT_PASSPHRASE) == key["fingerprint"]
        assert {path.name for path in endpoint.keys.iterdir()} <= {*NAMES, ".lock", ".made"}


def opened(path: Path, *passphrases: str) -> str | None:
    """Return the fingerprint of a private key that one of some passphrases opens; None where none does."""
    for passphrase in passphrases:
        with contextlib.suppress(ValueError):
            key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode()).public_key()
            spki = serialization.PublicFormat.SubjectPublicKeyInfo
            return fingerprint_of(key.public_bytes(serialization.Encoding.PEM, spki).decode())
    return None
