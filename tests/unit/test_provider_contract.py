# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every provider of the registry has to do, through the modules' own code and against the sandbox.

A provider that cannot pass one of these says so, with the reason, in its class (C(exceptions_to_contract)).
"""

from __future__ import annotations

import json
import sys
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import Sandbox, make_mixed_state

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(params=list(PROVIDERS))
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A number of each provider, which has no key."""
    name = request.param
    if name == "aws" and sys.version_info < (3, 10):
        pytest.skip("boto3 with this service needs Python 3.10")
    test = request.node.originalname
    if test in PROVIDERS[name].exceptions_to_contract:
        pytest.skip(PROVIDERS[name].exceptions_to_contract[test])
    with Sandbox(make_mixed_state()) as box:
        made = RIGS[name](box)
        for variable, value in made.environment.items():
            monkeypatch.setenv(variable, value)
        yield made


def test_every_provider_has_a_rig() -> None:
    assert set(RIGS) == set(PROVIDERS)


def test_exceptions_name_tests_that_there_are() -> None:
    named = {test for provider in PROVIDERS.values() for test in provider.exceptions_to_contract}
    assert named <= set(globals())


def first_set(rig: Rig) -> str:
    """Return the outcome of setting a key where there is none, or none that is known of."""
    return "set" if rig.readable else "accepted"


# -- reading


def test_no_key_is_read(rig: Rig) -> None:
    result = rig.read()
    assert (result["outcome"], result["fingerprint"], result["changed"]) == ("read", None, False)


