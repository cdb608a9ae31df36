# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recurrence rules that AWX takes: a start with its zone, and rules with an interval."""

from __future__ import annotations

import re

from .refusal import Refused, invalid

_START = re.compile(r"DTSTART(?:;TZID=[A-Za-z0-9_+/-]+:[0-9]{8}T[0-9]{6}|:[0-9]{8}T[0-9]{6}Z)")
_FREQUENCIES = {"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"}
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYHOUR", "BYMINUTE", "WKST"}
_DAY = re.compile(r"MO|TU|WE|TH|FR|SA|SU")


def check_recurrence(text: str) -> None:
    """Raise Refused for a rule that AWX would not take."""
    start, *rules = text.split()
    if not start.startswith("DTSTART"):
        raise _error("Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ")
    if not _START.fullmatch(start):
        raise _error("DTSTART cannot be a naive datetime. Must include ;TZINFO= or YYYYMMDDTHHMMSSZZ.")
    if not rules or not all(rule.startswith(("RRULE:", "EXRULE:")) for rule in rules):
        raise _error("RRULE required in rrule.")
    for rule in rules:
        _check_rule(dict(part.partition("=")[::2] for part in rule.partition(":")[2].split(";")))


def _check_rule(parts: dict[str, str]) -> None:
    if set(parts) - _PARTS:
        raise _error(f"{', '.join(sorted(set(parts) - _PARTS))} not supported.")
    if "INTERVAL" not in parts:
        raise _error("INTERVAL required in rrule.")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise _error("rrule parsing failed validation: unknown frequency, or SECONDLY, which is not supported.")
    if not all(_DAY.fullmatch(day) for day in parts.get("BYDAY", "MO").split(",")):
        raise _error("BYDAY with numeric prefix not supported.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _error("RRULE may not contain both COUNT and UNTIL")
    if not 1 <= int(parts.get("COUNT", "1")) <= 999:
        raise _error("COUNT > 999 is unsupported.")


def _error(message: str) -> Refused:
    return invalid("rrule", message)
