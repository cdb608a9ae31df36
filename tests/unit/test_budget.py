# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rate budget of a credential: waits, what is spread over the numbers that are left, and the estimate before a run."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils._budget import ALL, Budget, describe_need
from ansible_collections.waba.flows.tests.unit.helpers import Clock


def usage(account: str = "1", percent: float = 0, *, app: float | None = None) -> dict[str, t.Any]:
    gauges = {"call_count": percent, "total_time": 1}
    told: dict[str, t.Any] = {"x-business-use-case-usage": {account: [gauges]}}
    return told if app is None else {**told, "x-app-usage": {"call_count": app}}


def expecting(clock: Clock, **accounts: int) -> Budget:
    """Return a budget for so many numbers of accounts, named with an underscore before."""
    budget = Budget(clock.now)
    for account, count in accounts.items():
        for dummy in range(count):
            budget.expect(account.lstrip("_"))
    return budget


def answered(budget: Budget, calls: int, *percents: float, account: str = "1") -> None:
    """Have answers tell the percents, each after so many calls."""
    for percent in percents:
        for dummy in range(calls):
            budget.answered(account, usage(account, percent))


def test_a_fresh_budget_allows_everything(clock: Clock) -> None:
    budget = Budget(clock.now)
    assert (budget.wait(ALL), budget.wait("1"), budget.start_in("1", 10**4)) == (0.0, 0.0, 0.0)


def test_a_throttled_account_leaves_the_others_alone(clock: Clock) -> None:
    budget = Budget(clock.now)
    budget.throttle("1", 60)
    assert (budget.wait("1"), budget.wait("2"), budget.wait(ALL)) == (60.0, 0.0, 0.0)
    assert (budget.start_in("1", 10**4), budget.start_in("2", 10**4)) == (60.0, 0.0)


def test_a_throttled_credential_is_left_alone_by_all(clock: Clock) -> None:
    budget = Budget(clock.now)
    budget.throttle(ALL, 60)
    assert (budget.wait("1"), budget.wait("2"), budget.wait(ALL)) == (60.0, 60.0, 60.0)


def test_the_longer_wait_stands(clock: Clock) -> None:
    budget = Budget(clock.now)
    budget.throttle("1", 60)
    budget.throttle("1", 5)
    assert budget.wait("1") == 60.0
    clock.time += 59
    assert budget.wait("1") == pytest.approx(1.0)
    clock.time += 2
    assert budget.wait("1") == 0.0


def test_whoever_cannot_wait_for_so_long_starts_and_fails_by_itself(clock: Clock) -> None:
    budget = Budget(clock.now)
    budget.throttle("1", 300)
    assert (budget.start_in("1", 300.0), budget.start_in("1", 301.0)) == (0.0, 300.0)


def test_the_usage_of_another_account_counts_for_nobody_here(clock: Clock) -> None:
    budget = Budget(clock.now)
    budget.answered("1", usage("2", 100))
    assert budget.start_in("1", 10**4) == 0.0
    assert budget.start_in("1", 10**4) == 0.0


def test_what_was_used_up_is_forgotten_with_the_wait(clock: Clock) -> None:
    """The percentage of before the wait says nothing of the hour after it."""
    budget = Budget(clock.now)
    assert budget.start_in("1", 10**4) == 0.0
    answered(budget, 40, 98, 99, 100)
    budget.throttle("1", 60)
    assert budget.start_in("1", 10**4) == 60.0
    clock.time += 60
    assert budget.start_in("1", 10**4) == 0.0


def test_a_good_answer_stops_the_account_that_it_names_and_no_other(clock: Clock) -> None:
    budget = Budget(clock.now)
    told = {"x-business-use-case-usage": {
        "1": [{"call_count": 5, "estimated_time_to_regain_access": 0}],
        "2": [{"call_count": 100, "estimated_time_to_regain_access": 30}]}}
    budget.answered("1", told, good=False)  # the error says for how long
    assert (budget.wait("1"), budget.wait("2")) == (0.0, 0.0)
    budget.answered("1", told)
    assert (budget.wait("1"), budget.wait("2"), budget.wait(ALL)) == (0.0, 1800.0, 0.0)
    budget.answered(ALL, told)
    assert budget.wait("1") == 1800.0


def test_without_a_time_each_refusal_doubles_it_until_an_answer_comes(clock: Clock) -> None:
    budget, waits = Budget(clock.now), []
    for seconds in (None, 0, None, None, None, None, None, None, None, None):
        budget.throttle("1", seconds)
        waits.append(budget.wait("1"))
        clock.time += budget.wait("1")
    assert waits == [pytest.approx(wait) for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300)]
    budget.answered("1", {})
    budget.throttle("1", None)
    assert budget.wait("1") == pytest.approx(1.0)


@pytest.mark.parametrize("percent", [0, 50, 79])
def test_below_the_mark_nothing_is_spread(percent: float, clock: Clock) -> None:
    budget = expecting(clock, _1=10**5)
    answered(budget, 50, 0, percent)
    assert [budget.start_in("1", 10**4) for dummy in range(3)] == [0.0, 0.0, 0.0]


def test_what_is_left_is_not_spread_where_it_is_enough(clock: Clock) -> None:
    enough, not_enough = expecting(clock, _1=239), expecting(clock, _1=242)
    for budget in (enough, not_enough):
        answered(budget, 40, 80, 81, 82)  # 40 calls for one percent: 18 percent are 720 calls, enough for 240 numbers
    assert [enough.start_in("1", 10**4) for dummy in range(3)] == [0.0, 0.0, 0.0]
    assert [not_enough.start_in("1", 10**4) > 0 for dummy in range(3)] == [False, True, True]


