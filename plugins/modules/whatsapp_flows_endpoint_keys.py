#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_flows_endpoint_keys
short_description: Put WhatsApp Flows private keys, and a manifest of them, on an endpoint host
version_added: 1.1.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Brings the private keys of one or more keyrings to a host whose program answers Flow data requests, and writes for each
    keyring a manifest that says which of them there are. What was rotated out stays until the keyring drops it, so that
    requests under an older key can still be decrypted.
  - A key file that is there, can be opened with O(passphrase) and holds the right key is kept. One that is missing, damaged or
    under another passphrase is written from O(keys[].private_keys).
  - A key file is durable (synced to disk, and read back) before the manifest names it, and is deleted only after the manifest no
    longer does. Interrupted at any point, the next run ends where this one would have.
  - Private keys travel and are stored only as PKCS#8 that is encrypted with O(passphrase). An unencrypted one is refused. Use
    C(no_log) for the task all the same, because Ansible shows the options of a task in more places than a module has power over.
extends_documentation_fragment:
  - waba.flows._attributes
attributes:
  check_mode:
    support: full
    details:
      - A generation whose private key is neither on the host nor in O(keys[].private_keys) counts as one that would be added,
        since check mode of C(waba.flows.whatsapp_flows_keyring) predicts keys that do not exist yet.
  diff_mode:
    support: full
    details:
      - Shows the manifests. They hold no secret.
  idempotent:
    support: full
