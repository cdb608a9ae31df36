# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of code in the documentation: where each stands, and what it is."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = "waba.flows.whatsapp_phone_numbers"
# What the names of variables begin with: those of hosts, and those of each role.
PREFIXES = ("whatsapp_", *sorted(f"{path.name}_" for path in (ROOT / "roles").iterdir()))
# A comment before a block of YAML that Ansible does not read says what it is: <!-- yaml: settings of something else -->
_FENCE = re.compile(
    r"^(?:<!-- yaml: (?P<comment>[^\n]+) -->\n+)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code, with the page and line that it begins at."""

    place: str
    language: str
    text: str
    comment: str = ""

    @property
    def data(self) -> t.Any:
        """What its YAML holds."""
        return yaml.safe_load(self.text)


def pages() -> list[Path]:
    """Return the pages in Markdown, but for those of the tests."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]


def blocks_of(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page, or those in some languages."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _FENCE.finditer(text):
        place = f"{page.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, match.start('language')) + 1}"
        found.append(Block(place, match["language"], textwrap.dedent(match["text"]), match["comment"] or ""))
    return [block for block in found if not languages or block.language in languages]


def examples_of(plugin: Path) -> list[Block]:
    """Return the documents of a plugin's or module's EXAMPLES; a plugin without one has none."""
    text = plugin.read_text(encoding="utf-8")
    if plugin.suffix == ".yml":
        documents = [yaml.safe_load(text).get("EXAMPLES", "")]
    else:
        documents = re.findall(r'^EXAMPLES = r"""\n(.*?)"""', text, re.DOTALL | re.MULTILINE)
    parts = [part for document in documents for part in re.split(r"^---\n", document, flags=re.MULTILINE)]
    name = plugin.relative_to(ROOT).as_posix()
    return [Block(f"{name}:EXAMPLES-{number}", "yaml", part) for number, part in enumerate(parts) if part.strip()]


def plugins() -> list[Path]:
    """Return the files that document modules and plugins; a plugin may have its documentation in a file beside it."""
    folders = [path for path in (ROOT / "plugins").iterdir() if not path.name.endswith(("_utils", "_fragments", "action"))]
    code = [path for folder in folders for path in folder.glob("[a-z]*.py")]
    return sorted(beside if (beside := path.with_suffix(".yml")).exists() else path for path in code)


def kind_of(data: t.Any, options: t.Collection[str]) -> str:
    """Say what a block of YAML is to Ansible, or "" for none of these. C(options) are the inventory plugin's."""
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        return "plays" if all({"hosts", "ansible.builtin.import_playbook"} & set(item) for item in data) else "tasks"
    if not isinstance(data, dict) or not data:
        return ""
    if data.get("plugin") == PLUGIN or set(data) <= set(options):
        return "plugin"
    if set(data) <= {"collections", "roles"}:
        return "requirements"
    if all(name.startswith(PREFIXES) and not isinstance(value, dict) for name, value in data.items()):
        return "variables"
    groups = all(isinstance(group, dict) and group and set(group) <= {"hosts", "children", "vars"} for group in data.values())
    return "inventory" if groups else ""
