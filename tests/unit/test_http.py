# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP: what is tried again and what is not, waits and deadlines, TLS, proxies, and where the credential goes."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path

import pytest
import requests
import urllib3.exceptions
from urllib3.exceptions import MaxRetryError

from ansible_collections.waba.flows.plugins.module_utils import _connections, _http
from ansible_collections.waba.flows.plugins.module_utils._budget import ALL
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidAnswer,
    InvalidOptions,
    MissingLibrary,
    Timeout,
    TlsError,
    TransportError,
    WabaError,
    version_tuple,
)
from ansible_collections.waba.flows.plugins.module_utils._http import (
    Answer,
    Deadline,
    HttpClient,
    HttpOptions,
    Job,
    Request,
    Transport,
    check_base_url,
    wait_asked,
)
from ansible_collections.waba.flows.plugins.module_utils._providers._cloud_api import parse_error
from ansible_collections.waba.flows.tests.unit.helpers import Clock, Keys, Recorder, make_client, make_job, self_signed
from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox

PATH = f"/v24.0/{DEFAULT_NUMBER}/whatsapp_business_encryption"


def request_for(base_url: str, method: str = "GET", pem: str | None = None) -> Request:
    return Request(
        method, base_url + PATH, {"Authorization": f"Bearer {DEFAULT_TOKEN}"}, {"appsecret_proof": "s3cretproof"},
        form={"business_public_key": pem} if pem else None,
    )


def make_http(clock: Clock | None = None, **options: t.Any) -> HttpClient:
    known = HttpOptions(**{"timeout": 5.0, "retries": 3, "verify": True, **options})
    secrets = [DEFAULT_TOKEN, "s3cretproof"]
    if clock is None:
        return HttpClient(Transport(), known, secrets)
    return HttpClient(Transport(), known, secrets, sleep=clock.sleep, clock=clock.now)


def classify(answer: Answer) -> WabaError | None:
    return parse_error(answer, lambda text: text)


def call(http: HttpClient, request: Request, seconds: float = 300.0, clock: Clock | None = None) -> Answer:
    return http.call(request, classify, Job(Deadline(seconds, clock.now if clock else time.monotonic)))


def methods(box: Sandbox) -> str:
    return " ".join(record.method for record in box.requests)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return t.cast(int, probe.getsockname()[1])


# -- base URL


@pytest.mark.parametrize("url", [
    "https://graph.facebook.com", "https://graph.facebook.com/", "https://gateway.example/whatsapp/", "https://10.0.0.1:8443",
    "HTTPS://graph.facebook.com", "http://localhost", "http://localhost:8080/x", "http://LOCALHOST", "http://127.0.0.1:1",
    "http://127.8.9.1", "http://[::1]:8080",
])
def test_these_base_urls_are_accepted(url: str) -> None:
    assert check_base_url(url, allow_http=False) == url.rstrip("/")


@pytest.mark.parametrize(("url", "why"), [
    ("http://graph.facebook.com", "plain http to graph.facebook.com"),
    ("http://192.168.0.1", "plain http"),
    ("http://0.0.0.0", "plain http"),
    ("http://[2001:db8::1]", "plain http"),
    ("http://localhost.example", "plain http"),
    ("http://127.0.0.1.example", "plain http"),
    ("http://example/127.0.0.1", "plain http"),
    ("https://user:pass@graph.facebook.com", "user name or password"),
    ("https://user@graph.facebook.com", "user name or password"),
    ("http://127.0.0.1@evil.example", "user name or password"),
    ("https://graph.facebook.com?access_token=s3cret", "query or fragment"),
    ("https://graph.facebook.com/#x", "query or fragment"),
    ("ftp://graph.facebook.com", "not an http"),
    ("file:///etc/passwd", "not an http"),
    ("graph.facebook.com", "not an http"),
    ("//graph.facebook.com", "not an http"),
    ("https://", "not an http"),
    ("", "not an http"),
    ("https:graph.facebook.com", "not an http"),
    ("https://[::1", "not an http"),
    ("https://graph.facebook.com:port", "not an http"),
    ("https://graph.facebook.com:99999", "not an http"),
])
def test_these_base_urls_are_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidOptions, match=why):
        check_base_url(url, allow_http=False)


@pytest.mark.parametrize("url", [
    "ftp://user:s3cret@host", "user:s3cret@host", "https://user:s3cret@host", "https://host?token=s3cret", "host?token=s3cret",
    "host/x#s3cret",
])
def test_the_message_about_a_base_url_shows_no_secret(url: str) -> None:
    with pytest.raises(InvalidOptions) as caught:
        check_base_url(url, allow_http=False)
    assert "s3cret" not in str(caught.value)


