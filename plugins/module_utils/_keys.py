# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Key text in, RSA-2048 keys and fingerprints out. No I/O. Cryptography is imported here and nowhere else.

Published keys need no cryptography: the SubjectPublicKeyInfo of an RSA-2048 key with e = 65537 is always a fixed
prefix, 256 bytes of modulus and a fixed suffix, and PKCS#1 is the same without the first 24 bytes.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import typing as t

from ._errors import InvalidKey, require_library

try:
    import cryptography
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    CRYPTOGRAPHY_VERSION: str | None = cryptography.__version__
except ImportError:
    CRYPTOGRAPHY_VERSION = None

CRYPTOGRAPHY_MINIMUM = "3.4"

_SPKI_PREFIX = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00")
_PKCS1_PREFIX = bytes.fromhex("3082010a0282010100")
_SUFFIX = bytes.fromhex("0203010001")
_MODULUS_BYTES = 256

_MARK = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_GENERATE = "Generate one with: openssl genrsa 2048 (or let whatsapp_flows_keyring do it)."


@dataclasses.dataclass(frozen=True)
class PublicKey:
    """An RSA-2048 public key: C(pem) is SPKI with LF line ends, C(fingerprint) as OpenSSH prints them."""

    pem: str
    fingerprint: str


def fingerprint_of(der: bytes) -> str:
    """Return C(SHA256:) and the unpadded base64 of the SHA-256 of a DER SubjectPublicKeyInfo."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def fingerprint_hex16(fingerprint: str) -> str:
    """Return the first 16 hex digits of a fingerprint's hash, for file names (base64 can hold a slash)."""
    digest = fingerprint[len("SHA256:"):]
    return base64.b64decode(digest + "=" * (-len(digest) % 4)).hex()[:16]


def normalise_fingerprint(text: str) -> str:
    """Return a fingerprint in the one form used; raise InvalidKey for anything else."""
    match = re.fullmatch(r"\s*(?:SHA256:)?([A-Za-z0-9+/]{43})=?\s*", text)
    if match is None:
        shown = text if len(text) <= 11 else f"{text[:11]}…"  # what was pasted may be a private key
        raise InvalidKey(f"'{shown}' is not a fingerprint.", "It looks like SHA256: and 43 characters of base64.")
    return "SHA256:" + match.group(1)


def published_key(text: str) -> PublicKey | None:
    """Return a key as an API returned it, without whatever stood around it; None where none is set (blank text).

    Tolerant on purpose: any PEM block counts, whatever kind of key it holds, because a key that we could not have
    published is still a key that must not be taken for none. Raises InvalidKey if there is no PEM block.
    A private key, which somebody may have published by mistake, has a fingerprint and no text.
    """
    if not text.strip():
        return None
    label, der = _decode_pem(text)
    if "PRIVATE KEY" in label:
        return PublicKey("", fingerprint_of(der))
    if label == "RSA PUBLIC KEY" and der.startswith(_PKCS1_PREFIX):
        der = _SPKI_PREFIX + der
    return PublicKey(_to_pem(der), fingerprint_of(der))


def parse_public_key(text: str) -> PublicKey:
    r"""Read an RSA-2048 public key: SPKI or PKCS#1 PEM, or an X.509 certificate, also with ``\n`` for line ends or CRLF.

    Raises InvalidKey, whose message names what was found instead and never quotes the text; raises MissingLibrary
    where a certificate is given and cryptography is not there.
    """
    label, der = _decode_pem(text)
    if "PRIVATE KEY" in label:
        raise InvalidKey(
            f"A private key was given ('{label}') where the public key is expected.",
            "Keep it secret; extract the public half with: openssl rsa -in KEY -pubout.",
        )
    if label == "RSA PUBLIC KEY":
        der = _SPKI_PREFIX + der if der.startswith(_PKCS1_PREFIX) else der
    elif label == "CERTIFICATE":
        der = _certificate_key(der)
    elif label != "PUBLIC KEY":
        raise InvalidKey(f"A PEM block '{label}' was given.", "A PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE is expected.")
    _require_rsa_2048(der, pkcs1=label == "RSA PUBLIC KEY" and not der.startswith(_SPKI_PREFIX))
    return PublicKey(_to_pem(der), fingerprint_of(der))


