# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole rotations and audits while the way to one number is broken."""

from __future__ import annotations

import json
import typing as t
import urllib.request

import pytest

from tests.unit.rude_server import Act, Heard, RudeServer, Wire, well

from .conftest import APP_SECRET, ENDPOINT_PASSPHRASE, PASSPHRASE, Run, World

pytestmark = pytest.mark.slow

BROKEN = "number-02"
Faults = dict[str, tuple[Act, bool]]


def dripping(wire: Wire, body: bytes) -> None:
    wire.drip(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 9999)


def html(wire: Wire, body: bytes) -> bool:
    wire.say(well(b"<html>Sign in</html>", "200 OK"))
    return True


def reset(wire: Wire, body: bytes) -> None:
    wire.reset()


class Way:
    """The way to one number: a server that hands on to the sandbox, until it is broken. C(posts) counts what got there."""

    def __init__(self, world: World) -> None:
        self.posts = 0
        self._onward = world.box.base_url
        self.server = RudeServer(self._hand_on)
        world.numbers[BROKEN].update(
            whatsapp_base_url=self.server.base_url, whatsapp_timeout=1, whatsapp_total_timeout=3, whatsapp_retries=0,
        )

    def _hand_on(self, heard: Heard) -> bytes:
        headers = {name: value for name, value in heard.headers.items() if name in ("authorization", "content-type")}
        request = urllib.request.Request(
            self._onward + heard.target, heard.body if heard.method == "POST" else None, headers, method=heard.method
        )
        self.posts += heard.method == "POST"
        with urllib.request.urlopen(request, timeout=10) as answer:
            return t.cast(bytes, answer.read())

    def breaks(self, act: Act, *, applied: bool, from_post_on: bool) -> None:
        """Break it for everything, or from the first POST on, which is handed on before all the same if it is C(applied)."""
        broken = [not from_post_on]

        def rude(method: str, target: str) -> tuple[Act, bool] | None:
            broken[0] = broken[0] or method == "POST"
            return (act, applied and method == "POST") if broken[0] else None

        self.server.rude = rude

    def heals(self) -> None:
        self.server.rude = lambda method, target: None


def check_no_secret(run: Run, world: World) -> None:
    tokens = [world.fleet.token(waba) for waba in set(world.fleet.wabas.values())]
    assert not any(secret in run.output for secret in (PASSPHRASE, ENDPOINT_PASSPHRASE, APP_SECRET, *tokens))
    assert "Traceback" not in run.output


@pytest.mark.attack("resumed", "a rotation while the way to one number drips, or breaks off from the first POST on")
@pytest.mark.attack("accounted", "a rotation while the way to one number drips, or breaks off from the first POST on")
@pytest.mark.parametrize(("act", "applied", "from_post_on"), [
    (dripping, False, False), (html, True, True), (reset, False, True),
], ids=["drip", "html after the POST", "reset instead of the POST"])
def test_a_rotation_with_one_broken_way_is_finished_by_the_next(
    act: Act, applied: bool, from_post_on: bool, ready: World
) -> None:
    way = Way(ready)
    with way.server:
        way.breaks(act, applied=applied, from_post_on=from_post_on)
        first = ready.run("waba.flows.rotate", "-vvv", encryption_keys_force=True, encryption_keys_waves=["100%"])
        assert first.status != 0, first.output
        assert {name for name, outcome in first.outcomes.items() if outcome == "failed"} == {BROKEN}
        others = [first.rows[name][3] for name in first.rows if name != BROKEN and first.rows[name][1] == "default"]
        assert len(set(others)) == 1
        # A number that cannot be read does not keep the others from ending their rotation.
        staged = ready.fingerprint("default", "pending") if from_post_on else ready.fingerprint("default", "current")
        assert staged is not None
        check_no_secret(first, ready)
        way.heals()
        posts = way.posts
        second = ready.run("waba.flows.rotate", encryption_keys_waves=["100%"])
    assert second.status == 0, second.output
    assert ready.fingerprint("default", "current") == staged
    assert (posts, way.posts) == ((1, 1) if applied else (0, 1))
    assert set(second.outcomes.values()) <= {"unchanged", "set", "replaced", "resigned"}


@pytest.mark.attack("accounted", "an audit while the way to one number drips")
def test_an_audit_with_one_broken_way_tells_of_all_others(ready: World) -> None:
    assert ready.run("waba.flows.rotate").status == 0
    way = Way(ready)
    with way.server:
        way.breaks(dripping, applied=False, from_post_on=False)
        path = ready.folder / "audit.json"
        run = ready.run("waba.flows.audit", "-vvv", encryption_keys_report_path=str(path))
    assert run.status != 0
    check_no_secret(run, ready)
    verdicts = {row["name"]: row["verdict"] for row in json.loads(path.read_text())["numbers"]}
    assert len(verdicts) == len(ready.numbers)
    assert {name for name, verdict in verdicts.items() if verdict != verdicts["number-01"]} == {BROKEN}
