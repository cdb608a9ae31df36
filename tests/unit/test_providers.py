# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry of providers, and that argument specs, documentation and role say the same of their options."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.waba.flows.plugins.doc_fragments._connection import ModuleDocFragment
from ansible_collections.waba.flows.plugins.module_utils import _argspec
from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION, FLEET_SPEC, INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._http import Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of
from ansible_collections.waba.flows.plugins.module_utils._providers import _base
from ansible_collections.waba.flows.plugins.module_utils._providers._base import header_secret, required
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import (
    OWN_OPTIONS,
    PROVIDERS,
    Capabilities,
    Option,
    Provider,
    make_provider,
)
from ansible_collections.waba.flows.tests.unit.helpers import module_params

ROOT = Path(_argspec.__file__).parents[2]
DOCUMENTED: dict[str, dict[str, t.Any]] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
BY_NAME = {option.name: option for option in OWN_OPTIONS}


def description(name: str) -> str:
    return " ".join(DOCUMENTED[name]["description"])


# -- the registry


def test_the_providers_in_their_order() -> None:
    assert list(PROVIDERS) == ["cloud_api", "on_premises", "kaleyra", "graph_compatible", "gupshup", "aws"]
    assert all(provider.name == name and issubclass(provider, Provider) for name, provider in PROVIDERS.items())
    assert CONNECTION["provider"]["choices"] == list(PROVIDERS)
    assert DOCUMENTED["provider"]["choices"] == list(PROVIDERS)


def test_each_provider_is_in_the_file_of_its_name() -> None:
    for name, provider in PROVIDERS.items():
        assert provider.__module__.rpartition(".")[2] == f"_{name}"


@pytest.mark.parametrize("name", PROVIDERS)
def test_capabilities_are_of_the_values_that_there_are(name: str) -> None:
    hints = t.get_type_hints(Capabilities)
    for member, value in PROVIDERS[name].capabilities.as_dict().items():
        allowed = (True, False) if hints[member] is bool else t.get_args(hints[member])
        assert value in allowed


def test_what_the_providers_can_do() -> None:
    assert {name: provider.capabilities for name, provider in PROVIDERS.items()} == {
        "cloud_api": Capabilities(),
        "on_premises": Capabilities(numbers_per_credential="one"),
        "kaleyra": Capabilities(can_read="maybe"),
        "graph_compatible": Capabilities(),
        "gupshup": Capabilities(key_of="app"),
        "aws": Capabilities(),
    }
    assert Capabilities().as_dict() == {
        "can_read": "yes", "reports_status": True, "numbers_per_credential": "many", "key_of": "number"}


def test_only_a_provider_that_ended_has_a_notice() -> None:
    assert [name for name, provider in PROVIDERS.items() if provider.notice] == ["on_premises"]


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "aws"])  # what that needs is boto3's matter
def test_nothing_given_is_refused_by_name(name: str) -> None:
    connection = connection_of(module_params(CONNECTION, provider=name))
    with pytest.raises(InvalidOptions, match="given") as caught:
        make_provider(connection, Transport())
    assert caught.value.remedy


def test_connections_differ_by_the_options_of_their_provider_alone() -> None:
    given = module_params(CONNECTION, provider="gupshup", access_token="fake-one", app_id="app")
    assert connection_of(given) == connection_of({**given, "password": "fake", "region": "eu-west-1"})
    assert connection_of(given) != connection_of({**given, "access_token": "fake-two"})
    assert connection_of(given) != connection_of({**given, "provider": "cloud_api"})
    assert len({connection_of(given), connection_of(dict(given))}) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_connection_shows_no_value_of_an_own_option(name: str) -> None:
    given = {option.name: f"fake-{option.name}" for option in PROVIDERS[name].options}
    shown = repr(connection_of({**module_params(CONNECTION, provider=name), **given}))
    assert [value for value in given.values() if value in shown] == []


# -- options


def test_one_name_is_one_option() -> None:
    seen: dict[str, Option] = {}
    for provider in PROVIDERS.values():
        names = [option.name for option in provider.options]
        assert len(names) == len(set(names))
        for option in provider.options:
            assert seen.setdefault(option.name, option) is option
    assert tuple(seen.values()) == OWN_OPTIONS


def test_no_own_option_has_the_name_of_one_that_all_have() -> None:
    common = {"provider", "base_url", "timeout", "retries", "total_timeout", "validate_certs", "ca_path", "allow_http"}
    assert set(CONNECTION) == common | set(BY_NAME)
    assert not common & set(BY_NAME)


def test_an_option_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _base.ACCESS_TOKEN.secret = False  # type: ignore[misc]


