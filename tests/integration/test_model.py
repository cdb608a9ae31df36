# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can happen to an estate, in any order, step by step; and what that found, as plain tests.

MODEL_EXAMPLES is the number of stories of the long test, of 40 steps at most, and MODEL_SEED makes them others.
"""

from __future__ import annotations

import datetime
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Estate
from tests.model.oracle import Oracle
from tests.model.world import Run, World

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "70"))
SEED = int(os.environ.get("MODEL_SEED", "1"))
Record = t.Callable[[str, object], None]


def tell_stories(record_property: Record, examples: int, steps: int, number: int) -> None:
    """Have things happen, and tell how many did. With the same number the same happens."""
    Estate.counted.update(dict.fromkeys(Estate.counted, 0))
    try:
        run_state_machine_as_test(seed(number)(Estate), settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ))
    finally:
        for name, value in {"tries": Estate.counted["steps"], **Estate.counted}.items():
            record_property(name, value)
        print(Estate.counted)


@pytest.mark.attack("durable", "rotations, rollbacks and revocations of two operators, crashes, faults, lost hosts: in any order")
@pytest.mark.attack("proven", "rotations, rollbacks and revocations of two operators, crashes, faults, lost hosts: in any order")
@pytest.mark.attack("resumed", "rotations, rollbacks and revocations of two operators, crashes, faults, lost hosts: in any order")
@pytest.mark.attack("kept", "rotations, rollbacks and revocations of two operators, crashes, faults, lost hosts: in any order")
@pytest.mark.attack("foreign", "somebody else sets keys of numbers, between any two steps of runs")
@pytest.mark.attack("predicted", "check mode before a run, from any state that crashes, faults and other runs left")
@pytest.mark.attack("accounted", "the report of each run compared with what the API knows, whatever failed on the way")
class TestStories:
    """The same stories each time, so that what a change breaks is the change's; the night looks for new ones."""

    def test_some(self, record_property: Record) -> None:
        tell_stories(record_property, 8, 20, 1)

    @pytest.mark.slow
    def test_many(self, record_property: Record) -> None:
        tell_stories(record_property, EXAMPLES, 40, SEED)


@pytest.fixture
def world(tmp_path: Path) -> t.Iterator[World]:
    """A world with one keyring, whose numbers can all be read and hold its key."""
    with World(tmp_path, partner=0, kaleyra=0) as world:
        assert world.run().state == "done"
        yield world


@pytest.fixture
def world_of_two(tmp_path: Path) -> t.Iterator[World]:
    """A world with two keyrings, whose numbers hold their keys."""
    with World(tmp_path / "estate") as world:
        assert world.run(encryption_keys_replace_foreign=True).state == "done"
        yield world


@pytest.fixture
def oracle(world: World) -> Oracle:
    return Oracle(world)


def take_to(world: World, run: Run, task: str, nth: int = 1) -> None:
    """Take a run to the n-th task of a name, which it has not begun then."""
    while sum(name == task for name in run.play.done) < nth:
        world.advance(run, 1)
        assert run.state == "running", run.message


@pytest.mark.attack("durable", "a key that is being rolled out is revoked or given up by another run, between waves")
@pytest.mark.parametrize("wave", [1, 2])
def test_a_key_that_another_run_revoked_is_not_sent(world: World, oracle: Oracle, wave: int) -> None:
    """Its private half was destroyed since the endpoints proved it, so nobody could decrypt what phones send under it."""
    slow = world.start(encryption_keys_force=True, encryption_keys_waves=[1, "100%"])
    take_to(world, slow, "Note the wave" if wave == 2 else "Divide the numbers into waves")
    leaked = world.in_state("default", "pending")
    assert leaked
    oracle.revoked.add(leaked)
    assert world.run(encryption_keys_revoke=leaked).state == "done"
    current = world.in_state("default", "current")
    assert [row["state"] for row in world.ring("default") if row["fingerprint"] == leaked] == ["revoked"]
    sent = len(world.box.posts)
    world.advance(slow)
    assert len(world.box.posts) == sent
    assert {world.held(name) for name in world.inventory} == {current}
    assert (slow.state, "another run went on meanwhile" in slow.message) == ("failed", True)
    oracle.check()


