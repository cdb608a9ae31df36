# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds publishing: replicas, endpoints and their proof, waves, going back, revocation, retention, reports."""

from __future__ import annotations

import json
import shutil
import time
import typing as t

import jsonschema
import pytest

from .conftest import ENDPOINT_PASSPHRASE, PASSPHRASE, ROOT, Run, World, files, opens, shift

NEW_PASSPHRASE = "canary-changed-passphrase-2285"


def no_post(world: World) -> bool:
    return world.box.posts == []


def states(world: World, name: str = "default") -> list[str]:
    return [generation["state"] for generation in world.keyring(name)["generations"]]


def assert_report_is_true(world: World) -> None:
    """What the report says of each number is what the API holds, and the report is of its documented form."""
    report = world.report
    jsonschema.validate(report, json.loads((ROOT / "docs" / "report-schema.json").read_text()))
    held = world.fleet.held()
    said = {row["name"]: row["after"] for row in report["numbers"]}
    assert said == {name: held[name] for name in said}
    assert sorted(said) == sorted(world.numbers)


# -- endpoints


@pytest.mark.slow
@pytest.mark.attack("proven", "an endpoint that did not load the new key")
def test_an_endpoint_that_misses_the_key_stops_its_rotation_before_the_first_post(ready: World) -> None:
    """The other key, which that endpoint does not serve, goes on; after mending, the same command finishes with the same key."""
    ready.add_endpoint("endpoint-1")
    broken = ready.add_endpoint("endpoint-2", whatsapp_key_names=["default"])
    broken.stop()
    broken.start(keys=ready.folder / "elsewhere")
    before = ready.fleet.held()
    run = ready.run(encryption_keys_force=True, encryption_keys_prove_timeout=4)
    own = [name for name in ready.numbers if ready.fleet.key_name(name) == "default"]
    assert run.status == 2
    assert {run.outcomes[name] for name in own} == {"skipped"}
    assert {name: ready.fleet.held()[name] for name in own} == {name: before[name] for name in own}
    assert len(ready.box.posts) == len(ready.numbers) - len(own)
    for text in ("default (nothing was published for it)", "endpoint-2", "did not prove that it decrypts", "421"):
        assert text in run.failures
    pending = ready.fingerprint("default", "pending")
    assert str(pending) in run.failures
    assert_report_is_true(ready)

    broken.stop()
    broken.start()
    again = ready.run(encryption_keys_force=True)
    assert again.status == 0, again.output
    assert {ready.fleet.held()[name] for name in own} == {pending} == {ready.fingerprint("default", "current")}
    manifest = ready.manifest(broken, "default")
    assert [key["state"] for key in manifest["keys"]] == ["current", "retired"]
    assert manifest["current"] == pending
    assert not (broken.keys / "partner").exists()  # it serves the other key only
    assert opens(broken.keys / "default" / manifest["keys"][0]["file"], ENDPOINT_PASSPHRASE)


@pytest.mark.slow
@pytest.mark.attack("predicted", "check mode with replicas and endpoints")
def test_check_mode_touches_neither_replica_nor_endpoint(ready: World) -> None:
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    options: dict[str, t.Any] = {"encryption_keys_force": True, "encryption_keys_replica_group": "whatsapp_replicas"}
    folders = (ready.keys, endpoint.keys.parent, replica.parent)
    before = files(*folders)
    predicted = ready.run("waba.flows.rotate", "--check", "--diff", **options)
    assert predicted.status == 0, predicted.output
    assert files(*folders) == before
    assert no_post(ready)
    assert "not provable in check mode" in predicted.output
    real = ready.run(**options)
    assert real.status == 0, real.output
    assert predicted.outcomes == real.outcomes
    assert {name: row[2] for name, row in predicted.rows.items()} == {name: row[2] for name, row in real.rows.items()}
    for name in ("default", "partner"):
        copy, original = replica / name, ready.keys / name
        assert json.loads((copy / "keyring.json").read_text()) == ready.keyring(name)
        assert {path.name for path in copy.glob("*.pem")} == {path.name for path in original.glob("*.pem")}
        assert all(opens(path, PASSPHRASE) for path in copy.glob("*.pem"))
    before = files(*folders)
    again = ready.run("waba.flows.rotate", "--check", **options)  # now everything is there: the proof is a real one
    assert (again.status, files(*folders)) == (0, before)


