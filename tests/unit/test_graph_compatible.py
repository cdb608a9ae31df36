# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gateways with Meta's bodies: where path and credential go, and which numbers are one and the same."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION, FLEET_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import ApiError, InvalidAnswer, InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers import _graph_compatible
from ansible_collections.waba.flows.plugins.module_utils._providers._graph_compatible import PRESETS, Gateway, gateway_of
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.plugins.module_utils._runs import run_many
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params, Recorder, make_client, make_job, module_params
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_account, make_mixed_state, make_number

pytestmark = pytest.mark.usefixtures("quick")

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
EDGE = "whatsapp_business_encryption"
TOKEN = "fake-channel-token-0123456789"
NUMBER = "106700000000001"
DONE: tuple[int, dict[str, str], t.Any] = (200, {}, {"success": True})


def client_of(base_url: str | None, access_token: str = TOKEN, **more: t.Any) -> Provider:
    given: Params = {"provider": "graph_compatible", "retries": 0, **more}
    return make_client(t.cast(str, base_url), access_token, **given)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two numbers of one account, whose gateway has the number's ID in the path."""
    with Sandbox(make_mixed_state()) as box:
        yield RIGS["graph_compatible"](box)


@dataclasses.dataclass(frozen=True)
class Channels:
    """Numbers of which each has an account of its own, which the credential alone names, as a fleet takes them."""

    box: Sandbox
    rows: list[Params]


@pytest.fixture
def channels() -> Iterator[Channels]:
    """Three of them."""
    state = make_mixed_state()
    rows = []
    for index in range(3):
        number = f"10670000000010{index}"
        state.numbers[number] = make_number("")
        state.accounts[f"channel-{index}"] = make_account("graph_compatible", [number], 10 + index)
        rows.append({"phone_number_id": number, "access_token": state.accounts[f"channel-{index}"].secret})
    with Sandbox(state) as box:
        common = {"provider": "graph_compatible", "base_url": f"{box.base_url}/graph_compatible", "preset": "1msg"}
        yield Channels(box, [{**row, **common} for row in rows])


def fleet(rows: list[Params], keys: Keys, **more: t.Any) -> Params:
    return run_many(module_params(FLEET_SPEC, phone_numbers=rows, business_public_key=keys.a.pem, **more), False)


# -- what is sent


def test_the_preset_of_1msg() -> None:
    preset = Gateway("https://api.1msg.io", "/whatsapp_business_encryption", header="", scheme="", query="token", body="json")
    assert list(PRESETS.items()) == [("1msg", preset)]
    assert CONNECTION["preset"]["choices"] == list(PRESETS)


