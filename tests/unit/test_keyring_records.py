# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State recorded: what numbers accepted whose provider cannot be asked is kept, and protects the keys that it names."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, KeyringError, WabaError
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    Box,
    Maker,
    box_fixture,
    copy_of,
    maker_fixture,
    rotated,
    states,
    unchecked_keys_fixture,
)

FIXTURES = (box_fixture, maker_fixture, unchecked_keys_fixture)  # for pytest to find


@pytest.fixture
def vault(box: Box, keys: Keys, maker: Maker) -> Box:
    """Key a is retired, b current, c pending; it is day 10."""
    rotated(box, keys)
    box("staged", force=True)
    return box


def of(keys: Keys, names: str, *, certain: bool = True) -> Params:
    return {"fingerprints": [getattr(keys, name).fingerprint for name in names], "certain": certain}


def record(box: Box, *, check_mode: bool = False, day: float | None = None, **accepted: Params) -> Params:
    given = {name[1:]: row for name, row in accepted.items()}
    return box("recorded", passphrase=None, accepted=given, check_mode=check_mode, day=day)


@pytest.mark.parametrize(("names", "certain"), [("b", True), ("c", False), ("bc", False), ("abc", False)])
def test_what_a_number_accepted_is_kept(names: str, certain: bool, vault: Box, keys: Keys) -> None:
    noted = {"106": {**of(keys, names, certain=certain), "at": "2026-03-13T12:00:00Z"}}
    result = record(vault, n106=of(keys, names, certain=certain), day=12)
    assert (result["changed"], result["accepted"]) == (True, noted)
    assert vault.document()["accepted"] == vault("read")["accepted"] == noted
    assert (result["to_publish"], result["removed"], result["reencrypted"]) == (None, [], [])


def test_without_certain_it_is_not(vault: Box, keys: Keys) -> None:
    row = {"fingerprints": [keys.b.fingerprint]}
    assert record(vault, n1=row)["accepted"]["1"]["certain"] is False


def test_nothing_else_is_changed(vault: Box, keys: Keys) -> None:
    before = vault("read")
    after = record(vault, n1=of(keys, "bc", certain=False), day=12)
    assert states(after) == states(before)
    assert [row["promoted_at"] for row in after["generations"]] == [row["promoted_at"] for row in before["generations"]]


def test_the_same_once_more_is_no_change(vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "bc", certain=False))
    before = vault.files()
    again = record(vault, n1=of(keys, "bc", certain=False))
    assert (again["changed"], again["diff"]) == (False, {})
    assert vault.files() == before


def test_later_the_same_is_no_change_and_keeps_its_time(vault: Box, keys: Keys) -> None:
    noted = record(vault, n1=of(keys, "a"), day=12)["accepted"]
    again = record(vault, n1=of(keys, "a"), day=20)
    assert (again["changed"], again["accepted"]) == (False, noted)


def test_numbers_that_are_not_named_stay_as_they_are(vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "a"), n2=of(keys, "b"), day=12)
    found = record(vault, n2=of(keys, "c"), day=13)["accepted"]
    assert {name: (row["fingerprints"], row["at"][:10]) for name, row in found.items()} == {
        "1": ([keys.a.fingerprint], "2026-03-13"), "2": ([keys.c.fingerprint], "2026-03-14"),
    }


def test_an_empty_list_forgets_a_number(vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "a"), n2=of(keys, "b"))
    result = record(vault, n1=of(keys, "", certain=False), n3=of(keys, ""))
    assert (result["changed"], list(result["accepted"])) == (True, ["2"])
    assert record(vault, n1=of(keys, ""))["changed"] is False


def test_check_mode_says_what_would_be_and_writes_nothing(vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "a"), n2=of(keys, "b"))
    before = vault.files()
    predicted = record(vault, n1=of(keys, "c"), n2=of(keys, ""), check_mode=True, day=30)
    assert vault.files() == before
    real = record(vault, n1=of(keys, "c"), n2=of(keys, ""), day=30)
    assert {**predicted, "check_mode": False} == real
    assert real["changed"] is True


def test_no_passphrase_is_needed_and_a_wrong_one_does_not_matter(vault: Box, keys: Keys) -> None:
    assert record(vault, n1=of(keys, "b"))["changed"] is True
    result = vault("recorded", passphrase="quite another one", accepted={"1": of(keys, "c")})
    assert result["accepted"]["1"]["fingerprints"] == [keys.c.fingerprint]


def test_a_key_that_the_keyring_does_not_have_can_be_noted(vault: Box, keys: Keys) -> None:
    assert record(vault, n2=of(keys, "d"))["accepted"]["2"]["fingerprints"] == [keys.d.fingerprint]


@pytest.mark.parametrize(("text", "certain"), [("true", True), ("True", True), ("no", False), (1, True), (False, False)])
def test_certain_may_be_text_as_templates_leave_it(vault: Box, keys: Keys, text: t.Any, certain: bool) -> None:
    assert record(vault, n1={"fingerprints": [keys.a.fingerprint], "certain": text})["accepted"]["1"]["certain"] is certain


def test_certain_that_is_neither_is_refused(vault: Box, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="neither true nor false"):
        record(vault, n1={"fingerprints": [keys.a.fingerprint], "certain": "perhaps"})


