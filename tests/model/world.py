# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An estate within this process, and runs of the role on it: a sandbox, a vault host, a replica, endpoints, and a clock."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import functools
import itertools
import json
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography.hazmat.primitives import serialization

from ansible_collections.waba.flows.plugins.module_utils import (
    _apply,
    _endpoint_keys,
    _files,
    _http,
    _keyring,
    _keyring_options,
    _keyring_run,
    _ping,
)
from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC, INFO_SPEC, PING_SPEC
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import ENDPOINT_KEYS_SPEC, KEYRING_SPEC, Spec
from ansible_collections.waba.flows.plugins.module_utils._keys import PrivateKey, load_private_key
from ansible_collections.waba.flows.plugins.module_utils._module import attempt
from ansible_collections.waba.flows.plugins.module_utils._runs import run_info, run_many
from tests.fleet import fingerprint_of
from tests.sandbox import DEFAULT_TOKEN, Sandbox, make_account, make_number, make_state

from .crashes import Crashed, Doom, DoomedOs
from .endpoints import Endpoints, Program
from .interpreter import Module, Plain, Play, Result, Scope, Step, Steps, TaskFailed, Values, hosts_of
from .keys import opened_fingerprint, pooled, unchecked_load
from .wire import Wire

ROLE = Path(__file__).resolve().parents[2] / "roles" / "encryption_keys"
PASSPHRASE = "not-a-secret-of-the-keyrings"
ENDPOINT_PASSPHRASE = "not-a-secret-of-the-endpoints"
_STRAY = 0  # in the pool: the key that probes of endpoints are sent under
_OMIT = "__omit_place_holder__"
Work = t.Callable[[Values, bool], Result]


@functools.lru_cache(256)
def _loaded(pem: bytes, passphrase: str | None) -> PrivateKey:
    return load_private_key(pem, passphrase, "")


def _load(pem: bytes, passphrase: str | None, where: str) -> PrivateKey:
    """Open a private key; one that opened before costs nothing."""
    try:
        return _loaded(pem, passphrase)
    except Exception:
        return load_private_key(pem, passphrase, where)


@functools.cache
def _yaml_of(path: Path) -> Values:
    return t.cast(Values, yaml.safe_load(path.read_text(encoding="utf-8")))


@dataclasses.dataclass
class Run:
    """A run of the role that may be under way, at its end, or dead."""

    number: int
    entry: str
    play: Play
    scope: Scope
    options: Values
    started: datetime.datetime
    inventory: list[str]  # the numbers that it knows of
    known: dict[str, set[str]]  # by key name: what the keyrings knew when it began
    steps: Steps = dataclasses.field(repr=False)
    looked: dict[str, set[str]] = dataclasses.field(default_factory=dict)  # what was usable when it looked before its last wave
    state: str = "running"  # or done, failed, crashed
    message: str = ""

    @property
    def check_mode(self) -> bool:
        return self.play.check_mode

    @property
    def report(self) -> Values:
        """The document of its report; empty where it came to none."""
        return t.cast(Values, self.scope.facts.get("__encryption_keys_report", {}).get("document", {}))

    @property
    def outcomes(self) -> dict[str, tuple[str, str | None]]:
        """By number the outcome and the fingerprint of the key before."""
        return {row["name"]: (row["outcome"], row["before"]) for row in self.report.get("numbers", [])}


