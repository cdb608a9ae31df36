# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys as text, in every form that openssl and ssh-keygen write; and what of them nobody may see."""

from __future__ import annotations

import base64
import datetime
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.waba.flows.tests.unit.helpers import KeyPair

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


class Private(t.NamedTuple):
    """Texts of private keys, and pieces of their secret numbers in base64, of which nobody may see one."""

    texts: list[str]
    pieces: frozenset[str]


def private_keys(one: KeyPair) -> Private:
    """Return a private key in every form, and keys of other kinds."""
    curve = ec.generate_private_key(ec.SECP256R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    plain = NoEncryption()
    texts = [
        one.private_pem(), one.private_pem(form=PrivateFormat.TraditionalOpenSSL),
        one.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, plain).decode(),
        one.private_pem(PASSPHRASE), one.private_pem(PASSPHRASE, PrivateFormat.TraditionalOpenSSL),
        curve.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, plain).decode(),
        curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain).decode(),
        edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain).decode(),
        one.private_pem() + one.pem, one.pem + one.private_pem(),
        one.private_pem().replace("\n", "\\n"), one.private_pem().replace("\n", "\r\n"),
    ]
    numbers = one.private.private_numbers()
    secret = [number.to_bytes(256, "big").lstrip(b"\0") for number in (
        numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)]
    secret.append(curve.private_numbers().private_value.to_bytes(32, "big"))
    secret.append(edwards.private_bytes(Encoding.Raw, PrivateFormat.Raw, plain))
    return Private(texts, frozenset(piece for number in secret for offset in range(3) for piece in _pieces(number, offset)))


def _pieces(number: bytes, offset: int) -> t.Iterator[str]:
    """Yield pieces of base64 of a number that begins at one of the three places in a group, without what stands around it."""
    body = base64.b64encode(b"\0" * offset + number).decode()[4:-4]
    return (body[i:i + 12] for i in range(len(body) - 11))
