# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One group with numbers of every provider: each ends as its provider allows, and none is touched that nobody knows."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from pathlib import Path

import pytest

from tests.fleet import Fleet, Inventory, OldKey, fingerprint_of
from tests.sandbox import DEFAULT_TOKEN, PROVIDERS, Account, Sandbox, make_mixed_state

from .conftest import World, files, shift
from .secret_scan import Places, encodings, leaks
from .test_rollout import assert_report_is_true


def _variables(base_url: str, name: str, account: Account) -> Inventory:
    """Return how the numbers of an account are reached."""
    url = f"{base_url}/{account.provider}"
    own: dict[str, Inventory] = {
        "on_premises": {"base_url": f"{url}/{name}", "username": account.user, "password": account.secret},
        "kaleyra": {"base_url": url, "sid": name, "api_key": account.secret},
        "graph_compatible": {"base_url": url, "access_token": account.secret, "credential_query": "token", "body_format": "json"},
        "gupshup": {"base_url": url, "access_token": account.secret, "app_id": name},
        "aws": {"base_url": url, "region": account.region},
    }
    return {f"whatsapp_{option}": value for option, value in {"provider": account.provider, **own[account.provider]}.items()}


@dataclasses.dataclass
class MixedFleet(Fleet):
    """Two numbers of each provider."""

    def of(self, *providers: str) -> set[str]:
        """Return the numbers of some providers."""
        return {name for name, provider in self.wabas.items() if provider in providers}

    def inventory(self, base_url: str, vault: Inventory) -> Inventory:
        names = {identity: name for name, identity in self.numbers.items()}
        hosts: Inventory = {}
        for account_name, account in self.state.accounts.items():
            for identity in account.numbers:
                if identity in names:
                    hosts[names[identity]] = _variables(base_url, account_name, account)
        for name in self.of("cloud_api"):
            hosts[name] = {"whatsapp_base_url": base_url, "whatsapp_access_token": DEFAULT_TOKEN}
        for name, identity in self.numbers.items():
            hosts[name]["whatsapp_phone_number_id"] = identity
        return {"all": {"children": {"whatsapp_vault": {"hosts": {"vault": vault}},
                                     "whatsapp_numbers": {"hosts": dict(sorted(hosts.items()))}}}}


def mixed_fleet() -> MixedFleet:
    """Return a fleet in which no number has a key."""
    state = make_mixed_state()
    found = [("cloud_api", identity) for identity, number in state.numbers.items() if number.waba_id]
    for provider in PROVIDERS:
        accounts = [account for account in state.accounts.values() if account.provider == provider]
        # boto3 finds one set of credentials in the environment, so the numbers are those of one account.
        found += [(provider, identity) for account in accounts for identity in account.numbers][:2]
    numbers = {f"number-{index:02d}": identity for index, (dummy, identity) in enumerate(found, 1)}
    providers = {f"number-{index:02d}": provider for index, (provider, dummy) in enumerate(found, 1)}
    return MixedFleet(numbers, providers, state, {"default": OldKey()}, OldKey())


@pytest.fixture
def mixed(tmp_path: Path, collections: Path) -> t.Iterator[World]:
    """A world with numbers of every provider, and an endpoint."""
    fleet = mixed_fleet()
    with Sandbox(fleet.state) as box:
        fleet.state = box.state
        world = World(tmp_path, collections, box, fleet)
        account = box.state.accounts["aws-1"]
        world.environment.update(
            AWS_ACCESS_KEY_ID=account.user, AWS_SECRET_ACCESS_KEY=account.secret, AWS_EC2_METADATA_DISABLED="true",
        )
        world.add_endpoint("endpoint-1")
        yield world
        world.stop()


def fleet_of(world: World) -> MixedFleet:
    return t.cast(MixedFleet, world.fleet)


def outcomes(world: World) -> dict[str, str]:
    """Return the outcome of each number as the report tells it."""
    return {row["name"]: row["outcome"] for row in world.report["numbers"]}


def expected(world: World, others: str, kaleyra: str) -> dict[str, str]:
    own = fleet_of(world).of("kaleyra")
    return {name: kaleyra if name in own else others for name in world.fleet.numbers}


