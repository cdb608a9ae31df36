# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Many numbers with a bounded number of workers: ordered rows, and no row is lost whatever happens to another.

Numbers of an account that has to be left alone for a while are passed over for those of others.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import threading
import time
import typing as t

from ._errors import DeadlineExceeded
from ._progress import Progress

Item = t.TypeVar("Item")
Row = t.TypeVar("Row")

# Workers that sleep beside those that work; each is a thread.
MOST_ASLEEP = 256
# Seconds. Who sleeps for less keeps its place: when an API fails, its workers' pauses are to slow down the whole.
LEND_FROM = 2.0
# Seconds after which it is looked again whether an account still has to wait: others' answers tell of it meanwhile.
LOOK_AGAIN = 5.0
# Seconds after which progress, and whether somebody may start, is looked at while nothing happens.
_TICK = 0.5


class _Queue(t.Generic[Item]):
    """Items that are not started yet: those of an account in their order, and of all that may be called the first one next."""

    def __init__(
        self, items: t.Sequence[Item], account_of: t.Callable[[Item], t.Hashable], start_in: t.Callable[[Item], float]
    ) -> None:
        self._items = items
        self._start_in = start_in
        self._accounts: dict[t.Hashable, collections.deque[int]] = collections.defaultdict(collections.deque)
        for index, item in enumerate(items):
            self._accounts[account_of(item)].append(index)
        # Heaps of (position of its first item, account), and the same after the time to look again: the position makes each
        # comparable. At the end is when it may start, as far as is known by now.
        self._ready: list[tuple[int, t.Hashable]] = [(indexes[0], account) for account, indexes in self._accounts.items()]
        self._parked: list[tuple[float, int, t.Hashable, float]] = []

    def __bool__(self) -> bool:
        return bool(self._ready or self._parked)

    def waiting(self) -> tuple[int, float]:
        """Return how many items are passed over, and when the first of them may start."""
        if not self._parked:
            return 0, float("inf")
        count = sum(len(self._accounts[account]) for dummy, dummy, account, dummy in self._parked)
        return count, min(row[3] for row in self._parked)

    def next_look(self) -> float:
        """Return when an item that is passed over may be picked."""
        return self._parked[0][0] if self._parked else float("inf")

    def pick(self) -> int | None:
        """Take the next item that may start; None if all have to wait."""
        while self._parked and self._parked[0][0] <= time.monotonic():
            dummy, first, account, dummy = heapq.heappop(self._parked)
            heapq.heappush(self._ready, (first, account))
        while self._ready:
            first, account = heapq.heappop(self._ready)
            indexes = self._accounts[account]
            wait = self._start_in(self._items[first])
            if wait > 0:
                now = time.monotonic()
                heapq.heappush(self._parked, (now + min(wait, LOOK_AGAIN), first, account, now + wait))
                continue
            indexes.popleft()
            if indexes:
                heapq.heappush(self._ready, (indexes[0], account))
            return first
        return None


class Crew:
    """At most C(size) workers at work. One that sleeps for long lets another take its place meanwhile."""

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._changed = threading.Condition()
        self._threads = 0
        self._working = 0
        self._returning = 0
        self._wakes: dict[int, float] = {}
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._labour: t.Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Sleep, and wait for a place to go on then. Raises DeadlineExceeded if everything is to stop."""
        if seconds < LEND_FROM:
            self._stop.wait(seconds)
        else:
            with self._lent_place(seconds):
                self._stop.wait(min(seconds, threading.TIMEOUT_MAX))
        if self._stop.is_set():
            raise DeadlineExceeded("The task was stopped.", "Run again.", outcome_unknown=False)

    @contextlib.contextmanager
    def _lent_place(self, seconds: float) -> t.Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._working -= 1
            self._wakes[me] = time.monotonic() + seconds
            self._add_worker()
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._wakes[me]
                self._returning += 1
                self._changed.wait_for(lambda: self._working < self._size)
                self._returning -= 1
                self._working += 1

    def run(
        self,
        items: t.Sequence[Item],
        work: t.Callable[[Item], Row],
        is_failure: t.Callable[[Row], bool],
        *,
        account_of: t.Callable[[Item], t.Hashable] = lambda item: None,
        start_in: t.Callable[[Item], float] = lambda item: 0.0,
        max_failures: int | None = None,
        progress: Progress | None = None,
    ) -> list[Row | None]:
        """Return one row an item, in the order of the items. A crew runs once.

        C(start_in) says for an item in how many seconds it may start; 0 starts it.
        Once more than C(max_failures) rows are failures no further item is started; those left have None.
        C(work) must not raise; what it raises all the same stops everything and is raised here.
        """
        progress = progress or Progress(len(items), lambda text: None)
        queue = _Queue(items, account_of, start_in)
        rows: list[Row | None] = [None] * len(items)
        errors: list[BaseException] = []
        failures = 0

        def may_go_on() -> bool:
            return bool(queue) and not self._stop.is_set() and (max_failures is None or failures <= max_failures)

        def labour() -> None:
            nonlocal failures
            try:
                for index in iter(lambda: self._next(queue, may_go_on), None):
                    failed = True
                    try:
                        rows[index] = row = work(items[index])
                        failed = is_failure(row)
                    finally:
                        progress.finished(failed)
                        with self._changed:
                            failures += failed
                            self._working -= 1
                            self._changed.notify_all()
            except BaseException as error:
                errors.append(error)
                self._stop.set()
            self._leave()

        self._labour = labour
        try:
            with self._changed:
                for dummy in range(min(self._size, len(items))):
                    self._add_worker()
            self._watch(queue, progress)
        except BaseException:  # a signal, such as the end of the task's own time: nobody starts anew
            self._stop.set()
            raise
        if errors:
            raise errors[0]
        progress.end()
        return rows

    def _add_worker(self) -> None:
        """Start a thread, unless there are enough that are awake, or too many that sleep. The lock is held."""
        if self._threads - len(self._wakes) >= self._size or len(self._wakes) > MOST_ASLEEP:
            return
        try:
            threading.Thread(target=self._labour, daemon=True).start()
        except RuntimeError:  # the machine has no more threads; those that there are do the work
            if not self._threads:
                raise
            return
        self._threads += 1

    def _next(self, queue: _Queue[t.Any], may_go_on: t.Callable[[], bool]) -> int | None:
        """Take a place, and return the item to work on; None when nothing is left to start."""
        with self._changed:
            while may_go_on():
                pause = _TICK
                if self._working + self._returning < self._size:
                    index = queue.pick()
                    if index is not None:
                        self._working += 1
                        return index
                    pause = queue.next_look() - time.monotonic()
                self._changed.wait(max(0.0, min(_TICK, pause)))
        return None

    def _leave(self) -> None:
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()
            if not self._threads:
                self._ended.set()

    def _watch(self, queue: _Queue[t.Any], progress: Progress) -> None:
        """Tell of the progress until all are done."""
        while self._threads and not self._ended.wait(_TICK):
            with self._changed:
                passed_over, soonest = queue.waiting()
                soonest = min([soonest, *self._wakes.values()])
                waiting = passed_over + len(self._wakes)
            progress.tick(waiting, max(0.0, soonest - time.monotonic()) if waiting else 0.0)
