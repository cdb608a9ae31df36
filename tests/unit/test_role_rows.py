# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that the tests of plugin_utils are built of have the members of what the modules and functions really return."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, PING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._ping import run_ping
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many
from ansible_collections.waba.flows.plugins.plugin_utils import _endings as endings
from ansible_collections.waba.flows.plugins.plugin_utils import _keyring_rows as keyrings
from ansible_collections.waba.flows.plugins.plugin_utils import _plan as plans
from ansible_collections.waba.flows.plugins.plugin_utils import _proofs as proofs
from ansible_collections.waba.flows.tests.unit import endpoint_host, role_rows
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params, module_params
from ansible_collections.waba.flows.tests.unit.keyring_box import (  # noqa: F401  # pylint: disable=unused-import
    Box,
    Maker,
    maker_fixture,
    unchecked_keys_fixture,
)
from ansible_collections.waba.flows.tests.unit.provider_rigs import RIGS, Rig
from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox, make_mixed_state

Row = role_rows.Row


def numbers(box: Sandbox, spec: t.Any, ids: tuple[str, ...] = (DEFAULT_NUMBER,), **given: t.Any) -> Params:
    rows = [{"name": f"n{number}", "phone_number_id": number} for number in ids]
    common = {"phone_numbers": rows, "base_url": box.base_url, "access_token": DEFAULT_TOKEN}
    return module_params(spec, **{**common, **given})


def test_numbers_that_were_read(box: Sandbox) -> None:
    good, bad = run_info(numbers(box, INFO_SPEC, (DEFAULT_NUMBER, "404")))["numbers"]
    assert set(good) == set(role_rows.read())
    assert set(bad) == set(role_rows.unread())
    assert bad["outcome"] == "failed"


@pytest.fixture
def blind_rig() -> t.Iterator[Rig]:
    """Two numbers of a provider that does not tell which key they hold."""
    with Sandbox(make_mixed_state()) as box:
        yield RIGS["kaleyra"](box)


def test_numbers_whose_provider_cannot_be_asked(blind_rig: Rig) -> None:
    row = blind_rig.info()["numbers"][0]
    built = {**role_rows.unasked(), **{name: row[name] for name in ("name", "phone_number_id", "seconds")}}
    assert row == built


@pytest.mark.parametrize("check_mode", [False, True])
def test_numbers_that_accepted_a_key(check_mode: bool, blind_rig: Rig, keys: Keys) -> None:
    params = module_params(FLEET_SPEC, phone_numbers=blind_rig.rows, business_public_key=keys.a.pem)
    published = run_many(params, check_mode)
    row = published["numbers"][0]
    own = ("name", "phone_number_id", "seconds", "attempts", "fingerprint", "previous_fingerprint")
    assert row == {**role_rows.taken(), **{name: row[name] for name in own}}
    assert (row["fingerprint"], row["previous_fingerprint"]) == (keys.a.fingerprint, None)
    assert set(published["published_keys"]) == {keys.a.fingerprint}


@pytest.mark.parametrize("check_mode", [False, True])
def test_numbers_that_were_published_to(check_mode: bool, box: Sandbox, keys: Keys) -> None:
    params = numbers(box, FLEET_SPEC, (DEFAULT_NUMBER, "404"), business_public_key=keys.a.pem)
    published = run_many(params, check_mode)
    good, bad = published["numbers"]
    assert set(good) == set(role_rows.sent())
    assert set(bad) == set(role_rows.not_sent()) == set(role_rows.maybe_sent())
    assert set(published["published_keys"]) == {keys.a.fingerprint}
    kept = plans.wave_done({**published, "msg": published["msg"]}, 1, ["x"], [])
    assert set(kept) == set(role_rows.wave(1, role_rows.sent()))


@pytest.fixture
def ring_box(tmp_path: Path, maker: Maker, unchecked_keys: None) -> Box:
    """A place for a keyring whose keys are made quickly."""
    return Box(tmp_path / "vault" / "keys")


