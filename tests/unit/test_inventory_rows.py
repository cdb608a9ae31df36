# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host variables into numbers and endpoints: options, mistakes that are one host's alone, and credentials."""

from __future__ import annotations

import typing as t

import pytest
from jinja2 import StrictUndefined

from ansible_collections.waba.flows.plugins.filter.encryption_keys import STEPS
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.plugins.plugin_utils import _inventory_rows as inventory
from ansible_collections.waba.flows.tests.unit.role_rows import A, B, C, Row, blind_plan, noted, plan_of, ring

SECRET = "canary-token-3371"


class Variables(t.Mapping[str, t.Any]):
    """Host variables as Ansible hands them over: getting one that cannot be templated raises."""

    def __init__(self, errors: t.Mapping[str, Exception], **values: t.Any) -> None:
        self._errors = errors
        self._values = values

    def __getitem__(self, name: str) -> t.Any:
        if name in self._errors:
            raise self._errors[name]
        return self._values[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Vaulted:
    """Inline vaulted text as ansible-core up to 2.18 hands it over."""

    __ENCRYPTED__ = True

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __str__(self) -> str:
        if self._text is None:
            raise RuntimeError(f"no vault password opens {SECRET}")
        return self._text


def prefixed(variables: t.Mapping[str, t.Any]) -> Row:
    return {f"whatsapp_{name}": value for name, value in variables.items()}


def collect(name: str = "shop", **variables: t.Any) -> Row:
    return inventory.collect_numbers([name], {name: prefixed(variables)})[0]


def endpoint(**variables: t.Any) -> Row:
    return inventory.collect_endpoints(["web"], {"web": prefixed({"endpoint_url": "https://web.example.com", **variables})})[0]


# -- numbers


def test_options_are_taken_from_the_variables_of_their_names() -> None:
    row = collect(phone_number_id=106, access_token="a-token", key_name="partner", timeout=5, display_phone_number="+49")
    assert row == {"name": "shop", "key_name": "partner", "phone_number_id": "106", "access_token": "a-token", "timeout": 5}


def test_variables_that_are_not_set_are_left_to_the_module() -> None:
    assert collect(phone_number_id=" 106 ", access_token=None, key_name=None) == {
        "name": "shop", "key_name": "default", "phone_number_id": "106",
    }


@pytest.mark.parametrize(("name", "variables", "expected"), [
    ("106", {}, "106"),
    ("106", {"phone_number_id": None}, "106"),
    ("106", {"phone_number_id": "7"}, "7"),
])
def test_a_host_named_by_digits_is_its_id_unless_another_is_set(name: str, variables: Row, expected: str) -> None:
    assert collect(name, **variables)["phone_number_id"] == expected


@pytest.mark.parametrize("key_name", ["a", "A_b-9", "x" * 64, 7])
def test_key_names_that_may_be(key_name: t.Any) -> None:
    row = collect("106", key_name=key_name)
    assert row["key_name"] == str(key_name)
    assert "problem" not in row


@pytest.mark.parametrize(("variables", "message"), [
    ({}, "set the host variable whatsapp_phone_number_id"),
    ({"phone_number_id": "1", "key_name": "a/b"}, "whatsapp_key_name may hold"),
    ({"phone_number_id": "1", "key_name": ""}, "whatsapp_key_name may hold"),
    ({"phone_number_id": "1", "key_name": "x" * 65}, "whatsapp_key_name may hold"),
    ({"phone_number_id": "1", "key_name": "../escape"}, "whatsapp_key_name may hold"),
    ({"phone_number_id": "1", "access_token": "{{ nowhere }}"}, "whatsapp_access_token cannot be templated: a variable that"),
    ({"phone_number_id": "1", "access_token": "{% if %}"}, "whatsapp_access_token cannot be templated"),
    ({"phone_number_id": "1", "access_token": StrictUndefined(name="nowhere")}, "'nowhere' is undefined"),
    ({"phone_number_id": "1", "provider": "pigeon"}, "provider must be one of"),
    ({"phone_number_id": "1", "timeout": "soon"}, "timeout"),
    ({"phone_number_id": "1", "validate_certs": "perhaps"}, "validate_certs"),
])
def test_a_mistake_in_a_host_is_that_hosts_alone(variables: Row, message: str) -> None:
    hosts = {"bad": prefixed({"app_secret": SECRET, **variables}), "good": prefixed({"phone_number_id": "2"})}
    bad, good = inventory.collect_numbers(hosts, hosts)
    assert message in bad["problem"]
    assert set(bad) == {"name", "key_name", "phone_number_id", "problem"}
    assert SECRET not in str(bad)
    assert "problem" not in good
    assert [row["name"] for row in inventory.for_module([bad, good], {})] == ["good"]


@pytest.mark.parametrize(("variables", "expected"), [
    ({"phone_number_id": "1", "key_name": "partner", "timeout": "soon"}, ("partner", "1")),
    ({"key_name": "partner"}, ("partner", "")),
    ({"phone_number_id": "1", "key_name": "a/b"}, ("default", "")),
    ({"phone_number_id": "1", "key_name": "{{ nowhere }}"}, ("default", "")),
    ({"phone_number_id": 106, "key_name": "partner", "access_token": "{{ nowhere }}"}, ("partner", "106")),
])
def test_what_is_known_of_a_host_with_a_mistake(variables: Row, expected: tuple[str, str]) -> None:
    row = collect(**variables)
    assert (row["key_name"], row["phone_number_id"]) == expected


def test_an_error_of_templating_names_the_variable_and_not_what_is_in_it() -> None:
    """The text of the error can quote what it was about."""
    errors = {"whatsapp_access_token": RuntimeError(f"cannot decrypt {SECRET}"),
              "whatsapp_app_secret": RuntimeError(f"{SECRET}: 'vault_secret' is undefined")}
    first = Variables({"whatsapp_access_token": errors["whatsapp_access_token"]}, whatsapp_phone_number_id="1")
    second = Variables({"whatsapp_app_secret": errors["whatsapp_app_secret"]}, whatsapp_phone_number_id="2")
    rows = inventory.collect_numbers(["a", "b"], {"a": first, "b": second})
    assert [row["problem"] for row in rows] == [
        "The host variable whatsapp_access_token cannot be templated: a variable that it refers to is undefined or wrong.",
        "The host variable whatsapp_app_secret cannot be templated: 'vault_secret' is undefined.",
    ]


@pytest.mark.attack("accounted", "a credential that is short, or a word of results or of a name, so that Ansible blots it out")
@pytest.mark.parametrize("option", ["access_token", "app_secret", "password", "api_key"])
@pytest.mark.parametrize("word", ["number", "replaced", "x", "SHA25", "default", "pending", "current", "cloud_api"])
def test_a_credential_that_is_a_word_is_that_numbers_problem(option: str, word: str) -> None:
    """Else names and outcomes of all numbers would be unreadable to the role."""
    good = prefixed({"phone_number_id": "1", "access_token": "a-token-0123"})
    rows = inventory.collect_numbers(["number-1", "number-2"], {
        "number-1": good, "number-2": {**good, "whatsapp_phone_number_id": "2", f"whatsapp_{option}": word}})
    assert "problem" not in rows[0]
    assert set(rows[1]) == {"name", "key_name", "phone_number_id", "problem"}
    assert rows[1]["problem"].startswith(f"The host variable whatsapp_{option} is no credential")


@pytest.mark.attack("accounted", "a credential that is short, or a word of results or of a name, so that Ansible blots it out")
@pytest.mark.parametrize("credentials", [
    {"access_token": "set"}, {"access_token": "a-token-0123", "access_tokens": '{"102": "replaced"}'},
    {"access_token": "a-token-0123", "access_tokens": {"102": "shop"}}, {"access_token": "a-token-0123", "app_secret": "pending"},
])
def test_a_word_from_the_environment_is_the_problem_of_those_who_get_it(credentials: Row) -> None:
    """The role's own view of the fleet tells it, so that it is not said of the number that it was not read."""
    hosts = {"shop": prefixed({"phone_number_id": "1", "waba_id": "102"}),
             "own": prefixed({"phone_number_id": "2", "access_token": "a-token-4567", "app_secret": "a-secret-4567"})}
    given, = STEPS["numbers"](list(hosts), hostvars=hosts, credentials=credentials)
    assert given["name"] == "own"
    shop, own = STEPS["fleet"](list(hosts), hostvars=hosts, credentials=credentials)
    assert "from the environment is no credential: it is too short, or a word" in shop["problem"]
    assert "problem" not in own


def test_credentials_of_the_environment_that_no_number_gets_are_no_problem() -> None:
    hosts = {"shop": prefixed({"phone_number_id": "1", "access_token": "a-token-0123"})}
    row, = STEPS["fleet"](list(hosts), hostvars=hosts, credentials={"access_token": "set", "password": "set"})
    assert "problem" not in row


def test_vaulted_text_is_opened() -> None:
    assert collect("106", access_token=Vaulted("opened"))["access_token"] == "opened"
    assert endpoint(key_names=Vaulted("a,b"))["key_names"] == ["a", "b"]


def test_vaulted_text_that_cannot_be_opened_is_that_hosts_problem() -> None:
    row = collect("106", access_token=Vaulted(None))
    assert row["problem"].startswith("The host variable whatsapp_access_token cannot be templated")
    assert SECRET not in row["problem"]


def test_all_mistakes_of_a_host_are_told() -> None:
    text = collect(phone_number_id="1", provider="pigeon", timeout="soon")["problem"]
    assert text.startswith("The host variables whatsapp_… are not as the modules need them: ")
    assert "provider must be one of" in text
    assert "timeout" in text


def test_numbers_keep_the_order_of_the_inventory() -> None:
    hosts = {name: prefixed({"phone_number_id": name}) for name in ("c", "a", "b")}
    assert [row["name"] for row in inventory.collect_numbers(["c", "a", "b"], hosts)] == ["c", "a", "b"]


def test_public_rows_hold_no_credentials() -> None:
    rows = inventory.public_rows([collect(phone_number_id="1", access_token=SECRET, app_secret=SECRET), collect("b")])
    assert rows[0] == {"name": "shop", "phone_number_id": "1", "key_name": "default"}
    assert set(rows[1]) == {"name", "phone_number_id", "key_name", "problem"}


# -- as the modules take them


def test_credentials_of_the_environment_are_for_those_without_their_own() -> None:
    rows = [collect("a", phone_number_id="1"), collect("b", phone_number_id="2", access_token="its-own")]
    given = inventory.for_module(rows, {"access_token": "shared", "app_secret": ""})
    assert [row["access_token"] for row in given] == ["shared", "its-own"]
    assert all("app_secret" not in row and "key_name" not in row for row in given)


def test_a_token_of_the_environment_goes_to_no_other_provider() -> None:
    """It is Meta's, and a gateway's credential has the same option."""
    gateway = collect("a", phone_number_id="1", provider="graph_compatible", preset="1msg")
    given, = inventory.for_module([gateway], {"access_token": "of-meta", "app_secret": "of-meta"})
    assert "of-meta" not in given.values()
    kaleyra, = inventory.for_module([collect("b", phone_number_id="+15550001", provider="kaleyra")], {"api_key": "k", "sid": "s"})
    assert (kaleyra["api_key"], kaleyra["sid"]) == ("k", "s")


BY_WABA = {"access_token": "common", "access_tokens": '{"102": "of-102", "103": ""}'}


@pytest.mark.parametrize(("variables", "token"), [
    ({"waba_id": "102"}, "of-102"), ({"waba_id": 102}, "of-102"),
    ({"waba_id": "102", "access_token": "its-own"}, "its-own"),
    ({"waba_id": "103"}, "common"), ({"waba_id": "104"}, "common"), ({}, "common"), ({"waba_id": None}, "common"),
])
def test_a_number_takes_its_own_token_then_that_of_its_waba_then_the_common_one(variables: Row, token: str) -> None:
    given, = inventory.for_module([collect("a", phone_number_id="1", **variables)], BY_WABA)
    waba_id = {"waba_id": str(variables["waba_id"])} if variables.get("waba_id") else {}
    assert given == {"name": "a", "phone_number_id": "1", "access_token": token, **waba_id}


def test_tokens_by_waba_can_be_a_mapping() -> None:
    """ansible-core up to 2.18 makes one of text that looks so."""
    given, = inventory.for_module([collect("a", phone_number_id="1", waba_id="102")], {"access_tokens": {"102": "of-102"}})
    assert given["access_token"] == "of-102"


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"cloud_api"}))
def test_no_other_provider_gets_a_token_of_a_waba(provider: str) -> None:
    row = {"name": "a", "phone_number_id": "1", "provider": provider, "waba_id": "102"}
    assert not {"of-102", "common"}.intersection(map(str, inventory.for_module([row], BY_WABA)[0].values()))


