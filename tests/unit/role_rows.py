# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of plugin_utils share: small builders for the rows that pass between the modules and the role's functions.

test_role_rows.py says that they have the members of what the modules and functions really return.
"""

from __future__ import annotations

import typing as t

from ansible_collections.waba.flows.plugins.plugin_utils import _inventory_rows as inventory
from ansible_collections.waba.flows.plugins.plugin_utils import _keyring_rows as keyrings
from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans

Row = dict[str, t.Any]
Rows = list[Row]

# Keys by name, and one that no keyring knows.
A, B, C, D, FOREIGN = ("SHA256:" + letter * 43 for letter in "ABCDX")
# By default key B is current and key C takes its place.
ROTATING = "A:retired B:current C:pending"

# All that Ansible tells of a host that it cannot reach.
UNREACHABLE: t.Final = {"unreachable": True, "msg": "Failed to connect to the host via ssh."}


def pem(fingerprint: str) -> str:
    """Return what stands for the public key; nothing in plugin_utils looks into it."""
    return f"the public key {fingerprint[7]}"


# -- the keyring module


def generation(fingerprint: str, state: str, **members: t.Any) -> Row:
    day = ord(fingerprint[7]) - ord("A") + 1
    return {
        "id": f"202603{day:02d}T120000Z-{fingerprint[7].lower() * 16}", "fingerprint": fingerprint, "state": state,
        "origin": "generated", "created_at": f"2026-03-{day:02d}T12:00:00Z", "published_at": None, "promoted_at": None,
        "retired_at": None, "revoked_at": None, "last_seen_at": None,
        "business_public_key": None if state == "revoked" else pem(fingerprint),
        "usable": None if state == "revoked" else True, "missing": False, "predicted": False, **members,
    }


def generations(text: str) -> Rows:
    """Return the generations of a text such as C(A:retired B:current)."""
    pairs = (word.split(":") for word in text.split())
    return [generation("SHA256:" + letter * 43, state) for letter, state in pairs]


def answer(item: t.Any, text: str = ROTATING, **members: t.Any) -> Row:
    """Return what the keyring module answers for an item of a loop."""
    rows = generations(text)
    found = {row["state"]: row["fingerprint"] for row in rows}
    target = found.get("pending") or found.get("current")
    state = "pending" if "pending" in found else "current"
    to_publish = {"fingerprint": target, "business_public_key": pem(target), "state": state} if target else None
    return {
        "item": item, "changed": False, "generations": rows, "accepted": {}, "pruned": [], "serial": 7,
        "current": found.get("current"), "pending": found.get("pending"), "to_publish": to_publish, "predicted": False,
        "check_mode": False, "due_at": None, "removed": [], "reencrypted": [], "exported": None, "lease": None, **members,
    }


def ring(name: str = "default", text: str = ROTATING, **members: t.Any) -> Row:
    """Return the row of a keyring."""
    return keyrings.keyring_rows([answer(name, text, **members)])[0]


def predicted_ring(name: str = "default", text: str = ROTATING) -> Row:
    """Return the row of a keyring in check mode whose pending key would be generated."""
    return ring(name, text, predicted=True, check_mode=True)


def broken_ring(name: str = "default", message: str = "wrong passphrase") -> Row:
    return keyrings.keyring_rows([{"item": name, "failed": True, "msg": message}])[0]


def exported(name: str = "default", text: str = ROTATING, secret: str = "encrypted") -> Row:
    """Return the keyring module's answer with the private keys."""
    keys = {row["id"]: f"{secret} {row['fingerprint'][7]}" for row in generations(text) if row["state"] != "revoked"}
    return answer(name, text, exported=keys)


def at(host: str, key_name: str = "default") -> Row:
    """Return an item of a loop over the copies of keyrings."""
    return {"host": host, "key_name": key_name}


# -- numbers


