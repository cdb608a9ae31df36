# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several test files use: key pairs, a clock, module parameters, and what the sandbox saw."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import threading
import typing as t

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ansible_collections.waba.flows.plugins.module_utils._argspec import Spec

Params = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class KeyPair:
    """A key pair, with a fingerprint that is computed independently of the code under test."""

    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> KeyPair:
        return cls(rsa.generate_private_key(65537, 2048))

    @property
    def der(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.der).digest()).decode().rstrip("=")

    def private_pem(self, passphrase: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        """The private key as openssl writes it, encrypted if there is a passphrase."""
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return self.private.private_bytes(Encoding.PEM, form, encryption).decode()


class Keys(t.NamedTuple):
    """Three different key pairs."""

    a: KeyPair
    b: KeyPair
    c: KeyPair


class Clock:
    """Time that passes only while somebody sleeps; ``slept`` lists each sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds


def module_params(spec: Spec, **given: t.Any) -> Params:
    """The parameters that AnsibleModule would hand over: those given, and None or the default for the rest."""
    unknown = set(given) - set(spec)
    assert not unknown, f"no such option: {unknown}"
    params: Params = {}
    for name, option in spec.items():
        value = given.get(name, option.get("default"))
        if "options" in option and value is not None:
            value = [module_params(option["options"], **row) for row in value]
        params[name] = value
    return params


def body_pieces(pem: str, size: int = 12) -> set[str]:
    """All pieces of that size of a PEM text's base64, none of which may show in a message."""
    lines = [line for line in pem.replace("\\r", "").replace("\\n", "\n").splitlines() if "-----" not in line]
    body = "".join("".join(lines).split())
    return {body[i:i + size] for i in range(len(body) - size + 1)}
