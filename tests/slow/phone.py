# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WhatsApp clients: they fetch a number's public key, keep it, and send encrypted data requests under it.

The encryption is written anew, from what is known of the clients, and shares nothing with the collection's own.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import random
import threading
import typing as t

import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fleet import fingerprint_of

_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_DATA = {"version": "3.0", "action": "data_exchange", "screen": "WELCOME", "data": {}, "flow_token": "not-a-secret"}
_TIMEOUT = 20.0


def send(url: str, public_pem: str, session: requests.Session) -> int:
    """Send a data request under a public key, and return the HTTP status; -1 where an answer with 200 does not open."""
    key = t.cast(rsa.RSAPublicKey, serialization.load_pem_public_key(public_pem.encode()))
    aes_key, iv = os.urandom(16), os.urandom(16)
    parts = {
        "encrypted_flow_data": AESGCM(aes_key).encrypt(iv, json.dumps(_DATA).encode(), None),
        "encrypted_aes_key": key.encrypt(aes_key, _OAEP),
        "initial_vector": iv,
    }
    body = {name: base64.b64encode(value).decode() for name, value in parts.items()}
    answer = session.post(url, json=body, timeout=_TIMEOUT)
    if answer.status_code != 200:
        return answer.status_code
    try:
        text = AESGCM(aes_key).decrypt(bytes(255 - byte for byte in iv), base64.b64decode(answer.content, validate=True), None)
        return 200 if "screen" in json.loads(text) else -1
    except (ValueError, InvalidTag):
        return -1


@dataclasses.dataclass(frozen=True)
class Line:
    """A business number as a client sees it: where its key is fetched, and where its endpoints are."""

    name: str
    api_url: str
    token: str
    endpoints: tuple[str, ...]

    def fetch(self, session: requests.Session) -> str | None:
        """Return the public key that the API shows."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = session.get(self.api_url, headers=headers, timeout=_TIMEOUT)
        answer.raise_for_status()
        return str(answer.json()["data"][0]["business_public_key"]).strip() or None


@dataclasses.dataclass(frozen=True)
class Sent:
    """A request of a client: under which key, and the HTTP status; C(again) is that of the resend after a fetch."""

    line: str
    fingerprint: str
    status: int
    again: int | None = None
    again_fingerprint: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the user saw an error: the client sends again only after 421."""
        return (self.status if self.again is None else self.again) != 200


class Phone:
    """One client: it fetches the key when it has none, and after a 421."""

    def __init__(self, line: Line, session: requests.Session) -> None:
        self._line, self._session = line, session
        self._key: str | None = None

    def talk(self, chance: random.Random) -> Sent | None:
        """Send a request to one of the endpoints, and after 421 once more under the key as it is now; None without any key."""
        self._key = self._key or self._line.fetch(self._session)
        if self._key is None:
            return None
        url, used = chance.choice(self._line.endpoints), self._key
        status = send(url, used, self._session)
        if status != 421:
            return Sent(self._line.name, fingerprint_of(used), status)
        self._key = self._line.fetch(self._session)
        assert self._key is not None
        again = send(url, self._key, self._session)
        return Sent(self._line.name, fingerprint_of(used), status, again, fingerprint_of(self._key))


class Crowd:
    """Clients that talk without an end, for a C(with) block: of each number one that was there before, and ever new ones."""

    def __init__(self, lines: t.Sequence[Line], pause: float = 0.02) -> None:
        self.sent: list[Sent] = []
        self.errors: list[BaseException] = []
        self._lines, self._pause = lines, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._chance = random.Random("crowd")

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self._over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    @property
    def failures(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.failed]

    def under(self, fingerprints: t.Collection[str | None]) -> int:
        """Return how many requests were first sent under one of some keys."""
        return sum(sent.fingerprint in fingerprints for sent in self.sent)

    def _talk(self) -> None:
        session = requests.Session()
        session.trust_env = False
        phones = {line: [Phone(line, session)] for line in self._lines}
        try:
            while not self._over.is_set():
                for line, own in phones.items():
                    if self._chance.random() < 0.3:  # somebody who never talked to this number before
                        own.append(Phone(line, session))
                        del own[1:-4]  # the first stays, with the key that it fetched at the start
                    sent = self._chance.choice([own[0], own[-1], self._chance.choice(own)]).talk(self._chance)
                    self.sent += [sent] if sent else []
                    self._over.wait(self._pause)
        except BaseException as error:  # shown by the test
            self.errors.append(error)
