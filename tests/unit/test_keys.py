# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys: every form that is understood gives the same fingerprint; every refusal says why and quotes nothing."""

from __future__ import annotations

import base64
import datetime
import shutil
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ansible_collections.waba.flows.plugins.module_utils import _keys
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, MissingLibrary, version_tuple
from ansible_collections.waba.flows.plugins.module_utils._keys import (
    PublicKey,
    fingerprint_hex16,
    generate_private_key,
    load_private_key,
    normalise_fingerprint,
    parse_public_key,
    published_key,
)
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, body_pieces

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

SPKI = PublicFormat.SubjectPublicKeyInfo


def run_openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def certificate(private: t.Any) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "flows")])
    start = datetime.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def public(private: t.Any, form: PublicFormat = SPKI, encoding: Encoding = Encoding.PEM) -> str:
    return t.cast(bytes, private.public_key().public_bytes(encoding, form)).decode()


def private_text(private: t.Any, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return t.cast(bytes, private.private_bytes(Encoding.PEM, form, NoEncryption())).decode()


def der_of(tag: int, *parts: bytes) -> bytes:
    """A DER element, below 64 kB."""
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def pem_of(der: bytes) -> str:
    return "-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der).decode() + "-----END PUBLIC KEY-----\n"


def pss(key: KeyPair) -> str:
    """The same RSA key as one that is for RSA-PSS only."""
    numbers = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    algorithm = der_of(0x30, bytes.fromhex("06092a864886f70d01010a"))
    return pem_of(der_of(0x30, algorithm, der_of(0x03, b"\x00", numbers)))


def pkcs1_under_the_wrong_label(key: KeyPair) -> str:
    return pem_of(key.private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))


@pytest.fixture(scope="module")
def odd() -> dict[str, t.Any]:
    """Private keys of other kinds and sizes."""
    return {
        "rsa1024": rsa.generate_private_key(65537, 1024),  # noqa: S505 (to see it refused)
        "rsa3072": rsa.generate_private_key(65537, 3072),
        "rsa4096": rsa.generate_private_key(65537, 4096),
        "e3": rsa.generate_private_key(3, 2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "dsa": dsa.generate_private_key(1024),  # noqa: S505 (to see it refused)
    }


FORMS: dict[str, t.Callable[[KeyPair], str]] = {
    "spki": lambda key: key.pem,
    "no_final_newline": lambda key: key.pem.rstrip("\n"),
    "pkcs1": lambda key: public(key.private, PublicFormat.PKCS1),
    "certificate": lambda key: certificate(key.private),
    "escaped": lambda key: key.pem.replace("\n", "\\n"),
    "escaped_crlf": lambda key: key.pem.replace("\n", "\\r\\n"),
    "escaped_pkcs1": lambda key: public(key.private, PublicFormat.PKCS1).replace("\n", "\\n"),
    "crlf": lambda key: key.pem.replace("\n", "\r\n"),
    "blanks_around": lambda key: f"\n  {key.pem}\t\n\n",
    "text_around": lambda key: f"# the shop's key\n{key.pem}# end\n",
    "indented": lambda key: "".join(f"    {line}\n" for line in key.pem.splitlines()),
    "one_line": lambda key: key.pem.replace("\n", " "),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_key(form: str, keys: Keys) -> None:
    key = parse_public_key(FORMS[form](keys.a))
    assert key.fingerprint == keys.a.fingerprint
    assert key.pem == keys.a.pem


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"certificate"}))
def test_the_key_of_an_api_is_the_same_in_every_form_without_what_stands_around_it(form: str, keys: Keys) -> None:
    assert published_key(FORMS[form](keys.a)) == PublicKey(keys.a.pem, keys.a.fingerprint)


@openssl
def test_fingerprint_is_what_openssl_says(keys: Keys) -> None:
    der = run_openssl("pkey", "-pubin", "-outform", "DER", given=keys.a.pem.encode())
    digest = run_openssl("dgst", "-sha256", "-binary", given=der)
    assert parse_public_key(keys.a.pem).fingerprint == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def test_two_keys_have_two_fingerprints(keys: Keys) -> None:
    assert parse_public_key(keys.a.pem).fingerprint != parse_public_key(keys.b.pem).fingerprint