@pytest.mark.parametrize(("value", "problem"), [
    ("", ""), ({}, ""), ('{"102": "t"}', ""), ({"102": "t"}, ""),
    (SECRET, "access_tokens is neither"), (f'["{SECRET}"]', "access_tokens is neither"),
    ({"102": [SECRET]}, "access_tokens holds"),
])
def test_what_is_wrong_with_the_tokens_by_waba_is_told_without_them(value: t.Any, problem: str) -> None:
    text = inventory.tokens_problem(value)
    assert text.startswith(problem)
    assert bool(text) is bool(problem)
    assert SECRET not in text


def test_only_the_numbers_of_the_plan_that_need_a_post_are_published() -> None:
    rows = [collect(name, phone_number_id=name, access_token=f"token of {name}") for name in ("a", "b", "c", "d")]
    plan = plan_of({"a": B, "b": C, "c": None})  # b holds its key already; d is not in the plan
    given = inventory.for_module(rows, {}, plan)
    assert [(row["name"], row["access_token"]) for row in given] == [("a", "token of a"), ("c", "token of c")]
    assert all(row["business_public_key"] == ring()["to_publish"]["business_public_key"] for row in given)
    assert [row["expected_fingerprints"] for row in given] == [[A, B, C], [A, B, C]]
    assert [row["force"] for row in given] == [False, False]


