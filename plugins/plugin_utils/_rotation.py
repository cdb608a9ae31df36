# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The thinking of the role encryption_keys: which numbers there are, what each needs, and what came of it. Pure.

Data flows one way: host variables → numbers; numbers, what the API says and the keyrings → plan; plan and what was
published → report. Only numbers carry credentials; plan and report hold none.
"""

from __future__ import annotations

import collections
import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from jinja2 import Undefined

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION, number_list
from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._generations import KEY_NAME
from ansible_collections.waba.flows.plugins.module_utils._keys import normalise_fingerprint
from ansible_collections.waba.flows.plugins.module_utils._reconcile import (
    CHANGING,
    UNMET,
    Desired,
    PublishedKey,
    decide,
)

Row = dict[str, t.Any]
Rows = list[Row]

_PREFIX = "whatsapp_"
_OPTIONS = ("phone_number_id", *CONNECTION)
# What the modules will check of a number; checked here first, where a mistake is that number's alone.
_CHECKS = ArgumentSpecValidator(number_list({})["options"])
# From this many numbers on, the table leaves out those that nothing was to be done for.
_LONG_TABLE = 50


class HostProblem(Exception):
    """A host variable that cannot be used; the message names it and never its value."""


def collect_numbers(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> Rows:
    """Return one row a host: its name, key name and the options that its variables set.

    A host whose variables cannot be used gets a row with C(problem) instead of options, so that it fails as that number
    alone.
    """
    return [_collect_number(host, hostvars) for host in hosts]


def _collect_number(host: str, hostvars: t.Mapping[str, t.Any]) -> Row:
    row: Row = {"name": host, "key_name": "default"}
    try:
        variables = hostvars[host]
        key_name = _variable(variables, "key_name")
        row["key_name"] = "default" if key_name is None else str(key_name)
        if not KEY_NAME.fullmatch(row["key_name"]):
            row["key_name"] = "default"
            raise HostProblem("whatsapp_key_name may hold letters, digits, - and _ only, at most 64.")
        for option in _OPTIONS:
            value = _variable(variables, option)
            if value is not None:
                row[option] = value
        row.setdefault("phone_number_id", host if host.isdigit() else None)
        if row["phone_number_id"] is None:
            raise HostProblem("It has no phone-number ID: set the host variable whatsapp_phone_number_id.")
        row["phone_number_id"] = str(row["phone_number_id"]).strip()
        wrong = _CHECKS.validate({option: row[option] for option in _OPTIONS if option in row}).error_messages
        if wrong:
            raise HostProblem(f"The host variables whatsapp_… are not as the modules need them: {'; '.join(wrong)}.")
    except HostProblem as problem:
        return {"name": host, "key_name": row["key_name"], "phone_number_id": str(row.get("phone_number_id") or ""),
                "problem": str(problem)}
    return row


def _variable(variables: t.Mapping[str, t.Any], option: str) -> t.Any:
    """Return a host variable, templated, or None where it is not set. Raises HostProblem."""
    name = _PREFIX + option
    try:
        value = variables.get(name)
        if isinstance(value, Undefined):  # ansible-core 2.19 and newer hand it over, and it raises when it is used
            str(value)
    except Exception as error:
        # Templating fails in different ways from one ansible-core to the next. The error's text can quote a value, so
        # only the name of an undefined variable is taken from it.
        raise HostProblem(_cannot_template(name, str(error))) from None
    # ansible-core up to 2.18 hands over the text untemplated where a variable in it is undefined.
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        raise HostProblem(_cannot_template(name, ""))
    return value


def _cannot_template(name: str, why: str) -> str:
    undefined = re.search(r"'(\w+)' is undefined", why)
    cause = f"'{undefined.group(1)}' is undefined" if undefined else "a variable that it refers to is undefined or wrong"
    return f"The host variable {name} cannot be templated: {cause}."


def public_rows(numbers: Rows) -> Rows:
    """Return of the numbers what may be shown and stored: name, ID, key name and problem."""
    return [{key: row[key] for key in ("name", "phone_number_id", "key_name", "problem") if key in row} for row in numbers]


def for_module(numbers: Rows, credentials: t.Mapping[str, str], plan: Rows | None = None) -> Rows:
    """Return the usable numbers as the modules' option phone_numbers takes them, with their credentials.

    C(credentials) are for the numbers that have none of their own; an empty one counts as none. With a plan, only the
    numbers that need a POST, each with its key and compare-and-set.
    """
    shared = {name: value for name, value in credentials.items() if value}
    usable = [{**shared, **{k: v for k, v in row.items() if k != "key_name"}} for row in numbers if "problem" not in row]
    if plan is None:
        return usable
    wanted = {row["name"]: row for row in plan if row["publish"]}
    return [
        {
            **row,
            "business_public_key": wanted[row["name"]]["business_public_key"],
            "expected_fingerprints": wanted[row["name"]]["expected"],
        }
        for row in usable if row["name"] in wanted
    ]


def keyring_rows(results: Rows) -> Rows:
    """Return a row a key from the looped results of the keyring module; C(message) is empty where it is usable."""
    return [
        {
            "name": result["item"],
            "to_publish": result.get("to_publish"),
            "generations": result.get("generations", []),
            "pending": result.get("pending"),
            "predicted": result.get("predicted", False),
            "check_mode": result.get("check_mode", False),
            "message": "" if result.get("to_publish") else result.get("msg", "The vault host gave no answer."),
        }
        for result in results
    ]


def promoted_rows(ready: Rows, results: Rows) -> Rows:
    """Return a row a key that was to be promoted; C(message) is empty where it was, or where check mode predicts it."""
    answers = {result["item"]["name"]: result for result in results if isinstance(result.get("item"), dict)}
    return [{**row, "message": _promotion_message(row, answers.get(row["name"], {}))} for row in ready]


def _promotion_message(row: Row, answer: Row) -> str:
    if row["predicted"] or answer.get("current") == row["fingerprint"]:
        return ""
    return str(answer.get("msg", "The vault host gave no answer."))


def make_plan(
    numbers: Rows,
    read_rows: Rows,
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
    read = {row["name"]: row for row in read_rows}
    rings = {ring["name"]: ring for ring in keyrings}
    try:
        allowed = {normalise_fingerprint(item) for item in replaceable}
    except WabaError as error:
        raise ValueError(f"encryption_keys_replaceable_fingerprints: {error}") from None
    return [
        _plan_number(row, read.get(row["name"]), rings.get(row["key_name"]), replace_foreign, allowed) for row in numbers
    ]


def _plan_number(number: Row, read: Row | None, ring: Row | None, replace_foreign: bool, allowed: set[str]) -> Row:
    plan = {
        "name": number["name"], "phone_number_id": number["phone_number_id"], "key_name": number["key_name"],
        "before": None, "after": None, "status": None, "publish": False, "readable": False, "message": "",
    }
    if "problem" in number:
        return {**plan, "outcome": "failed", "message": number["problem"]}
    if read is None or read["outcome"] != "read":
        return {**plan, "outcome": "failed", "message": read["error"]["message"] if read else "It was not read."}
    plan.update(before=read["fingerprint"], after=read["fingerprint"], status=read["status"], readable=True)
    target = (ring or {}).get("to_publish")
    if not target:
        return {**plan, "outcome": "skipped", "message": f"The keyring '{number['key_name']}' is not usable, see its message."}
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


def merge_published(plan: Rows, published: Row | None) -> Rows:
    """Return the final row of each number: as planned, or as the fleet module says where it was asked to publish."""
    rows = {row["name"]: row for row in (published or {}).get("numbers", [])}
    return [_merge_number(row, rows.get(row["name"]), published or {}) for row in plan]


def _merge_number(plan: Row, row: Row | None, published: Row) -> Row:
    kept = {key: plan[key] for key in ("name", "phone_number_id", "key_name", "before", "after", "status", "outcome", "message",
                                       "readable")}
    kept.update(changed=False, attempts=0)
    if not plan["publish"]:
        return kept
    if row is None:
        why = published.get("msg", "The API host gave no answer.")
        if "error" in published:  # the module refused its options, or lacks a library: nothing was sent
            return {**kept, "outcome": "failed", "message": why}
        return {**kept, "outcome": "failed", "after": None, "status": None,
                "message": f"It is not known whether its key was sent: publishing broke off. {why}"}
    message = row["error"]["message"] if "error" in row else ""
    if row["outcome"] == "refused":
        message = f"Somebody set another key, {row['fingerprint']}, while this run was going on. Run again when that is settled."
    if row["outcome"] == "skipped":
        message = "It was not started, because more numbers had failed than encryption_keys_max_failures allows."
        return {**kept, "outcome": "skipped", "message": message}
    return {
        **kept, "before": row["previous_fingerprint"] or plan["before"], "after": row["fingerprint"], "status": row["status"],
        "outcome": row["outcome"], "changed": row["changed"], "attempts": row["attempts"], "message": message,
    }


def promotable(keyrings: Rows, rows: Rows, left_out: int) -> Rows:
    """Return name and fingerprint of each pending key that every number holds which was read and not refused.

    At least one number must hold it. With numbers left out by --limit nothing is promoted: the next whole run goes on.
    """
    if left_out:
        return []
    ready = []
    for ring in keyrings:
        if not ring.get("pending"):
            continue
        own = [row for row in rows if row["key_name"] == ring["name"] and row["readable"] and row["outcome"] != "refused"]
        if own and all(row["outcome"] not in UNMET and row["after"] == ring["pending"] for row in own):
            ready.append({"name": ring["name"], "fingerprint": ring["pending"], "predicted": ring["predicted"]})
    return ready


def make_report(rows: Rows, keyrings: Rows, promoted: Rows, left_out: int, forced: bool) -> Row:
    """Return the summary for a person (C(lines)), the counts by outcome, and what failed with its remedy (C(failures)).

    Whether it was check mode is told by what the modules say: a play can differ from the command line.
    """
    check_mode = any(ring["check_mode"] for ring in keyrings)
    failures = [f"{ring['name']} (keyring): {ring['message']}" for ring in keyrings if ring.get("message")]
    failures += [f"{row['name']} (promotion): {row['message']}" for row in promoted if row.get("message")]
    failures += _grouped(row for row in rows if row["outcome"] in UNMET)
    if failures and forced and not check_mode:
        failures.append("To go on, run again without encryption_keys_force: with it, keys that are done are rotated once more.")
    counts = dict(collections.Counter(row["outcome"] for row in rows))
    total = f"{len(rows)} numbers: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    new = {ring["to_publish"]["fingerprint"] for ring in keyrings if ring["predicted"]}
    lines = [*_table(rows, new), "", *_key_lines(keyrings, promoted, check_mode), total + "."]
    if left_out:
        lines.append(f"{left_out} numbers of the group were left out by --limit, so no key was promoted.")
    lines.append("No endpoint was asked to prove that it can decrypt with the key: make sure that yours can.")
    if check_mode:
        lines.append("Check mode: nothing was changed; this is what a run would do.")
    return {"lines": lines, "counts": counts, "failures": failures}


def _grouped(rows: t.Iterable[Row]) -> list[str]:
    """Return a text for each distinct cause, naming all numbers that share it: a fleet fails in few ways at a time."""
    causes: dict[str, list[str]] = collections.defaultdict(list)
    for row in rows:
        causes[f"{row['outcome']}: {row['message']}"].append(f"{row['name']} ({row['phone_number_id'] or 'no ID'})")
    return [f"{', '.join(names)}: {cause}" for cause, names in causes.items()]


def _key_lines(keyrings: Rows, promoted: Rows, check_mode: bool) -> list[str]:
    done = {row["name"] for row in promoted if not row.get("message")}
    lines = []
    for ring in keyrings:
        if ring.get("message"):
            lines.append(f"key {ring['name']}: not usable")
            continue
        target = ring["to_publish"]
        state = target["state"]
        if ring["name"] in done:
            state = "would be promoted to current" if check_mode else "promoted to current"
        elif state == "pending":
            state = "pending: not every number holds it yet, the next run goes on with it"
        shown = "a new key" if ring["predicted"] else target["fingerprint"]
        lines.append(f"key {ring['name']}: {shown}, {state}")
    return lines


def _short(fingerprint: str | None, predicted: t.Collection[str] = ()) -> str:
    if fingerprint is None:
        return "-"
    return "(new)" if fingerprint in predicted else fingerprint[:19] + "…"


def _table(rows: Rows, predicted: t.Collection[str]) -> list[str]:
    """Return the table of numbers; a fingerprint that check mode made up is shown as a new key."""
    shown = [row for row in rows if row["outcome"] != "unchanged"] if len(rows) >= _LONG_TABLE else rows
    head = ("number", "phone-number ID", "key", "before", "after", "signature", "outcome")
    cells = [
        (row["name"], row["phone_number_id"] or "-", row["key_name"], _short(row["before"]), _short(row["after"], predicted),
         row["status"] or "-", row["outcome"])
        for row in shown
    ]
    widths = [max(len(str(line[column])) for line in (head, *cells)) for column in range(len(head))]
    lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(line, widths)).rstrip() for line in (head, *cells)]
    return [*lines, f"({len(rows) - len(shown)} unchanged numbers are not shown)"] if len(shown) < len(rows) else lines
