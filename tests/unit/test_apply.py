# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work on one number: exactly which requests are sent, in which order, and a true account of what was done."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _apply
from ansible_collections.waba.flows.plugins.module_utils._apply import Applied, Rules, Target, apply_key, read_key
from ansible_collections.waba.flows.plugins.module_utils._budget import ALL, Budget
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidOptions,
    KeyConflict,
    NotReadable,
    NotVerified,
    Timeout,
    WabaError,
)
from ansible_collections.waba.flows.plugins.module_utils._http import Job
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Connection, Provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import Desired, PublishedKey
from ansible_collections.waba.flows.tests.unit.helpers import Clock, KeyPair, Keys, make_client, make_job
from tests.sandbox import DEFAULT_NUMBER, Sandbox, make_number

pytestmark = pytest.mark.usefixtures("quick")


def rules(check_mode: bool = False, retries: int = 3, verify_timeout: float = 1.0) -> Rules:
    return Rules(verify_timeout, check_mode, retries)


def desired(key: KeyPair, **members: t.Any) -> Desired:
    return Desired(key.pem, key.fingerprint, **members)


def hold(box: Sandbox, key: KeyPair | None, status: str = "VALID") -> None:
    box.state.numbers[DEFAULT_NUMBER] = make_number(key=key.pem if key else None, signature_status=status)


def apply(box: Sandbox, wanted: Desired, how: Rules | None = None, *, number: str = DEFAULT_NUMBER, **options: t.Any) -> Applied:
    client = make_client(box.base_url, **options)
    return apply_key(Target(client, number, make_job()), wanted, how or rules())


def methods(box: Sandbox) -> str:
    return " ".join(record.method for record in box.requests)


def fingerprints(done: Applied) -> tuple[str | None, str | None]:
    return (done.before.fingerprint if done.before else "not known", done.after.fingerprint if done.after else "not known")


# -- without faults


def test_read_sends_one_get(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.a)
    done = read_key(Target(make_client(box.base_url), DEFAULT_NUMBER, make_job()))
    assert (done.outcome, done.changed, done.attempts, done.error) == ("read", False, 0, None)
    assert done.after == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")
    assert methods(box) == "GET"


# what the number holds ("a" is the desired key), its status, what is allowed, the outcome, the requests
PLAIN: list[tuple[str, str, dict[str, t.Any], str, str]] = [
    ("", "MISMATCH", {}, "set", "GET POST GET"),
    ("", "MISMATCH", {"expected": frozenset()}, "set", "GET POST GET"),
    ("b", "VALID", {}, "replaced", "GET POST GET"),
    ("b", "VALID", {"expected": "held"}, "replaced", "GET POST GET"),
    ("b", "MISMATCH", {}, "replaced", "GET POST GET"),
    ("a", "VALID", {}, "unchanged", "GET"),
    ("a", "VALID", {"expected": frozenset()}, "unchanged", "GET"),
    ("a", "MISMATCH", {}, "resigned", "GET POST GET"),
    ("a", "VALID", {"force": True}, "resigned", "GET POST GET"),
    ("b", "VALID", {"expected": frozenset()}, "refused", "GET"),
    ("b", "VALID", {"expected": frozenset(), "force": True}, "refused", "GET"),
]


def allowed(members: dict[str, t.Any], held: KeyPair | None) -> dict[str, t.Any]:
    if members.get("expected") == "held" and held:
        return {**members, "expected": frozenset({held.fingerprint})}
    return members


@pytest.mark.parametrize(("held", "status", "members", "outcome", "sequence"), PLAIN)
def test_outcome_and_requests(
    *, held: str, status: str, members: dict[str, t.Any], outcome: str, sequence: str, box: Sandbox, keys: Keys
) -> None:
    holds = getattr(keys, held) if held else None
    hold(box, holds, status)
    done = apply(box, desired(keys.a, **allowed(members, holds)))
    assert (done.outcome, methods(box)) == (outcome, sequence)
    assert done.changed is (outcome in ("set", "replaced", "resigned"))
    assert done.attempts == sequence.count("POST")
    after = keys.b.fingerprint if outcome == "refused" else keys.a.fingerprint
    assert fingerprints(done) == (holds.fingerprint if holds else None, after)
    assert (done.error is not None) is (outcome == "refused")