@pytest.mark.attack("durable", "a key that is being rolled out is revoked or given up by another run, between waves")
def test_a_key_that_another_run_gave_up_is_sent_no_further(world: World, oracle: Oracle) -> None:
    before = world.in_state("default", "current")
    slow = world.start(encryption_keys_force=True, encryption_keys_waves=[1, "100%"])
    take_to(world, slow, "Note the wave")
    assert world.run("rollback", encryption_keys_rollback_to=before).state == "done"
    world.advance(slow)
    assert {world.held(name) for name in world.inventory} == {before}
    assert "another run went on meanwhile" in slow.message
    oracle.check()


@pytest.mark.attack("durable", "a key that is being rolled out is revoked or given up by another run, between waves")
def test_a_run_that_was_overtaken_undoes_nothing_of_the_other(world: World, oracle: Oracle) -> None:
    """Its key was revoked, and what is pending is the other run's, which is still at work."""
    slow = world.start(encryption_keys_force=True, encryption_keys_waves=[1, "100%"], encryption_keys_on_failure="rollback")
    take_to(world, slow, "Note the wave")
    leaked = world.in_state("default", "pending")
    assert leaked
    other = world.start(encryption_keys_revoke=leaked, encryption_keys_force=True, encryption_keys_waves=[1, "100%"])
    take_to(world, other, "Divide the numbers into waves")
    pending = world.in_state("default", "pending")
    assert pending not in (None, leaked)
    sent = len(world.box.posts)
    world.advance(slow)
    assert "another run went on meanwhile" in slow.message
    assert (len(world.box.posts), world.in_state("default", "pending")) == (sent, pending)
    oracle.revoked.add(leaked)
    world.advance(other)
    assert other.state == "done", other.message
    assert {world.held(name) for name in world.inventory} == {pending}
    oracle.check()


def blind(world: World) -> None:
    """Leave the numbers alone in the inventory whose provider cannot be asked."""
    world.inventory[:] = [name for name in world.inventory if not world.can_be_read(name)]


def rolled_back(world: World) -> None:
    """The key that the backup has as retired is held again."""
    assert world.run("rollback", encryption_keys_rollback_to=world.in_state("default", "retired")).state == "done"


def rolled_back_for_a_while(world: World) -> None:
    rolled_back(world)
    world.now += datetime.timedelta(days=2)
    rolled_back(world)


def moved(world: World) -> None:
    """A number gets the other key, so that the record of one keyring is of no use any more, and that of the other is new."""
    world.numbers["k-2"]["whatsapp_key_name"] = "partner"
    assert world.run(encryption_keys_replace_foreign=True).state == "done"


@pytest.mark.attack("durable", "a vault host put back from an old backup: rollbacks, retentions and records since then")
@pytest.mark.parametrize("happened", [[rolled_back], [rolled_back_for_a_while], [moved], [blind, rolled_back], [blind, moved]])
@pytest.mark.parametrize("options", [{}, {"encryption_keys_force": True}, {"encryption_keys_revoke": "what they hold"}])
def test_an_old_vault_host_takes_no_key_from_a_number(
    world_of_two: World, happened: list[t.Callable[[World], None]], options: dict[str, t.Any], tmp_path: Path,
) -> None:
    """It is refused before anything is made; the remedy that is named works, and then all goes on as the copy has it."""
    world = world_of_two
    assert world.run(encryption_keys_force=True).state == "done"
    shutil.copytree(world.keys, tmp_path / "backup")
    world.now += datetime.timedelta(days=25)
    for happen in happened:
        happen(world)
    world.now += datetime.timedelta(days=6)
    shutil.rmtree(world.keys)
    shutil.copytree(tmp_path / "backup", world.keys)
    own = [name for name in world.inventory if world.key_name(name) == "default" or name == "k-2"]  # the other key may go on
    held = {name: world.held(name) for name in own}
    oracle = Oracle(world)
    places = [world.keys, *world.replicas.values(), *(program.folder for program in world.endpoints.programs.values())]
    before = [{path: path.read_bytes() for path in place.glob("default/*.pem")} for place in places]
    if options.get("encryption_keys_revoke"):
        options = {"encryption_keys_revoke": world.held("k-2")}
    refused = world.run(**options)
    assert (refused.state, {name: world.held(name) for name in own}) == ("failed", held)
    assert "waba.flows.restore -e encryption_keys_restore_from=replica-1" in refused.message
    assert [{path: path.read_bytes() for path in place.glob("default/*.pem")} for place in places] == before
    assert world.run("restore", encryption_keys_restore_from="replica-1").state == "done"
    assert world.run().state == "done"
    assert {name: world.held(name) for name in own} == held
    oracle.check()


