# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key pairs from a pool, and private keys as the oracle opens them: with cryptography itself, not with the collection's code."""

from __future__ import annotations

import functools
import inspect
import typing as t

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fleet import fingerprint_of


@functools.cache
def pooled(index: int) -> rsa.RSAPrivateKey:
    """Return the key pair with a number; each world begins with the first one again."""
    return rsa.generate_private_key(65537, 2048)


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Return the public half in the form in which it is published."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@functools.lru_cache(256)
def opened(pem: bytes, passphrase: str) -> rsa.RSAPrivateKey | None:
    """Return the private key that a passphrase opens, or None. Cached, as it takes 30 ms."""
    if b"BEGIN ENCRYPTED PRIVATE KEY" not in pem:
        return None
    try:
        return t.cast(rsa.RSAPrivateKey, serialization.load_pem_private_key(pem, passphrase.encode()))
    except ValueError:
        return None


@functools.lru_cache(256)
def opened_fingerprint(pem: bytes, passphrase: str) -> str | None:
    """Return the fingerprint of the private key that a passphrase opens, or None."""
    key = opened(pem, passphrase)
    return fingerprint_of(public_pem(key)) if key else None


def unchecked_load() -> t.Callable[..., t.Any]:
    """Return what opens private keys without checking that their numbers fit together, which is most of the time it takes."""
    load = serialization.load_pem_private_key
    if "unsafe_skip_rsa_key_validation" not in inspect.signature(load).parameters:  # older versions of cryptography
        return load
    return functools.partial(load, unsafe_skip_rsa_key_validation=True)