def number(name: str = "shop", key_name: str = "default", **members: t.Any) -> Row:
    return {"name": name, "phone_number_id": f"id-{name}", "key_name": key_name, **members}


def read(name: str = "shop", fingerprint: str | None = B, status: str | None = "VALID") -> Row:
    """Return the info module's row of a number."""
    return {"name": name, "phone_number_id": f"id-{name}", "provider": "cloud_api", "key_holder": None, "outcome": "read",
            "changed": False, "fingerprint": fingerprint, "fingerprint_source": "read", "previous_fingerprint": fingerprint,
            "status": status, "attempts": 0, "seconds": 0.1}


def unasked(name: str = "shop", provider: str = "kaleyra", key_holder: str | None = None) -> Row:
    """Return the info module's row of a number whose provider cannot be asked which key it holds."""
    return {**read(name, None, None), "provider": provider, "key_holder": key_holder, "outcome": "unknown",
            "fingerprint_source": None}


def unread(name: str = "shop", message: str = "no such number") -> Row:
    return {**read(name, None, None), "outcome": "failed", "error": {"message": message}}


def plan_of(held: t.Mapping[str, str | None], *rings: Row, keys: t.Mapping[str, str] | None = None, **options: t.Any) -> Rows:
    """Return the plan for numbers by what they hold; C(keys) are the key names that are not default."""
    numbers = [number(name, (keys or {}).get(name, "default")) for name in held]
    return plans.make_plan(numbers, [read(name, key) for name, key in held.items()], list(rings) or [ring()], **options)


def noted(*fingerprints: str, certain: bool = True) -> Row:
    """Return what a keyring has on record of a number."""
    return {"fingerprints": list(fingerprints), "certain": certain, "at": "2026-03-04T12:00:00Z"}


def blind_plan(records: t.Mapping[str, Row | None], text: str = ROTATING, **options: t.Any) -> Rows:
    """Return the plan for numbers whose provider cannot be asked, by what the keyring has on record of them."""
    accepted = {f"id-{name}": row for name, row in records.items() if row}
    state = ring("default", text, accepted=accepted)
    return plans.make_plan([number(name) for name in records], [unasked(name) for name in records], [state], **options)


# -- the fleet module, and what becomes of its rows


def sent(name: str = "shop", outcome: str = "replaced", **members: t.Any) -> Row:
    """Return the fleet module's row of a number, by default of one that went from key B to key C."""
    return {"name": name, "phone_number_id": f"id-{name}", "provider": "cloud_api", "key_holder": None, "outcome": outcome,
            "changed": True, "fingerprint": C, "fingerprint_source": "read", "previous_fingerprint": B, "status": "VALID",
            "attempts": 1, "seconds": 0.5, **members}


def taken(name: str = "shop", **members: t.Any) -> Row:
    """Return the fleet module's row of a number that took key C, and whose provider cannot be asked."""
    return sent(name, "accepted", **{"provider": "kaleyra", "fingerprint_source": "recorded", "status": None, **members})


def not_sent(name: str = "shop", message: str = "no permission", **members: t.Any) -> Row:
    """Return the row of a number whose POST was refused, so that it holds what it held."""
    return sent(name, "failed", **{"changed": False, "fingerprint": B, "error": {"message": message}, **members})


def maybe_sent(name: str = "shop", message: str = "cut") -> Row:
    """Return the row of a number that was sent a key, and nobody knows whether it was taken."""
    return sent(name, "failed", fingerprint=None, fingerprint_source=None, status=None, error={"message": message})


def wave(number_of: int, *rows: Row, proofs: t.Sequence[Row] = (), **published: t.Any) -> Row:
    """Return the row of a wave that is done."""
    names = [row["name"] for row in rows]
    return plans.wave_done({"numbers": list(rows), **published}, number_of, names, list(proofs))


def not_noted(key_name: str = "default", **result: t.Any) -> Row:
    """Return what the keyring module answers where it could not note what was about to be sent."""
    return {"item": {"key_name": key_name, "accepted": {}}, **(result or {"failed": True, "msg": "disk full"})}


