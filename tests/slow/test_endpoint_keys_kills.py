# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL after each system call of every kind of deployment to an endpoint host, and then the call again, or another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from ansible_collections.waba.flows.tests.unit.endpoint_host import (  # noqa: F401  # pylint: disable=unused-import
    SPOILT,
    Host,
    host_fixture,
    ring,
    unchecked_keys_fixture,
)
from ansible_collections.waba.flows.tests.unit.endpoint_kills import (  # noqa: F401  # pylint: disable=unused-import
    KILLED,
    SYSTEM_CALLS,
    Case,
    Victim,
    kill,
    unsynced_fixture,
)
from ansible_collections.waba.flows.tests.unit.helpers import Keys, dies_after

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork"),
    pytest.mark.usefixtures("_unsynced"),
]


@pytest.mark.attack("resumed", "SIGKILL after each system call of each deployment to an endpoint host")
@pytest.mark.parametrize("case", KILLED)
def test_sigkill_at_any_point_is_made_good_by_the_next_call(
    case: str, host: Host, keys: Keys, record_property: Callable[[str, object], None]
) -> None:
    kills = kill(case, host, keys, range(1000))
    record_property("tries", kills)
    assert kills > 5


@pytest.mark.parametrize("spoilt", ["", "b"])
@pytest.mark.attack("resumed", "a second call of another kind after a killed one")
def test_a_key_that_a_killed_call_brought_is_removed_if_it_is_revoked_then(spoilt: str, host: Host, keys: Keys) -> None:
    """Also where no manifest ever came to name it."""
    victim = Victim(Case("a:current", "a:current b:pending"), host, keys)
    number = 0
    brought = 0
    while dies_after(victim.call, number, SYSTEM_CALLS):
        brought += host.pem(keys, "b").exists()
        if spoilt and host.pem(keys, "b").exists():
            SPOILT["truncated"](host.pem(keys, "b"), keys)
        result = host(ring(keys, "a:current b:revoked", without="b"), reload="owed")
        assert "failed" not in result
        assert host.names() == [host.pem(keys, "a").name, "manifest.json", "stray.pem"], f"killed after system call {number}"
        number += 1
        victim.reset()
    assert brought > 3


@pytest.mark.attack("resumed", "a second call of another kind after a killed one")
def test_a_second_kill_forgets_nothing_of_the_first(host: Host, keys: Keys) -> None:
    """The first call is killed when it has brought a key; the second, which still wants it, anywhere; the third revokes it."""
    host(ring(keys, "a:current"))
    start = host.path.parent.with_name("start")
    row = ring(keys, "a:current b:pending")
    number = 0
    while not host.pem(keys, "b").exists():
        number += 1
        assert dies_after(lambda: host(row), number, SYSTEM_CALLS)
    shutil.copytree(host.path.parent, start)
    more = ring(keys, "a:current b:retired c:pending")
    number = 0
    while dies_after(lambda: host(more), number, SYSTEM_CALLS):
        host(ring(keys, "a:current b:revoked c:revoked", without="abc"))
        assert host.names() == [host.pem(keys, "a").name, "manifest.json"], f"killed after system call {number}"
        shutil.rmtree(host.path.parent)
        shutil.copytree(start, host.path.parent)
        number += 1
    assert number > 5
