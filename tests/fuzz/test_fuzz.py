# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsers fed with what coverage guides to, each target in a process of its own: C(make fuzz), ten minutes for all of them.

C(FUZZ_SECONDS) in the environment is another time for all. What breaks a parser is kept in .build/fuzz.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("atheris")

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "tests" / "fuzz" / "driver.py"
FOLDER = ROOT / ".build" / "fuzz"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "600"))
# The share of the time, in percent, and the executions a second below which something is wrong with the driver.
SHARES = {"pem": (20, 20), "answers": (35, 10), "files": (15, 50), "headers": (10, 50), "options": (10, 50), "pings": (10, 50)}


def fuzz(target: str, corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the driver for a target."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(DRIVER), target, str(corpus), f"-artifact_prefix={FOLDER}/{target}-", "-timeout=30",
               "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1", *options]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)


def features(told: str, when: str) -> int:
    """Return how many features of coverage there were at a moment of the run: INITED or DONE."""
    found = re.findall(rf"#\d+\t{when}\s+cov: \d+ ft: (\d+)", told)
    assert found, told[-3000:]
    return int(found[-1])


@pytest.mark.attack("understood", "parsers fed with what coverage guides to: keys, answers, files, headers, options, pings")
@pytest.mark.attack("secret", "private keys changed as coverage guides to")
@pytest.mark.parametrize("target", SHARES)
def test_what_coverage_guides_to(target: str, tmp_path: Path, record_property: t.Callable[[str, object], None]) -> None:
    share, floor = SHARES[target]
    seconds = max(SECONDS * share // 100, 1)
    run = fuzz(target, tmp_path, f"-max_total_time={seconds}", "-seed=1")
    found = re.search(r"stat::number_of_executed_units:\s+(\d+)", run.stdout)
    record_property("tries", int(found.group(1)) if found else 0)
    assert run.returncode == 0, run.stdout[-6000:]
    assert found
    assert int(found.group(1)) > seconds * floor
    assert features(run.stdout, "DONE") > features(run.stdout, "INITED")


def test_a_planted_bug_is_found(tmp_path: Path) -> None:
    run = fuzz("planted", tmp_path, "-max_total_time=60", "-seed=1")
    assert run.returncode != 0, run.stdout[-3000:]
    assert "the planted bug" in run.stdout
    crashes = list(FOLDER.glob("planted-crash-*"))
    assert any(crash.read_bytes().startswith(b"{k\x00\xff") for crash in crashes)
    for crash in crashes:
        crash.unlink()
