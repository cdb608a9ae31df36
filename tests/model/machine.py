# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that can happen to an estate, in any order, with the oracle looking after each step."""

from __future__ import annotations

import datetime
import shutil
import tempfile
import typing as t
from pathlib import Path

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from .keys import pooled, public_pem
from .oracle import KEY_NAMES, Oracle
from .world import Run, World

_FOREIGN = 900  # in the pool: the first of the keys that nobody here knows
_STEPS = st.integers(0, 90)
_NUMBERS = st.integers(0, 8)
_OPTIONS = st.fixed_dictionaries({}, optional={
    "encryption_keys_force": st.just(True), "encryption_keys_max_age": st.sampled_from(["1d", "20d"]),
    "encryption_keys_on_failure": st.sampled_from(["stop", "rollback"]),
    "encryption_keys_waves": st.sampled_from([["100%"], [1], [2, "50%"]]),
    "encryption_keys_max_failures": st.sampled_from([1, -1]), "encryption_keys_replace_foreign": st.just(True),
})
FAULTS: tuple[dict[str, t.Any], ...] = (
    {"kind": "error", "status": 500, "code": 131000},
    {"kind": "error", "status": 500, "code": 131000, "times": -1},
    {"kind": "error", "status": 400, "code": 133010, "times": -1},
    {"kind": "applied_then_error"},
    {"kind": "applied_then_error", "times": -1},
    {"kind": "applied_then_reset"},
    {"kind": "reset", "times": -1},
    {"kind": "reset"},
    {"kind": "mismatch"},
    {"kind": "ignored_post"},
    {"kind": "stale_reads", "reads": 3},
    {"kind": "truncated"},
    {"kind": "html"},
    {"kind": "empty"},
)


