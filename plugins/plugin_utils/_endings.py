# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""How a run ends: promotion, going back after a failed wave, revocation, and what is kept of it. Pure, and without secrets."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._generations import Generation
from ansible_collections.waba.flows.plugins.module_utils._reconcile import UNMET

from ._inventory_rows import Row, Rows
from ._keyring_rows import NO_ANSWER, normalised, said
from ._plan import merge_number, with_sharers
from ._proofs import wanted_proofs
from ._records import not_noted


def promotable(keyrings: Rows, rows: Rows, left_out: int, stops: t.Collection[str] = ()) -> Rows:
    """Return name and fingerprint of each pending key that every number holds which was read and not refused.

    At least one number must hold it. With numbers left out by --limit nothing is promoted: the next whole run goes on. Nor is
    a key that was stopped: an endpoint did not decrypt what was published, or the numbers are about to go back.
    """
    if left_out:
        return []
    ready = []
    for ring in keyrings:
        if not ring.get("pending") or ring["name"] in stops:
            continue
        own = [row for row in rows if row["key_name"] == ring["name"] and row["outcome"] != "refused"
               and (row["readable"] or row["may_hold"])]
        if own and all(row["outcome"] not in UNMET and row["after"] == ring["pending"] for row in own):
            ready.append({"name": ring["name"], "fingerprint": ring["pending"], "predicted": ring["predicted"]})
    return ready


def promoted_rows(ready: Rows, results: Rows) -> Rows:
    """Return a row a key that was to be promoted; C(message) is empty where it was, or where check mode predicts it."""
    answers = {result["item"]["name"]: result for result in results if isinstance(result.get("item"), dict)}
    return [{**row, "message": _promotion_message(row, answers.get(row["name"], {}))} for row in ready]


def _promotion_message(row: Row, answer: Row) -> str:
    if row["predicted"] or answer.get("current") == row["fingerprint"]:
        return ""
    return said(answer, "The vault host gave no answer.")


def in_use(rows: Rows) -> list[str]:
    """Return every fingerprint that a number holds, or may hold where that is not certain."""
    found: set[str | None] = set()
    for row in rows:
        sent = row["target"] if row["changed"] else None
        found.update((row["after"],) if row["certain"] else (row["before"], row["after"], sent, *row["may_hold"]))
    return sorted(fingerprint for fingerprint in found if fingerprint)


def is_complete(rows: Rows, left_out: int) -> bool:
    """Tell whether every number of the group was read, so that in_use names every key that is held."""
    return not left_out and all(row["readable"] for row in rows)


def undo_plan(
    rows: Rows, stops: t.Mapping[str, str], results: Rows, revoking: t.Collection[str] = (),
    overtaken: t.Mapping[str, str] | None = None,
) -> dict[str, t.Any]:
    """Return how the numbers that this run changed go back to the keys they had, for the keys that were stopped.

    Not for the keys in C(revoking): a number is better off with a new key than with one that leaked. Nor for those that were
    C(overtaken), or could not be looked at before a wave: what the numbers are to hold then is for the other run to say.
    C(results) are of a loop of the keyring module, state read. C(plan) has the shape of make_plan's rows, with the key that is
    left as C(leaves); C(impossible) says by number why it cannot go back; C(wanted) are the keys that the endpoints have to
    prove first.
    """
    rings = {result["item"]: {g["fingerprint"]: g for g in result.get("generations", [])} for result in results}
    unread = {result["item"]: said(result, NO_ANSWER) for result in results if "generations" not in result}
    passed = overtaken or {}
    plan: Rows = []
    impossible: dict[str, str] = {}
    for row in rows:
        if row["key_name"] not in stops or not row["changed"] or row["before"] == row["target"]:
            continue
        generation = rings.get(row["key_name"], {}).get(row["before"])
        left = rings.get(row["key_name"], {}).get(row["target"], {}).get("state")
        if row["key_name"] in revoking:
            impossible[row["name"]] = "a key that leaked is being revoked, so the new one stays"
        elif row["key_name"] in passed:
            impossible[row["name"]] = passed[row["key_name"]]
        elif left in ("retired", "revoked"):
            impossible[row["name"]] = f"another run went on meanwhile: {row['target']} is {left}"
        elif row["before"] is None and row["source"] != "read":
            impossible[row["name"]] = "it is not known which key it had before, as its provider cannot be asked"
        elif row["before"] is None:
            impossible[row["name"]] = "it had no key before, and the API cannot take one away"
        elif row["key_name"] in unread:
            impossible[row["name"]] = f"the keyring '{row['key_name']}' could not be read: {unread[row['key_name']]}"
        elif generation is None:
            impossible[row["name"]] = f"its previous key {row['before']} is not in the keyring"
        elif not generation.get("usable") or not generation.get("business_public_key"):
            impossible[row["name"]] = f"the private key of {row['before']} is {generation['state']} or cannot be opened"
        else:
            plan.append({
                **{name: row[name] for name in ("name", "phone_number_id", "provider", "key_holder", "key_name", "status")},
                **_held_before_going_back(row),
                "before": row["after"], "after": row["after"], "target": row["before"], "leaves": row["target"], "publish": True,
                "outcome": "replaced", "message": "", "business_public_key": generation["business_public_key"],
                "expected": sorted({row["target"], row["before"]}),
                # Where the API may still show what was, what it shows is no reason not to send.
                "force": not row["certain"],
            })
    return {"plan": plan, "impossible": impossible, "wanted": wanted_proofs(plan)}


