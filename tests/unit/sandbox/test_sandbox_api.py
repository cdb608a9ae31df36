# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud API's behaviour: keys, tokens, errors, lists."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from tests.sandbox import (
    DEFAULT_BUSINESS,
    DEFAULT_NUMBER,
    DEFAULT_TOKEN,
    DEFAULT_WABA,
    Business,
    Token,
    make_number,
)

EDGE = f"/{DEFAULT_NUMBER}/whatsapp_business_encryption"
UNSEEN = "106699999999999"


def test_key_round_trip(client, box, pems):
    assert client.get().json == {"data": [{"business_public_key": " ",
                                           "business_public_key_signature_status": "MISMATCH"}]}
    assert client.post(pems["good"].rstrip("\n")).json == {"success": True}
    assert client.get().json == {"data": [{"business_public_key": pems["good"],
                                           "business_public_key_signature_status": "VALID"}]}
    assert client.get(query="?fields=business_public_key").json == {"data": [{"business_public_key": pems["good"]}]}
    client.post(pems["other"])
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == pems["other"]


@pytest.mark.parametrize(("shape", "absent", "member"), [
    ("array", {"data": [{"business_public_key": " ", "business_public_key_signature_status": "MISMATCH"}]}, "data"),
    ("flat", {"business_public_key": " ", "business_public_key_signature_status": "MISMATCH"}, "business_public_key"),
    ("empty_data", {"data": []}, "data"),
    ("missing_members", {"data": [{}]}, "data"),
])
def test_read_shapes(client, pems, shape, absent, member):
    client.box.settings.read_shape = shape
    assert client.get().json == absent
    client.post(pems["good"])
    assert client.get().json[member]


def multipart(key):
    return ("--B\r\nContent-Disposition: form-data; name=\"business_public_key\"\r\n\r\n" + key + "\r\n--B--\r\n")


@pytest.mark.parametrize(("content_type", "encode"), [
    ("multipart/form-data; boundary=B", multipart),
    ("application/json", lambda key: json.dumps({"business_public_key": key})),
])
def test_other_body_encodings(client, box, pems, content_type, encode):
    reply = client("POST", "/v25.0" + EDGE, encode(pems["good"]), headers={"Content-Type": content_type})
    assert reply.json == {"success": True}
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key == pems["good"]
    assert box.posts[-1].content_type == content_type.split(";")[0]


@pytest.mark.parametrize("name", ["pkcs1", "private", "crlf", "escaped", "cut", "noise", "empty", "rsa1024",
                                  "rsa4096", "ec", None])
def test_refused_keys(client, box, pems, name):
    reply = client.post(name and pems[name])
    error = reply.json["error"]
    assert reply.error == (400, 100, None)
    assert error["type"] == "OAuthException"
    assert error["error_data"]["details"]
    assert error["fbtrace_id"]
    assert ("error_user_title" in error) == (name is not None)
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key is None


@pytest.mark.parametrize(("name", "hint"), [
    ("private", "private key"), ("crlf", "line feed"), ("escaped", "line feed"), ("pkcs1", "PUBLIC KEY"),
    ("rsa1024", "2048 bits, not 1024"), ("ec", "RSA"),
])
def test_refusals_name_the_cause(client, pems, name, hint):
    assert hint in client.post(pems[name]).json["error"]["error_data"]["details"]


@pytest.mark.parametrize(("body", "content_type"), [
    ("{", "application/json"), ("[]", "application/json"), ("x", "text/plain")])
def test_refused_bodies(client, body, content_type):
    assert client("POST", "/v25.0" + EDGE, body, headers={"Content-Type": content_type}).error == (400, 100, None)


TOKENS = {
    "gone": Token(expires_at=1.0),
    "lasting": Token(expires_at=time.time() + 3600),
    "read-only": Token(permissions=["whatsapp_business_management"]),
    "elsewhere": Token(wabas=["1"]),
    "here": Token(wabas=[DEFAULT_WABA]),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("token", "expected"), [
    (None, (401, 104, None)), ("nobody's", (401, 190, None)), ("gone", (401, 190, 463)),
    ("read-only", (403, 200, 1349174)), ("elsewhere", (400, 100, 33)), ("lasting", None), ("here", None),
])
def test_tokens(client, pems, method, token, expected):
    box = client.box
    box.state.tokens.update(TOKENS)
    reply = client.post(pems["good"], token=token) if method == "POST" else client.get(token=token)
    assert reply.status == 200 if expected is None else reply.error == expected
    assert (box.state.numbers[DEFAULT_NUMBER].business_public_key is not None) == (method == "POST" and not expected)


def test_authorization_that_is_not_bearer(client):
    assert client.get(token=None, headers={"Authorization": "Basic " + DEFAULT_TOKEN}).error == (401, 190, None)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("number", [UNSEEN, DEFAULT_WABA])
def test_unknown_id(client, box, pems, method, number):
    def ask():
        return client.get(number) if method == "get" else client.post(pems["good"], number)
    reply = ask()
    assert reply.error == (400, 100, 33)
    assert reply.json["error"]["message"].startswith(f"Unsupported {method} request. Object with ID '{number}' does")
    box.settings.unknown_id = "803"
    assert ask().error == (404, 803, None)