def test_keyrings(ring_box: Box) -> None:
    ring_box("present")
    found = ring_box("staged", force=True, lease_owner="me")
    built = role_rows.answer("default", "A:current B:pending")
    assert set(found) - set(built) == {"name", "folder", "diff", "recovery"}
    assert set(built) - set(found) == {"item"}
    assert [set(row) for row in found["generations"]] == [set(row) for row in built["generations"]]
    assert set(found["to_publish"]) == set(built["to_publish"])
    assert set(role_rows.exported()["exported"]) == {row["id"] for row in role_rows.generations(role_rows.ROTATING)}
    exported = ring_box("read", export_passphrase="a passphrase for export")
    assert set(exported["exported"]) == {row["id"] for row in exported["generations"]}
    assert set(exported) == set(found)


def test_a_keyring_whose_key_check_mode_predicts(ring_box: Box) -> None:
    found = ring_box("staged", check_mode=True)
    row, = keyrings.keyring_rows([{"item": "default", **found}])
    built = role_rows.predicted_ring("default", "A:pending")
    assert set(row) == set(built)
    assert (row["predicted"], row["check_mode"], row["message"]) == (True, True, "")


def test_keys_on_an_endpoint(keys: Keys, tmp_path: Path, unchecked_keys: None) -> None:
    host = endpoint_host.Host(tmp_path / "keys")
    good = endpoint_host.ring(keys, "a:current")
    bad = endpoint_host.ring(keys, "b:current", name="partner", without="b")
    found = host.result(good, bad)
    assert set(role_rows.put("web")) - {"item"} <= set(found)
    assert [set(row) for row in found["deployed"]] == [set(role_rows.put_key()), set(role_rows.put_key(error={}))]
    rows = role_rows.deployed({"item": "web", **found})
    assert [(row["key_name"], row["added"], bool(row["message"])) for row in rows] == [
        ("default", [keys.a.fingerprint], False), ("partner", [], True),
    ]


def test_pings(keys: Keys) -> None:
    """An endpoint that is not there; the members are the same whatever came of it."""
    url = "http://127.0.0.1:9/"
    found = run_ping(module_params(PING_SPEC, url=url, allow_http=True, business_public_key=keys.a.pem, retries=0))
    built = role_rows.pong({"fingerprint": role_rows.C})
    assert set(found) - set(built) == {"warnings", "failed", "msg", "error"}
    assert set(built) - set(found) == {"item"}


def test_the_users_own_deployment_takes_what_the_keyring_returns(ring_box: Box, keys: Keys) -> None:
    ring_box("present")
    taken = ring_box("read", export_passphrase="a passphrase for export")
    row, = keyrings.keyring_rows([{"item": "default", **taken}])
    given = keyrings.deployment(row, [{"item": "default", **taken}])
    first: KeyPair = keys.a
    assert given["manifest"]["current"] == first.fingerprint
    assert list(given["files"]) == [given["manifest"]["keys"][0]["file"]]


def test_rows_between_the_functions() -> None:
    plan = role_rows.plan_of({"a": role_rows.B, "b": role_rows.C})
    done = [role_rows.wave(1, role_rows.sent("a"))]
    rows = plans.final_rows(plan, done, {}, {})
    assert rows == [role_rows.final("a"), role_rows.kept("b")]
    unread = plans.make_plan([role_rows.number("a")], [role_rows.unread("a")], [role_rows.ring()])
    assert plans.final_rows(unread, [], {}, {}) == [role_rows.unreadable("a")]
    assert plans.final_rows(plan[:1], [role_rows.wave(1, role_rows.maybe_sent("a"))], {}, {}) == [role_rows.uncertain("a")]
    item, = proofs.pings(proofs.wanted_proofs(plan), [role_rows.endpoint("web-1")], [role_rows.ring()], [])
    assert proofs.proof_rows([item], [role_rows.pong(item)], "before") == [role_rows.proof()]
    undo = endings.undo_plan(rows, {"default": "x"}, [role_rows.answer("default")])
    assert set(plan[0]) - set(undo["plan"][0]) == set()
    blind = role_rows.blind_plan({"a": role_rows.noted(role_rows.B)})
    assert set(blind[0]) == set(plan[0])
    assert plans.final_rows(blind, [role_rows.wave(1, role_rows.taken("a"))], {}, {}) == [role_rows.accepted("a")]


def test_what_a_keyring_has_on_record(ring_box: Box, keys: Keys) -> None:
    ring_box("present")
    found = ring_box("recorded", accepted={"1": {"fingerprints": [keys.a.fingerprint], "certain": True}})
    assert set(found["accepted"]["1"]) == set(role_rows.noted(role_rows.A))
