# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Which phone numbers there are: the numbers of WABAs, and the WABAs of a business, as the Cloud API lists them.

Sources: Meta's OpenAPI text for C(/{waba_id}/phone_numbers), C(/{business_id}/owned_whatsapp_business_accounts) and
C(/{business_id}/client_whatsapp_business_accounts). Nothing here knows Ansible.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import re
import typing as t

from ._errors import ApiError, InvalidOptions, WabaError, defect_of
from ._http import Answer, Deadline, HttpClient, HttpOptions, Job, Request, Transport
from ._providers._base import ACCESS_TOKEN
from ._providers._bodies import unexpected
from ._providers._cloud_api import API_VERSION, APP_SECRET, CloudApi
from ._providers._registry import Connection

# The variables of a number without their prefix; None where the API tells nothing.
Row = dict[str, t.Optional[str]]

DETAILS = (
    "display_phone_number", "verified_name", "status", "quality_rating", "code_verification_status", "account_mode",
    "host_platform", "platform_type", "messaging_limit_tier",
)
MEMBERS = ("phone_number_id", "waba_id", *DETAILS)
RELATIONS = ("owned", "client")

PAGE_SIZE = 100
# 100,000 rows, many times what a WABA can have: an API that always names another page must come to an end.
MAX_PAGES = 1000
_SCHEMA = 1

_NOT_FOUND = (
    "Check that the ID is the one of a WhatsApp Business account or of a business portfolio as the option says, not the ID of a "
    "phone number or an app, and that the token's system user is assigned to it."
)
# What to do about an error where a list is read, by the kind of its meaning; elsewhere these speak of a number.
_REMEDIES = {
    "not_found": _NOT_FOUND,
    "invalid_parameter": "Check the ID, and that app_secret is given if the app requires it; an expired token can show as this "
                         "error as well.",
    "token": "The access token is expired or invalid: create a new system-user token and give it as access_token or within "
             "access_tokens.",
    "permission": "The token needs the permission whatsapp_business_management for this account (with Advanced Access for "
                  "another business's).",
}


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where numbers are looked for, and the tokens: C(access_tokens) by WABA or business ID goes before C(access_token)."""

    waba_ids: tuple[str, ...] = ()
    business_ids: tuple[str, ...] = ()
    access_token: str | None = dataclasses.field(default=None, repr=False)
    access_tokens: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def token(self, *identities: str) -> str | None:
        """Return the token for the first of some IDs that has one of its own, else the common one."""
        return next((self.access_tokens[name] for name in identities if name in self.access_tokens), self.access_token)

    def check(self) -> None:
        """Raise InvalidOptions where there is nothing to read, an ID is none, or one has no token.

        No message shows a key of C(access_tokens): whoever wrote the mapping the wrong way round has a token there.
        """
        if not self.waba_ids and not self.business_ids:
            raise InvalidOptions("Neither waba_ids nor business_ids names an account.", "Give at least one ID.")
        for option, identities in (("waba_ids", self.waba_ids), ("business_ids", self.business_ids)):
            for identity in identities:
                if not is_identity(identity):
                    raise InvalidOptions(f"{option} holds '{identity[:40]}', which is not an ID of digits alone.",
                                         "WhatsApp Manager and Business Settings show the IDs.")
                if not self.token(identity):
                    raise InvalidOptions(
                        f"There is no access token for {identity} of {option}.",
                        "Set access_token (or WHATSAPP_ACCESS_TOKEN in the environment), or name it in access_tokens.",
                    )
        if not all(is_identity(identity) for identity in self.access_tokens):
            raise InvalidOptions("access_tokens has a key that is not an ID of digits alone.",
                                 "Each key is the ID of a WABA or of a business, each value its token.")


@dataclasses.dataclass(frozen=True)
class Failure:
    """A list that could not be read: what it is, in words, and why."""

    what: str
    error: WabaError


@dataclasses.dataclass
class Reading:
    """What was found: WABAs and numbers in order, each once, and what could not be read."""

    waba_ids: list[str] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    def to_cache(self) -> dict[str, t.Any]:
        """Return this as plain data; from_cache reads it back. It holds no secret."""
        return {"schema": _SCHEMA, "waba_ids": self.waba_ids, "rows": self.rows}

    @classmethod
    def from_cache(cls, data: t.Any) -> Reading | None:
        """Return what to_cache gave, or None where the data is not of that form, as after an update or a damage."""
        if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
            return None
        waba_ids, rows = data.get("waba_ids"), data.get("rows")
        if not isinstance(waba_ids, list) or not all(map(is_identity, waba_ids)):
            return None
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            return None
        return cls(waba_ids, [{name: row[name] for name in MEMBERS} for row in rows])


def tokens_by_account(value: t.Any) -> dict[str, str]:
    """Return C(access_tokens), a mapping or JSON text of one, without ever quoting it. Raises InvalidOptions."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = [value]
    if not value:
        return {}
    if not isinstance(value, t.Mapping):
        raise InvalidOptions("access_tokens is neither a mapping nor JSON text of one.", 'Example: {"102200000000001": "TOKEN"}')
    return {str(identity).strip(): secret_text("access_tokens", token) for identity, token in value.items()}


