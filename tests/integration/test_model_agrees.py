# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model runs the role as ansible-playbook does: the same tasks, and the same modules with the same options, in order."""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.fleet import Inventory, fingerprint_of, local_vault
from tests.model.keys import pooled, public_pem
from tests.model.world import World

from .conftest import BIN

ROTATE, ROLLBACK = ("main", "waba.flows.rotate"), ("rollback", "waba.flows.rollback")
# In the model no second passes, after which a key would be seen once more.
_MEASURED = ("latency_ms", "seconds", "duration_seconds", "serial", "required_serial")
# Both write down what they are called with: what AnsibleModule makes of it, and what the action plugins do.
_RECORDERS = {
    "module_utils/_module.py": '''

_run_module = run_module


def run_module(spec: Spec, run: t.Callable[[t.Mapping[str, t.Any], bool], Result], **options: t.Any) -> None:
    import json
    import os

    def recorded(params: t.Mapping[str, t.Any], check_mode: bool) -> Result:
        with open(os.environ["MODEL_CALLS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps([sorted(spec), params]) + "\\n")
        return run(params, check_mode)

    _run_module(spec, recorded, **options)
''',
    "plugin_utils/_in_process.py": '''

class _Recording(ArgumentSpecValidator):
    def validate(self, parameters, *args, **kwargs):
        import json
        result = super().validate(parameters, *args, **kwargs)
        with open(os.environ["MODEL_CALLS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps([sorted(self.argument_spec), result.validated_parameters]) + "\\n")
        return result


ArgumentSpecValidator = _Recording
''',
}


class Told(t.NamedTuple):
    """A run: the names of its tasks, its calls of modules, and its report, without what is never the same twice."""

    tasks: list[str]
    calls: list[str]
    report: str
    failed: bool


@pytest.fixture(scope="session")
def recording(collections: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed collection, with modules that write down what they are called with."""
    folder = tmp_path_factory.mktemp("recording") / "collections"
    shutil.copytree(collections, folder)
    for name, text in _RECORDERS.items():
        with (folder / "ansible_collections" / "waba" / "flows" / "plugins" / name).open("a", encoding="utf-8") as stream:
            stream.write(text)
    return folder


class Alike:
    """Replaces what differs from one world to another by names: keys, paths, addresses, times."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._names: dict[str, str] = {}
        for key_name in ("default", "partner"):  # lists of fingerprints have no order that is the same in both worlds
            for row in world.ring(key_name):
                self._name("key", row["fingerprint"])
                self._name("file", row["id"])

    def of(self, document: t.Any) -> str:
        """Return a document as text; lists of text are sorted, as their order can be that of fingerprints."""
        return json.dumps(self._replaced(document), sort_keys=True, indent=1)

    def _replaced(self, value: t.Any) -> t.Any:
        if isinstance(value, dict):
            kept = {name: item for name, item in value.items() if name not in _MEASURED}
            return {self._text(str(name)): self._replaced(item) for name, item in kept.items()}
        if isinstance(value, list):
            found = [self._replaced(item) for item in value]
            return sorted(found) if all(isinstance(item, str) for item in found) else found
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if "ENCRYPTED PRIVATE KEY" in text:
            return "a private key"
        if text.startswith("-----BEGIN PUBLIC KEY"):
            text = "the public key of " + fingerprint_of(text)
        places = {str(self._world.folder): "FOLDER", self._world.box.base_url: "API", self._world.endpoints.url: "ENDPOINTS"}
        for place, name in places.items():
            text = text.replace(place, name)
        text = re.sub(r"SHA256:[A-Za-z0-9+/]{43}", lambda match: self._name("key", match.group()), text)
        text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{16}", lambda match: self._name("file", match.group()), text)
        text = re.sub(r"\d{8}T\d{6}Z-\d{6}", "RUN", text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)

    def _name(self, kind: str, value: str) -> str:
        return self._names.setdefault(value, f"{kind}-{len(self._names)}")


def by_the_model(world: World, entry: str, limit: str, check_mode: bool, **variables: t.Any) -> Told:
    """Run the role in this process."""
    world.calls = []
    run = world.run(entry, limit=limit, check_mode=check_mode, **variables)
    alike = Alike(world)
    calls = [alike.of(json.loads(json.dumps(call))) for call in world.calls]
    return Told(run.play.done, calls, alike.of(run.report), run.state == "failed")


def inventory_of(world: World) -> Inventory:
    """Return the inventory of a world."""
    hosts = {name: world.numbers[name] for name in world.inventory}
    endpoints = {
        program.name: {
            **local_vault(), "whatsapp_endpoint_url": f"{world.endpoints.url}/{program.name}",
            "whatsapp_endpoint_keys_path": str(program.folder),
            **({"whatsapp_key_names": program.key_names} if program.key_names else {}),
        } for program in world.endpoints.programs.values()
    }
    replicas = {name: {**local_vault(), "encryption_keys_path": str(path)} for name, path in world.replicas.items()}
    vault = {"vault": {**local_vault(), "encryption_keys_path": str(world.keys)}}
    groups = {"whatsapp_numbers": hosts, "whatsapp_endpoints": endpoints, "whatsapp_replicas": replicas, "whatsapp_vault": vault}
    return {"all": {"children": {name: {"hosts": members} for name, members in groups.items()}}}


def by_ansible(world: World, collections: Path, playbook: str, limit: str, check_mode: bool, **variables: t.Any) -> Told:
    """Run the playbook with ansible-playbook."""
    folder = world.folder.parent / "control"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "inventory.json").write_text(json.dumps(inventory_of(world)), encoding="utf-8")
    given = {**world.start().options, "encryption_keys_report_path": "", **variables}
    command = [str(BIN / "ansible-playbook"), "-i", str(folder / "inventory.json"), playbook, "-e", json.dumps(given),
               *(["--check"] if check_mode else []), *(["--limit", limit] if limit else [])]
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "MODEL_CALLS": str(folder / "calls"),
    }
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=240)
    assert done.returncode in (0, 2), done.stdout
    tasks = re.findall(r"^TASK \[waba\.flows\.encryption_keys : (.*)\] \*+$", done.stdout, re.MULTILINE)
    alike = Alike(world)
    calls = [alike.of(json.loads(line)) for line in (folder / "calls").read_text(encoding="utf-8").splitlines()]
    own = [name for name in tasks if not name.startswith("Validating arguments")]
    reports = sorted(world.keys.glob("report-*.json"), key=lambda path: path.stat().st_mtime_ns)
    report = json.loads(reports[-1].read_text(encoding="utf-8")) if reports and not check_mode else {}
    return Told(own, calls, alike.of(report), done.returncode == 2)