@pytest.mark.parametrize(("held", "status", "members", "outcome", "sequence"), PLAIN)
def test_check_mode_predicts_it_with_one_get(
    *, held: str, status: str, members: dict[str, t.Any], outcome: str, sequence: str, box: Sandbox, keys: Keys
) -> None:
    holds = getattr(keys, held) if held else None
    hold(box, holds, status)
    wanted = desired(keys.a, **allowed(members, holds))
    predicted = apply(box, wanted, rules(check_mode=True))
    assert (predicted.outcome, methods(box), predicted.attempts) == (outcome, "GET", 0)
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == (holds.pem if holds else None)
    real = apply(box, wanted)
    assert (predicted.outcome, predicted.changed, fingerprints(predicted)) == (real.outcome, real.changed, fingerprints(real))
    assert predicted.after == real.after
    assert "POST" in sequence or not box.posts


def test_a_second_run_sends_one_get(box: Sandbox, keys: Keys) -> None:
    assert apply(box, desired(keys.a)).outcome == "set"
    box.clear()
    assert apply(box, desired(keys.a)).outcome == "unchanged"
    assert methods(box) == "GET"


def test_a_refusal_names_the_key_that_is_there_and_what_to_do(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    done = apply(box, desired(keys.a, expected=frozenset({keys.c.fingerprint})))
    assert keys.b.fingerprint in str(done.error)
    assert "expected_fingerprints" in str(done.error)
    assert done.error is not None
    assert not done.error.retryable


def test_an_id_that_cannot_be_one_sends_nothing(box: Sandbox, keys: Keys) -> None:
    done = apply(box, desired(keys.a), number="+15550100")
    assert (done.outcome, done.changed, fingerprints(done)) == ("failed", False, ("not known", "not known"))
    assert isinstance(done.error, InvalidOptions)
    assert box.requests == []


def test_a_number_that_cannot_be_read_is_not_written(box: Sandbox, keys: Keys) -> None:
    done = apply(box, desired(keys.a), access_token="wrong")
    assert (done.outcome, done.changed, done.before, done.after) == ("failed", False, None, None)
    assert methods(box) == "GET"


def test_an_answer_that_is_not_understood_does_not_lead_to_a_post(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    box.fault(DEFAULT_NUMBER, "body", body="{}", method="GET")
    done = apply(box, desired(keys.a))
    assert (done.outcome, done.changed) == ("failed", False)
    assert methods(box) == "GET"


# -- faults of the POST: the fault, and the requests that follow
#
# Without an answer that says yes, the number is read first, also where the key certainly was not taken: somebody else may
# have set another one meanwhile. The key is sent again only where it is not there.

RECOVERED: list[tuple[dict[str, t.Any], str]] = [
    ({"kind": "applied_then_error"}, "GET POST GET GET"),
    ({"kind": "applied_then_reset"}, "GET POST GET GET"),
    ({"kind": "html", "status": 502, "applied": True}, "GET POST GET GET"),
    ({"kind": "html", "status": 200, "applied": True}, "GET POST GET GET"),
    ({"kind": "empty", "applied": True}, "GET POST GET GET"),
    ({"kind": "truncated"}, "GET POST GET GET"),
    ({"kind": "error", "status": 500, "code": 131000}, "GET POST GET POST GET"),
    ({"kind": "error", "status": 500, "code": 131000, "times": 3}, "GET POST GET POST GET POST GET POST GET"),
    ({"kind": "reset"}, "GET POST GET POST GET"),
    ({"kind": "html", "status": 502}, "GET POST GET POST GET"),
    ({"kind": "html", "status": 408}, "GET POST GET POST GET"),
    ({"kind": "html", "status": 408, "applied": True}, "GET POST GET GET"),
    ({"kind": "body", "body": "{\"error\": \"x\"}", "status": 200}, "GET POST GET POST GET"),
    ({"kind": "throttle", "retry_after": 0}, "GET POST GET POST GET"),
    ({"kind": "throttle", "retry_after": 0, "times": 3}, "GET POST GET POST GET POST GET POST GET"),
    ({"kind": "stale_reads", "reads": 2}, "GET POST GET GET GET"),
]


@pytest.mark.parametrize(("fault", "sequence"), RECOVERED)
@pytest.mark.parametrize("held", ["", "b"])
def test_a_fault_of_the_post_is_overcome(fault: dict[str, t.Any], sequence: str, held: str, box: Sandbox, keys: Keys) -> None:
    holds = getattr(keys, held) if held else None
    hold(box, holds, "VALID" if holds else "MISMATCH")
    box.fault(DEFAULT_NUMBER, **{"method": "POST", **fault})
    done = apply(box, desired(keys.a))
    assert done.error is None
    assert (done.outcome, done.changed) == ("replaced" if held else "set", True)
    assert methods(box) == sequence
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == keys.a.pem
    assert fingerprints(done) == (holds.fingerprint if holds else None, keys.a.fingerprint)


def test_the_key_is_read_back_and_found_so_it_is_sent_once(box: Sandbox, keys: Keys) -> None:
    box.fault(DEFAULT_NUMBER, "applied_then_error")
    assert apply(box, desired(keys.a)).attempts == 1


def test_a_resigned_key_counts_as_applied_once_its_status_is_valid(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.a, "MISMATCH")
    box.fault(DEFAULT_NUMBER, "applied_then_error")
    done = apply(box, desired(keys.a))
    assert (done.outcome, done.changed, done.attempts) == ("resigned", True, 1)


def test_a_mismatch_after_the_post_is_not_verified(box: Sandbox, keys: Keys) -> None:
    box.fault(DEFAULT_NUMBER, "mismatch")
    done = apply(box, desired(keys.a), rules(verify_timeout=0.05))
    assert isinstance(done.error, NotVerified)
    assert (done.outcome, done.changed) == ("failed", True)
    assert done.after == PublishedKey(keys.a.pem, keys.a.fingerprint, "MISMATCH")
    assert "MISMATCH" in str(done.error)
    assert done.error.retryable


def test_a_post_that_is_ignored_is_not_verified(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    box.fault(DEFAULT_NUMBER, "ignored_post")
    done = apply(box, desired(keys.a), rules(verify_timeout=0))
    assert isinstance(done.error, NotVerified)
    assert (done.outcome, done.changed) == ("failed", True)
    assert fingerprints(done) == (keys.b.fingerprint, keys.b.fingerprint)
    assert methods(box) == "GET POST GET"


@pytest.mark.parametrize(("seconds", "looks"), [(0.0, 1), (0.03, 3), (0.07, 4)])
def test_verify_timeout_bounds_the_looks(
    *, seconds: float, looks: int, box: Sandbox, keys: Keys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_apply, "time", SimpleNamespace(monotonic=clock.now))
    box.fault(DEFAULT_NUMBER, "ignored_post")
    done = apply(box, desired(keys.a), Rules(seconds, False, 3, clock.sleep))
    assert isinstance(done.error, NotVerified)
    assert methods(box) == " ".join(["GET", "POST"] + ["GET"] * looks)
    assert sum(clock.slept) == pytest.approx(seconds)


def test_verifying_does_not_outlast_the_total_time(box: Sandbox, keys: Keys, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "ignored_post")
    target = Target(make_client(box.base_url), DEFAULT_NUMBER, make_job(2.0))
    done = apply_key(target, desired(keys.a), Rules(1000.0, False, 3, clock.sleep))
    assert isinstance(done.error, NotVerified)
    assert max(clock.slept) < 2.0


@pytest.mark.parametrize(("fault", "sequence", "changed"), [
    ({"kind": "error", "status": 400, "code": 100}, "GET POST", False),
    ({"kind": "error", "status": 403, "code": 200}, "GET POST", False),
    ({"kind": "error", "status": 400, "code": 133010}, "GET POST", False),
    ({"kind": "error", "status": 500, "code": 133010}, "GET POST", False),
    ({"kind": "error", "status": 500, "code": 131045}, "GET POST", False),
    ({"kind": "throttle", "retry_after": 1000}, "GET POST", False),
    ({"kind": "throttle", "retry_after": 0}, "GET POST GET POST GET POST", False),
    ({"kind": "error", "status": 500, "code": 131000}, "GET POST GET POST GET POST GET", False),
    ({"kind": "reset"}, "GET POST GET POST GET POST GET", False),
])
def test_a_post_that_fails_for_good(
    *, fault: dict[str, t.Any], sequence: str, changed: bool, box: Sandbox, keys: Keys
) -> None:
    hold(box, keys.b)
    box.fault(DEFAULT_NUMBER, **{"method": "POST", "times": -1, **fault})
    done = apply(box, desired(keys.a), rules(retries=2), retries=2)
    assert methods(box) == sequence
    assert (done.outcome, done.changed) == ("failed", changed)
    assert isinstance(done.error, WabaError)
    assert fingerprints(done) == (keys.b.fingerprint, keys.b.fingerprint)


def test_an_answer_to_the_post_that_stays_not_understood_leaves_the_key_as_read_back(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    box.fault(DEFAULT_NUMBER, "html", status=200, method="POST", times=-1)
    done = apply(box, desired(keys.a), rules(retries=1), retries=1)
    assert (done.outcome, done.changed) == ("failed", False)
    assert fingerprints(done) == (keys.b.fingerprint, keys.b.fingerprint)


@pytest.mark.parametrize("kind", ["applied_then_error", "applied_then_reset"])
def test_an_error_while_reading_back_after_an_unknown_outcome_counts_as_changed(kind: str, box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    box.fault(DEFAULT_NUMBER, kind)
    client = make_client(box.base_url)
    done = apply_key(Target(Deafened(client, after=1), DEFAULT_NUMBER, make_job()), desired(keys.a), rules())
    assert (done.outcome, done.changed) == ("failed", True)
    assert fingerprints(done) == (keys.b.fingerprint, "not known")


def test_an_error_while_verifying_counts_as_changed_and_the_old_key_is_not_reported_as_held(box: Sandbox, keys: Keys) -> None:
    hold(box, keys.b)
    client = make_client(box.base_url)
    done = apply_key(Target(Deafened(client, after=1), DEFAULT_NUMBER, make_job()), desired(keys.a), rules())
    assert isinstance(done.error, ConnectionFailed)
    assert (done.outcome, done.changed, done.attempts) == ("failed", True, 1)
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == keys.a.pem
    assert fingerprints(done) == (keys.b.fingerprint, "not known")


def test_the_tally_counts_every_request_and_repetition(box: Sandbox, keys: Keys) -> None:
    box.fault(DEFAULT_NUMBER, "error", status=500, code=131000, method="POST")
    box.fault(DEFAULT_NUMBER, "error", status=500, code=2, method="GET")
    job = make_job()
    assert apply_key(Target(make_client(box.base_url), DEFAULT_NUMBER, job), desired(keys.a), rules()).error is None
    assert job.tally.requests == len(box.requests)
    assert job.tally.retries == 2


# -- what no sandbox can do: a provider that plays a script


class Scripted(Provider):
    """Answers reads, writes, and whether there was a quiet time to wait for, from lists; an exception in them is raised."""

    name = "scripted"

    def __init__(
        self, reads: t.Sequence[PublishedKey | Exception], writes: t.Sequence[Exception | None] = (),
        rests: t.Sequence[bool | Exception] = (),
    ) -> None:
        self.connection = t.cast(Connection, None)
        self.reads, self.writes, self.rests = list(reads), list(writes), list(rests)
        self.calls: list[str] = []

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        return []

    def check_number(self, phone_number_id: str) -> None:
        pass

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        self.calls.append("GET")
        found = self.reads.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        self.calls.append("POST")
        if self.writes and (error := self.writes.pop(0)) is not None:
            raise error

    def rest(self, job: Job) -> bool:
        if not self.rests:
            return False
        rested = self.rests.pop(0)
        if isinstance(rested, Exception):
            raise rested
        if rested:
            self.calls.append("rest")
        return rested

    def pause(self, error: WabaError, attempt: int, job: Job) -> None:
        pass

    def apply(self, wanted: Desired, how: Rules | None = None, recorded: str | None = None) -> Applied:
        return apply_key(Target(self, "1", make_job(), recorded), wanted, how or rules())


class Deafened(Provider):
    """A client whose reads fail from the second on, as when the network goes away."""

    name = "deafened"

    def __init__(self, client: Provider, after: int) -> None:
        super().__init__(client.connection, client.http)
        self._client, self._left = client, after

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        return []

    def check_number(self, phone_number_id: str) -> None:
        self._client.check_number(phone_number_id)

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        self._left -= 1
        if self._left < 0:
            raise ConnectionFailed("gone")
        return self._client.read(phone_number_id, job)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        self._client.write(phone_number_id, pem, job)


def held(key: KeyPair, status: str | None = "VALID", pem: str | None = None) -> PublishedKey:
    return PublishedKey(pem or key.pem, key.fingerprint, status)


TEMPORARY = ApiError("x", http_status=500, code=131000)


def test_another_operators_key_that_comes_between_is_not_overwritten(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.c)], [TEMPORARY])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "POST", "GET"]
    assert done.outcome == "refused"
    assert keys.c.fingerprint in str(done.error)
    assert fingerprints(done) == (keys.b.fingerprint, keys.c.fingerprint)


def test_without_a_list_another_operators_key_is_overwritten(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.c), held(keys.a)], [TEMPORARY])
    done = provider.apply(desired(keys.a))
    assert provider.calls == ["GET", "POST", "GET", "POST", "GET"]
    assert (done.outcome, done.error) == ("replaced", None)


