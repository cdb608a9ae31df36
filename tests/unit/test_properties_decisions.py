# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of what is decided: outcomes, waves, durations and numbers among options, and how fast an API is called."""

from __future__ import annotations

import itertools
import json
import socket
import typing as t

import pytest
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION, PUBLISH
from ansible_collections.waba.flows.plugins.module_utils._budget import CALLS_PER_NUMBER, Budget
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import Spec
from ansible_collections.waba.flows.plugins.module_utils._http import Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of, public_key_of, total_timeout
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import (
    OWN_OPTIONS,
    PROVIDERS,
    make_provider,
)
from ansible_collections.waba.flows.plugins.module_utils._reconcile import (
    CHANGING,
    UNMET,
    Desired,
    PublishedKey,
    decide,
    is_met,
)
from ansible_collections.waba.flows.plugins.module_utils._wabas import tokens_by_account
from ansible_collections.waba.flows.plugins.plugin_utils._plan import retention_days, wave_sizes
from ansible_collections.waba.flows.tests.unit.helpers import Clock, module_params
from ansible_collections.waba.flows.tests.unit.laws import duration_law, message_law, waves_law
from ansible_collections.waba.flows.tests.unit.properties import ANY_TEXT, NESTED, ODD_NUMBERS, Prove, json_values, prove_fixture

FIXTURES = (prove_fixture,)  # for pytest to find
ONE, TWO, THREE = ("SHA256:" + letter * 43 for letter in "ABC")


# -- outcomes


@pytest.mark.attack("foreign", "every combination of what a number holds, should hold, and may be done for it")
def test_every_combination_has_its_outcome(record_property: t.Callable[[str, object], None]) -> None:
    states = [PublishedKey(None, held, status, source) for held in (None, ONE, TWO)
              for status in ("VALID", "MISMATCH", "ODD", None) for source in ("read", "recorded", "unknown")]
    wishes = [Desired("pem", ONE, expected, force) for expected in (None, frozenset(), frozenset({TWO}), frozenset({THREE, ONE}))
              for force in (False, True)]
    for before, wish in itertools.product(states, wishes):
        outcome = decide(wish, before)
        assert outcome in (CHANGING | {"unchanged", "refused"})
        is_foreign = before.source == "unknown" or before.fingerprint not in (None, ONE)
        if is_foreign and wish.expected is not None and (before.source == "unknown" or before.fingerprint not in wish.expected):
            assert outcome == "refused", (before, wish)
        if outcome in CHANGING:  # never without a reason
            assert before.source == "unknown" or before.fingerprint != ONE or wish.force or before.status == "MISMATCH"
        else:
            assert outcome in UNMET or is_met(wish, before)
        if outcome in CHANGING:  # applied, it stays
            is_read = before.source == "read"
            after = PublishedKey(None, ONE, "VALID" if is_read else None, "read" if is_read else "recorded")
            assert decide(Desired("pem", ONE, wish.expected), after) == "unchanged"
    record_property("tries", len(states) * len(wishes))


# -- waves


SIZES: st.SearchStrategy[t.Any] = st.one_of(
    st.integers(-2, 2000), st.integers(1, 100).map(lambda share: f"{share}%"), st.sampled_from(
        ["1", " 5 ", "10 %", "0%", "101%", "", "ten", "1.5", "٣", "1\n", "9" * 10, "1" * 5000, "%", None, True, 2.0, [], [1], {},
         "1,2", "1;2"]),
    ANY_TEXT, ODD_NUMBERS)
PLANS = st.lists(st.tuples(st.booleans(), st.sampled_from(["default", "shop"])), max_size=300).map(
    lambda rows: [{"name": f"n{place}", "publish": row[0], "key_name": row[1]} for place, row in enumerate(rows)])


@pytest.mark.attack("accounted", "any sizes of waves, as numbers and as text, for any plan")
def test_waves_are_a_partition_or_the_sizes_are_refused(prove: Prove) -> None:
    sound = st.lists(st.one_of(st.integers(1, 60), st.integers(1, 100).map(lambda share: f"{share}%")), min_size=1, max_size=5)
    text = sound.map(lambda sizes: ", ".join(map(str, sizes)))
    prove(waves_law, 150, plan=PLANS, sizes=st.one_of(sound, text), stopped=st.sampled_from([(), ("shop",), ("shop", "default")]))
    prove(waves_law, 200, plan=PLANS, sizes=st.one_of(st.lists(SIZES, max_size=4), SIZES), stopped=st.just(()))


# -- options


@pytest.mark.attack("understood", "options of any text or number: durations, times, waves, tokens, URLs, paths")
def test_any_text_is_a_duration_or_an_error(prove: Prove) -> None:
    texts = st.one_of(ANY_TEXT, st.builds(lambda number, unit: f"{number}{unit}", st.integers(), st.sampled_from("smhdwx")),
                      st.sampled_from(["9" * 5000, "0" * 5000 + "7d", "٣d", "7D", " 7d ", "7 d\n", "1e3", "-1", ""]))
    prove(duration_law, 300, text=texts)

    def retention(text: str) -> None:
        try:
            assert retention_days(text) >= 0
        except ValueError as error:
            assert "encryption_keys_retention" in str(error)

    prove(retention, 100, text=texts)


SECONDS = st.one_of(st.floats(), st.sampled_from([30.0, 1e-9, 10**6, 10**6 + 1, 3e6, 1e10]))


