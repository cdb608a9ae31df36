# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Argument specs of the modules that call an API or an endpoint. The doc fragments mirror them one to one; a test says so."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ._host_argspec import Spec
from ._providers._registry import OWN_OPTIONS, PROVIDERS, Option


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