THROTTLED = ApiError("x", http_status=429, code=4)
NOT_SENT = ConnectionFailed("x", outcome_unknown=False)


@pytest.mark.parametrize("error", [THROTTLED, NOT_SENT, TEMPORARY, Timeout("x")], ids=["throttled", "not sent", "500", "timeout"])
def test_no_error_of_the_post_lets_another_operators_key_be_overwritten(error: WabaError, keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.c)], [error])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "POST", "GET"]
    assert (done.outcome, done.attempts) == ("refused", 1)
    assert fingerprints(done) == (keys.b.fingerprint, keys.c.fingerprint)


@pytest.mark.parametrize("error", [THROTTLED, NOT_SENT], ids=["throttled", "not sent"])
def test_a_post_that_was_not_applied_is_sent_again_after_a_read(error: WabaError, keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.b), held(keys.a)], [error])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "POST", "GET", "POST", "GET"]
    assert (done.outcome, done.changed, done.attempts, done.error) == ("replaced", True, 2, None)


@pytest.mark.parametrize("error", [THROTTLED, NOT_SENT], ids=["throttled", "not sent"])
def test_the_last_post_that_was_not_applied_is_not_read_back(error: WabaError, keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.b)], [error, error])
    done = provider.apply(desired(keys.a), rules(retries=1))
    assert provider.calls == ["GET", "POST", "GET", "POST"]
    assert (done.outcome, done.changed, done.error) == ("failed", False, error)
    assert fingerprints(done) == (keys.b.fingerprint, keys.b.fingerprint)


