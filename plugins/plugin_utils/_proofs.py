# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Which keys the endpoints have to prove, what they answered, and why nothing may be published for a key. Pure."""

from __future__ import annotations

from ._inventory_rows import Row, Rows, serves
from ._keyring_rows import said


def wanted_proofs(plan: Rows) -> Rows:
    """Return the keys that are to be published, each once: what the endpoints have to prove first."""
    wanted = {}
    for row in plan:
        if row["publish"]:
            wanted[row["key_name"], row["target"]] = row["business_public_key"]
    return [{"key_name": name, "fingerprint": fp, "business_public_key": pem} for (name, fp), pem in wanted.items()]


def published_proofs(plan: Rows, published: Row) -> Rows:
    """Return the keys that numbers hold now as the API returned them, each once: what the endpoints have to prove again."""
    names = {row["name"]: row["key_name"] for row in plan}
    keys = published.get("published_keys") or {}
    found = {(names[row["name"]], row["fingerprint"]) for row in published.get("numbers", [])
             if row["changed"] and row["fingerprint"] in keys}
    return [{"key_name": name, "fingerprint": fp, "business_public_key": keys[fp]} for name, fp in sorted(found)]


def pings(wanted: Rows, endpoints: Rows, keyrings: Rows, deployed: Rows, hook: bool = False) -> Rows:
    """Return each ping to send: a wanted key at an endpoint that serves it.

    C(provable) is false in check mode where the endpoint does not have the key yet, but would get it from this run: by it, or by
    tasks of the user's (C(hook)). One that is only a URL would not, so it is asked. C(fresh) tells that the endpoint got
    keys in this run, so that it may need a moment to take them up.
    """
    rings = {ring["name"]: ring for ring in keyrings}
    asked = []
    for key in wanted:
        for endpoint in endpoints:
            if "problem" in endpoint or not serves(endpoint, key["key_name"]):
                continue
            own = [row for row in deployed if row["endpoint"] == endpoint["name"]]
            coming = any(key["fingerprint"] in row["added"] for row in own if row["key_name"] == key["key_name"])
            ring = rings.get(key["key_name"], {})
            asked.append({
                **key,
                "endpoint": endpoint["name"],
                "options": {name: endpoint[f"endpoint_{name}"] for name in ("url", "timeout")}
                | {name: endpoint[name] for name in ("validate_certs", "ca_path", "allow_http")},
                "fresh": any(row["added"] or row["removed"] or row["reload_needed"] for row in own),
                "provable": not ring.get("check_mode")
                or not (coming or ring.get("predicted") if endpoint["endpoint_deploy"] else hook),
            })
    return asked


def proof_rows(asked: Rows, results: Rows, when: str) -> Rows:
    """Return a row a ping: C(proven) is true, false, or None where check mode cannot know. C(when) tells the point of the run."""
    answers = {(r["item"]["endpoint"], r["item"]["fingerprint"]): r for r in results if isinstance(r.get("item"), dict)}
    return [{**_proof_row(ping, answers.get((ping["endpoint"], ping["fingerprint"]), {})), "when": when} for ping in asked]


def _proof_row(ping: Row, answer: Row) -> Row:
    row = {name: ping[name] for name in ("endpoint", "key_name", "fingerprint")}
    row.update(latency_ms=answer.get("latency_ms"), rejects_unknown_key=answer.get("rejects_unknown_key"))
    if not ping["provable"]:
        return {**row, "proven": None, "message": "Not provable in check mode: the endpoint does not have the key yet."}
    if answer.get("decrypts"):
        return {**row, "proven": True, "message": ""}
    return {**row, "proven": False, "message": said(answer, "The ping was not sent.")}


def blocked(
    keyrings: Rows, *, endpoints: Rows, copied: Rows, deployed: Rows, proofs: Rows, reloads: Rows
) -> dict[str, list[str]]:
    """Return why nothing may be published for a key, by key name; keys that may be published are not there."""
    found: dict[str, list[str]] = {}
    for ring in keyrings:
        name = ring["name"]
        own = [endpoint for endpoint in endpoints if serves(endpoint, name)]
        why = [f"The replica {row['host']} has no durable copy of its keys: {row['message']}"
               for row in copied if row["key_name"] == name and row["message"]]
        why += [f"The endpoint {row['name']} cannot be asked: {row['problem']}" for row in own if "problem" in row]
        hosts = {endpoint["name"] for endpoint in own}
        why += [f"The keys could not be put on the endpoint {row['endpoint']}: {row['message']}"
                for row in deployed if row["message"] and row["endpoint"] in hosts and row["key_name"] in (name, None)]
        why += [row["message"] for row in reloads if row["endpoint"] in hosts or row["key_name"] == name]
        why += [f"The endpoint {row['endpoint']} did not prove that it decrypts with {row['fingerprint']}: {row['message']}"
                for row in proofs if row["key_name"] == name and row["proven"] is False]
        if why:
            found[name] = why
    return found
