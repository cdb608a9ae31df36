# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at the same time: each ends in order, and the next one finds nothing that it cannot put right."""

from __future__ import annotations

import random
import time
import typing as t

import pytest

from tests.integration.conftest import Run

from .estate import NAMES, Estate
from .phone import Crowd

FORCED = {"encryption_keys_force": True}
