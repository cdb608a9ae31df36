# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Gateways that pass Meta's edge through under another host, with Meta's bodies: path and place of the credential are options."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from urllib.parse import quote

from .._errors import InvalidOptions, WabaError
from .._http import Answer, HttpClient, Job, Request, check_base_url, same_place
from .._reconcile import PublishedKey
from ._base import ACCESS_TOKEN, Capabilities, Connection, Option, Provider, header_secret
from ._bodies import JSON_HEADERS, KEY, certain, json_body
from ._cloud_api import check_success, parse_error, parse_read


@dataclasses.dataclass(frozen=True)
class Gateway:
    """How a gateway is called. The credential goes into a header, after C(scheme) if there is one, or into the query."""

    base_url: str = ""
    path: str = "/{phone_number_id}/whatsapp_business_encryption"
    header: str = ""
    scheme: str = ""
    query: str = ""
    body: str = "form"


# What vendors document themselves.
PRESETS = {
    "1msg": Gateway("https://api.1msg.io", "/whatsapp_business_encryption", query="token", body="json"),
}

PRESET = Option("preset", choices=tuple(sorted(PRESETS)))
PATH_TEMPLATE = Option("path_template")
HEADER = Option("credential_header")
SCHEME = Option("credential_scheme")
QUERY = Option("credential_query")
BODY = Option("body_format", choices=("form", "json"))

_PLACE = "{phone_number_id}"
_OWN_HEADERS = ("host", "content-type", "content-length", "transfer-encoding", "connection", "accept", "accept-encoding")


class GraphCompatible(Provider):
    """See Provider."""

    name = "graph_compatible"
    capabilities = Capabilities()
    own_only = ("access_token",)
    options = (ACCESS_TOKEN, PRESET, PATH_TEMPLATE, HEADER, SCHEME, QUERY, BODY)

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        super().__init__(connection, http)
        self._gateway = gateway_of(connection)
        token = connection.option(ACCESS_TOKEN)
        self._headers = {self._gateway.header: f"{self._gateway.scheme} {token}".strip()} if self._gateway.header else {}
        self._query = {self._gateway.query: token} if self._gateway.query else {}

    @classmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        gateway_of(connection)
        return [header_secret(connection, ACCESS_TOKEN, "credential")]

    def check_number(self, phone_number_id: str) -> None:
        if not re.fullmatch(r"\+?[0-9A-Za-z_-]{1,64}", phone_number_id):
            raise InvalidOptions(f"phone_number_id '{phone_number_id[:40]}' is not an ID of digits and letters.",
                                 "Give the ID by which the gateway knows the number; where the credential names it, any name.")

    @classmethod
    def holder(cls, connection: Connection, phone_number_id: str) -> str:
        gateway = gateway_of(connection)
        if _PLACE in gateway.path:
            return phone_number_id
        credential = hashlib.sha256(connection.option(ACCESS_TOKEN).encode()).hexdigest()
        return f"{same_place(gateway.base_url)}{gateway.path} {credential}"  # the credential alone tells which number is meant

    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        request = Request("GET", self._url(phone_number_id), self._headers, self._query)
        answer = self.http.call(request, self._classify, job)
        return certain(parse_read(answer.document), answer.body)

    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        url = self._url(phone_number_id)
        if self._gateway.body == "json":
            request = Request("POST", url, {**self._headers, **JSON_HEADERS}, self._query, body=json_body({KEY: pem}))
        else:
            request = Request("POST", url, self._headers, self._query, form={KEY: pem})
        check_success(self.http.call(request, self._classify, job))

    def _url(self, phone_number_id: str) -> str:
        return self._gateway.base_url + self._gateway.path.replace(_PLACE, quote(phone_number_id, safe=""))

    def _classify(self, answer: Answer) -> WabaError | None:
        return parse_error(answer, self.http.redact)


def gateway_of(connection: Connection) -> Gateway:
    """Return how the gateway is called: as its preset says, and as the options beside it say. Raises InvalidOptions."""
    given = {
        "path": connection.option(PATH_TEMPLATE), "header": connection.option(HEADER), "scheme": connection.option(SCHEME),
        "query": connection.option(QUERY), "body": connection.option(BODY), "base_url": connection.base_url,
    }
    preset = PRESETS.get(connection.option(PRESET), Gateway())
    if given["header"] or given["query"]:  # one place goes before that of the preset
        preset = dataclasses.replace(preset, header="", query="")
    gateway = dataclasses.replace(preset, **{name: value for name, value in given.items() if value})
    if not gateway.base_url:
        raise InvalidOptions("Neither base_url nor preset is given.", "Set base_url (host variable whatsapp_base_url).")
    if bool(gateway.header) == bool(gateway.query):
        raise InvalidOptions("It is not clear where the credential goes.", "Set either credential_header or credential_query.")
    if gateway.scheme and not gateway.header:
        raise InvalidOptions("credential_scheme goes with credential_header only.")
    if gateway.header.lower() in _OWN_HEADERS:
        raise InvalidOptions(f"credential_header cannot be {gateway.header}, which the request needs for itself.")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", gateway.header) or not re.fullmatch(r"[A-Za-z0-9_.-]*", gateway.query):
        raise InvalidOptions("credential_header or credential_query is not a name of letters, digits and dashes.")
    if not re.fullmatch(r"[A-Za-z0-9-]*", gateway.scheme):
        raise InvalidOptions("credential_scheme is not one word, such as Bearer.")
    path = gateway.path.replace(_PLACE, "0")
    if not re.fullmatch(r"(/[A-Za-z0-9_.~%+-]+)+", path) or {".", ".."} & set(path.split("/")):
        raise InvalidOptions(f"path_template '{gateway.path[:80]}' is not a path.",
                             f"It starts with a slash, has no query, and {_PLACE} is its only place for a value.")
    return dataclasses.replace(gateway, base_url=check_base_url(gateway.base_url, connection.allow_http))
