# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that a client runs into by calling, what an answer tells of them, and what the control interface does."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.sandbox import (
    DEFAULT_APP,
    DEFAULT_BUSINESS,
    DEFAULT_NUMBER,
    DEFAULT_TOKEN,
    DEFAULT_WABA,
    Sandbox,
    Settings,
    State,
    Token,
    make_mixed_state,
    make_state,
)
from tests.sandbox.limits import Bucket, Limits, Preset, Usage

SECOND_NUMBER, SECOND_WABA = str(int(DEFAULT_NUMBER) + 1), str(int(DEFAULT_WABA) + 1)
EDGE = f"/v25.0/{DEFAULT_NUMBER}/whatsapp_business_encryption"
HOUR = 3600


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def box(clock):
    """A sandbox with two WABAs of one number each; 4 calls an hour are let through to each."""
    with Sandbox(make_state(2, wabas=2, settings=Settings(calls_per_hour=4)), clock=clock) as running:
        yield running


def use_cases(reply, waba_id=DEFAULT_WABA):
    """The one row of x-business-use-case-usage."""
    usage = json.loads(reply.headers["x-business-use-case-usage"])
    assert list(usage) == [waba_id]
    (row,) = usage[waba_id]
    return row


def told(reply, waba_id=DEFAULT_WABA):
    """Percent and minutes of a WABA, as an answer tells them."""
    row = use_cases(reply, waba_id)
    return row["call_count"], row["estimated_time_to_regain_access"]


def app_percent(reply):
    return json.loads(reply.headers["x-app-usage"])["call_count"]


# -- the reckoning


def test_bucket_fills_throttles_and_empties():
    bucket = Bucket()
    assert [bucket.call(at, 4, HOUR) for at in (0, 10, 20, 30)] == [Usage(25), Usage(50), Usage(75), Usage(100)]
    assert bucket.call(40, 4, HOUR) == Usage(100, True, 10 + HOUR - 40)
    assert (bucket.calls, bucket.throttled) == (5, 1)
    assert bucket.call(HOUR + 9.5, 4, HOUR).throttled
    assert not bucket.call(HOUR + 30, 4, HOUR).throttled


def test_wait_ends_exactly_when_it_was_said_to():
    for early, throttled in ((0.5, True), (0.0, False)):
        bucket = Bucket()
        for at in (0, 10, 20, 30):
            bucket.call(at, 4, HOUR)
        wait = bucket.call(40, 4, HOUR).wait
        assert bucket.call(40 + wait - early, 4, HOUR).throttled is throttled


def test_each_call_while_throttled_lengthens_the_wait():
    bucket = Bucket()
    for at in (0, 10, 20, 30):
        bucket.call(at, 4, HOUR)
    ends = [at + bucket.call(at, 4, HOUR).wait for at in (40, 50, 60, 70, 80)]
    assert ends == [HOUR + at for at in (10, 20, 30, 40, 50)]
    assert bucket.throttled == 5


def test_bucket_without_limit_counts_only():
    bucket = Bucket()
    assert not any(bucket.call(0, 0, HOUR).throttled for dummy in range(49))
    assert bucket.call(0, 0, HOUR) == Usage(0)
    assert bucket.calls == 50


def test_fill_replaces_what_is_in_the_window():
    bucket = Bucket()
    bucket.call(0, 10, HOUR)
    bucket.fill(100, 10)
    assert bucket.call(160, 10, HOUR) == Usage(100, True, HOUR - 60)
    bucket.fill(200, 8)
    assert bucket.call(200, 10, HOUR) == Usage(90)
    assert (bucket.calls, bucket.throttled) == (3, 1)


def test_limits_are_of_an_app_and_of_a_waba(clock):
    limits, settings = Limits(clock), Settings(calls_per_hour=1, waba_calls_per_hour={"7": 2, "8": 0}, app_calls_per_hour=3)
    asked = [("a", "6"), ("a", "6"), ("b", "6"), ("a", "7"), ("a", "7"), ("a", "7"), ("a", "8"), ("a", "8")]
    assert [limits.call(app, waba, settings).throttled for app, waba in asked] == [
        False, True, False, False, False, True, False, False]
    assert [limits.call("a", None, settings).throttled for dummy in range(4)] == [False, False, False, True]
    assert limits.counts(["6", "9"]) == {
        "apps": {"a": {"calls": 4, "throttled": 1}},
        "wabas": {"6": {"calls": 3, "throttled": 1}, "7": {"calls": 3, "throttled": 1},
                  "8": {"calls": 2, "throttled": 0}, "9": {"calls": 0, "throttled": 0}}}
    clock.now += HOUR
    assert not limits.call("a", "6", settings).throttled
    limits.clear()
    assert limits.counts([]) == {"apps": {}, "wabas": {}}


