# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make docs/fleet.svg, the README's picture of the page: its own charts in its own style, for a made-up fleet.

    python tests/demo/picture.py
"""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / ".build" / "tree")]

from ansible_collections.waba.flows.plugins.plugin_utils._page import page_parts  # noqa: E402
from ansible_collections.waba.flows.tests.unit.report_samples import audit  # noqa: E402

TEMPLATE = ROOT / "roles" / "encryption_keys" / "templates" / "report.html.j2"
LICENCE = "<!-- Copyright (c) 2026 The waba.flows authors\nSPDX-License-Identifier: GPL-3.0-or-later\n-->"


def picture(parts: dict[str, t.Any]) -> str:
    """Return the glance of a page as one SVG: headline, tiles and charts."""
    style = re.search(r"<style>(.*?)</style>", TEMPLATE.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    body = [f'<text x="40" y="56" class="title">{parts["headline"]}</text>', f'<text x="40" y="84">{parts["label"]}</text>']
    for index, tile in enumerate(parts["tiles"]):
        body.append(_card(40 + index * 300, 110, 280, 90))
        body.append(f'<text x="{60 + index * 300}" y="152" class="title">{re.sub("<[^>]*>", "", tile["value"])}</text>'
                    f'<text x="{60 + index * 300}" y="180">{tile["label"]}</text>')
    left, right, wide = (chart for chart in parts["charts"])
    for chart, x, y, width, height in ((left, 40, 220, 580, 320), (right, 640, 220, 580, 320), (wide, 40, 560, 1180, 330)):
        body.append(_card(x, y, width, height))
        body.append(f'<text x="{x + 20}" y="{y + 34}" class="head">{chart["title"]}</text>')
        body.append(chart["svg"].replace("<svg ", f'<svg x="{x + 20}" y="{y + 54}" ', 1))
    own = ".title { font-size: 26px; font-weight: 650; } .head { font-size: 16px; font-weight: 650; } " \
          "text { fill: var(--ink); font-family: sans-serif; font-size: 15px; }"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" data-theme="light" viewBox="0 0 1260 920">{LICENCE}'
            f"<style>{style.group(1)}{own}</style><rect width=\"1260\" height=\"920\" fill=\"#f6f7f9\"/>{''.join(body)}</svg>\n")


def _card(x: int, y: int, width: int, height: int) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="12" fill="#fff" stroke="#dfe3ea"/>'


if __name__ == "__main__":
    (ROOT / "docs" / "fleet.svg").write_text(picture(page_parts(audit(180))), encoding="utf-8")
