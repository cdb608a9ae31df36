# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL in the work of the keyring: a sample of every call; all of it is in tests/slow/test_keyring_kills.py."""

from __future__ import annotations

import pytest

from ansible_collections.waba.flows.tests.unit.helpers import Keys
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    Box,
    Maker,
    box_fixture,
    unchecked_keys_fixture,
)
from ansible_collections.waba.flows.tests.unit.keyring_kills import (
    CASES,
    kill,
    maker_with_spare_keys_fixture,
    spare_keys_fixture,
)

FIXTURES = (box_fixture, unchecked_keys_fixture, maker_with_spare_keys_fixture, spare_keys_fixture)  # for pytest to find
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")


@pytest.mark.attack("resumed", "SIGKILL after each system call of each call of the keyring")
@pytest.mark.parametrize("name", CASES)
def test_sigkill_is_made_good_by_the_next_call(name: str, box: Box, keys: Keys, maker: Maker) -> None:
    first = list(CASES).index(name) % 9  # so that all kinds of system calls have their turn
    assert kill(name, box, keys, maker, range(first, 1000, 9)) > 0
