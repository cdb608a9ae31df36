# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set every key with pywa in threads. pywa cannot read a key, so this neither compares nor verifies: one POST a number.

pywa knows one address, Meta's. The httpx client is ours, so its base URL is set again once pywa has set it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
from pywa import WhatsApp

from .job import Job, read_job


def client(job: Job, token: str) -> WhatsApp:
    """Return a client that talks to the sandbox."""
    session = httpx.Client(limits=httpx.Limits(max_connections=job.workers), timeout=60, trust_env=False)
    made = WhatsApp(token=token, session=session, api_version=24.0)
    session.base_url = f"{job.base_url}/v24.0"
    return made


def publish(job: Job) -> None:
    """Send the key to every number."""
    clients = {token: client(job, token) for token in {token for dummy, token in job.numbers}}

    def one(number: tuple[str, str]) -> None:
        identity, token = number
        if not clients[token].set_business_public_key(job.key, phone_id=identity):
            raise SystemExit(f"{identity} did not take the key.")

    with ThreadPoolExecutor(job.workers) as pool:
        for dummy in pool.map(one, job.numbers):
            pass


if __name__ == "__main__":
    publish(read_job())
