# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that leaked, keyrings that were lost, rollbacks that restart the clock, and what a killed revocation left."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, KeyringError
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    IMPORTS,
    Box,
    Maker,
    box_fixture,
    maker_fixture,
    rotated,
    states,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find


def by_name(result: Params, keys: Keys) -> dict[str, str]:
    names = {getattr(keys, name).fingerprint: name for name in "abcd"}
    return {names[fingerprint]: state for fingerprint, state in states(result).items()}


def situation(wanted: str, box: Box, keys: Keys) -> None:
    """Make a keyring: "rc" is a retired and a current key, "rcp" has a pending one as well; "p" is a pending one alone."""
    if wanted == "p":
        box("staged")
    elif wanted in ("c", "cp"):
        box()
    else:
        rotated(box, keys)
    if wanted.endswith("p") and wanted != "p":
        box("staged", force=True)


# -- replace_fingerprint


@pytest.mark.parametrize(("before", "leaked", "given", "after"), [
    ("c", "a", {}, {"a": "current", "b": "pending"}),
    ("rc", "b", {}, {"a": "retired", "b": "current", "c": "pending"}),
    ("rc", "a", {}, {"a": "retired", "b": "current"}),  # nobody is to use it any more
    ("cp", "a", {}, {"a": "current", "b": "pending"}),  # the pending one replaces it
    ("cp", "b", {}, {"a": "current", "b": "retired"}),
    ("cp", "b", {"force": True}, {"a": "current", "b": "retired", "c": "pending"}),
    ("cp", "b", {"max_age": "1d"}, {"a": "current", "b": "retired", "c": "pending"}),
    ("cp", "b", {"max_age": "900d"}, {"a": "current", "b": "retired"}),
    ("p", "a", {}, {"a": "retired", "b": "pending"}),
    ("rcp", "a", {}, {"a": "retired", "b": "current", "c": "pending"}),
    ("rc", "a", {"force": True}, {"a": "retired", "b": "current", "c": "pending"}),
])
def test_a_key_that_leaked_is_replaced(
    *, before: str, leaked: str, given: Params, after: dict[str, str], box: Box, keys: Keys, maker: Maker
) -> None:
    situation(before, box, keys)
    fingerprint = getattr(keys, leaked).fingerprint
    files = box.files()
    predicted = box("staged", replace_fingerprint=fingerprint, check_mode=True, day=100, **given)
    assert box.files() == files
    maker.log.write_text("x" * len(before))
    result = box("staged", replace_fingerprint=fingerprint, **given)
    assert by_name(result, keys) == after
    assert [row["state"] for row in predicted["generations"]] == list(after.values())
    assert predicted["changed"] is result["changed"]
    assert result["to_publish"]["fingerprint"] == (result["pending"] or result["current"])


def test_once_another_key_is_current_it_does_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    box("staged", replace_fingerprint=keys.a.fingerprint)
    for dummy in range(2):
        assert box("staged", replace_fingerprint=keys.a.fingerprint)["changed"] is False
    box("promoted", fingerprint=keys.b.fingerprint)
    before = box.files()
    again = box("staged", replace_fingerprint=keys.a.fingerprint, day=50)
    assert (again["changed"], again["pending"], again["current"]) == (False, None, keys.b.fingerprint)
    assert box.files() == before
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    assert box("staged", replace_fingerprint=keys.a.fingerprint)["changed"] is False
    assert maker.count == 2


def test_a_pending_key_that_leaked_is_not_given_up_twice(box: Box, keys: Keys, maker: Maker) -> None:
    situation("cp", box, keys)
    box("staged", replace_fingerprint=keys.b.fingerprint)
    before = box.files()
    assert box("staged", replace_fingerprint=keys.b.fingerprint, day=50)["changed"] is False
    assert box.files() == before


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_unknown_key_cannot_be_replaced(check_mode: bool, box: Box, keys: Keys, maker: Maker) -> None:
    situation("rcp", box, keys)
    before = box.files()
    with pytest.raises(KeyringError, match=r"cannot be replaced: .* does not know it") as caught:
        box("staged", replace_fingerprint=keys.d.fingerprint, force=True, check_mode=check_mode)
    for key, state in ((keys.a, "retired"), (keys.b, "current"), (keys.c, "pending")):
        assert f"{key.fingerprint} ({state})" in str(caught.value)
    assert box.files() == before


def test_an_empty_keyring_knows_none_to_replace(box: Box, keys: Keys, maker: Maker) -> None:
    with pytest.raises(KeyringError, match="Known: none"):
        box("staged", replace_fingerprint=keys.d.fingerprint)
    assert (box.names(".pem"), maker.count) == ([], 0)


def test_the_key_that_leaked_can_be_imported_in_the_same_call(box: Box, keys: Keys, maker: Maker) -> None:
    result = box("staged", replace_fingerprint=keys.c.fingerprint, **IMPORTS["plain"](keys.c))
    assert by_name(result, keys) == {"c": "current", "a": "pending"}


