# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lists of the Cloud API: what is sent, how pages are followed, what answers are refused, and what failures cost."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _wabas
from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION
from ansible_collections.waba.flows.plugins.module_utils._errors import ApiError, InvalidAnswer, InvalidOptions, WabaError
from ansible_collections.waba.flows.plugins.module_utils._http import Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Connection
from ansible_collections.waba.flows.plugins.module_utils._wabas import (
    DETAILS,
    MEMBERS,
    Failure,
    Reading,
    Sources,
    describe,
    fingerprint,
    read_numbers,
)
from ansible_collections.waba.flows.tests.unit.helpers import Recorder, module_params
from tests.sandbox import DEFAULT_BUSINESS, DEFAULT_TOKEN, DEFAULT_WABA, Business, Sandbox, State, Token, make_number, make_state

TOKEN = "EAAtoken-canary-0123456789"
SECRET = "appsecret-canary-0123456789"
PROOF = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
WABA = "102200000000001"
FIELDS = "id,display_phone_number,verified_name,status,quality_rating,code_verification_status,account_mode,host_platform," \
         "platform_type,messaging_limit_tier"


def connection(base_url: str, **options: t.Any) -> Connection:
    return connection_of(module_params(CONNECTION, base_url=base_url, **options))


def read(base_url: str, sources: Sources, *, workers: int = 4, seconds: float = 30.0, **options: t.Any) -> Reading:
    transport = Transport(workers)
    try:
        return read_numbers(sources, connection(base_url, **options), transport, max_workers=workers, total_timeout=seconds)
    finally:
        transport.close()


def read_one(base_url: str, **options: t.Any) -> Reading:
    return read(base_url, Sources(waba_ids=(WABA,), access_token=TOKEN), **options)


def page(*identities: str, after: str | None = None, **members: t.Any) -> tuple[int, dict[str, str], t.Any]:
    """A page as the API gives it; with a cursor, C(next) is a URL that nobody may follow."""
    paging: dict[str, t.Any] = {"cursors": {"before": "b", "after": after or "last"}}
    if after:
        paging["next"] = f"https://elsewhere.example/v24.0/{WABA}/phone_numbers?access_token={TOKEN}&after={after}"
    return 200, {}, {"data": [{"id": identity, **members} for identity in identities], "paging": paging}


def ids(reading: Reading) -> list[str | None]:
    return [row["phone_number_id"] for row in reading.rows]


def error_of(reading: Reading) -> WabaError:
    assert len(reading.failures) == 1
    assert reading.rows == []
    assert reading.waba_ids == []
    return reading.failures[0].error


# -- what is sent


def test_one_waba_is_one_request_and_the_token_is_in_the_header_alone() -> None:
    with Recorder(page("1", "2")) as server:
        reading = read_one(server.base_url, app_secret=SECRET)
    assert ids(reading) == ["1", "2"]
    (request,) = server.seen
    assert (request.method, request.path) == ("GET", f"/v24.0/{WABA}/phone_numbers")
    assert request.query == {"fields": FIELDS, "limit": "100", "appsecret_proof": PROOF}
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_the_cursor_is_followed_and_not_the_url_of_the_next_page() -> None:
    with Recorder(page("1", after="c1"), page("2", after="c2"), page("3")) as server:
        reading = read_one(server.base_url)
    assert ids(reading) == ["1", "2", "3"]
    assert [request.query.get("after") for request in server.seen] == [None, "c1", "c2"]
    assert all("access_token" not in request.query for request in server.seen)


def test_an_empty_page_in_the_middle_does_not_end_the_list() -> None:
    with Recorder(page("1", after="c1"), page(after="c2"), page("3")) as server:
        assert ids(read_one(server.base_url)) == ["1", "3"]


@pytest.mark.parametrize("paging", [
    None, {}, {"cursors": {"after": "x"}}, {"next": None, "cursors": {"after": "x"}}, {"next": ""},
])
def test_without_a_next_page_the_list_ends(paging: t.Any) -> None:
    with Recorder((200, {}, {"data": [{"id": "1"}], "paging": paging})) as server:
        assert ids(read_one(server.base_url)) == ["1"]
    assert len(server.seen) == 1


