# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""A report as an HTML page: the parts that templates/report.html.j2 puts together. Pure.

Every text in the parts is HTML already, with nothing left that a browser or Jinja takes for markup: Ansible escapes nothing, and
up to 2.18 it renders whatever looks like a template in a variable. Documents are read tolerantly, since old ones are shown for
ever: what is missing, or is not of its type, is left out.
"""

from __future__ import annotations

import collections
import html
import json
import math
import re
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.waba.flows.plugins.module_utils._reconcile import UNMET

from ._step_error import StepError

Row = dict[str, t.Any]
Rows = list[Row]

SCHEMA = 1  # docs/report-schema.json and docs/audit-schema.json

# A result, its tone and its meaning; the worst first, which is how the table is sorted when it opens.
_VERDICTS: dict[str, tuple[str, str]] = {
    "unreachable": ("bad", "could not be asked"),
    "foreign": ("bad", "holds a key that is not its own, or one that was revoked"),
    "absent": ("bad", "holds no key"),
    "mismatch": ("bad", "holds its key with a stale signature"),
    "retired": ("warn", "holds an older key of ours"),
    "unknown": ("muted", "it cannot be told which key it holds"),
    "pending": ("accent", "holds the key that becomes current next"),
    "current": ("good", "holds the current key"),
}
_OUTCOMES: dict[str, tuple[str, str]] = {
    "failed": ("bad", "could not be read, or not be brought to its key"),
    "refused": ("bad2", "holds a key that may not be replaced"),
    "skipped": ("warn", "needed its key and was not started"),
    "replaced": ("good", "held another key and got its own"),
    "set": ("good2", "had no key and got its own"),
    "resigned": ("good3", "held its key with a stale signature, which was renewed"),
    "accepted": ("accent", "took its key; its provider cannot be asked which one it holds"),
    "unchanged": ("muted", "held its key already"),
}
_KINDS = {"audit": "Audit", "rotation": "Rotation", "rollback": "Rollback"}

# The table's columns: label, member, how it is shown, members that are shown below it in small print.
_Column = tuple[str, str, str, tuple[str, ...]]
_AUDIT_COLUMNS: tuple[_Column, ...] = (
    ("Number", "name", "text", ("verified_name", "display_phone_number")),
    ("Phone-number ID", "phone_number_id", "text", ("waba_id",)),
    ("Provider", "provider", "text", ()),
    ("Key", "key_name", "text", ("fingerprint",)),
    ("Verdict", "verdict", "badge", ("status", "source")),
    ("What to do", "message", "remedy", ()),
    ("Age (days)", "age_days", "number", ("since",)),
    ("Due", "due_at", "time", ()),
)
_RUN_COLUMNS: tuple[_Column, ...] = (
    ("Number", "name", "text", ()),
    ("Phone-number ID", "phone_number_id", "text", ("provider",)),
    ("Key", "key_name", "text", ()),
    ("Before", "before", "key", ()),
    ("After", "after", "key", ("status", "source")),
    ("Outcome", "outcome", "badge", ("went_back",)),
    ("What to do", "message", "remedy", ()),
    ("Wave", "wave", "number", ()),
    ("Tries", "attempts", "number", ()),
    ("Seconds", "seconds", "number", ()),
)
_WENT_BACK = {True: "went back to its previous key", False: "did not go back"}

_NONE = "\u2013"  # a dash where there is nothing
_LONG_TEXT = 400  # a failure that names hundreds of numbers is folded
_CHARTED_KEYS = 12
_CHARTED_GENERATIONS = 6
_CHARTED_WAVES = 10
_NARROW, _WIDE = 380, 1180  # about as wide as they are shown, so that their text has its size
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = (1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825)
# C0 and C1 controls save tab and line feed, and halves of surrogate pairs, which no file of UTF-8 can hold.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


# ---- Tolerant reading


def checked(document: t.Any) -> Row:
    """Return the document if it is one that can be read here. Raises StepError that says why not."""
    if not isinstance(document, dict):
        raise StepError("This is no report: it is not a JSON object.")
    schema = document.get("schema")
    if isinstance(schema, bool) or schema != SCHEMA:
        raise StepError(
            f"The schema of this report is {schema!r}, and this version of waba.flows reads {SCHEMA}: use the "
            "version that made it, or a newer one."
        )
    return document


def rows(value: t.Any) -> Rows:
    """Return the objects of a list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def texts(value: t.Any) -> list[str]:
    """Return the texts of a list that are not empty."""
    return [one for one in map(text, value) if one] if isinstance(value, list) else []


