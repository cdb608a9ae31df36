# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of files, of host variables and of reports: any JSON is read or called damaged, and no text becomes markup."""

from __future__ import annotations

import copy
import json
import random
import re
import typing as t
from html.parser import HTMLParser

import jinja2
import pytest
from hypothesis import strategies as st

from ansible_collections.waba.flows.plugins.plugin_utils import _inventory_rows as inventory
from ansible_collections.waba.flows.plugins.plugin_utils._audit import accepted_verdicts, labels_of
from ansible_collections.waba.flows.plugins.plugin_utils._metrics import metrics
from ansible_collections.waba.flows.plugins.plugin_utils._page import page_parts
from ansible_collections.waba.flows.tests.unit.laws import keyring_law, lease_law, manifest_law
from ansible_collections.waba.flows.tests.unit.properties import ANY_TEXT, NESTED, Prove, json_values, prove_fixture
from ansible_collections.waba.flows.tests.unit.report_samples import EVIL, TEMPLATE, audit, rotation

FIXTURES = (prove_fixture,)  # for pytest to find
FINGERPRINT = "SHA256:" + "A" * 43
TIME = "2026-03-01T12:00:00Z"


# -- files


GENERATION = {"id": "20260301T120000Z-00", "fingerprint": FINGERPRINT, "state": "current", "origin": "generated",
              "created_at": TIME, "published_at": None, "promoted_at": TIME, "retired_at": None, "revoked_at": None,
              "last_seen_at": None}
RETIRED = {**GENERATION, "id": "b", "fingerprint": FINGERPRINT[:-1] + "B", "state": "retired"}
KEYRING = {"schema": 1, "generations": [GENERATION, RETIRED],
           "accepted": {"12": {"fingerprints": [FINGERPRINT], "certain": True, "at": TIME}}, "pruned": [FINGERPRINT]}
MANIFEST = {"schema": 1, "key_name": "default", "current": FINGERPRINT,
            "keys": [{"fingerprint": FINGERPRINT, "file": "a.pem", "state": "current"}]}
LEASE = {"schema": 1, "owner": "x", "taken_at": TIME, "expires_at": TIME}
FILES: dict[str, tuple[t.Any, t.Callable[[bytes], None]]] = {
    "keyring.json": (KEYRING, keyring_law), "manifest.json": (MANIFEST, manifest_law), "lease.json": (LEASE, lease_law),
}
LEAVES = (FINGERPRINT, TIME, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-03-01T12:00:60Z",
          "../x.pem", ".pem", "a.pem\n", "x" * 130, "-x", "..", "current", "pending", "retired", "revoked", "generated",
          "default")


def spoilt(document: t.Any, dice: random.Random, values: t.Callable[[], t.Any]) -> t.Any:
    """Return a document with a few things in it put in, taken out or replaced."""
    made = copy.deepcopy(document)
    for dummy in range(dice.randrange(1, 4)):
        here = made
        while isinstance(here, (dict, list)) and here:
            place = dice.choice(list(here) if isinstance(here, dict) else range(len(here)))
            if not isinstance(here[place], (dict, list)) or dice.random() < 0.25:
                _spoil(here, place, dice, values)
                break
            here = here[place]
    return made


def _spoil(here: t.Any, place: t.Any, dice: random.Random, values: t.Callable[[], t.Any]) -> None:
    kind = dice.random()
    if kind < 0.15:
        del here[place]
    elif kind < 0.25 and isinstance(here, list):
        here.append(copy.deepcopy(here[place]))
    elif kind < 0.25:
        here[str(values())[:200]] = copy.deepcopy(values())
    else:
        here[place] = copy.deepcopy(values())


def changed(document: t.Any, leaves: t.Sequence[t.Any]) -> st.SearchStrategy[t.Any]:
    """Documents that differ from one in a few places."""
    anything = json_values(list(document), leaves)
    return st.builds(lambda number, one, other: spoilt(document, random.Random(number), iter_of(number, leaves, one, other)),
                     st.integers(0, 2**48), anything, anything)


def iter_of(number: int, leaves: t.Sequence[t.Any], *values: t.Any) -> t.Callable[[], t.Any]:
    """Return a function that gives values and leaves in turn."""
    dice = random.Random(number + 1)
    return lambda: dice.choice(leaves) if dice.random() < 0.6 else dice.choice(values)


@pytest.mark.attack("understood", "keyring.json, manifest.json and leases that were changed, are of another form, or are no JSON")
@pytest.mark.parametrize("name", FILES)
def test_any_file_is_read_or_called_damaged(prove: Prove, name: str) -> None:
    document, law = FILES[name]
    law(json.dumps(document).encode())
    texts = st.one_of(changed(document, LEAVES).map(lambda one: json.dumps(one).encode()), NESTED.map(str.encode))
    prove(law, 400, text=texts)
    odd = st.sampled_from([b"", b"null", b"9" * 5000, b"\xff\xfe{", b"{}", b"[]"])
    prove(law, 60, text=st.one_of(st.binary(max_size=50), odd))


# -- host variables


OPTIONS = [f"whatsapp_{name}" for name in (
    "phone_number_id", "waba_id", "provider", "base_url", "access_token", "app_secret", "timeout", "retries", "validate_certs",
    "ca_path", "key_name", "key_names", "endpoint_url", "endpoint_deploy", "endpoint_timeout", "endpoint_keys_mode",
    "numbers_found", "waba_numbers_found", "verified_name", "pod", "allow_http", "api_version")]
SECRET = "EAAfakeTokenOfTheTests"
VALUES = ("cloud_api", "aws", "kaleyra", "106540352242922", 106540352242922, 12.5, "nan", "inf", "yes", "{{ lookup('x') }}",
          "{% x %}", "default", ["default", "shop"], ["a/b"], {"a": 1}, "~/x", "https://one.example.com", "\ud800", "٣",
          float("inf"), float("nan"), 10**5000)


