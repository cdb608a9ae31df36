# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox knows: numbers, tokens, businesses, accounts and settings, and how they are kept in a JSON file."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

SIGNATURE_STATUSES = ("VALID", "MISMATCH")
READ_SHAPES = ("array", "flat", "empty_data", "missing_members")
UNKNOWN_IDS = ("100", "803")
KALEYRA_READS = ("404", "405", "empty", "flat", "data", "list", "odd")
KALEYRA_ERROR_SHAPES = ("object", "string")
# The providers that know an account by an id and a secret of its own; Meta's tokens and WABAs are apart.
PROVIDERS = ("on_premises", "kaleyra", "graph_compatible", "gupshup", "aws")

MESSAGING = "whatsapp_business_messaging"
MANAGEMENT = "whatsapp_business_management"

DEFAULT_NUMBER = "106600000000001"
DEFAULT_WABA = "102200000000001"
DEFAULT_BUSINESS = "101100000000001"
DEFAULT_TOKEN = "sandbox-token-1"
DEFAULT_APP = "103300000000001"

# Annotations are strings in these modules, so a field's declared type can be looked up here and checked
# without a validation library.
_NONE = type(None)
_ACCEPTS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, _NONE),
    "bool": (bool,),
    "bool | None": (bool, _NONE),
    "int": (int,),
    "int | None": (int, _NONE),
    "int | str | None": (int, str, _NONE),
    "float": (int, float),
    "float | None": (int, float, _NONE),
    "list[str]": (list,),
    "list[str] | None": (list, _NONE),
    "dict[str, str]": (dict,),
    "dict[str, int]": (dict,),
}


class InvalidData(ValueError):
    """Data in a file or a control request that the sandbox does not take; the text says what and where."""


