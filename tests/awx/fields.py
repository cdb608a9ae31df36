# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of fields that objects have, and what each takes."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import yaml

from .refusal import invalid

Kind = t.Literal["text", "bool", "int", "json", "variables", "link"]


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a resource. C(to) is what a link points to; C(required) is for creation."""

    kind: Kind = "text"
    default: t.Any = ""
    choices: tuple[t.Any, ...] = ()
    to: str = ""
    required: bool = False

    def checked(self, name: str, value: t.Any) -> t.Any:
        """Return a value as it is kept. Raises Refused."""
        if value is None:
            return self._null(name)
        if self.kind == "text":
            value = _text(name, value)
        elif self.kind == "bool" and not isinstance(value, bool):
            raise invalid(name, "Must be a valid boolean.")
        elif self.kind in ("int", "link") and (not isinstance(value, int) or isinstance(value, bool)):
            raise invalid(name, "A valid integer is required.")
        elif self.kind == "json" and not isinstance(value, dict):
            raise invalid(name, "Value must be valid JSON.")
        elif self.kind == "variables":
            value = _variables(name, value)
        if self.choices and value not in self.choices:
            raise invalid(name, f'"{value}" is not a valid choice.')
        return value

    def _null(self, name: str) -> t.Any:
        if self.kind == "link" and not self.required:
            return None
        if self.kind == "text" and not self.required:
            return self.default  # AWX takes null for an empty text
        if self.default is None:
            return None
        raise invalid(name, "This field may not be null.")


def _text(name: str, value: t.Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise invalid(name, "Not a valid string.")
    return str(value)


def _variables(name: str, value: t.Any) -> str:
    """Return variables as text, as they were sent; they have to be a mapping in JSON or YAML."""
    if not isinstance(value, str):
        raise invalid(name, "Not a valid string.")
    try:
        document = json.loads(value)
    except ValueError:
        try:
            document = yaml.safe_load(value)
        except yaml.YAMLError:
            raise invalid(name, "Cannot parse as JSON or YAML.") from None
    if document is not None and not isinstance(document, dict):
        raise invalid(name, "Input type is not a dictionary.")
    return value


def text(default: str = "", **members: t.Any) -> Field:
    """Return a field for text."""
    return Field("text", default, **members)


def choice(*choices: t.Any, default: t.Any = None) -> Field:
    """Return a field that takes some texts only."""
    return Field("text", choices[0] if default is None else default, choices=choices)


def flag(default: bool = False) -> Field:
    """Return a field for true or false."""
    return Field("bool", default)


def number(default: int | None = 0, choices: tuple[int, ...] = ()) -> Field:
    """Return a field for a whole number."""
    return Field("int", default, choices=choices)


def link(to: str, *, required: bool = False) -> Field:
    """Return a field that holds the ID of another object."""
    return Field("link", None, to=to, required=required)


def mapping(*, required: bool = False) -> Field:
    """Return a field for a JSON object."""
    return Field("json", {}, required=required)
