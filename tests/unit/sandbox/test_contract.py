# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each answer against tests/sandbox/contract.yml and, where it is at hand, against Meta's OpenAPI document."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.sandbox import DEFAULT_BUSINESS, DEFAULT_NUMBER, DEFAULT_TOKEN, DEFAULT_WABA, Token

KEY = "whatsapp_business_encryption"
FILE = Path(__file__).resolve().parents[2] / "sandbox" / "contract.yml"
CONTRACT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
OPENAPI_PATHS = {
    KEY: "/{Version}/{Phone-Number-ID}/whatsapp_business_encryption",
    "node": "/{Version}/{Phone-Number-ID}",
    "phone_numbers": "/{Version}/{WABA-ID}/phone_numbers",
}


# edge, method, status, and a function that brings the answer about
def _read(client, pems):
    return client.get()


def _read_set(client, pems):
    client.post(pems["good"])
    return client.get()


def _write(client, pems):
    return client.post(pems["good"])


def _path(path, **kw):
    return lambda client, pems: client("GET", path, **kw)


def _token(token, ask):
    def run(client, pems):
        client.box.state.tokens.update(gone=Token(expires_at=1.0), bare=Token(permissions=[]), blind=Token(wabas=[]),
                                       proof=Token(app_secret="s", require_app_secret=True))
        return ask(client, pems["good"], token)
    return run


def _get_as(client, pem, token):
    return client.get(token=token)


def _post_as(client, pem, token):
    return client.post(pem, token=token)


def _key(name):
    return lambda client, pems: client.post(name and pems[name])


def _fault(kind, ask, **members):
    def run(client, pems):
        client.box.fault(DEFAULT_NUMBER, kind, **members)
        return ask(client, pems)
    return run


def _unregistered(client, pems):
    client.box.state.numbers[DEFAULT_NUMBER].registered = False
    return client.post(pems["good"])


def _unknown_as_803(client, pems):
    client.box.settings.unknown_id = "803"
    return client.get("1")


def _used_up(ask, waba_id=None):
    def run(client, pems):
        client.box.settings.calls_per_hour = client.box.settings.app_calls_per_hour = 10
        client.box.settings.retry_after = True
        client.box.use_up(100, waba_id)
        return ask(client, pems)
    return run


CASES = {
    "no key": (KEY, "GET", 200, _read),
    "a key": (KEY, "GET", 200, _read_set),
    "key set": (KEY, "POST", 200, _write),
    "mismatch": (KEY, "POST", 200, _fault("mismatch", _write)),
    "number": ("node", "GET", 200, _path(f"/v25.0/{DEFAULT_NUMBER}")),
    "number with fields": ("node", "GET", 200, _path(f"/v25.0/{DEFAULT_NUMBER}?fields=id,code_verification_status")),
    "numbers": ("phone_numbers", "GET", 200, _path(f"/v25.0/{DEFAULT_WABA}/phone_numbers")),
    "page of numbers": ("phone_numbers", "GET", 200, _path(f"/v25.0/{DEFAULT_WABA}/phone_numbers?limit=2")),
    "bad limit": ("phone_numbers", "GET", 400, _path(f"/v25.0/{DEFAULT_WABA}/phone_numbers?limit=900")),
    "unknown WABA": ("phone_numbers", "GET", 400, _path("/v25.0/1/phone_numbers")),
    "numbers, no token": ("phone_numbers", "GET", 401, _path(f"/v25.0/{DEFAULT_WABA}/phone_numbers", token=None)),
    "unknown number": ("node", "GET", 400, _path("/v25.0/1")),
    "bad field": ("node", "GET", 400, _path(f"/v25.0/{DEFAULT_NUMBER}?fields=x")),
    "number, bad token": ("node", "GET", 401, _path(f"/v25.0/{DEFAULT_NUMBER}", token="x")),
    "key of unknown number": (KEY, "GET", 400, lambda client, pems: client.get("1")),
    "key of a WABA": (KEY, "POST", 400, lambda client, pems: client.post(pems["good"], DEFAULT_WABA)),
    "803": (KEY, "GET", 404, _unknown_as_803),
    "not numeric": (KEY, "GET", 400, _path(f"/v25.0/x/{KEY}")),
    "ended version": (KEY, "GET", 400, _path(f"/v19.0/{DEFAULT_NUMBER}/{KEY}")),
    "bad version": (KEY, "GET", 400, _path(f"/x/{DEFAULT_NUMBER}/{KEY}")),
    "unregistered": (KEY, "POST", 400, _unregistered),
    "throttled read": (KEY, "GET", 429, _fault("throttle", _read, code=4, subcode=2446079, estimated_minutes=5)),
    "throttled write": (KEY, "POST", 429, _fault("throttle", _write)),
    "read from a WABA over its limit": (KEY, "GET", 429, _used_up(_read, DEFAULT_WABA)),
    "write of an app over its limit": (KEY, "POST", 400, _used_up(_write)),
    "numbers of a WABA over its limit": ("phone_numbers", "GET", 429,
                                         _used_up(_path(f"/v25.0/{DEFAULT_WABA}/phone_numbers"), DEFAULT_WABA)),
    "temporary": (KEY, "GET", 500, _fault("error", _read, status=500, code=2, is_transient=True)),
    "applied, then an error": (KEY, "POST", 500, _fault("applied_then_error", _write)),
    **{f"POST {name}": (KEY, "POST", 400, _key(name))
       for name in ("pkcs1", "crlf", "cut", "rsa1024", "rsa4096", "ec", None)},
    **{f"{method} as {token}": (KEY, method, status, _token(token, ask))
       for method, ask in (("GET", _get_as), ("POST", _post_as))
       for token, status in ((None, 401), ("x", 401), ("gone", 401), ("bare", 403), ("blind", 400), ("proof", 400))},
    **{f"{relation} WABAs": (f"{relation}_whatsapp_business_accounts", "GET", 200,
                             _path(f"/v25.0/{DEFAULT_BUSINESS}/{relation}_whatsapp_business_accounts"))
       for relation in ("owned", "client")},
}


