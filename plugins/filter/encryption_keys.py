# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role encryption_keys: they hand the role's data to plugin_utils/_rotation.py, which does the thinking."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.waba.flows.plugins.plugin_utils import _rotation as rotation

Rows = rotation.Rows


def encryption_keys_fleet(hosts: t.Sequence[str], hostvars: t.Mapping[str, t.Any]) -> Rows:
    """Return the numbers that host variables describe, without their credentials."""
    return rotation.public_rows(rotation.collect_numbers(hosts, hostvars))


def encryption_keys_numbers(
    hosts: t.Sequence[str], hostvars: t.Mapping[str, t.Any], credentials: t.Mapping[str, str], plan: Rows | None = None
) -> Rows:
    """Return the numbers as the modules take them, with their credentials; with a plan, those to publish with their key."""
    return rotation.for_module(rotation.collect_numbers(hosts, hostvars), credentials, plan)


def encryption_keys_plan(
    fleet: Rows, read: Rows, staged: Rows, replace_foreign: bool = False, replaceable: t.Sequence[str] = ()
) -> Rows:
    """Return what each number needs."""
    try:
        keyrings = rotation.keyring_rows(staged)
        return rotation.make_plan(fleet, read, keyrings, replace_foreign=replace_foreign, replaceable=replaceable)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


def encryption_keys_outcome(plan: Rows, published: rotation.Row, staged: Rows, left_out: int) -> rotation.Row:
    """Return the final row of each number, and the pending keys that may be promoted."""
    rows = rotation.merge_published(plan, published)
    return {"rows": rows, "promotable": rotation.promotable(rotation.keyring_rows(staged), rows, left_out)}


def encryption_keys_report(
    outcome: rotation.Row, staged: Rows, promoted: Rows, left_out: int, forced: bool
) -> rotation.Row:
    """Return the summary of a run for a person."""
    done = rotation.promoted_rows(outcome["promotable"], promoted)
    return rotation.make_report(outcome["rows"], rotation.keyring_rows(staged), done, left_out, forced)


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "encryption_keys_fleet": encryption_keys_fleet,
            "encryption_keys_numbers": encryption_keys_numbers,
            "encryption_keys_plan": encryption_keys_plan,
            "encryption_keys_outcome": encryption_keys_outcome,
            "encryption_keys_report": encryption_keys_report,
        }
