# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The account of a run: a document for programs, lines for a person, and what failed with its remedy. Pure."""

from __future__ import annotations

import collections
import typing as t
from datetime import datetime

from ansible_collections.waba.flows.plugins.module_utils._reconcile import UNMET

from ._inventory_rows import Row, Rows, serves

SCHEMA = 1  # docs/report-schema.json
# From this many numbers on, the table leaves out those that nothing was to be done for.
_LONG_TABLE = 50
_FEW = 10
_BACK = {None: "", True: "+back", False: "+stays"}  # after a failed wave: went back to its previous key, or could not
_PROOF = ("key_name", "fingerprint", "when", "proven", "latency_ms", "rejects_unknown_key", "message")
_NUMBER = ("name", "phone_number_id", "provider", "key_name", "before", "after", "source", "status", "outcome", "wave",
           "attempts", "seconds", "certain", "rolled_back", "message")


def make_report(run: Row, finished_at: str) -> Row:
    """Return C(document), C(lines), C(failures) and C(summary) of a run.

    C(run) is what the role gathered (__encryption_keys_run of its variables).
    """
    document = _document(run, finished_at)
    document["failures"] = _failures(run, document)
    document["succeeded"] = not document["failures"]
    summary = {name: document[name] for name in ("kind", "run", "check_mode", "succeeded", "duration_seconds", "counts")}
    shown = ("rotation", "fingerprint", "state")
    summary["keys"] = {key["name"]: {name: key[name] for name in shown} for key in document["keys"]}
    summary["failed_numbers"] = sum(row["outcome"] in UNMET for row in document["numbers"])
    return {
        "eventful": _is_eventful(run, document), "document": document, "lines": _lines(run, document),
        "failures": document["failures"], "summary": summary,
    }


def _is_eventful(run: Row, document: Row) -> bool:
    """Tell whether a run changed anything or found anything wrong. Revoking once more what is revoked is nothing new."""
    changed = any(row["changed"] for row in (*run["rows"], *run["copied"], *run["deployed"]))
    known = {g["fingerprint"] for ring in run["keyrings"] for g in ring["generations"] if g["state"] == "revoked"}
    events = ("promoted", "rolled_back", "removed", "reencrypted")
    happened = any(key["revoked"] not in (None, *known) or any(key[name] for name in events) for key in document["keys"])
    return bool(document["failures"]) or changed or happened


