# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time a rotation of many numbers through the playbook beside a bare asyncio script that does the same requests.

C(python tests/benchmarks/rotate.py [NUMBERS [LATENCY [WORKERS]]]), by default 1000 numbers, 0.1 s a request, 64 workers.
Judge by the ratio within one run: absolute times differ from machine to machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.request
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fleet import Fleet, OldKey, example_fleet, local_vault, start_sandbox  # noqa: E402
from tests.install import install  # noqa: E402


async def bare_script(fleet: Fleet, base_url: str, workers: int, pem: str) -> None:
    """Read, publish and read back every number: the least that a rotation has to do."""
    limit = asyncio.Semaphore(workers)

    async def one(session: aiohttp.ClientSession, name: str) -> None:
        url = f"{base_url}/v24.0/{fleet.numbers[name]}/whatsapp_business_encryption"
        headers = {"Authorization": f"Bearer {fleet.token(fleet.wabas[name])}"}
        async with limit:
            for method, form in (("GET", None), ("POST", {"business_public_key": pem}), ("GET", None)):
                async with session.request(method, url, data=form, headers=headers) as answer:
                    document = await answer.json()
        assert document["data"][0]["business_public_key"].strip() == pem.strip()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=workers)) as session:
        await asyncio.gather(*(one(session, name) for name in fleet.numbers))


def run_playbook(folder: Path, fleet: Fleet, base_url: str, *arguments: str) -> str:
    """Run waba.flows.rotate to a clean end and return its output."""
    inventory = fleet.inventory(base_url, local_vault())
    (folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "WHATSAPP_KEYRING_PASSPHRASE": "a-benchmark-passphrase",
    }
    run = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "inventory.json"), "waba.flows.rotate",
         "-e", f"encryption_keys_path={folder / 'keys'}", "-e", '{"encryption_keys_replace_foreign": true}', *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )
    if run.returncode != 0:
        raise SystemExit(run.stdout + run.stderr)
    return run.stdout


def count_requests(base_url: str) -> int:
    """Return how many requests the API got since it was last asked."""
    with urllib.request.urlopen(f"{base_url}/_sandbox/requests", timeout=60) as answer:
        count = len(json.load(answer))
    with urllib.request.urlopen(urllib.request.Request(f"{base_url}/_sandbox/requests", method="DELETE"), timeout=60):
        return count


def cpu_time() -> float:
    """Return the CPU seconds of this process and its ended children."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(name: str, base_url: str, work: t.Callable[[], t.Any]) -> float:
    """Run something, print its wall time, CPU time (this process and its children) and requests, and return the wall time."""
    before, started = cpu_time(), time.monotonic()
    work()
    wall, cpu = time.monotonic() - started, cpu_time() - before
    print(f"{name:34} {wall:7.1f} s wall {cpu:7.1f} s CPU {count_requests(base_url):7} requests", flush=True)
    return wall


def main() -> None:
    """Compare in one run: bare script, rotation, and the run after it that has nothing to do."""
    defaults = ("1000", "0.1", "64")
    count, latency, workers = (*sys.argv[1:], *defaults[len(sys.argv) - 1:])
    fleet, pem = example_fleet(int(count)), OldKey().public_pem
    print(f"{count} numbers, {latency} s a request, {workers} workers; {platform.platform()}, {os.cpu_count()} CPUs, "
          f"Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "collections")
        process, base_url = start_sandbox(folder, fleet, "--latency", latency)
        option = ("-e", f"encryption_keys_max_workers={workers}")
        try:
            bare = timed("bare asyncio script", base_url, lambda: asyncio.run(bare_script(fleet, base_url, int(workers), pem)))
            cold = timed("waba.flows.rotate", base_url, lambda: run_playbook(folder, fleet, base_url, *option))
            timed("waba.flows.rotate, again", base_url, lambda: run_playbook(folder, fleet, base_url, *option))
        finally:
            process.terminate()
            process.wait()
    print(f"rotation / bare script: {cold / bare:.2f}")


if __name__ == "__main__":
    main()
