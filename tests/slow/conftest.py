# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The slow tests stand on what the unit tests and the integration tests do."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
pytest.register_assert_rewrite("tests.slow.estate")

from tests.integration.conftest import World, collections, ready, world  # noqa: E402
from tests.slow.estate import Estate  # noqa: E402
from tests.unit.conftest import _own_environment, keys  # noqa: E402

FIXTURES = (_own_environment, keys, collections, ready, world)  # for pytest to find


@pytest.fixture
def estate(ready: World) -> t.Iterator[Estate]:
    """A world with two keys, endpoints, a replica, and a key that is past its retention."""
    with Estate(ready) as estate:
        yield estate


@pytest.fixture
def small_estate(ready: World) -> t.Iterator[Estate]:
    """The same with one key and its 15 numbers."""
    with Estate(ready, ("default",)) as estate:
        yield estate


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder as slow, so that its tests need not say so one by one."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.slow)
