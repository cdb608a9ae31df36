# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API refuses, in AWX's words and shapes."""

from __future__ import annotations

import typing as t

Body = dict[str, t.Any]


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, body: Body) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def invalid(field: str, *messages: str) -> Refused:
    """Return the refusal of a field's value."""
    return Refused(400, {field: list(messages)})


def not_found() -> Refused:
    """Return the answer for what is not there."""
    return Refused(404, {"detail": "Not found."})


def forbidden(detail: str) -> Refused:
    """Return the answer for what is not allowed to anybody."""
    return Refused(403, {"detail": detail})