def _document(run: Row, finished_at: str) -> Row:
    rows = run["rows"]
    return {
        "schema": SCHEMA,
        "kind": run["kind"],
        "run": run["id"],
        "started_at": run["started_at"],
        "finished_at": finished_at,
        "duration_seconds": round((_time(finished_at) - _time(run["started_at"])).total_seconds(), 3),
        "check_mode": bool(run["check_mode"]),
        "left_out": int(run["left_out"]),  # ansible-core up to 2.18 makes text of it
        "counts": dict(sorted(collections.Counter(row["outcome"] for row in rows).items())),
        "keys": [_key(ring, run) for ring in run["keyrings"]],
        "waves": [{"wave": wave["wave"], "numbers": len(wave["names"])} for wave in run["waves_done"]],
        "endpoints": [_endpoint(endpoint, run) for endpoint in run["endpoints"]],
        "replicas": [{"host": row["host"], "key_name": row["key_name"], "message": row["message"]} for row in run["copied"]],
        "numbers": [{name: row[name] for name in _NUMBER} for row in rows],
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _key(ring: Row, run: Row) -> Row:
    """Return the account of one key. C(rotation) is the id of the generation that the numbers are brought to."""
    target = ring["to_publish"] or {}
    promoted = {row["name"] for row in run["promoted"] if not row["message"]}
    given_up = {row["name"] for row in run["given_up"] if not row["message"]}
    state = target.get("state")
    if ring["name"] in promoted or (run["kind"] == "rollback" and target):
        state = "current"
    elif ring["name"] in given_up:
        state = "retired"
    rotation = next((g["id"] for g in ring["generations"] if g["fingerprint"] == target.get("fingerprint")), None)
    finish = run["finished"].get(ring["name"], {})
    return {
        "name": ring["name"],
        "rotation": rotation,
        "fingerprint": target.get("fingerprint"),
        "state": state,
        "predicted": ring["predicted"],
        "due_at": ring["due_at"],
        "promoted": ring["name"] in promoted,
        "rolled_back": ring["name"] in given_up,
        "stopped": run["stopped"].get(ring["name"]),
        "blocked": list(run["blocked"].get(ring["name"], [])),
        "revoked": finish.get("revoked"),
        "removed": finish.get("removed", []),
        "reencrypted": bool(ring["reencrypted"]),
        "proven_by": sorted({proof["endpoint"] for proof in run["proofs"] if proof["key_name"] == ring["name"] and proof["proven"]
                             and proof["fingerprint"] == target.get("fingerprint")}),
        "endpoints": sum(serves(endpoint, ring["name"]) for endpoint in run["endpoints"]),
        "other_run": (ring["other_run"] or {}).get("owner"),
        "message": ring["message"],
    }


def _endpoint(endpoint: Row, run: Row) -> Row:
    own = [row for row in run["deployed"] if row["endpoint"] == endpoint["name"]]
    return {
        "host": endpoint["name"],
        "deployed": bool(own) and not any(row["message"] for row in own),
        "changed": any(row["changed"] for row in own),
        "proofs": [{name: proof[name] for name in _PROOF} for proof in run["proofs"] if proof["endpoint"] == endpoint["name"]],
        "message": endpoint.get("problem") or "; ".join(row["message"] for row in own if row["message"]),
    }


def _failures(run: Row, document: Row) -> list[str]:
    rows = run["rows"]
    found = [f"{ring['name']} (keyring): {ring['message']}" for ring in run["keyrings"] if ring["message"]]
    for key in document["keys"]:
        found += [f"{key['name']} (nothing was published for it): {why}" for why in key["blocked"]]
        if key["stopped"]:
            why = key["stopped"].rstrip(".")
            found.append(f"{key['name']} (stopped): no further wave was started, because {why}. {_stop_remedy(run, key)}")
    found += [f"{row['name']} (promotion): {row['message']}" for row in run["promoted"] if row["message"]]
    found += [f"{row['name']} (rollback): its pending key could not be given up: {row['message']}"
              for row in run["given_up"] if row["message"]]
    found += run["late"]
    found += [f"{proof['endpoint']} (endpoint): {proof['when']} it did not decrypt {proof['fingerprint']}: {proof['message']}"
              for proof in run["proofs"] if proof["proven"] is False and proof["when"] == "after the rollback"]
    found += _grouped(row for row in rows if row["outcome"] in UNMET)
    gone_back = [row["name"] for row in rows if row["rolled_back"]]
    if gone_back:
        found.append(f"rolled back to the previous key: {', '.join(gone_back)}")
    found += [f"{row['name']} ({row['phone_number_id']}): {row['message']}"
              for row in rows if row["rolled_back"] is False and row["outcome"] not in UNMET]
    given_up = any(key["rolled_back"] for key in document["keys"])
    if found and run["forced"] and not given_up and not document["check_mode"]:
        found.append("To go on, run again without encryption_keys_force: with it, keys that are done are rotated once more.")
    return found


def _stop_remedy(run: Row, key: Row) -> str:
    if key["rolled_back"]:
        return "Its pending key was given up, and is due again when the current one is."
    kept = "No number was rolled back." if run["on_failure"] == "rollback" else "What is done is kept."
    if any(row["rolled_back"] for row in run["rows"] if row["key_name"] == key["name"]):
        kept = "Its numbers went back, but the key was not given up."
    return (f"{kept} Mend the cause, leave the number out of the group, or allow failures with encryption_keys_max_failures; the "
            "next run goes on with the same key.")


def _grouped(rows: t.Iterable[Row]) -> list[str]:
    """Return a text for each distinct cause, naming all numbers that share it: a fleet fails in few ways at a time."""
    causes: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for row in rows:
        causes[row["outcome"], row["message"]].append(f"{row['name']} ({row['phone_number_id'] or 'no ID'})")
    return [f"{_names(names, outcome)}: {outcome}: {message}" for (outcome, message), names in causes.items()]


def _names(names: list[str], outcome: str) -> str:
    """Return all names of numbers that failed; of those that were merely not started only some, as the table has them all."""
    if outcome != "skipped" or len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more"


def _lines(run: Row, document: Row) -> list[str]:
    """Return the report for a person: a table of the numbers, a line a key, and what has to be known besides."""
    new = {ring["to_publish"]["fingerprint"] for ring in run["keyrings"] if ring["predicted"]}
    total = f"{len(run['rows'])} numbers: " + ", ".join(f"{count} {outcome}" for outcome, count in document["counts"].items())
    waves = f" in {len(document['waves'])} waves" if len(document["waves"]) > 1 else ""
    lines = [*_table(run["rows"], new), ""]
    lines += [_key_line(key, document["check_mode"]) for key in document["keys"]]
    lines += [f"{total}{waves}.", *_proof_lines(document)]
    lines += run["notes"]
    lines += [f"key {key['name']}: another run, {key['other_run']}, has not told its end: it is still at work, or was killed."
              for key in document["keys"] if key["other_run"]]
    if document["left_out"]:
        lines.append(f"{document['left_out']} numbers of the group were left out by --limit, so no key was promoted.")
    if document["check_mode"]:
        lines.append("Check mode: nothing was changed; this is what a run would do.")
    return lines


def _key_line(key: Row, check_mode: bool) -> str:
    if key["message"]:
        return f"key {key['name']}: not usable"
    shown = "a new key" if key["predicted"] else key["fingerprint"]
    state = key["state"]
    if key["promoted"]:
        state = "would be promoted to current" if check_mode else "promoted to current"
    elif key["rolled_back"]:
        state = "given up and retired: the numbers went back"
    elif state == "pending":
        state = "pending: not every number holds it yet, the next run goes on with it"
    extra = [f"{len(key['removed'])} old removed"] if key["removed"] else []
    extra += [f"{key['revoked']} revoked"] if key["revoked"] else []
    extra += ["passphrase changed"] if key["reencrypted"] else []
    extra += [f"due {key['due_at']}"] if key["due_at"] and state == "current" else []
    return ", ".join([f"key {key['name']}: {shown}", state, *extra])


def _proof_lines(document: Row) -> list[str]:
    """Say for each key whether its endpoints proved that they decrypt with it; silence would be taken for a proof."""
    lines = []
    bare = [key["name"] for key in document["keys"] if not key["endpoints"]]
    if bare:
        names = ", ".join(bare)
        lines.append(f"No endpoint was asked to prove that it can decrypt with the key {names}: make sure that yours can.")
    for endpoint in document["endpoints"]:
        host = f"endpoint {endpoint['host']}"
        for proof in endpoint["proofs"]:
            key = f"key {proof['key_name']} {_short(proof['fingerprint'])}"
            if proof["proven"] and proof["when"] == "before":
                lines.append(f"{host}: decrypts with {key}, {proof['latency_ms']} ms")
            elif proof["proven"] is None:
                lines.append(f"{host}: key {proof['key_name']} is not provable in check mode")
            elif not proof["proven"]:
                lines.append(f"{host}: does NOT decrypt with {key} ({proof['when']})")
        if any(proof["rejects_unknown_key"] is False for proof in endpoint["proofs"]):
            lines.append(f"{host}: does not answer 421 to a key that it does not know, so clients that still use one never fetch "
                         "the new key: mend that before an old key is removed")
    return lines


def _short(fingerprint: str | None, predicted: t.Collection[str] = ()) -> str:
    if fingerprint is None:
        return "-"
    return "(new)" if fingerprint in predicted else fingerprint[:19] + "…"


def _status(row: Row) -> str:
    """Return what the API says of its signature, or that nobody asked it which key the number holds."""
    return "recorded" if row["source"] == "recorded" else str(row["status"] or "-")


def _table(rows: Rows, predicted: t.Collection[str]) -> list[str]:
    """Return the table of numbers; a fingerprint that check mode made up is shown as a new key."""
    shown = [row for row in rows if row["outcome"] != "unchanged"] if len(rows) >= _LONG_TABLE else rows
    head = ("number", "phone-number ID", "key", "before", "after", "signature", "wave", "outcome")
    cells = [
        (row["name"], row["phone_number_id"] or "-", row["key_name"], _short(row["before"]),
         _short(row["after"], predicted) if row["certain"] or not row["readable"] else "?",
         _status(row), row["wave"] or "-", row["outcome"] + _BACK[row["rolled_back"]])
        for row in shown
    ]
    widths = [max(len(str(line[column])) for line in (head, *cells)) for column in range(len(head))]
    lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(line, widths)).rstrip() for line in (head, *cells)]
    return [*lines, f"({len(rows) - len(shown)} unchanged numbers are not shown)"] if len(shown) < len(rows) else lines