def check(data, schema, root):
    """Validate against a schema whose local references are those of root."""
    Draft202012Validator({**root, **schema}).validate(data)


def answer_of(name, client, pems):
    edge, method, status, ask = CASES[name]
    reply = ask(client, pems)
    assert reply.status == status
    assert (client.box.requests[-1].method, reply.headers.get_content_type()) == (method, "application/json")
    return edge, method, reply


@pytest.mark.parametrize("name", CASES)
def test_own_contract(name, client, pems):
    edge, method, reply = answer_of(name, client, pems)
    answers = CONTRACT["answers"]
    schema = answers[edge][method][200] if reply.status == 200 else answers["any"][reply.status]
    check(reply.json, schema, {"$defs": CONTRACT["$defs"]})


def test_own_contract_covers_every_schema():
    seen = {(edge, method, status) if status == 200 else ("any", status)
            for edge, method, status, _ask in CASES.values()}
    written = {("any", status) for status in CONTRACT["answers"]["any"]}
    written |= {(edge, method, status) for edge, methods in CONTRACT["answers"].items() if edge != "any"
                for method, statuses in methods.items() for status in statuses}
    assert seen == written


@pytest.fixture(scope="module")
def openapi():
    """Meta's document, if META_OPENAPI names it."""
    if not os.environ.get("META_OPENAPI"):
        pytest.skip("to run, set META_OPENAPI to business-messaging-api_v23.0.yaml of github.com/facebook/openapi")
    return yaml.safe_load(Path(os.environ["META_OPENAPI"]).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0] in OPENAPI_PATHS])
def test_meta_openapi(name, client, pems, openapi):
    edge, method, reply = answer_of(name, client, pems)
    responses = openapi["paths"][OPENAPI_PATHS[edge]][method.lower()]["responses"]
    if str(reply.status) in responses:
        schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
    else:
        assert reply.status >= 400
        schema = {"$ref": "#/components/schemas/GraphAPIError"}
    check(reply.json, schema, {"components": openapi["components"]})


@pytest.mark.parametrize(("edge", "data", "status"), [
    (KEY, {"data": [{"business_public_key": " "}]}, "200"), (KEY, {"error": {"message": "m"}}, "400"),
    ("phone_numbers", {"data": [{"id": "1", "display_phone_number": "2", "status": "CONNECTED"}]}, "200"),
])
def test_meta_openapi_check_can_fail(openapi, edge, data, status):
    schema = openapi["paths"][OPENAPI_PATHS[edge]]["get"]["responses"][status]["content"]["application/json"]["schema"]
    with pytest.raises(Exception, match=r"required|not one of"):
        check(data, schema, {"components": openapi["components"]})


def test_default_token_fits_the_documented_header(openapi):
    pattern = openapi["components"]["parameters"]["Authorization"]["schema"]["pattern"]
    Draft202012Validator({"type": "string", "pattern": pattern}).validate("Bearer " + DEFAULT_TOKEN)
