# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the three API modules do, below AnsibleModule: rows, order, summary, failures, check mode and bounds."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _http, _options, _runs
from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._keys import PublicKey, parse_public_key
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many, run_single
from ansible_collections.waba.flows.tests.unit.helpers import ERROR_MEMBERS, KeyPair, Keys, Params, Recorder, module_params
from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox, Token, make_number, make_state

pytestmark = pytest.mark.usefixtures("quick")

ROW_MEMBERS = {"name", "phone_number_id", "provider", "key_holder", "outcome", "changed", "fingerprint", "fingerprint_source",
               "previous_fingerprint", "status", "attempts"}
MANY_MEMBERS = ROW_MEMBERS | {"seconds"}
IDS = [str(int(DEFAULT_NUMBER) + index) for index in range(6)]


@pytest.fixture
def fleet() -> t.Iterator[Sandbox]:
    """A sandbox with six numbers; IDS lists them."""
    with Sandbox(make_state(6)) as running:
        yield running


def single(box: Sandbox, check_mode: bool = False, **given: t.Any) -> Params:
    common = {"phone_number_id": DEFAULT_NUMBER, "base_url": box.base_url, "access_token": DEFAULT_TOKEN}
    return run_single(module_params(SINGLE_SPEC, **{**common, **given}), check_mode)


def many(box: Sandbox, rows: t.Sequence[Params] | None = None, check_mode: bool = False, **given: t.Any) -> Params:
    numbers = [{"phone_number_id": number} for number in IDS] if rows is None else rows
    common = {"phone_numbers": numbers, "base_url": box.base_url, "access_token": DEFAULT_TOKEN}
    return run_many(module_params(FLEET_SPEC, **{**common, **given}), check_mode)


def info(box: Sandbox, **given: t.Any) -> Params:
    return run_info(module_params(INFO_SPEC, **{"base_url": box.base_url, "access_token": DEFAULT_TOKEN, **given}))


def hold(box: Sandbox, number: str, key: KeyPair | None, status: str = "VALID") -> None:
    box.state.numbers[number] = make_number(key=key.pem if key else None, signature_status=status)


def column(result: Params, name: str) -> list[t.Any]:
    return [row[name] for row in result["numbers"]]


# -- one number


def test_reading_one_number(box: Sandbox, keys: Keys) -> None:
    hold(box, DEFAULT_NUMBER, keys.a)
    result = single(box)
    usage = result["api"].pop("usage")
    assert set(usage) == {"x-app-usage", "x-business-use-case-usage"}
    assert result == {
        "name": DEFAULT_NUMBER, "phone_number_id": DEFAULT_NUMBER, "outcome": "read", "changed": False, "attempts": 0,
        "fingerprint": keys.a.fingerprint, "previous_fingerprint": keys.a.fingerprint, "status": "VALID",
        "business_public_key": keys.a.pem, "business_public_key_signature_status": "VALID",
        "api": {"requests": 1, "retries": 0}, "diff": {}, "warnings": [],
        "provider": "cloud_api", "key_holder": None, "fingerprint_source": "read",
        "capabilities": {"can_read": "yes", "reports_status": True, "numbers_per_credential": "many", "key_of": "number"},
    }


def test_reading_a_number_without_a_key(box: Sandbox) -> None:
    result = single(box)
    assert (result["business_public_key"], result["fingerprint"]) == (None, None)
    assert result["business_public_key_signature_status"] == "MISMATCH"


def test_setting_one_number_shows_before_and_after(box: Sandbox, keys: Keys) -> None:
    hold(box, DEFAULT_NUMBER, keys.b)
    result = single(box, business_public_key=keys.a.pem)
    assert (result["outcome"], result["changed"], result["attempts"]) == ("replaced", True, 1)
    assert (result["previous_fingerprint"], result["fingerprint"]) == (keys.b.fingerprint, keys.a.fingerprint)
    assert result["business_public_key"] == keys.a.pem
    assert result["api"]["requests"] == 3
    assert result["diff"] == {
        "before_header": DEFAULT_NUMBER, "after_header": DEFAULT_NUMBER,
        "before": f"{keys.b.fingerprint}\nstatus: VALID\n{keys.b.pem}",
        "after": f"{keys.a.fingerprint}\nstatus: VALID\n{keys.a.pem}",
    }


