# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the sandbox from the command line: python -m tests.sandbox."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import sys
from pathlib import Path

from .server import CertAndKey, check_loopback, start
from .service import Service
from .state import State, make_state, write_atomically

_SETTINGS = ("latency", "calls_per_hour", "app_calls_per_hour", "window", "retry_after")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description="A stand-in for WhatsApp's APIs.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--fleet", type=Path, help="JSON file with numbers, tokens, businesses and accounts")
    parser.add_argument("--state", type=Path, help="JSON file that keeps the state; goes before --fleet if it exists")
    parser.add_argument("--latency", type=float, help="seconds before each answer")
    parser.add_argument("--calls-per-hour", type=int, help="calls that each WABA takes from an app within the window; 0: any")
    parser.add_argument("--app-calls-per-hour", type=int, help="the same for an app over all WABAs")
    parser.add_argument("--window", type=float, help="seconds instead of the hour; the limits are not scaled")
    parser.add_argument("--retry-after", action="store_true", default=None, help="say Retry-After when throttled")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--ready-file", type=Path, help="gets the base URL once the server listens")
    parser.add_argument("--verbose", action="store_true", help="log each request's method, path and status")
    return parser


def _state(args: argparse.Namespace) -> State:
    if args.state and args.state.exists():
        state = State.load(args.state)
    elif args.fleet:
        state = State.load(args.fleet)
    else:
        state = make_state()
    given = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    state.settings = dataclasses.replace(state.settings, **given)
    return state


async def _serve(args: argparse.Namespace, api: Service, tls: CertAndKey | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner, url = await start(api, args.host, args.port, tls)
    try:
        api.save()
        print(f"sandbox listening on {url}", flush=True)
        if args.ready_file:
            write_atomically(args.ready_file, url + "\n")
        await stop.wait()
    finally:
        await runner.cleanup()


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = _parser()
    args = parser.parse_args(argv)
    if (args.tls_cert is None) != (args.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(message)s")
    # Its messages about malformed requests may quote header lines, and with them tokens.
    logging.getLogger("aiohttp").disabled = True
    logging.getLogger("aiohttp.server").disabled = True
    try:
        check_loopback(args.host)
        state = _state(args)
        if args.ready_file and args.ready_file.exists():
            os.unlink(args.ready_file)  # left by an earlier run: nobody may take it for this one's
        asyncio.run(_serve(args, Service(state, args.state), (args.tls_cert, args.tls_key) if args.tls_cert else None))
    except (OSError, ValueError) as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
