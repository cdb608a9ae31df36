# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Cloud API: what is sent, and how its answers are read."""

from __future__ import annotations

import hashlib
import hmac
import json
import typing as t

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ansible_collections.waba.flows.plugins.module_utils._errors import ApiError, InvalidAnswer, InvalidOptions, WabaError
from ansible_collections.waba.flows.plugins.module_utils._http import Answer
from ansible_collections.waba.flows.plugins.module_utils._providers import _cloud_api
from ansible_collections.waba.flows.plugins.module_utils._providers._cloud_api import parse_error, parse_read
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Recorder, make_client, make_job
from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox, Token

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
TOKEN = "EAAtoken0123456789"
SECRET = "appsecret0123456789"
PROOF = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()

# -- reading


SHAPES: dict[str, t.Callable[[dict[str, t.Any]], t.Any]] = {
    "array": lambda row: {"data": [row]},
    "object": lambda row: {"data": row},
    "flat": lambda row: row,
    "array_with_more": lambda row: {"data": [{**row, "id": "1"}], "paging": {}},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", ["VALID", "MISMATCH"])
def test_a_key_is_read_in_every_shape(shape: str, status: str, keys: Keys) -> None:
    found = parse_read(SHAPES[shape]({KEY: keys.a.pem, STATUS: status}))
    assert found == PublishedKey(keys.a.pem, keys.a.fingerprint, status)


@pytest.mark.parametrize("change", [
    lambda pem: pem.rstrip("\n"), lambda pem: pem + "\n", lambda pem: pem.replace("\n", "\r\n"), lambda pem: " " + pem,
    lambda pem: pem.replace("\n", "\\n"), lambda pem: f"Bag Attributes: x\n{pem}trailer",
])
def test_the_key_of_the_answer_is_brought_to_one_form(change: t.Callable[[str], str], keys: Keys) -> None:
    found = parse_read({"data": [{KEY: change(keys.a.pem), STATUS: "VALID"}]})
    assert found == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")


def test_a_key_in_its_older_wrapping_is_brought_to_the_same_form(keys: Keys) -> None:
    pem = keys.a.private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    assert parse_read({KEY: pem, STATUS: "VALID"}) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")


@pytest.mark.parametrize("document", [
    {"data": [{KEY: " ", STATUS: "MISMATCH"}]},
    {"data": [{KEY: "", STATUS: "MISMATCH"}]},
    {"data": [{KEY: "\n", STATUS: "MISMATCH"}]},
    {"data": [{KEY: None, STATUS: "MISMATCH"}]},
    {"data": {KEY: " ", STATUS: "MISMATCH"}},
    {KEY: " ", STATUS: "MISMATCH"},
    {KEY: None},
    {STATUS: "MISMATCH"},
    {"data": []},
    {"data": [{}]},
    {"data": [{STATUS: "MISMATCH"}]},
])
def test_a_blank_or_missing_key_means_that_none_is_set(document: t.Any) -> None:
    found = parse_read(document)
    assert (found.pem, found.fingerprint) == (None, None)


@pytest.mark.parametrize("status", ["", None])
def test_a_missing_status_is_none(status: str | None, keys: Keys) -> None:
    assert parse_read({"data": [{KEY: keys.a.pem, STATUS: status}]}).status is None
    assert parse_read({"data": [{KEY: keys.a.pem}]}).status is None


@pytest.mark.parametrize(("said", "status"), [
    ("valid", "VALID"), (" Valid\n", "VALID"), ("under_review", "UNDER_REVIEW"), ("A" * 40, "A" * 40), (" ", None),
])
def test_a_status_is_a_word_in_upper_case(said: str, status: str | None, keys: Keys) -> None:
    assert parse_read({KEY: keys.a.pem, STATUS: said}).status == status


@pytest.mark.parametrize("said", ["VALID 2", "VALID2", "A" * 41, "<b>", "VAL\nID", "G\u00dcLTIG", "VALID-", "VALID\x00", "a b"])
def test_a_status_that_is_no_word_is_not_understood_and_not_quoted(said: str, keys: Keys) -> None:
    with pytest.raises(InvalidAnswer, match=r"not understood.*its status is not a word") as caught:
        parse_read({KEY: keys.a.pem, STATUS: said})
    assert said not in str(caught.value)
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("document", [
    None, "", "text", 7, True, {}, {"success": True}, {"id": "1"}, {"business_public_keys": "x"},
    [], [{}], [[]], [{KEY: " "}],
    {"data": None}, {"data": "text"}, {"data": 7}, {"data": [None]}, {"data": ["text"]}, {"data": [[]]},
    {"data": [{KEY: 7, STATUS: "VALID"}]}, {"data": [{KEY: ["x"]}]}, {"data": [{KEY: {}}]}, {"data": [{KEY: False}]},
    {"data": [{KEY: " ", STATUS: 7}]}, {KEY: 7},
    {"data": [{KEY: "no pem", STATUS: "VALID"}]}, {"data": [{KEY: "-----BEGIN PUBLIC KEY-----\nAAAA", STATUS: "VALID"}]},
], ids=str)
def test_an_answer_of_another_shape_is_never_taken_for_no_key(document: t.Any) -> None:
    with pytest.raises(InvalidAnswer, match="not understood"):
        parse_read(document)


def test_two_keys_in_one_text_are_not_understood(keys: Keys) -> None:
    with pytest.raises(InvalidAnswer):
        parse_read({"data": [{KEY: keys.a.pem + keys.b.pem, STATUS: "VALID"}]})


@pytest.mark.parametrize("shape", ["array", "flat", "empty_data", "missing_members"])
def test_reading_the_sandbox_in_every_shape(shape: str, box: Sandbox, keys: Keys) -> None:
    box.settings.read_shape = shape
    client = make_client(box.base_url)
    assert client.read(DEFAULT_NUMBER, make_job()).fingerprint is None
    client.write(DEFAULT_NUMBER, keys.a.pem, make_job())
    assert client.read(DEFAULT_NUMBER, make_job()) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")


# -- errors


def answer(status: int, document: t.Any, headers: dict[str, str] | None = None) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, headers or {}, body, None if isinstance(document, bytes) else document)


