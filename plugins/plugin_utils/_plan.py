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

from ansible_collections.waba.flows.plugins.module_utils._budget import ALL, CALLS_PER_NUMBER, MANY, describe_need
from ansible_collections.waba.flows.plugins.module_utils._durations import parse_duration
from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.plugins.module_utils._reconcile import (
    CHANGING,
    UNMET,
    Desired,
    PublishedKey,
    decide,
)

from ._inventory_rows import Row, Rows
from ._keyring_rows import NO_ANSWER, normalised, said
from ._records import not_noted
from ._step_error import StepError

_KEPT = ("name", "phone_number_id", "provider", "key_holder", "key_name", "before", "after", "status", "target", "outcome",
         "message", "readable", "source", "may_hold")


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

    A number that its provider cannot be asked about (outcome C(unknown)) holds what the keyring has on record for it; without a
    record it counts as holding a foreign key. C(source) is C(read), C(recorded) or None, C(may_hold) what is on record.
    """
    answers = {row["name"]: row for row in read}
    rings = {ring["name"]: ring for ring in keyrings}
    allowed = normalised(as_list(replaceable), "encryption_keys_replaceable_fingerprints")
    rows = []
    for number in numbers:
        # A number that was moved from one key to another is on record where it was before.
        own = rings.get(number["key_name"]) or {}
        known = [ring["accepted"][number["phone_number_id"]] for ring in (own, *keyrings)
                 if number["phone_number_id"] in ring.get("accepted", {})]
        known.sort(key=lambda record: str(record["at"]), reverse=True)  # the newest counts; of two the number's own
        rows.append(_plan_number(number, answers.get(number["name"]), own, known, replace_foreign, allowed))
    return _refuse_different_keys(rows)


def _refuse_different_keys(rows: Rows) -> Rows:
    """Refuse the numbers that share one key at their provider and are to have different ones, before anything is sent."""
    names: dict[t.Any, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row["key_holder"]:
            names[row["provider"], row["key_holder"]].add(row["key_name"])
    torn = {holder for holder, wanted in names.items() if len(wanted) > 1}
    return [
        row if (row["provider"], row["key_holder"]) not in torn or row["outcome"] == "failed" else {
            **row, "outcome": "refused", "publish": False, "message":
            f"It shares the one key of {row['key_holder']} with numbers that are to have another key. Give all of them the same "
            "whatsapp_key_name.",
        }
        for row in rows
    ]


def _plan_number(number: Row, read: Row | None, ring: Row, records: Rows, *allowing: t.Any) -> Row:
    """Return the row of a number. C(allowing): whether any foreign key may be replaced, and which may."""
    replace_foreign, allowed = allowing
    plan = {
        "name": number["name"], "phone_number_id": number["phone_number_id"], "key_name": number["key_name"],
        "provider": None, "key_holder": None, "before": None, "after": None, "status": None, "target": None, "publish": False,
        "readable": False, "source": None, "may_hold": [], "message": "",
    }
    if "problem" in number:
        return {**plan, "outcome": "failed", "message": number["problem"]}
    if read is not None:
        plan.update(provider=read["provider"], key_holder=read["key_holder"])
    if read is None or read["outcome"] not in ("read", "unknown"):
        return {**plan, "outcome": "failed", "message": read["error"]["message"] if read else "It was not read."}
    if read["outcome"] == "read":
        plan.update(before=read["fingerprint"], after=read["fingerprint"], status=read["status"], readable=True, source="read")
    else:
        plan.update(_on_record(records))
    target = ring.get("to_publish")
    if not target:
        return {**plan, "outcome": "skipped", "message": f"The keyring '{number['key_name']}' is not usable, see its message."}
    plan["target"] = target["fingerprint"]
    expected = allowed | {generation["fingerprint"] for generation in ring["generations"]}
    if replace_foreign:
        expected |= {plan["before"], *plan["may_hold"]} - {None}
    any_key = replace_foreign and not plan["before"] and plan["source"] is None
    desired = Desired(target["business_public_key"], target["fingerprint"], None if any_key else frozenset(expected))
    outcome = _decide(desired, plan)
    if outcome == "refused":
        plan["message"] = _refusal(plan)
    return {
        **plan, "outcome": outcome, "publish": outcome in CHANGING, "expected": None if any_key else sorted(expected),
        "recorded": plan["before"] if plan["source"] == "recorded" else next(iter(plan["may_hold"]), None),
        # What a number may hold already is sent again, as nobody knows whether it arrived.
        "force": plan["source"] is None and bool(plan["may_hold"]),
        "business_public_key": target["business_public_key"] if outcome in CHANGING else None,
    }


def _on_record(records: Rows) -> Row:
    """Return what of a number's plan its record tells; the first counts."""
    if not records:
        return {}
    row = records[0]
    if not row["certain"]:
        return {"may_hold": list(row["fingerprints"])}
    known = row["fingerprints"][0]
    return {"before": known, "after": known, "readable": True, "source": "recorded", "may_hold": [known]}


