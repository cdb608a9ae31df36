# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Argument specs of the modules that run on the hosts which have keys; apart, so that no HTTP library is loaded there."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

Spec = dict[str, dict[str, t.Any]]
# Options as Ansible hands them over.
Params = t.Mapping[str, t.Any]

KEYRING_SPEC: Spec = {
    "path": {"type": "path", "default": "/etc/whatsapp-flows/keys"},
    "name": {"type": "str", "default": "default"},
    "passphrase": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_KEYRING_PASSPHRASE"])},
    "new_passphrase": {"type": "str", "no_log": True},
    "export_passphrase": {"type": "str", "no_log": True},
    "state": {
        "type": "str",
        "choices": ["present", "staged", "recorded", "promoted", "rolled_back", "revoked", "pruned", "mirrored", "recovered",
                    "read"],
        "default": "present",
    },
    "fingerprint": {"type": "str"},
    "accepted": {"type": "dict"},
    "required_fingerprints": {"type": "list", "elements": "str"},
    "required_serial": {"type": "int", "default": 0},
    "required_by": {"type": "str"},
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
            "serial": {"type": "int", "default": 0},
        },
    },
    "clock": {"type": "str"},
    "lease_owner": {"type": "str"},
    "lease_seconds": {"type": "int", "default": 900},
    "release_lease": {"type": "bool", "default": False},
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
