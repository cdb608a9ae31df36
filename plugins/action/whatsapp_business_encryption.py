# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module of the same name, within the control node's process where its connection is local."""

from __future__ import annotations

import typing as t

from ansible_collections.waba.flows.plugins.module_utils._argspec import SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._runs import Result, Tell, run_single
from ansible_collections.waba.flows.plugins.plugin_utils._in_process import InProcess


class ActionModule(InProcess):
    """See InProcess."""

    spec = SINGLE_SPEC

    def work(self, params: dict[str, t.Any], tell: Tell) -> Result:
        return run_single(params, self._task.check_mode)