def assert_alike(worlds: tuple[World, World], collections: Path, kind: tuple[str, str], *, limit: str = "",
                 check_mode: bool = False, **variables: t.Any) -> Told:
    """Run the same in both worlds, and compare everything."""
    model = by_the_model(worlds[0], kind[0], limit, check_mode, **variables)
    real = by_ansible(worlds[1], collections, kind[1], limit, check_mode, **variables)
    assert_same(model.tasks, real.tasks)
    assert_same(model.calls, real.calls)
    assert check_mode or model.report == real.report
    assert model.failed == real.failed
    return model


def assert_same(model: list[str], real: list[str]) -> None:
    """Show where two lists of texts differ."""
    before, after = ("\n".join(texts).splitlines() for texts in (model, real))
    difference = "\n".join(difflib.unified_diff(before, after, "model", "ansible-playbook", lineterm="", n=2))
    assert not difference, difference


@pytest.fixture
def worlds(tmp_path: Path) -> t.Iterator[tuple[World, World]]:
    """Two worlds that are alike."""
    folders = tmp_path / "model" / "estate", tmp_path / "real" / "estate"
    for folder in folders:
        folder.mkdir(parents=True)
    make = functools.partial(World, cloud=3, partner=1, kaleyra=1)
    with make(folders[0]) as model, make(folders[1], runs=False) as real:
        yield model, real


@pytest.mark.slow
def test_a_story(worlds: tuple[World, World], recording: Path) -> None:
    """Check mode, a wave that fails and goes back, a part of the fleet, another key, one that leaked, the way back."""
    assert_alike(worlds, recording, ROTATE, check_mode=True, encryption_keys_replace_foreign=True)
    first = assert_alike(worlds, recording, ROTATE, encryption_keys_replace_foreign=True)
    assert (len(first.calls) > 30, first.failed) == (True, False)
    for world in worlds:
        world.box.fault(world.identity("c-2"), "error", status=400, code=133010, method="POST", times=1)
    failed = assert_alike(worlds, recording, ROTATE, encryption_keys_force=True, encryption_keys_on_failure="rollback")
    assert failed.failed
    assert_alike(worlds, recording, ROTATE, limit="vault,c-1,c-4", encryption_keys_force=True)
    assert_alike(worlds, recording, ROTATE)
    for world in worlds:
        world.box.state.numbers[world.identity("c-3")].business_public_key = public_pem(pooled(900))
    assert assert_alike(worlds, recording, ROTATE).failed
    leaked = [world.in_state("default", "current") for world in worlds]
    alike_for_each(worlds, recording, ROTATE, "encryption_keys_revoke", leaked)
    retired = [world.in_state("partner", "retired") for world in worlds]
    alike_for_each(worlds, recording, ROLLBACK, "encryption_keys_rollback_to", retired)


def alike_for_each(
    worlds: tuple[World, World], collections: Path, kind: tuple[str, str], variable: str, values: t.Sequence[str | None]
) -> None:
    """Run the same in both worlds, with a variable that each has its own value for."""
    model = by_the_model(worlds[0], kind[0], "", False, **{variable: values[0]})
    real = by_ansible(worlds[1], collections, kind[1], "", False, **{variable: values[1]})
    assert_same(*([name for name in told.tasks if "SHA256" not in name] for told in (model, real)))
    assert_same(model.calls, real.calls)
    assert (model.report, model.failed) == (real.report, real.failed)
