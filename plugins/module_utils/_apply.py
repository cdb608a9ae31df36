# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The work on one number: read what it holds, decide, publish, and read back until it shows."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ._errors import HeldBack, KeyConflict, NotReadable, NotVerified, WabaError, defect_of
from ._http import Job
from ._reconcile import CHANGING, VALID, Desired, Outcome, PublishedKey, decide, is_met

if t.TYPE_CHECKING:
    from ._providers._registry import Provider

_FIRST_LOOK_AGAIN = 0.25
_MAX_LOOK_AGAIN = 5.0


@dataclasses.dataclass
class Applied:
    """What came of one number. C(before) is None where it could not be read; C(after) is what is known to hold now.

    C(changed) is true as well where a key was sent and it is not known whether it was taken.
    """

    outcome: Outcome
    before: PublishedKey | None = None
    after: PublishedKey | None = None
    changed: bool = False
    attempts: int = 0
    error: WabaError | None = None


@dataclasses.dataclass(frozen=True)
class Target:
    """The number that is worked on, the API that it is reached through, and the time and tally of this work.

    C(recorded) is the fingerprint that the number is on record to have accepted; it counts where the API cannot be asked.
    """

    provider: Provider
    phone_number_id: str
    job: Job
    recorded: str | None = None

    def read(self) -> PublishedKey:
        """Return what the API says the number holds, else what is on record. Raises WabaError."""
        try:
            return self.provider.read(self.phone_number_id, self.job)
        except NotReadable:
            return PublishedKey(None, self.recorded, None, "recorded" if self.recorded else "unknown")


@dataclasses.dataclass(frozen=True)
class Rules:
    """How publishing is done: C(verify_timeout) is the time in seconds until GET must show the key."""

    verify_timeout: float
    check_mode: bool
    retries: int
    sleep: t.Callable[[float], None] = time.sleep


def read_key(target: Target) -> Applied:
    """Read one number. Never raises: an error is in the result."""
    done = Applied("failed")
    with _recorded(done):
        target.provider.check_number(target.phone_number_id)
        done.before = done.after = target.read()
        done.outcome = "read" if done.after.source == "read" else "unknown"
    return done


def apply_key(target: Target, desired: Desired, rules: Rules) -> Applied:
    """Bring one number to the desired key. Never raises: an error is in the result, with a true account of what was done.

    The order follows from the API: what it says is the truth, so GET comes first; a POST replaces at once and cannot be
    undone; and GET may show the old key for a while.
    """
    done = Applied("failed")
    with _recorded(done):
        target.provider.check_number(target.phone_number_id)
        done.before = done.after = target.read()
        outcome = decide(desired, done.before)
        if outcome == "refused":
            raise _conflict(done.before)
        if outcome in CHANGING and rules.check_mode:
            done.changed, done.after = True, _taken(desired) if outcome == "accepted" else _shown(desired)
        elif outcome in CHANGING:
            _publish(target, desired, rules, done)
            if not _verify(target, desired, rules, done):
                outcome = "accepted"
        done.outcome = outcome
    return done


def _shown(desired: Desired) -> PublishedKey:
    return PublishedKey(desired.pem, desired.fingerprint, VALID)


def _taken(desired: Desired) -> PublishedKey:
    """Return what is known of a number that accepted a key and cannot be read: that it did."""
    return PublishedKey(desired.pem, desired.fingerprint, None, "recorded")


@contextlib.contextmanager
def _recorded(done: Applied) -> t.Iterator[None]:
    """Put the error that ends the work on a number into its result."""
    try:
        yield
    except KeyConflict as error:
        done.outcome, done.error = "refused", error
    except WabaError as error:
        done.error = error
    except Exception as error:
        # One number's surprise must not take the results of the others with it.
        if done.attempts:
            done.changed, done.after = True, None
        done.error = defect_of(error)


