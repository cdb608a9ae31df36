# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine and the versions that were measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

_PACKAGES = ("ansible-core", "aiohttp", "requests", "pywa", "httpx")
_MODEL = r"model name\s*: (.+)"
_KIBIBYTES = r"MemTotal:\s*(\d+)"


def describe(mode: str) -> dict[str, str]:
    """Return what a reader has to know to judge the times."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "mode": mode,
        "CPU": f"{_first('/proc/cpuinfo', _MODEL)}, {os.cpu_count()} cores",
        "memory": f"{int(_first('/proc/meminfo', _KIBIBYTES)) / 2**20:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before the start": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "curl": subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1],
    }


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    return found.group(1).strip() if found else "0"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
