# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the sandbox's numbers of each provider are reached. Who adds a provider adds a rig; the contract tests then cover it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, SINGLE_SPEC
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many, run_single
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Params, module_params
from tests.sandbox import DEFAULT_TOKEN, Number, Sandbox


@dataclasses.dataclass(frozen=True)
class Rig:
    """A number in the sandbox.

    C(options) reach it; C(number) is its ID, and C(other) that of a second one. C(bad_credential) replaces options so that the
    API refuses them, C(nowhere) so that it does not know the number. C(environment) is what the provider takes from there,
    C(bad_environment) what it refuses. C(code) is the provider's own code for a bad credential.
    """

    box: Sandbox
    options: Params
    number: str
    other: str
    other_options: Params
    bad_credential: Params
    nowhere: Params
    code: t.Any
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    bad_environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def state(self) -> Number:
        """The number as the sandbox keeps it."""
        return self.box.state.numbers[self.number]

    @property
    def provider(self) -> str:
        return str(self.options["provider"])

    @property
    def readable(self) -> bool:
        """Whether it is certain that the provider tells which key a number holds."""
        return PROVIDERS[self.provider].capabilities.can_read == "yes"

    @property
    def secrets(self) -> list[str]:
        """What no result may hold, while these options are used."""
        names = ("access_token", "app_secret", "password", "api_key")
        given = [self.options[name] for name in names if name in self.options]
        return [*given, *(value for name, value in self.environment.items() if "SECRET" in name)]

    def hold(self, key: KeyPair, status: str = "VALID") -> None:
        """Have the number hold a key, without a request."""
        self.state.business_public_key, self.state.signature_status = key.pem, status

    def read(self, **more: t.Any) -> Params:
        return run_single(module_params(SINGLE_SPEC, **{**self.options, "phone_number_id": self.number, **more}), False)

    def set(self, key: KeyPair, check_mode: bool = False, **more: t.Any) -> Params:
        given = {**self.options, "phone_number_id": self.number, "business_public_key": key.pem, "verify_timeout": 1.0, **more}
        return run_single(module_params(SINGLE_SPEC, **given), check_mode)

    @property
    def rows(self) -> list[Params]:
        """Both numbers, as the modules for many take them."""
        return [{**self.options, "phone_number_id": self.number}, {**self.other_options, "phone_number_id": self.other}]

    def info(self, **more: t.Any) -> Params:
        return run_info(module_params(INFO_SPEC, phone_numbers=self.rows, **more))

    def fleet(self, key: KeyPair, rows: list[Params] | None = None, **more: t.Any) -> Params:
        """Set the key of both numbers, or of those that the rows describe."""
        return run_many(module_params(FLEET_SPEC, phone_numbers=rows or self.rows, business_public_key=key.pem, **more), False)

    def faults(self, kind: str, **members: t.Any) -> None:
        self.box.fault(self.number, kind, **members)


def _cloud_api(box: Sandbox) -> Rig:
    numbers = [number for number in box.state.numbers if box.state.numbers[number].waba_id]
    options = {"provider": "cloud_api", "base_url": box.base_url, "access_token": DEFAULT_TOKEN, "app_secret": "fake-app-secret"}
    return Rig(box, options, numbers[0], numbers[1], options,
               {"access_token": "fake-wrong-token"}, {"phone_number_id": "999"}, 190)


def _account(box: Sandbox, provider: str, index: int) -> tuple[str, t.Any]:
    found = [(name, account) for name, account in box.state.accounts.items() if account.provider == provider]
    return found[index]


def _on_premises(box: Sandbox) -> Rig:
    def options(index: int) -> Params:
        name, account = _account(box, "on_premises", index)
        return {"provider": "on_premises", "base_url": f"{box.base_url}/on_premises/{name}", "username": account.user,
                "password": account.secret}

    numbers = [_account(box, "on_premises", index)[1].numbers[0] for index in (0, 1)]
    return Rig(box, options(0), numbers[0], numbers[1], options(1), {"password": "fake-wrong-password"},
               {"base_url": f"{box.base_url}/on_premises/nobody"}, 1005)


def _kaleyra(box: Sandbox) -> Rig:
    name, account = _account(box, "kaleyra", 0)
    options = {"provider": "kaleyra", "base_url": f"{box.base_url}/kaleyra", "sid": name, "api_key": account.secret}
    return Rig(box, options, account.numbers[0], account.numbers[1], options, {"api_key": "fake-wrong-key"},
               {"phone_number_id": "+15550000000"}, "RBC001")


def _graph_compatible(box: Sandbox) -> Rig:
    dummy, account = _account(box, "graph_compatible", 0)
    options = {"provider": "graph_compatible", "base_url": f"{box.base_url}/graph_compatible", "access_token": account.secret,
               "credential_header": "D360-API-KEY", "path_template": "/v1/{phone_number_id}/whatsapp_business_encryption"}
    return Rig(box, options, account.numbers[0], account.numbers[1], options, {"access_token": "fake-wrong-token"},
               {"phone_number_id": "999"}, 190)


def _gupshup(box: Sandbox) -> Rig:
    def options(index: int) -> Params:
        name, account = _account(box, "gupshup", index)
        return {"provider": "gupshup", "base_url": f"{box.base_url}/gupshup", "app_id": name, "access_token": account.secret}

    numbers = [_account(box, "gupshup", index)[1].numbers[0] for index in (0, 1)]
    return Rig(box, options(0), numbers[0], numbers[1], options(1),
               {"access_token": "fake-wrong-token"}, {"app_id": "nobody"}, 401)


def _aws(box: Sandbox) -> Rig:
    dummy, account = _account(box, "aws", 0)
    options = {"provider": "aws", "base_url": f"{box.base_url}/aws", "region": account.region}
    environment = {
        "AWS_ACCESS_KEY_ID": account.user, "AWS_SECRET_ACCESS_KEY": account.secret, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }
    nowhere = {"phone_number_id": "phone-number-id-" + "f" * 32}
    return Rig(box, options, account.numbers[0], account.numbers[1], options, {}, nowhere, "InvalidSignatureException",
               environment, {"AWS_SECRET_ACCESS_KEY": "fake-wrong-secret-key"})


RIGS: dict[str, t.Callable[[Sandbox], Rig]] = {
    "cloud_api": _cloud_api, "on_premises": _on_premises, "kaleyra": _kaleyra, "graph_compatible": _graph_compatible,
    "gupshup": _gupshup, "aws": _aws,
}
