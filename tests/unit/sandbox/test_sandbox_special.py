# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is special to each provider other than Meta."""

from __future__ import annotations

import calendar
import json
import time
from urllib.parse import urlencode

import pytest

from ansible_collections.waba.flows.tests.unit.sandbox.drivers import (
    Aws,
    GraphCompatible,
    Gupshup,
    Kaleyra,
    OnPremises,
    call,
)
from tests.sandbox import DEFAULT_NUMBER, Account, Sandbox, State, make_account, make_mixed_state, make_number, make_state

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# -- state and factories


@pytest.mark.parametrize(("account", "message"), [
    ({"provider": "meta", "secret": "s"}, "provider must be one of"),
    ({"provider": "aws", "secret": ""}, "secret must not be empty"),
    ({"provider": "on_premises", "secret": "s"}, "exactly one number"),
    ({"provider": "aws", "secret": "s", "numbers": ["1"]}, r"accounts\[a\]: there is no number 1"),
    ({"provider": "aws"}, r"accounts\[a\]: .*secret"),
    ({"provider": "aws", "secret": "s", "scope": "x"}, "unknown member 'scope'"),
])
def test_refused_accounts(account, message):
    with pytest.raises(ValueError, match=message):
        State.from_json({"accounts": {"a": account}})


@pytest.mark.parametrize("settings", [{"kaleyra_read": "x"}, {"kaleyra_error_shape": "list"}])
def test_refused_settings(settings):
    with pytest.raises(ValueError, match="must be one of"):
        State.from_json({"settings": settings})


def test_factories():
    state = make_mixed_state(accounts=1, numbers=3)
    assert len(state.accounts["kaleyra-1"].numbers) == 3
    assert len(state.accounts["on_premises-1"].numbers) == 1
    assert set(make_state(2).numbers) <= set(state.numbers)
    secrets = [item.secret for item in make_mixed_state(4).accounts.values()]
    assert len(set(secrets)) == len(secrets)
    account = make_account("aws", ["1"], 7, region="us-east-1")
    assert account == Account("aws", "fake-secret-access-key-7", "FAKEACCESSKEYID7", ["1"], "us-east-1")


def test_accounts_over_the_control_interface(client):
    state = make_mixed_state()
    assert client("PUT", "/_sandbox/state", json.dumps(state.to_json())).status == 200
    assert client("GET", "/_sandbox/state").json["accounts"]["kaleyra-1"]["provider"] == "kaleyra"
    assert Kaleyra(client.box).read() == Kaleyra.blank


def test_mixed_log_over_the_control_interface(mixed, pems, client):
    client.box = mixed
    client.post(pems["good"])
    Aws(mixed).set(pems["good"])
    assert [item.phone_number_id for item in mixed.posts] == [DEFAULT_NUMBER, Aws(mixed).number]
    assert [row["phone_number_id"] for row in client("GET", "/_sandbox/requests").json] == [
        item.phone_number_id for item in mixed.requests]


# -- On-Premises API


def test_login(mixed):
    reply = OnPremises(mixed).login()
    row = reply.json["users"][0]
    expires = calendar.timegm(time.strptime(row["expires_after"], "%Y-%m-%d %H:%M:%S+00:00"))
    assert abs(expires - time.time() - 604800) < 5
    assert mixed.requests[-1].token_hint == "admi"


def test_token_runs_out(mixed):
    mixed.state.accounts["on_premises-1"].token_seconds = 0
    driver = OnPremises(mixed)
    assert driver.error(driver.get()) == (401, 1005)


def test_forgotten_logins(mixed, client):
    client.box = mixed
    driver = OnPremises(mixed)
    assert driver.get().status == 200
    mixed.forget_logins()
    assert driver.error(driver.get()) == (401, 1005)
    driver.token = None
    assert driver.get().status == 200
    assert client("DELETE", "/_sandbox/logins").status == 200
    assert driver.get().status == 401


def test_tokens_are_of_one_host_and_stay_good(mixed):
    driver, other = OnPremises(mixed), OnPremises(mixed, 2)
    assert driver.get().status == 200
    first, driver.token = driver.token, None
    assert driver.get().status == 200
    assert driver.token != first
    other.token, driver.token = first, first
    assert (driver.get().status, other.get().status) == (200, 401)


