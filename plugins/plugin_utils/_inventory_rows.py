# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Host variables into rows: numbers as the modules take them, and endpoints.

A mistake in a host's variables is that host's alone. Only the rows of numbers carry credentials (public_rows takes them out).
"""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from jinja2 import Undefined

from ansible_collections.waba.flows.plugins.module_utils._argspec import CONNECTION, number_list
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions
from ansible_collections.waba.flows.plugins.module_utils._generations import KEY_NAME
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import Spec
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import OWN_OPTIONS, PROVIDERS
from ansible_collections.waba.flows.plugins.module_utils._wabas import tokens_by_account

Row = dict[str, t.Any]
Rows = list[Row]

_PREFIX = "whatsapp_"
_LARGEST = 10**40  # IDs have up to 32 digits
_OPTIONS = ("phone_number_id", "waba_id", *CONNECTION)
_SECRETS = tuple(option.name for option in OWN_OPTIONS if option.secret)
_SHORTEST_SECRET = 6
_WORDS = " ".join((
    "unchanged set replaced resigned accepted refused skipped failed read unknown recorded VALID MISMATCH default",
    "present staged pending current retired promoted pruned rolled_back revoked", *PROVIDERS,
))
# What the modules will check of a number; checked here first, where a mistake is that number's alone.
_NUMBER = ArgumentSpecValidator(number_list({})["options"])

# The variables of an endpoint host, without their prefix. An unset one gets its default here. Paths are text: what ~ stands for
# in them is known where they are used, and not here.
_ENDPOINT: Spec = {
    "endpoint_url": {"type": "str"},
    "endpoint_deploy": {"type": "bool", "default": True},
    "endpoint_keys_path": {"type": "str", "default": "/etc/whatsapp-flows/endpoint-keys"},
    "endpoint_keys_owner": {"type": "str"},
    "endpoint_keys_group": {"type": "str"},
    "endpoint_keys_mode": {"type": "raw"},
    "endpoint_keys_directory_mode": {"type": "raw"},
    "endpoint_timeout": {"type": "float", "default": 10.0},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "str"},
    "allow_http": {"type": "bool", "default": False},
}
_ENDPOINT_CHECKS = ArgumentSpecValidator(_ENDPOINT)
_KEY_NAMES = ArgumentSpecValidator({"key_names": {"type": "list", "elements": "str"}})


class HostProblem(Exception):
    """A host variable that cannot be used; the message names it and never its value."""


def collect_numbers(
    hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any], credentials: t.Mapping[str, t.Any] | None = None
) -> Rows:
    """Return one row a host: its name, key name and the options that its variables set.

    A host whose variables cannot be used gets a row with C(problem) instead of options, so that it fails as that number
    alone. So does one that would get a credential from C(credentials), see for_module, which cannot be one.
    """
    names = list(hosts)
    rows = [_collect_number(host, hostvars) for host in names]
    given = _with_shared(rows, credentials or {})
    masking = _words_among({str(row[option]) for row in given for option in _SECRETS if row.get(option)}, names)
    return [_without_words(*both, masking) for both in zip(rows, given)] if masking else rows


def _words_among(secrets: set[str], names: t.Sequence[str]) -> set[str]:
    """Return the secrets that Ansible would blot out in names and outcomes, of all numbers, as it does wherever one stands."""
    shown = "\n".join([*map(str, names), _WORDS])
    return {secret for secret in secrets if len(secret) < _SHORTEST_SECRET or secret in shown}


def _without_words(row: Row, given: Row, masking: set[str]) -> Row:
    """Return the row of a number, as one with a problem where one of these secrets is its own, or shared with it."""
    wrong = next((option for option in _SECRETS if str(given.get(option) or "") in masking), None)
    if wrong is None:
        return row
    which = f"The host variable whatsapp_{wrong}" if row.get(wrong) else f"Its {wrong} from the environment"
    problem = f"{which} is no credential: it is too short, or a word of results or of a host's name."
    return {"name": row["name"], "key_name": row["key_name"], "phone_number_id": row["phone_number_id"], "problem": problem}


def _collect_number(host: str, hostvars: t.Mapping[str, t.Any]) -> Row:
    row: Row = {"name": host, "key_name": "default"}
    try:
        variables = hostvars[host]
        key_name = _variable(variables, "key_name")
        row["key_name"] = "default" if key_name is None else str(key_name)
        if not KEY_NAME.fullmatch(row["key_name"]):
            row["key_name"] = "default"
            raise HostProblem("whatsapp_key_name may hold letters, digits, - and _ only, at most 64.")
        for option in _OPTIONS:
            value = _variable(variables, option)
            if value is not None:
                row[option] = value
        row.setdefault("phone_number_id", host if host.isdigit() else None)
        if row["phone_number_id"] is None:
            raise HostProblem("It has no phone-number ID: set the host variable whatsapp_phone_number_id.")
        for name in ("phone_number_id", "waba_id"):
            if name in row:
                row[name] = str(row[name]).strip()
        _check(_NUMBER, {option: row[option] for option in _OPTIONS if option in row})
    except HostProblem as problem:
        return {"name": host, "key_name": row["key_name"], "phone_number_id": str(row.get("phone_number_id") or ""),
                "problem": str(problem)}
    return row


def collect_endpoints(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> Rows:
    """Return one row an endpoint host: C(name), and its variables without their prefix, typed, with defaults.

    C(key_names) is None where it serves every key. A host whose variables cannot be used has C(problem) beside it.
    """
    return [_collect_endpoint(host, hostvars) for host in hosts]


def _collect_endpoint(host: str, hostvars: t.Mapping[str, t.Any]) -> Row:
    row: Row = {"name": host, "key_names": None}
    try:
        row["key_names"] = _key_names(hostvars[host])  # first, so that a mistake elsewhere concerns these keys alone
        given = {option: _variable(hostvars[host], option) for option in _ENDPOINT}
        row.update(_check(_ENDPOINT_CHECKS, {option: value for option, value in given.items() if value is not None}))
        if not row["endpoint_url"]:
            raise HostProblem("It has no URL, so it cannot prove anything: set the host variable whatsapp_endpoint_url.")
        _variable(hostvars[host], "app_secret")  # used later, where a failure could not be told as this host's
    except HostProblem as problem:
        row["problem"] = str(problem)
    return row


def _key_names(variables: t.Mapping[str, t.Any]) -> list[str] | None:
    """Return the names of the keys that an endpoint serves, or None where it serves every key. Raises HostProblem."""
    names: list[str] | None = _check(_KEY_NAMES, {"key_names": _variable(variables, "key_names")})["key_names"]
    if not all(KEY_NAME.fullmatch(name) for name in names or ()):
        raise HostProblem("whatsapp_key_names may hold letters, digits, - and _ only, at most 64 in each name.")
    return names


def serves(endpoint: Row, key_name: str) -> bool:
    """Tell whether an endpoint has to decrypt with a key."""
    return endpoint["key_names"] is None or key_name in endpoint["key_names"]


def _check(validator: ArgumentSpecValidator, given: Row) -> Row:
    """Return the options as the modules will have them. Raises HostProblem."""
    try:
        result = validator.validate(given)
    except OverflowError:  # of Ansible's own, where an infinite number is to be a whole one
        raise HostProblem("One of the host variables whatsapp_… is a number beyond reckoning.") from None
    if result.error_messages:
        raise HostProblem(f"The host variables whatsapp_… are not as the modules need them: {'; '.join(result.error_messages)}.")
    return t.cast(Row, result.validated_parameters)


def _variable(variables: t.Mapping[str, t.Any], option: str) -> t.Any:
    """Return a host variable, templated, or None where it is not set. Raises HostProblem."""
    name = _PREFIX + option
    try:
        value = variables.get(name)
        if isinstance(value, Undefined):  # ansible-core 2.19 and newer hand it over, and it raises when it is used
            str(value)
        # Inline vaulted text, which ansible-core up to 2.18 hands over as an object of its own, and decrypts when it is used.
        if getattr(value, "__ENCRYPTED__", False):
            value = str(value)
    except Exception as error:
        # Templating fails in different ways from one ansible-core to the next. The error's text can quote a value, so
        # only the name of an undefined variable is taken from it.
        raise HostProblem(_cannot_template(name, str(error))) from None
    # ansible-core up to 2.18 hands over the text untemplated where a variable in it is undefined.
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        raise HostProblem(_cannot_template(name, ""))
    if isinstance(value, int) and abs(value) > _LARGEST:  # of thousands of digits, which Python does not write as text
        raise HostProblem(f"The host variable {name} is a number beyond reckoning.")
    return value


def _cannot_template(name: str, why: str) -> str:
    undefined = re.search(r"'(\w+)' is undefined", why)
    cause = f"'{undefined.group(1)}' is undefined" if undefined else "a variable that it refers to is undefined or wrong"
    return f"The host variable {name} cannot be templated: {cause}."


def public_rows(numbers: Rows) -> Rows:
    """Return of the numbers what may be shown and stored: name, IDs, key name and problem."""
    names = ("name", "phone_number_id", "waba_id", "key_name", "problem")
    return [{name: row[name] for name in names if name in row} for row in numbers]


def part_of_fleet(groups: t.Mapping[str, t.Sequence[str]], hostvars: t.Mapping[str, t.Any], workflow: str, template: str) -> str:
    """Return what tells that the inventory has a part of the numbers only, as in a slice of a job; an empty text if nothing does.

    C(workflow) and C(template) are the names of the job's workflow and of its template in AWX. The workflow that AWX makes for
    slices has the name of the template; one by one, nothing else tells a job that it is a slice.
    """
    present, found = _counts(groups, hostvars)
    has = f"The inventory has {present} of the {found} numbers that its source found. " if present < found else ""
    if workflow and workflow == template and (has or not found):
        return f"{has}The workflow of this job is called '{workflow}' as its job template is, so AWX has sliced the job."
    # A slice lacks about half of the numbers or more. That some lack may be meant: AWX leaves out hosts that are disabled.
    return f"{has}So it is a slice of a job of AWX, or the inventory is broken." if (found - present) * 3 >= found > 0 else ""


def _counts(groups: t.Mapping[str, t.Sequence[str]], hostvars: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Return how many numbers of WABAs the inventory has, and how many there have to be, as far as the inventory plugin told.

    Hosts of a WABA say the same, so one of each is asked. No source says more than there is, so where several list the same
    WABA the fleet is at least that large.
    """
    wabas = [hosts for name, hosts in groups.items() if re.fullmatch(r"waba_[0-9]+", name) and hosts]
    first = [hostvars[hosts[0]] for hosts in wabas]
    by_waba = sum(_count(variables, "waba_numbers_found") for variables in first)
    return (len({host for hosts in wabas for host in hosts}),
            max([by_waba, *(_count(variables, "numbers_found") for variables in first)]))