def error_of(status: int, document: t.Any, headers: dict[str, str] | None = None) -> WabaError | None:
    return parse_error(answer(status, document, headers), lambda text: text.replace(TOKEN, "***"))


def api_error_of(status: int, document: t.Any, headers: dict[str, str] | None = None) -> ApiError:
    error = error_of(status, document, headers)
    assert isinstance(error, ApiError)
    return error


@pytest.mark.parametrize("document", [{"data": []}, {"success": True}, {}, [], {"error": None}])
def test_json_without_an_error_is_no_error(document: t.Any) -> None:
    assert error_of(200, document) is None


@pytest.mark.parametrize("data", [{"messaging_product": "whatsapp", "details": "More"}, "More"])
def test_details_come_from_an_object_or_a_string(data: t.Any) -> None:
    error = api_error_of(400, {"error": {
        "message": "Text", "type": "OAuthException", "code": 100, "error_subcode": 33, "fbtrace_id": "A1", "error_data": data,
    }})
    assert error.as_dict() == {
        "code": 100, "subcode": 33, "type": "OAuthException", "message": str(error), "details": "More", "http_status": 400,
        "retryable": False, "throttled": False, "fbtrace_id": "A1",
    }
    assert "[More]" in str(error)


def test_the_user_message_stands_in_for_missing_details() -> None:
    assert api_error_of(400, {"error": {"message": "Text", "code": 100, "error_user_msg": "For you"}}).details == "For you"


@pytest.mark.parametrize("data", [None, {}, [], 7])
def test_odd_error_data_does_not_hide_the_error(data: t.Any) -> None:
    assert api_error_of(400, {"error": {"message": "Text", "code": 100, "error_data": data}}).code == 100


def test_codes_as_strings_are_understood() -> None:
    error = api_error_of(400, {"error": {"message": "Text", "code": "100", "error_subcode": "33"}})
    assert (error.code, error.subcode, error.meaning.kind) == (100, 33, "not_found")


@pytest.mark.parametrize("code", [None, "abc", [], {}, ""])
def test_a_code_that_is_no_number_is_none(code: t.Any) -> None:
    assert api_error_of(400, {"error": {"message": "Text", "code": code}}).code is None


def test_an_error_in_a_200_answer_is_an_error() -> None:
    assert api_error_of(200, {"error": {"message": "Text", "code": 190}}).meaning.kind == "token"


@pytest.mark.parametrize("body", ["SECRET", "", ["SECRET"], [], 7, 0, True, False])
@pytest.mark.parametrize("status", [200, 201])
def test_an_error_member_that_is_no_object_in_a_200_answer_may_hide_a_change(status: int, body: t.Any) -> None:
    error = error_of(status, {"error": body, "success": True})
    assert isinstance(error, InvalidAnswer)
    assert (error.http_status, error.outcome_unknown) == (status, True)
    assert "an error that is not of its form" in str(error)
    assert "SECRET" not in str(error)


def test_an_empty_error_object_in_a_200_answer_is_an_error() -> None:
    assert api_error_of(200, {"error": {}}).http_status == 200


@pytest.mark.parametrize("body", ["SECRET", [], 7])
def test_an_error_member_that_is_no_object_under_an_error_status_is_classified_by_it(body: t.Any) -> None:
    error = api_error_of(401, {"error": body})
    assert (error.http_status, error.meaning.kind) == (401, "token")
    assert "SECRET" not in str(error)


