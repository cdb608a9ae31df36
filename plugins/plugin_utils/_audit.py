# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What an audit finds: a verdict for each number, with its remedy, and the account of all of them. Pure; it changes nothing."""

from __future__ import annotations

import collections
import typing as t
from datetime import datetime

from ansible_collections.waba.flows.plugins.module_utils._reconcile import MISMATCH

from ._inventory_rows import Row, Rows, serves
from ._keyring_rows import NO_ANSWER, said
from ._plan import as_list
from ._step_error import StepError

SCHEMA = 1  # docs/audit-schema.json
VERDICTS = ("current", "pending", "retired", "foreign", "absent", "mismatch", "unknown", "unreachable")
LABELS = ("waba_id", "display_phone_number", "verified_name")  # what an inventory may say of a number, for people
_GENERATION = ("id", "fingerprint", "state", "origin", "created_at", "published_at", "promoted_at", "retired_at", "revoked_at",
               "last_seen_at")
_PROOF = ("key_name", "fingerprint", "proven", "latency_ms", "rejects_unknown_key", "message")
_LONG_TABLE = 50
_STATES = {"current": "current", "pending": "pending", "retired": "retired"}
_RUN = "The next run of waba.flows.rotate mends it."


def accepted_verdicts(value: t.Any) -> list[str]:
    """Return the verdicts that an audit accepts. Raises StepError for one that there is not."""
    found = [str(item) for item in as_list(value)]
    wrong = [item for item in found if item not in VERDICTS]
    if wrong:
        known = ", ".join(VERDICTS)
        raise StepError(f"encryption_keys_audit_accept: there is no verdict {', '.join(wrong)}; there are {known}.")
    return found