@pytest.mark.slow
def test_an_endpoint_that_is_only_a_url_is_proven_but_not_deployed_to(ready: World) -> None:
    endpoint = ready.add_endpoint("endpoint-1", whatsapp_endpoint_deploy=False)
    predicted = ready.run("waba.flows.rotate", "--check", encryption_keys_force=True)
    run = ready.run(encryption_keys_force=True)
    assert run.status == predicted.status == 2
    assert predicted.outcomes == run.outcomes
    assert no_post(ready)
    assert "did not prove that it decrypts" in run.failures
    assert not endpoint.keys.exists()
    # What the user then does: the same deployment, by hand.
    ready.inventory["all"]["children"]["whatsapp_endpoints"]["hosts"]["endpoint-1"]["whatsapp_endpoint_deploy"] = True
    ready.add_hosts("whatsapp_endpoints")
    pending = ready.fingerprint("default", "pending")
    done = ready.run()
    assert (done.status, ready.fingerprint("default", "current")) == (0, pending)


@pytest.mark.attack("proven", "endpoints whose variables are wrong")
def test_endpoints_that_cannot_be_used(ready: World) -> None:
    """Each is named with what is wrong; nothing is published."""
    ready.add_endpoint("endpoint-1", whatsapp_endpoint_url="", whatsapp_key_names=["partner"])
    unusable = str(ready.folder / "inventory.json" / "keys")
    ready.add_endpoint("endpoint-2", whatsapp_endpoint_keys_path=unusable, whatsapp_key_names=["default"])
    run = ready.run(encryption_keys_force=True)
    assert no_post(ready)
    for text in ("whatsapp_endpoint_url", "endpoint-2", "Not a directory"):
        assert text in run.failures
    assert set(run.outcomes.values()) == {"skipped"}


@pytest.mark.slow
def test_hooks(ready: World) -> None:
    """The user's tasks get the keys and reload the endpoints; where that fails nothing is published until it is made up for."""
    endpoint = ready.add_endpoint("endpoint-1")
    (ready.folder / "deploy.yml").write_text(json.dumps([{
        "name": "Keep what is handed over",
        "ansible.builtin.copy": {"content": "{{ encryption_keys_deployment | to_json }}", "mode": "0600",
                                 "dest": str(ready.folder) + "/handed-{{ encryption_keys_deployment.key_name }}.json"},
    }]))
    (ready.folder / "reload.yml").write_text(json.dumps([{
        "name": "Reload the service",
        "ansible.builtin.shell": {
            "cmd": "test ! -e broken && echo {{ inventory_hostname }} {{ encryption_keys_endpoint }} >> reloads",
            "chdir": str(ready.folder),
        },
    }]))
    (ready.folder / "broken").write_text("")
    options: dict[str, t.Any] = {
        "encryption_keys_force": True, "encryption_keys_deploy_tasks": str(ready.folder / "deploy.yml"),
        "encryption_keys_reload_tasks": str(ready.folder / "reload.yml"),
    }
    run = ready.run(**options)
    assert run.status == 2
    assert no_post(ready)
    assert "endpoint-1 could not be made to reload its keys" in run.failures
    assert "Reload the service" in run.failures
    pending = ready.fingerprint("default", "pending")
    (ready.folder / "broken").unlink()
    again = ready.run(**options)
    assert again.status == 0, again.output
    assert ready.fingerprint("default", "current") == pending
    # Once for what the first run left, once for nothing else: at the end only the states in the manifest changed.
    assert (ready.folder / "reloads").read_text() == "vault endpoint-1\n"
    handed = json.loads((ready.folder / "handed-default.json").read_text())
    assert handed["manifest"] == ready.manifest(endpoint, "default")
    ready.run(**{**options, "encryption_keys_force": False})
    handed = json.loads((ready.folder / "handed-default.json").read_text())
    assert set(handed["files"]) == {key["file"] for key in handed["manifest"]["keys"]}
    assert all("ENCRYPTED PRIVATE KEY" in pem for pem in handed["files"].values())


# -- waves


