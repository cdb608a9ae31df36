# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""A report as metrics, in Prometheus' text format for the textfile collector of the node exporter. Pure.

The collector puts all files together, and refuses them all where two have the same series. So every series tells the kind of its
document: each kind has its own file. Names of numbers are no labels, since a fleet has thousands.
"""

from __future__ import annotations

import collections
import re
import typing as t

from ._page import Row, checked, is_audit, last_proofs, moment, number, rows, text, texts

# Also told where they are zero: a series that vanishes ends no alert.
_VERDICTS = ("absent", "current", "foreign", "mismatch", "pending", "retired", "unknown", "unreachable")
_OUTCOMES = ("accepted", "failed", "refused", "replaced", "resigned", "set", "skipped", "unchanged")

_Series = tuple[dict[str, str], float]
_Family = tuple[str, str, list[_Series]]


def metrics(document: dict[str, t.Any], previous: str = "") -> str:
    """Return the metrics of a report, in an order that is always the same. Raises ValueError for one of another schema.

    C(previous) is what the file had before: a run that failed keeps from it when the last one succeeded, which alerts go by.
    """
    report = checked(document)
    kind = text(report.get("kind"))
    lines = []
    success = _last_success(previous, kind)
    for name, told, found in (*_run(report, success), _numbers(report), *_keys(report), *_endpoints(report)):
        if found:
            lines += [f"# HELP waba_flows_{name} {told}", f"# TYPE waba_flows_{name} gauge"]
            lines += sorted(_line(f"waba_flows_{name}", {"kind": kind, **labels}, value) for labels, value in found)
    return "\n".join(lines) + "\n"


def _line(name: str, labels: dict[str, str], value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(told)}"' for label, told in labels.items())
    return f"{name}{{{shown}}} {_value(value)}"


def _escaped(told: str) -> str:
    return told.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _value(value: float) -> str:
    """Return a number without the exponent that would cost a time its seconds."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _once(value: float | bool | None) -> list[_Series]:
    return [] if value is None else [({}, float(value))]


def _stamp(value: t.Any) -> float | None:
    when = moment(value)
    return when.timestamp() if when else None


# ---- The run


def _last_success(previous: str, kind: str) -> float | None:
    line = rf'^waba_flows_run_last_success_timestamp_seconds{{kind="{re.escape(kind)}"}} ([0-9]{{1,12}})$'
    found = re.search(line, previous, re.MULTILINE)
    return float(found.group(1)) if found else None


def _run(report: Row, last_success: float | None) -> list[_Family]:
    failures = texts(report.get("failures"))
    succeeded = report["succeeded"] is True if "succeeded" in report else not failures
    check_mode = report.get("check_mode") is True
    finished = _stamp(report.get("finished_at"))
    # What check mode foretells is no success. An audit changes nothing either way.
    counts_as_done = succeeded and (is_audit(report) or not check_mode)
    reached = report.get("vault_reached")
    return [
        ("run_timestamp_seconds", "When the last run ended, in seconds since 1970.", _once(finished)),
        ("run_last_success_timestamp_seconds", "When the last run ended that succeeded and was not check mode.",
         _once(finished if counts_as_done else last_success)),
        ("run_succeeded", "Whether the last run had no failures (1) or some (0).", _once(succeeded)),
        ("run_check_mode", "Whether the last run was check mode (1), so that its results are predictions.", _once(check_mode)),
        ("run_duration_seconds", "How long the last run took.", _once(number(report.get("duration_seconds")))),
        ("run_failures", "Failures that the last run told of.", _once(len(failures))),
        ("run_numbers_left_out", "Numbers that --limit left out of the last run.", _once(number(report.get("left_out")))),
        ("run_vault_reached", "Whether the last audit reached the vault host (1) or not (0).",
         _once(reached if isinstance(reached, bool) else None)),
    ]


# ---- Numbers and keys


def _numbers(report: Row) -> _Family:
    name, known = ("verdict", _VERDICTS) if is_audit(report) else ("outcome", _OUTCOMES)
    numbers = rows(report.get("numbers"))
    told = collections.Counter((text(row.get("key_name")), text(row.get(name)) or "unknown") for row in numbers)
    keys = {key for key, dummy in told} | {text(row.get("name")) for row in rows(report.get("keys"))}
    counts = {**{(key, result): 0 for key in keys for result in known}, **told}
    family = "audited_numbers" if is_audit(report) else "published_numbers"
    done = "of the last audit by its verdict" if is_audit(report) else "of the last run by its outcome"
    series: list[_Series] = [({"key_name": key, name: result}, count) for (key, result), count in counts.items()]
    return family, f"Numbers of each key {done}.", series


def _keys(report: Row) -> list[_Family]:
    keys = {text(row.get("name")): row for row in rows(report.get("keys"))}
    now = _stamp(report.get("finished_at"))
    ages = [({"key_name": name}, now - since) for name, row in keys.items()
            if now is not None and (since := _current_since(row)) is not None]
    due = [({"key_name": name}, stamp) for name, row in keys.items() if (stamp := _stamp(row.get("due_at"))) is not None]
    problems = [({"key_name": name}, float(_has_problem(row))) for name, row in keys.items()]
    return [
        ("key_age_seconds", "For how long the current generation of a key had been current when the run ended.", ages),
        ("key_due_timestamp_seconds", "When a key is due for rotation, in seconds since 1970.", due),
        ("key_problem", "Whether something is wrong with a key or its keyring (1) or not (0).", problems),
    ]


def _current_since(key: Row) -> float | None:
    """Return when the current generation became current, or as near to that as is known."""
    for row in rows(key.get("generations")):
        if row.get("state") == "current":
            stamps = (_stamp(row.get(name)) for name in ("promoted_at", "published_at", "created_at"))
            return next((stamp for stamp in stamps if stamp is not None), None)
    return None


def _has_problem(key: Row) -> bool:
    return bool(text(key.get("message")) or text(key.get("stopped")) or texts(key.get("blocked")))


# ---- Endpoints


def _endpoints(report: Row) -> list[_Family]:
    endpoints = {text(row.get("host")): row for row in rows(report.get("endpoints"))}
    proofs = [({"endpoint": host, "key_name": text(proof.get("key_name")), "fingerprint": text(proof.get("fingerprint"))}, proof)
              for host, row in endpoints.items() for proof in last_proofs(row)]
    strict = {host: [proof["rejects_unknown_key"] for proof in rows(row.get("proofs"))
                     if isinstance(proof.get("rejects_unknown_key"), bool)] for host, row in endpoints.items()}
    return [
        ("endpoint_problem", "Whether an endpoint could not be asked or deployed to (1) or could (0).",
         [({"endpoint": host}, float(bool(text(row.get("message"))))) for host, row in endpoints.items()]),
        ("endpoint_proof_success", "Whether an endpoint decrypted its last ping under a key (1) or not (0).",
         [(labels, float(proof["proven"])) for labels, proof in proofs if isinstance(proof.get("proven"), bool)]),
        ("endpoint_proof_latency_seconds", "How long an endpoint took to answer its last ping under a key.",
         [(labels, round(latency / 1000, 6)) for labels, proof in proofs
          if (latency := number(proof.get("latency_ms"))) is not None]),
        ("endpoint_rejects_unknown_key", "Whether an endpoint always answered 421 to a key that it cannot know (1) or not (0).",
         [({"endpoint": host}, float(all(told))) for host, told in strict.items() if told]),
    ]
