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
    folder of mode 0700. They are returned only where O(export_passphrase) asks for it, encrypted under that.
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
      - With O(state=mirrored), keys that the source does not have either, because it is in check mode itself, count as
        copied.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=staged) with O(force=true) creates a new pending key each time, once the one before was promoted. Use
        O(replace_fingerprint) to be rid of a certain key once.
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
      - Passphrase of the private keys, of 12 characters or more. Needed for every state but V(revoked), V(pruned) and V(read).
      - If it is not set, the environment variable E(WHATSAPP_KEYRING_PASSPHRASE) of this host is used.
    type: str
  new_passphrase:
    description:
      - Encrypt every private key anew under this passphrase, of 12 characters or more, before anything else is done, and use it
        for what follows. For the states V(present), V(staged), V(promoted) and V(rolled_back).
      - Each key is opened with it first, and with O(passphrase) where that fails. So the same call again finishes one that was
        interrupted, and changes nothing once all is done.
      - Afterwards it is what O(passphrase) must be.
    type: str
    version_added: 1.1.0
  export_passphrase:
    description:
      - With O(state=read), return every private key that was not revoked in RV(exported), as PKCS#8 under this passphrase of 12
        characters or more. It is meant for deployment to endpoint hosts and for copies of the keyring.
      - One that is missing or damaged is left out, and has RV(generations[].usable=false). It is an error if none can be opened.
      - Use C(no_log) with such a task, and with those that its result is handed to.
    type: str
    version_added: 1.1.0
  state:
    description:
      - V(present) makes sure that there is a current key; one is generated, or imported, if there is none.
      - V(staged) returns the pending key if there is one. Otherwise one is generated if there is no current key, if the
        current one is older than O(max_age), or with O(force=true).
      - V(recorded) notes O(accepted) and changes nothing else.
      - V(promoted) makes the pending key O(fingerprint) the current one and retires the current one.
      - V(rolled_back) makes the retired key O(fingerprint) the current one; the current and the pending one are retired. If it
        is the current one, a pending one is retired. In either case the clock of O(max_age) starts anew.
      - V(revoked) destroys the private key of O(fingerprint) and keeps it from being used again. It is refused while that key
        is current, in O(in_use_fingerprints) or on record (RV(accepted)).
      - V(pruned) deletes retired keys that no number was seen holding for O(retention), and none is on record to hold. Use it
        only after every number was read.
      - V(mirrored) makes this keyring an exact copy of O(source). Keys are written, read back and opened before the copy names
        them; then those are destroyed that the source has as revoked, or deleted after their retention. It is refused where the
        source does not know a key of this copy, still has one that was revoked here, or has a lower RV(serial), because then the
        source was lost or is older.
      - V(recovered) makes a keyring whole again whose files are damaged, as far as they allow. Key files that open under
        O(passphrase) become generations again. If C(keyring.json) cannot be read, O(fingerprint) becomes the current key, else
        the one that occurs most often in O(in_use_fingerprints), and the others are retired, from now on. Files that do
        not open are renamed, second files of a key are deleted. It fails, unless O(fingerprint) is given, where a needed file is
        whole and under another passphrase. RV(recovery) tells. A keyring that is not damaged stays as it is.
      - V(read) returns what is there and writes nothing, not even the folder; a keyring that does not exist is an empty one.
        Every key that was not revoked is opened if O(passphrase) is set, and RV(generations[].usable) tells whether it could be.
      - Every state that writes, except V(recovered), also destroys the private keys of revoked generations that an interrupted
        call left.
    type: str
    choices: [present, staged, recorded, promoted, rolled_back, revoked, pruned, mirrored, recovered, read]
    default: present
  fingerprint:
    description:
      - The key that is meant, for the states V(promoted), V(rolled_back) and V(revoked); for V(recovered) the one that is to be
        the current one, where that does not follow from O(in_use_fingerprints).
    type: str
  accepted:
    description:
      - With O(state=recorded), by phone-number ID what numbers accepted whose provider cannot be asked later. Each has
        C(fingerprints), a list of keys of this keyring, and C(certain), which is V(true) where the number accepted the one that
        is listed. Without it the number may hold any of them; note that before a key is sent, so that a call that is killed
        leaves a true record.
      - An empty list of fingerprints forgets a number. Numbers that are not named stay as they are.
    type: dict
    version_added: 1.2.0
  required_fingerprints:
    description:
      - Keys that this keyring must know, or have deleted after their retention, because a copy of it has them; with
        O(state=present) or O(state=staged).
      - If it does not, it was lost or is older than its copy, and nothing is created. A key that the same call imports counts as
        known.
    type: list
    version_added: 1.1.0
    elements: str
  required_serial:
    description:
      - The highest RV(serial) of the copies of this keyring, with O(state=present) or O(state=staged).
      - A keyring with a lower one was put back from a backup, or is older than its copy, and nothing is done.
    type: int
    version_added: 1.5.0
    default: 0
  required_by:
    description:
      - The host whose copy O(required_serial) is of, for the message that says what to rebuild the keyring from.
    type: str
    version_added: 1.5.0
  replace_fingerprint:
    description:
      - With O(state=staged), a key that must not be used any more, for example because it leaked. If it is pending, it is
        retired. If it is the current one and none is pending, a new key is generated, as if the current one were due.
      - Once another key is current, it does nothing. A key that the keyring does not know is an error.
    type: str
    version_added: 1.1.0
  max_age:
    description:
      - Age at which the current key is due, counted from when it became current (for an imported key, from its import).
        For example V(90d), V(12h) or a number of seconds. If it is not set, a key is never due.
    type: str
  force:
    description:
      - With O(state=staged), create a pending key although the current one is not due.
      - With O(state=present) and an import, retire the current key in favour of the imported one.
      - With O(state=mirrored), copy the source although it was lost or is older. Keys of this copy that it does not know are then
        destroyed here.
    type: bool
    default: false
  retention:
    description:
      - How long a retired key is kept after a number was last seen holding it, as in O(max_age). Not below V(7d).
    type: str
    default: 30d
  in_use_fingerprints:
    description:
      - Fingerprints that numbers hold, or may hold. Required by the states V(revoked), V(pruned) and V(recovered), where an
        empty list says that no number holds a key of this keyring. For V(recovered) each counts as often as it is listed. With
        other states it is recorded when the keys were last seen, except with V(mirrored) and V(read), which ignore it.
    type: list
    elements: str
  clock:
    description:
      - What another host's clock says, as UTC text such as V(2026-01-31T12:00:00Z). A retention starts at the later of the two,
        and V(pruned) deletes nothing while they are more than a day apart; it fails if there was something to delete.
    type: str
    version_added: 1.5.0
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
  source:
    description:
      - The keyring to copy, with O(state=mirrored), as O(state=read) returned it on the host that has it. Use C(no_log).
    type: dict
    version_added: 1.1.0
    suboptions:
      generations:
        description:
          - Its RV(generations).
        type: list
        elements: dict
        required: true
      accepted:
        description:
          - Its RV(accepted).
        type: dict
        default: {}
      pruned:
        description:
          - Its RV(pruned).
        type: list
        elements: str
        default: []
      private_keys:
        description:
          - Its RV(exported), with O(passphrase) as O(export_passphrase). Keys that are here already, and open, may be left out.
        type: dict
        default: {}
      serial:
        description:
          - Its RV(serial).
        type: int
        version_added: 1.5.0
        default: 0
  lease_owner:
    description:
      - Who makes this rotation, for example a host and the number of a job. With O(state=staged) a lease is taken, and
        RV(lease) tells of another owner's that has not expired.
      - It is advice only. Staging goes on all the same, and the other's lease stays.
    type: str
    version_added: 1.1.0
  lease_seconds:
    description:
      - How long the lease is good for, at most a week. The same owner takes it anew with each call.
    type: int
    version_added: 1.1.0
    default: 900
  release_lease:
    description:
      - Delete the lease of O(lease_owner) at the end of this call. Not for O(state=read).
    type: bool
    version_added: 1.1.0
    default: false
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