# -- paging of the sandbox, which refuses unknown cursors, limits and fields


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_every_number_of_a_waba_is_read_once(count: int, requests: int) -> None:
    with Sandbox(make_state(count)) as box:
        reading = read(box.base_url, Sources(waba_ids=(DEFAULT_WABA,), access_token=DEFAULT_TOKEN))
        assert ids(reading) == list(box.state.numbers)
        assert len(box.requests) == requests
    assert reading.failures == []
    assert reading.waba_ids == [DEFAULT_WABA]
    assert all(tuple(row) == MEMBERS for row in reading.rows)


def test_all_members_arrive() -> None:
    state = make_state(1)
    number = next(iter(state.numbers.values()))
    number.verified_name, number.quality_rating, number.status = "Müller & Söhne", "RED", "FLAGGED"
    with Sandbox(state) as box:
        (row,) = read(box.base_url, Sources(waba_ids=(DEFAULT_WABA,), access_token=DEFAULT_TOKEN)).rows
    assert row == {
        "phone_number_id": "106600000000001", "waba_id": DEFAULT_WABA, **{name: getattr(number, name) for name in DETAILS}
    }


def business_state() -> State:
    """A business that owns 103 WABAs and shares in two, one of which is among its own."""
    owned = [str(int(DEFAULT_WABA) + index) for index in range(103)]
    state = make_state(0)
    state.numbers = {str(500 + index): make_number(waba) for index, waba in enumerate([*owned, "700"])}
    state.businesses = {DEFAULT_BUSINESS: Business(owned=owned, client=["700", owned[5]])}
    return state


def test_owned_and_client_wabas_of_a_business_are_read_each_once() -> None:
    with Sandbox(business_state()) as box:
        reading = read(box.base_url, Sources(waba_ids=("700",), business_ids=(DEFAULT_BUSINESS, DEFAULT_BUSINESS),
                                             access_token=DEFAULT_TOKEN))
        listed = [request.path.split("/")[-2] for request in box.requests if request.path.endswith("/phone_numbers")]
    assert reading.waba_ids == ["700", *(str(int(DEFAULT_WABA) + index) for index in range(103))]
    assert sorted(listed) == sorted(reading.waba_ids)
    assert len(set(ids(reading))) == len(reading.rows) == 104


def test_a_number_in_two_wabas_is_listed_once() -> None:
    with Recorder(page("1", "2", "1")) as server:
        reading = read(server.base_url, Sources(waba_ids=("10", "20", "10"), access_token=TOKEN))
    assert [(row["phone_number_id"], row["waba_id"]) for row in reading.rows] == [("1", "10"), ("2", "10")]
    assert reading.waba_ids == ["10", "20"]
    assert len(server.seen) == 2


def test_the_order_is_the_one_of_the_options_whichever_answers_first() -> None:
    with Sandbox(make_state(6, wabas=3)) as box:
        wabas = [str(int(DEFAULT_WABA) + index) for index in (2, 0, 1)]
        box.fault(wabas[0], "latency", seconds=0.3)
        reading = read(box.base_url, Sources(waba_ids=tuple(wabas), access_token=DEFAULT_TOKEN))
    assert list(dict.fromkeys(row["waba_id"] for row in reading.rows)) == wabas


# -- tokens


def test_each_account_is_asked_with_its_own_token() -> None:
    state = make_state(4, wabas=4)
    a, b, c, d = (str(int(DEFAULT_WABA) + index) for index in range(4))
    state.businesses = {"900": Business(owned=[b, c]), "901": Business(client=[d])}
    state.tokens = {"token-a": Token(wabas=[a]), "token-b": Token(wabas=[b]), "token-900": Token(wabas=[b, c]),
                    "token-common": Token(wabas=[d])}
    sources = Sources(waba_ids=(a,), business_ids=("900", "901"), access_token="token-common",
                      access_tokens={a: "token-a", b: "token-b", "900": "token-900"})
    with Sandbox(state) as box:
        reading = read(box.base_url, sources)
    assert reading.failures == []
    assert reading.waba_ids == [a, b, c, d]