def test_faults_of_the_login(mixed):
    driver = OnPremises(mixed)
    mixed.fault(driver.number, "html", method="GET")
    mixed.fault("*", "html", status=503, times=-1)
    mixed.fault(driver.number + "/login", "throttle", retry_after=3)
    mixed.fault(driver.number + "/login", "error", status=503, code=1016)
    replies = [driver.login() for dummy in range(3)]
    assert [reply.status for reply in replies] == [429, 503, 200]
    assert (driver.error(replies[0])[1], replies[0].headers["Retry-After"]) == (1015, "3")
    assert driver.error(replies[1])[1] == 1016
    assert [driver.get().status for dummy in range(2)] == [502, 503]
    assert mixed.posts == []


@pytest.mark.parametrize("value", ["", "Basic", "Basic ***", "Basic /w==", "Bearer x", "Basic YWRtaW4="])
def test_malformed_logins(mixed, value):
    reply = OnPremises(mixed).send("POST", "/v1/users/login", headers={"Authorization": value})
    assert reply.status == 401


def test_login_is_a_post(mixed):
    assert OnPremises(mixed).send("GET", "/v1/users/login").status == 405


@pytest.mark.parametrize(("body", "headers"), [
    ("{", {"Content-Type": "application/json"}), ("[]", {"Content-Type": "application/json"}),
    ('{"public_key": 7}', {"Content-Type": "application/json"}), ("public_key=x", FORM),
    ('{"business_public_key": "x"}', {"Content-Type": "application/json"}),
])
@pytest.mark.parametrize("kind", [OnPremises, Gupshup])
def test_refused_json_bodies(mixed, kind, body, headers):
    driver = kind(mixed)
    assert driver.get().status == 200
    token = f"Bearer {driver.token}" if kind is OnPremises else driver.secret
    reply = driver.send("POST", driver.path, body, {"Authorization": token, **headers})
    assert driver.error(reply) == driver.refusals["missing"]


def test_host_without_its_number(mixed):
    driver = OnPremises(mixed)
    del mixed.state.numbers[driver.number]
    assert driver.error(driver.get()) == (404, 1006)
    assert call(mixed.base_url, "GET", "/on_premises/nobody" + driver.path).status == 404


# -- Kaleyra


@pytest.mark.parametrize(("kind", "status"), [
    ("404", 404), ("405", 405), ("empty", 200), ("flat", 200), ("data", 200), ("list", 200), ("odd", 200)])
def test_kaleyra_reads(mixed, pems, kind, status):
    driver = Kaleyra(mixed)
    driver.set(pems["good"])
    mixed.settings.kaleyra_read = kind
    reply = driver.get()
    members = dict(zip(driver.key_members, (pems["good"], "VALID")))
    assert reply.status == status
    data = reply.json
    if kind == "flat":
        assert members.items() <= data.items()
        assert data["code"] == "WA-200"
    elif kind in ("data", "list"):
        assert data["data"] == (members if kind == "data" else [members])
    else:
        assert pems["good"] not in str(data)
        assert ("code" in data) is (kind != "odd")


@pytest.mark.parametrize(("shape", "types"), [("object", (dict, dict)), ("string", (list, str))])
def test_kaleyra_error_shapes(mixed, shape, types):
    mixed.settings.kaleyra_error_shape = shape
    data = Kaleyra(mixed).set("x").json
    assert (type(data["data"]), type(data["error"])) == types


def test_kaleyra_takes_a_raw_plus_and_no_spaces(mixed, pems):
    driver = Kaleyra(mixed)
    for number, status in ((driver.number, 200), (driver.number.replace("+", "%20"), 400), (driver.number[1:], 400)):
        path = f"/v2/{driver.account_id}/whatsapp/{number}/flows_encryption"
        assert driver.send_form(path, {"business_public_key": pems["good"]}, {"api-key": driver.secret}).status == status


def test_kaleyra_takes_urlencoded_only(mixed, pems):
    driver = Kaleyra(mixed)
    reply = driver.send("POST", driver.path, {"business_public_key": pems["good"]}, {"api-key": driver.secret})
    assert driver.error(reply) == (400, "WA-400")


# -- providers that are compatible with Meta's


@pytest.mark.parametrize(("path", "headers"), [
    ("/whatsapp_business_encryption?token={}", {}),
    ("/whatsapp_business_encryption", {"D360-API-KEY": "{}"}),
    ("/v25.0/{number}/whatsapp_business_encryption", {"Authorization": "Bearer {}"}),
    ("/a/b/c/whatsapp_business_encryption", {"Authorization": "Bearer {}"}),
])
@pytest.mark.parametrize("as_json", [True, False])
def test_ways_to_send_a_key(pems, path, headers, as_json):
    with Sandbox(make_mixed_state(numbers=1)) as box:
        driver = GraphCompatible(box)
        path = path.format(driver.secret, number=driver.number)
        headers = {name: value.format(driver.secret) for name, value in headers.items()}
        body = {"business_public_key": pems["good"]}
        if as_json:
            assert driver.send("POST", path, body, headers).json == {"success": True}
        else:
            assert driver.send_form(path, body, headers).json == {"success": True}
        assert driver.found(driver.send("GET", path, headers=headers)) == (pems["good"], "VALID")
        assert box.posts[0].phone_number_id == driver.number
        assert box.posts[0].token_hint == "fake"


