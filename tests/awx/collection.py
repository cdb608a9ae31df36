# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get the collection awx.awx out of the Python package that has it: C(python tests/awx/collection.py REQUIREMENTS FOLDER)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PREFIX = "ansible_collections/awx/awx/"


def fetch(requirements: Path, folder: Path) -> Path:
    """Have awx.awx in a folder of collections, and return that folder."""
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "-r", str(requirements), "-d", downloads], check=True)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(PREFIX)])
    return folder


if __name__ == "__main__":
    print(f"awx.awx is in {fetch(Path(sys.argv[1]), Path(sys.argv[2]))}.")
