# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of progress: none for short work, few for long work, and what they say."""

from __future__ import annotations

import pytest

from ansible_collections.waba.flows.plugins.module_utils._progress import Progress, duration
from ansible_collections.waba.flows.tests.unit.helpers import Clock


def walk(clock: Clock, total: int, seconds: float, *, failing: int = 0) -> list[str]:
    """Return the lines of work that goes on steadily."""
    lines: list[str] = []
    progress = Progress(total, lines.append, clock.now)
    for index in range(total):
        clock.time += seconds / total
        progress.finished(index < failing)
        progress.tick()
    progress.end()
    return lines


def test_short_work_tells_nothing(clock: Clock) -> None:
    assert walk(clock, 100, 4.9) == []


def test_the_lines_of_a_minute(clock: Clock) -> None:
    lines = walk(clock, 600, 60.0, failing=3)
    assert lines[0] == "60 of 600 numbers (10 %), 3 failed, 10 a second, about 54 s left"
    assert lines[-1] == "600 of 600 numbers (100 %), 3 failed in 1 min"
    assert len(lines) == 11


@pytest.mark.parametrize("hours", [1, 10])
def test_long_work_tells_at_least_once_a_minute(hours: int, clock: Clock) -> None:
    lines = walk(clock, 20000, hours * 3600.0)
    assert hours * 55 <= len(lines) <= hours * 60 + 12


def test_a_wait_is_told_when_it_begins_and_when_it_ends(clock: Clock) -> None:
    lines: list[str] = []
    progress = Progress(1000, lines.append, clock.now)
    for waiting in (0, 0, 400, 400, 400, 0):
        clock.time += 6
        progress.finished(failed=False)
        progress.tick(waiting, 290.0 if waiting else 0.0)
    assert [("wait for" in line) for line in lines] == [True, False]
    assert lines[0].endswith("; 400 wait for the rate limit of the API, the next for 4 min 50 s")


def test_where_nothing_moves_no_time_is_promised(clock: Clock) -> None:
    lines: list[str] = []
    progress = Progress(10, lines.append, clock.now)
    clock.time += 61
    progress.tick()
    assert lines == ["0 of 10 numbers (0 %), 0 failed"]


def test_the_time_left_is_never_less_than_the_wait(clock: Clock) -> None:
    lines: list[str] = []
    progress = Progress(10, lines.append, clock.now)
    clock.time += 6
    for dummy in range(9):
        progress.finished(failed=False)
    progress.tick(1, 3600.0)
    assert "about 1 h 0 min left" in lines[0]


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"), (599, "9 min 59 s"), (601, "10 min"), (3600, "1 h 0 min"),
    (4260, "1 h 11 min"), (-3, "0 s"),
])
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