def test_allow_http_allows_http_and_nothing_else() -> None:
    assert check_base_url("http://gateway.example", allow_http=True) == "http://gateway.example"
    for url in ("ftp://gateway.example", "http://user:pass@gateway.example", "http://gateway.example?x"):
        with pytest.raises(InvalidOptions):
            check_base_url(url, allow_http=True)


@pytest.mark.parametrize("url", ["https://exa mple.com/x", "https://*.example.com", "https://.example.com", "https://exa%mple.com"])
def test_a_url_that_requests_refuses_is_an_error_of_the_option_and_is_not_quoted(url: str, clock: Clock) -> None:
    if " " in url and version_tuple(requests.__version__) < (2, 28):
        pytest.skip("this version of requests looks for the address of any name")
    request = Request("GET", f"{url}?token=s3cret", repeatable=True)
    with pytest.raises(InvalidOptions, match=r"^url 'https://.*' is not a URL that") as caught:
        call(make_http(clock, url_option="url"), request)
    assert "s3cret" not in str(caught.value)
    assert clock.slept == []


def test_a_malformed_proxy_is_not_taken_for_a_malformed_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://")
    with pytest.raises(ConnectionFailed, match="proxy"):
        call(make_http(retries=0), request_for("http://api.example"))


@pytest.mark.parametrize(("options", "named"), [({}, "base_url"), ({"url_option": "url"}, "url")])
@pytest.mark.parametrize("answer", [(302, {"Location": "/x"}, b""), (200, {}, b" " * 3_000_000), None])
def test_remedies_name_the_option_that_the_url_came_from(
    answer: tuple[int, dict[str, str], t.Any] | None, options: dict[str, t.Any], named: str
) -> None:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(Recorder(answer)).base_url if answer else f"http://127.0.0.1:{closed_port()}"
        with pytest.raises(TransportError) as caught:
            call(make_http(retries=0, **options), request_for(url))
    assert f"Check {named}" in caught.value.remedy


# -- what is sent again. Each row: the fault, and the requests that arrive for one GET. A POST is sent once, whatever comes.


