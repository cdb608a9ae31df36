# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ruff: noqa: E402  # Ansible wants the documentation before the imports

"""See DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: whatsapp_phone_numbers
short_description: WhatsApp business phone numbers of WABAs and businesses as inventory hosts
version_added: 1.3.0
author:
  - The waba.flows authors (@waba-flows)
description:
  - Lists the phone numbers of WhatsApp Business accounts (WABAs) through Meta's Cloud API, and makes each a host with the
    variables that the role P(waba.flows.encryption_keys#role) and the modules of this collection use.
  - The file has to be named C(whatsapp_phone_numbers.yml) or C(….whatsapp_phone_numbers.yml); C(.yaml) is understood as well.
  - All host variables that come from the API are marked as unsafe, so that no text of theirs is ever taken for a template.
  - The tokens are not among the host variables. What talks to the API later gets its token by C(group_vars), say.
  - Where everything could be read, each host says how many numbers the source lists after its filters
    (C(whatsapp_numbers_found)), and how many of these are of its WABA (C(whatsapp_waba_numbers_found)). By them the role sees
    that it was given a part of the fleet.
notes:
  - All options but O(hostname), O(include), O(exclude), O(compose), O(groups) and O(keyed_groups), which are evaluated for each
    host, can be templates, such as C({{ lookup('ansible.builtin.env', 'TOKEN') }}). Extra variables can be used in them.
  - Ansible only warns where an inventory source fails, and goes on with the others. Set
    E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) to have it stop.
requirements:
  - The Python library requests, 2.25.1 or newer, on the control node.
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description:
      - Says that the file is one of this plugin's.
    type: str
    required: true
    choices: [waba.flows.whatsapp_phone_numbers]
  waba_ids:
    description:
      - IDs of WABAs. At least one ID is needed here or in O(business_ids); both can be given.
    type: list
    elements: str
    default: []
  business_ids:
    description:
      - IDs of businesses (business portfolios). The WABAs that each owns, and those that clients share with it, are looked up.
    type: list
    elements: str
    default: []
  access_token:
    description:
      - A system-user access token with the permission C(whatsapp_business_management), for all accounts that O(access_tokens)
        does not name.
    type: str
    env:
      - name: WHATSAPP_ACCESS_TOKEN
  access_tokens:
    description:
      - The tokens by the ID of a WABA or of a business, as a mapping or as JSON text.
      - The token of a business is used for each of its WABAs that has none here. Both go before O(access_token).
    type: raw
    env:
      - name: WHATSAPP_ACCESS_TOKENS
  app_secret:
    description:
      - The secret of the app that the tokens belong to. With it each request carries C(appsecret_proof), which an app with
        "Require App Secret" asks for.
    type: str
    env:
      - name: WHATSAPP_APP_SECRET
  base_url:
    description:
      - Scheme, host and, if there is one, the path before the API version.
      - Plain http is refused, except to the loopback addresses or with O(allow_http=true).
    type: str
    default: https://graph.facebook.com
  api_version:
    description:
      - Version of the Graph API.
    type: str
    default: v24.0
  timeout:
    description:
      - Seconds that the API may take to accept the connection, and again between two pieces of its answer.
    type: float
    default: 30.0
  retries:
    description:
      - How often a request is sent again after a temporary error, with growing pauses or the pause that the API asks for.
    type: int
    default: 3
  total_timeout:
    description:
      - Seconds that the reading may take in all, with retries and waits.
    type: float
    default: 300.0
  validate_certs:
    description:
      - Whether the API's TLS certificate is checked.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file of the CA certificates to trust.
      - If it is not set, the environment variables E(REQUESTS_CA_BUNDLE) and E(CURL_CA_BUNDLE) are used, else the CAs that
        come with the Python library requests.
    type: path
  allow_http:
    description:
      - Allow plain http to hosts other than loopback. Everybody on the way can then read the token.
    type: bool
    default: false
  max_workers:
    description:
      - How many lists are read at the same time.
    type: int
    default: 32
  hostname:
    description:
      - A template over the variables of the host that gives its name.
      - By default the name is the display number without anything but C(+) and digits. A number for which the name would be
        empty is called by its phone-number ID.
      - To all that share a name, or have the name of a group or of the local host, C(-) and the phone-number ID are appended.
    type: str
  include:
    description:
      - Conditions over the variables of the host, as with C(when). A number is listed if any of them holds, or if there is none.
      - A condition that cannot be evaluated is an error, whatever O(strict) is.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Conditions over the variables of the host, as with C(when). A number is left out if any of them holds. They go before
        O(include).
      - A condition that cannot be evaluated is an error, whatever O(strict) is.
    type: list
    elements: str
    default: []
  group:
    description:
      - The group that all numbers go into. The role P(waba.flows.encryption_keys#role) reads this one by default.
    type: str
    default: whatsapp_numbers
  waba_groups:
    description:
      - Whether there is a group C(waba_ID) for each WABA that was read, such as C(waba_102200000000001).
    type: bool
    default: true
  strict:
    description:
      - With V(true), the inventory fails where a WABA or the list of a business's WABAs cannot be read, and where one of
        O(compose), O(groups) and O(keyed_groups) cannot be evaluated.
      - With V(false), what cannot be read is left out and named in a warning, and so incomplete a list is not put into the
        cache. Entries of O(compose), O(groups) and O(keyed_groups) that cannot be evaluated are passed over.
      - Unlike in other inventory plugins, V(true) is the default, because a number that is not listed gets no new key.
    type: bool
    default: true
seealso:
  - module: waba.flows.whatsapp_business_encryption_fleet
  - module: waba.flows.whatsapp_business_encryption_info
"""

