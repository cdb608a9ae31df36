# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the listing of many numbers beside a bare asyncio script that reads the same pages.

C(python tests/benchmarks/inventory.py [NUMBERS [WABAS [ROUNDS]]]), by default 5000 numbers in 40 WABAs, 5 rounds. The
ways take turns within a round, at 0 and 100 ms a request; the table has the medians. Judge by the ratios within one run.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
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

from tests.fleet import Fleet, start_sandbox  # noqa: E402
from tests.install import install  # noqa: E402
from tests.sandbox import DEFAULT_BUSINESS, DEFAULT_TOKEN, make_state  # noqa: E402

WORKERS = 32
LATENCIES = ("0", "0.1")
NAME = "x.whatsapp_phone_numbers.yml"
Way = t.Callable[[], int]


async def bare_script(base_url: str) -> int:
    """Read the pages of all WABAs of the business and decode them: the least that a listing has to do."""
    limit, fields = asyncio.Semaphore(WORKERS), (
        "id,display_phone_number,verified_name,status,quality_rating,code_verification_status,account_mode,host_platform,"
        "platform_type,messaging_limit_tier"
    )
    headers = {"Authorization": f"Bearer {DEFAULT_TOKEN}"}

    async def pages(session: aiohttp.ClientSession, path: str, fields: str) -> list[dict[str, t.Any]]:
        rows: list[dict[str, t.Any]] = []
        query = {"fields": fields, "limit": "100"}
        while True:
            async with limit, session.get(f"{base_url}/v24.0/{path}", params=query, headers=headers) as answer:
                document = await answer.json()
            rows += document["data"]
            if "next" not in document.get("paging", {}):
                return rows
            query = {**query, "after": document["paging"]["cursors"]["after"]}

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WORKERS)) as session:
        lists = await asyncio.gather(*(
            pages(session, f"{DEFAULT_BUSINESS}/{relation}_whatsapp_business_accounts", "id") for relation in ("owned", "client")
        ))
        found = await asyncio.gather(*(
            pages(session, f"{waba['id']}/phone_numbers", fields) for wabas in lists for waba in wabas
        ))
    return sum(map(len, found))


def ways(folder: Path, base_url: str) -> dict[str, Way]:
    """Return the ways by name; each returns how many numbers it found."""
    text = (f"plugin: waba.flows.whatsapp_phone_numbers\nbusiness_ids: ['{DEFAULT_BUSINESS}']\nbase_url: {base_url}\n"
            f"access_token: {DEFAULT_TOKEN}\nmax_workers: {WORKERS}\n")
    (folder / NAME).write_text(text, encoding="utf-8")
    return {
        "bare asyncio script": lambda: asyncio.run(bare_script(base_url)),
        "reading alone": lambda: reading(base_url),
        "reading and parse": lambda: parse(str(folder / NAME)),
        "ansible-inventory --list": lambda: command(folder, "--list"),
        "the same from a JSON file": lambda: command(folder, "--list", source="static.json"),
        "ansible-inventory, one host": lambda: command(folder, "--list", source="localhost,"),
    }


def reading(base_url: str) -> int:
    """Read with the collection's module_utils, without Ansible."""
    from ansible_collections.waba.flows.plugins.module_utils import _http, _wabas  # noqa: PLC0415
    from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Connection  # noqa: PLC0415

    own = (("access_token", DEFAULT_TOKEN), ("app_secret", None), ("api_version", "v24.0"))
    connection = Connection("cloud_api", base_url, 30.0, 3, True, False, own)
    sources = _wabas.Sources(business_ids=(DEFAULT_BUSINESS,), access_token=DEFAULT_TOKEN)
    transport = _http.Transport(WORKERS)
    found = _wabas.read_numbers(sources, connection, transport, max_workers=WORKERS, total_timeout=300.0)
    transport.close()
    return len(found.rows)


def parse(path: str) -> int:
    """Have Ansible's inventory manager read the file within this process."""
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415

    return len(InventoryManager(DataLoader(), sources=[path]).hosts)


def command(folder: Path, *arguments: str, source: str = NAME) -> int:
    """Run ansible-inventory in a process of its own."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")}
    run = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", source, *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, check=False,
    )
    if run.returncode != 0:
        raise SystemExit(run.stdout + run.stderr)
    return run.stdout.count('"whatsapp_phone_number_id"')


def write_static(folder: Path) -> None:
    """Write what the plugin found as a plain inventory: the least that Ansible itself takes for so many hosts."""
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415

    found = InventoryManager(DataLoader(), sources=[str(folder / NAME)])
    groups: dict[str, t.Any] = {
        name: {"hosts": {host.name: {} for host in group.hosts}} for name, group in found.groups.items()
        if name.startswith("waba_")
    }
    hosts = {name: {key: value for key, value in host.vars.items() if key.startswith("whatsapp_")}
             for name, host in found.hosts.items()}
    children = {"whatsapp_numbers": {"hosts": hosts}, **groups}
    (folder / "static.json").write_text(json.dumps({"all": {"children": children}}), encoding="utf-8")


def measure(ways_by_name: dict[str, Way], base_url: str, count: int, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; they take turns, so that a busy moment befalls all."""
    times: dict[str, list[float]] = {name: [] for name in ways_by_name}
    for turn in range(rounds + 1):
        for name, way in ways_by_name.items():
            started = time.monotonic()
            found = way()
            elapsed = time.monotonic() - started
            if "one host" not in name and found != count:
                raise SystemExit(f"{name} found {found} numbers instead of {count}.")
            with urllib.request.urlopen(urllib.request.Request(f"{base_url}/_sandbox/requests", method="DELETE"), timeout=60):
                pass
            if turn:  # the first is for imports and caches
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    defaults = ("5000", "40", "5")
    count, wabas, rounds = map(int, (*sys.argv[1:], *defaults[len(sys.argv) - 1:]))
    fleet = Fleet({}, {}, make_state(count, wabas=wabas), {}, None)  # type: ignore[arg-type]  # no keys are needed
    print(f"{count} numbers in {wabas} WABAs, {WORKERS} workers, medians of {rounds}; {platform.platform()}, "
          f"{os.cpu_count()} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "collections")
        os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(folder / "collections")
        from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415  # reads the path at its import

        init_plugin_loader()
        for latency in LATENCIES:
            process, base_url = start_sandbox(folder, fleet, "--latency", latency)
            try:
                by_name = ways(folder, base_url)
                write_static(folder)
                medians = measure(by_name, base_url, count, rounds)
            finally:
                process.terminate()
                process.wait()
            bare = medians["bare asyncio script"]
            print(f"\n{float(latency) * 1000:.0f} ms a request")
            for way, seconds in medians.items():
                print(f"  {way:30} {seconds:7.2f} s {seconds / bare:6.2f} x bare", flush=True)


if __name__ == "__main__":
    main()
