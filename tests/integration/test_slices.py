# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job slicing: every slice of a job of AWX is refused before anything is read or changed, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest
import yaml

from .awx_job import SOURCE, VAULT, Document, example_project, imported, job_inventory, write_script
from .conftest import Run, World, files

TEMPLATE = "WhatsApp Flows rotate"
SLICED = {"awx_workflow_job_name": TEMPLATE, "awx_job_template_name": TEMPLATE}
AGAIN = {"awx_job_template_name": TEMPLATE}  # a slice that is launched again has no workflow
ACCEPT = "current,retired,absent,mismatch,foreign"  # whatever a number holds
ROLLBACK = {"encryption_keys_rollback_to": "SHA256:" + "A" * 43}


@dataclasses.dataclass
class Awx:
    """The example project in AWX: 16 numbers of two WABAs, and the vault host."""

    world: World
    folder: Path
    document: Document

    def job(self, playbook: str, inventory: Document, *arguments: str, **variables: t.Any) -> Run:
        """Run one of the project's playbooks on an inventory as AWX writes it."""
        script = write_script(self.world.folder / "hosts", inventory)
        return self.world.run(str(self.folder / f"{playbook}.yml"), "-i", str(script), *arguments, **variables)

    def refused(self, playbook: str, inventory: Document, **variables: t.Any) -> str:
        """Return the message of a job that fails before anything is read or changed."""
        before = files(self.world.keys)
        run = self.job(playbook, inventory, **variables)
        assert run.status != 0, run.output
        assert self.world.box.requests == []
        assert files(self.world.keys) == before
        return run.failures

    def goes_on(self, inventory: Document, *arguments: str, **variables: t.Any) -> int:
        """Return how many numbers an audit that is not refused has read."""
        run = self.job("audit", inventory, *arguments, encryption_keys_audit_accept=ACCEPT, **variables)
        assert run.status == 0, run.output
        return len({request.path for request in self.world.box.requests})


@pytest.fixture
def awx(ready: World) -> Awx:
    folder = ready.folder / "project"
    wabas = example_project(ready, folder)
    ready.environment["WHATSAPP_ACCESS_TOKENS"] = json.dumps({waba: ready.fleet.token(waba) for waba in wabas})
    # The file of hosts last: the variables of its group whatsapp_numbers take the place of those of the plugin's.
    document = imported(ready, folder / "inventory" / SOURCE, folder / "inventory" / "hosts.yml")
    assert len(document["_meta"]["hostvars"]) == 17
    return Awx(ready, folder, document)


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.attack("kept", "a slice of a job that sees a part of the fleet")
def test_every_slice_is_refused(awx: Awx, count: int) -> None:
    """Most lack the vault host; the one that has it sees a part of the fleet, whether or not its workflow is known."""
    slices = [job_inventory(awx.document, number, count) for number in range(1, count + 1)]
    assert sum(len(part["_meta"]["hostvars"]) for part in slices) == 17
    assert [VAULT in part["_meta"]["hostvars"] for part in slices].count(True) == 1
    for part in slices:
        numbers = len(part["_meta"]["hostvars"]) - 1
        if VAULT not in part["_meta"]["hostvars"]:
            message = awx.refused("rotate", part, **SLICED)
            assert "There is no vault host: 'whatsapp_vault' matches no host" in message
            assert "slices of a job lack it: set the job template's job_slice_count to 1" in message
            continue
        has = f"The inventory has {numbers} of the 16 numbers that its source found."
        reasons = ((SLICED, f"is called '{TEMPLATE}' as its job template is"), (AGAIN, "So it is a slice of a job of AWX"))
        for variables, why in reasons:
            message = awx.refused("rotate", part, **variables)
            assert has in message
            assert why in message
            assert "Do not slice: set the job template's job_slice_count to 1" in message


@pytest.mark.parametrize(("playbook", "variables"), [
    ("rollback", ROLLBACK), ("audit", {}), ("rotate", {"encryption_keys_group": "waba_102200000000001"}),
])
def test_rollback_and_audit_of_a_slice_are_refused(awx: Awx, playbook: str, variables: dict[str, str]) -> None:
    part = job_inventory(awx.document, 1, 2)
    assert VAULT in part["_meta"]["hostvars"]
    assert "has 8 of the 16 numbers" in awx.refused(playbook, part, **AGAIN, **variables)


def test_numbers_without_a_count_are_known_by_the_workflow_or_the_minimum(awx: Awx) -> None:
    """As those that are written in files."""
    for variables in awx.document["_meta"]["hostvars"].values():
        variables.pop("whatsapp_numbers_found", None)
        variables.pop("whatsapp_waba_numbers_found", None)
    part = job_inventory(awx.document, 1, 2)
    assert "so AWX has sliced the job" in awx.refused("rotate", part, **SLICED)
    message = awx.refused("rotate", part, encryption_keys_minimum_numbers="16", **AGAIN)
    assert "has 8 numbers in this inventory, at least 16 are expected" in message
    assert "A slice of a job of AWX has too few as well" in message
    assert awx.goes_on(job_inventory(awx.document), **AGAIN) == 16


def test_what_is_not_sliced_goes_on(awx: Awx) -> None:
    """A workflow that happens to have the template's name, a few disabled hosts, a limit, and a part that is meant."""
    whole = job_inventory(awx.document)
    assert awx.goes_on(whole, **SLICED) == 16
    numbers = sorted(host for host in awx.document["_meta"]["hostvars"] if host != VAULT)
    assert awx.goes_on(job_inventory(awx.document, disabled=numbers[:5]), **AGAIN) == 11
    assert awx.goes_on(whole, "--limit", f"{VAULT},{numbers[0]}", **AGAIN) == 1
    assert awx.goes_on(job_inventory(awx.document, 1, 2), encryption_keys_allow_part="true", **SLICED) == 8


def test_filters_sources_and_other_providers_are_no_part(awx: Awx) -> None:
    """Two sources of one WABA each, one of them filtered, numbers of another provider, straight from the files."""
    source = awx.folder / "inventory" / SOURCE
    options = yaml.safe_load(source.read_text(encoding="utf-8"))
    own = [{**options, "waba_ids": [waba]} for waba in options["waba_ids"]]
    own[1]["include"] = ["whatsapp_phone_number_id in ['106600000000009', '106600000000010']"]
    for index, one in enumerate(own):
        (source.parent / f"{index}.whatsapp_phone_numbers.yml").write_text(yaml.safe_dump(one), encoding="utf-8")
    source.unlink()
    awx.world.add_hosts("whatsapp_numbers", other={"whatsapp_phone_number_id": "other", "whatsapp_provider": "gupshup"})
    run = awx.world.run(str(awx.folder / "audit.yml"), "-i", str(source.parent),
                        encryption_keys_audit_accept=ACCEPT)
    assert "encryption_keys_allow_part" not in run.output
    assert len({request.path for request in awx.world.box.requests if "phone_numbers" not in request.path}) == 10
    parts = imported(awx.world, *(source.parent / f"{index}.whatsapp_phone_numbers.yml" for index in (0, 1)),
                     awx.folder / "inventory" / "hosts.yml")
    assert "has 5 of the 10 numbers" in awx.refused("rotate", job_inventory(parts, 1, 2), **AGAIN)
