#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_business_encryption_info
short_description: Read the WhatsApp Flows encryption keys of phone numbers
version_added: 1.0.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Reads which business public key one or many WhatsApp business phone numbers hold, and what the API says of its signature.
  - Many numbers are read at the same time, over pooled connections. It fails if a number could not be read, and the failure
    still carries what the others answered.
extends_documentation_fragment:
  - waba.flows._attributes
  - waba.flows._attributes.actiongroup_whatsapp
  - waba.flows._attributes.in_process
  - waba.flows._numbers
  - waba.flows._connection
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
options:
  phone_number_id:
    description:
      - ID of one phone number to read. Exclusive with O(phone_numbers).
    type: str
  recorded_fingerprint:
    description:
      - Fingerprint of the key that this number is on record to have accepted, told where its provider cannot be asked.
    type: str
    version_added: 1.2.0
requirements:
  - requests >= 2.25.1
  - boto3 >= 1.44.5 (only with O(provider=aws))
seealso:
  - module: waba.flows.whatsapp_business_encryption
  - module: waba.flows.whatsapp_business_encryption_fleet
"""

EXAMPLES = r"""
- name: Read two numbers
  waba.flows.whatsapp_business_encryption_info:
    access_token: "{{ whatsapp_access_token }}"
    phone_numbers:
      - name: shop
        phone_number_id: "106540352242922"
      - name: support
        phone_number_id: "106540352242923"
  register: fleet

- name: Stop if a number has no key
  ansible.builtin.assert:
    that: fleet.numbers | rejectattr('fingerprint') | length == 0
"""

RETURN = r"""
numbers:
  description: One row a number, in the order given.
  returned: always, except where the options are wrong
  type: list
  elements: dict
  contains:
    name:
      description: Name of the number.
      type: str
    phone_number_id:
      description: ID of the phone number.
      type: str
    provider:
      description: Its provider.
      type: str
    key_holder:
      description: What has the key, as RV(waba.flows.whatsapp_business_encryption#module:key_holder).
      type: str
    outcome:
      description: V(read), V(unknown) (its provider cannot be asked, which is no failure) or V(failed).
      type: str
    fingerprint:
      description: Fingerprint of its key, V(none) if no key is set.
      type: str
    fingerprint_source:
      description: V(read), V(recorded) or V(none), as RV(waba.flows.whatsapp_business_encryption#module:fingerprint_source).
      type: str
    previous_fingerprint:
      description: The same as the fingerprint.
      type: str
    status:
      description: V(VALID) or V(MISMATCH), as the API says.
      type: str
    changed:
      description: Always V(false).
      type: bool
    attempts:
      description: Always V(0), as no key was sent.
      type: int
    seconds:
      description: How long the work on it took.
      type: float
    error:
      description: What went wrong, as in RV(waba.flows.whatsapp_business_encryption#module:error). Only with a failure.
      type: dict
summary:
  description: Number of rows by outcome.
  returned: always, except where the options are wrong
  type: dict
  sample: {"read": 2}
providers:
  description:
    - What the providers of these numbers can do, by name, as
      RV(waba.flows.whatsapp_business_encryption#module:capabilities).
  returned: always, except where the options are wrong
  type: dict
api:
  description: What it cost, as in RV(waba.flows.whatsapp_business_encryption#module:api).
  returned: always, except where the options are wrong
  type: dict
error:
  description: What is wrong with the options, as in RV(waba.flows.whatsapp_business_encryption#module:error).
  returned: where nothing could be read at all
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._argspec import INFO_SPEC
from ansible_collections.waba.flows.plugins.module_utils._module import run_module
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info


def main() -> None:
    """Run the module."""
    run_module(INFO_SPEC, lambda params, check_mode: run_info(params))


if __name__ == "__main__":
    main()