@pytest.mark.parametrize(("status", "kind", "retryable"), [
    (502, "temporary", True), (408, "temporary", True), (429, "throttled", True), (401, "token", False), (404, "unknown", False),
])
def test_an_error_status_with_html_is_classified_by_its_status(status: int, kind: str, retryable: bool) -> None:
    error = api_error_of(status, b"<html>SECRET</html>")
    assert (error.meaning.kind, error.retryable, error.code) == (kind, retryable, None)
    assert "SECRET" not in str(error)


@pytest.mark.parametrize(("body", "what"), [(b"", "an empty body"), (b" \n", "an empty body"), (b"<html>", "not JSON")])
def test_a_200_without_json_is_no_success(body: bytes, what: str) -> None:
    error = error_of(200, body, {"content-type": "text/html"})
    assert isinstance(error, InvalidAnswer)
    assert what in str(error)
    assert "text/html" in str(error)


@pytest.mark.parametrize("before", [0, 22, 30, 39])
def test_the_content_type_is_redacted_before_it_is_cut(before: int) -> None:
    error = error_of(200, b"<html>", {"content-type": "x" * before + TOKEN})
    assert isinstance(error, InvalidAnswer)
    assert f"({'x' * before}{'***'[:40 - before]})" in str(error)


def test_a_long_content_type_is_cut() -> None:
    assert f"({'x' * 40})" in str(error_of(200, b"<html>", {"content-type": "x" * 900}))


@pytest.mark.parametrize("document", ["text", 7, None])
def test_a_200_with_json_that_is_no_object_is_no_success(document: t.Any) -> None:
    assert isinstance(error_of(200, document), InvalidAnswer)


