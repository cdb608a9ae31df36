# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the promise that a test attacks into the results of the tests, from which docs/promises.md is made.

A test tells how many tries it made, where they are more than one, by C(record_property("tries", n)).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PROMISES = frozenset(yaml.safe_load(Path(__file__).with_name("promises.yml").read_text(encoding="utf-8")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Copy the marks C(attack) of tests into their properties, which reports keep."""
    for item in items:
        for mark in item.iter_markers("attack"):
            promise, attack = mark.args
            if promise not in PROMISES:
                raise pytest.UsageError(f"{item.nodeid} attacks the promise '{promise}', which tests/promises.yml does not have.")
            item.user_properties.append((f"attack:{promise}", attack))
