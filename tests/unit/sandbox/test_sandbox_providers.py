# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every provider other than Meta does alike: keys, refusals, faults, the request log."""

from __future__ import annotations

import http.client
import time

import pytest

from ansible_collections.waba.flows.tests.unit.sandbox.drivers import DRIVERS
from tests.sandbox import KINDS, PROVIDERS, make_mixed_state

BAD_KEYS = ("pkcs1", "private", "crlf", "escaped", "cut", "noise", "empty", "rsa1024", "rsa4096", "ec")
# An account of these has one key only, so a client cannot name a number.
NAMING = ("kaleyra", "graph_compatible", "aws")


@pytest.fixture(params=PROVIDERS)
def driver(request, mixed):
    """A client of the first account of each provider in turn."""
    return DRIVERS[request.param](mixed)


@pytest.fixture(params=NAMING)
def naming(request, mixed):
    """The same for the providers whose requests name a number."""
    return DRIVERS[request.param](mixed)


def test_every_provider_is_driven():
    assert tuple(DRIVERS) == PROVIDERS


def test_unset_set_and_set_again(driver, pems):
    assert driver.read() == driver.blank
    for name in ("good", "good", "other"):
        reply = driver.set(pems[name].rstrip("\n"))
        assert (reply.status, driver.is_done(reply)) == (200, True)
        assert driver.kept == pems[name]
        assert driver.read() == (pems[name], "VALID")


def test_log(driver, pems):
    driver.set(pems["good"])
    driver.get()
    requests = driver.box.requests
    assert [(item.method, item.phone_number_id) for item in driver.box.posts] == [
        ("PUT" if driver.name == "aws" else "POST", driver.number)]
    assert {item.phone_number_id for item in requests} == {driver.number}
    assert [item.sets_key for item in requests[-2:]] == [True, False]
    assert all(len(item.token_hint) == 4 and driver.secret not in str(item) for item in requests)
    assert all(item.path.startswith(driver.base + "/") for item in requests)


@pytest.mark.parametrize("name", [*BAD_KEYS, None])
def test_bad_key(driver, pems, name):
    driver.set(pems["good"])
    reply = driver.set(name and pems[name])
    assert driver.error(reply) == driver.refusals["missing" if name is None else "key"]
    assert driver.read() == (pems["good"], "VALID")


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_bad_credential(driver, pems, secret):
    own, driver.secret = driver.secret, secret
    for reply in (driver.get(), driver.set(pems["good"])):
        assert driver.error(reply) == driver.refusals["credential"]
    assert driver.kept is None
    driver.secret = own
    assert driver.read() == driver.blank


# With graph_compatible the credential alone names the account: there, see test_number_of_another_account.
@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "graph_compatible"])
def test_credential_of_another_account(mixed, pems, name):
    driver = DRIVERS[name](mixed)
    driver.secret = mixed.state.accounts[name + "-2"].secret
    assert driver.error(driver.set(pems["good"])) == driver.refusals["credential"]
    assert driver.kept is None


def test_unknown_number(naming, pems):
    naming.number = naming.unknown
    for reply in (naming.get(), naming.set(pems["good"])):
        assert naming.error(reply) == naming.refusals["unknown"]
    assert naming.box.requests[-1].phone_number_id == naming.unknown


def test_number_of_another_account(naming, pems):
    naming.number = naming.box.state.accounts[naming.name + "-2"].numbers[0]
    for reply in (naming.get(), naming.set(pems["good"])):
        assert naming.error(reply) == naming.refusals["unknown"]
    assert naming.kept is None


def test_account_of_another_provider(driver):
    own = driver.box.state.accounts[driver.account_id]
    own.provider = next(name for name in PROVIDERS if name != driver.name)
    assert driver.get().status in (401, 403, 404)


def test_unregistered(driver, pems):
    driver.box.state.numbers[driver.number].registered = False
    assert driver.error(driver.set(pems["good"])) == driver.refusals["unregistered"]
    assert driver.kept is None


def test_unknown_path(driver):
    reply = driver.send("GET", "/v9/nothing")
    assert driver.error(reply)[0] == 404
    assert driver.box.requests[-1].status == 404


def test_other_method(driver):
    driver.set("x")
    path, headers = driver.path, {"api-key": driver.secret, "Authorization": driver.secret}
    if driver.name == "on_premises":
        headers["Authorization"] = "Bearer " + driver.token
    assert driver.error(driver.send("DELETE", path, headers=headers))[0] in (400, 404, 405)