def _count(variables: t.Mapping[str, t.Any], option: str) -> int:
    """Return a number that the inventory plugin set; 0 for one that cannot be read, by which nobody is to be stopped."""
    try:
        return int(_variable(variables, option) or 0)
    except (HostProblem, TypeError, ValueError, OverflowError):
        return 0


def tokens_problem(access_tokens: t.Any) -> str:
    """Return what is wrong with the tokens by WABA of the environment, or an empty text."""
    try:
        tokens_by_account(access_tokens)
    except InvalidOptions as error:
        return str(error)
    return ""


def _shared(row: Row, credentials: t.Mapping[str, t.Any], tokens: t.Mapping[str, str]) -> Row:
    """Return the credentials of the environment that are meant for a number's provider; an empty one counts as none.

    The token of the number's WABA goes before the common one. Both are Meta's, so whoever gets the one may get the other.
    """
    provider = PROVIDERS[row.get("provider") or "cloud_api"]
    meant = [option.name for option in provider.options if option.name not in provider.own_only]
    shared = {name: credentials[name] for name in meant if credentials.get(name)}
    if "access_token" in meant and tokens.get(row.get("waba_id", "")):
        shared["access_token"] = tokens[row["waba_id"]]
    return shared


def _with_shared(numbers: Rows, credentials: t.Mapping[str, t.Any]) -> Rows:
    """Return the rows, those that are usable with the credentials of the environment that they are to have."""
    tokens = tokens_by_account(credentials.get("access_tokens"))
    return [row if "problem" in row else {**_shared(row, credentials, tokens), **row} for row in numbers]


def for_module(numbers: Rows, credentials: t.Mapping[str, t.Any], plan: Rows | None = None) -> Rows:
    """Return the usable numbers as the modules' option phone_numbers takes them, with their credentials.

    C(credentials) are for the numbers that have none of their own; an empty one counts as none. C(access_tokens) among them
    are tokens by WABA, as a mapping or JSON text. With a plan, only the numbers that need a POST, each with its key and
    compare-and-set.
    """
    usable = [{k: v for k, v in row.items() if k != "key_name"}
              for row in _with_shared(numbers, credentials) if "problem" not in row]
    if plan is None:
        return usable
    wanted = {row["name"]: row for row in plan if row["publish"]}
    return [
        {
            **row,
            "business_public_key": wanted[row["name"]]["business_public_key"],
            "expected_fingerprints": wanted[row["name"]]["expected"],
            "force": wanted[row["name"]].get("force", False),
            "recorded_fingerprint": wanted[row["name"]].get("recorded"),
        }
        for row in usable if row["name"] in wanted
    ]
