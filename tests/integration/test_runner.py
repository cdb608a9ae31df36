# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: with ansible-runner, the environment from credentials, the answers of surveys, and a fact cache."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from .awx_job import SOURCE, VAULT, answers, example_project, imported, injected, job_inventory, write_script
from .conftest import APP_SECRET, ENDPOINT_PASSPHRASE, PASSPHRASE, World
from .secret_scan import Scanner, secrets_of

WRONG_TOKEN = "EAAcanary-wrong-token-of-the-job-8802"
SECRET_VARIABLES = {
    "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_ACCESS_TOKENS", "WHATSAPP_APP_SECRET", "WHATSAPP_KEYRING_PASSPHRASE",
    "WHATSAPP_ENDPOINT_PASSPHRASE",
}
# As AWX fills the fact cache of a job with what it knows of the hosts.
KNOWN_FACTS = '{"ansible_hostname": "vault"}'
NO_FACTS = '{"__payload__": "{}"}'  # of ansible-core 2.21


@dataclasses.dataclass
class Job:
    """What ansible-runner left of a job."""

    folder: Path
    rc: int
    status: str

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def events(self) -> list[dict[str, t.Any]]:
        files = sorted((self.folder / "job_events").glob("*.json"), key=lambda path: int(path.name.partition("-")[0]))
        return [json.loads(path.read_text(encoding="utf-8")) for path in files]

    @property
    def fact_cache(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in (self.folder / "fact_cache").iterdir()}

    @property
    def artifacts(self) -> dict[str, t.Any]:
        """What set_stats hands on, where AWX takes it from."""
        event = next(event for event in self.events if event["event"] == "playbook_on_stats")
        return t.cast("dict[str, t.Any]", event["event_data"]["artifact_data"])


