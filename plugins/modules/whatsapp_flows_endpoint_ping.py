#!/usr/bin/python

# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_flows_endpoint_ping
short_description: Prove that a WhatsApp Flows endpoint decrypts with a given public key
version_added: 1.1.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Sends the health check that WhatsApp sends (C(ping)), encrypted under a public key, to the server that answers the data
    requests of Flows. Only the holder of the private key can give the answer that is expected, so it is a proof.
  - Do this before the key is published to a phone number, with each endpoint that the number's Flows use. From the moment it
    is published, clients encrypt under it.
  - It then sends another ping under a throw-away key. The endpoint should answer HTTP 421, which has clients fetch the public
    key again. One that answers anything else breaks Flows for users with an old key, for days after a rotation.
  - It needs no access token and changes nothing, so it does the same in check mode.
extends_documentation_fragment:
  - waba.flows._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  url:
    description:
      - URL of the endpoint, as it is set for the Flow. It may have a query. Redirects are not followed.
      - Plain http is refused, except to the loopback addresses or with O(allow_http=true).
      - Messages show its scheme and host alone. If another part of it is a secret, use C(no_log), since Ansible logs the options
        of a task and shows them with C(-vvv).
    type: str
    required: true
  business_public_key:
    description:
      - The RSA-2048 public key that the endpoint is to have the private half of, as PEM text. SPKI (C(PUBLIC KEY)), PKCS#1
        (C(RSA PUBLIC KEY)) and an X.509 certificate are understood, also with C(\\n) for line ends or with CRLF.
      - A private key is refused. Exactly one of this and O(business_public_key_path) is required.
    type: str
  business_public_key_path:
    description:
      - A file with that text, on the host that the module runs on.
    type: path
  app_secret:
    description:
      - Secret of the app that the Flow belongs to. With it the pings are signed (C(X-Hub-Signature-256)), as those of WhatsApp
        are. An endpoint that checks signatures refuses others with HTTP 432.
      - If it is not set, the environment variable E(WHATSAPP_APP_SECRET) of the host that the module runs on is used.
    type: str
  probe_unknown_key:
    description:
      - Whether the second ping is sent, under a key that the endpoint cannot know. It is sent only after the first succeeded.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the endpoint may take to accept the connection, and again between two pieces of its answer.
    type: float
    default: 10.0
  retries:
    description:
      - How often a ping is sent again after a broken connection, a timeout, HTTP 429 or 5xx, with growing pauses or the pause
        that the answer asks for. Other answers are final.
    type: int
    default: 2
  total_timeout:
    description:
      - Seconds that all may take together, with retries and pauses.
    type: float
    default: 60.0
  validate_certs:
    description:
      - Whether the endpoint's TLS certificate is checked.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file of the CA certificates to trust, on the host that the module runs on.
      - If it is not set, the environment variables E(REQUESTS_CA_BUNDLE) and E(CURL_CA_BUNDLE) are used, else the CAs that
        come with the Python library requests.
    type: path
  allow_http:
    description:
      - Allow plain http to hosts other than loopback, say, to a server behind the proxy that ends TLS.
    type: bool
    default: false
requirements:
  - requests >= 2.25.1
  - cryptography >= 3.4
seealso:
  - module: waba.flows.whatsapp_business_encryption
  - module: waba.flows.whatsapp_flows_keyring
  - name: Implementing the endpoint, in Meta's documentation
    description: What an endpoint is asked, and what it has to answer.
    link: https://developers.facebook.com/docs/whatsapp/flows/guides/implementingyourflowendpoint
"""

EXAMPLES = r"""
- name: Prove that the endpoint has the key before it is published
  waba.flows.whatsapp_flows_endpoint_ping:
    url: https://flows.example.com/endpoint
    business_public_key_path: flows.pub
    app_secret: "{{ whatsapp_app_secret }}"
  register: endpoint

- name: Insist on HTTP 421 to keys that it does not know (the app secret comes from WHATSAPP_APP_SECRET)
  waba.flows.whatsapp_flows_endpoint_ping:
    url: https://flows.example.com/endpoint
    business_public_key: "{{ new_public_key }}"
  register: endpoint
  failed_when: endpoint is failed or not endpoint.rejects_unknown_key
"""

RETURN = r"""
decrypts:
  description: Whether the endpoint proved that it decrypts with the key.
  returned: always, except where the options are wrong
  type: bool
  sample: true
rejects_unknown_key:
  description:
    - Whether it answered HTTP 421 to a key that it cannot know. If not, the task succeeds with a warning.
    - V(none) if that was not tried, or if no answer came in time.
  returned: always, except where the options are wrong
  type: bool
  sample: true
status_code:
  description: HTTP status of the last ping under the key. V(none) if it had no answer.
  returned: always, except where the options are wrong
  type: int
  sample: 200
unknown_key_status_code:
  description: HTTP status of the last ping under the unknown key. V(none) if there was none, or no answer to it.
  returned: always, except where the options are wrong
  type: int
  sample: 421
latency_ms:
  description:
    - Milliseconds from the start of the last ping under the key, connecting included, to the end of its answer. V(none) if it
      had no whole answer.
  returned: always, except where the options are wrong
  type: float
  sample: 48.3
fingerprint:
  description: Fingerprint of the key, C(SHA256:) and the base64 of the SHA-256 of its DER form.
  returned: always, except where the options are wrong
  type: str
  sample: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
signed:
  description: Whether the pings were signed with an app secret.
  returned: always, except where the options are wrong
  type: bool
attempts:
  description: How many pings were sent under the key, repetitions included.
  returned: always, except where the options are wrong
  type: int
  sample: 1
error:
  description:
    - What went wrong, as in RV(waba.flows.whatsapp_business_encryption#module:error). Its C(type) is C(EndpointError) where the
      endpoint answered something else than it should.
  returned: failure
  type: dict
"""

from ansible_collections.waba.flows.plugins.module_utils._argspec import PING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._module import run_module
from ansible_collections.waba.flows.plugins.module_utils._ping import run_ping


def main() -> None:
    """Run the module."""
    run_module(PING_SPEC, lambda params, check_mode: run_ping(params))


if __name__ == "__main__":
    main()
