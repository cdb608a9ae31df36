# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, through ansible-playbook: one clear message each, that names the number or host and the remedy."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.fleet import local_vault

from .conftest import ROOT, Run, Sshd, World


def fatal(run: Run) -> int:
    """Return how many tasks ended the run with a failure."""
    return len(re.findall(r"^fatal: ", run.output, re.MULTILINE))


def assert_one_message(run: Run, *parts: str) -> None:
    assert run.status != 0, run.output
    assert fatal(run) == 1, run.output
    for part in parts:
        assert part in run.failures, run.output


def assert_nothing_done(world: World) -> None:
    assert world.box.posts == []
    assert not world.keys.exists()


@pytest.fixture
def ready(world: World) -> World:
    """A world that would rotate without a failure."""
    del world.numbers[world.fleet.foreign]
    world.import_old_keys()
    return world


def assert_others_done(world: World, run: Run, failed: set[str]) -> None:
    """These numbers failed; all others are on the new key of theirs."""
    assert {name for name, outcome in run.outcomes.items() if outcome == "failed"} == failed
    assert set(run.outcomes.values()) <= {"failed", "replaced", "set"}
    held = world.fleet.held()
    published = {world.fingerprint(name, state) for name in ("default", "partner") for state in ("current", "pending")}
    assert all(held[name] in published for name in world.numbers if name not in failed)


# By host: what is wrong of it (None: it lacks the variable), and what the message has to say.
WRONG_NUMBERS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "number-04": ("whatsapp_access_token", "wrong-token-0123456789", ("code 190", "create a new system-user token")),
    "number-05": ("whatsapp_phone_number_id", "+4915123456789", ("not the phone number itself",)),
    "number-06": ("whatsapp_access_token", "{{ token_of_waba_9 }}", ("whatsapp_access_token cannot be templated",)),
    "number-07": ("whatsapp_access_token", None, ("No access token is given",)),
    "number-08": ("whatsapp_phone_number_id", None, ("set the host variable whatsapp_phone_number_id",)),
    "number-09": ("whatsapp_key_name", "../elsewhere", ("whatsapp_key_name may hold",)),
    "number-10": ("whatsapp_api_version", "24", ("not of the form v24.0",)),
    "number-11": ("whatsapp_base_url", "http://api.example.com", ("the credential would travel readable",)),
    "number-12": ("whatsapp_phone_number_id", "its WABA's", ("code 100, subcode 33", "not the WABA ID")),
}


@pytest.mark.attack("accounted", "a wrong token, ID or variable of numbers among others")
def test_numbers_that_are_wrong_each_in_its_own_way(ready: World) -> None:
    for host, (variable, value, dummy) in WRONG_NUMBERS.items():
        ready.numbers[host].pop(variable, None)
        if value is not None:
            ready.numbers[host][variable] = ready.fleet.wabas[host] if value == "its WABA's" else value
    run = ready.run(encryption_keys_force=True)
    assert_one_message(run, ready.fleet.numbers["number-04"], ready.fleet.wabas["number-12"])
    for host, wrong in WRONG_NUMBERS.items():
        told = [line for line in run.failures.splitlines() if host in line]
        assert len(told) == 1, (host, run.failures)
        assert all(part in told[0] for part in wrong[2]), (host, told)
    assert "number-03" not in run.failures
    assert_others_done(ready, run, set(WRONG_NUMBERS))