def test_a_key_that_leaked_may_be_lost_as_well(box: Box, keys: Keys, maker: Maker) -> None:
    situation("cp", box, keys)
    box.pem(keys.b).unlink()
    assert by_name(box("staged", replace_fingerprint=keys.b.fingerprint), keys) == {"a": "current", "b": "retired"}
    box.pem(keys.a).unlink()
    result = box("staged", replace_fingerprint=keys.a.fingerprint)
    assert by_name(result, keys) == {"a": "current", "b": "retired", "c": "pending"}


@pytest.mark.parametrize("lost", ["a", "ab"])
def test_the_key_that_is_left_must_open(lost: str, box: Box, keys: Keys, maker: Maker) -> None:
    """The pending key is given up, so the current one would be published."""
    situation("cp", box, keys)
    paths = [box.pem(getattr(keys, name)) for name in lost]
    for path in paths:
        path.unlink()
    before = box.files()
    with pytest.raises(KeyringError, match="is missing"):
        box("staged", replace_fingerprint=keys.b.fingerprint)
    assert box.files() == before


def test_a_new_key_is_never_made_under_a_passphrase_of_its_own(box: Box, keys: Keys, maker: Maker) -> None:
    situation("rcp", box, keys)
    for path in [box.pem(keys.b), box.pem(keys.c)]:
        path.unlink()
    before = box.files()
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        box("staged", replace_fingerprint=keys.c.fingerprint, force=True, passphrase="another passphrase")
    assert box.files() == before
    assert box("staged", replace_fingerprint=keys.c.fingerprint, force=True)["pending"] == keys.d.fingerprint


