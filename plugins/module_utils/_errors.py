# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The one exception tree of the collection, and the table that says what an API code means and what to do about it."""

from __future__ import annotations

import dataclasses
import os
import re
import traceback
import typing as t


def restore_from(host: str) -> str:
    """Return the command that rebuilds keyrings from the copies on a host; with a place to fill in where it is not known."""
    return f"ansible-playbook waba.flows.restore -e encryption_keys_restore_from={host or 'HOST'}"


class WabaError(Exception):
    """A failure with a message for a person.

    ``message`` says what is wrong, ``remedy`` what to do about it. ``retryable``: the same call may succeed later.
    ``outcome_unknown``: the request may have been applied although no success was answered, so whoever sent a change
    must read back before sending it again. ``throttled``: the API wants to be left alone, which says nothing of the number.
    """

    retryable = False
    outcome_unknown = False
    throttled = False

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def as_dict(self) -> dict[str, t.Any]:
        """Return the members of the return value C(error); C(type) is the class name unless the API named a type."""
        return {
            "code": None,
            "subcode": None,
            "type": type(self).__name__,
            "message": str(self),
            "details": None,
            "http_status": None,
            "retryable": self.retryable,
            "throttled": self.throttled,
            "fbtrace_id": None,
        }


class InvalidKey(WabaError):
    """The text is not an RSA-2048 key with e = 65537 in a form that is understood."""

    undecrypted = False  # a whole private key, as far as can be told without its passphrase


class InvalidOptions(WabaError):
    """The options given contradict each other, or one is missing or malformed."""


class KeyConflict(WabaError):
    """Compare-and-set: the number holds a key that the caller did not allow to be replaced."""


class NotReadable(WabaError):
    """The API offers no way to ask which key this number holds, or answers in a form that nobody documented."""


class NotVerified(WabaError):
    """The API accepted the key, but did not show it as VALID within the time allowed."""

    retryable = True


class Interrupted(WabaError):
    """An error that is none of ours stopped the work on one number, or of the whole task."""

    outcome_unknown = True


def defect_of(error: BaseException) -> Interrupted:
    """Return what may be shown of an error that nobody foresaw: its class, and where it came from. Its text may hold anything."""
    steps = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{step.name} in {os.path.basename(step.filename)}:{step.lineno}" for step in reversed(steps))
    return Interrupted(f"An unexpected {type(error).__name__} stopped the work ({where}).", "This is a defect: please report it.")


class MissingLibrary(WabaError):
    """A Python library is not installed where the module runs, or is too old."""

    def __init__(self, library: str, minimum: str, found: str | None = None) -> None:
        self.library = f"{library} >= {minimum}"
        state = f"version {found} is too old" if found else "it is not installed"
        super().__init__(f"The Python library {self.library} is needed: {state}.")


def require_library(library: str, minimum: str, found: str | None) -> None:
    """Raise MissingLibrary unless a library was found (its version, or None) in the minimum version or a newer one."""
    if found is None or version_tuple(found) < version_tuple(minimum):
        raise MissingLibrary(library, minimum, found)


def version_tuple(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


class KeyringError(WabaError):
    """The keyring on disk is not usable as asked; the remedy says how to go on."""


class TransportError(WabaError):
    """No whole answer arrived. C(outcome_unknown) tells whether the request may have reached the API."""

    retryable = True

    def __init__(self, message: str, remedy: str = "", *, outcome_unknown: bool = True) -> None:
        super().__init__(message, remedy)
        self.outcome_unknown = outcome_unknown


class ConnectionFailed(TransportError):
    """Refused, unreachable, unresolved, reset or cut."""


class Timeout(TransportError):
    """The API did not answer in time."""


class DeadlineExceeded(TransportError):
    """The total time for the number (total_timeout) is used up."""

    retryable = False

    def __init__(self, message: str, remedy: str = "", *, outcome_unknown: bool = True, throttled: bool = False) -> None:
        super().__init__(message, remedy, outcome_unknown=outcome_unknown)
        self.throttled = throttled


class HeldBack(TransportError):
    """A change was not sent: the API has to be left alone, and what was read may not hold any more by then."""

    throttled = True

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy, outcome_unknown=False)


class Abandoned(TransportError):
    """Whoever asked for this work is gone, so nobody would hear what came of it."""

    retryable = False


class TlsError(TransportError):
    """The certificate was not accepted; nothing was sent."""

    retryable = False


