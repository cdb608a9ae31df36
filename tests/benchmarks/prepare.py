# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet to work on, and the files that one measurement starts from: inventory, variables, and the same for the scripts."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from tests.fleet import Fleet, example_fleet, local_vault

from .desk import WORKERS, Desk

# The sandbox tells how much of its limits is used up. A client that slows down by that shall have no reason to.
_CALLS_PER_HOUR = 10**9


def lay(desk: Desk, fleet: Fleet, base_url: str, key: str) -> None:
    """Write the files. An empty ansible.cfg keeps out the settings of whoever runs this."""
    (desk.folder / "ansible.cfg").touch()
    desk.key.write_text(key, encoding="utf-8")
    tokens = {identity: fleet.token(fleet.wabas[name]) for name, identity in fleet.numbers.items()}
    _write(desk.job, {"base_url": base_url, "key": key, "workers": WORKERS, "numbers": list(tokens.items())})
    _write(desk.inventory, _one_key(fleet.inventory(base_url, local_vault())))
    _write(desk.variables, {
        "benchmark_key_path": str(desk.key), "benchmark_workers": WORKERS, "encryption_keys_max_workers": WORKERS,
        "encryption_keys_path": str(desk.folder / "keys"), "encryption_keys_replace_foreign": True,
    })
    _lay_for_curl(desk, fleet)


def _lay_for_curl(desk: Desk, fleet: Fleet) -> None:
    for waba in set(fleet.wabas.values()):
        (desk.folder / f"header-{waba}").write_text(f"Authorization: Bearer {fleet.token(waba)}\n", encoding="utf-8")
    lines = (f"{identity} {desk.folder}/header-{fleet.wabas[name]}\n" for name, identity in fleet.numbers.items())
    desk.lines.write_text("".join(lines), encoding="utf-8")


def make_fleet(numbers: int) -> Fleet:
    """Return a fleet whose numbers all hold other keys than the one to come, or none."""
    fleet = example_fleet(numbers)
    settings = fleet.state.settings
    settings.calls_per_hour = settings.app_calls_per_hour = _CALLS_PER_HOUR
    return fleet


def _one_key(inventory: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the inventory with one key for all numbers, as all other ways have it."""
    for variables in inventory["all"]["children"]["whatsapp_numbers"]["hosts"].values():
        del variables["whatsapp_key_name"]
    return inventory


def _write(path: Path, data: t.Any) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")
