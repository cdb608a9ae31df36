# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users notice of a rotation: nothing. Clients with cached keys talk to the endpoints all the while."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest

from .estate import NAMES, Estate
from .phone import Crowd, Line

# Takes every key but the new one off an endpoint: a deployment as people write it, which replaces the key.
WITHOUT_OVERLAP = textwrap.dedent("""
    import json, os, sys
    for manifest in sys.argv[1:]:
        if os.path.exists(manifest):
            with open(manifest, encoding="utf-8") as stream:
                document = json.load(stream)
            kept = [key for key in document["keys"] if key["state"] == "pending"]
            if kept:
                gone = [key["file"] for key in document["keys"] if key not in kept]
                with open(manifest + ".new", "w", encoding="utf-8") as stream:
                    json.dump({**document, "current": None, "keys": kept}, stream)
                os.replace(manifest + ".new", manifest)
                for name in gone:
                    os.unlink(os.path.join(os.path.dirname(manifest), name))
""")


def lines(estate: Estate) -> list[Line]:
    """Return some numbers of both keys: among them one that has no key at first, and one whose signature is stale."""
    fleet = estate.world.fleet
    return [estate.line(name) for name in ("number-01", "number-02", fleet.absent, fleet.mismatch, "number-17", "number-24")]


def deploy_old_keys(estate: Estate) -> None:
    """Bring the endpoints to the keys that numbers hold at the start, as they are on the first day."""
    assert estate.run().status == 0


@pytest.mark.attack("kept", "clients with cached keys send messages all through two rotations")
def test_clients_see_no_failure_in_two_rotations(estate: Estate) -> None:
    deploy_old_keys(estate)
    keys = [estate.in_state("current")]
    with Crowd(lines(estate)) as crowd:
        for dummy in range(2):
            run = estate.start(encryption_keys_force=True).end()
            assert run.status == 0, run.output
            keys.append(estate.in_state("current"))
    assert crowd.errors == []
    assert crowd.failures == []
    counts = {(name, number): crowd.under({key[name]}) for name in NAMES for number, key in enumerate(keys)}
    print(f"{len(crowd.sent)} requests, by key and generation: {counts}")
    assert len(crowd.sent) > 300
    assert len(set(map(str, keys))) == 3
    assert all(count > 10 for count in counts.values())
    assert sum(counts.values()) == len(crowd.sent)


def test_clients_see_failures_in_a_rotation_without_overlap(estate: Estate) -> None:
    """The same clients, and a deployment that takes the old keys away before the new ones are published."""
    deploy_old_keys(estate)
    current = estate.in_state("current")
    manifests = [str(endpoint.keys / name / "manifest.json") for endpoint in estate.world.endpoints.values() for name in NAMES]
    script = estate.world.folder / "replace.py"
    script.write_text(WITHOUT_OVERLAP)
    (estate.world.folder / "deploy.yml").write_text(json.dumps([{
        "name": "Replace the key", "ansible.builtin.command": {"argv": [sys.executable, str(script), *manifests]},
    }]))
    options = {"encryption_keys_deploy_tasks": str(estate.world.folder / "deploy.yml")}
    with Crowd(lines(estate)) as crowd:
        run = estate.start(encryption_keys_force=True, **options).end()
    print(run.status, run.failures)
    assert crowd.errors == []
    print(f"{len(crowd.failures)} of {len(crowd.sent)} requests failed")
    assert len(crowd.failures) > 10
    assert {(sent.status, sent.again) for sent in crowd.failures} == {(421, 421)}  # and the fetched key is the old one still
    assert {sent.again_fingerprint for sent in crowd.failures} <= set(current.values())
    assert any(sent.again == 200 for sent in crowd.sent)  # whereas 421 helps once the new key is published