@pytest.mark.parametrize(("path", "code", "subcode"), [
    ("/v25.0/shop/whatsapp_business_encryption", 100, None),
    ("/v20.0" + EDGE, 12, None), ("/v3.3" + EDGE, 12, None), ("/25.0" + EDGE, 2500, None),
    ("/latest" + EDGE, 2500, None),
    ("/v25.0" + EDGE + "s", 2500, None), ("/v25.0" + EDGE + "?fields=nothing", 100, None),
    (f"/v25.0/{DEFAULT_NUMBER}?fields=nothing", 100, None), (f"/v25.0/{DEFAULT_WABA}?fields=status", 100, None),
    (f"/v25.0/{DEFAULT_NUMBER}/phone_numbers", 100, 33), (f"/v25.0/{UNSEEN}", 100, 33),
    (f"/v25.0/{DEFAULT_WABA}/owned_whatsapp_business_accounts", 100, 33),
    (f"/v25.0/{DEFAULT_WABA}/phone_numbers?limit=101", 100, None),
    (f"/v25.0/{DEFAULT_WABA}/phone_numbers?limit=0", 100, None),
    (f"/v25.0/{DEFAULT_WABA}/phone_numbers?limit=x", 100, None),
    (f"/v25.0/{DEFAULT_WABA}/phone_numbers?after=x", 100, None),
    (f"/v25.0/{DEFAULT_WABA}/phone_numbers?after=%C3%A9", 100, None),
])
def test_refused_reads(client, path, code, subcode):
    assert client("GET", path).error == (400, code, subcode)


def test_oldest_version_and_other_methods(client):
    assert client("GET", "/v21.0" + EDGE).status == 200
    assert client("DELETE", "/v25.0" + EDGE).error == (400, 100, 33)


def test_unregistered_number(client, box, pems):
    box.state.numbers[DEFAULT_NUMBER].registered = False
    assert client.get().status == 200
    assert client.post(pems["good"]).error == (400, 133010, None)
    assert box.state.numbers[DEFAULT_NUMBER].business_public_key is None


GOOD_PROOF = hmac.new(b"s3", DEFAULT_TOKEN.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("required", "proof", "message"), [
    (True, None, "API calls from the server require an appsecret_proof argument"),
    (True, "00", "Invalid appsecret_proof provided in the API argument"),
    (False, "%C3%A9", "Invalid appsecret_proof provided in the API argument"),
    (True, GOOD_PROOF, None), (False, GOOD_PROOF, None), (False, None, None),
])
def test_app_secret_proof(client, box, required, proof, message):
    box.state.tokens[DEFAULT_TOKEN] = Token(app_secret="s3", require_app_secret=required)
    reply = client.get(query=f"?appsecret_proof={proof}" if proof else "")
    assert reply.json.get("error", {}).get("message") == message
    assert reply.status == (400 if message else 200)
    assert box.requests[-1].has_app_secret_proof is bool(proof)


def test_usage_headers(client, box):
    box.settings.calls_per_hour = 10
    box.settings.app_calls_per_hour = 20
    for dummy in range(3):
        headers = client.get().headers
    usage = json.loads(headers["x-business-use-case-usage"])[DEFAULT_WABA][0]
    assert (usage["call_count"], usage["estimated_time_to_regain_access"]) == (30, 0)
    assert json.loads(headers["x-app-usage"])["call_count"] == 15


@pytest.mark.parametrize(("count", "limit", "pages"), [
    (1, None, [1]), (30, None, [25, 5]), (6, 3, [3, 3]), (7, 3, [3, 3, 1])])
def test_paging(client, box, count, limit, pages):
    box.state.numbers = {str(int(DEFAULT_NUMBER) + i): make_number() for i in range(count)}
    box.state.numbers[UNSEEN] = make_number("1022000")
    sizes, seen, after = [], [], ""
    while True:
        query = f"?fields=id,status{f'&limit={limit}' if limit else ''}{after}"
        page = client("GET", f"/v25.0/{DEFAULT_WABA}/phone_numbers{query}").json
        sizes.append(len(page["data"]))
        seen += [row["id"] for row in page["data"]]
        assert all(set(row) == {"id", "status"} for row in page["data"])
        if "next" not in page["paging"]:
            break
        url = page["paging"]["next"]
        assert url.startswith(box.base_url)
        assert f"access_token={DEFAULT_TOKEN}" in url
        assert client("GET", url[len(box.base_url):], token=None).status == 200
        after = "&after=" + page["paging"]["cursors"]["after"]
    assert sizes == pages
    assert seen == [name for name in box.state.numbers if name != UNSEEN]


def test_nodes_and_businesses(client, box):
    box.state.businesses[DEFAULT_BUSINESS] = Business(owned=[DEFAULT_WABA, "5"], client=["6"])
    box.state.tokens.update(some=Token(wabas=[DEFAULT_WABA]), none=Token(permissions=["whatsapp_business_messaging"]))
    node = client("GET", f"/v25.0/{DEFAULT_NUMBER}").json
    assert set(node) == {"id", "display_phone_number", "verified_name", "quality_rating"}
    answer = client("GET", f"/v25.0/{DEFAULT_NUMBER}?fields=platform_type")
    assert answer.json == {"platform_type": "CLOUD_API", "id": DEFAULT_NUMBER}
    assert client("GET", f"/v25.0/{DEFAULT_WABA}").json["id"] == DEFAULT_WABA
    assert client("GET", "/v25.0/5/phone_numbers").json == {"data": []}
    for relation, token, expected in [("owned", DEFAULT_TOKEN, [DEFAULT_WABA, "5"]), ("owned", "some", [DEFAULT_WABA]),
                                      ("client", DEFAULT_TOKEN, ["6"]), ("client", "some", [])]:
        page = client("GET", f"/v25.0/{DEFAULT_BUSINESS}/{relation}_whatsapp_business_accounts", token=token).json
        assert [row["id"] for row in page["data"]] == expected
    for path in (f"{DEFAULT_BUSINESS}/owned_whatsapp_business_accounts", f"{DEFAULT_WABA}/phone_numbers"):
        assert client("GET", f"/v25.0/{path}", token="none").error == (403, 200, 1349174)