class Controller:
    """The private data folder of jobs of the example project."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = world.folder / "private"
        self.wabas = example_project(world, self.folder / "project")
        shutil.move(self.folder / "project" / "inventory", self.folder / "inventory")
        (world.folder / "home").mkdir()
        (self.folder / "env").mkdir()
        self.tokens = {waba: world.fleet.token(waba) for waba in self.wabas}

    def plain_environment(self) -> dict[str, str]:
        """Return what ansible-playbook needs in any case."""
        return {name: value for name, value in self.world.all_environment().items() if name not in SECRET_VARIABLES}

    def credentials(self) -> dict[str, str]:
        """Return what the credentials give to the job."""
        (dummy, first), *others = self.tokens.items()
        return {
            **injected("WhatsApp Cloud API", access_token=first, access_tokens=json.dumps(dict(others)), app_secret=APP_SECRET),
            **injected("WhatsApp Flows keyring", keyring_passphrase=PASSPHRASE, endpoint_passphrase=ENDPOINT_PASSPHRASE),
        }

    def run(self, name: str, *arguments: str, **variables: str) -> Job:
        """Run a job template of the role awx_setup: its playbook with the answers of its survey."""
        env = self.folder / "env"
        (env / "envvars").write_text(json.dumps({**self.plain_environment(), **self.credentials()}), encoding="utf-8")
        launch = {"awx_job_id": 7, "awx_job_template_name": f"WhatsApp Flows {name}", "awx_job_launch_type": "scheduled"}
        survey = {**answers(name), "encryption_keys_minimum_numbers": "16", **variables}
        (env / "extravars").write_text(json.dumps({**survey, **launch}), encoding="utf-8")
        ident = str(len(list(self.folder.glob("artifacts/*"))) + 1)
        folder = self.folder / "artifacts" / ident
        (folder / "fact_cache").mkdir(parents=True)
        (folder / "fact_cache" / VAULT).write_text(KNOWN_FACTS, encoding="utf-8")
        self.world.box.forget_requests()
        # In a process of its own: it forks, which is not safe beside the threads of the sandbox.
        done = subprocess.run(
            [sys.executable, "-m", "ansible_runner", "run", str(self.folder), "--playbook", f"{name}.yml", "--ident", ident,
             "--quiet", f"--cmdline={' '.join(['-u root', *arguments])}"],
            cwd=self.world.folder, env=self.plain_environment(), stdin=subprocess.DEVNULL, check=False, timeout=240,
        )
        return Job(folder, done.returncode, (folder / "status").read_text(encoding="utf-8"))

    def written(self) -> dict[Path, str]:
        """Return all that lies in the folder after a job, but for env, where the secrets are on purpose.

        Of how it started the job ansible-runner keeps the whole environment as well: the variables that credentials set are
        left out of that, and nothing else.
        """
        found = {}
        for path in self.folder.rglob("*"):
            if not path.is_file() or self.folder / "env" in path.parents:
                continue
            found[path] = path.read_text(encoding="utf-8", errors="replace")
            if path.name == "command":
                started = json.loads(found[path])
                own = {name: value for name, value in started["env"].items() if name not in SECRET_VARIABLES}
                found[path] = json.dumps({**started, "env": own})
        return found

    def leaks(self, *more: str) -> dict[str, set[str]]:
        """Return the files that hold a secret, with the names of the secrets."""
        scanner = Scanner({
            **secrets_of(self.world), **{f"more {secret}": secret for secret in more}, "a private key": "PRIVATE KEY-----",
        })
        found = {str(path): scanner.find(text) for path, text in self.written().items()}
        return {path: names for path, names in found.items() if names}


@pytest.fixture
def controller(ready: World) -> Controller:
    """The example project, for tokens that need an app secret, and with an endpoint."""
    for token in ready.fleet.state.tokens.values():
        token.app_secret, token.require_app_secret = APP_SECRET, True
    ready.add_endpoint("endpoint-1")
    return Controller(ready)


def assert_written(controller: Controller, job: Job) -> None:
    """All that a job can leave is there to be looked at, and holds no secret."""
    names = {str(path.relative_to(job.folder)) for path in controller.written() if job.folder in path.parents}
    assert {"stdout", "status", "rc", "command"} <= names
    assert len([name for name in names if name.startswith("job_events/")]) == len(job.events) > 30
    assert [event["counter"] for event in job.events] == list(range(1, len(job.events) + 1))  # AWX waits for each
    assert [text for text in job.fact_cache.values() if text != NO_FACTS] == [KNOWN_FACTS]
    assert controller.leaks() == {}


def held(controller: Controller) -> list[str | None]:
    """Return what the numbers of the project's WABAs hold."""
    fleet = controller.world.fleet
    return [key for name, key in fleet.held().items() if fleet.wabas[name] in controller.wabas]


def test_rotation(controller: Controller) -> None:
    """With the answers that the survey has by itself, but for keys that are foreign or not due; at the verbosity of a search."""
    world = controller.world
    job = controller.run("rotate", "-vvvv", encryption_keys_force="true", encryption_keys_replace_foreign="true")
    assert (job.rc, job.status) == (0, "successful"), job.stdout
    key = world.fingerprint("default", "current")
    assert held(controller) == [key] * 16
    summary = job.artifacts["encryption_keys"]
    assert (summary["kind"], summary["succeeded"], summary["check_mode"]) == ("rotation", True, False)
    assert summary["counts"] == {"replaced": 15, "set": 1}
    assert (summary["keys"]["default"]["fingerprint"], summary["failed_numbers"]) == (key, 0)
    assert_written(controller, job)


@pytest.mark.slow
def test_check_mode_then_rotation_then_audit(controller: Controller) -> None:
    """As a user goes about it: what would be done, then that, then the audit of the night."""
    world, before = controller.world, held(controller)
    wanted = {"encryption_keys_force": "true", "encryption_keys_replace_foreign": "true"}
    check = controller.run("rotate", "--check", **wanted)
    assert (check.rc, check.status) == (0, "successful"), check.stdout
    assert world.box.posts == []
    assert held(controller) == before
    assert check.artifacts["encryption_keys"]["check_mode"] is True
    rotation = controller.run("rotate", **wanted)
    assert (rotation.rc, rotation.status) == (0, "successful"), rotation.stdout
    assert rotation.artifacts["encryption_keys"]["counts"] == check.artifacts["encryption_keys"]["counts"]
    audit = controller.run("audit")
    assert (audit.rc, audit.status) == (0, "successful"), audit.stdout
    assert world.box.posts == []
    assert held(controller) == [world.fingerprint("default", "current")] * 16
    summary = audit.artifacts["encryption_keys_audit"]
    assert (summary["succeeded"], summary["counts"], summary["vault_reached"]) == (True, {"current": 16}, True)
    for job in (check, rotation, audit):
        assert_written(controller, job)


