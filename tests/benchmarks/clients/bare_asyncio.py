# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, compare, publish and read back every number with asyncio: the least that the work takes."""

from __future__ import annotations

import asyncio
import typing as t

import aiohttp

from .job import Job, read_job


async def publish(job: Job) -> None:
    """Bring every number to the key."""
    limit = asyncio.Semaphore(job.workers)

    async def ask(session: aiohttp.ClientSession, method: str, identity: str, token: str) -> t.Any:
        form = {"business_public_key": job.key} if method == "POST" else None
        headers = {"Authorization": f"Bearer {token}"}
        async with session.request(method, job.url(identity), data=form, headers=headers, raise_for_status=True) as answer:
            return await answer.json()

    async def one(session: aiohttp.ClientSession, identity: str, token: str) -> None:
        async with limit:
            if job.is_done(await ask(session, "GET", identity, token)):
                return
            await ask(session, "POST", identity, token)
            if not job.is_done(await ask(session, "GET", identity, token)):
                raise SystemExit(f"{identity} does not hold the key.")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job.workers)) as session:
        await asyncio.gather(*(one(session, *number) for number in job.numbers))


if __name__ == "__main__":
    asyncio.run(publish(read_job()))