def test_a_key_that_somebody_else_set_as_wanted_is_not_sent_again(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.a), held(keys.a)], [THROTTLED])
    done = provider.apply(desired(keys.a))
    assert provider.calls == ["GET", "POST", "GET", "GET"]
    assert (done.outcome, done.error) == ("replaced", None)


def test_after_a_quiet_time_the_number_is_read_again_before_the_key_is_sent(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.b), held(keys.a)], rests=[True])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "rest", "GET", "POST", "GET"]
    assert (done.outcome, done.attempts, done.error) == ("replaced", 1, None)


def test_a_key_that_was_set_during_the_quiet_time_is_not_overwritten(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.c)], rests=[True])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "rest", "GET"]
    assert (done.outcome, done.changed, done.attempts) == ("refused", False, 0)
    assert fingerprints(done) == (keys.b.fingerprint, keys.c.fingerprint)
    assert keys.c.fingerprint in str(done.error)


def test_every_post_rests_first(keys: Keys) -> None:
    provider = Scripted([held(keys.b)] * 4 + [held(keys.c)], [THROTTLED, THROTTLED], rests=[False, True, True])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    assert provider.calls == ["GET", "POST", "GET", "rest", "GET", "POST", "GET", "rest", "GET"]
    assert (done.outcome, done.changed, done.attempts) == ("refused", False, 2)


