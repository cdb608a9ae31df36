# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results as Markdown, and the page that they are put into."""

from __future__ import annotations

import typing as t
from pathlib import Path

from .judge import Verdict, judge
from .results import COLD, CONVERGED, NOTHING, Cell, Results, Summary
from .ways import WAYS

BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of results -->"
_HEAD = (
    "way", "phase", "wall s", "range", "x bare", "CPU s", "MiB", "above empty", "requests", "connections", "API ms", "rounds",
)


def put_into(page: Path, results: Results) -> None:
    """Put the results between the marks of the page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n{END}{after}", encoding="utf-8")


def markdown(results: Results) -> str:
    """Return everything that the results tell."""
    parts = [_machine(results), _verdicts(judge(results))]
    sizes = sorted({(cell.numbers, -cell.latency) for cell in results.cells()})
    parts += [_block(results, numbers, -latency) for numbers, latency in sizes]
    for word, reasons in (("Failed", results.failed), ("Left out", results.left_out)):
        if reasons:
            parts.append(f"{word}:\n\n" + "".join(f"- {what}: {why}\n" for what, why in reasons.items()))
    return "\n".join(parts)


def _machine(results: Results) -> str:
    return _table(("machine", ""), list(results.machine.items()))


def _verdicts(verdicts: list[Verdict]) -> str:
    words = {True: "met", False: "**not met**", None: "-"}
    rows = [(verdict.target, verdict.limit, verdict.sum, words[verdict.met]) for verdict in verdicts]
    return "### Targets, at 100 ms a request\n\n" + _table(("target", "limit", "measured", ""), rows)


def _block(results: Results, numbers: int, latency: float) -> str:
    cells = [cell for cell in results.cells() if (cell.numbers, cell.latency) == (numbers, latency)]
    order = list(WAYS)
    rows = [_row(results, cell) for phase in (COLD, CONVERGED, NOTHING)
            for cell in sorted(cells, key=lambda cell: order.index(cell.way)) if cell.phase == phase]
    return f"### {numbers:,} numbers, {latency * 1000:.0f} ms a request\n\n" + _table(_HEAD, rows)


def _row(results: Results, cell: Cell) -> tuple[str, ...]:
    found = results.summary(cell.way, cell.phase, cell.numbers, cell.latency)
    assert found is not None
    cost = found.cost
    bare = results.summary("bare", cell.phase, cell.numbers, cell.latency)
    empty = results.summary("empty", NOTHING, cell.numbers, cell.latency)
    return (
        WAYS[cell.way].title, cell.phase, f"{cost.wall:.2f}", _range(found),
        f"{cost.wall / bare.cost.wall:.2f}" if bare else "-", f"{cost.cpu:.2f}", f"{cost.memory:.0f}",
        f"{cost.memory - empty.cost.memory:.0f}" if empty and _is_ansible(cell.way) else "-", f"{cost.requests:.0f}",
        f"{cost.connections:.0f}",
        f"{cost.server_cpu / cost.requests * 1000:.2f}" if cost.requests else "-", str(found.rounds),
    )


def _range(found: Summary) -> str:
    return f"{found.fastest:.2f}-{found.slowest:.2f}" if found.rounds > 1 else "-"


def _is_ansible(way: str) -> bool:
    return way not in ("bare", "threads", "curl", "pywa", "empty")


def _table(head: tuple[str, ...], rows: t.Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for dummy in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
