# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers before they are sent, and refusals, which are answers that are raised."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .state import Json


@dataclass
class Answer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(data: Json, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A JSON answer with the content type that the Graph API sends."""
    return Answer(status, json.dumps(data).encode(), {"Content-Type": "application/json; charset=UTF-8",
                                                      **(headers or {})})


class ApiError(Exception):
    """A refusal; each provider puts its own envelope around it."""

    def __init__(self, message: str, status: int, data: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.data = data
        self.headers = headers or {}

    def answer(self) -> Answer:
        """The refusal as an answer."""
        return json_answer(self.data, self.status, self.headers)
