# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a public key, which every provider passes on to Meta and so does alike."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

_SPKI_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n(?:[A-Za-z0-9+/=]+\n)+-----END PUBLIC KEY-----\n?")


class BadKey(ValueError):
    """A text that is not a public key as Meta takes it; the text says why."""


def canonical_public_key(text: str) -> str:
    """Check that the text is an RSA-2048 SPKI PEM with LF line ends, and write it anew; BadKey otherwise.

    Whether the real API takes CRLF, PKCS#1 or other sizes is not documented: the sandbox takes the strictest
    reading, so that a client that passes here passes there.
    """
    if "PRIVATE KEY" in text:
        raise BadKey("The value is a private key")
    if "\r" in text or "\\n" in text:
        raise BadKey("The lines of the key must end with a line feed")
    if not _SPKI_PEM.fullmatch(text):
        raise BadKey("The key must be one PEM block of type PUBLIC KEY")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("The key cannot be parsed") from None
    if not isinstance(key, RSAPublicKey):
        raise BadKey("The key must be an RSA key")
    if key.key_size != 2048:
        raise BadKey(f"The key must have 2048 bits, not {key.key_size}")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
