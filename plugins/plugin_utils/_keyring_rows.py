# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Keyrings, their copies on replicas and their deployment on endpoints: what the modules answer into rows. Pure.

Without secrets, but for bundles, copy_source and deployment, which hand encrypted private keys on to tasks under no_log.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError, restore_from
from ansible_collections.waba.flows.plugins.module_utils._generations import SCHEMA, Generation, from_document
from ansible_collections.waba.flows.plugins.module_utils._keys import normalise_fingerprint
from ansible_collections.waba.flows.plugins.module_utils._manifest import manifest_of

from ._inventory_rows import Row, Rows
from ._step_error import StepError

NO_ANSWER = "It gave no answer."


def keyring_rows(results: Rows, problems: t.Mapping[str, str] | None = None) -> Rows:
    """Return a row a key from the looped results of the keyring module; C(message) is empty where it is usable.

    C(problems) are keys that were left alone, and why.
    """
    rows = [
        {
            "name": result["item"],
            "to_publish": result.get("to_publish"),
            "generations": result.get("generations", []),
            "pruned": result.get("pruned", []),
            "accepted": result.get("accepted", {}),
            "pending": result.get("pending"),
            "current": result.get("current"),
            "predicted": result.get("predicted", False),
            "check_mode": result.get("check_mode", False),
            "due_at": result.get("due_at"),
            "other_run": (result.get("lease") or {}).get("other"),
            "reencrypted": result.get("reencrypted", []),
            "message": "" if result.get("to_publish") else said(result, "The vault host gave no answer."),
        }
        for result in results
    ]
    known = {row["name"] for row in rows}
    blank: Row = {"to_publish": None, "generations": [], "pruned": [], "accepted": {}, "pending": None, "current": None,
                  "predicted": False, "check_mode": False, "due_at": None, "other_run": None, "reencrypted": []}
    return rows + [{**blank, "name": name, "message": message} for name, message in (problems or {}).items() if name not in known]


def replica_view(results: Rows) -> dict[str, t.Any]:
    """Return what the copies of the keyrings say: C(required), the fingerprints that the vault host must know, or have known,
    by key name; C(newest), the serial of the newest copy and the host that has it, by key name; C(problems), why a key cannot
    be worked on, by key name.

    C(results) are of a loop of the keyring module, state read, over items with C(host) and C(key_name).
    """
    required: dict[str, list[str]] = collections.defaultdict(list)
    newest: dict[str, Row] = {}
    problems: dict[str, str] = {}
    for result in results:
        host, key_name = result["item"]["host"], result["item"]["key_name"]
        if "generations" not in result:
            problems[key_name] = f"Nothing was done with it, because the replica {host} cannot be used: {said(result, NO_ANSWER)}"
            continue
        known = [generation["fingerprint"] for generation in result["generations"]]
        required[key_name] += [fingerprint for fingerprint in known if fingerprint not in required[key_name]]
        if key_name not in newest or result["serial"] > newest[key_name]["serial"]:
            newest[key_name] = {"serial": result["serial"], "host": host}
    return {"required": dict(required), "newest": newest, "problems": problems}


def behind(results: Rows, newest: t.Mapping[str, Row]) -> list[str]:
    """Return a message for each keyring that is older than the newest of its copies: it was put back from a backup.

    C(results) are of a loop of the keyring module over key names, C(newest) is of replica_view.
    """
    return [
        f"The keyring '{result['item']}' is at change {result['serial']}, its copy on {copy['host']} at change {copy['serial']}. "
        f"Rebuild it from that: {restore_from(copy['host'])}"
        for result in results if "generations" in result
        for copy in [newest.get(result["item"])] if copy and result["serial"] < copy["serial"]
    ]


def keyrings_of(results: Rows, fingerprint: str) -> list[str]:
    """Return the names of the keys that have a generation, which can be several after an import.

    Raises StepError where none has.
    """
    wanted = normalised([fingerprint], "the fingerprint given").pop()
    found = [str(result["item"]) for result in results
             if any(generation["fingerprint"] == wanted for generation in result.get("generations", []))]
    if found:
        return found
    unread = [f"{result['item']}: {said(result, NO_ANSWER)}" for result in results if "generations" not in result]
    known = [f"{g['fingerprint']} ({result['item']}, {g['state']})" for result in results for g in result.get("generations", [])]
    because = f" Not readable: {'; '.join(unread).rstrip('.')}." if unread else ""
    raise StepError(f"No keyring of these numbers has the key {wanted}. Known: {', '.join(known) or 'none'}.{because}")