@pytest.mark.parametrize("settings", [
    {"calls_per_hour": -1}, {"app_calls_per_hour": -1}, {"window": 0}, {"waba_calls_per_hour": {"7": -1}},
    {"waba_calls_per_hour": {"7": "2"}}, {"waba_calls_per_hour": {"7": True}}, {"calls_per_hour": 1.5},
])
def test_refused_settings(settings):
    with pytest.raises(ValueError, match=r"calls_per_hour|window"):
        State.from_json({"settings": settings})


def test_settings_are_kept_in_a_file(tmp_path):
    state = make_state(settings=Settings(calls_per_hour=9, waba_calls_per_hour={DEFAULT_WABA: 2}, window=5.0, retry_after=True))
    state.save(tmp_path / "state.json")
    assert State.load(tmp_path / "state.json") == state


# -- on the wire


def test_off_by_default(client, box):
    box.state.settings = Settings()
    assert [client.get().status for dummy in range(20)] == [200] * 20
    assert box.calls["wabas"][DEFAULT_WABA] == {"calls": 20, "throttled": 0}


def test_waba_over_its_limit(client, box, clock, pems):
    for index, percent in enumerate((25, 50, 75, 100)):
        clock.now = 1000.0 + 10 * index
        reply = client.get()
        assert (reply.status, told(reply)) == (200, (percent, 0))
    clock.now = 1040.0
    reply = client.post(pems["good"])
    assert reply.error == (429, 80007, 2446079)
    assert (reply.json["error"]["is_transient"], told(reply), "Retry-After" in reply.headers) == (True, (100, 60), False)
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key is None
    # The other WABA of the same app has a bucket of its own, and the first is open again after an hour.
    assert told(client.get(SECOND_NUMBER), SECOND_WABA) == (25, 0)
    clock.now += HOUR
    assert client.post(pems["good"]).json == {"success": True}
    assert box.calls == {"apps": {DEFAULT_APP: {"calls": 7, "throttled": 0}}, "wabas": {
        DEFAULT_WABA: {"calls": 6, "throttled": 1}, SECOND_WABA: {"calls": 1, "throttled": 0}}}


def test_header_as_meta_sends_it(client, box):
    row = use_cases(client.get())
    assert row.pop("type") == "messaging"
    assert set(row) == {"call_count", "total_cputime", "total_time", "estimated_time_to_regain_access"}
    app = json.loads(client.get().headers["x-app-usage"])
    assert set(app) == {"call_count", "total_cputime", "total_time"}
    assert all(isinstance(value, int) for value in (*row.values(), *app.values()))


@pytest.mark.parametrize(("later", "minutes", "seconds"), [
    (0, 60, 3600), (0.5, 60, 3600), (60, 59, 3540), (61, 59, 3539), (3599.5, 1, 1)])
def test_wait_is_rounded_up(client, box, clock, *, later, minutes, seconds):
    box.settings.retry_after = True
    box.use_up(100, DEFAULT_WABA)
    clock.now += later
    reply = client.get()
    assert (told(reply)[1], reply.headers["Retry-After"]) == (minutes, str(seconds))


def test_calling_on_lengthens_the_wait(client, box, clock):
    box.settings.retry_after = True
    for dummy in range(4):
        client.get()
        clock.now += 600
    waits = []
    for dummy in range(4):
        waits.append(int(client.get().headers["Retry-After"]))
        clock.now += 60
    assert waits == [1800, 2340, 2880, 3420]  # 60 s went by each time, and 600 s came on top


def test_window_may_be_short(client, box, clock):
    box.settings.window = 5.0
    assert [client.get().status for dummy in range(5)] == [200] * 4 + [429]
    clock.now += 5
    assert client.get().status == 200


