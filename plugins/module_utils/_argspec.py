# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Argument specs. The doc fragments mirror them one to one; a test says so."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ._providers import PROVIDERS

Spec = dict[str, dict[str, t.Any]]

# The connection options that every API module has, and that each number of a fleet may override.
CONNECTION: Spec = {
    "provider": {"type": "str", "choices": sorted(PROVIDERS), "default": "cloud_api"},
    "base_url": {"type": "str"},
    "api_version": {"type": "str", "default": "v24.0"},
    "access_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_ACCESS_TOKEN"])},
    "app_secret": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_APP_SECRET"])},
    "timeout": {"type": "float", "default": 30.0},
    "retries": {"type": "int", "default": 3},
    "total_timeout": {"type": "float", "default": 300.0},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "allow_http": {"type": "bool", "default": False},
}

# How a set is done, for the modules that set.
PUBLISH: Spec = {
    "business_public_key": {"type": "str", "no_log": False},
    "business_public_key_path": {"type": "path", "no_log": False},
    "expected_fingerprints": {"type": "list", "elements": "str"},
    "force": {"type": "bool", "default": False},
    "verify_timeout": {"type": "float", "default": 30.0},
}

FLEET: Spec = {
    "max_workers": {"type": "int", "default": 32},
    "max_failures": {"type": "int"},
}


def _overridable(spec: Spec) -> Spec:
    """Return a spec for one number of a list: nothing is required and nothing has a default, so unset means inherited."""
    drop = ("default", "fallback", "required")
    return {name: {k: v for k, v in option.items() if k not in drop} for name, option in spec.items()}


def number_list(extra: Spec) -> dict[str, t.Any]:
    """Return the option C(phone_numbers). C(phone_number_id) is not required here: who lacks it fails as that number alone."""
    options: Spec = {"name": {"type": "str"}, "phone_number_id": {"type": "str"}}
    return {"type": "list", "elements": "dict", "options": {**options, **_overridable(extra), **_overridable(CONNECTION)}}


SINGLE_SPEC: Spec = {"phone_number_id": {"type": "str", "required": True}, **PUBLISH, **CONNECTION}

_PER_NUMBER_PUBLISH = {name: PUBLISH[name] for name in PUBLISH if name != "verify_timeout"}
FLEET_SPEC: Spec = {
    "phone_numbers": {**number_list(_PER_NUMBER_PUBLISH), "required": True},
    **PUBLISH,
    **FLEET,
    **CONNECTION,
}

INFO_SPEC: Spec = {
    "phone_number_id": {"type": "str"},
    "phone_numbers": number_list({}),
    "max_workers": FLEET["max_workers"],
    **CONNECTION,
}

KEYRING_SPEC: Spec = {
    "path": {"type": "path", "default": "/etc/whatsapp-flows/keys"},
    "name": {"type": "str", "default": "default"},
    "passphrase": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_KEYRING_PASSPHRASE"])},
    "state": {
        "type": "str",
        "choices": ["present", "staged", "promoted", "rolled_back", "revoked", "pruned"],
        "default": "present",
    },
    "fingerprint": {"type": "str"},
    "max_age": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "retention": {"type": "str", "default": "30d"},
    "in_use_fingerprints": {"type": "list", "elements": "str"},
    "import_private_key_path": {"type": "path", "no_log": False},
    "import_private_key_content": {"type": "str", "no_log": True},
    "import_passphrase": {"type": "str", "no_log": True},
}