def _decode_pem(text: str) -> tuple[str, bytes]:
    """Return label and DER of the only PEM block in a text."""
    if "\\n" in text:  # environment variables and JSON copied by hand carry the two characters instead of a line end
        text = text.replace("\\r", "").replace("\\n", "\n")
    blocks = _blocks(text)
    if not blocks:
        raise InvalidKey(_why_no_block(text), "Give the whole PEM text, from -----BEGIN to -----END, with its line ends.")
    if len(blocks) > 1:
        raise InvalidKey(f"{len(blocks)} PEM blocks were given.", "Exactly one key is expected.")
    label, body = blocks[0]
    if re.search(r"^[A-Za-z-]+:", body, re.MULTILINE):  # RFC 1421 headers: openssl's old encrypted form
        return label, b""
    try:
        return label, base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidKey(f"The PEM block '{label}' is damaged: it is not base64.", "Copy the whole text again.") from None


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return label and body of each PEM block, in one pass: text of an API's must not cost more than its length."""
    blocks, label, start = [], "", 0
    for mark in _MARK.finditer(text):
        kind, name = mark.groups()
        if kind == "BEGIN":
            label, start = name, mark.end()
        elif name == label:
            blocks.append((label, text[start:mark.start()]))
            label = ""
    return blocks


def _why_no_block(text: str) -> str:
    if not text.strip():
        return "The key is empty."
    if "-----BEGIN" in text:
        return "The PEM text is truncated: it begins, but its -----END line is missing or differs."
    return "The text is not PEM: it has no -----BEGIN line."


