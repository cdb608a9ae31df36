# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL of whole playbook runs, at what they have come to; and then the same command again, until it ends."""

from __future__ import annotations

import dataclasses
import random
import time
import typing as t

import pytest

from .estate import NEW_PASSPHRASE, Estate, opened
from .whole_run import WholeRun, wait_for_end

ROTATE = "waba.flows.rotate"
ROTATED = {"default": ["retired", "current"], "partner": ["retired", "current"]}
GONE_BACK = {"default": ["current", "retired"], "partner": ["retired", "current"]}


@dataclasses.dataclass(frozen=True)
class Point:
    """When a run is killed: up to C(within) seconds after the C(nth) task of a name began, and C(when) is so."""

    task: str
    within: float = 0.0
    nth: int = 1
    when: t.Callable[[Estate], bool] = lambda estate: True


def posts(count: int) -> t.Callable[[Estate], bool]:
    return lambda estate: len(estate.world.box.posts) >= count


# These stay so, so that none is missed on a slow machine; the second of two is then half a second away.


def first_is_staged(estate: Estate) -> bool:
    return estate.in_state("pending")["default"] is not None


def first_is_copied(estate: Estate) -> bool:
    return (estate.replica / "default" / "keyring.json").exists()


def first_has_keys(estate: Estate) -> bool:
    return (estate.world.endpoints["endpoint-1"].keys / "default").exists()


def first_is_promoted(estate: Estate) -> bool:
    return estate.in_state("pending")["default"] is None


def first_is_forgotten(estate: Estate) -> bool:
    return len(estate.states()["default"]) == 2


def first_has_new_passphrase(estate: Estate) -> bool:
    return any(opened(path, NEW_PASSPHRASE) for path in sorted((estate.world.keys / "default").glob("*.pem")))


STAGE, COPY, DEPLOY = "Have the key to publish ready", "Copy the keyrings to the replicas", "Put keys and manifests on"
PROVE, PROMOTE, PRUNE = "Ask the endpoints to decrypt", "Make the pending key the current one", "Remove the keys that nobody"
WAVE = "Publish and verify: a wave"