@pytest.mark.parametrize(("sources", "names"), [
    (Sources(), "waba_ids"),
    (Sources(waba_ids=("12a",), access_token=TOKEN), "12a"),
    (Sources(waba_ids=("../1",), access_token=TOKEN), "waba_ids"),
    (Sources(business_ids=("",), access_token=TOKEN), "business_ids"),
    (Sources(waba_ids=("1",)), "access_token"),
    (Sources(waba_ids=("1", "2"), access_tokens={"1": TOKEN}), "for 2 of waba_ids"),
    (Sources(business_ids=("3",), access_tokens={"1": TOKEN}), "for 3 of business_ids"),
    (Sources(waba_ids=("1",), access_token=f"{TOKEN}\n"), "blanks"),
    (Sources(waba_ids=("1",), access_token="x", access_tokens={"2": f"{TOKEN} {TOKEN}"}), "blanks"),
    (Sources(waba_ids=("1",), access_token="x", access_tokens={TOKEN: "1"}), "access_tokens"),
])
def test_options_that_cannot_be_meant_are_refused_before_anything_is_sent(sources: Sources, names: str) -> None:
    with Recorder() as server:
        with pytest.raises(InvalidOptions, match=names) as caught:
            read(server.base_url, sources)
        assert server.seen == []
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(sources)


@pytest.mark.parametrize("options", [
    {"base_url": "http://graph.example"}, {"base_url": "ftp://x"}, {"base_url": "https://x", "api_version": "24"},
])
def test_the_connection_is_checked_as_for_the_modules(options: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidOptions):
        read_one(**options)


# -- answers that are not trusted


@pytest.mark.parametrize("document", [
    [], [{"id": "1"}], {}, {"data": None}, {"data": {"id": "1"}}, {"data": ["1"]}, {"data": [None]}, {"data": [{}]},
    {"data": [{"id": None}]}, {"data": [{"id": True}]}, {"data": [{"id": "1/2"}]}, {"data": [{"id": "{{ 1 }}"}]},
    {"data": [{"id": "1" * 33}]}, {"data": [{"id": "\u0661"}]}, {"data": [{"id": "1\n"}]}, {"data": [], "paging": []},
    {"data": [], "paging": {"next": "x"}}, {"data": [], "paging": {"next": "x", "cursors": []}},
    {"data": [], "paging": {"next": "x", "cursors": {"after": ""}}},
    {"data": [], "paging": {"next": "x", "cursors": {"after": 5}}},
    {"data": [], "paging": {"next": "x", "cursors": {"after": "\ud800"}}},
    {"data": [], "paging": {"next": "x", "cursors": {"after": "a" * 2001}}},
])
def test_answers_of_another_form_are_refused(document: t.Any) -> None:
    with Recorder((200, {}, document)) as server:
        assert isinstance(error_of(read_one(server.base_url)), InvalidAnswer)
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b'"text"', b"5", b'{"data": [', b"\xff"])
def test_bodies_that_are_not_json_are_refused(body: bytes) -> None:
    with Recorder((200, {}, body)) as server:
        assert isinstance(error_of(read_one(server.base_url)), InvalidAnswer)


@pytest.mark.parametrize(("value", "becomes"), [
    ("text", "text"), ("", ""), (5, "5"), (1.5, "1.5"), (True, None), (None, None), ([], None), ({"a": 1}, None),
    ("a\ud800b", "a?b"), ("{{ 1 }}", "{{ 1 }}"),
])
def test_values_become_text_or_nothing(value: t.Any, becomes: str | None) -> None:
    with Recorder(page("1", verified_name=value)) as server:
        (row,) = read_one(server.base_url).rows
    assert row["verified_name"] == becomes
    assert row["status"] is None


def test_an_id_that_came_as_a_number_becomes_text() -> None:
    with Recorder((200, {}, {"data": [{"id": 106600000000001}]})) as server:
        assert ids(read_one(server.base_url)) == ["106600000000001"]