class InvalidAnswer(TransportError):
    """An answer arrived that is not of the API's form: HTML, a redirect, JSON of another shape."""

    retryable = False

    def __init__(self, message: str, remedy: str = "", *, http_status: int | None = None, retryable: bool = False,
                 outcome_unknown: bool = True) -> None:
        super().__init__(message, remedy, outcome_unknown=outcome_unknown)
        self.http_status = http_status
        self.retryable = retryable

    def as_dict(self) -> dict[str, t.Any]:
        return {**super().as_dict(), "http_status": self.http_status}


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What an API code means on the encryption edge. C(throttled) codes were certainly not applied.

    C(of_account): the limit is the one of a single account (WABA), and others under the same credential can be called on.
    """

    kind: str
    remedy: str
    retryable: bool = False
    throttled: bool = False
    of_account: bool = False


_BAD_PARAMETER = Meaning(
    "invalid_parameter",
    "Check that the key is an RSA-2048 public key, that the number can use Flows, and that app_secret is given if the app "
    "requires it; an expired token can show as this error as well.",
)
_NOT_FOUND = Meaning(
    "not_found",
    "Give the phone-number ID, not the phone number and not the WABA ID (GET /WABA_ID/phone_numbers lists the IDs), and "
    "check that the token's system user is assigned to that WABA.",
)
_TOKEN = Meaning("token", "The access token is expired or invalid: create a new system-user token and pass it as access_token.")
_PERMISSION = Meaning(
    "permission",
    "The token needs the permission whatsapp_business_messaging for this WABA (with Advanced Access for another business's).",
)
_BLOCKED = Meaning("blocked", "The account is locked or restricted: see its quality and policy pages in WhatsApp Manager.")
_UNREGISTERED = Meaning("not_registered", "Register the number with the Cloud API first (POST /PHONE_NUMBER_ID/register).")
_REGISTER_LIMIT = Meaning("register_limit", "Too many registrations of this number: wait 72 hours.")
_SIGNING = Meaning("signing", "Meta could not sign the key; it is temporary as a rule: run again.", retryable=True)
TEMPORARY = Meaning("temporary", "A temporary fault of the API: run again.", retryable=True)
THROTTLED = Meaning(
    "throttled", "The rate limit is reached: wait, then run again, with fewer workers or later.", retryable=True, throttled=True
)
_ACCOUNT_THROTTLED = dataclasses.replace(THROTTLED, of_account=True)
_UNKNOWN = Meaning("unknown", "The code is not known to this collection; see the API's error reference.")

# (code, subcode) → meaning; None stands for any subcode.
CODES: dict[tuple[int, int | None], Meaning] = {
    (100, 33): _NOT_FOUND,
    (100, None): _BAD_PARAMETER,
    (803, None): _NOT_FOUND,
    (33, None): _NOT_FOUND,
    (190, None): _TOKEN,
    (104, None): _TOKEN,
    (0, None): _TOKEN,
    (10, None): dataclasses.replace(_PERMISSION, remedy=_PERMISSION.remedy + " The number may have to be allowlisted."),
    (3, None): _PERMISSION,
    (131005, None): _PERMISSION,
    (131031, None): _BLOCKED,
    (368, None): _BLOCKED,
    (131045, None): _UNREGISTERED,
    (133010, None): _UNREGISTERED,
    (133016, None): _REGISTER_LIMIT,
    (131000, None): _SIGNING,
    (1, None): TEMPORARY,
    (2, None): TEMPORARY,
    (131016, None): TEMPORARY,
    (131057, None): TEMPORARY,
    (4, None): THROTTLED,
    (17, None): THROTTLED,
    (32, None): THROTTLED,
    (613, None): THROTTLED,
    (80007, None): _ACCOUNT_THROTTLED,
    (130429, None): _ACCOUNT_THROTTLED,
}
CODES.update({(code, None): _PERMISSION for code in range(200, 300)})


def meaning(code: int | str | None, subcode: int | None, http_status: int, is_transient: bool) -> Meaning:
    """Classify an error of Meta's: by its code, then by C(is_transient), then by the HTTP status.

    The HTTP status comes last because Meta uses it inconsistently (code 4 is seen with 400 and with 429).
    """
    if isinstance(code, int):
        known = CODES.get((code, subcode)) or CODES.get((code, None))
        if known is not None:
            return known
    return meaning_of_status(http_status, is_transient)


def meaning_of_status(http_status: int, is_transient: bool = False) -> Meaning:
    """Classify an error that says no more than its HTTP status, of any provider."""
    if http_status == 429:
        return THROTTLED
    if is_transient or http_status >= 500 or http_status == 408:
        return TEMPORARY
    if http_status == 401:
        return _TOKEN
    if http_status == 403:
        return _PERMISSION
    return _UNKNOWN


class ApiError(WabaError):
    """The API answered with an error body, or with an error status and no body that could be read.

    What it means is told by Meta's table of codes, unless the provider has one of its own (C(own_meaning)).
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        code: int | str | None = None,
        subcode: int | None = None,
        type_name: str | None = None,
        details: str | None = None,
        is_transient: bool = False,
        fbtrace_id: str | None = None,
        wait: float | None = None,
        own_meaning: Meaning | None = None,
    ) -> None:
        self.meaning = own_meaning or meaning(code, subcode, http_status, is_transient)
        super().__init__(message, self.meaning.remedy)
        self.http_status = http_status
        self.code = code
        self.subcode = subcode
        self.type_name = type_name
        self.details = details
        self.fbtrace_id = fbtrace_id
        # Seconds after which the API says that it can be called again.
        self.wait = wait
        self.retryable = self.meaning.retryable
        self.throttled = self.meaning.throttled
        # A code that says why it was refused was not applied, whatever the HTTP status.
        self.outcome_unknown = self.meaning.retryable and not self.meaning.throttled

    def __str__(self) -> str:
        codes = [f"code {self.code}"] if self.code is not None else []
        codes += [f"subcode {self.subcode}"] if self.subcode is not None else []
        codes.append(f"HTTP {self.http_status}")
        details = f" [{self.details}]" if self.details and self.details not in self.message else ""
        wait = f" It can be called again in {self.wait:.0f} s." if self.wait else ""
        return f"{self.message.rstrip('.')}{details} ({', '.join(codes)}).{wait} {self.remedy}"

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "code": self.code,
            "subcode": self.subcode,
            "type": self.type_name or type(self).__name__,
            "message": str(self),
            "details": self.details,
            "http_status": self.http_status,
            "retryable": self.retryable,
            "throttled": self.throttled,
            "fbtrace_id": self.fbtrace_id,
        }