def test_what_is_left_is_spread_over_the_numbers_where_it_is_not_enough(clock: Clock) -> None:
    budget = expecting(clock, _1=1000)
    answered(budget, 40, 80, 81, 82)
    # 4,000 calls an hour are 4000 / 3 numbers; half as many are started.
    assert budget.start_in("1", 10**4) == 0.0
    assert budget.start_in("1", 10**4) == pytest.approx(2 * 3600 * 3 / 4000)
    clock.time += 2 * 3600 * 3 / 4000
    assert budget.start_in("1", 10**4) == pytest.approx(0.0, abs=1e-6)


def test_starts_that_are_spread_stay_near_the_limit_and_use_it(clock: Clock) -> None:
    """A bucket with the rolling hour of an API, of which somebody else has used up half at once."""
    limit, made, budget = 200, [clock.time - 1800.0] * 100, expecting(clock, _1=10**4)
    highest, numbers, end = 0.0, 0, clock.time + 4 * 3600
    while clock.time < end:
        wait = budget.start_in("1", 10**4)
        if wait:
            clock.time += wait
            continue
        numbers += 1
        for dummy in range(3):
            clock.time += 0.1
            made = [call for call in made if call > clock.time - 3600] + [clock.time]
            highest = max(highest, 100 * len(made) / limit)
            budget.answered("1", usage(percent=100 * len(made) // limit))
    assert highest <= 106
    assert 170 <= numbers <= 300


def test_without_an_observation_the_documented_limit_counts(clock: Clock) -> None:
    budget = expecting(clock, _1=1000)
    budget.answered("1", usage(percent=95))
    assert budget.start_in("1", 10**4) == 0.0
    assert budget.start_in("1", 10**4) == pytest.approx(2 * 3600 * 3 / 5000)


def test_what_a_call_costs_is_not_forgotten_when_the_percentage_falls(clock: Clock) -> None:
    """It wobbles, as older calls leave the window."""
    budget = expecting(clock, _1=1000)
    answered(budget, 2, 87, 88, 89, 90, 89.5)
    assert budget.start_in("1", 10**4) == 0.0
    assert budget.start_in("1", 10**4) == pytest.approx(2 * 3600 * 3 / 200)


def test_an_app_near_its_limit_slows_down_all_accounts(clock: Clock) -> None:
    """Few numbers in each of many accounts are many for the app."""
    budget = expecting(clock, **{f"_{account}": 5 for account in range(1, 200)})
    for percent in (90, 91):
        for dummy in range(20):
            budget.answered("1", usage(percent=5, app=percent))
    assert budget.start_in("2", 10**4) == 0.0
    assert budget.start_in("1", 10**4) > 0


def test_without_its_account_a_number_goes_by_the_fullest_one_named(clock: Clock) -> None:
    budget = expecting(clock, **{ALL: 1000})
    budget.answered(ALL, {**usage("7", 20), "x-business-use-case-usage": {
        "7": [{"call_count": 20}], "8": [{"call_count": 99}]}})
    assert [budget.start_in(ALL, 10**4) > 0 for dummy in range(2)] == [False, True]


def test_a_leap_that_others_caused_does_not_stop_the_run(clock: Clock) -> None:
    budget = expecting(clock, _1=1000)
    answered(budget, 1, 1, 99)
    assert budget.start_in("1", 300.0) == 0.0
    assert budget.start_in("1", 300.0) <= 300.0


@pytest.mark.parametrize("absurd", [10**400, -5, float("nan"), float("inf")])
def test_absurd_percentages_count_as_none(absurd: float, clock: Clock) -> None:
    budget = expecting(clock, _1=10**5)
    for dummy in range(3):
        budget.answered("1", usage(percent=absurd, app=absurd))
    assert budget.start_in("1", 10**4) == 0.0
    assert budget.start_in("1", 10**4) == 0.0


@pytest.mark.parametrize(("numbers", "told", "calls", "expected"), [
    ({"1": 1}, {}, 1, "1 number, 1 call in 1 WABA: fits into 5,000 an hour for each WABA"),
    ({"1": 800, "2": 400}, {}, 1, "1,200 numbers, 1,200 calls in 2 WABAs: fits into 5,000 an hour for each WABA"),
    ({"1": 1666}, {}, 3, "1,666 numbers, 4,998 calls in 1 WABA: fits into 5,000 an hour for each WABA"),
    ({"1": 1667, "2": 1}, {}, 3, "1,668 numbers, 5,004 calls in 2 WABAs: more than 5,000 an hour for 1 (5,001 calls, 0 % of the "
     "hour used up), so it will have to wait"),
    ({"1": 100}, usage("1", 95), 3, "100 numbers, 300 calls in 1 WABA: more than 5,000 an hour for 1 (300 calls, 95 % of the "
     "hour used up), so it will have to wait"),
    ({"1": 10, ALL: 5}, {}, 1, "15 numbers, 15 calls in 1 WABA and for 5 numbers of an unknown one: fits into 5,000 an hour for "
     "each WABA"),
    ({ALL: 200}, {}, 3, "200 numbers, 600 calls; whether they fit cannot be told without whatsapp_waba_id"),
])
def test_the_estimate_says_whether_the_calls_fit(
    numbers: dict[str, int], told: dict[str, t.Any], calls: int, expected: str
) -> None:
    assert describe_need(numbers, told, calls) == expected


def test_the_estimate_names_a_few_of_many() -> None:
    text = describe_need({str(account): 2000 for account in range(10, 18)}, {}, 3)
    assert text.endswith("13 (6,000 calls, 0 % of the hour used up), 14 (6,000 calls, 0 % of the hour used up) and 3 more, so it "
                         "will have to wait")
