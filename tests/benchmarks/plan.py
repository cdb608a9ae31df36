# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ways are measured with how many numbers, in which order; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from .ways import WAYS

SCRIPTS = ("bare", "threads", "curl", "pywa")
OURS = ("empty", "fleet", "rotate")
MAIN = (*SCRIPTS, *OURS)


@dataclasses.dataclass(frozen=True)
class Block:
    """Ways that take turns, so that a busy moment of the machine befalls all of them."""

    numbers: int
    latency: float
    ways: tuple[str, ...]
    rounds: int


@dataclasses.dataclass(frozen=True)
class Step:
    """One way with a sandbox of its own, all its phases."""

    way: str
    numbers: int
    latency: float
    turn: int


@dataclasses.dataclass(frozen=True)
class Mode:
    """A name, what is measured, and the minutes that it may take."""

    name: str
    blocks: tuple[Block, ...]
    minutes: float


# What comes first is measured most surely: where the time is short, the last are left out.
QUICK = Mode("quick", (
    Block(1000, 0.1, MAIN, 2),
    Block(100, 0.1, MAIN, 2),
    Block(20, 0.1, ("bare", "empty", "fleet", "each", "uri", "uri-loop"), 1),
    Block(100, 0.0, MAIN, 1),
    Block(1000, 0.0, MAIN, 1),
), 9.0)

WHOLE = Mode("whole", (
    Block(1000, 0.1, MAIN, 3),
    Block(100, 0.1, (*MAIN, "each"), 3),
    Block(1000, 0.0, MAIN, 3),
    Block(100, 0.0, (*MAIN, "each"), 3),
    Block(5000, 0.1, ("bare", *OURS), 2),
    Block(20000, 0.1, ("bare", *OURS), 1),
    Block(100, 0.1, ("uri", "uri-loop"), 1),
    Block(20, 0.1, (*MAIN, "each", "uri", "uri-loop"), 1),
    Block(20, 0.0, (*MAIN, "each", "uri", "uri-loop"), 1),
    Block(5000, 0.0, ("bare", *OURS), 1),
    Block(20000, 0.0, ("bare", *OURS), 1),
    Block(1000, 0.1, ("each",), 1),
    Block(100, 0.0, ("uri", "uri-loop"), 1),
    Block(1000, 0.0, ("each",), 1),
), 85.0)


def narrowed(mode: Mode, only: t.Collection[str], numbers: t.Sequence[int]) -> Mode:
    """Return a mode with only some ways, or with other numbers; the latter is for trying out, with every way at each."""
    if not only and not numbers:
        return mode
    ways = tuple(way for way in WAYS if way in only or not only)
    if numbers:
        blocks = [Block(count, 0.1, ways, 1) for count in numbers]
    else:
        blocks = [dataclasses.replace(block, ways=tuple(way for way in block.ways if way in ways)) for block in mode.blocks]
    return Mode(f"part of {mode.name}", tuple(blocks), mode.minutes)


def steps(mode: Mode) -> list[Step]:
    """Return the steps in their order: first what has several rounds, rounds outermost, then what has one."""
    repeated = [block for block in mode.blocks if block.rounds > 1]
    single = [block for block in mode.blocks if block.rounds == 1]
    return [
        Step(way, block.numbers, block.latency, turn)
        for blocks in (repeated, single)
        for turn in range(max((block.rounds for block in blocks), default=0))
        for block in blocks if turn < block.rounds
        for way in block.ways
    ]