def test_the_diff_of_a_first_key_starts_from_none(box: Sandbox, keys: Keys) -> None:
    assert single(box, business_public_key=keys.a.pem)["diff"]["before"] == "(no key)\n"


def test_the_diff_of_check_mode_is_that_of_the_real_run(box: Sandbox, keys: Keys) -> None:
    hold(box, DEFAULT_NUMBER, keys.b)
    predicted = single(box, True, business_public_key=keys.a.pem)
    assert not box.posts
    assert predicted["diff"] == single(box, business_public_key=keys.a.pem)["diff"]


def test_the_key_may_come_from_a_file(box: Sandbox, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "flows.pub").write_text(keys.a.pem)
    assert single(box, business_public_key_path=str(tmp_path / "flows.pub"))["fingerprint"] == keys.a.fingerprint


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, box: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "flows.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidOptions, match=r"business_public_key_path .*flows\.pub cannot be read"):
        single(box, business_public_key_path=str(path))
    assert box.requests == []


def test_text_and_file_together_are_refused(box: Sandbox, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="exclude each other"):
        single(box, business_public_key=keys.a.pem, business_public_key_path="x")


def test_an_empty_key_is_not_taken_for_a_read(box: Sandbox) -> None:
    with pytest.raises(InvalidKey, match="empty"):
        single(box, business_public_key="")
    assert box.requests == []


@pytest.mark.parametrize(("given", "why"), [
    ({"timeout": 0.0}, "timeout must be more than 0"),
    ({"timeout": -1.0}, "timeout must be more than 0"),
    ({"total_timeout": 0.0}, "total_timeout must be more than 0"),
    ({"access_token": None}, "No access token"),
    ({"base_url": "http://example.org"}, "plain http"),
    ({"base_url": "https://[::1"}, "not an http"),
    ({"ca_path": "/nonexistent"}, "ca_path"),
])
def test_bad_options_stop_before_anything_is_sent(given: Params, why: str, box: Sandbox) -> None:
    with pytest.raises(InvalidOptions, match=why):
        single(box, **given)
    assert box.requests == []


def test_a_bad_expected_fingerprint_stops_before_anything_is_sent(box: Sandbox, keys: Keys) -> None:
    with pytest.raises(InvalidKey, match="'abc' is not a fingerprint"):
        single(box, business_public_key=keys.a.pem, expected_fingerprints=["abc"])
    assert box.requests == []


def test_a_failure_has_message_error_and_every_member(box: Sandbox, keys: Keys) -> None:
    result = single(box, business_public_key=keys.a.pem, access_token="wrong", phone_number_id=f" {DEFAULT_NUMBER} ")
    assert result["failed"] is True
    assert result["msg"].startswith(f"{DEFAULT_NUMBER}: Invalid OAuth access token (code 190, HTTP 401).")
    assert "create a new system-user token" in result["msg"]
    assert set(result) >= ROW_MEMBERS | {"error", "api", "business_public_key"}
    assert (result["outcome"], result["changed"], result["fingerprint"]) == ("failed", False, None)
    assert set(result["error"]) == ERROR_MEMBERS
    assert (result["error"]["code"], result["error"]["http_status"]) == (190, 401)


def test_a_refusal_fails_with_the_keys_that_are_there(box: Sandbox, keys: Keys) -> None:
    hold(box, DEFAULT_NUMBER, keys.b)
    result = single(box, business_public_key=keys.a.pem, expected_fingerprints=[keys.c.fingerprint])
    assert (result["failed"], result["outcome"], result["changed"]) == (True, "refused", False)
    assert result["previous_fingerprint"] == result["fingerprint"] == keys.b.fingerprint


# -- many numbers: reading


