# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server of raw sockets that breaks the rules of TCP and HTTP at any point, which no web framework can; and certificates."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Paths = tuple[str, str]


class Wire:
    """The server's end of a connection. C(over) is set when the server ends."""

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        self._sock = sock
        self._over = over
        self._unread = b""

    def line(self) -> bytes:
        """Read the request line, and not a byte more of what is in HTTP's way; empty at the end."""
        return self._until(b"\r\n")

    def rest(self) -> tuple[dict[str, str], bytes]:
        """Read what follows the request line: headers and body."""
        headers = {}
        while line := self._until(b"\r\n").strip():
            name, dummy, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        while len(self._unread) < length and self._fill():
            pass
        body, self._unread = self._unread[:length], self._unread[length:]
        return headers, body

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread and self._fill():
            pass
        line, dummy, self._unread = self._unread.partition(end)
        return line

    def _fill(self) -> bool:
        piece = self._sock.recv(65536)
        self._unread += piece
        return bool(piece)

    def say(self, *pieces: bytes) -> None:
        """Send."""
        for piece in pieces:
            self._sock.sendall(piece)

    def drip(self, text: bytes, pause: float = 0.02) -> None:
        """Send a byte at a time."""
        for index in range(len(text)):
            self._sock.sendall(text[index:index + 1])
            if self._over.wait(pause):
                return

    def again_and_again(self, text: bytes, pause: float = 0.0) -> None:
        """Send the same without end."""
        while not self._over.wait(pause):
            self._sock.sendall(text)

    def hang(self) -> None:
        """Say nothing any more."""
        self._over.wait(30)

    def reset(self) -> None:
        """End the connection with RST: what was not sent yet is dropped."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


@dataclasses.dataclass(frozen=True)
class Heard:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


# What a server does instead of answering, given the body that it would have answered with. True: the connection goes on.
Act = t.Callable[[Wire, bytes], t.Optional[bool]]


def well(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer as it should be, but for headers that are given."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class RudeServer:
    """Answers what C(answer) returns, unless C(rude) has something else for a request: an act, and whether C(answer) is asked.

    C(at_once) is done to a connection before anything is read from it. C(heard) are the requests that were read to their end.
    """

    def __init__(
        self, answer: t.Callable[[Heard], bytes] = lambda heard: b"{}", *, host: str = "127.0.0.1", tls: Paths | None = None,
        at_once: t.Callable[[Wire], None] | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self.rude: t.Callable[[str, str], tuple[Act, bool] | None] = lambda method, target: None
        self._answer = answer
        self.at_once = at_once
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._context = None
        if tls is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*tls)
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64)
        self.port = int(self._listener.getsockname()[1])
        name = f"[{host}]" if ":" in host else host
        self.base_url = f"{'https' if tls else 'http'}://{name}:{self.port}"

    def __enter__(self) -> RudeServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.refuse()
        # Each thread closes its own socket: closed here, its number could be a new socket's before the thread has noticed.
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def refuse(self) -> None:
        """Take no connection any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock = self._listener.accept()[0]
                self.connections += 1
                self._open.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        # Clients leave in the middle of what is sent to them: that is what this is for.
        with contextlib.suppress(OSError, ValueError):
            try:
                if self.at_once is not None:
                    self.at_once(Wire(sock, self._over))
                    return
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
                    self._open.append(sock)
                wire = Wire(sock, self._over)
                while self._one(wire):
                    pass
            finally:
                sock.close()

    def _one(self, wire: Wire) -> bool:
        """Deal with a request; return whether another one may follow."""
        method, dummy, target = wire.line().decode("latin-1").rpartition(" ")[0].partition(" ")
        if not method:
            return False
        rude = self.rude(method, target)
        act, asked = rude or (None, True)
        if act is not None and getattr(act, "early", False):
            act(wire, b"")
            return False
        heard = Heard(method, target, *wire.rest())
        self.heard.append(heard)
        body = self._answer(heard) if asked else b'{"success": true}'
        if act is not None:
            return act(wire, body) is True
        wire.say(well(body))
        return True


def early(act: Act) -> Act:
    """Mark an act as one that comes after the request line, before the rest of the request is read."""
    t.cast(t.Any, act).early = True
    return act


# -- certificates


class Authority:
    """A CA of a test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A CA of the tests")])
        made = self._builder(self._name, self._key, datetime.timedelta(days=1)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self._key, hashes.SHA256())
        self.path = str(folder / "ca.pem")
        Path(self.path).write_bytes(made.public_bytes(Encoding.PEM))

    def certificate(self, *names: str, lasts: datetime.timedelta = datetime.timedelta(days=1)) -> Paths:
        """Write a certificate for names and addresses, and its key, into files. One that lasts for less than 0 is expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        made = self._builder(subject, key, lasts).add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        ).sign(self._key, hashes.SHA256())
        stem = self._folder / f"{made.serial_number}"
        paths = f"{stem}.pem", f"{stem}.key"
        Path(paths[0]).write_bytes(made.public_bytes(Encoding.PEM))
        Path(paths[1]).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: datetime.timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30)).not_valid_after(now + lasts)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