def aim(results: Rows, fingerprint: str) -> Rows:
    """Return the keyring row for a rollback: the one key that has the generation, with it as the key to publish.

    Raises StepError where it cannot be gone back to.
    """
    names, wanted = keyrings_of(results, fingerprint), normalised([fingerprint], "the fingerprint given").pop()
    if len(names) > 1:
        raise StepError(
            f"{wanted} is in the keyrings {', '.join(names)}: say which is meant by an encryption_keys_group with the numbers of "
            "one."
        )
    result = next(result for result in results if result["item"] == names[0])
    target = next(g for g in result["generations"] if g["fingerprint"] == wanted)
    if target["state"] not in ("retired", "current"):
        raise StepError(f"{wanted} is {target['state']}; only a retired key can be gone back to.")
    if not target.get("usable") or not target.get("business_public_key"):
        raise StepError(f"The private key of {wanted} is not on the vault host or cannot be opened; nothing was changed.")
    to_publish = {"fingerprint": wanted, "business_public_key": target["business_public_key"], "state": target["state"]}
    return keyring_rows([{**result, "to_publish": to_publish}])


def copies(hosts: t.Sequence[str], key_names: t.Sequence[str]) -> Rows:
    """Return each copy of a keyring that is to be made, as an item of a loop."""
    return [{"host": host, "key_name": name} for host in hosts for name in key_names]


def copy_source(results: Rows, key_name: str, lost: bool = False) -> dict[str, t.Any]:
    """Return a keyring as the keyring module's option source takes it; private keys go along where they were exported.

    One that could not be read lacks C(generations), so that the module refuses it: it would be copied as an empty one. If the
    original was C(lost), the copy's records may be those before numbers were sent a key, so that none is certain any more.
    """
    result = next((result for result in results if result["item"] == key_name), {})
    accepted, generations = result.get("accepted", {}), result.get("generations")
    if lost:
        usable = [one["fingerprint"] for one in generations or () if one["state"] != "revoked"]
        accepted = {name: {**row, "fingerprints": list(dict.fromkeys([*row["fingerprints"], *usable])), "certain": False}
                    for name, row in accepted.items()}
    # What is rebuilt is newer than the copy, and than all that it was a copy of.
    source = {"accepted": accepted, "pruned": result.get("pruned", []), "private_keys": result.get("exported") or {},
              "serial": result.get("serial", 0) + lost}
    return source if generations is None else {**source, "generations": generations}


def copy_rows(results: Rows, sources: Rows | None = None) -> Rows:
    """Return a row a copy that was to be made of a keyring, from a loop over items with C(host) and C(key_name).

    C(sources) are the results that copy_source took the keyrings from.
    """
    lost = {result["item"]: f"The vault host did not hand its keys over: {said(result, NO_ANSWER)}"
            for result in sources or () if "generations" not in result}
    return [
        {**result["item"], "changed": result.get("changed", False),
         "message": lost.get(result["item"]["key_name"]) or ("" if "generations" in result else said(result, NO_ANSWER))}
        for result in results if isinstance(result.get("item"), dict)
    ]


def bundles(keyrings: Rows, taken: t.Sequence[Row], key_names: t.Sequence[str] | None = None) -> Rows:
    """Return the keys as the module whatsapp_flows_endpoint_keys takes them, for the keys that an endpoint serves.

    C(taken) are results of the keyring module with C(exported); without them no private key goes along. In check mode a key
    that would be generated is there without one.
    """
    exported = {result["item"]: result["exported"] for result in taken if result.get("exported")}
    found = []
    for ring in keyrings:
        if ring["message"] or not (key_names is None or ring["name"] in key_names):
            continue
        generations = [{**g, "predicted": ring["predicted"] and g["state"] == "pending"} for g in ring["generations"]]
        found.append({
            "name": ring["name"], "generations": generations, "pruned": ring["pruned"],
            "private_keys": exported.get(ring["name"], {}),
        })
    return found