def test_host_named_by_its_id_needs_no_variable(world: World) -> None:
    identity = world.fleet.numbers["number-01"]
    variables = world.numbers.pop("number-01")
    del variables["whatsapp_phone_number_id"]
    world.numbers[identity] = variables
    run = world.run("waba.flows.rotate", "--limit", f"vault,{identity}", encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output


def test_same_phone_number_id_on_two_hosts(world: World) -> None:
    world.numbers["number-04"]["whatsapp_phone_number_id"] = world.fleet.numbers["number-03"]
    run = world.run()
    assert_one_message(run, world.fleet.numbers["number-03"], "number-03", "number-04", "Nothing was")
    assert world.box.requests == []
    assert_nothing_done(world)


def test_no_vault_host(world: World) -> None:
    world.vaults.clear()
    assert_one_message(world.run(), "There is no vault host", "whatsapp_vault", "encryption_keys_vault_group")
    assert_nothing_done(world)


def test_two_vault_hosts(world: World) -> None:
    world.vaults["vault2"] = world.vaults["vault"]
    run = world.run()
    assert run.status != 0
    assert "exactly one vault host" in run.failures
    assert "vault, vault2" in run.failures
    assert_nothing_done(world)


@pytest.mark.parametrize("group", ["whatsapp_numbers", "no_such_group"])
def test_empty_or_missing_group(world: World, group: str) -> None:
    world.numbers.clear()
    assert_one_message(world.run(encryption_keys_group=group), group, "has 0 numbers", "Check the inventory")
    assert_nothing_done(world)


def test_fewer_numbers_than_expected(world: World) -> None:
    assert_one_message(world.run(encryption_keys_minimum_numbers=25), "has 24 numbers", "at least 25")
    assert_nothing_done(world)


def test_limit_without_the_vault_host(world: World) -> None:
    run = world.run("waba.flows.rotate", "--limit", "number-01")
    assert_one_message(run, "leaves out the vault host (vault)", "--limit 'number-01,vault'")
    assert_nothing_done(world)


def test_limit_by_file_is_refused(world: World) -> None:
    (world.folder / "limit").write_text("vault\nnumber-01\n")
    assert_one_message(world.run("waba.flows.rotate", "--limit", f"@{world.folder}/limit"), "@file", "Give host names")
    assert_nothing_done(world)


def test_no_passphrase(world: World) -> None:
    world.environment.clear()
    assert_one_message(world.run(), "No passphrase", "vault", "encryption_keys_passphrase")
    assert_nothing_done(world)


@pytest.mark.parametrize("passphrase", ["short", "", None, 123456789012, {"a": "mapping-of-length"}])
def test_passphrase_that_is_none_or_too_short(world: World, passphrase: t.Any) -> None:
    run = world.run(encryption_keys_passphrase=passphrase)
    assert run.status != 0
    assert "No passphrase" in run.failures or "encryption_keys_passphrase" in run.failures
    assert "mapping-of-length" not in run.output
    assert_nothing_done(world)


def test_unwritable_vault_path(world: World) -> None:
    """A path below a file cannot be made, not even by root."""
    (world.folder / "file").write_text("")
    run = world.run(encryption_keys_path=str(world.folder / "file" / "keys"))
    assert_one_message(run, "Not a directory", platform.node(), "Check owner, permissions")
    assert world.box.posts == []
    assert set(run.outcomes.values()) == {"skipped"}


@pytest.mark.attack("accounted", "one keyring of two cannot be opened")
def test_wrong_passphrase_for_one_keyring_leaves_the_other_key_alone(ready: World) -> None:
    (ready.keys / "default").rename(ready.folder / "kept")
    ready.environment["WHATSAPP_KEYRING_PASSPHRASE"] = "another-passphrase-entirely"
    done = ready.play([{"waba.flows.whatsapp_flows_keyring": {"path": str(ready.keys), "name": "default"}}])
    assert done.status == 0, done.output
    before = sorted(path.read_bytes() for path in (ready.keys / "partner").iterdir())
    run = ready.run(encryption_keys_replace_foreign=True)
    assert_one_message(run, "partner (keyring)", "the passphrase is wrong", "encryption_keys_passphrase")
    expected = {name: "skipped" if ready.fleet.key_name(name) == "partner" else "replaced" for name in ready.numbers}
    assert run.outcomes == {**expected, ready.fleet.absent: "set"}
    assert sorted(path.read_bytes() for path in (ready.keys / "partner").iterdir()) == before


def test_api_unreachable(world: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for variables in world.numbers.values():
            variables["whatsapp_base_url"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
            variables["whatsapp_retries"] = 0
        run = world.run()
    assert_one_message(run, "number-01", "number-24", "cannot be reached", "Check base_url, the network")
    assert_nothing_done(world)


@pytest.mark.attack("accounted", "the API vanishes while keys are published")
def test_api_gone_while_publishing(ready: World) -> None:
    """Reading works, every POST is cut: the first wave of each key stops it, and every number says what is known of it."""
    ready.box.fault("*", "reset", method="POST", times=-1)
    for variables in ready.numbers.values():
        variables["whatsapp_retries"] = 0
    run = ready.run(encryption_keys_force=True)
    assert_one_message(run, "number-01", "closed the connection", "no further wave was started")
    assert {run.outcomes["number-01"], run.outcomes["number-24"]} <= {"failed"}
    assert set(run.outcomes.values()) == {"failed", "skipped"}
    assert len(ready.box.posts) == list(run.outcomes.values()).count("failed")
    assert ready.fingerprint("default", "pending")


def test_replaceable_fingerprint_that_is_none(world: World) -> None:
    """It is refused before a key is made."""
    run = world.run(encryption_keys_replaceable_fingerprints=["aa:bb"])
    assert_one_message(run, "encryption_keys_replaceable_fingerprints", "'aa:bb' is not a fingerprint")
    assert_nothing_done(world)


@pytest.mark.parametrize("option", ["encryption_keys_endpoint_group", "encryption_keys_replica_group"])
def test_a_misspelt_group_of_endpoints_or_replicas(world: World, option: str) -> None:
    """It must not mean that nothing has to be proven, or copied."""
    run = world.run(**{option: "whatsapp_enpoints"})
    assert run.status != 0
    assert f"{option}: 'whatsapp_enpoints' matches no host" in run.failures
    assert_nothing_done(world)


@pytest.mark.parametrize("wave", ["0", "101%", "-1", "ten", []])
def test_wave_sizes_that_are_none(world: World, wave: t.Any) -> None:
    run = world.run(encryption_keys_waves=[wave] if wave else [])
    assert run.status != 0
    assert "encryption_keys_waves" in run.output
    assert_nothing_done(world)


def test_import_for_a_key_that_no_number_has(world: World) -> None:
    run = world.run(encryption_keys_import_private_key_path="/nowhere.pem", encryption_keys_import_key_name="shop")
    assert_one_message(run, "No number", "'shop'", "default, partner")
    assert_nothing_done(world)


def test_import_of_a_missing_file(world: World) -> None:
    run = world.run(encryption_keys_import_private_key_path="/nowhere.pem")
    assert_one_message(run, "default (keyring)", "/nowhere.pem cannot be read", platform.node(), "on the vault host")
    assert not list((world.keys / "default").glob("*.pem"))


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python without requests and cryptography."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


def local(interpreter: str) -> dict[str, t.Any]:
    return {"ansible_connection": "local", "ansible_python_interpreter": interpreter}


def floor_python() -> str | None:
    """Return the oldest Python that modules run on, if this machine has it."""
    settings = yaml.safe_load((ROOT / "tests" / "config.yml").read_text(encoding="utf-8"))
    version = settings["modules"]["python_requires"].lstrip(">=")
    pyenv = shutil.which("pyenv")
    folder = Path(pyenv).resolve().parents[1] / "versions" if pyenv else Path("/nowhere")
    candidates = [*sorted(folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
    # pyenv's shims are there for versions that are not switched on, and do not run.
    runs = (str(path) for path in candidates if path and subprocess.run([path, "-c", ""], check=False).returncode == 0)
    return next(runs, None)


@pytest.mark.slow
def test_lowest_versions_that_the_documentation_names(world: World, tmp_path: Path) -> None:
    """Python 3.9 with the lowest requests and cryptography, as vault host and as API host."""
    python = floor_python()
    if python is None:
        pytest.skip("the oldest supported Python is not on this machine")
    wanted = set(re.findall(r"(requests|cryptography) >= ([0-9.]+)", "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "modules").glob("*.py"))))
    assert len(wanted) == 2
    subprocess.run([python, "-m", "venv", str(tmp_path / "floor")], check=True)
    floor = str(tmp_path / "floor" / "bin" / "python")
    subprocess.run([floor, "-m", "pip", "install", "--quiet", *(f"{name}=={version}" for name, version in wanted)], check=True)
    world.vaults["vault"] = local(floor)
    world.inventory["all"]["hosts"] = {"api": local(floor)}
    world.box.fault(world.fleet.numbers["number-01"], "applied_then_reset")
    world.box.fault(world.fleet.numbers["number-02"], "truncated", method="GET")
    world.box.fault(world.fleet.numbers["number-03"], "slow_drip", method="GET", seconds_per_byte=0.001)
    run = world.run(encryption_keys_api_host="api", encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output


def test_library_missing_on_the_vault_host(world: World, bare_python: str) -> None:
    world.vaults["vault"] = local(bare_python)
    run = world.run()
    assert_one_message(run, "cryptography", platform.node(), str(Path(bare_python).parent))
    assert_nothing_done(world)


def test_library_missing_on_the_api_host(world: World, bare_python: str, sshd: Sshd) -> None:
    world.inventory["all"]["hosts"] = {"api": {**sshd.vault(), "ansible_python_interpreter": bare_python}}
    run = world.run(encryption_keys_api_host="api")
    assert_one_message(run, "Nothing was changed", "requests", platform.node())
    assert_nothing_done(world)


@pytest.mark.parametrize("broken", [
    {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1},
    {**local_vault(), "ansible_become": True, "ansible_become_user": "nobody", "ansible_become_exe": "/nowhere/sudo"},
])
def test_vault_host_unreachable(world: World, broken: dict[str, t.Any]) -> None:
    """The reason shows, although the tasks with secrets are under no_log."""
    world.vaults["vault"] = broken
    run = world.run()
    assert run.status != 0
    assert "censored" not in run.output
    assert re.search("Connection refused|/nowhere/sudo", run.output)
    assert world.box.requests == []
    assert_nothing_done(world)


def test_api_host_unreachable(world: World) -> None:
    world.inventory["all"]["hosts"] = {"api": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    run = world.run(encryption_keys_api_host="api")
    assert run.status != 0
    assert "Nothing was changed" in run.failures
    assert_nothing_done(world)
