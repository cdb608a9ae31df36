# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of what providers answer: whatever arrives is a reading or an error of ours, and never "no key" by mistake."""

from __future__ import annotations

import base64
import html
import json
import typing as t
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._http import (
    Answer,
    Deadline,
    HttpClient,
    HttpOptions,
    Job,
    Transport,
    _usage,
)
from ansible_collections.waba.flows.plugins.module_utils._providers._cloud_api import parse_error
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.tests.unit.heard import SECRET, Listener, listeners, read_law, write_law
from ansible_collections.waba.flows.tests.unit.helpers import Clock, Keys
from ansible_collections.waba.flows.tests.unit.laws import headers_law, message_law
from ansible_collections.waba.flows.tests.unit.properties import ANY_TEXT, NESTED, ODD_NUMBERS, Prove, json_values, prove_fixture

FIXTURES = (prove_fixture,)  # for pytest to find
NAMES = (
    "data", "business_public_key", "business_public_key_signature_status", "businessPublicKey",
    "businessPublicKeySignatureStatus", "error", "errors", "code", "message", "details", "status", "success", "encryption",
    "meta", "users", "token", "title", "type", "error_data", "error_subcode", "fbtrace_id", "error_user_msg", "is_transient",
    "__type", "Message", "Code",
    "public_key", "id",
)
STATUSES = st.one_of(st.just(200), st.sampled_from(
    [200, 201, 204, 301, 304, 400, 401, 403, 404, 408, 421, 429, 500, 501, 503, 599]))
WORDS = ("VALID", "MISMATCH", "", " ", "success", "error", "true", "ok", "190", "WA-400", "ThrottlingException", "a:b")


@pytest.fixture(scope="module")
def heard() -> dict[str, Listener]:
    """A client of each provider, but for that of AWS where boto3 is missing."""
    found = listeners(PROVIDERS)
    assert set(PROVIDERS) - set(found) <= {"aws"}
    return found


@pytest.fixture(params=list(PROVIDERS))
def listener(request: pytest.FixtureRequest, heard: dict[str, Listener]) -> Listener:
    if request.param not in heard:
        pytest.skip("boto3 is not there")
    return heard[request.param]


def documents(pem: str) -> st.SearchStrategy[t.Any]:
    """Documents with Meta's members and others, in the places where providers have them and elsewhere."""
    leaves = (pem, pem.replace("\n", "\r\n"), f"  {pem}", pem[:80], *WORDS)
    anything = json_values(NAMES, leaves)
    row = st.dictionaries(st.sampled_from(NAMES[1:5]), st.sampled_from(leaves), max_size=3)
    sound = {"business_public_key": pem, "business_public_key_signature_status": "VALID", "businessPublicKey": pem}
    forms = [{"data": [sound]}, {"data": sound}, sound, {"encryption": sound}, {"data": [sound], "encryption": sound, **sound}]
    return st.one_of(
        anything, row, st.sampled_from(forms),
        st.builds(lambda one, more: {"data": [one, *more]}, row, st.lists(row, max_size=2)),
        st.builds(lambda name, one, more: {name: one, more: one}, st.sampled_from(["data", "encryption", "error"]), row,
                  st.sampled_from(NAMES)),
    )


def bodies(pem: str) -> st.SearchStrategy[bytes]:
    made = st.builds(lambda document: json.dumps(document).encode(), documents(pem))
    return st.one_of(made, made, made, st.binary(max_size=80), NESTED.map(str.encode), st.sampled_from(
        [b"", b" ", b"null", b"true", b"<html></html>", b"\xff\xfe", b"9" * 5000, b'{"data": [1e999]}', b"{}", b"[]", b"[{}]"]))


@pytest.mark.attack("understood", "answers of every provider: any JSON value, any bytes, arrays within arrays without end")
@pytest.mark.attack("foreign", "answers to a read that hold a key in places where none is documented")
def test_any_answer_to_a_read_is_a_reading_or_an_error(prove: Prove, listener: Listener, keys: Keys) -> None:
    seen = set()

    def law(status: int, body: bytes) -> None:
        seen.add(read_law(listener, status, {"content-type": "application/json"}, body))

    prove(law, 130, status=STATUSES, body=bodies(keys.a.pem))
    assert seen >= {"error", "key"}


@pytest.mark.attack("understood", "answers of every provider: any JSON value, any bytes, arrays within arrays without end")
def test_any_answer_to_a_change_is_a_success_or_an_error(prove: Prove, listener: Listener, keys: Keys) -> None:
    def law(status: int, body: bytes) -> None:
        write_law(listener, keys.a.pem, status, {}, body)

    prove(law, 60, status=STATUSES, body=bodies(keys.a.pem))


