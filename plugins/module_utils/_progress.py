# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""How far the work on many numbers has come, in lines for a person, a log file or AWX: few, and none for short work."""

from __future__ import annotations

import threading
import time
import typing as t

# Seconds from one line, or the beginning, to the next: the least, and the most.
_CLOSEST = 5.0
_FARTHEST = 60.0
# So many lines at most for work that goes on steadily.
_STEPS = 10


class Progress:
    """Counts what is done and tells of it. Thread-safe; C(tell) is called by the thread that calls tick and end."""

    def __init__(self, total: int, tell: t.Callable[[str], None], clock: t.Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._failed = 0
        self._started = clock()
        self._told_at = self._started
        self._told_done = 0
        self._told_waiting = False
        self.lines = 0

    def finished(self, failed: bool) -> None:
        """Count a number that is done."""
        with self._lock:
            self._done += 1
            self._failed += failed

    def tick(self, waiting: int = 0, seconds: float = 0.0) -> None:
        """Tell, if it is time to. C(waiting) numbers wait for the rate limit, the next of them for C(seconds)."""
        since = self._clock() - self._told_at
        if since < _CLOSEST:
            return
        moved = (self._done - self._told_done) * _STEPS >= self._total
        if moved or since >= _FARTHEST or (waiting > 0) != self._told_waiting:
            self._say(self._line(since, waiting, seconds))
            self._told_at, self._told_done, self._told_waiting = self._clock(), self._done, waiting > 0

    def end(self) -> None:
        """Tell how it ended, where anything was told before."""
        if self.lines:
            self._say(f"{self._count()} in {duration(self._clock() - self._started)}")

    def _say(self, text: str) -> None:
        self.lines += 1
        self._tell(text)

    def _count(self) -> str:
        share = 100 * self._done // max(1, self._total)
        return f"{self._done:,} of {self._total:,} numbers ({share} %), {self._failed:,} failed"

    def _line(self, since: float, waiting: int, seconds: float) -> str:
        text = self._count()
        rate = (self._done - self._told_done) / since
        if rate > 0:
            left = (self._total - self._done) / rate
            text += f", {rate:.3g} a second, about {duration(max(left, seconds))} left"
        if waiting:
            text += f"; {waiting:,} wait for the rate limit of the API, the next for {duration(max(seconds, 1.0))}"
        return text


def duration(seconds: float) -> str:
    """Return a time in words, in its two largest units."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 and whole < 600 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