def secret_text(option: str, value: t.Any) -> str:
    """Return the text of a secret, decrypted if it is from a vault. Raises InvalidOptions, which does not show it."""
    if not isinstance(value, str) and getattr(value, "__ENCRYPTED__", False):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidOptions(f"{option} holds a value that is not text.", "Write it within quotes.")
    return value


def is_identity(value: t.Any) -> bool:
    """Tell whether a value can be an ID of Meta's. Only such are put into a path or the name of a group."""
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,32}", value) is not None


def _is_row(row: t.Any) -> bool:
    return (
        isinstance(row, dict) and set(row) == set(MEMBERS)
        and is_identity(row["phone_number_id"]) and is_identity(row["waba_id"])
        and all(value is None or isinstance(value, str) for value in row.values())
    )


class Lists(CloudApi):
    """The lists of the Cloud API under one token. Thread-safe; methods raise WabaError."""

    def wabas(self, business_id: str, relation: str, deadline: Deadline) -> list[str]:
        """Return the IDs of the WABAs that a business owns (C(owned)), or that clients share with it (C(client))."""
        pages = self._pages(f"{business_id}/{relation}_whatsapp_business_accounts", "id", deadline)
        return [_identity(row) for page in pages for row in _rows(page)]

    def numbers(self, waba_id: str, deadline: Deadline) -> list[Row]:
        """Return the numbers of a WABA."""
        found: list[Row] = []
        for page in self._pages(f"{waba_id}/phone_numbers", ",".join(("id", *DETAILS)), deadline):
            found += self._without_secrets([_number(row, waba_id) for row in _rows(page)])
        return found

    def _pages(self, path: str, fields: str, deadline: Deadline) -> t.Iterator[dict[str, t.Any]]:
        """Yield the pages of a list. The cursor is followed, never the URL of C(paging.next): that one carries the token."""
        query = {**self._query, "fields": fields, "limit": str(PAGE_SIZE)}
        job, seen = Job(deadline), set[str]()
        for dummy in range(MAX_PAGES):
            request = Request("GET", f"{self._base}/{path}", self._headers, query)
            page = self.http.call(request, self._classify, job).document
            if not isinstance(page, dict):
                raise unexpected("a page of the list is not a JSON object")
            yield page
            cursor = _next_cursor(page)
            if cursor is None:
                return
            if cursor in seen:
                raise unexpected("the list comes back to a page that it had before")
            seen.add(cursor)
            query = {**query, "after": cursor}
        raise unexpected(f"the list does not end within {MAX_PAGES} pages")

    def _classify(self, answer: Answer) -> WabaError | None:
        error = super()._classify(answer)
        if isinstance(error, ApiError):
            error.remedy = _REMEDIES.get(error.meaning.kind, error.remedy)
        return error

    def _without_secrets(self, rows: list[Row]) -> list[Row]:
        """Blot out a secret that the API wrote into a text, however unlikely: rows go to caches and screens."""
        joined = "\n".join(value for row in rows for value in row.values() if value)
        if self.http.redact(joined) == joined:
            return rows
        return [{name: value and self.http.redact(value) for name, value in row.items()} for row in rows]