@pytest.mark.slow
@pytest.mark.parametrize("on_failure", ["stop", "rollback"])
@pytest.mark.attack("accounted", "a number fails in a wave, and the others go on or back")
def test_a_number_that_fails_in_wave_2_of_4(ready: World, on_failure: str) -> None:
    ready.add_endpoint("endpoint-1")
    for name in [name for name in ready.numbers if ready.fleet.key_name(name) == "partner"]:
        del ready.numbers[name]
    before = ready.fleet.held()
    names = list(ready.numbers)  # 15, of which one has no key yet and is in wave 2
    assert names.index(ready.fleet.absent) == 4
    ready.box.fault(ready.fleet.numbers[names[5]], "error", status=400, code=133010, method="POST", times=-1)
    shift(ready, "default", 100)
    run = ready.run(encryption_keys_max_age="90d", encryption_keys_waves=[2, 4, "30%", "100%"],
                    encryption_keys_on_failure=on_failure)
    assert run.status == 2
    assert_report_is_true(ready)
    assert [run.rows[name][5] for name in names] == ["1"] * 2 + ["2"] * 4 + ["-"] * 9
    assert {run.outcomes[name] for name in names[6:]} == {"skipped"}
    assert {name: ready.fleet.held()[name] for name in names[5:]} == {name: before[name] for name in names[5:]}
    assert f"no further wave was started, because {names[5]} failed in wave 2" in run.failures
    new = ready.report["keys"][0]["fingerprint"]
    if on_failure == "stop":
        assert {ready.fleet.held()[name] for name in names[:5]} == {new} == {ready.fingerprint("default", "pending")}
    else:
        back = names[:4]
        assert {name: ready.fleet.held()[name] for name in back} == {name: before[name] for name in back}
        assert {run.outcomes[name] for name in back} == {"replaced+back"}
        assert ready.fleet.held()[ready.fleet.absent] == new  # the API cannot take a key away
        identity = ready.fleet.numbers[ready.fleet.absent]
        assert f"{ready.fleet.absent} ({identity}): It was not rolled back: it had no key" in run.failures
        assert states(ready) == ["current", "retired"]

    ready.box.clear()
    tomorrow = ready.run(encryption_keys_max_age="90d")
    assert tomorrow.status == 0, tomorrow.output
    expected = new if on_failure == "stop" else ready.fleet.old_keys["default"].fingerprint
    assert {ready.fleet.held()[name] for name in names} == {expected} == {ready.fingerprint("default", "current")}


@pytest.mark.slow
def test_rolling_back_later(ready: World) -> None:
    """To a retired key by its fingerprint; the schedule does not undo it."""
    endpoint = ready.add_endpoint("endpoint-1")
    old = ready.fleet.old_keys["default"].fingerprint
    shift(ready, "default", 100)
    assert ready.run(encryption_keys_max_age="90d").status == 0
    new = ready.fingerprint("default", "current")
    assert new != old
    wrong = ready.run("waba.flows.rollback", encryption_keys_rollback_to="SHA256:" + "A" * 43)
    assert wrong.status != 0
    assert old in wrong.output
    assert no_post(ready)

    predicted = ready.run("waba.flows.rollback", "--check", encryption_keys_rollback_to=old)
    assert no_post(ready)
    assert ready.fingerprint("default", "current") == new
    run = ready.run("waba.flows.rollback", encryption_keys_rollback_to=old)
    assert run.status == 0, run.output
    assert predicted.outcomes == run.outcomes
    own = [name for name in ready.numbers if ready.fleet.key_name(name) == "default"]
    assert sorted(run.outcomes) == sorted(own)
    assert {ready.fleet.held()[name] for name in own} == {old}
    assert (ready.fingerprint("default", "current"), ready.manifest(endpoint, "default")["current"]) == (old, old)
    assert ready.report["kind"] == "rollback"

    assert ready.run("waba.flows.rollback", encryption_keys_rollback_to=old).recap["changed"] == 0
    assert no_post(ready)
    tomorrow = ready.run(encryption_keys_max_age="90d")
    assert (tomorrow.status, len(ready.box.posts), ready.fingerprint("default", "current")) == (0, 0, old)


@pytest.mark.slow
@pytest.mark.attack("proven", "a rollback to a key that an endpoint has no more")
def test_rolling_back_is_refused_where_an_endpoint_does_not_prove_it(ready: World) -> None:
    old = ready.fleet.old_keys["default"].fingerprint
    assert ready.run(encryption_keys_force=True).status == 0
    new = ready.fingerprint("default", "current")
    ready.add_endpoint("endpoint-1", whatsapp_endpoint_deploy=False)
    run = ready.run("waba.flows.rollback", encryption_keys_rollback_to=old)
    assert run.status != 0
    assert "did not prove that it decrypts" in run.failures
    assert (no_post(ready), ready.fingerprint("default", "current")) == (True, new)


# -- a leaked key