def test_a_number_of_which_it_is_not_known_what_it_holds_is_sent_its_key_in_any_case() -> None:
    plan = [{**row, "force": True} for row in plan_of({"a": B})]
    given, = inventory.for_module([collect("a", phone_number_id="1")], {}, plan)
    assert given["force"] is True


@pytest.mark.parametrize(("record", "options", "expected", "force", "on_record"), [
    (noted(B), {}, [A, B, C], False, [B]), (noted(A, B, certain=False), {}, [A, B, C], True, [A, B]),
    (None, {"replace_foreign": True}, None, False, [None]),
])
def test_the_modules_get_what_is_on_record_of_a_number(
    *, record: Row | None, options: Row, expected: list[str] | None, force: bool, on_record: list[str | None]
) -> None:
    plan = blind_plan({"a": record}, **options)
    given, = inventory.for_module([collect("a", phone_number_id="1")], {}, plan)
    assert (given["expected_fingerprints"], given["force"]) == (expected, force)
    assert given["recorded_fingerprint"] in on_record


def test_of_a_number_that_can_be_read_no_record_is_handed_on() -> None:
    given, = inventory.for_module([collect("a", phone_number_id="1")], {}, plan_of({"a": B}))
    assert given["recorded_fingerprint"] is None


def test_each_number_gets_its_own_key() -> None:
    rows = [collect(name, phone_number_id=name) for name in ("a", "b")]
    plan = plan_of({"a": A, "b": A}, ring("default", "A:retired B:current"), ring("partner", "A:retired C:current"),
                   keys={"b": "partner"})
    given = inventory.for_module(rows, {}, plan)
    assert [row["business_public_key"] for row in given] == ["the public key B", "the public key C"]
    assert [row["expected_fingerprints"] for row in given] == [[A, B], [A, C]]


