# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault of the table in network_faults, on reading and setting the keys of one number and of many."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import time
import typing as t
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many, run_single
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params, module_params
from ansible_collections.waba.flows.tests.unit.network_faults import FAULTS, Fault
from ansible_collections.waba.flows.tests.unit.rude_server import Heard, RudeServer

pytestmark = pytest.mark.usefixtures("quick")

TOKEN = "EAAtoken-canary-0123456789"
SECRET = "appsecret-canary-0123456789"
PROOF = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
IDS = [str(106500000000001 + index) for index in range(10)]
# Seconds beyond total_timeout that a busy machine may take.
SLACK = 1.5


@dataclasses.dataclass
class Api:
    """What is behind the rude server: the keys of numbers. C(sets) counts how often one was set."""

    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    sets: int = 0

    def answer(self, heard: Heard) -> bytes:
        number = urlsplit(heard.target).path.split("/")[2]
        if heard.method == "POST":
            self.keys[number] = dict(parse_qsl(heard.body.decode()))["business_public_key"]
            self.sets += 1
            return b'{"success": true}'
        row = {"business_public_key": self.keys.get(number, ""), "business_public_key_signature_status":
               "VALID" if number in self.keys else "MISMATCH"}
        return json.dumps({"data": [row]}).encode()


@dataclasses.dataclass
class Rude:
    """The API behind its server, and the modules that call it."""

    api: Api
    server: RudeServer

    def breaks(self, fault: Fault, method: str = "", number: str = "", *, applied: bool = True, times: int = 10**6) -> None:
        """Have a fault happen to requests of a method, or for a number; the key that it sends may be taken all the same."""
        left = [times]

        def rude(own: str, target: str) -> t.Any:
            hit = left[0] > 0 and own.startswith(method) and number in target
            left[0] -= hit
            return (fault.act, applied) if hit else None

        self.server.rude = rude

    def breaks_from_the_first_post(self, fault: Fault, *, applied: bool) -> None:
        """Have a fault happen to the first POST and to all that comes after it."""
        seen: list[str] = []

        def rude(method: str, target: str) -> t.Any:
            if method == "POST" or seen:
                seen.append(method)
                return fault.act, applied or method == "GET"
            return None

        self.server.rude = rude

    def heals(self) -> None:
        self.server.rude = lambda method, target: None

    def options(self, fault: Fault | None, **more: t.Any) -> Params:
        times = fault.times if fault else {}
        return {"base_url": self.server.base_url, "access_token": TOKEN, "app_secret": SECRET, "retries": 0, **times, **more}

    def read(self, fault: Fault) -> Params:
        return told(fault, lambda: run_single(
            module_params(SINGLE_SPEC, phone_number_id=IDS[0], **self.options(fault)), False))

    def set(self, fault: Fault | None, key: KeyPair) -> Params:
        given = self.options(fault, verify_timeout=0.1, phone_number_id=IDS[0], business_public_key=key.pem)
        return told(fault, lambda: run_single(module_params(SINGLE_SPEC, **given), False))

    def info(self, fault: Fault) -> Params:
        rows = [{"phone_number_id": number} for number in IDS[:2]]
        return told(fault, lambda: run_info(module_params(INFO_SPEC, phone_numbers=rows, **self.options(fault))))

    def fleet(self, fault: Fault, key: KeyPair, **more: t.Any) -> Params:
        rows = [{"phone_number_id": number} for number in IDS]
        given = self.options(fault, verify_timeout=0.1, phone_numbers=rows, business_public_key=key.pem, max_workers=4, **more)
        return told(fault, lambda: run_many(module_params(FLEET_SPEC, **given), False))


def told(fault: Fault | None, work: t.Callable[[], Params]) -> Params:
    """Return a module's result, which has come in time, is one that Ansible can print, and holds no secret."""
    start = time.monotonic()
    result = work()
    assert time.monotonic() - start < (fault.times["total_timeout"] if fault else 300.0) + SLACK
    text = json.dumps(result, allow_nan=False)
    assert not any(secret in text for secret in (TOKEN, SECRET, PROOF))
    return result


def check_error(row: Params, fault: Fault) -> None:
    """See that a number's error is the one that belongs to the fault."""
    assert (row["outcome"], row["error"]["type"], row["error"]["retryable"]) == ("failed", fault.error, fault.retryable)
    assert row["error"]["message"].endswith((".", "reference."))


