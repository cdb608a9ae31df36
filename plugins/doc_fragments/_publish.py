# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is PRIVATE to the collection. It mirrors PUBLISH of module_utils/_argspec.py.

from __future__ import annotations


class ModuleDocFragment:
    """How a key is set."""

    DOCUMENTATION = r"""
options:
  business_public_key:
    description:
      - The RSA-2048 public key to set, as PEM text. SPKI (C(PUBLIC KEY)), PKCS#1 (C(RSA PUBLIC KEY)) and an X.509
        certificate are understood, also with C(\\n) for line ends or with CRLF. The API is sent SPKI with LF.
      - A private key is refused.
    type: str
  business_public_key_path:
    description:
      - A file with that text, on the host that the module runs on.
    type: path
  expected_fingerprints:
    description:
      - Compare-and-set. A key that the number holds is replaced only if its fingerprint is in this list; otherwise the
        outcome is V(refused). An empty list allows to set a key only where there is none.
      - If it is not set, any key is replaced.
    type: list
    elements: str
  force:
    description:
      - Send the key even if the number holds it and its signature is valid, so that it is signed again.
    type: bool
    default: false
  verify_timeout:
    description:
      - Seconds within which the API must show the new key with a valid signature. With V(0) one look must do.
    type: float
    default: 30.0
"""