# -- endpoints


def test_an_endpoint_gets_defaults_and_types() -> None:
    assert endpoint() == {
        "name": "web", "key_names": None, "endpoint_url": "https://web.example.com", "endpoint_deploy": True,
        "endpoint_keys_path": "/etc/whatsapp-flows/endpoint-keys", "endpoint_keys_owner": None, "endpoint_keys_group": None,
        "endpoint_keys_mode": None, "endpoint_keys_directory_mode": None, "endpoint_timeout": 10.0, "validate_certs": True,
        "ca_path": None, "allow_http": False,
    }


def test_an_endpoints_variables_are_typed() -> None:
    row = endpoint(endpoint_deploy="no", endpoint_timeout="2.5", key_names="default,partner", validate_certs="no",
                   allow_http="yes", endpoint_keys_owner=1000, endpoint_keys_group=33, app_secret=SECRET)
    assert (row["endpoint_deploy"], row["endpoint_timeout"]) == (False, 2.5)
    assert (row["key_names"], row["validate_certs"], row["allow_http"]) == (["default", "partner"], False, True)
    assert (row["endpoint_keys_owner"], row["endpoint_keys_group"]) == ("1000", "33")
    assert endpoint(key_names=[7, "partner"])["key_names"] == ["7", "partner"]
    assert SECRET not in str(row)


def test_what_is_meant_for_another_host_is_handed_on_as_it_is() -> None:
    given = {"endpoint_keys_path": "~app/keys", "ca_path": "$HOME/ca.pem", "endpoint_keys_mode": 0o640,
             "endpoint_keys_directory_mode": "u=rwx"}
    row = endpoint(**given)
    assert {name: row[name] for name in given} == given


@pytest.mark.parametrize(("key_names", "served"), [
    (None, {"default", "partner"}), (["partner"], {"partner"}), ([], set()), (["other"], set()),
])
def test_which_keys_an_endpoint_serves(key_names: list[str] | None, served: set[str]) -> None:
    row = endpoint(key_names=key_names)
    assert {name for name in ("default", "partner") if inventory.serves(row, name)} == served


