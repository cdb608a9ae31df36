# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a provider is to the sandbox: how a request is taken apart, what is answered, how an error looks."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, Union
from urllib.parse import unquote

from aiohttp import web

from .answers import Answer, ApiError
from .faults import Fault
from .keys import BadKey, canonical_public_key
from .state import Account, Json, Number, State
from .store import Store

Code = Union[int, str]


@dataclass
class Call:
    """A request, reduced to what the API looks at. number_id is empty where the request names none."""

    request: web.Request
    number_id: str = ""
    credential: str | None = None
    sets_key: bool = False

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    @property
    def query(self) -> Mapping[str, str]:
        """The query, decoded."""
        return self.request.query

    @property
    def fault_method(self) -> str:
        """The method by which faults know this request: POST is what sets a key, whatever the provider calls it."""
        return "POST" if self.sets_key else self.method

    @property
    def fault_queues(self) -> tuple[str, ...]:
        """The queues that may hold a fault for this request, in order."""
        return (self.number_id, "*")


C = TypeVar("C", bound=Call)


class Provider(ABC, Generic[C]):
    """One provider's API over the common store."""

    name: ClassVar[str]
    # The codes of a throttled and of a failed request, in the provider's own words.
    throttled: ClassVar[Code]
    failed: ClassVar[Code]
    # What the provider answers to a key that Meta would not take.
    bad_key: ClassVar[tuple[int, Code]]

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def state(self) -> State:
        """The state as it is now."""
        return self.store.state

    @abstractmethod
    async def parse(self, request: web.Request) -> Call:
        """Take a request apart. It refuses nothing: the request log and the faults come first."""

    def admit(self, call: C) -> ApiError | None:
        """What an API that counts its calls refuses this one with, before any fault; None if it lets it through."""
        return None

    @abstractmethod
    async def answer(self, call: C, fault: Fault | None) -> Answer:
        """What the API answers; ApiError for anything that it refuses."""

    @abstractmethod
    def error(self, status: int, code: Code, message: str | None = None,
              headers: dict[str, str] | None = None) -> ApiError:
        """An error in the provider's own envelope."""

    def fault_error(self, call: C, fault: Fault) -> ApiError:
        """The error that the faults error, throttle and applied_then_error answer with."""
        status, code = (429, self.throttled) if fault.kind == "throttle" else (500, self.failed)
        return self.error(fault.status or status, code if fault.code is None else fault.code, fault.message,
                          fault.error_headers())

    def crash(self) -> ApiError:
        """The error that stands for a fault of the sandbox's own."""
        return self.error(500, self.failed)

    def dress(self, call: C, answer: Answer) -> Answer:
        """Add what each answer in the API's own language carries."""
        return answer

    # -- what most providers do alike

    def account(self, account_id: str) -> Account | None:
        """The account of this provider under an id."""
        account = self.state.accounts.get(account_id)
        return account if account and account.provider == self.name else None

    def number_of(self, account: Account, number_id: str) -> Number | None:
        """The number, if it is there and of this account."""
        return self.state.numbers.get(number_id) if number_id in account.numbers else None

    def checked_key(self, text: str) -> str:
        """The key as it is kept; ApiError for what Meta would not take."""
        try:
            return canonical_public_key(text)
        except BadKey as exc:
            raise self.error(*self.bad_key, str(exc)) from None


def segments(request: web.Request) -> list[str]:
    """The segments of the path below the provider's prefix.

    They are split before they are decoded: an encoded slash is no separator, and a plus, encoded or not, is a plus.
    """
    path = request.raw_path.partition("?")[0]
    return [unquote(part) for part in path.split("/")[2:]]


def bearer(request: web.Request) -> str | None:
    """The text behind `Bearer`; None without the header, empty with another scheme."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, dummy, text = header.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


async def read_json(request: web.Request) -> Json | None:
    """The members of a JSON object that is declared as JSON; None for any other body."""
    if request.content_type != "application/json":
        return None
    try:
        data = json.loads(await request.read())
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def text_of(data: Mapping[str, object], name: str) -> str | None:
    """A member that is text; None where it is missing or something else."""
    value = data.get(name)
    return value if isinstance(value, str) else None
