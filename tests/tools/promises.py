# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make docs/promises.md from the results of tests: C(python tests/tools/promises.py .build/results/*.xml).

Refuses to, and says what is missing, while an attack of the tests has no result in these files.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import sys
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "promises.md"
TESTS = ROOT / "tests"
HEAD = """\
# Promises, and the attacks on them

This page is made from the results of the tests (`make promises`). A *try* is one call, kill, example or step that an attack made;
where a test does not count its tries, it is one. An attack that a machine cannot make is skipped there, and the reason is told.

"""
Key = tuple[str, str]


@dataclasses.dataclass
class Outcome:
    """What came of one attack, over all tests that make it."""

    files: set[str] = dataclasses.field(default_factory=set)
    tests: int = 0
    tries: int = 0
    failed: int = 0
    skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    @property
    def words(self) -> str:
        """Return the outcome as the page tells it."""
        parts = [f"**{self.failed} failed**"] if self.failed else []
        if self.tests > self.failed + self.skipped.total():
            parts.append("held")
        return "; ".join([*parts, *(f"{count} skipped: {reason}" for reason, count in sorted(self.skipped.items()))])

    def add(self, case: ET.Element, file: str) -> None:
        """Count a test case of JUnit's XML."""
        self.files.add(file)
        self.tests += 1
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            self.failed += 1
        elif skipped is not None:
            self.skipped[skipped.get("message", "")] += 1
        else:
            self.tries += sum(int(value) for name, value in properties_of(case) if name == "tries") or 1


def properties_of(case: ET.Element) -> list[Key]:
    """Return the properties of a test case."""
    return [(item.get("name", ""), item.get("value", "")) for item in case.iter("property")]


def file_of(case: ET.Element) -> str:
    """Return the file of a test case: its class name is the module's path with dots, and perhaps a class."""
    parts = case.get("classname", "").split(".")
    lengths = (n for n in range(len(parts), 0, -1) if (ROOT / Path(*parts[:n])).with_suffix(".py").exists())
    return "/".join(parts[: next(lengths, len(parts))]) + ".py"


def outcomes_of(files: t.Iterable[Path]) -> dict[Key, Outcome]:
    """Return what came of each attack; of a test that is in several files, the last one counts."""
    cases = {
        (case.get("classname"), case.get("name")): case
        for file in sorted(files, key=lambda file: file.stat().st_mtime)
        for case in ET.parse(file).getroot().iter("testcase")  # noqa: S314 (pytest wrote it)
    }
    outcomes: dict[Key, Outcome] = collections.defaultdict(Outcome)
    for case in cases.values():
        for name, value in properties_of(case):
            if name.startswith("attack:"):
                outcomes[name.removeprefix("attack:"), value].add(case, file_of(case))
    return dict(outcomes)


def attacks_in_code(folder: Path = TESTS) -> dict[Key, str]:
    """Return the attacks that tests are marked with, and a file of each."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.attack":
                promise, attack = (ast.literal_eval(argument) for argument in node.args)
                found[promise, attack] = path.relative_to(folder.parent).as_posix()
    return found


def promises_in(folder: Path) -> dict[str, str]:
    """Return the promises by name, in the page's order."""
    return t.cast("dict[str, str]", yaml.safe_load((folder / "promises.yml").read_text(encoding="utf-8")))


def page_of(promises: dict[str, str], outcomes: dict[Key, Outcome]) -> str:
    """Return the page."""
    counts = [sum(getattr(outcome, name) for outcome in outcomes.values()) for name in ("tests", "tries", "failed")]
    total = f"{len(outcomes)} attacks by {counts[0]} tests, {counts[1]:,} tries: {counts[2] or 'none'} failed.\n"
    return HEAD + total + "".join(section_of(name, promise, outcomes) for name, promise in promises.items())


def section_of(name: str, promise: str, outcomes: dict[Key, Outcome]) -> str:
    """Return what was tried on one promise."""
    rows = "".join(row_of(attack, outcome) for (of, attack), outcome in sorted(outcomes.items()) if of == name)
    return f"\n## {promise}\n\n| attack | tests | tries | outcome | where |\n|---|---|---|---|---|\n{rows}"


def row_of(attack: str, outcome: Outcome) -> str:
    """Return the line of one attack."""
    files = ", ".join(f"`{file}`" for file in sorted(outcome.files))
    return f"| {attack} | {outcome.tests} | {outcome.tries:,} | {outcome.words} | {files} |\n"


def main() -> int:
    """Write the page, unless results are missing."""
    promises = promises_in(TESTS)
    outcomes = outcomes_of(map(Path, sys.argv[1:]))
    in_code = attacks_in_code()
    missing = [f"{file}: {attack} ({of})" for (of, attack), file in in_code.items() if (of, attack) not in outcomes]
    missing += [f"an attack on the promise '{name}'" for name in promises if name not in {of for of, dummy in outcomes}]
    if missing:
        print("No result of:", *missing, sep="\n  ")
        return 1
    PAGE.write_text(page_of(promises, {key: outcomes[key] for key in in_code}), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is made of the results of {len(outcomes)} attacks.")
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