def test_app_over_its_limit(client, box, clock):
    box.settings.app_calls_per_hour = 3
    box.settings.retry_after = True
    box.state.tokens["other"] = Token(app_id="another-app")
    assert [app_percent(client.get(number)) for number in (DEFAULT_NUMBER, SECOND_NUMBER, DEFAULT_NUMBER)] == [33, 66, 100]
    clock.now += 60
    reply = client.get(SECOND_NUMBER)
    assert reply.error == (400, 4, 2446079)
    # Meta estimates for a WABA, not for an app: a client has Retry-After or nothing.
    assert (reply.headers["Retry-After"], told(reply, SECOND_WABA), app_percent(reply)) == ("3540", (50, 0), 100)
    reply = client.get(token="other")
    assert (reply.status, app_percent(reply), told(reply)) == (200, 33, (25, 0))
    assert box.calls["apps"] == {DEFAULT_APP: {"calls": 4, "throttled": 1}, "another-app": {"calls": 1, "throttled": 0}}
    assert box.calls["wabas"][DEFAULT_WABA] == {"calls": 3, "throttled": 0}


def test_lists_count(client, box):
    for path in (f"{DEFAULT_WABA}/phone_numbers", DEFAULT_WABA, DEFAULT_NUMBER):
        assert client("GET", "/v25.0/" + path).status == 200
    reply = client("GET", f"/v25.0/{DEFAULT_BUSINESS}/owned_whatsapp_business_accounts")
    assert (reply.status, "x-business-use-case-usage" in reply.headers) == (200, False)  # of the app alone
    assert client("GET", f"/v25.0/{DEFAULT_WABA}/phone_numbers").status == 200
    assert client("GET", f"/v25.0/{DEFAULT_WABA}/phone_numbers").error == (429, 80007, 2446079)
    assert box.calls == {"apps": {DEFAULT_APP: {"calls": 6, "throttled": 0}}, "wabas": {
        DEFAULT_WABA: {"calls": 5, "throttled": 1}, SECOND_WABA: {"calls": 0, "throttled": 0}}}


def test_refused_calls_count_and_tell(client, box):
    reply = client.post("no key")
    assert (reply.status, told(reply)) == (400, (25, 0))
    reply = client.get("1")
    assert (reply.status, app_percent(reply), "x-business-use-case-usage" in reply.headers) == (400, 0, False)
    # An app that does not see a WABA uses up nothing there, and a bad token is nobody's.
    box.state.tokens.update(blind=Token(wabas=[SECOND_WABA]), gone=Token(expires_at=1.0))
    assert client.get(token="blind").status == 400
    for token in ("gone", "nobody's", None):
        reply = client.get(token=token)
        assert (reply.status, "x-app-usage" in reply.headers) == (401, False)
    assert box.calls["apps"] == {DEFAULT_APP: {"calls": 3, "throttled": 0}}
    assert box.calls["wabas"][DEFAULT_WABA] == {"calls": 1, "throttled": 0}


def test_faults_count_and_wait_for_a_call_that_is_let_through(client, box, clock):
    box.fault(DEFAULT_NUMBER, "html", times=2)
    assert client.get().status == 502
    box.use_up(100, DEFAULT_WABA)
    assert client.get().status == 429
    clock.now += HOUR
    assert [client.get().status for dummy in range(2)] == [502, 200]
    box.fault(DEFAULT_NUMBER, "throttle", estimated_minutes=7)
    assert told(client.get()) == (100, 7)
    assert box.calls["wabas"][DEFAULT_WABA] == {"calls": 5, "throttled": 1}


def test_other_providers_are_not_limited(request_to):
    with Sandbox(make_mixed_state(numbers=1)) as box:
        box.settings.calls_per_hour = box.settings.app_calls_per_hour = 1
        path = "/graph_compatible/whatsapp_business_encryption?token=" + box.state.accounts["graph_compatible-1"].secret
        replies = [request_to(box.base_url, "GET", path) for dummy in range(3)]
    assert [(reply.status, "x-app-usage" in reply.headers) for reply in replies] == [(200, False)] * 3


# -- the control interface


