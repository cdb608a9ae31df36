# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is PRIVATE to the collection. It mirrors CONNECTION of module_utils/_argspec.py.

from __future__ import annotations


class ModuleDocFragment:
    """How a number is reached."""

    DOCUMENTATION = r"""
notes:
  - Environment variables are those of the control node, or what C(environment) sets for the task. Where a module runs on another
    host, a credential of the control node's environment is handed on to it as an option; only what is set nowhere else is looked
    up in that host's environment.
options:
  provider:
    description:
      - The API that the number is reached through. V(cloud_api) is Meta's Cloud API, V(on_premises) the client that businesses
        ran themselves until Meta ended it, V(kaleyra), V(gupshup) (its partner API) and V(aws) (End User Messaging Social) are
        those of these vendors. V(graph_compatible) is any gateway that takes Meta's bodies under an address of its own.
      - Which options belong to which of them is said with each option.
    type: str
    choices: [cloud_api, on_premises, kaleyra, graph_compatible, gupshup, aws]
    default: cloud_api
  base_url:
    description:
      - Scheme, host and, if there is one, the path before what the API's documentation gives.
      - Needed with O(provider=on_premises), where it names the host of the one number, and with O(provider=graph_compatible)
        unless O(preset) knows it. The others know their vendor's; V(https://graph.facebook.com) is the one of V(cloud_api).
      - Plain http is refused, except to the loopback addresses or with O(allow_http=true).
    type: str
  api_version:
    description:
      - Version of the Graph API, for O(provider=cloud_api).
    type: str
    default: v24.0
  access_token:
    description:
      - For O(provider=cloud_api) the system-user access token with the permission C(whatsapp_business_messaging), for
        O(provider=graph_compatible) the gateway's credential, for O(provider=gupshup) the app's partner token.
      - If it is not set, the environment variable E(WHATSAPP_ACCESS_TOKEN) is used.
    type: str
  app_secret:
    description:
      - For O(provider=cloud_api) the secret of the app that the token belongs to. With it each request carries
        C(appsecret_proof), which an app with "Require App Secret" asks for.
      - If it is not set, the environment variable E(WHATSAPP_APP_SECRET) is used.
    type: str
  username:
    description:
      - For O(provider=on_premises) the user whose login gives a token. The token is kept for as long as the task runs.
      - If it is not set, the environment variable E(WHATSAPP_USERNAME) is used.
    type: str
    version_added: 1.2.0
  password:
    description:
      - For O(provider=on_premises) the user's password.
      - If it is not set, the environment variable E(WHATSAPP_PASSWORD) is used.
    type: str
    version_added: 1.2.0
  sid:
    description:
      - For O(provider=kaleyra) the SID of the account.
      - If it is not set, the environment variable E(WHATSAPP_SID) is used.
    type: str
    version_added: 1.2.0
  api_key:
    description:
      - For O(provider=kaleyra) the API key.
      - If it is not set, the environment variable E(WHATSAPP_API_KEY) is used.
    type: str
    version_added: 1.2.0
  pod:
    description:
      - For O(provider=kaleyra) the pod that the account is in. O(base_url) goes before it.
    type: str
    version_added: 1.2.0
    choices: [eu, in, na, sg]
  preset:
    description:
      - For O(provider=graph_compatible) a gateway whose vendor documents this use. Options given beside it go before what it
        says.
      - V(1msg) has O(base_url=https://api.1msg.io), O(path_template=/whatsapp_business_encryption), O(credential_query=token) and
        O(body_format=json).
    type: str
    version_added: 1.2.0
    choices: [1msg]
  path_template:
    description:
      - For O(provider=graph_compatible) the path after O(base_url); C({phone_number_id}) stands for the ID of the number.
      - If it is not set, V(/{phone_number_id}/whatsapp_business_encryption) is used.
    type: str
    version_added: 1.2.0
  credential_header:
    description:
      - For O(provider=graph_compatible) the name of the header that the credential (O(access_token)) is sent in. Exclusive with
        O(credential_query).
    type: str
    version_added: 1.2.0
  credential_scheme:
    description:
      - For O(provider=graph_compatible) a word before the credential in O(credential_header), such as V(Bearer).
    type: str
    version_added: 1.2.0
  credential_query:
    description:
      - For O(provider=graph_compatible) the name of the query parameter that the credential is sent in.
    type: str
    version_added: 1.2.0
  body_format:
    description:
      - For O(provider=graph_compatible) how the key is sent. If it is not set, V(form) is used.
    type: str
    version_added: 1.2.0
    choices: [form, json]
  app_id:
    description:
      - For O(provider=gupshup) the ID of the app. An app has one key for all its numbers.
      - If it is not set, the environment variable E(WHATSAPP_APP_ID) is used.
    type: str
    version_added: 1.2.0
  profile:
    description:
      - For O(provider=aws) the profile of the AWS configuration. Credentials are found by boto3, on the host that the module
        runs on, in its own order (profile, environment, role of the machine).
    type: str
    version_added: 1.2.0
  region:
    description:
      - For O(provider=aws) the region that the number was linked in.
      - If it is not set, the environment variable E(AWS_REGION) is used, else what boto3 finds.
    type: str
    version_added: 1.2.0
  timeout:
    description:
      - Seconds that the API may take to accept the connection, and again between two pieces of its answer.
    type: float
    default: 30.0
  retries:
    description:
      - How often a request is sent again after a temporary error, with growing pauses or the pause that the API asks for.
      - A change whose outcome is not known (HTTP 500, cut connection) is sent again only after reading back that it is not there.
    type: int
    default: 3
  total_timeout:
    description:
      - Seconds that the work on one number may take in all, with retries and waits.
    type: float
    default: 300.0
  validate_certs:
    description:
      - Whether the API's TLS certificate is checked.
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
      - Allow plain http to hosts other than loopback. Everybody on the way can then read the token.
    type: bool
    default: false
"""
