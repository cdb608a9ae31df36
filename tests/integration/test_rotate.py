# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: waba.flows.rotate against the sandbox, with a local vault host and with one behind a real sshd."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from tests.fleet import fingerprint_of

from .conftest import BIN, PASSPHRASE, ROOT, Run, World, running_sshd


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.slow)])
def vaulted(request: pytest.FixtureRequest, world: World) -> World:
    """A world whose old keys are imported, with the vault host reached in both ways."""
    if request.param == "ssh":
        world.vaults["vault"] = request.getfixturevalue("sshd").vault()
    world.import_old_keys()
    return world


def no_post(world: World) -> bool:
    return world.box.posts == []


@pytest.mark.attack("predicted", "check mode before a first and a second rotation, compared with what they do")
def test_first_run_second_run_and_prediction(vaulted: World) -> None:
    """The whole story of a rotation: what check mode predicts happens, all but the foreign number, and then nothing more."""
    world, fleet = vaulted, vaulted.fleet
    before = fleet.held()
    files = sorted((path, path.stat().st_mtime_ns) for path in world.keys.rglob("*"))

    predicted = world.run("waba.flows.rotate", "--check", "--diff", encryption_keys_force=True)
    assert no_post(world)
    assert fleet.held() == before
    assert sorted((path, path.stat().st_mtime_ns) for path in world.keys.rglob("*")) == files

    real = world.run(encryption_keys_force=True)
    assert len(real.outcomes) == 24
    assert (predicted.status, real.status) == (2, 2)
    assert predicted.outcomes == real.outcomes
    assert {name: row[2] for name, row in predicted.rows.items()} == {name: row[2] for name, row in real.rows.items()}

    expected = dict.fromkeys(fleet.numbers, "replaced")
    expected.update({fleet.absent: "set", fleet.foreign: "refused"})
    assert real.outcomes == expected
    new = {name: world.fingerprint(name, "current") for name in fleet.old_keys}
    assert set(new.values()).isdisjoint({None, *before.values()})
    for name, held in fleet.held().items():
        assert held == (before[name] if name == fleet.foreign else new[fleet.key_name(name)])
        assert fleet.state.numbers[fleet.numbers[name]].signature_status == "VALID"
    assert len(world.box.posts) == 23
    for text in (fleet.foreign, fleet.numbers[fleet.foreign], fleet.foreign_key.fingerprint,
                 "encryption_keys_replaceable_fingerprints", "encryption_keys_replace_foreign"):
        assert text in real.failures
    assert "number-01" not in real.failures

    again = world.run()
    assert again.recap["changed"] == 0
    assert no_post(world)
    assert again.outcomes == {name: "refused" if name == fleet.foreign else "unchanged" for name in fleet.numbers}

    del world.numbers[fleet.foreign]
    rest = world.run()
    assert (rest.status, rest.recap["changed"], len(world.box.posts)) == (0, 0, 0)


def test_private_key_on_the_vault_host(vaulted: World) -> None:
    world = vaulted
    world.run(encryption_keys_force=True)
    names = {generation["fingerprint"]: generation["id"] for generation in world.keyring("default")["generations"]}
    current = world.fingerprint("default", "current")
    assert current is not None
    path = world.keys / "default" / f"{names[current]}.pem"
    assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    public = subprocess.run(["openssl", "pkey", "-in", str(path), "-passin", "env:PASSPHRASE", "-pubout"],
                            env={**os.environ, "PASSPHRASE": PASSPHRASE}, capture_output=True, text=True, check=True).stdout
    held = world.fleet.state.numbers[world.fleet.numbers["number-01"]].business_public_key
    assert held is not None
    assert fingerprint_of(public) == fingerprint_of(held) == current
    # Only there: no other file of this run holds a private key, except for those that the test imported from.
    others = [p for p in world.folder.rglob("*") if p.is_file() and world.keys not in p.parents and not p.name.startswith("old-")]
    assert others
    assert [p for p in others if b"PRIVATE KEY" in p.read_bytes()] == []


@pytest.mark.attack("predicted", "check mode where there is nothing yet")
def test_check_mode_on_an_empty_vault_host_writes_nothing(world: World) -> None:
    predicted = world.run("waba.flows.rotate", "--check", "--diff", encryption_keys_replace_foreign=True)
    assert predicted.status == 0, predicted.output
    assert no_post(world)
    assert not world.keys.parent.exists()
    real = world.run(encryption_keys_replace_foreign=True)
    assert predicted.outcomes == real.outcomes
    assert set(real.outcomes.values()) == {"replaced", "set"}


