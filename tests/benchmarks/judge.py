# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets, each judged by ratios within one go; pure. What was not measured is neither met nor missed."""

from __future__ import annotations

import dataclasses
import typing as t

from .results import COLD, CONVERGED, NOTHING, Cost, Results

LATENCY = 0.1
GROWTH = 1.15
SIZES = (1000, 5000, 20000)
LARGEST = SIZES[-1]
MEMORY = 120.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A target, what it allows, what was measured (None: it was not), and how that came about."""

    target: str
    limit: str
    value: float | None
    sum: str
    met: bool | None


def judge(results: Results) -> list[Verdict]:
    """Return a verdict for each target."""
    return [
        _beside_bare(results, "fleet", COLD, 1.3, 2.0),
        _beside_bare(results, "fleet", CONVERGED, 1.3, 2.0),
        _beside_bare(results, "rotate", COLD, 1.5, 6.0),
        *(_linear(results, way, member) for way in ("fleet", "rotate") for member in ("wall", "cpu")),
        *(_memory(results, way) for way in ("fleet", "rotate")),
        _beside_uri(results),
    ]


def growth(costs: t.Sequence[tuple[int, float]]) -> float:
    """Return what one more number costs between the two largest sizes, as a ratio to that between the two smallest.

    Differences, because a fixed cost would make a growing cost a number look like a constant one.
    """
    (small, low), (middle, between), (large, high) = costs
    first = (between - low) / (middle - small)
    return (high - between) / (large - middle) / first if first > 0 else float("inf")


def _cost(results: Results, way: str, phase: str, numbers: int) -> Cost | None:
    found = results.summary(way, phase, numbers, LATENCY)
    return found.cost if found else None


def _beside_bare(results: Results, way: str, phase: str, limit: float, allowance: float) -> Verdict:
    target = f"{way}, {phase}, 1,000 numbers, beside the bare script"
    words = f"≤ {limit:g} x bare + {allowance:g} s"
    ours, bare = _cost(results, way, phase, 1000), _cost(results, "bare", phase, 1000)
    if ours is None or bare is None:
        return _unmeasured(target, words)
    ratio = (ours.wall - allowance) / bare.wall
    shown = f"({ours.wall:.1f} s - {allowance:g} s) / {bare.wall:.1f} s = {ratio:.2f}"
    return Verdict(target, words, ratio, shown, ratio <= limit)


def _linear(results: Results, way: str, member: str) -> Verdict:
    target = f"{way}, cold, {'wall time' if member == 'wall' else 'CPU time'} linear from 1,000 to 20,000 numbers"
    words = f"≤ {GROWTH:g} x for one more number beyond 5,000"
    costs = []
    for numbers in SIZES:
        ours, empty = _cost(results, way, COLD, numbers), _cost(results, "empty", NOTHING, numbers)
        if ours is None or empty is None:
            return _unmeasured(target, words)
        costs.append((numbers, getattr(ours, member) - getattr(empty, member)))
    ratio = growth(costs)
    shown = ", ".join(f"{seconds:.1f} s" for dummy, seconds in costs)
    return Verdict(target, words, ratio, f"{shown} above an empty playbook: {ratio:.2f} x", ratio <= GROWTH)


def _memory(results: Results, way: str) -> Verdict:
    target = f"{way}, cold, memory at 20,000 numbers"
    words = f"< {MEMORY:g} MiB above an empty playbook"
    ours, empty = _cost(results, way, COLD, LARGEST), _cost(results, "empty", NOTHING, LARGEST)
    if ours is None or empty is None:
        return _unmeasured(target, words)
    above = ours.memory - empty.memory
    return Verdict(target, words, above, f"{ours.memory:.0f} - {empty.memory:.0f} = {above:.0f} MiB", above < MEMORY)


def _beside_uri(results: Results) -> Verdict:
    target, words = "fleet, cold, 100 numbers, beside a uri playbook", "≥ 20 x faster"
    ours, theirs = _cost(results, "fleet", COLD, 100), _cost(results, "uri", COLD, 100)
    if ours is None or theirs is None:
        return _unmeasured(target, words)
    ratio = theirs.wall / ours.wall
    return Verdict(target, words, ratio, f"{theirs.wall:.1f} s / {ours.wall:.1f} s = {ratio:.1f}", ratio >= 20)


def _unmeasured(target: str, limit: str) -> Verdict:
    return Verdict(target, limit, None, "not measured in this go", None)
