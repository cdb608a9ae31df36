# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's scripts do the work that they are measured for; a way that does not is an error. Nothing is judged by time."""

from __future__ import annotations

import dataclasses
import shutil
import typing as t
from pathlib import Path

import pytest

from tests.benchmarks.desk import Desk
from tests.benchmarks.measure import Bench, BenchmarkError
from tests.benchmarks.plan import Step
from tests.benchmarks.results import COLD, CONVERGED
from tests.benchmarks.ways import WAYS


@pytest.mark.parametrize("way", ["bare", "threads", "curl"])
def test_cold_runs_publish_and_converged_runs_read(way: str, tmp_path: Path) -> None:
    if way == "curl" and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    cold, converged = Bench(tmp_path).measure(Step(way, 3, 0.0, 0))
    assert (cold.cell.phase, cold.cost.requests, cold.cost.posts) == (COLD, 9, 3)
    assert (converged.cell.phase, converged.cost.requests, converged.cost.posts) == (CONVERGED, 3, 0)
    # Each process of curl has its own; threads may find one that another has left.
    assert cold.cost.connections == 9 if way == "curl" else 1 <= cold.cost.connections <= 3
    assert min(cold.cost.wall, cold.cost.cpu, cold.cost.memory) > 0


@pytest.mark.parametrize(("command", "message"), [
    (lambda desk: ["true"], "cold: exit status 0, 0 POSTs reached the API instead of 3"),
    (lambda desk: ["sh", "-c", "echo broken; exit 7"], "cold: exit status 7, 0 POSTs"),
])
def test_what_did_not_do_its_work_does_not_count(
    command: t.Callable[[Desk], list[str]], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WAYS, "bare", dataclasses.replace(WAYS["bare"], command=command))
    with pytest.raises(BenchmarkError, match=message) as raised:
        Bench(tmp_path).measure(Step("bare", 3, 0.0, 0))
    assert raised.value.output == ("broken\n" if "7" in message.split(",", maxsplit=1)[0] else "")
