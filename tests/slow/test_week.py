# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A week of daily runs, with a number that cannot be read."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.integration.conftest import World, shift


@pytest.mark.attack("kept", "a number that cannot be read may hold a key past its retention")
def test_a_key_that_an_unreachable_number_may_hold_outlives_its_retention(ready: World) -> None:
    """A week of daily runs, long after the retention: it is there until the number was read, and had its time afterwards."""
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    options: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas"}
    old = ready.fleet.old_keys["default"].fingerprint
    identity = ready.fleet.numbers["number-07"]
    ready.box.fault(identity, "error", status=403, code=10, method="GET", times=-1)
    assert ready.run(encryption_keys_force=True, **options).status == 2
    places = [next((folder / "default").glob("*-imported.pem")) for folder in (ready.keys, replica, endpoint.keys)]
    shift(ready, "default", 40)
    for dummy in range(7):
        assert ready.run(**options).status == 2
        shift(ready, "default", 1)
        assert all(path.exists() for path in places)
    ready.box.clear()
    assert ready.run(**options).outcomes["number-07"] == "replaced"  # it was read, still holding the old key: its time starts now
    assert all(path.exists() for path in places)
    shift(ready, "default", 29)
    assert ready.run(**options).status == 0
    assert all(path.exists() for path in places)
    shift(ready, "default", 2)
    gone = ready.run(**options)
    assert gone.status == 0
    assert not any(path.exists() for path in places)
    assert old not in json.dumps([ready.keyring("default")["generations"], ready.manifest(endpoint, "default")])
    assert ready.keyring("default")["pruned"] == [old]
    assert ready.report["keys"][0]["removed"] == [old]
