# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The registry of providers: one line each, and one file each beside this one."""

from __future__ import annotations

from .._http import HttpClient, HttpOptions, Transport, same_place
from ._aws import Aws
from ._base import Capabilities, Connection, Option, Provider
from ._cloud_api import CloudApi
from ._graph_compatible import GraphCompatible
from ._gupshup import Gupshup
from ._kaleyra import Kaleyra
from ._on_premises import OnPremises

__all__ = ["OWN_OPTIONS", "PROVIDERS", "Capabilities", "Connection", "Option", "Provider", "make_provider"]

PROVIDERS: dict[str, type[Provider]] = {
    provider.name: provider for provider in (CloudApi, OnPremises, Kaleyra, GraphCompatible, Gupshup, Aws)
}

# The options that not all providers have, each once, in the order of the registry.
OWN_OPTIONS: tuple[Option, ...] = tuple(dict.fromkeys(option for provider in PROVIDERS.values() for option in provider.options))


def make_provider(connection: Connection, transport: Transport) -> Provider:
    """Return the API client for a connection. Raises InvalidOptions where an option is missing or malformed."""
    provider = PROVIDERS[connection.provider]
    secrets = provider.secrets_of(connection)
    options = HttpOptions(connection.timeout, connection.retries, connection.verify)
    budget = transport.budget((connection.provider, same_place(connection.base_url or ""), connection.own))
    return provider(connection, HttpClient(transport, options, secrets, budget=budget))