- name: Read the keyring, with its private keys for a copy
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: read
    export_passphrase: "{{ keyring_passphrase }}"
  no_log: true
  register: original

- name: Keep a copy of it (elsewhere, best on another host)
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys-copy
    passphrase: "{{ keyring_passphrase }}"
    state: mirrored
    source:
      generations: "{{ original.generations }}"
      accepted: "{{ original.accepted }}"
      pruned: "{{ original.pruned }}"
      serial: "{{ original.serial }}"
      private_keys: "{{ original.exported }}"
  no_log: true

- name: Note that a number accepted the current key, as its provider cannot be asked later
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    state: recorded
    accepted:
      "+919900000001":
        fingerprints: ["{{ original.current }}"]
        certain: true

- name: Have a key ready that replaces one that leaked, unless the keyring is not what its copy says
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: staged
    replace_fingerprint: SHA256:3X1mUDe5PlmcgmaRVTUbGpEwsLBLvOc9zbwCwX1vL2U
    required_fingerprints: "{{ original.generations | map(attribute='fingerprint') }}"
    required_serial: "{{ original.serial }}"
    lease_owner: "{{ inventory_hostname }}"

- name: Give up the new key and go back to the one before
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: rolled_back
    fingerprint: "{{ original.current }}"
    lease_owner: "{{ inventory_hostname }}"
    release_lease: true

