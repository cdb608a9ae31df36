# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as Ansible runs them: arguments in, exit_json or fail_json out; and argument specs against documentation."""

from __future__ import annotations

import importlib
import json
import os
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
from cryptography.hazmat.primitives.serialization import PrivateFormat

from ansible_collections.waba.flows.plugins.module_utils import _argspec, _host_argspec, _http, _keyring, _keys
from ansible_collections.waba.flows.plugins.module_utils._keys import PrivateKey
from ansible_collections.waba.flows.tests.unit.helpers import (
    ERROR_MEMBERS,
    KeyPair,
    Keys,
    Params,
    body_pieces,
    internal_arguments,
)
from tests.sandbox import DEFAULT_NUMBER, DEFAULT_TOKEN, Sandbox, make_number, make_state

PACKAGE = "ansible_collections.waba.flows.plugins"
ONE = "whatsapp_business_encryption"
INFO = "whatsapp_business_encryption_info"
FLEET = "whatsapp_business_encryption_fleet"
KEYRING = "whatsapp_flows_keyring"
PING = "whatsapp_flows_endpoint_ping"
ENDPOINT = "whatsapp_flows_endpoint_keys"
SPECS: dict[str, _host_argspec.Spec] = {
    ONE: _argspec.SINGLE_SPEC, INFO: _argspec.INFO_SPEC, FLEET: _argspec.FLEET_SPEC, KEYRING: _host_argspec.KEYRING_SPEC,
    PING: _argspec.PING_SPEC, ENDPOINT: _host_argspec.ENDPOINT_KEYS_SPEC,
}
FOLDER = Path(_argspec.__file__).parents[1]


class Run:
    """Runs a module's main() in this process and keeps what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        self._patch, self._capsys, self._tmp = monkeypatch, capsys, tmp_path
        self.text = ""

    def __call__(self, module: str, *, check_mode: bool = False, diff: bool = False, **arguments: t.Any) -> Params:
        internal = {"check_mode": check_mode, "diff": diff, "remote_tmp": str(self._tmp), "keep_remote_files": False}
        arguments = {**arguments, **internal_arguments(**internal)}
        self._patch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        self._patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # asked for by newer versions
        controller = sys.modules.get("ansible.module_utils._internal")  # of newer versions
        if controller is not None:  # a test of a filter makes this process one, which shows warnings and does not return them
            self._patch.setattr(controller, "is_controller", False, raising=False)
        main = importlib.import_module(f"{PACKAGE}.modules.{module}").main
        for kept in ("_global_warnings", "_global_deprecations"):  # they outlive a module that ends in this process
            getattr(warnings, kept).clear()
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        self.text = self._capsys.readouterr().out
        result = t.cast(Params, json.loads(self.text))
        assert (ended.value.code != 0) is bool(result.get("failed"))
        return result


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs modules."""
    return Run(monkeypatch, capsys, tmp_path)


def reach(box: Sandbox, **more: t.Any) -> Params:
    return {"base_url": box.base_url, "access_token": DEFAULT_TOKEN, **more}


# -- one number


def test_set_then_unchanged(run: Run, box: Sandbox, keys: Keys) -> None:
    given = reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem)
    first = run(ONE, **given)
    assert (first["changed"], first["outcome"], first["fingerprint"]) == (True, "set", keys.a.fingerprint)
    assert "diff" not in first
    second = run(ONE, **given)
    assert (second["changed"], second["outcome"]) == (False, "unchanged")
    assert second["business_public_key"] == keys.a.pem


def test_read(run: Run, box: Sandbox, keys: Keys) -> None:
    box.state.numbers[DEFAULT_NUMBER] = make_number(key=keys.a.pem)
    result = run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER))
    assert (result["outcome"], result["changed"], result["fingerprint"]) == ("read", False, keys.a.fingerprint)


def test_numbers_as_ids_are_text_too(run: Run, box: Sandbox) -> None:
    assert run(ONE, **reach(box, phone_number_id=int(DEFAULT_NUMBER)))["outcome"] == "read"


def test_diff_mode(run: Run, box: Sandbox, keys: Keys) -> None:
    result = run(ONE, diff=True, **reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem))
    assert result["diff"]["before"] == "(no key)\n"
    assert keys.a.pem in result["diff"]["after"]


