# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A WhatsApp Flows endpoint that decrypts with every key that is deployed to it. Copy it, and replace answer().

    WHATSAPP_ENDPOINT_PASSPHRASE=… WHATSAPP_APP_SECRET=… python flow_endpoint.py --keys /etc/whatsapp-flows/endpoint-keys

It needs aiohttp and cryptography, and speaks plain HTTP: put your TLS proxy in front. Keys are read again when a manifest.json or
a key file changes, and on SIGHUP. How it all fits together: docs/endpoints.md of the Ansible collection waba.flows.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, Optional

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger("flow_endpoint")
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
Stamp = Optional[tuple[int, int, int]]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Replace this: return what the client is to show next. What it raises becomes HTTP 500, unless it is a web.HTTPException."""
    return {"screen": "SUCCESS", "data": {}}


@dataclasses.dataclass(frozen=True)
class Key:
    """A private key in memory, with the file that it came from as it was then."""

    private: rsa.RSAPrivateKey = dataclasses.field(repr=False)
    source: tuple[Path, Stamp]


class Keys:
    """The private keys that the manifests <folder>/<key name>/manifest.json name, newest first."""

    def __init__(self, folder: Path, key_names: list[str], passphrases: list[bytes]) -> None:
        self._folder, self._key_names, self._passphrases = folder, key_names, passphrases
        self._named: dict[Path, list[tuple[Path, str]]] = {}  # manifest → its key files and their fingerprints
        self._opened: dict[str, Key] = {}  # by fingerprint
        self._stamps: dict[Path, Stamp] = {}

    def usable(self) -> list[rsa.RSAPrivateKey]:
        """Return the keys, read again if a file changed since the last time."""
        files = [file for named in self._named.values() for file, dummy in named]
        if self._stamps != {path: stamp_of(path) for path in [*self._manifests(), *files]}:
            self.read()
        return [key.private for key in self._opened.values()]

    def read(self, every_file: bool = False) -> None:
        """Read the manifests, and the key files that are new or changed (or all). What cannot be read stays as it was."""
        named: dict[Path, list[tuple[Path, str]]] = {}
        opened: dict[str, Key] = {}
        stamps: dict[Path, Stamp] = {}
        for manifest in self._manifests():
            stamps[manifest] = stamp_of(manifest)  # taken first, so that a change while it is read is seen next time
            try:
                named[manifest] = files_of(manifest)
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("%s cannot be read (%s)", manifest, type(error).__name__)
                named[manifest] = self._named.get(manifest, [])
            for file, fingerprint in named[manifest]:
                stamps[file] = stamp_of(file)
                key = self._opened.get(fingerprint)
                if every_file or key is None or key.source != (file, stamps[file]):
                    private = self._open(file, fingerprint)
                    key = Key(private, (file, stamps[file])) if private else key
                if key:
                    opened.setdefault(fingerprint, key)
        self._named, self._opened, self._stamps = named, opened, stamps
        log.info("%d keys: %s", len(opened), ", ".join(opened) or "none")

    def _manifests(self) -> list[Path]:
        found = sorted(self._folder.glob("*/manifest.json"))
        return [path for path in found if not self._key_names or path.parent.name in self._key_names]

    def _open(self, file: Path, fingerprint: str) -> rsa.RSAPrivateKey | None:
        for passphrase in self._passphrases:
            try:
                key = serialization.load_pem_private_key(file.read_bytes(), passphrase)
            except Exception:  # noqa: S112 (a missing file, a wrong passphrase, half a file …: said below)
                continue
            if isinstance(key, rsa.RSAPrivateKey) and fingerprint_of(key) == fingerprint:
                return key
        log.error("%s cannot be opened, or is not the key %s", file, fingerprint)
        return None


def stamp_of(path: Path) -> Stamp:
    """Return what tells whether a file changed, or None if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def files_of(manifest: Path) -> list[tuple[Path, str]]:
    """Return the key files that a manifest names, newest first, with their fingerprints."""
    document = json.loads(manifest.read_bytes())
    if document["schema"] != 1:
        raise ValueError("unknown schema")
    return [(manifest.parent / Path(row["file"]).name, str(row["fingerprint"])) for row in document["keys"]]


def fingerprint_of(key: rsa.RSAPrivateKey) -> str:
    """Return the fingerprint of the public half: SHA256: and unpadded base64, as OpenSSH prints them."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


class Endpoint:
    """Answers Flow requests."""

    def __init__(self, keys: Keys, app_secret: bytes) -> None:
        self._keys, self._app_secret = keys, app_secret

    async def handle(self, request: web.Request) -> web.Response:
        """Answer, or fail without a word about why: the client has no use for it, and others must not have it."""
        try:
            return self._respond(await request.read(), request.headers.get("X-Hub-Signature-256", ""))
        except web.HTTPException:
            raise
        except Exception as error:  # its text may hold what the user typed, so only kind and place are logged
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)
            return web.Response(status=500)

    def _respond(self, body: bytes, signature: str) -> web.Response:
        if self._app_secret and not is_signed(body, signature, self._app_secret):
            return web.Response(status=432)
        try:
            document = json.loads(body)
            members = ("encrypted_aes_key", "initial_vector", "encrypted_flow_data")
            wrapped_key, iv, data = (base64.b64decode(document[name], validate=True) for name in members)
        except (ValueError, KeyError, TypeError, RecursionError):
            return web.Response(status=400)
        for private in self._keys.usable():
            try:
                cipher = AESGCM(private.decrypt(wrapped_key, OAEP))
                text = cipher.decrypt(iv, data, None)
            except (ValueError, InvalidTag):
                continue
            request = json.loads(text)
            reply = {"data": {"status": "active"}} if request["action"] == "ping" else answer(request)
            inverted_iv = bytes(byte ^ 0xFF for byte in iv)
            return web.Response(text=base64.b64encode(cipher.encrypt(inverted_iv, json.dumps(reply).encode(), None)).decode())
        return web.Response(status=421)  # has the client fetch the public key again


def is_signed(body: bytes, signature: str, app_secret: bytes) -> bool:
    """Tell whether a raw body was signed with the app secret."""
    expected = "sha256=" + hmac.new(app_secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))


async def serve(options: argparse.Namespace, keys: Keys, app_secret: bytes) -> None:
    """Serve until SIGTERM or SIGINT."""
    app = web.Application()
    app.router.add_post("/{path:.*}", Endpoint(keys, app_secret).handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, options.host, options.port).start()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, keys.read, True)
    host, port = runner.addresses[0][:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    log.info("listening on %s", url)
    if options.ready_file:
        unfinished = options.ready_file.with_name(options.ready_file.name + ".tmp")
        unfinished.write_text(url)
        unfinished.replace(options.ready_file)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Read the options and the environment, and serve."""
    parser = argparse.ArgumentParser(description="A WhatsApp Flows endpoint.")
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help="folder with a folder for each key name")
    parser.add_argument("--key-name", action="append", default=[], help="use only this key; can be repeated (default: all)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="written with the URL once requests are answered")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL + 1)  # its messages can quote requests
    names = ("WHATSAPP_ENDPOINT_PASSPHRASE", "WHATSAPP_ENDPOINT_PREVIOUS_PASSPHRASE")
    passphrases = [os.environb[name.encode()] for name in names if os.environ.get(name)]
    if not passphrases:
        sys.exit(f"{names[0]} is not set.")
    keys = Keys(options.keys, options.key_name, passphrases)
    keys.read()
    asyncio.run(serve(options, keys, os.environb.get(b"WHATSAPP_APP_SECRET", b"")))


if __name__ == "__main__":
    main()
