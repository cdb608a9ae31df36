# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's modules within the control node's process: when, with which environment, what they tell meanwhile, how they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from tests.fleet import OldKey
from tests.sandbox import DEFAULT_TOKEN, Sandbox, make_state

from .conftest import BIN, Run, Sshd, World

# A module would fail with it, before it did anything.
NO_PYTHON = "/nonexistent/python"
KEY = OldKey()


class Play(World):
    """Plays of tasks for localhost against a sandbox with numbers in WABAs of equal size."""

    def __init__(self, folder: Path, collections: Path, box: Sandbox) -> None:
        self.folder = folder
        self.collections = collections
        self.box = box
        self.environment = {}
        self.hosts: dict[str, t.Any] = {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": NO_PYTHON}}

    def rows(self, **members: t.Any) -> list[dict[str, t.Any]]:
        """Return the numbers as the modules take them."""
        return [{"name": f"number-{identity[-3:]}", "phone_number_id": identity, "waba_id": number.waba_id, **members}
                for identity, number in self.box.state.numbers.items()]

    def command(self, playbook: str, *arguments: str, **variables: t.Any) -> list[str]:
        inventory, path = self.folder / "inventory.json", self.folder / "play.yml"
        inventory.write_text(json.dumps({"all": {"hosts": self.hosts}}), encoding="utf-8")
        if playbook.startswith("["):
            path.write_text(playbook, encoding="utf-8")
            playbook = str(path)
        return [str(BIN / "ansible-playbook"), "-i", str(inventory), playbook, "-e", json.dumps(variables), *arguments]

    def tasks(self, *tasks: dict[str, t.Any], arguments: tuple[str, ...] = (), host: str = "localhost", **keywords: t.Any) -> Run:
        """Run tasks on a host."""
        return self.run(json.dumps([{"hosts": host, "gather_facts": False, "tasks": list(tasks), **keywords}]), *arguments)

    def fleet_task(self, rows: list[dict[str, t.Any]] | None = None, **options: t.Any) -> dict[str, t.Any]:
        """Return the options of the fleet's module."""
        return {"waba.flows.whatsapp_business_encryption_fleet": {
            "base_url": self.box.base_url, "access_token": DEFAULT_TOKEN, "business_public_key": KEY.public_pem,
            "phone_numbers": self.rows() if rows is None else rows, **options,
        }}

    def one_task(self, **options: t.Any) -> dict[str, t.Any]:
        return {"waba.flows.whatsapp_business_encryption": {
            "base_url": self.box.base_url, "phone_number_id": next(iter(self.box.state.numbers)), **options,
        }}

    def result(self, name: str) -> t.Any:
        """Return what a task wrote with keep()."""
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def keep(self, name: str) -> dict[str, t.Any]:
        """Return a task that writes a registered variable to a file, to be looked at."""
        return {"ansible.builtin.copy": {"content": "{{ " + name + " | to_json }}", "dest": str(self.folder / f"{name}.json")},
                "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}


@pytest.fixture
def play(tmp_path: Path, collections: Path) -> t.Iterator[Play]:
    with Sandbox(make_state(6, wabas=2)) as box:
        yield Play(tmp_path, collections, box)


def test_a_local_connection_needs_no_python_of_its_own(play: Play) -> None:
    info = {"waba.flows.whatsapp_business_encryption_info": {
        "base_url": play.box.base_url, "access_token": DEFAULT_TOKEN, "phone_numbers": play.rows()}}
    run = play.tasks(play.fleet_task(), info, play.one_task(access_token=DEFAULT_TOKEN))
    assert run.status == 0, run.output
    assert [record.method for record in play.box.requests].count("POST") == 6


@pytest.mark.parametrize("keywords", [{"async": 20, "poll": 1}, {"become": True}, {"vars": {"ansible_connection": "ssh"}}])
def test_elsewhere_and_async_it_is_a_module(keywords: dict[str, t.Any], play: Play) -> None:
    run = play.tasks({**play.fleet_task(), **keywords})
    assert run.status != 0
    assert play.box.requests == []


def comparable(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a result without what differs from run to run."""
    for row in result["numbers"]:
        del row["seconds"]
        row.get("error", {}).pop("fbtrace_id", None)
    result["api"].pop("usage")
    for name in ("ansible_facts", "ansible_job_id", "finished", "started", "results_file", "stdout", "stdout_lines", "stderr",
                 "stderr_lines", "exception", "invocation", "ansible_async_watched"):
        result.pop(name, None)
    return result


def test_module_and_plugin_return_the_same(play: Play) -> None:
    play.hosts["localhost"]["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
    play.hosts["localhost"]["ansible_async_dir"] = str(play.folder / "async")
    unknown = {"name": "unknown", "phone_number_id": "1", "access_token": "another-fake-token"}
    task = {**play.fleet_task([*play.rows(), unknown], force=True), "ignore_errors": True, "diff": True}
    run = play.tasks(
        task, {**task, "register": "here"}, play.keep("here"),
        {**task, "register": "there", "async": 60, "poll": 1}, play.keep("there"),
    )
    assert run.status == 0, run.output
    here, there = comparable(play.result("here")), comparable(play.result("there"))
    assert here == there
    assert here["summary"] == {"resigned": 6, "failed": 1}
    assert len(here["diff"]) == 6


def test_relative_paths_are_those_of_the_playbooks_folder(play: Play) -> None:
    book = play.folder / "book"
    book.mkdir()
    (book / "flows.pub").write_text(KEY.public_pem, encoding="utf-8")
    (book / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [
        play.one_task(access_token=DEFAULT_TOKEN, business_public_key_path="flows.pub")]}]), encoding="utf-8")
    run = play.run(str(book / "play.yml"))
    assert run.status == 0, run.output
    assert [record.method for record in play.box.requests] == ["GET", "POST", "GET"]


def test_the_environment_of_the_task_counts_and_does_not_stay(play: Play) -> None:
    run = play.tasks(
        {**play.one_task(), "environment": {"WHATSAPP_ACCESS_TOKEN": DEFAULT_TOKEN}},
        {**play.one_task(), "ignore_errors": True, "register": "without"}, play.keep("without"),
        {**play.one_task(), "loop": [DEFAULT_TOKEN, ""], "environment": {"WHATSAPP_ACCESS_TOKEN": "{{ item }}"},
         "register": "loop", "ignore_errors": True}, play.keep("loop"),
    )
    assert run.status == 0, run.output
    assert "No access token is given" in play.result("without")["msg"]
    assert [item.get("outcome") for item in play.result("loop")["results"]] == ["read", None]


def test_the_control_nodes_credentials_are_handed_on_to_another_host(play: Play, sshd: Sshd) -> None:
    play.hosts["api"] = {**sshd.vault(), "ansible_pipelining": True}
    play.environment["WHATSAPP_ACCESS_TOKEN"] = DEFAULT_TOKEN
    run = play.tasks(play.one_task(), host="api", arguments=("-vvvv",))
    assert run.status == 0, run.output
    assert DEFAULT_TOKEN not in run.output
    # It shows the arguments of modules, so what no provider in use takes is not among them.
    play.environment["ANSIBLE_DEBUG"] = "1"
    play.environment["WHATSAPP_USERNAME"] = "canary-user-of-another-provider"
    assert "canary-user" not in play.tasks(play.one_task(), host="api").output
    del play.environment["ANSIBLE_DEBUG"]
    own = play.tasks({**play.one_task(), "environment": {"WHATSAPP_ACCESS_TOKEN": "another-fake-token"}}, host="api")
    assert "Invalid OAuth access token" in own.output


def test_options_are_checked_as_a_module_does(play: Play) -> None:
    run = play.tasks(
        {**play.one_task(access_token=DEFAULT_TOKEN, retries="many"), "ignore_errors": True},
        {**play.one_task(access_token=DEFAULT_TOKEN, tokens="x"), "ignore_errors": True},
        {**play.fleet_task(provider="nobody"), "ignore_errors": True},
    )
    assert "retries" in run.failures
    assert "Unsupported parameters for (waba.flows.whatsapp_business_encryption) module: tokens" in run.failures
    assert "value of provider must be one of" in run.failures
    assert play.box.requests == []


def test_a_vaulted_token_within_the_list_is_decrypted(play: Play) -> None:
    word = play.folder / "word"
    word.write_text("a-fake-vault-password", encoding="utf-8")
    text = subprocess.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--vault-password-file", str(word), DEFAULT_TOKEN],
        capture_output=True, text=True, check=True, env=play.all_environment(),
    ).stdout
    variables = play.folder / "vars.yml"
    variables.write_text(f"token: {text}", encoding="utf-8")
    run = play.tasks(play.fleet_task(play.rows(access_token="{{ token }}"), access_token="not-good"), vars_files=[str(variables)],
                     arguments=("--vault-password-file", str(word), "-vvvv"))
    assert run.status == 0, run.output
    assert DEFAULT_TOKEN not in run.output


def test_secrets_are_blotted_out_wherever_they_are_given(play: Play) -> None:
    private = KEY.private_pem.decode()
    run = play.tasks(
        {**play.fleet_task([{"name": f"a {DEFAULT_TOKEN}", "phone_number_id": f"x{DEFAULT_TOKEN}"}]), "ignore_errors": True,
         "register": "named"},
        play.keep("named"),
        {**play.one_task(access_token=DEFAULT_TOKEN, business_public_key=private), "ignore_errors": True, "register": "private"},
        play.keep("private"),
        {**play.one_task(access_token=DEFAULT_TOKEN, provider=DEFAULT_TOKEN), "ignore_errors": True},
        arguments=("-vvv",),
    )
    kept = run.output + json.dumps([play.result("named"), play.result("private")])
    assert DEFAULT_TOKEN not in kept
    assert private.splitlines()[7] not in kept
    assert play.result("named")["numbers"][0]["name"] == "a ********"


def slow(play: Play, seconds: float) -> None:
    play.box.state.settings.latency = seconds


def lines_of(run: Run) -> list[str]:
    return [line for line in run.output.splitlines() if line.startswith("whatsapp_business_encryption_fleet: ")]


def test_progress_is_shown_and_logged_also_under_no_log(play: Play) -> None:
    slow(play, 0.5)
    log = play.folder / "ansible.log"
    play.environment["ANSIBLE_LOG_PATH"] = str(log)
    run = play.tasks({**play.fleet_task(max_workers=1), "no_log": True})
    assert run.status == 0, run.output
    shown = lines_of(run)
    assert "of 6 numbers" in shown[0]
    assert "about" in shown[0]
    assert shown[-1].startswith("whatsapp_business_encryption_fleet: 6 of 6 numbers (100 %), 0 failed in ")
    assert all(line in log.read_text(encoding="utf-8") for line in shown)


def test_progress_is_silent_when_asked_and_for_short_work(play: Play) -> None:
    slow(play, 0.5)
    assert lines_of(play.tasks(play.fleet_task(max_workers=1, progress=False))) == []
    slow(play, 0)
    assert lines_of(play.tasks(play.fleet_task())) == []


def test_a_throttled_account_holds_nobody_else_up(play: Play) -> None:
    """One WABA is used up for some seconds: the other's numbers come first, and no call reaches the full one meanwhile."""
    settings = play.box.state.settings
    settings.calls_per_hour, settings.window, settings.retry_after = 100, 8.0, True
    first, second = sorted(play.box.state.wabas())
    play.box.use_up(100, waba_id=first)
    run = play.tasks(play.fleet_task(max_workers=2))
    assert run.status == 0, run.output
    order = [play.box.state.numbers[record.phone_number_id].waba_id for record in play.box.requests if record.method == "POST"]
    assert order == [second] * 3 + [first] * 3
    assert play.box.calls["wabas"][second]["throttled"] == 0
    assert play.box.calls["wabas"][first]["throttled"] <= 2  # as many as were under way when the first was refused


def test_many_numbers_are_told_the_cost_of_before(tmp_path: Path, collections: Path) -> None:
    with Sandbox(make_state(120, wabas=4)) as box:
        play = Play(tmp_path, collections, box)
        run = play.tasks(play.fleet_task())
        dry = play.tasks({**play.fleet_task(force=True), "check_mode": True})
    assert lines_of(run) == [
        "whatsapp_business_encryption_fleet: 120 numbers, 360 calls in 4 WABAs: fits into 5,000 an hour for each WABA"]
    assert lines_of(dry) == [
        "whatsapp_business_encryption_fleet: 120 numbers, 120 calls in 4 WABAs: fits into 5,000 an hour for each WABA"]


def test_the_time_limit_of_the_task_ends_it(play: Play) -> None:
    settings = play.box.state.settings
    settings.calls_per_hour, settings.window, settings.retry_after = 10, 100.0, True
    for waba in play.box.state.wabas():
        play.box.use_up(100, waba_id=waba)
    started = time.monotonic()
    run = play.tasks({**play.fleet_task(), "timeout": 3})
    assert run.status != 0
    assert time.monotonic() - started < 20
    assert re.search("timed out|timeout|in the expected time frame", run.output)  # the words differ from version to version


def test_an_interrupt_ends_it(play: Play) -> None:
    slow(play, 1.0)
    (play.folder / "home").mkdir()
    command = play.command(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [play.fleet_task(max_workers=1)]}]))
    process = subprocess.Popen(command, cwd=play.folder, env=play.all_environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        for dummy in range(300):
            if play.box.requests:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    finally:
        process.kill()
    count = len(play.box.requests)
    assert 1 <= count < 12
    time.sleep(2.5)
    assert len(play.box.requests) == count
