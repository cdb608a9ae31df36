# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's reckoning, with made-up results: medians, targets, tables, plans. Nothing is timed here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.tests.benchmarks import launch, table
from ansible_collections.waba.flows.tests.benchmarks.clock import Clock
from ansible_collections.waba.flows.tests.benchmarks.desk import Desk
from ansible_collections.waba.flows.tests.benchmarks.judge import Verdict, growth, judge
from ansible_collections.waba.flows.tests.benchmarks.plan import QUICK, WHOLE, Block, Mode, Step, narrowed, steps
from ansible_collections.waba.flows.tests.benchmarks.results import COLD, CONVERGED, NOTHING, Cell, Cost, Results, Run, load
from ansible_collections.waba.flows.tests.benchmarks.ways import WAYS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmark.md"
COST = Cost(wall=10.0, cpu=4.0, memory=60.0, requests=3000, posts=1000, connections=64, server_cpu=1.5)


def run(way: str, phase: str, numbers: int, *, latency: float = 0.1, turn: int = 0, **members: float) -> Run:
    """Return a made-up run that differs from COST in some members."""
    return Run(Cell(way, phase, numbers, latency), turn, dataclasses.replace(COST, **members))


def results(*runs: Run) -> Results:
    return Results({"CPU": "made up"}, list(runs))


def verdict(made: Results, word: str) -> Verdict:
    """Return the one verdict whose target has a word."""
    found, = [one for one in judge(made) if word in one.target]
    return found


def test_medians_are_of_each_member_and_the_range_is_told() -> None:
    made = results(*(run("bare", COLD, 100, turn=turn, wall=wall, cpu=cpu) for turn, (wall, cpu) in enumerate(
        [(9.0, 1.0), (3.0, 5.0), (4.0, 2.0)])), run("bare", COLD, 1000), run("bare", CONVERGED, 100, wall=1.0))
    found = made.summary("bare", COLD, 100, 0.1)
    assert found is not None
    assert (found.cost.wall, found.cost.cpu, found.fastest, found.slowest, found.rounds) == (4.0, 2.0, 3.0, 9.0, 3)
    assert made.summary("bare", COLD, 100, 0.0) is None


def test_raw_results_survive_their_file(tmp_path: Path) -> None:
    made = results(run("bare", COLD, 100), run("fleet", COLD, 100, turn=1))
    made.left_out["uri"] = "no time left"
    made.failed["curl"] = "cold: exit status 1"
    made.save(tmp_path / "new" / "raw.json")
    assert load(tmp_path / "new" / "raw.json") == made


@pytest.mark.parametrize(("way", "phase", "wall", "ratio", "met"), [
    ("fleet", COLD, 15.0, 1.3, True),
    ("fleet", COLD, 15.1, 1.31, False),
    ("fleet", CONVERGED, 14.0, 1.2, True),
    ("fleet", CONVERGED, 16.0, 1.4, False),
    ("rotate", COLD, 21.0, 1.5, True),
    ("rotate", COLD, 21.1, 1.51, False),
])
def test_the_allowance_is_taken_off_before_the_ratio(way: str, phase: str, wall: float, ratio: float, met: bool) -> None:
    made = results(run("bare", phase, 1000), run(way, phase, 1000, wall=wall))
    found = verdict(made, f"{way}, {phase}, 1,000")
    assert found.value == pytest.approx(ratio)
    assert found.met is met
    assert f"{wall:.1f} s" in found.sum


def test_only_runs_at_100_ms_and_1000_numbers_count() -> None:
    made = results(run("bare", COLD, 1000, latency=0.0), run("fleet", COLD, 1000), run("bare", COLD, 100))
    assert verdict(made, "fleet, cold, 1,000").met is None


@pytest.mark.parametrize(("costs", "expected"), [
    ([(1000, 2.0), (5000, 10.0), (20000, 40.0)], 1.0),
    ([(1000, 12.0), (5000, 20.0), (20000, 50.0)], 1.0),  # the same with ten seconds that do not depend on the numbers
    ([(1000, 1.0), (5000, 25.0), (20000, 400.0)], 25 / 6),  # quadratic
    ([(1000, 5.0), (5000, 5.0), (20000, 9.0)], float("inf")),
])
def test_growth_compares_one_more_number_late_and_early(costs: list[tuple[int, float]], expected: float) -> None:
    assert growth(costs) == pytest.approx(expected)


