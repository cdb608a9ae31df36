# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Laws of the parsers, as functions of what they are fed: for tests with hypothesis, and for fuzzing guided by coverage.

Each returns where its law holds, raises AssertionError where it does not, and lets every exception through that is none of ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import typing as t
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from ansible_collections.waba.flows.plugins.module_utils import _generations, _lease, _manifest
from ansible_collections.waba.flows.plugins.module_utils._budget import Budget
from ansible_collections.waba.flows.plugins.module_utils._durations import parse_duration
from ansible_collections.waba.flows.plugins.module_utils._envelope import EnvelopeError, Sealed, open_answer
from ansible_collections.waba.flows.plugins.module_utils._errors import InvalidKey, InvalidOptions, WabaError
from ansible_collections.waba.flows.plugins.module_utils._http import _usage, wait_asked
from ansible_collections.waba.flows.plugins.module_utils._keys import (
    PublicKey,
    load_private_key,
    normalise_fingerprint,
    parse_public_key,
    published_key,
)
from ansible_collections.waba.flows.plugins.plugin_utils._plan import as_list, make_waves

_PIECE = 12
_LONGEST_MESSAGE = 4000
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_LONGEST_WAIT = 10**6 * 60.0
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def message_law(error: BaseException, secrets: t.Collection[str] = ()) -> None:
    """A message says something, is not without end, and has no secret in it."""
    told = str(error)
    assert told.strip()
    assert len(told) < _LONGEST_MESSAGE, f"{len(told)} characters"
    if isinstance(error, WabaError):
        told += json.dumps(error.as_dict(), ensure_ascii=False)
    assert not any(secret in told for secret in secrets), told


def no_pieces(told: str, pieces: t.Collection[str]) -> None:
    """A text has no piece of a private key, whatever stands between its characters."""
    bare = "".join(told.split())
    found = [bare[i:i + _PIECE] for i in range(len(bare) - _PIECE + 1) if bare[i:i + _PIECE] in pieces]
    assert not found, found[0]


# -- keys


def _key_law(key: PublicKey, text: str) -> None:
    """What is read is one PEM block of what stands in the text, and the fingerprint is its hash."""
    body = "".join(key.pem.splitlines()[1:-1])
    der = base64.b64decode(body, validate=True)
    assert key.fingerprint == "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert len(der) == 294
    if "CERTIFICATE" not in text:
        bare = "".join(text.replace("\\r", "").replace("\\n", "").split())
        assert base64.b64encode(der[24:]).decode()[:-4] in bare or body in bare


def public_key_law(text: str, pieces: t.Collection[str] = ()) -> PublicKey | None:
    """Any text is a key with the right fingerprint, or an error of ours that quotes nothing of a private key."""
    try:
        key = parse_public_key(text)
    except InvalidKey as error:
        message_law(error)
        no_pieces(str(error), pieces)
        return None
    _key_law(key, text)
    return key


def published_key_law(text: str, pieces: t.Collection[str] = ()) -> None:
    """Text of an API is a key, or none where it is blank, or an error; what is shown of it is nothing of a private key."""
    try:
        key = published_key(text)
    except InvalidKey as error:
        message_law(error)
        no_pieces(str(error), pieces)
        return
    assert (key is None) == (not text.strip())
    if key is not None:
        assert _FINGERPRINT.fullmatch(key.fingerprint)
        if _PRIVATE.search(text) and text.count("-----BEGIN") == 1:  # what calls itself public is shown, whatever it is
            no_pieces(key.pem, pieces)


def private_key_law(pem: bytes, passphrase: str | None, pieces: t.Collection[str] = ()) -> None:
    """Bytes are a private key that shows nothing of itself, or an error that does not either."""
    try:
        key = load_private_key(pem, passphrase, "import_private_key_content")
    except InvalidKey as error:
        message_law(error, [passphrase] if passphrase else [])
        no_pieces(str(error), pieces)
        return
    no_pieces(repr(key) + key.public.pem, pieces)
    assert len(base64.b64decode("".join(key.public.pem.splitlines()[1:-1]))) == 294


def fingerprint_law(text: str, pieces: t.Collection[str] = ()) -> None:
    """A fingerprint is brought to one form, which stays as it is, or refused."""
    try:
        found = normalise_fingerprint(text)
    except InvalidKey as error:
        message_law(error)
        no_pieces(str(error), pieces)
        return
    assert _FINGERPRINT.fullmatch(found)
    assert normalise_fingerprint(found) == found