def _decide(desired: Desired, plan: Row) -> str:
    """Return the outcome for what is known of a number; where it may hold one of several keys, all have to be expected ones."""
    if plan["source"] is None and plan["may_hold"]:
        expected = desired.expected
        return "accepted" if expected is None or expected >= set(plan["may_hold"]) else "refused"
    return decide(desired, PublishedKey(None, plan["before"], plan["status"], plan["source"] or "unknown"))


def _refusal(plan: Row) -> str:
    """Return why a number's key is not replaced, and how it can be."""
    if plan["source"] is None and not plan["may_hold"]:
        return (
            f"Its provider ({plan['provider']}) cannot be asked which key it holds, and the keyring '{plan['key_name']}' has "
            "none on record, so it counts as a foreign key. If it may be replaced, run once for this number with "
            "encryption_keys_replace_foreign: true; from then on the record tells."
        )
    found = plan["before"] or ", ".join(plan["may_hold"])
    return (
        f"It holds a foreign key, {found}, that the keyring '{plan['key_name']}' does not know. Import its "
        "private half, or allow this run to replace it: add the fingerprint to encryption_keys_replaceable_fingerprints, "
        "or set encryption_keys_replace_foreign: true."
    )


def answering(fleet: Rows, read: Rows) -> list[str]:
    """Return the names of the keys that have at least one number which could be asked, or need not be asked."""
    names = {row["name"] for row in read if row["outcome"] in ("read", "unknown")}
    return list(dict.fromkeys(number["key_name"] for number in fleet if number["name"] in names))


def calls_needed(plan: Rows, fleet: Rows, usage: t.Mapping[str, t.Any]) -> list[str]:
    """Return in words how many calls publishing takes and whether they fit; nothing for few numbers.

    One line a documented limit. C(usage) is what the API told when the numbers were read.
    """
    accounts = {number["name"]: number.get("waba_id") or ALL for number in fleet}
    needs: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row in plan:
        limit = PROVIDERS[row["provider"]].calls_an_hour if row["publish"] and row["provider"] else None
        if limit:
            needs[limit][accounts[row["name"]]] += 1
    return [f"Publishing: {describe_need(numbers, usage, CALLS_PER_NUMBER, limit)}."
            for limit, numbers in sorted(needs.items()) if sum(numbers.values()) >= MANY]


def held(read: Rows) -> list[str]:
    """Return the fingerprints that numbers were read holding."""
    return sorted({row["fingerprint"] for row in read if row["outcome"] == "read" and row["fingerprint"]})


def held_by(fleet: Rows, read: Rows, key_name: str) -> list[str]:
    """Return the fingerprints that the numbers of a key were read holding, each as often as numbers hold it."""
    names = {row["name"] for row in fleet if row["key_name"] == key_name}
    return [row["fingerprint"] for row in read if row["name"] in names and row["outcome"] == "read" and row["fingerprint"]]


def undecided(results: Rows, *, fleet: Rows, read: Rows, left_out: Rows, chosen: t.Container[str]) -> list[str]:
    """Return by line the damaged keyrings of which it cannot be told which key most numbers hold, as not all were read.

    C(results) are predictions of what recovery changes. Numbers whose provider cannot be asked need not be read, and keyrings
    whose key somebody has C(chosen) need no number. C(left_out) are numbers that the run is not for.
    """
    known = {row["name"] for row in read if row["outcome"] in ("read", "unknown")}
    lines = []
    for name in [result["item"] for result in results if result.get("changed")]:
        missing = [row["name"] for row in (*fleet, *left_out) if row["key_name"] == name and row["name"] not in known]
        if missing and name not in chosen:
            others = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            lines.append(f"key {name}: {', '.join(missing[:5])}{others}")
    return lines


