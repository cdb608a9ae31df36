# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is PRIVATE to the collection. It mirrors CONNECTION of module_utils/_argspec.py.

from __future__ import annotations


class ModuleDocFragment:
    """How a number is reached."""

    DOCUMENTATION = r"""
options:
  provider:
    description:
      - The API that the number is reached through. V(cloud_api) is Meta's Cloud API.
    type: str
    choices: [cloud_api]
    default: cloud_api
  base_url:
    description:
      - Scheme, host and, if there is one, the path before the version. For V(cloud_api) the default is V(https://graph.facebook.com).
      - Plain http is refused, except to the loopback addresses or with O(allow_http=true).
    type: str
  api_version:
    description:
      - Version of the Graph API.
    type: str
    default: v24.0
  access_token:
    description:
      - System-user access token with the permission C(whatsapp_business_messaging).
      - If it is not set, the environment variable E(WHATSAPP_ACCESS_TOKEN) of the host that the module runs on is used.
    type: str
  app_secret:
    description:
      - Secret of the app that the token belongs to. With it each request carries C(appsecret_proof), which an app with
        "Require App Secret" asks for.
      - If it is not set, the environment variable E(WHATSAPP_APP_SECRET) of the host that the module runs on is used.
    type: str
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