def text(value: t.Any) -> str:
    """Return a scalar as text, and anything else as an empty one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _UNPRINTABLE.sub("\ufffd", str(value)) if isinstance(value, (str, int, float)) else ""


# What is beyond these was not written by this collection, and would overflow where it is reckoned with.
_LARGEST = 10**15
_LAST_YEAR = 9000


def number(value: t.Any) -> float | int | None:
    """Return a number that can be counted with, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        return None
    return value


def moment(value: t.Any) -> datetime | None:
    """Return the time that a member of a document tells, or None; none that is so late that nothing could be added to it."""
    try:
        when = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        return None
    return when if when.year < _LAST_YEAR else None


def is_audit(document: Row) -> bool:
    """Tell an audit from a run that brings numbers to a key."""
    return document.get("kind") == "audit"


# ---- Text that is safe in the page


def _safe(value: t.Any) -> str:
    return html.escape(text(value)).replace("{", "&#123;").replace("}", "&#125;")


def _safe_json(value: t.Any) -> str:
    """Return JSON that can neither end its script element nor be taken for a Jinja template.

    Two braces in a row, or one before a percent or number sign, occur in texts alone, where an escape means the same.
    """
    written = json.dumps(value, ensure_ascii=True, separators=(",", ":"))  # ASCII: so U+2028 and U+2029 are escaped as well
    written = re.sub(r"\{(?=[{%#])", r"\\u007b", written)
    return written.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _day(when: datetime) -> str:
    """Return a day in words that are the same in each locale, which Ansible takes over from its user."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def _time(value: t.Any, with_hours: bool = False) -> str:
    """Return a time element, or what is there in its place."""
    when = moment(value)
    if when is None:
        return _safe(value) or _NONE
    shown = f"{_day(when)}" + (f", {when:%H:%M} UTC" if with_hours else "")
    return f'<time datetime="{_safe(value)}" title="{_safe(value)}">{shown}</time>'


def _key_text(value: t.Any) -> str:
    """Return a fingerprint, which the page cuts short as far as there is no room."""
    return f'<code class="fp" title="{_safe(value)}">{_safe(value)}</code>' if text(value) else _NONE


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{amount} {unit}" for amount, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if amount]
    return " ".join(parts) or "0 s"


def _many(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


# ---- The page


def page_parts(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the parts of the page of a report; the template calls them encryption_keys_page.

    C(document) is a rotation report or an audit report. Raises StepError for one of another schema.
    """
    report = checked(document)
    kind = text(report.get("kind"))
    label = _safe(_KINDS.get(kind, kind.capitalize() or "Report"))
    failures = texts(report.get("failures"))
    succeeded = report["succeeded"] is True if "succeeded" in report else not failures
    return {
        "title": f"{label} of encryption keys, {_plain_day(report.get('finished_at'))}",
        "label": label,
        "tone": "good" if succeeded else "bad",
        "headline": _headline(report, succeeded, len(failures)),
        "facts": _facts(report),
        "notices": _notices(report),
        "tiles": _tiles(report),
        "charts": [chart for chart in _charts(report) if chart["svg"]],
        "failures": [_failure(one) for one in failures],
        "key_cards": [_audit_key(row, report) if is_audit(report) else _run_key(row) for row in rows(report.get("keys"))],
        "endpoint_cards": [_endpoint(row) for row in rows(report.get("endpoints"))],
        "replica_rows": [_replica(row) for row in rows(report.get("replicas"))],
        "meanings": _meanings(report),
        "result_label": "verdict" if is_audit(report) else "outcome",
        "total": f"{len(rows(report.get('numbers'))):,}",
        "data": _safe_json(_table(report)),
    }


def _plain_day(value: t.Any) -> str:
    when = moment(value)
    return _day(when) if when else "time unknown"


def _headline(report: Row, succeeded: bool, failures: int) -> str:
    if not succeeded:
        return _many(failures, "failure") if failures else "It did not succeed"
    if report.get("check_mode") is True and not is_audit(report):
        return "All would go well"
    return "All is well"