def test_cloud_api_does_not_see_the_number(driver, client):
    client.box = driver.box
    assert client.get(driver.number).status == 400
    assert client("GET", f"/v25.0/{driver.number}").status == 400
    assert client.get().status == 200


# kind, members, applied, status seen by the client (None: no whole answer)
FAULTS = [
    ("error", {"status": 418, "code": "TEAPOT"}, False, 418),
    ("error", {"status": 409, "code": 7, "message": "m"}, False, 409),
    ("throttle", {"retry_after": 7}, False, 429),
    ("applied_then_error", {}, True, 500),
    ("applied_then_error", {"status": 503, "code": 9}, True, 503),
    ("applied_then_reset", {}, True, None),
    ("mismatch", {}, True, 200),
    ("ignored_post", {}, False, 200),
    ("stale_reads", {}, True, 200),
    ("latency", {"seconds": 0.2}, True, 200),
    ("slow_first_byte", {"seconds": 0.2}, True, 200),
    ("slow_drip", {"seconds_per_byte": 0.005}, True, 200),
    ("truncated", {}, True, None),
    ("html", {}, False, 502),
    ("html", {"status": 200, "applied": True}, True, 200),
    ("empty", {}, False, 200),
    ("body", {"status": 418, "body": "[1", "content_type": "text/plain"}, False, 418),
    ("reset", {}, False, None),
    ("redirect", {"location": "http://127.0.0.1:1/"}, False, 302),
    ("big_body", {"bytes": 200000}, False, 200),
]


def test_every_kind_has_a_case():
    assert {case[0] for case in FAULTS} == KINDS


@pytest.mark.parametrize(("kind", "members", "applied", "status"), FAULTS)
def test_fault_on_set(driver, pems, *, kind, members, applied, status):
    driver.get()  # a login, where there is one, is out of the way
    driver.box.fault(driver.number, kind, method="POST", **members)
    started = time.monotonic()
    # The answer of aws is empty: there is nothing to cut off or to drip.
    if status is None and not (driver.name == "aws" and kind == "truncated"):
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            driver.set(pems["good"])
    else:
        reply = driver.set(pems["good"])
        assert reply.status == (status or 200)
        if kind in ("error", "throttle", "applied_then_error"):
            expected = driver.refusals["throttle" if kind == "throttle" else "failed"]
            code = members.get("code", expected[1])
            assert driver.error(reply) == (status, str(code) if driver.name in ("aws", "kaleyra") else code)
            assert reply.headers["Retry-After"] == ("7" if kind == "throttle" else None)
    assert (time.monotonic() - started >= 0.2) or "seconds" not in members
    assert (driver.kept is not None) is applied
    assert driver.box.posts[0].status == (None if kind.endswith("reset") else status or 200)
    assert driver.is_done(driver.set(pems["other"]))
    assert driver.kept == pems["other"]


@pytest.mark.parametrize("kind", ["throttle", "html", "reset", "truncated"])
def test_fault_on_get(driver, kind):
    driver.get()
    driver.box.fault(driver.number, kind, method="GET")
    if kind in ("reset", "truncated"):
        # What aws answers about an unset key is two bytes long: a cut is a cut nevertheless.
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            driver.get()
    else:
        assert driver.get().status == {"throttle": 429, "html": 502}[kind]
    assert driver.read() == driver.blank


def test_faults_as_read_back(driver, pems):
    driver.box.fault(driver.number, "mismatch")
    driver.set(pems["good"])
    assert driver.read() == (pems["good"], "MISMATCH")
    driver.box.fault(driver.number, "stale_reads", reads=2)
    driver.set(pems["other"])
    assert [driver.read() for dummy in range(3)] == [(pems["good"], "MISMATCH")] * 2 + [(pems["other"], "VALID")]
    driver.box.fault("*", "ignored_post")
    driver.set(pems["good"])
    assert driver.read() == (pems["other"], "VALID")


def test_refusal_wins_over_applied_then_error(driver):
    driver.box.fault(driver.number, "applied_then_error")
    assert driver.error(driver.set("no key")) == driver.refusals["key"]


def test_failure_of_the_sandbox_itself(driver):
    driver.box.state.numbers[driver.number] = object()
    reply = driver.get()
    assert driver.error(reply) == driver.refusals["failed"]


def test_state_keeps_accounts(driver, tmp_path):
    state = make_mixed_state(3, 1, cloud_numbers=0)
    state.save(tmp_path / "state.json")
    assert type(state).load(tmp_path / "state.json") == state
    assert len([item for item in state.accounts.values() if item.provider == driver.name]) == 3
    assert sorted(number for item in state.accounts.values() for number in item.numbers) == sorted(state.numbers)