def test_rows_are_in_the_order_given(fleet: Sandbox) -> None:
    for index, number in enumerate(IDS):
        fleet.fault(number, "latency", seconds=0.05 * (len(IDS) - index))
    result = info(fleet, phone_numbers=[{"phone_number_id": number, "name": f"n{number[-1]}"} for number in IDS])
    assert column(result, "phone_number_id") == IDS
    assert column(result, "name") == [f"n{number[-1]}" for number in IDS]
    assert all(set(row) == MANY_MEMBERS for row in result["numbers"])
    assert result["summary"] == {"read": 6}
    assert (result["changed"], result["api"]["requests"], result["diff"]) == (False, 6, [])


def test_reading_one_by_its_id_alone(box: Sandbox, keys: Keys) -> None:
    hold(box, DEFAULT_NUMBER, keys.a)
    result = info(box, phone_number_id=DEFAULT_NUMBER)
    assert column(result, "fingerprint") == [keys.a.fingerprint]
    assert column(result, "name") == [DEFAULT_NUMBER]


@pytest.mark.parametrize("given", [{}, {"phone_number_id": "1", "phone_numbers": [{"phone_number_id": "2"}]}])
def test_reading_takes_an_id_or_a_list(given: Params, box: Sandbox) -> None:
    with pytest.raises(InvalidOptions, match="either phone_number_id or phone_numbers"):
        info(box, **given)


def test_an_empty_list_is_read_without_a_request(box: Sandbox) -> None:
    result = info(box, phone_numbers=[])
    assert (result["numbers"], result["summary"], result["changed"]) == ([], {}, False)
    assert box.requests == []


def test_a_number_that_cannot_be_read_does_not_hide_the_others(fleet: Sandbox) -> None:
    fleet.fault(IDS[1], "error", status=403, code=10)
    result = info(fleet, phone_numbers=[{"phone_number_id": number} for number in IDS])
    assert column(result, "outcome") == ["read", "failed", "read", "read", "read", "read"]
    assert result["failed"] is True
    assert result["msg"].startswith(f"1 of 6 numbers failed. {IDS[1]} ({IDS[1]}): ")
    assert "allowlisted" in result["msg"]


# -- many numbers: setting


def dealt(fleet: Sandbox, keys: Keys) -> None:
    """Give the numbers all states that there are, seen from key a."""
    held = [(None, "MISMATCH"), (keys.a, "VALID"), (keys.a, "MISMATCH"), (keys.b, "VALID"), (keys.c, "VALID"), (keys.b, "VALID")]
    for number, (key, status) in zip(IDS, held):
        hold(fleet, number, key, status)


def test_all_outcomes_in_one_task(fleet: Sandbox, keys: Keys) -> None:
    dealt(fleet, keys)
    result = many(fleet, business_public_key=keys.a.pem, expected_fingerprints=[keys.b.fingerprint])
    assert column(result, "outcome") == ["set", "unchanged", "resigned", "replaced", "refused", "replaced"]
    assert column(result, "changed") == [True, False, True, True, False, True]
    assert column(result, "previous_fingerprint") == [
        None, keys.a.fingerprint, keys.a.fingerprint, keys.b.fingerprint, keys.c.fingerprint, keys.b.fingerprint
    ]
    assert column(result, "fingerprint") == [*[keys.a.fingerprint] * 4, keys.c.fingerprint, keys.a.fingerprint]
    assert result["summary"] == {"set": 1, "unchanged": 1, "resigned": 1, "replaced": 2, "refused": 1}
    assert (result["changed"], result["failed"]) == (True, True)
    assert len(fleet.posts) == 4


def test_check_mode_predicts_every_row_and_sends_no_post(fleet: Sandbox, keys: Keys) -> None:
    dealt(fleet, keys)
    given: Params = {"business_public_key": keys.a.pem, "expected_fingerprints": [keys.b.fingerprint]}
    predicted = many(fleet, check_mode=True, **given)
    assert fleet.posts == []
    real = many(fleet, **given)
    for name in ("outcome", "previous_fingerprint", "fingerprint", "status", "changed", "name"):
        assert column(predicted, name) == column(real, name)
    for name in ("summary", "changed", "failed", "msg", "diff"):
        assert predicted[name] == real[name]


