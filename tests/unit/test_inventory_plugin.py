# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin within this process: options, names, filters, groups, cache and failures, against the sandbox."""

from __future__ import annotations

import importlib
import json
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.waba.flows.plugins.inventory import whatsapp_phone_numbers as plugin_file
from ansible_collections.waba.flows.plugins.inventory.whatsapp_phone_numbers import InventoryModule, unique_names
from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION
from ansible_collections.waba.flows.plugins.module_utils._wabas import MEMBERS
from ansible_collections.waba.flows.tests.unit.network_faults import FAULTS, Fault
from ansible_collections.waba.flows.tests.unit.rude_server import Heard, RudeServer
from tests.sandbox import DEFAULT_BUSINESS, DEFAULT_TOKEN, DEFAULT_WABA, Business, Sandbox, State, Token, make_state

NAME = "waba.flows.whatsapp_phone_numbers"
CANARY = "EAAtoken-canary-0123456789"
SECRET = "appsecret-canary-0123456789"
WABAS = [str(int(DEFAULT_WABA) + index) for index in range(3)]
Options = dict[str, t.Any]


def _definitions() -> Options:
    """The options as Ansible reads them out of the documentation and its fragments."""
    options = yaml.safe_load(plugin_file.DOCUMENTATION)["options"]
    for name in ("constructed", "inventory_cache"):
        fragment = importlib.import_module(f"ansible.plugins.doc_fragments.{name}").ModuleDocFragment
        options = {**yaml.safe_load(fragment.DOCUMENTATION)["options"], **options}
    return t.cast("Options", options)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHATSAPP_ACCESS_TOKENS", raising=False)
    constants.config.initialize_plugin_configuration_definitions("inventory", NAME, _definitions())


@pytest.fixture
def three() -> t.Iterator[Sandbox]:
    """Seven numbers in the three WABAs of one business; the first has a name that is a template."""
    state = make_state(7, wabas=3)
    first, *dummy = state.numbers.values()
    first.verified_name = "{{ lookup('pipe', 'id') }}"
    with Sandbox(state) as box:
        yield box


class Inventory:
    """A file that the plugin has read."""

    def __init__(self, folder: Path, text: str, *, cache: bool = True) -> None:
        path = folder / "x.whatsapp_phone_numbers.yml"
        path.write_text(text, encoding="utf-8")
        self.data = InventoryData()
        self.warnings: list[str] = []
        plugin = InventoryModule()
        plugin._load_name = plugin.ansible_name = NAME
        plugin._redirected_names = []
        plugin._original_path = plugin_file.__file__
        plugin.display = self
        assert plugin.verify_file(str(path))
        plugin.parse(self.data, DataLoader(), str(path), cache=cache)
        if hasattr(plugin, "_cache"):
            plugin.update_cache_if_changed()

    def warning(self, text: str) -> None:
        """Stand in for Ansible's display."""
        self.warnings.append(text)

    @property
    def names(self) -> list[str]:
        return list(self.data.hosts)

    def group(self, name: str) -> list[str]:
        return [host.name for host in self.data.groups[name].get_hosts()]

    def variables(self, name: str) -> Options:
        found = self.data.get_host(name).get_vars()
        return {key: value for key, value in found.items() if key.startswith("whatsapp_")}


Read = t.Callable[..., Inventory]


@pytest.fixture
def read(tmp_path: Path, three: Sandbox) -> Read:
    """Read a file with some options, by default all numbers of the business."""
    def one(*, cached: bool = True, **options: t.Any) -> Inventory:
        accounts = {} if "waba_ids" in options or "business_ids" in options else {"business_ids": [DEFAULT_BUSINESS]}
        token = {} if "access_tokens" in options else {"access_token": DEFAULT_TOKEN}
        merged = {"plugin": NAME, "base_url": three.base_url, **accounts, **token, **options}
        given = {name: value for name, value in merged.items() if value is not None}
        return Inventory(tmp_path, json.dumps(given), cache=cached)
    return one


def failure(read: Read, **options: t.Any) -> str:
    """Return the message of an inventory that fails, which must hold no secret."""
    with pytest.raises(AnsibleParserError) as caught:
        read(**options)
    text = str(caught.value)
    assert not any(secret in text for secret in (CANARY, SECRET, DEFAULT_TOKEN))
    return text


# -- files and documentation