def _facts(report: Row) -> Rows:
    seconds = number(report.get("duration_seconds"))
    known = (
        ("Run", _safe(report.get("run")) and f"<code>{_safe(report.get('run'))}</code>"),
        ("Started", _time(report.get("started_at"), with_hours=True)),
        ("Finished", _time(report.get("finished_at"), with_hours=True)),
        ("Took", "" if seconds is None else _duration(seconds)),
    )
    return [{"label": label, "value": value} for label, value in known if value and value != _NONE]


def _notices(report: Row) -> list[str]:
    """Return what has to be known before anything else here is believed."""
    found = []
    if report.get("check_mode") is True and not is_audit(report):
        found.append("Check mode: nothing was changed; this is what a run would do.")
    if report.get("vault_reached") is False:
        found.append("The vault host was not reached, so it cannot be told whose keys the numbers hold.")
    left_out = number(report.get("left_out")) or 0
    if left_out > 0:
        found.append(f"{_many(int(left_out), 'number')} of the group {'was' if left_out == 1 else 'were'} left out by --limit.")
    return found


def _results(report: Row) -> dict[str, tuple[str, str]]:
    return _VERDICTS if is_audit(report) else _OUTCOMES


def _result(report: Row, row: Row) -> str:
    return text(row.get("verdict" if is_audit(report) else "outcome")) or "unknown"


def _counts(report: Row) -> dict[str, int]:
    """Return how many numbers had each result, the worst first and those that are not known here last."""
    given = report.get("counts")
    told = {text(name): int(number(count) or 0) for name, count in given.items()} if isinstance(given, dict) else {}
    told = told or dict(collections.Counter(_result(report, row) for row in rows(report.get("numbers"))))
    order = [*_results(report), *sorted(told.keys() - _results(report).keys())]
    return {name: told[name] for name in order if told.get(name, 0) > 0}


def _tone(report: Row, result: str) -> str:
    return _results(report).get(result, ("muted", ""))[0]


def _meanings(report: Row) -> Rows:
    known = _results(report)
    return [{"name": name, "tone": known[name][0], "meaning": known[name][1]} for name in known]


