# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the role encryption_keys: it hands the role's data to the functions of plugin_utils, which do the thinking."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError, AnsibleFilterError
from jinja2 import TemplateError

from ansible_collections.waba.flows.plugins.module_utils._errors import defect_of
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _audit as audit,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _endings as endings,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _inventory_rows as inventory,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _keyring_rows as keyrings,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _metrics,
    _page,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _plan as plan,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _proofs as proofs,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _records as records,
)
from ansible_collections.waba.flows.plugins.plugin_utils import (
    _report as report,
)
from ansible_collections.waba.flows.plugins.plugin_utils._step_error import StepError

Rows = inventory.Rows


def _fleet(
    hosts: t.Sequence[str], hostvars: t.Mapping[str, t.Any], credentials: t.Mapping[str, t.Any] | None = None
) -> Rows:
    """Return the numbers that host variables describe, without their credentials."""
    return inventory.public_rows(inventory.collect_numbers(hosts, hostvars, credentials))


def _numbers(
    hosts: t.Sequence[str], hostvars: t.Mapping[str, t.Any], credentials: t.Mapping[str, t.Any], plan: Rows | None = None
) -> Rows:
    """Return the numbers as the modules take them, with their credentials; with a plan, those to publish with their key."""
    return inventory.for_module(inventory.collect_numbers(hosts, hostvars, credentials), credentials, plan)


def _all_metrics(document: t.Mapping[str, t.Any], path: str) -> str:
    """Return the metrics of a report, with what has to be kept of those that the file has."""
    try:
        with open(path, encoding="utf-8") as stream:
            previous = stream.read()
    except (OSError, UnicodeDecodeError):
        previous = ""
    return _metrics.metrics(dict(document), previous)


_FUNCTIONS: tuple[t.Callable[..., t.Any], ...] = (
    inventory.collect_endpoints, inventory.tokens_problem, inventory.part_of_fleet,
    keyrings.keyring_rows, keyrings.replica_view, keyrings.behind, keyrings.keyrings_of, keyrings.aim, keyrings.copies,
    keyrings.copy_source, keyrings.copy_rows, keyrings.bundles, keyrings.deployed_rows, keyrings.deployment,
    keyrings.restored_lines, keyrings.recovered_lines,
    plan.make_plan, plan.as_list, plan.retention_days, plan.answering, plan.calls_needed,
    plan.held, plan.held_by, plan.undecided, plan.wave_sizes, plan.make_waves, plan.wave_done, plan.overtaken, plan.going,
    plan.stopped, plan.final_rows,
    records.recording, records.recorded, records.sendable, records.outdated_records,
    proofs.wanted_proofs, proofs.published_proofs, proofs.pings, proofs.proof_rows, proofs.blocked,
    endings.promotable, endings.promoted_rows, endings.in_use, endings.is_complete, endings.undo_plan, endings.undo_allowed,
    endings.undo_rings, endings.given_up_rows, endings.undone_rows, endings.revocation, endings.revocation_notes,
    endings.finished_rows, endings.changed_keyrings, endings.late_failures,
    report.make_report, keyrings.written_lines, keyrings.unwritten, keyrings.own_path,
    audit.accepted_verdicts, audit.labels_of, audit.audited_rows, audit.held_proofs, audit.make_audit,
    _page.page_parts,
)
STEPS: dict[str, t.Callable[..., t.Any]] = {
    "fleet": _fleet, "numbers": _numbers, "metrics": _all_metrics, **{function.__name__: function for function in _FUNCTIONS},
}


def encryption_keys(value: t.Any, step: str, **arguments: t.Any) -> t.Any:
    """Return what a step of the role makes of a value."""
    if step not in STEPS:
        raise AnsibleFilterError(f"encryption_keys has no step '{step}'; there are {', '.join(sorted(STEPS))}.")
    try:
        return STEPS[step](value, **arguments)
    except StepError as error:
        raise AnsibleFilterError(str(error)) from None
    except (AnsibleError, TemplateError):  # of a variable, and told as that
        raise
    except Exception as error:
        raise AnsibleFilterError(str(defect_of(error))) from None


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"encryption_keys": encryption_keys}
