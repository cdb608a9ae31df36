# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is PRIVATE to the collection. It mirrors number_list() of module_utils/_argspec.py.

from __future__ import annotations


class ModuleDocFragment:
    """Lists of numbers: to read (the plain fragment) and to set (FLEET). Ansible's linters want each text whole."""

    DOCUMENTATION = r"""
options:
  phone_numbers:
    description:
      - The numbers. An option that is set for a number overrides the common one of the same name.
      - A number that lacks what it needs fails as that number alone. The same O(phone_numbers[].phone_number_id) twice is
        an error before anything is sent.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the number in results and messages. Defaults to its ID.
        type: str
      phone_number_id:
        description: ID of the phone number, as its provider knows it (see the option of the same name of the other modules).
        type: str
      waba_id:
        description:
          - ID of the number's WhatsApp Business account, if it is known. It is not sent. Meta limits calls for each such account,
            so that numbers of others can be worked on while one is throttled.
        type: str
        version_added: 1.4.0
      provider:
        description: Overrides O(provider) for this number.
        type: str
        choices: [cloud_api, on_premises, kaleyra, graph_compatible, gupshup, aws]
      base_url:
        description: Overrides O(base_url) for this number.
        type: str
      api_version:
        description: Overrides O(api_version) for this number.
        type: str
      access_token:
        description: Overrides O(access_token) for this number.
        type: str
      app_secret:
        description: Overrides O(app_secret) for this number.
        type: str
      username:
        description: Overrides O(username) for this number.
        type: str
      password:
        description: Overrides O(password) for this number.
        type: str
      sid:
        description: Overrides O(sid) for this number.
        type: str
      api_key:
        description: Overrides O(api_key) for this number.
        type: str
      pod:
        description: Overrides O(pod) for this number.
        type: str
        choices: [eu, in, na, sg]
      preset:
        description: Overrides O(preset) for this number.
        type: str
        choices: [1msg]
      path_template:
        description: Overrides O(path_template) for this number.
        type: str
      credential_header:
        description: Overrides O(credential_header) for this number.
        type: str
      credential_scheme:
        description: Overrides O(credential_scheme) for this number.
        type: str
      credential_query:
        description: Overrides O(credential_query) for this number.
        type: str
      body_format:
        description: Overrides O(body_format) for this number.
        type: str
        choices: [form, json]
      app_id:
        description: Overrides O(app_id) for this number.
        type: str
      profile:
        description: Overrides O(profile) for this number.
        type: str
      region:
        description: Overrides O(region) for this number.
        type: str
      timeout:
        description: Overrides O(timeout) for this number.
        type: float
      retries:
        description: Overrides O(retries) for this number.
        type: int
      total_timeout:
        description: Overrides O(total_timeout) for this number.
        type: float
      validate_certs:
        description: Overrides O(validate_certs) for this number.
        type: bool
      ca_path:
        description: Overrides O(ca_path) for this number.
        type: path
      allow_http:
        description: Overrides O(allow_http) for this number.
        type: bool
      recorded_fingerprint:
        description:
          - Fingerprint of the key that the number is on record to have accepted. It counts where its provider cannot be asked.
        type: str
  max_workers:
    description:
      - How many numbers are worked on at the same time.
      - Numbers of an account (WABA) that the API throttles are passed over for those of others meanwhile.
    type: int
    default: 32
  progress:
    description:
      - Whether lines of progress are shown while the task runs, five seconds apart or more, none for work of a few seconds.
      - For 100 numbers and more also, at the beginning, how many calls they take and whether the API's limit allows them.
      - They hold counts and IDs of WABAs only, so they are shown under C(no_log) too.
      - Only where the task's connection is local (see the attribute C(in_process)). A module on another host cannot show anything
        before it ends.
    type: bool
    default: true
    version_added: 1.4.0
"""

    FLEET = r"""
options:
  phone_numbers:
    description:
      - The numbers. An option that is set for a number overrides the common one of the same name.
      - A number that lacks what it needs fails as that number alone. The same O(phone_numbers[].phone_number_id) twice is
        an error before anything is sent.
    type: list
    required: true
    elements: dict
    suboptions:
      name:
        description: Name of the number in results and messages. Defaults to its ID.
        type: str
      phone_number_id:
        description: ID of the phone number, as its provider knows it (see the option of the same name of the other modules).
        type: str
      waba_id:
        description:
          - ID of the number's WhatsApp Business account, if it is known. It is not sent. Meta limits calls for each such account,
            so that numbers of others can be worked on while one is throttled.
        type: str
        version_added: 1.4.0
      provider:
        description: Overrides O(provider) for this number.
        type: str
        choices: [cloud_api, on_premises, kaleyra, graph_compatible, gupshup, aws]
      base_url:
        description: Overrides O(base_url) for this number.
        type: str
      api_version:
        description: Overrides O(api_version) for this number.
        type: str
      access_token:
        description: Overrides O(access_token) for this number.
        type: str
      app_secret:
        description: Overrides O(app_secret) for this number.
        type: str
      username:
        description: Overrides O(username) for this number.
        type: str
      password:
        description: Overrides O(password) for this number.
        type: str
      sid:
        description: Overrides O(sid) for this number.
        type: str
      api_key:
        description: Overrides O(api_key) for this number.
        type: str
      pod:
        description: Overrides O(pod) for this number.
        type: str
        choices: [eu, in, na, sg]
      preset:
        description: Overrides O(preset) for this number.
        type: str
        choices: [1msg]
      path_template:
        description: Overrides O(path_template) for this number.
        type: str
      credential_header:
        description: Overrides O(credential_header) for this number.
        type: str
      credential_scheme:
        description: Overrides O(credential_scheme) for this number.
        type: str
      credential_query:
        description: Overrides O(credential_query) for this number.
        type: str
      body_format:
        description: Overrides O(body_format) for this number.
        type: str
        choices: [form, json]
      app_id:
        description: Overrides O(app_id) for this number.
        type: str
      profile:
        description: Overrides O(profile) for this number.
        type: str
      region:
        description: Overrides O(region) for this number.
        type: str
      timeout:
        description: Overrides O(timeout) for this number.
        type: float
      retries:
        description: Overrides O(retries) for this number.
        type: int
      total_timeout:
        description: Overrides O(total_timeout) for this number.
        type: float
      validate_certs:
        description: Overrides O(validate_certs) for this number.
        type: bool
      ca_path:
        description: Overrides O(ca_path) for this number.
        type: path
      allow_http:
        description: Overrides O(allow_http) for this number.
        type: bool
      business_public_key:
        description: Overrides O(business_public_key) for this number.
        type: str
      business_public_key_path:
        description: Overrides O(business_public_key_path) for this number.
        type: path
      expected_fingerprints:
        description: Overrides O(expected_fingerprints) for this number.
        type: list
        elements: str
      force:
        description: Overrides O(force) for this number.
        type: bool
      recorded_fingerprint:
        description:
          - Fingerprint of the key that the number is on record to have accepted. It counts where its provider cannot be asked.
        type: str
  max_workers:
    description:
      - How many numbers are worked on at the same time.
      - Numbers of an account (WABA) that the API throttles are passed over for those of others meanwhile.
    type: int
    default: 32
  progress:
    description:
      - Whether lines of progress are shown while the task runs, five seconds apart or more, none for work of a few seconds.
      - For 100 numbers and more also, at the beginning, how many calls they take and whether the API's limit allows them.
      - They hold counts and IDs of WABAs only, so they are shown under C(no_log) too.
      - Only where the task's connection is local (see the attribute C(in_process)). A module on another host cannot show anything
        before it ends.
    type: bool
    default: true
    version_added: 1.4.0
"""
