# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same with threads over one session of requests, as many would write it."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter

from .job import Job, read_job


def publish(job: Job) -> None:
    """Bring every number to the key."""
    with requests.Session() as session, ThreadPoolExecutor(job.workers) as pool:
        session.mount("http://", HTTPAdapter(pool_maxsize=job.workers))
        for dummy in pool.map(lambda number: one(session, job, *number), job.numbers):
            pass


def one(session: requests.Session, job: Job, identity: str, token: str) -> None:
    """Bring one number to the key."""
    if job.is_done(ask(session, "GET", job, identity, token)):
        return
    ask(session, "POST", job, identity, token)
    if not job.is_done(ask(session, "GET", job, identity, token)):
        raise SystemExit(f"{identity} does not hold the key.")


def ask(session: requests.Session, method: str, job: Job, identity: str, token: str) -> t.Any:
    """Send one request and return its answer."""
    form = {"business_public_key": job.key} if method == "POST" else None
    answer = session.request(method, job.url(identity), data=form, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    publish(read_job())
