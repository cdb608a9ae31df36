# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workflows of GitHub call the targets that there are, with pinned actions and no rights but to read."""

from __future__ import annotations

import re
import shlex
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
MATRIX = (ROOT / "tests" / "tools" / "matrix.py").read_text(encoding="utf-8")
Job = dict[str, t.Any]


def load(path: Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


def jobs() -> list[Job]:
    return [job for path in WORKFLOWS for job in load(path)["jobs"].values()]


def commands(job: Job) -> t.Iterator[str]:
    """Yield what a job runs, once for each value of its matrix."""
    ((name, values),) = job.get("strategy", {}).get("matrix", {"": [""]}).items()
    for step in job["steps"]:
        yield from (step["run"].replace("${{ matrix." + name + " }}", value) for value in values if "run" in step)


def test_there_are_workflows() -> None:
    assert len(WORKFLOWS) == 2
    assert all(path.suffix == ".yml" for path in WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_may_only_read(path: Path) -> None:
    document = load(path)
    assert document["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in document["jobs"].values())
    assert "pull_request_target" not in document["on"]
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = [step["uses"] for job in load(path)["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    for action in used:
        assert re.search(rf"uses: {re.escape(action)} # v\d+\.\d+\.\d+$", text, re.MULTILINE)
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)


def test_they_run_targets_that_there_are_and_nothing_else() -> None:
    run = [shlex.split(command) for job in jobs() for command in commands(job)]
    assert {words[0] for words in run} == {"make"}
    called = {words[1] for words in run}
    assert called <= TARGETS
    assert {"lint", "sanity", "test", "slow", "galaxy", "ee", "licenses", "docs", "matrix"} <= called


def test_every_core_of_the_matrix_is_run() -> None:
    cores = re.findall(r'^    "(2\.\d+)": \(', MATRIX, re.MULTILINE)
    run = [command for job in jobs() for command in commands(job) if "--cores" in command]
    assert run == [f'make matrix MATRIX="--strict --cores {core}"' for core in cores]
