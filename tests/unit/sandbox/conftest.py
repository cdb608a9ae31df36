# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and a client. The conftest of the folder above has made tests.sandbox importable."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox, make_state


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
        connection = http.client.HTTPSConnection(url.netloc, timeout=timeout, context=ssl._create_unverified_context())
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


@pytest.fixture(scope="session")
def pems():
    """Public keys by name: two good ones, and what the API must refuse."""
    def public(key, form=PublicFormat.SubjectPublicKeyInfo):
        return key.public_key().public_bytes(Encoding.PEM, form).decode()

    good, other = (rsa.generate_private_key(65537, 2048) for dummy in range(2))
    pem = public(good)
    return {
        "good": pem,
        "other": public(other),
        "pkcs1": public(good, PublicFormat.PKCS1),
        "private": good.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "crlf": pem.replace("\n", "\r\n"),
        "escaped": pem.replace("\n", "\\n"),
        "cut": pem[:200] + "\n-----END PUBLIC KEY-----\n",
        "noise": "# a comment\n" + pem,
        "empty": "",
        "rsa1024": public(rsa.generate_private_key(65537, 1024)),
        "rsa4096": public(rsa.generate_private_key(65537, 4096)),
        "ec": public(ec.generate_private_key(ec.SECP256R1())),
    }


@pytest.fixture
def box():
    """A sandbox with three numbers of one WABA."""
    with Sandbox(make_state(3)) as running:
        yield running


@pytest.fixture
def client(box):
    """A client of `box`."""
    return Client(box)


@pytest.fixture
def request_to():
    """The plain request function, for a server that is not `box`."""
    return call