def _rows(page: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    rows = page.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise unexpected("the list is not an array of objects")
    return rows


def _next_cursor(page: dict[str, t.Any]) -> str | None:
    """Return where the next page begins, or None at the end: the last page has cursors as well, but no C(next)."""
    paging = page.get("paging")
    if paging is None:
        return None
    if not isinstance(paging, dict):
        raise unexpected("the paging of the list is not an object")
    if not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    cursor = cursors.get("after") if isinstance(cursors, dict) else None
    if not isinstance(cursor, str) or not re.fullmatch(r"[\x21-\x7e]{1,2000}", cursor):
        raise unexpected("the list goes on, but no cursor says where")
    return cursor


def _number(row: dict[str, t.Any], waba_id: str) -> Row:
    return {"phone_number_id": _identity(row), "waba_id": waba_id, **{name: _text(row.get(name)) for name in DETAILS}}


def _identity(row: dict[str, t.Any]) -> str:
    identity = _text(row.get("id"))
    if not is_identity(identity):
        raise unexpected("an entry of the list has no ID of digits")
    return t.cast("str", identity)


def _text(value: t.Any) -> str | None:
    """Return text, or a number as text; None for anything else. Halves of surrogate pairs could be written nowhere."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


class _Clients:
    """One client a token, so that all who use a token share its throttling, over one transport."""

    def __init__(self, connection: Connection, transport: Transport, tokens: t.Iterable[str | None]) -> None:
        self._connections = {token: with_token(connection, token) for token in tokens if token}
        # Of every token, because a proxy or an API may mix up what it quotes.
        secrets = {secret for own in self._connections.values() for secret in CloudApi.secrets_of(own)}
        options = HttpOptions(connection.timeout, connection.retries, connection.verify)
        self._clients = {
            token: Lists(own, HttpClient(transport, options, secrets)) for token, own in self._connections.items()
        }

    def get(self, token: str | None) -> Lists:
        return self._clients[token or ""]


def with_token(connection: Connection, token: str) -> Connection:
    """Return a connection with another token."""
    return dataclasses.replace(connection, own=tuple({**dict(connection.own), ACCESS_TOKEN.name: token}.items()))


def read_numbers(
    sources: Sources, connection: Connection, transport: Transport, *, max_workers: int, total_timeout: float
) -> Reading:
    """Return the numbers of all WABAs named, and of those that the businesses own or that clients share with them.

    WABAs come in the order of the options, owned before shared ones. What cannot be read is in C(failures), and nothing else
    is lost by it. Raises InvalidOptions before anything is sent.
    """
    sources.check()
    clients = _Clients(connection, transport, [sources.access_token, *sources.access_tokens.values()])
    deadline = Deadline(total_timeout)
    with concurrent.futures.ThreadPoolExecutor(max_workers=max_workers) as pool:
        return _Round(sources, clients, deadline, pool).run()


class _Round:
    """One reading of everything. Only its own thread touches its state; the workers only call the API."""

    def __init__(self, sources: Sources, clients: _Clients, deadline: Deadline, pool: concurrent.futures.Executor) -> None:
        self._sources = sources
        self._clients = clients
        self._deadline = deadline
        self._pool = pool
        self._numbers: dict[str, concurrent.futures.Future[list[Row]]] = {}
        self._reading = Reading()

    def run(self) -> Reading:
        searches = [
            (business, relation, self._search(business, relation))
            for business in dict.fromkeys(self._sources.business_ids) for relation in RELATIONS
        ]
        for waba_id in self._sources.waba_ids:
            self._begin(waba_id, self._sources.token(waba_id))
        for business, relation, search in searches:
            for waba_id in self._result(search, f"the list of {relation} WABAs of business {business}"):
                self._begin(waba_id, self._sources.token(waba_id, business))
        self._collect()
        return self._reading

    def _search(self, business: str, relation: str) -> concurrent.futures.Future[list[str]]:
        client = self._clients.get(self._sources.token(business))
        return self._pool.submit(client.wabas, business, relation, self._deadline)

    def _begin(self, waba_id: str, token: str | None) -> None:
        """Have the numbers of a WABA read, unless they are already."""
        if waba_id not in self._numbers:
            self._numbers[waba_id] = self._pool.submit(self._clients.get(token).numbers, waba_id, self._deadline)

    def _collect(self) -> None:
        known: set[str | None] = set()
        for waba_id, future in self._numbers.items():
            failed = len(self._reading.failures)
            for row in self._result(future, f"WABA {waba_id}"):
                if row["phone_number_id"] not in known:
                    known.add(row["phone_number_id"])
                    self._reading.rows.append(row)
            if len(self._reading.failures) == failed:
                self._reading.waba_ids.append(waba_id)

    def _result(self, future: concurrent.futures.Future[list[t.Any]], what: str) -> list[t.Any]:
        """Return what a worker read; nothing, and a failure noted, if it failed."""
        try:
            return future.result()
        except WabaError as error:
            self._reading.failures.append(Failure(what, error))
        except Exception as error:
            self._reading.failures.append(Failure(what, defect_of(error)))
        return []


def describe(failures: t.Sequence[Failure]) -> str:
    """Return one text for all failures, each cause once with all that it befell."""
    causes: dict[str, list[str]] = {}
    for failure in failures:
        causes.setdefault(str(failure.error), []).append(failure.what)
    return " ".join(f"{', '.join(names)}: {cause}" for cause, names in causes.items())


def fingerprint(sources: Sources, connection: Connection) -> str:
    """Return a text that differs wherever another reading could come of these options, and tells nothing about them.

    Tokens are long and random, so that a hash over all of them cannot be turned back by guessing.
    """
    own = dict(connection.own)
    parts = [
        _SCHEMA, sorted(sources.access_tokens.items()), sources.access_token, own.get(APP_SECRET.name),
        own.get(API_VERSION.name), connection.base_url, connection.verify, connection.allow_http,
        list(sources.waba_ids), list(sources.business_ids),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