@pytest.mark.parametrize(("name", "ours"), [
    ("a.whatsapp_phone_numbers.yml", True), ("a.whatsapp_phone_numbers.yaml", True), ("whatsapp_phone_numbers.yml", True),
    ("whatsapp_phone_numbers.json", False), ("a-whatsapp_phone_numbers.yml", False), ("inventory.yml", False),
])
def test_files_are_known_by_their_names(tmp_path: Path, name: str, ours: bool) -> None:
    assert InventoryModule().verify_file(str(tmp_path / name)) is False
    (tmp_path / name).write_text("")
    assert InventoryModule().verify_file(str(tmp_path / name)) is ours


def test_the_defaults_are_those_of_the_modules() -> None:
    options = yaml.safe_load(plugin_file.DOCUMENTATION)["options"]
    for name in ("api_version", "timeout", "retries", "total_timeout", "validate_certs", "allow_http"):
        assert options[name]["default"] == CONNECTION[name]["default"], name
    assert options["strict"]["default"] is True


def test_the_example_is_understood(tmp_path: Path, three: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the finder of collections, plugins have short names; the integration tests take the example as it is."""
    for name in ("META_SYSTEM_USER_TOKEN", "TOKEN_PARTNER"):
        monkeypatch.setenv(name, DEFAULT_TOKEN)
    example = yaml.safe_load(plugin_file.EXAMPLES.replace("ansible.builtin.", ""))
    assert set(example) <= set(_definitions())
    example.update(base_url=three.base_url, cache_connection=str(tmp_path / "cache"))
    assert Inventory(tmp_path, yaml.safe_dump(example)).group("whatsapp_numbers")


# -- hosts, variables and groups


def test_hosts_variables_and_groups(read: Read, three: Sandbox) -> None:
    found = read()
    assert found.names == ["+15552000000", "+15552000003", "+15552000006", "+15552000001", "+15552000004", "+15552000002",
                           "+15552000005"]
    assert sorted(found.group("whatsapp_numbers")) == sorted(found.names)
    assert found.group(f"waba_{WABAS[1]}") == ["+15552000001", "+15552000004"]
    variables = found.variables("+15552000001")
    assert set(variables) == {f"whatsapp_{name}" for name in (*MEMBERS, "numbers_found", "waba_numbers_found")}
    assert variables["whatsapp_phone_number_id"] == "106600000000002"
    assert variables["whatsapp_waba_id"] == WABAS[1]
    assert variables["whatsapp_display_phone_number"] == "+1 555-200-0001"


def test_hosts_tell_how_many_were_found(read: Read, three: Sandbox) -> None:
    """What the filters leave is counted, also from the cache, and nothing where not everything could be read."""
    def told(found: Inventory, name: str = "+15552000001") -> tuple[t.Any, t.Any]:
        variables = found.variables(name)
        return variables.get("whatsapp_numbers_found"), variables.get("whatsapp_waba_numbers_found")

    cache = {"cache": True, "cache_plugin": "memory"}
    assert told(read(**cache)) == told(read(**cache)) == (7, 2)
    assert told(read(exclude=["whatsapp_phone_number_id == '106600000000001'"])) == (6, 2)
    assert told(read(include=["whatsapp_phone_number_id == '106600000000002'"])) == (1, 1)
    assert told(read(waba_ids=[WABAS[1]])) == (2, 2)
    three.state.tokens[DEFAULT_TOKEN].wabas = [WABAS[1]]
    assert told(read(waba_ids=[*WABAS[:2]], strict=False)) == (None, None)


def test_text_from_the_api_is_no_template(read: Read) -> None:
    found = read(compose={"copy": "whatsapp_verified_name", "more": "whatsapp_verified_name ~ '!'"},
                 hostname="{{ whatsapp_phone_number_id }} {{ whatsapp_verified_name }}",
                 include=["whatsapp_verified_name != 'x'"], keyed_groups=[{"key": "whatsapp_verified_name", "prefix": "n"}])
    # Not even its braces: ansible-core up to 2.18 templates the names of hosts where the variable groups is used.
    assert found.names[0] == "106600000000001 _ lookup('pipe', 'id') _"
    host = found.data.get_host(found.names[0])
    assert host.vars["copy"] == "{{ lookup('pipe', 'id') }}"
    assert not any("uid=" in name for name in [*found.names, *found.data.groups])


def test_groups_can_be_named_and_left_out(read: Read) -> None:
    found = read(group="numbers", waba_groups=False)
    assert len(found.group("numbers")) == 7
    assert not [name for name in found.data.groups if name.startswith(("waba_", "whatsapp_"))]
    assert "group is empty" in failure(read, group=" ")


def test_a_waba_without_numbers_has_a_group(read: Read, three: Sandbox) -> None:
    three.state.businesses[DEFAULT_BUSINESS] = Business(client=["700"])
    assert read().group("waba_700") == []


def test_constructed_options(read: Read) -> None:
    found = read(compose={"whatsapp_key_name": "'waba-' ~ whatsapp_waba_id"},
                 groups={"first": f"whatsapp_waba_id == '{WABAS[0]}'", "keyed": "whatsapp_key_name is defined"},
                 keyed_groups=[{"key": "whatsapp_quality_rating | lower", "prefix": "quality"}])
    assert found.variables("+15552000001")["whatsapp_key_name"] == f"waba-{WABAS[1]}"
    assert len(found.group("first")) == 3
    assert len(found.group("keyed")) == len(found.group("quality_green")) == 7


@pytest.mark.parametrize("option", [
    {"compose": {"x": "nowhere.x"}}, {"groups": {"x": "nowhere.x"}}, {"keyed_groups": [{"key": "nowhere.x"}]},
])
def test_strict_is_meant_for_constructed_options_as_well(read: Read, option: Options) -> None:
    with pytest.raises(AnsibleError):
        read(**option)
    assert len(read(**option, strict=False).names) == 7


# -- names


def test_numbers_that_share_a_name_get_their_id(read: Read, three: Sandbox) -> None:
    numbers = list(three.state.numbers.values())
    numbers[1].display_phone_number = numbers[4].display_phone_number = "+1 (555) 99"
    numbers[2].display_phone_number = "none"
    assert set(read().names) == {
        "+155599-106600000000002", "+155599-106600000000005", "106600000000003", "+15552000000", "+15552000003", "+15552000005",
        "+15552000006",
    }


@pytest.mark.parametrize("verified_name", ["whatsapp_numbers", "all", "localhost", f"waba_{DEFAULT_WABA}"])
def test_a_number_cannot_pass_for_a_group_or_the_control_node(read: Read, three: Sandbox, verified_name: str) -> None:
    for identity, number in three.state.numbers.items():
        number.verified_name = verified_name if identity.endswith("2") else identity
    found = read(hostname="{{ whatsapp_verified_name }}")
    assert f"{verified_name}-106600000000002" in found.names
    assert not any(group.vars for group in found.data.groups.values())


def test_the_template_of_the_name(read: Read, three: Sandbox) -> None:
    first, second = list(three.state.numbers.values())[:2]
    first.verified_name, second.verified_name = "  ", "a\nb\x1b[31m"
    names = read(hostname="{{ whatsapp_verified_name }}").names
    assert {"106600000000001", "a_b_[31m"} <= set(names)
    assert "+15552000004" in read(hostname="{{ whatsapp_display_phone_number | replace(' ', '') | replace('-', '') }}").names
    assert "no template" in failure(read, hostname="whatsapp_verified_name")
    assert "number 106600000000001" in failure(read, hostname="{{ nowhere.x }}")


@pytest.mark.parametrize(("names", "identities", "unique"), [
    ([], [], []), (["a", "b"], ["1", "2"], ["a", "b"]), (["a", "a"], ["1", "2"], ["a-1", "a-2"]),
    (["a", "a", "a-1"], ["1", "2", "3"], ["a-1-1", "a-2", "a-1-3"]),
    (["all", "b"], ["1", "2"], ["all-1", "b"]),
])
def test_unique_names(names: list[str], identities: list[str], unique: list[str]) -> None:
    assert unique_names(names, identities, {"all"}) == unique


# -- filters


@pytest.mark.parametrize(("options", "count"), [
    ({"include": [f"whatsapp_waba_id == '{WABAS[0]}'"]}, 3),
    ({"include": [f"whatsapp_waba_id == '{WABAS[0]}'", f"whatsapp_waba_id == '{WABAS[1]}'"]}, 5),
    ({"include": f"whatsapp_waba_id in ['{WABAS[0]}', '{WABAS[1]}']"}, 5),
    ({"exclude": [f"whatsapp_waba_id == '{WABAS[0]}'"]}, 4),
    ({"include": [f"whatsapp_waba_id != '{WABAS[2]}'"], "exclude": [f"whatsapp_waba_id == '{WABAS[0]}'"]}, 2),
    ({"exclude": ["whatsapp_status is defined"]}, 0),
])
def test_filters(read: Read, options: Options, count: int) -> None:
    found = read(**options)
    assert len(found.names) == count
    assert f"waba_{WABAS[0]}" in found.data.groups


@pytest.mark.parametrize("option", ["include", "exclude"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_condition_that_cannot_be_evaluated_is_an_error(read: Read, option: str, strict: bool) -> None:
    text = failure(read, **{option: ["nowhere.x"]}, strict=strict)
    assert f"'nowhere.x' of {option}" in text


# -- options


def test_options_are_templates_and_take_the_environment(read: Read, three: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_WABAS", f"{WABAS[0]},{WABAS[2]}")
    monkeypatch.setenv("SOME_TOKEN", DEFAULT_TOKEN)
    lookup = "{{ lookup('env', '%s') }}"
    options = {"waba_ids": lookup % "SOME_WABAS", "timeout": "{{ 2 * 5 }}", "retries": "{{ 1 + 1 }}",
               "waba_groups": "{{ 1 == 1 }}"}
    assert len(read(**options, access_token=lookup % "SOME_TOKEN").names) == 5
    assert len(read(**options, access_tokens={WABAS[0]: lookup % "SOME_TOKEN", WABAS[2]: DEFAULT_TOKEN}).names) == 5


def test_tokens_of_the_environment(read: Read, three: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    three.state.tokens = {"token-a": Token(wabas=[WABAS[0]]), "token-b": Token(wabas=[WABAS[1]])}
    monkeypatch.setenv("WHATSAPP_ACCESS_TOKEN", "token-a")
    monkeypatch.setenv("WHATSAPP_ACCESS_TOKENS", json.dumps({WABAS[1]: "token-b"}))
    assert len(read(access_token=None, waba_ids=WABAS[:2]).names) == 5


def test_ids_may_be_written_as_numbers(tmp_path: Path, three: Sandbox) -> None:
    text = f"{{plugin: {NAME}, base_url: '{three.base_url}', waba_ids: %s, access_tokens: {{{WABAS[0]}: {DEFAULT_TOKEN}}}}}"
    for ids in (f"[{WABAS[0]}]", WABAS[0]):
        assert len(Inventory(tmp_path, text % ids).names) == 3


def test_app_secret(read: Read, three: Sandbox) -> None:
    three.state.tokens[DEFAULT_TOKEN] = Token(app_secret=SECRET, require_app_secret=True)
    assert len(read(app_secret=SECRET).names) == 7
    assert "app_secret" in failure(read)


@pytest.mark.parametrize(("options", "says"), [
    ({"access_token": {"a": CANARY}}, "access_token holds"),
    ({"access_token": [CANARY]}, "access_token holds"),
    ({"access_token": f"{{{{ '{CANARY}' | nofilter }}}}"}, "template in access_token"),
    ({"access_token": f"{{{{ '{CANARY}' }}"}, "access_token"),
    ({"app_secret": 12345}, "app_secret holds"),
    ({"access_tokens": CANARY}, "access_tokens is neither"),
    ({"access_tokens": [CANARY]}, "access_tokens is neither"),
    ({"access_tokens": '{"1": "' + CANARY}, "access_tokens is neither"),
    ({"access_tokens": {CANARY: DEFAULT_BUSINESS}, "access_token": "x"}, "access_tokens has a key"),
    ({"access_tokens": {DEFAULT_BUSINESS: [CANARY]}}, "access_tokens holds"),
    ({"access_token": f"{CANARY}\n"}, "blanks"),
    ({"access_token": ""}, "no access token"),
    ({"access_token": CANARY, "app_secret": SECRET, "retries": 0}, "within access_tokens"),
    ({"business_ids": []}, "waba_ids nor business_ids"),
    ({"max_workers": 0}, "max_workers"),
    ({"total_timeout": 0}, "total_timeout"),
    ({"ca_path": "/nowhere"}, "ca_path"),
    ({"api_version": "24"}, "api_version"),
    ({"base_url": "http://graph.example"}, "plain http"),
    ({"base_url": "{{ nowhere }}"}, "template in base_url"),
])
def test_options_that_cannot_be_meant(read: Read, options: Options, says: str) -> None:
    assert says in failure(read, **options)


# -- failures of the API


def _one_hidden(state: State) -> None:
    state.tokens = {DEFAULT_TOKEN: Token(wabas=[WABAS[0], WABAS[2]])}


def test_a_waba_that_fails_fails_the_inventory(read: Read, three: Sandbox) -> None:
    _one_hidden(three.state)
    text = failure(read, waba_ids=WABAS)
    assert f"WABA {WABAS[1]}:" in text
    assert "strict: false" in text


def test_unless_strict_it_is_left_out_and_named(read: Read, three: Sandbox) -> None:
    _one_hidden(three.state)
    found = read(waba_ids=WABAS, strict=False)
    assert len(found.names) == 5
    assert f"waba_{WABAS[1]}" not in found.data.groups
    (warning,) = found.warnings
    assert f"WABA {WABAS[1]} is left out" in warning


# -- cache


@pytest.fixture
def cache(tmp_path: Path) -> Options:
    return {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache"),
            "cache_timeout": 3600}


def _requests(three: Sandbox) -> int:
    count = len(three.requests)
    three.forget_requests()
    return count


def test_the_cache_saves_requests_until_it_is_flushed(read: Read, three: Sandbox, cache: Options) -> None:
    first = read(**cache)
    assert _requests(three) == 5
    second = read(**cache)
    assert _requests(three) == 0
    assert second.names == first.names
    assert [second.variables(name) for name in second.names] == [first.variables(name) for name in first.names]
    assert read(**cache, include=["whatsapp_waba_id | length > 99"]).names == []
    assert _requests(three) == 0
    next(iter(three.state.numbers.values())).display_phone_number = "+1 1"
    assert "+11" in read(**cache, cached=False).names
    assert _requests(three) == 5
    assert "+11" in read(**cache).names
    assert _requests(three) == 0


def test_another_token_is_not_served_from_the_cache(read: Read, three: Sandbox, cache: Options) -> None:
    read(**cache)
    three.state.tokens["token-less"] = Token(wabas=[WABAS[0]])
    assert len(read(**cache, access_token="token-less").names) == 3
    assert len(read(**cache).names) == 7
    assert "access token" in failure(read, **cache, access_token=CANARY)


def test_cache_files_hold_no_secret(read: Read, tmp_path: Path, three: Sandbox, cache: Options) -> None:
    three.state.tokens[DEFAULT_TOKEN] = Token(app_secret=SECRET, require_app_secret=True)
    read(**cache, app_secret=SECRET)
    (path,) = (tmp_path / "cache").iterdir()
    text = path.name + path.read_text()
    assert "106600000000001" in text
    assert not any(secret in text for secret in (DEFAULT_TOKEN, SECRET, "appsecret_proof", DEFAULT_BUSINESS))


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99}', ""])
def test_a_damaged_cache_is_read_anew(
    read: Read, tmp_path: Path, three: Sandbox, cache: Options, content: str
) -> None:
    read(**cache)
    (path,) = (tmp_path / "cache").iterdir()
    path.write_text(content)
    assert len(read(**cache).names) == 7
    assert len(read(**cache).names) == 7


def test_what_is_incomplete_is_not_cached(read: Read, three: Sandbox, cache: Options) -> None:
    three.state.tokens[DEFAULT_TOKEN] = Token(wabas=[WABAS[0]])
    assert len(read(**cache, waba_ids=WABAS, strict=False).names) == 3
    three.state.tokens[DEFAULT_TOKEN] = Token()
    assert len(read(**cache, waba_ids=WABAS, strict=False).names) == 7


# -- a hostile network


# What a list is read with all the same.
HARMLESS = [fault.name for fault in FAULTS if fault.error is None]


def lists(heard: Heard) -> bytes:
    """Answer with one number, as the WABA's only one."""
    return json.dumps({"data": [{"id": "106500000000001", "display_phone_number": "+1 555 0100"}]}).encode()


@pytest.mark.attack("deadline", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.attack("understood", "answers that are cut, slow, malformed, refused or not the API's: a table of faults")
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_waba_that_cannot_be_read_costs_no_other(fault: Fault, tmp_path: Path, quick: None) -> None:
    with RudeServer(lists) as server:
        def read(**more: t.Any) -> Inventory:
            return Inventory(tmp_path, json.dumps({
                "plugin": NAME, "base_url": server.base_url, "waba_ids": WABAS[:2], "access_token": CANARY, "app_secret": SECRET,
                "retries": 0, **fault.times, **more,
            }))

        server.rude = lambda method, target: (fault.act, True) if WABAS[0] in target else None
        if fault.name in HARMLESS:
            read()
            return
        start = time.monotonic()
        text = failure(read)
        assert time.monotonic() - start < fault.times["total_timeout"] + 1.5
        assert WABAS[0] in text
        if not fault.of_all and not fault.slow:
            rest = read(strict=False)
            assert (rest.names, [WABAS[0] in warning for warning in rest.warnings]) == (["+15550100"], [True])
