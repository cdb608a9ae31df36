# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate limits as Meta reckons them: the calls of an app, and of an app in one WABA, in a window that rolls.

A call that is refused counts as well. So whoever calls on while throttled waits longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from .state import DEFAULT_APP, InvalidData, Settings

Clock = Callable[[], float]
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Usage:
    """How full a bucket is after a call, whether the call was beyond its limit, and the seconds until one is not."""

    percent: int
    throttled: bool = False
    wait: float = 0.0


@dataclass
class Preset:
    """How much of a WABA's window, or without a WABA of the app's, somebody else has used up."""

    percent: int
    waba_id: str | None = None
    app_id: str = DEFAULT_APP

    def __post_init__(self) -> None:
        if self.percent < 0:
            raise InvalidData("percent must be 0 or more")


class Bucket:
    """The calls within one window, and how many there ever were."""

    def __init__(self) -> None:
        self._window: deque[tuple[float, int]] = deque()
        self._used = 0
        self.calls = 0
        self.throttled = 0

    def call(self, now: float, limit: int, seconds: float) -> Usage:
        """Count a call; a limit of 0 is none, and then nothing is kept of it, as a sandbox may run for long."""
        while self._window and self._window[0][0] <= now - seconds:
            self._used -= self._window.popleft()[1]
        throttled = 0 < limit <= self._used
        if limit:
            self._add(now, 1)
        self.calls += 1
        self.throttled += throttled
        percent = min(100, self._used * 100 // limit) if limit else 0
        return Usage(percent, throttled, self._last_to_leave(limit) + seconds - now if throttled else 0.0)

    def fill(self, now: float, calls: int) -> None:
        """Replace what is in the window by calls of somebody else at this moment."""
        self._window.clear()
        self._used = 0
        self._add(now, calls)

    def _add(self, now: float, calls: int) -> None:
        self._window.append((now, calls))
        self._used += calls

    def _last_to_leave(self, limit: int) -> float:
        """When that call was made which must leave the window before another is let through."""
        totals = accumulate(count for dummy, count in self._window)
        return next(at for (at, dummy), gone in zip(self._window, totals) if gone > self._used - limit)


class Limits:
    """The buckets: one for each app, and one for each WABA that an app calls."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str | None], Bucket] = {}
        # Tests preset and look from their own thread while the server's thread counts.
        self._lock = threading.Lock()

    def call(self, app_id: str, waba_id: str | None, settings: Settings) -> Usage:
        """Count a call of an app: in a WABA's bucket, or without one in the app's own."""
        with self._lock:
            return self._bucket(app_id, waba_id).call(self._clock(), settings.call_limit(waba_id), settings.window)

    def preset(self, preset: Preset, settings: Settings) -> None:
        """Pretend that somebody else has called, as far as limits go; these calls are not reported."""
        limit = settings.call_limit(preset.waba_id)
        if not limit:
            raise InvalidData("there is no limit to use up")
        with self._lock:
            self._bucket(preset.app_id, preset.waba_id).fill(self._clock(), limit * preset.percent // 100)

    def counts(self, waba_ids: Iterable[str]) -> dict[str, Counts]:
        """Calls, and calls that were throttled, by the bucket that refused them: of each app, and of each WABA over all apps."""
        apps: Counts = {}
        wabas: Counts = {waba_id: {"calls": 0, "throttled": 0} for waba_id in sorted(waba_ids)}
        with self._lock:
            for (app_id, waba_id), bucket in self._buckets.items():
                rows, name = (apps, app_id) if waba_id is None else (wabas, waba_id)
                row = rows.setdefault(name, {"calls": 0, "throttled": 0})
                row["calls"] += bucket.calls
                row["throttled"] += bucket.throttled
        return {"apps": apps, "wabas": wabas}

    def clear(self) -> None:
        """Empty all windows and forget the counts."""
        with self._lock:
            self._buckets.clear()

    def _bucket(self, app_id: str, waba_id: str | None) -> Bucket:
        return self._buckets.setdefault((app_id, waba_id), Bucket())
