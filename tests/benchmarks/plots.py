# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results as pictures, PNG and SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # the backend has to be chosen first
from matplotlib.ticker import FixedLocator, Locator, LogLocator, NullLocator

from .judge import LATENCY
from .results import COLD, CONVERGED, NOTHING, Results
from .ways import WAYS

# The same data gives the same file: no date, no random ids. Text stays text.
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "waba.flows", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
}
_METADATA = {"Date": None, "Creator": None, "Rights": "GPL-3.0-or-later, the waba.flows authors"}
_COLOURS = {"bare": "#596273", "fleet": "#2f55c8", "rotate": "#3f9c63"}
_OTHERS = "#b9c2d0"


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what was measured, and return the files."""
    with pyplot.rc_context(_STYLE):
        return [
            path for name, figure in (
                ("wall", _wall(results)), ("numbers", _numbers(results)), ("cpu", _cpu(results)),
            ) for path in _save(figure, folder / f"benchmark-{name}")
        ]


def _save(figure: pyplot.Figure, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    figure.savefig(paths[0], metadata=_METADATA)
    figure.savefig(paths[1], dpi=150)
    pyplot.close(figure)
    return paths


def _logarithmic(axis: pyplot.Axis, locator: Locator) -> None:
    """Give an axis a logarithmic scale with few marks and plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(locator)
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_locator(NullLocator())


def _wall(results: Results) -> pyplot.Figure:
    """Wall time of every way with 1,000 numbers, or with the most that were measured below."""
    numbers = max((cell.numbers for cell in results.cells() if cell.numbers <= 1000), default=0)
    figure, axes = pyplot.subplots(figsize=(7.2, 3.6), layout="constrained")
    shown = [way for way in reversed(WAYS) if results.summary(way, COLD, numbers, LATENCY)]
    for offset, phase, alpha in ((0.2, COLD, 1.0), (-0.2, CONVERGED, 0.5)):
        for place, way in enumerate(shown):
            found = results.summary(way, phase, numbers, LATENCY)
            if found:
                axes.barh(place + offset, found.cost.wall, 0.38, color=_COLOURS.get(way, _OTHERS), alpha=alpha)
                axes.text(found.cost.wall, place + offset, f" {found.cost.wall:.1f} s {phase}", va="center", fontsize=7)
    axes.set_yticks(range(len(shown)), [WAYS[way].title for way in shown])
    _logarithmic(axes.xaxis, LogLocator(subs=(1, 2, 5)))
    axes.margins(x=0.2)
    axes.set_xlabel(f"wall time in seconds, {numbers:,} numbers, 100 ms a request")
    return figure


def _numbers(results: Results) -> pyplot.Figure:
    """Cost by number of numbers, ours and the bare script."""
    figure, panels = pyplot.subplots(1, 3, figsize=(10.2, 3.4), layout="constrained")
    for axes, member, label in zip(panels, ("wall", "cpu", "memory"), ("wall time in s", "CPU time in s", "memory in MiB")):
        for way, phase in (("bare", COLD), ("fleet", COLD), ("rotate", COLD), ("empty", NOTHING)):
            points = sorted({cell.numbers for cell in results.cells() if cell.way == way and cell.numbers >= 100
                             and results.summary(way, phase, cell.numbers, LATENCY)})
            values = [getattr(found.cost, member) for found in (results.summary(way, phase, n, LATENCY) for n in points) if found]
            axes.plot(points, values, marker="o", markersize=3, color=_COLOURS.get(way, _OTHERS), label=WAYS[way].title)
        _logarithmic(axes.xaxis, FixedLocator([100, 1000, 5000, 20000]))
        if member != "memory":
            _logarithmic(axes.yaxis, LogLocator(subs=(1, 2, 5)))
        axes.set_xlabel("numbers, cold, 100 ms a request")
        axes.set_ylabel(label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _cpu(results: Results) -> pyplot.Figure:
    """CPU time a number, each way with the most numbers up to 1,000 that it was measured with."""
    figure, axes = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
    rows: list[tuple[str, int, float]] = []
    for way in reversed(WAYS):
        sizes = [n for n in {cell.numbers for cell in results.cells()} if n <= 1000 and results.summary(way, COLD, n, LATENCY)]
        found = results.summary(way, COLD, max(sizes), LATENCY) if sizes else None
        if found:
            rows.append((way, max(sizes), found.cost.cpu / max(sizes) * 1000))
    for place, (way, numbers, value) in enumerate(rows):
        axes.barh(place, value, 0.7, color=_COLOURS.get(way, _OTHERS))
        axes.text(value, place, f" {value:.1f} ms ({numbers:,} numbers)", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [WAYS[row[0]].title for row in rows])
    _logarithmic(axes.xaxis, LogLocator())
    axes.margins(x=0.3)
    axes.set_xlabel("CPU milliseconds a number, cold, 100 ms a request")
    return figure
