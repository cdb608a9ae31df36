# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes one target, guided by coverage: C(python tests/fuzz/driver.py TARGET CORPUS [options of libFuzzer])."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]


def make_collection_importable() -> None:
    """Give the checkout the name that it needs, before anything of the collection is imported."""
    link = ROOT / ".build" / "tree" / "ansible_collections" / "waba" / "flows"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(ROOT, target_is_directory=True)
    sys.path[:0] = [str(ROOT / ".build" / "tree"), str(ROOT)]


def main() -> None:
    """Write the seeds into the corpus, and fuzz until libFuzzer ends: with an artifact where the law was broken."""
    target, corpus, *options = sys.argv[1:]
    make_collection_importable()
    with atheris.instrument_imports(include=["ansible_collections.waba.flows.plugins", "tests.fuzz.planted"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 (only what is imported here is instrumented)

        seeds, law = TARGETS[target]()
    for number, seed in enumerate(seeds):
        (Path(corpus) / f"seed-{number:03}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options, corpus], law)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
