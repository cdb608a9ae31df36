# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways that are compared: the command of each, and what the table says about it."""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

from .desk import WORKERS, Desk
from .results import COLD, CONVERGED, NOTHING

HERE = Path(__file__).resolve().parent
FORKS = "50"


@dataclasses.dataclass(frozen=True)
class Way:
    """One way. C(start) and C(each) are rough seconds, a run and a number, from which the time left is guessed at first.

    C(lanes) is how many numbers it works on at once.
    """

    title: str
    command: t.Callable[[Desk], list[str]]
    start: float
    each: float
    lanes: int = WORKERS
    phases: tuple[str, ...] = (COLD, CONVERGED)

    def guess(self, numbers: int, latency: float) -> float:
        """Return about how many seconds its phases take together, with a sandbox that is started for them."""
        seconds = 2.0 + numbers * 0.0002
        for phase in self.phases:
            waits = {COLD: 3, CONVERGED: 1, NOTHING: 0}[phase] * latency / self.lanes
            seconds += self.start + numbers * max(self.each if phase == COLD else self.each / 2, waits)
        return seconds


def _script(name: str) -> t.Callable[[Desk], list[str]]:
    return lambda desk: [sys.executable, "-m", f"tests.benchmarks.clients.{name}", str(desk.job)]


def _curl(desk: Desk) -> list[str]:
    return ["xargs", "-a", str(desk.lines), "-P", str(WORKERS), "-L", "1", "sh", str(HERE / "clients" / "curl.sh")]


def _ansible(playbook: str, *options: str) -> t.Callable[[Desk], list[str]]:
    program = str(Path(sys.executable).parent / "ansible-playbook")
    return lambda desk: [program, "-i", str(desk.inventory), playbook, "-e", f"@{desk.variables}", *options]


def _own(name: str, *options: str) -> t.Callable[[Desk], list[str]]:
    return _ansible(str(HERE / "playbooks" / name), *options)


WAYS: dict[str, Way] = {
    "bare": Way("bare asyncio script (aiohttp)", _script("bare_asyncio"), 0.4, 0.003),
    "threads": Way("threads over requests", _script("threads_requests"), 0.3, 0.006),
    "curl": Way("xargs and curl", _curl, 0.1, 0.02),
    "pywa": Way("pywa in threads (one POST only)", _script("threads_pywa"), 1.0, 0.003, phases=(COLD,)),
    "empty": Way("an empty playbook, same inventory", _own("empty.yml"), 1.2, 0.0006, phases=(NOTHING,)),
    "fleet": Way("the fleet task", _own("fleet.yml"), 2.5, 0.005),
    "rotate": Way("playbook waba.flows.rotate", _ansible("waba.flows.rotate"), 13.0, 0.015),
    "each": Way("the module, a host a number", _own("each.yml", "--forks", FORKS), 1.5, 0.43, 50),
    "uri": Way("uri, a host a number", _own("uri.yml", "--forks", FORKS), 1.5, 1.3, 50, (COLD,)),
    "uri-loop": Way("uri in a loop", _own("uri_loop.yml"), 1.5, 2.1, 1, (COLD,)),
}
