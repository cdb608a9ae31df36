# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control interface: state, faults, settings, limits and the request log, outside the API's own paths."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .faults import Fault
from .limits import Preset
from .service import Service, record_json
from .state import InvalidData, Json, Number, Settings, State, build

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise InvalidData("the body is not JSON") from None


def _refusing(handler: Handler) -> Handler:
    """Turn InvalidData into a 400 that says what is wrong."""
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except InvalidData as exc:
            return web.json_response({"error": str(exc)}, status=400)
    return wrapped


class Control:
    """Handlers of /_sandbox/…"""

    def __init__(self, api: Service) -> None:
        self.api = api

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application, ahead of the API's catch-all."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "state", self.get_state),
            ("PUT", "state", self.put_state),
            ("PATCH", "numbers/{id}", self.patch_number),
            ("POST", "faults/{id}", self.post_faults),
            ("DELETE", "faults", self.delete_faults),
            ("GET", "requests", self.get_requests),
            ("DELETE", "requests", self.delete_requests),
            ("GET", "counts", self.get_counts),
            ("GET", "limits", self.get_limits),
            ("PUT", "limits", self.put_limits),
            ("DELETE", "limits", self.delete_limits),
            ("DELETE", "logins", self.delete_logins),
            ("GET", "settings", self.get_settings),
            ("PATCH", "settings", self.patch_settings),
        ]
        return [web.route(method, f"/_sandbox/{path}", _refusing(handler)) for method, path, handler in table]

    async def get_state(self, request: web.Request) -> web.StreamResponse:
        """The whole state, in the form of a fleet file."""
        return web.json_response(self.api.state.to_json())

    async def put_state(self, request: web.Request) -> web.StreamResponse:
        """Replace the whole state."""
        self.api.state = State.from_json(await _body(request))
        self.api.save()
        return web.json_response({"ok": True})

    async def patch_number(self, request: web.Request) -> web.StreamResponse:
        """Change members of one number."""
        name = request.match_info["id"]
        number = self.api.state.numbers.get(name)
        if number is None:
            return web.json_response({"error": f"no number {name}"}, status=404)
        changed = build(Number, _merged(vars(number), await _body(request)), f"numbers[{name}]")
        # In place, so that a test which holds the object sees the change.
        vars(number).update(vars(changed))
        self.api.save()
        return web.json_response(vars(number))

    async def post_faults(self, request: web.Request) -> web.StreamResponse:
        """Append one fault or a list of them to a number's queue; all or none."""
        data = await _body(request)
        faults = [Fault.from_json(item) for item in (data if isinstance(data, list) else [data])]
        for fault in faults:
            self.api.faults.add(request.match_info["id"], fault)
        return web.json_response({"added": len(faults)})

    async def delete_faults(self, request: web.Request) -> web.StreamResponse:
        """Forget every fault."""
        self.api.faults.clear()
        return web.json_response({"ok": True})

    async def get_requests(self, request: web.Request) -> web.StreamResponse:
        """The request log, oldest first."""
        return web.json_response([record_json(record) for record in self.api.requests])

    async def delete_requests(self, request: web.Request) -> web.StreamResponse:
        """Empty the request log, and count connections anew."""
        self.api.forget_requests()
        return web.json_response({"ok": True})

    async def get_counts(self, request: web.Request) -> web.StreamResponse:
        """How many API requests came since the log was emptied, how many of them set a key, over how many new connections."""
        posts = sum(record.sets_key for record in self.api.requests)
        return web.json_response(
            {"requests": len(self.api.requests), "posts": posts, "connections": self.api.connections})

    async def get_limits(self, request: web.Request) -> web.StreamResponse:
        """The calls that count towards limits, and those that came while throttled, of each app and WABA."""
        return web.json_response(self.api.cloud_api.calls())

    async def put_limits(self, request: web.Request) -> web.StreamResponse:
        """Use up part of a limit, as if somebody else had called."""
        self.api.cloud_api.preset(build(Preset, await _body(request), "limits"))
        return web.json_response({"ok": True})

    async def delete_limits(self, request: web.Request) -> web.StreamResponse:
        """Empty all windows, and count calls anew."""
        self.api.cloud_api.forget_calls()
        return web.json_response({"ok": True})

    async def delete_logins(self, request: web.Request) -> web.StreamResponse:
        """Make every token that a login has issued invalid."""
        self.api.on_premises.forget_logins()
        return web.json_response({"ok": True})

    async def get_settings(self, request: web.Request) -> web.StreamResponse:
        """The server-wide settings."""
        return web.json_response(vars(self.api.state.settings))

    async def patch_settings(self, request: web.Request) -> web.StreamResponse:
        """Change server-wide settings."""
        settings = self.api.state.settings
        vars(settings).update(vars(build(Settings, _merged(vars(settings), await _body(request)), "settings")))
        self.api.save()
        return web.json_response(vars(settings))


def _merged(old: Json, changes: Any) -> Json:
    if not isinstance(changes, dict):
        raise InvalidData("the body must be a JSON object")
    return {**old, **changes}
