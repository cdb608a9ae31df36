# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks like a secret, whosever it is: key material, and credentials of kinds that have a known form."""

from __future__ import annotations

import re

KEY_MATERIAL = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:[A-Za-z0-9+/=]{64}\s+){3}")
LOOKS_SECRET = re.compile(r"\bEAA[A-Za-z0-9]{40,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bxox[abprs]-[0-9A-Za-z-]{20,}"
                          r"|\bsk_(live|test)_[0-9A-Za-z]{16,}|\bglpat-[0-9A-Za-z_-]{20}|\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}")


def secret_looking(text: str) -> bool:
    """Tell whether a text has key material, or what looks like a credential of a known kind."""
    return bool(KEY_MATERIAL.search(text) or LOOKS_SECRET.search(text))