class Untemplatable(dict[str, t.Any]):
    """Variables of which none can be templated, with an error that quotes the secret."""

    def get(self, name: str, default: t.Any = None) -> t.Any:
        raise TypeError(f"cannot template {SECRET}: 'x' is undefined")


@pytest.mark.attack("understood", "host variables of any type and value, and such that cannot be templated")
@pytest.mark.attack("secret", "host variables that cannot be used, beside a token")
def test_any_host_variables_are_a_row_or_that_hosts_problem(prove: Prove) -> None:
    def law(seed: int, names: list[str]) -> None:
        dice = random.Random(seed)
        hostvars = {host: _variables(dice) for host in names}
        rows = inventory.collect_numbers(names, hostvars)
        assert [row["name"] for row in rows] == names
        for row in rows:
            assert isinstance(row["phone_number_id"], str)
            assert row.get("problem", " ").strip() or "problem" not in row
            assert SECRET not in row.get("problem", "")
        assert SECRET not in str(inventory.public_rows(rows))
        inventory.for_module(rows, {"access_token": "", "access_tokens": '{"1": "x"}'})
        ends = inventory.collect_endpoints(names, hostvars)
        assert all(inventory.serves(row, "default") in (True, False) and SECRET not in row.get("problem", "") for row in ends)
        labels_of(names, hostvars)
        assert isinstance(inventory.part_of_fleet({"waba_1": names, "x": []}, hostvars, "a", "a"), str)

    hosts = st.lists(st.sampled_from(["1", "two", "²", "", "3" * 40]), max_size=3, unique=True)
    prove(law, 150, seed=st.integers(0, 2**48), names=hosts)


def _variables(dice: random.Random) -> t.Any:
    if dice.random() < 0.1:
        return Untemplatable()
    made = {dice.choice(OPTIONS): dice.choice(VALUES) for dummy in range(dice.randrange(8))}
    return {**made, "whatsapp_access_token": SECRET} if dice.random() < 0.7 else made


@pytest.mark.attack("understood", "options of any text or number: durations, times, waves, tokens, URLs, paths")
def test_any_verdicts_are_known_or_refused(prove: Prove) -> None:
    def law(value: t.Any) -> None:
        try:
            found = accepted_verdicts(value)
        except ValueError as error:
            assert "encryption_keys_audit_accept" in str(error)
            return
        assert all(isinstance(one, str) for one in found)

    prove(law, 150, value=st.one_of(json_values(leaves=("current", "foreign", "current, foreign")), ANY_TEXT))


# -- pages and metrics of reports


SAMPLES: dict[str, t.Callable[[int], t.Any]] = {"audit": audit, "rotation": rotation}
PAGE = jinja2.Environment(  # noqa: S701 (Ansible escapes nothing, so this must not either)
    trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
).from_string(TEMPLATE.read_text(encoding="utf-8"))
HOSTILE = (*EVIL, "</title><svg onload=x>", "{{ ''.__class__ }}", "\r\n\x0b\x85\u2028", "a\\", 'x"} 1\nwaba_flows_x 1',
           "\ud800", "", "#", "NaN", 10**15, -1, 0.5, float("nan"), float("inf"), True, None)


class Tags(HTMLParser):
    """The elements of a page, with their attributes' names, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.scripts = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(sorted(name for name, dummy in attrs))))
        self.scripts += tag == "script"
        assert not any(name.startswith("on") or "javascript:" in (value or "") for name, value in attrs)


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.attack("secret", "reports whose texts are markup, templates and line ends, as a page and as metrics")
@pytest.mark.attack("understood", "reports that were changed at random, as a page and as metrics")
@pytest.mark.parametrize("name", SAMPLES)
def test_any_report_is_a_page_without_its_texts_as_markup(prove: Prove, name: str) -> None:
    sound = SAMPLES[name](12)
    clean = Tags(PAGE.render(encryption_keys_page=page_parts(sound)))

    def law(document: t.Any) -> None:
        try:
            parts = page_parts(document)
        except ValueError as error:
            assert "report" in str(error)
            return
        for text in _texts(parts):
            text.encode()
            assert not re.search(r"\{[{%#]", text), text
            assert not re.search(r"<(?!/?(svg|rect|title|line|text|code|time|small)\b)", text), text
        page = Tags(PAGE.render(encryption_keys_page=parts))
        assert page.scripts == clean.scripts
        assert {tag for tag, dummy in page.found} <= {tag for tag, dummy in clean.found} | {"details", "summary", "small", "time"}
        json.loads(parts["data"])

    prove(law, 60, document=changed(sound, HOSTILE))


@pytest.mark.attack("understood", "reports that were changed at random, as a page and as metrics")
@pytest.mark.parametrize("name", SAMPLES)
def test_any_report_is_metrics_that_prometheus_reads(prove: Prove, name: str) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    sound = SAMPLES[name](12)
    families = {family.name for family in parser.text_string_to_metric_families(metrics(sound))}

    def law(document: t.Any, previous: str) -> None:
        try:
            text = metrics(document, previous)
        except ValueError as error:
            assert "report" in str(error)
            return
        text.encode()
        seen = set()
        for family in parser.text_string_to_metric_families(text):
            assert family.name.startswith("waba_flows_")
            for sample in family.samples:
                series = (sample.name, tuple(sorted(sample.labels.items())))
                assert series not in seen
                seen.add(series)
                assert abs(sample.value) < 1e16  # which NaN is not
        assert {name for name, dummy in seen} & families

    prove(law, 60, document=changed(sound, HOSTILE), previous=st.one_of(ANY_TEXT, st.just(metrics(sound))))