def test_a_quiet_time_that_is_too_long_sends_nothing(keys: Keys) -> None:
    quiet = DeadlineExceeded("x", outcome_unknown=False)
    provider = Scripted([held(keys.b)], rests=[quiet])
    done = provider.apply(desired(keys.a))
    assert provider.calls == ["GET"]
    assert (done.outcome, done.changed, done.attempts, done.error) == ("failed", False, 0, quiet)
    assert fingerprints(done) == (keys.b.fingerprint, keys.b.fingerprint)


def test_a_client_that_another_number_got_throttled_rests_and_reads_again(box: Sandbox, keys: Keys, clock: Clock) -> None:
    hold(box, keys.b)
    client = make_client(box.base_url)
    client.http._sleep, client.http._clock, client.http.budget = clock.sleep, clock.now, Budget(clock.now)

    class Throttled(Deafened):
        def read(self, phone_number_id: str, job: Job) -> PublishedKey:
            found = super().read(phone_number_id, job)
            if clock.time < 1020:  # it starts at 1000
                self.http.budget.throttle(ALL, 1020.0 - clock.time)
            return found

    done = apply_key(Target(Throttled(client, after=9), DEFAULT_NUMBER, make_job()), desired(keys.a), rules())
    assert (done.outcome, done.error) == ("replaced", None)
    assert clock.slept == [20.0]
    assert methods(box) == "GET GET POST GET"


