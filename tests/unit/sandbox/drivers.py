# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand-written clients of the sandbox, one a provider, that know nothing of the collection's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlencode, urlsplit

from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        """The body as JSON data."""
        return json.loads(self.body)

    @property
    def error(self):
        """Status, code and subcode of a Graph error."""
        error = self.json["error"]
        return self.status, error["code"], error.get("error_subcode")


def call(base, method, path, body=None, *, headers=None, token=DEFAULT_TOKEN, timeout=5.0):
    """One request on a connection of its own; a dict body goes out urlencoded."""
    url = urlsplit(base)
    headers = dict(headers or {})
    if token is not None:
        headers.setdefault("Authorization", "Bearer " + token)
    if isinstance(body, dict):
        body = urlencode(body)
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    if url.scheme == "https":
        context = ssl._create_unverified_context()  # noqa: S323 (a sandbox that signs for itself, on loopback)
        connection = http.client.HTTPSConnection(url.netloc, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class Client:
    """Requests against one sandbox."""

    def __init__(self, box):
        self.box = box

    def __call__(self, method, path, body=None, **kw):
        """Any request."""
        return call(self.box.base_url, method, path, body, **kw)

    def get(self, number=DEFAULT_NUMBER, query="", **kw):
        """Read a number's key."""
        return self("GET", f"/v25.0/{number}/whatsapp_business_encryption{query}", **kw)

    def post(self, key, number=DEFAULT_NUMBER, query="", **kw):
        """Set a number's key."""
        body = {} if key is None else {"business_public_key": key}
        return self("POST", f"/v25.0/{number}/whatsapp_business_encryption{query}", body, **kw)


def start_program(folder, *args):
    """Start the command line program and wait until it listens."""
    ready = folder / "ready"
    ready.write_text("stale")
    command = [sys.executable, "-m", "tests.sandbox", "--ready-file", str(ready), *map(str, args)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line.startswith("sandbox listening on "), process.stderr.read()
    url = line.split()[-1]
    deadline = time.monotonic() + 5
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ready.read_text() == url + "\n"
    return process, url


class Driver:
    """A client of one provider, for one account and one of its numbers; secret and number may be changed.

    refusals are the status and the code of: a bad key, a missing key, a bad credential, an unknown number, a number
    that is not registered, throttling, a failure.
    """

    name = ""
    unknown = "106799999999999"
    key_members = ("business_public_key", "business_public_key_signature_status")
    blank = (" ", "MISMATCH")
    refusals: ClassVar[dict[str, tuple[int, object]]]

    def __init__(self, box, index=1):
        self.box = box
        self.account_id = f"{self.name}-{index}"
        account = box.state.accounts[self.account_id]
        self.secret, self.number, self.region = account.secret, account.numbers[0], account.region
        self.user = account.user
        self.base = urlsplit(box.url_of(self.account_id)).path

    def send(self, method, path, body=None, headers=None):
        """A request below the account's base URL; data that is no text goes out as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        return call(self.box.base_url, method, self.base + path, body, headers=headers, token=None)

    def send_form(self, path, body, headers):
        """A POST of an urlencoded body."""
        return self.send("POST", path, urlencode(body), {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def found(self, reply):
        """The two members of a read, None for a missing one."""
        return tuple(self.row(reply.json).get(name) for name in self.key_members)

    def row(self, data):
        """The object that has the members."""
        return data

    def read(self):
        """Read, and take the answer apart."""
        reply = self.get()
        assert reply.status == 200
        return self.found(reply)

    @property
    def kept(self):
        """The key that the sandbox holds for the number."""
        return self.box.state.numbers[self.number].business_public_key


class OnPremises(Driver):
    """Logs in before each request, unless a token is given."""

    name = "on_premises"
    path = "/v1/settings/business/whatsapp_business_encryption"
    refusals: ClassVar = {
        "key": (400, 1009), "missing": (400, 1008), "credential": (401, 1005), "unregistered": (403, 1005),
        "throttle": (429, 1015), "failed": (500, 1014),
    }
    token = None

    def login(self):
        """The answer to a login."""
        text = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        return self.send("POST", "/v1/users/login", headers={"Authorization": "Basic " + text})

    def _headers(self):
        if self.token is None:
            reply = self.login()
            if reply.status != 200:
                return {}
            self.token = reply.json["users"][0]["token"]
        return {"Authorization": "Bearer " + self.token}

    def get(self):
        return self.send("GET", self.path, headers=self._headers())

    def set(self, pem):
        body = {} if pem is None else {"public_key": pem}
        return self.send("POST", self.path, body, self._headers())

    def is_done(self, reply):
        return reply.json["meta"]["api_status"] == "stable" and "errors" not in reply.json

    def error(self, reply):
        row = reply.json["errors"][0]
        assert set(row) == {"code", "title", "details"}
        return reply.status, row["code"]


class Kaleyra(Driver):
    """Reads in the flat form, which the sandbox is set to."""

    name = "kaleyra"
    unknown = "+15550000000"
    refusals: ClassVar = {
        "key": (400, "WA-400"), "missing": (400, "WA-400"), "credential": (401, "RBC001"),
        "unknown": (400, "WA-400"), "unregistered": (400, "WA-400"), "throttle": (429, "WA-429"),
        "failed": (500, "WA-500"),
    }

    def __init__(self, box, index=1):
        super().__init__(box, index)
        box.settings.kaleyra_read = "flat"

    @property
    def path(self):
        return f"/v2/{self.account_id}/whatsapp/{quote(self.number, safe='')}/flows_encryption"

    def get(self):
        return self.send("GET", self.path, headers={"api-key": self.secret})

    def set(self, pem):
        return self.send_form(self.path, {} if pem is None else {"business_public_key": pem}, {"api-key": self.secret})

    def is_done(self, reply):
        data = reply.json
        return (data["code"], data["data"], data["error"]) == ("WA-200", {"success": True}, {})

    def error(self, reply):
        assert set(reply.json) == {"code", "message", "data", "error"}
        return reply.status, reply.json["code"]


class GraphCompatible(Driver):
    """Names the number in the path, and sends the token in the query."""

    name = "graph_compatible"
    refusals: ClassVar = {
        "key": (400, 100), "missing": (400, 100), "credential": (401, 190), "unknown": (400, 100),
        "unregistered": (400, 133010), "throttle": (429, 130429), "failed": (500, 131000),
    }

    @property
    def path(self):
        return f"/v1/{self.number}/whatsapp_business_encryption?token={self.secret}"

    def row(self, data):
        return data["data"][0]

    def get(self):
        return self.send("GET", self.path)

    def set(self, pem):
        return self.send_form(self.path, {} if pem is None else {"business_public_key": pem}, {})

    def is_done(self, reply):
        return reply.json == {"success": True}

    def error(self, reply):
        return reply.error[:2]


class Gupshup(Driver):
    """One key an app."""

    name = "gupshup"
    refusals: ClassVar = {
        "key": (400, 400), "missing": (400, 400), "credential": (401, 401), "unregistered": (400, 400),
        "throttle": (429, 429), "failed": (500, 500),
    }

    @property
    def path(self):
        return f"/partner/app/{self.account_id}/flows/publicKey"

    def row(self, data):
        assert data["status"] == "success"
        return data["encryption"]

    def get(self):
        return self.send("GET", self.path, headers={"Authorization": self.secret})

    def set(self, pem):
        return self.send("POST", self.path, {} if pem is None else {"public_key": pem}, {"Authorization": self.secret})

    def is_done(self, reply):
        return reply.json == {"status": "success"}

    def error(self, reply):
        assert (set(reply.json), reply.json["status"]) == ({"code", "details", "status"}, "error")
        return reply.status, reply.json["code"]


class Aws(Driver):
    """Signs by hand; service, skew, extra headers, the signed body and the headers' order may be changed."""

    name = "aws"
    unknown = "phone-number-id-" + "f" * 32
    key_members = ("businessPublicKey", "businessPublicKeySignatureStatus")
    blank = (None, None)
    path = "/v1/whatsapp/business-public-key"
    refusals: ClassVar = {
        "key": (400, "InvalidParametersException"), "missing": (400, "ValidationException"),
        "credential": (403, "InvalidSignatureException"), "unknown": (404, "ResourceNotFoundException"),
        "unregistered": (403, "AccessDeniedByMetaException"), "throttle": (429, "ThrottledRequestException"),
        "failed": (500, "InternalServiceException"),
    }
    service = "social-messaging"
    skew = 0
    extra: ClassVar[dict[str, str]] = {}
    signed_body = None
    backwards = False

    def sign(self, method, query, body):
        """The headers of a signed request."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.skew))
        headers = {"host": urlsplit(self.box.base_url).netloc, "x-amz-date": stamp, **self.extra}
        names = sorted(headers, reverse=self.backwards)
        digest = hashlib.sha256((body if self.signed_body is None else self.signed_body).encode()).hexdigest()
        lines = [method, self.base + self.path, query, *(f"{name}:{headers[name]}" for name in names), "",
                 ";".join(names), digest]
        scope = [stamp[:8], self.region, self.service, "aws4_request"]
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope),
                          hashlib.sha256("\n".join(lines).encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in [*scope, text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = "/".join([self.user, *scope])
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(names)}, "
                                    f"Signature={key.hex()}")
        return headers

    def get(self):
        query = "" if self.number is None else "originationPhoneNumberId=" + quote(self.number, safe="")
        return self.send("GET", f"{self.path}?{query}", headers=self.sign("GET", query, ""))

    def put(self, members):
        """Send any body."""
        body = json.dumps(members)
        return self.send("PUT", self.path, body, {"Content-Type": "application/json", **self.sign("PUT", "", body)})

    def set(self, pem):
        return self.put({"originationPhoneNumberId": self.number, **({} if pem is None else {"businessPublicKey": pem})})

    def is_done(self, reply):
        return reply.body == b""

    def error(self, reply):
        assert set(reply.json) == {"message"}
        return reply.status, reply.headers["x-amzn-ErrorType"]


DRIVERS = {driver.name: driver for driver in (OnPremises, Kaleyra, GraphCompatible, Gupshup, Aws)}
