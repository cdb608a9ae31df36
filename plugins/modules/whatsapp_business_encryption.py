#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_business_encryption
short_description: Set or read the WhatsApp Flows encryption key of one phone number
version_added: 1.0.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Sets the business public key of a WhatsApp business phone number, so that WhatsApp clients encrypt what users type into
    Flows for the holder of the private key. Without a key it reads the one that is set.
  - Keys are compared by fingerprint. The key is sent only if another or none is set, if its signature is reported as
    C(MISMATCH) (as happens when a number is registered again), or with O(force=true).
  - A number has one key. Setting one replaces the one before at once; the API has no history and no way to delete it.
extends_documentation_fragment:
  - waba.flows._attributes
  - waba.flows._attributes.actiongroup_whatsapp
  - waba.flows._attributes.in_process
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
      - With O(force=true) the key is sent each time.
options:
  phone_number_id:
    description:
      - ID of the phone number. For Meta's Cloud API it is neither the phone number itself nor the ID of the WhatsApp business
        account. For O(provider=kaleyra) it is the phone number with its plus sign (quoted, as YAML makes a number of it
        otherwise), for O(provider=aws) the C(phone-number-id-…) of AWS. With O(provider=on_premises), O(provider=gupshup) and
        gateways whose credential names the number, it is any name for results.
    type: str
    required: true
  recorded_fingerprint:
    description:
      - Fingerprint of the key that the number is on record to have accepted. It counts only where the provider cannot be asked,
        for the comparison with the key to set and with O(expected_fingerprints).
      - Without it, such a number counts as holding a key that nobody knows.
    type: str
    version_added: 1.2.0
requirements:
  - requests >= 2.25.1
  - cryptography >= 3.4 (only to read the key from an X.509 certificate)
  - boto3 >= 1.44.5 (only with O(provider=aws))
seealso:
  - module: waba.flows.whatsapp_business_encryption_info
  - module: waba.flows.whatsapp_business_encryption_fleet
  - module: waba.flows.whatsapp_flows_keyring
  - name: Flows encryption in Meta's documentation
    description: How the key is used by Flows.
    link: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/whatsapp-business-encryption
"""

EXAMPLES = r"""
- name: Publish the key of a file
  waba.flows.whatsapp_business_encryption:
    phone_number_id: "106540352242922"
    business_public_key_path: flows.pub
    access_token: "{{ whatsapp_access_token }}"

- name: Replace only the key that is known to be there
  waba.flows.whatsapp_business_encryption:
    phone_number_id: "106540352242922"
    business_public_key: "{{ new_public_key }}"
    expected_fingerprints:
      - SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
    access_token: "{{ whatsapp_access_token }}"
    app_secret: "{{ whatsapp_app_secret }}"

- name: Publish it to a number of Kaleyra's that accepted another key before
  waba.flows.whatsapp_business_encryption:
    provider: kaleyra
    pod: in
    sid: HXIN0000000000IN
    api_key: "{{ kaleyra_api_key }}"
    phone_number_id: "+919900000001"
    business_public_key_path: flows.pub
    recorded_fingerprint: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU

- name: Read which key is set (the token comes from WHATSAPP_ACCESS_TOKEN)
  waba.flows.whatsapp_business_encryption:
    phone_number_id: "106540352242922"
  register: number
"""

RETURN = r"""
outcome:
  description:
    - V(read), V(unchanged), V(set) (there was none), V(replaced), V(resigned) (the same key was sent again), V(accepted)
      (it was sent and taken, and the provider cannot be asked which key the number holds), V(refused) (the key there is not
      in O(expected_fingerprints)), V(unknown) (nothing was to be set, and the provider cannot be asked) or V(failed).
  returned: always, except where the options are wrong
  type: str
  sample: replaced
business_public_key:
  description: The key that the number holds now, as the API returns it. In check mode, the one that it would hold.
  returned: when the number could be read; V(none) if no key is set
  type: str
business_public_key_signature_status:
  description:
    - What the API says of its signature over the key, V(VALID) or V(MISMATCH). It says nothing of the private key, and an
      unset key reads as V(MISMATCH) too.
  returned: when the number could be read
  type: str
  sample: VALID
fingerprint:
  description: C(SHA256:) and the base64 of the SHA-256 of the key's DER form. V(none) if no key is set.
  returned: when the number could be read
  type: str
  sample: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
fingerprint_source:
  description:
    - V(read) where the provider said so. V(recorded) where it cannot be asked, so that the fingerprint is the one of
      O(recorded_fingerprint) or of the key that was accepted just now. V(none) where nothing is known.
  returned: always, except where the options are wrong
  type: str
  sample: read
provider:
  description: The provider that was used.
  returned: always, except where the options are wrong
  type: str
key_holder:
  description: What has the key, where several numbers of this provider can share one. V(none) where each number has its own.
  returned: always, except where the options are wrong
  type: str
  sample: app 0b1f
capabilities:
  description: What the provider can do.
  returned: always, except where the options are wrong
  type: dict
  contains:
    can_read:
      description: V(yes), or V(maybe) where no documentation says what the provider answers.
      type: str
    reports_status:
      description: Whether it tells of Meta's signature over the key.
      type: bool
    numbers_per_credential:
      description: V(one) or V(many).
      type: str
    key_of:
      description: Whether each V(number) has a key or the V(app), with all its numbers.
      type: str
previous_fingerprint:
  description: Fingerprint of the key that was set before.
  returned: when the number could be read
  type: str
name:
  description: The phone-number ID again, as in the rows of the fleet's modules.
  returned: always, except where the options are wrong
  type: str
phone_number_id:
  description: The phone-number ID.
  returned: always, except where the options are wrong
  type: str
status:
  description: The same as RV(business_public_key_signature_status).
  returned: always, except where the options are wrong
  type: str
attempts:
  description: How often the key was sent.
  returned: always, except where the options are wrong
  type: int
api:
  description: What it cost.
  returned: always, except where the options are wrong
  type: dict
  contains:
    requests:
      description: Number of HTTP requests.
      type: int
    retries:
      description: How many of them were repetitions.
      type: int
    usage:
      description: The last C(x-app-usage) and C(x-business-use-case-usage) of the API, in percent and minutes.
      type: dict
error:
  description: What went wrong.
  returned: failure
  type: dict
  contains:
    code:
      description: Code of the API. A number for Meta's, text such as C(RBC001) or C(ThrottledRequestException) for others.
      type: raw
    subcode:
      description: Subcode of the API.
      type: int
    type:
      description: The API's type of error, or the collection's own, such as C(ConnectionFailed), C(Timeout) or C(InvalidAnswer).
      type: str
    message:
      description: What is wrong and what to do.
      type: str
    details:
      description: The API's details.
      type: str
    http_status:
      description: HTTP status.
      type: int
    retryable:
      description: Whether the same task may succeed later.
      type: bool
    throttled:
      description: Whether the API asked to be left alone for a while. A fleet's limit of failures does not count it.
      type: bool
    fbtrace_id:
      description: Meta's ID of the request, for its support.
      type: str
"""

from ansible_collections.waba.flows.plugins.module_utils._argspec import SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._module import run_module
from ansible_collections.waba.flows.plugins.module_utils._runs import run_single


def main() -> None:
    """Run the module."""
    run_module(SINGLE_SPEC, run_single)


if __name__ == "__main__":
    main()