@pytest.mark.slow
def test_revoking_a_leaked_key(ready: World) -> None:
    """It rotates once, destroys the key once no number holds it, and says what that means."""
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    leaked = ready.fleet.old_keys["default"].fingerprint
    options: dict[str, t.Any] = {"encryption_keys_revoke": leaked, "encryption_keys_replica_group": "whatsapp_replicas"}
    unknown = ready.run(**{**options, "encryption_keys_revoke": "SHA256:" + "A" * 43})
    assert "No keyring of these numbers has the key" in unknown.output
    assert (unknown.status, states(ready)) == (2, ["current"])

    identity = ready.fleet.numbers["number-09"]
    ready.box.fault(identity, "error", status=403, code=10, method="GET", times=-1)
    run = ready.run(**options)
    assert run.status == 2
    assert "was not revoked" in run.failures
    assert states(ready) == ["retired", "current"]
    new = ready.fingerprint("default", "current")
    file = next(generation["id"] for generation in ready.keyring("default")["generations"] if generation["fingerprint"] == leaked)
    places = [folder / "default" / f"{file}.pem" for folder in (ready.keys, replica, endpoint.keys)]
    assert all(path.exists() for path in places)

    ready.box.clear()
    again = ready.run(**options)
    assert again.status == 0, again.output
    assert (again.outcomes["number-09"], len(ready.box.posts)) == ("replaced", 1)
    assert (states(ready), ready.fingerprint("default", "current")) == (["revoked", "current"], new)
    assert not any(path.exists() for path in places)
    assert "7 days" in again.output
    assert "421" in again.output
    once_more = ready.run(**options)
    assert (once_more.status, once_more.recap["changed"], ready.fingerprint("default", "current")) == (0, 0, new)


# -- retention


@pytest.mark.slow
@pytest.mark.attack("kept", "a retention below a week")
def test_a_retention_below_a_week_is_refused(ready: World) -> None:
    run = ready.run(encryption_keys_retention="6d", encryption_keys_force=True)
    assert run.status == 2
    assert "7 days" in run.failures
    assert (no_post(ready), states(ready)) == (True, ["current"])  # before anything was done


# -- replicas


@pytest.mark.slow
@pytest.mark.attack("recovered", "the vault host is lost, and its replica is not")
def test_a_lost_vault_host_is_rebuilt_from_a_replica(ready: World) -> None:
    """Nothing is generated in its place meanwhile, and the command that the message names brings back every key."""
    replica = ready.add_replica("replica-1")
    options: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas"}
    assert ready.run(encryption_keys_force=True, **options).status == 0
    kept = {name: ready.keyring(name) for name in ("default", "partner")}
    shutil.rmtree(ready.keys)
    lost = ready.run(**options)
    assert lost.status == 2
    assert "waba.flows.restore" in lost.failures
    assert no_post(ready)
    assert list(ready.keys.rglob("*.pem")) == []

    before = files(ready.keys)
    assert ready.run("waba.flows.restore", "--check", encryption_keys_restore_from="replica-1").status == 0
    assert files(ready.keys) == before
    run = ready.run("waba.flows.restore", encryption_keys_restore_from="replica-1")
    assert run.status == 0, run.output
    newer = {name: {**keyring, "serial": keyring["serial"] + 1} for name, keyring in kept.items()}  # than all that it was before
    assert {name: ready.keyring(name) for name in kept} == newer
    assert all(opens(path, PASSPHRASE) for path in ready.keys.rglob("*.pem"))
    after = ready.run(**options)
    assert (after.status, len(ready.box.posts)) == (0, 0)
    assert [json.loads((replica / name / "keyring.json").read_text()) for name in kept] == list(newer.values())
    assert ready.run(**options).recap["changed"] == 0
    assert ready.run("waba.flows.restore", encryption_keys_restore_from="nowhere").status == 2
    assert replica.exists()


@pytest.mark.attack("durable", "a replica that cannot be written")
def test_nothing_is_published_without_the_replica(ready: World) -> None:
    replica = ready.add_replica("replica-1")
    replica.parent.mkdir()
    replica.write_text("a file where the folder should be")
    run = ready.run(encryption_keys_force=True, encryption_keys_replica_group="whatsapp_replicas")
    assert run.status == 2
    assert no_post(ready)
    assert "replica-1" in run.failures
    assert states(ready) == ["current"]


# -- passphrases


