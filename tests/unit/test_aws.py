# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS: what boto3 is asked for, how its errors and answers are read, and what is missing for one number alone."""

from __future__ import annotations

import importlib
import json
import os
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._budget import Budget
from ansible_collections.waba.flows.plugins.module_utils._errors import (
    ApiError,
    ConnectionFailed,
    InvalidAnswer,
    InvalidOptions,
    MissingLibrary,
    Timeout,
    TlsError,
    WabaError,
)
from ansible_collections.waba.flows.plugins.module_utils._providers import _aws
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many, run_single
from ansible_collections.waba.flows.tests.unit.helpers import (
    Clock,
    Keys,
    Params,
    Recorder,
    make_client,
    make_job,
    module_params,
    self_signed,
)
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_mixed_state

if sys.version_info < (3, 10):
    pytest.skip("boto3 with this service needs Python 3.10", allow_module_level=True)

from botocore.stub import Stubber  # type: ignore[import-untyped]

pytestmark = pytest.mark.usefixtures("quick", "environment")

NUMBER = "phone-number-id-" + "0" * 31 + "1"
ARN = "arn:aws:social-messaging:eu-west-1:123456789012:phone-number-id/" + "0" * 31 + "1"
PATH = "/v1/whatsapp/business-public-key"
ACCESS_KEY = "FAKEACCESSKEYID0"
SECRET = "fake/secret+access=key-0"
SESSION = "fake/session+token==-0"
GET, PUT = "get_whatsapp_business_public_key", "put_whatsapp_business_public_key"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the test's own, and none of who runs it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO"))]:
        monkeypatch.delenv(name)
    for name, value in {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION,
                        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent",
                        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def rig(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Two numbers of one account."""
    with Sandbox(make_mixed_state()) as box:
        made = RIGS["aws"](box)
        for variable, value in made.environment.items():
            monkeypatch.setenv(variable, value)
        yield made


def client_of(base_url: str | None = "http://127.0.0.1:9", **more: t.Any) -> Provider:
    given: Params = {"provider": "aws", "region": "eu-west-1", "retries": 0, **more}
    return make_client(t.cast(str, base_url), **given)


def service_of(client: Provider) -> t.Any:
    """Return boto3's client within ours."""
    return t.cast(t.Any, client)._client


@pytest.fixture
def stubbed() -> Iterator[tuple[Provider, Stubber]]:
    """A client whose service answers as it is told, and checks both against the service's model."""
    client = client_of(retries=2)
    with Stubber(service_of(client)) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


# -- what is sent


def test_the_members_of_a_read_and_a_set(stubbed: tuple[Provider, Stubber], keys: Keys) -> None:
    client, stubber = stubbed
    stubber.add_response(GET, {"businessPublicKey": keys.a.pem, "businessPublicKeySignatureStatus": "VALID"},
                         {"originationPhoneNumberId": NUMBER})
    stubber.add_response(PUT, {}, {"originationPhoneNumberId": NUMBER, "businessPublicKey": keys.b.pem})
    assert client.read(NUMBER, make_job()) == PublishedKey(keys.a.pem, keys.a.fingerprint, "VALID")
    client.write(NUMBER, keys.b.pem, make_job())


def test_the_requests_as_they_leave(rig: Rig, keys: Keys) -> None:
    sent: list[t.Any] = []
    client = client_of(rig.options["base_url"])
    service_of(client).meta.events.register("before-send.socialmessaging", lambda request, **dummy: sent.append(request))
    client.read(rig.number, make_job())
    client.write(rig.number, keys.a.pem, make_job())
    get, put = sent
    assert (get.method, get.url) == ("GET", f"{rig.box.base_url}/aws{PATH}?originationPhoneNumberId={rig.number}")
    assert (put.method, put.url) == ("PUT", f"{rig.box.base_url}/aws{PATH}")
    assert json.loads(put.body) == {"originationPhoneNumberId": rig.number, "businessPublicKey": keys.a.pem}
    for request in sent:
        assert request.headers["Authorization"].decode().startswith("AWS4-HMAC-SHA256 Credential=FAKEACCESSKEYID1/")
        assert "/eu-west-1/social-messaging/aws4_request" in request.headers["Authorization"].decode()
        assert request.headers["X-Amz-Security-Token"].decode() == SESSION
        assert "waba.flows" in request.headers["User-Agent"].decode()
    assert rig.state.business_public_key == keys.a.pem


def test_a_set_as_the_sandbox_sees_it(rig: Rig, keys: Keys) -> None:
    assert rig.set(keys.a)["outcome"] == "set"
    assert [(item.method, item.path, item.status) for item in rig.box.requests] == [
        ("GET", f"/aws{PATH}", 200), ("PUT", f"/aws{PATH}", 200), ("GET", f"/aws{PATH}", 200)]


def test_a_number_by_its_arn(rig: Rig, keys: Keys) -> None:
    arn = f"arn:aws:social-messaging:eu-west-1:123456789012:phone-number-id/{rig.number.removeprefix('phone-number-id-')}"
    assert rig.set(keys.a, phone_number_id=arn)["outcome"] == "set"
    assert rig.state.business_public_key == keys.a.pem


def test_requests_are_counted_and_not_repeated_by_boto3() -> None:
    with Recorder((500, {"x-amzn-ErrorType": "InternalServiceException"}, {"message": "Text"})) as server:
        job = make_job()
        with pytest.raises(ApiError):
            client_of(server.base_url).read(NUMBER, job)
    assert (len(server.seen), job.tally.requests, job.tally.retries) == (1, 1, 0)


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert rig.read()["outcome"] == "read"


# -- reading


@pytest.mark.parametrize(("answer", "status"), [
    ({}, None), ({"businessPublicKey": " "}, None), ({"businessPublicKeySignatureStatus": "MISMATCH"}, "MISMATCH"),
    ({"businessPublicKey": " ", "businessPublicKeySignatureStatus": "MISMATCH"}, "MISMATCH"),
])
def test_a_blank_or_missing_key_means_that_none_is_set(
    answer: Params, status: str | None, stubbed: tuple[Provider, Stubber]
) -> None:
    client, stubber = stubbed
    stubber.add_response(GET, answer, {"originationPhoneNumberId": NUMBER})
    assert client.read(NUMBER, make_job()) == PublishedKey(None, None, status)


@pytest.mark.parametrize("document", [
    {}, {"businessPublicKey": "", "other": 1}, {"businessPublicKey": ""}, {"businessPublicKey": None},
    {"businessPublicKey": None, "businessPublicKeySignatureStatus": None},
])
def test_members_that_are_missing_or_null_on_the_wire_mean_the_same(document: t.Any) -> None:
    with Recorder((200, {}, document)) as server:
        assert client_of(server.base_url).read(NUMBER, make_job()) == PublishedKey(None, None, None)
    assert (server.seen[0].path, server.seen[0].query) == (PATH, {"originationPhoneNumberId": NUMBER})


@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
def test_a_body_that_is_not_the_services_is_never_taken_for_no_key(content_type: str) -> None:
    bodies = (b"", b" \n", b"<html></html>", b'{"businessPublicKey": "-----BEGIN', b"{}{}", b"{'businessPublicKey': ''}", b"{")
    with Recorder(*((200, {"Content-Type": content_type}, body) for body in bodies)) as server:
        client = client_of(server.base_url, retries=3)
        for dummy in bodies:
            with pytest.raises(InvalidAnswer, match=r"not the service's|not understood"):
                client.read(NUMBER, make_job())
    assert len(server.seen) == len(bodies)


@pytest.mark.parametrize("document", [
    {"businessPublicKey": "no pem"}, {"businessPublicKey": "-----BEGIN PUBLIC KEY-----\nAAAA"},
    {"businessPublicKeySignatureStatus": "two words"}, {"publicKey": ""}, {"businessPublicKey": ["a list"]},
])
def test_members_that_are_no_key_or_no_status_are_not_understood(document: t.Any) -> None:
    with Recorder((200, {}, document)) as server, pytest.raises(InvalidAnswer, match="not understood"):
        client_of(server.base_url).read(NUMBER, make_job())


def test_an_answer_that_is_cut_is_not_taken_for_no_key() -> None:
    cut = (200, {"Content-Length": "999", "Connection": "close"}, b'{"businessPublicKey": ')
    # Which of them it is depends on the version of urllib3.
    with Recorder(cut) as server, pytest.raises((InvalidAnswer, ConnectionFailed)):
        client_of(server.base_url).read(NUMBER, make_job())


@pytest.mark.parametrize("fault", [{"kind": "html"}, {"kind": "body", "body": "OK"}, {"kind": "body", "body": "{"}])
def test_a_body_that_is_not_the_services_is_no_success_of_a_change(fault: Params, rig: Rig, keys: Keys) -> None:
    rig.faults(**fault, method="POST", status=200)
    client = client_of(rig.options["base_url"])
    with pytest.raises(InvalidAnswer, match=r"not the service's|not understood") as caught:
        client.write(rig.number, keys.a.pem, make_job())
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(status: int) -> None:
    with Recorder() as other:
        elsewhere = (status, {"Location": f"{other.base_url}{PATH}"}, b"")
        with Recorder(elsewhere) as server, pytest.raises(WabaError):
            client_of(server.base_url).read(NUMBER, make_job())
    assert len(server.seen) == 1
    assert other.seen == []


# -- errors


MEANT = {
    "ValidationException": ("invalid_parameter", False),
    "AccessDeniedException": ("permission", False),
    "ResourceNotFoundException": ("not_found", False),
    "InvalidParametersException": ("invalid_parameter", False),
    "AccessDeniedByMetaException": ("permission", False),
    "ThrottledRequestException": ("throttled", True),
    "InternalServiceException": ("temporary", True),
    "DependencyException": ("temporary", True),
}


@pytest.mark.parametrize("operation", ["GetWhatsAppBusinessPublicKey", "PutWhatsAppBusinessPublicKey"])
def test_every_error_of_the_services_model_has_a_meaning(operation: str) -> None:
    model = service_of(client_of()).meta.service_model.operation_model(operation)
    named = {shape.name for shape in model.error_shapes}
    assert named == set(MEANT)
    assert named <= set(_aws._MEANINGS)


@pytest.mark.parametrize("code", MEANT)
def test_what_an_error_class_means(code: str, keys: Keys, stubbed: tuple[Provider, Stubber]) -> None:
    client, stubber = stubbed
    status = service_of(client).meta.service_model.shape_for(code).metadata["error"]["httpStatusCode"]
    stubber.add_client_error(PUT, code, "Text", status)
    with pytest.raises(ApiError, match=r"^Text \(code") as caught:
        client.write(NUMBER, keys.a.pem, make_job())
    error = caught.value
    assert (error.meaning.kind, error.retryable) == MEANT[code]
    assert (error.code, error.http_status) == (code, status)
    assert error.outcome_unknown is (error.meaning.kind == "temporary")
    assert "system-user" not in str(error)
    assert "whatsapp_business_messaging" not in str(error)


@pytest.mark.parametrize(("code", "status", "kind"), [
    ("UnrecognizedClientException", 403, "token"), ("InvalidSignatureException", 403, "token"), ("Unheard", 401, "token"),
    ("MissingAuthenticationTokenException", 403, "token"), ("SignatureDoesNotMatch", 403, "token"),
    ("ExpiredTokenException", 403, "token"),
    ("ThrottlingException", 400, "throttled"), ("TooManyRequestsException", 429, "throttled"), ("Unheard", 429, "throttled"),
    ("Unheard", 503, "temporary"), ("Unheard", 400, "unknown"),
])
def test_what_an_error_of_the_gateway_means(code: str, status: int, kind: str, stubbed: tuple[Provider, Stubber]) -> None:
    client, stubber = stubbed
    for dummy in range(3 if kind in ("throttled", "temporary") else 1):
        stubber.add_client_error(GET, code, "Text", status)
    with pytest.raises(ApiError) as caught:
        client.read(NUMBER, make_job())
    assert caught.value.meaning.kind == kind
    assert ("AWS credentials" in caught.value.remedy) is (kind == "token")


@pytest.mark.parametrize(("asked", "slept"), [("7", 7.0), ("0", 1.0)])  # to be asked to wait for no time is to be told none
def test_a_throttled_read_waits_as_long_as_it_is_told(
    asked: str, slept: float, stubbed: tuple[Provider, Stubber], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, stubber = stubbed
    monkeypatch.setattr(client.http, "_sleep", clock.sleep)
    monkeypatch.setattr(client.http, "_clock", clock.now)
    monkeypatch.setattr(client.http, "budget", Budget(clock.now))
    stubber.add_client_error(GET, "ThrottledRequestException", "Slow", 429, response_meta={"HTTPHeaders": {"Retry-After": asked}})
    stubber.add_response(GET, {}, {"originationPhoneNumberId": NUMBER})
    job = make_job()
    assert client.read(NUMBER, job).fingerprint is None
    assert clock.slept == [slept]
    assert (job.tally.requests, job.tally.retries) == (2, 1)


def test_a_throttled_change_is_not_repeated_and_tells_the_wait(keys: Keys, stubbed: tuple[Provider, Stubber]) -> None:
    client, stubber = stubbed
    stubber.add_client_error(PUT, "ThrottledRequestException", "Slow", 429, response_meta={"HTTPHeaders": {"retry-after": "7"}})
    with pytest.raises(ApiError) as caught:
        client.write(NUMBER, keys.a.pem, make_job())
    assert caught.value.wait == 7.0


@pytest.mark.parametrize("code", ["InternalServiceException", "DependencyException"])
def test_a_read_is_repeated_after_a_temporary_error(code: str, stubbed: tuple[Provider, Stubber]) -> None:
    client, stubber = stubbed
    for dummy in range(2):
        stubber.add_client_error(GET, code, "Text", 500)
    stubber.add_response(GET, {}, {"originationPhoneNumberId": NUMBER})
    assert client.read(NUMBER, make_job()).fingerprint is None


def test_a_change_is_sent_again_after_reading(rig: Rig, keys: Keys) -> None:
    rig.faults("error", method="POST", status=500, code="InternalServiceException")
    result = rig.set(keys.a)
    assert (result["outcome"], result["attempts"]) == ("set", 2)
    assert [item.method for item in rig.box.requests] == ["GET", "PUT", "GET", "PUT", "GET"]


@pytest.mark.parametrize("body", [b"<html></html>", b"", b"{", b'{"message": 7}', b'{"Message": []}'])
def test_an_error_without_a_body_of_its_form_is_classified_by_its_status(body: bytes) -> None:
    statuses = (400, 403, 404, 429, 500, 502)
    with Recorder(*((status, {"Retry-After": "0"}, body) for status in statuses)) as server:
        client = client_of(server.base_url)
        for status in statuses:
            with pytest.raises(ApiError) as caught:
                client.read(NUMBER, make_job())
            assert (caught.value.http_status, caught.value.retryable) == (status, status >= 429)
    assert len(server.seen) == len(statuses)


@pytest.mark.parametrize("secret", [SECRET, SESSION])
def test_a_server_that_echoes_a_secret_does_not_get_it_into_messages(secret: str) -> None:
    body = {"message": f"The canonical string was 'x-amz-security-token:{secret}'"}
    with Recorder((403, {"x-amzn-ErrorType": f"Code-{secret}"}, body), (200, {}, f"<html>{secret}".encode())) as server:
        client = client_of(server.base_url)
        with pytest.raises(ApiError, match=r"security-token:\*{8}") as caught:
            client.read(NUMBER, make_job())
        with pytest.raises(InvalidAnswer) as odd:
            client.read(NUMBER, make_job())
    assert secret not in json.dumps([caught.value.as_dict(), odd.value.as_dict()])


def test_credentials_of_a_profile_are_not_in_messages_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[own]\naws_access_key_id = FAKE\naws_secret_access_key = fake-of-file\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    echo = (403, {"x-amzn-ErrorType": "AccessDeniedException"}, {"message": "See fake-of-file."})
    with Recorder(echo) as server, pytest.raises(ApiError, match=r"See \*{8}") as caught:
        client_of(server.base_url, profile="own").read(NUMBER, make_job())
    assert "fake-of-file" not in json.dumps(caught.value.as_dict())
    assert "Credential=FAKE/" in server.seen[0].headers["authorization"]


# -- connections


def test_nobody_listens(keys: Keys) -> None:
    with Recorder() as server:
        base_url = server.base_url
    with pytest.raises(ConnectionFailed, match="AWS cannot be reached") as caught:
        client_of(base_url).write(NUMBER, keys.a.pem, make_job())
    assert (caught.value.outcome_unknown, caught.value.retryable) == (False, True)


def test_an_answer_that_is_late() -> None:
    with Recorder((200, {}, {}), delay=1.0) as server, pytest.raises(Timeout, match=r"within 0\.2 s") as caught:
        client_of(server.base_url, timeout=0.2).read(NUMBER, make_job())
    assert caught.value.outcome_unknown


def test_a_connection_that_is_cut_may_hide_a_change(rig: Rig, keys: Keys) -> None:
    rig.faults("reset", method="POST")
    with pytest.raises(ConnectionFailed, match="broke") as caught:
        client_of(rig.options["base_url"]).write(rig.number, keys.a.pem, make_job())
    assert caught.value.outcome_unknown


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    with Recorder((200, {}, {}), tls=self_signed(tmp_path)) as server:
        with pytest.raises(TlsError, match="ca_path") as caught:
            client_of(server.base_url).read(NUMBER, make_job())
        assert (server.seen, caught.value.outcome_unknown) == ([], False)
        client_of(server.base_url, ca_path=str(tmp_path / "cert.pem")).read(NUMBER, make_job())
        client_of(server.base_url, validate_certs=False).read(NUMBER, make_job())
    assert len(server.seen) == 2


def test_the_total_time_is_kept() -> None:
    with Recorder((500, {}, {"message": "Text"})) as server, pytest.raises(WabaError):
        client_of(server.base_url, retries=50).read(NUMBER, make_job(0.5))
    assert 1 <= len(server.seen) < 50


# -- what is missing for one number alone


def beside(rig: Rig, keys: Keys, **own: t.Any) -> tuple[Params, Params]:
    """Set the key of a number with options of its own and of two others; return its row and the whole result."""
    rows = [{**rig.rows[0], **own}, *([rig.rows[1]] if own else []), RIGS["gupshup"](rig.box).rows[0]]
    result = run_many(module_params(FLEET_SPEC, phone_numbers=rows, business_public_key=keys.a.pem), False)
    assert [row["outcome"] for row in result["numbers"][1:]] == ["set"] * (len(rows) - 1)
    assert (result["numbers"][0]["outcome"], result["numbers"][0]["changed"]) == ("failed", False)
    assert rig.state.business_public_key is None
    return result["numbers"][0]["error"], result


def test_an_unknown_profile_is_that_numbers_error_alone(rig: Rig, keys: Keys) -> None:
    error, dummy = beside(rig, keys, profile="nobody")
    assert error["type"] == "InvalidOptions"
    assert "(nobody) could not be found" in error["message"]
    assert "whatsapp_profile" in error["message"]


def test_no_region_is_that_numbers_error_alone(rig: Rig, keys: Keys) -> None:
    rows = [{**rig.rows[0], "region": None}, RIGS["gupshup"](rig.box).rows[0]]
    for base_url in (None, rig.options["base_url"]):
        result = run_info(module_params(INFO_SPEC, phone_numbers=[{**rows[0], "base_url": base_url}, rows[1]]))
        assert [row["outcome"] for row in result["numbers"]] == ["failed", "read"]
        assert result["numbers"][0]["error"]["type"] == "InvalidOptions"
        assert "region" in result["numbers"][0]["error"]["message"]


def test_a_region_that_is_none_is_that_numbers_error_alone(rig: Rig, keys: Keys) -> None:
    error, dummy = beside(rig, keys, region="not a region")
    assert error["type"] == "InvalidOptions"


def test_no_credentials_are_that_numbers_error_alone(rig: Rig, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    error, dummy = beside(rig, keys)
    assert error["type"] == "InvalidOptions"
    assert "Unable to locate credentials" in error["message"]
    assert {item.path.split("/")[1] for item in rig.box.requests} == {"gupshup"}


def test_half_of_the_credentials_is_that_numbers_error_alone(rig: Rig, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error, dummy = beside(rig, keys)
    assert (error["type"], "Partial credentials" in error["message"]) == ("InvalidOptions", True)


@pytest.mark.parametrize("missing", ["boto3", "botocore.config", "botocore.exceptions", "botocore.parsers"])
def test_a_missing_boto3_is_that_numbers_error_alone(missing: str, rig: Rig, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> t.Any:
        if name == missing:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    error, result = beside(rig, keys)
    assert error["type"] == MissingLibrary.__name__
    assert "boto3 >= 1.44.5 is needed: it is not installed" in error["message"]
    assert "1 of 2 numbers failed" in result["msg"]
    with pytest.raises(MissingLibrary):
        run_single(module_params(SINGLE_SPEC, **rig.rows[0]), False)


@pytest.mark.parametrize("version", ["1.44.4", "1.9.300", "1.44", "0.99"])
def test_a_boto3_that_is_too_old_is_that_numbers_error_alone(
    version: str, rig: Rig, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("boto3"), "__version__", version)
    error, dummy = beside(rig, keys)
    assert (error["type"], f"version {version} is too old" in error["message"]) == ("MissingLibrary", True)


@pytest.mark.parametrize("version", ["1.44.5", "1.44.10", "1.45", "2.0.0"])
def test_newer_versions_of_boto3_are_fine(version: str, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("boto3"), "__version__", version)
    assert rig.read()["outcome"] == "read"


def test_the_version_that_is_needed_knows_the_operations() -> None:
    assert _aws.BOTO3_MINIMUM == "1.44.5"
    service = service_of(client_of())
    assert callable(getattr(service, GET))
    assert callable(getattr(service, PUT))


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="plain http"):
        client_of("http://aws.example.com")
    client_of("http://aws.example.com", allow_http=True)


# -- IDs


def check_number(number: str) -> None:
    """Check an ID without a client, which takes boto3 a while to make."""
    _aws.Aws.check_number(t.cast(_aws.Aws, None), number)


@pytest.mark.parametrize("number", [
    NUMBER, ARN, "phone-number-id-a", "phone-number-id-0aB9", ARN.replace("arn:aws:", "arn:aws-us-gov:"),
    ARN.replace("arn:aws:", "arn:aws-cn:"),
])
def test_an_id_of_a_number_in_aws(number: str) -> None:
    check_number(number)


@pytest.mark.parametrize("number", [
    "", "106600000000001", "+15550100", "phone-number-id-", "phone-number-id-a b", "phone-number-id-a/b", f"{NUMBER}\n",
    f" {NUMBER}", "waba-0123456789abcdef0123456789abcdef", "arn:aws:social-messaging:eu-west-1:123456789012:waba/0123", f"{ARN}/",
    f"{ARN} ", f"{ARN}?x=1",
    "arn:aws:social-messaging:eu-west-1:123456789012:phone-number-id/", "{{ id }}", "Phone-Number-Id-1",
])
def test_other_text_is_no_id_and_the_message_says_what_to_give(number: str) -> None:
    with pytest.raises(InvalidOptions, match="not the ID of a number in AWS") as caught:
        check_number(number)
    assert "not Meta's ID" in caught.value.remedy


def test_a_wrong_id_is_refused_before_anything_is_sent(rig: Rig, keys: Keys) -> None:
    assert rig.set(keys.a, phone_number_id="106600000000001")["outcome"] == "failed"
    assert rig.box.requests == []


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"', '["x"]'])
@pytest.mark.parametrize(("status", "kind"), [(200, "InvalidAnswer"), (502, "ApiError")])
def test_json_that_is_no_object_is_no_defect_of_ours(rig: Rig, keys: Keys, body: str, status: int, kind: str) -> None:
    """boto3 would fail in its own parser."""
    rig.faults("body", body=body, status=status, times=-1)
    result = rig.read(retries=0)
    assert (result["error"]["type"], result["error"]["http_status"]) == (kind, status)
    assert result["error"]["retryable"] is (status == 502)


@pytest.mark.parametrize("body", ["null", "[]"])
def test_after_an_odd_answer_to_a_change_it_is_read_back(rig: Rig, keys: Keys, body: str) -> None:
    rig.faults("body", method="POST", body=body, status=502, applied=True)
    assert rig.set(keys.a)["outcome"] == "set"


def test_an_id_and_its_arn_are_one_number(rig: Rig, keys: Keys) -> None:
    arn = "arn:aws:social-messaging:eu-west-1:000000000000:phone-number-id/" + rig.number.rsplit("-", 1)[-1]
    with pytest.raises(InvalidOptions, match="one and the same number"):
        rig.fleet(keys.a, [rig.rows[0], {**rig.options, "phone_number_id": arn}])


@pytest.mark.parametrize("code", ["AccessDenied", "SubscriptionRequiredException", "Other"])
def test_a_refusal_names_the_rights_of_aws(rig: Rig, code: str) -> None:
    rig.faults("error", status=403, code=code, times=-1)
    result = rig.read(retries=0)
    assert "social-messaging:" in result["msg"]
    assert "whatsapp_business_messaging" not in result["msg"]
