# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the rest will take."""

from __future__ import annotations

import time

from .plan import Step
from .ways import WAYS


class Clock:
    """How long it takes: what was measured before tells what comes, or else how wrong the last guess about the way was."""

    def __init__(self, minutes: float) -> None:
        self._started = time.monotonic()
        self._budget = minutes * 60
        self._known: dict[tuple[str, int, float], float] = {}
        self._factors: dict[str, float] = {}

    def expect(self, step: Step) -> float:
        """Return the seconds that a step will take."""
        known = self._known.get((step.way, step.numbers, step.latency))
        return _guess(step) * self._factors.get(step.way, 1.0) if known is None else known

    def note(self, step: Step, seconds: float) -> None:
        """Keep how long a step took."""
        self._known[step.way, step.numbers, step.latency] = seconds
        self._factors[step.way] = seconds / _guess(step)

    def allows(self, step: Step) -> bool:
        """Tell whether there is time for a step."""
        return time.monotonic() - self._started + self.expect(step) <= self._budget


def _guess(step: Step) -> float:
    return WAYS[step.way].guess(step.numbers, step.latency)