ECHOES: dict[str, t.Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda text: quote(text, safe=""),
    "html": html.escape,
    "json": lambda text: json.dumps(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "twice": lambda text: f"{text}{text}",
    "in json": lambda text: json.dumps({"a": [text]}),
}


@pytest.mark.attack("secret", "error answers of any shape that echo the credential in any encoding")
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_an_echoed_credential_is_blotted_out(prove: Prove, listener: Listener, keys: Keys, status: int) -> None:
    def law(before: str, echo: str, shape: t.Any, kind: str) -> None:
        told = before + ECHOES[echo](SECRET) + before
        shapes = {"text": told, "list": [told], "object": {"a": told}, "deep": [[[{"b": [told]}]]]}
        document = _put(shape, shapes[kind])
        read_law(listener, status, {}, json.dumps(document).encode(), {SECRET, ECHOES[echo](SECRET)})

    shapes = st.sampled_from([
        {"error": {"message": 0, "code": 0, "type": 0, "fbtrace_id": 0, "error_subcode": 0, "error_data": {"details": 0}}},
        {"error": {"error_data": 0, "error_user_msg": 0}}, {"error": 0, "code": 0, "message": 0},
        {"errors": [{"code": 0, "title": 0, "details": 0}]}, {"status": "error", "details": 0, "message": 0, "code": 0},
        {"__type": 0, "message": 0, "Message": 0, "code": 0}, {"business_public_key": 0},
        {"data": {"business_public_key_signature_status": 0}}, {"encryption": {"business_public_key": 0}},
        {"businessPublicKey": 0}, {"users": [{"token": 0}]},
    ])
    prove(law, 12, before=st.sampled_from(["", "x" * 30, "y" * 490, "z" * 3990]), echo=st.sampled_from(sorted(ECHOES)),
          shape=shapes, kind=st.sampled_from(["text", "list", "object", "deep"]))


def _put(shape: t.Any, told: t.Any) -> t.Any:
    """Return a shape with something in each of its places."""
    if isinstance(shape, dict):
        return {name: _put(one, told) for name, one in shape.items()}
    if isinstance(shape, list):
        return [_put(one, told) for one in shape]
    return told if shape == 0 else shape


@pytest.mark.attack("foreign", "answers to a read that hold a key in places where none is documented")
def test_a_key_somewhere_else_is_not_taken_for_none(listener: Listener, keys: Keys, record_property: t.Any) -> None:
    blank = {"business_public_key": "", "business_public_key_signature_status": "MISMATCH", "businessPublicKey": ""}
    forms: list[t.Any] = [
        {"data": [blank, {"business_public_key": keys.a.pem}]}, {"data": [], "business_public_key": keys.a.pem},
        {"data": {}, "previous": {"key": keys.a.pem}}, {**blank, "businessPublicKeyPem": keys.a.pem}, {"publicKey": keys.a.pem},
        {"encryption": {}, "key": keys.a.pem}, {"encryption": blank, "more": [keys.a.pem]},
        {**blank, "data": {"key": keys.a.pem}},
        {"key": keys.a.pem.replace("\n", "\\n")}, {**blank, keys.a.pem: 1},
    ]
    for form in forms:
        assert read_law(listener, 200, {}, json.dumps(form).encode()) != "none"
    record_property("tries", len(forms))


# -- headers


HEADER_NUMBERS = st.one_of(ODD_NUMBERS.map(str), st.integers(-5, 10**9).map(str), st.sampled_from(
    ["nan", "inf", "-inf", "infinity", "1e999", "1_000", "0x10", "", " 7 ", "٣", "7 s", "Wed, 21 Oct 2026 07:28:00 GMT",
     "1" * 5000]))
GAUGE_NAMES = st.sampled_from(["call_count", "total_cputime", "total_time", "estimated_time_to_regain_access", "type"])
GAUGES = st.dictionaries(GAUGE_NAMES, st.one_of(ODD_NUMBERS, st.none(), st.text(max_size=3)), max_size=4)
USAGES = st.one_of(
    GAUGES.map(json.dumps),
    st.dictionaries(st.sampled_from(["12", "13", "x", ""]), st.lists(GAUGES, max_size=3), max_size=2).map(json.dumps),
    json_values().map(json.dumps), ANY_TEXT, NESTED, st.sampled_from(["9" * 5000, "[" * 10**5, "NaN", "{}"]))
HEADERS = st.fixed_dictionaries({}, optional={
    "retry-after": HEADER_NUMBERS, "x-app-usage": USAGES, "x-business-use-case-usage": USAGES})


@pytest.mark.attack("deadline", "any sequence of usage headers, Retry-After, refusals and steps of the clock")
def test_any_headers_are_numbers_to_reckon_with(prove: Prove) -> None:
    prove(headers_law, 300, headers=HEADERS)


def _hear(http: HttpClient, answer: Answer, job: Job, attempt: int) -> None:
    """Do what the client does with an answer, also after so many tries."""
    def once() -> None:
        http.begin(job, True)
        http.budget.answered(job.account, _usage(answer.headers), answer.status < 300)
        error = parse_error(answer, http.redact)
        if error is not None:
            raise error

    try:
        http.repeat(once, True, job)
    except WabaError as error:
        http.wait_before_retry(error, attempt, job)


@pytest.mark.attack("deadline", "any sequence of usage headers, Retry-After, refusals and steps of the clock")
def test_every_wait_is_bounded_and_work_goes_on(prove: Prove) -> None:
    def law(answers: list[tuple[int, dict[str, str], float]], attempt: int, account: str, seconds: float) -> None:
        clock = Clock()
        http = HttpClient(Transport(sleep=clock.sleep), HttpOptions(5.0, 2, True), [], clock=clock.now)
        for status, headers, step in answers:
            job = Job(Deadline(seconds, clock.now), account=account)
            began = clock.time
            try:
                _hear(http, Answer(status, headers, b"{}", {}), job, attempt)
            except WabaError as error:
                message_law(error)
            assert clock.time - began <= seconds
            assert all(0 <= wait <= seconds for wait in clock.slept)
            clock.slept.clear()
            clock.time += step
        clock.time += http.budget.wait(account) + 0.001  # more than what is lost by rounding
        assert http.budget.wait(account) == 0
        assert http.rest(Job(Deadline(1.0, clock.now), account=account)) is False

    prove(law, 120, answers=st.lists(st.tuples(STATUSES, HEADERS, st.floats(0, 10**7)), max_size=8),
          attempt=st.one_of(st.integers(0, 5), st.integers(0, 10**6)), account=st.sampled_from(["", "12"]),
          seconds=st.sampled_from([0.0, 1.0, 300.0, 10.0**6]))