def _failure(message: str) -> Row:
    """Return a failure; one that names hundreds of numbers has a short beginning and is folded."""
    short = message if len(message) <= _LONG_TEXT else message[: _LONG_TEXT // 2] + "…"
    return {"short": _safe(short), "full": "" if short == message else _safe(message)}


# ---- The fleet at a glance


def _tiles(report: Row) -> Rows:
    counts = _counts(report)
    total = sum(counts.values())
    unmet = sum(count for name, count in counts.items() if not _is_met(report, name))
    label = "not as they should be" if is_audit(report) else "without their key"
    tiles = [
        {"value": f"{total:,}", "label": "numbers", "tone": ""},
        {"value": f"{unmet:,}", "label": label, "tone": "bad" if unmet else "good"},
        *_proof_tile(report),
    ]
    due = min((when for row in rows(report.get("keys")) if (when := moment(row.get("due_at")))), default=None)
    if due is not None:
        late = due <= (moment(report.get("finished_at")) or due + timedelta(1))
        shown = _time(f"{due:%Y-%m-%dT%H:%M:%SZ}")
        tiles.append({"value": shown, "label": "a key is overdue" if late else "next key is due", "tone": "warn" if late else ""})
    return tiles


def _is_met(report: Row, result: str) -> bool:
    if not is_audit(report):
        return result not in UNMET
    accepted = report.get("accepted_verdicts")
    return result in (texts(accepted) if isinstance(accepted, list) else ["current"])


def _proof_tile(report: Row) -> Rows:
    """Count the endpoints that decrypted the last ping of each key."""
    endpoints = rows(report.get("endpoints"))
    if not endpoints:
        return []
    proven = sum(_endpoint_tone(row) == "good" for row in endpoints)
    tone = "bad" if any(_endpoint_tone(row) == "bad" for row in endpoints) else "good" if proven == len(endpoints) else ""
    label = "endpoints decrypt" if len(endpoints) > 1 else "endpoint decrypts"
    return [{"value": f"{proven:,}<small> of {len(endpoints):,}</small>", "label": label, "tone": tone}]


def last_proofs(endpoint: Row) -> Rows:
    """Return the last ping of each key and generation: a rotation asks several times."""
    found = {(text(row.get("key_name")), text(row.get("fingerprint"))): row for row in rows(endpoint.get("proofs"))}
    return list(found.values())


def _endpoint_tone(row: Row) -> str:
    proofs = last_proofs(row)
    if text(row.get("message")) or any(proof.get("proven") is False for proof in proofs):
        return "bad"
    if any(proof.get("rejects_unknown_key") is False for proof in rows(row.get("proofs"))):
        return "warn"
    return "good" if proofs and all(proof.get("proven") is True for proof in proofs) else "muted"


# ---- Keys and endpoints


def _card(name: t.Any, tone: str, badge: str, facts: t.Iterable[tuple[str, str]], notes: t.Iterable[str]) -> Row:
    shown = [{"label": label, "value": value} for label, value in facts if value and value != _NONE]
    return {
        "name": _safe(name), "tone": tone, "badge": _safe(badge), "facts": shown,
        "notes": [_safe(note) for note in notes if note], "generations": [], "proofs": [],
    }


def _audit_key(row: Row, report: Row) -> Row:
    due, now = moment(row.get("due_at")), moment(report.get("finished_at"))
    message = text(row.get("message"))
    tone, badge = ("good", "current") if text(row.get("current")) else ("muted", "no current key")
    if due and now and due <= now:
        tone, badge = "warn", "overdue"
    if text(row.get("pending")):
        tone, badge = "accent", "rotation under way"
    if message:
        tone, badge = "bad", "problem"
    facts = (
        ("Current", _key_text(row.get("current"))),
        ("Pending", _key_text(row.get("pending"))),
        ("Due", _time(row.get("due_at"))),
    )
    return {**_card(row.get("name"), tone, badge, facts, [message]),
            "generations": [_generation(one) for one in rows(row.get("generations"))]}


def _generation(row: Row) -> Row:
    state = text(row.get("state"))
    tones = {"current": "good", "pending": "accent", "revoked": "bad"}
    times = ("created_at", "published_at", "promoted_at", "retired_at", "last_seen_at", "revoked_at")
    return {"fingerprint": _key_text(row.get("fingerprint")), "state": _safe(state), "tone": tones.get(state, "muted"),
            "origin": _safe(row.get("origin")), "times": [_time(row.get(name)) for name in times]}


def _run_key(row: Row) -> Row:
    blocked, stopped, message = texts(row.get("blocked")), text(row.get("stopped")), text(row.get("message"))
    other = text(row.get("other_run"))
    facts = (
        ("Key", _key_text(row.get("fingerprint"))),
        ("Generation", _safe(row.get("rotation")) and f"<code>{_safe(row.get('rotation'))}</code>"),
        ("Due", _time(row.get("due_at"))),
        ("Proven by", _safe(", ".join(texts(row.get("proven_by"))))),
        ("Revoked", _key_text(row.get("revoked"))),
        ("Removed", " ".join(_key_text(one) for one in texts(row.get("removed")))),
        ("Passphrase", "changed" if row.get("reencrypted") is True else ""),
    )
    notes = [
        message,
        *(f"Nothing was published for it: {why}" for why in blocked),
        stopped and f"No further wave was started: {stopped}",
        "Check mode made this key up: a run will have another one." if row.get("predicted") is True else "",
        other and f"Another run, {other}, has not told its end: it is still at work, or was killed.",
    ]
    return _card(row.get("name"), *_run_key_state(row, bool(blocked or stopped or message)), facts, notes)


def _run_key_state(row: Row, is_bad: bool) -> tuple[str, str]:
    state = text(row.get("state"))
    if row.get("rolled_back") is True:
        return "warn", "given up"
    if is_bad:
        return "bad", state or "not usable"
    if row.get("promoted") is True:
        return "good", "promoted to current"
    return {"current": "good", "pending": "accent"}.get(state, "muted"), state


def _endpoint(row: Row) -> Row:
    tone = _endpoint_tone(row)
    badge = {"good": "decrypts", "bad": "problem", "warn": "decrypts, but", "muted": "not proven"}[tone]
    deployed = row.get("deployed")
    keys = "" if deployed is None else "changed" if row.get("changed") is True else "deployed" if deployed else "not deployed"
    strict = [proof.get("rejects_unknown_key") for proof in rows(row.get("proofs"))]
    unknown = "not refused" if False in strict else "answered with 421" if True in strict else ""
    notes = [
        text(row.get("message")),
        "It does not answer 421 to a key that it does not know, so clients that still use one never fetch the new key: mend that "
        "before an old key is removed." if False in strict else "",
    ]
    return {**_card(row.get("host"), tone, badge, [("Keys", keys), ("Unknown keys", unknown)], notes),
            "proofs": [_proof(one) for one in rows(row.get("proofs"))]}


def _proof(row: Row) -> Row:
    proven, latency = row.get("proven"), number(row.get("latency_ms"))
    tone, badge = ("good", "decrypts") if proven is True else ("bad", "does not") if proven is False else ("muted", "not asked")
    return {
        "key_name": _safe(row.get("key_name")), "fingerprint": _key_text(row.get("fingerprint")), "when": _safe(row.get("when")),
        "tone": tone, "badge": badge, "latency": _NONE if latency is None else f"{latency:,.0f} ms",
        "message": _safe(row.get("message")),
    }


def _replica(row: Row) -> Row:
    message = text(row.get("message"))
    return {"host": _safe(row.get("host")), "key_name": _safe(row.get("key_name")), "message": _safe(message),
            "tone": "bad" if message else "good", "badge": "no durable copy" if message else "has a copy"}


# ---- The table of numbers


def _table(report: Row) -> Row:
    """Return what the page's script makes the table of: rows as lists, which are half the size of objects."""
    columns = _AUDIT_COLUMNS if is_audit(report) else _RUN_COLUMNS
    names = list(dict.fromkeys(name for dummy, first, dummy2, below in columns for name in (first, *below)))
    known = _results(report)
    return {
        "columns": [
            {"label": label, "field": names.index(first), "shown": shown, "below": [names.index(name) for name in below]}
            for label, first, shown, below in columns
        ],
        "times": [names.index(name) for name in ("since", "due_at") if name in names],
        "keys": [names.index(name) for name in ("fingerprint",) if name in names],
        "results": {name: [known[name][0], rank] for rank, name in enumerate(known)},
        "rows": [[_cell(report, row, name) for name in names] for row in rows(report.get("numbers"))],
    }


def _cell(report: Row, row: Row, name: str) -> str | float | int | None:
    if name in ("verdict", "outcome"):
        return _result(report, row)
    if name == "went_back":
        went_back = row.get("rolled_back")
        return _WENT_BACK[went_back] if isinstance(went_back, bool) else None
    value = row.get(name)
    if name == "source" and value == "read":
        return None  # the rule; only what was not read is worth a word
    return number(value) if number(value) is not None else text(value) or None


# ---- Charts


def _charts(report: Row) -> Rows:
    label = "verdict" if is_audit(report) else "outcome"
    made = [{"title": f"Numbers by {label}", "svg": _bars(report), "wide": False}]
    if is_audit(report):
        made.append({"title": "Age of the keys that numbers hold", "svg": _histogram(report), "wide": False})
        made.append({"title": "Generations of the keys", "svg": _timeline(report), "wide": True})
    else:
        made.append({"title": "Waves", "svg": _waves(report), "wide": False})
    return made


def _svg(width: int, height: float, told: str, body: t.Iterable[str]) -> str:
    """Return a picture that says the same in words to those who do not see it."""
    return (f'<svg viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" role="img" aria-label="{_safe(told)}">'
            + "".join(body) + "</svg>")


def _rect(x: float, y: float, width: float, height: float, *, tone: str, told: str) -> str:
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="2" class="fill-{tone}">'
            f"<title>{_safe(told)}</title></rect>")