@pytest.mark.attack("deadline", "times that are no times, or for ever: not a number, infinite, beyond what a socket takes")
def test_times_are_such_as_a_socket_takes_or_refused(prove: Prove) -> None:
    with socket.socket() as taken:
        def law(seconds: float, total: float) -> None:
            try:
                made = connection_of(params(timeout=seconds)).timeout, total_timeout({"total_timeout": total})
            except InvalidOptions as error:
                message_law(error)
                return
            for value in made:
                assert value > 0
                taken.settimeout(value)

        prove(law, 150, seconds=SECONDS, total=SECONDS)


def params(**given: t.Any) -> dict[str, t.Any]:
    return {**module_params(CONNECTION), **given}


@pytest.mark.attack("understood", "options of any text or number: durations, times, waves, tokens, URLs, paths")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_any_text_among_the_options_is_a_client_or_an_error(prove: Prove, provider: str) -> None:
    choices = {option.name: option.choices for option in PROVIDERS[provider].options}  # which Ansible checks
    names = ["base_url", *choices]
    urls = st.one_of(ANY_TEXT, ANY_TEXT.map(lambda text: f"https://{text}"), st.sampled_from(
        ["https://one.example.com", "https://[::1", "https://h:99999", "https://h:x", "http://h", "//h", "https://u:p@h",
         "https://h\x00"]))
    texts = st.one_of(ANY_TEXT, st.sampled_from(
        ["", "a", "v24.0", "eu", "form", "X-Key", "/{phone_number_id}/x", "1msg", "\ud800"]))

    def law(values: dict[str, str]) -> None:
        try:
            made = make_provider(connection_of(params(provider=provider, **values)), Transport())
            made.check_number("106540352242922")
        except InvalidOptions as error:
            message_law(error, [values["password"]] if len(values.get("password", "")) > 20 else [])

    if provider != "aws":  # whose client takes too long to be made so often, and needs boto3
        prove(law, 60, values=st.fixed_dictionaries({}, optional={
            name: urls if name == "base_url" else st.sampled_from(choices[name] or [""]) if choices[name] else texts
            for name in names}))
    assert {option.name for option in OWN_OPTIONS} >= set(names) - {"base_url"}


@pytest.mark.attack("understood", "options of any text or number: durations, times, waves, tokens, URLs, paths")
def test_any_path_of_a_key_is_a_key_or_an_error(prove: Prove) -> None:
    spec: Spec = {name: PUBLISH[name] for name in ("business_public_key", "business_public_key_path")}

    def law(path: str) -> None:
        with pytest.raises((InvalidOptions, InvalidKey)):
            public_key_of(module_params(spec, business_public_key_path=path))

    prove(law, 80, path=st.one_of(ANY_TEXT, st.sampled_from(["/", "\x00", "/nowhere\ud800", "/dev/null", "x" * 5000])))


@pytest.mark.attack("understood", "options of any text or number: durations, times, waves, tokens, URLs, paths")
@pytest.mark.attack("secret", "tokens by account that are written in any wrong way")
def test_any_tokens_by_account_are_tokens_or_an_error(prove: Prove) -> None:
    secret = "EAAfakeTokenOfTheTests"

    def law(value: t.Any) -> None:
        try:
            found = tokens_by_account(value)
        except InvalidOptions as error:
            message_law(error, [secret])
            return
        assert all(isinstance(one, str) for pair in found.items() for one in pair)

    values = json_values(["102", secret], [secret])
    wrong = st.sampled_from([secret, f"{{'1': '{secret}'}}"])
    prove(law, 200, value=st.one_of(values, values.map(json.dumps), ANY_TEXT, NESTED, wrong))


# -- how fast an API is called


@pytest.mark.attack("deadline", "any sequence of usage headers, Retry-After, refusals and steps of the clock")
def test_what_is_left_of_an_hour_is_never_used_up_by_us(prove: Prove) -> None:
    """What was called before leaves the window evenly; what we call is told by each answer."""
    def law(limit: int, used: float, left: int) -> None:
        clock = Clock()
        budget, share, began, calls = Budget(clock.now), 100 / limit, clock.time, 0

        def told() -> float:
            return used * max(0.0, 1 - (clock.time - began) / 3600) + calls * share

        def call() -> None:
            nonlocal calls
            calls += 1
            assert told() <= 100 + CALLS_PER_NUMBER * share
            budget.answered("12", {"x-business-use-case-usage": {"12": [{"call_count": told()}]}})

        for dummy in range(left):
            budget.expect("12")
        for dummy in range(3):  # two rises tell how many percent a call uses up
            call()
        for dummy in range(left):
            wait = budget.start_in("12", 10**6)
            clock.time += wait
            assert wait == 0 or budget.start_in("12", 10**6) == 0, "work does not go on"
            if clock.time >= began + 3600:
                break
            call()  # as many times as a number takes
            call()
            call()

    prove(law, 30, limit=st.integers(200, 20_000), used=st.floats(80, 97), left=st.integers(1, 2000))


@pytest.mark.attack("deadline", "any sequence of usage headers, Retry-After, refusals and steps of the clock")
def test_thousands_of_refusals_are_waited_for_as_ever() -> None:
    clock = Clock()
    budget = Budget(clock.now)
    for dummy in range(5000):
        budget.throttle("12", None)
        wait = budget.wait("12")
        assert 1 <= wait <= 300
        clock.time += wait


def test_wave_sizes_take_numbers_and_text() -> None:
    assert wave_sizes([1, "10%", " 100 % "]) == wave_sizes("1, 10%, 100%") == [(1, False), (10, True), (100, True)]