def test_the_requests_to_1msg_as_they_arrive(keys: Keys) -> None:
    with Recorder((200, {}, {"data": [{KEY: keys.a.pem, STATUS: "VALID"}]}), DONE) as server:
        client = client_of(server.base_url, preset="1msg")
        assert client.read("any", make_job()) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")
        client.write("any", keys.b.pem, make_job())
    get, post = server.seen
    for seen in (get, post):
        assert (seen.path, seen.query) == (f"/{EDGE}", {"token": TOKEN})
        assert TOKEN not in str(seen.headers)
    assert (get.method, get.body, "content-type" in get.headers) == ("GET", b"", False)
    assert (post.method, post.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(post.body) == {KEY: keys.b.pem}


def test_a_preset_has_the_address_of_its_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as server:
        monkeypatch.setitem(PRESETS, "1msg", Gateway(server.base_url, f"/{EDGE}", query="token", body="json"))
        client_of(None, preset="1msg").read("any", make_job())
    assert len(server.seen) == 1


def test_options_go_before_what_the_preset_says(keys: Keys) -> None:
    with Recorder(DONE) as server:
        client = client_of(server.base_url, preset="1msg", path_template="/v2/{phone_number_id}/key", credential_query="key",
                           body_format="form")
        client.write(NUMBER, keys.a.pem, make_job())
    (seen,) = server.seen
    assert (seen.path, seen.query, seen.form) == (f"/v2/{NUMBER}/key", {"key": TOKEN}, {KEY: keys.a.pem})


@pytest.mark.parametrize(("scheme", "sent"), [(None, TOKEN), ("", TOKEN), ("Bearer", f"Bearer {TOKEN}"), ("Key", f"Key {TOKEN}")])
@pytest.mark.parametrize("header", ["Authorization", "D360-API-KEY"])
def test_the_credential_in_a_header(scheme: str | None, sent: str, header: str, keys: Keys) -> None:
    with Recorder((200, {}, {"data": []}), DONE) as server:
        client = client_of(server.base_url, credential_header=header, credential_scheme=scheme)
        client.read(NUMBER, make_job())
        client.write(NUMBER, keys.a.pem, make_job())
    for seen in server.seen:
        assert (seen.path, seen.query) == (f"/{NUMBER}/{EDGE}", {})
        assert seen.headers[header.lower()] == sent
        assert header == "Authorization" or "authorization" not in seen.headers
    assert server.seen[1].headers["content-type"] == "application/x-www-form-urlencoded"
    assert server.seen[1].form == {KEY: keys.a.pem}


@pytest.mark.parametrize("token", ["a+b/c=d==", "100%&x=y?z#", "\"quoted\"", "back\\slash"])
def test_a_credential_arrives_as_it_is(token: str, keys: Keys) -> None:
    with Recorder(DONE) as server:
        client_of(server.base_url, token, preset="1msg").write(NUMBER, keys.a.pem, make_job())
        client_of(server.base_url, token, credential_header="X-Key").write(NUMBER, keys.a.pem, make_job())
    assert server.seen[0].query == {"token": token}
    assert server.seen[1].headers["x-key"] == token


@pytest.mark.parametrize(("body_format", "content_type"), [
    (None, "application/x-www-form-urlencoded"), ("form", "application/x-www-form-urlencoded"), ("json", "application/json"),
])
def test_the_sandbox_takes_both_bodies(body_format: str | None, content_type: str, rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a, body_format=body_format)
    assert (result["outcome"], result["status"]) == ("set", "VALID")
    assert [item.content_type for item in rig.box.posts] == [content_type]
    assert [item.method for item in rig.box.requests] == ["GET", "POST", "GET"]


@pytest.mark.parametrize(("template", "number", "path"), [
    (None, NUMBER, f"/{NUMBER}/{EDGE}"),
    ("", NUMBER, f"/{NUMBER}/{EDGE}"),
    ("/whatsapp_business_encryption", NUMBER, f"/{EDGE}"),
    ("/v1/{phone_number_id}/key", NUMBER, f"/v1/{NUMBER}/key"),
    ("/v1/n-{phone_number_id}.json", NUMBER, f"/v1/n-{NUMBER}.json"),
    ("/{phone_number_id}/of/{phone_number_id}", "7", "/7/of/7"),
    ("/v1/{phone_number_id}", "+15550100", "/v1/%2B15550100"),
    ("/v1/{phone_number_id}", "channel_A-1", "/v1/channel_A-1"),
    ("/~a_b-c.d+e/{phone_number_id}", "7", "/~a_b-c.d+e/7"),
])
def test_where_the_number_goes(template: str | None, number: str, path: str, keys: Keys) -> None:
    with Recorder(DONE) as server:
        client = client_of(server.base_url + "/pre/", credential_header="X-Key", path_template=template)
        client.check_number(number)
        client.write(number, keys.a.pem, make_job())
    assert server.seen[0].path == f"/pre{path}"


@pytest.mark.parametrize("shape", ["array", "flat", "empty_data", "missing_members"])
def test_reading_in_every_shape(shape: str, rig: Rig, keys: Keys) -> None:
    rig.box.settings.read_shape = shape
    assert rig.read()["fingerprint"] is None
    rig.hold(keys.a)
    assert rig.read()["fingerprint"] == keys.a.fingerprint


@pytest.mark.parametrize("said", [{}, {"success": False}, {"success": None}, {"data": {"success": True}}, []])
def test_a_change_without_success_is_not_taken_for_one(said: t.Any, keys: Keys) -> None:
    with Recorder((200, {}, said)) as server, pytest.raises(InvalidAnswer, match="did not report success") as caught:
        client_of(server.base_url, preset="1msg").write(NUMBER, keys.a.pem, make_job())
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(("code", "status", "kind"), [
    (190, 401, "token"), (100, 400, "invalid_parameter"), (131000, 500, "signing"), (130429, 429, "throttled"),
    (7777, 503, "temporary"),
])
def test_codes_mean_what_metas_mean(code: int, status: int, kind: str) -> None:
    with Recorder((status, {}, {"error": {"message": "Text", "code": code}})) as server, pytest.raises(ApiError) as caught:
        client_of(server.base_url, preset="1msg").read(NUMBER, make_job())
    assert (caught.value.code, caught.value.meaning.kind) == (code, kind)


# -- options that are wrong


@pytest.mark.parametrize("template", [
    "no-slash", "no-slash/{phone_number_id}", "/", "//", "/a//b", "/a/", "/{phone_number_id}/", "/a?x=1",
    "/a?id={phone_number_id}", "/a#b", "/{number}", "/{}", "/{phone_number_id", "/{{ phone_number_id }}", "/a b", "/a\n", "\n/a",
    "/a\r\nX: 1", "/a\\b", "/\u00fc", "/a:b", "https://example.com/a", "//example.com/a", "/a@b",
])
def test_a_template_that_is_no_path_is_refused(template: str) -> None:
    with pytest.raises(InvalidOptions, match="is not a path") as caught:
        client_of("http://127.0.0.1:9", credential_header="X-Key", path_template=template)
    assert "{phone_number_id} is its only place for a value" in caught.value.remedy


@pytest.mark.parametrize("name", [
    "X-Key\r\nX-Evil", "X-Key\n", "\nX-Key", "X Key", "X-Key:", "X-K\u00e4y", "{{ header }}", "X\x00",
])
def test_a_header_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidOptions, match="not a name"):
        client_of("http://127.0.0.1:9", credential_header=name)