def as_list(value: t.Any) -> list[t.Any]:
    """Return a list that may have been given as text with commas or as one value, as C(-e) and surveys of AWX do."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def retention_days(text: str) -> float:
    """Return a retention in days. Raises StepError."""
    try:
        return parse_duration(text, "encryption_keys_retention") / 86400
    except WabaError as error:
        raise StepError(str(error)) from None


def wave_sizes(sizes: t.Sequence[t.Any]) -> list[tuple[int, bool]]:
    """Return the sizes of the waves, each with whether it is in percent. Raises StepError."""
    found = []
    for size in as_list(sizes):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(%?)\s*", str(size))
        if match is None or int(match.group(1)) < 1 or (match.group(2) and int(match.group(1)) > 100):
            shown = str(size)[:60]
            raise StepError(f"encryption_keys_waves: '{shown}' is not a number from 1 on, or a percentage from 1% to 100%.")
        found.append((int(match.group(1)), bool(match.group(2))))
    if not found:
        raise StepError("encryption_keys_waves is empty; for all numbers at once set it to ['100%'].")
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


def wave_done(
    published: Row, wave: int, names: t.Sequence[str], proofs: Rows, *,
    noted: t.Sequence[Row] = (), noted_after: t.Sequence[Row] = (),
) -> Row:
    """Return the row of a wave that is done, with what of the fleet module's answer is needed later.

    C(noted) and C(noted_after) are the results of noting in the keyrings what was about to be sent, and what was accepted.
    """
    kept = {name: published[name] for name in ("numbers", "msg", "error") if name in published}
    own = [proof for proof in proofs if proof["when"] == f"after wave {wave}"]
    return {"wave": wave, "names": list(names), "published": kept, "proofs": own, "not_noted": not_noted(noted),
            "not_noted_after": not_noted(noted_after)}


def overtaken(results: Rows, plan: Rows, before: t.Mapping[str, str]) -> dict[str, str]:
    """Return the keys that are no longer to be published, and why, with those that were found C(before).

    C(results) are of a loop of the keyring module, state read, just before a wave. That nothing was heard of the vault host stops
    a key as well: whether its private half is still there is not known then.
    """
    targets = {row["key_name"]: row["target"] for row in plan if row["publish"]}
    found = {}
    for result in results:
        name, states = result["item"], {row["fingerprint"]: row["state"] for row in result.get("generations", [])}
        state = states.get(targets[name], "not in the keyring any more")
        if "generations" not in result:
            found[name] = f"its keyring could not be read again before a wave: {said(result, NO_ANSWER)}"
        elif state not in ("pending", "current"):
            found[name] = f"another run went on meanwhile: {targets[name]} is {state}"
    return {**found, **before}


def going(
    wave: t.Sequence[str], plan: Rows, done: Rows, max_failures: int, overtaken: t.Mapping[str, str] | None = None
) -> list[str]:
    """Return the numbers of a wave whose keys no earlier wave has stopped, nor another run."""
    stopped_keys = stopped(plan, done, max_failures, overtaken)
    keys = {row["name"]: row["key_name"] for row in plan}
    return [name for name in wave if keys[name] not in stopped_keys]


def stopped(plan: Rows, done: Rows, max_failures: int, overtaken: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the keys that no further wave is to be started for, and why.

    C(done) are rows of wave_done. A key stops when more than C(max_failures) of its numbers failed (below 0: never for that), an
    endpoint does not decrypt what was published, or another run went on (C(overtaken)). A throttled number is none that failed.
    """
    failures: dict[str, dict[str, int]] = collections.defaultdict(dict)  # by key: the numbers, and in which wave
    reasons = dict(overtaken or {})
    for wave in done:
        throttled = {row["name"] for row in wave["published"].get("numbers", []) if row.get("error", {}).get("throttled")}
        for row in _wave_rows(plan, wave):
            if row["outcome"] in UNMET and row["name"] not in throttled:
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
    return with_sharers([worked.get(row["name"]) or _untouched(row, blocks, stops) for row in plan], "changed")


def with_sharers(rows: Rows, member: str) -> Rows:
    """Return the rows so that numbers which share a key at their provider tell what they hold now.

    It is what the one of them holds for which C(member) is true: whose key was changed, or went back.
    """
    done = {(row["provider"], row["key_holder"]): row for row in rows if row["key_holder"] and row[member]}
    return [
        {**row, **{name: done[row["provider"], row["key_holder"]][name] for name in ("after", "status", "certain")}}
        if not row[member] and (row["provider"], row["key_holder"]) in done else row for row in rows
    ]


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
    own = [merge_number(row, rows.get(row["name"]), wave["published"], wave["not_noted"]) for row in plan if row["name"] in names]
    return [{**row, "wave": wave["wave"]} for row in own]


def merge_number(plan: Row, row: Row | None, published: Row, lost: t.Mapping[str, str]) -> Row:
    """Return the row of a number that was to be published to: C(row) is the fleet module's, C(published) its whole answer.

    C(lost) are the keyrings that could not note what was about to be sent, so that it was not sent, and why.
    """
    kept = {**{name: plan[name] for name in _KEPT}, "changed": False, "attempts": 0, "seconds": 0.0,
            "certain": plan["readable"], "rolled_back": None}
    if plan["source"] != "read" and plan["key_name"] in lost:
        return {**kept, "outcome": "failed", "message": "Nothing was sent, because the vault host could not note it beforehand: "
                + lost[plan["key_name"]]}
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
    known = row["fingerprint"] == plan["target"] or (not row["changed"] and plan["readable"])
    done = row["outcome"] not in UNMET
    # The module was told one of the keys that such a number may hold.
    before = plan["before"] if plan["may_hold"] else row["previous_fingerprint"] or plan["before"]
    # What was read before stands where this row tells of neither a key nor a change.
    now = row if row["fingerprint"] or row["changed"] else {"fingerprint": plan["after"], "status": plan["status"]}
    return {
        **kept, "before": before, "after": now["fingerprint"], "status": now["status"],
        "outcome": row["outcome"], "changed": row["changed"], "attempts": row["attempts"],
        "seconds": row["seconds"], "certain": known, "message": message, "readable": plan["readable"] or done,
        "source": row["fingerprint_source"] if done else plan["source"], "may_hold": [] if done else plan["may_hold"],
    }
