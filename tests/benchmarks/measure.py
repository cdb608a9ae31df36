# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure steps: each with a sandbox of its own, whose log has to show that the work was done."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import typing as t
import urllib.request
from pathlib import Path

from tests.fleet import Fleet, OldKey, start_sandbox

from .desk import Desk
from .plan import Step
from .prepare import lay, make_fleet
from .results import COLD, Cell, Cost, Run
from .ways import WAYS

_TICKS = os.sysconf("SC_CLK_TCK")


class BenchmarkError(Exception):
    """A way that failed, or that did not do its work; nothing that was measured of it counts. C(output) is what it printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


class Bench:
    """What all measurements share: the installed collection, the key to publish, and the fleets."""

    def __init__(self, collections: Path) -> None:
        self._collections = collections
        self._key = OldKey().public_pem
        self._fleets: dict[int, Fleet] = {}

    def measure(self, step: Step) -> list[Run]:
        """Return one run for each phase of the step's way."""
        if step.numbers not in self._fleets:
            self._fleets = {step.numbers: make_fleet(step.numbers)}
        fleet = self._fleets[step.numbers]
        with tempfile.TemporaryDirectory() as name, _sandbox(Path(name), fleet, step.latency) as (pid, base_url):
            desk = Desk(Path(name))
            lay(desk, fleet, base_url, self._key)
            return [self._run(step, phase, desk, pid, base_url) for phase in WAYS[step.way].phases]

    def _run(self, step: Step, phase: str, desk: Desk, pid: int, base_url: str) -> Run:
        command = WAYS[step.way].command(desk)
        _forget(base_url)
        before = _cpu_seconds(pid)
        told = _launch(command, desk.folder, desk.environment(self._collections, base_url))
        server_cpu = _cpu_seconds(pid) - before
        counts = _counts(base_url)
        expected = step.numbers if phase == COLD else 0
        if told["status"] != 0 or counts["posts"] != expected:
            raise BenchmarkError(
                f"{phase}: exit status {told['status']}, {counts['posts']} POSTs reached the API instead of {expected}",
                _tail(desk.folder / "output"))
        cost = Cost(told["wall"], told["cpu"], told["memory"], **counts, server_cpu=server_cpu)
        return Run(Cell(step.way, phase, step.numbers, step.latency), step.turn, cost)


@contextlib.contextmanager
def _sandbox(folder: Path, fleet: Fleet, latency: float) -> t.Iterator[tuple[int, str]]:
    process, base_url = start_sandbox(folder, fleet, "--latency", str(latency))
    try:
        yield process.pid, base_url
    finally:
        process.terminate()
        process.wait()


def _launch(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, t.Any]:
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(folder / "output")]
    run = subprocess.run([*launcher, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
    return t.cast("dict[str, t.Any]", json.loads(run.stdout))


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-4000:]


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, by fields 14 and 15 of its stat; the name in field 2 may hold blanks."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _forget(base_url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"{base_url}/_sandbox/requests", method="DELETE"), timeout=60):
        pass


def _counts(base_url: str) -> dict[str, t.Any]:
    """Return what reached the API since it was last told to forget."""
    with urllib.request.urlopen(f"{base_url}/_sandbox/counts", timeout=60) as answer:
        return t.cast("dict[str, t.Any]", json.load(answer))
