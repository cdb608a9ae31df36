# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted faults: what the client sees, and whether the POST was applied."""

from __future__ import annotations

import http.client
import json
import threading
import time

import pytest

from tests.sandbox import DEFAULT_NUMBER, DEFAULT_WABA, KINDS, Sandbox, make_state

OTHER_NUMBER = str(int(DEFAULT_NUMBER) + 1)

# kind, members, applied, status seen by the client (None: no whole answer)
CASES = [
    ("error", {"status": 500, "code": 2, "is_transient": True}, False, 500),
    ("throttle", {}, False, 429),
    ("applied_then_error", {}, True, 500),
    ("applied_then_reset", {}, True, None),
    ("mismatch", {}, True, 200),
    ("ignored_post", {}, False, 200),
    ("stale_reads", {}, True, 200),
    ("latency", {"seconds": 0.2}, True, 200),
    ("slow_first_byte", {"seconds": 0.2}, True, 200),
    ("slow_drip", {"seconds_per_byte": 0.02}, True, 200),
    ("truncated", {}, True, None),
    ("html", {}, False, 502),
    ("html", {"status": 200, "applied": True}, True, 200),
    ("empty", {}, False, 200),
    ("body", {"status": 418, "body": "[1", "content_type": "text/plain"}, False, 418),
    ("reset", {}, False, None),
    ("redirect", {"location": "http://127.0.0.1:1/"}, False, 302),
    ("big_body", {"bytes": 200000}, False, 200),
]


@pytest.mark.parametrize(("kind", "members", "applied", "status"), CASES)
def test_fault_on_post(client, pems, *, kind, members, applied, status):
    box = client.box
    box.fault(DEFAULT_NUMBER, kind, **members)
    started = time.monotonic()
    if status is None:
        with pytest.raises((ConnectionError, http.client.IncompleteRead)) as failure:
            client.post(pems["good"])
        # RemoteDisconnected, what http.client makes of a polite close, is a subclass: not the same thing.
        polite = isinstance(failure.value, (http.client.RemoteDisconnected, http.client.IncompleteRead))
        assert polite != kind.endswith("reset")
    else:
        assert client.post(pems["good"]).status == status
    slow = "seconds" in members or "seconds_per_byte" in members
    assert (time.monotonic() - started >= 0.2) is slow
    assert (box.state.numbers[DEFAULT_NUMBER].business_public_key is not None) is applied
    assert box.posts[0].status == (None if kind.endswith("reset") else status or 200)
    # The script is used up: the next POST is a plain one.
    assert client.post(pems["other"]).json == {"success": True}
    assert box.state.numbers[DEFAULT_NUMBER].signature_status == "VALID"


def test_every_kind_has_a_case():
    assert {case[0] for case in CASES} == KINDS


@pytest.mark.parametrize(("kind", "members", "status"), [
    ("error", {"status": 503, "code": 131016}, 503), ("throttle", {}, 429), ("html", {}, 502), ("empty", {}, 200),
    ("slow_first_byte", {}, 200), ("slow_drip", {"seconds_per_byte": 0.001}, 200), ("latency", {}, 200),
])
def test_fault_on_get(client, box, kind, members, status):
    box.fault(DEFAULT_NUMBER, kind, method="GET", **members)
    reply = client.get()
    assert (reply.status, reply.body == b"") == (status, kind == "empty")


@pytest.mark.parametrize(("kind", "failure"), [
    ("reset", ConnectionResetError), ("truncated", http.client.IncompleteRead),
])
def test_broken_answer_to_get(client, box, kind, failure):
    box.fault(DEFAULT_NUMBER, kind)
    with pytest.raises(failure):
        client.get()
    assert client.get().status == 200