# With more than one point, the run that goes on is killed again, at the next.
ROTATION = {
    "staging": [Point(STAGE, within=1.0)],
    "staged one of two, copying": [Point(STAGE, when=first_is_staged), Point(COPY, within=0.5)],
    "staged, copied one of two": [Point("Note the keys that are ready", within=0.2), Point(COPY, when=first_is_copied)],
    "deploying, deployed to one of two": [Point(DEPLOY, within=0.3), Point(DEPLOY, when=first_has_keys, within=0.3)],
    "between deploy and prove, proving": [Point("Note what was deployed", within=0.2), Point(PROVE, within=0.5)],
    "waves": [Point(WAVE, when=posts(1)), Point(WAVE, nth=2, when=posts(2)), Point(WAVE, nth=3, when=posts(8))],
    "proving after a wave, last wave": [Point(PROVE, within=0.5, nth=3), Point(WAVE, nth=3, when=posts(15))],
    "between publish and promote, promoting": [Point("Note what came of each number"), Point(PROMOTE, within=0.5)],
    "promoted one of two, pruning": [Point(PROMOTE, when=first_is_promoted), Point(PRUNE, within=0.5)],
    "pruned one of two": [Point(PRUNE, when=first_is_forgotten)],
    "copying at the end": [Point(COPY, within=0.5, nth=2)],
    "deploying at the end, reporting": [Point(DEPLOY, within=1.0, nth=2), Point("Keep the report", within=0.05)],
    "again and again": [Point(STAGE, when=first_is_staged), Point("Note the copies"), Point(PROVE, within=0.5),
                        Point(WAVE, nth=3, when=posts(10)), Point(PROMOTE, within=0.5), Point(PRUNE, within=0.5)],
    "any time": [Point("", within=0.5, nth=random.Random("any time").randint(3, 55))],
}
OUTLIVED = {"staging": Point(STAGE, when=first_is_staged), "wave": Point(WAVE, nth=3, when=posts(6))}
ROLLBACK = [
    Point("Find the key to go back to", within=0.3), Point(DEPLOY, within=0.5), Point(PROVE, within=0.5),
    Point("Make it the current key", within=0.5), Point(WAVE, nth=2, when=posts(2)), Point(COPY, within=0.5),
]
UNDO = {
    "before": Point("Read the keyrings of the keys that were stopped", within=0.3),
    "giving up": Point("Give up the pending keys", within=0.7),
    "going back": Point("Publish and verify: the previous keys", when=posts(19)),
}
REVOCATION = {
    "staging, publishing": [Point(STAGE, within=0.7), Point(WAVE, nth=3, when=posts(8))],
    "revoking, pruning": [Point("Revoke the key", within=0.5), Point(PRUNE, within=0.5)],
    "copying, deploying": [Point(COPY, within=0.5, nth=2), Point(DEPLOY, within=1.0)],
}
PASSPHRASE_CHANGE = {
    "one of two": [Point(STAGE, when=first_has_new_passphrase)],
    "between them": [Point(STAGE, when=first_is_staged), Point(COPY, within=0.5)],
}


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance that is the same each time that a test is run."""
    return random.Random(request.node.name)


def follow(estate: Estate, point: Point, chance: random.Random, playbook: str, **variables: t.Any) -> WholeRun:
    """Start a run and return it at a point."""
    victim = estate.start(playbook, **variables)
    victim.wait_for(point.task, point.nth)
    victim.wait_until(lambda: point.when(estate))
    victim.wait_a_moment(chance.uniform(0, point.within))
    return victim


def kill(
    estate: Estate, points: t.Iterable[Point], chance: random.Random, playbook: str = ROTATE, **variables: t.Any
) -> dict[str, t.Any]:
    """Kill a run at the first point, the run that goes on at the next, and so on; nothing may be lost by it.

    Return the variables for the run that is to finish it.
    """
    for point in points:
        victim = follow(estate, point, chance, playbook, **variables)
        victim.kill()
        print(f"killed in '{victim.tasks[-1]}' after {len(estate.world.box.posts)} POSTs")
        time.sleep(0.2)  # what was sent is still worked on
        estate.assert_nothing_lost()
        if "encryption_keys_force" in variables and all(new_keys(estate).values()):
            del variables["encryption_keys_force"]
    return variables


def new_keys(estate: Estate) -> dict[str, str | None]:
    """Return the key that a forced rotation made, by key name: pending, or current already."""
    pending, current = estate.in_state("pending"), estate.in_state("current")
    old = {name: key.fingerprint for name, key in estate.world.fleet.old_keys.items()}
    return {name: pending[name] or (current[name] if current[name] != old[name] else None) for name in estate.names}


def unnamed_files(estate: Estate) -> set[str]:
    """Return the private keys that a killed run left without a name in the keyring."""
    known = {row["id"] for name in estate.names for row in estate.world.keyring(name)["generations"]}
    return {path.stem for name in estate.names for path in (estate.world.keys / name).glob("[!.]*.pem")} - known


def finish(estate: Estate, states: dict[str, list[str]], playbook: str = ROTATE, **variables: t.Any) -> None:
    """Run to the end, with nothing but success; another run then changes nothing."""
    new, left = new_keys(estate), unnamed_files(estate)
    run = estate.run(playbook, **variables)
    assert run.status == 0, run.output
    assert estate.world.report["succeeded"]
    estate.assert_settled(states)
    assert {name: key for name, key in new_keys(estate).items() if new[name]} == {name: key for name, key in new.items() if key}
    assert left <= {row["id"] for name in estate.names for row in estate.world.keyring(name)["generations"]}
    estate.assert_quiet(playbook, **{name: value for name, value in variables.items() if name != "encryption_keys_force"})


@pytest.mark.parametrize("name", ROTATION)
@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_rotation(name: str, estate: Estate, chance: random.Random) -> None:
    variables = kill(estate, ROTATION[name], chance, encryption_keys_force=True)
    finish(estate, ROTATED, **variables)


@pytest.mark.parametrize("name", OUTLIVED)
@pytest.mark.attack("resumed", "ansible-playbook killed while its workers live on, and the next run beside them")
def test_rotation_whose_workers_outlive_it(name: str, estate: Estate, chance: random.Random) -> None:
    """As they do on hosts that are reached over the network; the next run does not wait for them."""
    victim = follow(estate, OUTLIVED[name], chance, ROTATE, encryption_keys_force=True)
    members = victim.kill_main()
    run = estate.run(encryption_keys_force=not all(new_keys(estate).values()))
    assert run.status == 0, run.output
    wait_for_end(members)
    finish(estate, ROTATED)


@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_rollback(small_estate: Estate, chance: random.Random) -> None:
    estate = small_estate
    assert estate.run(encryption_keys_force=True).status == 0
    estate.assert_settled(ROTATED)  # that is what a run comes to which nobody kills
    old = estate.world.fleet.old_keys["default"].fingerprint
    kill(estate, ROLLBACK, chance, "waba.flows.rollback", encryption_keys_rollback_to=old)
    finish(estate, GONE_BACK, "waba.flows.rollback", encryption_keys_rollback_to=old)


@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_rollback_that_a_rotation_finishes(small_estate: Estate, chance: random.Random) -> None:
    """Once the keyring says so, every run goes there."""
    estate = small_estate
    assert estate.run(encryption_keys_force=True).status == 0
    old = estate.world.fleet.old_keys["default"].fingerprint
    kill(estate, [Point(WAVE, nth=3, when=posts(6))], chance, "waba.flows.rollback", encryption_keys_rollback_to=old)
    finish(estate, GONE_BACK)


@pytest.mark.parametrize("name", UNDO)
@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_going_back_after_a_failed_wave(name: str, small_estate: Estate, chance: random.Random) -> None:
    """What the killed run gave up stays given up; what it did not is gone on with."""
    estate = small_estate
    estate.world.box.fault(estate.world.fleet.numbers["number-12"], "error", status=400, code=133010, method="POST", times=-1)
    kill(estate, [UNDO[name]], chance, encryption_keys_force=True, encryption_keys_on_failure="rollback")
    variables = {"encryption_keys_on_failure": "rollback"}
    given_up = estate.in_state("pending")["default"] is None
    again = estate.run(**variables)
    assert again.status == (0 if given_up else 2), again.output
    assert given_up or "number-12" in again.failures
    estate.assert_nothing_lost()
    estate.world.box.clear()
    finish(estate, GONE_BACK if given_up else ROTATED, **variables)


@pytest.mark.parametrize("name", REVOCATION)
@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_revocation(name: str, small_estate: Estate, chance: random.Random) -> None:
    estate = small_estate
    leaked = estate.world.fleet.old_keys["default"].fingerprint
    kill(estate, REVOCATION[name], chance, encryption_keys_revoke=leaked)
    finish(estate, {"default": ["revoked", "current"], "partner": ["current"]}, encryption_keys_revoke=leaked)


@pytest.mark.parametrize("name", PASSPHRASE_CHANGE)
@pytest.mark.attack("resumed", "ansible-playbook and all its children killed at each stage of a run")
def test_change_of_the_passphrase(name: str, estate: Estate, chance: random.Random) -> None:
    estate.passphrases.append(NEW_PASSPHRASE)
    change: dict[str, t.Any] = {"encryption_keys_force": True, "encryption_keys_new_passphrase": NEW_PASSPHRASE}
    variables = kill(estate, PASSPHRASE_CHANGE[name], chance, **change)
    finish(estate, ROTATED, **variables)