@pytest.mark.parametrize("cursors", [["c1", "c1"], ["c1", "c2", "c1"]])
def test_a_cursor_that_comes_again_is_an_error(cursors: list[str]) -> None:
    with Recorder(*(page("1", after=cursor) for cursor in cursors)) as server:
        assert "had before" in str(error_of(read_one(server.base_url)))
    assert len(server.seen) == len(cursors)


def test_a_list_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_wabas, "MAX_PAGES", 5)
    with Recorder(*(page(str(index + 1), after=f"c{index}") for index in range(9))) as server:
        assert "does not end" in str(error_of(read_one(server.base_url)))
    assert len(server.seen) == 5


def test_a_secret_that_the_api_writes_into_a_text_is_blotted_out() -> None:
    with Recorder(page("1", verified_name=f"shop {TOKEN} {SECRET} {PROOF}", status="CONNECTED")) as server:
        (row,) = read_one(server.base_url, app_secret=SECRET).rows
    assert row["verified_name"] == "shop ******** ******** ********"
    assert row["status"] == "CONNECTED"


# -- failures


def test_one_that_fails_costs_the_others_nothing() -> None:
    state = make_state(6, wabas=3)
    wabas = [str(int(DEFAULT_WABA) + index) for index in range(3)]
    state.tokens = {DEFAULT_TOKEN: Token(wabas=[wabas[0], wabas[2]])}
    with Sandbox(state) as box:
        reading = read(box.base_url, Sources(waba_ids=tuple(wabas), business_ids=("999",), access_token=DEFAULT_TOKEN))
    assert reading.waba_ids == [wabas[0], wabas[2]]
    assert len(reading.rows) == 4
    assert [failure.what for failure in reading.failures] == [
        "the list of owned WABAs of business 999", "the list of client WABAs of business 999", f"WABA {wabas[1]}",
    ]
    assert describe(reading.failures).count("not the ID of a phone number or an app") == 2  # once a cause


def test_a_waba_of_which_one_page_fails_is_left_out_whole(quick: None) -> None:
    with Recorder(page("1", after="c1"), (400, {}, {"error": {"code": 100, "message": "no"}})) as server:
        assert isinstance(error_of(read_one(server.base_url)), ApiError)


@pytest.mark.parametrize(("status", "code", "says"), [
    (401, 190, "within access_tokens"), (403, 200, "whatsapp_business_management"), (400, 100, "app_secret"),
    (400, 803, "WhatsApp Business account"), (429, 80007, "rate limit"),
])
def test_errors_say_what_to_do_about_a_list(status: int, code: int, says: str) -> None:
    body = {"error": {"code": code, "message": f"refused {TOKEN}"}}
    with Recorder((status, {}, body)) as server:
        error = error_of(read_one(server.base_url, retries=0))
    assert says in str(error)
    assert "phone-number ID" not in str(error)
    assert TOKEN not in str(error)


def test_temporary_errors_are_survived(quick: None) -> None:
    failed: tuple[int, dict[str, str], t.Any] = (500, {}, {"error": {"code": 2, "message": "later"}})
    with Recorder(failed, page("1", after="c"), failed, page("2")) as server:
        assert ids(read_one(server.base_url)) == ["1", "2"]
    assert [request.query.get("after") for request in server.seen] == [None, None, "c", "c"]


def test_when_throttled_all_who_share_the_token_wait() -> None:
    with Sandbox(make_state(8, wabas=8)) as box:
        wabas = tuple(str(int(DEFAULT_WABA) + index) for index in range(8))
        box.fault(wabas[0], "throttle", retry_after=1)
        started = time.monotonic()
        reading = read(box.base_url, Sources(waba_ids=wabas, access_token=DEFAULT_TOKEN), workers=1)
        assert time.monotonic() - started >= 1
        assert len(box.requests) == 9
    assert reading.failures == []


def test_the_whole_reading_ends_in_time() -> None:
    with Recorder(page("1"), delay=5.0) as server:
        started = time.monotonic()
        error_of(read_one(server.base_url, seconds=0.5))
        assert time.monotonic() - started < 4