def without_sharer(found: dict[str, str]) -> dict[str, str]:
    """Return outcomes without that of the app's second number, which the first may have brought along already."""
    return {name: outcome for name, outcome in found.items() if name != "number-10"}


@pytest.mark.slow
def test_a_mixed_group_is_rotated(mixed: World) -> None:
    """From the first key on: what cannot be read is refused until it is allowed once, and then goes by the record."""
    kaleyra = fleet_of(mixed).of("kaleyra")
    first = mixed.run()
    assert first.status == 2
    assert without_sharer(outcomes(mixed)) == without_sharer(expected(mixed, "set", "refused"))
    assert "encryption_keys_replace_foreign" in first.failures
    assert {name for name, key in mixed.fleet.held().items() if key is None} == kaleyra
    assert first.output.count("Meta ended the On-Premises API") == 1

    allowed = mixed.run(encryption_keys_replace_foreign=True)
    assert allowed.status == 0, allowed.output
    assert outcomes(mixed) == expected(mixed, "unchanged", "accepted")
    assert {name for name, cells in allowed.rows.items() if cells[4] == "recorded"} == kaleyra
    assert_report_is_true(mixed)
    current = mixed.fingerprint("default", "current")
    records = mixed.keyring("default")["accepted"]
    assert {name: row["fingerprints"] for name, row in records.items()} == {
        mixed.fleet.numbers[name]: [current] for name in kaleyra}
    assert all(row["certain"] for row in records.values())

    again = mixed.run()
    assert (again.status, again.recap["changed"], mixed.box.posts) == (0, 0, [])
    assert outcomes(mixed) == expected(mixed, "unchanged", "unchanged")

    predicted = mixed.run("waba.flows.rotate", "--check", "--diff", encryption_keys_force=True)
    assert (predicted.status, mixed.box.posts) == (0, [])
    rotated = mixed.run(encryption_keys_force=True)
    assert rotated.status == 0, rotated.output
    assert without_sharer(predicted.outcomes) == without_sharer(rotated.outcomes)
    assert without_sharer(outcomes(mixed)) == without_sharer(expected(mixed, "replaced", "accepted"))
    assert set(mixed.fleet.held().values()) == {mixed.fingerprint("default", "current")} != {current}
    assert_report_is_true(mixed)
    sources = {row["name"]: row["source"] for row in mixed.report["numbers"]}
    assert sources == {name: "recorded" if name in kaleyra else "read" for name in mixed.fleet.numbers}


@pytest.mark.slow
@pytest.mark.attack("resumed", "the fate of a POST to a number that cannot be read is not known")
def test_an_unreadable_number_whose_fate_is_not_known_is_sent_its_key_again(mixed: World) -> None:
    """The connection is cut for good after the key was taken; the record says that either may be held."""
    assert mixed.run(encryption_keys_replace_foreign=True).status == 0
    old = mixed.fingerprint("default", "current")
    name = sorted(fleet_of(mixed).of("kaleyra"))[0]
    identity = mixed.fleet.numbers[name]
    mixed.box.fault(identity, "applied_then_reset", times=-1)
    cut = mixed.run(encryption_keys_force=True, encryption_keys_max_failures=5)
    assert (cut.status, outcomes(mixed)[name]) == (2, "failed")
    new = mixed.fleet.held()[name]
    record = mixed.keyring("default")["accepted"][identity]
    assert (record["fingerprints"], record["certain"]) == ([old, new], False)
    mixed.box.clear()
    mended = mixed.run()
    assert mended.status == 0, mended.output
    assert outcomes(mixed)[name] == "accepted"
    assert mixed.keyring("default")["accepted"][identity]["fingerprints"] == [new]
    assert mixed.fingerprint("default", "current") == new