def _to_pem(der: bytes) -> str:
    body = base64.b64encode(der).decode()
    lines = [body[i:i + 64] for i in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _is_rsa_2048(der: bytes) -> bool:
    """Tell whether a DER SubjectPublicKeyInfo is RSA, exactly 2048 bits, e = 65537."""
    head = _SPKI_PREFIX + _PKCS1_PREFIX
    modulus = der[len(head):len(head) + _MODULUS_BYTES]
    return (
        der.startswith(head)
        and der[len(head) + _MODULUS_BYTES:] == _SUFFIX
        and bool(modulus[0] & 0x80)  # else the number is shorter than 2048 bits
        and bool(modulus[-1] & 1)
    )


def _require_rsa_2048(der: bytes, pkcs1: bool = False) -> None:
    if not _is_rsa_2048(der):
        found = _describe(der, pkcs1)
        if found == "An RSA key of 2048 bits with e = 65537":
            found = "An RSA key in another wrapping (such as RSA-PSS)"
        raise InvalidKey(f"{found} was given; plain RSA with exactly 2048 bits and e = 65537 is needed.", _GENERATE)


def _describe(der: bytes, pkcs1: bool = False) -> str:
    """Name the kind of key that a DER text holds, as far as the libraries here can tell."""
    if CRYPTOGRAPHY_VERSION is None:
        return "Another kind of key, or a damaged one,"
    try:
        if pkcs1:
            pem = b"-----BEGIN RSA PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PUBLIC KEY-----\n"
            return _kind(serialization.load_pem_public_key(pem))
        return _kind(serialization.load_der_public_key(der))
    except Exception:  # the library's own errors differ between its versions; all mean the same here
        return "A damaged or truncated key"


def _kind(key: t.Any) -> str:
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
        return f"An RSA key of {public.key_size} bits with e = {public.public_numbers().e}"
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return f"An elliptic-curve key ({key.curve.name})"
    if isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        return "An Ed25519 key"
    if isinstance(key, (ed448.Ed448PublicKey, ed448.Ed448PrivateKey)):
        return "An Ed448 key"
    if isinstance(key, (dsa.DSAPublicKey, dsa.DSAPrivateKey)):
        return "A DSA key"
    return "A key of another kind"


def require_cryptography() -> None:
    """Raise MissingLibrary unless cryptography is there in a version that this collection is tested with."""
    require_library("cryptography", CRYPTOGRAPHY_MINIMUM, CRYPTOGRAPHY_VERSION)


def _certificate_key(der: bytes) -> bytes:
    require_cryptography()
    try:
        key = x509.load_der_x509_certificate(der).public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # as in _describe
        raise InvalidKey("The certificate is damaged or truncated.", "Copy the whole text again.") from None


class PrivateKey:
    """An RSA-2048 private key in memory. Its text leaves only encrypted (encrypted_pem)."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        _require_rsa_2048(der)
        self.public = PublicKey(_to_pem(der), fingerprint_of(der))

    def __repr__(self) -> str:
        return f"<PrivateKey {self.public.fingerprint}>"

    def encrypted_pem(self, passphrase: str) -> bytes:
        """Return PKCS#8 PEM, encrypted with PBES2 and AES-256-CBC, as openssl reads it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )


def generate_private_key() -> PrivateKey:
    """Generate an RSA-2048 key with e = 65537. Raises MissingLibrary."""
    require_cryptography()
    return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def is_whole_encrypted_key(pem: bytes) -> bool:
    """Tell whether a text is PKCS#8 that is encrypted and neither cut nor longer than it says; what is within nobody can tell."""
    try:
        label, der = _decode_pem(pem.decode("ascii"))
    except (InvalidKey, UnicodeDecodeError):
        return False
    outer = _der_members(der)
    members = _der_members(outer[0][1]) if [tag for tag, dummy in outer] == [0x30] else []
    return [tag for tag, dummy in members] == [0x30, 0x04] and label == "ENCRYPTED PRIVATE KEY"


def _der_members(der: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of the DER values that a text consists of; none unless it ends where the last one does."""
    members = []
    while len(der) >= 2:
        more = der[1] & 0x7F if der[1] & 0x80 else 0
        length = int.from_bytes(der[2:2 + more], "big") if more else der[1]
        end = 2 + more + length
        members.append((der[0], der[2 + more:end]))
        if end > len(der):
            return []
        der = der[end:]
    return [] if der else members


def load_private_key(pem: bytes, passphrase: str | None, where: str) -> PrivateKey:
    """Read a private key: PKCS#8 or PKCS#1 PEM, plain or encrypted (also C(openssl genrsa -des3)).

    C(where) names the key in messages. Raises InvalidKey with a message that holds nothing of key or passphrase.
    """
    require_cryptography()
    if b"PRIVATE KEY-----" not in pem:
        raise InvalidKey(f"{where} is not a private key in PEM form.", "Give the file that openssl genrsa wrote.")
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in pem:
        raise InvalidKey(f"{where} is in OpenSSH's own format.", "Convert a copy of it with: ssh-keygen -p -m PEM -f COPY.")
    if pem.count(b"PRIVATE KEY-----") > 2:
        raise InvalidKey(f"{where} holds more than one private key.", "Give a file with one.")
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not passphrase:
        raise InvalidKey(f"{where} is encrypted, and no passphrase was given for it.", "Give its passphrase.")
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted and passphrase else None)
    except Exception:  # the library's own errors differ between its versions, and may quote what they read
        why = "the passphrase is wrong, or the file is damaged" if encrypted else "it is damaged or truncated"
        closed = InvalidKey(f"{where} cannot be opened: {why}.", "Give the passphrase it was written with.")
        closed.undecrypted = encrypted
        raise closed from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidKey(f"{_kind(key)} was given as {where}; RSA with exactly 2048 bits and e = 65537 is needed.", _GENERATE)
    if key.key_size != 2048 or key.public_key().public_numbers().e != 65537:
        raise InvalidKey(f"{_kind(key)} was given as {where}; exactly 2048 bits and e = 65537 are needed.", _GENERATE)
    return PrivateKey(key)
