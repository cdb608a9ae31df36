# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one state behind all providers, its file, and the keys of numbers as they are read and set."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .faults import Fault
from .state import State


@dataclass
class _Stale:
    reads: int
    key: str | None
    status: str


class Store:
    """A state that several providers look at. It may be replaced as a whole, so nobody keeps a part of it."""

    def __init__(self, state: State, state_file: str | os.PathLike[str] | None = None) -> None:
        self.state = state
        self.state_file = state_file
        self._stale: dict[str, _Stale] = {}

    def save(self) -> None:
        """Keep the state in its file, if there is one."""
        if self.state_file is not None:
            self.state.save(self.state_file)

    def clear(self) -> None:
        """Forget stale reads; the state stays."""
        self._stale.clear()

    def read_key(self, number_id: str) -> tuple[str | None, str]:
        """The key and the status that one read sees; it counts down a stale one."""
        number = self.state.numbers[number_id]
        stale = self._stale.get(number_id)
        if stale is None:
            return number.business_public_key, number.signature_status
        stale.reads -= 1
        if stale.reads <= 0:
            del self._stale[number_id]
        return stale.key, stale.status

    def write_key(self, number_id: str, key: str, fault: Fault | None) -> None:
        """Set a checked key, as far as the fault lets it."""
        number = self.state.numbers[number_id]
        kind = fault.kind if fault else ""
        if kind == "ignored_post":
            return
        if kind == "stale_reads" and fault and fault.reads > 0:
            self._stale[number_id] = _Stale(fault.reads, number.business_public_key, number.signature_status)
        number.business_public_key = key
        number.signature_status = "MISMATCH" if kind == "mismatch" else "VALID"
        self.save()