def broken_wave(number_of: int, *names: str, **published: t.Any) -> Row:
    """Return the row of a wave that the fleet module gave no rows for."""
    return plans.wave_done(published, number_of, names, [])


def final(name: str = "shop", outcome: str = "replaced", **members: t.Any) -> Row:
    """Return the final row of a number, by default of one that went from key B to key C in wave 1."""
    return {"name": name, "phone_number_id": f"id-{name}", "provider": "cloud_api", "key_holder": None, "key_name": "default",
            "before": B, "after": C, "status": "VALID", "target": C, "outcome": outcome, "message": "", "readable": True,
            "source": "read", "may_hold": [], "changed": True, "attempts": 1, "seconds": 0.5, "wave": 1, "certain": True,
            "rolled_back": None, **members}


def accepted(name: str = "shop", **members: t.Any) -> Row:
    """Return the final row of a number that took key C in wave 1, and whose provider cannot be asked."""
    return final(name, **{"outcome": "accepted", "provider": "kaleyra", "source": "recorded", "status": None, **members})


def kept(name: str = "shop", outcome: str = "unchanged", **members: t.Any) -> Row:
    """Return the final row of a number that nothing was sent to."""
    return final(name, outcome, **{"changed": False, "attempts": 0, "seconds": 0.0, "wave": None, "before": C, **members})


def unreadable(name: str = "shop", **members: t.Any) -> Row:
    """Return the final row of a number that could not be read."""
    common = {"source": None, "before": None, "after": None, "status": None, "target": None,
              "readable": False, "certain": False}
    return kept(name, "failed", **{**common, "message": "no such number", **members})


def uncertain(name: str = "shop", **members: t.Any) -> Row:
    """Return the final row of a number of which it is not known whether it was sent key C."""
    return final(name, "failed", **{"after": None, "status": None, "certain": False, "message": "cut", **members})


# -- endpoints


def endpoint(name: str, *key_names: str, **variables: t.Any) -> Row:
    """Return the row of an endpoint host; without key names it serves every key."""
    given = {"endpoint_url": f"https://{name}.example.com/flow", "key_names": list(key_names) or None, **variables}
    hostvars = {name: {f"whatsapp_{option}": value for option, value in given.items()}}
    return inventory.collect_endpoints([name], hostvars)[0]


def put(endpoint_name: str, *rows: Row, **members: t.Any) -> Row:
    """Return what the endpoint keys module answers for a host."""
    return {"item": endpoint_name, "changed": any(row["changed"] for row in rows), "deployed": list(rows),
            "keys_changed": False, "reload_needed": False, **members}


def put_key(name: str = "default", **members: t.Any) -> Row:
    """Return the endpoint keys module's row of a key, by default of one that was there already."""
    return {"name": name, "changed": False, "added": [], "removed": [], "rewritten": [], "current": B, **members}


def deployed(*answers: Row) -> Rows:
    return keyrings.deployed_rows(list(answers))


def pong(item: Row, **members: t.Any) -> Row:
    """Return what the ping module answers for a ping, by default that the endpoint decrypts."""
    return {"item": item, "changed": False, "decrypts": True, "rejects_unknown_key": True, "status_code": 200,
            "unknown_key_status_code": 421, "latency_ms": 12.5, "fingerprint": item["fingerprint"], "signed": False,
            "attempts": 1, **members}


def proof(endpoint_name: str = "web-1", proven: bool | None = True, **members: t.Any) -> Row:
    """Return the row of a ping, by default one before publishing."""
    message = {True: "", False: "HTTP 421.", None: "Not provable in check mode."}[proven]
    return {"endpoint": endpoint_name, "key_name": "default", "fingerprint": C, "proven": proven, "when": "before",
            "latency_ms": 12.5 if proven else None, "rejects_unknown_key": True if proven else None, "message": message,
            **members}
