# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credential types and the inputs of credentials, as AWX checks them."""

from __future__ import annotations

import re
import typing as t

from .refusal import Refused, forbidden, invalid
from .store import ENCRYPTED, Row, Store, Values

_FIELD = {"id", "label", "help_text", "type", "choices", "secret", "multiline", "format", "ask_at_runtime", "default"}
# Variables that AWX keeps for itself.
_BLOCKED = {"PATH", "PYTHONPATH", "VIRTUAL_ENV", "JOB_ID", "INVENTORY_ID", "AWX_HOST", "PROJECT_REVISION"}
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)")


def check_type(store: Store, old: Row | None, new: Row) -> None:
    """Refuse a type with fields or injectors that AWX would not take, and changes that it does not allow."""
    if old is not None and old.values["managed"]:
        raise forbidden("Modifications not allowed for managed credential types")
    if new.values["kind"] not in ("cloud", "net"):
        raise invalid("kind", f"Must be 'cloud' or 'net', not {new.values['kind']}.")
    if old is not None and old.values["inputs"] != new.values["inputs"] and users_of(store, old):
        raise forbidden("Modifications to inputs are not allowed for credential types that are in use")
    fields = _checked_fields(new.values["inputs"])
    _check_injectors(new.values["injectors"], set(fields))


def users_of(store: Store, row: Row) -> list[Row]:
    """Return the credentials of a type."""
    return [other for other in store.all("credentials") if other.values["credential_type"] == row.id]


def _checked_fields(inputs: Values) -> list[str]:
    if set(inputs) - {"fields", "required"}:
        raise invalid("inputs", "Additional properties are not allowed.")
    found: list[str] = []
    for field in inputs.get("fields", []):
        if set(field) - _FIELD or not {"id", "label"} <= set(field):
            raise invalid("inputs", f"{field.get('id')}: a field has an id, a label, and no members that there are not.")
        if field.setdefault("type", "string") not in ("string", "boolean"):
            raise invalid("inputs", f"'{field['type']}' is not one of ['string', 'boolean']")
        if field["type"] == "boolean" and {"choices", "multiline", "format", "secret"} & set(field):
            raise invalid("inputs", f"not allowed for boolean type ({field['id']})")
        if field["id"] in found or field["id"] == "tower":
            raise invalid("inputs", f"field IDs must be unique and not reserved ({field['id']})")
        found.append(field["id"])
    if set(inputs.get("required", [])) - set(found):
        raise invalid("inputs", "required names a field that there is not.")
    return found


def _check_injectors(injectors: Values, fields: set[str]) -> None:
    if set(injectors) - {"env", "extra_vars", "file"}:
        raise invalid("injectors", "Additional properties are not allowed.")
    for place, entries in injectors.items():
        for name, template in entries.items():
            if place == "env" and name.startswith("ANSIBLE_"):
                raise invalid("injectors", f"Environment variable {name} may affect Ansible configuration so its use is not "
                                           "allowed in credentials.")
            if place == "env" and name in _BLOCKED:
                raise invalid("injectors", f"Environment variable {name} is not allowed to be used in credentials.")
            unknown = [used for used in _REFERENCE.findall(str(template)) if used.split(".")[0] not in {*fields, "tower"}]
            if unknown:
                raise invalid("injectors", f"{name} uses an undefined field ('{unknown[0]}' is undefined)")


def check_credential(store: Store, old: Row | None, new: Row) -> None:
    """Refuse inputs that the type does not have; keep the secrets that come back as AWX shows them."""
    if old is not None and old.values["credential_type"] != new.values["credential_type"]:
        raise invalid("credential_type", "You cannot change the credential type of the credential, as it may break its users.")
    types = {field["id"]: field["type"] for field in _fields_of(store, new)}
    before = old.values["inputs"] if old is not None else {}
    inputs: Values = dict(new.values["inputs"])
    for name, value in inputs.items():
        if name not in types:
            raise Refused(400, {"inputs": {name: ["Additional properties are not allowed."]}})
        if not isinstance(value, bool if types[name] == "boolean" else str):
            raise Refused(400, {"inputs": {name: [f"not of type {types[name]}"]}})
        if value == ENCRYPTED:
            inputs[name] = before.get(name, "")
    new.values["inputs"] = inputs


def _fields_of(store: Store, row: Row) -> list[t.Any]:
    kind = store.get("credential_types", row.values["credential_type"])
    return [] if kind is None else list(kind.values["inputs"].get("fields", []))


def shown_inputs(store: Store, row: Row) -> Values:
    """Return the inputs of a credential with its secrets hidden."""
    secret = {field["id"] for field in _fields_of(store, row) if field.get("secret")}
    return {name: ENCRYPTED if name in secret and value else value for name, value in row.values["inputs"].items()}
