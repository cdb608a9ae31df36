# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What a provider is: it reads and writes the key of one number, and says by data what it can do and what it needs."""

from __future__ import annotations

import abc
import dataclasses
import re
import typing as t

from .._errors import InvalidOptions

if t.TYPE_CHECKING:
    from .._errors import WabaError
    from .._http import HttpClient, Job
    from .._reconcile import PublishedKey


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of the modules that not all providers have; its value is text.

    C(secret): no message may hold its value. C(env) is the environment variable that it is taken from where it is not set.
    """

    name: str
    secret: bool = False
    env: str | None = None
    default: str | None = None
    choices: tuple[str, ...] | None = None


ACCESS_TOKEN = Option("access_token", secret=True, env="WHATSAPP_ACCESS_TOKEN")


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What a provider can do, as its documentation tells.

    C(can_read): C(yes), or C(maybe) where no document says what the API answers, so that it is seen at each number.
    C(reports_status): whether reading tells of Meta's signature. C(numbers_per_credential): C(one) or C(many).
    C(key_of): what has a key, the C(number) or the C(app) that several numbers can share.
    """

    can_read: t.Literal["yes", "maybe"] = "yes"
    reports_status: bool = True
    numbers_per_credential: t.Literal["one", "many"] = "many"
    key_of: t.Literal["number", "app"] = "number"

    def as_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Connection:
    """How a number is reached: the connection options of the modules, in typed form. Two equal ones share a client.

    C(own) are the values of the options that the provider names, by name.
    """

    provider: str
    base_url: str | None
    timeout: float
    retries: int
    verify: bool | str
    allow_http: bool
    own: tuple[tuple[str, str | None], ...] = dataclasses.field(repr=False)

    def option(self, option: Option) -> str:
        """Return the value of an option of the provider's, empty where it is not set."""
        return dict(self.own)[option.name] or ""


class Provider(abc.ABC):
    """The API of a provider under one set of credentials. Methods raise WabaError and are thread-safe.

    C(calls_an_hour) is the documented limit for an account (WABA), if there is one.
    C(own_only) names options that the role takes from no environment, as another provider's credential could be there.
    C(notice) is told once to whoever uses the provider. C(exceptions_to_contract) names tests of test_provider_contract.py that
    the provider cannot pass, and why.
    """

    name: t.ClassVar[str]
    capabilities: t.ClassVar[Capabilities]
    options: t.ClassVar[tuple[Option, ...]]
    own_only: t.ClassVar[tuple[str, ...]] = ()
    calls_an_hour: t.ClassVar[int | None] = None
    notice: t.ClassVar[str] = ""
    exceptions_to_contract: t.ClassVar[t.Mapping[str, str]] = {}

    def __init__(self, connection: Connection, http: HttpClient) -> None:
        self.connection = connection
        self.http = http

    @classmethod
    @abc.abstractmethod
    def secrets_of(cls, connection: Connection) -> list[str]:
        """Check that a connection has what this provider needs, and return the values that no message may hold.

        Raises InvalidOptions. Called before the first client is made, so it sends nothing.
        """

    @abc.abstractmethod
    def check_number(self, phone_number_id: str) -> None:
        """Raise InvalidOptions if an ID cannot be one of this provider's."""

    @classmethod
    def holder(cls, connection: Connection, phone_number_id: str) -> str:
        """Return what has the key, so that two numbers which mean the same one are known for it. It may hold secrets."""
        return phone_number_id

    @abc.abstractmethod
    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        """Return what the API says the number holds; repeated on temporary errors. Raises NotReadable if it cannot be asked."""

    @abc.abstractmethod
    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        """Publish a key. Returns when the API said yes; an error with C(outcome_unknown) may have been applied."""

    def rest(self, job: Job) -> bool:
        """Wait as long as the API throttles these credentials; return whether there was anything to wait for."""
        return self.http.rest(job)

    def pause(self, error: WabaError, attempt: int, job: Job) -> None:
        """Wait before a change is tried again; raise the error if that would outlast the job's deadline."""
        self.http.wait_before_retry(error, attempt, job)


def required(connection: Connection, option: Option, what: str) -> str:
    """Return the value of an option that a provider cannot do without. Raises InvalidOptions, which says where to give it."""
    value = connection.option(option)
    if not value:
        environment = f", or {option.env} in the environment" if option.env else ""
        raise InvalidOptions(
            f"No {what} is given.", f"Set {option.name} (host variable whatsapp_{option.name}){environment}."
        )
    return value


def header_secret(connection: Connection, option: Option, what: str) -> str:
    """Return a credential that is sent in a header or a query. Raises InvalidOptions.

    A blank or line end would be refused by the HTTP library with a message that quotes the header.
    """
    value = required(connection, option, what)
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise InvalidOptions(f"The {what} holds blanks, line ends or other characters that no credential has.",
                             "Copy it again, or template it where it still holds braces.")
    return value