def _line(x: float, y: float, x2: float, y2: float, name: str = "axis") -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def _label(x: float, y: float, shown: t.Any, anchor: str = "start", name: str = "label") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{name}">{_safe(shown)}</text>'


def _cut(shown: str, length: int) -> str:
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def _bars(report: Row) -> str:
    counts = _counts(report)
    if not counts:
        return ""
    total, most = sum(counts.values()), max(counts.values())
    left, room, step = 96, _NARROW - 96 - 110, 30
    body = []
    for place, (name, count) in enumerate(counts.items()):
        y = place * step + 4
        width = max(room * count / most, 2)
        body.append(_label(0, y + 15, _cut(name, 13)))
        body.append(_rect(left, y, width, step - 9, tone=_tone(report, name), told=f"{name}: {count}"))
        body.append(_label(left + width + 8, y + 15, f"{count:,} · {_percent(count, total)}", name="value"))
    return _svg(_NARROW, len(counts) * step + 4, ", ".join(f"{name} {count}" for name, count in counts.items()), body)


def _percent(count: int, total: int) -> str:
    """Return a share that says 0 or 100 only where that is so."""
    share = 100 * count / total
    if 0 < share < 1:
        return "under 1 %"
    return "over 99 %" if 99 < share < 100 else f"{share:.0f} %"


