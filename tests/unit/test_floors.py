# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lowest versions are declared in one file, and every other place says the same; C(make floors) tests them."""

from __future__ import annotations

import importlib.util
import re
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils._http import REQUESTS_MINIMUM
from ansible_collections.waba.flows.plugins.module_utils._keys import CRYPTOGRAPHY_MINIMUM
from ansible_collections.waba.flows.plugins.module_utils._providers._aws import BOTO3_MINIMUM

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str, monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """Return a program of tests/tools as a module."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "tests" / "tools"), *sys.path])
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def floors(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    return tool("floors", monkeypatch)


def test_the_code_wants_what_is_declared(floors: t.Any) -> None:
    minimum = {"requests": REQUESTS_MINIMUM, "cryptography": CRYPTOGRAPHY_MINIMUM, "boto3": BOTO3_MINIMUM}
    assert floors.declared() == minimum


@pytest.mark.parametrize("place", ["README.md", "tests/requirements.txt", "docs/providers.md", "plugins/inventory",
                                   "plugins/modules"])
def test_every_place_names_the_version_that_is_declared(floors: t.Any, place: str) -> None:
    path = ROOT / place
    texts = [file.read_text(encoding="utf-8") for file in (path.glob("*.py") if path.is_dir() else [path])]
    named = re.compile(r"\b(requests|cryptography|boto3)`?(?: ?(?:>=|≥) ?|, )([0-9]+(?:\.[0-9]+)+)")
    found = {pair for text in texts for pair in named.findall(text)}
    assert found
    assert found <= set(floors.declared().items())


def test_each_floor_is_installed_exactly(floors: t.Any) -> None:
    modules, control = floors.environments().values()
    assert {"requests==" + REQUESTS_MINIMUM, "cryptography==" + CRYPTOGRAPHY_MINIMUM} <= set(modules[0]) & set(control[0])
    assert {f"boto3=={BOTO3_MINIMUM}", "ansible-core==2.16.0"} <= set(control[0])
    assert next(iter(floors.environments())) == floors.module_python() == "3.9"
    assert all((ROOT / "tests" / "unit" / f"test_{name}.py").is_file() for name in control[1])


@pytest.mark.parametrize(("ends", "strict", "failed"), [
    (["ok", "ok"], False, False), (["ok", "FAILED"], False, True), (["ok", "skipped: no"], False, False),
    (["ok", "skipped: no"], True, True), (["skipped: no"], False, True), ([], False, True),
])
def test_when_it_fails(*, floors: t.Any, ends: list[str], strict: bool, failed: bool) -> None:
    assert floors.is_failed(ends, strict=strict) is failed


ROW = '{"name": "requests", "version": "2.0"'


@pytest.mark.parametrize(("answer", "end", "status"), [
    (f'{{"dependencies": [{ROW}, "vulns": []}}]}}', "clean", 0),
    (f'{{"dependencies": [{ROW}, "vulns": [{{"id": "X-1", "fix_versions": ["3"]}}]}}]}}', "weak", 1),
    ('{"dependencies": [{"name": "requests", "skip_reason": "not found"}]}', "unanswered", 0),
    ('{"dependencies": []}', "unanswered", 0), ("", "unanswered", 0), ("[]", "unanswered", 0),
])
def test_a_weakness_that_is_named_is_a_failure_and_silence_is_not(
    *, answer: str, end: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tool("audit_deps", monkeypatch)
    program = tmp_path / "pip-audit"
    (tmp_path / "answer").write_text(answer)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["audit_deps.py", str(program)])
    assert audit.main() == status
    told = capsys.readouterr().out
    assert f"pypi: {end}" in told
    assert ("No vulnerability service answered" in told) is (end == "unanswered")