def linear_runs(way: str, wall: t.Callable[[int], float], cpu: t.Callable[[int], float]) -> list[Run]:
    """Return runs whose costs stand above an empty playbook that is not linear at all."""
    empty = {1000: 1.0, 5000: 30.0, 20000: 31.0}
    return [made for numbers, floor in empty.items() for made in (
        run("empty", NOTHING, numbers, wall=floor, cpu=floor),
        run(way, COLD, numbers, wall=floor + wall(numbers), cpu=floor + cpu(numbers)))]


@pytest.mark.parametrize("way", ["fleet", "rotate"])
def test_linear_is_judged_above_an_empty_playbook(way: str) -> None:
    made = results(*linear_runs(way, lambda n: 2 + n / 100, lambda n: n * n / 1e5))
    assert verdict(made, f"{way}, cold, wall time linear").met is True
    assert verdict(made, f"{way}, cold, wall time linear").value == pytest.approx(1.0)
    assert verdict(made, f"{way}, cold, CPU time linear").met is False


@pytest.mark.parametrize(("memory", "met"), [(179.0, True), (180.0, False)])
def test_memory_is_judged_above_an_empty_playbook(memory: float, met: bool) -> None:
    made = results(run("empty", NOTHING, 20000), run("fleet", COLD, 20000, memory=memory))
    assert verdict(made, "fleet, cold, memory").met is met
    assert verdict(made, "rotate, cold, memory").met is None


@pytest.mark.parametrize(("seconds", "met"), [(200.0, True), (199.0, False)])
def test_uri_has_to_be_twenty_times_slower(seconds: float, met: bool) -> None:
    made = results(run("fleet", COLD, 100), run("uri", COLD, 100, wall=seconds))
    assert verdict(made, "uri playbook").met is met


def test_without_results_nothing_is_met_or_missed() -> None:
    assert {(one.met, one.value) for one in judge(results())} == {(None, None)}


def test_the_whole_mode_measures_every_target() -> None:
    made = results(*(run(step.way, phase, step.numbers, latency=step.latency, wall=step.numbers / 100, cpu=step.numbers / 1000)
                     for step in steps(WHOLE) for phase in WAYS[step.way].phases))
    assert [one.target for one in judge(made) if one.met is None] == []


@pytest.mark.parametrize(("mode", "minutes"), [(QUICK, 10), (WHOLE, 90)])
def test_each_mode_keeps_its_time_and_has_the_bare_script_first(mode: Mode, minutes: float) -> None:
    assert mode.minutes < minutes
    for block in mode.blocks:
        assert set(block.ways) <= set(WAYS)
        assert block.ways[0] == "bare" or "bare" not in block.ways


def test_rounds_are_outermost_and_what_has_one_round_comes_last() -> None:
    mode = Mode("made up", (Block(20, 0.1, ("uri",), 1), Block(100, 0.1, ("bare", "fleet"), 2), Block(100, 0.0, ("bare",), 3)), 1)
    assert [(step.way, step.latency, step.turn) for step in steps(mode)] == [
        ("bare", 0.1, 0), ("fleet", 0.1, 0), ("bare", 0.0, 0),
        ("bare", 0.1, 1), ("fleet", 0.1, 1), ("bare", 0.0, 1),
        ("bare", 0.0, 2),
        ("uri", 0.1, 0),
    ]


def test_a_part_of_a_mode() -> None:
    assert narrowed(QUICK, [], []) is QUICK
    assert {step.way for step in steps(narrowed(WHOLE, ["fleet", "bare"], []))} == {"bare", "fleet"}
    assert steps(narrowed(QUICK, ["fleet", "bare"], [7])) == [Step("bare", 7, 0.1, 0), Step("fleet", 7, 0.1, 0)]
    assert {step.way for step in steps(narrowed(QUICK, [], [7]))} == set(WAYS)


def test_what_was_measured_tells_what_comes() -> None:
    clock, step = Clock(1), Step("uri-loop", 100, 0.1, 0)
    smaller = dataclasses.replace(step, numbers=20)
    guess, small = clock.expect(step), clock.expect(smaller)
    assert not clock.allows(step)
    clock.note(step, 59.0)
    assert clock.expect(dataclasses.replace(step, turn=1)) == 59.0
    assert clock.allows(step)
    assert clock.expect(smaller) == pytest.approx(small * 59.0 / guess)
    assert clock.expect(dataclasses.replace(step, way="uri")) > 60