def _histogram(report: Row) -> str:
    ages = [max(age, 0) for row in rows(report.get("numbers")) if (age := number(row.get("age_days"))) is not None]
    if not ages:
        return ""
    step = next((one for one in _STEPS if max(ages) / one < 10), math.ceil(max(ages) / 9))
    bins = collections.Counter(int(age // step) for age in ages)
    count = max(max(bins) + 1, 4)
    top, bottom, height = 22, 44, 150
    width = (_NARROW - 32) / count
    body = [_line(16, top + height, _NARROW - 16, top + height)]
    for place in range(count):
        tall = height * bins[place] / max(bins.values())
        x = 16 + place * width
        if bins[place]:
            told = f"{place * step} to {(place + 1) * step} days: {bins[place]}"
            body.append(_rect(x + 3, top + height - max(tall, 2), width - 6, max(tall, 2), tone="accent", told=told))
            body.append(_label(x + width / 2, top + height - max(tall, 2) - 6, f"{bins[place]:,}", "middle", "value"))
    body += [_label(16 + place * width, top + height + 16, place * step, "middle") for place in range(count + 1)]
    without = len(rows(report.get("numbers"))) - len(ages)
    unit = "days" + (f" · {without:,} without a known age" if without else "")
    body.append(_label(_NARROW / 2, top + height + 36, unit, "middle"))
    told = ", ".join(f"{place * step} to {(place + 1) * step} days: {bins[place]}" for place in sorted(bins))
    return _svg(_NARROW, top + height + bottom, f"{told} numbers", body)


# -- Waves


def _waves(report: Row) -> str:
    """Return stacked columns. Where there are many waves, neighbours share a column."""
    waves = _wave_results(report)
    if not waves:
        return ""
    numbers = sorted(waves)
    size = 1 if len(numbers) <= _CHARTED_WAVES else math.ceil(len(numbers) / (_CHARTED_WAVES - 2))  # spans need more room
    groups = [numbers[start:start + size] for start in range(0, len(numbers), size)]
    stacks = [(_span(group), sum((waves[one] for one in group), collections.Counter())) for group in groups]
    order = [name for name in reversed([*_OUTCOMES, "published"]) if any(stack[name] for dummy, stack in stacks)]
    body, height = _columns(report, stacks, order), 22 + 150 + 40
    for place, name in enumerate(order):
        x, y = place % 3 * 124, height + place // 3 * 20
        body.append(_rect(x, y - 10, 12, 12, tone=_tone(report, name), told=name))
        body.append(_label(x + 18, y, name))
    told = "; ".join(
        f"wave {span}: " + ", ".join(f"{stack[name]} {name}" for name in order if stack[name]) for span, stack in stacks
    )
    return _svg(_NARROW, height + math.ceil(len(order) / 3) * 20 - 6, told, body)


def _wave_results(report: Row) -> dict[int, collections.Counter[str]]:
    waves: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row in rows(report.get("numbers")):
        if (wave := number(row.get("wave"))) is not None:
            result = _result(report, row)
            waves[int(wave)][result if result in _OUTCOMES else "published"] += 1
    if not waves:  # the numbers do not tell, but the plan may
        for row in rows(report.get("waves")):
            wave, count = number(row.get("wave")), number(row.get("numbers"))
            if wave is not None and count and count > 0:
                waves[int(wave)]["published"] += int(count)
    return waves


def _span(group: list[int]) -> str:
    return str(group[0]) if len(group) == 1 else f"{group[0]}\u2013{group[-1]}"


def _columns(report: Row, stacks: list[tuple[str, collections.Counter[str]]], order: list[str]) -> list[str]:
    top, height = 22, 150
    width = min((_NARROW - 20) / len(stacks), 90)
    most = max(sum(stack.values()) for dummy, stack in stacks)
    body = [_line(10, top + height, _NARROW - 10, top + height)]
    for place, (span, stack) in enumerate(stacks):
        x, y = 10 + place * width, float(top + height)
        for name in order:
            tall = height * stack[name] / most
            y -= tall
            if tall:
                told = f"wave {span}: {stack[name]} {name}"
                body.append(_rect(x + 3, y, width - 6, tall, tone=_tone(report, name), told=told))
        body.append(_label(x + width / 2, y - 6, f"{sum(stack.values()):,}", "middle", "value"))
        body.append(_label(x + width / 2, top + height + 16, span, "middle"))
    return body


# -- Timeline


class _Axis:
    """Places times between two edges."""

    def __init__(self, first: datetime, last: datetime, left: float, right: float) -> None:
        self.first, self.last = first, max(last, first + timedelta(days=1))
        self.left, self.right = left, right

    def x(self, when: datetime) -> float:
        share = (when - self.first) / (self.last - self.first)
        return self.left + (self.right - self.left) * min(max(share, 0.0), 1.0)

    def ticks(self) -> t.Iterator[tuple[float, str]]:
        for place in range(6):
            when = self.first + (self.last - self.first) * place / 5
            yield self.x(when), _day(when)


def _timeline(report: Row) -> str:
    """Return a bar for each generation of each key: waiting, current, kept after it was retired."""
    keys = [(row, rows(row.get("generations"))) for row in rows(report.get("keys"))]
    shown = [(key, _newest(made)) for key, made in keys if _newest(made)]
    hidden = max(len(shown) - _CHARTED_KEYS, 0)
    shown = shown[:_CHARTED_KEYS]
    members = [row.get(name) for key, made in shown for row in (key, *made) for name in ("created_at", "due_at")]
    times = [when for member in members if (when := moment(member))]
    now = moment(report.get("finished_at")) or max(times, default=None)
    if not shown or now is None:
        return ""
    axis = _Axis(min(times), max(*times, now), 150, _WIDE - 40)
    body, y = [], 6.0
    for key, made in shown:
        body.append(_label(0, y + 14, _cut(text(key.get("name")), 20), name="value"))
        for row in made:
            body += _generation_bar(row, axis, y, now)
            if row.get("state") == "current" and (due := moment(key.get("due_at"))):
                body.append(_line(axis.x(due), y, axis.x(due), y + 19, "due"))
            y += 22
        y += 10
    return _timeline_svg(axis, body, y, now, hidden)


def _newest(made: Rows) -> Rows:
    return [row for row in made if moment(row.get("created_at"))][-_CHARTED_GENERATIONS:]


def _generation_bar(row: Row, axis: _Axis, y: float, now: datetime) -> list[str]:
    """Return the bar's pieces. A time that is missing ends nothing: the piece goes on to the next one that is known."""
    created = moment(row["created_at"]) or now  # _newest
    promoted, retired, revoked = (moment(row.get(f"{name}_at")) for name in ("promoted", "retired", "revoked"))
    end = revoked or now
    pieces = [(created, promoted or retired or end, "accent", "created, not yet current")]
    if promoted:
        pieces.append((promoted, retired or end, "good", "current"))
    if retired:
        pieces.append((retired, end, "muted", "retired"))
    name = text(row.get("fingerprint"))
    body = [
        _rect(axis.x(start), y + 3, max(axis.x(stop) - axis.x(start), 1.5), 13, tone=tone,
              told=f"{name}: {told} from {start:%Y-%m-%d}")
        for start, stop, tone, told in pieces if stop >= start
    ]
    if revoked:
        body.append(_rect(axis.x(revoked) - 2, y, 4, 19, tone="bad", told=f"{name}: revoked {revoked:%Y-%m-%d}"))
    return body


def _timeline_svg(axis: _Axis, body: list[str], y: float, now: datetime, hidden: int) -> str:
    grid = [_line(x, 0, x, y, "grid") for x, dummy in axis.ticks()]
    below = [_label(x, y + 16, shown, "middle") for x, shown in axis.ticks()]
    below.append(_line(axis.x(now), 0, axis.x(now), y, "now"))
    legend = (("accent", "not yet current"), ("good", "current"), ("muted", "retired"), ("bad", "revoked"))
    for place, (tone, name) in enumerate(legend):
        below.append(_rect(150 + place * 140, y + 33, 12, 12, tone=tone, told=name))
        below.append(_label(150 + place * 140 + 18, y + 43, name))
    below += [_line(716, y + 32, 716, y + 46, "due"), _label(724, y + 43, "due")]
    below += [_line(776, y + 32, 776, y + 46, "now"), _label(784, y + 43, "this report")]
    if hidden:
        below.append(_label(0, y + 66, f"{_many(hidden, 'more key')} below"))
    told = "When each generation of each key was made, current and retired; the same is listed with the keys below"
    return _svg(_WIDE, y + (74 if hidden else 52), told, [*grid, *body, *below])
