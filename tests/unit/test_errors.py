# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors: what each code of the API means, what to do about it, and whether it may have been applied."""

from __future__ import annotations

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _errors
from ansible_collections.waba.flows.plugins.module_utils._errors import CODES, ApiError, InvalidAnswer, WabaError

# kind → the (code, subcode, HTTP status) that stand for it
BY_KIND: dict[str, list[tuple[int, int | None, int]]] = {
    "invalid_parameter": [(100, None, 400), (100, None, 422), (100, 1, 400)],
    "not_found": [(100, 33, 400), (803, None, 404), (33, None, 404)],
    "token": [(190, None, 401), (190, 463, 401), (190, 460, 401), (190, 467, 401), (0, None, 401), (104, None, 401)],
    "permission": [
        (10, None, 403), (3, None, 403), (200, None, 403), (200, 1349174, 403), (230, None, 403), (299, None, 403),
        (131005, None, 403),
    ],
    "blocked": [(131031, None, 403), (368, None, 403)],
    "not_registered": [(131045, None, 400), (131045, None, 500), (133010, None, 400), (133010, None, 500)],
    "register_limit": [(133016, None, 400)],
    "signing": [(131000, None, 500)],
    "temporary": [(1, None, 500), (2, None, 503), (131016, None, 500), (131057, None, 503), (1, None, 400)],
    "throttled": [
        (4, None, 429), (4, 2446079, 400), (17, None, 400), (32, None, 400), (613, None, 400), (80007, None, 429),
        (130429, None, 429),
    ],
}
ROWS = [(kind, *row) for kind, rows in BY_KIND.items() for row in rows]
RETRYABLE = {"signing", "temporary", "throttled"}


def api_error(code: int | None, subcode: int | None, status: int, is_transient: bool = False) -> ApiError:
    return ApiError("Text", http_status=status, code=code, subcode=subcode, is_transient=is_transient)


@pytest.mark.parametrize(("kind", "code", "subcode", "status"), ROWS)
def test_each_code_has_its_meaning_and_a_remedy(kind: str, code: int, subcode: int | None, status: int) -> None:
    error = api_error(code, subcode, status)
    assert error.meaning.kind == kind
    assert error.retryable is (kind in RETRYABLE)
    assert len(error.remedy) > 20
    assert error.remedy in str(error)


@pytest.mark.parametrize(("kind", "code", "subcode", "status"), [row for row in ROWS if row[0] in RETRYABLE])
def test_a_temporary_error_may_have_been_applied_but_a_throttled_request_was_not(
    kind: str, code: int, subcode: int | None, status: int
) -> None:
    assert api_error(code, subcode, status).outcome_unknown is (kind != "throttled")


@pytest.mark.parametrize(("kind", "code", "subcode", "status"), [r for r in ROWS if r[0] not in RETRYABLE])
def test_a_refusal_was_not_applied(kind: str, code: int, subcode: int | None, status: int) -> None:
    assert api_error(code, subcode, status).outcome_unknown is False


@pytest.mark.parametrize("code", sorted({code for code, subcode in CODES}))
def test_every_code_of_the_table_is_one_that_is_tested_here(code: int) -> None:
    assert code in {row[1] for row in ROWS} or 200 <= code < 300


@pytest.mark.parametrize(("code", "status", "is_transient", "kind"), [
    (4, 400, False, "throttled"),  # the code goes before the status
    (190, 500, False, "token"),
    (190, 429, True, "token"),
    (100, 400, True, "invalid_parameter"),  # and before is_transient
    (130429, 400, False, "throttled"),
    (999999, 400, True, "temporary"),  # is_transient goes before the status
    (999999, 401, True, "temporary"),
    (999999, 403, True, "temporary"),
    (999999, 429, True, "throttled"),
    (999999, 500, False, "temporary"),
    (None, 502, False, "temporary"),
    (None, 503, False, "temporary"),
    (None, 408, False, "temporary"),
    (999999, 408, False, "temporary"),
    (100, 408, False, "invalid_parameter"),
    (None, 429, False, "throttled"),
    (None, 401, False, "token"),
    (None, 403, False, "permission"),
    (None, 404, False, "unknown"),
    (999999, 400, False, "unknown"),
    (None, 200, False, "unknown"),
])
def test_the_code_counts_first_then_is_transient_then_the_status(
    code: int | None, status: int, is_transient: bool, kind: str
) -> None:
    error = api_error(code, None, status, is_transient)
    assert error.meaning.kind == kind
    assert error.retryable is (kind in RETRYABLE)


def test_a_request_timeout_may_have_been_applied() -> None:
    error = api_error(None, None, 408)
    assert (error.retryable, error.outcome_unknown) == (True, True)


def test_a_waba_id_and_a_key_problem_have_different_remedies() -> None:
    assert "phone-number ID" in api_error(100, 33, 400).remedy
    assert "RSA-2048" in api_error(100, None, 400).remedy
    assert "app_secret" in api_error(100, None, 400).remedy
    assert "allowlisted" in api_error(10, None, 403).remedy
    assert "allowlisted" not in api_error(200, None, 403).remedy


def test_an_api_error_as_dict_has_all_members() -> None:
    error = ApiError("Text", http_status=400, code=100, subcode=33, type_name="OAuthException", details="More", fbtrace_id="A1")
    assert error.as_dict() == {
        "code": 100, "subcode": 33, "type": "OAuthException", "message": str(error), "details": "More", "http_status": 400,
        "retryable": False, "throttled": False, "fbtrace_id": "A1",
    }


def test_the_text_of_an_api_error_names_codes_details_and_wait() -> None:
    error = ApiError("Rate limit hit.", http_status=429, code=4, subcode=7, details="Too many", wait=90.0)
    assert str(error).startswith(
        "Rate limit hit [Too many] (code 4, subcode 7, HTTP 429). It can be called again in 90 s. The rate limit"
    )


def test_details_that_only_repeat_the_message_are_not_shown_twice() -> None:
    assert str(ApiError("Bad key", http_status=400, code=100, details="Bad key")).count("Bad key") == 1


@pytest.mark.parametrize("name", [
    "InvalidKey", "InvalidOptions", "KeyConflict", "NotVerified", "Interrupted", "KeyringError", "ConnectionFailed", "Timeout",
    "DeadlineExceeded", "TlsError", "InvalidAnswer",
])
def test_other_errors_as_dict_name_their_class(name: str) -> None:
    error: WabaError = getattr(_errors, name)("What is wrong.", "What to do.")
    assert error.as_dict() == {
        "code": None, "subcode": None, "type": name, "message": "What is wrong. What to do.", "details": None,
        "http_status": None, "retryable": name in {"NotVerified", "ConnectionFailed", "Timeout"}, "throttled": False,
        "fbtrace_id": None,
    }


def test_an_answer_that_is_not_understood_keeps_its_http_status() -> None:
    assert InvalidAnswer("x", http_status=302).as_dict()["http_status"] == 302