class SlowReads(Scripted):
    """Each look takes half a second."""

    def __init__(self, clock: Clock, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        self._clock = clock

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        self._clock.time += 0.5
        return super().read(phone_number_id, job)


@pytest.mark.parametrize(("seconds", "looks"), [(0.0, 1), (0.4, 1), (0.6, 2), (1.2, 3)])
def test_verify_timeout_bounds_the_time_that_looking_takes_too(
    seconds: float, looks: int, keys: Keys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_apply, "time", SimpleNamespace(monotonic=clock.now))
    provider = SlowReads(clock, [held(keys.b)] * 9)
    done = provider.apply(desired(keys.a), Rules(seconds, False, 3, clock.sleep))
    assert isinstance(done.error, NotVerified)
    assert provider.calls == ["GET", "POST"] + ["GET"] * looks


def test_a_key_of_another_operator_after_the_post_is_not_verified_and_named(keys: Keys) -> None:
    provider = Scripted([held(keys.b), held(keys.c)])
    done = provider.apply(desired(keys.a), rules(verify_timeout=0))
    assert isinstance(done.error, NotVerified)
    assert keys.c.fingerprint in str(done.error)


def test_other_line_ends_of_the_same_old_key_are_no_change(keys: Keys) -> None:
    """The newline at the end of a key that the API returns varies."""
    provider = Scripted([held(keys.b), held(keys.b, pem=keys.b.pem.rstrip("\n"))], [TEMPORARY])
    done = provider.apply(desired(keys.a), rules(retries=0))
    assert (done.outcome, done.changed) == ("failed", False)


def test_other_line_ends_do_not_make_a_forced_post_count_as_taken(keys: Keys) -> None:
    provider = Scripted([held(keys.a), held(keys.a, pem=keys.a.pem.rstrip("\n")), held(keys.a)], [TEMPORARY])
    done = provider.apply(desired(keys.a, force=True))
    assert provider.calls == ["GET", "POST", "GET", "POST", "GET"]
    assert (done.outcome, done.error) == ("resigned", None)


def test_a_provider_that_tells_no_status_is_verified_by_its_key(keys: Keys) -> None:
    provider = Scripted([PublishedKey(None, None, None), held(keys.a, None)])
    done = provider.apply(desired(keys.a))
    assert (done.outcome, done.error) == ("set", None)


def test_force_is_sent_again_until_an_answer_says_yes(keys: Keys) -> None:
    provider = Scripted([held(keys.a)] * 3, [Timeout("x"), None])
    done = provider.apply(desired(keys.a, force=True))
    assert provider.calls == ["GET", "POST", "GET", "POST", "GET"]
    assert (done.outcome, done.changed, done.attempts) == ("resigned", True, 2)


@pytest.mark.parametrize(("reads", "writes", "changed"), [
    ([ValueError("s3cret")], [], False),
    (["held", KeyError("s3cret")], [], True),
    (["held", ValueError("s3cret")], [TEMPORARY], True),
    (["held", ValueError("s3cret")], [THROTTLED], True),
    (["held", "held", ValueError("s3cret")], [TEMPORARY], True),
    (["held", "held"], [TEMPORARY, RuntimeError("s3cret")], True),
])
def test_an_unexpected_exception_becomes_a_failed_row_without_its_text(
    reads: list[t.Any], writes: list[Exception], changed: bool, keys: Keys
) -> None:
    script = [held(keys.b) if item == "held" else item for item in reads]
    done = Scripted(script, writes).apply(desired(keys.a))
    assert done.outcome == "failed"
    assert done.error is not None
    assert done.error.as_dict()["type"] == "Interrupted"
    assert "s3cret" not in str(done.error)
    assert (done.changed, done.after) == (changed, None)


def test_a_post_that_died_unexpectedly_counts_as_changed(keys: Keys) -> None:
    """Nobody knows whether it was sent."""
    done = Scripted([held(keys.b)], [RuntimeError("x")]).apply(desired(keys.a))
    assert (done.outcome, done.changed, done.after) == ("failed", True, None)


def test_an_unexpected_exception_before_anything_was_sent_leaves_what_was_read(keys: Keys) -> None:
    done = Scripted([held(keys.b)], rests=[RuntimeError("s3cret")]).apply(desired(keys.a))
    assert (done.outcome, done.changed, done.attempts) == ("failed", False, 0)
    assert done.after == held(keys.b)


def test_reading_never_raises(keys: Keys) -> None:
    done = read_key(Target(Scripted([ValueError("s3cret")]), "1", make_job()))
    assert (done.outcome, type(done.error).__name__) == ("failed", "Interrupted")


# -- providers that cannot be asked which key a number holds

MUTE = NotReadable("x")
REFUSED = ApiError("x", http_status=403, code=10)


def recorded(key: KeyPair) -> PublishedKey:
    return PublishedKey(key.pem, key.fingerprint, None, "recorded")


@pytest.mark.parametrize("on_record", [True, False])
def test_reading_such_a_number_gives_what_is_on_record(on_record: bool, keys: Keys) -> None:
    fingerprint = keys.b.fingerprint if on_record else None
    done = read_key(Target(Scripted([MUTE]), "1", make_job(), fingerprint))
    assert (done.outcome, done.changed, done.error) == ("unknown", False, None)
    assert done.after == PublishedKey(None, fingerprint, None, "recorded" if on_record else "unknown")


def test_what_can_be_read_counts_and_not_the_record(keys: Keys) -> None:
    done = read_key(Target(Scripted([held(keys.a)]), "1", make_job(), keys.b.fingerprint))
    assert (done.outcome, done.after) == ("read", held(keys.a))


# what is on record, what is allowed, the outcome, the requests
BLIND: list[tuple[str, dict[str, t.Any], str, str]] = [
    ("", {}, "accepted", "GET POST GET"),
    ("", {"expected": frozenset()}, "refused", "GET"),
    ("", {"expected": frozenset(), "force": True}, "refused", "GET"),
    ("b", {}, "accepted", "GET POST GET"),
    ("b", {"expected": "held"}, "accepted", "GET POST GET"),
    ("b", {"expected": frozenset()}, "refused", "GET"),
    ("a", {"expected": frozenset()}, "unchanged", "GET"),
    ("a", {"expected": frozenset(), "force": True}, "accepted", "GET POST GET"),
]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("noted", "members", "outcome", "sequence"), BLIND)
def test_outcome_and_requests_without_reading(
    *, noted: str, members: dict[str, t.Any], outcome: str, sequence: str, check_mode: bool, keys: Keys
) -> None:
    holds = getattr(keys, noted) if noted else None
    provider = Scripted([MUTE] * 3)
    wanted = desired(keys.a, **allowed(members, holds))
    done = provider.apply(wanted, rules(check_mode), holds.fingerprint if holds else None)
    assert done.outcome == outcome
    assert provider.calls == ["GET"] if check_mode else provider.calls == sequence.split()
    assert (done.changed, isinstance(done.error, KeyConflict)) == (outcome == "accepted", outcome == "refused")
    if outcome == "accepted":
        assert done.after == recorded(keys.a)
    elif done.after is not None:
        assert done.after.fingerprint == (holds.fingerprint if holds else None)