def test_an_error_that_is_none_of_ours_is_noted_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*dummy: t.Any) -> t.Any:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(_wabas.Lists, "numbers", fail)
    error = error_of(read_one("https://graph.example"))
    assert "RuntimeError" in str(error)
    assert TOKEN not in str(error)


def test_one_cause_is_told_once() -> None:
    same, other = InvalidAnswer("broken."), InvalidAnswer("late.")
    text = describe([Failure("WABA 1", same), Failure("WABA 2", other), Failure("WABA 3", InvalidAnswer("broken."))])
    assert text == "WABA 1, WABA 3: broken. WABA 2: late."


# -- concurrency


def test_lists_are_read_at_the_same_time_and_connections_are_kept() -> None:
    wabas = tuple(str(index) for index in range(1, 33))
    with Recorder(page("1"), delay=0.1) as server:
        started = time.monotonic()
        read(server.base_url, Sources(waba_ids=wabas, access_token=TOKEN), workers=8)
        elapsed = time.monotonic() - started
    assert len(server.seen) == 32
    assert server.connections <= 8
    assert elapsed < 1.6  # one after the other: 3.2 s


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with Sandbox(make_state(4, wabas=4)) as box:
        read(box.base_url, Sources(business_ids=(DEFAULT_BUSINESS,), access_token=DEFAULT_TOKEN))
    assert threading.active_count() <= before


# -- the cache's data and key


def test_what_is_cached_comes_back_and_holds_no_secret() -> None:
    with Sandbox(make_state(3, wabas=2)) as box:
        reading = read(box.base_url, Sources(business_ids=(DEFAULT_BUSINESS,), access_token=DEFAULT_TOKEN), app_secret=SECRET)
    data = reading.to_cache()
    assert Reading.from_cache(data) == reading
    assert DEFAULT_TOKEN not in str(data)
    assert SECRET not in str(data)


def _good() -> dict[str, t.Any]:
    return Reading(["1"], [{**dict.fromkeys(MEMBERS), "phone_number_id": "5", "waba_id": "1"}]).to_cache()


@pytest.mark.parametrize("change", [
    lambda data: None, lambda data: [], lambda data: {**data, "schema": 0}, lambda data: {**data, "rows": {}},
    lambda data: {**data, "rows": [5]}, lambda data: {**data, "rows": [{**data["rows"][0], "status": 5}]},
    lambda data: {**data, "rows": [{**data["rows"][0], "waba_id": None}]},
    lambda data: {**data, "rows": [{**data["rows"][0], "more": "x"}]}, lambda data: {**data, "waba_ids": ["a b"]},
    lambda data: {**data, "waba_ids": None}, lambda data: {**data, "rows": [{**data["rows"][0], "phone_number_id": "x"}]},
])
def test_a_damaged_cache_is_as_good_as_none(change: t.Callable[[t.Any], t.Any]) -> None:
    assert Reading.from_cache(_good()) is not None
    assert Reading.from_cache(change(_good())) is None


def test_the_key_differs_with_each_option_that_matters_and_tells_nothing() -> None:
    base = Sources(waba_ids=("1",), access_token=TOKEN)
    plain = connection("https://x")
    variants = [
        (base, plain),
        (Sources(waba_ids=("1",), access_token="other"), plain),
        (Sources(waba_ids=("1", "2"), access_token=TOKEN), plain),
        (Sources(business_ids=("1",), access_token=TOKEN), plain),
        (Sources(waba_ids=("1",), access_token=TOKEN, access_tokens={"1": "x"}), plain),
        (Sources(waba_ids=("1",), access_token=TOKEN, access_tokens={"1": "y"}), plain),
        (base, connection("https://y")),
        (base, connection("https://x", app_secret=SECRET)),
        (base, connection("https://x", api_version="v23.0")),
        (base, connection("https://x", validate_certs=False)),
    ]
    found = [fingerprint(sources, options) for sources, options in variants]
    assert len(set(found)) == len(found)
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in found)
    assert fingerprint(base, connection("https://x", timeout=1.0)) == found[0]
