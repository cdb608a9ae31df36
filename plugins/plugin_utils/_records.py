# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What the keyrings have on record of numbers whose provider cannot be asked: before a key is sent, and after. Pure."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.plugins.module_utils._reconcile import UNMET

from ._inventory_rows import Row, Rows
from ._keyring_rows import NO_ANSWER, said


def recording(plan: Rows, names: t.Sequence[str]) -> Rows:
    """Return what has to be on record before numbers are sent keys that their providers cannot be asked about later.

    One row a keyring: C(key_name), and C(accepted) as the keyring module takes it. Until the record says otherwise, such a
    number may hold what it held, or what is sent now.
    """
    return _by_keyring((row, {"fingerprints": list(dict.fromkeys([*_before(row), row["target"]])), "certain": False})
                       for row in _not_readable(plan, names))


def recorded(plan: Rows, names: t.Sequence[str], published: Row) -> Rows:
    """Return what is to be on record of these numbers after they were sent keys, in the form of recording.

    One of which nothing is known stays as it was noted before.
    """
    answers = {row["name"]: row for row in published.get("numbers", [])}
    wanted = set(names)
    nothing_sent = "error" in published and "numbers" not in published  # the module refused its options
    return _by_keyring((row, after) for row in plan if row["name"] in wanted and row["publish"]
                       for after in [_after_sending(row, answers.get(row["name"]), nothing_sent)] if after)


def _after_sending(plan: Row, row: Row | None, nothing_sent: bool) -> Row | None:
    """Return the record of a number, or None where there is none to make."""
    if row is not None and row["outcome"] not in UNMET:
        if row["fingerprint_source"] == "read":
            return {"fingerprints": [], "certain": False} if _was_noted(plan) else None
        return {"fingerprints": [plan["target"]], "certain": True}
    if _was_noted(plan) and (nothing_sent or (row is not None and not row["changed"])):
        return {"fingerprints": list(plan["may_hold"]), "certain": plan["source"] == "recorded"}
    return None


def outdated_records(rows: Rows, keyrings: Rows) -> Rows:
    """Return the records that no longer tell anything, in the form of recording, so that they are forgotten.

    They are of numbers that can be read by now, and of numbers that have a record under another key by now.
    """
    found: dict[str, Row] = collections.defaultdict(dict)
    for ring in keyrings:
        for row in rows:
            own = ring["name"] == row["key_name"]
            known = row["source"] == "read" or (not own and row["source"] == "recorded" and _is_on_record(row, keyrings))
            if known and row["certain"] and not ring["message"] and row["phone_number_id"] in ring["accepted"]:
                found[ring["name"]][row["phone_number_id"]] = {"fingerprints": [], "certain": False}
    return [{"key_name": name, "accepted": accepted} for name, accepted in found.items()]


def _not_readable(plan: Rows, names: t.Sequence[str]) -> Rows:
    wanted = set(names)
    return [row for row in plan if row["name"] in wanted and row["publish"] and _was_noted(row)]


def _was_noted(plan: Row) -> bool:
    """Tell whether what a number is sent has to be on record: it was not read, or maybe cannot be read again."""
    provider = PROVIDERS.get(plan["provider"] or "")
    return plan["source"] != "read" or (provider is not None and provider.capabilities.can_read != "yes")


def _before(plan: Row) -> list[str]:
    """Return the keys that a number may hold before it is sent one."""
    return list(plan["may_hold"]) or ([plan["before"]] if plan["before"] else [])


def _is_on_record(row: Row, keyrings: Rows) -> bool:
    """Tell whether a number is known otherwise than by the record of another key: read, or on its own key's record."""
    own = next((ring for ring in keyrings if ring["name"] == row["key_name"]), {})
    record = own.get("accepted", {}).get(row["phone_number_id"])
    return row["source"] == "read" or row["outcome"] == "accepted" or bool(record and record["certain"])


def _by_keyring(rows: t.Iterable[tuple[Row, Row]]) -> Rows:
    found: dict[str, Row] = collections.defaultdict(dict)
    for row, record in rows:
        found[row["key_name"]][row["phone_number_id"]] = record
    return [{"key_name": name, "accepted": accepted} for name, accepted in found.items()]


def sendable(names: t.Sequence[str], plan: Rows, noted: t.Sequence[Row]) -> list[str]:
    """Return the numbers to which keys can be sent: all but those whose record could not be made. C(noted): see not_noted."""
    lost = not_noted(noted)
    stay = {row["name"] for row in _not_readable(plan, names) if row["key_name"] in lost}
    return [name for name in names if name not in stay]


def not_noted(noted: t.Sequence[Row]) -> dict[str, str]:
    """Return by key name why its keyring could not note something; C(noted) are results of a loop over rows of recording."""
    return {result["item"]["key_name"]: said(result, NO_ANSWER) for result in noted
            if isinstance(result.get("item"), dict) and "generations" not in result}
