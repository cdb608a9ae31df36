# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Connections for requests that keep a deadline at every step: name, addresses, proxy, TLS, headers, body.

A timeout of a socket is for one piece that arrives, so that a peer which sends a byte now and then is never too slow for it.
Here the time for each piece is taken from what is left of the whole.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import typing as t

try:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
except ImportError:
    LIBRARY = False
else:
    LIBRARY = True


class OutOfTime(Exception):
    """An answer, or a proxy's, was still arriving at the end of the time for all of it."""


class Attempt:
    """The time of one request: C(timeout) seconds for each piece, and what C(remaining) says for all of it.

    C(unsent): nothing of the request can have been sent, as there is no connection to its host yet.
    """

    def __init__(self, timeout: float, remaining: t.Callable[[], float]) -> None:
        self._timeout = timeout
        self.remaining = remaining
        self.unsent = True

    def left(self) -> float:
        """Return the seconds that the next step may take; always more than 0, which would mean not to wait at all."""
        return max(0.001, min(self._timeout, self.remaining()))


class _Current(threading.local):
    attempt: Attempt


_CURRENT = _Current()


@contextlib.contextmanager
def attempt_of(timeout: float, remaining: t.Callable[[], float]) -> t.Iterator[Attempt]:
    """Have this thread's request, and the reading of its answer, keep to an attempt's time."""
    _CURRENT.attempt = Attempt(timeout, remaining)
    try:
        yield _CURRENT.attempt
    finally:
        del _CURRENT.attempt


class _Reader(io.RawIOBase):
    """The receiving side of a socket, with the time that is left as the timeout of each piece."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._any = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        attempt = _CURRENT.attempt
        if attempt.remaining() <= 0:
            raise OutOfTime
        self._sock.settimeout(attempt.left())
        try:
            count = self._raw.readinto(buffer)
        except socket.timeout:
            if self._any and attempt.remaining() <= 0:
                raise OutOfTime from None
            raise
        self._any = True
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read through _Reader, that of a proxy to CONNECT included."""

    def __init__(self, sock: socket.socket, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Reader(sock, self.fp.detach()))


class _Bounded:
    """What connections by http and https have in common."""

    response_class = _Response
    _dns_host: str
    timeout: float
    sock: socket.socket | None
    port: int

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _CURRENT.attempt.unsent = False

    def request(self, *arguments: t.Any, **options: t.Any) -> None:
        _CURRENT.attempt.unsent = self.sock is None
        super().request(*arguments, **options)  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        """Try one address of the host after the other, all of them within the time that is left."""
        attempt, name = _CURRENT.attempt, self._dns_host
        failure: Exception | None = None
        for address in self._addresses(attempt):
            if failure is not None and attempt.remaining() <= 0:
                break
            self._dns_host, self.timeout = address, attempt.left()
            try:
                sock: socket.socket = super()._new_conn()  # type: ignore[misc]
            except (NewConnectionError, ConnectTimeoutError) as error:
                failure = error
                continue
            finally:
                self._dns_host = name
            sock.settimeout(attempt.left())  # of what follows, which is TLS
            return sock
        raise failure or NewConnectionError(t.cast(t.Any, self), "The name has no address")

    def _addresses(self, attempt: Attempt) -> list[str]:
        """Return the addresses of the host, which nobody waits for longer than there is time. Raises errors of urllib3."""
        found: list[t.Any] = []

        def resolve() -> None:
            try:
                found.append([row[4][0] for row in socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)])
            except (OSError, UnicodeError) as error:
                found.append(error)

        # The system's resolver cannot be told how long it may take, nor be stopped.
        thread = threading.Thread(target=resolve, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # as many threads as the machine allows: then it takes its time
            resolve()
        else:
            thread.join(attempt.left())
        if not found:
            raise ConnectTimeoutError(self, "The name was not resolved in time")
        if isinstance(found[0], Exception):
            raise NewConnectionError(t.cast(t.Any, self), "The name was not resolved") from found[0]
        return list(dict.fromkeys(found[0]))

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        if self.sock is not None:
            self.sock.settimeout(_CURRENT.attempt.left())


if LIBRARY:

    class _Http(_Bounded, HTTPConnection):  # type: ignore[misc]
        """See _Bounded."""

    class _Https(_Bounded, HTTPSConnection):  # type: ignore[misc]
        """See _Bounded."""

    class _HttpPool(HTTPConnectionPool):
        ConnectionCls = _Http  # type: ignore[assignment]

    class _HttpsPool(HTTPSConnectionPool):
        ConnectionCls = _Https  # type: ignore[assignment]

    _POOLS = {"http": _HttpPool, "https": _HttpsPool}

    class BoundedAdapter(HTTPAdapter):
        """The way by which a session gets such connections, through an http or https proxy as well."""

        def init_poolmanager(self, *arguments: t.Any, **options: t.Any) -> None:
            super().init_poolmanager(*arguments, **options)
            self.poolmanager.pool_classes_by_scheme = _POOLS

        def proxy_manager_for(self, *arguments: t.Any, **options: t.Any) -> t.Any:
            manager = super().proxy_manager_for(*arguments, **options)
            if isinstance(manager, ProxyManager):
                manager.pool_classes_by_scheme = _POOLS
            else:  # a SOCKS proxy has connections of its own, which do not tell what was sent
                _CURRENT.attempt.unsent = False
            return manager