@pytest.mark.slow
def test_changing_the_passphrase(ready: World) -> None:
    endpoint, replica = ready.add_endpoint("endpoint-1"), ready.add_replica("replica-1")
    options: dict[str, t.Any] = {"encryption_keys_replica_group": "whatsapp_replicas"}
    assert ready.run(encryption_keys_force=True, **options).status == 0
    before = files(ready.keys, replica)
    assert ready.run("waba.flows.rotate", "--check", encryption_keys_new_passphrase=NEW_PASSPHRASE, **options).status == 0
    assert files(ready.keys, replica) == before
    run = ready.run(encryption_keys_new_passphrase=NEW_PASSPHRASE, **options)
    assert run.status == 0, run.output
    assert no_post(ready)
    for folder in (ready.keys, replica):
        assert all(opens(path, NEW_PASSPHRASE) for path in folder.rglob("*.pem"))
    assert all(opens(path, ENDPOINT_PASSPHRASE) for path in endpoint.keys.rglob("*.pem"))  # it has one of its own
    assert ready.run(encryption_keys_new_passphrase=NEW_PASSPHRASE, **options).recap["changed"] == 0
    old = ready.run(**options)
    assert old.status == 2
    ready.environment["WHATSAPP_KEYRING_PASSPHRASE"] = NEW_PASSPHRASE
    assert ready.run(**options).recap["changed"] == 0


# -- the API's moods


@pytest.mark.slow
@pytest.mark.attack("accounted", "the API says success and keeps the old key")
def test_the_api_says_success_and_keeps_the_old_key(ready: World) -> None:
    """GET says VALID, but for another key: that is not verified, and the wave stops."""
    ready.box.fault(ready.fleet.numbers["number-01"], "ignored_post", times=-1)
    run = ready.run(encryption_keys_force=True, encryption_keys_verify_timeout=1)
    assert run.outcomes["number-01"] == "failed"
    assert "it still shows" in run.failures
    assert_report_is_true(ready)
    ready.box.clear()
    assert ready.run().status == 0


@pytest.mark.slow
@pytest.mark.attack("accounted", "a token expires in the middle of a rotation")
def test_a_token_that_expires_while_rotating(ready: World) -> None:
    """What is done is kept and named; with a new token the next run finishes with the same key."""
    token = ready.fleet.state.tokens[ready.fleet.token(ready.fleet.wabas["number-01"])]
    ready.box.settings.latency = 0.1
    ready.box.fault(ready.fleet.numbers["number-01"], "latency", seconds=1.0, method="POST")

    class Expiring(type(token)):  # type: ignore[misc]
        """It ends once a POST has been made."""

        @property
        def expires_at(self) -> float | None:
            return time.time() - 1 if len(ready.box.posts) >= 3 else None

        @expires_at.setter
        def expires_at(self, value: float | None) -> None:
            pass

    token.__class__ = Expiring
    run = ready.run(encryption_keys_force=True, encryption_keys_max_workers=1)
    assert run.status == 2
    assert "create a new system-user token" in run.failures
    assert {"replaced", "failed", "skipped"} <= set(run.outcomes.values())
    assert_report_is_true(ready)
    pending = ready.fingerprint("default", "pending")
    ready.box.settings.latency = 0
    token.__class__ = Expiring.__bases__[0]
    token.expires_at = None
    again = ready.run()
    assert (again.status, ready.fingerprint("default", "current")) == (0, pending)


# -- reports


def test_report_and_summary(ready: World) -> None:
    target = ready.folder / "report.json"
    ready.environment["ANSIBLE_SHOW_CUSTOM_STATS"] = "1"
    run = ready.run(encryption_keys_force=True, encryption_keys_report_path=str(target))
    assert run.status == 0, run.output
    report = json.loads(target.read_text())
    jsonschema.validate(report, json.loads((ROOT / "docs" / "report-schema.json").read_text()))
    assert not list(ready.keys.glob("report-*"))
    assert {(row["outcome"], row["attempts"]) for row in report["numbers"]} <= {("replaced", 1), ("set", 1)}
    assert all(row["seconds"] > 0 for row in report["numbers"])
    assert sum(wave["numbers"] for wave in report["waves"]) == len(ready.numbers)
    rotation = next(key["rotation"] for key in report["keys"] if key["name"] == "default")
    assert (ready.keys / "default" / f"{rotation}.pem").exists()
    stats = run.output.split("CUSTOM STATS:")[1]
    assert rotation in stats
    assert "No endpoint was asked" in run.output


@pytest.mark.slow
def test_runs_that_change_nothing_share_one_report(ready: World) -> None:
    assert ready.run(encryption_keys_force=True).status == 0
    for dummy in range(2):
        assert ready.run().status == 0
    assert len(list(ready.keys.glob("report-*.json"))) == 2
    assert (ready.keys / "report-unchanged.json").exists()
    check = ready.run("waba.flows.rotate", "--check", encryption_keys_force=True)
    assert check.status == 0
    assert len(list(ready.keys.glob("report-*.json"))) == 2


@pytest.mark.slow
def test_parsing_can_fail() -> None:
    assert Run(0, "nothing").rows == {}