def test_a_second_run_sends_no_post(fleet: Sandbox, keys: Keys) -> None:
    dealt(fleet, keys)
    assert many(fleet, business_public_key=keys.a.pem)["changed"]
    fleet.clear()
    result = many(fleet, business_public_key=keys.a.pem)
    assert (result["changed"], result["summary"], result["diff"]) == (False, {"unchanged": 6}, [])
    assert [record.method for record in fleet.requests] == ["GET"] * 6


def test_the_diff_holds_the_changed_ones_alone(fleet: Sandbox, keys: Keys) -> None:
    dealt(fleet, keys)
    result = many(fleet, business_public_key=keys.a.pem, expected_fingerprints=[keys.b.fingerprint])
    assert [diff["before_header"] for diff in result["diff"]] == [IDS[0], IDS[2], IDS[3], IDS[5]]


def test_partial_failure_keeps_every_row_and_names_each_failed_number(fleet: Sandbox, keys: Keys) -> None:
    fleet.fault(IDS[1], "error", status=400, code=133010, method="POST")
    fleet.fault(IDS[4], "error", status=403, code=200)
    rows = [{"phone_number_id": number, "name": f"shop {number[-1]}"} for number in IDS]
    result = many(fleet, rows, business_public_key=keys.a.pem)
    assert column(result, "outcome") == ["set", "failed", "set", "set", "failed", "set"]
    assert result["summary"] == {"set": 4, "failed": 2}
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"].startswith("2 of 6 numbers failed. ")
    for number in (IDS[1], IDS[4]):
        assert f"shop {number[-1]} ({number}): " in result["msg"]
    assert [set(row) ^ MANY_MEMBERS for row in result["numbers"]] == [set(), {"error"}, set(), set(), {"error"}, set()]


@pytest.mark.parametrize(("max_failures", "outcomes"), [
    (None, ["failed", "failed", "failed", "set", "set", "set"]),
    (3, ["failed", "failed", "failed", "set", "set", "set"]),
    (2, ["failed", "failed", "failed", "skipped", "skipped", "skipped"]),
    (1, ["failed", "failed", "skipped", "skipped", "skipped", "skipped"]),
    (0, ["failed", "skipped", "skipped", "skipped", "skipped", "skipped"]),
])
def test_max_failures_stops_new_numbers(max_failures: int | None, outcomes: list[str], fleet: Sandbox, keys: Keys) -> None:
    for number in IDS[:3]:
        fleet.fault(number, "error", status=403, code=200)
    result = many(fleet, business_public_key=keys.a.pem, max_workers=1, max_failures=max_failures)
    assert column(result, "outcome") == outcomes
    assert len({record.phone_number_id for record in fleet.requests}) == 6 - outcomes.count("skipped")
    assert ("max_failures was exceeded: " in result["msg"]) is ("skipped" in outcomes)


@pytest.mark.attack("accounted", "throttling of one WABA, of all or just before a change, beside numbers that could be worked on")
@pytest.mark.parametrize("workers", [1, 4])
def test_a_throttled_waba_does_not_end_the_work_on_others(workers: int, keys: Keys) -> None:
    with Sandbox(make_state(6, wabas=2)) as box:
        rows = [{"phone_number_id": number, "waba_id": box.state.numbers[number].waba_id} for number in box.state.numbers]
        throttled = rows[0]["waba_id"]
        box.fault(rows[0]["phone_number_id"], "throttle", estimated_minutes=60)
        result = many(box, rows, business_public_key=keys.a.pem, max_workers=workers, max_failures=0)
    outcomes = ["failed" if row["waba_id"] == throttled else "set" for row in rows]
    assert outcomes.count("set") == 3
    for row, outcome in zip(result["numbers"], outcomes):
        assert row["outcome"] == outcome or (workers > 1 and row["outcome"] == "set")  # begun before the throttling was known
        assert row["outcome"] == "set" or row["error"]["type"] in ("OAuthException", "DeadlineExceeded")


def test_a_refused_number_counts_as_a_failure(fleet: Sandbox, keys: Keys) -> None:
    hold(fleet, IDS[0], keys.b)
    result = many(fleet, business_public_key=keys.a.pem, expected_fingerprints=[], max_workers=1, max_failures=0)
    assert column(result, "outcome") == ["refused", *["skipped"] * 5]


