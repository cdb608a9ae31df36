# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the tarball, check what is in it, and import it as Galaxy does: C(python tests/tools/galaxy.py FOLDER).

Runs with the Python of an environment that has galaxy-importer. It prints each problem, and ends with 1 if there is one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# What users need. All else of the repository is for those who work on it.
WANTED = {
    "CHANGELOG.rst", "LICENSE", "LICENSES", "README.md", "REUSE.toml",
    "changelogs", "docs", "meta", "playbooks", "plugins", "roles",
}
# A project that uses the collection by its name, which is not installed where the importer lints.
LEFT_OUT = "docs/examples/awx/"
MADE = {"FILES.json", "MANIFEST.json"}  # by ansible-galaxy, in the place of galaxy.yml
LARGEST = 500_000  # bytes; twice of what it is
SETTINGS = {
    "GALAXY_IMPORTER_CHECK_CHANGELOG": "True", "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "True",
    "GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER": "True", "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "True",
}
SUCCESS = "Importer processing completed successfully"
LINTED = "...ansible-lint run complete"


def build(folder: Path) -> Path:
    """Build the tarball into a folder that has nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(BIN / "ansible-galaxy"), "collection", "build", str(ROOT), "--output-path", str(folder)]
    subprocess.run(command, check=True)
    (tarball,) = folder.glob("*.tar.gz")
    return tarball


def tracked() -> set[str]:
    """Return the files of the repository that belong into the tarball."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name.split("/")[0] in WANTED and not name.startswith(LEFT_OUT)}


def problems_of_content(names: set[str], wanted: set[str], size: int) -> list[str]:
    """Say which files are missing, which ought not to be there, and whether it all is too big."""
    found = [f"{name} is missing from the tarball." for name in sorted((wanted | MADE) - names)]
    found += [f"{name} ought not to be in the tarball." for name in sorted(names - wanted - MADE)]
    return found + ([f"The tarball has {size} bytes, more than {LARGEST}."] if size > LARGEST else [])


def problems_of_import(log: str, status: int) -> list[str]:
    """Say what the importer complains about. Its exit status does not tell of warnings, and not of all errors."""
    found = [line for line in log.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL)\b|Traceback", line)]
    for line in (LINTED, SUCCESS):
        if line not in log.splitlines():
            found.append(f"The importer did not say '{line}'.")
    return found + ([f"The importer ended with {status}."] if status else [])


def run_importer(tarball: Path) -> tuple[str, int]:
    """Import the tarball, and return what was said and the exit status."""
    environment = {**os.environ, **SETTINGS, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "galaxy_importer.main", tarball.name]
    done = subprocess.run(
        command, cwd=tarball.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout, done.returncode


def main() -> int:
    """Build, look, import."""
    tarball = build(Path(sys.argv[1]))
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive if not member.isdir()}
    size = tarball.stat().st_size
    print(f"{tarball.name}: {len(names)} files, {size} bytes")
    problems = problems_of_content(names, tracked(), size)
    log, status = run_importer(tarball)
    print(log)
    problems += problems_of_import(log, status)
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    print("Galaxy would take it." if not problems else f"{len(problems)} problems.")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
