# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL after each system call of every kind of call of the keyring, and the call again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    count_system_calls,
    kill,
    maker_with_spare_keys_fixture,
    spare_keys_fixture,
)

FIXTURES = (box_fixture, unchecked_keys_fixture, maker_with_spare_keys_fixture, spare_keys_fixture)  # for pytest to find
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")


@pytest.mark.attack("resumed", "SIGKILL after each system call of each call of the keyring")
@pytest.mark.parametrize("name", CASES)
def test_sigkill_at_any_point_is_made_good_by_the_next_call(
    name: str, *, box: Box, keys: Keys, maker: Maker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kills = kill(name, box, keys, maker, range(1000))
    maker.log.write_text("")
    whole = tmp_path.with_name(tmp_path.name + "-whole")  # as deep as the other: parents of a new folder are synced, too
    whole.mkdir()
    record_property("tries", kills)
    assert kills == count_system_calls(name, Box(whole / "vault" / "keys"), keys, maker) + 1 > 5


def test_there_are_at_least_200_kills(box: Box, keys: Keys, maker: Maker) -> None:
    """By the number of system calls, which the test above kills after: so it can be told wherever its cases are run."""
    kills = 0
    for name in CASES:
        maker.log.write_text("")
        kills += count_system_calls(name, Box(box.path.parents[1] / name / "vault" / "keys"), keys, maker) + 1
    print(f"{kills} kills")
    assert kills >= 200
