# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet of the demo and of the integration tests: 24 numbers in 3 WABAs, as a platform team might find them.

Most hold an older key, one has none, one was registered again (MISMATCH), one holds a key that nobody here knows. The third
WABA is a partner's and has a key of its own.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.sandbox import Number, State, Token

Inventory = dict[str, t.Any]


class OldKey:
    """A key made years ago with C(openssl genrsa -des3), and its passphrase (plainly fake)."""

    def __init__(self, passphrase: str = "not-a-secret-old-passphrase") -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.passphrase = passphrase

    @property
    def public_pem(self) -> str:
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    @property
    def private_pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(self.passphrase.encode()),
        )

    def deployed_pem(self, passphrase: str) -> bytes:
        """Return the private key as it lies on an endpoint."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.public_pem)


def fingerprint_of(pem: str) -> str:
    """Return a public key's fingerprint, computed apart from the collection's own code."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


@dataclasses.dataclass
class Fleet:
    """The numbers by host name, the sandbox's state, and the keys that they hold at the start."""

    numbers: dict[str, str]
    wabas: dict[str, str]
    state: State
    old_keys: dict[str, OldKey]
    foreign_key: OldKey
    absent: str = "number-05"
    mismatch: str = "number-11"
    foreign: str = "number-14"

    def key_name(self, name: str) -> str:
        """Return the name of the key that a number is to have."""
        return "partner" if self.wabas[name].endswith("3") else "default"

    def token(self, waba: str) -> str:
        """Return the access token of a WABA (plainly fake, and long enough to be searched for)."""
        return f"EAAfake-token-of-waba-{waba}-0123456789"

    def held(self) -> dict[str, str | None]:
        """Return what each number holds now, as the sandbox's state says."""
        keys = {name: self.state.numbers[identity].business_public_key for name, identity in self.numbers.items()}
        return {name: fingerprint_of(key) if key else None for name, key in keys.items()}

    def inventory(self, base_url: str, vault: Inventory) -> Inventory:
        """Return the inventory as YAML or JSON would hold it; C(vault) are the variables of the vault host."""
        hosts = {
            name: {
                "whatsapp_phone_number_id": identity,
                "whatsapp_access_token": self.token(self.wabas[name]),
                "whatsapp_key_name": self.key_name(name),
            }
            for name, identity in self.numbers.items()
        }
        children = {
            "whatsapp_vault": {"hosts": {"vault": vault}},
            "whatsapp_numbers": {"hosts": hosts, "vars": {"whatsapp_base_url": base_url}},
        }
        return {"all": {"children": children}}


def start_sandbox(folder: Path, fleet: Fleet, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the sandbox with a fleet in a process of its own, which the caller ends; return it with its URL."""
    (folder / "fleet.json").write_text(json.dumps(fleet.state.to_json()), encoding="utf-8")
    ready = folder / "sandbox.url"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox", "--fleet", str(folder / "fleet.json"), "--ready-file", str(ready), *options],
        cwd=Path(__file__).resolve().parents[1], stdout=subprocess.DEVNULL,
    )
    return process, _wait_for(ready, process, "sandbox")


@dataclasses.dataclass
class Endpoint:
    """The reference endpoint in a process of its own, which the caller ends, and the folder that it reads its keys from."""

    name: str
    folder: Path
    passphrase: str
    app_secret: str = ""
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def keys(self) -> Path:
        return self.folder / self.name / "keys"

    def start(self, keys: Path | None = None) -> None:
        """Start it, or start it again at the same address; with another folder it misses what is deployed."""
        ready = self.folder / f"{self.name}.url"
        ready.unlink(missing_ok=True)
        port = self.url.rsplit(":", 1)[-1].strip("/") if self.url else "0"
        environment = {**os.environ, "WHATSAPP_ENDPOINT_PASSPHRASE": self.passphrase, "WHATSAPP_APP_SECRET": self.app_secret}
        program = Path(__file__).resolve().parents[1] / "docs" / "examples" / "flow_endpoint.py"
        self.process = subprocess.Popen(
            [sys.executable, str(program), "--keys", str(keys or self.keys), "--port", port, "--ready-file", str(ready)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.url = _wait_for(ready, self.process, "endpoint")

    def deploy(self, *keys: OldKey) -> None:
        """Put keys into its folder by hand, as a user without the role would."""
        folder = self.keys / "default"
        folder.mkdir(parents=True)
        rows = [{"fingerprint": key.fingerprint, "file": f"key-{i}.pem", "state": "retired"} for i, key in enumerate(keys)]
        for key, row in zip(keys, rows):
            (folder / row["file"]).write_bytes(key.deployed_pem(self.passphrase))
        manifest = {"schema": 1, "key_name": "default", "current": None, "keys": rows}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def inventory(self) -> Inventory:
        """Return the variables of its host, which is this machine."""
        return {**local_vault(), "whatsapp_endpoint_url": self.url, "whatsapp_endpoint_keys_path": str(self.keys)}


def _wait_for(ready: Path, process: subprocess.Popen[bytes], what: str) -> str:
    """Return the URL that a server wrote once it answers."""
    for dummy in range(200):
        if ready.exists() and ready.read_text(encoding="utf-8").strip():
            return ready.read_text(encoding="utf-8").strip()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise SystemExit(f"The {what} did not start; its message is above.")


def local_vault() -> Inventory:
    """Return the variables of a vault host that is this machine."""
    return {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def example_fleet(count: int = 24) -> Fleet:
    """Return a new fleet with new keys."""
    # Not the same in any two fleets, so that a search for one finds no other test's.
    old_keys = {name: OldKey(f"not-a-secret-{name}-{secrets.token_hex(6)}") for name in ("default", "partner")}
    foreign_key = OldKey()
    numbers = {f"number-{index:02d}": str(106600000000000 + index) for index in range(1, count + 1)}
    wabas = {name: str(102200000000001 + index * 3 // count) for index, name in enumerate(numbers)}
    fleet = Fleet(numbers, wabas, State(), old_keys, foreign_key)
    for name, identity in numbers.items():
        key = foreign_key if name == fleet.foreign else old_keys[fleet.key_name(name)]
        fleet.state.numbers[identity] = Number(
            waba_id=wabas[name],
            business_public_key=None if name == fleet.absent else key.public_pem,
            signature_status="MISMATCH" if name in (fleet.absent, fleet.mismatch) else "VALID",
        )
    fleet.state.tokens = {fleet.token(waba): Token(wabas=[waba]) for waba in set(wabas.values())}
    return fleet
