# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Argument specs. The doc fragments mirror them one to one; a test says so."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ._providers import OWN_OPTIONS, PROVIDERS, Option

Spec = dict[str, dict[str, t.Any]]


def _own_option(option: Option) -> dict[str, t.Any]:
    """Return the spec of an option that a provider names."""
    spec: dict[str, t.Any] = {"type": "str", "no_log": option.secret}
    if option.choices:
        spec["choices"] = list(option.choices)
    if option.default:
        spec["default"] = option.default
    if option.env:
        spec["fallback"] = (env_fallback, [option.env])
    return spec


# The connection options that every API module has, and that each number of a fleet may override.
CONNECTION: Spec = {
    "provider": {"type": "str", "choices": list(PROVIDERS), "default": "cloud_api"},
    "base_url": {"type": "str"},
    **{option.name: _own_option(option) for option in OWN_OPTIONS},
    "timeout": {"type": "float", "default": 30.0},
    "retries": {"type": "int", "default": 3},
    "total_timeout": {"type": "float", "default": 300.0},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "allow_http": {"type": "bool", "default": False},
}

# What is on record for a number that its provider cannot be asked about.
RECORD: Spec = {"recorded_fingerprint": {"type": "str"}}

# How a set is done, for the modules that set.
PUBLISH: Spec = {
    "business_public_key": {"type": "str", "no_log": False},
    "business_public_key_path": {"type": "path", "no_log": False},
    "expected_fingerprints": {"type": "list", "elements": "str"},
    "force": {"type": "bool", "default": False},
    "verify_timeout": {"type": "float", "default": 30.0},
}

# How many numbers are worked on in one task.
FLEET: Spec = {
    "max_workers": {"type": "int", "default": 32},
    "progress": {"type": "bool", "default": True},
}


def _overridable(spec: Spec) -> Spec:
    """Return a spec for one number of a list: nothing is required and nothing has a default, so unset means inherited."""
    drop = ("default", "fallback", "required")
    return {name: {k: v for k, v in option.items() if k not in drop} for name, option in spec.items()}


def number_list(extra: Spec) -> dict[str, t.Any]:
    """Return the option C(phone_numbers). C(phone_number_id) is not required here: who lacks it fails as that number alone."""
    options: Spec = {"name": {"type": "str"}, "phone_number_id": {"type": "str"}, "waba_id": {"type": "str"}}
    return {"type": "list", "elements": "dict", "options": {**options, **_overridable(extra), **_overridable(CONNECTION)}}


SINGLE_SPEC: Spec = {"phone_number_id": {"type": "str", "required": True}, **PUBLISH, **RECORD, **CONNECTION}

_PER_NUMBER_PUBLISH = {**{name: PUBLISH[name] for name in PUBLISH if name != "verify_timeout"}, **RECORD}
FLEET_SPEC: Spec = {
    "phone_numbers": {**number_list(_PER_NUMBER_PUBLISH), "required": True},
    "max_failures": {"type": "int"},
    **PUBLISH,
    **FLEET,
    **CONNECTION,
}

INFO_SPEC: Spec = {
    "phone_number_id": {"type": "str"},
    **RECORD,
    "phone_numbers": number_list(RECORD),
    **FLEET,
    **CONNECTION,
}

KEYRING_SPEC: Spec = {
    "path": {"type": "path", "default": "/etc/whatsapp-flows/keys"},
    "name": {"type": "str", "default": "default"},
    "passphrase": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_KEYRING_PASSPHRASE"])},
    "new_passphrase": {"type": "str", "no_log": True},
    "export_passphrase": {"type": "str", "no_log": True},
    "state": {
        "type": "str",
        "choices": ["present", "staged", "recorded", "promoted", "rolled_back", "revoked", "pruned", "mirrored", "read"],
        "default": "present",
    },
    "fingerprint": {"type": "str"},
    "accepted": {"type": "dict"},
    "required_fingerprints": {"type": "list", "elements": "str"},
    "replace_fingerprint": {"type": "str"},
    "max_age": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "retention": {"type": "str", "default": "30d"},
    "in_use_fingerprints": {"type": "list", "elements": "str"},
    "import_private_key_path": {"type": "path", "no_log": False},
    "import_private_key_content": {"type": "str", "no_log": True},
    "import_passphrase": {"type": "str", "no_log": True},
    "source": {
        "type": "dict",
        "options": {
            "generations": {"type": "list", "elements": "dict", "required": True},
            "accepted": {"type": "dict", "default": {}},
            "pruned": {"type": "list", "elements": "str", "default": []},
            "private_keys": {"type": "dict", "no_log": True, "default": {}},
        },
    },
    "lease_owner": {"type": "str"},
    "lease_seconds": {"type": "int", "default": 900},
    "release_lease": {"type": "bool", "default": False},
}

PING_SPEC: Spec = {
    "url": {"type": "str", "required": True},
    "business_public_key": PUBLISH["business_public_key"],
    "business_public_key_path": PUBLISH["business_public_key_path"],
    "app_secret": CONNECTION["app_secret"],
    "probe_unknown_key": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 10.0},
    "retries": {"type": "int", "default": 2},
    "total_timeout": {"type": "float", "default": 60.0},
    "validate_certs": CONNECTION["validate_certs"],
    "ca_path": CONNECTION["ca_path"],
    "allow_http": CONNECTION["allow_http"],
}

ENDPOINT_KEYS_SPEC: Spec = {
    "path": {"type": "path", "required": True},
    "passphrase": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_ENDPOINT_PASSPHRASE"])},
    "keys": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": False,
        "options": {
            "name": {"type": "str", "required": True},
            "generations": {"type": "list", "elements": "dict", "required": True},
            "pruned": {"type": "list", "elements": "str", "default": []},
            "private_keys": {"type": "dict", "default": {}, "no_log": True},
        },
    },
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw", "default": "0600"},
    "directory_mode": {"type": "raw", "default": "0700"},
    "reload": {"type": "str", "choices": ["none", "owed", "done"], "default": "none"},
}
