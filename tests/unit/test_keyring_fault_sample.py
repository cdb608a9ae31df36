# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failing system calls in the work of the keyring: a sample; all of them are in tests/slow/test_keyring_faults.py."""

from __future__ import annotations

import pytest

from ansible_collections.waba.flows.tests.unit.helpers import Keys
from ansible_collections.waba.flows.tests.unit.keyring_box import Box, Maker, box_fixture, unchecked_keys_fixture
from ansible_collections.waba.flows.tests.unit.keyring_faults import fail
from ansible_collections.waba.flows.tests.unit.keyring_kills import CASES, maker_with_spare_keys_fixture, spare_keys_fixture

FIXTURES = (box_fixture, unchecked_keys_fixture, maker_with_spare_keys_fixture, spare_keys_fixture)  # for pytest to find
SAMPLE = ("first", "import", "replaced", "pruned", "recovered", "mirrored under another name")


@pytest.mark.attack("durable", "each system call of each call of the keyring fails: full disk, quota, read-only, I/O error, NFS")
@pytest.mark.parametrize("name", SAMPLE)
def test_a_failing_system_call_is_told_and_made_good_by_the_next_call(name: str, box: Box, keys: Keys, maker: Maker) -> None:
    assert fail(name, box, keys, maker, range(1 + list(CASES).index(name) % 9, 1000, 9)) > 1