@pytest.mark.slow
@pytest.mark.attack("predicted", "check mode of an import with a rotation in one run")
def test_import_and_rotation_in_one_command_is_predicted(world: World) -> None:
    old = world.fleet.old_keys["default"]
    path = world.folder / "old-key.pem"
    path.write_bytes(old.private_pem)
    options: dict[str, t.Any] = {
        "encryption_keys_import_private_key_path": str(path), "encryption_keys_import_passphrase": old.passphrase,
        "encryption_keys_force": True,
    }
    predicted = world.run("waba.flows.rotate", "--check", **options)
    real = world.run(**options)
    assert predicted.outcomes == real.outcomes
    assert real.outcomes["number-01"] == "replaced"
    assert world.fingerprint("default", "retired") == old.fingerprint
    assert world.run(**{**options, "encryption_keys_force": False}).recap["changed"] == 0


def test_drift_is_mended_without_a_new_key(vaulted: World) -> None:
    """A number without its key and one that was registered again are mended with the current key."""
    world, fleet = vaulted, vaulted.fleet
    run = world.run()
    expected = dict.fromkeys(fleet.numbers, "unchanged")
    expected.update({fleet.absent: "set", fleet.mismatch: "resigned", fleet.foreign: "refused"})
    assert run.outcomes == expected
    assert len(world.box.posts) == 2
    assert world.fingerprint("default", "current") == fleet.old_keys["default"].fingerprint


@pytest.mark.slow
@pytest.mark.attack("foreign", "a number with a foreign key in a rotated fleet")
def test_foreign_key_replaced_by_its_fingerprint_only(world: World) -> None:
    world.import_old_keys()
    other = world.run(encryption_keys_replaceable_fingerprints=[world.fleet.old_keys["partner"].fingerprint])
    assert other.outcomes[world.fleet.foreign] == "refused"
    allowed = world.run(encryption_keys_replaceable_fingerprints=[world.fleet.foreign_key.fingerprint])
    assert allowed.status == 0, allowed.output
    assert allowed.outcomes[world.fleet.foreign] == "replaced"


@pytest.mark.slow
def test_due_by_age(world: World) -> None:
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    world.run(encryption_keys_max_age="90d")
    assert world.fingerprint("default", "current") == world.fleet.old_keys["default"].fingerprint
    time.sleep(1.1)
    assert world.run(encryption_keys_max_age="1s").status == 0
    assert world.fingerprint("default", "retired") == world.fleet.old_keys["default"].fingerprint


@pytest.mark.slow
@pytest.mark.attack("accounted", "numbers that fail for good among others")
def test_failed_numbers_keep_the_key_pending_and_the_next_run_goes_on(world: World) -> None:
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    world.box.fault(world.fleet.numbers["number-03"], "error", status=400, code=133010, method="POST", times=-1)
    run = world.run(encryption_keys_force=True, encryption_keys_max_failures=1)
    assert run.status == 2
    assert run.outcomes["number-03"] == "failed"
    assert "number-03" in run.failures
    assert "Register the number" in run.failures
    assert list(run.outcomes.values()).count("failed") == 1
    assert "skipped" not in run.outcomes.values()
    pending = world.fingerprint("default", "pending")
    assert world.fingerprint("default", "current") == world.fleet.old_keys["default"].fingerprint
    assert world.fingerprint("partner", "pending") is None  # the other key is done

    world.box.clear()
    again = world.run()
    assert again.status == 0
    assert again.outcomes["number-03"] == "replaced"
    assert len(world.box.posts) == 1
    assert world.fingerprint("default", "current") == pending


@pytest.mark.slow
@pytest.mark.attack("accounted", "a number that cannot be read among others")
def test_a_number_that_cannot_be_read_is_left_behind_and_mended_later(world: World) -> None:
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    identity = world.fleet.numbers["number-02"]
    world.box.fault(identity, "error", status=403, code=10, method="GET", times=-1)
    run = world.run(encryption_keys_force=True)
    assert run.outcomes["number-02"] == "failed"
    assert world.fingerprint("default", "pending") is None
    world.box.clear()
    again = world.run()
    assert (again.status, again.outcomes["number-02"], len(world.box.posts)) == (0, "replaced", 1)


