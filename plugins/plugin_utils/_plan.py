# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What each number needs, in which waves it gets it, and what came of it. Pure, and without secrets.

numbers, what the API says and the keyrings → plan; plan → waves; plan and what each wave brought → rows.
"""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._options import parse_duration
from ansible_collections.waba.flows.plugins.module_utils._reconcile import (
    CHANGING,
    UNMET,
    Desired,
    PublishedKey,
    decide,
)

from ._inventory_rows import Row, Rows
from ._keyring_rows import normalised, said

_KEPT = ("name", "phone_number_id", "key_name", "before", "after", "status", "target", "outcome", "message", "readable")


def make_plan(
    numbers: Rows,
    read: Rows,
    keyrings: Rows,
    *,
    replace_foreign: bool = False,
    replaceable: t.Sequence[str] = (),
) -> Rows:
    """Return what each number needs, in the order of C(numbers).

    C(keyrings) are what keyring_rows returned. A number is C(refused) if it holds a key
    that its keyring does not know and that the caller did not allow to be replaced. C(expected) makes each later POST a
    compare-and-set, also against what another run may do meanwhile.
    """
    answers = {row["name"]: row for row in read}
    rings = {ring["name"]: ring for ring in keyrings}
    allowed = normalised(as_list(replaceable), "encryption_keys_replaceable_fingerprints")
    return [
        _plan_number(row, answers.get(row["name"]), rings.get(row["key_name"]), replace_foreign, allowed) for row in numbers
    ]


def _plan_number(number: Row, read: Row | None, ring: Row | None, replace_foreign: bool, allowed: set[str]) -> Row:
    plan = {
        "name": number["name"], "phone_number_id": number["phone_number_id"], "key_name": number["key_name"],
        "before": None, "after": None, "status": None, "target": None, "publish": False, "readable": False, "message": "",
    }
    if "problem" in number:
        return {**plan, "outcome": "failed", "message": number["problem"]}
    if read is None or read["outcome"] != "read":
        return {**plan, "outcome": "failed", "message": read["error"]["message"] if read else "It was not read."}
    plan.update(before=read["fingerprint"], after=read["fingerprint"], status=read["status"], readable=True)
    target = (ring or {}).get("to_publish")
    if not target:
        return {**plan, "outcome": "skipped", "message": f"The keyring '{number['key_name']}' is not usable, see its message."}
    plan["target"] = target["fingerprint"]
    expected = allowed | {generation["fingerprint"] for generation in (ring or {})["generations"]}
    if replace_foreign and read["fingerprint"]:
        expected.add(read["fingerprint"])
    desired = Desired(target["business_public_key"], target["fingerprint"], frozenset(expected))
    outcome = decide(desired, PublishedKey(None, read["fingerprint"], read["status"]))
    if outcome == "refused":
        plan["message"] = (
            f"It holds a foreign key, {read['fingerprint']}, that the keyring '{number['key_name']}' does not know. Import its "
            "private half, or allow this run to replace it: add the fingerprint to encryption_keys_replaceable_fingerprints, "
            "or set encryption_keys_replace_foreign: true."
        )
    return {
        **plan, "outcome": outcome, "publish": outcome in CHANGING, "expected": sorted(expected),
        "business_public_key": target["business_public_key"] if outcome in CHANGING else None,
    }


def held(read: Rows) -> list[str]:
    """Return the fingerprints that numbers were read holding."""
    return sorted({row["fingerprint"] for row in read if row["outcome"] == "read" and row["fingerprint"]})


def as_list(value: t.Any) -> list[t.Any]:
    """Return a list that may have been given as text with commas or as one value, as C(-e) and surveys of AWX do."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def retention_days(text: str) -> float:
    """Return a retention in days. Raises ValueError."""
    try:
        return parse_duration(text, "encryption_keys_retention") / 86400
    except WabaError as error:
        raise ValueError(str(error)) from None


def wave_sizes(sizes: t.Sequence[t.Any]) -> list[tuple[int, bool]]:
    """Return the sizes of the waves, each with whether it is in percent. Raises ValueError."""
    found = []
    for size in as_list(sizes):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(%?)\s*", str(size))
        if match is None or int(match.group(1)) < 1 or (match.group(2) and int(match.group(1)) > 100):
            raise ValueError(f"encryption_keys_waves: '{size}' is not a number from 1 on, or a percentage from 1% to 100%.")
        found.append((int(match.group(1)), bool(match.group(2))))
    if not found:
        raise ValueError("encryption_keys_waves is empty; for all numbers at once set it to ['100%'].")
    return found