class World:
    """Numbers c-… of the Cloud API and k-… of a provider that cannot be asked, two keyrings, endpoints and a replica.

    Unless it C(runs) the role itself, the code under test is left as it is.
    """

    def __init__(self, folder: Path, *, cloud: int = 5, partner: int = 2, kaleyra: int = 2, runs: bool = True) -> None:
        self.folder = folder
        self._runs_itself = runs
        self.now = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)
        self.doom = Doom()
        self.unreachable: set[str] = set()
        self.full_disks: set[str] = set()
        self.active: Run | None = None
        self.latest: Run | None = None  # which was the last to be at work
        self.runs: list[Run] = []
        self.generated: list[str] = []
        self.proofs: dict[tuple[int, str], set[str]] = {}  # by run and key: the endpoints that decrypted with it
        self.trace: collections.deque[Step] = collections.deque(maxlen=20)  # the newest steps
        self.calls: list[tuple[list[str], Values]] | None = None  # each call of a module: its spec, and its options
        self.before_post: t.Callable[[str, str], None] = lambda number_id, pem: None
        self.before_generating: t.Callable[[], None] = lambda: None
        self._usable: dict[Path, tuple[object, set[str]]] = {}
        self._patched = contextlib.ExitStack()
        self._counter = itertools.count(1)
        self._run_numbers = itertools.count(1)
        self.endpoints = Endpoints(self._note_proof)
        self.numbers: dict[str, Values] = {}
        self.box = Sandbox(make_state(cloud + partner))
        self.wire = Wire(self.doom, self.box, self.endpoints)
        identities = list(self.box.state.numbers)
        for index, identity in enumerate(identities):
            self.numbers[f"c-{index + 1}"] = {"whatsapp_phone_number_id": identity, "whatsapp_access_token": DEFAULT_TOKEN,
                                              "whatsapp_key_name": "default" if index < cloud else "partner"}
        ids = [f"+1555552{index:04d}" for index in range(1, kaleyra + 1)]
        self.box.state.numbers.update({identity: make_number("") for identity in ids})
        self.box.state.accounts["kaleyra-1"] = make_account("kaleyra", ids)
        for index, identity in enumerate(ids):
            self.numbers[f"k-{index + 1}"] = {
                "whatsapp_phone_number_id": identity, "whatsapp_provider": "kaleyra", "whatsapp_sid": "kaleyra-1",
                "whatsapp_api_key": self.box.state.accounts["kaleyra-1"].secret, "whatsapp_key_name": "default",
            }
        self.inventory = list(self.numbers)  # those of them that are in the inventory
        self.keys = folder / "vault" / "keys"
        self.replicas = {"replica-1": folder / "replica-1" / "keys"}
        self.add_endpoint("endpoint-1")
        self.add_endpoint("endpoint-2", ["default"])

    def add_endpoint(self, name: str, key_names: list[str] | None = None) -> Program:
        """Have one more endpoint, for all keys or for some."""
        program = Program(name, self.folder / name / "keys", ENDPOINT_PASSPHRASE, key_names)
        self.endpoints.programs[name] = program
        return program

    def __enter__(self) -> World:
        self.box.__enter__()
        if self._runs_itself:
            self._patch()
        for variables in self.numbers.values():
            variables["whatsapp_base_url"] = self.box.base_url
            if variables.get("whatsapp_provider") == "kaleyra":
                variables["whatsapp_base_url"] = self.box.url_of("kaleyra-1")
            variables["whatsapp_timeout"] = 5
        return self

    def __exit__(self, *dummy: object) -> None:
        self._patched.close()
        self.endpoints.stop()
        self.box.stop()

    def _patch(self) -> None:
        """Have keys from the pool, calls that a run can die at, no waiting, and a look at each POST."""
        own_os = DoomedOs(self.doom)
        store = self.box._api.store
        write_key = store.write_key

        def write(number_id: str, key: str, fault: t.Any) -> None:
            self.before_post(number_id, key)
            write_key(number_id, key, fault)

        store.write_key = write  # type: ignore[method-assign]
        for owner, name, value in (
            *((module, "os", own_os) for module in (_files, _keyring, _endpoint_keys)),
            *((module, "load_private_key", _load) for module in (_keyring, _keyring_options, _keyring_run, _endpoint_keys)),
            (_http, "BoundedAdapter", self.wire.adapter()),
            (_keyring, "generate_private_key", self._generate),
            (_ping, "generate_private_key", lambda: PrivateKey(pooled(_STRAY))),
            (serialization, "load_pem_private_key", unchecked_load()),
            (_http, "_FIRST_BACKOFF", 0.001),
            (_apply, "_FIRST_LOOK_AGAIN", 0.001),
        ):
            self._patched.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

    def _generate(self) -> PrivateKey:
        assert self.active is not None
        key = PrivateKey(pooled(next(self._counter)))
        if not self.active.check_mode:
            self.before_generating()
            self.generated.append(key.public.fingerprint)
        return key

    def _note_proof(self, endpoint: str, fingerprint: str) -> None:
        if self.active is not None:
            self.proofs.setdefault((self.active.number, fingerprint), set()).add(endpoint)

    # -- what there is

    def identity(self, name: str) -> str:
        """Return the phone-number ID of a number."""
        return str(self.numbers[name]["whatsapp_phone_number_id"])

    def key_name(self, name: str) -> str:
        """Return the name of the key of a number."""
        return str(self.numbers[name]["whatsapp_key_name"])

    def held(self, name: str) -> str | None:
        """Return the fingerprint of the key that a number holds in truth."""
        pem = self.box.state.numbers[self.identity(name)].business_public_key
        return fingerprint_of(pem) if pem else None

    def can_be_read(self, name: str) -> bool:
        return name.startswith("c-")

    def serving(self, key_name: str) -> list[Program]:
        """Return the endpoints that have to decrypt with a key."""
        programs = self.endpoints.programs.values()
        return [program for program in programs if program.key_names is None or key_name in program.key_names]

    def ring(self, key_name: str, keys: Path | None = None) -> list[Values]:
        """Return the generations of a keyring as they lie on disk."""
        path = (keys or self.keys) / key_name / "keyring.json"
        return t.cast("list[Values]", json.loads(path.read_text())["generations"]) if path.exists() else []

    def in_state(self, key_name: str, state: str) -> str | None:
        """Return the fingerprint of the generation in a state."""
        return next((row["fingerprint"] for row in self.ring(key_name) if row["state"] == state), None)

    def usable(self, key_name: str, keys: Path) -> set[str]:
        """Return the keys whose private half is there, under its name, and opens with the passphrase.

        A folder is looked at anew when a file in it was made, replaced or deleted.
        """
        folder = keys / key_name
        stamp = (folder.stat().st_mtime_ns, folder.stat().st_ino) if folder.exists() else None
        if self._usable.get(folder, (0, None))[0] != stamp:
            rows = [row for row in self.ring(key_name, keys) if row["state"] != "revoked"]
            paths = {row["fingerprint"]: folder / f"{row['id']}.pem" for row in rows}
            there = {name: path.read_bytes() for name, path in paths.items() if path.exists()}
            found = {name for name, pem in there.items() if opened_fingerprint(pem, PASSPHRASE) == name}
            self._usable[folder] = stamp, found
        return set(self._usable[folder][1])

    # -- runs

    def start(self, entry: str = "main", *, check_mode: bool = False, limit: str = "", **options: t.Any) -> Run:
        """Begin a run, which stands before its first step."""
        groups = {
            "whatsapp_numbers": list(self.inventory), "whatsapp_vault": ["vault"], "whatsapp_replicas": list(self.replicas),
            "whatsapp_endpoints": list(self.endpoints.programs),
        }
        groups["all"] = [host for hosts in groups.values() for host in hosts] + ["localhost"]
        hostvars: dict[str, Values] = {host: {} for host in groups["all"]}
        hostvars.update({name: self.numbers[name] for name in self.inventory})
        hostvars.update({name: {"encryption_keys_path": str(path)} for name, path in self.replicas.items()})
        for program in self.endpoints.programs.values():
            hostvars[program.name] = {"whatsapp_endpoint_url": f"{self.endpoints.url}/{program.name}",
                                      "whatsapp_endpoint_keys_path": str(program.folder),
                                      **({"whatsapp_key_names": program.key_names} if program.key_names else {})}
        magic = {
            "groups": groups, "hostvars": hostvars, "inventory_hostname": "vault", "ansible_play_hosts_all": ["vault"],
            "ansible_check_mode": check_mode, "omit": _OMIT, "now": lambda utc: self.now, "query": self._query(groups),
            "lookup": lambda name, *terms: self._query(groups)(name, *terms)[0], "ansible_limit": limit,
        }
        inventory = {"encryption_keys_path": str(self.keys)}
        given = {
            "encryption_keys_passphrase": PASSPHRASE, "encryption_keys_endpoint_passphrase": ENDPOINT_PASSPHRASE,
            "encryption_keys_replica_group": "whatsapp_replicas",
            "encryption_keys_max_workers": 1, "encryption_keys_verify_timeout": 0, "encryption_keys_prove_timeout": 2,
            "encryption_keys_progress": False, **options,
        }
        role, defaults = _yaml_of(ROLE / "vars" / "main.yml"), _yaml_of(ROLE / "defaults" / "main.yml")
        scope = Scope({}, given, role, inventory, defaults, {name: Plain(value) for name, value in magic.items()})
        play = Play(ROLE, "vault", self._modules(), check_mode)
        known = {name: {row["fingerprint"] for row in self.ring(name)} for name in ("default", "partner")}
        steps = play.run(entry, scope)
        run = Run(next(self._run_numbers), entry, play, scope, given, self.now, list(self.inventory), known, steps)
        self.runs.append(run)
        return run

    def _query(self, groups: dict[str, list[str]]) -> t.Callable[..., list[t.Any]]:
        def query(name: str, *terms: t.Any) -> list[t.Any]:
            if name == "ansible.builtin.env":
                return [""]
            assert name == "ansible.builtin.inventory_hostnames", name
            return hosts_of(str(terms[0]), groups)

        return query

    def advance(self, run: Run, steps: int | None = None) -> Run:
        """Take a run some steps further, or to its end."""
        assert run.state == "running"
        self.active = self.latest = run
        try:
            for dummy in range(steps) if steps is not None else itertools.count():
                step = next(run.steps)
                if step.task == "Note which are not":  # the last look at the vault host before a wave is over
                    run.looked = {name: self.usable(name, self.keys) for name in run.known}
                self.trace.append(step)
        except StopIteration:
            run.state = "done"
        except TaskFailed as error:
            run.state, run.message = "failed", f"{error.args[0]}: {error.args[1]}"
        except Crashed:
            run.state = "crashed"
        finally:
            self.active = None
            self.doom.set(None)
        return run

    def run(self, entry: str = "main", **options: t.Any) -> Run:
        """Run to the end."""
        return self.advance(self.start(entry, **options))

    def kill(self, run: Run) -> None:
        """End a run between two of its steps."""
        run.steps.close()
        run.state = "crashed"

    # -- modules

    def _modules(self) -> dict[str, Module]:
        flows = "waba.flows.whatsapp"
        return {
            f"{flows}_flows_keyring": self._module(KEYRING_SPEC, self._run_keyring),
            f"{flows}_flows_endpoint_keys": self._module(ENDPOINT_KEYS_SPEC, _endpoint_keys.run_endpoint_keys),
            f"{flows}_flows_endpoint_ping": self._module(PING_SPEC, lambda params, check: _ping.run_ping(params)),
            f"{flows}_business_encryption_info": self._module(INFO_SPEC, lambda params, check: run_info(params)),
            f"{flows}_business_encryption_fleet": self._module(FLEET_SPEC, run_many),
            "ansible.builtin.copy": self._copy,
            "ansible.builtin.find": self._find,
            "ansible.builtin.ping": self._ping,
            "ansible.builtin.debug": lambda options, host, check: {"changed": False},
            "ansible.builtin.set_stats": lambda options, host, check: {"changed": False},
            "ansible.builtin.fail": lambda options, host, check: {"failed": True, "msg": options["msg"]},
        }

    def _run_keyring(self, params: Values, check_mode: bool) -> Result:
        return _keyring_run.run_keyring(params, check_mode, self.now)

    def _module(self, spec: Spec, work: Work) -> Module:
        """Return a module as AnsibleModule makes it of a spec and its work."""
        def module(options: Values, host: str, check_mode: bool) -> Result:
            if host in self.unreachable:
                return {"unreachable": True, "changed": False, "msg": f"Failed to connect to the host {host}."}
            checked = ArgumentSpecValidator(spec).validate(json.loads(json.dumps(options)))
            if checked.error_messages:
                return {"failed": True, "changed": False, "msg": ", ".join(checked.error_messages)}
            if self.calls is not None:
                self.calls.append((sorted(spec), checked.validated_parameters))
            self.doom.full_disk = host in self.full_disks
            try:
                result = attempt(lambda: work(checked.validated_parameters, check_mode))
            finally:
                self.doom.full_disk = False
            return t.cast(Result, json.loads(json.dumps({name: value for name, value in result.items() if name != "diff"})))

        return module

    def _ping(self, options: Values, host: str, check_mode: bool) -> Result:
        lost = host in self.unreachable
        return {"changed": False, **({"unreachable": True, "msg": "Failed to connect to the host."} if lost else {})}

    def _copy(self, options: Values, host: str, check_mode: bool) -> Result:
        if host in self.unreachable:
            return {"unreachable": True, "changed": False, "msg": "Failed to connect to the host."}
        Path(options["dest"]).write_text(options["content"])
        return {"changed": True, "dest": options["dest"]}

    @staticmethod
    def _find(options: Values, host: str, check_mode: bool) -> Result:
        found = sorted(Path(options["paths"]).glob(f"*/{options['patterns']}"))
        return {"changed": False, "files": [{"path": str(path)} for path in found]}