def _conflict(before: PublishedKey) -> KeyConflict:
    if before.source == "unknown":
        return KeyConflict(
            "It is not known which key the number holds: its provider cannot be asked, and no record of it was given.",
            "Give recorded_fingerprint, if the key is known; leave expected_fingerprints out to replace any key.",
        )
    return KeyConflict(
        f"The number holds the key {before.fingerprint}, which is not among those that may be replaced.",
        "Add its fingerprint to expected_fingerprints, if it really is to be replaced.",
    )


def _publish(target: Target, desired: Desired, rules: Rules, done: Applied) -> None:
    """Send the key. Before it is sent again, or late, what the number holds is read and compared again.

    An error that may hide a success (cut connection, HTTP 500) is one only if reading back does not show the key.
    """
    attempt = 0
    while True:
        if target.provider.rest(target.job):  # the API asked to be left alone since the number was read
            _read_again(target, desired, done)
        done.attempts += 1
        known, changed = done.after, done.changed
        done.changed, done.after = True, None  # so it stands whatever happens before it is read back
        try:
            target.provider.write(target.phone_number_id, desired.pem, target.job)
            return
        except HeldBack:  # it asked for that just now
            done.attempts, done.changed, done.after = done.attempts - 1, changed, known
            target.provider.rest(target.job)
            _read_again(target, desired, done)
            continue
        except WabaError as error:
            if not error.outcome_unknown:
                done.changed, done.after = changed, known
            last = attempt == rules.retries
            if not error.outcome_unknown and (last or not error.retryable):
                raise
            if not last:
                target.provider.pause(error, attempt, target.job)
            now = _read_again(target, desired, done)
            if now.source == "read":
                # Signing again a key that was fine (force) leaves no trace to read back, so it counts as not done.
                done.changed = not _same(done.before, now)
                if done.changed and is_met(desired, now):
                    return
            if last:
                raise
        attempt += 1
        target.job.tally.retries += 1


def _read_again(target: Target, desired: Desired, done: Applied) -> PublishedKey:
    """Note and return what the number holds now. Raises KeyConflict if a key was set meanwhile that may not be replaced.

    A record is from before this work: once a key may have been taken, it tells nothing of what the number holds now.
    """
    now = target.read()
    done.after = now if now.source == "read" or not done.changed else None
    if decide(desired, now) == "refused":
        raise _conflict(now)
    return now


def _same(before: PublishedKey | None, after: PublishedKey) -> bool:
    """Tell whether two reads show the same; the text of a key is no part of it, as its line ends vary."""
    if before is None or before.source == "unknown":
        return False
    if before.source == "recorded":
        return before.fingerprint == after.fingerprint
    return (before.fingerprint, before.status) == (after.fingerprint, after.status)


def _verify(target: Target, desired: Desired, rules: Rules, done: Applied) -> bool:
    """Read until GET shows the key and no stale signature, at growing intervals, within verify_timeout seconds.

    Return false where the API cannot be asked, so that all that is known is that it took the key.
    """
    started, slept, pause = time.monotonic(), 0.0, _FIRST_LOOK_AGAIN
    while True:
        now = target.read()
        if now.source != "read":
            done.after = _taken(desired)
            return False
        done.after = now
        if is_met(desired, now):
            return True
        waited = max(slept, time.monotonic() - started)
        if waited >= rules.verify_timeout or pause >= target.job.deadline.remaining():
            raise _not_verified(done.after, waited)
        rules.sleep(pause)
        slept += pause
        pause = min(pause * 2, _MAX_LOOK_AGAIN, max(rules.verify_timeout - waited - pause, 0.01))


def _not_verified(now: PublishedKey, waited: float) -> NotVerified:
    state = f"{now.fingerprint} with status {now.status}" if now.fingerprint else "no key"
    return NotVerified(
        f"The API accepted the key, but after {waited:.0f} s it still shows {state}.",
        "Run again; if it persists, the number may have to be registered or the API is delayed (raise verify_timeout).",
    )
