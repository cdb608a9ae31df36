# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each system call of every kind of deployment to an endpoint host fails; what is there then must do for a program."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.waba.flows.plugins.module_utils._errors import KeyringError
from ansible_collections.waba.flows.tests.unit.endpoint_host import Host, host_fixture, unchecked_keys_fixture
from ansible_collections.waba.flows.tests.unit.endpoint_kills import KILLED, Victim
from ansible_collections.waba.flows.tests.unit.helpers import Keys
from ansible_collections.waba.flows.tests.unit.keyring_faults import ERRORS, PARENTS, Fault

FIXTURES = (host_fixture, unchecked_keys_fixture)  # for pytest to find


def told(victim: Victim, fault: Fault) -> list[str]:
    """Deploy under a fault; return the errors that it told."""
    try:
        with fault.active():
            result = victim.call()
    except KeyringError as error:
        return [str(error)]
    return [row["error"]["message"] for row in result["deployed"] if "error" in row]


@pytest.mark.attack("durable", "each system call of each deployment to an endpoint host fails: full disk, read-only, I/O error")
@pytest.mark.attack("resumed", "each system call of each deployment to an endpoint host fails: full disk, read-only, I/O error")
@pytest.mark.parametrize("case", KILLED)
def test_a_failing_system_call_is_told_and_made_good_by_the_next_deployment(
    case: str, host: Host, keys: Keys, record_property: Callable[[str, object], None]
) -> None:
    victim = Victim(KILLED[case], host, keys)
    whole = victim.call()
    expected, owed = host.state(), host.owed
    assert owed is whole["reload_needed"]
    for number in range(1, 1000):
        victim.reset()
        turn = number + len(case)
        fault = Fault(number, ERRORS[turn % len(ERRORS)], applied=turn // len(ERRORS) % 2 == 1)
        errors = told(victim, fault)
        if not fault.hit:
            break
        if errors:
            assert all(re.search(r"/\S+", error) for error in errors), fault
        else:
            assert fault.hit in ("close", "listdir", "open") or fault.code in PARENTS, f"{fault}: nothing was said"
        victim.check_for_programs()
        again = victim.call()
        assert "failed" not in again, fault
        assert (host.state(), again["reload_needed"]) == (expected, owed), fault
        assert victim.call()["changed"] is False, fault
    record_property("tries", number - 1)
    assert number > 5