def _held_before_going_back(row: Row) -> Row:
    """Return what of a plan to go back tells how it is known what the number holds now."""
    if row["source"] == "read":
        return {"readable": row["readable"], "source": "read", "may_hold": [], "recorded": None}
    if row["certain"]:
        return {"readable": True, "source": "recorded", "may_hold": [row["after"]], "recorded": row["after"]}
    return {"readable": False, "source": None, "may_hold": [row["before"], row["target"]], "recorded": row["target"]}


def undo_allowed(undo: Row, proofs: Rows) -> dict[str, t.Any]:
    """Return the plan of undo_plan without the numbers whose previous key an endpoint did not prove."""
    refused = {(proof["key_name"], proof["fingerprint"]): f"the endpoint {proof['endpoint']} did not prove that it decrypts with "
               f"{proof['fingerprint']}: {proof['message']}" for proof in proofs
               if proof["proven"] is False and proof["when"] == "before the rollback"}
    allowed = [row for row in undo["plan"] if (row["key_name"], row["target"]) not in refused]
    impossible = {row["name"]: refused[row["key_name"], row["target"]] for row in undo["plan"]
                  if (row["key_name"], row["target"]) in refused}
    return {**undo, "plan": allowed, "impossible": {**undo["impossible"], **impossible}}


def undo_rings(undo: Row, results: Rows) -> Rows:
    """Return name and current fingerprint of each keyring whose pending key is to be given up, as numbers go back from it.

    Numbers that go back from the current key, which mended their drift, give nothing up; nor do those that leave another key than
    the pending one, which is another run's then. In check mode there may be no pending key, as it is only predicted.
    """
    left = {(row["key_name"], row["leaves"]) for row in undo["plan"]}
    return [{"name": result["item"], "fingerprint": result["current"]} for result in results
            if result.get("current") and any(name == result["item"] and _gives_up(key, result) for name, key in left)]


def _gives_up(key: str, result: Row) -> bool:
    """Tell whether leaving a key means to give up the pending one."""
    return key == result["pending"] or (result["check_mode"] and result["pending"] is None and key != result["current"])


def given_up_rows(asked: Rows, results: Rows) -> Rows:
    """Return a row a keyring whose pending key was to be given up; C(message) is empty where it was."""
    answers = {result["item"]["name"]: result for result in results if isinstance(result.get("item"), dict)}
    return [
        {**row, "message": "" if answers.get(row["name"], {}).get("current") == row["fingerprint"]
         else said(answers.get(row["name"], {}), NO_ANSWER)}
        for row in asked
    ]


def undone_rows(rows: Rows, undo: Row, published: Row, noted: t.Sequence[Row] = ()) -> Rows:
    """Return the rows with what came of going back: C(rolled_back) is true or false, and C(after) what is held then.

    C(noted) are the results of noting in the keyrings what was about to be sent.
    """
    answers = {row["name"]: row for row in published.get("numbers", [])}
    lost = not_noted(noted)
    back = {row["name"]: merge_number(row, answers.get(row["name"]), published, lost) for row in undo["plan"]}
    return with_sharers(
        [_undone_row(row, back.get(row["name"]), undo["impossible"].get(row["name"])) for row in rows], "rolled_back"
    )


def _undone_row(row: Row, back: Row | None, impossible: str | None) -> Row:
    if impossible is not None:
        why = impossible.rstrip(".")
        return {**row, "rolled_back": False, "message": f"{row['message']} It was not rolled back: {why}.".strip()}
    if back is None:
        return row
    message = row["message"]
    if back["outcome"] in UNMET:
        message = f"{message} It was not rolled back: {back['message']}".strip()
    return {**row, "after": back["after"], "status": back["status"], "certain": back["certain"], "message": message,
            "rolled_back": back["outcome"] not in UNMET, "attempts": row["attempts"] + back["attempts"],
            "seconds": round(row["seconds"] + back["seconds"], 3)}


