# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report: nothing in a document can become markup, old documents are shown, and the charts tell the truth."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import os
import re
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.waba.flows.plugins.module_utils import _generations as generations
from ansible_collections.waba.flows.plugins.plugin_utils._page import page_parts
from ansible_collections.waba.flows.tests.unit.report_samples import (
    EVIL,
    ROOT,
    TEMPLATE,
    Row,
    audit,
    fp,
    poisoned,
    render,
    rotation,
)

SCHEMAS = {name: json.loads((ROOT / "docs" / f"{name}-schema.json").read_text(encoding="utf-8")) for name in ("audit", "report")}
SAMPLES: dict[str, t.Callable[..., Row]] = {"audit": audit, "report": rotation}


class Page(html.parser.HTMLParser):
    """What a browser makes of a page: its elements, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self.text = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = "data" if (tag, dict(attrs).get("id")) == ("script", "numbers-data") else tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style", "data"):
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def table(parts: Row) -> t.Any:
    return json.loads(parts["data"])


def cells(parts: Row, label: str) -> list[t.Any]:
    """Return a column of the table of numbers."""
    data = table(parts)
    field = next(column["field"] for column in data["columns"] if column["label"] == label)
    return [row[field] for row in data["rows"]]


def chart(document: Row, title: str) -> str | None:
    """Return a chart as text, after a look at whether it is well-formed."""
    found = [one["svg"] for one in page_parts(document)["charts"] if one["title"] == title]
    if not found:
        return None
    root = ET.fromstring(found[0])  # noqa: S314 (made by what is tested)
    return " | ".join(filter(None, (root.get("aria-label"), *(one.text for one in root.iter()))))


# ---- The schema of audits


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_of_the_documented_form(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(SAMPLES[name]())


def described(schema: t.Any, name: str = "") -> t.Iterator[tuple[str, bool]]:
    """Yield each object of a schema that is open, and each member that nothing is said of."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield f"{name} is closed", schema.get("additionalProperties") is False
            for member, one in schema["properties"].items():
                yield f"{name}.{member} is described", bool(one.get("description"))
        for member, one in schema.items():
            yield from described(one, f"{name}.{member}")


def test_each_member_of_an_audit_is_described() -> None:
    assert [told for told, holds in described(SCHEMAS["audit"]) if not holds] == []


def test_the_schema_knows_the_states_of_generations() -> None:
    members = SCHEMAS["audit"]["$defs"]["generation"]["properties"]
    assert tuple(members["state"]["enum"]) == generations.STATES
    assert tuple(members["origin"]["enum"]) == generations.ORIGINS
    assert list(members) == list(generations.Generation.__dataclass_fields__)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_explains_each_result_of_the_schema(name: str) -> None:
    known = SCHEMAS[name]["$defs"]["counts"]["properties"]
    assert {one["name"] for one in page_parts(SAMPLES[name]())["meanings"]} == set(known)


# ---- Escaping


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_text_becomes_markup(name: str, evil: str) -> None:
    clean = Page(render(page_parts(poisoned(SAMPLES[name](20), ""))))
    rendered = render(page_parts(poisoned(SAMPLES[name](20), evil)))
    page = Page(rendered)
    # Poisoned times, states and results are not known ones, so other elements stand for them; but none of those are foreign.
    assert {tag for tag, dummy in page.tags} <= {tag for tag, dummy in clean.tags} | {"code", "span"}
    assert sum(tag == "script" for tag, dummy in page.tags) == 2
    assert not [attributes for dummy, attributes in page.tags if any(one.startswith("on") for one in attributes)]
    assert page.raw["script"] == clean.raw["script"]
    shown = evil.replace("\u2028", "").replace("\u2029", "")
    assert shown in page.text.replace("\u2028", "").replace("\u2029", "")
    assert any(evil in str(cell) for row in json.loads(page.raw["data"])["rows"] for cell in row)


