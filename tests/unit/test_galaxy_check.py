# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of the tarball finds what it is there for; C(make galaxy) runs it on the real one."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest

GOOD = "Loading role encryption_keys\n...ansible-lint run complete\nImporter processing completed successfully\n"
FILES = {"README.md", "plugins/modules/x.py"}


@pytest.fixture(scope="module")
def galaxy() -> t.Any:
    spec = importlib.util.spec_from_file_location("galaxy", Path(__file__).resolve().parents[1] / "tools" / "galaxy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_right_has_no_problems(galaxy: t.Any) -> None:
    assert galaxy.problems_of_import(GOOD, 0) == []
    assert galaxy.problems_of_content(FILES | galaxy.MADE, FILES, 1000) == []


@pytest.mark.parametrize(("log", "status"), [
    (f"WARNING: x\n{GOOD}", 0), (f"ERROR: x\n{GOOD}", 0), (f"Traceback (most recent call last):\n{GOOD}", 0), ("", 0), (GOOD, 1),
    (GOOD.replace("successfully", ""), 0), (GOOD.replace("...ansible-lint run complete\n", ""), 0),
])
def test_complaints_of_the_importer_are_found(galaxy: t.Any, log: str, status: int) -> None:
    assert galaxy.problems_of_import(log, status)


def test_what_is_missing_too_much_or_too_big_is_found(galaxy: t.Any) -> None:
    names = {"README.md", "tests/secret.py", "FILES.json", "MANIFEST.json"}
    assert galaxy.problems_of_content(names, FILES, 10**7) == [
        "plugins/modules/x.py is missing from the tarball.", "tests/secret.py ought not to be in the tarball.",
        "The tarball has 10000000 bytes, more than 500000.",
    ]
    assert "MANIFEST.json is missing from the tarball." in galaxy.problems_of_content(FILES | {"FILES.json"}, FILES, 1)
