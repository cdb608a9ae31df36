# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole ansible-playbook that is followed while it runs, and stopped or killed at what it has come to. Needs Linux' /proc."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import typing as t
from pathlib import Path

from tests.integration.conftest import Run, World

_SECONDS = 180.0  # for anything that is waited for
_TASK = re.compile(r"TASK \[(?:waba\.flows\.encryption_keys : )?(.*)\] \*+$")


class WholeRun:
    """A playbook that runs in a session of its own; its workers may have sessions of their own."""

    def __init__(self, world: World, playbook: str, *arguments: str, **variables: t.Any) -> None:
        (world.folder / "home").mkdir(exist_ok=True)
        self.tasks: list[str] = []  # the names of those that have begun
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            world.command(playbook, *arguments, **variables), cwd=world.folder, env=world.all_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line)
            task = _TASK.match(line.rstrip())
            if task:
                self.tasks.append(task.group(1))

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, task: str, nth: int = 1) -> None:
        """Wait until the n-th task whose name begins so has begun."""
        self.wait_until(lambda: sum(name.startswith(task) for name in self.tasks) >= nth, f"'{task}' begins")

    def wait_until(self, condition: t.Callable[[], bool], what: str = "the condition holds") -> None:
        """Wait until something is so, which must be before the end of the run."""
        end = time.monotonic() + _SECONDS
        while not condition():
            assert self._process.poll() is None, f"The run ended before {what}:\n{self.output}"
            assert time.monotonic() < end, f"After {_SECONDS:.0f} s it is still not so that {what}:\n{self.output}"
            time.sleep(0.01)

    def wait_a_moment(self, seconds: float) -> None:
        """Wait for some time, which must be before the end of the run."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            raise AssertionError(f"The run ended within {seconds:.2f} s:\n{self.output}")

    def stop(self) -> list[int]:
        """Suspend it with all its workers and modules; return their process ids."""
        stopped: list[int] = []
        while new := [pid for pid in family(self._process.pid) if pid not in stopped]:
            for pid in new:
                _signal(pid, signal.SIGSTOP)
            stopped += new
        return stopped

    def go_on(self) -> None:
        """Resume it."""
        for pid in family(self._process.pid):
            _signal(pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL to it with all its workers and modules at once, as when the control node loses its power."""
        for pid in self.stop():
            _signal(pid, signal.SIGKILL)
        self._process.wait(10)
        assert self._process.returncode == -signal.SIGKILL, self.output

    def kill_main(self) -> list[int]:
        """Send SIGKILL to its process group alone; return the ids of workers and modules, which may go on for a while."""
        members = family(self._process.pid)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        assert self._process.returncode == -signal.SIGKILL, self.output
        return members

    def end(self) -> Run:
        """Wait for its end."""
        status = self._process.wait(_SECONDS)
        self._reader.join(10)
        return Run(status, self.output)


def family(pid: int) -> list[int]:
    """Return the ids of a process and of all that descend from it, itself first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def wait_for_end(pids: t.Iterable[int]) -> None:
    """Wait until none of these processes runs."""
    end = time.monotonic() + _SECONDS
    for pid in pids:
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < end
            time.sleep(0.05)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
