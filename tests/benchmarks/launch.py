# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and print what it cost, as JSON: C(python launch.py OUTPUT COMMAND…); what it prints goes to the file OUTPUT.

This is a process of its own, and a small one, because Linux counts the memory of a process that starts a program as that
program's. wait4 adds up the CPU time of the program and of all its descendants that were waited for, and of their peaks of
memory it gives the largest.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Run the command to its end, whatever that is."""
    output, *command = sys.argv[1:]
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    started = time.monotonic()
    child = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
    )
    dummy, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - started
    print(json.dumps({
        "status": os.waitstatus_to_exitcode(status), "wall": wall, "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / 1024,
    }))


if __name__ == "__main__":
    main()
