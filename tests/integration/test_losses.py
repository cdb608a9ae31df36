# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a key that numbers hold could get lost, or a leaked one come back: none of them does."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from .conftest import World, shift
from .test_rollout import assert_report_is_true, states

REPLICA: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas"}

pytestmark = pytest.mark.slow


def own(world: World, name: str = "default") -> list[str]:
    return [number for number in world.numbers if world.fleet.key_name(number) == name]


def pems(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.pem")}


@pytest.mark.parametrize("with_replica", [False, True])
@pytest.mark.attack("kept", "a vault host that is put back from an old backup")
def test_a_vault_host_put_back_from_an_old_backup_destroys_nothing(ready: World, with_replica: bool) -> None:
    """Numbers hold a pending key that the backup does not know: neither the endpoint nor the replica may lose it."""
    endpoint = ready.add_endpoint("endpoint-1")
    options = REPLICA if with_replica else {}
    replica = ready.add_replica("replica-1") if with_replica else endpoint.keys
    shutil.copytree(ready.keys, ready.folder / "backup")
    ready.box.fault(ready.fleet.numbers["number-04"], "error", status=400, code=133010, method="POST", times=-1)
    assert ready.run(encryption_keys_force=True, encryption_keys_waves=["2", "100%"], **options).status == 2
    kept = {folder: pems(folder) for folder in (endpoint.keys, replica)}
    ready.box.clear()
    shutil.rmtree(ready.keys)
    shutil.copytree(ready.folder / "backup", ready.keys)
    run = ready.run(encryption_keys_force=True, **options)
    assert run.status == 2
    assert "waba.flows.restore" in run.failures
    assert {folder: pems(folder) for folder in kept} == kept
    if with_replica:
        assert ready.run("waba.flows.restore", encryption_keys_restore_from="replica-1").status == 0
        assert ready.run(**options).status == 0
        assert {ready.fleet.held()[name] for name in own(ready)} == {ready.fingerprint("default", "current")}


@pytest.mark.attack("kept", "restoring from a replica that knows less")
def test_restoring_does_not_destroy_what_only_the_vault_host_has(ready: World) -> None:
    replica = ready.add_replica("replica-1")
    assert ready.run(**REPLICA).status == 0
    assert ready.run(encryption_keys_force=True).status == 0  # without the replica, which is behind from now on
    kept = pems(ready.keys)
    run = ready.run("waba.flows.restore", encryption_keys_restore_from="replica-1")
    assert run.status == 2
    assert str(ready.fingerprint("default", "current")) in run.failures
    assert pems(ready.keys) == kept != pems(replica)


def test_a_leaked_key_does_not_come_back_when_a_wave_fails(ready: World) -> None:
    leaked = ready.fleet.old_keys["default"].fingerprint
    ready.box.fault(ready.fleet.numbers["number-03"], "error", status=400, code=133010, method="POST", times=-1)
    run = ready.run(encryption_keys_revoke=leaked, encryption_keys_on_failure="rollback")
    assert run.status == 2
    new = ready.fingerprint("default", "pending")
    assert ready.fleet.held()["number-01"] == new
    assert "a key that leaked is being revoked" in run.failures
    assert_report_is_true(ready)
    ready.box.clear()
    done = ready.run(encryption_keys_revoke=leaked, encryption_keys_on_failure="rollback")
    assert (done.status, ready.fingerprint("default", "current"), states(ready)) == (0, new, ["revoked", "current"])


def test_a_leaked_key_that_two_keyrings_have_is_revoked_in_both(ready: World) -> None:
    """As after a day 1 on which one key was imported under two names."""
    shutil.rmtree(ready.keys / "partner")
    shutil.copytree(ready.keys / "default", ready.keys / "partner")
    state = ready.fleet.state
    for name in own(ready, "partner"):
        state.numbers[ready.fleet.numbers[name]].business_public_key = ready.fleet.old_keys["default"].public_pem
    leaked = ready.fleet.old_keys["default"].fingerprint
    twice = ready.run("waba.flows.rollback", encryption_keys_rollback_to=leaked)
    assert "in the keyrings default, partner" in twice.output
    run = ready.run(encryption_keys_revoke=leaked)
    assert run.status == 0, run.output
    assert (states(ready), states(ready, "partner")) == (["revoked", "current"], ["revoked", "current"])
    assert leaked not in ready.fleet.held().values()


@pytest.mark.attack("accounted", "going back while the API does not show yet what it took")
def test_going_back_from_what_the_api_does_not_show_yet(ready: World) -> None:
    """GET still shows the old key after a POST that was taken: the old key is sent all the same, or the new one would stay."""
    old = ready.fleet.old_keys["default"].fingerprint
    ready.box.fault(ready.fleet.numbers["number-01"], "stale_reads", reads=12)
    run = ready.run(encryption_keys_force=True, encryption_keys_on_failure="rollback", encryption_keys_verify_timeout=1)
    assert run.status == 2
    assert ready.fleet.held()["number-01"] == old
    assert_report_is_true(ready)


def test_a_retired_key_that_is_missing_on_the_vault_host_does_not_stop_the_next_rotation(ready: World) -> None:
    """Replica and endpoint have it; they keep it."""
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    assert ready.run(encryption_keys_force=True, **REPLICA).status == 0
    lost = next((ready.keys / "default").glob("*-imported.pem"))
    lost.unlink()
    run = ready.run(encryption_keys_force=True, **REPLICA)
    assert run.status == 0, run.output
    assert states(ready) == ["retired", "retired", "current"]
    assert all((folder / "default" / lost.name).exists() for folder in (endpoint.keys, replica))


def test_what_concerns_all_numbers_is_not_limited(ready: World) -> None:
    old = ready.fleet.old_keys["default"].fingerprint
    limit = ("--limit", "vault,number-01")
    assert "without --limit" in ready.run("waba.flows.rollback", *limit, encryption_keys_rollback_to=old).failures
    changed = ready.run("waba.flows.rotate", *limit, encryption_keys_new_passphrase="another-passphrase-0123")
    assert "without --limit" in changed.failures


def test_an_endpoint_that_is_the_vault_host_with_the_same_folder(ready: World) -> None:
    """The endpoint's copies would be written over the keyring's own."""
    ready.add_endpoint("endpoint-1", whatsapp_endpoint_keys_path=str(ready.keys))
    run = ready.run(encryption_keys_force=True)
    assert run.status == 2
    assert "is a keyring" in run.failures
    assert ready.box.posts == []
    del ready.inventory["all"]["children"]["whatsapp_endpoints"]
    assert ready.run().status == 0  # every key still opens


@pytest.mark.parametrize("option", ["encryption_keys_deploy_tasks", "encryption_keys_reload_tasks"])
def test_a_hook_that_cannot_be_loaded(ready: World, option: str) -> None:
    """It is told as any failure is, with the table."""
    ready.add_endpoint("endpoint-1")
    run = ready.run(encryption_keys_force=True, **{option: "/nonexistent.yml"})
    assert run.status == 2
    assert option in run.failures
    assert (set(run.outcomes.values()), ready.box.posts) == ({"skipped"}, [])


@pytest.mark.parametrize(("option", "value"), [
    ("encryption_keys_max_age", "0"), ("encryption_keys_max_age", "90"), ("encryption_keys_retention", "30"),
    ("encryption_keys_path", "keys"), ("encryption_keys_path", ""),
])
def test_values_that_could_be_meant_otherwise(ready: World, option: str, value: str) -> None:
    run = ready.run(**{option: value})
    assert run.status == 2
    assert f"{option} ('{value}')" in run.failures
    assert (ready.box.posts, states(ready)) == ([], ["current"])


def test_old_retired_keys_still_go_after_their_time(ready: World) -> None:
    """On the vault host first, then, because it remembers, on replica and endpoint, also where a run was killed in between."""
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    assert ready.run(encryption_keys_force=True, **REPLICA).status == 0
    shift(ready, "default", 40)
    old = ready.fleet.old_keys["default"].fingerprint
    done = ready.play([{"waba.flows.whatsapp_flows_keyring": {
        "path": str(ready.keys), "state": "pruned", "in_use_fingerprints": [ready.fingerprint("default", "current")],
    }}])
    assert done.status == 0
    assert ready.keyring("default")["pruned"] == [old]
    assert ready.run(**REPLICA).status == 0
    assert not list((replica / "default").glob("*-imported.pem")) + list((endpoint.keys / "default").glob("*-imported.pem"))
