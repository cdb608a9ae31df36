# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Secrets out of texts of a peer's: in whatever form it wrote them, and pieces of them as well. Pure."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import typing as t
from urllib.parse import quote, quote_plus

MASK = "********"

# Secrets shorter than this count as a whole only: their halves are words that any message may have.
_DIVISIBLE = 16
_SHORTEST_PIECE = 8
_LONGEST_PIECE = 16
# What is left of one or two characters in base64 is in many a word.
_SHORTEST_FORM = 4
# Forms that need one of these are not looked for in a text without it, which is most texts.
_MARKS = ("%", "&", "\\")


class Form(t.NamedTuple):
    """One form of a secret, the number of its characters in a row that are too many to show, and what every such text has."""

    text: str
    shortest: int
    mark: str


@functools.lru_cache(maxsize=512)
def forms_of(secret: str) -> tuple[Form, ...]:
    """Return a secret as it is, and as peers may echo it: percent-encoded, escaped, as entities, in base64 or hex digits."""
    piece = len(secret)
    if piece >= _DIVISIBLE:
        piece = max(_SHORTEST_PIECE, min(_LONGEST_PIECE, piece // 2))
    found = {}
    for text in _texts(secret):
        if text != secret and len(text) < _SHORTEST_FORM:
            continue
        shortest = max(1, piece * len(text) // len(secret))
        found[text] = Form(text, shortest, next((mark for mark in _MARKS if mark in text and mark not in secret), ""))
    return tuple(found.values())


def _texts(secret: str) -> t.Iterator[str]:
    octets = secret.encode(errors="replace")
    yield secret
    for quoted in (quote(secret, "", errors="replace"), quote(secret, errors="replace"), quote_plus(secret, errors="replace"),
                   "".join(f"%{octet:02X}" for octet in octets)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), quoted)
    yield html.escape(secret)
    escaped = json.dumps(secret)[1:-1]
    yield from (escaped, escaped.replace("/", "\\/"), repr(secret)[1:-1])
    for each in ("&#{:d};", "&#x{:x};", "&#x{:X};", "\\u{:04x}", "\\u{:04X}", "\\x{:02x}", "\\x{:02X}", "{:02x}", "{:02X}"):
        yield "".join(each.format(ord(character)) for character in secret)
    yield octets.hex()
    yield octets.hex().upper()
    for before in range(3):  # what stands before it shifts the digits; those at the ends depend on their neighbours
        digits = base64.b64encode(bytes(before) + octets).decode()[-(-before * 8 // 6):]
        digits = digits[:(before + len(octets)) * 8 // 6 - -(-before * 8 // 6)]
        yield digits
        yield digits.replace("+", "-").replace("/", "_")


def masked(text: str, secrets: t.Iterable[str]) -> str:
    """Return a text with every form of some secrets blotted out, the longest first, and then every long piece of one."""
    forms = sorted((form for secret in secrets for form in forms_of(secret)), key=lambda form: len(form.text), reverse=True)
    for form in forms:
        text = text.replace(form.text, MASK)
    for form in forms:
        if form.mark in text and form.shortest < len(form.text):
            text = _without_pieces(text, form)
    return text


def _without_pieces(text: str, form: Form) -> str:
    """A run of the shortest length holds one of the blocks that the form divides into, and is found by it."""
    size = max(1, (form.shortest + 1) // 2)
    runs = set()
    for start in range(0, len(form.text) - size + 1, size):
        block = form.text[start:start + size]
        at = text.find(block)
        while at >= 0:
            runs.add(_run(text, at, form.text, start, size))
            at = text.find(block, at + 1)
    return _without(text, sorted(run for run in runs if run[1] - run[0] >= form.shortest))


def _without(text: str, runs: t.Iterable[tuple[int, int]]) -> str:
    """Return a text with a mask for each run; built once, so that a text of nothing but runs costs no more than its length."""
    kept, done = [], 0
    for begin, end in runs:
        if begin >= done:
            kept += [text[done:begin], MASK]
        done = max(done, end)
    return "".join([*kept, text[done:]])


def _run(text: str, at: int, form: str, start: int, size: int) -> tuple[int, int]:
    """Return from where to where a text and a form go together around a block that both have."""
    before, after = 0, size
    while before < min(at, start) and text[at - before - 1] == form[start - before - 1]:
        before += 1
    while at + after < len(text) and start + after < len(form) and text[at + after] == form[start + after]:
        after += 1
    return at - before, at + after
