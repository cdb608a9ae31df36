# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of errors into docs/troubleshooting.md from the code: C(python tests/tools/error_tables.py)."""

from __future__ import annotations

import importlib
import inspect
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN, END = (f"<!-- {place}: made from the code by tests/tools/error_tables.py -->\n" for place in ("begin", "end"))
UTILS = "ansible_collections.waba.flows.plugins.module_utils"
HEAD = "| {} | what to do | again | applied? |\n|---|---|---|---|\n"
Rows = dict[t.Any, list[str]]


def tables() -> str:
    """Return all tables, as they stand between the markers."""
    errors = importlib.import_module(f"{UTILS}._errors")
    parts = [_types(errors), "### Meta's codes\n\nA subcode is in brackets.\n\n" + _codes(errors)]
    parts.append("### Codes of other providers\n\nA number of three digits is the HTTP status.\n")
    providers = importlib.import_module(f"{UTILS}._providers._registry").PROVIDERS
    for name in sorted(providers):
        own = getattr(sys.modules[providers[name].__module__], "_MEANINGS", None)
        if own:
            parts.append(f"#### `{name}`\n\n" + _meanings(own))
    return "\n" + "\n".join(parts) + "\n"


def updated(page: str) -> str:
    """Return the page with the tables of now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + tables() + END + rest.split(END)[1]


def _types(errors: t.Any) -> str:
    """The exception tree: what each type means."""
    named: list[t.Any] = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.WabaError)
    ]
    lines = []
    for kind in sorted(named, key=lambda kind: kind.__name__):
        if kind in (errors.WabaError, errors.TransportError):
            continue  # never raised as such
        depends = issubclass(kind, (errors.ApiError, errors.TransportError))
        again = "by code" if kind is errors.ApiError else _yes(kind.retryable)
        applied = "see the message" if depends else _yes(kind.outcome_unknown)
        meaning = (inspect.getdoc(kind) or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
        lines.append(f"| `{kind.__name__}` | {meaning} | {again} | {applied} |\n")
    return "| type | what it is | again | applied? |\n|---|---|---|---|\n" + "".join(lines)


def _codes(errors: t.Any) -> str:
    """Meta's table; the hundred codes of permissions are shown as a range."""
    rows: Rows = {}
    for (code, subcode), meaning in sorted(errors.CODES.items(), key=lambda item: (item[0][0], item[0][1] is None)):
        if 200 < code < 300:
            continue  # see 200
        shown = "200-299" if code == 200 else str(code)
        rows.setdefault(meaning, []).append(shown if subcode is None else f"{shown} ({subcode})")
    return _table(rows)


def _meanings(own: t.Mapping[str | int, t.Any]) -> str:
    rows: Rows = {}
    for code, meaning in own.items():
        rows.setdefault(meaning, []).append(str(code))
    return _table(rows)


def _table(rows: Rows) -> str:
    lines = []
    for meaning, codes in rows.items():
        applied = _yes(meaning.retryable and not meaning.throttled)
        shown = ", ".join(f"`{code}`" for code in codes)
        lines.append(f"| {shown} | {meaning.remedy} | {_yes(meaning.retryable)} | {applied} |\n")
    return HEAD.format("code") + "".join(lines)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def main() -> None:
    """Write the page."""
    tree = ROOT / ".build" / "tree"
    link = tree / "ansible_collections" / "waba" / "flows"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    sys.path.insert(0, str(tree))
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