def labels_of(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> dict[str, Row]:
    """Return by host what its variables say of the number for people; nothing of it is acted upon."""
    return {host: {label: _label(hostvars[host], f"whatsapp_{label}") for label in LABELS} for host in hosts}


def _label(variables: t.Mapping[str, t.Any], name: str) -> str | None:
    try:
        value = variables.get(name)
        return None if value is None else str(value)
    except Exception:  # one that cannot be templated is no reason to say nothing of the number
        return None


def audited_rows(numbers: Rows, read: Rows, results: Rows, labels: t.Mapping[str, Row], now: str) -> Rows:
    """Return the row of each number: what it holds, its verdict, since when, and what to do.

    C(results) are of a loop of the keyring module, state read; one without generations was not reached. C(now) is UTC text.
    """
    answers = {row["name"]: row for row in read}
    rings = {str(result["item"]): result for result in results}
    return [_audited(number, answers.get(number["name"]), rings, labels.get(number["name"], {}), now) for number in numbers]


def _audited(number: Row, read: Row | None, rings: t.Mapping[str, Row], labels: Row, now: str) -> Row:
    row: Row = {
        **{name: number[name] for name in ("name", "phone_number_id", "key_name")}, "provider": None,
        **{name: labels.get(name) for name in LABELS}, "fingerprint": None, "source": None, "status": None,
        "since": None, "age_days": None, "due_at": None,
    }
    if "problem" in number:
        return {**row, "verdict": "unreachable", "message": number["problem"]}
    if read is None or read["outcome"] not in ("read", "unknown"):
        return {**row, "verdict": "unreachable", "message": read["error"]["message"] if read else "It was not read."}
    ring = rings.get(number["key_name"], {})
    row.update({name: read[name] for name in ("provider", "fingerprint", "status")}, source=read["fingerprint_source"])
    if read["outcome"] == "unknown":
        record = ring.get("accepted", {}).get(number["phone_number_id"], {})
        if not record.get("certain"):
            why = f"Its provider ({row['provider']}) cannot be asked which key it holds, and none is on record for certain."
            return {**row, "verdict": "unknown", "message": f"{why} {_RUN}"}
        row.update(fingerprint=record["fingerprints"][0], source="recorded")
    verdict, message = _verdict(row, ring, rings)
    return {**row, **_age(row["fingerprint"], ring, now), "verdict": verdict, "message": message}


def _verdict(row: Row, ring: Row, rings: t.Mapping[str, Row]) -> tuple[str, str]:
    """Return the verdict of a number that was read, and what to do."""
    fingerprint = row["fingerprint"]
    if fingerprint is None:
        return "absent", f"It has no key, so Flows with an endpoint cannot be used. {_RUN}"
    if "generations" not in ring:
        if row["status"] == MISMATCH:
            return "mismatch", f"Meta's signature over its key is stale. {_RUN}"
        return "unknown", f"Whether {fingerprint} is one of ours is not known: {said(ring, 'the vault host was not asked.')}"
    generation = next((one for one in ring["generations"] if one["fingerprint"] == fingerprint), None)
    if generation is None:
        other = next((name for name, another in rings.items()
                      if any(one["fingerprint"] == fingerprint for one in another.get("generations", []))), None)
        whose = f"is one of the keyring '{other}', not of '{row['key_name']}'" if other else "no keyring of ours knows"
        return "foreign", (f"It holds {fingerprint}, which {whose}. Import its private half, or have it replaced "
                           "(encryption_keys_replaceable_fingerprints).")
    if generation["state"] == "revoked":
        return "foreign", f"It holds {fingerprint}, which was REVOKED: who has the leaked key can read what users type. {_RUN}"
    if row["status"] == MISMATCH:
        return "mismatch", f"Meta's signature over its key is stale, as after a new registration. {_RUN}"
    verdict = _STATES[generation["state"]]
    return verdict, f"It is still on an older key of ours. {_RUN}" if verdict == "retired" else ""


def _age(fingerprint: str | None, ring: Row, now: str) -> Row:
    """Return since when the key is in use, its age in days, and when it is due; nothing for a key that is not ours."""
    generation = next((one for one in ring.get("generations", []) if one["fingerprint"] == fingerprint), None)
    if generation is None:
        return {}
    since = generation["promoted_at"] or generation["published_at"] or generation["created_at"]
    age = (_time(now) - _time(since)).total_seconds() / 86400
    return {"since": since, "age_days": round(max(0.0, age), 2),
            "due_at": ring.get("due_at") if generation["state"] == "current" else None}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def held_proofs(rows: Rows, results: Rows) -> Rows:
    """Return the keys of ours that numbers hold, each once: what the endpoints should decrypt with now."""
    keys = {(str(result["item"]), one["fingerprint"]): one.get("business_public_key")
            for result in results for one in result.get("generations", [])}
    held = sorted({(row["key_name"], row["fingerprint"]) for row in rows if row["fingerprint"]})
    return [{"key_name": name, "fingerprint": fingerprint, "business_public_key": keys[name, fingerprint]}
            for name, fingerprint in held if keys.get((name, fingerprint))]


def make_audit(run: Row, finished_at: str) -> Row:
    """Return C(document), C(lines), C(failures) and C(summary) of an audit; C(run) is what the role gathered."""
    document = _document(run, finished_at)
    document["failures"] = _failures(run, document)
    document["succeeded"] = not document["failures"]
    summary = {name: document[name] for name in ("kind", "run", "succeeded", "duration_seconds", "counts", "vault_reached")}
    lines = _lines(document, run["endpoints"])
    return {"document": document, "lines": lines, "failures": document["failures"], "summary": summary}


def _document(run: Row, finished_at: str) -> Row:
    rows, results = run["rows"], run["results"]
    return {
        "schema": SCHEMA,
        "kind": "audit",
        "run": run["id"],
        "started_at": run["started_at"],
        "finished_at": finished_at,
        "duration_seconds": round((_time(finished_at) - _time(run["started_at"])).total_seconds(), 3),
        "check_mode": bool(run["check_mode"]),
        "left_out": int(run["left_out"]),
        "vault_reached": bool(results) and all("generations" in result for result in results),
        "counts": {verdict: count for verdict in VERDICTS
                   for count in [sum(row["verdict"] == verdict for row in rows)] if count},
        "accepted_verdicts": list(run["accept"]),
        "keys": [_key(result) for result in results],
        "endpoints": [_endpoint(endpoint, run["proofs"]) for endpoint in run["endpoints"]],
        "numbers": rows,
    }


def _key(result: Row) -> Row:
    return {
        "name": str(result["item"]), "current": result.get("current"), "pending": result.get("pending"),
        "due_at": result.get("due_at"), "message": "" if "generations" in result else said(result, NO_ANSWER),
        "generations": [{name: one.get(name) for name in _GENERATION} for one in result.get("generations", [])],
    }


def _endpoint(endpoint: Row, proofs: Rows) -> Row:
    own = [{name: proof[name] for name in _PROOF} for proof in proofs if proof["endpoint"] == endpoint["name"]]
    return {"host": endpoint["name"], "message": endpoint.get("problem", ""), "proofs": own}


def _failures(run: Row, document: Row) -> list[str]:
    """Return what is not as it should be: verdicts that are not accepted, grouped by cause, keyrings and endpoints."""
    found = [f"{key['name']} (keyring): {key['message']}" for key in document["keys"] if key["message"] and run["ask_vault"]]
    found += [f"{result['item']} (keyring): the file of the private key of {one['fingerprint']} ({one['state']}) is missing: "
              "restore it from a replica or a backup, or rotate." for result in run["results"]
              for one in result.get("generations", []) if one.get("missing")]
    causes: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for row in document["numbers"]:
        if row["verdict"] not in document["accepted_verdicts"]:
            causes[row["verdict"], row["message"]].append(f"{row['name']} ({row['phone_number_id'] or 'no ID'})")
    found += [f"{', '.join(names)}: {verdict}: {message}".rstrip(": ") for (verdict, message), names in causes.items()]
    for endpoint in document["endpoints"]:
        if endpoint["message"]:
            found.append(f"{endpoint['host']} (endpoint): {endpoint['message']}")
        host = f"{endpoint['host']} (endpoint)"
        found += [f"{host}: it does not decrypt {proof['fingerprint']}, which numbers hold: {proof['message']}"
                  for proof in endpoint["proofs"] if proof["proven"] is False]
    return found


def _lines(document: Row, endpoints: Rows) -> list[str]:
    """Return the audit for a person."""
    rows = document["numbers"]
    accepted = document["accepted_verdicts"]
    shown = [row for row in rows if row["verdict"] not in accepted] if len(rows) >= _LONG_TABLE else rows
    head = ("number", "phone-number ID", "key", "holds", "age", "signature", "verdict")
    cells = [(row["name"], row["phone_number_id"] or "-", row["key_name"], _short(row["fingerprint"]), _days(row["age_days"]),
              "recorded" if row["source"] == "recorded" else row["status"] or "-", row["verdict"]) for row in shown]
    widths = [max(len(str(line[column])) for line in (head, *cells)) for column in range(len(head))]
    lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(line, widths)).rstrip() for line in (head, *cells)]
    if len(shown) < len(rows):
        lines.append(f"({len(rows) - len(shown)} numbers with an accepted verdict are not shown)")
    lines += ["", *(_key_line(key) for key in document["keys"])]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in document["counts"].items())
    lines.append(f"{len(rows)} numbers: {counts}. Accepted: {', '.join(accepted) or 'none'}.")
    if not document["vault_reached"]:
        lines += ["The vault host was not reached, so it is not known which keys are ours. Numbers by key:", *_groups(rows)]
    names = sorted({row["key_name"] for row in rows})
    bare = [name for name in names if not any(serves(endpoint, name) for endpoint in endpoints)]
    if bare:
        lines.append(f"No endpoint was asked whether it decrypts with the key {', '.join(bare)}: make sure that yours do.")
    lines += [line for endpoint in document["endpoints"] for line in _endpoint_lines(endpoint)]
    if document["left_out"]:
        lines.append(f"{document['left_out']} numbers of the group were left out by --limit.")
    return lines


