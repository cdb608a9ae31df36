# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys as text, in every form that openssl and ssh-keygen write; and what of them nobody may see."""

from __future__ import annotations

import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, body_pieces

PASSPHRASE = "a passphrase of the tests"


def certificate(key: KeyPair) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "flows")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.private.public_key()).serial_number(7)
    made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9)).sign(key.private, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def public_texts(one: KeyPair, other: KeyPair) -> list[str]:
    """Return a key in every form that is understood (ten of them), and others that are not."""
    pkcs1 = one.private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    curve = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forms = [one.pem, pkcs1, certificate(one)]
    return [*forms, *(text.replace("\n", "\r\n") for text in forms), *(text.replace("\n", "\\n") for text in forms),
            one.pem + other.pem, certificate(one) + certificate(other), curve.decode(), "  \n" + one.pem]


def private_texts(one: KeyPair) -> list[str]:
    """Return a private key in every form, and keys of other kinds."""
    curve = ec.generate_private_key(ec.SECP256R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    plain = NoEncryption()
    return [
        one.private_pem(), one.private_pem(form=PrivateFormat.TraditionalOpenSSL),
        one.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, plain).decode(),
        one.private_pem(PASSPHRASE), one.private_pem(PASSPHRASE, PrivateFormat.TraditionalOpenSSL),
        curve.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, plain).decode(),
        curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain).decode(),
        edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain).decode(),
        one.private_pem() + one.pem, one.pem + one.private_pem(),
        one.private_pem().replace("\n", "\\n"), one.private_pem().replace("\n", "\r\n"),
    ]


def pieces_of(texts: list[str], one: KeyPair, other: KeyPair) -> frozenset[str]:
    """Return pieces of these private keys, but for those that the public key has as well, or every key of a kind."""
    pkcs1 = one.private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    shown = body_pieces(one.pem) | body_pieces(pkcs1)
    found: set[str] = set()
    for text in texts:
        if text.count("-----BEGIN") == 1 and "Proc-Type" not in text:
            found |= body_pieces(text)
    modulus = one.private.public_key().public_numbers().n.to_bytes(256, "big")
    for offset in range(3):  # the modulus within other forms, at another place of base64's groups of three
        body = base64.b64encode(b"\0" * offset + modulus).decode()
        shown |= {body[i:i + 12] for i in range(len(body) - 11)}
    head = "".join(other.private_pem().splitlines()[1:2])[:40]
    shown |= {head[i:i + 12] for i in range(len(head) - 11)}
    return frozenset(found - shown)
