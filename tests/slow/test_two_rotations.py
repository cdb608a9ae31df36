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

from .estate import Estate
from .test_kills import ROTATE

OFFSETS = random.Random("offsets")


def offsets(*limits: tuple[float, float]) -> list[float]:
    """Return random seconds within each of some limits, the same each time."""
    return [round(OFFSETS.uniform(*limit), 1) for limit in limits]


class Started(t.NamedTuple):
    """What is started, and how many seconds after the other."""

    playbook: str
    variables: dict[str, t.Any]


FORCED = Started(ROTATE, {"encryption_keys_force": True})


def overlapping(estate: Estate, first: Started, second: Started, offset: float) -> list[Run]:
    """Start one run and some seconds later another, and return both when they have ended."""
    one = estate.start(first.playbook, **first.variables)
    time.sleep(offset)
    two = estate.start(second.playbook, **second.variables)
    return [one.end(), two.end()]


def assert_put_right(estate: Estate, runs: list[Run]) -> None:
    """The two ended well, or say what happened; the next run ends well, and the one after it changes nothing."""
    for run in runs:
        print(run.status, run.failures)
        assert run.status == 0 or "nother run" in run.failures, run.output
    estate.assert_nothing_lost()
    run = estate.run()
    assert run.status == 0, run.output
    states = estate.states()
    for name in estate.names:
        assert sorted(states[name])[0] == "current"
        assert set(sorted(states[name])[1:]) <= {"retired"}
    estate.assert_settled(states)
    estate.assert_quiet()


def name_each_other(runs: list[Run]) -> bool:
    return any("another run, " in run.output for run in runs)


@pytest.mark.parametrize("offset", offsets((0, 1), (1, 3), (6, 12)))
@pytest.mark.attack("resumed", "two runs at once on one fleet")
def test_both_forced(small_estate: Estate, offset: float) -> None:
    """They share one new key, or the second makes another one when the first is done."""
    estate = small_estate
    runs = overlapping(estate, FORCED, FORCED, offset)
    assert name_each_other(runs) or offset > 3
    made = len(estate.states()["default"]) - 1  # the forgotten key has gone, and the old one has stayed
    assert made in ((1,) if offset <= 3 else (1, 2))
    assert_put_right(estate, runs)


@pytest.mark.parametrize("offset", offsets((0, 3)))
@pytest.mark.attack("resumed", "two runs at once on one fleet")
def test_one_forced(small_estate: Estate, offset: float) -> None:
    estate = small_estate
    runs = overlapping(estate, FORCED, Started(ROTATE, {}), offset)
    assert name_each_other(runs) or offset > 3
    assert_put_right(estate, runs)


@pytest.mark.parametrize("offset", offsets((0, 3), (4, 9)))
@pytest.mark.attack("resumed", "two runs at once on one fleet")
def test_rotation_and_rollback(small_estate: Estate, offset: float) -> None:
    """Who writes into the keyring last decides; numbers that got the other key meanwhile are brought there by the next run."""
    estate = small_estate
    old = estate.world.fleet.old_keys["default"].fingerprint
    runs = overlapping(estate, FORCED, Started("waba.flows.rollback", {"encryption_keys_rollback_to": old}), offset)
    assert_put_right(estate, runs)


@pytest.mark.parametrize("task", ["Put the keys on the endpoints", "Bring the replicas up to date"])
@pytest.mark.attack("resumed", "two runs at once on one fleet")
def test_a_run_that_lags_behind_takes_no_key_away(small_estate: Estate, task: str) -> None:
    """It knows nothing of the other run's key yet, which is on the endpoints, and held by numbers."""
    estate = small_estate
    slow = estate.start(**({} if task.startswith("Put") else FORCED.variables))
    slow.wait_for(task)
    slow.stop()
    other = estate.start(**FORCED.variables)
    other.wait_for("Publish and verify: a wave", 2)
    other.wait_until(lambda: len(estate.world.box.posts) >= 2)
    other.stop()
    time.sleep(0.2)  # what was sent is still worked on
    slow.go_on()
    runs = [slow.end()]
    estate.assert_nothing_lost()
    other.go_on()
    runs.append(other.end())
    assert_put_right(estate, runs)