def test_a_refusal_without_a_record_says_how_to_give_one(keys: Keys) -> None:
    done = Scripted([MUTE]).apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})))
    for text in ("cannot be asked", "recorded_fingerprint", "leave expected_fingerprints out"):
        assert text in str(done.error)


def test_a_refusal_by_the_record_names_the_key(keys: Keys) -> None:
    done = Scripted([MUTE]).apply(desired(keys.a, expected=frozenset()), recorded=keys.b.fingerprint)
    assert keys.b.fingerprint in str(done.error)
    assert "expected_fingerprints" in str(done.error)


@pytest.mark.parametrize("error", [ConnectionFailed("x"), TEMPORARY], ids=["cut", "500"])
def test_a_post_without_an_answer_is_sent_again(error: WabaError, keys: Keys) -> None:
    provider = Scripted([MUTE] * 3, [error])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})), recorded=keys.b.fingerprint)
    assert provider.calls == ["GET", "POST", "GET", "POST", "GET"]
    assert (done.outcome, done.changed, done.attempts, done.error) == ("accepted", True, 2, None)
    assert done.after == recorded(keys.a)


@pytest.mark.parametrize("on_record", ["a", "b", ""])
@pytest.mark.parametrize("last", [ConnectionFailed("x"), TEMPORARY, THROTTLED, REFUSED],
                         ids=["cut", "500", "throttled", "refused"])
def test_once_a_post_may_have_been_taken_only_an_answer_tells_what_is_held(last: WabaError, on_record: str, keys: Keys) -> None:
    noted = getattr(keys, on_record).fingerprint if on_record else None
    provider = Scripted([MUTE] * 3, [ConnectionFailed("x"), last])
    done = provider.apply(desired(keys.a, force=True), rules(retries=1), noted)
    assert (done.outcome, done.changed, done.after, done.error) == ("failed", True, None, last)
    assert done.before is not None
    assert done.before.fingerprint == noted


