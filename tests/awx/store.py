# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the server, what every AWX has from the start, and what goes with what when it is deleted."""

from __future__ import annotations

import dataclasses
import typing as t

from .refusal import Refused, invalid
from .resources import ANY_TEMPLATE, RESOURCES, TEMPLATES, Resource

ENCRYPTED = "$encrypted$"
Values = dict[str, t.Any]


@dataclasses.dataclass
class Row:
    """An object: its values as they were stored (secrets in plain), its associations by name, its survey."""

    id: int
    resource: str
    values: Values
    many: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    survey: Values = dataclasses.field(default_factory=dict)
    # Of a project: what a sync found. Of a project update: how often it is still asked before it has ended.
    playbooks: tuple[str, ...] = ()
    update: int | None = None
    pending: int = 0

    @property
    def name(self) -> str:
        return str(self.values.get("name") or self.values.get("identifier") or self.values.get("username") or self.id)

    @property
    def spec(self) -> Resource:
        return RESOURCES[self.resource]


def _field(identity: str, *, secret: bool = False) -> Values:
    return {"id": identity, "label": identity, "type": "string", **({"secret": True} if secret else {})}


_MANAGED = {
    "Machine": ("ssh", [_field("username"), _field("password", secret=True), _field("ssh_key_data", secret=True),
                        _field("become_password", secret=True)]),
    "Source Control": ("scm", [_field("username"), _field("password", secret=True), _field("ssh_key_data", secret=True)]),
    "Amazon Web Services": ("cloud", [_field("username"), _field("password", secret=True),
                                      _field("security_token", secret=True)]),
}


class Store:
    """All objects by resource and ID. IDs are unique over all of them, as those of AWX's templates are."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Row]] = {name: {} for name in (*RESOURCES, "project_updates")}
        self._last = 0
        self.add("organizations", name="Default")
        self.add("users", username="admin")
        self.add("instance_groups", name="default")
        for name, (kind, fields) in _MANAGED.items():
            self.add("credential_types", name=name, kind=kind, inputs={"fields": fields}, managed=True)

    def add(self, resource: str, **values: t.Any) -> Row:
        """Put an object in as it is given, with the defaults of its fields."""
        self._last += 1
        fields = RESOURCES[resource].fields if resource in RESOURCES else {}
        row = Row(self._last, resource, {**{name: field.default for name, field in fields.items()}, **values})
        self.rows[resource][row.id] = row
        return row

    def all(self, resource: str) -> list[Row]:
        """Return the objects of a resource, oldest first."""
        names = TEMPLATES if resource == ANY_TEMPLATE else (resource,)
        return sorted((row for name in names for row in self.rows[name].values()), key=lambda row: row.id)

    def get(self, resource: str, identity: t.Any) -> Row | None:
        """Return an object by its ID."""
        return next((row for row in self.all(resource) if row.id == identity), None)

    def named(self, resource: str, name: str) -> Row:
        """Return the one object of a name."""
        (row,) = (row for row in self.all(resource) if row.name == name)
        return row

    def check_links(self, row: Row) -> None:
        """Refuse links to what is not there."""
        for name, field in row.spec.fields.items():
            target = row.values[name]
            if field.kind == "link" and target is not None and self.get(field.to, target) is None:
                raise invalid(name, f'Invalid pk "{target}" - object does not exist.')

    def check_unique(self, row: Row) -> None:
        """Refuse what would be there twice."""
        unique = row.spec.unique
        own = [row.values[name] for name in unique]
        for other in self.rows[row.resource].values():
            if unique and other.id != row.id and [other.values[name] for name in unique] == own:
                words = " and ".join(name.replace("_", " ").capitalize() for name in unique)
                kind = row.spec.kind.replace("_", " ").capitalize()
                raise Refused(400, {"__all__": [f"{kind} with this {words} already exists."]})

    def delete(self, row: Row) -> None:
        """Delete an object and all that AWX deletes with it; other links to it become empty."""
        for other in [other for rows in self.rows.values() for other in rows.values()]:
            if other.resource in RESOURCES and other.id in self.rows[other.resource]:
                self._unlink(other, row)
        self.rows[row.resource].pop(row.id, None)
        approval = row.values.get("unified_job_template")
        if row.resource == "workflow_job_template_nodes":
            self.rows["workflow_approval_templates"].pop(approval or 0, None)

    def _unlink(self, other: Row, gone: Row) -> None:
        for name, target in other.spec.many.items():
            if target == gone.resource and gone.id in other.many.get(name, []):
                other.many[name].remove(gone.id)
        for name, field in other.spec.fields.items():
            same = field.to == gone.resource or (field.to == ANY_TEMPLATE and gone.resource in TEMPLATES)
            if field.kind == "link" and same and other.values[name] == gone.id:
                if field.required:
                    self.delete(other)
                    return
                other.values[name] = None
