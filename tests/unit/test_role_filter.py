# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the role: every step that the role takes is there, with the keywords that the role gives."""

from __future__ import annotations

import inspect
import re
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.waba.flows.plugins.filter.encryption_keys import STEPS, FilterModule, encryption_keys
from ansible_collections.waba.flows.tests.unit.role_rows import B, plan_of

ROLE = Path(__file__).resolve().parents[2] / "roles" / "encryption_keys"
CALL = re.compile(r"encryption_keys\(\s*'(\w+)'")
KEYWORD = re.compile(r"(?:^|,)\s*(\w+)=(?!=)")


def calls() -> t.Iterator[tuple[str, str, list[str]]]:
    """Yield file, step and keywords of each use of the filter in the role."""
    for path in sorted(ROLE.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        for found in CALL.finditer(text):
            yield path.name, found.group(1), KEYWORD.findall(own_arguments(text[found.end():]))


def own_arguments(text: str) -> str:
    """Return the text up to the end of a call, without what stands in brackets of its own."""
    depth, kept = 0, ""
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return kept
        kept += character if depth == 0 else ""
    raise AssertionError("a call without an end")


CALLS = list(calls())


def test_arguments_are_found_in_the_text_of_a_call() -> None:
    assert KEYWORD.findall(own_arguments(", a=x(b=1) | list, c={'d': e} if f == 2 else [])) | more(g=1)")) == ["a", "c"]


@pytest.mark.parametrize(("path", "step", "keywords"), CALLS)
def test_the_role_takes_steps_that_there_are(path: str, step: str, keywords: list[str]) -> None:
    inspect.signature(STEPS[step]).bind("the value", **dict.fromkeys(keywords))


def test_there_are_no_steps_that_the_role_does_not_take() -> None:
    assert {step for dummy, step, names in CALLS} == set(STEPS)
    assert len(CALLS) > len(STEPS)


def test_the_filter_takes_a_step() -> None:
    assert FilterModule().filters() == {"encryption_keys": encryption_keys}
    assert encryption_keys(plan_of({"a": B}), "make_waves", stopped=[], sizes=["100%"]) == [["a"]]


def test_a_step_that_there_is_not_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="has no step 'publish'; there are accepted_verdicts, aim, "):
        encryption_keys([], "publish")


def test_what_is_wrong_with_a_value_is_told_without_a_trace() -> None:
    with pytest.raises(AnsibleFilterError, match="encryption_keys_waves: '0' is not a number") as caught:
        encryption_keys(["0"], "wave_sizes")
    assert caught.value.__cause__ is None


def test_numbers_come_with_and_without_credentials() -> None:
    hostvars = {"a": {"whatsapp_phone_number_id": "1", "whatsapp_access_token": "its-own"}, "b": {}}
    assert [set(row) for row in encryption_keys(["a", "b"], "fleet", hostvars=hostvars)] == [
        {"name", "phone_number_id", "key_name"}, {"name", "phone_number_id", "key_name", "problem"},
    ]
    assert encryption_keys(["a", "b"], "numbers", hostvars=hostvars, credentials={"app_secret": "shared"}) == [
        {"name": "a", "phone_number_id": "1", "access_token": "its-own", "app_secret": "shared"},
    ]
    plan = plan_of({"a": B})
    published, = encryption_keys(["a", "b"], "numbers", hostvars=hostvars, credentials={}, plan=plan)
    assert published["business_public_key"] == plan[0]["business_public_key"]