@pytest.mark.parametrize("name", ["a=b", "a&b", "to ken", "token\n", "t\u00f6ken", "a?b", "a#b", "{{ query }}"])
def test_a_query_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidOptions, match="not a name"):
        client_of("http://127.0.0.1:9", credential_query=name)


@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer\n", "Bearer\r\nX-Evil: 1", "two words", "Bearer:", "{{ scheme }}"])
def test_a_scheme_that_is_no_word_is_refused(scheme: str) -> None:
    with pytest.raises(InvalidOptions, match="not one word"):
        client_of("http://127.0.0.1:9", credential_header="Authorization", credential_scheme=scheme)


@pytest.mark.parametrize("places", [
    {}, {"credential_header": "", "credential_query": ""}, {"credential_header": "X-Key", "credential_query": "token"},
])
def test_the_credential_has_exactly_one_place(places: Params) -> None:
    with pytest.raises(InvalidOptions, match="not clear where the credential goes") as caught:
        client_of("http://127.0.0.1:9", **places)
    assert "either credential_header or credential_query" in caught.value.remedy


def test_a_place_that_is_given_goes_before_that_of_the_preset() -> None:
    given = module_params(CONNECTION, provider="graph_compatible", preset="1msg", credential_header="X-Key")
    gateway = gateway_of(connection_of(given))
    assert (gateway.header, gateway.query, gateway.base_url) == ("X-Key", "", "https://api.1msg.io")


@pytest.mark.parametrize("options", [
    {"credential_scheme": "Bearer", "credential_query": "token"}, {"credential_header": "Content-Type"},
    {"credential_header": "X-Key", "path_template": "/../{phone_number_id}"},
])
def test_options_that_would_lead_the_credential_astray_are_refused(options: Params) -> None:
    with pytest.raises(InvalidOptions):
        client_of("http://127.0.0.1:9", **options)


@pytest.mark.parametrize("base_url", [None, ""])
def test_neither_base_url_nor_preset_is_refused(base_url: str | None) -> None:
    with pytest.raises(InvalidOptions, match="Neither base_url nor preset") as caught:
        client_of(base_url, credential_header="X-Key")
    assert "whatsapp_base_url" in caught.value.remedy


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="plain http"):
        client_of("http://gateway.example.com", preset="1msg")


@pytest.mark.parametrize("token", ["", None])
def test_a_missing_credential_is_named_with_every_way_to_give_it(token: t.Any) -> None:
    with pytest.raises(InvalidOptions, match="No credential is given") as caught:
        client_of("http://127.0.0.1:9", token, preset="1msg")
    for name in ("access_token", "whatsapp_access_token", "WHATSAPP_ACCESS_TOKEN"):
        assert name in caught.value.remedy


@pytest.mark.parametrize("token", ["fake token", "fake-token\n", "{{ token }}", "fake\u00e4"])
def test_a_credential_that_none_can_be_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(InvalidOptions, match="characters that no credential has") as caught:
        client_of("http://127.0.0.1:9", token, preset="1msg")
    assert token.strip() not in str(caught.value)


@pytest.mark.parametrize("number", ["1", NUMBER, "+15550100", "channel-1", "A_b", "x" * 64])
def test_digits_and_letters_are_an_id(number: str) -> None:
    client_of("http://127.0.0.1:9", preset="1msg").check_number(number)


@pytest.mark.parametrize("number", [
    "", "+", "1 2", "a/b", "..", ".", "a?b", "a#b", "{{ id }}", "x" * 65, "1\n", "\u0661", "a%2Fb",
])
def test_other_text_is_no_id(number: str) -> None:
    with pytest.raises(InvalidOptions, match="not an ID of digits and letters"):
        client_of("http://127.0.0.1:9", preset="1msg").check_number(number)


