# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""Options of the modules, as Ansible hands them over, into typed values. Raises InvalidOptions and InvalidKey."""

from __future__ import annotations

import os
import typing as t

from ._argspec import CONNECTION
from ._errors import InvalidOptions
from ._host_argspec import Params
from ._keys import PublicKey, normalise_fingerprint, parse_public_key
from ._providers._registry import PROVIDERS, Connection
from ._reconcile import Desired

_LONGEST_TIME = 10**6


def inherit(common: Params, own: Params) -> dict[str, t.Any]:
    """Return the connection options of one number: its own where set, else the common ones.

    A credential that could be another provider's is common only to numbers of the common provider: the token for Meta, which
    may come from the environment, is never sent to a gateway.
    """
    provider = own.get("provider") or common["provider"]
    others = PROVIDERS[provider].own_only if provider != common["provider"] else ()
    given = {name: own[name] if own.get(name) is not None else common.get(name) for name in CONNECTION}
    return {**given, **{name: own.get(name) for name in others}}


def connection_of(params: Params) -> Connection:
    """Return the connection that the options describe."""
    return Connection(
        provider=params["provider"],
        base_url=params["base_url"],
        timeout=_positive(params, "timeout"),
        retries=max(0, params["retries"]),
        verify=_verify(params),
        allow_http=params["allow_http"],
        own=tuple((option.name, option.default if params[option.name] is None else _sendable(option.name, params[option.name]))
                  for option in PROVIDERS[params["provider"]].options),
    )


def _sendable(name: str, value: str) -> str:
    """Return the value of an option, unless it holds what cannot be encoded, as text from a broken file does."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidOptions(f"{name} holds characters that cannot be sent.", "Check its source and encoding.") from None
    return value


def _verify(params: Params) -> bool | str:
    """Return how certificates are checked; the session ignores the environment, so its CA bundle is looked up here."""
    if not params["validate_certs"]:
        return False
    bundle = params["ca_path"] or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if params["ca_path"] and not os.path.exists(params["ca_path"]):
        raise InvalidOptions(f"ca_path {params['ca_path']} does not exist.", "Give a PEM file of CA certificates.")
    return str(bundle) if bundle else True


def _positive(params: Params, name: str) -> float:
    value = float(params[name])
    if not 0 < value <= _LONGEST_TIME:  # nor is NaN, or what a socket cannot take
        raise InvalidOptions(f"{name} must be more than 0 and not more than {_LONGEST_TIME} (seconds).")
    return value


def total_timeout(params: Params) -> float:
    """Return the time in seconds that the work on one number may take in all."""
    return _positive(params, "total_timeout")


def max_workers(params: Params) -> int:
    """Return the number of workers, at least one."""
    if params["max_workers"] < 1:
        raise InvalidOptions("max_workers must be at least 1.")
    return int(params["max_workers"])


def public_key_of(params: Params) -> PublicKey | None:
    """Return the key to set, from its text or its file, or None where neither is given."""
    text, path = params.get("business_public_key"), params.get("business_public_key_path")
    if text is not None and path is not None:
        raise InvalidOptions("business_public_key and business_public_key_path exclude each other.", "Give one of them.")
    if path is not None:
        try:
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except (OSError, ValueError) as error:  # ValueError: a path that none can be, or a file that is not text
            why = getattr(error, "strerror", None) or "it is not text"
            raise InvalidOptions(f"business_public_key_path {path[:200]} cannot be read: {why}.") from None
    return None if text is None else parse_public_key(text)


def recorded_of(params: Params) -> str | None:
    """Return the fingerprint that a number is on record to have accepted, or None."""
    text = params.get("recorded_fingerprint")
    return normalise_fingerprint(text) if text else None


def desired_of(key: PublicKey, common: Params, own: Params | None = None) -> Desired:
    """Return what one number should hold; C(own) overrides C(common)."""
    own = own or {}
    expected = own["expected_fingerprints"] if own.get("expected_fingerprints") is not None else common["expected_fingerprints"]
    force = own["force"] if own.get("force") is not None else common["force"]
    fingerprints = None if expected is None else frozenset(normalise_fingerprint(item) for item in expected)
    return Desired(key.pem, key.fingerprint, fingerprints, force)
