# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as the role makes them, of fleets with everything that can be told; and the page of one, rendered."""

from __future__ import annotations

import base64
import collections
import hashlib
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jinja2

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles" / "encryption_keys" / "templates" / "report.html.j2"
NOW = datetime(2026, 11, 21, 6, 0, 42, tzinfo=timezone.utc)
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7*7 }}{% raw %}{# x #}",
    "</script><!--\u2028\u2029",
    "' onfocus='alert(3)' \\ \n & $(id)",
)

Row = dict[str, t.Any]


def fp(name: str) -> str:
    """Return a fingerprint that is always the same for a name."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")


def at(days: float) -> str:
    """Return the time so many days before the samples were made."""
    return f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def generation(key: str, place: int, state: str, created: float, **times: float) -> Row:
    """Return a generation; times are days before now."""
    ends = ("published", "promoted", "retired", "revoked", "last_seen")
    return {
        "id": f"{NOW - timedelta(days=created):%Y%m%dT%H%M%SZ}-{place:06x}", "fingerprint": fp(f"{key}{place}"), "state": state,
        "origin": "imported" if place == 0 else "generated", "created_at": at(created),
        **{f"{name}_at": at(times[name]) if name in times else None for name in ends},
    }


def _audit_keys() -> list[Row]:
    shop = [
        generation("shop", 0, "revoked", 410, published=409, promoted=409, retired=250, revoked=190, last_seen=240),
        generation("shop", 1, "retired", 251, published=250, promoted=249, retired=92, last_seen=60),
        generation("shop", 2, "current", 94, published=93, promoted=92, last_seen=0),
        generation("shop", 3, "pending", 2, published=1, last_seen=0),
    ]
    support = [
        generation("support", 1, "retired", 230, published=229, promoted=228, retired=31, last_seen=30),
        generation("support", 2, "current", 32, published=32, promoted=31, last_seen=0),
    ]
    return [
        {"name": "shop", "current": fp("shop2"), "pending": fp("shop3"), "due_at": at(2), "message": "", "generations": shop},
        {"name": "support", "current": fp("support2"), "pending": None, "due_at": at(-59), "message": "", "generations": support},
        {"name": "bookings", "current": fp("bookings0"), "pending": None, "due_at": None, "message": "",
         "generations": [generation("bookings", 0, "current", 300, published=299, promoted=298, last_seen=0)]},
        {"name": "clinic", "current": None, "pending": None, "due_at": None, "generations": [],
         "message": "The passphrase does not open it: give the right one in encryption_keys_passphrase."},
    ]


_REMEDIES = {
    "current": "", "pending": "",
    "retired": "It holds an older key of ours: run the rotation, which brings it to the current one.",
    "foreign": "It holds a key that is in no keyring here. Find out who set it; to replace it, run with encryption_keys_replace: "
               "always.",
    "absent": "It holds no key: run the rotation, which sets one.",
    "mismatch": "Meta's signature is stale: run the rotation, which sends the key again.",
    "unknown": "Its provider cannot be asked, and nothing is on record: run the rotation once, which records it.",
    "unreachable": "The API answered 401 (190): the access token has expired. Make a new one and set whatsapp_access_token.",
}
_SPREAD = ("current",) * 14 + ("pending", "pending", "retired", "foreign", "absent", "mismatch", "unknown", "unreachable")


def _audit_number(place: int) -> Row:
    verdict = _SPREAD[place * 7 % len(_SPREAD)]
    key = ("shop", "support", "bookings")[place % 3]
    days = {"shop": 92, "support": 31, "bookings": 298}[key]
    fingerprint = {
        "current": fp(f"{key}{0 if key == 'bookings' else 2}"), "mismatch": fp(f"{key}2"), "pending": fp("shop3"),
        "retired": fp(f"{key}1"), "foreign": fp(f"theirs{place}"),
    }.get(verdict)
    ages = {"current": days, "mismatch": days, "pending": 1, "retired": 249}
    age = ages.get(verdict)
    provider = ("cloud_api", "cloud_api", "graph_compatible", "gupshup", "on_premises")[place % 5]
    is_due = age is not None and verdict == "current" and key != "bookings"
    return {
        "name": f"{key}-{('de', 'fr', 'it', 'pl')[place % 4]}-{place:04d}",
        "phone_number_id": str(106540352242922 + place * 7919),
        "provider": provider, "key_name": key, "waba_id": str(102290129340398 + place // 40),
        "display_phone_number": f"+49 151 {place * 37 % 10**7:07d}" if place % 4 else None,
        "verified_name": ("Aurora Books", "Bäckerei Süß", "Caffè Nero", "Zażółć Gęślą")[place % 4],
        "fingerprint": fingerprint, "source": None if fingerprint is None else "recorded" if provider == "gupshup" else "read",
        "status": None if fingerprint is None else "MISMATCH" if verdict == "mismatch" else "VALID", "verdict": verdict,
        "since": None if age is None else at(age), "age_days": None if age is None else age + 0.5,
        "due_at": at(days - 90) if is_due else None, "message": _REMEDIES[verdict],
    }


def _proof(key: str, place: int, latency: float | None = 84.2, **members: t.Any) -> Row:
    return {"key_name": key, "fingerprint": fp(f"{key}{place}"), "proven": latency is not None, "latency_ms": latency,
            "rejects_unknown_key": True, "message": "", **members}


def _counts(numbers: list[Row], name: str) -> dict[str, int]:
    return dict(sorted(collections.Counter(row[name] for row in numbers).items()))


def audit(count: int = 180, **members: t.Any) -> Row:
    """Return the report of an audit with each verdict in it."""
    numbers = [_audit_number(place) for place in range(count)]
    lost = "It did not decrypt the ping: deploy the keys to it, or look into its log for 421."
    return {
        "schema": 1, "kind": "audit", "run": "20261121T060000Z-a81c3e", "started_at": at(42 / 86400), "finished_at": at(0),
        "duration_seconds": 42.0, "check_mode": False, "left_out": 0, "vault_reached": True,
        "counts": _counts(numbers, "verdict"),
        "keys": _audit_keys(),
        "endpoints": [
            {"host": "flows-eu-1.example.com", "message": "",
             "proofs": [_proof("shop", 2), _proof("shop", 3, 91), _proof("support", 2, 88)]},
            {"host": "flows-eu-2.example.com", "message": "",
             "proofs": [_proof("shop", 2, 120.4), _proof("support", 2, None, message=lost, rejects_unknown_key=False)]},
            {"host": "flows-us-1.example.com", "message": "It could not be reached: connection refused.", "proofs": []},
        ],
        "numbers": numbers, "accepted_verdicts": ["current", "pending"],
        "failures": [
            "clinic (keyring): The passphrase does not open it: give the right one in encryption_keys_passphrase.",
            f"flows-eu-2.example.com (endpoint): {lost}",
            *(", ".join(row["name"] for row in numbers if row["verdict"] == verdict) + f": {verdict}: {_REMEDIES[verdict]}"
              for verdict in ("foreign", "unreachable")),
        ],
        "succeeded": False, **members,
    }


_OUTCOMES = ("replaced",) * 12 + ("set", "set", "resigned", "accepted", "unchanged", "unchanged", "failed", "refused")
_WHY = {
    "failed": "The API answered 131000 three times: run again, the next run goes on with the same key.",
    "refused": "It holds a foreign key: to replace it, run with encryption_keys_replace: always.",
    "skipped": "A wave before it failed: mend the cause and run again.",
}


def _run_number(place: int, count: int) -> Row:
    outcome = _OUTCOMES[place * 3 % len(_OUTCOMES)] if place < count * 0.8 else "skipped"
    done = outcome in ("replaced", "set", "resigned", "accepted", "unchanged")
    is_sent = outcome not in ("skipped", "unchanged", "refused")
    before = None if outcome == "set" else fp("shop3") if outcome in ("unchanged", "resigned") else fp("shop2")
    return {
        "name": f"shop-{('de', 'fr', 'it')[place % 3]}-{place:04d}", "phone_number_id": str(106540352242922 + place * 7919),
        "provider": ("cloud_api", "gupshup")[outcome == "accepted"], "key_name": "shop", "before": before,
        "after": fp("shop3") if done else before, "source": "recorded" if outcome == "accepted" else "read",
        "status": None if outcome == "accepted" else "VALID", "outcome": outcome,
        "wave": 1 + place * 5 // count if is_sent else None, "attempts": int(is_sent) * (3 if outcome == "failed" else 1),
        "seconds": round(place % 17 / 10, 1) if is_sent else 0, "certain": True,
        "rolled_back": {0: True, 1: False}.get(place % 30) if outcome == "replaced" else None, "message": _WHY.get(outcome, ""),
    }


def rotation(count: int = 120, **members: t.Any) -> Row:
    """Return the report of a rotation that a wave stopped."""
    numbers = [_run_number(place, count) for place in range(count)]
    sizes = collections.Counter(row["wave"] for row in numbers if row["wave"])
    proofs = [
        _proof("shop", 3, 84.2, when="before"), _proof("shop", 3, 79, when="after wave 1"),
        _proof("shop", 3, None, when="after wave 2", message="It answered 500: look into its log."),
    ]
    return {
        "schema": 1, "kind": "rotation", "run": "20261121T060000Z-0b54d1", "started_at": at(192 / 86400), "finished_at": at(0),
        "duration_seconds": 192.0, "check_mode": False, "left_out": 12, "counts": _counts(numbers, "outcome"),
        "keys": [{
            "name": "shop", "rotation": "20261119T060000Z-000003", "fingerprint": fp("shop3"), "state": "pending",
            "predicted": False, "due_at": at(2), "promoted": False, "rolled_back": False,
            "stopped": "6 numbers failed, 5 are allowed", "blocked": [], "revoked": None, "removed": [fp("shop0")],
            "reencrypted": False, "proven_by": ["flows-eu-1.example.com"], "endpoints": 2, "other_run": None, "message": "",
        }],
        "waves": [{"wave": wave, "numbers": sizes[wave]} for wave in sorted(sizes)],
        "endpoints": [
            {"host": "flows-eu-1.example.com", "deployed": True, "changed": True, "proofs": proofs[:2], "message": ""},
            {"host": "flows-eu-2.example.com", "deployed": True, "changed": False, "proofs": proofs, "message": ""},
        ],
        "replicas": [
            {"host": "vault-2.example.com", "key_name": "shop", "message": ""},
            {"host": "vault-3.example.com", "key_name": "shop", "message": "The disk is full: make room and run again."},
        ],
        "numbers": numbers,
        "failures": [
            "shop (stopped): no further wave was started, because 6 numbers failed, 5 are allowed. Mend the cause.",
            ", ".join(row["name"] for row in numbers if row["outcome"] == "failed") + f": failed: {_WHY['failed']}",
        ],
        "succeeded": False, **members,
    }


def poisoned(value: t.Any, text: str) -> t.Any:
    """Return a document in which each text that is free ends in another one, and so does each name of a member."""
    if isinstance(value, dict):
        fixed = ("schema", "kind", "counts")
        return {name: one if name in fixed or name.endswith("_at") else poisoned(one, text) for name, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, text) for one in value]
    return value + text if isinstance(value, str) else value


def render(parts: Row) -> str:
    """Return the page, with Jinja set up as ansible.builtin.template has it."""
    environment = jinja2.Environment(  # noqa: S701 (Ansible escapes nothing, so this must not either)
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(encryption_keys_page=parts)