@pytest.mark.slow
@pytest.mark.attack("resumed", "faults that pass: errors, resets, throttling")
def test_temporary_faults_are_survived(world: World) -> None:
    """Each of these is answered to one number, once; all numbers end on the new key."""
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    faults: list[tuple[str, str, dict[str, t.Any]]] = [
        ("number-01", "applied_then_error", {}), ("number-02", "applied_then_reset", {}),
        ("number-03", "reset", {"method": "POST"}),
        ("number-04", "throttle", {"method": "POST", "retry_after": 1}), ("number-06", "html", {"method": "GET", "status": 502}),
        ("number-07", "stale_reads", {"reads": 2}), ("number-08", "mismatch", {}), ("number-09", "truncated", {"method": "GET"}),
        ("number-10", "error", {"method": "POST", "status": 500, "code": 131000}),
    ]
    for name, kind, members in faults:
        world.box.fault(world.fleet.numbers[name], kind, **members)
    run = world.run(encryption_keys_force=True, encryption_keys_verify_timeout=3)
    stuck = {name for name, outcome in run.outcomes.items() if outcome == "failed"}
    assert stuck == {"number-08"}  # the API took the key but calls its signature stale: that is told, not hidden
    assert "MISMATCH" in run.failures
    assert world.run().status == 0
    own = [name for name in world.numbers if world.fleet.key_name(name) == "default"]
    assert {world.fleet.held()[name] for name in own} == {world.fingerprint("default", "current")}


@pytest.mark.attack("resumed", "ansible-playbook killed while it publishes")
def test_killed_in_the_middle_the_next_run_uses_the_same_key(world: World) -> None:
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    process = start(world)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    world.box.settings.latency = 0
    pending = {name: world.fingerprint(name, "pending") for name in ("default", "partner")}
    assert None not in pending.values()
    part_done = [held for held in world.fleet.held().values() if held in pending.values()]
    assert part_done
    assert len(part_done) < len(world.numbers)
    run = world.run()
    assert run.status == 0, run.output
    assert {name: world.fingerprint(name, "current") for name in pending} == pending
    assert {len(world.keyring(name)["generations"]) for name in pending} == {2}