def test_diff_mode_without_a_change_has_no_diff(run: Run, box: Sandbox) -> None:
    assert "diff" not in run(ONE, diff=True, **reach(box, phone_number_id=DEFAULT_NUMBER))


def test_check_mode_sends_no_post(run: Run, box: Sandbox, keys: Keys) -> None:
    given = reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem)
    result = run(ONE, check_mode=True, diff=True, **given)
    assert (result["changed"], result["outcome"]) == (True, "set")
    assert "diff" in result
    assert box.posts == []


def test_a_failure_has_a_message_with_a_remedy_and_the_error(run: Run, box: Sandbox, keys: Keys) -> None:
    box.fault(DEFAULT_NUMBER, "error", status=400, code=133010, method="POST")
    result = run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem))
    assert result["failed"] is True
    assert "Register the number with the Cloud API first" in result["msg"]
    assert set(result["error"]) == ERROR_MEMBERS
    assert (result["error"]["code"], result["error"]["retryable"]) == (133010, False)
    assert (result["outcome"], result["changed"], result["api"]["requests"]) == ("failed", False, 2)


def test_wrong_options_fail_with_the_error_alone(run: Run, box: Sandbox, keys: Keys) -> None:
    result = run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.private_pem()))
    assert result["failed"] is True
    assert "A private key was given" in result["msg"]
    assert result["error"]["type"] == "InvalidKey"
    assert "outcome" not in result


@pytest.mark.parametrize("base_url", ["https://[::1", "https://host:port"])
def test_a_malformed_base_url_is_no_traceback(base_url: str, run: Run) -> None:
    result = run(ONE, base_url=base_url, access_token="x", phone_number_id="1", retries=0)
    assert result["error"]["type"] == "InvalidOptions"


def test_giving_up_the_certificate_check_is_warned_of(run: Run, box: Sandbox) -> None:
    result = run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER, validate_certs=False))
    assert any("validate_certs is false" in str(warning) for warning in result["warnings"])


def test_a_sound_task_has_no_warnings(run: Run, box: Sandbox, keys: Keys) -> None:
    assert "warnings" not in run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem))
    numbers = [{"phone_number_id": DEFAULT_NUMBER, "business_public_key": keys.a.pem, "access_token": DEFAULT_TOKEN}]
    assert "warnings" not in run(FLEET, **reach(box, phone_numbers=numbers))
    assert "warnings" not in run(INFO, **reach(box, phone_numbers=[{"phone_number_id": DEFAULT_NUMBER}]))


# -- secrets


def test_the_token_is_not_in_the_output(run: Run, box: Sandbox, keys: Keys) -> None:
    given: Params = {"app_secret": "s3cret-app", "phone_number_id": DEFAULT_NUMBER, "business_public_key": keys.a.pem}
    for more in ({}, {"base_url": "http://127.0.0.1:9", "retries": 0}, {"access_token": "wrong-token-0815"}):
        run(ONE, diff=True, **{**reach(box), **given, **more})
        for secret in (DEFAULT_TOKEN, "s3cret-app", "wrong-token-0815", "appsecret_proof"):
            assert secret not in run.text


@pytest.mark.parametrize("module", [INFO, FLEET])
def test_the_tokens_of_single_numbers_are_not_in_the_output(module: str, run: Run, box: Sandbox, keys: Keys) -> None:
    numbers = [{"phone_number_id": DEFAULT_NUMBER, "access_token": "own-token-4711", "app_secret": "own-secret-4711"}]
    given: Params = {"business_public_key": keys.a.pem} if module == FLEET else {}
    result = run(module, base_url=box.base_url, phone_numbers=numbers, **given)
    assert result["numbers"][0]["error"]["code"] == 190
    for secret in ("own-token-4711", "own-secret-4711"):
        assert secret not in run.text


@pytest.mark.parametrize("module", SPECS)
def test_every_secret_option_is_no_log(module: str) -> None:
    def secret(spec: _host_argspec.Spec) -> set[str]:
        return {name for name, option in spec.items() if option.get("no_log")} | {
            name for option in spec.values() for name in secret(option.get("options", {}))
        }

    def named_like_one(spec: _host_argspec.Spec) -> set[str]:
        words = ("token", "secret", "password", "api_key", "passphrase", "content", "private_keys")
        return {name for name in spec if any(word in name for word in words)} | {
            name for option in spec.values() for name in named_like_one(option.get("options", {}))
        }

    assert secret(SPECS[module]) == named_like_one(SPECS[module])