def build(cls: type[T], data: object, what: str) -> T:
    """Make a dataclass from JSON; unknown members and wrong types are refused by name."""
    if not isinstance(data, dict):
        raise InvalidData(f"{what}: must be a JSON object")
    known = {item.name: str(item.type) for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name, value in data.items():
        if name not in known:
            raise InvalidData(f"{what}: unknown member {name!r}")
        accepted = _ACCEPTS[known[name]]
        # bool is a subclass of int; "times: true" is a mistake, not 1.
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise InvalidData(f"{what}: {name} must be {known[name]}")
    try:
        return cls(**data)
    except TypeError as exc:
        raise InvalidData(f"{what}: {exc}") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidData(f"{name} must be one of {', '.join(allowed)}")


@dataclass
class Number:
    """A phone number; the phone-number id is its key in State.numbers.

    A number with a blank waba_id is out of the Cloud API's sight: only the provider whose account has it knows it.
    """

    waba_id: str
    business_public_key: str | None = None
    signature_status: str = "MISMATCH"
    display_phone_number: str = "+1 555-555-0100"
    verified_name: str = "Sandbox Shop"
    status: str = "LINKED"
    quality_rating: str = "GREEN"
    code_verification_status: str = "VERIFIED"
    account_mode: str = "LIVE"
    host_platform: str = "CLOUD_API"
    platform_type: str = "CLOUD_API"
    messaging_limit_tier: str = "TIER_1K"
    registered: bool = True

    def __post_init__(self) -> None:
        _one_of("signature_status", self.signature_status, SIGNATURE_STATUSES)


@dataclass
class Token:
    """An access token; the token's text is its key in State.tokens.

    wabas None means every WABA. Calls count towards the limits of app_id.
    """

    wabas: list[str] | None = None
    permissions: list[str] = field(default_factory=lambda: [MESSAGING, MANAGEMENT])
    expires_at: float | None = None
    app_secret: str | None = None
    require_app_secret: bool = False
    app_id: str = DEFAULT_APP

    def sees(self, waba_id: str) -> bool:
        """Whether the WABA is visible to this token."""
        return self.wabas is None or waba_id in self.wabas


@dataclass
class Business:
    """A business portfolio: the WABAs it owns, and those shared with it by clients."""

    owned: list[str] = field(default_factory=list)
    client: list[str] = field(default_factory=list)


@dataclass
class Account:
    """A customer's account with a provider; its id is its key in State.accounts.

    The id is what the provider has in its paths: Kaleyra's SID, Gupshup's app id, the host of the On-Premises API. For
    graph_compatible and aws it is a name of no meaning, as the credential alone tells whose request it is.
    secret: password, API key, token or secret access key. user: login name or access key id. region: of aws.
    token_seconds: how long a login of the On-Premises API lasts.
    """

    provider: str
    secret: str
    user: str = ""
    numbers: list[str] = field(default_factory=list)
    region: str = ""
    token_seconds: int = 604800

    def __post_init__(self) -> None:
        _one_of("provider", self.provider, PROVIDERS)
        if not self.secret:
            raise InvalidData("secret must not be empty")
        if self.provider == "on_premises" and len(self.numbers) != 1:
            raise InvalidData("an account of on_premises has exactly one number")


@dataclass
class Settings:
    """Server-wide behaviour that may change while the server runs.

    calls_per_hour: how many calls within the window the Cloud API takes from an app in each WABA, 0 for any number.
    waba_calls_per_hour: the same for single WABAs. app_calls_per_hour: the same for an app over all WABAs.
    window: in seconds; a limit is of calls a window, however long that is. retry_after: whether a throttled answer has
    this header.
    """

    latency: float = 0.0
    read_shape: str = "array"
    unknown_id: str = "100"
    calls_per_hour: int = 0
    waba_calls_per_hour: dict[str, int] = field(default_factory=dict)
    app_calls_per_hour: int = 0
    window: float = 3600.0
    retry_after: bool = False
    kaleyra_read: str = "404"
    kaleyra_error_shape: str = "object"

    def __post_init__(self) -> None:
        _one_of("kaleyra_read", self.kaleyra_read, KALEYRA_READS)
        _one_of("kaleyra_error_shape", self.kaleyra_error_shape, KALEYRA_ERROR_SHAPES)
        _one_of("read_shape", self.read_shape, READ_SHAPES)
        _one_of("unknown_id", self.unknown_id, UNKNOWN_IDS)
        if self.latency < 0 or self.window <= 0:
            raise InvalidData("latency must be 0 or more, window more than 0")
        for limit in (self.calls_per_hour, self.app_calls_per_hour, *self.waba_calls_per_hour.values()):
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
                raise InvalidData("calls_per_hour, app_calls_per_hour and those of waba_calls_per_hour must be whole, 0 or more")

    def call_limit(self, waba_id: str | None) -> int:
        """The limit of calls in a WABA, or without one of an app; 0 for none."""
        if waba_id is None:
            return self.app_calls_per_hour
        return self.waba_calls_per_hour.get(waba_id, self.calls_per_hour)


def _table(cls: type[T], data: Json, name: str) -> dict[str, T]:
    rows = data.get(name, {})
    if not isinstance(rows, dict):
        raise InvalidData(f"{name}: must be a JSON object")
    return {str(key): build(cls, row, f"{name}[…]" if name == "tokens" else f"{name}[{key}]")
            for key, row in rows.items()}


def _accounts(data: Json, numbers: dict[str, Number]) -> dict[str, Account]:
    found = _table(Account, data, "accounts")
    for name, account in found.items():
        for number_id in account.numbers:
            if number_id not in numbers:
                raise InvalidData(f"accounts[{name}]: there is no number {number_id}")
    return found


@dataclass
class State:
    """Everything that a fleet file or a state file holds."""

    numbers: dict[str, Number] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    businesses: dict[str, Business] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    accounts: dict[str, Account] = field(default_factory=dict)

    def wabas(self) -> set[str]:
        """Ids of every WABA that a number or a business names."""
        found = {number.waba_id for number in self.numbers.values() if number.waba_id}
        for business in self.businesses.values():
            found.update(business.owned, business.client)
        return found

    def to_json(self) -> Json:
        """The state as JSON data; from_json reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: object) -> State:
        """Read JSON data; InvalidData says which part is wrong."""
        if not isinstance(data, dict):
            raise InvalidData("state: must be a JSON object")
        unknown = sorted(set(data) - {"numbers", "tokens", "businesses", "settings", "accounts"})
        if unknown:
            raise InvalidData(f"state: unknown member {unknown[0]!r}")
        numbers = _table(Number, data, "numbers")
        return cls(
            numbers=numbers,
            tokens=_table(Token, data, "tokens"),
            businesses=_table(Business, data, "businesses"),
            settings=build(Settings, data.get("settings", {}), "settings"),
            accounts=_accounts(data, numbers),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> State:
        """Read a fleet file or a state file."""
        return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Replace the file in one step, so that a reader never sees half of it."""
        write_atomically(path, json.dumps(self.to_json(), indent=1) + "\n")


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write a file beside its target (mode 0600: it may hold tokens) and rename it into place."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=str(target.parent), prefix=target.name + ".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def make_number(waba_id: str = DEFAULT_WABA, *, key: str | None = None, **members: Any) -> Number:
    """A registered number; with a key it reads as VALID unless signature_status says otherwise."""
    members.setdefault("signature_status", "VALID" if key else "MISMATCH")
    return Number(waba_id=waba_id, business_public_key=key, **members)


def make_state(count: int = 1, *, wabas: int = 1, token: str = DEFAULT_TOKEN,
               numbers: dict[str, Number] | None = None, tokens: dict[str, Token] | None = None,
               settings: Settings | None = None) -> State:
    """A fleet of numbers dealt out over WABAs that one business owns, and a token that sees all of them."""
    owned = [str(int(DEFAULT_WABA) + index) for index in range(wabas)]
    if numbers is None:
        numbers = {
            str(int(DEFAULT_NUMBER) + index): make_number(
                owned[index % wabas], display_phone_number=f"+1 555-{index // 10000 + 200:03d}-{index % 10000:04d}")
            for index in range(count)
        }
    return State(
        numbers=dict(numbers),
        tokens={token: Token()} if tokens is None else dict(tokens),
        businesses={DEFAULT_BUSINESS: Business(owned=owned)},
        settings=settings or Settings(),
    )


# Plainly fake, and unlike the shapes that scanners of repositories look for.
_SECRETS = {"on_premises": "fake-password", "kaleyra": "fake-api-key", "graph_compatible": "fake-channel-token",
            "gupshup": "fake-app-token", "aws": "fake-secret-access-key"}
_USERS = {"on_premises": "admin", "aws": "FAKEACCESSKEYID"}
_ID_FORMS = {"on_premises": "1555551{:04d}", "kaleyra": "+1555552{:04d}", "graph_compatible": "106700000000{:03d}",
             "gupshup": "106800000000{:03d}", "aws": "phone-number-id-{:032x}"}


def make_account(provider: str, numbers: list[str], index: int = 1, **members: Any) -> Account:
    """An account with a fake secret, which tells the provider and the index; members go before what is made up."""
    members.setdefault("secret", f"{_SECRETS[provider]}-{index}")
    if provider in _USERS:
        members.setdefault("user", f"{_USERS[provider]}{index}")
    if provider == "aws":
        members.setdefault("region", "eu-west-1")
    return Account(provider=provider, numbers=list(numbers), **members)


def make_mixed_state(accounts: int = 2, numbers: int = 2, *, cloud_numbers: int = 2) -> State:
    """Some numbers of the Cloud API, and accounts `<provider>-1`, … of every other provider with numbers of their own.

    An account of the On-Premises API has one number, however many are asked for.
    """
    state = make_state(cloud_numbers)
    for provider in PROVIDERS:
        each = 1 if provider == "on_premises" else numbers
        for index in range(accounts):
            ids = [_ID_FORMS[provider].format(index * each + item + 1) for item in range(each)]
            state.numbers.update({number_id: make_number("") for number_id in ids})
            state.accounts[f"{provider}-{index + 1}"] = make_account(provider, ids, index + 1)
    return state
