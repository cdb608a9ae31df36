# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured: single runs, their medians, and the file that keeps them."""

from __future__ import annotations

import dataclasses
import json
import statistics
import typing as t
from pathlib import Path

COLD = "cold"
CONVERGED = "converged"
NOTHING = "nothing"


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is measured several times: a way, its phase, how many numbers there are, and the seconds before each answer."""

    way: str
    phase: str
    numbers: int
    latency: float


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one run cost: seconds, CPU seconds, MiB of the largest process, what reached the API, the API's own CPU seconds."""

    wall: float
    cpu: float
    memory: float
    requests: float
    posts: float
    connections: float
    server_cpu: float


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a cell."""

    cell: Cell
    turn: int
    cost: Cost


@dataclasses.dataclass(frozen=True)
class Summary:
    """The medians of a cell's runs, and the fastest and the slowest of them."""

    cost: Cost
    fastest: float
    slowest: float
    rounds: int


@dataclasses.dataclass
class Results:
    """All runs of one go, with the machine, what was left out for want of time and what failed, each with its reason."""

    machine: dict[str, str]
    runs: list[Run] = dataclasses.field(default_factory=list)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    def summary(self, way: str, phase: str, numbers: int, latency: float) -> Summary | None:
        """Return the medians of a cell, or None where it was not measured."""
        cell = Cell(way, phase, numbers, latency)
        costs = [run.cost for run in self.runs if run.cell == cell]
        if not costs:
            return None
        walls = [cost.wall for cost in costs]
        return Summary(_median_cost(costs), min(walls), max(walls), len(costs))

    def cells(self) -> list[Cell]:
        """Return what was measured, each once, in the order of the first round."""
        return list(dict.fromkeys(run.cell for run in self.runs))

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what save() wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    runs = [Run(Cell(**run["cell"]), run["turn"], Cost(**run["cost"])) for run in data["runs"]]
    return Results(data["machine"], runs, data["left_out"], data["failed"])


def _median_cost(costs: t.Sequence[Cost]) -> Cost:
    return Cost(**{
        field.name: statistics.median(getattr(cost, field.name) for cost in costs) for field in dataclasses.fields(Cost)
    })