- name: Encrypt every private key anew, once there is another passphrase
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    new_passphrase: "{{ new_keyring_passphrase | default(omit) }}"

- name: Make a keyring whole again whose files were damaged
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    passphrase: "{{ keyring_passphrase }}"
    state: recovered
    in_use_fingerprints:
      - "{{ original.current }}"

- name: Delete what no number was seen holding for 30 days, after every number was read
  waba.flows.whatsapp_flows_keyring:
    path: /etc/whatsapp-flows/keys
    state: pruned
    in_use_fingerprints:
      - "{{ original.current }}"
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
    business_public_key:
      description: The public key, SPKI in PEM; V(none) if it was revoked, or if its file is not there or holds another key.
      type: str
    usable:
      description:
        - Whether its private key is there, opens, and belongs to the fingerprint. V(none) if it was revoked, without
          O(passphrase), and with states other than V(read).
      type: bool
    missing:
      description: Whether the file of its private key is not there.
      type: bool
    predicted:
      description: Whether it is a throw-away key of check mode, which stands for the one that would be generated.
      type: bool
accepted:
  description:
    - By phone-number ID, what is on record of numbers whose provider cannot be asked; C(fingerprints), C(certain) and C(at), as
      in O(accepted). These keys are neither revoked nor pruned.
  returned: success
  type: dict
  sample: {"+919900000001": {"fingerprints": ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"], "certain": true,
                             "at": "2026-01-01T00:00:00Z"}}
current:
  description: Fingerprint of the current key.
  returned: success; V(none) if there is none
  type: str
pruned:
  description:
    - Fingerprints of the keys that were ever deleted after their retention. What a copy still has of these may go, and nothing
      else may.
  returned: success
  type: list
  elements: str
serial:
  description:
    - How often the state of the keyring was changed. Copies have that of their source, so that one which was put back from a
      backup is known to be older than they are. V(0) if version 1.4 or older wrote it.
  returned: success
  type: int
  sample: 12
pending:
  description: Fingerprint of the pending key.
  returned: success; V(none) if there is none
  type: str
to_publish:
  description: The key that numbers should hold now, the pending one if there is one, else the current one.
  returned: success; V(none) if there is none, and for the states V(revoked) and V(pruned)
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
reencrypted:
  description: Fingerprints whose private keys were encrypted anew, under O(new_passphrase).
  returned: success
  type: list
  elements: str
exported:
  description: Private keys as PKCS#8 in PEM under O(export_passphrase), by RV(generations[].id).
  returned: success; V(none) without O(export_passphrase)
  type: dict
lease:
  description: The lease on this keyring.
  returned: success; V(none) without O(lease_owner)
  type: dict
  contains:
    owner:
      description: The O(lease_owner) of this call.
      type: str
    expires_at:
      description: When its lease expires; V(none) if it has none.
      type: str
    other:
      description: The lease of another owner that has not expired; V(none) if there is none.
      type: dict
      contains:
        owner:
          description: Who took it.
          type: str
        taken_at:
          description: When.
          type: str
        expires_at:
          description: When it expires.
          type: str
recovery:
  description: What was recovered.
  returned: success; V(none) with other states than V(recovered)
  type: dict
  contains:
    damage:
      description: What was wrong with C(keyring.json); V(none) if it could be read.
      type: str
    put_aside:
      description: Files that have another name now, or were deleted.
      type: list
      elements: dict
      contains:
        file:
          description: Its former name.
          type: str
        now:
          description: Its name now; V(none) if it was deleted, as a copy of a key that another file has or that was revoked.
          type: str
        why:
          description: What is wrong with it.
          type: str
    lost:
      description: Fingerprints that numbers hold, and whose private keys no file has.
      type: list
      elements: str
error:
  description: What went wrong, as in RV(waba.flows.whatsapp_business_encryption#module:error).
  returned: failure
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._host_argspec import KEYRING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._keyring_run import run_keyring
from ansible_collections.waba.flows.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(KEYRING_SPEC, run_keyring)


if __name__ == "__main__":
    main()