def test_a_number_must_be_named_where_there_are_several(mixed):
    driver = GraphCompatible(mixed)
    path = "/whatsapp_business_encryption?token=" + driver.secret
    assert driver.error(driver.send("GET", path)) == (400, 100)
    assert driver.send("GET", "/106799999999999" + path).error == (400, 100, 33)


def test_meta_settings_apply(mixed):
    driver = GraphCompatible(mixed)
    mixed.settings.read_shape = "flat"
    assert driver.get().json["business_public_key"] == " "
    mixed.settings.read_shape = "empty_data"
    assert driver.get().json == {"data": []}
    mixed.settings.unknown_id = "803"
    driver.number = driver.unknown
    assert driver.get().error == (404, 803, None)


def test_meta_error_members(mixed):
    driver = GraphCompatible(mixed)
    mixed.fault(driver.number, "throttle", code=80007, subcode=1, estimated_minutes=3)
    reply = driver.get()
    assert reply.error == (429, 80007, 1)
    assert "x-business-use-case-usage" in reply.headers


def test_number_that_meta_and_a_provider_share(pems, client):
    state = make_state(1)
    state.accounts["graph_compatible-1"] = make_account("graph_compatible", [DEFAULT_NUMBER])
    with Sandbox(state) as box:
        client.box = box
        GraphCompatible(box).set(pems["good"])
        assert client.get().json["data"][0]["business_public_key"] == pems["good"]


# -- Gupshup


def test_gupshup_token_without_bearer(mixed):
    driver = Gupshup(mixed)
    driver.secret = "Bearer " + driver.secret
    assert driver.error(driver.get()) == (401, 401)


def test_gupshup_key_is_the_apps(mixed, pems):
    driver = Gupshup(mixed)
    mixed.fault(driver.number, "mismatch")
    driver.set(pems["good"])
    numbers = mixed.state.accounts["gupshup-1"].numbers
    found = [mixed.state.numbers[number] for number in numbers]
    assert [(item.business_public_key, item.signature_status) for item in found] == [(pems["good"], "MISMATCH")] * 2
    assert mixed.state.numbers[mixed.state.accounts["gupshup-2"].numbers[0]].business_public_key is None


def test_gupshup_app_without_number(mixed):
    mixed.state.accounts["gupshup-1"].numbers.clear()
    mixed.state.accounts["gupshup-2"].numbers[:1] = []
    reply = call(mixed.base_url, "GET", "/gupshup/partner/app/gupshup-1/flows/publicKey", token=None,
                 headers={"Authorization": "fake-app-token-1"})
    assert (reply.status, reply.json["status"]) == (400, "error")


# -- AWS


@pytest.mark.parametrize(("member", "value", "code"), [
    ("user", "SOMEBODYELSE", "UnrecognizedClientException"), ("secret", "wrong", "InvalidSignatureException"),
    ("region", "us-east-1", "InvalidSignatureException"), ("service", "execute-api", "InvalidSignatureException"),
    ("skew", 600, "InvalidSignatureException"), ("skew", -600, "InvalidSignatureException"),
    ("signed_body", "{}", "InvalidSignatureException"), ("backwards", True, "InvalidSignatureException"),
])
def test_signatures(mixed, pems, member, value, code):
    driver = Aws(mixed)
    setattr(driver, member, value)
    assert driver.error(driver.set(pems["good"])) == (403, code)
    assert driver.kept is None


def test_session_token_must_be_signed(mixed):
    driver = Aws(mixed)
    driver.extra = {"x-amz-security-token": "fake+session/token=="}
    assert driver.get().status == 200
    query = "originationPhoneNumberId=" + driver.number
    driver.extra = {}
    headers = {**driver.sign("GET", query, ""), "X-Amz-Security-Token": "fake"}
    assert driver.error(driver.send("GET", f"{driver.path}?{query}", headers=headers))[1] == "InvalidSignatureException"


@pytest.mark.parametrize(("header", "code"), [
    (None, "MissingAuthenticationTokenException"), ("Bearer x", "InvalidSignatureException"),
    ("AWS4-HMAC-SHA256 Credential=x", "InvalidSignatureException"),
])
def test_malformed_authorization(mixed, header, code):
    driver = Aws(mixed)
    reply = driver.send("GET", driver.path, headers={} if header is None else {"Authorization": header})
    assert driver.error(reply) == (403, code)