@pytest.mark.parametrize("run", [many, info])
def test_the_same_id_twice_is_refused_before_any_request(run: t.Callable[..., Params], box: Sandbox, keys: Keys) -> None:
    rows = [{"phone_number_id": "11", "name": "one"}, {"phone_number_id": "12"}, {"phone_number_id": " 11", "name": "two"}]
    given = {"business_public_key": keys.a.pem} if run is many else {}
    with pytest.raises(InvalidOptions, match=r"more than once: 11 \(one, two\)"):
        run(box, phone_numbers=rows, **given)
    assert box.requests == []


# -- what one number lacks


@pytest.mark.parametrize(("row", "why"), [
    ({"phone_number_id": None}, "no phone_number_id"),
    ({"phone_number_id": " "}, "no phone_number_id"),
    ({"phone_number_id": "+1555"}, "not a number of digits alone"),
    ({"phone_number_id": "77", "base_url": "ftp://x"}, "not an http"),
    ({"phone_number_id": "77", "base_url": "https://[::1"}, "not an http"),
    ({"phone_number_id": "77", "api_version": "latest"}, "api_version"),
    ({"phone_number_id": "77", "timeout": -1.0}, "timeout must be more than 0"),
    ({"phone_number_id": "77", "total_timeout": -1.0}, "total_timeout must be more than 0"),
    ({"phone_number_id": "77", "ca_path": "/nonexistent"}, "ca_path"),
    ({"phone_number_id": "77", "access_token": "two words"}, "characters that no credential has"),
    ({"phone_number_id": "77", "business_public_key": "nonsense"}, "not PEM"),
    ({"phone_number_id": "77", "business_public_key_path": "/nonexistent"}, "cannot be read"),
    ({"phone_number_id": "77", "expected_fingerprints": ["abc"]}, "not a fingerprint"),
])
def test_a_number_that_lacks_what_it_needs_fails_as_that_number_alone(row: Params, why: str, fleet: Sandbox, keys: Keys) -> None:
    rows = [{"phone_number_id": IDS[0]}, {"name": "odd", **row}, {"phone_number_id": IDS[1]}]
    result = many(fleet, rows, business_public_key=keys.a.pem)
    assert column(result, "outcome") == ["set", "failed", "set"]
    assert why in result["numbers"][1]["error"]["message"]
    assert "odd" in result["msg"]
    assert {record.phone_number_id for record in fleet.requests} == set(IDS[:2])


def test_a_missing_token_on_one_number_fails_that_alone(fleet: Sandbox, keys: Keys) -> None:
    rows = [{"phone_number_id": IDS[0], "access_token": DEFAULT_TOKEN}, {"phone_number_id": IDS[1]}]
    result = many(fleet, rows, business_public_key=keys.a.pem, access_token=None)
    assert column(result, "outcome") == ["set", "failed"]
    assert "No access token" in result["numbers"][1]["error"]["message"]


def test_a_number_without_a_name_is_called_by_its_id_or_its_place(fleet: Sandbox) -> None:
    result = info(fleet, phone_numbers=[{"phone_number_id": IDS[0]}, {}, {"name": "shop"}])
    assert column(result, "name") == [IDS[0], "phone_numbers[2]", "shop"]


def test_a_number_without_any_key_is_an_error_that_names_it(fleet: Sandbox, keys: Keys) -> None:
    rows = [{"phone_number_id": IDS[0], "business_public_key": keys.a.pem}, {"phone_number_id": IDS[1], "name": "shop"}]
    with pytest.raises(InvalidOptions, match="shop has no key to set"):
        many(fleet, rows)
    assert fleet.requests == []


# -- what one number has for its own


