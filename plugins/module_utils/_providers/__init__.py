# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The registry of providers: one line each, and one file each beside this one."""

from __future__ import annotations

from .._http import HttpClient, HttpOptions, Transport
from ._base import Connection, Provider
from ._cloud_api import CloudApi

__all__ = ["PROVIDERS", "Connection", "Provider", "make_provider"]

PROVIDERS: dict[str, type[Provider]] = {
    CloudApi.name: CloudApi,
}


def make_provider(connection: Connection, transport: Transport) -> Provider:
    """Return the API client for a connection. Raises InvalidOptions where an option is missing or malformed."""
    provider = PROVIDERS[connection.provider]
    secrets = provider.secrets_of(connection)
    http = HttpClient(transport, HttpOptions(connection.timeout, connection.retries, connection.verify), secrets)
    return provider(connection, http)
