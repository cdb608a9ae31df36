# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scripts are told: where the API is, the key to publish, and the numbers with their tokens."""

from __future__ import annotations

import dataclasses
import json
import sys
import typing as t
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Job:
    """The file that is a script's only argument."""

    base_url: str
    key: str
    workers: int
    numbers: list[tuple[str, str]]

    def url(self, identity: str) -> str:
        return f"{self.base_url}/v24.0/{identity}/whatsapp_business_encryption"

    def is_done(self, answer: t.Any) -> bool:
        """Tell whether a number holds the key, by what a read of it answered."""
        found = answer["data"][0]
        return bool(found["business_public_key"].strip() == self.key.strip()
                    and found["business_public_key_signature_status"] == "VALID")


def read_job() -> Job:
    """Return what the command line names."""
    return Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
