# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations in a row while requests fail: all converge, and memory, files and keyrings stay as large as they are.

C(make soak). SOAK_SEED repeats one, SOAK_ROTATIONS and SOAK_NUMBERS make it larger or smaller, SOAK_PLAYBOOK_RUNS is how many
rotations are made with ansible-playbook.
"""

from __future__ import annotations

import dataclasses
import datetime
import gc
import os
import random
import resource
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import World as PlaybookWorld
from tests.model.keys import pooled
from tests.model.machine import FAULTS
from tests.model.oracle import Oracle
from tests.model.world import Run, World
from tests.sandbox import Fault, Sandbox

ROTATIONS = int(os.environ.get("SOAK_ROTATIONS", "200"))
NUMBERS = int(os.environ.get("SOAK_NUMBERS", "500"))
PLAYBOOK_RUNS = int(os.environ.get("SOAK_PLAYBOOK_RUNS", "10"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(10**6))))
REAL_EVERY = 20  # of so many rotations, one goes over loopback, so that sockets are used as well
KEPT = 32  # generations: a key a day for the retention, the current one, and one that is as old as the retention
LATE = 20  # days that it may take until every number could be read in one run: before, nothing is removed
WORKERS = 8
Record = t.Callable[[str, object], None]
FOR_ONCE = tuple(fault for fault in FAULTS if "times" not in fault)
# Mostly what is tried again at once.
AT_READING: tuple[dict[str, t.Any], ...] = (
    *({"kind": "error", "status": 500, "code": 131000}, {"kind": "reset"}, {"kind": "truncated"}) * 6,
    {"kind": "html"}, {"kind": "empty"},
)


@dataclasses.dataclass
class Weather:
    """Faults in a part of all requests."""

    box: Sandbox
    chance: random.Random
    rate: float = 0.0
    fired: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self.box._api.faults.take = self.take  # type: ignore[method-assign]

    def take(self, names: tuple[str, ...], method: str) -> Fault | None:
        """Return a fault for some of the requests."""
        self.requests += 1
        if self.chance.random() >= self.rate:
            return None
        self.fired += 1
        kinds = FOR_ONCE if method == "POST" else AT_READING
        return Fault.from_json({**self.chance.choice(kinds), "method": method})


class Size(t.NamedTuple):
    """How much a process uses: memory in kB, and open files."""

    memory: int
    files: int


def size() -> Size:
    """Return what this process uses now, without what nothing refers to any more."""
    gc.collect()
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    memory = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))
    return Size(memory, len(os.listdir("/proc/self/fd")))


def tell(record_property: Record, **figures: object) -> None:
    """Show the figures of a test, and keep them with its result."""
    print({"SOAK_SEED": SEED, **figures}, flush=True)
    for name, value in figures.items():
        record_property(name, str(value))


def rotate(world: World, oracle: Oracle) -> int:
    """Make a rotation and repeat it until every number has the key; return how many runs it took."""
    for runs in range(1, 30):
        run: Run = world.run(
            encryption_keys_force=runs == 1, encryption_keys_max_failures=-1, encryption_keys_max_workers=WORKERS,
            encryption_keys_report_path=str(world.folder / "report.json"),
        )
        oracle.note_end(run)
        oracle.check()
        current = world.in_state("default", "current")
        if {world.held(name) for name in world.inventory} == {current} and world.in_state("default", "pending") is None:
            return runs
        assert run.state == "failed"
    raise AssertionError(f"After 30 runs: {run.message}")


@pytest.mark.attack("bounded", "200 rotations of 500 numbers in a row, with faults in 1 to 5 percent of the requests")
@pytest.mark.attack("resumed", "200 rotations of 500 numbers in a row, with faults in 1 to 5 percent of the requests")
def test_rotations_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record) -> None:
    print(f"SOAK_SEED={SEED}")
    chance, started = random.Random(SEED), time.monotonic()
    for index in range(ROTATIONS + 2):
        pooled(index)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "estate").mkdir()
    with World(tmp_path / "estate", cloud=NUMBERS, partner=0, kaleyra=0) as world:
        oracle, weather = Oracle(world), Weather(world.box, chance)
        sizes, runs = [], 0
        for rotation in range(ROTATIONS):
            world.now += datetime.timedelta(days=1)
            world.wire.real = rotation % REAL_EVERY == REAL_EVERY // 2  # not the last, whose sockets may still be closing
            weather.rate = chance.uniform(0.01, 0.05)
            runs += rotate(world, oracle)
            world.runs.clear()
            world.proofs.clear()
            oracle.posts.clear()
            world.box.forget_requests()
            assert world.in_state("default", "current") == world.generated[-1]
            assert len(world.ring("default")) <= KEPT + LATE
            sizes.append(size())
            if rotation % 20 == 0:
                print(f"{rotation} rotations, {runs} runs, {time.monotonic() - started:.0f} s, {sizes[-1]}", flush=True)
        weather.rate = 0.0
        last = world.run()
        assert last.state == "done", last.message
        oracle.note_end(last)
        oracle.assert_settled()
        assert len(world.ring("default")) <= KEPT
        assert len(world.generated) == ROTATIONS
        names = {path.name for path in world.folder.rglob("*") if path.is_file()}
    first, middle, end = sizes[len(sizes) // 5], sizes[len(sizes) // 2], sizes[-1]
    tell(record_property, tries=ROTATIONS, runs=runs, requests=weather.requests, faults=weather.fired,
         seconds=round(time.monotonic() - started), first=first, middle=middle, end=end)
    assert not {name for name in names if name.startswith((".tmp", ".unfinished", ".reload"))}
    assert len(names) < 3 * KEPT + 20
    assert not list((tmp_path / "tmp").iterdir())
    quarters = [min(one.memory for one in sizes[len(sizes) * part // 4:len(sizes) * (part + 1) // 4]) for part in range(4)]
    assert quarters[3] < quarters[1] * 1.1, quarters  # the least of each: what is free for a while is not given back at once
    assert end.files <= first.files + 2, sizes[::10]


@pytest.mark.attack("bounded", "rotations with ansible-playbook in a row, with faults in 2 percent of the requests")
def test_playbooks_in_a_row(ready: PlaybookWorld, record_property: Record) -> None:
    print(f"SOAK_SEED={SEED}")
    held, key_name = ready.fleet.held, ready.fleet.key_name
    options: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas", "encryption_keys_max_failures": -1,
                                 "encryption_keys_verify_timeout": 1}
    ready.add_endpoint("endpoint-1")
    replica = ready.add_replica("replica-1")
    weather, peaks, runs = Weather(ready.box, random.Random(SEED), rate=0.02), [], 0
    for dummy in range(PLAYBOOK_RUNS):
        for again in range(10):
            runs += 1
            run = ready.run(encryption_keys_force=again == 0, **options)
            if run.status == 0:
                break
        assert run.status == 0, run.output
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        for name in ("default", "partner"):
            current = ready.fingerprint(name, "current")
            assert {key for number, key in held().items() if number in ready.numbers and key_name(number) == name} == {current}
    tell(record_property, tries=PLAYBOOK_RUNS, runs=runs, requests=weather.requests, faults=weather.fired,
         first=peaks[0], end=peaks[-1])
    found = [path for path in ready.folder.rglob("*") if path.is_file()]
    assert not [path for path in found if path.name.startswith(".tmp") or "ansible-" in str(path.parent)]
    assert len(list(replica.rglob("*.pem"))) == len(list(ready.keys.rglob("*.pem"))) == 2 * (PLAYBOOK_RUNS + 1)
    assert peaks[-1] < peaks[0] * 1.1
