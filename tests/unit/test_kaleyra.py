# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kaleyra: what is sent, what reading may answer, and how its errors are read."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    ApiError,
    InvalidAnswer,
    InvalidOptions,
    NotReadable,
    WabaError,
)
from ansible_collections.waba.flows.plugins.module_utils._http import Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers import _kaleyra
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider, make_provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params, Recorder, make_client, make_job, module_params
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_mixed_state

pytestmark = pytest.mark.usefixtures("quick")

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
SID = "HXAP0000000000IN"
API_KEY = "fake-api-key-0123456789"
NUMBER = "+919900000000"
DONE = {"code": "WA-200", "message": "Success", "data": {"success": True}, "error": {}}
NOTHING = {"code": "WA-200", "message": "Success", "data": {}, "error": {}}


def client_of(base_url: str | None, **more: t.Any) -> Provider:
    given: Params = {"provider": "kaleyra", "sid": SID, "api_key": API_KEY, "retries": 0, **more}
    return make_client(t.cast(str, base_url), **given)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two numbers of one account."""
    with Sandbox(make_mixed_state()) as box:
        yield RIGS["kaleyra"](box)


def refused(answer: tuple[int, dict[str, str], t.Any], keys: Keys) -> WabaError:
    """Return the error that the answer to a change is."""
    with Recorder(answer) as server, pytest.raises(WabaError) as caught:
        client_of(server.base_url).write(NUMBER, keys.a.pem, make_job())
    assert len(server.seen) == 1
    return caught.value


def read_of(document: t.Any, status: int = 200) -> PublishedKey:
    with Recorder((status, {}, document)) as server:
        return client_of(server.base_url).read(NUMBER, make_job())


# -- what is sent


def test_the_requests_as_they_arrive(keys: Keys) -> None:
    with Recorder((200, {}, {**NOTHING, "data": {KEY: keys.a.pem, STATUS: "VALID"}}), (200, {}, DONE)) as server:
        client = client_of(server.base_url + "/")
        client.read(NUMBER, make_job())
        client.write(NUMBER, keys.b.pem, make_job())
    get, post = server.seen
    for seen in (get, post):
        assert seen.path == f"/v2/{SID}/whatsapp/%2B919900000000/flows_encryption"
        assert seen.query == {}
        assert seen.headers["api-key"] == API_KEY
        assert "authorization" not in seen.headers
    assert (get.method, get.body) == ("GET", b"")
    assert post.method == "POST"
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert post.form == {KEY: keys.b.pem}
    assert b"%0D" not in post.body
    assert b"+" not in post.body.replace(b"BEGIN+PUBLIC+KEY", b"").replace(b"END+PUBLIC+KEY", b"")


@pytest.mark.parametrize("sid", ["a/b?c#d", "..", "{{ sid }}", "two words"])
def test_a_sid_that_is_none_is_refused(sid: str) -> None:
    with pytest.raises(InvalidOptions, match="sid"):
        client_of("http://127.0.0.1:9", sid=sid)


# -- reading, which is not documented


@pytest.mark.parametrize("kind", ["404", "405", "empty"])
def test_a_number_that_cannot_be_read_is_unknown(kind: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = kind
    rig.hold(keys.a)
    result = rig.read()
    assert (result["outcome"], result.get("failed", False), result["changed"]) == ("unknown", False, False)
    members = ("fingerprint", "fingerprint_source", "status", "business_public_key")
    assert [result[name] for name in members] == [None] * 4
    assert [item.method for item in rig.box.requests] == ["GET"]


@pytest.mark.parametrize("kind", ["404", "405", "empty"])
def test_what_is_on_record_stands_in_for_reading(kind: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = kind
    result = rig.read(recorded_fingerprint=keys.a.fingerprint)
    assert (result["outcome"], result["fingerprint"], result["fingerprint_source"]) == ("unknown", keys.a.fingerprint, "recorded")


@pytest.mark.parametrize("kind", ["404", "405", "empty"])
def test_a_set_that_cannot_be_verified_is_accepted(kind: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = kind
    result = rig.set(keys.a)
    assert (result["outcome"], result["changed"]) == ("accepted", True)
    assert (result["fingerprint"], result["fingerprint_source"], result["status"]) == (keys.a.fingerprint, "recorded", None)
    assert [(item.method, item.status) for item in rig.box.requests] == [
        ("GET", 200 if kind == "empty" else int(kind)), ("POST", 200), ("GET", 200 if kind == "empty" else int(kind))]


@pytest.mark.parametrize("kind", ["flat", "data", "list"])
def test_a_number_that_can_be_read_is_read(kind: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = kind
    rig.hold(keys.a, "MISMATCH")
    result = rig.read(recorded_fingerprint=keys.b.fingerprint)
    assert (result["outcome"], result["fingerprint"], result["status"]) == ("read", keys.a.fingerprint, "MISMATCH")
    assert result["fingerprint_source"] == "read"


@pytest.mark.parametrize("kind", ["flat", "data", "list"])
def test_a_blank_key_is_read_as_none(kind: str, rig: Rig) -> None:
    rig.box.settings.kaleyra_read = kind
    result = rig.read()
    assert (result["outcome"], result["fingerprint"], result["fingerprint_source"]) == ("read", None, "read")


@pytest.mark.parametrize("kind", ["flat", "data", "list"])
def test_a_set_is_verified_where_that_can_be_done(kind: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = kind
    first, again, other = rig.set(keys.a), rig.set(keys.a), rig.set(keys.b)
    assert [(one["outcome"], one["status"]) for one in (first, again, other)] == [
        ("set", "VALID"), ("unchanged", "VALID"), ("replaced", "VALID")]
    assert [item.method for item in rig.box.requests] == ["GET", "POST", "GET", "GET", "GET", "POST", "GET"]


def test_odd_members_are_neither_a_key_nor_none(rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_read = "odd"
    result = rig.read()
    assert result["outcome"] == "unknown"
    assert (result["fingerprint"], result["fingerprint_source"], result["changed"]) == (None, None, False)
    assert rig.set(keys.a, expected_fingerprints=[])["outcome"] == "refused"
    assert rig.box.posts == []


@pytest.mark.parametrize("document", [
    {}, NOTHING, {**NOTHING, "data": []}, {**NOTHING, "data": None}, {**NOTHING, "data": "text"}, {**NOTHING, "data": 7},
    {**NOTHING, "data": [None]}, {**NOTHING, "data": [[]]}, {**NOTHING, "data": [{}]}, {**NOTHING, "data": {"key": "x"}},
    {**NOTHING, "data": {"success": True}}, {**NOTHING, "error": []}, {**NOTHING, "error": ""}, {**NOTHING, "error": None},
    {"data": {"data": {KEY: " "}}}, {"encryption": {KEY: " "}},
], ids=str)
def test_an_answer_without_metas_members_is_not_readable(document: t.Any) -> None:
    with pytest.raises(NotReadable, match="does not have Meta's members"):
        read_of(document)


@pytest.mark.parametrize("status", [400, 404, 405, 406, 409, 410, 415, 422])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": "WA-404", "message": "No", "data": [], "error": "No"}', b"[]"])
def test_a_read_that_is_refused_as_a_request_is_not_readable(status: int, body: bytes) -> None:
    with pytest.raises(NotReadable, match=f"HTTP {status}"):
        read_of(body, status)


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": "X", "message": "No", "data": {}, "error": {"error": "No"}}'])
def test_a_read_that_fails_otherwise_is_a_failure(status: int, body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read_of(body, status)
    assert caught.value.http_status == status


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_failed_read_is_no_leave_to_set(status: int, rig: Rig, keys: Keys) -> None:
    rig.faults("error", method="GET", times=-1, status=status, code="X")
    assert rig.read(retries=0)["outcome"] == "failed"
    result = rig.set(keys.a, retries=0)
    assert (result["outcome"], result["changed"], result["error"]["http_status"]) == ("failed", False, status)
    assert rig.box.posts == []


def test_a_read_is_repeated_after_a_temporary_error(rig: Rig) -> None:
    rig.faults("error", method="GET", status=500, code="WA-500")
    assert rig.read()["outcome"] == "unknown"
    assert [item.status for item in rig.box.requests] == [500, 404]


# -- success


@pytest.mark.parametrize("said", [True, "true"])
@pytest.mark.parametrize("error", [{}, [], "", None])
def test_success_may_be_text_and_the_error_empty_in_any_form(said: t.Any, error: t.Any, keys: Keys) -> None:
    with Recorder((200, {}, {**DONE, "data": {"success": said}, "error": error})) as server:
        client_of(server.base_url).write(NUMBER, keys.a.pem, make_job())
    assert len(server.seen) == 1


@pytest.mark.parametrize("data", [
    {}, [], None, "true", True, [{"success": True}], {"success": False}, {"success": None}, {"success": "no"},
])
def test_a_change_without_success_is_not_taken_for_one(data: t.Any, keys: Keys) -> None:
    error = refused((200, {}, {**DONE, "data": data}), keys)
    assert isinstance(error, InvalidAnswer)
    assert "did not report success" in str(error)
    assert (error.outcome_unknown, error.retryable) == (True, True)


def test_a_change_without_data_is_not_taken_for_success(keys: Keys) -> None:
    assert "did not report success" in str(refused((200, {}, {"code": "WA-200", "success": True}), keys))


@pytest.mark.parametrize("error", ["Not done", {"error": "Not done"}, {"message": "Not done"}])
def test_an_error_beside_success_is_an_error(error: t.Any, keys: Keys) -> None:
    found = refused((200, {}, {**DONE, "error": error}), keys)
    assert isinstance(found, ApiError)
    assert "[Not done]" in str(found)


@pytest.mark.parametrize("error", [["Not done"], 7, True])
def test_an_error_of_another_form_beside_success_is_an_error_as_well(error: t.Any, keys: Keys) -> None:
    assert isinstance(refused((200, {}, {**DONE, "error": error}), keys), ApiError)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b"null", b"7"])
def test_an_answer_that_is_no_json_object_is_no_success(body: bytes, keys: Keys) -> None:
    error = refused((200, {}, body), keys)
    assert isinstance(error, InvalidAnswer)
    assert error.outcome_unknown


# -- errors


@pytest.mark.parametrize("shape", ["object", "string"])
def test_an_error_is_read_in_both_shapes(shape: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.kaleyra_error_shape = shape
    rig.faults("error", method="POST", status=400, code="WA-400", message="The key is bad")
    result = rig.set(keys.a)
    assert (result["outcome"], result["changed"]) == ("failed", False)
    assert result["error"] == {
        "code": "WA-400", "subcode": None, "type": "ApiError", "message": result["error"]["message"], "details": "The key is bad",
        "http_status": 400, "retryable": False, "throttled": False, "fbtrace_id": None,
    }
    assert "Bad request [The key is bad] (code WA-400, HTTP 400). Check that the key is an RSA-2048" in result["msg"]


@pytest.mark.parametrize(("status", "code", "kind", "remedy"), [
    (401, "RBC001", "token", "sid and api_key"),
    (401, "WA-401", "token", "sid and api_key"),
    (400, "WA-401", "token", "sid and api_key"),
    (403, "WA-403", "token", "sid and api_key"),
    (400, "WA-400", "invalid_parameter", "RSA-2048"),
    (404, "WA-404", "not_found", "the pod (or base_url)"),
    (500, "WA-500", "temporary", "run again"),
    (400, "WA-500", "temporary", "run again"),
    (502, "WA-999", "temporary", "run again"),
    (429, "WA-429", "throttled", "rate limit"),
    (400, "WA-999", "unknown", ""),
    (401, None, "token", "sid and api_key"),
])
def test_what_a_code_means(status: int, code: str | None, kind: str, remedy: str, keys: Keys) -> None:
    error = refused((status, {}, {"code": code, "message": "Text", "data": [], "error": "More"}), keys)
    assert isinstance(error, ApiError)
    assert (error.code, error.http_status, error.meaning.kind) == (code, status, kind)
    assert error.retryable is (kind in ("temporary", "throttled"))
    assert error.outcome_unknown is (kind == "temporary")
    assert remedy in error.remedy
    assert "system-user" not in str(error)


def test_the_code_within_the_error_counts_where_there_is_no_other(keys: Keys) -> None:
    error = refused((400, {}, {"error": {"code": "RBC001", "message": "Not yours"}}), keys)
    assert isinstance(error, ApiError)
    assert (error.code, error.meaning.kind, error.message) == ("RBC001", "token", "Not yours")


def test_a_change_is_sent_again_after_a_temporary_error(rig: Rig, keys: Keys) -> None:
    rig.faults("error", method="POST", status=500, code="WA-500")
    result = rig.set(keys.a)
    assert (result["outcome"], result["attempts"]) == ("accepted", 2)
    assert [item.status for item in rig.box.posts] == [500, 200]


@pytest.mark.parametrize("body", [b"<html>SECRET</html>", b"", b'["SECRET"]'])
@pytest.mark.parametrize(("status", "kind"), [(401, "token"), (404, "not_found"), (429, "throttled"), (503, "temporary")])
def test_an_error_without_a_body_of_its_form_is_classified_by_its_status(body: bytes, status: int, kind: str, keys: Keys) -> None:
    error = refused((status, {}, body), keys)
    assert isinstance(error, ApiError)
    assert error.meaning.kind == kind
    assert "SECRET" not in str(error)


@pytest.mark.parametrize("document", [
    {"code": 7, "message": 7, "error": 7}, {"code": [], "message": [], "error": []}, {"code": {}, "message": {}, "error": {}},
    {"error": {"message": {}, "error": [], "code": {}}}, {},
], ids=str)
def test_odd_members_do_not_hide_an_error(document: t.Any, keys: Keys) -> None:
    error = refused((400, {}, document), keys)
    assert isinstance(error, ApiError)
    assert error.message == "The API names no reason"


def test_a_server_that_echoes_the_key_does_not_get_it_into_messages(keys: Keys) -> None:
    error = refused((401, {}, {"code": f"RBC {API_KEY}", "message": f"Bad {API_KEY}", "error": f"See {API_KEY}"}), keys)
    assert API_KEY not in json.dumps(error.as_dict())
    assert "Bad ******** [See ********]" in str(error)
    assert API_KEY not in repr(client_of("http://127.0.0.1:9").connection)


# -- options


def test_the_pods() -> None:
    assert _kaleyra.PODS == {"in": "https://api.in.kaleyra.io", "sg": "https://api.kaleyra.io", "eu": "https://api.eu.kaleyra.io",
                             "na": "https://api.na.kaleyra.ai"}
    assert CONNECTION["pod"]["choices"] == sorted(_kaleyra.PODS)


@pytest.mark.parametrize("pod", ["in", "sg", "eu", "na"])
def test_a_pod_is_called_at_its_own_address(pod: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder((200, {}, NOTHING)) as server:
        monkeypatch.setitem(_kaleyra.PODS, pod, server.base_url)
        with pytest.raises(NotReadable):
            client_of(None, pod=pod).read(NUMBER, make_job())
    assert len(server.seen) == 1


def test_a_base_url_goes_before_the_pod() -> None:
    with Recorder((200, {}, NOTHING)) as server, pytest.raises(NotReadable):
        client_of(server.base_url, pod="eu").read(NUMBER, make_job())
    assert len(server.seen) == 1


@pytest.mark.parametrize("base_url", [None, ""])
def test_neither_pod_nor_base_url_is_refused(base_url: str | None) -> None:
    with pytest.raises(InvalidOptions, match="Neither pod nor base_url is given") as caught:
        client_of(base_url)
    assert "whatsapp_pod" in caught.value.remedy


@pytest.mark.parametrize(("missing", "what"), [("sid", "SID"), ("api_key", "API key")])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_option_is_named_with_every_way_to_give_it(missing: str, what: str, value: t.Any) -> None:
    with pytest.raises(InvalidOptions, match=f"No {what} is given") as caught:
        client_of("http://127.0.0.1:9", **{missing: value})
    for name in (missing, f"whatsapp_{missing}", f"WHATSAPP_{missing.upper()}"):
        assert name in caught.value.remedy


@pytest.mark.parametrize("api_key", ["fake key", "fake-key\n", "{{ api_key }}", "fake\u00e4"])
def test_a_key_that_none_can_be_is_refused_without_being_quoted(api_key: str) -> None:
    with pytest.raises(InvalidOptions, match="characters that no credential has") as caught:
        client_of("http://127.0.0.1:9", api_key=api_key)
    assert api_key.strip() not in str(caught.value)


@pytest.mark.parametrize("number", ["+919900000000", "+15550100", "+4915112345678", "+123456789012345"])
def test_a_phone_number_in_e164_form_is_an_id(number: str) -> None:
    client_of("http://127.0.0.1:9").check_number(number)


@pytest.mark.parametrize("number", [
    "", "919900000000", "00919900000000", "+0199000000", "+91 9900000000", "+91-9900000000", "+91(99)00000", "+123456",
    "+1234567890123456", "+91990000000a", "+919900000000\n", "{{ number }}", "+", "106600000000001",
    "+\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
])
def test_other_text_is_no_id_and_the_message_says_what_to_give(number: str) -> None:
    with pytest.raises(InvalidOptions, match=r"not a phone number in E\.164 form") as caught:
        client_of("http://127.0.0.1:9").check_number(number)
    assert "Quote it in YAML" in caught.value.remedy


def test_blanks_around_a_number_do_no_harm(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a, phone_number_id=f" {rig.number}\n")
    assert (result["outcome"], result["phone_number_id"]) == ("accepted", rig.number)


def test_a_number_without_its_sign_is_refused_before_anything_is_sent(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a, phone_number_id=rig.number.lstrip("+"))
    assert (result["outcome"], result["changed"], rig.box.requests) == ("failed", False, [])


def test_equal_options_make_equal_connections() -> None:
    given = module_params(CONNECTION, provider="kaleyra", sid=SID, api_key=API_KEY, pod="in")
    assert connection_of(given) == connection_of({**given, "access_token": "fake-of-others"})
    assert make_provider(connection_of(given), Transport()).name == "kaleyra"
