#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_business_encryption_fleet
short_description: Set the WhatsApp Flows encryption keys of many phone numbers in one task
version_added: 1.0.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Does for many numbers in one task what M(waba.flows.whatsapp_business_encryption) does for one, with a bounded number of
    workers over pooled connections. Numbers with the same credentials wait together when the API throttles.
  - One number's failure never hides another's result. The module fails if a number was not brought to its key, and the
    failure carries all rows.
extends_documentation_fragment:
  - waba.flows._attributes
  - waba.flows._attributes.actiongroup_whatsapp
  - waba.flows._attributes.in_process
  - waba.flows._numbers.fleet
  - waba.flows._publish
  - waba.flows._connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) the keys are sent each time.
options:
  max_failures:
    description:
      - Once more than this many numbers have failed no further number is started; those left have the outcome V(skipped).
      - Numbers that failed because the API throttles are not counted, as that says nothing of the others.
      - If it is not set, every number is tried.
    type: int
requirements:
  - requests >= 2.25.1
  - cryptography >= 3.4 (only to read a key from an X.509 certificate)
  - boto3 >= 1.44.5 (only with O(provider=aws))
seealso:
  - module: waba.flows.whatsapp_business_encryption
  - module: waba.flows.whatsapp_business_encryption_info
"""

EXAMPLES = r"""
- name: Publish one key to three numbers, two of them under another token
  waba.flows.whatsapp_business_encryption_fleet:
    business_public_key_path: flows.pub
    access_token: "{{ whatsapp_access_token }}"
    max_workers: 16
    phone_numbers:
      - name: shop
        phone_number_id: "106540352242922"
      - name: support
        phone_number_id: "106540352242923"
        access_token: "{{ other_access_token }}"
      - name: sales
        phone_number_id: "106540352242924"
        access_token: "{{ other_access_token }}"
  register: fleet
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
      description: As RV(waba.flows.whatsapp_business_encryption#module:outcome), or V(skipped) if it was not started.
      type: str
    fingerprint:
      description: Fingerprint of the key that the number holds now, V(none) if there is none or it is not known.
      type: str
    fingerprint_source:
      description: V(read), V(recorded) or V(none), as RV(waba.flows.whatsapp_business_encryption#module:fingerprint_source).
      type: str
    previous_fingerprint:
      description: Fingerprint of the key that it held before.
      type: str
    status:
      description: V(VALID) or V(MISMATCH), as the API says.
      type: str
    changed:
      description: Whether its key was sent and taken. Also V(true) where it was sent and it is not known whether it was taken.
      type: bool
    attempts:
      description: How often the key was sent.
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
  sample: {"replaced": 22, "set": 1, "unchanged": 1}
published_keys:
  description:
    - The keys that numbers were given, as the API shows them now, by fingerprint. An encrypted ping under them proves that the
      endpoint decrypts what clients will send.
  returned: always, except where the options are wrong
  type: dict
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
  returned: where nothing was sent at all
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC
from ansible_collections.waba.flows.plugins.module_utils._module import run_module
from ansible_collections.waba.flows.plugins.module_utils._runs import run_many


def main() -> None:
    """Run the module."""
    run_module(FLEET_SPEC, run_many)


if __name__ == "__main__":
    main()