PRIVATE: dict[str, t.Callable[[KeyPair], str]] = {
    "pkcs8": lambda key: key.private_pem(),
    "pkcs1": lambda key: key.private_pem(form=PrivateFormat.TraditionalOpenSSL),
    "encrypted": lambda key: key.private_pem("secret"),
    "escaped": lambda key: key.private_pem().replace("\n", "\\n"),
    "one line": lambda key: key.private_pem().replace("\n", " "),
    "within text": lambda key: f"  # the key\n{key.private_pem()}\n",
}
# Where a private key can be pasted: the module and its options; a failing argument spec ends before the module's own work.
PLACES: dict[str, tuple[str, t.Callable[[str], Params]]] = {
    "ping": (PING, lambda pem: {"url": "http://127.0.0.1:9", "business_public_key": pem}),
    "ping, failing spec": (PING, lambda pem: {"business_public_key": pem}),
    "single": (ONE, lambda pem: {"phone_number_id": DEFAULT_NUMBER, "business_public_key": pem}),
    "single, failing spec": (ONE, lambda pem: {"business_public_key": pem}),
    "single, unknown option": (ONE, lambda pem: {"phone_number_id": "1", "business_public_key": pem, "acess_token": "x"}),
    "fleet": (FLEET, lambda pem: {"phone_numbers": [{"phone_number_id": DEFAULT_NUMBER}], "business_public_key": pem}),
    "row": (FLEET, lambda pem: {"phone_numbers": [{"phone_number_id": DEFAULT_NUMBER, "business_public_key": pem}]}),
    "row without a number": (FLEET, lambda pem: {"phone_numbers": [{"business_public_key": pem}]}),
    "row, failing spec": (
        FLEET, lambda pem: {"phone_numbers": [{"phone_number_id": "1", "business_public_key": pem, "timeout": "soon"}]}),
    "row, unknown option": (
        FLEET, lambda pem: {"phone_numbers": [{"phone_number_id": "1", "business_public_key": pem, "acess_token": "x"}]}),
    "row, no list": (FLEET, lambda pem: {"phone_numbers": {"phone_number_id": "1", "business_public_key": pem}}),
}


@pytest.mark.parametrize("form", PRIVATE)
@pytest.mark.parametrize("place", PLACES)
def test_a_private_key_in_the_place_of_a_public_one_shows_nowhere(
    *, place: str, form: str, run: Run, box: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    module, options = PLACES[place]
    pem = PRIVATE[form](keys.a)
    result = run(module, diff=True, **(options(pem) if module == PING else reach(box, **options(pem))))
    assert result["failed"] is True
    assert "invocation" in result  # what -vvv shows
    pieces = body_pieces(pem, 20)
    assert [piece for piece in pieces if piece in run.text] == []
    assert [piece for piece in pieces for text in logged if piece in text] == []
    assert bool(logged) is ("," not in place)
    assert box.posts == []


def test_a_public_key_is_still_shown_in_invocation_and_log(
    run: Run, box: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(msg))
    result = run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER, business_public_key=keys.a.pem))
    assert result["invocation"]["module_args"]["business_public_key"] == keys.a.pem
    assert keys.a.pem.splitlines()[1] in "".join(logged)


# -- the environment


