#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_flows_keyring
short_description: Keep the generations of a WhatsApp Flows key pair on the vault host
version_added: 1.0.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Generates RSA-2048 key pairs on the host that it runs on, keeps their generations, and moves them from pending over
    current to retired. Private keys are stored as PKCS#8, encrypted with the passphrase (PBES2, AES-256), mode 0600 in a
    folder of mode 0700, and are never returned.
  - A key is durable (written, synced to disk, and read back) before the module returns its public half. Interrupted at any
    point, the next run goes on with the same key.
  - The state of a key is the file C(keyring.json) in O(path)/O(name); the key files lie beside it.
extends_documentation_fragment:
  - waba.flows._attributes
attributes:
  check_mode:
    support: full
    details:
      - Where a key would be generated, the public half of a throw-away key is returned, with RV(predicted=true).
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=staged) with O(force=true) creates a new pending key each time, once the one before was promoted.
options:
  path:
    description:
      - Folder of all keyrings on this host. It is made with mode 0700 if it is missing.
    type: path
    default: /etc/whatsapp-flows/keys
  name:
    description:
      - Name of the key, and of its folder. Letters, digits, C(-) and C(_), at most 64.
    type: str
    default: default
  passphrase:
    description:
      - Passphrase of the private keys, of 12 characters or more. Needed for every state but V(revoked) and V(pruned).
      - If it is not set, the environment variable E(WHATSAPP_KEYRING_PASSPHRASE) of this host is used.
    type: str
  state:
    description:
      - V(present) makes sure that there is a current key; one is generated, or imported, if there is none.
      - V(staged) returns the pending key if there is one. Otherwise one is generated if there is no current key, if the
        current one is older than O(max_age), or with O(force=true).
      - V(promoted) makes the pending key O(fingerprint) the current one and retires the current one.
      - V(rolled_back) makes the retired key O(fingerprint) the current one; the current and the pending one are retired. The
        clock of O(max_age) starts anew.
      - V(revoked) destroys the private key of O(fingerprint) and keeps it from being used again. It is refused while that key
        is current or in O(in_use_fingerprints).
      - V(pruned) deletes retired keys that no number was seen holding for O(retention). Use it only after every number was read.
    type: str
    choices: [present, staged, promoted, rolled_back, revoked, pruned]
    default: present
  fingerprint:
    description:
      - The key that is meant, for the states V(promoted), V(rolled_back) and V(revoked).
    type: str
  max_age:
    description:
      - Age at which the current key is due, counted from when it became current (for an imported key, from its import).
        For example V(90d), V(12h) or a number of seconds. If it is not set, a key is never due.
    type: str
  force:
    description:
      - With O(state=staged), create a pending key although the current one is not due.
      - With O(state=present) and an import, retire the current key in favour of the imported one.
    type: bool
    default: false
  retention:
    description:
      - How long a retired key is kept after a number was last seen holding it, as in O(max_age). Not below V(7d).
    type: str
    default: 30d
  in_use_fingerprints:
    description:
      - Fingerprints that numbers hold, or may hold. Required by the states V(revoked) and V(pruned), where an empty list says
        that no number holds a key of this keyring. With other states it is recorded when the keys were last seen.
    type: list
    elements: str
  import_private_key_path:
    description:
      - Private key on this host to adopt first, as the current one, with O(state=present) or O(state=staged).
      - PKCS#8 or PKCS#1, plain or encrypted, as C(openssl genrsa) writes them, also with C(-des3).
      - If the keyring has a current key already, the imported one becomes a retired one, unless with O(state=present) and
        O(force=true). A key that the keyring knows already changes nothing.
    type: path
  import_private_key_content:
    description:
      - The text of such a key. Exclusive with O(import_private_key_path).
    type: str
  import_passphrase:
    description:
      - Passphrase of the key to import.
    type: str
requirements:
  - cryptography >= 3.4
seealso:
  - module: waba.flows.whatsapp_business_encryption_fleet
"""

EXAMPLES = r"""
- name: Adopt the key that is in use today
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    import_private_key_path: /root/flows-private.pem
    import_passphrase: "{{ old_passphrase }}"

- name: Have a new key ready if the current one is older than 90 days
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: staged
    max_age: 90d
  register: keyring

- name: Make it the current one, after all numbers hold it
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: promoted
    fingerprint: "{{ keyring.to_publish.fingerprint }}"
"""

RETURN = r"""
name:
  description: Name of the key.
  returned: success
  type: str
folder:
  description: Its folder.
  returned: success
  type: str
generations:
  description: All generations, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of its files, without the suffixes C(.pem) and C(.pub).
      type: str
    fingerprint:
      description: Fingerprint of the public key.
      type: str
    state:
      description: V(pending), V(current), V(retired) or V(revoked).
      type: str
    origin:
      description: V(generated) or V(imported).
      type: str
    created_at:
      description: When it came into the keyring. All times are UTC.
      type: str
    published_at:
      description: When a number was first known to hold it.
      type: str
    promoted_at:
      description: When it last became current.
      type: str
    retired_at:
      description: When it was retired.
      type: str
    revoked_at:
      description: When it was revoked.
      type: str
    last_seen_at:
      description: When a number was last known to hold it, for those that are not current.
      type: str
current:
  description: Fingerprint of the current key.
  returned: success; V(none) if there is none
  type: str
pending:
  description: Fingerprint of the pending key.
  returned: success; V(none) if there is none
  type: str
to_publish:
  description: The key that numbers should hold now, the pending one if there is one, else the current one.
  returned: success, except for the states V(revoked) and V(pruned)
  type: dict
  contains:
    fingerprint:
      description: Its fingerprint.
      type: str
    business_public_key:
      description: The public key, SPKI in PEM.
      type: str
    state:
      description: V(pending) or V(current).
      type: str
check_mode:
  description: Whether this was check mode, so that nothing was written.
  returned: success
  type: bool
predicted:
  description: Whether RV(to_publish) is a throw-away key that stands for the one that would be generated.
  returned: success
  type: bool
due_at:
  description: When the current key is due.
  returned: success; V(none) without O(max_age)
  type: str
removed:
  description: Fingerprints whose private keys were destroyed.
  returned: success
  type: list
  elements: str
error:
  description: What went wrong, as in RV(waba.flows.whatsapp_business_encryption#module:error).
  returned: failure
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._argspec import KEYRING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._keyring import run_keyring
from ansible_collections.waba.flows.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(KEYRING_SPEC, run_keyring)


if __name__ == "__main__":
    main()
