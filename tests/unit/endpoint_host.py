# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the keys on an endpoint host share: rows of keys, and a host's folder with short calls."""

from __future__ import annotations

import copy
import functools
import json
import os
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat

from ansible_collections.waba.flows.plugins.module_utils import _errors, _keys
from ansible_collections.waba.flows.plugins.module_utils._endpoint_keys import run_endpoint_keys
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import ENDPOINT_KEYS_SPEC
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params, module_params

PASSPHRASE = "an endpoint passphrase"
OTHER = "another endpoint passphrase"
DAYS = {"a": 1, "b": 5, "c": 9, "d": 13}
OTHERS_GROUP = 1234  # belongs to nobody in particular
ROOT = os.geteuid() == 0


@pytest.fixture(name="_unchecked_keys", autouse=True)
def unchecked_keys_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what costs most of the time of opening a key: whether its numbers fit together."""
    if _errors.version_tuple(_keys.CRYPTOGRAPHY_VERSION or "") >= (39,):
        load = functools.partial(serialization.load_pem_private_key, unsafe_skip_rsa_key_validation=True)
        monkeypatch.setattr(serialization, "load_pem_private_key", load)


@functools.cache
def pem_of(key: KeyPair, passphrase: str) -> str:
    """The key under a passphrase; each time the same text."""
    return key.private_pem(passphrase)


def identity(key: KeyPair, day: int) -> str:
    return f"202603{day:02d}T120000Z-{_keys.fingerprint_hex16(key.fingerprint)}"


def ring(
    keys: Keys, text: str, *, name: str = "default", passphrase: str = PASSPHRASE, without: str = "", pruned: str = ""
) -> Params:
    """A row of the option keys, of a text such as C(a:retired b:current).

    C(without) are those that have no private key; C(pruned) are those that the keyring had once.
    """
    rows, private_keys = [], {}
    for word in text.split():
        letter, dummy, state = word.partition(":")
        key: KeyPair = getattr(keys, letter)
        row = {
            "id": identity(key, DAYS[letter]), "fingerprint": key.fingerprint, "state": state, "origin": "generated",
            "created_at": f"2026-03-{DAYS[letter]:02d}T12:00:00Z", "published_at": None, "promoted_at": None, "retired_at": None,
            "revoked_at": None, "last_seen_at": None, "business_public_key": key.pem, "usable": True,
        }
        rows.append(row)
        if letter not in without:
            private_keys[row["id"]] = pem_of(key, passphrase)
    fingerprints = [getattr(keys, letter).fingerprint for letter in pruned]
    return {"name": name, "generations": rows, "pruned": fingerprints, "private_keys": private_keys}


class Host:
    """An endpoint host's folder, and short ways to call the module's function."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "default"

    def __call__(self, *rows: Params, check_mode: bool = False, **given: t.Any) -> Params:
        """Deploy, and make sure that the rows belong to the keys."""
        result = self.result(*rows, check_mode=check_mode, **given)
        assert [row["name"] for row in result["deployed"]] == [row["name"] for row in rows] or given.get("reload") == "done"
        return result

    def result(self, *rows: Params, check_mode: bool = False, **given: t.Any) -> Params:
        given = {"path": str(self.path), "passphrase": PASSPHRASE, "keys": copy.deepcopy(list(rows)), **given}
        return run_endpoint_keys(module_params(ENDPOINT_KEYS_SPEC, **given), check_mode)

    def manifest(self, name: str = "default") -> Params:
        return t.cast(Params, json.loads((self.path / name / "manifest.json").read_text()))

    def files(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Everything there is, with mode, owner, mtime and content; without the lock, which says nothing."""
        found = {}
        for path in sorted(self.path.parent.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            if path.name != ".lock":
                times = status.st_mtime_ns if path.is_file() else 0
                found[str(path.relative_to(self.path.parent))] = (status.st_mode, status.st_uid, times, content)
        return found

    def state(self) -> dict[str, tuple[int, int, bytes]]:
        """The same without times."""
        return {name: (mode, uid, content) for name, (mode, uid, dummy, content) in self.files().items()}

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def pem(self, keys: Keys, letter: str) -> Path:
        return self.folder / f"{identity(getattr(keys, letter), DAYS[letter])}.pem"

    @property
    def owed(self) -> bool:
        return (self.path / ".reload-owed").exists()


@pytest.fixture(name="host")
def host_fixture(tmp_path: Path) -> Host:
    """A place on an endpoint host; nothing is there yet."""
    return Host(tmp_path / "etc" / "endpoint-keys")


# What can be wrong with the key file of key a or, where it does not matter, of another one.
SPOILT: dict[str, t.Callable[[Path, Keys], object]] = {
    "truncated": lambda path, keys: path.write_bytes(path.read_bytes()[:900]),
    "empty": lambda path, keys: path.write_bytes(b""),
    "nonsense": lambda path, keys: path.write_bytes(b"\xff\xfe nonsense"),
    "gone": lambda path, keys: path.unlink(),
    "other passphrase": lambda path, keys: path.write_text(pem_of(keys.a, OTHER)),
    "another key": lambda path, keys: path.write_text(pem_of(keys.d, PASSPHRASE)),
    "not encrypted": lambda path, keys: path.write_text(keys.a.private_pem()),
    "openssl's old form": lambda path, keys: path.write_text(keys.a.private_pem(PASSPHRASE, PrivateFormat.TraditionalOpenSSL)),
}
