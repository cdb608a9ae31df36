# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties: what must hold for whatever is fed, which hypothesis tries to break with examples that are the same in each run.

Each is proven with few examples in C(make test), and with many in C(make slow).
"""

from __future__ import annotations

import random
import typing as t
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, configuration, given, seed, settings
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.module_utils import _errors

ROOT = Path(_errors.__file__).parents[2]
# Hypothesis keeps tables of characters in a folder, which would be in the checkout otherwise.
configuration.set_hypothesis_home_dir(ROOT / ".build" / "hypothesis")

_DEEPER = 5
_DEPTHS = [pytest.param((1, "quick"), id="quick"), pytest.param((_DEEPER, "deep"), id="deep", marks=pytest.mark.slow)]


class Prove:
    """Runs a property with examples, and tells the report of tests how many they were."""

    def __init__(self, depth: tuple[int, str], record_property: t.Callable[[str, object], None]) -> None:
        self._factor, self._name = depth
        self._record = record_property

    def __call__(self, law: t.Callable[..., object], examples: int, /, **drawn: st.SearchStrategy[t.Any]) -> None:
        """Call C(law) with examples of what is C(drawn); C(examples) is how many are enough for the quick run."""
        tries = 0

        # Another seed for each law and depth; without a database each run is the same.
        @seed(zlib.crc32(f"{law.__module__}.{law.__qualname__} {self._name}".encode()))
        @settings(max_examples=examples * self._factor, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                  phases=(Phase.generate, Phase.shrink), print_blob=False)
        @given(**drawn)
        def run(**example: t.Any) -> None:
            nonlocal tries
            tries += 1
            law(**example)

        try:
            run()
        finally:
            self._record("tries", tries)


@pytest.fixture(name="prove", params=_DEPTHS)
def prove_fixture(request: pytest.FixtureRequest, record_property: t.Callable[[str, object], None]) -> Prove:
    """Proves properties, quickly and deeply."""
    return Prove(request.param, record_property)


# -- what is drawn

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # halves of surrogate pairs as well
ODD_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 10**400, 1e308, float("inf"), float("-inf"), float("nan"), 2**63, 0.5]),
)


def json_values(names: t.Sequence[str] = (), leaves: t.Sequence[t.Any] = ()) -> st.SearchStrategy[t.Any]:
    """Any JSON value, with these names of members and these leaves more often than others."""
    # Made of a seed, as hypothesis takes a hundred times as long to draw each value of a tree by itself.
    return st.integers(0, 2**48).map(lambda number: _json_value(random.Random(number), names, leaves, 4))


_TEXTS = ("", " ", "0", "a", "null", "\x00", "\u2028", "\ud800", "\U0001f511", "é" * 9, "x" * 300, "<b>", "{{ 1 }}",
          "-----BEGIN", "\n")
_NUMBERS = (0, 1, -1, 7, 0.5, -0.0, 10**15, 10**400, 1e308, float("inf"), float("-inf"), float("nan"), 2**63)


def _json_value(dice: random.Random, names: t.Sequence[str], leaves: t.Sequence[t.Any], depth: int) -> t.Any:
    kind = dice.random()
    if depth and kind < 0.35:
        chosen = (dice.choice(names) if names and dice.random() < 0.9 else _any_text(dice) for dummy in range(dice.randrange(6)))
        return {name: _json_value(dice, names, leaves, depth - 1) for name in chosen}
    if depth and kind < 0.5:
        return [_json_value(dice, names, leaves, depth - 1) for dummy in range(dice.randrange(4))]
    if leaves and kind < 0.8:
        return dice.choice(leaves)
    return dice.choice([None, True, False, dice.choice(_NUMBERS), dice.randrange(-1000, 1000), _any_text(dice)])


def _any_text(dice: random.Random) -> str:
    if dice.random() < 0.5:
        return dice.choice(_TEXTS)
    return "".join(chr(dice.choice((dice.randrange(32, 127), dice.randrange(0x110000)))) for dummy in range(dice.randrange(12)))


def nested(depth: int, inner: str, opening: str = "[") -> str:
    """JSON text of a value within so many arrays or objects."""
    closing = "]" if opening == "[" else "}"
    return opening * depth + inner + closing * depth


# Deeper than any parser's stack, and as deep as one bears while what reads the value may not.
DEPTHS = st.one_of(st.integers(1, 60), st.integers(700, 1000), st.sampled_from([5_000, 100_000]))
NESTED = st.builds(nested, DEPTHS, st.sampled_from(["", "1", '"x"', "{}"])) | st.builds(
    lambda depth, inner: '{"error": ' * depth + inner + "}" * depth, DEPTHS, st.sampled_from(["1", '"x"', "[]"]))


def mutations(size: int = 6) -> st.SearchStrategy[list[tuple[str, float, t.Any]]]:
    """Changes of a text: what is done, where (as a share of its length), and with what."""
    places = st.floats(0, 1)
    return st.lists(st.one_of(
        st.tuples(st.just("cut"), places, st.integers(1, 80)),
        st.tuples(st.just("insert"), places, st.one_of(ANY_TEXT, st.sampled_from(
            ["\r\n", "\n", "\\n", "\\r\\n", "-----", "\x00", " ", "=", "Proc-Type: 4,ENCRYPTED\n", "-----BEGIN PUBLIC KEY-----",
             "-----END PUBLIC KEY-----", "-----BEGIN RSA PRIVATE KEY-----\n", "\ufeff"]))),
        st.tuples(st.just("double"), places, st.integers(1, 400)),
        st.tuples(st.just("turn"), places, st.integers(0, 0x10FFFF)),
        st.tuples(st.just("swap"), st.sampled_from([0.0]), st.sampled_from(
            [("\n", "\r\n"), ("\n", "\\n"), ("\n", ""), ("\n", " "), ("PUBLIC", "PRIVATE"), ("PRIVATE", "PUBLIC"),
             ("-----", "----"), ("RSA ", ""), ("END", "BEGIN"), ("ENCRYPTED ", ""), ("=", "")])),
    ), max_size=size)


def mutated(text: str, changes: t.Sequence[tuple[str, float, t.Any]]) -> str:
    """Return a text after these changes."""
    for kind, share, what in changes:
        place = int(share * len(text))
        if kind == "cut":
            text = text[:place] + text[place + what:]
        elif kind == "insert":
            text = text[:place] + what + text[place:]
        elif kind == "double":
            text = text[:place + what] + text[place:]
        elif kind == "turn":
            text = text[:place] + chr(what) + text[place + 1:]
        else:
            text = text.replace(*what)
    return text
