# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of lists: fields, lookups behind two underscores, links followed, and or__."""

from __future__ import annotations

import typing as t

from .refusal import Refused
from .resources import ANY_TEMPLATE, RESOURCES
from .store import Row, Store

PAGING = ("page", "page_size", "order_by", "format", "search")
Test = t.Callable[[Row], bool]

_LOOKUPS: dict[str, t.Callable[[str, str], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "iexact": lambda value, wanted: value.lower() == wanted.lower(),
    "contains": lambda value, wanted: wanted in value,
    "icontains": lambda value, wanted: wanted.lower() in value.lower(),
    "startswith": lambda value, wanted: value.startswith(wanted),
    "in": lambda value, wanted: value in wanted.split(","),
}


def matching(store: Store, resource: str, query: t.Iterable[tuple[str, str]]) -> list[Row]:
    """Return the objects that a query asks for. Raises Refused for a field that there is not."""
    every: list[Test] = []
    either: list[Test] = []
    for key, wanted in query:
        if key in PAGING:
            continue
        either_or = key.startswith("or__")
        test = _test(store, resource, key.removeprefix("or__"), wanted)
        (either if either_or else every).append(test)
    return [row for row in store.all(resource)
            if all(test(row) for test in every) and (not either or any(test(row) for test in either))]


def _test(store: Store, resource: str, path: str, wanted: str) -> Test:
    parts = path.split("__")
    lookup = parts.pop() if parts[-1] in _LOOKUPS else "exact"
    _check_path(resource, parts)

    def test(row: Row) -> bool:
        value = _follow(store, row, parts)
        return value is not None and _LOOKUPS[lookup](_as_text(value), wanted)

    return test


def _check_path(resource: str, parts: t.Sequence[str]) -> None:
    for part in parts:
        fields = {"name": None, "organization": None} if resource == ANY_TEMPLATE else RESOURCES[resource].fields
        if part not in fields and part not in ("id", "type"):
            raise Refused(400, {"detail": f"{resource} has no field named '{part}'"})
        field = None if resource == ANY_TEMPLATE else RESOURCES[resource].fields.get(part)
        if resource == ANY_TEMPLATE and part == "organization":
            resource = "organizations"
        elif field is not None and field.kind == "link":
            resource = field.to


def _follow(store: Store, row: Row, parts: t.Sequence[str]) -> t.Any:
    value: t.Any = row.id
    for part in parts:
        value = {"id": row.id, "type": row.spec.kind}.get(part, row.values.get(part))
        field = row.spec.fields.get(part)
        if field is not None and field.kind == "link" and part != parts[-1]:
            target = store.get(field.to, value)
            if target is None:
                return None
            row = target
    return value


def _as_text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