def revocation(
    fingerprint: str, *, rings: t.Sequence[str], rows: Rows, keyrings: Rows, complete: bool
) -> dict[str, t.Any]:
    """Return whether a leaked key can be destroyed now (C(possible)), and if not, why not (C(message); in check mode a C(note)).

    It can once every number was read, and none holds it or may hold it. C(rings) are the names of all keyrings that have it.
    """
    wanted = normalised([fingerprint], "encryption_keys_revoke").pop()
    answer = {"fingerprint": wanted, "rings": list(rings), "possible": False, "message": "", "note": ""}
    usable = {row["name"] for row in keyrings if not row["message"]}
    unusable = [name for name in rings if name not in usable]
    if unusable:
        return {**answer, "message": f"{wanted} was not revoked: its keyring {', '.join(unusable)} is not usable."}
    if any(row["check_mode"] for row in keyrings):
        return {**answer, "note": f"{wanted} would be revoked once no number holds it."}
    again = "Mend that, then run the same command again."
    if not complete:
        return {
            **answer,
            "message": f"{wanted} was not revoked: not every number of the group was read, so one may hold it. {again}",
        }
    holders = [row["name"] for row in rows if wanted in in_use([row])]
    if holders:
        shown = ", ".join(holders[:20]) + (f" and {len(holders) - 20} more" if len(holders) > 20 else "")
        return {**answer, "message": f"{wanted} was not revoked: {shown} hold it, or may hold it. {again}"}
    return {**answer, "possible": True}


def revocation_notes(revoking: Row, finished: t.Mapping[str, Row]) -> list[str]:
    """Return what a revocation means for users, if there was one."""
    if revoking.get("note"):
        return [revoking["note"]]
    rings = revoking.get("rings", [])
    if not rings or not all(finished.get(name, {}).get("revoked") for name in rings):
        return []
    return [
        f"{revoking['fingerprint']} is revoked: its private key is destroyed on the vault host, and on the replicas and endpoint "
        "hosts but for those that this run names as failed.",
        "WhatsApp clients cache the public key for 7 days, at most just under 30. One that still uses the revoked key gets 421 "
        "from the endpoint, fetches the new key and sends again. Where an endpoint does not answer 421, users see errors "
        "meanwhile.",
        "What was sent under the revoked key before can be read by whoever has the leaked private key.",
    ]


def finished_rows(results: Rows, revoking: Row, revoked: Rows) -> dict[str, Row]:
    """Return by key name what its keyring holds at the end: C(generations), what was C(removed), and what was C(revoked).

    C(results) are of the last loop of the keyring module; C(revoking) is what revocation returned, C(revoked) the results of
    the loop that revoked.
    """
    done = {result["item"] for result in revoked if "generations" in result}
    return {
        result["item"]: {
            "generations": result["generations"], "pruned": result.get("pruned", []),
            "accepted": result.get("accepted", {}), "removed": result.get("removed", []),
            "revoked": revoking["fingerprint"] if result["item"] in done else None,
        }
        for result in results if "generations" in result
    }


def changed_keyrings(keyrings: Rows, finished: t.Mapping[str, Row]) -> Rows:
    """Return the keyring rows that are not as they were put on endpoints and replicas, as they are at the end."""
    return [
        {**ring, **{name: finished[ring["name"]][name] for name in ("generations", "pruned", "accepted")}} for ring in keyrings
        if ring["name"] in finished and not ring["check_mode"]
        and (_stored(finished[ring["name"]]["generations"]), finished[ring["name"]]["accepted"])
        != (_stored(ring["generations"]), ring["accepted"])
    ]


def _stored(generations: Rows) -> Rows:
    """Return of the generations what keyring.json holds; the times too, as retention on a rebuilt vault host counts from them."""
    return [{field.name: row.get(field.name) for field in dataclasses.fields(Generation)} for row in generations]


def late_failures(
    revoking: Row, *, revoked: Rows, finished: Rows, copied: Rows, deployed: Rows, reloads: Rows, waves: t.Sequence[Row] = (),
    noted: t.Sequence[Row] = (),
) -> list[str]:
    """Return what went wrong after the numbers were done, each with its remedy.

    C(waves) are rows of wave_done; C(noted) results of noting in the keyrings what numbers accepted, or of forgetting it.
    """
    found = [revoking["message"]] if revoking.get("message") else []
    lost = {name: why for wave in waves for name, why in wave["not_noted_after"].items()} | not_noted(noted)
    found += [f"{name} (keyring): it could not note what numbers accepted, so the next run sends them their key again: {why}"
              for name, why in lost.items()]
    found += [f"{result['item']} (keyring): the key could not be revoked: {said(result, NO_ANSWER)}"
              for result in revoked if "generations" not in result]
    found += [f"{result['item']} (keyring): {said(result, NO_ANSWER)}" for result in finished if "generations" not in result]
    found += [f"{row['host']} (replica of {row['key_name']}): {row['message']}" for row in copied if row["message"]]
    found += [f"{row['endpoint']} (endpoint): its manifest could not be brought up to date: {row['message']}"
              for row in deployed if row["message"]]
    return found + [row["message"] for row in reloads]