def test_the_secret_options() -> None:
    assert {option.name for option in OWN_OPTIONS if option.secret} == {"access_token", "app_secret", "password", "api_key"}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_argument_spec_of_an_own_option(name: str) -> None:
    option = BY_NAME[name]
    for spec in (CONNECTION, SINGLE_SPEC, INFO_SPEC, FLEET_SPEC):
        assert spec[name]["type"] == "str"
        assert spec[name]["no_log"] is option.secret
        assert spec[name].get("default") == option.default
        assert tuple(spec[name].get("choices", ())) == (option.choices or ())
        assert spec[name].get("fallback", (None, [None]))[1] == [option.env]
        assert not spec[name].get("required")
    for spec in (INFO_SPEC, FLEET_SPEC):
        inner = spec["phone_numbers"]["options"][name]
        assert inner["no_log"] is option.secret
        assert "default" not in inner
        assert "fallback" not in inner


@pytest.mark.parametrize("name", BY_NAME)
def test_an_own_option_is_documented(name: str) -> None:
    option, documented = BY_NAME[name], DOCUMENTED[name]
    assert documented["type"] == "str"
    assert documented.get("default") == option.default
    assert tuple(documented.get("choices", ())) == (option.choices or ())
    assert ("E(" in description(name)) is bool(option.env)
    assert set(re.findall(r"E\((\w+)\)", description(name))) == ({option.env} if option.env else set())


@pytest.mark.parametrize("name", BY_NAME)
def test_the_documentation_names_the_providers_of_an_own_option(name: str) -> None:
    having = {provider.name for provider in PROVIDERS.values() if BY_NAME[name] in provider.options}
    assert set(re.findall(r"O\(provider=(\w+)\)", description(name))) == having


def test_options_that_are_new_say_since_when() -> None:
    old = {"access_token", "app_secret", "api_version"}
    assert {name for name in BY_NAME if DOCUMENTED[name].get("version_added") != "1.2.0"} == old


def test_the_documentation_names_every_provider() -> None:
    assert set(re.findall(r"V\((\w+)\)", description("provider"))) == set(PROVIDERS)


# -- the environment


def test_variables_of_the_environment() -> None:
    variables = {option.name: option.env for option in OWN_OPTIONS if option.env}
    assert len(set(variables.values())) == len(variables)
    assert {name for name, variable in variables.items() if variable != f"WHATSAPP_{name.upper()}"} == {"region"}
    assert variables["region"] == "AWS_REGION"


def test_every_secret_option_can_be_taken_from_the_environment() -> None:
    assert [option.name for option in OWN_OPTIONS if option.secret and not option.env] == []


def test_the_role_takes_the_same_variables_of_the_environment() -> None:
    text = (ROOT / "roles" / "encryption_keys" / "vars" / "main.yml").read_text(encoding="utf-8")
    credentials = yaml.safe_load(text)["__encryption_keys_credentials"]
    by_waba = {"access_tokens": "WHATSAPP_ACCESS_TOKENS"}  # no option of a module: each number gets the one of its WABA
    expected = {**{option.name: option.env for option in OWN_OPTIONS if option.env}, **by_waba}
    assert credentials == {name: f"{{{{ lookup('ansible.builtin.env', '{env}') }}}}" for name, env in expected.items()}


# -- what providers share


@pytest.mark.parametrize("option", [option for option in OWN_OPTIONS if not option.default], ids=lambda option: option.name)
@pytest.mark.parametrize("value", [None, ""])
def test_an_option_that_is_needed_is_named_with_every_way_to_give_it(option: Option, value: str | None) -> None:
    provider = next(name for name in PROVIDERS if option in PROVIDERS[name].options)
    connection = connection_of({**module_params(CONNECTION, provider=provider), option.name: value})
    assert connection.option(option) == ""
    with pytest.raises(InvalidOptions, match="No thing is given") as caught:
        required(connection, option, "thing")
    assert f"Set {option.name} (host variable whatsapp_{option.name})" in caught.value.remedy
    assert (option.env or "in the environment") in caught.value.remedy or not option.env


def test_a_credential_is_printable_and_without_blanks() -> None:
    given = module_params(CONNECTION, provider="gupshup")
    every = "".join(chr(number) for number in range(0x21, 0x7f))
    assert header_secret(connection_of({**given, "access_token": every}), _base.ACCESS_TOKEN, "token") == every
    for wrong in (" ", "\t", "\n", "\r", "\x00", "\x7f", "\u00e4", "\u2028"):
        with pytest.raises(InvalidOptions, match="characters that no credential has") as caught:
            header_secret(connection_of({**given, "access_token": f"fake{wrong}token"}), _base.ACCESS_TOKEN, "token")
        assert "fake" not in str(caught.value)