@pytest.fixture
def rude() -> Iterator[Rude]:
    """Ten numbers without a key."""
    api = Api()
    with RudeServer(api.answer) as server:
        yield Rude(api, server)


def some(choose: t.Callable[[Fault], bool]) -> pytest.MarkDecorator:
    chosen = [fault for fault in FAULTS if choose(fault)]
    return pytest.mark.parametrize("fault", chosen, ids=[fault.name for fault in chosen])


@pytest.mark.attack("deadline", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.attack("understood", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.attack("secret", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@some(lambda fault: True)
def test_reading_ends_in_time_and_says_why(fault: Fault, rude: Rude) -> None:
    rude.breaks(fault)
    result = rude.read(fault)
    assert result["changed"] is False
    if fault.error is None:
        assert (result["outcome"], result["fingerprint"]) == ("read", None)
    else:
        assert result["failed"] is True
        check_error(result, fault)


@pytest.mark.attack("understood", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@some(lambda fault: not fault.slow)
def test_of_two_numbers_the_other_one_is_read(fault: Fault, rude: Rude) -> None:
    rude.breaks(fault, number=IDS[1])
    good, bad = rude.info(fault)["numbers"]
    assert good["outcome"] == "read"
    if fault.error is None:
        assert bad["outcome"] == "read"
    else:
        check_error(bad, fault)


@pytest.mark.attack("accounted", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@some(lambda fault: not fault.slow and not fault.of_all)
def test_nine_of_ten_numbers_get_their_key(fault: Fault, rude: Rude, keys: Keys) -> None:
    rude.breaks(fault, number=IDS[3])
    result = rude.fleet(fault, keys.a)
    outcomes = ["set"] * 10 if fault.error is None else ["set"] * 3 + ["failed"] + ["set"] * 6
    assert [row["outcome"] for row in result["numbers"]] == outcomes
    assert rude.api.sets == outcomes.count("set")
    if fault.error is not None:
        check_error(result["numbers"][3], fault)
        assert f"{IDS[3]} ({IDS[3]}): " in result["msg"]
        assert [IDS[3] in rude.api.keys, result["numbers"][3]["changed"]] == [False, False]


@pytest.mark.attack("accounted", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@some(lambda fault: fault.hides and fault.error != "DeadlineExceeded" and not getattr(fault.act, "early", False))
def test_a_key_that_was_taken_is_found_whatever_the_answer_was(fault: Fault, rude: Rude, keys: Keys) -> None:
    rude.breaks(fault, "POST", times=1)
    result = rude.set(fault, keys.a)
    assert (result["outcome"], result["changed"], result["attempts"]) == ("set", True, 1)
    assert (result["fingerprint"], "error" in result) == (keys.a.fingerprint, False)


@pytest.mark.attack("accounted", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@some(lambda fault: fault.error not in (None, "DeadlineExceeded"))
def test_a_key_that_was_not_taken_is_an_unchanged_number(fault: Fault, rude: Rude, keys: Keys) -> None:
    rude.breaks(fault, "POST", applied=False, times=1)
    result = rude.set(fault, keys.a)
    check_error(result, dataclasses.replace(fault, retryable=fault.retryable or fault.again))
    assert (result["changed"], result["fingerprint"], result["attempts"]) == (False, None, 1)


@pytest.mark.attack("deadline", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.attack("accounted", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.parametrize(("fault", "applied"), [
    pytest.param(fault, applied, id=f"{fault.name}, {'applied' if applied else 'not applied'}")
    for fault in FAULTS if fault.error is not None for applied in ([True] if fault.slow else [True, False])
])
def test_where_nothing_can_be_known_it_counts_as_changed_and_the_next_run_converges(
    fault: Fault, applied: bool, rude: Rude, keys: Keys
) -> None:
    applied = applied and fault.hides and not getattr(fault.act, "early", False)
    rude.breaks_from_the_first_post(fault, applied=applied)
    result = rude.set(fault, keys.a)
    check_error(result, fault)
    assert result["changed"] is fault.hides
    assert result["fingerprint"] is None
    rude.heals()
    again = rude.set(None, keys.a)
    assert (again["outcome"], again["changed"]) == (("unchanged", False) if applied else ("set", True))
    assert (rude.api.sets, again["fingerprint"]) == (1, keys.a.fingerprint)
