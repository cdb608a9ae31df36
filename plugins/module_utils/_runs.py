# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""What the three API modules do: typed options in, the module's result out. Never sees an AnsibleModule."""

from __future__ import annotations

import collections
import dataclasses
import time
import typing as t

from ._apply import Applied, Rules, Target, apply_key, read_key
from ._budget import ALL, CALLS_PER_NUMBER, MANY, describe_need
from ._errors import InvalidOptions, KeyConflict, WabaError
from ._fleet import Crew
from ._host_argspec import Params
from ._http import Deadline, Job, Tally, Transport
from ._keys import PublicKey
from ._options import connection_of, desired_of, inherit, max_workers, public_key_of, recorded_of, total_timeout
from ._progress import Progress
from ._providers._registry import PROVIDERS, Connection, Provider, make_provider
from ._reconcile import UNMET, Desired, PublishedKey

Result = dict[str, t.Any]
Tell = t.Callable[[str], None]


@dataclasses.dataclass
class Number:
    """One number of a task: its options, and what went wrong before anything was sent."""

    name: str
    params: Params
    phone_number_id: str = ""
    account: str = ALL
    connection: Connection | None = None
    error: WabaError | None = None
    timeout: float = 0.0
    took: float = 0.0
    desired: Desired | None = None
    recorded: str | None = None

    @property
    def provider(self) -> type[Provider] | None:
        """The provider's class, where the options are good enough to name it."""
        return PROVIDERS[self.connection.provider] if self.connection else None

    @property
    def shared_holder(self) -> str | None:
        """What has the key, where several numbers can share one."""
        if self.provider is None or self.connection is None or self.provider.capabilities.key_of == "number":
            return None
        return self.provider.holder(self.connection, self.phone_number_id)


def run_single(params: Params, check_mode: bool) -> Result:
    """Set or read the key of one number (module whatsapp_business_encryption). Raises WabaError for bad options."""
    key = public_key_of(params)
    connection = connection_of(params)
    transport = Transport()
    try:
        provider = make_provider(connection, transport)
        job = Job(Deadline(total_timeout(params)))
        target = Target(provider, params["phone_number_id"].strip(), job, recorded_of(params))
        if key is None:
            done = read_key(target)
        else:
            rules = Rules(max(0.0, params["verify_timeout"]), check_mode, connection.retries)
            done = apply_key(target, desired_of(key, params), rules)
    finally:
        transport.close()
    number = Number(target.phone_number_id, params, target.phone_number_id, connection=connection)
    result = _row(number, done)
    after = done.after or PublishedKey(None, None, None)
    result.update(
        business_public_key=after.pem,
        business_public_key_signature_status=after.status,
        fingerprint=after.fingerprint,
        capabilities=provider.capabilities.as_dict(),
        api=job.tally.as_dict(),
        diff=_diff(number.name, done),
        warnings=_warnings([number]),
    )
    return _failed(result, f"{number.name}: {done.error}") if done.error else result


def run_info(params: Params, tell: Tell | None = None) -> Result:
    """Read one or many numbers (module whatsapp_business_encryption_info). Raises WabaError for bad options.

    C(tell) is given lines of progress.
    """
    rows = params["phone_numbers"]
    if (params["phone_number_id"] is None) == (rows is None):
        raise InvalidOptions("Give either phone_number_id or phone_numbers.")
    if rows is None:
        rows = [{"phone_number_id": params["phone_number_id"], "recorded_fingerprint": params["recorded_fingerprint"]}]
    numbers = _prepare(rows, params)

    result = _run_numbers(numbers, params, lambda number, target: read_key(target), calls=1, tell=tell)
    del result["published_keys"]  # nothing is
    return result


def run_many(params: Params, check_mode: bool, tell: Tell | None = None) -> Result:
    """Set the keys of many numbers (module whatsapp_business_encryption_fleet). Raises WabaError for bad options.

    C(tell) is given lines of progress.
    """
    common_key = public_key_of(params)
    numbers = _prepare(params["phone_numbers"], params)
    keys: dict[str, PublicKey | None] = {}
    for number in numbers:
        try:
            key = _own_key(number.params, keys) or common_key
            number.desired = desired_of(key, params, number.params) if key else None
        except WabaError as error:
            number.error = number.error or error
            continue
        if number.desired is None:
            raise InvalidOptions(
                f"{number.name} has no key to set.",
                "Give business_public_key for it or for all; to read use whatsapp_business_encryption_info.",
            )
    _refuse_different_keys(numbers)

    def work(number: Number, target: Target) -> Applied:
        rules = Rules(max(0.0, params["verify_timeout"]), check_mode, target.provider.connection.retries)
        return apply_key(target, t.cast(Desired, number.desired), rules)

    return _run_numbers(numbers, params, work, calls=1 if check_mode else CALLS_PER_NUMBER, tell=tell)