def test_a_job_with_a_wrong_token(controller: Controller) -> None:
    """The numbers were imported when the token was good still."""
    inventory, before = controller.folder / "inventory", held(controller)
    controller.world.environment.update(controller.credentials())
    document = imported(controller.world, inventory / SOURCE, inventory / "hosts.yml")
    shutil.rmtree(inventory)
    inventory.mkdir()
    write_script(inventory / "hosts", job_inventory(document))
    controller.tokens = dict.fromkeys(controller.tokens, WRONG_TOKEN)
    job = controller.run("rotate", "-vvvv")
    assert (job.rc, job.status) == (2, "failed"), job.stdout
    assert "access token" in job.stdout
    assert held(controller) == before
    assert job.artifacts["encryption_keys"]["failed_numbers"] == 16
    assert_written(controller, job)
    assert controller.leaks(WRONG_TOKEN) == {}


@pytest.mark.slow
def test_progress_is_seen(controller: Controller) -> None:
    """In what AWX shows while the job runs, although the tasks are under no_log."""
    controller.world.box.settings.latency = 0.4
    job = controller.run("rotate", encryption_keys_max_workers="1", encryption_keys_waves="100%", encryption_keys_force="true",
                         encryption_keys_replace_foreign="true")
    assert (job.rc, job.status) == (0, "successful"), job.stdout
    for module in ("info", "fleet"):
        assert re.search(rf"whatsapp_business_encryption_{module}: \d+ of 16 numbers", job.stdout), job.stdout
        assert any(f"whatsapp_business_encryption_{module}: " in event["stdout"] for event in job.events)
    assert_written(controller, job)


def test_what_is_planted_is_found_in_all_that_is_left(controller: Controller) -> None:
    """A search that finds nothing proves nothing."""
    leak = "{{ lookup('ansible.builtin.env', 'WHATSAPP_KEYRING_PASSPHRASE') }}"
    tasks = [
        {"ansible.builtin.debug": {"msg": leak}},
        {"ansible.builtin.set_fact": {"planted": leak, "cacheable": True}},
        {"ansible.builtin.set_stats": {"data": {"planted": leak}}},
    ]
    play = {"hosts": "whatsapp_vault", "gather_facts": False, "tasks": tasks}
    (controller.folder / "project" / "audit.yml").write_text(json.dumps([play]), encoding="utf-8")
    job = controller.run("audit")
    assert (job.rc, job.artifacts) == (0, {"planted": PASSPHRASE})
    leaks = {str(Path(path).relative_to(job.folder)): names for path, names in controller.leaks().items()}
    assert all("passphrase" in names for names in leaks.values())
    assert "stdout" in leaks
    # ansible-core 2.19 and newer put a prefix before the host's name.
    assert any(re.fullmatch(rf"fact_cache/(s1_)?{re.escape(VAULT)}", name) for name in leaks)
    assert {event["event"] for event in job.events if PASSPHRASE in json.dumps(event)} >= {"runner_on_ok", "playbook_on_stats"}
    started = json.loads((job.folder / "command").read_text(encoding="utf-8"))
    assert {name for name in started["env"] if name in SECRET_VARIABLES} == SECRET_VARIABLES
    (job.folder / "command").write_text(json.dumps({**started, "cwd": APP_SECRET}), encoding="utf-8")
    assert controller.leaks()[str(job.folder / "command")] == {"app secret"}
