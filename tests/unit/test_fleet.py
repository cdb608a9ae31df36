# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The crew that works on many numbers: order, bounds, who is passed over, and how it stops."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _fleet
from ansible_collections.waba.flows.plugins.module_utils._errors import DeadlineExceeded
from ansible_collections.waba.flows.plugins.module_utils._fleet import Crew
from ansible_collections.waba.flows.plugins.module_utils._progress import Progress


def never(row: t.Any) -> bool:
    return False


class AtWork:
    """Counts how many are within C(with) at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *args: object) -> None:
        with self.lock:
            self.now -= 1


def test_nothing_to_do_is_no_rows() -> None:
    assert Crew(4).run([], lambda item: item, never) == []


def test_rows_keep_the_order_whatever_finishes_first() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 * (5 - item))
        return item

    assert Crew(5).run(range(5), work, never) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [1, 3, 8])
def test_no_more_than_the_size_work_at_a_time(size: int) -> None:
    busy = AtWork()

    def work(item: int) -> int:
        with busy:
            time.sleep(0.01)
        return item

    assert Crew(size).run(range(40), work, never) == list(range(40))
    assert busy.most == size


def test_one_worker_takes_the_items_in_their_order() -> None:
    seen: list[int] = []
    Crew(1).run(range(20), seen.append, never, account_of=lambda item: item % 3)
    assert seen == list(range(20))


def test_after_too_many_failures_nothing_more_is_started() -> None:
    rows = Crew(1).run(range(10), lambda item: item, lambda row: row in (1, 3), max_failures=1)
    assert rows == [0, 1, 2, 3, None, None, None, None, None, None]


def test_no_failure_allowed_means_that_the_first_one_stops() -> None:
    assert Crew(1).run(range(4), lambda item: item, lambda row: row == 0, max_failures=0) == [0, None, None, None]


def test_items_of_an_account_that_has_to_wait_are_passed_over() -> None:
    seen: list[str] = []
    free_at = time.monotonic() + 0.4

    def start_in(item: str) -> float:
        return max(0.0, free_at - time.monotonic()) if item.startswith("a") else 0.0

    Crew(1).run(["a1", "a2", "b1", "b2", "c1", "a3"], seen.append, never, account_of=lambda item: item[0], start_in=start_in)
    assert seen == ["b1", "b2", "c1", "a1", "a2", "a3"]
    assert time.monotonic() >= free_at


def test_a_wait_that_ends_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others' answers tell shortens it."""
    monkeypatch.setattr(_fleet, "LOOK_AGAIN", 0.05)
    waits = iter([30.0, 30.0, 0.0])
    started = time.monotonic()
    assert Crew(1).run(["a"], lambda item: item, never, start_in=lambda item: next(waits)) == ["a"]
    assert time.monotonic() - started < 5


class NoThreads:
    """Stands for threading.Thread on a machine that has no more than C(allowed) of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
        start = threading.Thread.start
        left = iter([True] * allowed)

        def limited(thread: threading.Thread) -> None:
            if not next(left, False):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)


def test_few_threads_do_all_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    NoThreads(monkeypatch, 2)
    monkeypatch.setattr(_fleet, "LEND_FROM", 0.01)
    crew = Crew(8)

    def work(item: int) -> int:
        crew.sleep(0.02)
        return item

    assert crew.run(range(10), work, never) == list(range(10))


def test_without_any_thread_it_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    NoThreads(monkeypatch, 0)
    done: list[int] = []
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Crew(8).run(range(10), done.append, never)
    assert done == []


def test_whoever_sleeps_for_long_lets_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fleet, "LEND_FROM", 0.1)
    crew, busy = Crew(2), AtWork()
    finished: list[int] = []

    def work(item: int) -> int:
        if item < 2:  # both places are taken by those who are throttled
            crew.sleep(0.5)
        with busy:
            time.sleep(0.02)
        finished.append(item)
        return item

    assert crew.run(range(8), work, never) == list(range(8))
    assert sorted(finished[:6]) == [2, 3, 4, 5, 6, 7]
    assert busy.most == 2


def test_whoever_sleeps_for_a_moment_keeps_the_place() -> None:
    crew, finished = Crew(1), []

    def work(item: int) -> int:
        if item == 0:
            crew.sleep(0.2)
        finished.append(item)
        return item

    crew.run(range(3), work, never)
    assert finished == [0, 1, 2]


def test_no_more_sleep_than_there_may_be_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fleet, "LEND_FROM", 0.05)
    monkeypatch.setattr(_fleet, "MOST_ASLEEP", 5)
    crew, alive = Crew(2), []

    def work(item: int) -> int:
        alive.append(threading.active_count())
        crew.sleep(0.2)
        return item

    before = threading.active_count()
    assert crew.run(range(30), work, never) == list(range(30))
    assert max(alive) - before <= 5 + 1 + 2


def test_an_error_of_the_work_stops_all_and_is_raised() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 3:
            raise RuntimeError("a defect")
        done.append(item)
        return item

    with pytest.raises(RuntimeError, match="a defect"):
        Crew(1).run(range(10), work, never)
    assert done == [0, 1, 2]


def test_a_signal_stops_those_who_sleep_and_starts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(2)
    begun: list[int] = []
    woken = threading.Event()

    class Signal(Exception):
        pass

    class Ringing(Progress):
        def tick(self, waiting: int = 0, seconds: float = 0.0) -> None:
            if len(begun) == 3:
                raise Signal

    def work(item: int) -> int:
        begun.append(item)
        try:
            crew.sleep(60.0)
        except DeadlineExceeded:
            woken.set()
        return item

    with pytest.raises(Signal):
        crew.run(range(3), work, never, progress=Ringing(3, lambda line: None))
    assert woken.wait(5.0)
    assert begun == [0, 1, 2]


def test_who_waits_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fleet, "_TICK", 0.02)
    crew = Crew(1)
    told: list[tuple[int, float]] = []

    class Listening(Progress):
        def tick(self, waiting: int = 0, seconds: float = 0.0) -> None:
            told.append((waiting, seconds))

    free_at = time.monotonic() + 0.5
    crew.run(
        ["a", "a", "b"], lambda item: item, never, account_of=lambda item: item,
        start_in=lambda item: max(0.0, free_at - time.monotonic()) if item == "a" else 0.0,
        progress=Listening(3, lambda line: None),
    )
    assert any(waiting == 2 and 0.2 < seconds < 0.5 for waiting, seconds in told)
