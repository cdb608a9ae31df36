# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's tarball and install it into a folder, as a user would: C(python tests/install.py FOLDER)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def install(folder: Path) -> Path:
    """Install the checkout's collection into a folder of collections, and return that folder. Needs no network."""
    galaxy = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection"]
    with tempfile.TemporaryDirectory() as dist:
        _run([*galaxy, "build", str(ROOT), "--output-path", dist, "--force"])
        tarball = next(Path(dist).glob("waba-flows-*.tar.gz"))
        _run([*galaxy, "install", str(tarball), "-p", str(folder), "--offline", "--force"])
    return folder


def _run(command: list[str]) -> None:
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.stdout}")


if __name__ == "__main__":
    print(f"The collection is installed in {install(Path(sys.argv[1]))}.")