def test_signature_is_of_the_query_and_the_date(mixed):
    driver = Aws(mixed)
    query = "originationPhoneNumberId=" + driver.number
    headers = driver.sign("GET", query, "")
    assert driver.send("GET", f"{driver.path}?{query}", headers=headers).status == 200
    for change in ({"x-amz-date": "20260101T000000Z"}, {"x-amz-date": "soon"}, {"host": "127.0.0.2"}):
        assert driver.send("GET", f"{driver.path}?{query}", headers={**headers, **change}).status == 403
    other = mixed.state.accounts["aws-1"].numbers[1]
    assert driver.send("GET", f"{driver.path}?originationPhoneNumberId={other}", headers=headers).status == 403


@pytest.mark.parametrize("number", [None, "", "106600000000001", "x" * 116])
def test_aws_malformed_numbers(mixed, number):
    driver = Aws(mixed)
    driver.number = number
    assert driver.error(driver.get()) == (400, "ValidationException")


def test_aws_takes_an_arn(mixed, pems):
    driver = Aws(mixed)
    number = driver.number
    driver.number = "arn:aws:social-messaging:eu-west-1:123456789012:phone-number-id/" + number.rpartition("-")[2]
    assert driver.set(pems["good"]).status == 200
    assert driver.read() == (pems["good"], "VALID")
    assert mixed.state.numbers[number].business_public_key == pems["good"]
    assert mixed.posts[0].phone_number_id == number


@pytest.mark.parametrize("members", [{"kmsKeyArn": "arn:x"}, {"kmsKeyArn": "arn:x", "businessPublicKey": "x"}, {}])
def test_aws_kms_is_not_played(mixed, members):
    driver = Aws(mixed)
    reply = driver.put({"originationPhoneNumberId": driver.number, **members})
    assert driver.error(reply) == (400, "ValidationException")


@pytest.fixture
def boto(mixed):
    """A function that makes a real client, if it is installed."""
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    driver = Aws(mixed)

    def make(**changes):
        options = {"region_name": driver.region, "aws_access_key_id": driver.user, "aws_secret_access_key": driver.secret,
                   "endpoint_url": mixed.url_of("aws-1"), "config": config, **changes}
        client = boto3.client("socialmessaging", **options)
        if not hasattr(client, "get_whatsapp_business_public_key"):
            pytest.skip("botocore is too old to know this operation")
        return client
    return make


def test_real_client(mixed, boto, pems):
    number = Aws(mixed).number
    for extra in ({}, {"aws_session_token": "fake/session+token="}):
        client = boto(**extra)
        client.put_whatsapp_business_public_key(originationPhoneNumberId=number, businessPublicKey=pems["good"])
        found = client.get_whatsapp_business_public_key(originationPhoneNumberId=number)
        assert (found["businessPublicKey"], found["businessPublicKeySignatureStatus"]) == (pems["good"], "VALID")


@pytest.mark.parametrize(("kind", "members", "name"), [
    ("throttle", {}, "ThrottledRequestException"), ("applied_then_error", {}, "InternalServiceException"),
    ("error", {"status": 403, "code": "AccessDeniedByMetaException"}, "AccessDeniedByMetaException"),
    ("error", {"status": 502, "code": "DependencyException"}, "DependencyException"),
    ("latency", {}, "InvalidParametersException"),
])
def test_errors_of_a_real_client(mixed, boto, pems, *, kind, members, name):
    number, client = Aws(mixed).number, boto()
    key = pems["rsa1024" if kind == "latency" else "good"]
    mixed.fault(number, kind, **members)
    with pytest.raises(getattr(client.exceptions, name)):
        client.put_whatsapp_business_public_key(originationPhoneNumberId=number, businessPublicKey=key)


# -- the command line


def test_fleet_file_with_accounts(request_to, pems, tmp_path, launch):
    make_mixed_state().save(tmp_path / "fleet.json")
    process, url = launch(tmp_path, "--fleet", tmp_path / "fleet.json", "--state", tmp_path / "state.json")
    body = urlencode({"business_public_key": pems["good"]})
    path = "/graph_compatible/106700000000001/whatsapp_business_encryption?token=fake-channel-token-1"
    assert request_to(url, "POST", path, body, headers=FORM).json == {"success": True}
    process.terminate()
    process.communicate(timeout=5)
    kept = State.load(tmp_path / "state.json")
    assert kept.numbers["106700000000001"] == make_number("", key=pems["good"])
    assert kept.accounts == make_mixed_state().accounts
