# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of errors in docs/troubleshooting.md are those of the code."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _errors
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "error_tables.py"


@pytest.fixture(scope="module")
def script() -> t.Any:
    spec = importlib.util.spec_from_file_location("error_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: t.Any) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.updated(page) == page, "run: python tests/tools/error_tables.py"


def test_every_code_is_there(script: t.Any) -> None:
    tables = script.tables()
    assert len({_errors.CODES[code, None] for code in range(200, 300)}) == 1  # so that one row can stand for them
    for code, subcode in _errors.CODES:
        shown = "200-299" if 200 <= code < 300 else str(code)
        assert f"`{shown}`" in tables if subcode is None else f"`{code} ({subcode})`" in tables
    for remedy in {meaning.remedy for meaning in _errors.CODES.values()}:
        assert remedy in tables
    assert {f"#### `{name}`" for name in PROVIDERS if f"#### `{name}`" in tables} == {
        "#### `aws`", "#### `gupshup`", "#### `kaleyra`", "#### `on_premises`",
    }


def test_a_code_that_is_new_is_missed(script: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_errors.CODES, (424242, None), _errors.Meaning("new", "Do something else."))
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.updated(page) != page
    assert "| `424242` | Do something else. | no | no |" in script.tables()