def test_token_and_app_secret_come_from_the_environment(run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_ACCESS_TOKEN", DEFAULT_TOKEN)
    monkeypatch.setenv("WHATSAPP_APP_SECRET", "s3cret-app")
    assert run(ONE, base_url=box.base_url, phone_number_id=DEFAULT_NUMBER)["outcome"] == "read"
    assert box.requests[0].has_app_secret_proof
    assert DEFAULT_TOKEN not in run.text


def test_an_option_goes_before_the_environment(run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_ACCESS_TOKEN", "other")
    assert run(ONE, **reach(box, phone_number_id=DEFAULT_NUMBER))["outcome"] == "read"


@pytest.mark.parametrize("module", [INFO, FLEET])
def test_the_environment_serves_the_numbers_of_a_list_too(
    module: str, run: Run, box: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATSAPP_ACCESS_TOKEN", DEFAULT_TOKEN)
    given: Params = {"business_public_key": keys.a.pem} if module == FLEET else {}
    result = run(module, base_url=box.base_url, phone_numbers=[{"phone_number_id": DEFAULT_NUMBER}], **given)
    assert result["summary"] == {"set" if given else "read": 1}


# -- libraries


@pytest.mark.parametrize("module", [ONE, INFO, FLEET])
def test_missing_requests_names_library_host_and_version(
    module: str, run: Run, box: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "REQUESTS_VERSION", None)
    given = {"phone_number_id": DEFAULT_NUMBER} if module != FLEET else {
        "phone_numbers": [{"phone_number_id": DEFAULT_NUMBER}], "business_public_key": keys.a.pem}
    result = run(module, **reach(box, **given))
    assert result["failed"] is True
    assert "Failed to import the required Python library (requests >= 2.25.1)" in result["msg"]
    assert os.uname().nodename in result["msg"]
    assert result["error"]["type"] == "MissingLibrary"


def test_missing_cryptography_is_named_by_the_keyring(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_keys, "CRYPTOGRAPHY_VERSION", "2.8")
    result = run(KEYRING, path=str(tmp_path / "keys"), passphrase="s3cret-passphrase")
    assert "cryptography >= 3.4" in result["msg"]
    assert "version 2.8 is too old" in result["msg"]


# -- many numbers


@pytest.fixture
def fleet() -> t.Iterator[Sandbox]:
    """A sandbox with three numbers."""
    with Sandbox(make_state(3)) as running:
        yield running


def test_the_fleet_module_keeps_all_rows_when_it_fails(run: Run, fleet: Sandbox, keys: Keys) -> None:
    ids = list(fleet.state.numbers)
    fleet.fault(ids[1], "error", status=403, code=10)
    numbers = [{"phone_number_id": number} for number in ids]
    result = run(FLEET, diff=True, **reach(fleet, phone_numbers=numbers, business_public_key=keys.a.pem))
    assert (result["failed"], result["changed"]) == (True, True)
    assert [row["outcome"] for row in result["numbers"]] == ["set", "failed", "set"]
    assert result["summary"] == {"set": 2, "failed": 1}
    assert [diff["before_header"] for diff in result["diff"]] == [ids[0], ids[2]]
    assert result["msg"].startswith("1 of 3 numbers failed.")


def test_the_fleet_module_in_check_mode(run: Run, fleet: Sandbox, keys: Keys) -> None:
    numbers = [{"phone_number_id": number} for number in fleet.state.numbers]
    given = reach(fleet, phone_numbers=numbers, business_public_key=keys.a.pem)
    predicted = run(FLEET, check_mode=True, **given)
    assert fleet.posts == []
    assert predicted["summary"] == run(FLEET, **given)["summary"] == {"set": 3}


def test_the_info_module_changes_nothing(run: Run, fleet: Sandbox) -> None:
    numbers = [{"phone_number_id": number} for number in fleet.state.numbers]
    for check_mode in (False, True):
        result = run(INFO, check_mode=check_mode, diff=True, **reach(fleet, phone_numbers=numbers))
        assert (result["changed"], result["summary"], "diff" in result) == (False, {"read": 3}, False)
    assert fleet.posts == []


def test_an_unknown_option_of_a_number_is_refused(run: Run, box: Sandbox) -> None:
    result = run(INFO, **reach(box, phone_numbers=[{"phone_number_id": "1", "acess_token": "x"}]))
    assert result["failed"] is True
    assert "acess_token" in result["msg"]


# -- keyring


def test_the_keyring_module(run: Run, keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_keyring, "generate_private_key", lambda: PrivateKey(keys.a.private))
    monkeypatch.setenv("WHATSAPP_KEYRING_PASSPHRASE", "s3cret-passphrase")
    path = str(tmp_path / "keys")
    predicted = run(KEYRING, check_mode=True, path=path)
    assert (predicted["changed"], predicted["predicted"], predicted["check_mode"]) == (True, True, True)
    assert not (tmp_path / "keys").exists()
    first = run(KEYRING, path=path, diff=True)
    assert (first["changed"], first["current"], first["check_mode"]) == (True, keys.a.fingerprint, False)
    assert first["diff"]["after"] == f"{keys.a.fingerprint} current\n"
    second = run(KEYRING, path=path, diff=True)
    assert second["changed"] is False
    assert "diff" not in second
    assert "s3cret-passphrase" not in run.text


def test_the_keyring_module_fails_with_a_remedy(run: Run, tmp_path: Path) -> None:
    path, fingerprint = str(tmp_path / "keys"), "SHA256:" + 43 * "A"
    result = run(KEYRING, path=path, state="promoted", fingerprint=fingerprint, passphrase="s3cret-passphrase")
    assert result["failed"] is True
    assert "run the rotation again" in result["msg"]
    assert result["error"]["type"] == "KeyringError"


# -- endpoints


def ping_of(keys: Keys, **more: t.Any) -> Params:
    return {"url": "http://127.0.0.1:9/x?tenant=one", "business_public_key": keys.a.pem, "retries": 0, **more}


def test_the_ping_module_fails_with_the_values_and_the_error(run: Run, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_APP_SECRET", "s3cret-app")
    results = [run(PING, check_mode=check_mode, diff=True, **ping_of(keys)) for check_mode in (False, True)]
    assert results[0] == results[1] | {"invocation": results[0]["invocation"]}
    result = results[0]
    assert (result["failed"], result["changed"], result["decrypts"], result["attempts"]) == (True, False, False, 1)
    assert (result["signed"], result["fingerprint"]) == (True, keys.a.fingerprint)
    assert result["error"]["type"] == "ConnectionFailed"
    assert "cannot be reached" in result["msg"]
    assert "diff" not in result
    assert "s3cret-app" not in run.text


def test_the_ping_module_names_the_options_that_are_missing(run: Run, keys: Keys) -> None:
    assert "url" in run(PING, business_public_key=keys.a.pem)["msg"]
    result = run(PING, url="http://127.0.0.1:9")
    assert "Give business_public_key or business_public_key_path" in result["msg"]
    assert result["error"]["type"] == "InvalidOptions"


def endpoint_row(key: KeyPair, **more: t.Any) -> Params:
    row = {"id": "20260301T120000Z-0123456789abcdef", "fingerprint": key.fingerprint, "state": "current", "origin": "generated",
           "created_at": "2026-03-01T12:00:00Z", "predicted": False}
    return {"name": "default", "generations": [row], "private_keys": {row["id"]: key.private_pem("s3cret-passphrase")}, **more}


def test_the_endpoint_module(run: Run, keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    monkeypatch.setenv("WHATSAPP_ENDPOINT_PASSPHRASE", "s3cret-passphrase")
    row = endpoint_row(keys.a)
    given: Params = {"path": str(tmp_path / "etc" / "keys"), "keys": [row], "reload": "owed", "diff": True}
    predicted = run(ENDPOINT, check_mode=True, **given)
    assert not (tmp_path / "etc").exists()
    shown = run.text
    first = run(ENDPOINT, **given)
    assert {name: first[name] for name in ("deployed", "diff", "changed", "keys_changed", "reload_needed")} == {
        name: predicted[name] for name in ("deployed", "diff", "changed", "keys_changed", "reload_needed")}
    # What is masked in the options must not take anything out of the result.
    assert first["deployed"] == [{"name": "default", "changed": True, "added": [keys.a.fingerprint], "removed": [],
                                  "rewritten": [], "current": keys.a.fingerprint}]
    assert "20260301T120000Z-0123456789abcdef.pem" in first["diff"][0]["after"]
    assert first["invocation"]["module_args"]["keys"][0]["generations"] == row["generations"]
    assert first["invocation"]["module_args"]["keys"][0]["private_keys"] == {
        row["generations"][0]["id"]: "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}
    shown += run.text
    second = run(ENDPOINT, **given)
    assert (second["changed"], "diff" in second, second["reload_needed"]) == (False, False, True)
    done = run(ENDPOINT, **{**given, "keys": [], "reload": "done"})
    assert (done["changed"], done["reload_needed"]) == (True, False)
    shown += run.text + "".join(logged)
    assert len(logged) == 4
    assert "s3cret-passphrase" not in shown
    pem = row["private_keys"][row["generations"][0]["id"]]
    assert [piece for piece in body_pieces(pem, 20) if piece in shown] == []


def test_keys_go_from_the_keyring_to_the_endpoint(run: Run, keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what the keyring returns handed on as it is, also in check mode, where a key does not exist yet."""
    made = iter((keys.a, keys.b, keys.c))
    monkeypatch.setattr(_keyring, "generate_private_key", lambda: PrivateKey(next(made).private))
    ring: Params = {"path": str(tmp_path / "vault"), "passphrase": "s3cret-passphrase"}
    end: Params = {"path": str(tmp_path / "end"), "passphrase": "s3cret-of-the-endpoint"}

    def deploy(staged: Params, check_mode: bool = False) -> Params:
        read = run(KEYRING, **ring, state="read", export_passphrase=end["passphrase"])
        rows = [{**row, "predicted": staged["predicted"]} for row in staged["generations"]]
        row = {"name": "default", "generations": rows, "private_keys": read["exported"]}
        return run(ENDPOINT, check_mode=check_mode, **end, keys=[row])

    assert deploy(run(KEYRING, **ring))["deployed"][0]["added"] == [keys.a.fingerprint]
    predicted = deploy(run(KEYRING, check_mode=True, **ring, state="staged", force=True), check_mode=True)
    assert predicted["deployed"][0]["added"] == [keys.b.fingerprint]
    assert deploy(run(KEYRING, **ring, state="staged", force=True))["deployed"][0]["added"] == [keys.c.fingerprint]
    done = deploy(run(KEYRING, **ring, state="promoted", fingerprint=keys.c.fingerprint))
    assert (done["changed"], done["keys_changed"], done["deployed"][0]["current"]) == (True, False, keys.c.fingerprint)


@pytest.mark.parametrize("form", PRIVATE)
@pytest.mark.parametrize("more", [{}, {"acess": "x"}, {"generations": "x"}, {"name": None}, {"private_keys": "text"}])
def test_the_endpoint_module_shows_no_private_key_that_it_refuses(
    *, form: str, more: Params, run: Run, keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    pem = PRIVATE[form](keys.a)
    row = endpoint_row(keys.b, **more)
    row["private_keys"] = pem if more.get("private_keys") else {"20260301T120000Z-0123456789abcdef": pem}
    result = run(ENDPOINT, diff=True, path=str(tmp_path / "keys"), passphrase="s3cret-passphrase", keys=[row])
    assert result["failed"] is True
    assert [piece for piece in body_pieces(pem, 20) if piece in run.text + "".join(logged)] == []
    assert form == "encrypted" or not (tmp_path / "keys").exists()


def test_the_endpoint_module_fails_with_all_rows(run: Run, keys: Keys, tmp_path: Path) -> None:
    rows = [endpoint_row(keys.a, name="one"), endpoint_row(keys.b, name="two", private_keys={})]
    result = run(ENDPOINT, path=str(tmp_path / "keys"), passphrase="s3cret-passphrase", keys=rows)
    assert (result["failed"], result["changed"], result["keys_changed"]) == (True, True, True)
    assert [row["current"] for row in result["deployed"]] == [keys.a.fingerprint, None]
    assert result["msg"].startswith("1 of 2 keys could not be deployed. two: ")
    assert result["deployed"][1]["error"]["type"] == "KeyringError"


def test_a_mode_without_quotes_is_what_yaml_makes_of_it(run: Run, keys: Keys, tmp_path: Path) -> None:
    given: Params = {"path": str(tmp_path / "keys"), "passphrase": "s3cret-passphrase", "keys": [endpoint_row(keys.a)]}
    assert "Give octal digits in quotes" in run(ENDPOINT, mode=640, **given)["msg"]
    assert run(ENDPOINT, mode=yaml.safe_load("0640"), **given)["changed"] is True


# -- argument specs and documentation


class Fragments:
    """The documentation of a module with its fragments merged in, as Ansible does."""

    @staticmethod
    def load(text: str) -> Params:
        return t.cast(Params, yaml.safe_load(text))

    @classmethod
    def fragment(cls, name: str) -> Params:
        file, dummy, part = name.removeprefix("waba.flows.").partition(".")
        found = importlib.import_module(f"{PACKAGE}.doc_fragments.{file}").ModuleDocFragment
        return cls.load(getattr(found, part.upper() or "DOCUMENTATION"))

    @classmethod
    def options(cls, module: str) -> Params:
        documentation = cls.load(importlib.import_module(f"{PACKAGE}.modules.{module}").DOCUMENTATION)
        options: Params = dict(documentation.get("options", {}))
        for name in documentation.get("extends_documentation_fragment", []):
            for option, text in cls.fragment(name).get("options", {}).items():
                assert option not in options, f"{option} is documented twice"
                options[option] = text
        return options


def in_common(name: str, option: Params, suboptions: str) -> Params:
    """What documentation and argument spec both say of an option."""
    return {
        "name": name,
        "type": option.get("type", "str"),
        "elements": option.get("elements"),
        "default": option.get("default"),
        "choices": option.get("choices"),
        "required": option.get("required", False),
        "aliases": option.get("aliases", []),
        "suboptions": {
            inner: in_common(inner, more, suboptions) for inner, more in (option.get(suboptions) or {}).items()
        },
    }


@pytest.mark.parametrize("module", SPECS)
def test_argument_spec_and_documentation_agree(module: str) -> None:
    documented = {name: in_common(name, option, "suboptions") for name, option in Fragments.options(module).items()}
    specified = {name: in_common(name, option, "options") for name, option in SPECS[module].items()}
    assert documented == specified


@pytest.mark.parametrize("module", SPECS)
def test_every_option_is_described(module: str) -> None:
    def undescribed(options: Params) -> list[str]:
        return [name for name, option in options.items() if not option.get("description")] + [
            inner for option in options.values() for inner in undescribed(option.get("suboptions") or {})
        ]

    assert undescribed(Fragments.options(module)) == []


@pytest.mark.parametrize("module", SPECS)
def test_variables_of_the_environment_are_documented_and_not_named_ansible(module: str) -> None:
    options = Fragments.options(module)
    for name, option in SPECS[module].items():
        for variable in option.get("fallback", (None, []))[1]:
            assert not variable.startswith("ANSIBLE_")
            assert f"E({variable})" in " ".join(options[name]["description"])


def test_there_is_a_spec_for_every_module_with_one() -> None:
    wired = {path.stem for path in (FOLDER / "modules").glob("*.py") if "_SPEC" in path.read_text() and path.stem != "__init__"}
    assert set(SPECS) == wired


@pytest.mark.parametrize("module", [ONE, INFO, FLEET])
def test_api_modules_are_in_the_action_group(module: str) -> None:
    runtime = yaml.safe_load((FOLDER.parent / "meta" / "runtime.yml").read_text())
    assert module in runtime["action_groups"]["whatsapp"]


def test_modules_without_a_connection_to_the_api_are_in_no_action_group() -> None:
    runtime = yaml.safe_load((FOLDER.parent / "meta" / "runtime.yml").read_text())
    assert not {KEYRING, PING, ENDPOINT} & {module for group in runtime["action_groups"].values() for module in group}


@pytest.mark.parametrize("module", SPECS)
def test_documented_return_values_are_those_returned(module: str, run: Run, box: Sandbox, keys: Keys, tmp_path: Path) -> None:
    returned = set(Fragments.load(importlib.import_module(f"{PACKAGE}.modules.{module}").RETURN))
    given = reach(box, phone_number_id=DEFAULT_NUMBER) if module != KEYRING else {
        "path": str(tmp_path / "keys"), "passphrase": "s3cret-passphrase", "import_private_key_content": keys.a.private_pem()}
    if module == FLEET:
        given = reach(box, phone_numbers=[{"phone_number_id": DEFAULT_NUMBER}], business_public_key=keys.a.pem)
    if module == PING:
        given = ping_of(keys)
    if module == ENDPOINT:
        given = {"path": str(tmp_path / "keys"), "passphrase": "s3cret-passphrase", "keys": [endpoint_row(keys.a)]}
    result = run(module, **given)
    assert bool(result.get("failed")) is (module == PING)
    assert set(result) - {"failed", "msg", "error"} - {"changed", "invocation"} == returned - {"error"}
    assert not {"results", "skipped"} & returned