def test_control_of_limits(client, box):
    assert client("PATCH", "/_sandbox/settings", json.dumps(
        {"calls_per_hour": 10, "app_calls_per_hour": 10, "waba_calls_per_hour": {SECOND_WABA: 100}})).status == 200
    path = "/_sandbox/limits"
    assert client("PUT", path, json.dumps({"waba_id": DEFAULT_WABA, "percent": 80})).status == 200
    assert client("PUT", path, json.dumps({"waba_id": SECOND_WABA, "percent": 80, "app_id": DEFAULT_APP})).status == 200
    assert [told(client.get()), told(client.get(SECOND_NUMBER), SECOND_WABA)] == [(90, 0), (81, 0)]
    assert [client.get().status for dummy in range(2)] == [200, 429]
    assert client("PUT", path, json.dumps({"percent": 100})).status == 200
    assert client.get(SECOND_NUMBER).error == (400, 4, 2446079)
    assert client("GET", path).json == box.calls == {
        "apps": {DEFAULT_APP: {"calls": 5, "throttled": 1}},
        "wabas": {DEFAULT_WABA: {"calls": 3, "throttled": 1}, SECOND_WABA: {"calls": 2, "throttled": 0}}}
    assert client("DELETE", path).status == 200
    assert client("GET", path).json["wabas"] == {waba: {"calls": 0, "throttled": 0} for waba in (DEFAULT_WABA, SECOND_WABA)}
    assert (client.get().status, client.get(SECOND_NUMBER).status) == (200, 200)


@pytest.mark.parametrize(("preset", "message"), [
    ({}, "percent"), ({"percent": "80"}, "percent must be int"), ({"percent": -1}, "percent must be 0 or more"),
    ({"percent": 80}, "no limit to use up"), ({"percent": 80, "waba_id": DEFAULT_NUMBER}, "there is no WABA"),
    ({"percent": 80, "waba_id": DEFAULT_WABA, "app_id": "1"}, "no token is of the app 1"), ({"share": 1}, "unknown member"),
])
def test_refused_presets(client, box, preset, message):
    reply = client("PUT", "/_sandbox/limits", json.dumps(preset))
    assert reply.status == 400
    assert message in reply.json["error"]
    assert told(client.get()) == (25, 0)


def test_preset_in_this_process(box):
    with pytest.raises(ValueError, match="there is no WABA 1"):
        box.use_up(80, "1")
    assert Preset(80) == Preset(80, None, DEFAULT_APP)


def test_clear_empties_the_windows(client, box):
    box.use_up(100, DEFAULT_WABA)
    assert client.get().status == 429
    box.clear()
    assert client.get().status == 200
    assert box.calls["wabas"][DEFAULT_WABA] == {"calls": 1, "throttled": 0}


# -- counts


def ask(connection, method, path, body=None):
    headers = {"Authorization": "Bearer " + DEFAULT_TOKEN, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, body, headers)
    return json.loads(connection.getresponse().read())


def test_counts(client, box):
    box.state.settings = Settings()
    connections = [http.client.HTTPConnection(urlsplit(box.base_url).netloc, timeout=5) for dummy in range(2)]
    for connection, requests in zip(connections, (3, 1)):
        for dummy in range(requests):
            ask(connection, "GET", EDGE)
    ask(connections[0], "POST", EDGE, "business_public_key=x")
    # Those of the control interface are not counted.
    assert client("GET", "/_sandbox/counts").json == {"requests": 5, "posts": 1, "connections": 2}
    assert box.connections == 2
    client("DELETE", "/_sandbox/requests")
    assert client("GET", "/_sandbox/counts").json == {"requests": 0, "posts": 0, "connections": 0}
    ask(connections[0], "GET", EDGE)  # open since before
    assert client("GET", "/_sandbox/counts").json == {"requests": 1, "posts": 0, "connections": 0}
    for connection in connections:
        connection.close()
    for dummy in range(20):
        client.get()
    assert box.connections == 20
    box.forget_requests()
    assert box.connections == 0


# -- the command line


def test_command_line(request_to, tmp_path, launch):
    make_state().save(tmp_path / "fleet.json")
    process, url = launch(tmp_path, "--fleet", tmp_path / "fleet.json", "--calls-per-hour", "2", "--app-calls-per-hour", "3",
                          "--window", "1000", "--retry-after")
    replies = [request_to(url, "GET", EDGE) for dummy in range(4)]
    process.terminate()
    process.communicate(timeout=5)
    assert [reply.status for reply in replies] == [200, 200, 429, 400]
    assert [replies[2].error[1], replies[3].error[1]] == [80007, 4]
    assert [990 <= int(reply.headers["Retry-After"]) <= 1000 for reply in replies[2:]] == [True, True]
