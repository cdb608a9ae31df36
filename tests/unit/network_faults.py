# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one table of what networks, proxies and APIs do wrong, and of what is to be said of each."""

from __future__ import annotations

import dataclasses
import gzip
import json
import typing as t

from ansible_collections.waba.flows.tests.unit.rude_server import Act, Wire, early, well

CUT, TIME, OVER, RUBBISH = "ConnectionFailed", "Timeout", "DeadlineExceeded", "InvalidAnswer"
API, END = "ApiError", "EndpointError"


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that a server does instead of answering.

    C(error) is C(error.type) in a result of the modules of the API, C(ping) that of a ping; None: it does no harm there.
    C(hides): a request that changes something may have been applied. C(slow): it ends only with the time that there is.
    C(of_all): it keeps others who use the same credential from calling as well. C(again): sending a key again can help, although
    reading again does not.
    """

    name: str
    act: Act
    error: str | None
    retryable: bool = False
    ping: str | None = ""
    hides: bool = True
    slow: bool = False
    of_all: bool = False
    again: bool = False

    @property
    def times(self) -> dict[str, float]:
        """The options by which it ends soon where it would not by itself."""
        if not self.slow:
            return {"timeout": 10.0, "total_timeout": 20.0}
        return {"timeout": 0.3, "total_timeout": 3.0 if self.error == TIME else 0.7}

    @property
    def of_ping(self) -> str | None:
        return self.error if self.ping == "" else self.ping


def _say(make: t.Callable[[bytes], bytes], then: t.Callable[[Wire], None] = lambda wire: None) -> Act:
    """Send what is made of the proper body, then end the connection, or do something else."""
    def act(wire: Wire, body: bytes) -> bool:
        wire.say(make(body))
        then(wire)
        return False
    return act


def _end_well(make: t.Callable[[bytes], bytes]) -> Act:
    """Send what is made of the proper body, and take the next request."""
    def act(wire: Wire, body: bytes) -> bool:
        wire.say(make(body))
        return True
    return act


def _answer(status: str, content: bytes = b"", *headers: str) -> Act:
    return _end_well(lambda body: well(content, status, *headers))


def _document(value: t.Any, status: str = "200 OK") -> Act:
    return _answer(status, value if isinstance(value, bytes) else json.dumps(value).encode())


def _head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", *headers, "", ""]).encode("latin-1")


def _lengths(*lengths: str, then: t.Callable[[Wire], None] = lambda wire: None) -> Act:
    return _say(lambda body: _head(*(f"Content-Length: {length}" for length in lengths)) + body, then)


def _drip_after(start: t.Callable[[bytes], bytes], end: t.Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire, body: bytes) -> None:
        wire.say(start(body))
        wire.drip(end(body))
    return act


def _reset(after: t.Callable[[bytes], bytes]) -> Act:
    return _say(after, Wire.reset)


FAULTS = [
    # -- connections that end
    Fault("reset after the request line", early(lambda wire, body: wire.reset()), CUT, True),
    Fault("reset before the status", lambda wire, body: wire.reset(), CUT, True),
    Fault("closed before the status", lambda wire, body: None, CUT, True),
    Fault("reset within the headers", _reset(lambda body: well(body)[:30]), CUT, True),
    Fault("reset within the body", _reset(lambda body: well(body)[:-5]), CUT, True),
    Fault("closed within the status", _say(lambda body: b"HTTP/1."), RUBBISH, True),
    Fault("closed within the headers", _say(lambda body: well(body)[:30]), RUBBISH, ping=END),
    Fault("half a body", _say(lambda body: well(body)[:-len(body) // 2]), CUT, True),
    # -- too slow
    Fault("silence", lambda wire, body: wire.hang(), TIME, True, slow=True),
    Fault("silence within the headers", _say(lambda body: well(body)[:30], Wire.hang), TIME, True, slow=True),
    Fault("silence within the body", _say(lambda body: well(body)[:-5], Wire.hang), TIME, True, slow=True),
    Fault("a drip of the status", lambda wire, body: wire.drip(b"HTTP/1.1 200 " + b"O" * 9999), OVER, slow=True),
    Fault("a drip of headers", _drip_after(lambda body: b"HTTP/1.1 200 OK\r\n", lambda body: b"X-A: b\r\n" * 999), OVER,
          slow=True),
    Fault("a drip of one header", _drip_after(lambda body: b"HTTP/1.1 200 OK\r\nX: ", lambda body: b"x" * 9999), OVER, slow=True),
    Fault("a drip of the body", _drip_after(lambda body: _head("Content-Length: 9999"), lambda body: b" " * 9999), OVER,
          slow=True),
    Fault("a drip of a chunk's size", _drip_after(
        lambda body: _head("Transfer-Encoding: chunked"), lambda body: b"1;" + b"x" * 9999), OVER, slow=True),
    Fault("a drip of trailers", _drip_after(
        lambda body: _head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", lambda body: b"X-A: b\r\n" * 999),
        OVER, slow=True),
    Fault("100 Continue without end", lambda wire, body: wire.again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01), OVER,
          slow=True),
    # -- lengths and chunks
    Fault("a length that is too short", _end_well(lambda body: _head(f"Content-Length: {len(body) - 3}") + body), RUBBISH,
          ping=END),
    Fault("a length that is too long", _say(lambda body: _head(f"Content-Length: {len(body) + 3}") + body), CUT, True),
    Fault("10 GB promised", _lengths("10000000000", then=Wire.hang), TIME, True, slow=True),
    Fault("two lengths", _lengths("5", "7"), RUBBISH, True),
    Fault("a length below zero", _lengths("-5"), None),
    Fault("a length in words", _lengths("five"), None),
    Fault("a length in superscript", _lengths("\xb2"), None),
    Fault("a length of 5,000 digits", _lengths("9" * 5000), None),
    Fault("no length and no end", _say(lambda body: _head() + body, Wire.hang), TIME, True, slow=True),
    Fault("a chunk of no size", _say(lambda body: _head("Transfer-Encoding: chunked") + b"xyz\r\n" + body), CUT, True),
    Fault("a chunk cut off", _say(lambda body: _head("Transfer-Encoding: chunked") + b"ffff\r\n" + body), CUT, True),
    Fault("a chunk of a negative size", _say(lambda body: _head("Transfer-Encoding: chunked") + b"-5\r\n" + body), CUT, True),
    # -- not HTTP
    Fault("another protocol", _say(lambda body: b"SSH-2.0-OpenSSH_9.6\r\n"), RUBBISH, True),
    Fault("bytes of chance", _say(lambda body: bytes(range(256)) * 8), RUBBISH, True),
    Fault("a TLS alert", _say(lambda body: b"\x15\x03\x01\x00\x02\x02\x28"), RUBBISH, True),
    Fault("1,000 headers", _say(lambda body: _head(*(f"X-{index}: 1" for index in range(1000))) + body), RUBBISH, True),
    Fault("a header of 100 kB", _say(lambda body: _head("X-A: " + "a" * 100_000) + body), RUBBISH, True),
    # -- not the API
    Fault("a page of HTML", _answer("200 OK", b"<html><body>Sign in</body></html>", "Content-Type: text/html"), RUBBISH,
          ping=END),
    Fault("a page of a gateway", _answer("502 Bad Gateway", b"<html>Bad gateway</html>"), API, True, ping=END),
    Fault("an empty body", _answer("200 OK"), RUBBISH, ping=END),
    Fault("204", _answer("204 No Content"), RUBBISH, ping=END),
    Fault("103 alone", _say(lambda body: b"HTTP/1.1 103 Early Hints\r\n\r\n"), RUBBISH),
    Fault("10 MB", _answer("200 OK", b" " * 10_000_000), RUBBISH),
    Fault("a bomb of gzip", _answer("200 OK", gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip"), RUBBISH, ping=END),
    Fault("another content type", _end_well(
        lambda body: _head(f"Content-Length: {len(body)}").replace(b"application/json", b"image/png") + body), None),
    Fault("not UTF-8", _document(b'{"data": [], "x": "\xff\xfe"}'), RUBBISH, ping=END),
    Fault("UTF-16", _document('{"data": []}'.encode("utf-16")), RUBBISH, ping=END),
    Fault("a byte order mark", _end_well(lambda body: well(b"\xef\xbb\xbf" + body)), RUBBISH, ping=END),
    Fault("a member twice",
          _end_well(lambda body: well(body[:-1] + b', "data": [], "success": true, "success": true}')), RUBBISH, ping=END),
    Fault("half of JSON", _document(b'{"data": ['), RUBBISH, ping=END),
    Fault("a list", _document([]), RUBBISH, ping=END, again=True),
    Fault("null", _document(None), RUBBISH, ping=END),
    Fault("a word", _document("success"), RUBBISH, ping=END),
    Fault("a number", _document(1), RUBBISH, ping=END),
    Fault("NaN", _document(b'{"data": NaN, "success": NaN}'), RUBBISH, ping=END, again=True),
    Fault("huge integers", _document(b'{"data": [%s], "success": 1%s}' % (b"9" * 4000, b"0" * 4000)), RUBBISH, ping=END,
          again=True),
    Fault("an integer of 100,000 digits", _document(b'{"data": [' + b"9" * 100_000 + b"]}"), RUBBISH, ping=END),
    Fault("100,000 brackets", _document(b"[" * 100_000), RUBBISH, ping=END),
    Fault("100,000 brackets in an object", _document(b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), RUBBISH, ping=END),
    Fault("an error that is a list", _document({"error": []}), RUBBISH, ping=END),
    Fault("an error of odd members", _document({"error": {"code": [], "message": {}, "type": None, "error_data": 7}}), API,
          ping=END,
          hides=False),
    # -- refusals
    Fault("401", _document({"error": {"message": "Invalid token", "type": "OAuthException", "code": 190}}, "401 Unauthorized"),
          "OAuthException", ping=END, hides=False),
    Fault("404 with HTML", _answer("404 Not Found", b"<html>", "Content-Type: text/html"), API, ping=END, hides=False),
    Fault("407 of a proxy", _answer("407 Proxy Authentication Required", b"<html>"), API, ping=END, hides=False),
    Fault("429", _answer("429 Too Many Requests"), API, True, ping=END, hides=False),
    Fault("429 for 30,000 years", _answer("429 Too Many Requests", b"", "Retry-After: 1000000000000"), API, True, ping=END,
          hides=False, of_all=True),
    Fault("429 for ever", _answer("429 Too Many Requests", b"", "Retry-After: inf"), API, True, ping=END, hides=False,
          of_all=True),
    Fault("429 until a date", _answer("429 Too Many Requests", b"", "Retry-After: Wed, 21 Oct 2065 07:28:00 GMT"), API, True,
          ping=END,
          hides=False),
    Fault("429 for less than no time", _answer("429 Too Many Requests", b"", "Retry-After: -5"), API, True, ping=END,
          hides=False),
    Fault("500", _answer("500 Internal Server Error"), API, True, ping=END),
    Fault("503", _answer("503 Service Unavailable"), API, True, ping=END),
    Fault("a status that nobody knows", _answer("799 What"), API, True, ping=END),
    *(Fault(f"{code} to another host", _answer(f"{code} Moved", b"", "Location: https://elsewhere.example/"), RUBBISH)
      for code in (301, 302, 303, 307, 308)),
    Fault("304", _answer("304 Not Modified"), RUBBISH),
]
