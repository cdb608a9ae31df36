# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Durations such as C(90d), as options give them."""

from __future__ import annotations

import re
from datetime import timedelta

from ._errors import InvalidOptions

_LONGEST = int(timedelta.max.total_seconds())
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str, option: str) -> int:
    """Return the seconds of a duration such as C(90d), C(12h) or C(3600); C(option) names it in the message."""
    match = re.fullmatch(r"\s*0*([0-9]+)\s*([smhdw]?)\s*", str(text))
    shown = f"{option} '{str(text)[:60]}'"
    if match is None:
        raise InvalidOptions(f"{shown} is not a duration.", "Examples: 90d, 12h, 30m, 3600 (seconds).")
    digits, unit = match.groups()  # Python refuses to read thousands of digits, in a way of its own
    if len(digits) > 20 or int(digits) * _UNITS[unit or "s"] > _LONGEST:
        raise InvalidOptions(f"{shown} is not a duration that this collection can reckon with.", "Use fewer days.")
    return int(digits) * _UNITS[unit or "s"]