def make_waves(plan: Rows, stopped: t.Collection[str], sizes: t.Sequence[t.Any]) -> list[list[str]]:
    """Return the names of the numbers that need a POST, in waves; the last size repeats, as Ansible's C(serial) does."""
    names = [row["name"] for row in plan if row["publish"] and row["key_name"] not in stopped]
    waves: list[list[str]] = []
    parsed, start = wave_sizes(sizes), 0
    while start < len(names):
        size, percent = parsed[min(len(waves), len(parsed) - 1)]
        count = max(1, len(names) * size // 100) if percent else size
        waves.append(names[start:start + count])
        start += count
    return waves


def wave_done(published: Row, wave: int, names: t.Sequence[str], proofs: Rows) -> Row:
    """Return the row of a wave that is done, with what of the fleet module's answer is needed later."""
    kept = {name: published[name] for name in ("numbers", "msg", "error") if name in published}
    own = [proof for proof in proofs if proof["when"] == f"after wave {wave}"]
    return {"wave": wave, "names": list(names), "published": kept, "proofs": own}


def going(wave: t.Sequence[str], plan: Rows, done: Rows, max_failures: int) -> list[str]:
    """Return the numbers of a wave whose keys no earlier wave has stopped."""
    stopped_keys = stopped(plan, done, max_failures)
    keys = {row["name"]: row["key_name"] for row in plan}
    return [name for name in wave if keys[name] not in stopped_keys]


def stopped(plan: Rows, done: Rows, max_failures: int) -> dict[str, str]:
    """Return the keys that no further wave is to be started for, and why.

    C(done) are rows of wave_done. A key stops when more than C(max_failures) of its numbers failed (below 0: never for that), or
    an endpoint does not decrypt what was published.
    """
    failures: dict[str, dict[str, int]] = collections.defaultdict(dict)  # by key: the numbers, and in which wave
    reasons: dict[str, str] = {}
    for wave in done:
        for row in _wave_rows(plan, wave):
            if row["outcome"] in UNMET:
                failures[row["key_name"]][row["name"]] = wave["wave"]
        for name, failed in failures.items():
            if 0 <= max_failures < len(failed):
                reasons.setdefault(name, _too_many(failed))
        for proof in wave["proofs"]:
            if proof["proven"] is False:
                why = f"the endpoint {proof['endpoint']} did not decrypt what was published: {proof['message']}"
                reasons.setdefault(proof["key_name"], f"after wave {wave['wave']} {why}")
    return reasons


def _too_many(failed: t.Mapping[str, int]) -> str:
    names, waves = list(failed), sorted(set(failed.values()))
    others = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{others} failed in wave{'s' * (len(waves) > 1)} {', '.join(map(str, waves))}"


def final_rows(plan: Rows, done: Rows, blocks: t.Mapping[str, t.Sequence[str]], stops: t.Mapping[str, str]) -> Rows:
    """Return the final row of each number: as planned, or as the wave that it was in left it.

    C(certain) is false where it is not known which key the number holds now.
    """
    worked = {row["name"]: row for wave in done for row in _wave_rows(plan, wave)}
    return [worked.get(row["name"]) or _untouched(row, blocks, stops) for row in plan]


def _untouched(plan: Row, blocks: t.Mapping[str, t.Sequence[str]], stops: t.Mapping[str, str]) -> Row:
    row = {**{name: plan[name] for name in _KEPT}, "changed": False, "attempts": 0, "seconds": 0.0, "wave": None,
           "certain": plan["readable"], "rolled_back": None}
    if not plan["publish"]:
        return row
    why = "It was not started."
    if plan["key_name"] in blocks:
        why = f"Nothing is published for the key '{plan['key_name']}', see its message."
    elif plan["key_name"] in stops:
        why = f"It was not started, because {stops[plan['key_name']]}."
    return {**row, "outcome": "skipped", "message": why}


def _wave_rows(plan: Rows, wave: Row) -> Rows:
    rows = {row["name"]: row for row in wave["published"].get("numbers", [])}
    names = set(wave["names"])
    own = [row for row in plan if row["name"] in names]
    return [{**merge_number(row, rows.get(row["name"]), wave["published"]), "wave": wave["wave"]} for row in own]


def merge_number(plan: Row, row: Row | None, published: Row) -> Row:
    """Return the row of a number that was to be published to: C(row) is the fleet module's, C(published) its whole answer."""
    kept = {**{name: plan[name] for name in _KEPT}, "changed": False, "attempts": 0, "seconds": 0.0, "certain": True,
            "rolled_back": None}
    if row is None:
        why = said(published, "The API host gave no answer.")
        if "error" in published:  # the module refused its options, or lacks a library: nothing was sent
            return {**kept, "outcome": "failed", "message": why}
        return {**kept, "outcome": "failed", "after": None, "status": None, "certain": False, "changed": True,
                "message": f"It is not known whether its key was sent: publishing broke off. {why}"}
    message = row["error"]["message"] if "error" in row else ""
    if row["outcome"] == "refused":
        message = f"Somebody set another key, {row['fingerprint']}, while this run was going on. Run again when that is settled."
    # What the API shows after a change is certain only if it is the new key: it may show the old one for a while.
    known = not row["changed"] or row["fingerprint"] == plan["target"]
    # What was read before stands where this row tells of neither a key nor a change.
    now = row if row["fingerprint"] or row["changed"] else {"fingerprint": plan["after"], "status": plan["status"]}
    return {
        **kept, "before": row["previous_fingerprint"] or plan["before"], "after": now["fingerprint"], "status": now["status"],
        "outcome": row["outcome"], "changed": row["changed"], "attempts": row["attempts"],
        "seconds": row["seconds"], "certain": known, "message": message,
    }
