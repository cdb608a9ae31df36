# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of awx_setup stand on: the two collections, a server, and the playbook run against it."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.awx import AwxServer  # noqa: E402
from tests.awx.api import Request  # noqa: E402
from tests.awx.store import Store  # noqa: E402
from tests.integration.conftest import collections  # noqa: E402

FIXTURES = (collections,)  # for pytest to find
BIN = Path(sys.executable).parent
AWX_COLLECTION = ROOT / ".build" / "awx"
REPOSITORY = "https://git.example.com/fleet.git"
PLAYBOOKS = ("rotate.yml", "audit.yml", "rollback.yml")

# Plainly fake, and each unlike anything else, so that finding one anywhere is a leak.
LOGIN, PASSWORD = "canary-oauth-token-4410", "canary-login-password-9934"
SECRETS = {
    "WHATSAPP_ACCESS_TOKEN": "EAAcanary-common-token-1187",
    "WHATSAPP_ACCESS_TOKENS": '{"102200000000001": "EAAcanary-shop-2290", "102200000000002": "EAAcanary-partner-3371"}',
    "WHATSAPP_APP_SECRET": "canary-app-secret-8852",
    "WHATSAPP_KEYRING_PASSPHRASE": "canary-keyring-passphrase-6163",
    "WHATSAPP_ENDPOINT_PASSPHRASE": "canary-endpoint-passphrase-7074",
}
NEEDED = {"awx_setup_project_url": REPOSITORY, "awx_setup_webhook_url": "https://hooks.example.com/whatsapp"}
Change = tuple[str, str]


@dataclasses.dataclass
class Run:
    """An ended run of the playbook, and the requests that were to change something."""

    status: int
    output: str
    changes: list[Request]

    @property
    def recap(self) -> dict[str, int]:
        line = next(line for line in self.output.splitlines() if re.match(r"localhost\s+:", line))
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}

    @property
    def sent(self) -> list[Change]:
        """Method and kind of each change."""
        return [(change.method, "/".join([change.parts[2], *change.parts[4:]])) for change in self.changes]

    @property
    def changed(self) -> set[str]:
        """The names of what was reported as changed; what is under no_log has none."""
        return set(re.findall(r"^changed: \[localhost\] => \(item=(.*)\)$", self.output, re.MULTILINE))

    @property
    def message(self) -> str:
        """What the failures say, on one line."""
        return " ".join(" ".join(re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', self.output)).replace("\\n", " ").split())


class Setup:
    """The playbook, and the server that it is run against."""

    def __init__(self, folder: Path, collections: Path, server: AwxServer) -> None:
        self.folder = folder
        self.server = server
        self.environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": f"{collections}{os.pathsep}{AWX_COLLECTION}",
            "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "CONTROLLER_HOST": server.base_url, "CONTROLLER_OAUTH_TOKEN": LOGIN, **SECRETS,
        }

    @property
    def store(self) -> Store:
        return self.server.store

    def run(self, *arguments: str, **variables: t.Any) -> Run:
        """Run the playbook to its end; a variable goes without the prefix awx_setup_."""
        given = {**NEEDED, **{f"awx_setup_{name}": value for name, value in variables.items()}}
        return self.play("waba.flows.awx_setup", "-e", json.dumps(given), *arguments)

    def play(self, *arguments: str) -> Run:
        """Run ansible-playbook to its end; the server's log of requests starts anew."""
        self.server.requests.clear()
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), *arguments],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=300,
        )
        return Run(done.returncode, done.stdout, self.server.changes)


def _needs_awx() -> None:
    if not (AWX_COLLECTION / "ansible_collections" / "awx" / "awx").is_dir():
        pytest.skip("the collection awx.awx is not there: 'make awx' gets it from PyPI")


@pytest.fixture
def server() -> t.Iterator[AwxServer]:
    """A new AWX."""
    with AwxServer(LOGIN, PASSWORD, {REPOSITORY: PLAYBOOKS}) as server:
        yield server


@pytest.fixture
def fresh(tmp_path: Path, collections: Path, server: AwxServer) -> Setup:
    """The playbook and a new AWX."""
    _needs_awx()
    return Setup(tmp_path, collections, server)


@pytest.fixture(scope="session")
def applied_store(tmp_path_factory: pytest.TempPathFactory, collections: Path) -> Store:
    """What a new AWX holds after the playbook was run once."""
    _needs_awx()
    with AwxServer(LOGIN, PASSWORD, {REPOSITORY: PLAYBOOKS}) as server:
        run = Setup(tmp_path_factory.mktemp("applied"), collections, server).run()
        assert run.status == 0, run.output
        return server.store


@pytest.fixture
def applied(fresh: Setup, applied_store: Store) -> Setup:
    """The playbook, and an AWX in which it was run once."""
    fresh.server.store = copy.deepcopy(applied_store)
    return fresh
