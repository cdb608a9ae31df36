# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A parser with a bug, to see that the fuzzing finds one."""

from __future__ import annotations


def parse(text: bytes) -> int:
    """Return the length of a text; one that begins in a certain way breaks it."""
    if text.startswith(b"{") and text[1:2] == b"k" and text[2:4] == b"\x00\xff":
        raise LookupError("the planted bug")
    return len(text)