@pytest.mark.slow
@pytest.mark.attack("kept", "a number that cannot be read may hold a key past its retention")
def test_a_key_that_an_unreadable_number_is_on_record_to_hold_is_kept(mixed: World) -> None:
    """It could not be sent the new key for months; the old one outlives its retention, and cannot be revoked."""
    assert mixed.run(encryption_keys_replace_foreign=True).status == 0
    old = mixed.fingerprint("default", "current")
    name = sorted(fleet_of(mixed).of("kaleyra"))[0]
    mixed.box.fault(mixed.fleet.numbers[name], "error", method="POST", status=400, code="WA-400", times=-1)
    mixed.run(encryption_keys_force=True, encryption_keys_max_failures=5)
    assert fingerprint_of(str(mixed.fleet.state.numbers[mixed.fleet.numbers[name]].business_public_key)) == old
    shift(mixed, "default", 90)
    run = mixed.run(encryption_keys_max_failures=5)
    assert outcomes(mixed)[name] == "failed"
    assert "WA-400" in run.failures
    assert old in [generation["fingerprint"] for generation in mixed.keyring("default")["generations"]]
    revoking = mixed.run(encryption_keys_revoke=old, encryption_keys_max_failures=5)
    assert revoking.status == 2
    assert f"{old} was not revoked" in revoking.failures
    assert name in revoking.failures


@pytest.mark.slow
@pytest.mark.attack("accounted", "a number fails in a wave, and the others go on or back")
def test_a_failed_wave_goes_back_on_every_provider(mixed: World) -> None:
    assert mixed.run(encryption_keys_replace_foreign=True).status == 0
    before = mixed.fleet.held()
    victim = sorted(fleet_of(mixed).of("aws"))[-1]
    mixed.box.fault(mixed.fleet.numbers[victim], "error", method="POST", status=400, code="ValidationException", times=-1)
    run = mixed.run(encryption_keys_force=True, encryption_keys_on_failure="rollback", encryption_keys_waves=["100%"])
    assert run.status == 2
    assert "ValidationException" in run.failures
    assert mixed.fleet.held() == before
    assert_report_is_true(mixed)
    current = mixed.fingerprint("default", "current")
    assert {tuple(row["fingerprints"]) for row in mixed.keyring("default")["accepted"].values()} == {(current,)}


@pytest.mark.slow
def test_two_keys_for_the_numbers_of_one_app_are_refused(mixed: World) -> None:
    """Before anything is sent to them; the others go on."""
    first, second = sorted(fleet_of(mixed).of("gupshup"))
    mixed.numbers[second]["whatsapp_key_name"] = "another"
    run = mixed.run(encryption_keys_replace_foreign=True)
    assert run.status == 2
    assert (outcomes(mixed)[first], outcomes(mixed)[second]) == ("refused", "refused")
    assert "app gupshup-1" in run.failures
    assert mixed.fleet.held()[first] is None
    assert outcomes(mixed)["number-01"] == "set"


@pytest.mark.slow
@pytest.mark.attack("secret", "the APIs of all providers, each of which echoes its credential in every encoding and in halves")
def test_no_secret_of_any_provider_shows(mixed: World) -> None:
    """At -vvvv, in success and while each API quotes the credential in its errors, each time in several other forms."""
    world, state = mixed, mixed.fleet.state
    places = Places(world)
    secrets = {name: account.secret for name, account in state.accounts.items()}
    secrets["token"] = DEFAULT_TOKEN
    halves = {f"{name}, {part}": half for name, secret in secrets.items() if len(secret) >= 16
              for part, half in {"first half": secret[:len(secret) // 2], "second half": secret[len(secret) // 2:]}.items()}
    with places.watch() as watch:
        run = world.run("waba.flows.rotate", "-vvvv", "--diff", encryption_keys_replace_foreign=True, **places.outputs())
        assert run.status == 0, run.output
        numbers = {name: list(account.numbers) for name, account in state.accounts.items()}
        numbers["token"] = [world.fleet.numbers[name] for name in fleet_of(world).of("cloud_api")]
        for name, identities in numbers.items():
            secret = secrets[name]
            forms = [*encodings(secret).values(), *(half for label, half in halves.items() if label.startswith(f"{name},"))]
            for identity in identities:
                world.box.fault(
                    identity, "error", status=400, code=400, message=" ".join(forms), times=-1, headers={"X-Echo": secret})
        failed = world.run("waba.flows.rotate", "-vvvv", "--diff", encryption_keys_force=True, **places.outputs())
    assert failed.status == 2
    texts = {**places.found(failed, watch), "standard output before": run.output}
    assert leaks(texts, {**secrets, **halves}) == {}
    assert files(world.keys)
    assert os.environ.get("AWS_SECRET_ACCESS_KEY") is None
