# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests stand on: the installed collection, an sshd, and a world of fleet, sandbox and inventory."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fleet import Endpoint, Fleet, Inventory, OldKey, example_fleet, local_vault  # noqa: E402
from tests.install import install  # noqa: E402
from tests.sandbox import Sandbox  # noqa: E402

# Plainly fake, and each unlike anything else, so that finding one anywhere is a leak.
PASSPHRASE = "canary-keyring-passphrase-7391"
ENDPOINT_PASSPHRASE = "canary-endpoint-passphrase-6048"
APP_SECRET = "canary-app-secret-5527"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, installed from its tarball into an empty folder."""
    return install(tmp_path_factory.mktemp("collections"))


@dataclasses.dataclass
class Sshd:
    """A real sshd on loopback, and how to reach it."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def vault(self) -> Inventory:
        """Return the variables of a vault host that is reached through this sshd."""
        options = f"-o UserKnownHostsFile={self.folder}/known_hosts -o StrictHostKeyChecking=yes -o ControlMaster=no -F none"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_ssh_private_key_file": str(self.folder / "user_key"),
            "ansible_ssh_args": options,
            "ansible_python_interpreter": sys.executable,
        }


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Sshd]:
    """An sshd for all tests."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@contextlib.contextmanager
def running_sshd(folder: Path) -> t.Iterator[Sshd]:
    """Start sshd with keys made for it in a folder; skip the test where there is none."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not os.path.exists(program):
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it for privilege separation
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host_key = (folder / "host_key.pub").read_text(encoding="utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": folder / "host_key", "PidFile": folder / "pid",
        "AuthorizedKeysFile": folder / "authorized_keys", "StrictModes": "no", "UsePAM": "no",
        "PasswordAuthentication": "no", "PermitRootLogin": "prohibit-password", "Subsystem": "sftp internal-sftp",
    }
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
    process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port)
        yield Sshd(port, folder, process)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int) -> None:
    for dummy in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("sshd did not start")