def strings(value: t.Any) -> t.Iterator[str]:
    """Yield each text in the parts of a page."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(one)


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_parts_hold_nothing_that_jinja_renders(name: str, evil: str) -> None:
    """Ansible up to 2.18 renders templates in the values of variables."""
    assert not [one for one in strings(page_parts(poisoned(SAMPLES[name](20), evil))) if re.search(r"\{[{%#]", one)]


def test_the_data_is_safe_in_its_script() -> None:
    document = audit(1)
    document["numbers"][0]["name"] = "".join(EVIL) + "{{{{%{#{ \ud800 \x00"
    data = page_parts(document)["data"]
    assert not re.search(r"[<>&\u0080-\uffff]|\{[{%#]", data)
    assert cells({"data": data}, "Number")[0].startswith("".join(EVIL) + "{{{{%{#{ \ufffd")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_can_be_written_whatever_is_in_it(name: str) -> None:
    rendered = render(page_parts(poisoned(SAMPLES[name](5), "\ud83d \x07\x1b[31m")))
    assert "\x1b" not in rendered
    rendered.encode()


# ---- The policy


@pytest.mark.parametrize("name", SAMPLES)
def test_the_policy_knows_style_and_script(name: str) -> None:
    page = Page(render(page_parts(SAMPLES[name](3))))
    policy = next(one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy")
    wanted = {tag: base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode() for tag in ("style", "script")}
    assert policy == (f"default-src 'none'; style-src 'sha256-{wanted['style']}'; script-src 'sha256-{wanted['script']}'; "
                      "base-uri 'none'; form-action 'none'")


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_loaded(name: str) -> None:
    page = Page(render(page_parts(SAMPLES[name](3))))
    assert not [one for dummy, one in page.tags if {"src", "style", "action"} & one.keys()]
    assert {one["href"] for dummy, one in page.tags if "href" in one} == {"#numbers-heading"}
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]


def test_the_template_escapes_or_takes_parts() -> None:
    """Ansible escapes nothing, so what a part is not made safe for has no business in the template."""
    source = TEMPLATE.read_text(encoding="utf-8")
    loops = set(re.findall(r"\{% for (\w+) in ", source))
    outside = source[: source.index("{% raw %}")] + source[source.index("{% endraw %}"):]
    for shown in re.findall(r"\{\{(.*?)\}\}", outside):
        first = re.split(r"[.|]", shown.strip())[0].strip()
        assert first in {*loops, "encryption_keys_page"} or re.fullmatch(r" ?'[^']*' if .*", shown), shown


# ---- Tolerant reading


@pytest.mark.parametrize("schema", [0, 2, "1", None, True, [1]])
def test_an_unknown_schema_is_refused(schema: t.Any) -> None:
    with pytest.raises(ValueError, match=r"schema of this report is .*reads 1"):
        page_parts({"schema": schema, "kind": "audit"})


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="no report"):
        page_parts(t.cast(Row, []))


@pytest.mark.parametrize("kind", ["audit", "rotation", "rollback", "later", None, 7])
def test_a_document_with_nothing_in_it_is_shown(kind: t.Any) -> None:
    assert "Numbers" in render(page_parts({"schema": 1, "kind": kind}))


def spoiled(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield the path to each member of a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, one in inside:
        yield (*path, name)
        yield from spoiled(one, (*path, name))


def without(document: Row, path: tuple[t.Any, ...], other: t.Any) -> Row:
    """Return a document with another value at a path, or with none."""
    made = json.loads(json.dumps(document))
    place = made
    for name in path[:-1]:
        place = place[name]
    if other is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = other
    return t.cast(Row, made)


STRANGE: tuple[t.Any, ...] = (..., None, 3, -1.5, True, "x", [], ["x", 4, None], {"x": 1}, float("nan"), "9999-12-31T23:59:59Z")


@pytest.mark.parametrize("other", STRANGE, ids=str)
@pytest.mark.parametrize("name", SAMPLES)
def test_any_member_may_be_missing_or_of_another_type(name: str, other: t.Any) -> None:
    document = SAMPLES[name](2)
    for path in spoiled(document):
        if path != ("schema",):
            assert page_parts(without(document, path, other))["title"]


def test_members_and_results_that_are_not_known_are_taken() -> None:
    document = audit(3, more={"a": 1}, counts={"current": 2, "borrowed": 1})
    document["numbers"][0].update(verdict="borrowed", colour="blue")
    assert "borrowed 1" in str(chart(document, "Numbers by verdict"))
    assert cells(page_parts(document), "Verdict")[0] == "borrowed"


# ---- What is told


def test_an_audit_at_a_glance() -> None:
    parts = page_parts(audit())
    assert (parts["label"], parts["headline"], parts["tone"]) == ("Audit", "4 failures", "bad")
    tiles = {tile["label"]: tile["value"] for tile in parts["tiles"]}
    assert tiles["numbers"] == "180"
    assert tiles["not as they should be"] == "49"
    assert tiles["endpoints decrypt"].startswith("1<")
    assert "19 Nov 2026" in tiles["a key is overdue"]


def test_a_rotation_at_a_glance() -> None:
    parts = page_parts(rotation(failures=[], succeeded=True, check_mode=True, left_out=1))
    assert (parts["headline"], parts["tone"], parts["failures"]) == ("All would go well", "good", [])
    assert parts["notices"] == ["Check mode: nothing was changed; this is what a run would do.",
                                "1 number of the group was left out by --limit."]
    assert "without their key" in {tile["label"] for tile in parts["tiles"]}


def test_an_audit_without_its_vault_says_so() -> None:
    assert any("vault host was not reached" in one for one in page_parts(audit(vault_reached=False))["notices"])


def test_a_failure_that_names_hundreds_of_numbers_is_folded() -> None:
    long = ", ".join(f"shop-{place}" for place in range(500)) + ": foreign: ask who set it"
    first, second = page_parts(audit(failures=[long, "short"]))["failures"]
    assert (first["full"], len(first["short"])) == (long, 201)
    assert second == {"short": "short", "full": ""}


def test_times_are_in_utc_with_their_text_in_a_title() -> None:
    started = next(fact["value"] for fact in page_parts(audit())["facts"] if fact["label"] == "Started")
    assert started == '<time datetime="2026-11-21T06:00:00Z" title="2026-11-21T06:00:00Z">21 Nov 2026, 06:00 UTC</time>'


def test_the_table_has_each_number_with_its_remedy() -> None:
    document = audit()
    parts = page_parts(document)
    for label, name in (("Number", "name"), ("Phone-number ID", "phone_number_id"), ("Verdict", "verdict"), ("Due", "due_at")):
        assert cells(parts, label) == [row[name] for row in document["numbers"]]
    assert cells(parts, "What to do") == [row["message"] or None for row in document["numbers"]]


def test_the_table_of_a_rotation_tells_what_went_back() -> None:
    data = table(page_parts(rotation()))
    told = {cell for row in data["rows"] for cell in row}
    assert {"went back to its previous key", "did not go back"} <= told


@pytest.mark.parametrize(("change", "badge"), [
    ({}, "pending"), ({"stopped": None, "promoted": True}, "promoted to current"), ({"rolled_back": True}, "given up"),
    ({"stopped": None, "state": None, "message": "locked"}, "not usable"),
])
def test_a_key_of_a_run_tells_its_end(change: Row, badge: str) -> None:
    document = rotation()
    document["keys"][0].update(change)
    assert page_parts(document)["key_cards"][0]["badge"] == badge


def test_a_proof_that_came_later_is_the_one_that_counts() -> None:
    document = rotation()
    document["endpoints"][1]["proofs"].append({**document["endpoints"][1]["proofs"][0], "when": "after wave 3"})
    assert [card["tone"] for card in page_parts(document)["endpoint_cards"]] == ["good", "good"]


# ---- Charts


def test_the_bars_tell_counts_the_worst_first() -> None:
    told = str(chart(audit(counts={"current": 3980, "pending": 10, "unreachable": 10}), "Numbers by verdict"))
    assert told.startswith("unreachable 10, pending 10, current 3980")
    assert "3,980 · over 99 %" in told
    assert "10 · under 1 %" in told


def test_the_histogram_has_each_age_in_its_bin() -> None:
    document = audit(6)
    for row, age in zip(document["numbers"], (0, 29.9, 30, 89, 250, None)):
        row["age_days"] = age
    told = str(chart(document, "Age of the keys that numbers hold"))
    assert told.startswith("0 to 30 days: 2, 30 to 60 days: 1, 60 to 90 days: 1, 240 to 270 days: 1 numbers")
    assert "1 without a known age" in told


@pytest.mark.parametrize("age", [0, 1, 10, 4000, 10**9, -3])
def test_the_histogram_takes_any_age(age: float) -> None:
    document = audit(2)
    document["numbers"][0]["age_days"] = age
    svg = next(one["svg"] for one in page_parts(document)["charts"] if one["title"].startswith("Age"))
    assert svg.count("<rect") <= 12


def test_the_timeline_has_each_generation() -> None:
    told = str(chart(audit(), "Generations of the keys"))
    assert f"{fp('shop0')}: revoked 2026-05-15" in told
    assert f"{fp('shop1')}: retired from 2026-08-21" in told
    assert f"{fp('shop2')}: current from 2026-08-21" in told
    assert f"{fp('shop3')}: created, not yet current from 2026-11-19" in told


def test_a_fleet_of_many_keys_has_a_timeline_of_some() -> None:
    document = audit(1)
    document["keys"] = [{**document["keys"][1], "name": f"key{place}"} for place in range(15)]
    assert "3 more keys below" in str(chart(document, "Generations of the keys"))
    assert len(page_parts(document)["key_cards"]) == 15


def test_the_waves_are_stacked_by_outcome() -> None:
    assert "wave 1: 21 replaced" not in str(chart(rotation(), "Waves"))
    told = ((1, "replaced"), (1, "failed"), (2, "set"), (None, "skipped"))
    numbers = [{"wave": wave, "outcome": outcome} for wave, outcome in told]
    assert str(chart(rotation(numbers=numbers), "Waves")).startswith("wave 1: 1 replaced, 1 failed; wave 2: 1 set")


def test_many_waves_share_columns() -> None:
    numbers = [{"wave": wave, "outcome": "replaced"} for wave in range(1, 51)]
    assert str(chart(rotation(numbers=numbers), "Waves")).startswith("wave 1\u20137: 7 replaced; wave 8\u201314")


def test_waves_are_told_where_the_numbers_do_not_tell() -> None:
    document = rotation(numbers=[], waves=[{"wave": 1, "numbers": 5}])
    assert str(chart(document, "Waves")).startswith("wave 1: 5 published")


def test_there_is_no_chart_of_nothing() -> None:
    assert page_parts(audit(numbers=[], counts={}, keys=[]))["charts"] == []
    assert page_parts(rotation(numbers=[], counts={}, waves=[]))["charts"] == []


# ---- With Ansible's own templar


def test_ansible_renders_the_same_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module template is run as a playbook runs it, with a document that is full of templates."""
    pytest.importorskip("ansible.cli.playbook")
    parts = page_parts(poisoned(audit(5), EVIL[2]))
    (tmp_path / "vars.json").write_text(json.dumps({"encryption_keys_page": parts}), encoding="utf-8")
    play = [{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [
        {"ansible.builtin.template": {"src": str(TEMPLATE), "dest": str(tmp_path / "page.html"), "mode": "0600"}}]}]
    (tmp_path / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    done = _ansible_playbook(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == render(parts)


def _ansible_playbook(folder: Path) -> t.Any:
    environment = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-e", f"@{folder}/vars.json",
               "-e", "ansible_python_interpreter={{ ansible_playbook_python }}", str(folder / "play.yml")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), 10**16])
def test_numbers_beyond_reckoning_are_none(value: float) -> None:
    document = audit(8, duration_seconds=value)
    document["numbers"][0]["age_days"] = value
    assert page_parts(document)["title"]


def test_times_at_the_end_of_the_calendar_are_none() -> None:
    document = audit(8)
    document["keys"][0]["due_at"] = document["keys"][0]["generations"][0]["created_at"] = "9999-12-31T23:59:59Z"
    assert page_parts(document)["title"]
