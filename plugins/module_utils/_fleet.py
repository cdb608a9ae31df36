# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Many numbers with a bounded number of workers: ordered rows, and no row is lost whatever happens to another."""

from __future__ import annotations

import concurrent.futures
import threading
import typing as t

Item = t.TypeVar("Item")
Row = t.TypeVar("Row")


def run_fleet(
    items: t.Sequence[Item],
    work: t.Callable[[Item], Row],
    skip: t.Callable[[Item], Row],
    is_failure: t.Callable[[Row], bool],
    *,
    max_workers: int,
    max_failures: int | None = None,
) -> list[Row]:
    """Return one row an item, in the order of the items.

    Once more than C(max_failures) rows are failures no further item is started; those left get their row from C(skip).
    C(work) must not raise.
    """
    failures = 0
    lock = threading.Lock()

    def one(item: Item) -> Row:
        nonlocal failures
        with lock:
            stopped = max_failures is not None and failures > max_failures
        if stopped:
            return skip(item)
        row = work(item)
        if is_failure(row):
            with lock:
                failures += 1
        return row

    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(max_workers, len(items)))) as pool:
        return list(pool.map(one, items))
