# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of each provider that hear what a test says, without a network: through requests' own code, and boto3's."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import typing as t
from unittest import mock

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION
from ansible_collections.waba.flows.plugins.module_utils._budget import Budget
from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._http import Deadline, Job, Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Provider, make_provider
from ansible_collections.waba.flows.plugins.module_utils._reconcile import PublishedKey
from ansible_collections.waba.flows.tests.unit.helpers import module_params
from ansible_collections.waba.flows.tests.unit.laws import message_law

SECRET = "EAAfake+tok/en%20=&'\"-0123456789"
_LOGIN = "fake-login-token-9876"
_AWS = {"AWS_ACCESS_KEY_ID": "FAKEACCESSKEYID0", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "cloud_api": {"access_token": SECRET, "app_secret": "fake-app-secret-7"},
    "on_premises": {"base_url": "https://one.example.com", "username": "admin", "password": SECRET},
    "kaleyra": {"sid": "S1", "api_key": SECRET, "pod": "eu"},
    "graph_compatible": {"base_url": "https://gate.example.com", "access_token": SECRET, "credential_header": "X-Key"},
    "gupshup": {"app_id": "app-1", "access_token": SECRET},
    "aws": {"region": "eu-west-1"},
}
NUMBERS = {"kaleyra": "+919900000000", "aws": "phone-number-id-" + "0" * 31 + "1"}
MARK = "-----BEGIN"


class _Said(HTTPAdapter):
    """Answers each request with what was said last."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def send(self, request: requests.PreparedRequest, *args: t.Any, **options: t.Any) -> requests.Response:
        status, headers, body = self.answer
        raw = HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return self.build_response(request, raw)


class _Raw:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> t.Iterator[bytes]:
        yield self._body


class Listener:
    """A client of a provider that hears answers of a test's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = NUMBERS.get(name, "106540352242922")
        self._said = _Said()
        transport = Transport(sleep=lambda seconds: None)
        session = transport.session(True)
        session.mount("https://", self._said)
        transport.session = lambda verify: session  # type: ignore[method-assign]
        transport.proxies = lambda url: {}  # type: ignore[method-assign]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "BOTO"))}
        with mock.patch.dict(os.environ, {**clean, **_AWS}, clear=True):
            params = module_params(CONNECTION, provider=name, retries=1, **OPTIONS[name])
            self.client: Provider = make_provider(connection_of(params), transport)
            if name == "aws":
                self._listen_to_boto3()

    def _listen_to_boto3(self) -> None:
        response = importlib.import_module("botocore.awsrequest").AWSResponse  # where there is boto3
        client = t.cast(t.Any, self.client)
        client._session.get_credentials().get_frozen_credentials()

        def answer(request: t.Any, **dummy: t.Any) -> t.Any:
            status, headers, body = self._said.answer
            return response(request.url, status, headers, _Raw(body))

        client._client.meta.events.register("before-send.socialmessaging", answer)

    def hears(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Have every request answered so, and forget what was heard before."""
        self._said.answer = status, headers, body
        self.client.http.budget = Budget()
        if self.name == "on_premises":
            t.cast(t.Any, self.client)._token = _LOGIN

    def read(self) -> PublishedKey:
        return self.client.read(self.number, _job())

    def write(self, pem: str) -> None:
        self.client.write(self.number, pem, _job())


def _job() -> Job:
    return Job(Deadline(5.0))


def read_law(listener: Listener, status: int, headers: dict[str, str], body: bytes, echoed: t.Collection[str] = ()) -> str:
    """Any answer to a read is a reading or an error of ours; "no key" only where it is said in a form that is known.

    Return which of them it is.
    """
    listener.hears(status, headers, body)
    try:
        found = listener.read()
    except WabaError as error:
        str(error).encode()  # or it could not be written to a screen or file
        message_law(error, {SECRET, *echoed, "EAAfake+tok", "EAAfake%2Btok", "EAAfake%2btok"})
        return "error"
    assert 200 <= status < 300
    text = body.decode()
    if found.fingerprint is None:
        assert MARK not in text, "a key that stands somewhere was taken for none"
        assert _says_none(listener.name, json.loads(text)), f"taken for none: {text[:300]}"
        return "none"
    assert found.pem is None or "PRIVATE KEY" not in text or MARK in found.pem
    assert MARK in json.dumps(json.loads(text), ensure_ascii=False)
    return "key"


def _says_none(name: str, document: t.Any) -> bool:
    """Tell whether a document has one of the forms that mean that no key is set."""
    row = document
    if name in ("cloud_api", "graph_compatible", "kaleyra"):
        row = document.get("data", document)
        if isinstance(row, list):
            row = row[0] if row else {}
        if name == "kaleyra" and not (isinstance(row, dict) and row):
            row = document
    elif name == "gupshup":
        row = document["encryption"]
    if name == "aws":
        return not row or _has(row, "businessPublicKey", "businessPublicKeySignatureStatus")
    blank_is_none = name in ("cloud_api", "graph_compatible", "gupshup") and row is not document
    return (blank_is_none and row == {}) or _has(row, "business_public_key", "business_public_key_signature_status")


def _has(row: t.Any, key: str, status: str) -> bool:
    if not isinstance(row, dict) or not {key, status} & row.keys():
        return False
    value = row.get(key)
    return value is None or (isinstance(value, str) and not value.strip())


def write_law(listener: Listener, pem: str, status: int, headers: dict[str, str], body: bytes) -> str:
    """Any answer to a change is a success that it tells of, or an error of ours. Return which of them it is."""
    listener.hears(status, headers, body)
    try:
        listener.write(pem)
    except WabaError as error:
        message_law(error, {SECRET})
        return "error"
    assert 200 <= status < 300
    if listener.name != "aws":
        document = json.loads(body.decode())
        if listener.name == "gupshup":
            assert document["status"] == "success"
        elif listener.name == "on_premises":
            assert "meta" in document
        else:
            row = document["data"] if listener.name == "kaleyra" else document
            assert row["success"] in (True, "true")
    return "success"


def listeners(names: t.Iterable[str]) -> dict[str, Listener]:
    """A listener for each of these providers; AWS is left out where boto3 is not there or too old."""
    found = {}
    for name in names:
        with contextlib.suppress(WabaError):
            found[name] = Listener(name)
    return found
