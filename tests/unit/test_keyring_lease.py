# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease: advice about who rotates a keyring, which never stops anybody."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.waba.flows.plugins.module_utils import _lease
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, KeyringError
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    PASSPHRASE,
    Box,
    Maker,
    box_fixture,
    maker_fixture,
    rotated,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
MINUTE = 1 / 1440
HERE = {"owner": "here", "taken_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-01T12:15:00Z"}


def lease_file(box: Box) -> Params | None:
    path = box.folder / "lease.json"
    return t.cast(Params, json.loads(path.read_text())) if path.exists() else None


# -- the document


@pytest.mark.parametrize("seconds", [1, 900, _lease.LONGEST])
def test_a_lease_survives_its_document(seconds: int) -> None:
    lease = _lease.take("here", seconds, NOW)
    assert _lease.from_json(_lease.to_json(lease).encode()) == lease
    assert lease.is_live(NOW + timedelta(seconds=seconds - 1))
    assert not lease.is_live(NOW + timedelta(seconds=seconds))


DAMAGED: dict[str, t.Any] = {
    "empty": b"", "no json": b"hello", "no text": b"\xff\xfe", "no object": b"[]", "null": b"null", "nested": b"[" * 100000,
    "no members": b"{}", "no schema": json.dumps(HERE).encode(),
    "newer": json.dumps({"schema": 2, **HERE}).encode(),
    "no owner": json.dumps({"schema": 1, **HERE, "owner": None}).encode(),
    "an owner of another kind": json.dumps({"schema": 1, **HERE, "owner": ["x"]}).encode(),
    "no expiry": json.dumps({"schema": 1, "owner": "x", "taken_at": HERE["taken_at"]}).encode(),
    "a bad time": json.dumps({"schema": 1, **HERE, "expires_at": "never"}).encode(),
    "a number": json.dumps({"schema": 1, **HERE, "expires_at": 9999999999}).encode(),
    "one more": json.dumps({"schema": 1, **HERE, "more": "x"}).encode(),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_not_a_lease_is_none(case: str) -> None:
    assert _lease.from_json(DAMAGED[case]) is None


# -- taking one


def test_staging_takes_a_lease(box: Box, maker: Maker) -> None:
    predicted = box("staged", lease_owner="here", check_mode=True)
    assert not box.path.exists()
    result = box("staged", lease_owner="here")
    assert result["lease"] == predicted["lease"] == {"owner": "here", "expires_at": HERE["expires_at"], "other": None}
    assert lease_file(box) == {"schema": 1, **HERE}
    assert (box.folder / "lease.json").stat().st_mode & 0o777 == 0o600


def test_without_an_owner_there_is_none(box: Box, maker: Maker) -> None:
    assert box("staged")["lease"] is None
    assert box("staged", lease_owner="")["lease"] is None
    assert lease_file(box) is None


def test_taking_it_anew_is_no_change(box: Box, maker: Maker) -> None:
    box("staged", lease_owner="here")
    result = box("staged", lease_owner="here", lease_seconds=60, day=5 * MINUTE)
    assert (result["changed"], result["lease"]["expires_at"]) == (False, "2026-03-01T12:06:00Z")
    assert lease_file(box) == {
        "schema": 1, "owner": "here", "taken_at": "2026-03-01T12:05:00Z", "expires_at": "2026-03-01T12:06:00Z"}


def test_another_one_s_is_told_and_left_and_stops_nobody(box: Box, maker: Maker) -> None:
    box("present", day=0)
    box("staged", lease_owner="here")
    predicted = box("staged", lease_owner="there", force=True, day=14 * MINUTE, check_mode=True)
    result = box("staged", lease_owner="there", force=True)
    assert predicted["lease"] == result["lease"] == {"owner": "there", "expires_at": None, "other": HERE}
    assert (predicted["changed"], result["changed"], box.document()["generations"][1]["state"]) == (True, True, "pending")
    assert lease_file(box) == {"schema": 1, **HERE}


def test_an_expired_one_is_taken_over(box: Box, maker: Maker) -> None:
    box("staged", lease_owner="here")
    result = box("staged", lease_owner="there", day=15 * MINUTE)
    assert result["lease"] == {"owner": "there", "expires_at": "2026-03-01T12:30:00Z", "other": None}
    assert (lease_file(box) or {})["owner"] == "there"


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_one_is_replaced(case: str, box: Box, maker: Maker) -> None:
    box("staged")
    (box.folder / "lease.json").write_bytes(DAMAGED[case])
    assert box("staged", lease_owner="there")["lease"]["other"] is None
    assert (lease_file(box) or {})["owner"] == "there"


def test_a_link_is_replaced_and_not_followed(box: Box, maker: Maker) -> None:
    box("staged")
    target = box.folder.parent / "target"
    target.write_text(json.dumps({"schema": 1, **HERE}))
    (box.folder / "lease.json").symlink_to(target)
    assert box("staged", lease_owner="there")["lease"]["other"] is None
    assert not (box.folder / "lease.json").is_symlink()
    assert json.loads(target.read_text())["owner"] == "here"


def test_a_refused_call_takes_none(box: Box, keys: Keys, maker: Maker) -> None:
    box("present")
    with pytest.raises(KeyringError):
        box("staged", lease_owner="here", passphrase="another passphrase")
    with pytest.raises(KeyringError):
        box("staged", lease_owner="here", replace_fingerprint=keys.d.fingerprint)
    assert lease_file(box) is None


# -- what does not touch it


STATES: dict[str, Params] = {
    "present": {}, "promoted": {"fingerprint": "b"}, "rolled_back": {"fingerprint": "a"},
    "revoked": {"fingerprint": "a", "in_use_fingerprints": []}, "pruned": {"in_use_fingerprints": []}, "read": {},
}


def given_of(state: str, keys: Keys) -> Params:
    given = dict(STATES[state])
    if "fingerprint" in given:
        given["fingerprint"] = getattr(keys, given["fingerprint"]).fingerprint
    return given


@pytest.mark.parametrize("owner", ["here", "there", None])
@pytest.mark.parametrize("state", STATES)
def test_other_states_take_none_and_leave_it(state: str, owner: str | None, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", lease_owner="here", day=10)
    before = lease_file(box)
    result = box(state, lease_owner=owner, **given_of(state, keys))
    assert lease_file(box) == before
    expires = "2026-03-11T12:15:00Z"
    assert result["lease"] == {
        "here": {"owner": "here", "expires_at": expires, "other": None},
        "there": {"owner": "there", "expires_at": None,
                  "other": {"owner": "here", "taken_at": "2026-03-11T12:00:00Z", "expires_at": expires}},
        None: None,
    }[owner]


@pytest.mark.parametrize("state", STATES)
def test_other_states_make_none(state: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    result = box(state, lease_owner="here", **given_of(state, keys))
    assert result["lease"] == {"owner": "here", "expires_at": None, "other": None}
    assert lease_file(box) is None


# -- releasing it


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("state", [state for state in [*STATES, "staged"] if state != "read"])
def test_any_call_that_writes_can_release_it(state: str, expired: bool, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", lease_owner="here", day=10)
    given = {} if state == "staged" else given_of(state, keys)
    box.day = 11 if expired else 10
    predicted = box(state, lease_owner="here", release_lease=True, check_mode=True, **given)
    assert lease_file(box) is not None
    result = box(state, lease_owner="here", release_lease=True, **given)
    assert result["lease"] == predicted["lease"] == {"owner": "here", "expires_at": None, "other": None}
    assert lease_file(box) is None
    if state in ("present", "staged", "promoted"):
        assert result["changed"] is False
    assert box("present", lease_owner="here", release_lease=True)["lease"]["expires_at"] is None


def test_nobody_releases_another_one_s(box: Box, maker: Maker) -> None:
    box("staged", lease_owner="here")
    result = box("staged", lease_owner="there", release_lease=True)
    assert result["lease"] == {"owner": "there", "expires_at": None, "other": HERE}
    assert lease_file(box) == {"schema": 1, **HERE}


def test_a_refused_call_releases_none(box: Box, keys: Keys, maker: Maker) -> None:
    box("staged", lease_owner="here")
    with pytest.raises(KeyringError):
        box("promoted", fingerprint=keys.c.fingerprint, lease_owner="here", release_lease=True)
    assert lease_file(box) is not None


@pytest.mark.parametrize(("given", "why"), [
    ({"release_lease": True}, "release_lease needs lease_owner"),
    ({"release_lease": True, "lease_owner": "here", "state": "read"}, "writes nothing"),
    ({"lease_owner": "x" * 201}, "lease_owner must be"),
    ({"lease_owner": "a\nb"}, "lease_owner must be"),
    ({"lease_owner": "here", "lease_seconds": 0}, "lease_seconds must be from 1 to 604800"),
    ({"lease_owner": "here", "lease_seconds": -5}, "lease_seconds must be"),
    ({"lease_owner": "here", "lease_seconds": 10**12}, "lease_seconds must be"),
])
def test_odd_options_are_refused(given: Params, why: str, box: Box) -> None:
    with pytest.raises(InvalidOptions, match=why):
        box(given.pop("state", "staged"), **given)
    assert not box.path.exists()


def test_no_secret_is_in_it(box: Box, maker: Maker) -> None:
    box("staged", lease_owner="here")
    assert PASSPHRASE not in (box.folder / "lease.json").read_text()
