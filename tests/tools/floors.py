# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests with the lowest versions that the collection allows, each on the oldest Python that has them.

meta/ee-requirements.txt declares the libraries, meta/runtime.yml ansible-core, tests/config.yml the Python of modules. Each
Python gets an environment of its own in .build/floors. One that this machine does not have is skipped, and the end says so;
where C(--strict) is given, that is a failure.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml
from matrix import find_python

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "floors"
# What the tests need besides; ansible-core comes along, as the tests make modules of its parts.
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "aiohttp", "PyYAML", "prometheus-client")
# boto3 of this version has no wheel for an older Python, nor has ansible-core 2.16, where plugins run.
CONTROL_PYTHON = "3.10"
# What modules and their utilities do; the rest of tests/unit is of the role, of AWX, and of the tools.
TESTS = ("apply", "aws", "budget", "cloud_api", "endpoint_keys", "envelope", "errors", "fleet", "generations", "graph_compatible",
         "gupshup", "http", "kaleyra", "keyring", "keyring_lease", "keyring_mirror", "keyring_module", "keyring_passphrase",
         "keyring_read", "keyring_records", "keyring_replace", "keys", "modules", "on_premises", "ping", "properties_answers",
         "properties_decisions", "properties_keys", "provider_contract", "reconcile", "runs", "wabas")
# These need more than modules have: plugins of the control node.
CONTROL_TESTS = ("properties_answers", "properties_decisions", "properties_keys")


def declared() -> dict[str, str]:
    """Return the lowest version of each library that meta/ee-requirements.txt declares."""
    text = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)>=([0-9.]+)$", text, re.MULTILINE))


def core() -> str:
    """Return the lowest ansible-core that meta/runtime.yml declares."""
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    return str(runtime["requires_ansible"]).removeprefix(">=")


def module_python() -> str:
    """Return the oldest Python that modules run on."""
    config = yaml.safe_load((ROOT / "tests" / "config.yml").read_text(encoding="utf-8"))
    return str(config["modules"]["python_requires"]).removeprefix(">=")


def environments() -> dict[str, tuple[list[str], list[str]]]:
    """Return by Python what is installed, and the tests."""
    floors = declared()
    both = [f"{name}=={floors[name]}" for name in ("requests", "cryptography")]
    return {
        module_python(): ([*both, "ansible-core"], [name for name in TESTS if name not in ("aws", *CONTROL_TESTS)]),
        CONTROL_PYTHON: ([*both, f"boto3=={floors['boto3']}", f"ansible-core=={core()}"], list(TESTS)),
    }


def run(version: str, requirements: t.Sequence[str], tests: t.Sequence[str], jobs: int) -> str:
    """Run the tests on a Python, and return how that ended."""
    python = find_python([version])
    if python is None:
        return "skipped: it is not on PATH or in pyenv's folder"
    home = FOLDER / version
    ready = home / "ready"
    wanted = " ".join([*requirements, *TOOLS])
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--only-binary", "cryptography,aiohttp", *requirements, *TOOLS], check=True)
        ready.write_text(wanted, encoding="utf-8")
    files = [f"tests/unit/test_{name}.py" for name in tests]
    options = ["-q", "--tb=short", "-n", str(jobs), "-m", "not slow", "-p", "no:cacheprovider"]
    command = [str(home / "bin" / "python"), "-m", "pytest", *options, *files]
    return "ok" if subprocess.run(command, cwd=ROOT, check=False).returncode == 0 else "FAILED"


def is_failed(ends: t.Collection[str], *, strict: bool) -> bool:
    """Tell whether tests failed, or none ran, or a Python was missing that must not be."""
    return any(end == "FAILED" or (strict and end.startswith("skipped")) for end in ends) or "ok" not in ends


def main() -> int:
    """Run the tests with each environment."""
    parser = argparse.ArgumentParser(description="Run unit tests with the lowest versions that the collection allows.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--strict", action="store_true", help="fail where a Python is missing")
    options = parser.parse_args()
    ends = {}
    for version, (requirements, tests) in environments().items():
        print(f"\n===== Python {version}: {', '.join(requirements)}", flush=True)
        ends[version] = run(version, requirements, tests, options.jobs)
    print("\n" + "\n".join(f"Python {version}: {end}" for version, end in ends.items()))
    return int(is_failed(ends.values(), strict=options.strict))


if __name__ == "__main__":
    sys.exit(main())
