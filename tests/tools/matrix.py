# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run sanity, units and a choice of integration tests with each ansible-core that is supported; see C(--help).

Each core gets an environment of its own in .build/matrix. A core that no Python here can run is skipped, and the table at the end
says so; where C(--strict) is given, that is a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "matrix"
# The Pythons that a core and the tests run on, the preferred one first.
CORES = {
    "2.16": ("3.11", "3.12"),
    "2.18": ("3.12", "3.11", "3.13"),
    "2.19": ("3.11", "3.13", "3.12"),
    "2.21": ("3.13", "3.12", "3.14"),
}
STEPS = ("sanity", "units", "integration")
INTEGRATION = ("tests/integration/test_rotate.py", "tests/integration/test_mixed_fleet.py", "tests/integration/test_audit.py",
               "tests/integration/test_inventory.py", "tests/integration/test_documentation_blocks.py")
Row = dict[str, str]


def find_python(versions: t.Iterable[str]) -> str | None:
    """Return the first Python that runs and can make environments: of PATH, or of pyenv's folder."""
    for version in versions:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))]
        for candidate in filter(None, candidates):
            # pyenv's shims are on PATH for versions that are not switched on, and fail.
            if subprocess.run([candidate, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0:
                return candidate
    return None


def prepare(core: str, python: str) -> Path:
    """Make the environment of a core, unless it is there, and return the folder of its programs."""
    home = FOLDER / core
    programs = home / "bin"
    requirements = ROOT / "tests" / "requirements.txt"
    ready = home / "ready"
    if not ready.exists() or ready.stat().st_mtime < requirements.stat().st_mtime:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(home)], check=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ansible-core>={core}.0,<{core}.99", "-r", str(requirements)], check=True)
        ready.touch()
    return programs


def versions_of(programs: Path) -> list[str]:
    """Return the exact versions of ansible-core and Python."""
    code = "import ansible.release, platform; print(ansible.release.__version__, platform.python_version())"
    return subprocess.run([str(programs / "python"), "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def command_of(step: str, programs: Path, options: argparse.Namespace) -> list[str]:
    """Return the command of a step."""
    if step == "sanity":
        return [str(ROOT / "tests" / "tools" / "ansible_test.sh"), "sanity"]
    tests = (options.units or ["tests/unit"]) if step == "units" else (options.integration or list(INTEGRATION))
    return [str(programs / "python"), "-m", "pytest", "-q", "-n", str(options.jobs), "-m", "not slow", *tests]


def run_step(step: str, programs: Path, options: argparse.Namespace) -> str:
    """Run a step, and return how it ended and how long it took."""
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    began = time.monotonic()
    ended = subprocess.run(command_of(step, programs, options), cwd=ROOT, env=environment, check=False).returncode
    return f"{'ok' if ended == 0 else 'FAILED'} {time.monotonic() - began:.0f} s"


def run_core(core: str, options: argparse.Namespace) -> Row:
    """Run the steps with one core, and return its row of the table."""
    row = {"core": core, "python": "-", **dict.fromkeys(STEPS, "-")}
    python = find_python(CORES[core])
    if python is None:
        wanted = " or ".join(CORES[core])
        print(f"ansible-core {core} is skipped: it needs Python {wanted}, and none is on PATH or in pyenv's folder.")
        return {**row, "python": "none", **dict.fromkeys(options.steps, "skipped")}
    programs = prepare(core, python)
    row.update(zip(("core", "python"), versions_of(programs)))
    for step in options.steps:
        print(f"\n===== {step} with ansible-core {row['core']} on Python {row['python']}", flush=True)
        row[step] = run_step(step, programs, options)
    return row


def table(rows: list[Row]) -> str:
    """Return what ran, in columns."""
    names = ("core", "python", *STEPS)
    lines = [names, *(tuple(row[name] for name in names) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def is_failed(rows: list[Row], *, strict: bool) -> bool:
    """Tell whether a step failed, or nothing ran at all, or a core was skipped that must not be."""
    cells = [row[step] for row in rows for step in STEPS]
    bad = ("FAILED", "skipped") if strict else ("FAILED",)
    return any(cell.startswith(bad) for cell in cells) or not any(cell.startswith("ok") for cell in cells)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description="Run the tests with each ansible-core that is supported.")
    parser.add_argument("--cores", nargs="+", default=list(CORES), choices=list(CORES), metavar="CORE")
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--units", nargs="+", metavar="FILE", help="instead of all of tests/unit")
    parser.add_argument("--integration", nargs="+", metavar="FILE", help="instead of the choice")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--strict", action="store_true", help="fail where a core is skipped")
    options = parser.parse_args()
    rows = [run_core(core, options) for core in options.cores]
    print(f"\n{table(rows)}")
    return int(is_failed(rows, strict=options.strict))


if __name__ == "__main__":
    sys.exit(main())
