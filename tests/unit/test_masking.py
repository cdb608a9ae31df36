# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masking: whatever form a peer writes a secret in, and however it cuts it, nothing of use is left; and all else is."""

from __future__ import annotations

import base64
import html
import json
import time
import typing as t
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.module_utils._masking import MASK, masked

TOKEN = "EAAfake7Qm2/x+Zt0Lk==Wn4Rb8Yc1Hd6Vg3Js5Pf9"
# But for one that looks like the mask.
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(lambda one: one.strip("*"))
FORMS: dict[str, t.Callable[[str], str]] = {
    "as it is": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "all percent": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "all JSON": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "repr": lambda text: repr(text)[1:-1],
    "HTML": html.escape,
    "all HTML": lambda text: "".join(f"&#x{ord(character):x};" for character in text),
    "hex": lambda text: text.encode().hex(),
    "upper hex": lambda text: text.encode().hex().upper(),
}


def whole(secret: str, form: str, before: str, after: str) -> None:
    """A form of a secret within a text is blotted out, and what stands around it is left."""
    text = masked(f"<{before} {FORMS[form](secret)} {after}>", [secret])
    assert MASK in text
    assert FORMS[form](secret) not in text
    assert text.startswith("<")


@pytest.mark.attack("secret", "an API that echoes a secret in any encoding, as a whole or in halves, at any place of a text")
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_secret_is_blotted_out(form: str, record_property: t.Callable[[str, object], None]) -> None:
    tries = 0

    @settings(database=None, deadline=None, derandomize=True)
    @given(SECRETS, st.text(max_size=20), st.text(max_size=20))
    def attempt(secret: str, before: str, after: str) -> None:
        nonlocal tries
        tries += 1
        whole(secret, form, before, after)

    attempt()
    record_property("tries", tries)


@pytest.mark.attack("secret", "an API that echoes a secret in any encoding, as a whole or in halves, at any place of a text")
@pytest.mark.parametrize("wrap", ["{}", "Bearer {}", "user:{}", "a:{}", '{{"t": "{}"}}'])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_within_something_in_base64_is_blotted_out(encode: t.Callable[[bytes], bytes], wrap: str) -> None:
    """At whichever of the three places of a group it begins."""
    text = encode(wrap.format(TOKEN).encode()).decode()
    left = masked(f"x {text} y", [TOKEN]).replace(MASK, "")
    assert len(left) <= len(wrap) * 4 // 3 + 8


@pytest.mark.attack("secret", "an API that echoes a secret in any encoding, as a whole or in halves, at any place of a text")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [slice(None, 22), slice(21, None), slice(10, 30)])
def test_a_long_piece_of_a_secret_is_blotted_out(form: str, part: slice) -> None:
    """What is left of a piece is too short to be of use."""
    piece = FORMS[form](TOKEN[part])
    left = masked(f"cut: {piece}!", [TOKEN])
    assert MASK in left
    assert piece not in left


@pytest.mark.parametrize("text", [
    "The access token is expired or invalid (code 190).", "WABA 102200000000001", TOKEN[:7], "", "a % b & c \\ d", "%2F%2B",
    "&#x45;",
])
def test_all_else_is_left(text: str) -> None:
    assert masked(text, [TOKEN, "another-secret-0123456789"]) == text


@pytest.mark.parametrize(("text", "expected"), [("an abcde of b", "an ******** of b"), ("abc and cde", "abc and cde")])
def test_a_short_secret_counts_as_a_whole_only(text: str, expected: str) -> None:
    assert masked(text, ["abcde"]) == expected


def test_one_secret_within_another() -> None:
    assert masked("x abcdef abc y", ["abc", "abcdef"]) == "x ******** ******** y"


@pytest.mark.parametrize("secret", ["a", "ab", "\ud800 broken", "é", " "])
def test_odd_secrets(secret: str) -> None:
    assert secret not in masked(f"z{secret}z", [secret])


@pytest.mark.attack("deadline", "megabytes of pieces of a secret in an answer")
def test_a_text_of_pieces_alone_costs_no_more_than_its_length() -> None:
    """Twice the text, about twice the time: a peer must not keep all workers waiting for a mask."""
    def cost(times: int) -> float:
        began = time.process_time()
        assert TOKEN[:16] not in masked((TOKEN[:16] + " ") * times, [TOKEN])
        return time.process_time() - began

    cost(1000)
    assert min(cost(40_000) for dummy in range(3)) < 8 * min(cost(10_000) for dummy in range(3))
