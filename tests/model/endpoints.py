# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Endpoints that decrypt with what is deployed to them, in a thread of this process, and that can be made to fail."""

from __future__ import annotations

import base64
import http.server
import json
import os
import threading
import typing as t
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .keys import opened, opened_fingerprint

_OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


class Program:
    """A program on an endpoint host. While it is C(stuck) it does not notice new manifests; C(down) it answers 503."""

    def __init__(self, name: str, folder: Path, passphrase: str, key_names: list[str] | None) -> None:
        self.name, self.folder, self.key_names = name, folder, key_names
        self.stuck = self.down = False
        self._passphrase = passphrase
        self._loaded: dict[str, rsa.RSAPrivateKey] = {}
        self._stamps: object = None

    def restart(self) -> None:
        """Start anew with what lies on its disk."""
        self.stuck = self.down = False
        self._stamps = None

    def keys(self) -> dict[str, rsa.RSAPrivateKey]:
        """Return the keys that it has loaded, by fingerprint; it loads them anew when a manifest changed."""
        manifests = sorted(self.folder.glob("*/manifest.json"))
        stamps = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in manifests]
        if stamps != self._stamps and not (self.stuck and self._stamps is not None):
            found = {}
            for manifest in manifests:
                for row in json.loads(manifest.read_bytes())["keys"]:
                    pem = (manifest.parent / row["file"]).read_bytes()
                    key = opened(pem, self._passphrase)
                    if key and opened_fingerprint(pem, self._passphrase) == row["fingerprint"]:
                        found[row["fingerprint"]] = key
            self._loaded, self._stamps = found, stamps
        return self._loaded

    def answer(self, body: bytes) -> tuple[int, bytes, str | None]:
        """Return status and body for a Flow request, and the fingerprint of the key that decrypted it."""
        if self.down:
            return 503, b"", None
        members = {name: base64.b64decode(text) for name, text in json.loads(body).items()}
        for fingerprint, key in reversed(self.keys().items()):
            try:
                cipher = AESGCM(key.decrypt(members["encrypted_aes_key"], _OAEP))
                cipher.decrypt(members["initial_vector"], members["encrypted_flow_data"], None)
            except (ValueError, InvalidTag):
                continue
            inverted = bytes(255 - byte for byte in members["initial_vector"])
            text = cipher.encrypt(inverted, b'{"data": {"status": "active"}}', None)
            return 200, base64.b64encode(text), fingerprint
        return 421, b"", None


def message(public_pem: str) -> bytes:
    """Return a Flow message as a phone sends it under a public key."""
    key = t.cast(rsa.RSAPublicKey, serialization.load_pem_public_key(public_pem.encode()))
    secret, iv = os.urandom(16), os.urandom(16)
    parts = {
        "encrypted_flow_data": AESGCM(secret).encrypt(iv, b'{"version": "3.0", "action": "data_exchange"}', None),
        "encrypted_aes_key": key.encrypt(secret, _OAEP), "initial_vector": iv,
    }
    return json.dumps({name: base64.b64encode(value).decode() for name, value in parts.items()}).encode()


class Endpoints:
    """The programs behind one address, told apart by the path. C(proven) is called with each key that one has decrypted with."""

    def __init__(self, proven: t.Callable[[str, str], None]) -> None:
        self.programs: dict[str, Program] = {}
        self._proven = proven
        endpoints = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = endpoints.answer(self.path.strip("/"), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def answer(self, name: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of a program's answer."""
        status, text, fingerprint = self.programs[name].answer(body)
        if fingerprint:
            self._proven(name, fingerprint)
        return status, text

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
