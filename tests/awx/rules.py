# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX checks of an object beyond the kinds of its fields, by resource; before it is kept."""

from __future__ import annotations

import typing as t

from .credential_types import check_credential, check_type
from .notifications import check_notification
from .recurrence import check_recurrence
from .refusal import Refused, invalid
from .resources import ANY_TEMPLATE, LINKS, PROMPTED
from .store import Row, Store
from .surveys import check_variables

Rule = t.Callable[[Store, t.Optional[Row], Row], None]


def _kind_of(store: Store, credential: t.Any) -> str:
    """Return the kind of a credential's type."""
    row = store.get("credentials", credential)
    kind = store.get("credential_types", row.values["credential_type"]) if row else None
    return str(kind.values["kind"]) if kind else ""


def check_project(store: Store, old: Row | None, new: Row) -> None:
    if new.values["scm_type"] and not new.values["scm_url"]:
        raise invalid("scm_url", "SCM URL is required.")
    if new.values["credential"] is not None and _kind_of(store, new.values["credential"]) != "scm":
        raise invalid("credential", "Credential kind must be 'scm'.")


def check_inventory(store: Store, old: Row | None, new: Row) -> None:
    if new.values["kind"] != "smart" and new.values["host_filter"]:
        raise invalid("host_filter", "Host filter is for smart inventories only.")


def check_inventory_source(store: Store, old: Row | None, new: Row) -> None:
    inventory = store.get("inventories", new.values["inventory"])
    if inventory is not None and inventory.values["kind"]:
        raise invalid("inventory", "Cannot create Inventory Source for Smart or Constructed Inventory")
    scm = new.values["source"] == "scm"
    if scm and new.values["source_project"] is None:
        raise invalid("source_project", "A project is required for SCM sources.")
    if not scm and (new.values["source_project"] is not None or new.values["source_path"]):
        raise Refused(400, {"detail": "Cannot set source_project or source_path if not SCM type."})
    if scm and new.values["credential"] is not None and _kind_of(store, new.values["credential"]) != "cloud":
        raise invalid("credential", "Credentials of type machine, source control, insights and vault are disallowed for scm "
                                    "inventory sources.")


def check_job_template(store: Store, old: Row | None, new: Row) -> None:
    values = new.values
    project = store.get("projects", values["project"])
    values["organization"] = project.values["organization"] if project else None  # whatever was sent
    if project is None:
        raise invalid("project", "Job Templates must have a project assigned.")
    if not values["playbook"]:
        raise invalid("playbook", "Must select playbook for project.")
    if not project.values["allow_override"]:
        if values["playbook"] not in project.playbooks:
            raise invalid("playbook", "Playbook not found for project.")
        if values["scm_branch"]:
            raise invalid("scm_branch", "Project does not allow overriding branch.")
    if values["inventory"] is None and not values["ask_inventory_on_launch"]:
        raise invalid("inventory", "Must either set a default value or ask to prompt on launch.")


def _check_prompts(store: Store, new: Row, *, required: bool) -> None:
    """Check what a schedule or a node hands to its template."""
    template = store.get(ANY_TEMPLATE, new.values["unified_job_template"])
    if template is None:
        return
    for name, asked in PROMPTED.items():
        if new.values[name] not in (None, "") and not template.values.get(f"ask_{asked}_on_launch"):
            raise invalid(name, "Field is not configured to prompt on launch.")
    survey = template.survey if template.values.get("survey_enabled") else {}
    check_variables(survey, new.values["extra_data"], required=required,
                    any_variable=bool(template.values.get("ask_variables_on_launch")))


def check_node(store: Store, old: Row | None, new: Row) -> None:
    _check_prompts(store, new, required=False)  # the workflow or whoever starts it may give them


def check_schedule(store: Store, old: Row | None, new: Row) -> None:
    check_recurrence(new.values["rrule"])
    _check_prompts(store, new, required=True)


RULES: dict[str, Rule] = {
    "credential_types": check_type, "credentials": check_credential, "notification_templates": check_notification,
    "projects": check_project, "inventories": check_inventory, "inventory_sources": check_inventory_source,
    "job_templates": check_job_template, "workflow_job_template_nodes": check_node, "schedules": check_schedule,
}


def check_association(store: Store, row: Row, name: str, other: Row) -> None:
    """Refuse what AWX would not associate with an object."""
    if name == "credentials":
        _check_credential_of(store, row, other)
    elif name in LINKS:
        _check_link(store, row, name, other)


def _check_credential_of(store: Store, row: Row, other: Row) -> None:
    """A template takes one credential of a type, and none that is for projects alone."""
    if _kind_of(store, other.id) not in ("ssh", "vault", "cloud", "net"):
        raise Refused(400, {"error": f"Cannot assign a Credential of kind `{_kind_of(store, other.id)}`."})
    kinds = [known.values["credential_type"] for known in store.all("credentials") if known.id in row.many.get("credentials", [])]
    if other.values["credential_type"] in kinds:
        kind = store.get("credential_types", other.values["credential_type"])
        raise Refused(400, {"error": f"Cannot assign multiple {kind.name if kind else ''} credentials."})


def _check_link(store: Store, row: Row, name: str, other: Row) -> None:
    if any(other.id in row.many.get(link, []) for link in LINKS if link != name):
        raise Refused(400, {"Error": "Relationship not allowed."})
    if row.id in _reached(store, other):
        raise Refused(400, {"Error": "Cycle detected."})


def _reached(store: Store, start: Row) -> set[int]:
    found: set[int] = set()
    waiting = [start.id]
    while waiting:
        row = store.rows["workflow_job_template_nodes"][waiting.pop()]
        found.add(row.id)
        waiting += [target for link in LINKS for target in row.many.get(link, []) if target not in found]
    return found