def _groups(rows: Rows) -> list[str]:
    """Return how many numbers hold each key, the most first."""
    counts = collections.Counter(row["fingerprint"] or "(no key)" for row in rows if row["verdict"] != "unreachable")
    return [f"  {fingerprint}: {count}" for fingerprint, count in counts.most_common()]


def _key_line(key: Row) -> str:
    if key["message"]:
        return f"key {key['name']}: not known ({key['message'].rstrip('.')})"
    parts = [f"current {key['current'] or 'none'}"]
    parts += [f"pending {key['pending']}"] if key["pending"] else []
    parts += [f"due {key['due_at']}"] if key["due_at"] else []
    return f"key {key['name']}: {', '.join(parts)}"


def _endpoint_lines(endpoint: Row) -> list[str]:
    lines = [f"endpoint {endpoint['host']}: {endpoint['message']}"] if endpoint["message"] else []
    for proof in endpoint["proofs"]:
        what = f"decrypts with key {proof['key_name']} {_short(proof['fingerprint'])}"
        lines.append(f"endpoint {endpoint['host']}: " + (
            f"{what}, {proof['latency_ms']} ms" if proof["proven"] else f"does NOT {what.replace('decrypts', 'decrypt', 1)}"))
    if any(proof["rejects_unknown_key"] is False for proof in endpoint["proofs"]):
        lines.append(f"endpoint {endpoint['host']}: does not answer 421 to a key that it does not know")
    return lines


def _short(fingerprint: str | None) -> str:
    return fingerprint[:19] + "…" if fingerprint else "-"


def _days(age: float | None) -> str:
    return "-" if age is None else f"{age:.0f} d"