def test_the_table_tells_ratios_ranges_and_what_was_left_out() -> None:
    made = results(
        run("bare", COLD, 1000), run("empty", NOTHING, 1000, memory=50.0), run("fleet", COLD, 1000, wall=16.0),
        run("fleet", COLD, 1000, wall=14.0, turn=1))
    made.left_out["uri, 100 numbers, 100 ms"] = "no time left of 9 minutes"
    made.failed["curl, 100 numbers, 100 ms"] = "cold: exit status 1"
    text = table.markdown(made)
    assert "| the fleet task | cold | 15.00 | 14.00-16.00 | 1.50 | 4.00 | 60 | 10 | 3000 | 64 | 0.50 | 2 |" in text
    assert "| bare asyncio script (aiohttp) | cold | 10.00 | - | 1.00 | 4.00 | 60 | - | 3000 | 64 | 0.50 | 1 |" in text
    assert "(15.0 s - 2 s) / 10.0 s = 1.30 | met |" in text
    assert "not measured in this go" in text
    assert "Left out:\n\n- uri, 100 numbers, 100 ms: no time left of 9 minutes\n" in text
    assert "Failed:\n\n- curl, 100 numbers, 100 ms: cold: exit status 1\n" in text


def test_results_replace_those_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    table.put_into(page, results(run("bare", COLD, 1000)))
    once = page.read_text(encoding="utf-8")
    table.put_into(page, results(run("bare", COLD, 1000)))
    assert page.read_text(encoding="utf-8") == once
    assert "| CPU | made up |" in once
    assert once.split(table.BEGIN)[0] == PAGE.read_text(encoding="utf-8").split(table.BEGIN)[0]


def test_the_same_results_give_the_same_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots = importlib.import_module("ansible_collections.waba.flows.tests.benchmarks.plots")
    made = results(run("bare", COLD, 1000), run("fleet", COLD, 1000), run("uri", COLD, 100), run("fleet", CONVERGED, 1000))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files = plots.draw(made, tmp_path / folder)
        assert {path.name for path in files} == {
            f"benchmark-{name}.{kind}" for name in ("wall", "numbers", "cpu") for kind in ("svg", "png")}
    pictures = [path for path in files if path.suffix == ".svg"]
    assert [path.read_bytes() for path in pictures] == [(tmp_path / "one" / path.name).read_bytes() for path in pictures]
    assert "the fleet task" in (tmp_path / "one" / "benchmark-wall.svg").read_text(encoding="utf-8")


def test_settings_of_whoever_runs_it_are_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_FORKS", "1")
    monkeypatch.setenv("PATH_OF_OTHERS", "kept")
    desk = Desk(tmp_path)
    desk.key.write_text("one\ntwo\n", encoding="utf-8")
    found = desk.environment(tmp_path / "collections", "http://127.0.0.1:1")
    assert [name for name in found if name.startswith("ANSIBLE_")] == ["ANSIBLE_COLLECTIONS_PATH"]
    assert found["PATH_OF_OTHERS"] == "kept"
    assert found["KEY_IN_JSON"] == "one\\ntwo\\n"


def launched(tmp_path: Path, program: str) -> dict[str, t.Any]:
    """Run a Python program through the launcher and return what it cost."""
    python = [sys.executable, "-I", "-S"]
    command = [*python, str(launch.__file__), str(tmp_path / "output"), *python, "-c", program]
    return t.cast("dict[str, t.Any]", json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


def test_a_program_costs_what_its_children_cost_too(tmp_path: Path) -> None:
    child = "block = b'x' * (64 << 20); sum(range(3_000_000))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done'); sys.exit(3)"
    told = launched(tmp_path, parent)
    assert told["status"] == 3
    assert (tmp_path / "output").read_text(encoding="utf-8") == "done\n"
    assert told["memory"] > 64
    assert told["cpu"] > 0.02
    assert told["wall"] > 0


def test_the_memory_of_who_measures_does_not_count(tmp_path: Path) -> None:
    ballast = b"x" * (256 << 20)
    assert launched(tmp_path, "pass")["memory"] < 64
    assert len(ballast) == 256 << 20