EXAMPLES = r"""
---
# production.whatsapp_phone_numbers.yml; plugin and waba_ids are enough, with the token in WHATSAPP_ACCESS_TOKEN
plugin: waba.flows.whatsapp_phone_numbers

# All WABAs of a business and those that clients share with it, and a partner's besides, which has a token of its own
business_ids:
  - "101100000000001"
waba_ids:
  - "102200000000002"
access_token: "{{ lookup('ansible.builtin.env', 'META_SYSTEM_USER_TOKEN') }}"
access_tokens:
  "102200000000002": "{{ lookup('ansible.builtin.env', 'TOKEN_PARTNER') }}"

# Numbers that cannot be used are left out
include:
  - whatsapp_platform_type == 'CLOUD_API'
exclude:
  - whatsapp_account_mode == 'SANDBOX'
  - whatsapp_status in ['BANNED', 'DISCONNECTED', 'MIGRATED']

# Hosts are named by the ID of the number; a key for each WABA, and groups by quality (quality_green, ...)
hostname: "{{ whatsapp_phone_number_id }}"
compose:
  whatsapp_key_name: "'waba-' ~ whatsapp_waba_id"
groups:
  partners: whatsapp_waba_id in ['102200000000002']
keyed_groups:
  - key: whatsapp_quality_rating | lower
    prefix: quality

# Kept for an hour in files; ansible-playbook --flush-cache reads anew
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ansible-whatsapp
cache_timeout: 3600
"""

import collections
import re
import typing as t

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from jinja2 import TemplateError

from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidOptions, WabaError, defect_of
from ansible_collections.waba.flows.plugins.module_utils._http import Transport
from ansible_collections.waba.flows.plugins.module_utils._options import connection_of, max_workers, total_timeout
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import Connection
from ansible_collections.waba.flows.plugins.module_utils._wabas import (
    MEMBERS,
    Reading,
    Row,
    Sources,
    describe,
    fingerprint,
    read_numbers,
    secret_text,
    tokens_by_account,
)

PREFIX = "whatsapp_"
_SUFFIXES = ("whatsapp_phone_numbers.yml", "whatsapp_phone_numbers.yaml")
_CONNECTION = (
    "base_url", "app_secret", "api_version", "timeout", "retries", "total_timeout", "validate_certs", "ca_path", "allow_http",
    "max_workers",
)
_SECRETS = ("access_token", "access_tokens", "app_secret")
_LISTS = ("include", "exclude")
# Evaluated for each host, so left as they are when the file is read.
_PER_HOST = ("plugin", "hostname", "include", "exclude", "compose", "groups", "keyed_groups")
# A number of such a name would pass for the control node.
_LOCAL = frozenset(["localhost", "127.0.0.1", "::1"])