def deployed_rows(results: Rows) -> Rows:
    """Return a row an endpoint host and key that was deployed to, from a loop over the hosts' names.

    C(added) are keys that were written. Where the host gave no rows at all there is one row with C(key_name) None, which
    concerns each of its keys.
    """
    rows = []
    for result in results:
        shared = {"endpoint": result["item"], "reload_needed": result.get("reload_needed", False)}
        if "deployed" not in result:
            message = said(result, NO_ANSWER)
            rows.append({**shared, "key_name": None, "changed": False, "added": [], "removed": [], "message": message})
        for row in result.get("deployed", []):
            message = row["error"]["message"] if row.get("error") else ""
            rows.append({**shared, "key_name": row["name"], "changed": row["changed"], "added": row["added"] + row["rewritten"],
                         "removed": row["removed"], "message": message})
    return rows


def deployment(ring: Row, taken: Rows) -> dict[str, t.Any]:
    """Return a key as the user's own deployment tasks take it: C(key_name), C(manifest), and C(files) by name (encrypted).

    Raises StepError where the private keys were to be taken and were not: without them C(files) means no change of keys.
    """
    lost = [said(result, NO_ANSWER) for result in taken if result["item"] == ring["name"] and result.get("exported") is None]
    if lost:
        raise StepError(f"The vault host did not hand the keys of '{ring['name']}' over: {lost[0]}")
    bundle = bundles([ring], taken)[0]
    files = {f"{identity}.pem": pem for identity, pem in bundle["private_keys"].items()}
    fields = {field.name for field in dataclasses.fields(Generation)}
    rows = [{name: value for name, value in row.items() if name in fields} for row in ring["generations"]]
    known = from_document({"schema": SCHEMA, "generations": rows, "accepted": {}})
    return {"key_name": ring["name"], "manifest": json.loads(manifest_of(ring["name"], known).text()), "files": files}


def restored_lines(results: Rows) -> list[str]:
    """Return a line a keyring that was copied back from a replica."""
    lines = []
    for result in results:
        if "generations" not in result:
            lines.append(f"key {result['item']}: not restored")
            continue
        count = len(result["generations"])
        state = "restored" if result.get("changed") else "was complete already"
        lines.append(f"key {result['item']}: {state}, generations: {count}, current: {result.get('current') or 'none'}")
    return lines


def recovered_lines(results: Rows) -> list[str]:
    """Return the lines that tell what was recovered of each keyring, and what could not be."""
    lines = []
    for result in results:
        name, told = result["item"], result.get("recovery")
        if not told:
            lines.append(f"key {name}: not recovered")
            continue
        states = ", ".join(f"{one['fingerprint']} {one['state']}{' (its private key is lost)' if one['missing'] else ''}"
                           for one in result["generations"])
        lines.append(f"key {name}: {'recovered' if result['changed'] else 'is not damaged'}, generations: {states or 'none'}")
        lines += [f"key {name}: {row['file']} {'is now ' + row['now'] if row['now'] else 'was deleted'}: {row['why']}"
                  for row in told["put_aside"]]
        lines += [f"key {name}: numbers hold {one}, whose private key is not here" for one in told["lost"]]
    return lines


def own_path(path: str) -> str:
    """Return a path on the control node as its user means it: below the folder that the playbook was started from.

    Ansible's modules would take a relative one for below the folder of the playbook, which is within the collection.
    """
    return os.path.abspath(os.path.expanduser(path))


def written_lines(pairs: t.Iterable[t.Sequence[t.Any]], host: str = "") -> list[str]:
    """Return a line for each file that was to be written: where it is, or why it is not. Skipped ones have none."""
    lines = []
    for what, result in pairs:
        if result.get("skipped"):
            continue
        failed = result.get("failed") or result.get("unreachable") or not result.get("dest")
        where = f"{result.get('dest')} on {host}" if host else result.get("dest")
        lines.append(f"{what} could not be kept: {said(result, 'the host gave no answer')}" if failed else f"{what}: {where}")
    return lines


def unwritten(lines: t.Iterable[str]) -> list[str]:
    """Return those lines of written_lines that tell of a file which was asked for and could not be written."""
    return [line for line in lines if " could not be kept: " in line]


def said(result: Row, otherwise: str) -> str:
    return str(result.get("msg") or otherwise)


def normalised(fingerprints: t.Iterable[str], what: str) -> set[str]:
    try:
        return {normalise_fingerprint(str(item)) for item in fingerprints}
    except WabaError as error:
        raise StepError(f"{what}: {error}") from None
