# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin that writes down the results, tasks and statistics that Ansible hands to callback plugins, whole.

Only what no_log says is not to be shown is left out where Ansible leaves that to the plugins: the arguments of a task.
"""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: every_event
type: notification
short_description: Writes every event to the file of the environment variable EVERY_EVENT_FILE
description: [For tests.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible is not typed
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "every_event"
    CALLBACK_NEEDS_ENABLED = True

    def v2_on_any(self, *args: t.Any, **kwargs: t.Any) -> None:
        with open(os.environ["EVERY_EVENT_FILE"], "a", encoding="utf-8") as stream:
            for item in [*args, *kwargs.values()]:
                stream.write(f"{self._shown(item)}\n")

    def _shown(self, item: t.Any) -> str:
        # Every plugin has to ask for itself whether it may show arguments; those of Ansible do, and show them before templating.
        given = "" if getattr(item, "no_log", False) else f"{getattr(item, 'args', None)!r} {getattr(item, 'vars', None)!r}"
        return f"{item!r} {given} {getattr(item, '_result', None)!r} {getattr(item, 'custom', None)!r}"
