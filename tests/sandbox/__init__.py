# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful stand-in for the WhatsApp Cloud API and other providers, for tests and the demo. It listens on loopback only."""

from __future__ import annotations

from .faults import KINDS, Fault
from .server import Sandbox
from .service import RequestRecord
from .state import (
    DEFAULT_APP,
    DEFAULT_BUSINESS,
    DEFAULT_NUMBER,
    DEFAULT_TOKEN,
    DEFAULT_WABA,
    PROVIDERS,
    Account,
    Business,
    Number,
    Settings,
    State,
    Token,
    make_account,
    make_mixed_state,
    make_number,
    make_state,
)

__all__ = [
    "DEFAULT_APP",
    "DEFAULT_BUSINESS",
    "DEFAULT_NUMBER",
    "DEFAULT_TOKEN",
    "DEFAULT_WABA",
    "KINDS",
    "PROVIDERS",
    "Account",
    "Business",
    "Fault",
    "Number",
    "RequestRecord",
    "Sandbox",
    "Settings",
    "State",
    "Token",
    "make_account",
    "make_mixed_state",
    "make_number",
    "make_state",
]
