# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of one measurement lie, and what its commands find in their environment; pure."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 64


@dataclasses.dataclass(frozen=True)
class Desk:
    """A folder of one measurement's own."""

    folder: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.json"

    @property
    def variables(self) -> Path:
        return self.folder / "variables.json"

    @property
    def job(self) -> Path:
        return self.folder / "job.json"

    @property
    def lines(self) -> Path:
        return self.folder / "numbers.txt"

    @property
    def key(self) -> Path:
        return self.folder / "key.pub"

    def environment(self, collections: Path, base_url: str) -> dict[str, str]:
        """Return what the commands find in their environment."""
        key = self.key.read_text(encoding="utf-8")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PYTHONPATH": str(ROOT),  # for the scripts
            "ANSIBLE_COLLECTIONS_PATH": str(collections), "WHATSAPP_KEYRING_PASSPHRASE": "a-benchmark-passphrase",
            "BASE_URL": base_url, "KEY_FILE": str(self.key), "KEY_IN_JSON": json.dumps(key)[1:-1],
        }