@pytest.mark.parametrize("error", [REFUSED, NOT_SENT], ids=["refused", "not sent"])
def test_a_post_that_was_not_taken_leaves_what_is_on_record(error: WabaError, keys: Keys) -> None:
    provider = Scripted([MUTE] * 2, [error, error])
    done = provider.apply(desired(keys.a), rules(retries=1), keys.b.fingerprint)
    assert (done.outcome, done.changed) == ("failed", False)
    assert done.after == PublishedKey(None, keys.b.fingerprint, None, "recorded")


@pytest.mark.parametrize("on_record", [True, False])
def test_a_number_that_can_be_read_once_it_has_the_key_is_verified(on_record: bool, keys: Keys) -> None:
    provider = Scripted([MUTE, held(keys.a)])
    done = provider.apply(desired(keys.a), recorded=keys.b.fingerprint if on_record else None)
    assert provider.calls == ["GET", "POST", "GET"]
    assert (done.outcome, done.changed, done.after, done.error) == ("accepted", True, held(keys.a), None)


def test_a_key_that_shows_after_a_cut_post_is_not_sent_again(keys: Keys) -> None:
    provider = Scripted([MUTE, held(keys.a), held(keys.a)], [ConnectionFailed("x")])
    done = provider.apply(desired(keys.a), recorded=keys.b.fingerprint)
    assert provider.calls == ["GET", "POST", "GET", "GET"]
    assert (done.changed, done.attempts, done.after, done.error) == (True, 1, held(keys.a), None)


def test_a_foreign_key_that_shows_after_a_cut_post_is_not_replaced(keys: Keys) -> None:
    provider = Scripted([MUTE, held(keys.c)], [ConnectionFailed("x")])
    done = provider.apply(desired(keys.a, expected=frozenset({keys.b.fingerprint})), recorded=keys.b.fingerprint)
    assert provider.calls == ["GET", "POST", "GET"]
    assert (done.outcome, done.after) == ("refused", held(keys.c))


def test_a_number_that_can_no_longer_be_read_has_accepted_its_key(keys: Keys) -> None:
    done = Scripted([held(keys.b), MUTE]).apply(desired(keys.a))
    assert (done.outcome, done.changed, done.before, done.after) == ("accepted", True, held(keys.b), recorded(keys.a))


@pytest.mark.parametrize("shown", ["b", "a"])
def test_what_shows_after_the_post_has_to_be_the_key_with_its_signature(shown: str, keys: Keys) -> None:
    found = held(getattr(keys, shown), "MISMATCH")
    done = Scripted([MUTE, found]).apply(desired(keys.a), rules(verify_timeout=0))
    assert isinstance(done.error, NotVerified)
    assert (done.outcome, done.changed, done.after) == ("failed", True, found)


@pytest.mark.attack("foreign", "throttling of one WABA, of all or just before a change, beside numbers that could be worked on")
@pytest.mark.parametrize("meanwhile", [True, False])
def test_throttling_between_the_last_look_and_the_post_has_the_number_read_again(
    meanwhile: bool, box: Sandbox, keys: Keys, clock: Clock
) -> None:
    """Another worker is throttled just then; while all wait, somebody sets another key, or nobody does."""
    client = make_client(box.base_url)
    client.http._sleep = clock.sleep
    client.http.budget = Budget(clock.now)
    rest = client.http.rest

    def throttled_after_the_look(job: Job) -> bool:
        rested = rest(job)
        client.http.budget.throttle(ALL, 7.0)
        if meanwhile:
            box.state.numbers[DEFAULT_NUMBER].business_public_key = keys.c.pem
        client.http.rest = rest  # type: ignore[method-assign]
        client.rest = client.http.rest  # type: ignore[method-assign]
        return rested

    client.rest = throttled_after_the_look  # type: ignore[method-assign]
    wanted = Desired(keys.a.pem, keys.a.fingerprint, frozenset())
    done = apply_key(Target(client, DEFAULT_NUMBER, make_job()), wanted, rules())
    assert clock.slept == [7.0]
    assert [record.method for record in box.requests] == (["GET", "GET"] if meanwhile else ["GET", "GET", "POST", "GET"])
    assert (done.outcome, done.changed, done.attempts) == (("refused", False, 0) if meanwhile else ("set", True, 1))
