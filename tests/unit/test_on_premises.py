# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The On-Premises API: the login and its token, what is sent, and how its answers are read."""

from __future__ import annotations

import base64
import json
import threading
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import ApiError, InvalidAnswer, InvalidOptions, TlsError
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS, Provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many
from ansible_collections.waba.flows.tests.unit.helpers import (
    Keys,
    Params,
    Recorder,
    Seen,
    make_client,
    make_job,
    module_params,
    self_signed,
)
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_mixed_state

pytestmark = pytest.mark.usefixtures("quick")

KEY = "business_public_key"
STATUS = "business_public_key_signature_status"
LOGIN = "/v1/users/login"
EDGE = "/v1/settings/business/whatsapp_business_encryption"
USER = "admin"
PASSWORD = "fake-pass:w\u00f6rd"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
TOKEN = "fake.bearer-token/0123+456=="
META = {"meta": {"api_status": "stable", "version": "v2.53.0"}}
NO_TOKENS: list[t.Any] = [None, 7, True, [], {}, "", " ", "\t"]
NO_KEY = {KEY: "", STATUS: "MISMATCH"}

Answers = tuple[int, dict[str, str], t.Any]


def login(token: t.Any = TOKEN) -> Answers:
    return 200, {}, {"users": [{"token": token, "expires_after": "2026-12-01 00:00:00+00:00"}], **META}


def refusal(status: int, code: t.Any, **more: t.Any) -> Answers:
    return status, {}, {"errors": [{"code": code, "title": "Title", "details": "Details", **more}], **META}


def client_of(base_url: str, **more: t.Any) -> Provider:
    given: Params = {"provider": "on_premises", "username": USER, "password": PASSWORD, "retries": 0, **more}
    return make_client(base_url, **given)


