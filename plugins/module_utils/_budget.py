# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""How fast an API may be called: one budget a credential, with a bucket for all of it and one for each account (WABA).

Meta counts calls over a rolling hour, for an app and for each WABA, and tells with each answer how many percent are used up
(C(x-app-usage), C(x-business-use-case-usage)). Who calls on while throttled waits longer. Nothing here sends or sleeps.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import typing as t

# The account of numbers whose WABA is not known, and the bucket of a credential as a whole.
ALL = ""

WINDOW_SECONDS = 3600.0
# What Meta documents for a WABA with a registered number and for one without, in calls an hour.
USUAL_LIMIT = 5000
LOWEST_LIMIT = 200
# From this share of the limit on, in percent, the numbers that are left are spread over the time.
SPREAD_FROM = 80.0
# GET, POST and GET again, the most that a number takes as a rule.
CALLS_PER_NUMBER = 3
# For as many numbers it is told beforehand what they will cost.
MANY = 100

# Seconds that the API is left alone at most where it does not say for how long, and where it does: as good as for ever.
_LONGEST_BACKOFF = 300.0
LONGEST_WAIT = 10**6 * 60.0
_GAUGES = ("call_count", "total_cputime", "total_time")


@dataclasses.dataclass
class _Bucket:
    """What is known of one limit. Times are of the budget's clock; C(used) is in percent, as the API said last."""

    # Numbers that are not started yet.
    left: int = 0
    quiet_until: float = 0.0
    # How often the API throttled, since it last answered, without saying for how long.
    refusals: int = 0
    calls: int = 0
    used: float | None = None
    # (calls, percent) when the percentage stood higher than before for the first time.
    first_rise: tuple[int, float] | None = None
    # How many percent one call uses up: Meta's usual limit, until it can be told from what was seen.
    share: float = 100 / USUAL_LIMIT
    last_start: float = float("-inf")

    def saw(self, used: float) -> None:
        risen = self.used is not None and used > self.used
        if self.used is not None and used < self.used:  # older calls have left the window
            self.first_rise = None
        self.used = used
        if risen and self.first_rise is None:
            self.first_rise = (self.calls, used)
        elif risen and self.first_rise is not None:
            calls, percent = self.first_rise
            self.share = min((used - percent) / (self.calls - calls), 100 / LOWEST_LIMIT)

    def forget(self) -> None:
        self.used = self.first_rise = None

    def spacing(self) -> float:
        """Return the seconds from the start of one number to the next: at half of the rate that the limit allows in the long run.

        0 where what is left is enough for all numbers. Not slower, as others may hold the percentage up; the API says when it is
        enough.
        """
        share, left = CALLS_PER_NUMBER * self.share, 100 - (self.used or 0.0)
        if left > 100 - SPREAD_FROM or self.left * share <= left:
            return 0.0
        return 2 * share * WINDOW_SECONDS / 100


