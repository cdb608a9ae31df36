# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The error of the role's steps whose text is for a person. The texts of all others are shown to nobody."""

from __future__ import annotations


class StepError(ValueError):
    """A step cannot be taken; the message says why and what to do, and quotes no secret."""