def test_a_key_is_read(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    result = rig.read()
    assert (result["outcome"], result["fingerprint"], result["status"]) == ("read", keys.a.fingerprint, "VALID")
    assert (result["fingerprint_source"], result["provider"]) == ("read", rig.provider)
    assert result["capabilities"] == PROVIDERS[rig.provider].capabilities.as_dict()


def test_a_mismatch_is_read(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a, "MISMATCH")
    assert rig.read()["status"] == "MISMATCH"


def test_reading_sets_nothing(rig: Rig) -> None:
    rig.read()
    rig.info()
    assert rig.box.posts == []


# -- setting


def test_a_key_is_set(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a)
    assert (result["outcome"], result["changed"], result["fingerprint"]) == (first_set(rig), True, keys.a.fingerprint)
    assert rig.state.business_public_key == keys.a.pem
    assert len(rig.box.posts) == 1


def test_a_key_is_set_once(rig: Rig, keys: Keys) -> None:
    first = rig.set(keys.a)
    again = rig.set(keys.a, recorded_fingerprint=first["fingerprint"])
    assert (again["outcome"], again["changed"], len(rig.box.posts)) == ("unchanged", False, 1)


def test_force_sends_again(rig: Rig, keys: Keys) -> None:
    rig.set(keys.a)
    again = rig.set(keys.a, recorded_fingerprint=keys.a.fingerprint, force=True)
    assert (again["outcome"], len(rig.box.posts)) == ("resigned" if rig.readable else "accepted", 2)


def test_another_key_is_replaced(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    result = rig.set(keys.b, recorded_fingerprint=keys.a.fingerprint)
    assert result["outcome"] == ("replaced" if rig.readable else "accepted")
    assert (result["previous_fingerprint"], rig.state.business_public_key) == (keys.a.fingerprint, keys.b.pem)


def test_a_key_that_is_not_expected_stays(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    result = rig.set(keys.b, expected_fingerprints=[keys.c.fingerprint], recorded_fingerprint=keys.a.fingerprint)
    assert (result["outcome"], result["failed"], rig.state.business_public_key) == ("refused", True, keys.a.pem)
    assert rig.box.posts == []


def test_a_mismatch_is_mended(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a, "MISMATCH")
    assert rig.set(keys.a)["outcome"] == "resigned"
    assert rig.state.signature_status == "VALID"


def test_check_mode_predicts_and_sends_nothing(rig: Rig, keys: Keys) -> None:
    predicted = rig.set(keys.a, check_mode=True)
    assert rig.box.posts == []
    done = rig.set(keys.a)
    members = ("outcome", "changed", "fingerprint", "fingerprint_source", "previous_fingerprint", "status")
    assert [predicted[name] for name in members] == [done[name] for name in members]


# -- many numbers


def test_many_are_set_and_read(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    result = rig.fleet(keys.a)
    assert [row["outcome"] for row in result["numbers"]] == (["unchanged", "set"] if rig.readable else ["accepted", "accepted"])
    assert {number: rig.box.state.numbers[number].business_public_key for number in (rig.number, rig.other)} == {
        rig.number: keys.a.pem, rig.other: keys.a.pem}
    assert result["providers"] == {rig.provider: PROVIDERS[rig.provider].capabilities.as_dict()}
    outcomes = [row["outcome"] for row in rig.info()["numbers"]]
    assert outcomes == ["read" if rig.readable else "unknown"] * 2


def test_one_number_twice_is_refused(rig: Rig, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="Nothing was sent"):
        rig.fleet(keys.a, [rig.rows[0], {**rig.rows[0], "name": "again"}])
    assert rig.box.requests == []


# -- failures


def failure(result: Params) -> Params:
    """Return the error of a result that failed."""
    assert (result["failed"], result["outcome"]) == (True, "failed")
    return t.cast(Params, result["error"])


def test_a_bad_credential_is_named(rig: Rig, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rig.bad_environment.items():
        monkeypatch.setenv(name, value)
    result = rig.set(keys.a, **rig.bad_credential)
    error = failure(result)
    assert (error["code"], error["retryable"], result["changed"]) == (rig.code, False, False)
    assert str(rig.code) in result["msg"]
    assert rig.state.business_public_key is None


def test_an_unknown_number_is_named(rig: Rig, keys: Keys) -> None:
    result = rig.set(keys.a, **rig.nowhere)
    assert failure(result)["retryable"] is False
    assert (result["changed"], rig.state.business_public_key) == (False, None)


def test_throttling_is_waited_for(rig: Rig, keys: Keys) -> None:
    rig.faults("throttle", method="POST", retry_after=1)
    result = rig.set(keys.a)
    assert (result["outcome"], result["attempts"], len(rig.box.posts)) == (first_set(rig), 2, 2)


def test_throttling_for_too_long_is_a_failure(rig: Rig, keys: Keys) -> None:
    rig.faults("throttle", times=-1, retry_after=3600)
    result = rig.set(keys.a)
    assert failure(result)["http_status"] == 429
    assert "3600 s" in result["msg"]
    assert (result["changed"], rig.box.posts) == (False, [])


def test_a_server_error_is_tried_again(rig: Rig, keys: Keys) -> None:
    rig.faults("applied_then_error", times=1)
    result = rig.set(keys.a)
    assert (result["outcome"], result["changed"], rig.state.business_public_key) == (first_set(rig), True, keys.a.pem)


def test_a_server_error_for_good_is_a_failure(rig: Rig, keys: Keys) -> None:
    rig.hold(keys.a)
    rig.faults("error", method="POST", status=500, code="WA-500", times=-1)
    result = rig.set(keys.b, retries=1, recorded_fingerprint=keys.a.fingerprint)
    assert (failure(result)["retryable"], result["attempts"], rig.state.business_public_key) == (True, 2, keys.a.pem)
    assert result["changed"] is not rig.readable  # where it cannot be read back, nobody knows


def test_a_connection_that_is_cut_after_the_key_was_taken(rig: Rig, keys: Keys) -> None:
    rig.faults("applied_then_reset")
    result = rig.set(keys.a)
    assert (result["outcome"], result["changed"], rig.state.business_public_key) == (first_set(rig), True, keys.a.pem)


GARBAGE: dict[str, Params] = {
    "body": {"body": '["odd", 1]', "status": 200}, "redirect": {"location": "http://127.0.0.1:9/"},
    "html": {"status": 200}, "empty": {"status": 200},
}


@pytest.mark.parametrize("kind", ["html", "empty", "body", "truncated", "redirect"])
def test_garbage_is_not_taken_for_a_key(rig: Rig, keys: Keys, kind: str) -> None:
    rig.hold(keys.a)
    rig.faults(kind, times=-1, **GARBAGE.get(kind, {}))
    result = rig.set(keys.b, retries=0, expected_fingerprints=[])
    assert result["failed"] is True
    assert result["outcome"] in ("failed", "refused")
    assert (result["changed"], rig.state.business_public_key, rig.box.posts) == (False, keys.a.pem, [])


@pytest.mark.parametrize("kind", ["html", "empty", "body", "redirect", "reset"])
def test_garbage_is_not_taken_for_success(rig: Rig, keys: Keys, kind: str) -> None:
    rig.faults(kind, method="POST", times=-1, **GARBAGE.get(kind, {}))
    result = rig.set(keys.a, retries=0, verify_timeout=0.0)
    assert result["failed"] is True
    assert result["outcome"] == "failed"


# -- secrets


@pytest.mark.parametrize("fault", [
    {}, {"kind": "error", "status": 400, "code": 100}, {"kind": "html", "status": 502}, {"kind": "reset"}, {"kind": "throttle"},
])
def test_no_secret_is_in_a_result(rig: Rig, keys: Keys, fault: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    echo = " ".join(rig.secrets)
    if fault:
        rig.faults(**{**fault, "times": -1, **({"message": f"no: {echo}"} if fault["kind"] == "error" else {})})
    results = [rig.set(keys.a, retries=0), rig.info(retries=0), rig.fleet(keys.a, retries=0)]
    rig.box.clear()
    for name, value in rig.bad_environment.items():
        monkeypatch.setenv(name, value)
    results.append(rig.set(keys.a, retries=0, **rig.bad_credential))
    text = json.dumps(results)
    assert [secret for secret in (*rig.secrets, "fake-wrong") if secret in text] == []
    assert rig.secrets