@pytest.mark.parametrize(("headers", "wait"), [
    ({}, None),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "-1"}, None),  # no time is none that is named: else it would be called again at once
    ({"retry-after": "0"}, None),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ({"x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 3}]}'}, 180.0),
    ({"x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 3}, {"estimated_time_to_regain_access": 5}]}'},
     300.0),
    ({"x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 0}]}'}, None),
    ({"retry-after": "7", "x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 3}]}'}, 7.0),
    ({"x-business-use-case-usage": "no json"}, None),
    ({"x-business-use-case-usage": "[1]"}, None),
    ({"x-business-use-case-usage": '{"1": 7, "2": [7], "3": [{"estimated_time_to_regain_access": "x"}]}'}, None),
])
def test_the_wait_that_a_throttling_answer_asks_for(headers: dict[str, str], wait: float | None) -> None:
    assert api_error_of(429, {"error": {"message": "Text", "code": 4}}, headers).wait == wait


def test_messages_are_redacted() -> None:
    error = api_error_of(400, {"error": {
        "message": f"Bad {TOKEN}", "code": 100, "type": TOKEN, "fbtrace_id": TOKEN, "error_data": {"details": f"See {TOKEN}"},
    }})
    assert TOKEN not in json.dumps(error.as_dict())
    assert "***" in str(error)


@pytest.mark.parametrize("secret", [TOKEN, SECRET, PROOF])
def test_an_api_that_echoes_a_secret_does_not_get_it_into_messages(secret: str) -> None:
    body = {"error": {"message": f"Invalid {secret}", "code": 190, "error_data": {"details": secret}, "type": secret}}
    with Recorder((401, {}, body)) as server:
        client = make_client(server.base_url, TOKEN, app_secret=SECRET)
        with pytest.raises(ApiError) as caught:
            client.read(DEFAULT_NUMBER, make_job())
    assert secret not in json.dumps(caught.value.as_dict())
    assert "Invalid ********" in str(caught.value)


def test_a_connection_does_not_show_its_secrets() -> None:
    shown = repr(make_client("http://127.0.0.1:9", TOKEN, app_secret=SECRET).connection)
    assert TOKEN not in shown
    assert SECRET not in shown


# -- what is sent


def test_the_requests_as_they_arrive(keys: Keys) -> None:
    with Recorder((200, {}, {"data": []}), (200, {}, {"success": True})) as server:
        client = make_client(server.base_url + "/", TOKEN, app_secret=SECRET, api_version="v25.0")
        client.read(DEFAULT_NUMBER, make_job())
        client.write(DEFAULT_NUMBER, keys.a.pem, make_job())
    get, post = server.seen
    for seen in (get, post):
        assert seen.path == f"/v25.0/{DEFAULT_NUMBER}/whatsapp_business_encryption"
        assert seen.query == {"appsecret_proof": PROOF}
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["accept"] == "application/json"
    assert (get.method, get.body) == ("GET", b"")
    assert post.method == "POST"
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert post.form == {KEY: keys.a.pem}
    assert b"%0D" not in post.body


def test_without_an_app_secret_there_is_no_proof() -> None:
    with Recorder() as server:
        make_client(server.base_url, TOKEN).read(DEFAULT_NUMBER, make_job())
    assert server.seen[0].query == {}


def test_the_sandbox_accepts_the_proof(box: Sandbox, keys: Keys) -> None:
    box.state.tokens[DEFAULT_TOKEN] = Token(app_secret=SECRET, require_app_secret=True)
    client = make_client(box.base_url, app_secret=SECRET)
    client.write(DEFAULT_NUMBER, keys.a.pem, make_job())
    assert client.read(DEFAULT_NUMBER, make_job()).fingerprint == keys.a.fingerprint
    assert box.posts[0].content_type == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("secret", "why"), [(None, "require an appsecret_proof"), ("wrong", "Invalid appsecret_proof")])
def test_a_missing_or_wrong_app_secret_is_named(secret: str | None, why: str, box: Sandbox) -> None:
    box.state.tokens[DEFAULT_TOKEN] = Token(app_secret=SECRET, require_app_secret=True)
    with pytest.raises(ApiError, match=why) as caught:
        make_client(box.base_url, app_secret=secret).read(DEFAULT_NUMBER, make_job())
    assert "app_secret" in caught.value.remedy


@pytest.mark.parametrize("said", [{}, {"success": False}, {"success": None}, {"success": "false"}, []])
def test_a_post_without_success_is_not_taken_for_one(said: t.Any, keys: Keys) -> None:
    with Recorder((200, {}, said)) as server, pytest.raises(InvalidAnswer, match="did not report success") as caught:
        make_client(server.base_url).write(DEFAULT_NUMBER, keys.a.pem, make_job())
    assert caught.value.outcome_unknown
    assert len(server.seen) == 1


@pytest.mark.parametrize("said", [True, "true"])
def test_success_may_be_text(said: t.Any, keys: Keys) -> None:
    with Recorder((200, {}, {"success": said})) as server:
        make_client(server.base_url).write(DEFAULT_NUMBER, keys.a.pem, make_job())
    assert len(server.seen) == 1


# -- options


@pytest.mark.parametrize("phone_number_id", ["1", DEFAULT_NUMBER])
def test_digits_are_an_id(phone_number_id: str) -> None:
    make_client("http://127.0.0.1:9").check_number(phone_number_id)


@pytest.mark.parametrize("phone_number_id", [
    "", "+15550100", "1 555", "me", "12a", "1/2", "1?x=2", "..", "{{ id }}", 33 * "1", "1\n", "\u0661\u0662\u0663",
])
def test_other_text_is_no_id_and_the_message_says_what_to_give(phone_number_id: str) -> None:
    with pytest.raises(InvalidOptions, match="not a number of digits alone") as caught:
        make_client("http://127.0.0.1:9").check_number(phone_number_id)
    assert "not the phone number itself" in caught.value.remedy


@pytest.mark.parametrize("token", ["", None])
def test_a_missing_token_is_named_with_every_way_to_give_it(token: t.Any) -> None:
    with pytest.raises(InvalidOptions, match="No access token") as caught:
        make_client("http://127.0.0.1:9", token)
    for name in ("access_token", "whatsapp_access_token", "WHATSAPP_ACCESS_TOKEN"):
        assert name in caught.value.remedy


@pytest.mark.parametrize("token", ["EAA token", "EAAtoken\n", "{{ token }}", "EAA\u00e4"])
def test_a_token_that_none_can_be_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(InvalidOptions, match="characters that no credential has") as caught:
        make_client("http://127.0.0.1:9", token)
    assert token.strip() not in str(caught.value)


@pytest.mark.parametrize("version", ["24.0", "v24", "", "latest", "v24.0/..", "v24.0\n"])
def test_another_form_of_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidOptions, match="api_version"):
        make_client("http://127.0.0.1:9", api_version=version)


@pytest.mark.parametrize("base_url", [None, ""])
def test_metas_own_address_is_the_default(base_url: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _cloud_api.BASE_URL == "https://graph.facebook.com"
    with Recorder() as server:
        monkeypatch.setattr(_cloud_api, "BASE_URL", server.base_url)
        make_client(base_url).read(DEFAULT_NUMBER, make_job())
    assert len(server.seen) == 1


@pytest.mark.parametrize("document", [
    {"data": [{KEY: " ", STATUS: "VALID"}]}, {"data": [{STATUS: "VALID"}]}, {STATUS: "VALID"},
    {"data": [{"businessPublicKey": "a key under another name"}]}, {"data": {"publicKey": "x"}},
])
def test_a_key_under_another_name_is_not_taken_for_none(document: t.Any) -> None:
    with pytest.raises(InvalidAnswer):
        parse_read(document)