def test_a_published_key_of_another_kind_still_counts_as_a_key(odd: dict[str, t.Any]) -> None:
    found = {name: published_key(public(odd[name])) for name in ("ec", "rsa1024", "e3")}
    assert {name: key.pem if key else None for name, key in found.items()} == {name: public(odd[name]) for name in found}
    assert len({key.fingerprint for key in found.values() if key}) == 3


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n"])
def test_blank_text_of_an_api_is_no_key(text: str) -> None:
    assert published_key(text) is None


@pytest.mark.parametrize("text", ["none", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "-----BEGIN PUBLIC KEY-----\n"])
def test_other_text_of_an_api_is_not_taken_for_no_key(text: str) -> None:
    with pytest.raises(InvalidKey):
        published_key(text)


# What is given, made from the keys and the odd ones, and what the message must say of it.
REFUSED: dict[str, tuple[t.Callable[[Keys, dict[str, t.Any]], str], str]] = {
    "private_pkcs8": (lambda keys, odd: keys.a.private_pem(), r"private key was given \('PRIVATE KEY'\)"),
    "private_pkcs1": (
        lambda keys, odd: private_text(keys.a.private, PrivateFormat.TraditionalOpenSSL), r"\('RSA PRIVATE KEY'\)"),
    "private_encrypted": (lambda keys, odd: keys.a.private_pem("secret"), r"private key was given \('ENCRYPTED PRIVATE KEY'\)"),
    "private_des3": (
        lambda keys, odd: keys.a.private_pem("secret", PrivateFormat.TraditionalOpenSSL), r"\('RSA PRIVATE KEY'\)"),
    "private_ec": (lambda keys, odd: private_text(odd["ec"], PrivateFormat.TraditionalOpenSSL), "private key was given"),
    "private_openssh": (lambda keys, odd: private_text(odd["ed25519"], PrivateFormat.OpenSSH), r"\('OPENSSH PRIVATE KEY'\)"),
    "private_escaped": (lambda keys, odd: keys.a.private_pem().replace("\n", "\\n"), "private key was given"),
    "ec": (lambda keys, odd: public(odd["ec"]), r"elliptic-curve key \(secp256r1\)"),
    "ed25519": (lambda keys, odd: public(odd["ed25519"]), "Ed25519"),
    "ed448": (lambda keys, odd: public(odd["ed448"]), "Ed448"),
    "dsa": (lambda keys, odd: public(odd["dsa"]), "DSA"),
    "rsa1024": (lambda keys, odd: public(odd["rsa1024"]), "1024 bits"),
    "rsa3072": (lambda keys, odd: public(odd["rsa3072"]), "3072 bits"),
    "rsa4096": (lambda keys, odd: public(odd["rsa4096"]), "4096 bits"),
    "rsa4096_pkcs1": (lambda keys, odd: public(odd["rsa4096"], PublicFormat.PKCS1), "4096 bits"),
    "e3": (lambda keys, odd: public(odd["e3"]), "e = 3"),
    "e3_pkcs1": (lambda keys, odd: public(odd["e3"], PublicFormat.PKCS1), "e = 3"),
    "pss": (lambda keys, odd: pss(keys.a), r"^An RSA key in another wrapping \(such as RSA-PSS\) was given; plain RSA"),
    "pkcs1_as_spki": (
        lambda keys, odd: pkcs1_under_the_wrong_label(keys.a), r"^An RSA key in another wrapping \(such as RSA-PSS\) was given"),
    "certificate_ec": (lambda keys, odd: certificate(odd["ec"]), r"elliptic-curve key \(secp256r1\)"),
    "certificate_damaged": (
        lambda keys, odd: "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkq\n-----END CERTIFICATE-----\n", "certificate is damaged"),
    "no_end": (lambda keys, odd: keys.a.pem.split("-----END")[0], "truncated"),
    "other_end": (lambda keys, odd: keys.a.pem.replace("END PUBLIC KEY", "END RSA PUBLIC KEY"), "truncated"),
    "cut_body": (lambda keys, odd: "\n".join([*keys.a.pem.splitlines()[:3], "-----END PUBLIC KEY-----"]), "damaged or truncated"),
    "cut_quantum": (lambda keys, odd: keys.a.pem.replace("\n-----END", "A\n-----END"), "damaged"),
    "garbage": (lambda keys, odd: "-----BEGIN PUBLIC KEY-----\n$$$ no base64 $$$\n-----END PUBLIC KEY-----\n", "not base64"),
    "empty_block": (lambda keys, odd: "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "damaged or truncated"),
    "flipped_bit": (lambda keys, odd: keys.a.pem.replace("MIIBIj", "MIIBIz"), "damaged or truncated"),
    "no_pem": (lambda keys, odd: "mykey", "not PEM"),
    "bare_base64": (lambda keys, odd: base64.b64encode(keys.a.der).decode(), "not PEM"),
    "empty": (lambda keys, odd: "", "empty"),
    "blank": (lambda keys, odd: " \n", "empty"),
    "two_blocks": (lambda keys, odd: keys.a.pem + keys.b.pem, "2 PEM blocks"),
    "request": (lambda keys, odd: keys.a.pem.replace("PUBLIC KEY", "CERTIFICATE REQUEST"), "'CERTIFICATE REQUEST'"),
    "ssh_line": (lambda keys, odd: public(keys.a.private, PublicFormat.OpenSSH, Encoding.OpenSSH), "not PEM"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_says_what_was_given_and_quotes_nothing(case: str, keys: Keys, odd: dict[str, t.Any]) -> None:
    if case == "pss" and version_tuple(_keys.CRYPTOGRAPHY_VERSION or "") < (35,):
        pytest.skip("this version of cryptography cannot tell what it is")
    make, why = REFUSED[case]
    text = make(keys, odd)
    with pytest.raises(InvalidKey, match=why) as caught:
        parse_public_key(text)
    assert caught.value.remedy
    assert not [piece for piece in body_pieces(text) if piece in str(caught.value)]


@pytest.mark.parametrize(("place", "value"), [(33, 0x7F), (33, 0x00), (-6, 0x00)], ids=["2047 bits", "2040 bits", "even"])
def test_a_key_of_the_right_length_with_an_impossible_modulus_is_refused(place: int, value: int, keys: Keys) -> None:
    der = bytearray(keys.a.der)
    der[place] = value
    text = "-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(bytes(der)).decode() + "-----END PUBLIC KEY-----\n"
    with pytest.raises(InvalidKey, match="exactly 2048 bits"):
        parse_public_key(text)


def test_a_private_key_is_never_parsed_for_its_public_half(keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="openssl rsa -in KEY -pubout"):
        parse_public_key(keys.a.private_pem())


@pytest.mark.parametrize("form", ["spki", "pkcs1", "escaped", "crlf"])
def test_public_keys_need_no_cryptography(form: str, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", None)
    monkeypatch.delattr(_keys, "serialization")
    monkeypatch.delattr(_keys, "x509")
    assert parse_public_key(FORMS[form](keys.a)).fingerprint == keys.a.fingerprint
    assert published_key(FORMS[form](keys.a)) == PublicKey(keys.a.pem, keys.a.fingerprint)


@pytest.mark.parametrize("name", ["rsa4096", "e3", "ec"])
def test_other_keys_are_refused_without_cryptography_too(
    name: str, odd: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = public(odd[name])
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", None)
    monkeypatch.delattr(_keys, "serialization")
    with pytest.raises(InvalidKey, match="exactly 2048 bits"):
        parse_public_key(text)


@pytest.mark.parametrize(("version", "why"), [(None, "it is not installed"), ("3.3.2", "version 3.3.2 is too old")])
def test_certificates_and_private_keys_need_cryptography(
    version: str | None, why: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, private = certificate(keys.a.private), keys.a.private_pem().encode()
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", version)
    for call in (lambda: parse_public_key(text), generate_private_key, lambda: load_private_key(private, None, "KEY")):
        with pytest.raises(MissingLibrary, match=r"cryptography >= 3\.4") as caught:
            call()
        assert why in str(caught.value)


@pytest.mark.parametrize("version", ["3.4", "3.4.8", "46.0.1", "100.0.0.dev1"])
def test_these_versions_of_cryptography_will_do(version: str, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    text = certificate(keys.a.private)
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", version)
    assert parse_public_key(text).fingerprint == keys.a.fingerprint


# -- fingerprints as text


def test_fingerprint_hex16_is_the_start_of_the_same_hash(keys: Keys) -> None:
    assert fingerprint_hex16(keys.a.fingerprint) == base64.b64decode(keys.a.fingerprint[7:] + "=").hex()[:16]


@pytest.mark.parametrize("change", [str, lambda f: f + "=", lambda f: f[7:], lambda f: f" {f}\n"])
def test_a_fingerprint_is_brought_to_one_form(change: t.Callable[[str], str], keys: Keys) -> None:
    assert normalise_fingerprint(change(keys.a.fingerprint)) == keys.a.fingerprint


@pytest.mark.parametrize("text", [
    "", "SHA256:", "MD5:" + 43 * "A", "SHA256:" + 42 * "A", "SHA256:" + 44 * "A", 64 * "0", "sha256:" + 43 * "A",
])
def test_other_text_is_no_fingerprint(text: str) -> None:
    with pytest.raises(InvalidKey, match="not a fingerprint"):
        normalise_fingerprint(text)


# -- private keys


def des3(key: KeyPair, passphrase: str) -> bytes:
    """What openssl genrsa -des3 wrote for many years: the traditional form with a Proc-Type header."""
    if shutil.which("openssl"):
        made = subprocess.run(
            ["openssl", "rsa", "-traditional", "-des3", "-passout", f"pass:{passphrase}"],
            input=key.private_pem().encode(), capture_output=True, check=False,
        )
        if made.returncode == 0:
            return made.stdout
    return key.private_pem(passphrase, PrivateFormat.TraditionalOpenSSL).encode()


PRIVATE_FORMS: dict[str, t.Callable[[KeyPair], bytes]] = {
    "pkcs8": lambda key: key.private_pem().encode(),
    "pkcs1": lambda key: key.private_pem(form=PrivateFormat.TraditionalOpenSSL).encode(),
    "pkcs8_encrypted": lambda key: key.private_pem("secret").encode(),
    "des3": lambda key: des3(key, "secret"),
    "crlf": lambda key: key.private_pem().replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("form", PRIVATE_FORMS)
def test_private_keys_of_every_form_are_opened(form: str, keys: Keys) -> None:
    assert load_private_key(PRIVATE_FORMS[form](keys.a), "secret", "KEY").public.fingerprint == keys.a.fingerprint


def test_the_des3_form_is_the_one_that_is_meant(keys: Keys) -> None:
    assert b"Proc-Type: 4,ENCRYPTED" in des3(keys.a, "secret")


@pytest.mark.parametrize("form", ["pkcs8_encrypted", "des3"])
@pytest.mark.parametrize(("passphrase", "why"), [
    (None, "no passphrase was given"), ("", "no passphrase was given"), ("wrong", "passphrase is wrong"),
])
def test_an_encrypted_key_without_its_passphrase_is_refused(form: str, passphrase: str | None, why: str, keys: Keys) -> None:
    pem = PRIVATE_FORMS[form](keys.a)
    with pytest.raises(InvalidKey, match=f"^KEY .*{why}") as caught:
        load_private_key(pem, passphrase, "KEY")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not [piece for piece in body_pieces(pem.decode()) if piece in str(caught.value)]


@pytest.mark.parametrize(("name", "why"), [
    ("rsa1024", "1024 bits"), ("rsa4096", "4096 bits"), ("e3", "e = 3"), ("ec", "elliptic-curve"), ("ed25519", "Ed25519"),
    ("ed448", "Ed448"), ("dsa", "DSA"),
])
def test_private_keys_of_another_kind_are_refused(name: str, why: str, odd: dict[str, t.Any]) -> None:
    pem = private_text(odd[name])
    with pytest.raises(InvalidKey, match=why) as caught:
        load_private_key(pem.encode(), None, "KEY")
    assert "KEY" in str(caught.value)
    assert not [piece for piece in body_pieces(pem) if piece in str(caught.value)]


def test_a_public_key_is_no_private_key(keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="KEY is not a private key"):
        load_private_key(keys.a.pem.encode(), None, "KEY")


@pytest.mark.parametrize("passphrase", [None, "secret"])
@pytest.mark.parametrize("name", ["rsa", "ed25519"])
def test_a_private_key_in_openssh_form_is_named_as_such(
    name: str, passphrase: str | None, keys: Keys, odd: dict[str, t.Any]
) -> None:
    pem = private_text(keys.a.private if name == "rsa" else odd[name], PrivateFormat.OpenSSH)
    with pytest.raises(InvalidKey, match=r"^KEY is in OpenSSH's own format\.") as caught:
        load_private_key(pem.encode(), passphrase, "KEY")
    assert "ssh-keygen -p -m PEM" in caught.value.remedy
    assert not [piece for piece in body_pieces(pem) if piece in str(caught.value)]


@pytest.mark.parametrize("first", ["pkcs8", "pkcs1", "pkcs8_encrypted", "des3"])
@pytest.mark.parametrize("second", ["pkcs8", "pkcs8_encrypted"])
def test_two_private_keys_in_one_file_are_refused(first: str, second: str, keys: Keys) -> None:
    pem = PRIVATE_FORMS[first](keys.a) + PRIVATE_FORMS[second](keys.b)
    with pytest.raises(InvalidKey, match=r"^KEY holds more than one private key\. Give a file with one\.$"):
        load_private_key(pem, "secret", "KEY")


def test_a_truncated_private_key_is_refused(keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="KEY cannot be opened: it is damaged or truncated"):
        load_private_key(keys.a.private_pem().encode()[:900], None, "KEY")


def test_a_private_key_shows_only_its_fingerprint(keys: Keys) -> None:
    assert repr(load_private_key(keys.a.private_pem().encode(), None, "KEY")) == f"<PrivateKey {keys.a.fingerprint}>"


def test_a_generated_key_is_rsa_2048() -> None:
    key = generate_private_key()
    opened = load_pem_private_key(key.encrypted_pem("secret"), b"secret")
    assert isinstance(opened, rsa.RSAPrivateKey)
    assert (opened.key_size, opened.public_key().public_numbers().e) == (2048, 65537)
    assert parse_public_key(key.public.pem) == key.public


def test_the_encrypted_form_is_pkcs8_and_needs_the_passphrase(keys: Keys) -> None:
    pem = load_private_key(keys.a.private_pem().encode(), None, "KEY").encrypted_pem("pässword 1")
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert b"\r" not in pem
    assert load_private_key(pem, "pässword 1", "KEY").public.fingerprint == keys.a.fingerprint
    with pytest.raises(InvalidKey):
        load_private_key(pem, "password 1", "KEY")


@openssl
def test_openssl_opens_the_encrypted_form(keys: Keys) -> None:
    pem = load_private_key(keys.a.private_pem().encode(), None, "KEY").encrypted_pem("secret")
    assert run_openssl("pkey", "-passin", "pass:secret", "-pubout", given=pem).decode() == keys.a.pem
    algorithms = run_openssl("asn1parse", given=pem)
    assert b"PBES2" in algorithms
    assert b"aes-256-cbc" in algorithms


def test_a_des3_key_is_stored_in_the_modern_form(keys: Keys) -> None:
    pem = load_private_key(des3(keys.a, "secret"), "secret", "KEY").encrypted_pem("other")
    expected = keys.a.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    opened = load_pem_private_key(pem, b"other")
    assert opened.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == expected
