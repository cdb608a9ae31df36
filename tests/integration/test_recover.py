# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vault host's files are damaged: the rotation refuses, the recovery makes the best of it, the rotation goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import World, files, opens, shift
from .test_losses import REPLICA, own, pems
from .test_rollout import states

PASSPHRASE = "canary-keyring-passphrase-7391"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


@pytest.mark.attack("recovered", "a rotated fleet whose keyring.json is cut, through the playbooks")
def test_a_damaged_keyring_is_refused_recovered_and_goes_on(ready: World) -> None:
    """Without a new POST for numbers that hold the current key."""
    old = ready.fleet.old_keys["default"].fingerprint
    cut(ready.keys / "default" / "keyring.json")
    kept = pems(ready.keys)
    refused = ready.run()
    assert refused.status == 2
    assert "keyring.json is damaged" in refused.failures
    assert "ansible-playbook waba.flows.recover" in refused.failures
    assert (ready.box.posts, pems(ready.keys)) == ([], kept)
    done = ready.run("waba.flows.recover")
    assert done.status == 0, done.output
    assert f"key default: recovered, generations: {old} current" in done.output
    assert "key partner: is not damaged" in done.output
    assert PASSPHRASE not in done.output
    again = ready.run()
    assert (again.status, states(ready)) == (0, ["current"])
    needed = {ready.fleet.numbers[name] for name in (ready.fleet.absent, ready.fleet.mismatch)}  # whatever became of the keyring
    assert {post.phone_number_id for post in ready.box.posts} == needed
    assert pems(ready.keys) == kept


@pytest.mark.slow
@pytest.mark.attack("recovered", "keyring.json lost while numbers cannot be read, or are left out by a limit")
def test_nothing_is_decided_by_numbers_that_were_not_read(ready: World) -> None:
    old = ready.fleet.old_keys["default"].fingerprint
    cut(ready.keys / "default" / "keyring.json")
    before = files(ready.keys)
    name, *others = own(ready)
    limited = ready.run("waba.flows.recover", "--limit", ",".join(["vault", *others]))
    assert (limited.status, files(ready.keys)) == (2, before)
    assert f"key default: {name}." in limited.failures
    ready.box.fault(ready.fleet.numbers[name], "error", status=400, code=133010, method="GET", times=-1)
    refused = ready.run("waba.flows.recover")
    assert (refused.status, files(ready.keys)) == (2, before)
    assert f"key default: {name}." in refused.failures
    assert "encryption_keys_recover_to" in refused.failures
    done = ready.run("waba.flows.recover", encryption_keys_recover_to={"default": old})
    assert (done.status, ready.fingerprint("default", "current")) == (0, old)


@pytest.mark.slow
@pytest.mark.attack("recovered", "a rotated fleet whose keyring.json is cut, through the playbooks")
def test_a_rotated_fleet_goes_on_with_the_key_that_most_numbers_hold(ready: World) -> None:
    """With an endpoint, in the middle of a rotation; in check mode first."""
    endpoint = ready.add_endpoint("endpoint-1")
    assert ready.run(encryption_keys_force=True).status == 0
    current = ready.fingerprint("default", "current")
    number = ready.fleet.numbers["number-04"]
    ready.box.fault(number, "error", status=400, code=133010, method="POST", times=-1)
    assert ready.run(encryption_keys_force=True, encryption_keys_waves=["1", "100%"]).status == 2
    ready.box.clear()
    held = {ready.fleet.held()[name] for name in own(ready)}
    assert len(held) == 2
    cut(ready.keys / "default" / "keyring.json")
    before = files(ready.keys)
    predicted = ready.run("waba.flows.recover", "--check")
    assert (predicted.status, files(ready.keys)) == (0, before)
    done = ready.run("waba.flows.recover")
    told = [line for line in done.output.splitlines() if "key default: recovered" in line]
    assert told == [line for line in predicted.output.splitlines() if "key default: recovered" in line] != []
    assert ready.fingerprint("default", "current") in held
    assert len(ready.keyring("default")["generations"]) == 3
    assert all(opens(path, PASSPHRASE) for path in (ready.keys / "default").glob("*.pem"))
    assert ready.run("waba.flows.recover").recap["changed"] == 0
    go_on = ready.run()
    assert go_on.status == 0, go_on.output
    assert {ready.fleet.held()[name] for name in own(ready)} == {ready.fingerprint("default", "current")}
    assert ready.manifest(endpoint, "default")["current"] == ready.fingerprint("default", "current")
    assert current in {row["fingerprint"] for row in ready.keyring("default")["generations"]}