class Budget:
    """What one credential may still call. Thread-safe. C(account) is a WABA's ID, or ALL where it is not known."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def _bucket(self, account: str) -> _Bucket:
        return self._buckets.setdefault(account, _Bucket())

    def _of(self, account: str) -> list[_Bucket]:
        """Return the buckets that a call for an account is counted in."""
        return [self._bucket(name) for name in dict.fromkeys((ALL, account))]

    def expect(self, account: str) -> None:
        """Count a number of an account that is to be worked on."""
        with self._lock:
            for bucket in self._of(account):
                bucket.left += 1

    def wait(self, account: str) -> float:
        """Return the seconds until the API may be called for an account."""
        with self._lock:
            return max(0.0, max(bucket.quiet_until for bucket in self._of(account)) - self._clock())

    def throttle(self, account: str, seconds: float | None) -> None:
        """Have nobody call for an account; with ALL, nobody who uses this credential. A longer wait stands.

        Where the API names no time it is a second, and twice as long each time until it answers again.
        """
        with self._lock:
            bucket = self._bucket(account)
            if not seconds:
                seconds = min(_LONGEST_BACKOFF, 2.0 ** min(bucket.refusals, 9))  # a thousand refusals are beyond any number
                bucket.refusals += 1
            bucket.quiet_until = max(bucket.quiet_until, self._clock() + seconds)
            bucket.forget()  # by then it is another hour

    def answered(self, account: str, usage: t.Mapping[str, t.Any], good: bool = True) -> None:
        """Count a call, and note what its answer told: C(usage) is the decoded headers, as HttpClient returns them.

        C(good): it was no error. Then a time that the headers name counts, which is told by the error else.
        """
        cases = usage.get("x-business-use-case-usage", {})
        own = [row for rows in cases.values() for row in rows] if account == ALL else cases.get(account, [])
        with self._lock:
            for bucket in self._of(account):
                bucket.calls += 1
                bucket.refusals = 0 if good else bucket.refusals
            told = {ALL: [usage["x-app-usage"]] if "x-app-usage" in usage else []}
            told[account] = [*told.get(account, []), *own]
            for name, gauges in told.items():
                if gauges:
                    self._bucket(name).saw(max(map(_percent, gauges)))
        for name, rows in cases.items() if good else ():
            wait = max(map(regained_in, rows), default=0.0)
            if wait:
                self.throttle(ALL if account == ALL else name, wait)

    def start_in(self, account: str, longest: float) -> float:
        """Return the seconds until the work on another number may start, so that what is left is spread over the numbers.

        With 0 it counts as started. That is also the answer where the API throttles for C(longest) seconds or more: then the
        number's own call fails at once, and says so. To spread the numbers none waits longer than that.
        """
        throttled = self.wait(account)
        with self._lock:
            buckets, now = self._of(account), self._clock()
            spread = max(bucket.last_start + min(bucket.spacing(), longest) - now for bucket in buckets)
            wait = 0.0 if throttled >= longest else max(throttled, spread, 0.0)
            for bucket in buckets if wait == 0 else ():
                bucket.last_start = now
                bucket.left -= 1
            return wait


def _percent(gauges: t.Mapping[str, float]) -> float:
    """Return the gauge that is the fullest. One that is no percentage counts as empty."""
    values = (gauges.get(name, 0) for name in _GAUGES)
    return float(max((value for value in values if 0 <= value <= 10**6), default=0))


def regained_in(gauges: t.Mapping[str, float]) -> float:
    """Return the seconds until an account can be called again, as Meta estimates it in minutes; 0 where it is not throttled."""
    minutes = gauges.get("estimated_time_to_regain_access", 0)
    return min(minutes, 10**6) * 60.0 if minutes > 0 else 0.0


def describe_need(
    numbers: t.Mapping[str, int], usage: t.Mapping[str, t.Any], calls_per_number: int, limit: int = USUAL_LIMIT
) -> str:
    """Return in words how many calls the numbers take, C(numbers) by account, and whether they fit into an hour's limit.

    C(usage) is what the API told last, as the modules return it as C(api.usage).
    """
    told = usage.get("x-business-use-case-usage", {})
    used = {account: max(map(_percent, told[account]), default=0.0) for account in numbers if account in told}
    total = sum(numbers.values()) * calls_per_number
    accounts = [account for account in numbers if account != ALL]
    text = f"{_count(sum(numbers.values()), 'number')}, {_count(total, 'call')}"
    if not accounts:
        return f"{text}; whether they fit cannot be told without whatsapp_waba_id"
    over = {
        account: numbers[account] * calls_per_number for account in accounts
        if numbers[account] * calls_per_number > limit * (100 - used.get(account, 0.0)) / 100
    }
    where = f"{text} in {_count(len(accounts), 'WABA')}"
    if ALL in numbers:
        where += f" and for {_count(numbers[ALL], 'number')} of an unknown one"
    if not over:
        return f"{where}: fits into {limit:,} an hour for each WABA"
    named = ", ".join(f"{account} ({calls:,} calls, {used.get(account, 0.0):.0f} % of the hour used up)" for account, calls in
                      sorted(over.items())[:5])
    more = f" and {len(over) - 5} more" if len(over) > 5 else ""
    return f"{where}: more than {limit:,} an hour for {named}{more}, so it will have to wait"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