@pytest.mark.parametrize("state", ["present", "promoted", "rolled_back", "revoked", "pruned"])
def test_replacing_goes_with_staged_alone(state: str, box: Box, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="replace_fingerprint goes with state: staged, not with"):
        box(state, replace_fingerprint=keys.a.fingerprint, fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    with pytest.raises(InvalidKey, match="not a fingerprint"):
        box("staged", replace_fingerprint="abc")
    assert not box.path.exists()


# -- required_serial


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("state", ["present", "staged"])
def test_a_keyring_that_counts_fewer_changes_than_its_copy_is_left_alone(state: str, check_mode: bool, box: Box) -> None:
    serial = box()["serial"]
    assert serial == 1
    assert box(state, required_serial=serial, required_by="vault2")["changed"] is False
    before = box.files()
    with pytest.raises(KeyringError, match=r"is at change 1, a copy of it at change 2: .* Nothing was changed\.") as caught:
        box(state, required_serial=2, required_by="vault2", force=True, check_mode=check_mode)
    assert "waba.flows.restore -e encryption_keys_restore_from=vault2" in str(caught.value)
    assert box.files() == before


def test_a_lost_keyring_is_not_begun_anew_beside_its_copy(box: Box) -> None:
    with pytest.raises(KeyringError, match="is at change 0, a copy of it at change 3"):
        box("staged", required_serial=3)
    assert not box.path.exists()


# -- required_fingerprints


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("state", ["present", "staged"])
def test_an_empty_keyring_that_must_know_a_key_was_lost(
    state: str, check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    with pytest.raises(KeyringError, match="was lost or is older than its copy") as caught:
        box(state, required_fingerprints=[keys.a.fingerprint], check_mode=check_mode, force=True)
    assert f"does not know {keys.a.fingerprint}, which a copy of it has: this keyring was lost" in str(caught.value)
    assert "Rebuild it: ansible-playbook waba.flows.restore -e encryption_keys_restore_from=HOST" in str(caught.value)
    assert not box.path.parent.exists()
    assert maker.count == 0


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("state", ["present", "staged"])
def test_a_keyring_that_lacks_one_is_refused_before_anything_is_done(
    state: str, check_mode: bool, box: Box, keys: Keys, maker: Maker
) -> None:
    rotated(box, keys)
    before = box.files()
    with pytest.raises(KeyringError, match="does not know") as caught:
        box(state, required_fingerprints=[key.fingerprint for key in keys], check_mode=check_mode, force=True,
            import_private_key_content=keys.d.private_pem())
    assert keys.c.fingerprint in str(caught.value)
    assert not any(key.fingerprint in str(caught.value) for key in (keys.a, keys.b, keys.d))
    assert box.files() == before


def test_a_lost_state_file_is_not_made_good_by_what_lies_beside_it(box: Box, keys: Keys, maker: Maker) -> None:
    box()
    (box.folder / "keyring.json").unlink()
    with pytest.raises(KeyringError, match="was lost"):
        box("staged", required_fingerprints=[keys.a.fingerprint])
    assert not (box.folder / "keyring.json").exists()


@pytest.mark.parametrize("state", ["present", "staged"])
def test_a_keyring_that_knows_them_goes_on(state: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    required = [keys.a.fingerprint, keys.b.fingerprint.removeprefix("SHA256:")]
    assert box(state, required_fingerprints=required)["changed"] is False


@pytest.mark.parametrize("state", ["present", "staged"])
def test_a_key_that_was_pruned_counts_as_known(state: str, box: Box, keys: Keys, maker: Maker) -> None:
    """Not so a retired one that this keyring never had."""
    rotated(box, keys)
    box("pruned", in_use_fingerprints=[], day=400)
    assert box(state, required_fingerprints=[keys.a.fingerprint, keys.b.fingerprint])["changed"] is False
    with pytest.raises(KeyringError, match="does not know") as caught:
        box(state, required_fingerprints=[key.fingerprint for key in keys[:3]])
    assert keys.c.fingerprint in str(caught.value)
    assert keys.a.fingerprint not in str(caught.value)


def test_a_key_that_is_imported_counts_as_known(box: Box, keys: Keys, maker: Maker) -> None:
    given = {"required_fingerprints": [keys.c.fingerprint], **IMPORTS["plain"](keys.c)}
    assert box(**given)["current"] == keys.c.fingerprint


@pytest.mark.parametrize("state", ["promoted", "rolled_back", "revoked", "pruned", "read"])
def test_requiring_goes_with_states_that_may_create_a_key(state: str, box: Box, keys: Keys) -> None:
    given: Params = {"fingerprint": keys.a.fingerprint, "in_use_fingerprints": []}
    with pytest.raises(InvalidOptions, match="required_fingerprints goes with state: present or staged"):
        box(state, required_fingerprints=[keys.a.fingerprint], **given)
    assert not box.path.exists()


def test_an_empty_list_requires_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    box("staged", required_fingerprints=[])
    assert box("promoted", fingerprint=keys.a.fingerprint, required_fingerprints=[])["changed"] is True


# -- rolled_back to the current key


def test_giving_up_a_pending_key_restarts_the_clock(box: Box, keys: Keys, maker: Maker) -> None:
    """Else the next run would at once stage the next one, because the current one was due."""
    box(day=0)
    box("staged", max_age="90d", day=91)
    predicted = box("rolled_back", fingerprint=keys.a.fingerprint, max_age="90d", day=92, check_mode=True)
    result = box("rolled_back", fingerprint=keys.a.fingerprint, max_age="90d", day=92)
    assert {**predicted, "check_mode": False} == result
    assert (result["changed"], result["due_at"]) == (True, "2026-08-30T12:00:00Z")
    assert box("staged", max_age="90d", day=100)["changed"] is False
    assert box("staged", max_age="90d", day=182)["pending"] == keys.c.fingerprint


def test_without_a_pending_key_the_clock_goes_on(box: Box, keys: Keys, maker: Maker) -> None:
    box(day=0)
    before = box.files()
    assert box("rolled_back", fingerprint=keys.a.fingerprint, day=50)["changed"] is False
    assert box.files() == before


# -- what a killed revocation left


LATER: dict[str, tuple[str, t.Callable[[Keys], Params]]] = {
    "present": ("present", lambda keys: {}),
    "staged": ("staged", lambda keys: {"force": True}),
    "promoted": ("promoted", lambda keys: {"fingerprint": keys.b.fingerprint}),
    "rolled_back": ("rolled_back", lambda keys: {"fingerprint": keys.b.fingerprint}),
    "revoked again": ("revoked", lambda keys: {"fingerprint": keys.a.fingerprint, "in_use_fingerprints": []}),
    "pruned": ("pruned", lambda keys: {"in_use_fingerprints": []}),
}


@pytest.mark.parametrize("suffix", [".pem", ".pub"])
@pytest.mark.parametrize("call", LATER)
def test_any_call_that_writes_destroys_it(call: str, suffix: str, box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    path = box.pem(keys.a).with_suffix(suffix)
    content = path.read_bytes()
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path.write_bytes(content)
    state, given = LATER[call]
    predicted = box(state, check_mode=True, **given(keys))
    assert path.exists()
    result = box(state, **given(keys))
    assert (result["changed"], result["removed"], path.exists()) == (True, [keys.a.fingerprint], False)
    assert (predicted["changed"], predicted["removed"]) == (True, [keys.a.fingerprint])
    assert box("staged")["changed"] is False


def test_revoking_one_finishes_what_is_left_of_another(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    box("staged", force=True)
    path = box.pem(keys.a)
    content = path.read_bytes()
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path.write_bytes(content)
    result = box("revoked", fingerprint=keys.c.fingerprint, in_use_fingerprints=[])
    assert result["removed"] == [keys.a.fingerprint, keys.c.fingerprint]


def test_a_refused_call_destroys_nothing(box: Box, keys: Keys, maker: Maker) -> None:
    rotated(box, keys)
    path = box.pem(keys.a)
    content = path.read_bytes()
    box("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    path.write_bytes(content)
    with pytest.raises(KeyringError):
        box("promoted", fingerprint=keys.c.fingerprint)
    assert path.exists()