@pytest.mark.parametrize(("accepted", "error", "why"), [
    (None, InvalidOptions, "state: recorded needs accepted"),
    ({"1": None}, InvalidOptions, "'1' does not have a list of fingerprints"),
    ({"1": []}, InvalidOptions, "'1' does not have a list of fingerprints"),
    ({"1": {}}, InvalidOptions, "'1' does not have a list of fingerprints"),
    ({"1": {"fingerprints": "SHA256:x"}}, InvalidOptions, "'1' does not have a list of fingerprints"),
    ({"x" * 99: "y"}, InvalidOptions, f"'{'x' * 40}' does not have"),
    ({"1": {"fingerprints": ["x"], "certain": True}}, InvalidKey, "is not a fingerprint"),
    ({"1": {"fingerprints": [None]}}, InvalidKey, "is not a fingerprint"),
])
def test_what_is_no_record_is_refused(accepted: t.Any, error: type[WabaError], why: str, vault: Box) -> None:
    before = vault.files()
    with pytest.raises(error, match=why):
        vault("recorded", accepted=accepted)
    assert vault.files() == before


def test_no_number_holds_two_keys_for_certain(vault: Box, keys: Keys) -> None:
    with pytest.raises(InvalidOptions, match="accepted: '1' cannot hold 2 keys for certain"):
        record(vault, n1=of(keys, "ab"))
    assert record(vault, n1=of(keys, "bb"))["accepted"]["1"]["fingerprints"] == [keys.b.fingerprint]


def test_fingerprints_may_come_in_the_form_that_openssl_prints(vault: Box, keys: Keys) -> None:
    result = record(vault, n1={"fingerprints": [keys.b.fingerprint + "="], "certain": True})
    assert result["accepted"]["1"]["fingerprints"] == [keys.b.fingerprint]


@pytest.mark.parametrize("given", [
    {"state": "present"}, {"state": "staged"}, {"state": "read"}, {"state": "promoted", "fingerprint": "c"},
    {"state": "rolled_back", "fingerprint": "a"}, {"state": "revoked", "fingerprint": "a", "in_use_fingerprints": []},
    {"state": "pruned", "in_use_fingerprints": []},
    {"state": "mirrored", "source": {"generations": [], "accepted": {}, "private_keys": {}}},
])
def test_with_other_states_a_record_would_not_be_heeded(given: Params, vault: Box, keys: Keys) -> None:
    if "fingerprint" in given:
        given = {**given, "fingerprint": getattr(keys, given["fingerprint"]).fingerprint}
    with pytest.raises(InvalidOptions, match="accepted goes with state: recorded, not with"):
        vault(accepted={"1": of(keys, "b")}, **given)


@pytest.mark.parametrize("certain", [True, False])
def test_what_is_on_record_is_neither_pruned_nor_revoked_until_it_is_forgotten(certain: bool, vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "a" if certain else "ab", certain=certain))
    assert vault("pruned", in_use_fingerprints=[], day=500)["removed"] == []
    with pytest.raises(KeyringError, match="it is on record for 1"):
        vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    record(vault, n1=of(keys, ""), day=501)
    assert vault("pruned", in_use_fingerprints=[], day=530)["removed"] == []
    assert vault("pruned", in_use_fingerprints=[], day=531)["removed"] == [keys.a.fingerprint]


def test_a_leaked_key_is_revoked_once_the_number_accepted_another(vault: Box, keys: Keys) -> None:
    record(vault, n1=of(keys, "a"))
    record(vault, n1=of(keys, "b"))
    result = vault("revoked", fingerprint=keys.a.fingerprint, in_use_fingerprints=[])
    assert states(result)[keys.a.fingerprint] == "revoked"
    assert result["accepted"]["1"]["fingerprints"] == [keys.b.fingerprint]


@pytest.mark.parametrize("given", [
    {"state": "present"}, {"state": "staged"}, {"state": "promoted", "fingerprint": "c"},
    {"state": "rolled_back", "fingerprint": "a"}, {"state": "pruned", "in_use_fingerprints": []},
    {"state": "staged", "new_passphrase": "another long passphrase"},
])
def test_no_other_state_forgets_what_is_on_record(given: Params, vault: Box, keys: Keys) -> None:
    noted = record(vault, n1=of(keys, "bc", certain=False))["accepted"]
    if "fingerprint" in given:
        given = {**given, "fingerprint": getattr(keys, given["fingerprint"]).fingerprint}
    assert vault(**given)["accepted"] == vault.document()["accepted"] == noted


def test_a_copy_has_the_records_and_loses_those_that_were_forgotten(vault: Box, keys: Keys) -> None:
    copy = Box(vault.path.with_name("copies"))
    record(vault, n1=of(keys, "b"), n2=of(keys, "bc", certain=False))
    assert copy("mirrored", source=copy_of(vault))["changed"] is True
    assert copy.document() == vault.document()
    record(vault, n1=of(keys, ""))
    predicted = copy("mirrored", source=copy_of(vault), check_mode=True)
    assert (predicted["changed"], list(predicted["accepted"])) == (True, ["2"])
    assert copy("mirrored", source=copy_of(vault))["changed"] is True
    assert copy.document() == vault.document()
    assert copy("mirrored", source=copy_of(vault))["changed"] is False


def test_a_copy_of_a_record_that_is_none_is_refused(vault: Box, keys: Keys) -> None:
    source = {**copy_of(vault), "accepted": {"1": of(keys, "b")}}  # without a time
    with pytest.raises(InvalidOptions, match="source is not what a keyring returned: accepted holds something else"):
        Box(vault.path.with_name("copies"))("mirrored", source=source)


def test_where_there_is_no_keyring_none_is_made(box: Box) -> None:
    with pytest.raises(KeyringError, match="There is no keyring"):
        record(box, n1={"fingerprints": []})
    assert not box.path.exists()