Variables = dict[str, t.Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]  # ansible is not typed
    """See DOCUMENTATION."""

    NAME = "waba.flows.whatsapp_phone_numbers"

    def verify_file(self, path: str) -> bool:
        """Tell whether a file is one of this plugin's by its name."""
        if not super().verify_file(path):
            return False
        name = path.rsplit("/", 1)[-1]
        return name in _SUFFIXES or name.endswith(tuple(f".{suffix}" for suffix in _SUFFIXES))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory. Raises AnsibleParserError; every error of ours passes here and nowhere else."""
        super().parse(inventory, loader, path, cache)
        try:
            self._read_config_data(path)
            self._fill(self._reading(cache))
        except WabaError as error:
            raise AnsibleParserError(str(error)) from None
        except (AnsibleError, TemplateError):  # of the file, or of a template in it
            raise
        except Exception as error:
            raise AnsibleParserError(str(defect_of(error))) from None

    # -- options

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        """Take the options of the file: templates first, as Ansible checks types here and templates nothing."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct and self._prepared(direct))

    def _prepared(self, config: Variables) -> Variables:
        self.templar.available_variables = self._vars or {}
        ready = {name: value if name in _PER_HOST else self._templated(name, value) for name, value in config.items()}
        for name in _LISTS:  # Ansible would split a lone text at its commas
            if isinstance(ready.get(name), str):
                ready[name] = [ready[name]]
        for name in ("waba_ids", "business_ids"):
            if isinstance(ready.get(name), int):
                ready[name] = [ready[name]]
        for name in ("access_token", "app_secret"):  # Ansible's message about a wrong type quotes the value
            if ready.get(name) is not None:
                ready[name] = secret_text(name, ready[name])
        return ready

    def _templated(self, name: str, value: t.Any) -> t.Any:
        try:
            return self.templar.template(value)
        except AnsibleError as error:
            # With secrets, the message, or the piece of the file that Ansible shows with it, may hold the value.
            why = "" if name in _SECRETS else f": {error}"
            raise InvalidOptions(f"The template in {name} cannot be evaluated{why}.") from None

    def _sources(self) -> Sources:
        return Sources(
            waba_ids=tuple(str(item).strip() for item in self.get_option("waba_ids")),
            business_ids=tuple(str(item).strip() for item in self.get_option("business_ids")),
            access_token=self.get_option("access_token") or None,
            access_tokens=tokens_by_account(self.get_option("access_tokens")),
        )

    def _connection(self) -> tuple[Connection, Variables]:
        params = {"provider": "cloud_api", "access_token": "", **{name: self.get_option(name) for name in _CONNECTION}}
        return connection_of(params), params

    # -- reading

    def _reading(self, use_cache: bool) -> Reading:
        """Return the numbers, from the cache where it is wanted and has them. C(use_cache) is false with --flush-cache."""
        sources, (connection, params) = self._sources(), self._connection()
        sources.check()
        caching = self.get_option("cache")
        key = f"{self.NAME}_{fingerprint(sources, connection)}"
        reading = self._cached(key) if caching and use_cache else None
        if reading is None:
            reading = self._read(sources, connection, params)
            if caching and not reading.failures:
                self._cache[key] = reading.to_cache()
        return reading

    def _cached(self, key: str) -> Reading | None:
        try:
            return Reading.from_cache(self._cache[key])
        except (KeyError, ValueError, TypeError, AnsibleError):  # not there or too old; damaged
            return None

    def _read(self, sources: Sources, connection: Connection, params: Variables) -> Reading:
        workers = max_workers(params)
        transport = Transport(pool_size=workers)
        try:
            reading = read_numbers(
                sources, connection, transport, max_workers=workers, total_timeout=total_timeout(params)
            )
        finally:
            transport.close()
        if reading.failures and self.get_option("strict"):
            raise WabaError(f"Not everything could be read. {describe(reading.failures)}",
                            "With strict: false the rest would be listed.")
        for failure in reading.failures:
            self.display.warning(f"{failure.what} is left out of the inventory: {failure.error}")
        return reading

    # -- the inventory

    def _fill(self, reading: Reading) -> None:
        group = self._group()
        if self.get_option("waba_groups"):
            for waba_id in reading.waba_ids:
                self.inventory.add_group(f"waba_{waba_id}")
        hosts = [variables for variables in _variables(reading.rows) if self._is_wanted(variables)]
        names = unique_names(
            [self._name(variables) for variables in hosts],
            [variables["whatsapp_phone_number_id"] for variables in hosts],
            _LOCAL.union(self.inventory.groups),
        )
        found = {} if reading.failures else _found(hosts)
        for name, variables in zip(names, hosts):
            self._add(name, group, {**variables, **found.get(variables["whatsapp_waba_id"], {})})

    def _group(self) -> str:
        group = str(self.get_option("group")).strip()
        if not group:
            raise InvalidOptions("group is empty.", "The default is whatsapp_numbers.")
        return str(self.inventory.add_group(group))

    def _add(self, name: str, group: str, variables: Variables) -> None:
        set_variable = self.inventory.set_variable
        self.inventory.add_host(name, group=group)
        for variable, value in variables.items():
            set_variable(name, variable, value)
        if self.get_option("waba_groups"):
            self.inventory.add_child(f"waba_{variables['whatsapp_waba_id']}", name)
        self._construct(name, variables)

    def _construct(self, name: str, variables: Variables) -> None:
        """Apply the constructed options to a host."""
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)

    def _is_wanted(self, variables: Variables) -> bool:
        include, exclude = self.get_option("include"), self.get_option("exclude")
        if any(self._holds("exclude", condition, variables) for condition in exclude):
            return False
        return not include or any(self._holds("include", condition, variables) for condition in include)

    def _holds(self, option: str, condition: str, variables: Variables) -> bool:
        self.templar.available_variables = variables
        try:
            if hasattr(self.templar, "evaluate_conditional"):  # ansible-core 2.19 and newer
                return bool(self.templar.evaluate_conditional(condition))
            return bool(boolean(self.templar.template("{% if " + str(condition) + " %}true{% else %}false{% endif %}")))
        except AnsibleError as error:
            number = variables["whatsapp_phone_number_id"]
            raise InvalidOptions(f"The condition '{condition}' of {option} cannot be evaluated for number {number}: {error}"
                                 ) from None

    def _name(self, variables: Variables) -> str:
        """Return a name for a host, not unique yet."""
        template = self.get_option("hostname")
        if template is None:
            name = re.sub(r"[^+0-9]", "", variables["whatsapp_display_phone_number"] or "")
        else:
            # Braces go as well: ansible-core up to 2.18 templates names of hosts wherever the variable groups is used.
            name = re.sub(r"[{}\x00-\x1f\x7f-\x9f\u2028\u2029]+", "_", self._rendered(template, variables).strip())
        return name or str(variables["whatsapp_phone_number_id"])

    def _rendered(self, template: str, variables: Variables) -> str:
        if "{{" not in template and "{%" not in template:
            raise InvalidOptions("hostname holds no template, so that all hosts would have one name.",
                                 'Example: "{{ whatsapp_phone_number_id }}"')
        self.templar.available_variables = variables
        try:
            if hasattr(self.templar, "evaluate_conditional"):  # ansible-core 2.19 and newer
                value = self.templar.template(template)
            else:  # what looks like a number or a list would become one, and +1555… lose its sign; with a mark it cannot
                value = str(self.templar.template(f"={template}"))[1:]
        except AnsibleError as error:
            number = variables["whatsapp_phone_number_id"]
            raise InvalidOptions(f"hostname cannot be evaluated for number {number}: {error}") from None
        return "" if value is None else str(value)


