# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrix of versions fails where it has to, and says what ran; C(make matrix) runs it."""

from __future__ import annotations

import argparse
import importlib.util
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def matrix() -> t.Any:
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "tests" / "tools" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(**cells: str) -> dict[str, str]:
    return {"core": "2.16.1", "python": "3.11.7", "sanity": "-", "units": "-", "integration": "-", **cells}


@pytest.mark.parametrize(("cells", "strict", "failed"), [
    ({"units": "ok 3 s"}, False, False),
    ({"units": "ok 3 s", "sanity": "FAILED 1 s"}, False, True),
    ({"units": "ok 3 s", "sanity": "skipped"}, False, False),
    ({"units": "ok 3 s", "sanity": "skipped"}, True, True),
    ({"units": "skipped"}, False, True),
    ({}, False, True),
])
def test_when_it_fails(*, matrix: t.Any, cells: dict[str, str], strict: bool, failed: bool) -> None:
    assert matrix.is_failed([row(**cells)], strict=strict) is failed


def test_the_table(matrix: t.Any) -> None:
    assert matrix.table([row(units="ok 3 s")]) == (
        "core    python  sanity  units   integration\n"
        "2.16.1  3.11.7  -       ok 3 s  -"
    )


def test_a_python_that_does_not_run_is_passed_over(matrix: t.Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims, versions = tmp_path / "shims", tmp_path / "versions" / "9.9.1" / "bin"
    for folder, status in ((shims, 1), (versions, 0)):
        folder.mkdir(parents=True)
        (folder / "python9.9").write_text(f"#!/bin/sh\nexit {status}\n")
        (folder / "python9.9").chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert matrix.find_python(["9.8"]) is None
    assert matrix.find_python(["9.8", "9.9"]) == str(versions / "python9.9")


def test_a_core_without_a_python_is_skipped(
    matrix: t.Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "CORES", {"2.16": ("9.9",)})
    options = argparse.Namespace(steps=["units"], units=None, integration=None, jobs=1)
    assert matrix.run_core("2.16", options)["units"] == "skipped"
    assert "it needs Python 9.9" in capsys.readouterr().out


def test_the_oldest_core_is_the_one_that_is_required(matrix: t.Any) -> None:
    runtime = (ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8")
    assert f"requires_ansible: '>={next(iter(matrix.CORES))}.0'" in runtime
    assert all((ROOT / path).is_file() for path in matrix.INTEGRATION)