class Estate(RuleBasedStateMachine):
    """Up to two runs at a time, which go on step by step between everything else."""

    counted: t.ClassVar[dict[str, int]] = {"steps": 0, "runs": 0, "posts": 0, "crashes": 0}

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self._folder.name))
        self.world.__enter__()
        self.oracle = Oracle(self.world)
        self.oracle.meddled.update(name for name in self.world.numbers if not self.world.can_be_read(name))
        first = self.world.run(encryption_keys_replace_foreign=True)
        assert first.state == "done", first.message
        self.oracle.meddled.clear()
        self.oracle.note_end(first)
        self.under_way: list[Run] = []
        self.backup: Path | None = None
        self._foreign = _FOREIGN

    def teardown(self) -> None:
        self.counted["runs"] += len(self.world.runs)
        self.counted["posts"] += len(self.oracle.posts)
        self.counted["crashes"] += sum(run.state == "crashed" for run in self.world.runs)
        self.world.__exit__()
        self._folder.cleanup()

    @invariant()
    def all_holds(self) -> None:
        self.counted["steps"] += 1
        self.oracle.check()

    # -- runs

    def _go(self, run: Run, steps: int | None = None) -> None:
        """Take a run further; what it told is checked at its end."""
        self.world.advance(run, steps)
        if run.state == "running":
            return
        if run in self.under_way:
            self.under_way.remove(run)
        note(f"run {run.number} {run.entry}: {run.state} {run.message}")
        if run.state in ("done", "failed"):
            self.oracle.note_end(run)

    def _start(self, entry: str, **options: t.Any) -> Run:
        run = self.world.start(entry, **options)
        self.under_way.append(run)
        return run

    @precondition(lambda self: len(self.under_way) < 2)
    @rule(steps=_STEPS, options=_OPTIONS)
    def rotate(self, steps: int, options: dict[str, t.Any]) -> None:
        """Start a rotation, and take it some steps; 90 are most of the time the whole of it."""
        self._go(self._start("main", **options), steps)

    @precondition(lambda self: len(self.under_way) < 2)
    @rule(options=_OPTIONS, calls=st.integers(0, 400), after=st.booleans(), again=st.integers(0, 3))
    def rotate_and_die(self, options: dict[str, t.Any], calls: int, after: bool, again: int) -> None:
        """The same command again and again, which dies at a system call or a request of its each time, each time later."""
        for index in range(again + 1):
            self.world.doom.set(calls + 40 * index, after)
            self._go(self._start("main", **options))
            self.oracle.check()

    @precondition(lambda self: len(self.under_way) < 2)
    @rule(force=st.booleans(), first=_NUMBERS, count=st.integers(1, 3))
    def rotate_limited(self, force: bool, first: int, count: int) -> None:
        names = (self.world.inventory * 2)[first:first + count]
        self._go(self._start("main", limit=",".join(["vault", *names]), encryption_keys_force=force))

    @precondition(lambda self: len(self.under_way) < 2)
    @rule(steps=_STEPS, key_name=st.sampled_from(KEY_NAMES), index=st.integers(0, 3))
    def rollback(self, steps: int, key_name: str, index: int) -> None:
        retired = [row["fingerprint"] for row in self.world.ring(key_name) if row["state"] == "retired"]
        if retired:
            self._go(self._start("rollback", encryption_keys_rollback_to=retired[index % len(retired)]), steps)

    @precondition(lambda self: len(self.under_way) < 2)
    @rule(steps=_STEPS, key_name=st.sampled_from(KEY_NAMES), index=st.integers(0, 5),
          failure=st.sampled_from(["stop", "rollback"]))
    def revoke(self, steps: int, key_name: str, index: int, failure: str) -> None:
        known = [row["fingerprint"] for row in self.world.ring(key_name)]
        if known:
            leaked = known[-1 - index % len(known)]
            self.oracle.revoked.add(leaked)
            self._go(self._start("main", encryption_keys_revoke=leaked, encryption_keys_on_failure=failure), steps)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1), steps=st.integers(1, 90))
    def advance(self, which: int, steps: int) -> None:
        self._go(self.under_way[which % len(self.under_way)], steps)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1))
    def kill_between_steps(self, which: int) -> None:
        run = self.under_way.pop(which % len(self.under_way))
        self.world.kill(run)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1), calls=st.integers(0, 120), after=st.booleans())
    def kill_within_a_step(self, which: int, calls: int, after: bool) -> None:
        """Let it go on until it dies at a system call or a request, or has ended before."""
        self.world.doom.set(calls, after)
        self._go(self.under_way[which % len(self.under_way)])

    # -- the world around

    @rule(index=_NUMBERS, fault=st.sampled_from(FAULTS))
    def fault(self, index: int, fault: dict[str, t.Any]) -> None:
        name = self._name(index)
        if fault["kind"] == "ignored_post" and not self.world.can_be_read(name):
            return  # "success" is all that such a provider ever tells: that it is a lie, nobody can see
        self.world.box.fault(self.world.identity(name), **{"method": "POST", **fault})

    @rule(index=_NUMBERS)
    def number_cannot_be_read(self, index: int) -> None:
        self.world.box.fault(self.world.identity(self._name(index)), "error", status=403, code=10, method="GET", times=-1)

    @rule()
    def faults_end(self) -> None:
        self.world.box.clear()

    @rule(index=_NUMBERS)
    def somebody_sets_another_key(self, index: int) -> None:
        """A key that nobody here knows, or at a provider that cannot be asked none of which we could learn."""
        name, self._foreign = self._name(index), self._foreign + 1
        number = self.world.box.state.numbers[self.world.identity(name)]
        number.business_public_key, number.signature_status = public_pem(pooled(_FOREIGN + self._foreign % 3)), "VALID"
        self.oracle.meddled.add(name)

    @rule(index=_NUMBERS)
    def number_is_registered_again(self, index: int) -> None:
        self.world.box.state.numbers[self.world.identity(self._name(index))].signature_status = "MISMATCH"

    @rule(index=_NUMBERS)
    def number_leaves_or_joins(self, index: int) -> None:
        name = list(self.world.numbers)[index]
        inventory = self.world.inventory
        if name in inventory and len(inventory) > 3:
            inventory.remove(name)
        elif name not in inventory:
            inventory.append(name)
            self.oracle.meddled.add(name)  # its key may be older than the retention

    @rule(name=st.sampled_from(["endpoint-1", "endpoint-2"]), what=st.sampled_from(["stuck", "down", "full", "restart"]))
    def endpoint(self, name: str, what: str) -> None:
        program = self.world.endpoints.programs[name]
        if what == "restart":
            program.restart()
            self.world.full_disks.discard(name)
        elif what == "full":
            self.world.full_disks.add(name)
        else:
            program.keys()
            setattr(program, what, True)

    @rule(host=st.sampled_from(["replica-1", "endpoint-1", "vault"]), reached=st.booleans())
    def host_out_of_reach(self, host: str, reached: bool) -> None:
        (self.world.unreachable.discard if reached else self.world.unreachable.add)(host)

    @rule(days=st.sampled_from([0.5, 2, 8, 31, 45]))
    def time_passes(self, days: float) -> None:
        self.world.now += datetime.timedelta(days=0.01 if self.under_way else days)

    # -- old copies

    @precondition(lambda self: not self.under_way and not self.oracle.vault_is_old)
    @rule()
    def back_up_the_vault_host(self) -> None:
        self.backup = self.backup or Path(self._folder.name).with_suffix(".backup")
        shutil.rmtree(self.backup, ignore_errors=True)
        shutil.copytree(self.world.keys, self.backup)

    @precondition(lambda self: self.backup and not self.under_way)
    @rule()
    def vault_host_is_put_back(self) -> None:
        shutil.rmtree(self.world.keys)
        shutil.copytree(t.cast(Path, self.backup), self.world.keys)
        self.oracle.vault_was_put_back()

    @precondition(lambda self: not self.under_way and not self.oracle.vault_is_old and "replica-1" not in self.world.unreachable)
    @rule()
    def vault_host_is_lost(self) -> None:
        """Nothing is left of it, and it is rebuilt of what the replica has, right after whatever a run had come to."""
        shutil.rmtree(self.world.keys)
        self.world.unreachable.discard("vault")
        self.oracle.vault_was_put_back()
        restored = self.world.run("restore", encryption_keys_restore_from="replica-1")
        assert restored.state == "done", restored.message
        self.oracle.vault_is_old = False

    # -- check mode, and the end

    @precondition(lambda self: not self.under_way)
    @rule(kind=st.sampled_from(["main", "revoke", "rollback"]), index=st.integers(0, 3), key_name=st.sampled_from(KEY_NAMES),
          limit=st.integers(0, 3), options=_OPTIONS)
    def check_mode_predicts(self, kind: str, index: int, key_name: str, limit: int, options: dict[str, t.Any]) -> None:
        """Check mode changes nothing, and where nothing is ill, tells what the run then does."""
        rows = [row["fingerprint"] for row in self.world.ring(key_name) if row["state"] == "retired" or kind == "revoke"]
        given: dict[str, t.Any] = {name: value for name, value in options.items() if kind == "main" or name.endswith("waves")}
        if kind != "main" and not rows:
            return
        if kind == "revoke":
            given["encryption_keys_revoke"] = rows[index % len(rows)]
            self.oracle.revoked.add(rows[index % len(rows)])
        elif kind == "rollback":
            given["encryption_keys_rollback_to"] = rows[index % len(rows)]
        elif limit:
            given["limit"] = ",".join(["vault", *self.world.inventory[:limit]])
        self._predict("rollback" if kind == "rollback" else "main", **given)

    def _predict(self, entry: str, **options: t.Any) -> None:
        before, posts = self.oracle.files(), len(self.world.box.posts)
        faulty = any(self.world.box._api.faults._queues.values())
        ill = [one for one in self.world.endpoints.programs.values() if one.stuck or one.down]
        predicted = self.world.run(entry, check_mode=True, **options)
        assert (self.oracle.files(), len(self.world.box.posts)) == (before, posts), "check mode changed something"
        run = self.world.run(entry, **options)
        self.oracle.note_end(run)
        if not (faulty or ill or self.world.full_disks):
            assert run.outcomes == predicted.outcomes, (predicted.message, run.message)
            assert promoted_by(run) == promoted_by(predicted), (predicted.message, run.message)

    @rule()
    def settle(self) -> None:
        """All goes well from here on: the estate converges, and then nothing changes any more."""
        world = self.world
        for run in list(self.under_way):
            self._go(run)
        world.box.clear()
        world.unreachable.clear()
        world.full_disks.clear()
        for program in world.endpoints.programs.values():
            program.restart()
        if self.oracle.vault_is_old:
            restored = world.run("restore", encryption_keys_restore_from="replica-1")
            note(f"restore: {restored.state} {restored.message}")
            if restored.state == "failed":
                shutil.rmtree(world.keys)
                assert world.run("restore", encryption_keys_restore_from="replica-1").state == "done"
        last = world.run()
        note(f"settling: {last.state} {last.message}")
        self.oracle.note_end(last)
        foreign = {name for name in self.oracle.meddled if last.outcomes.get(name, ("",))[0] == "refused"}
        if last.state == "failed":
            assert foreign, last.message
            for name in foreign:
                assert name in self.oracle.meddled
            last = world.run(encryption_keys_replace_foreign=True)
            self.oracle.note_end(last)
        assert last.state == "done", last.message
        self.oracle.meddled = {name for name in self.oracle.meddled if not world.can_be_read(name) or name not in world.inventory}
        self.oracle.vault_is_old = False
        self.oracle.assert_settled()
        before, posts = self.oracle.files(), len(world.box.posts)
        quiet = world.run()
        assert quiet.state == "done", quiet.message
        assert (self.oracle.files(), len(world.box.posts)) == (before, posts), "a run on a settled estate changed something"

    def _name(self, index: int) -> str:
        return self.world.inventory[index % len(self.world.inventory)]


def promoted_by(run: Run) -> dict[str, bool]:
    """Return of each key whether a run promoted it, or would."""
    return {key["name"]: key["promoted"] for key in run.report.get("keys", [])}