def test_bodies_and_headers(client, box):
    box.fault(DEFAULT_NUMBER, "throttle", code=80007, retry_after=7, estimated_minutes=3)
    reply = client.get()
    assert reply.error == (429, 80007, None)
    assert reply.json["error"]["is_transient"] is True
    assert reply.headers["Retry-After"] == "7"
    usage = json.loads(reply.headers["x-business-use-case-usage"])[DEFAULT_WABA][0]
    assert usage["estimated_time_to_regain_access"] == 3
    box.fault(DEFAULT_NUMBER, "error", status=401, code=190, subcode=460, message="m", headers={"X-A": "b"})
    reply = client.get()
    assert (*reply.error, reply.json["error"]["message"], reply.headers["X-A"]) == (401, 190, 460, "m", "b")
    box.fault(DEFAULT_NUMBER, "applied_then_error", method="*")
    assert client.get().error == (500, 131000, None)
    box.fault(DEFAULT_NUMBER, "html")
    assert client.get().headers.get_content_type() == "text/html"
    box.fault(DEFAULT_NUMBER, "body", body="[1", content_type="text/plain")
    reply = client.get()
    assert (reply.body, reply.headers["Content-Type"]) == (b"[1", "text/plain")
    box.fault(DEFAULT_NUMBER, "redirect", location="http://127.0.0.1:1/", status=307)
    reply = client.get()
    assert (reply.status, reply.headers["Location"]) == (307, "http://127.0.0.1:1/")
    box.fault(DEFAULT_NUMBER, "big_body", bytes=200001)
    assert len(client.get().body) == 200001


def test_mismatch_stale_and_ignored_as_read_back(client, box, pems):
    def read():
        entry = client.get().json["data"][0]
        return entry["business_public_key"], entry["business_public_key_signature_status"]
    box.fault(DEFAULT_NUMBER, "mismatch")
    assert read() == (" ", "MISMATCH")  # a read does not use up what waits for a POST
    client.post(pems["good"])
    assert read() == (pems["good"], "MISMATCH")
    box.fault(DEFAULT_NUMBER, "stale_reads", reads=2)
    client.post(pems["other"])
    assert [read() for dummy in range(3)] == [(pems["good"], "MISMATCH")] * 2 + [(pems["other"], "VALID")]
    box.fault(DEFAULT_NUMBER, "ignored_post")
    client.post(pems["good"])
    assert read() == (pems["other"], "VALID")


def test_refusal_wins_over_applied_then_error(client, box):
    box.fault(DEFAULT_NUMBER, "applied_then_error")
    assert client.post("no key").error == (400, 100, None)


def test_queue_order_times_and_scope(client, box, pems):
    box.fault(DEFAULT_NUMBER, "html", method="POST")
    box.fault(DEFAULT_NUMBER, "html", status=503, times=2)
    box.fault("*", "html", status=504, times=-1)
    assert [client.get().status for dummy in range(3)] == [503, 503, 504]
    assert [client.post(pems["good"]).status for dummy in range(2)] == [502, 504]
    assert client.get(OTHER_NUMBER).status == 504
    box.clear()
    assert client.get().status == 200


@pytest.mark.parametrize("members", [
    {"kind": "nonsense"}, {"kind": "error"}, {"kind": "redirect"}, {"kind": "html", "method": "PUT"},
    {"kind": "html", "times": "2"}, {"kind": "html", "times": True}, {"kind": "html", "times": 0},
    {"kind": "html", "tims": 2},
])
def test_refused_faults(box, members):
    with pytest.raises(ValueError, match=r"^fault: "):
        box.fault(DEFAULT_NUMBER, **members)


def test_stop_does_not_wait_for_hanging_requests(request_to):
    failures = []

    def hang(base):
        try:
            request_to(base, "GET", f"/v25.0/{DEFAULT_NUMBER}")
        except (OSError, http.client.HTTPException) as exc:
            failures.append(exc)
    with Sandbox(make_state(1)) as box:
        box.fault(DEFAULT_NUMBER, "slow_first_byte", seconds=60)
        box.fault(DEFAULT_NUMBER, "slow_drip", seconds_per_byte=60)
        threads = [threading.Thread(target=hang, args=(box.base_url,)) for dummy in range(2)]
        for thread in threads:
            thread.start()
        while len(box.requests) < 2:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    for thread in threads:
        thread.join(2)
    assert len(failures) == 2