@dataclasses.dataclass
class Run:
    """An ended ansible-playbook."""

    status: int
    output: str

    @property
    def rows(self) -> dict[str, list[str]]:
        """The summary table by number: ID, key, before, after, signature, wave, outcome."""
        rows = (line.strip().strip('",').split() for line in self.output.splitlines() if re.match(r'\s+"?(- )?number-\d', line))
        return {cells[0]: cells[1:] for cells in rows if len(cells) == 8}

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: cells[-1] for name, cells in self.rows.items()}

    @property
    def recap(self) -> dict[str, int]:
        """The counts of the vault host."""
        line = next(line for line in self.output.splitlines() if re.match(r"vault\s+:", line))
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}

    @property
    def failures(self) -> str:
        """The text of all failures, unescaped."""
        return "\n".join(re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', self.output)).replace('\\"', '"')


class World:
    """A fleet at a sandbox, an inventory, and a vault folder."""

    def __init__(self, folder: Path, collections: Path, box: Sandbox, fleet: Fleet) -> None:
        self.folder = folder
        self.collections = collections
        self.box = box
        self.fleet = fleet
        self.keys = folder / "vault" / "keys"
        self.inventory = fleet.inventory(box.base_url, local_vault())
        self.environment = {"WHATSAPP_KEYRING_PASSPHRASE": PASSPHRASE, "WHATSAPP_ENDPOINT_PASSPHRASE": ENDPOINT_PASSPHRASE}
        self.endpoints: dict[str, Endpoint] = {}
        self.closing = contextlib.ExitStack()

    @property
    def numbers(self) -> dict[str, Inventory]:
        """The variables of the numbers, to change before a run."""
        return t.cast("dict[str, Inventory]", self.inventory["all"]["children"]["whatsapp_numbers"]["hosts"])

    @property
    def vaults(self) -> dict[str, Inventory]:
        return t.cast("dict[str, Inventory]", self.inventory["all"]["children"]["whatsapp_vault"]["hosts"])

    def add_hosts(self, group: str, **hosts: Inventory) -> None:
        """Add hosts to the inventory; an underscore in a name stands for a hyphen."""
        children = self.inventory["all"]["children"].setdefault(group, {"hosts": {}})
        children["hosts"].update({name.replace("_", "-"): variables for name, variables in hosts.items()})

    def add_endpoint(self, name: str, **variables: t.Any) -> Endpoint:
        """Start an endpoint, and add it to the inventory."""
        endpoint = Endpoint(name, self.folder, ENDPOINT_PASSPHRASE)
        endpoint.start()
        self.endpoints[name] = endpoint
        self.add_hosts("whatsapp_endpoints", **{name: {**endpoint.inventory(), **variables}})
        return endpoint

    def add_replica(self, name: str) -> Path:
        """Add a replica to the inventory, and return the folder of its keyrings."""
        folder = self.folder / name / "keys"
        self.add_hosts("whatsapp_replicas", **{name: {**local_vault(), "encryption_keys_path": str(folder)}})
        return folder

    def manifest(self, endpoint: Endpoint, name: str) -> dict[str, t.Any]:
        """Return the manifest of a key on an endpoint."""
        return t.cast("dict[str, t.Any]", json.loads((endpoint.keys / name / "manifest.json").read_text(encoding="utf-8")))

    @property
    def report(self) -> dict[str, t.Any]:
        """Return the newest report on the vault host."""
        newest = max(self.keys.glob("report-*.json"), key=lambda path: path.stat().st_mtime_ns)
        return t.cast("dict[str, t.Any]", json.loads(newest.read_text(encoding="utf-8")))

    def stop(self) -> None:
        """End the endpoints, and what else a test has started."""
        self.closing.close()
        for endpoint in self.endpoints.values():
            endpoint.stop()

    def command(self, playbook: str, *arguments: str, **variables: t.Any) -> list[str]:
        """Write the inventory and return the command line."""
        for vault in self.vaults.values():
            vault.setdefault("encryption_keys_path", str(self.keys))
        inventory = self.folder / "inventory.json"
        text = json.dumps(self.inventory)
        if not inventory.exists() or inventory.read_text(encoding="utf-8") != text:  # another run may be reading it
            inventory.write_text(text, encoding="utf-8")
        return [str(BIN / "ansible-playbook"), "-i", str(inventory), playbook, "-e", json.dumps(variables), *arguments]

    def all_environment(self) -> dict[str, str]:
        """Return the environment of ansible-playbook: as little as it needs, and nothing of the user's own."""
        return {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "home" / "local"),
            "ANSIBLE_NOCOLOR": "1",
            **self.environment,
        }

    def run(self, playbook: str = "waba.flows.rotate", *arguments: str, **variables: t.Any) -> Run:
        """Run a playbook to its end; the sandbox's log of requests starts anew."""
        (self.folder / "home").mkdir(exist_ok=True)
        self.box.forget_requests()
        command = self.command(playbook, *arguments, **variables)
        done = subprocess.run(
            command, cwd=self.folder, env=self.all_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=240,
        )
        return Run(done.returncode, done.stdout)

    def play(self, tasks: list[dict[str, t.Any]], *arguments: str, **variables: t.Any) -> Run:
        """Run tasks on the vault host."""
        path = self.folder / "play.yml"
        path.write_text(json.dumps([{"hosts": "whatsapp_vault", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        return self.run(str(path), *arguments, **variables)

    def import_old_keys(self) -> None:
        """Do what the first day is for, without a playbook, as most tests begin so."""
        for name, key in self.fleet.old_keys.items():
            self.import_key(name, key)

    def import_key(self, name: str, key: OldKey) -> None:
        """Import a private key: as current, or as retired where there is a current one."""
        if str(self.collections) not in sys.path:
            sys.path.append(str(self.collections))
        utils = "ansible_collections.waba.flows.plugins.module_utils"
        options = importlib.import_module(f"{utils}._host_argspec").KEYRING_SPEC
        run_keyring = importlib.import_module(f"{utils}._keyring_run").run_keyring
        path = self.folder / f"old-{name}.pem"
        path.write_bytes(key.private_pem)
        run_keyring({
            **{option: spec.get("default") for option, spec in options.items()},
            "path": str(self.keys), "name": name, "passphrase": PASSPHRASE, "import_private_key_path": str(path),
            "import_passphrase": key.passphrase,
        }, False)

    def keyring(self, name: str) -> dict[str, t.Any]:
        """Return the state of a keyring, as it lies on disk."""
        return t.cast("dict[str, t.Any]", json.loads((self.keys / name / "keyring.json").read_text(encoding="utf-8")))

    def fingerprint(self, name: str, state: str) -> str | None:
        """Return the fingerprint of a keyring's generation in a state."""
        return next((g["fingerprint"] for g in self.keyring(name)["generations"] if g["state"] == state), None)


Files = dict[str, tuple[int, int]]


def files(*folders: Path) -> Files:
    """Return every file and folder below some folders with its size and time, to see that nothing was written."""
    found = [path for folder in folders for path in [folder, *folder.rglob("*")] if path.exists()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def opens(path: Path, passphrase: str) -> bool:
    """Tell whether a file is a private key under a passphrase."""
    try:
        serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
    except ValueError:
        return False
    return True


def shift(world: World, name: str, days: float) -> None:
    """Make a keyring as old as if it had been left alone for some days."""
    path = world.keys / name / "keyring.json"
    document = json.loads(path.read_text())
    for generation in document["generations"]:
        for member, value in generation.items():
            if member.endswith("_at") and value:
                then = time.mktime(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ")) - days * 86400
                generation[member] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.localtime(then))
    path.write_text(json.dumps(document))


@pytest.fixture
def world(tmp_path: Path, collections: Path) -> t.Iterator[World]:
    """A world with the example fleet and a local vault host."""
    fleet = example_fleet()
    with Sandbox(fleet.state) as box:
        fleet.state = box.state
        world = World(tmp_path, collections, box, fleet)
        yield world
        world.stop()


@pytest.fixture
def ready(world: World) -> World:
    """A world whose old keys are imported, without the foreign number."""
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    return world