@pytest.mark.attack("durable", "a vault host lost in the middle of a wave, and restored from a replica with records of before")
def test_after_restoring_no_record_is_certain(world: World, oracle: Oracle) -> None:
    """By them the number holds the key before, so that the one it holds could be revoked without sending it another."""
    run = world.start(encryption_keys_force=True, encryption_keys_waves=["100%"])
    take_to(world, run, "Note the wave")
    world.kill(run)
    leaked = world.held("c-1")
    assert leaked
    shutil.rmtree(world.keys)
    oracle.vault_was_put_back()
    oracle.revoked.add(leaked)
    assert world.run("restore", encryption_keys_restore_from="replica-1").state == "done"
    assert world.run(encryption_keys_revoke=leaked).state == "done"
    assert {world.held(name) for name in world.inventory} == {world.in_state("default", "current")} != {leaked}


def test_a_throttled_number_neither_stops_a_key_nor_sends_numbers_back(world: World, oracle: Oracle) -> None:
    before = world.held("c-1")
    world.box.fault(world.identity("c-1"), "throttle", method="POST", times=-1, retry_after=4000)
    run = world.run(encryption_keys_force=True, encryption_keys_waves=[1, "100%"], encryption_keys_on_failure="rollback")
    pending = world.in_state("default", "pending")
    assert pending
    assert {name: world.held(name) for name in world.inventory} == {**dict.fromkeys(world.inventory, pending), "c-1": before}
    assert (run.state, "c-1" in run.message) == ("failed", True)
    world.box.clear()
    assert world.run().state == "done"
    assert {world.held(name) for name in world.inventory} == {pending}
    oracle.check()


@pytest.mark.attack("resumed", "the vault host is out of reach between two waves")
def test_a_hiccup_of_the_vault_host_sends_no_number_back(world: World, oracle: Oracle) -> None:
    run = world.start(encryption_keys_force=True, encryption_keys_waves=[1, "100%"], encryption_keys_on_failure="rollback")
    take_to(world, run, "Note the wave")
    pending = world.in_state("default", "pending")
    world.unreachable.add("vault")
    take_to(world, run, "Note which are not", 2)
    world.unreachable.clear()
    world.advance(run)
    assert "its keyring could not be read again before a wave" in run.message
    assert world.in_state("default", "pending") == pending
    assert [world.held(name) for name in world.inventory].count(pending) == 1
    assert world.run().state == "done"
    assert {world.held(name) for name in world.inventory} == {pending}
    oracle.check()


@pytest.mark.attack("resumed", "the vault host is out of reach between two waves")
def test_nothing_is_sent_while_the_vault_host_is_out_of_reach(world: World, oracle: Oracle) -> None:
    run = world.start(encryption_keys_force=True, encryption_keys_waves=[1, "100%"])
    take_to(world, run, "Note the wave")
    world.unreachable.add("vault")
    world.advance(run)
    assert "its keyring could not be read again before a wave" in run.message
    world.unreachable.clear()
    pending = world.in_state("default", "pending")
    assert [world.held(name) for name in world.inventory].count(pending) == 1
    assert world.run().state == "done"
    assert {world.held(name) for name in world.inventory} == {pending}
    oracle.check()
