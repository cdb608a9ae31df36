# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmark: C(python -m tests.benchmarks [--quick] [--only WAY…] [--numbers N…]), or C(--render FILE) alone."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.install import install

from .clock import Clock
from .judge import judge
from .machine import describe
from .measure import Bench, BenchmarkError
from .plan import QUICK, WHOLE, Mode, narrowed, steps
from .results import Results, load
from .table import markdown, put_into
from .ways import WAYS

ROOT = Path(__file__).resolve().parents[2]
RAW = ROOT / ".build" / "bench" / "results.json"
DOCS = ROOT / "docs"


def run(mode: Mode) -> Results:
    """Measure all that there is time for."""
    results, clock, todo = Results(describe(mode.name)), Clock(mode.minutes), steps(mode)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(install(Path(name)))
        for index, step in enumerate(todo):
            what = f"{step.way}, {step.numbers:,} numbers, {step.latency * 1000:.0f} ms, round {step.turn + 1}"
            if not clock.allows(step):
                results.left_out[what] = f"no time left of {mode.minutes:g} minutes"
                continue
            started = time.monotonic()
            try:
                runs = bench.measure(step)
            except BenchmarkError as error:
                print(f"{what}: {error}\n{error.output}", file=sys.stderr, flush=True)
                results.failed[what] = str(error)
                continue
            clock.note(step, time.monotonic() - started)
            results.runs += runs
            results.save(RAW)
            left = sum(map(clock.expect, todo[index + 1:])) / 60
            told = ", ".join(f"{item.cell.phase} {item.cost.wall:.2f} s" for item in runs)
            print(f"[{index + 1}/{len(todo)}] {what}: {told}; about {left:.0f} min left", flush=True)
    results.save(RAW)
    return results


def render(results: Results) -> None:
    """Write page and pictures."""
    from .plots import draw  # noqa: PLC0415  # matplotlib is not needed to measure

    put_into(DOCS / "benchmark.md", results)
    for path in (DOCS / "benchmark.md", *draw(results, DOCS)):
        print(f"written: {path.relative_to(ROOT)}")


def main() -> None:
    """Measure or render, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="What the collection costs.")
    parser.add_argument("--quick", action="store_true", help="under ten minutes instead of ninety")
    parser.add_argument("--only", nargs="+", default=[], choices=WAYS, metavar="WAY", help="only these: " + ", ".join(WAYS))
    parser.add_argument("--numbers", nargs="+", type=int, default=[], metavar="N", help="other fleet sizes, to try things")
    parser.add_argument("--render", type=Path, metavar="FILE", help="only make page and pictures, from raw results")
    arguments = parser.parse_args()
    if arguments.render:
        render(load(arguments.render))
        return
    mode = narrowed(QUICK if arguments.quick else WHOLE, arguments.only, arguments.numbers)
    results = run(mode)
    print(f"raw results: {RAW.relative_to(ROOT)}\n\n{markdown(results)}")
    if mode in (QUICK, WHOLE):
        render(results)
    # Missed targets are told in the page; the exit status is for what broke.
    print(f"{sum(verdict.met is False for verdict in judge(results))} targets missed")
    if results.failed:
        sys.exit(f"{len(results.failed)} measurements failed")


if __name__ == "__main__":
    main()