@pytest.mark.parametrize(("fault", "gets"), [
    ({"kind": "error", "status": 500, "code": 131000}, 2),
    ({"kind": "error", "status": 500, "code": 1}, 2),
    ({"kind": "error", "status": 503, "code": 131016}, 2),
    ({"kind": "error", "status": 400, "code": 999999, "is_transient": True}, 2),
    ({"kind": "html", "status": 502}, 2),
    ({"kind": "html", "status": 408}, 2),
    ({"kind": "reset"}, 2),
    ({"kind": "truncated"}, 2),
    ({"kind": "throttle"}, 2),
    ({"kind": "error", "status": 400, "code": 4}, 2),
    ({"kind": "error", "status": 400, "code": 80007}, 2),
    ({"kind": "error", "status": 400, "code": 100}, 1),
    ({"kind": "error", "status": 401, "code": 190}, 1),
    ({"kind": "error", "status": 403, "code": 10}, 1),
    ({"kind": "error", "status": 500, "code": 133010}, 1),
    ({"kind": "html", "status": 200}, 1),
    ({"kind": "empty"}, 1),
    ({"kind": "body", "body": "{\"error\": \"x\"}", "status": 200}, 1),
    ({"kind": "redirect", "location": "https://example.org/"}, 1),
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_sent_again(
    *, method: str, fault: dict[str, t.Any], gets: int, box: Sandbox, keys: Keys, clock: Clock
) -> None:
    box.fault(DEFAULT_NUMBER, **fault)
    expected = gets if method == "GET" else 1
    job = make_job()
    request = request_for(box.base_url, method, keys.a.pem if method == "POST" else None)
    if expected == 1:
        with pytest.raises(WabaError):
            make_http(clock).call(request, classify, job)
    else:
        assert make_http(clock).call(request, classify, job).status == 200
    assert [record.method for record in box.requests] == [method] * expected
    assert (job.tally.requests, job.tally.retries) == (expected, expected - 1)
    assert len(clock.slept) == expected - 1


@pytest.mark.parametrize(("method", "repeatable", "sent"), [("GET", False, 2), ("POST", True, 2), ("POST", False, 1)])
def test_a_post_is_sent_again_only_if_it_is_declared_repeatable(
    method: str, repeatable: bool, sent: int, clock: Clock
) -> None:
    failing: tuple[int, dict[str, str], t.Any] = (500, {}, {"error": {"message": "x", "code": 2}})
    job = make_job()
    with Recorder(failing, (200, {}, {"data": []})) as server:
        request = Request(method, server.base_url + "/x?y=1", {"Content-Type": "text/x"}, body=b"\x00raw", repeatable=repeatable)
        with contextlib.nullcontext() if sent == 2 else pytest.raises(ApiError):
            make_http(clock).call(request, classify, job)
    assert (len(server.seen), job.tally.requests, job.tally.retries) == (sent, sent, sent - 1)
    assert {(seen.body, seen.headers["content-type"], seen.query["y"]) for seen in server.seen} == {(b"\x00raw", "text/x", "1")}


def test_an_answer_tells_how_long_it_took_from_request_to_end() -> None:
    with Recorder(delay=0.1) as server:
        seconds = call(make_http(), request_for(server.base_url)).seconds
    assert 0.1 <= seconds < 2


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_are_counted_and_the_last_error_is_raised(retries: int, box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "error", status=500, code=2, times=-1)
    with pytest.raises(ApiError, match="code 2"):
        call(make_http(clock, retries=retries), request_for(box.base_url))
    assert methods(box) == " ".join(["GET"] * (retries + 1))


def test_pauses_grow_and_have_jitter(box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "error", status=500, code=2, times=-1)
    with pytest.raises(ApiError):
        call(make_http(clock, retries=9), request_for(box.base_url), seconds=1000, clock=clock)
    ceilings = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(clock.slept) == len(ceilings)
    assert all(ceiling / 2 <= slept <= ceiling for slept, ceiling in zip(clock.slept, ceilings))
    assert clock.slept != [round(slept, 2) for slept in clock.slept]


# -- waits that the API asks for


@pytest.mark.parametrize(("members", "wait"), [
    ({"retry_after": 7}, 7.0), ({"estimated_minutes": 2}, 120.0), ({"retry_after": 7, "estimated_minutes": 2}, 7.0),
])
def test_the_wait_of_a_throttling_answer_is_kept(members: dict[str, int], wait: float, box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "throttle", **members)
    assert call(make_http(clock), request_for(box.base_url), clock=clock).status == 200
    assert clock.slept[0] == wait
    assert sum(clock.slept) == wait
    assert methods(box) == "GET GET"


@pytest.mark.parametrize(("members", "wait"), [({"retry_after": 7}, 7.0), ({"estimated_minutes": 2}, 120.0)])
def test_a_throttled_post_is_left_to_the_caller_and_the_next_one_rests(
    *, members: dict[str, int], wait: float, box: Sandbox, keys: Keys, clock: Clock
) -> None:
    http, job = make_http(clock), Job(Deadline(300.0, clock.now))
    request = request_for(box.base_url, "POST", keys.a.pem)
    assert http.rest(job) is False
    box.fault(DEFAULT_NUMBER, "throttle", **members)
    with pytest.raises(ApiError) as caught:
        http.call(request, classify, job)
    assert (caught.value.wait, caught.value.retryable, caught.value.outcome_unknown) == (wait, True, False)
    assert (methods(box), clock.slept) == ("POST", [])
    assert http.rest(job) is True
    assert clock.slept == [wait]
    assert http.rest(job) is False
    assert http.call(request, classify, job).status == 200
    assert (methods(box), clock.slept) == ("POST POST", [wait])


def test_a_good_answer_that_names_a_time_is_believed(box: Sandbox, clock: Clock) -> None:
    usage = {DEFAULT_NUMBER: [{"call_count": 100, "estimated_time_to_regain_access": 3}]}
    box.fault(DEFAULT_NUMBER, "body", status=200, body='{"data": []}',
              headers={"x-business-use-case-usage": json.dumps(usage), "content-type": "application/json"})
    http, job = make_http(clock), Job(Deadline(300.0, clock.now))
    http.call(request_for(box.base_url), classify, job)
    assert http.rest(job) is True
    assert clock.slept == [180.0]


def test_the_pause_after_a_throttling_answer_without_a_wait_is_for_all(box: Sandbox, clock: Clock) -> None:
    http, job = make_http(clock), Job(Deadline(300.0, clock.now))
    error = ApiError("x", http_status=429, code=4)
    http._sleep = clock.slept.append  # time stands still, as for another thread
    http.wait_before_retry(error, 3, job)
    (wait,) = clock.slept
    assert 2.0 <= wait <= 4.0
    assert http.rest(job) is True
    assert clock.slept[1:] == [pytest.approx(wait)]


def test_rest_does_not_outlast_the_deadline(clock: Clock) -> None:
    http = make_http(clock)
    http.budget.throttle(ALL, 500)
    with pytest.raises(DeadlineExceeded, match="throttles this credential for another 500 s") as caught:
        http.rest(Job(Deadline(500.0, clock.now)))
    assert not caught.value.outcome_unknown
    assert clock.slept == []
    assert http.rest(Job(Deadline(501.0, clock.now))) is True


def test_retry_after_of_a_503_is_kept(box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "html", status=503, headers={"Retry-After": "9"})
    call(make_http(clock), request_for(box.base_url))
    assert clock.slept == [9.0]


def test_a_wait_beyond_the_deadline_ends_at_once_with_the_throttling_error(box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "throttle", estimated_minutes=10, times=-1)
    with pytest.raises(ApiError) as caught:
        call(make_http(clock), request_for(box.base_url), seconds=300, clock=clock)
    assert caught.value.meaning.throttled
    assert "It can be called again in 600 s" in str(caught.value)
    assert clock.slept == []
    assert methods(box) == "GET"


def test_all_users_of_a_client_wait_when_one_is_throttled(box: Sandbox) -> None:
    clock = Clock()
    http = make_http(clock)
    arrived = threading.Event()
    slept: list[float] = []

    def sleep(seconds: float) -> None:  # the first to sleep is the throttled one; the other comes while it sleeps
        slept.append(seconds)
        if len(slept) == 1:
            call(http, request_for(box.base_url), clock=clock)
            arrived.set()
        clock.time += seconds

    http._sleep = sleep
    box.fault(DEFAULT_NUMBER, "throttle", retry_after=40)
    call(http, request_for(box.base_url), clock=clock)
    assert arrived.is_set()
    assert slept == [40.0, 40.0]


def test_other_credentials_do_not_wait(box: Sandbox, clock: Clock) -> None:
    box.fault(DEFAULT_NUMBER, "throttle", retry_after=40)
    throttled, other = make_http(clock, retries=0), make_http(clock)
    with pytest.raises(ApiError):
        call(throttled, request_for(box.base_url))
    call(other, request_for(box.base_url))
    assert clock.slept == []


def test_whoever_cannot_wait_out_the_quiet_time_sends_nothing(box: Sandbox, clock: Clock) -> None:
    http = make_http(clock)
    http.budget.throttle(ALL, 500)
    with pytest.raises(DeadlineExceeded, match="throttles this credential for another 500 s") as caught:
        call(http, request_for(box.base_url), seconds=300, clock=clock)
    assert not caught.value.outcome_unknown
    assert box.requests == []


@pytest.mark.parametrize(("options", "minutes"), [({"retries": 0}, 1), ({"retries": 3}, 10)])
def test_the_quiet_time_holds_for_others_also_where_the_throttled_one_gives_up(
    options: dict[str, int], minutes: int, box: Sandbox, clock: Clock
) -> None:
    """Calling on while throttled lengthens the wait, so the next number must not call at once."""
    box.fault(DEFAULT_NUMBER, "throttle", estimated_minutes=minutes)
    http = make_http(clock, **options)
    with pytest.raises(ApiError):
        call(http, request_for(box.base_url), seconds=300, clock=clock)
    called, start = len(box.requests), clock.time
    try:
        call(http, request_for(box.base_url), seconds=300, clock=clock)
    except DeadlineExceeded:
        assert len(box.requests) == called
    else:
        assert clock.time >= start + minutes * 60


def test_usage_headers_are_in_the_tally(box: Sandbox) -> None:
    job = make_job()
    make_http().call(request_for(box.base_url), classify, job)
    assert set(job.tally.usage) == {"x-app-usage", "x-business-use-case-usage"}
    assert "call_count" in job.tally.usage["x-app-usage"]


USAGE: list[tuple[str, str, t.Any]] = [
    ("x-app-usage", '{"call_count": 5, "total_cputime": 1.5, "total_time": 0, "type": "s3cret", "more": 7}',
     {"call_count": 5, "total_cputime": 1.5, "total_time": 0}),
    ("x-app-usage", '{"call_count": "s3cret", "total_time": ["s3cret"], "total_cputime": null, "s3cret": 1}', {}),
    ("x-app-usage", '["s3cret"]', None),
    ("x-app-usage", '"s3cret"', None),
    ("x-app-usage", "s3cret", None),
    ("x-app-usage", "[" * 20000, None),
    ("x-business-use-case-usage",
     '{"12": [{"type": "s3cret", "call_count": 1, "total_cputime": 2, "total_time": 3, "estimated_time_to_regain_access": 4}, '
     '"s3cret"]}',
     {"12": [{"call_count": 1, "total_cputime": 2, "total_time": 3, "estimated_time_to_regain_access": 4}]}),
    ("x-business-use-case-usage",
     '{"s3cret": [{"call_count": 1}], "12a": [{"call_count": 1}], "": [{}], "7": [], "8": {"call_count": 1}}',
     {"7": []}),
    ("x-business-use-case-usage", '[{"call_count": 1}]', None),
]


@pytest.mark.parametrize(("name", "text", "kept"), USAGE)
def test_of_the_usage_headers_only_known_numbers_are_kept(name: str, text: str, kept: t.Any) -> None:
    job = make_job()
    with Recorder((200, {name: text}, {"data": []})) as server:
        make_http().call(request_for(server.base_url), classify, job)
    assert job.tally.usage == ({} if kept is None else {name: kept})


@pytest.mark.parametrize("minutes", ["1" + "0" * 400, "1e400", "NaN", "-5"])
def test_an_odd_estimate_of_the_wait_is_no_exception(minutes: str) -> None:
    wait = wait_asked({"x-business-use-case-usage": f'{{"12": [{{"estimated_time_to_regain_access": {minutes}}}]}}'})
    assert wait is None or wait > 0


@pytest.mark.parametrize("value", ["nan", "", "soon", "1e999999", "7 s"])
def test_an_odd_retry_after_is_not_taken_at_its_word(value: str) -> None:
    wait = wait_asked({"retry-after": value})
    assert wait is None or wait >= 0


# -- deadlines


@pytest.mark.parametrize("fault", [
    {"kind": "slow_first_byte", "seconds": 20.0},
    {"kind": "latency", "seconds": 20.0},
    {"kind": "slow_drip", "seconds_per_byte": 0.05},
    {"kind": "slow_drip", "seconds_per_byte": 0.7},
    {"kind": "error", "status": 500, "code": 2, "times": -1},
])
def test_the_total_time_is_kept(fault: dict[str, t.Any], box: Sandbox) -> None:
    box.fault(DEFAULT_NUMBER, **fault)
    start = time.monotonic()
    with pytest.raises(WabaError):
        call(make_http(timeout=30.0, retries=50), request_for(box.base_url), seconds=1.0)
    assert time.monotonic() - start < 1.0 + 1.5


def test_a_drip_that_stalls_near_the_end_keeps_the_total_time(box: Sandbox) -> None:
    box.fault(DEFAULT_NUMBER, "slow_drip", seconds_per_byte=1.9)
    start = time.monotonic()
    with pytest.raises(TransportError):
        call(make_http(timeout=30.0), request_for(box.base_url), seconds=2.0)
    assert time.monotonic() - start < 2.0 + 1.5


@pytest.mark.parametrize("fault", [{"kind": "slow_first_byte", "seconds": 9.0}, {"kind": "slow_drip", "seconds_per_byte": 0.05}])
def test_a_change_cut_off_by_time_may_have_been_applied(fault: dict[str, t.Any], box: Sandbox, keys: Keys) -> None:
    box.fault(DEFAULT_NUMBER, **fault)
    with pytest.raises(TransportError) as caught:
        call(make_http(timeout=30.0), request_for(box.base_url, "POST", keys.a.pem), seconds=0.3)
    assert caught.value.outcome_unknown
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == keys.a.pem


def test_a_timeout_names_the_time_that_was_allowed(box: Sandbox) -> None:
    box.fault(DEFAULT_NUMBER, "slow_first_byte", seconds=9.0, times=-1)
    with pytest.raises(Timeout, match=r"did not answer within 0\.3 s"):
        call(make_http(timeout=0.3, retries=0), request_for(box.base_url))
    with pytest.raises(TransportError) as caught:
        call(make_http(timeout=30.0, retries=0), request_for(box.base_url), seconds=0.3)
    assert "30 s" not in str(caught.value)


def test_nothing_is_sent_once_the_time_is_used_up(box: Sandbox) -> None:
    with pytest.raises(DeadlineExceeded, match="total_timeout") as caught:
        call(make_http(), request_for(box.base_url), seconds=0.0)
    assert not caught.value.outcome_unknown
    assert box.requests == []


def test_remaining_time_is_never_negative(clock: Clock) -> None:
    deadline = Deadline(5.0, clock.now)
    clock.time += 9
    assert deadline.remaining() == 0.0


# -- bad answers


@pytest.mark.parametrize(("fault", "error", "why"), [
    ({"kind": "big_body", "bytes": 3 * 1024 * 1024}, InvalidAnswer, "larger than 2097152 bytes"),
    ({"kind": "truncated"}, ConnectionFailed, "before a whole answer had arrived"),
    ({"kind": "reset"}, ConnectionFailed, "before a whole answer had arrived"),
    ({"kind": "html", "status": 200}, InvalidAnswer, "not JSON"),
    ({"kind": "empty"}, InvalidAnswer, "an empty body"),
    ({"kind": "body", "body": "{\"data\": [", "status": 200}, InvalidAnswer, "not JSON"),
    ({"kind": "body", "body": "[" * 100000, "status": 200}, InvalidAnswer, "not JSON"),
    ({"kind": "redirect", "location": "https://example.org/"}, InvalidAnswer, r"redirect \(HTTP 302\)"),
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_answers_are_named_and_may_hide_a_change(
    *, method: str, fault: dict[str, t.Any], error: type[TransportError], why: str, box: Sandbox, keys: Keys
) -> None:
    box.fault(DEFAULT_NUMBER, **fault)
    with pytest.raises(error, match=why) as caught:
        call(make_http(retries=0), request_for(box.base_url, method, keys.a.pem if method == "POST" else None))
    assert caught.value.outcome_unknown
    assert caught.value.remedy
    assert "s3cretproof" not in str(caught.value)
    assert "appsecret_proof" not in str(caught.value)
    assert DEFAULT_TOKEN not in str(caught.value)


def test_a_big_body_with_an_honest_length_is_refused_too() -> None:
    with Recorder((200, {}, b" " * 3_000_000)) as server, pytest.raises(InvalidAnswer, match="larger than"):
        call(make_http(), request_for(server.base_url))


def test_a_connection_that_is_refused_sent_nothing() -> None:
    with pytest.raises(ConnectionFailed, match="cannot be reached: Connection refused") as caught:
        call(make_http(retries=0), request_for(f"http://127.0.0.1:{closed_port()}"))
    assert not caught.value.outcome_unknown
    assert caught.value.retryable


@pytest.mark.parametrize(("method", "sent"), [("GET", 4), ("POST", 1)])
def test_over_a_connection_that_is_refused_only_a_read_is_tried_again(method: str, sent: int, keys: Keys, clock: Clock) -> None:
    job = make_job()
    request = request_for(f"http://127.0.0.1:{closed_port()}", method, keys.a.pem if method == "POST" else None)
    with pytest.raises(ConnectionFailed) as caught:
        make_http(clock).call(request, classify, job)
    assert (job.tally.requests, job.tally.retries, len(clock.slept)) == (sent, sent - 1, sent - 1)
    assert (caught.value.retryable, caught.value.outcome_unknown) == (True, False)


def test_a_host_name_that_does_not_resolve_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: t.Any, **options: t.Any) -> t.NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectionFailed, match=r"https://api\.example cannot be reached: Name or service not known") as caught:
        call(make_http(retries=0), request_for("https://api.example"))
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:{closed}", "https://127.0.0.1:{open}"])
def test_connection_errors_hold_neither_query_nor_token(base_url: str, box: Sandbox) -> None:
    url = base_url.format(closed=closed_port(), open=box.base_url.rsplit(":", 1)[1])
    with pytest.raises(TransportError) as caught:
        call(make_http(retries=0), request_for(url))
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "s3cretproof" not in shown
    assert PATH not in shown
    assert DEFAULT_TOKEN not in shown


class Broken:
    """A session whose every request ends with an error, after there was a connection."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def request(self, *arguments: t.Any, **options: t.Any) -> t.NoReturn:
        _connections._CURRENT.attempt.unsent = False
        raise self._error


def error_of(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> WabaError:
    """What becomes of an error of the library."""
    http = make_http(retries=0)
    monkeypatch.setattr(http._transport, "session", lambda verify: Broken(raised))
    with pytest.raises(WabaError) as caught:
        call(http, request_for("https://api.example"))
    return caught.value


@pytest.mark.parametrize("wrap", [lambda error: error, requests.exceptions.ConnectionError], ids=["OSError", "requests"])
@pytest.mark.parametrize("before", [0, 190, 195, 199])
def test_the_text_of_an_error_is_redacted_before_it_is_cut(
    before: int, wrap: t.Callable[[Exception], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = error_of(wrap(OSError(5, "x" * before + DEFAULT_TOKEN + "y" * 300)), monkeypatch)
    assert isinstance(error, ConnectionFailed)
    assert ("x" * before + "*" * 8 + "y" * 300)[:200] + "." in error.message
    assert "y" * 193 not in error.message
    assert DEFAULT_TOKEN[:4] not in error.message.replace("https://api.example", "")


def test_secrets_are_blotted_out_longest_first() -> None:
    http = HttpClient(Transport(), HttpOptions(5.0, 0, True), ["abc", "abcdef", ""])
    assert http.redact("x abcdef abc y") == "x ******** ******** y"


# -- where the credential goes


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"", b"<html>moved</html>", b" " * 3_000_000], ids=["empty", "html", "big"])
def test_a_redirect_is_not_followed(method: str, status: int, body: bytes, keys: Keys, clock: Clock) -> None:
    with Recorder() as other, Recorder((status, {"Location": other.base_url + "/x"}, body)) as server:
        with pytest.raises(InvalidAnswer, match=f"HTTP {status}") as caught:
            call(make_http(clock), request_for(server.base_url, method, keys.a.pem if method == "POST" else None))
        assert len(server.seen) == 1
        assert (other.connections, other.seen) == (0, [])
    assert other.base_url not in str(caught.value)


def test_the_body_of_a_redirect_cannot_outlast_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip_redirect, args=(server,), daemon=True).start()
        start = time.monotonic()
        with pytest.raises(TransportError):
            call(make_http(retries=0), request_for(f"http://127.0.0.1:{server.getsockname()[1]}"), seconds=0.5)
        assert time.monotonic() - start < 0.5 + 1.5


def drip_redirect(server: socket.socket) -> None:
    connection = server.accept()[0]
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://example.org/\r\nContent-Length: 60\r\n\r\n")
        for dummy in range(60):
            connection.sendall(b" ")
            time.sleep(0.05)


def test_a_password_in_netrc_does_not_take_the_place_of_the_token(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\ndefault login anybody password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    assert call(make_http(), request_for(box.base_url)).status == 200  # with Basic it would answer 190
    with Recorder() as server:
        call(make_http(), request_for(server.base_url))
    assert server.seen[0].headers["authorization"] == f"Bearer {DEFAULT_TOKEN}"


def test_cookies_are_not_kept() -> None:
    http = make_http()
    with Recorder((200, {"Set-Cookie": "session=1; Path=/"}, {"data": []})) as server:
        call(http, request_for(server.base_url))
        call(http, request_for(server.base_url))
    assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]
    assert len(http._transport.session(True).cookies) == 0


def test_connections_are_used_again() -> None:
    http = make_http()
    with Recorder() as server:
        for dummy in range(10):
            call(http, request_for(server.base_url))
    assert len(server.seen) == 10
    assert server.connections == 1


def test_errors_do_not_cost_the_connection(clock: Clock) -> None:
    http = make_http(clock)
    error: tuple[int, dict[str, str], t.Any] = (500, {}, {"error": {"message": "x", "code": 2}})
    with Recorder(error, error, (200, {}, {"data": []})) as server:
        call(http, request_for(server.base_url))
    assert (len(server.seen), server.connections) == (3, 1)


def test_sessions_are_kept_apart_by_how_certificates_are_checked() -> None:
    transport = Transport()
    assert transport.session(True) is transport.session(True)
    assert len({id(transport.session(verify)) for verify in (True, False, "/x", "/y")}) == 4


# -- proxies


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy:
        monkeypatch.setenv(name, proxy.base_url)
        call(make_http(), request_for("http://api.example"))
    assert proxy.seen[0].headers["host"] == "api.example"
    assert proxy.seen[0].path == PATH


@pytest.mark.parametrize("no_proxy", ["api.invalid", ".invalid", "*"])
def test_no_proxy_is_respected(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.setenv("no_proxy", no_proxy)
        with pytest.raises(ConnectionFailed):
            call(make_http(retries=0), request_for("http://api.invalid"))
        assert proxy.seen == []


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy, Recorder() as server:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        call(make_http(), request_for(server.base_url))
        assert (len(proxy.seen), len(server.seen)) == (0, 1)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.8.9.1", "[::1]", "[::1]:8080"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_form_of_loopback_has_a_proxy(scheme: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    assert Transport().proxies(f"{scheme}://{host}/x") == {}
    assert Transport().proxies(f"{scheme}://api.example/x")[scheme] == "http://proxy.example:3128"


def test_https_goes_through_the_proxy_as_a_tunnel_that_shows_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder((403, {}, {})) as proxy:
        monkeypatch.setenv("https_proxy", proxy.base_url)
        with pytest.raises(TransportError) as caught:
            call(make_http(retries=0), request_for("https://api.example"))
    assert [seen.method for seen in proxy.seen] == ["CONNECT"]
    assert "authorization" not in proxy.seen[0].headers
    assert "s3cretproof" not in str(caught.value)


def test_the_password_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:pr0xypass@127.0.0.1:{closed_port()}")
    with pytest.raises(ConnectionFailed) as caught:
        call(make_http(retries=0), request_for("http://api.example"))
    assert "pr0xypass" not in str(caught.value)
    assert not caught.value.outcome_unknown


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_a_certificate_of_an_unknown_ca_is_refused_before_anything_is_sent(certificate: tuple[str, str]) -> None:
    with Recorder(tls=certificate) as server:
        with pytest.raises(TlsError, match=r"was not accepted.*self-signed certificate") as caught:
            call(make_http(), request_for(server.base_url))
        assert server.seen == []
    assert not caught.value.outcome_unknown
    assert not caught.value.retryable
    assert "ca_path" in caught.value.remedy


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_speaks_no_tls_was_sent_nothing(method: str, box: Sandbox, keys: Keys, clock: Clock) -> None:
    request = request_for(box.base_url.replace("http://", "https://"), method, keys.a.pem if method == "POST" else None)
    with pytest.raises(ConnectionFailed) as caught:
        call(make_http(clock), request)
    assert (caught.value.outcome_unknown, caught.value.retryable) == (False, True)


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate has expired")
ALERT = ssl.SSLError(1, "sslv3 alert bad record mac")


def chained(error: Exception, *, by: str) -> Exception:
    """An error of requests that holds one of ssl in one of the ways in which it can."""
    if by == "argument":
        return requests.exceptions.SSLError(error)
    if by == "reason":
        return requests.exceptions.SSLError(
            MaxRetryError(t.cast(t.Any, None), "/", urllib3.exceptions.SSLError(error)))
    outer = requests.exceptions.SSLError("text")
    setattr(outer, by, error)
    return outer


@pytest.mark.parametrize("by", ["argument", "reason", "__cause__", "__context__"])
def test_only_a_tls_error_about_a_certificate_sent_nothing(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = error_of(chained(CERTIFICATE, by=by), monkeypatch)
    assert (type(refused), refused.outcome_unknown, refused.retryable) == (TlsError, False, False)
    broken = error_of(chained(ALERT, by=by), monkeypatch)
    assert (type(broken), broken.outcome_unknown, broken.retryable) == (ConnectionFailed, True, True)


def test_a_certificate_of_the_ca_named_is_accepted(certificate: tuple[str, str]) -> None:
    with Recorder(tls=certificate) as server:
        client = make_client(server.base_url, ca_path=certificate[0])
        assert client.read(DEFAULT_NUMBER, make_job()).fingerprint is None


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_ca_of_the_environment_is_used(name: str, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, certificate[0])
    with Recorder(tls=certificate) as server:
        assert make_client(server.base_url).read(DEFAULT_NUMBER, make_job()).fingerprint is None


def test_a_certificate_for_another_name_is_refused(certificate: tuple[str, str]) -> None:
    with Recorder(tls=certificate) as server:
        client = make_client(server.base_url.replace("127.0.0.1", "localhost"), ca_path=certificate[0])
        with pytest.raises(TlsError):
            client.read(DEFAULT_NUMBER, make_job())
        assert server.seen == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("bundle", [None, "REQUESTS_CA_BUNDLE"])
def test_the_check_can_be_given_up(bundle: str | None, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    if bundle:
        monkeypatch.setenv(bundle, "/nonexistent")
    with Recorder(tls=certificate) as server:
        client = make_client(server.base_url, validate_certs=False)
        assert client.read(DEFAULT_NUMBER, make_job()).fingerprint is None


def test_a_missing_ca_file_is_named() -> None:
    with pytest.raises(InvalidOptions, match=r"ca_path /nonexistent/ca\.pem does not exist"):
        make_client("https://127.0.0.1", ca_path="/nonexistent/ca.pem")


def test_a_missing_ca_file_of_the_environment_is_an_error_and_not_a_way_round(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")
    with Recorder(tls=certificate) as server:
        with pytest.raises(WabaError):
            make_client(server.base_url, retries=0).read(DEFAULT_NUMBER, make_job())
        assert server.seen == []


# -- the library


@pytest.mark.parametrize(("version", "why"), [(None, "it is not installed"), ("2.19.0", "version 2.19.0 is too old")])
def test_requests_must_be_there_and_new_enough(version: str | None, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "REQUESTS_VERSION", version)
    with pytest.raises(MissingLibrary, match=r"requests >= 2\.25\.1") as caught:
        Transport()
    assert why in str(caught.value)


def test_a_secret_is_blotted_out_as_it_looks_in_a_url_too() -> None:
    client = HttpClient(Transport(), HttpOptions(1.0, 0, True), ["fake+tok/en=="])
    assert "tok" not in client.redact("a fake+tok/en== b fake%2Btok%2Fen%3D%3D c")


@pytest.mark.parametrize("echo", ["fake%2btok%2fen%3d%3d", "fake%2Btok/en%3D%3D", "ZmFrZSt0b2svZW49PQ"])
def test_a_secret_is_blotted_out_in_other_encodings(echo: str) -> None:
    client = HttpClient(Transport(), HttpOptions(1.0, 0, True), ["fake+tok/en=="])
    assert client.redact(f"a {echo} b").startswith("a ********")