options:
  path:
    description:
      - Folder on this host that holds a folder for each key. An absolute path; it may be a symbolic link, the folders in it may
        not.
      - If it is missing it is made, with O(owner), O(group) and O(directory_mode), which it then keeps. Parents that are missing
        are made with mode 0755. A folder that was there before is left as it is, unless it is empty and of mode 0700.
    type: path
    required: true
  passphrase:
    description:
      - Passphrase of the private keys on this host, of 12 characters or more. Needed unless O(reload=done).
      - It is what they were exported under, O(waba.flows.whatsapp_flows_keyring#module:export_passphrase).
      - If it is not set, the environment variable E(WHATSAPP_ENDPOINT_PASSPHRASE) of this host is used.
    type: str
  keys:
    description:
      - The keys that this host serves. Folders of other keys are not touched.
      - Malformed options are an error before anything is touched. Otherwise an error with one key does not keep the others from
        being deployed, and the task fails at its end.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the key, and of its folder. Letters, digits, C(-) and C(_), at most 64.
        type: str
        required: true
      generations:
        description:
          - All its generations, as RV(waba.flows.whatsapp_flows_keyring#module:generations). Those that are revoked are taken off
            the host.
        type: list
        elements: dict
        required: true
      pruned:
        description:
          - The fingerprints of those that were deleted, as RV(waba.flows.whatsapp_flows_keyring#module:pruned). They are taken
            off the host as well.
        type: list
        elements: str
        default: []
      private_keys:
        description:
          - The private keys by C(id) of the generation, as RV(waba.flows.whatsapp_flows_keyring#module:exported). Those that are
            on the host already may be left out.
        type: dict
        default: {}
  owner:
    description:
      - User that folders and files belong to, by name or number. If it is not set, new ones belong to who runs the module, and
        existing ones stay with whom they belong to.
    type: str
  group:
    description:
      - Group that folders and files belong to, by name or number, as O(owner).
    type: str
  mode:
    description:
      - Mode of the files, octal digits in quotes. No execution, and no writing by others.
    type: raw
    default: '0600'
  directory_mode:
    description:
      - Mode of the folders, octal digits in quotes. No writing by others.
    type: raw
    default: '0700'
  reload:
    description:
      - How it is remembered that a program has to load the keys anew.
      - With V(none), it is not, and RV(reload_needed) tells of this call alone. If the play is killed before the program was
        told, the next one does not know of it.
      - With V(owed), it is noted on the host before the first key is changed, and RV(reload_needed) stays V(true) in later calls
        until one with V(done).
      - With V(done), nothing is deployed; that note is deleted. Call it so after the program has loaded the keys.
    type: str
    choices: [none, owed, done]
    default: none
requirements:
  - cryptography >= 3.4
notes:
  - O(path) has a folder for each key, C(PATH/NAME). In there, the keys are the files C(ID.pem), encrypted PKCS#8 in PEM form, and
    C(manifest.json) names them. A program reads the manifest, then the files that it names, and tries to decrypt with them in
    that order. It does not look at other files; those that begin with a dot are this module's own. If a file is gone by then, the
    manifest has been replaced meanwhile; read it again.
  - C(manifest.json) is an object with the members C(schema) (1), C(key_name), C(current) (a fingerprint, or null if no key is
    current) and C(keys), a list of objects with the members C(fingerprint), C(file) (a name in the same folder) and C(state)
    (V(pending), V(current) or V(retired)). The newest key comes first; revoked ones are not in it. It is replaced as a whole.
  - Files that no manifest named are never touched.
  - If the manifest on the host names a key that is neither in O(keys[].generations) nor in O(keys[].pruned), that key name is
    refused, as numbers may hold it. Then another run went on meanwhile, the keyring was lost or is older, or another one deploys
    here. Run again, or rebuild the keyring, or delete that manifest if the change is meant.
seealso:
  - module: waba.flows.whatsapp_flows_keyring
  - module: waba.flows.whatsapp_flows_endpoint_ping
"""

EXAMPLES = r"""
- name: Take the keys from the vault host, encrypted for the endpoints
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: read
    export_passphrase: "{{ endpoint_passphrase }}"
  register: keyring
  no_log: true

- name: Put them on the endpoint
  waba.flows.whatsapp_flows_endpoint_keys:
    path: /etc/whatsapp-flows/endpoint-keys
    passphrase: "{{ endpoint_passphrase }}"
    directory_mode: "0750"
    mode: "0640"
    keys:
      - name: default
        generations: "{{ keyring.generations }}"
        pruned: "{{ keyring.pruned }}"
        private_keys: "{{ keyring.exported }}"
    reload: owed
  register: deployed
  no_log: true

# Here, if deployed.reload_needed, a task has the program load them.

- name: Note that it has
  waba.flows.whatsapp_flows_endpoint_keys:
    path: /etc/whatsapp-flows/endpoint-keys
    keys: []
    reload: done
"""

RETURN = r"""
deployed:
  description: One row a key, in the order given; empty with O(reload=done).
  returned: always, except where the options or O(path) are wrong
  type: list
  elements: dict
  contains:
    name:
      description: Name of the key.
      type: str
    changed:
      description: Whether anything of it was changed. After an error also V(true) where changing had only begun.
      type: bool
    added:
      description: Fingerprints that the manifest did not name before.
      type: list
      elements: str
    removed:
      description: Fingerprints that the manifest no longer names. Their key files are deleted.
      type: list
      elements: str
    rewritten:
      description: Fingerprints whose key files were written again, as they were missing, damaged or under another passphrase.
      type: list
      elements: str
    current:
      description: Fingerprint that the manifest names as current, V(none) if there is none.
      type: str
    error:
      description: What went wrong, as in RV(waba.flows.whatsapp_business_encryption#module:error). Only with a failure.
      type: dict
keys_changed:
  description: Whether a key was added, removed or written again, as against states, order, owner or mode alone.
  returned: always, except where the options or O(path) are wrong
  type: bool
reload_needed:
  description:
    - Whether a program has to load the keys anew. With O(reload=owed), also because of what an earlier call changed.
  returned: always, except where the options or O(path) are wrong
  type: bool
error:
  description: What is wrong with the options or O(path), as in RV(waba.flows.whatsapp_business_encryption#module:error).
  returned: failure
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._endpoint_keys import run_endpoint_keys
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import ENDPOINT_KEYS_SPEC
from ansible_collections.waba.flows.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ENDPOINT_KEYS_SPEC, run_endpoint_keys)


if __name__ == "__main__":
    main()