def _own_key(own: Params, seen: dict[str, PublicKey | None]) -> PublicKey | None:
    """Return a number's own key; each distinct text is parsed once, as most of a fleet shares it."""
    text = own.get("business_public_key")
    if text is None or own.get("business_public_key_path") is not None:
        return public_key_of(own)
    if text not in seen:
        seen[text] = public_key_of(own)
    return seen[text]


def _prepare(rows: t.Sequence[Params], common: Params) -> list[Number]:
    """Return the numbers of a task. A row that lacks what it needs carries its error; an ID given twice stops all."""
    numbers = []
    for index, row in enumerate(rows, 1):
        phone_number_id = (row.get("phone_number_id") or "").strip()
        name = row.get("name") or phone_number_id or f"phone_numbers[{index}]"
        number = Number(name, row, phone_number_id, row.get("waba_id") or ALL)
        try:
            if not phone_number_id:
                raise InvalidOptions("It has no phone_number_id.", "Set it (host variable whatsapp_phone_number_id).")
            options = inherit(common, row)
            number.connection = connection_of(options)
            number.timeout = total_timeout(options)
            number.recorded = recorded_of(row)
            PROVIDERS[number.connection.provider].secrets_of(number.connection)
        except WabaError as error:
            number.error = error
        numbers.append(number)
    _refuse_duplicates(numbers)
    return numbers


def _refuse_duplicates(numbers: t.Sequence[Number]) -> None:
    names: dict[str, list[str]] = collections.defaultdict(list)
    holders: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for number in numbers:
        if number.phone_number_id:
            names[number.phone_number_id].append(number.name)
        if number.provider and number.connection and not number.error and number.shared_holder is None:
            holder = number.provider.holder(number.connection, number.phone_number_id)
            holders[number.provider.name, holder].append(number.name)
    twice = [f"{key} ({', '.join(owners)})" for key, owners in names.items() if len(owners) > 1]
    if twice:
        raise InvalidOptions(
            f"The same phone-number ID is given more than once: {'; '.join(twice)}.", "Nothing was sent. Remove one of each."
        )
    same = [" and ".join(owners) for owners in holders.values() if len(owners) > 1]
    if same:
        raise InvalidOptions(f"These are one and the same number, as they are reached in the same way: {'; '.join(same)}.",
                             "Nothing was sent. Remove one of each, or mend base_url or the credential.")


def _refuse_different_keys(numbers: t.Sequence[Number]) -> None:
    """Give an error to the numbers that share one key at their provider and are to have different ones."""
    sharing: dict[tuple[str, str], list[Number]] = collections.defaultdict(list)
    for number in numbers:
        if number.connection and number.shared_holder and number.desired and not number.error:
            sharing[number.connection.provider, number.shared_holder].append(number)
    for (dummy, holder), group in sharing.items():
        if len({number.desired.fingerprint for number in group if number.desired}) > 1:
            names = ", ".join(number.name for number in group)
            for number in group:
                number.error = KeyConflict(f"{names} share the one key of {holder}, but are to have different ones.",
                                           "Nothing was sent for them. Give them the same key.")


def _run_numbers(
    numbers: list[Number],
    params: Params,
    work: t.Callable[[Number, Target], Applied],
    *,
    calls: int,
    tell: Tell | None,
) -> Result:
    """Do the work on each number. C(calls) is how many calls it takes as a rule."""
    workers = max_workers(params)
    crew = Crew(workers)
    transport = Transport(pool_size=workers, sleep=crew.sleep)
    providers = _make_providers(numbers, transport)
    tallies: list[Tally] = []
    tell = tell if tell and params["progress"] else _tell_nobody
    if len(numbers) >= MANY:
        _tell_need(numbers, calls, tell)

    def one(number: Number) -> Applied:
        if number.error is not None or number.connection is None:
            return Applied("refused" if isinstance(number.error, KeyConflict) else "failed", error=number.error)
        job = Job(Deadline(number.timeout), account=number.account)
        tallies.append(job.tally)
        started = time.monotonic()
        done = work(number, Target(providers[number.connection], number.phone_number_id, job, number.recorded))
        number.took = time.monotonic() - started
        return done

    def account_of(number: Number) -> t.Hashable:
        if number.error is not None or number.connection is None:
            return None
        return id(providers[number.connection].http.budget), number.account

    def start_in(number: Number) -> float:
        if number.error is not None or number.connection is None:
            return 0.0
        return providers[number.connection].http.budget.start_in(number.account, number.timeout)

    for number in numbers:
        if number.error is None and number.connection is not None:
            providers[number.connection].http.budget.expect(number.account)

    try:
        rows = crew.run(
            numbers, one, _counts_as_failure, account_of=account_of, start_in=start_in,
            max_failures=params.get("max_failures"), progress=Progress(len(numbers), tell),
        )
    finally:
        transport.close()
    pairs = [(number, done or Applied("skipped")) for number, done in zip(numbers, rows)]
    return {**_fleet_result(pairs, tallies), "warnings": _warnings(numbers)}