def outline(seen: list[Seen]) -> list[tuple[str, str, str]]:
    return [(one.method, one.path, one.headers["authorization"]) for one in seen]


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A number on a host of its own, and a second one on another."""
    with Sandbox(make_mixed_state()) as box:
        yield RIGS["on_premises"](box)


def client_for(rig: Rig) -> Provider:
    options = {name: value for name, value in rig.options.items() if name != "base_url"}
    return make_client(rig.options["base_url"], **options)


def outline_of(rig: Rig) -> list[tuple[str, str, int | None]]:
    """Method, last part of the path, and status of each request that the sandbox saw."""
    return [(one.method, one.path.rpartition("/")[2], one.status) for one in rig.box.requests]


# -- what is sent


def test_the_requests_as_they_arrive(keys: Keys) -> None:
    with Recorder(login(), (200, {}, {KEY: keys.a.pem, STATUS: "VALID"}), (201, {}, META)) as server:
        client = client_of(server.base_url + "/")
        assert client.read("1", make_job()) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")
        client.write("1", keys.b.pem, make_job())
    assert outline(server.seen) == [
        ("POST", LOGIN, f"Basic {BASIC}"), ("GET", EDGE, f"Bearer {TOKEN}"), ("POST", EDGE, f"Bearer {TOKEN}"),
    ]
    into, get, post = server.seen
    assert [one.query for one in server.seen] == [{}, {}, {}]
    assert [one.headers["accept"] for one in server.seen] == ["application/json"] * 3
    assert (into.body, into.headers["content-length"]) == (b"", "0")
    assert (get.body, "content-type" in get.headers) == (b"", False)
    assert post.headers["content-type"] == "application/json"
    assert json.loads(post.body) == {"public_key": keys.b.pem}


def test_a_set_logs_in_once(rig: Rig, keys: Keys) -> None:
    assert rig.set(keys.a)["outcome"] == "set"
    edge = "whatsapp_business_encryption"
    assert outline_of(rig) == [("POST", "login", 200), ("GET", edge, 200), ("POST", edge, 200), ("GET", edge, 200)]


def test_the_base_url_can_have_a_path() -> None:
    with Recorder(login(), (200, {}, NO_KEY)) as server:
        client_of(f"{server.base_url}/behind/a/proxy").read("1", make_job())
    assert [one.path for one in server.seen] == [f"/behind/a/proxy{LOGIN}", f"/behind/a/proxy{EDGE}"]


def test_the_id_of_the_number_is_not_sent() -> None:
    with Recorder(login(), (200, {}, NO_KEY)) as server:
        client = client_of(server.base_url)
        for name in ("any name: of \u00fcs", "106600000000001", "+15550100"):
            client.check_number(name)
        client.read("106600000000001", make_job())
    assert "106600000000001" not in str(server.seen)


# -- the token


def test_a_token_that_the_server_dropped_is_renewed_once(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    client = client_for(rig)
    client.read(rig.number, make_job())
    rig.box.forget_logins()
    rig.box.forget_requests()
    for dummy in range(2):
        assert client.read(rig.number, make_job()).fingerprint == keys.a.fingerprint
    edge = "whatsapp_business_encryption"
    assert outline_of(rig) == [("GET", edge, 401), ("POST", "login", 200), ("GET", edge, 200), ("GET", edge, 200)]


def test_a_change_is_not_applied_twice_where_the_token_was_dropped(rig: Rig, keys: Keys) -> None:
    client = client_for(rig)
    client.read(rig.number, make_job())
    rig.box.forget_logins()
    rig.box.forget_requests()
    client.write(rig.number, keys.a.pem, make_job())
    edge = "whatsapp_business_encryption"
    assert outline_of(rig) == [("POST", edge, 401), ("POST", "login", 200), ("POST", edge, 200)]
    assert rig.state.business_public_key == keys.a.pem


def test_a_set_succeeds_where_the_token_runs_out_after_each_request(keys: Keys) -> None:
    gone = refusal(401, 1005)
    with Recorder(login("one"), (200, {}, NO_KEY), gone, login("two"), (200, {}, META), gone, login("three"),
                  (200, {}, {KEY: keys.a.pem, STATUS: "VALID"})) as server:
        client = client_of(server.base_url)
        assert client.read("1", make_job()).fingerprint is None
        client.write("1", keys.a.pem, make_job())
        assert client.read("1", make_job()).fingerprint == keys.a.fingerprint
    assert [item[2] for item in outline(server.seen)] == [
        f"Basic {BASIC}", "Bearer one", "Bearer one", f"Basic {BASIC}", "Bearer two", "Bearer two", f"Basic {BASIC}",
        "Bearer three",
    ]


def test_a_new_token_that_is_refused_as_well_is_no_loop(keys: Keys) -> None:
    with Recorder(login(), refusal(401, 1005)) as server:
        client = client_of(server.base_url, retries=3)
        with pytest.raises(ApiError) as caught:
            client.write("1", keys.a.pem, make_job())
    assert [one.path for one in server.seen] == [LOGIN, EDGE]
    assert (caught.value.meaning.kind, caught.value.outcome_unknown) == ("token", False)


def test_another_refusal_than_401_renews_no_token(keys: Keys) -> None:
    with Recorder(login(), (200, {}, NO_KEY), refusal(403, 1005)) as server:
        client = client_of(server.base_url)
        client.read("1", make_job())
        with pytest.raises(ApiError):
            client.write("1", keys.a.pem, make_job())
    assert [one.path for one in server.seen] == [LOGIN, EDGE, EDGE]


def test_the_first_use_by_several_threads_logs_in_once(rig: Rig) -> None:
    client, start, found = client_for(rig), threading.Barrier(6), []
    rig.box.settings.latency = 0.05

    def read() -> None:
        start.wait()
        found.append(client.read(rig.number, make_job()))

    threads = [threading.Thread(target=read) for dummy in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [PublishedKey(None, None, "MISMATCH")] * 6
    assert [item[1] for item in outline_of(rig)].count("login") == 1


def test_a_token_that_was_dropped_under_several_threads_is_renewed_once(rig: Rig) -> None:
    client, start, found = client_for(rig), threading.Barrier(6), []
    client.read(rig.number, make_job())
    rig.box.forget_logins()
    rig.box.forget_requests()
    rig.box.settings.latency = 0.05

    def read() -> None:
        start.wait()
        found.append(client.read(rig.number, make_job()))

    threads = [threading.Thread(target=read) for dummy in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert [item[1] for item in outline_of(rig)].count("login") == 1


def test_a_login_is_tried_again_after_a_temporary_error() -> None:
    with Recorder(refusal(500, 1014), (502, {}, b"<html>"), login(), (200, {}, NO_KEY)) as server:
        client_of(server.base_url, retries=2).read("1", make_job())
    assert [one.path for one in server.seen] == [LOGIN, LOGIN, LOGIN, EDGE]


def test_a_wrong_password_is_named_and_not_tried_again(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a, password="fake-wrong-password")
    assert (result["outcome"], result["changed"], result["error"]["code"]) == ("failed", False, 1005)
    assert "Check username and password" in result["msg"]
    assert outline_of(rig) == [("POST", "login", 401)]


@pytest.mark.parametrize("document", [
    {}, META, {"users": []}, {"users": None}, {"users": {}}, {"users": "text"}, {"users": [None]}, {"users": [[]]},
    {"users": [{}]}, [], [{"users": [{"token": TOKEN}]}],
    *({"users": [{"token": token}]} for token in NO_TOKENS),
], ids=str)
def test_a_login_without_a_token_is_not_understood(document: t.Any) -> None:
    with Recorder((200, {}, document)) as server, pytest.raises(InvalidAnswer, match="the login gave no token"):
        client_of(server.base_url, retries=3).read("1", make_job())
    assert [one.path for one in server.seen] == [LOGIN]


@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b'"text"', b"null", b'{"users": [{"token"'])
def test_a_login_that_is_answered_by_no_json_is_not_understood(body: bytes) -> None:
    with Recorder((200, {}, body)) as server, pytest.raises(InvalidAnswer, match="HTTP 200 came with"):
        client_of(server.base_url).read("1", make_job())
    assert [one.path for one in server.seen] == [LOGIN]


@pytest.mark.parametrize("token", ["fake\r\nX-Evil: 1", "fake\n", "fake\x00token", "fake\x7f", "fake\u00e4", "fake\u2028"])
def test_a_token_that_no_header_can_hold_is_neither_sent_nor_quoted(token: str) -> None:
    with Recorder(login(token)) as server, pytest.raises(InvalidAnswer, match="the login gave no token") as caught:
        client_of(server.base_url).read("1", make_job())
    assert "fake" not in json.dumps(caught.value.as_dict())
    assert [one.path for one in server.seen] == [LOGIN]


@pytest.mark.parametrize("secret", [PASSWORD, BASIC, TOKEN])
def test_a_server_that_echoes_a_secret_does_not_get_it_into_messages(secret: str, keys: Keys) -> None:
    echo = refusal(400, f"C{secret}", title=f"Bad {secret}", details=f"See {secret}")
    with Recorder(login(), (200, {}, NO_KEY), echo, (200, {"Content-Type": f"text/{TOKEN}"}, b"<html>")) as server:
        client = client_of(server.base_url)
        client.read("1", make_job())
        with pytest.raises(ApiError, match=r"Bad \*{8} \[See \*{8}\]") as caught:
            client.write("1", keys.a.pem, make_job())
        with pytest.raises(InvalidAnswer) as odd:
            client.read("1", make_job())
    text = json.dumps([caught.value.as_dict(), odd.value.as_dict()], ensure_ascii=False)
    assert secret not in text
    assert TOKEN not in text


def test_the_token_before_the_last_is_not_in_messages_either(keys: Keys) -> None:
    echo = refusal(400, 1009, details="See fake-token-one and fake-token-two")
    with Recorder(login("fake-token-one"), (200, {}, NO_KEY), refusal(401, 1005), login("fake-token-two"), echo) as server:
        client = client_of(server.base_url)
        client.read("1", make_job())
        with pytest.raises(ApiError, match=r"See \*{8} and \*{8}"):
            client.write("1", keys.a.pem, make_job())


def test_a_connection_does_not_show_its_secrets() -> None:
    assert PASSWORD not in repr(client_of("http://127.0.0.1:9").connection)


# -- reading and success


@pytest.mark.parametrize(("document", "status"), [
    (NO_KEY, "MISMATCH"), ({KEY: " "}, None), ({KEY: None}, None), ({STATUS: "MISMATCH"}, "MISMATCH"),
    ({KEY: "\n", STATUS: ""}, None), ({**NO_KEY, "errors": []}, "MISMATCH"), ({**NO_KEY, **META}, "MISMATCH"),
])
def test_a_blank_or_missing_key_means_that_none_is_set(document: t.Any, status: str | None) -> None:
    with Recorder(login(), (200, {}, document)) as server:
        assert client_of(server.base_url).read("1", make_job()) == PublishedKey(None, None, status)


@pytest.mark.parametrize("document", [
    {}, META, [], [NO_KEY], {"data": [NO_KEY]}, {"settings": NO_KEY}, {KEY: 7}, {KEY: ["x"]}, {KEY: "no pem"}, {STATUS: 7},
    {"errors": []}, {"errors": "text"}, {"errors": {}}, {"errors": [7]},
], ids=str)
def test_an_answer_of_another_shape_is_never_taken_for_no_key(document: t.Any) -> None:
    with Recorder(login(), (200, {}, document)) as server, pytest.raises(InvalidAnswer, match=r"not understood|of another form"):
        client_of(server.base_url).read("1", make_job())


@pytest.mark.parametrize("errors", ["text", {"code": 1009}, ["text"], [7]], ids=str)
def test_errors_of_another_form_are_no_success(errors: t.Any, keys: Keys) -> None:
    """Answers with errors have the member meta as well."""
    with Recorder(login(), (200, {}, {"errors": errors, **META})) as server, pytest.raises(InvalidAnswer) as caught:
        client_of(server.base_url).write("1", keys.a.pem, make_job())
    assert caught.value.outcome_unknown


def test_a_login_that_fails_sends_nothing_after_it(keys: Keys) -> None:
    with Recorder((500, {}, {"errors": [{"code": 1014, "title": "Internal error"}]})) as server:
        client = client_of(server.base_url, retries=0)
        with pytest.raises(ApiError) as caught:
            client.write("1", keys.a.pem, make_job())
    assert caught.value.outcome_unknown is False
    assert {one.path for one in server.seen} == {LOGIN}


@pytest.mark.parametrize("document", [{}, [], ["meta"], {"success": True}, {"errors": []}], ids=str)
def test_a_change_without_the_member_meta_is_not_taken_for_success(document: t.Any, keys: Keys) -> None:
    with Recorder(login(), (200, {}, document)) as server, pytest.raises(InvalidAnswer, match="report success") as caught:
        client_of(server.base_url).write("1", keys.a.pem, make_job())
    assert caught.value.outcome_unknown
    assert [one.path for one in server.seen] == [LOGIN, EDGE]


def test_success_can_come_with_an_empty_list_of_errors(keys: Keys) -> None:
    with Recorder(login(), (200, {}, {"errors": [], **META})) as server:
        client_of(server.base_url).write("1", keys.a.pem, make_job())
    assert len(server.seen) == 2


# -- errors


@pytest.mark.parametrize(("status", "code", "kind", "remedy"), [
    (401, 1005, "token", "Check username and password"),
    (403, 1024, "token", "first login needs a change of the password"),
    (404, 1006, "not_found", "Check base_url"),
    (400, 1008, "invalid_parameter", "RSA-2048"),
    (400, 1009, "invalid_parameter", "RSA-2048"),
    (500, 1014, "temporary", "run again"),
    (400, 1014, "temporary", "run again"),
    (500, 1011, "temporary", "run again"),
    (503, 1016, "temporary", "run again"),
    (400, 1017, "temporary", "run again"),
    (400, 1018, "temporary", "run again"),
    (429, 1015, "throttled", "rate limit"),
    (400, 1015, "throttled", "rate limit"),
    (400, 1999, "unknown", ""),
    (500, 1999, "temporary", "run again"),
    (429, 1999, "throttled", "rate limit"),
    (401, None, "token", "Check username and password"),
    (403, 1999, "token", "Check username and password"),
    (404, 1999, "not_found", "this version of the client"),
    (200, 1009, "invalid_parameter", "RSA-2048"),
])
def test_what_a_code_means(status: int, code: int | None, kind: str, remedy: str, keys: Keys) -> None:
    with Recorder(login(), refusal(status, code)) as server, pytest.raises(ApiError, match=r"Title \[Details\]") as caught:
        client_of(server.base_url).write("1", keys.a.pem, make_job())
    error = caught.value
    assert (error.code, error.http_status, error.meaning.kind) == (code, status, kind)
    assert error.retryable is (kind in ("temporary", "throttled"))
    assert error.outcome_unknown is (kind == "temporary")
    assert remedy in error.remedy
    assert "system-user" not in str(error)


@pytest.mark.parametrize("code", [1011, 1014, 1016, 1017, 1018])
def test_a_read_is_repeated_after_a_fault_that_passes(code: int) -> None:
    with Recorder(login(), refusal(500, code), refusal(400, code), (200, {}, NO_KEY)) as server:
        client_of(server.base_url, retries=2).read("1", make_job())
    assert [one.path for one in server.seen] == [LOGIN, EDGE, EDGE, EDGE]


def test_a_throttled_read_waits_as_long_as_it_is_told() -> None:
    throttled = (400, {"Retry-After": "0"}, refusal(400, 1015)[2])
    with Recorder(login(), throttled, (200, {}, NO_KEY)) as server:
        client_of(server.base_url, retries=1).read("1", make_job())
    assert [one.path for one in server.seen] == [LOGIN, EDGE, EDGE]


def test_the_wait_of_a_throttled_call_is_known() -> None:
    throttled = (429, {"Retry-After": "7"}, refusal(429, 1015)[2])
    with Recorder(login(), throttled) as server, pytest.raises(ApiError) as caught:
        client_of(server.base_url).read("1", make_job())
    assert caught.value.wait == 7.0


def test_a_change_is_not_repeated_without_reading(keys: Keys) -> None:
    with Recorder(login(), refusal(500, 1014)) as server, pytest.raises(ApiError):
        client_of(server.base_url, retries=3).write("1", keys.a.pem, make_job())
    assert [one.path for one in server.seen] == [LOGIN, EDGE]


@pytest.mark.parametrize("errors", [[], "text", {}, None, 7, [7], ["text"], [[]], [None]], ids=str)
@pytest.mark.parametrize(("status", "kind"), [
    (400, "unknown"), (401, "token"), (404, "not_found"), (429, "throttled"), (503, "temporary"),
])
def test_errors_of_another_form_are_classified_by_the_status(errors: t.Any, status: int, kind: str) -> None:
    with Recorder(login(), (status, {}, {"errors": errors})) as server, pytest.raises(ApiError, match="no error body") as caught:
        client_of(server.base_url).read("1", make_job())
    assert (caught.value.code, caught.value.http_status, caught.value.meaning.kind) == (None, status, kind)


@pytest.mark.parametrize(("first", "code"), [
    ({}, None), ({"code": None}, None), ({"code": True}, None), ({"code": []}, None), ({"code": {}}, None), ({"code": ""}, None),
    ({"code": 1.5}, None), ({"code": "x" * 99}, "x" * 40), ({"code": 1009, "title": 7, "details": []}, 1009),
], ids=str)
def test_odd_members_do_not_hide_an_error(first: t.Any, code: t.Any) -> None:
    odd: Answers = (400, {}, {"errors": [first, 7]})
    with Recorder(login(), odd) as server, pytest.raises(ApiError, match="names no reason") as caught:
        client_of(server.base_url).read("1", make_job())
    assert (caught.value.code, caught.value.details) == (code, None)


def test_long_texts_of_the_api_are_cut() -> None:
    with Recorder(login(), refusal(400, 1009, title="t" * 9000, details="d" * 9000)) as server, pytest.raises(ApiError) as caught:
        client_of(server.base_url).read("1", make_job())
    assert len(str(caught.value)) < 1500


# -- options


@pytest.mark.parametrize("base_url", [None, ""])
def test_a_missing_base_url_is_named_with_every_way_to_give_it(base_url: t.Any) -> None:
    with pytest.raises(InvalidOptions, match="No base_url is given") as caught:
        client_of(base_url)
    assert "whatsapp_base_url" in caught.value.remedy


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="plain http"):
        client_of("http://wa.example.com")
    client_of("http://wa.example.com", allow_http=True)


@pytest.mark.parametrize(("missing", "what"), [("username", "user name"), ("password", "password")])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_option_is_named_with_every_way_to_give_it(missing: str, what: str, value: t.Any) -> None:
    with pytest.raises(InvalidOptions, match=f"No {what} is given") as caught:
        client_of("http://127.0.0.1:9", **{missing: value})
    for name in (missing, f"whatsapp_{missing}", f"WHATSAPP_{missing.upper()}"):
        assert name in caught.value.remedy


def test_a_user_name_with_a_colon_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="user name holds a colon"):
        client_of("http://127.0.0.1:9", username="admin:more")


@pytest.mark.parametrize("same", ["{url}", "{url}/"])
def test_two_numbers_on_one_host_are_refused_before_anything_is_sent(same: str, rig: Rig, keys: Keys) -> None:
    second = {**rig.rows[1], "base_url": same.format(url=rig.options["base_url"])}
    with pytest.raises(InvalidOptions, match="one and the same number") as caught:
        run_many(module_params(FLEET_SPEC, phone_numbers=[rig.rows[0], second], business_public_key=keys.a.pem), False)
    assert "mend base_url" in caught.value.remedy
    assert rig.box.requests == []


# -- TLS, and the notice


@pytest.fixture
def tls_rig(tmp_path: Path) -> Iterator[Rig]:
    """The same over TLS, with a certificate that nobody has signed."""
    with Sandbox(make_mixed_state(), tls=self_signed(tmp_path)) as box:
        yield RIGS["on_premises"](box)


def test_a_certificate_that_nobody_signed_is_refused(tls_rig: Rig, keys: Keys) -> None:
    result = tls_rig.set(keys.a)
    assert (result["outcome"], result["changed"], result["error"]["type"]) == ("failed", False, TlsError.__name__)
    assert "ca_path" in result["msg"]
    assert tls_rig.box.requests == []


def test_a_certificate_that_ca_path_names_is_accepted(tls_rig: Rig, keys: Keys, tmp_path: Path) -> None:
    result = tls_rig.set(keys.a, ca_path=str(tmp_path / "cert.pem"))
    assert (result["outcome"], result["warnings"]) == ("set", [PROVIDERS["on_premises"].notice])


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_unchecked_certificate_is_accepted_with_a_warning(tls_rig: Rig, keys: Keys) -> None:
    result = tls_rig.set(keys.a, validate_certs=False)
    assert result["outcome"] == "set"
    notice, warning = result["warnings"]
    assert notice == PROVIDERS["on_premises"].notice
    assert warning.startswith(f"validate_certs is false for {tls_rig.number}:")


def test_the_notice_is_told_once_for_two_numbers(rig: Rig, keys: Keys) -> None:
    assert rig.read()["warnings"] == [PROVIDERS["on_premises"].notice]
    assert rig.info()["warnings"] == [PROVIDERS["on_premises"].notice]
    assert rig.fleet(keys.a)["warnings"] == [PROVIDERS["on_premises"].notice]
    assert "2025-10-23" in PROVIDERS["on_premises"].notice


def test_another_provider_beside_it_gives_no_notice(rig: Rig) -> None:
    rows = [rig.rows[0], RIGS["gupshup"](rig.box).rows[0]]
    assert run_info(module_params(INFO_SPEC, phone_numbers=rows))["warnings"] == [PROVIDERS["on_premises"].notice]
    assert run_info(module_params(INFO_SPEC, phone_numbers=rows[1:]))["warnings"] == []