def test_own_tokens_and_servers(fleet: Sandbox, box: Sandbox, keys: Keys) -> None:
    fleet.state.tokens["other-token"] = Token()
    rows = [
        {"phone_number_id": IDS[1]},
        {"phone_number_id": IDS[2], "access_token": "other-token"},
        {"phone_number_id": DEFAULT_NUMBER, "base_url": box.base_url},
        {"phone_number_id": IDS[3], "api_version": "v25.0"},
    ]
    result = many(fleet, rows, business_public_key=keys.a.pem)
    assert result["summary"] == {"set": 4}
    assert {record.token_hint for record in fleet.requests if record.phone_number_id == IDS[2]} == {"othe"}
    assert {record.token_hint for record in fleet.requests if record.phone_number_id == IDS[1]} == {"sand"}
    assert {record.path.split("/")[1] for record in fleet.requests} == {"v24.0", "v25.0"}
    assert {record.phone_number_id for record in box.requests} == {DEFAULT_NUMBER}


def test_own_app_secret(fleet: Sandbox) -> None:
    result = info(fleet, phone_numbers=[{"phone_number_id": IDS[0]}, {"phone_number_id": IDS[1], "app_secret": "s3cret"}])
    assert result["summary"] == {"read": 2}
    assert {record.phone_number_id: record.has_app_secret_proof for record in fleet.requests} == {IDS[0]: False, IDS[1]: True}


def test_own_keys_and_expected_fingerprints_and_force(fleet: Sandbox, keys: Keys, tmp_path: Path) -> None:
    for number in IDS[:4]:
        hold(fleet, number, keys.b)
    path = tmp_path / "c.pub"
    path.write_text(keys.c.pem)
    rows: list[Params] = [
        {"phone_number_id": IDS[0], "expected_fingerprints": [keys.b.fingerprint]},
        {"phone_number_id": IDS[1]},
        {"phone_number_id": IDS[2], "business_public_key": keys.b.pem, "force": True},
        {"phone_number_id": IDS[3], "business_public_key_path": str(path), "expected_fingerprints": [keys.b.fingerprint]},
    ]
    result = many(fleet, rows, business_public_key=keys.a.pem, expected_fingerprints=[])
    assert column(result, "outcome") == ["replaced", "refused", "resigned", "replaced"]
    assert column(result, "fingerprint") == [keys.a.fingerprint, keys.b.fingerprint, keys.b.fingerprint, keys.c.fingerprint]


def test_own_retries(fleet: Sandbox) -> None:
    for number in IDS[:2]:
        fleet.fault(number, "error", status=500, code=2, times=-1)
    info(fleet, phone_numbers=[{"phone_number_id": IDS[0], "retries": 0}, {"phone_number_id": IDS[1], "retries": 2}])
    asked = [record.phone_number_id for record in fleet.requests]
    assert (asked.count(IDS[0]), asked.count(IDS[1])) == (1, 3)


@pytest.mark.parametrize("name", ["timeout", "total_timeout"])
def test_own_times(name: str, fleet: Sandbox) -> None:
    fleet.fault(IDS[0], "slow_first_byte", seconds=2.5)
    start = time.monotonic()
    result = info(fleet, phone_numbers=[{"phone_number_id": IDS[0], name: 0.3}, {"phone_number_id": IDS[1]}], retries=0)
    assert time.monotonic() - start < 1.5
    assert column(result, "outcome") == ["failed", "read"]


# -- bounds and pools