def unique_names(names: t.Sequence[str], identities: t.Sequence[str], taken: t.Collection[str] = ()) -> list[str]:
    """Return the names, with their ID appended to all that share one or have one that is taken."""
    unique = list(names)
    while True:
        counts = collections.Counter(unique)
        again = [index for index, name in enumerate(unique) if counts[name] > 1 or name in taken]
        if not again:
            return unique
        for index in again:
            unique[index] = f"{unique[index]}-{identities[index]}"


def _found(hosts: t.Sequence[Variables]) -> dict[str, Variables]:
    """Return by WABA what its hosts say of how many there are.

    These are variables of hosts, as those of a group that another source has as well may be overwritten in AWX.
    """
    counts = collections.Counter(str(variables["whatsapp_waba_id"]) for variables in hosts)
    return {
        waba_id: {"whatsapp_numbers_found": len(hosts), "whatsapp_waba_numbers_found": count} for waba_id, count in counts.items()
    }


def _variables(rows: t.Iterable[Row]) -> t.Iterator[Variables]:
    """Yield the host variables of each number: text from outside, which is never to be taken for a template."""
    unsafe: dict[str | None, t.Any] = {}  # most values are words that nearly all numbers share, and marking takes time
    names = {name: PREFIX + name for name in MEMBERS}
    for row in rows:
        for value in row.values():
            if value not in unsafe:
                unsafe[value] = wrap_var(value)
        yield {names[name]: unsafe[value] for name, value in row.items()}
