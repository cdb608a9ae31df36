# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keyring module as Ansible runs it: what it prints and logs when keys are exported, copied and encrypted anew."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic

from ansible_collections.waba.flows.plugins.modules import whatsapp_flows_keyring
from ansible_collections.waba.flows.tests.unit.helpers import Keys, Params, body_pieces, internal_arguments
from ansible_collections.waba.flows.tests.unit.keyring_box import (
    Maker,
    maker_fixture,
    unchecked_keys_fixture,
)

FIXTURES = (maker_fixture, unchecked_keys_fixture)  # for pytest to find
PASSPHRASE, EXPORT, NEW = "canary of the keyring", "canary of the export", "canary of the change"

pytestmark = pytest.mark.usefixtures("unchecked_keys")


class Run:
    """Runs the module's main() in this process; keeps what it printed and logged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        self._patch, self._capsys, self._tmp = monkeypatch, capsys, tmp_path
        self.shown = ""
        monkeypatch.setattr(basic.AnsibleModule, "log", self._log)

    def _log(self, msg: str, log_args: t.Any = None) -> None:
        self.shown += f"{msg} {log_args}"

    def __call__(self, state: str, **arguments: t.Any) -> Params:
        internal = {"check_mode": False, "diff": True, "remote_tmp": str(self._tmp), "keep_remote_files": False}
        given = {"path": str(self._tmp / "keys"), "passphrase": PASSPHRASE, "state": state, **arguments}
        given.update(internal_arguments(**internal))
        self._patch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
        self._patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # asked for by newer versions
        self._capsys.readouterr()
        with pytest.raises(SystemExit):
            whatsapp_flows_keyring.main()
        text = self._capsys.readouterr().out
        result = t.cast(Params, json.loads(text))
        assert "invocation" in result  # what -vvv shows
        self.shown += json.dumps({**result, "exported": None})
        return result


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the module."""
    return Run(monkeypatch, capsys, tmp_path)


def test_no_secret_is_printed_or_logged(run: Run, keys: Keys, maker: Maker, tmp_path: Path) -> None:
    run("present")
    staged = run("staged", force=True, lease_owner="here")
    assert staged["lease"]["owner"] == "here"
    read = run("read", export_passphrase=EXPORT)
    assert [row["usable"] for row in read["generations"]] == [True, True]
    source = {"generations": read["generations"], "accepted": read["accepted"], "private_keys": read["exported"]}
    copied: Params = {"path": str(tmp_path / "copies"), "passphrase": EXPORT}
    assert run("mirrored", source=source, **copied)["changed"] is True
    assert run("mirrored", source=source, **copied)["changed"] is False
    changed = run("staged", new_passphrase=NEW)
    assert len(changed["reencrypted"]) == 2
    assert "diff" in changed
    for refused in (
        run("staged"),
        run("mirrored", source={**source, "private_key": source["private_keys"]}, **copied),
        run("mirrored", source={**source, "generations": "x"}, **copied),
        run("mirrored", source={**source, "private_keys": {"a": keys.a.private_pem()}}, path=str(tmp_path / "more")),
        run("read", passphrase=NEW, export_passphrase="short"),
        run("staged", passphrase=NEW, new_passphrase="\u00e9" * 5),
    ):
        assert refused["failed"] is True
    for secret in (PASSPHRASE, EXPORT, NEW, "PRIVATE KEY"):
        assert secret not in run.shown
    pems = [*source["private_keys"].values(), *(key.private_pem() for key in keys[:2])]
    public = {piece for key in keys for piece in body_pieces(key.pem, 24)}
    assert not any(piece in run.shown for pem in pems for piece in body_pieces(pem, 24) - public)


def test_the_exported_keys_are_what_the_module_returns(run: Run, maker: Maker) -> None:
    run("present")
    exported = run("read", export_passphrase=EXPORT)["exported"]
    assert [pem.splitlines()[0] for pem in exported.values()] == ["-----BEGIN ENCRYPTED PRIVATE KEY-----"]


def test_a_source_without_its_rows_is_named(run: Run) -> None:
    result = run("mirrored", source={"private_keys": {}})
    assert (result["failed"], "generations" in result["msg"]) == (True, True)
