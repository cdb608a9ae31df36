# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of the collection's modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
"""

    IN_PROCESS = r"""
options: {}
attributes:
  in_process:
    description:
      - Runs within the process of ansible-core where the task's connection is local, it has no C(become) and is not C(async).
        This saves the half second that a module's own process costs. The Python libraries are then those of the control node.
      - Elsewhere it runs as a module. Options and return values are the same.
    support: full
"""

    ACTIONGROUP_WHATSAPP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/waba.flows.whatsapp) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - waba.flows.whatsapp
"""