@pytest.mark.slow
@pytest.mark.attack("recovered", "the key file that numbers hold destroyed, without a replica, through the playbooks")
def test_numbers_whose_key_is_lost_are_brought_to_another_one(ready: World) -> None:
    old = ready.fleet.old_keys["default"].fingerprint
    assert ready.run(encryption_keys_force=True).status == 0
    lost = ready.fingerprint("default", "current")
    path = next(path for path in (ready.keys / "default").glob("*.pem") if "imported" not in path.name)
    cut(path)
    refused = ready.run()
    assert refused.status == 2
    assert "waba.flows.recover" in refused.failures
    done = ready.run("waba.flows.recover")
    assert done.status == 0, done.output
    assert f"{lost} retired (its private key is lost)" in done.output
    assert f"{path.name} is now {path.name}.damaged-" in done.output
    assert ready.fingerprint("default", "current") == old
    assert ready.run().status == 0
    assert {ready.fleet.held()[name] for name in own(ready)} == {old}


@pytest.mark.slow
def test_another_key_is_chosen_by_hand(ready: World) -> None:
    old = ready.fleet.old_keys["default"].fingerprint
    assert ready.run(encryption_keys_force=True).status == 0
    (ready.keys / "default" / "keyring.json").unlink()
    unknown = ready.run("waba.flows.recover", encryption_keys_recover_to={"other": old})
    assert "names other, but the numbers have the keys" in unknown.failures
    done = ready.run("waba.flows.recover", encryption_keys_recover_to={"default": old})
    assert (done.status, ready.fingerprint("default", "current")) == (0, old)


@pytest.mark.slow
@pytest.mark.attack("recovered", "a damaged keyring that has a replica, through the playbooks")
def test_with_a_replica_the_damaged_folder_is_moved_away_and_restored(ready: World) -> None:
    ready.add_replica("replica-1")
    assert ready.run(encryption_keys_force=True, **REPLICA).status == 0
    document = ready.keyring("default")
    cut(ready.keys / "default" / "keyring.json")
    refused = ready.run("waba.flows.restore", encryption_keys_restore_from="replica-1")
    assert refused.status == 2
    assert "move its folder" in refused.failures
    shutil.move(ready.keys / "default", ready.folder / "moved-away")
    assert ready.run("waba.flows.restore", encryption_keys_restore_from="replica-1").status == 0
    assert ready.keyring("default") == {**document, "serial": document["serial"] + 1}
    assert (ready.run(**REPLICA).status, ready.box.posts) == (0, [])


@pytest.mark.slow
@pytest.mark.attack("kept", "the clock of the vault host is 40 days ahead of the control node's")
def test_a_vault_host_whose_clock_is_ahead_removes_nothing(ready: World) -> None:
    """The clock that the role hands over is set back instead, which is the same."""
    assert ready.run(encryption_keys_force=True).status == 0
    kept = pems(ready.keys)
    shift(ready, "default", 40)
    run = ready.run(__encryption_keys_clock="2026-01-01T00:00:00Z")
    assert run.status == 2
    assert "Set the clocks right" in run.failures
    assert pems(ready.keys) == kept
    assert ready.run().status == 0
    assert pems(ready.keys) < kept
