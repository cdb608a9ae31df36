# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask pip-audit whether a library that the collection needs has a known weakness: C(python audit_deps.py PIP_AUDIT).

Asked are the newest versions that meta/ee-requirements.txt allows today. Where no vulnerability service answers, that is said,
and is no failure; a weakness that one names is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "meta" / "ee-requirements.txt"
SERVICES = ("pypi", "osv")


def ask(program: str, service: str) -> tuple[str, list[str]]:
    """Return what came of asking a service: C(clean), C(weak) or C(unanswered), and what it named, or why not."""
    command = [program, "--requirement", str(REQUIREMENTS), "--vulnerability-service", service, "--format", "json",
               "--progress-spinner", "off", "--timeout", "15"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        document = json.loads(ended.stdout)
        rows = document["dependencies"]
    except (ValueError, KeyError, TypeError):
        return "unanswered", (ended.stderr.strip().splitlines() or ["it said nothing"])[-1:]
    skipped = [f"{row['name']}: {row['skip_reason']}" for row in rows if "skip_reason" in row]
    named = [f"{row['name']} {row['version']}: {one['id']} (mended in {', '.join(one['fix_versions']) or 'no version yet'})"
             for row in rows for one in row.get("vulns", [])]
    if named:
        return "weak", named
    checked = [f"{row['name']} {row['version']}" for row in rows if "version" in row]
    return ("clean", checked) if checked and not skipped else ("unanswered", skipped or ["nothing was checked"])


def main() -> int:
    """Ask each service until one answers."""
    for service in SERVICES:
        end, lines = ask(sys.argv[1], service)
        print(f"{service}: {end}")
        print("".join(f"  {line}\n" for line in lines), end="")
        if end != "unanswered":
            return int(end == "weak")
    print("No vulnerability service answered, so nothing is known of weaknesses: run this where one can be reached.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