# -- files


def keyring_law(text: bytes) -> None:
    """keyring.json is read, and what was read is written so that it is read as the same; or it is called damaged."""
    try:
        ring = _generations.from_document(json.loads(text))
    except (ValueError, RecursionError) as error:  # which Keyring turns into its own
        message_law(error)
        return
    written = json.dumps(_generations.to_document(ring))
    assert _generations.from_document(json.loads(written)) == ring
    _manifest.read_manifest(_manifest.manifest_of("default", ring).text().encode(), "default")
    _generations.due_at(ring, timedelta(days=90))
    kept = _generations.prunable(ring, (), timedelta(days=7), NOW)
    assert all(one.state == "retired" and one.fingerprint not in ring.recorded for one in kept)


def manifest_law(text: bytes) -> None:
    """manifest.json is read, and names files of its own folder alone; or it is called damaged."""
    try:
        manifest = _manifest.read_manifest(text, "default")
    except (ValueError, RecursionError) as error:  # which Deployment turns into its own
        message_law(error)
        return
    assert all("/" not in name and name.endswith(".pem") and not name.startswith(".") for name in manifest.files)
    assert _manifest.read_manifest(manifest.text().encode(), "default") == manifest


def lease_law(text: bytes) -> None:
    """A lease is one, or none; and one can be asked whether it is live."""
    lease = _lease.from_json(text)
    if lease is not None:
        lease.is_live(NOW)
        assert _lease.from_json(_lease.to_json(lease).encode()) == lease


# -- headers


def _is_wait(seconds: float | None) -> bool:
    return seconds is None or 0 < seconds <= _LONGEST_WAIT


def headers_law(headers: dict[str, str]) -> None:
    """Headers of usage and Retry-After are numbers to reckon with, or nothing."""
    assert _is_wait(wait_asked(headers)), wait_asked(headers)
    usage = _usage(headers)
    for rows in usage.get("x-business-use-case-usage", {}).values():
        assert all(isinstance(value, (int, float)) for row in rows for value in row.values())
    time = 1000.0
    budget = Budget(lambda: time)
    for account in ("", "12"):
        budget.expect(account)
        budget.answered(account, usage)
        for wait in (budget.wait(account), budget.start_in(account, 60.0)):
            assert 0 <= wait <= _LONGEST_WAIT
            assert not math.isnan(wait)


# -- options


def duration_law(text: str) -> None:
    """A duration is a number of seconds that can be reckoned with, or refused."""
    try:
        seconds = parse_duration(text, "max_age")
    except InvalidOptions as error:
        message_law(error)
        return
    timedelta(seconds=seconds)
    assert seconds >= 0
    assert text.strip()[0].isdigit()


def waves_law(plan: list[dict[str, t.Any]], sizes: t.Any, stopped: t.Collection[str] = ()) -> None:
    """Waves are a partition of the numbers that need a POST, in their order, of the sizes that C(serial) means; or refused."""
    wanted = [row["name"] for row in plan if row["publish"] and row["key_name"] not in stopped]
    try:
        waves = make_waves(plan, stopped, sizes)
    except ValueError as error:
        message_law(error)
        assert "encryption_keys_waves" in str(error)
        return
    assert [name for wave in waves for name in wave] == wanted
    assert all(waves)
    given = [str(one) for one in as_list(sizes)]
    left = len(wanted)
    for place, wave in enumerate(waves):
        said = given[min(place, len(given) - 1)].strip()
        share = Fraction(said.rstrip("% ").strip())
        full = max(1, math.floor(len(wanted) * share / 100)) if said.endswith("%") else int(share)
        assert len(wave) == min(full, left)
        left -= len(wave)


# -- answers of an endpoint


def sealed_answer_law(body: bytes, sealed: Sealed, sent: bytes | None = None) -> None:
    """The body of an answer is opened only if it is what was sent (C(sent)); else there is an error that quotes nothing of it."""
    try:
        document = open_answer(body, sealed)
    except EnvelopeError as error:
        message_law(error)
        assert sent is None or body.strip() != sent
        return
    assert sent is not None
    assert body.strip() == sent, document


def is_json(text: bytes) -> bool:
    """Tell whether bytes are JSON that can be read here."""
    try:
        json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True
