# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for pip's own installer, which ansible-test fetches from a host other than PyPI.

ensurepip brings the pip that Python was shipped with; that one installs what was asked for from the configured index.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Install pip, and whatever else is named on the command line."""
    subprocess.run([sys.executable, "-m", "ensurepip", "--upgrade", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
    wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
    version = re.fullmatch(r"get_pip_([0-9_]+)", Path(__file__).stem)
    if version and not any(word.startswith("pip==") for word in wanted):
        wanted.append("pip==" + version.group(1).replace("_", "."))
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", *wanted], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