def _counts_as_failure(done: Applied) -> bool:
    """Tell whether a number counts towards max_failures: not one whose account is throttled, which says nothing of the others."""
    return done.outcome in UNMET and not (done.error is not None and done.error.throttled)


def _tell_need(numbers: t.Sequence[Number], calls: int, tell: Tell) -> None:
    """Tell how many calls the numbers take that there is a documented limit for, and whether it allows them."""
    limits = {number.provider.calls_an_hour for number in numbers if number.provider} - {None}
    for limit in sorted(limit for limit in limits if limit):
        own = (number.account for number in numbers if number.provider and number.provider.calls_an_hour == limit)
        tell(describe_need(collections.Counter(own), {}, calls, limit))


def _tell_nobody(line: str) -> None:
    """Where nobody is to be told."""


def _make_providers(numbers: t.Iterable[Number], transport: Transport) -> dict[Connection, Provider]:
    """Return one client for equal connections, so that their numbers share TCP connections and the wait when throttled.

    Where a client cannot be made, that is the error of its numbers alone.
    """
    clients: dict[Connection, Provider | WabaError] = {}
    for number in numbers:
        if number.connection is None or number.error is not None:
            continue
        if number.connection not in clients:
            try:
                clients[number.connection] = make_provider(number.connection, transport)
            except WabaError as error:
                clients[number.connection] = error
        made = clients[number.connection]
        if isinstance(made, WabaError):
            number.error = made
    return {connection: client for connection, client in clients.items() if isinstance(client, Provider)}


def _fleet_result(pairs: list[tuple[Number, Applied]], tallies: list[Tally]) -> Result:
    total = Tally(sum(tally.requests for tally in tallies), sum(tally.retries for tally in tallies))
    for tally in tallies:
        total.saw(tally.usage)
    rows = [{**_row(number, done), "seconds": round(number.took, 3)} for number, done in pairs]
    result: Result = {
        "changed": any(row["changed"] for row in rows),
        "numbers": rows,
        "summary": dict(collections.Counter(row["outcome"] for row in rows)),
        "providers": {number.provider.name: number.provider.capabilities.as_dict()
                      for number, dummy in pairs if number.provider},
        "api": total.as_dict(),
        "published_keys": {done.after.fingerprint: done.after.pem for dummy, done in pairs
                           if done.changed and done.after and done.after.fingerprint},
        "diff": [diff for number, done in pairs for diff in [_diff(number.name, done)] if diff],
    }
    unmet = [row for row in rows if row["outcome"] in UNMET]
    if not unmet:
        return result
    named = [f"{row['name']} ({row['phone_number_id']}): {row['error']['message']}" for row in unmet if "error" in row]
    skipped = [row["name"] for row in unmet if "error" not in row]
    if skipped:
        named.append(f"not started because max_failures was exceeded: {', '.join(skipped)}")
    return _failed(result, f"{len(unmet)} of {len(rows)} numbers failed. " + " | ".join(named))


def _warnings(numbers: t.Iterable[Number]) -> list[str]:
    known = list(numbers)
    notices = list(dict.fromkeys(number.provider.notice for number in known if number.provider and number.provider.notice))
    unchecked = [number.name for number in known if number.connection and number.connection.verify is False]
    if not unchecked:
        return notices
    return [*notices, f"validate_certs is false for {', '.join(unchecked)}: the API's certificate is not checked, "
            "so anyone on the way can read the credential."]


def _row(number: Number, done: Applied) -> Result:
    """Return the public account of one number. It holds no secret by construction: fingerprints, states and messages only."""
    before, after = done.before, done.after
    row: Result = {
        "name": number.name,
        "phone_number_id": number.phone_number_id,
        "provider": number.connection.provider if number.connection else None,
        "key_holder": number.shared_holder,
        "outcome": done.outcome,
        "changed": done.changed,
        "fingerprint": after.fingerprint if after else None,
        "fingerprint_source": after.source if after and after.source != "unknown" else None,
        "previous_fingerprint": before.fingerprint if before else None,
        "status": after.status if after else None,
        "attempts": done.attempts,
    }
    if done.error is not None:
        row["error"] = done.error.as_dict()
    return row


def _failed(result: Result, message: str) -> Result:
    return {**result, "failed": True, "msg": message}


def _diff(name: str, done: Applied) -> Result:
    """Return before and after of a number as Ansible shows them, or nothing where nothing changed."""
    if not done.changed:
        return {}
    return {
        "before_header": name,
        "after_header": name,
        "before": _diff_text(done.before),
        "after": _diff_text(done.after),
    }


def _diff_text(key: PublishedKey | None) -> str:
    if key is None or key.source == "unknown":
        return "(not known)\n"
    if key.fingerprint is None:
        return "(no key)\n"
    status = "recorded, not read" if key.source == "recorded" else f"status: {key.status}"
    return f"{key.fingerprint}\n{status}\n{(key.pem or '').strip()}\n"