# -- one and the same number


def test_different_credentials_are_different_numbers(channels: Channels, keys: Keys) -> None:
    result = fleet(channels.rows, keys)
    assert [row["outcome"] for row in result["numbers"]] == ["set"] * 3
    assert [row["key_holder"] for row in result["numbers"]] == [None] * 3
    numbers = channels.box.state.numbers
    assert [numbers[row["phone_number_id"]].business_public_key for row in channels.rows] == [keys.a.pem] * 3


@pytest.mark.parametrize("more", [
    {}, {"timeout": 7.0}, {"body_format": "form"}, {"preset": None, "path_template": f"/{EDGE}", "credential_query": "token"},
])
def test_one_credential_twice_is_one_number_where_the_path_has_no_place(more: Params, channels: Channels, keys: Keys) -> None:
    rows = [channels.rows[0], {**channels.rows[1], "access_token": channels.rows[0]["access_token"], **more}, channels.rows[2]]
    with pytest.raises(InvalidOptions, match="one and the same number") as caught:
        fleet(rows, keys)
    assert f"{rows[0]['phone_number_id']} and {rows[1]['phone_number_id']}" in str(caught.value)
    assert rows[2]["phone_number_id"] not in str(caught.value)
    assert "Nothing was sent" in str(caught.value)
    assert channels.rows[0]["access_token"] not in str(caught.value)
    assert channels.box.requests == []


def test_a_slash_at_the_end_makes_no_other_number(channels: Channels, keys: Keys) -> None:
    first, second, dummy = channels.rows
    second = {**second, "access_token": first["access_token"], "base_url": f"{first['base_url']}/"}
    with pytest.raises(InvalidOptions, match="one and the same number"):
        fleet([first, second], keys)
    assert channels.box.requests == []


def test_one_credential_is_fine_where_the_path_has_a_place(rig: Rig, keys: Keys) -> None:
    result = rig.fleet(keys.a)
    assert [row["outcome"] for row in result["numbers"]] == ["set", "set"]


def test_a_credential_at_two_gateways_is_two_numbers(channels: Channels, keys: Keys) -> None:
    first, second, dummy = channels.rows
    second = {**second, "access_token": first["access_token"], "base_url": f"{first['base_url']}/v2"}
    assert "failed" not in fleet([first, second], keys, max_workers=1)
    assert len(channels.box.requests) == 4


def test_what_holds_the_key_is_named_without_the_credential() -> None:
    connection = client_of("http://127.0.0.1:9", preset="1msg").connection
    holder = _graph_compatible.GraphCompatible.holder(connection, NUMBER)
    assert TOKEN not in holder
    assert NUMBER not in holder
    assert TOKEN not in repr(connection)


# -- secrets


@pytest.mark.parametrize("place", [
    {"credential_query": "token"}, {"credential_header": "Authorization", "credential_scheme": "Bearer"},
])
def test_a_gateway_that_echoes_the_credential_does_not_get_it_into_messages(place: Params) -> None:
    error = {"message": f"Bad request /{EDGE}?token={TOKEN}", "code": 190, "type": TOKEN, "error_data": {"details": TOKEN}}
    with Recorder((401, {}, {"error": error})) as server, pytest.raises(ApiError, match=r"\?token=\*{8}") as caught:
        client_of(server.base_url, **place).read(NUMBER, make_job())
    assert TOKEN not in json.dumps(caught.value.as_dict())


@pytest.mark.parametrize("kind", ["reset", "redirect", "html", "big_body", "truncated"])
def test_a_credential_in_the_query_is_in_no_message(kind: str, channels: Channels, keys: Keys) -> None:
    more: dict[str, Params] = {"redirect": {"location": "http://127.0.0.1:9/"}, "big_body": {"bytes": 3000000}}
    channels.box.fault("*", kind, times=-1, **more.get(kind, {}))
    result = fleet(channels.rows, keys, retries=0)
    assert [row["outcome"] for row in result["numbers"]] == ["failed"] * 3
    for row in channels.rows:
        assert row["access_token"] not in json.dumps(result)


def test_a_credential_in_the_query_is_in_no_message_where_nobody_listens() -> None:
    with Recorder() as server:
        base_url = server.base_url
    with pytest.raises(Exception, match="cannot be reached") as caught:
        client_of(base_url, preset="1msg").read(NUMBER, make_job())
    assert TOKEN not in str(caught.value)
