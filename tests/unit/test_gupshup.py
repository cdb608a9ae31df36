# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gupshup's partner API: what is sent, how its answers are read, and apps that have several numbers."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import ApiError, InvalidAnswer, InvalidOptions, WabaError
from ansible_collections.waba.flows.plugins.module_utils._providers import _gupshup
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.plugins.module_utils._runs import run_many
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params, Recorder, make_client, make_job, module_params
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_mixed_state

pytestmark = pytest.mark.usefixtures("quick")

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
TOKEN = "fake-app-token-0123456789"
APP = "0b1c2d3e-0000-4000-8000-000000000001"
PATH = f"/partner/app/{APP}/flows/publicKey"
DONE: tuple[int, dict[str, str], t.Any] = (200, {}, {"status": "success"})


def client_of(base_url: str | None, access_token: str = TOKEN, **more: t.Any) -> Provider:
    given: Params = {"provider": "gupshup", "app_id": APP, "retries": 0, **more}
    return make_client(t.cast(str, base_url), access_token, **given)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A number of an app, and one of another app."""
    with Sandbox(make_mixed_state()) as box:
        yield RIGS["gupshup"](box)


def refused(answer: tuple[int, dict[str, str], t.Any], keys: Keys) -> WabaError:
    """Return the error that the answer to a change is."""
    with Recorder(answer) as server, pytest.raises(WabaError) as caught:
        client_of(server.base_url).write("any", keys.a.pem, make_job())
    assert len(server.seen) == 1
    return caught.value


def read_of(document: t.Any, status: int = 200) -> PublishedKey:
    with Recorder((status, {}, document)) as server:
        return client_of(server.base_url).read("any", make_job())


# -- what is sent


def test_the_requests_as_they_arrive(keys: Keys) -> None:
    read = {"encryption": {KEY: keys.a.pem, STATUS: "VALID"}, "status": "success"}
    with Recorder((200, {}, read), DONE) as server:
        client = client_of(server.base_url + "/")
        assert client.read("any", make_job()) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")
        client.write("any", keys.b.pem, make_job())
    get, post = server.seen
    for seen in (get, post):
        assert (seen.path, seen.query) == (PATH, {})
        assert seen.headers["authorization"] == TOKEN
        assert seen.headers["accept"] == "application/json"
    assert (get.method, get.body, "content-type" in get.headers) == ("GET", b"", False)
    assert (post.method, post.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(post.body) == {"public_key": keys.b.pem}


def test_a_set_as_the_sandbox_sees_it(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a)
    assert (result["outcome"], result["key_holder"]) == ("set", f"app {rig.options['app_id']}")
    assert [(item.method, item.status) for item in rig.box.requests] == [("GET", 200), ("POST", 200), ("GET", 200)]


@pytest.mark.parametrize("base_url", [None, ""])
def test_gupshups_own_address_is_the_default(base_url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _gupshup.BASE_URL == "https://partner.gupshup.io"
    with Recorder((200, {}, {"encryption": {}})) as server:
        monkeypatch.setattr(_gupshup, "BASE_URL", server.base_url)
        client_of(base_url).read("any", make_job())
    assert len(server.seen) == 1


# -- reading and success


@pytest.mark.parametrize(("encryption", "status"), [
    ({}, None), ({KEY: "", STATUS: "MISMATCH"}, "MISMATCH"), ({KEY: " "}, None), ({KEY: None, STATUS: None}, None),
    ({STATUS: "MISMATCH"}, "MISMATCH"),
])
def test_a_blank_or_missing_key_means_that_none_is_set(encryption: t.Any, status: str | None) -> None:
    assert read_of({"encryption": encryption, "status": "success"}) == PublishedKey(None, None, status)


@pytest.mark.parametrize("document", [
    {}, [], {"status": "success"}, {"encryption": None}, {"encryption": []}, {"encryption": "text"}, {"encryption": 7},
    {"encryption": [{KEY: " "}]}, {KEY: " ", STATUS: "MISMATCH"}, {"data": [{KEY: " "}]}, {"encryption": {KEY: 7}},
    {"encryption": {KEY: ["x"]}}, {"encryption": {KEY: "no pem"}}, {"encryption": {STATUS: 7}},
    {"encryption": {STATUS: "two words"}},
], ids=str)
def test_an_answer_of_another_shape_is_never_taken_for_no_key(document: t.Any) -> None:
    with pytest.raises(InvalidAnswer):
        read_of(document)


@pytest.mark.parametrize("document", [
    {}, {"status": "Success"}, {"status": True}, {"status": "submitted"}, {"status": None}, {"success": True},
    {"data": {"status": "success"}},
], ids=str)
def test_a_change_without_success_is_not_taken_for_one(document: t.Any, keys: Keys) -> None:
    error = refused((200, {}, document), keys)
    assert isinstance(error, InvalidAnswer)
    assert "did not report success" in str(error)
    assert (error.outcome_unknown, error.retryable) == (True, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'["success"]', b'"success"', b"null"])
def test_an_answer_that_is_no_json_object_is_no_success(body: bytes, keys: Keys) -> None:
    error = refused((200, {}, body), keys)
    assert isinstance(error, InvalidAnswer)
    assert error.outcome_unknown


# -- errors


@pytest.mark.parametrize(("status", "kind", "retryable", "remedy"), [
    (400, "invalid_parameter", False, "app_id"),
    (401, "token", False, "without the word Bearer"),
    (403, "token", False, "without the word Bearer"),
    (404, "not_found", False, "one of this partner's"),
    (429, "throttled", True, "rate limit"),
    (500, "temporary", True, "run again"),
    (503, "temporary", True, "run again"),
    (418, "unknown", False, ""),
])
def test_what_a_status_means(status: int, kind: str, retryable: bool, remedy: str, keys: Keys) -> None:
    for document in ({"code": status, "details": "More", "status": "error"}, b"<html>SECRET</html>", b"", b'["SECRET"]'):
        error = refused((status, {}, document), keys)
        assert isinstance(error, ApiError)
        assert (error.http_status, error.meaning.kind, error.retryable) == (status, kind, retryable)
        assert error.outcome_unknown is (kind == "temporary")
        assert remedy in error.remedy
        assert "system-user" not in str(error)
        assert "SECRET" not in str(error)


@pytest.mark.parametrize(("code", "kind"), [(400, "invalid_parameter"), (401, "token"), (404, "not_found"), (None, "unknown")])
def test_an_error_with_status_200_is_an_error(code: int | None, kind: str, keys: Keys) -> None:
    error = refused((200, {}, {"code": code, "details": "Not done", "status": "error"}), keys)
    assert isinstance(error, ApiError)
    assert (error.code, error.http_status, error.meaning.kind, error.message) == (code, 200, kind, "Not done")


def test_an_error_with_status_200_is_not_taken_for_no_key() -> None:
    with pytest.raises(ApiError):
        read_of({"status": "error", "encryption": {}})


def test_the_text_of_an_error_is_shown_once(keys: Keys) -> None:
    both = {"code": 400, "details": "More", "message": "Other", "status": "error"}
    assert str(refused((400, {}, both), keys)).count("More") == 1
    assert "Other (" in str(refused((400, {}, {"code": 400, "message": "Other", "status": "error"}), keys))


@pytest.mark.parametrize("document", [
    {}, {"code": [], "details": 7, "status": "error"}, {"code": True, "details": {}, "status": []},
], ids=str)
def test_odd_members_do_not_hide_an_error(document: t.Any, keys: Keys) -> None:
    error = refused((400, {}, document), keys)
    assert isinstance(error, ApiError)
    assert (error.code, error.message) == (None, "The API names no reason")


def test_a_server_that_echoes_the_token_does_not_get_it_into_messages(keys: Keys) -> None:
    error = refused((401, {}, {"code": f"E{TOKEN}", "details": f"Bad {TOKEN}", "status": "error"}), keys)
    assert TOKEN not in json.dumps(error.as_dict())
    assert "Bad ********" in str(error)
    assert TOKEN not in repr(client_of("http://127.0.0.1:9").connection)


# -- options


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize(("missing", "what"), [("access_token", "partner token"), ("app_id", "app ID")])
def test_a_missing_option_is_named_with_every_way_to_give_it(missing: str, what: str, value: t.Any) -> None:
    with pytest.raises(InvalidOptions, match=f"No {what} is given") as caught:
        client_of("http://127.0.0.1:9", **{missing: value})
    for name in (missing, f"whatsapp_{missing}", f"WHATSAPP_{missing.upper()}"):
        assert name in caught.value.remedy


@pytest.mark.parametrize("app_id", ["a/b", "..", "a b", "a?b", "a#b", "{{ app }}", "a\n", "x" * 65, "\u00fc", "a_b"])
def test_an_app_that_is_no_id_is_refused(app_id: str) -> None:
    with pytest.raises(InvalidOptions, match="is not an ID of letters, digits and dashes"):
        client_of("http://127.0.0.1:9", app_id=app_id)


@pytest.mark.parametrize("token", ["Bearer fake-token", "fake-token\n", "{{ token }}", "fake\u00e4"])
def test_a_token_that_none_can_be_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(InvalidOptions, match="characters that no credential has") as caught:
        client_of("http://127.0.0.1:9", token)
    assert token.strip() not in str(caught.value)


def test_any_text_names_a_number() -> None:
    for name in ("1", "+15550100", "Shop in \u00dclm: 1/2"):
        client_of("http://127.0.0.1:9").check_number(name)


# -- apps with several numbers


def three(rig: Rig, keys: Keys, **own: str) -> list[Params]:
    """Two numbers of the first app and one of the second, each with its own key as C(own) says."""
    first = rig.box.state.accounts[rig.options["app_id"]].numbers
    rows = [{**rig.options, "phone_number_id": first[0], "name": "a"}, {**rig.options, "phone_number_id": first[1], "name": "b"},
            {**rig.other_options, "phone_number_id": rig.other, "name": "c"}]
    return [{**row, "business_public_key": own[row["name"]]} for row in rows]


def fleet(rows: list[Params], **more: t.Any) -> Params:
    return run_many(module_params(FLEET_SPEC, phone_numbers=rows, max_workers=1, **more), False)


def test_numbers_of_one_app_that_are_to_have_one_key_are_fine(rig: Rig, keys: Keys) -> None:
    rows = three(rig, keys, a=keys.a.pem, b=keys.a.pem.replace("\n", "\r\n"), c=keys.b.pem)
    result = fleet(rows)
    holder = f"app {rig.options['app_id']}"
    assert [(row["outcome"], row["key_holder"]) for row in result["numbers"]] == [
        ("set", holder), ("unchanged", holder), ("set", f"app {rig.other_options['app_id']}")]
    assert len(rig.box.posts) == 2
    assert rig.state.business_public_key == keys.a.pem


def test_numbers_of_one_app_that_are_to_have_different_keys_are_refused_and_another_goes_on(rig: Rig, keys: Keys) -> None:
    result = fleet(three(rig, keys, a=keys.a.pem, b=keys.b.pem, c=keys.b.pem), max_failures=9)
    assert [(row["outcome"], row["changed"], row["attempts"]) for row in result["numbers"]] == [
        ("refused", False, 0), ("refused", False, 0), ("set", True, 1)]
    for row in result["numbers"][:2]:
        assert row["error"]["type"] == "KeyConflict"
        assert f"a, b share the one key of app {rig.options['app_id']}" in row["error"]["message"]
        assert "Nothing was sent for them" in row["error"]["message"]
    assert rig.state.business_public_key is None
    assert {item.phone_number_id for item in rig.box.requests} == {rig.other}


def test_a_common_key_beside_an_own_one_is_a_different_key(rig: Rig, keys: Keys) -> None:
    rows = three(rig, keys, a=keys.a.pem, b=keys.b.pem, c=keys.b.pem)
    del rows[0]["business_public_key"]
    result = fleet(rows[:2], business_public_key=keys.c.pem)
    assert [row["outcome"] for row in result["numbers"]] == ["refused", "refused"]
    assert rig.box.requests == []


def test_one_app_at_two_addresses_has_one_key(rig: Rig, keys: Keys) -> None:
    rows = three(rig, keys, a=keys.a.pem, b=keys.b.pem, c=keys.b.pem)
    rows[1]["base_url"] = f"{rows[1]['base_url']}/"
    assert [row["outcome"] for row in fleet(rows[:2])["numbers"]] == ["refused", "refused"]
    assert rig.box.requests == []


def test_a_number_that_fails_for_its_options_does_not_stop_the_other_of_its_app(rig: Rig, keys: Keys) -> None:
    rows = three(rig, keys, a=keys.a.pem, b=keys.b.pem, c=keys.b.pem)
    rows[1]["access_token"] = "fake token"
    assert [row["outcome"] for row in fleet(rows[:2])["numbers"]] == ["set", "failed"]
