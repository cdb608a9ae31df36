# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The encryption of Flow messages, as a WhatsApp client does it: seal a request, open the answer. No I/O.

A request is encrypted with AES-128-GCM under a new key and a 16-byte IV, and that AES key with RSA-OAEP (SHA-256, MGF1 with
SHA-256, no label) under the business public key. The answer is encrypted under the same AES key with every bit of the IV
inverted. In both the 16-byte tag follows the ciphertext, and what travels is base64.
Source: https://developers.facebook.com/docs/whatsapp/flows/guides/implementingyourflowendpoint
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import os
import typing as t

from ._errors import InvalidKey, InvalidOptions, WabaError
from ._keys import PublicKey, require_cryptography

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    pass  # require_cryptography says so

_AES_KEY_BYTES = 16
_IV_BYTES = 16
_TAG_BYTES = 16

_PLAIN_TEXT = "Answer with the base64 text alone (standard alphabet, padded, in one line), as text/plain."


class EnvelopeError(WabaError):
    """An answer that is not the encrypted answer to the request that it came to."""


@dataclasses.dataclass(frozen=True)
class Sealed:
    """An encrypted request: C(body) is what is sent. The rest opens the answer, and shows in no repr."""

    body: bytes
    aes_key: bytes = dataclasses.field(repr=False)
    iv: bytes = dataclasses.field(repr=False)


def seal(document: t.Mapping[str, t.Any], key: PublicKey) -> Sealed:
    """Encrypt a request for the holder of a private key, under a new AES key and IV. Raises InvalidKey, MissingLibrary."""
    require_cryptography()
    aes_key, iv = os.urandom(_AES_KEY_BYTES), os.urandom(_IV_BYTES)
    members = {
        "encrypted_flow_data": AESGCM(aes_key).encrypt(iv, json.dumps(document).encode(), None),
        "encrypted_aes_key": _wrap(aes_key, key),
        "initial_vector": iv,
    }
    body = json.dumps({name: base64.b64encode(value).decode() for name, value in members.items()}).encode()
    return Sealed(body, aes_key, iv)


def _wrap(aes_key: bytes, key: PublicKey) -> bytes:
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    try:
        public = t.cast(rsa.RSAPublicKey, serialization.load_pem_public_key(key.pem.encode()))
        return public.encrypt(aes_key, oaep)
    except Exception:  # the library's own errors differ between its versions; all mean the same here
        raise InvalidKey(f"Nothing can be encrypted under the key {key.fingerprint}.", "Give a sound RSA-2048 key.") from None


def signature(body: bytes, app_secret: str) -> str:
    """Return the value of the header X-Hub-Signature-256 for a raw body. Raises InvalidOptions for text that is none."""
    try:
        secret = app_secret.encode("utf-8", "surrogateescape")  # bytes of an environment variable that are not UTF-8
    except UnicodeEncodeError:
        raise InvalidOptions("app_secret holds characters that cannot be encoded.", "Copy it again.") from None
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def open_answer(body: bytes, sealed: Sealed) -> t.Any:
    """Return the JSON document that an answer's body holds. White space around the base64 is allowed, nothing else.

    Raises EnvelopeError with a message that names the mistake and quotes nothing of the answer.
    """
    encrypted = _decode_base64(body.strip())
    inverted = bytes(byte ^ 0xFF for byte in sealed.iv)
    text = _decrypt(encrypted, sealed.aes_key, inverted)
    if text is None:
        raise _why_not_opened(encrypted, sealed)
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise EnvelopeError("The answer is encrypted well, but what is in it is not JSON.", "Encrypt JSON text.") from None


def _decode_base64(text: bytes) -> bytes:
    if not text:
        raise EnvelopeError("The answer is empty.", _PLAIN_TEXT)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    # Python's versions differ in what they let pass (padding in excess, stray bits), so the form is compared as well.
    if base64.b64encode(decoded) != text:
        raise _why_not_base64(text)
    return decoded


def _why_not_base64(text: bytes) -> EnvelopeError:
    """Name what stands in the place of base64, as far as that can be told."""
    try:
        document = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, str):
        return EnvelopeError("The answer is a JSON string: the text is in quotes.", _PLAIN_TEXT)
    if isinstance(document, (dict, list)):
        return EnvelopeError("The answer is plain JSON: it is not encrypted.",
                             "Encrypt it under the request's AES key and its IV with every bit inverted. " + _PLAIN_TEXT)
    if text.startswith(b"<"):
        return EnvelopeError("The answer is HTML or XML.", "Check that url is the endpoint's, and what stands in front of it.")
    return EnvelopeError("The answer is not base64.", _PLAIN_TEXT)


def _decrypt(encrypted: bytes, aes_key: bytes, iv: bytes) -> bytes | None:
    """Return the plain text, or None where key, IV or data do not fit."""
    if len(encrypted) < _TAG_BYTES:
        return None
    try:
        return AESGCM(aes_key).decrypt(iv, encrypted, None)
    except Exception:  # InvalidTag; the library's other errors mean the same here
        return None


def _why_not_opened(encrypted: bytes, sealed: Sealed) -> EnvelopeError:
    if _decrypt(encrypted, sealed.aes_key, sealed.iv) is not None:
        return EnvelopeError("The answer is encrypted under the request's IV as it is.",
                             "Invert every bit of the IV for the answer.")
    return EnvelopeError(
        "The answer cannot be decrypted: it is encrypted under another AES key or IV, lacks the 16-byte tag at its end, or was "
        "changed on its way.",
        "Encrypt it with AES-128-GCM under the request's AES key and its IV with every bit inverted, and append the tag.",
    )