def start(world: World, **variables: t.Any) -> subprocess.Popen[str]:
    """Start a rotation in a process group of its own, and return when some numbers have their new key."""
    world.box.settings.latency = 0.15
    world.box.forget_requests()
    (world.folder / "home").mkdir(exist_ok=True)
    command = world.command("waba.flows.rotate", encryption_keys_force=True, encryption_keys_max_workers=2, **variables)
    process = subprocess.Popen(command, cwd=world.folder, env=world.all_environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    end = time.monotonic() + 60
    while len(world.box.posts) < 5:
        assert process.poll() is None, "it ended before anything could be done to it"
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.attack("accounted", "the vault host is lost while keys are published")
def test_vault_host_lost_while_publishing_the_table_still_shows(world: World, tmp_path: Path) -> None:
    """What was published is told, and the next run promotes it."""
    world.import_old_keys()
    del world.numbers[world.fleet.foreign]
    (tmp_path / "own-sshd").mkdir()
    with running_sshd(tmp_path / "own-sshd") as server:
        local = world.vaults["vault"]
        world.vaults["vault"] = server.vault()
        process = start(world)
        server.process.terminate()
        output = process.communicate(timeout=120)[0]
    run = Run(process.returncode, output)
    assert run.status != 0
    assert set(run.outcomes.values()) == {"replaced", "set"}, output
    assert "default (promotion)" in run.failures
    assert "run again without encryption_keys_force" in run.failures
    world.box.settings.latency = 0
    world.vaults["vault"] = local
    pending = world.fingerprint("default", "pending")
    again = world.run()
    assert (again.status, len(world.box.posts), world.fingerprint("default", "current")) == (0, 0, pending)


@pytest.mark.slow
def test_importing_later_makes_foreign_keys_known(world: World) -> None:
    """Day 1 without an import: the numbers with the old key are refused, and the remedy that is named works."""
    world.run()
    current = world.fingerprint("default", "current")
    old = world.fleet.old_keys["default"]
    (world.folder / "old.pem").write_bytes(old.private_pem)
    run = world.run(encryption_keys_import_private_key_path=str(world.folder / "old.pem"),
                    encryption_keys_import_passphrase=old.passphrase)
    own = [name for name in world.numbers if world.fleet.key_name(name) == "default" and name != world.fleet.foreign]
    assert {run.outcomes[name] for name in own} == {"replaced", "unchanged"}
    assert {world.fleet.held()[name] for name in own} == {current}
    assert world.fingerprint("default", "retired") == old.fingerprint


def test_check_mode_of_a_play_is_reported_as_such(world: World) -> None:
    path = world.folder / "site.yml"
    path.write_text(
        "- hosts: whatsapp_vault\n  gather_facts: false\n  check_mode: true\n  roles:\n    - waba.flows.encryption_keys\n"
    )
    run = world.run(str(path), encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output
    assert no_post(world)
    assert "Check mode: nothing was changed" in run.output
    assert not world.keys.exists()


def test_limit_is_a_canary_and_promotes_nothing(world: World) -> None:
    world.import_old_keys()
    run = world.run("waba.flows.rotate", "--limit", "vault,number-07", encryption_keys_force=True)
    assert run.status == 0, run.output
    assert run.outcomes == {"number-07": "replaced"}
    assert "23 numbers of the group were left out by --limit" in run.output
    assert world.fingerprint("default", "pending") == world.fleet.held()["number-07"]
    assert world.fingerprint("default", "current") == world.fleet.old_keys["default"].fingerprint


def test_values_as_text_as_surveys_give_them(world: World) -> None:
    """A "false" is no truth, a number in quotes is a number, and a list may come as text with commas."""
    world.import_old_keys()
    run = world.run(encryption_keys_force="false", encryption_keys_replace_foreign="false", encryption_keys_waves="1, 50%",
                    encryption_keys_max_failures="0", encryption_keys_minimum_numbers="24", encryption_keys_prove_timeout="4",
                    encryption_keys_replaceable_fingerprints=world.fleet.old_keys["partner"].fingerprint)
    assert run.outcomes[world.fleet.foreign] == "refused", run.output
    assert [row[5] for row in run.rows.values() if row[5] != "-"] == ["1", "2"]
    assert world.fingerprint("default", "retired") is None


def test_the_role_alone_in_a_play_of_the_users(world: World) -> None:
    path = world.folder / "site.yml"
    path.write_text(
        "- hosts: whatsapp_vault\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.import_role:\n        name: waba.flows.encryption_keys\n"
        "      vars:\n        encryption_keys_replace_foreign: true\n        encryption_keys_group: 'number-0*'\n"
    )
    run = world.run(str(path))
    assert run.status == 0, run.output
    assert sorted(run.outcomes) == [f"number-0{digit}" for digit in range(1, 10)]


def test_module_defaults_of_the_action_group_reach_the_role(world: World) -> None:
    for variables in world.numbers.values():
        del variables["whatsapp_access_token"]
    world.fleet.state.tokens["group-token-0123456789"] = type(next(iter(world.fleet.state.tokens.values())))()
    path = world.folder / "site.yml"
    path.write_text(
        "- hosts: whatsapp_vault\n  gather_facts: false\n  module_defaults:\n    group/waba.flows.whatsapp:\n"
        "      access_token: group-token-0123456789\n  roles:\n    - waba.flows.encryption_keys\n"
    )
    run = world.run(str(path), encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output


def test_token_and_app_secret_from_the_environment(world: World) -> None:
    for variables in world.numbers.values():
        del variables["whatsapp_access_token"]
    token = type(next(iter(world.fleet.state.tokens.values())))(app_secret="shh-app-secret", require_app_secret=True)
    world.fleet.state.tokens["environment-token-0123456789"] = token
    world.environment.update(WHATSAPP_ACCESS_TOKEN="environment-token-0123456789", WHATSAPP_APP_SECRET="shh-app-secret")
    run = world.run(encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output
    assert all(request.has_app_secret_proof for request in world.box.requests)


@pytest.mark.slow
def test_demo_runs(tmp_path: Path) -> None:
    """The demo is what a newcomer sees first."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([str(BIN / "python"), str(ROOT / "tests" / "demo" / "demo.py"), str(tmp_path / "demo")],
                          env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "demo" / "report.txt").read_text().count("0 POSTs reached the API") == 5
    assert "Numbers by verdict" in (tmp_path / "demo" / "audit.html").read_text()


def test_parsing_of_the_table_can_fail() -> None:
    """What the tests above read from the output is not read from nothing."""
    assert Run(0, "no table here").rows == {}
