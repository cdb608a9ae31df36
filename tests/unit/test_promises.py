# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of promises is made of results: what failed, what was skipped and what has no result shows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import promises

CASE = '<testcase classname="tests.unit.test_promises" name="{}"><properties>{}</properties>{}</testcase>'


def results(folder: Path, *cases: tuple[str, dict[str, str], str]) -> Path:
    """Write test cases as pytest writes them: name, properties, and what came of each."""
    texts = [
        CASE.format(name, "".join(f'<property name="{key}" value="{value}"/>' for key, value in properties.items()), end)
        for name, properties, end in cases
    ]
    path = folder / "results.xml"
    path.write_text(f"<testsuites><testsuite>{''.join(texts)}</testsuite></testsuites>", encoding="utf-8")
    return path


@pytest.mark.parametrize(("end", "words", "tries"), [
    ("", "held", 7),
    ('<failure message="no"/>', "**1 failed**", 0),
    ('<error message="no"/>', "**1 failed**", 0),
    ('<skipped message="no disk of its own"/>', "1 skipped: no disk of its own", 0),
])
def test_what_came_of_a_test_is_told(tmp_path: Path, end: str, words: str, tries: int) -> None:
    file = results(tmp_path, ("test_a", {"attack:durable": "a full disk", "tries": "7"}, end), ("test_b", {}, ""))
    (key, outcome), = promises.outcomes_of([file]).items()
    assert key == ("durable", "a full disk")
    assert (outcome.words, outcome.tries, outcome.tests) == (words, tries, 1)
    assert outcome.files == {"tests/unit/test_promises.py"}


def test_one_failure_among_many_is_not_hidden(tmp_path: Path) -> None:
    attack = {"attack:durable": "a full disk"}
    file = results(tmp_path, ("a", attack, ""), ("b", attack, "<failure/>"), ("c", attack, ""))
    outcomes = promises.outcomes_of([file])
    assert outcomes["durable", "a full disk"].words == "**1 failed**; held"
    assert "| a full disk | 3 | 2 | **1 failed**; held |" in promises.page_of({"durable": "It is durable."}, outcomes)


def test_an_attack_without_a_result_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(promises, "PAGE", tmp_path / "promises.md")
    monkeypatch.setattr(sys, "argv", ["promises.py", str(results(tmp_path, ("a", {}, "")))])
    assert promises.main() == 1
    assert "an attack on the promise 'durable'" in capsys.readouterr().out
    assert not promises.PAGE.exists()


def test_the_page_tells_of_every_attack_in_the_code_and_of_no_other() -> None:
    told = set()
    names = {sentence: name for name, sentence in promises.promises_in(promises.TESTS).items()}
    for section in promises.PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        rows = [line for line in lines if line.startswith("| ") and line.count(" | ") == 4]
        told |= {(names[title], row.split(" | ")[0].removeprefix("| ")) for row in rows[1:]}
    assert told == set(promises.attacks_in_code()), "run: make test slow fuzz soak promises"


def test_no_promise_of_the_page_is_broken_or_untried() -> None:
    rows = [row.split(" | ") for row in promises.PAGE.read_text(encoding="utf-8").splitlines() if row.count(" | ") == 4]
    assert len(rows) > 100
    assert [row[0] for row in rows if "failed" in row[3] or (row[2] == "0" and "skipped" not in row[3])] == []
