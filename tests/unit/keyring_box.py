# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the keyring share: a keyring's place with short calls, keys from a store, and child processes."""

from __future__ import annotations

import functools
import json
import os
import traceback
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat

from ansible_collections.waba.flows.plugins.module_utils import _errors, _keyring, _keys
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import KEYRING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._keyring_run import run_keyring
from ansible_collections.waba.flows.plugins.module_utils._keys import PrivateKey
from ansible_collections.waba.flows.tests.unit.helpers import KeyPair, Keys, Params, body_pieces, module_params

PASSPHRASE = "a long passphrase"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


@pytest.fixture(name="unchecked_keys")
def unchecked_keys_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what costs most of the time of opening a key: whether its numbers fit together."""
    if _errors.version_tuple(_keys.CRYPTOGRAPHY_VERSION or "") >= (39,):
        load = functools.partial(serialization.load_pem_private_key, unsafe_skip_rsa_key_validation=True)
        monkeypatch.setattr(serialization, "load_pem_private_key", load)


class Maker:
    """Takes the place of generate_private_key: hands out the keys of `keys`, and writes down each time it is asked."""

    def __init__(self, keys: t.Sequence[KeyPair], log: Path) -> None:
        self._keys = keys
        self.log = log
        log.write_text("")

    def __call__(self) -> PrivateKey:
        number = self.count
        with open(self.log, "a", encoding="ascii") as stream:
            stream.write("x")
        return PrivateKey(self._keys[number].private)

    @property
    def count(self) -> int:
        return len(self.log.read_text())


@pytest.fixture(name="maker")
def maker_fixture(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Keys come from `keys`, in their order."""
    made = Maker(keys, tmp_path / "made")
    monkeypatch.setattr(_keyring, "generate_private_key", made)
    return made


class Box:
    """A keyring's place, a clock, and short ways to call the module's function."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "default"
        self.day = 0.0

    def __call__(self, state: str = "present", *, check_mode: bool = False, day: float | None = None, **given: t.Any) -> Params:
        if day is not None:
            self.day = day
        params = module_params(KEYRING_SPEC, **{"path": str(self.path), "passphrase": PASSPHRASE, "state": state, **given})
        return run_keyring(params, check_mode, START + timedelta(days=self.day))

    def files(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file with its mtime, mode and content."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            if path.is_file():
                status = path.stat()
                found[str(path.relative_to(self.path))] = (status.st_mtime_ns, status.st_mode, path.read_bytes())
        return found

    def names(self, suffix: str) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name.endswith(suffix))

    def document(self) -> Params:
        return t.cast(Params, json.loads((self.folder / "keyring.json").read_text()))

    def pem_name(self, key: KeyPair) -> str:
        """The name of the only file that bears the key's hash; also where there is no state that can be read."""
        (path,) = self.folder.glob(f"*-{_keys.fingerprint_hex16(key.fingerprint)}*.pem")
        return path.name

    def pem(self, key: KeyPair) -> Path:
        ids: dict[str, str] = {row["fingerprint"]: row["id"] for row in self.document()["generations"]}
        return self.folder / (ids[key.fingerprint] + ".pem")


@pytest.fixture(name="box")
def box_fixture(tmp_path: Path, unchecked_keys: None) -> t.Iterator[Box]:
    """A place for a keyring; nothing is there yet. What tests write by hand is for the account alone, as keyrings want it."""
    umask = os.umask(0o077)
    yield Box(tmp_path / "vault" / "keys")
    os.umask(umask)


def states(result: Params) -> dict[str, str]:
    return {row["fingerprint"]: row["state"] for row in result["generations"]}


def rotated(box: Box, keys: Keys) -> None:
    """Key a is retired and b current; a has not been seen since day 10."""
    box(day=0)
    box("staged", force=True, day=10)
    box("promoted", fingerprint=keys.b.fingerprint)


IMPORTS: dict[str, t.Callable[[KeyPair], Params]] = {
    "plain": lambda key: {"import_private_key_content": key.private_pem()},
    "pkcs1": lambda key: {"import_private_key_content": key.private_pem(form=PrivateFormat.TraditionalOpenSSL)},
    "encrypted": lambda key: {"import_private_key_content": key.private_pem("old"), "import_passphrase": "old"},
    "des3": lambda key: {
        "import_private_key_content": key.private_pem("old", PrivateFormat.TraditionalOpenSSL), "import_passphrase": "old"},
}


def to_folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    path.mkdir()


def to_pipe(path: Path) -> None:
    """Put a named pipe in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def to_link(path: Path) -> None:
    """Put a symbolic link to it in the place of a file."""
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def private_pieces(keys: Keys) -> set[str]:
    """Pieces of the plain private keys, none of which may show anywhere."""
    return {piece for key in keys for piece in body_pieces(key.private_pem(), 24)} - {
        piece for key in keys for piece in body_pieces(key.pem, 24)}


def copy_of(box: Box, passphrase: str = PASSPHRASE, own_passphrase: str = PASSPHRASE) -> Params:
    """What the role hands from the vault host to a replica, or back."""
    result = box("read", passphrase=own_passphrase, export_passphrase=passphrase)
    return {
        "generations": result["generations"], "accepted": result["accepted"], "pruned": result["pruned"],
        "serial": result["serial"], "private_keys": result["exported"],
    }


def orphaned(box: Box, key: KeyPair, suffix: str = "", passphrase: str = PASSPHRASE) -> Path:
    box.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = box.folder / f"20260301T110000Z-{_keys.fingerprint_hex16(key.fingerprint)}{suffix}.pem"
    path.write_bytes(PrivateKey(key.private).encrypted_pem(passphrase))
    return path


def with_fingerprints(given: Params, keys: Keys) -> Params:
    found = dict(given)
    if "fingerprint" in found:
        found["fingerprint"] = getattr(keys, found["fingerprint"]).fingerprint
    if "in_use_fingerprints" in found:
        found["in_use_fingerprints"] = [getattr(keys, name).fingerprint for name in found["in_use_fingerprints"]]
    return found


def fork(work: t.Callable[[], None]) -> int:
    """Run a function in a child process; its exit status is 0, or 1 with a traceback."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
