# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What a provider is: it reads and writes the key of one number."""

from __future__ import annotations

import abc
import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from .._errors import WabaError
    from .._http import HttpClient, Job
    from .._reconcile import PublishedKey


@dataclasses.dataclass(frozen=True)
class Connection:
    """How a number is reached: the connection options of the modules, in typed form. Two equal ones share a client."""

    provider: str
    base_url: str | None
    api_version: str
    access_token: str | None = dataclasses.field(repr=False)
    app_secret: str | None = dataclasses.field(repr=False)
    timeout: float
    retries: int
    verify: bool | str
    allow_http: bool

    def secrets(self) -> list[str]:
        """Return the values that no message may hold."""
        return [value for value in (self.access_token, self.app_secret) if value]


class Provider(abc.ABC):
    """The API of a provider under one set of credentials. Methods raise WabaError and are thread-safe."""

    name: t.ClassVar[str]

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

    @abc.abstractmethod
    def read(self, phone_number_id: str, job: Job) -> PublishedKey:
        """Return what the API says the number holds; repeated on temporary errors."""

    @abc.abstractmethod
    def write(self, phone_number_id: str, pem: str, job: Job) -> None:
        """Publish a key. Returns when the API said yes; an error with C(outcome_unknown) may have been applied."""

    def rest(self, job: Job) -> bool:
        """Wait as long as the API throttles these credentials; return whether there was anything to wait for."""
        return self.http.rest(job)

    def pause(self, error: WabaError, attempt: int, job: Job) -> None:
        """Wait before a change is tried again; raise the error if that would outlast the job's deadline."""
        self.http.wait_before_retry(error, attempt, job)
