# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at the same time: each ends in order, and the next one finds nothing that it cannot put right."""

from __future__ import annotations

import random
import time
import typing as t

import pytest

from tests.integration.conftest import Run

from .estate import NAMES, Estate
from .test_kills import ROTATE

FORCED = {"encryption_keys_force": True}
OFFSETS = random.Random("offsets")


def offsets(*limits: tuple[float, float]) -> list[float]:
    """Return random seconds within each of some limits, the same each time."""
    return [round(OFFSETS.uniform(*limit), 1) for limit in limits]


def overlapping(estate: Estate, offset: float, first: tuple[str, dict[str, t.Any]], second: tuple[str, dict[str, t.Any]]) -> list[Run]:
    """Start one run and some seconds later another, and return both when they have ended."""
    one = estate.start(first[0], **first[1])
    time.sleep(offset)
    two = estate.start(second[0], **second[1])
    return [one.end(), two.end()]


def assert_put_right(estate: Estate, runs: list[Run]) -> None:
    """The two ended well, or say what happened; the next run ends well, and the one after it changes nothing."""
    for run in runs:
        print(run.status, run.failures)
    estate.assert_nothing_lost()
    run = estate.run()
    assert run.status == 0, run.output
    states = estate.states()
    for name in NAMES:
        assert sorted(states[name])[0] == "current"
        assert set(sorted(states[name])[1:]) <= {"retired"}
    estate.assert_settled(states)
    estate.assert_quiet()


@pytest.mark.parametrize("offset", offsets((0, 0.5), (1, 3), (4, 8), (9, 14), (14, 18)))
def test_both_forced(estate: Estate, offset: float) -> None:
    runs = overlapping(estate, offset, (ROTATE, FORCED), (ROTATE, FORCED))
    assert_put_right(estate, runs)


@pytest.mark.parametrize("task", ["Put the keys on the endpoints", "Bring the replicas up to date"])
def test_a_run_that_lags_behind_takes_no_key_away(estate: Estate, task: str) -> None:
    """It knows nothing of the other run's key yet, which is on the endpoints, and held by numbers."""
    slow = estate.start(**({} if task.startswith("Put") else FORCED))
    slow.wait_for(task)
    slow.stop()
    other = estate.start(**FORCED)
    other.wait_for("Publish to ", 2)
    other.wait_until(lambda: len(estate.world.box.posts) >= 2)
    other.stop()
    time.sleep(0.2)  # what was sent is still worked on
    slow.go_on()
    runs = [slow.end()]
    estate.assert_nothing_lost()
    other.go_on()
    runs.append(other.end())
    assert_put_right(estate, runs)