@pytest.mark.parametrize(("variables", "message"), [
    ({"endpoint_url": None}, "set the host variable whatsapp_endpoint_url"),
    ({"endpoint_url": ""}, "set the host variable whatsapp_endpoint_url"),
    ({"endpoint_timeout": "soon"}, "endpoint_timeout"),
    ({"endpoint_deploy": "perhaps"}, "endpoint_deploy"),
    ({"ca_path": "{{ nowhere }}"}, "whatsapp_ca_path cannot be templated"),
    ({"app_secret": StrictUndefined(name="nowhere")}, "whatsapp_app_secret cannot be templated: 'nowhere' is undefined"),
])
def test_a_mistake_in_an_endpoint_concerns_the_keys_that_it_serves(variables: Row, message: str) -> None:
    row = endpoint(key_names=["partner"], **variables)
    assert message in row["problem"]
    assert (row["name"], row["key_names"]) == ("web", ["partner"])


@pytest.mark.parametrize("key_names", [["a/b"], ["good", ""], ["x" * 65], "{{ nowhere }}", {"a": 1}])
def test_where_the_served_keys_are_not_known_every_key_is_concerned(key_names: t.Any) -> None:
    row = endpoint(key_names=key_names)
    assert "key_names" in row["problem"]
    assert row["key_names"] is None


def test_a_mistake_in_an_endpoint_is_that_hosts_alone() -> None:
    hosts = {"bad": prefixed({}), "good": prefixed({"endpoint_url": "https://good.example.com"})}
    bad, good = inventory.collect_endpoints(["bad", "good"], hosts)
    assert "problem" in bad
    assert "problem" not in good


# -- a part of the fleet

WABAS = {"waba_1": ["a", "b", "c"], "waba_2": ["d", "e", "f"]}


def part(*missing: str, workflow: str = "", template: str = "rotate", **variables: t.Any) -> str:
    """Return what is said of six numbers of two WABAs, some of which are missing; C(variables) go before those of the hosts."""
    groups = {name: [host for host in hosts if host not in missing] for name, hosts in WABAS.items()}
    told = {"numbers_found": 6, "waba_numbers_found": 3, **variables}
    hostvars = {host: prefixed(told) for hosts in groups.values() for host in hosts}
    return inventory.part_of_fleet({"all": ["vault", *hostvars], "ungrouped": [], **groups}, hostvars, workflow, template)


def test_a_whole_fleet_is_no_part() -> None:
    assert part() == part(workflow="rotate") == part(workflow="night") == part("a") == part("a", workflow="night") == ""


@pytest.mark.parametrize(("missing", "present"), [("ab", 4), ("ad", 4), ("abc", 3), ("bdf", 3), ("abdef", 1)])
def test_a_third_that_is_missing_is_told(missing: str, present: int) -> None:
    assert part(*missing) == (
        f"The inventory has {present} of the 6 numbers that its source found. "
        "So it is a slice of a job of AWX, or the inventory is broken."
    )


def test_numbers_of_several_sources_add_up() -> None:
    """Each source knows of its own WABA only."""
    assert "has 3 of the 6" in part("a", "d", "e", numbers_found=3)
    assert part("a", "d", numbers_found=3) != ""
    assert part("a", numbers_found=3) == ""


def test_wabas_that_are_missing_whole_are_told_by_the_count_of_the_source() -> None:
    assert "has 3 of the 6" in part("a", "b", "c")
    assert part("a", "b", "c", numbers_found=3) == ""


def test_the_name_of_the_workflow_tells_of_slices() -> None:
    assert part("a", workflow="rotate") == (
        "The inventory has 5 of the 6 numbers that its source found. "
        "The workflow of this job is called 'rotate' as its job template is, so AWX has sliced the job."
    )
    unknown = part("a", workflow="rotate", numbers_found=None, waba_numbers_found=None)
    assert unknown.startswith("The workflow of this job is called 'rotate'")
    assert part("a", workflow="night", numbers_found=None, waba_numbers_found=None) == ""
    assert part("a", template="", numbers_found=None, waba_numbers_found=None) == ""
    assert inventory.part_of_fleet({"all": []}, {}, "rotate", "rotate") != ""
    assert inventory.part_of_fleet({"all": []}, {}, "", "") == ""


@pytest.mark.parametrize("count", ["many", [], "{{ undefined_variable }}", True])
def test_a_count_that_is_none_stops_nobody(count: t.Any) -> None:
    assert part("a", "b", "c", "d", numbers_found=count, waba_numbers_found=count) == ""