@pytest.mark.parametrize(("workers", "seen"), [(1, 1), (3, 3), (32, 6)])
def test_workers_are_bounded(workers: int, seen: int, fleet: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.settings.latency = 0.05
    lock = threading.Lock()
    flying = [0, 0]
    send = _http.HttpClient._send

    def counting(*arguments: t.Any) -> t.Any:
        with lock:
            flying[0] += 1
            flying[1] = max(flying)
        try:
            return send(*arguments)
        finally:
            with lock:
                flying[0] -= 1

    monkeypatch.setattr(_http.HttpClient, "_send", counting)
    result = info(fleet, phone_numbers=[{"phone_number_id": number} for number in IDS], max_workers=workers)
    assert result["summary"] == {"read": 6}
    assert flying == [0, seen]


@pytest.mark.parametrize("workers", [0, -1])
def test_at_least_one_worker_is_needed(workers: int, box: Sandbox) -> None:
    with pytest.raises(InvalidOptions, match="max_workers must be at least 1"):
        info(box, phone_number_id="1", max_workers=workers)


def test_connections_are_pooled_and_numbers_with_the_same_credentials_share_them() -> None:
    with Recorder(delay=0.01) as server:
        rows = [{"phone_number_id": str(number), "name": f"n{number}"} for number in range(40)]
        params = module_params(INFO_SPEC, base_url=server.base_url, access_token="x", phone_numbers=rows, max_workers=4)
        assert run_info(params)["summary"] == {"read": 40}
        assert len(server.seen) == 40
        assert server.connections <= 4


@pytest.mark.parametrize("workers", [1, 7])
def test_the_pool_is_as_large_as_the_workers_are_many(workers: int, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Noting(_http.Transport):
        def __init__(self, pool_size: int = 1, **others: t.Any) -> None:
            sizes.append(pool_size)
            super().__init__(pool_size, **others)

    monkeypatch.setattr(_runs, "Transport", Noting)
    assert info(box, phone_number_id=DEFAULT_NUMBER, max_workers=workers)["summary"] == {"read": 1}
    assert sizes == [workers]


def test_no_connection_is_left_open(box: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []

    def close(transport: _http.Transport) -> None:
        closed.append(transport)

    monkeypatch.setattr(_http.Transport, "close", close)
    single(box)
    info(box, phone_number_id=DEFAULT_NUMBER)
    many(box, [{"phone_number_id": DEFAULT_NUMBER}], business_public_key=keys.a.pem)
    assert len(closed) == 3


def test_numbers_with_the_same_credentials_wait_together(fleet: Sandbox) -> None:
    fleet.fault(IDS[0], "throttle", retry_after=1)
    fleet.fault(IDS[1], "latency", seconds=0.2)
    result = info(fleet, phone_numbers=[{"phone_number_id": number} for number in IDS[:3]], max_workers=2)
    assert result["summary"] == {"read": 3}
    first = {record.phone_number_id: record.at for record in reversed(fleet.requests)}
    assert first[IDS[2]] - first[IDS[0]] >= 0.95


def test_each_distinct_text_of_a_key_is_parsed_once(fleet: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def parse(text: str) -> PublicKey:
        parsed.append(text)
        return parse_public_key(text)

    monkeypatch.setattr(_options, "parse_public_key", parse)
    rows = [{"phone_number_id": number, "business_public_key": keys.a.pem} for number in IDS]
    assert many(fleet, rows)["summary"] == {"set": 6}
    assert len(parsed) == 1


# -- secrets


@pytest.mark.parametrize("own", [{"provider": "gupshup", "app_id": "0b1f"}, {"provider": "graph_compatible", "preset": "1msg"}])
def test_a_common_token_of_metas_is_sent_to_no_gateway(own: Params, fleet: Sandbox, keys: Keys) -> None:
    """It can come from the environment, where a gateway's numbers without a credential would find it."""
    rows: list[Params] = [{"phone_number_id": IDS[0]}, {"name": "other", "phone_number_id": "x", **own}]
    result = many(fleet, rows, business_public_key=keys.a.pem)
    assert column(result, "outcome") == ["set", "failed"]
    assert "No " in result["numbers"][1]["error"]["message"]
    assert {record.phone_number_id for record in fleet.requests} == {IDS[0]}
    assert result["api"]["requests"] == 3


def test_results_hold_no_secret(fleet: Sandbox, keys: Keys) -> None:
    body = {"error": {"message": f"bad {DEFAULT_TOKEN} s3cret", "code": 100, "error_data": {"details": DEFAULT_TOKEN}}}
    fleet.fault(IDS[0], "body", status=400, body=json.dumps(body))
    fleet.fault(IDS[1], "reset", times=-1)
    hold(fleet, IDS[2], keys.b)
    result = many(fleet, business_public_key=keys.a.pem, app_secret="s3cret", retries=0)
    assert column(result, "outcome")[:3] == ["failed", "failed", "replaced"]
    text = json.dumps(result)
    assert DEFAULT_TOKEN not in text
    assert "s3cret" not in text
    assert "appsecret_proof" not in text
