# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an execution environment is given is what the README and the code ask for."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "module_utils").rglob("*.py"))


def requirements() -> dict[str, str]:
    """Return the minimum version of each Python package."""
    lines = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", line) for line in lines if line and not line.startswith("#")]
    return {match[1]: match[2] for match in found if match} if all(found) else {}


def test_only_minimum_versions_and_never_ansible_itself() -> None:
    assert set(requirements()) == {"requests", "cryptography", "boto3"}


def test_versions_are_those_of_the_readme() -> None:
    table = re.findall(r"`(\w+)` ≥ ([0-9.]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(table) == set(requirements().items())


def test_versions_are_those_of_the_code() -> None:
    for library, minimum in requirements().items():
        assert re.search(rf'"{library}", "{re.escape(minimum)}"|{library.upper()}\w* = "{re.escape(minimum)}"', CODE), library


def test_the_files_that_are_named_are_there() -> None:
    document = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))
    assert set(document["dependencies"]) == {"python", "system"}
    assert all((ROOT / path).is_file() for path in document["dependencies"].values())


def test_the_example_takes_the_oldest_ansible_core_that_is_supported_or_a_newer_one() -> None:
    example = yaml.safe_load((ROOT / "docs" / "examples" / "execution-environment.yml").read_text(encoding="utf-8"))
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert example["version"] == 3
    assert example["dependencies"]["ansible_core"]["package_pip"] + ".0" == "ansible-core" + runtime["requires_ansible"]
