# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: whatever happens and however much is asked to be shown, none is anywhere but in its place."""

from __future__ import annotations

import dataclasses
import http.server
import json
import shutil
import threading
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.fleet import example_fleet
from tests.looks_secret import secret_looking
from tests.sandbox import Sandbox

from .conftest import APP_SECRET, ROOT, Run, Sshd, World, running_sshd
from .secret_scan import FORMS, Places, Scanner, encodings, leaks, secrets_of, texts_below

IMPORT = {
    "encryption_keys_import_private_key_path": "{folder}/old-key.pem",
    "encryption_keys_import_passphrase": "{{{{ lookup('ansible.builtin.file', '{folder}/old-passphrase') }}}}",
}


def make_secretive(world: World) -> World:
    """Have every kind of secret in use."""
    for variables in world.numbers.values():
        variables["whatsapp_app_secret"] = APP_SECRET
    for token in world.fleet.state.tokens.values():
        token.app_secret = APP_SECRET
    endpoint = world.add_endpoint("endpoint-1", whatsapp_app_secret=APP_SECRET)
    endpoint.app_secret = APP_SECRET
    endpoint.stop()
    endpoint.start()
    world.add_replica("replica-1")
    (world.folder / "old-key.pem").write_bytes(world.fleet.old_keys["default"].private_pem)
    (world.folder / "old-passphrase").write_text(world.fleet.old_keys["default"].passphrase)
    return world


@pytest.fixture
def secretive(world: World) -> World:
    return make_secretive(world)


class Echo:
    """A server that answers with all that it is sent."""

    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EchoHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class EchoHandler(http.server.BaseHTTPRequestHandler):
    """See Echo."""

    def do_POST(self) -> None:
        given = f"{self.requestline}\n{self.headers}\n{self.rfile.read(int(self.headers['Content-Length'])).decode()}".encode()
        self.send_response(200)
        self.send_header("X-Echo", self.requestline)
        self.send_header("Content-Length", str(len(given)))
        self.end_headers()
        self.wfile.write(given)

    def log_message(self, *args: object) -> None:
        """Not on the screen."""


def rotate(world: World, places: Places, *arguments: str, **variables: t.Any) -> tuple[Run, dict[str, str]]:
    """Rotate with an import; return the run, and by place what it left, when the files are sound again."""
    options: dict[str, t.Any] = {
        **{name: value.format(folder=world.folder) for name, value in IMPORT.items()}, **places.outputs(),
        "encryption_keys_force": True, "encryption_keys_replica_group": "whatsapp_replicas", **variables,
    }
    with places.watch() as watch:
        run = world.run("waba.flows.rotate", *(arguments or ("-vvvv", "--diff")), **options)
    return run, places.found(run, watch)


def assert_nothing_shows(world: World, texts: dict[str, str], **more: str) -> None:
    """No secret is anywhere; what is searched was there to be searched."""
    used = {"standard output", "log file", "system log", "command lines", "JUnit files", "tree files", "events", "fact cache"}
    assert {place for place in used if not texts[place]} <= {"fact cache"}
    assert leaks(texts, {**secrets_of(world), **more}) == {}


# -- what goes wrong, by name: each returns what is secret beside what always is

Wrong = t.Callable[[World], t.Optional[dict[str, str]]]


def token_refused(world: World) -> None:
    """The API answers 190 to all."""
    world.fleet.state.tokens.clear()


def token_echoed(world: World) -> dict[str, str]:
    """Each number is answered with the token in another form, in a message, in details, and in a header."""
    forms = list(encodings(world.fleet.token(world.fleet.wabas["number-01"])).values())
    halves = {}
    for index, name in enumerate(world.numbers):
        token = world.fleet.token(world.fleet.wabas[name])
        halves.update({f"first half {token}": token[:len(token) // 2], f"second half {token}": token[len(token) // 2:]})
        echo = [*encodings(token).values(), token[:len(token) // 2], token[len(token) // 2:]][index % (len(forms) + 2)]
        error = {"code": 190, "message": f"Malformed access token {echo}", "type": echo, "fbtrace_id": echo,
                 "error_data": {"details": f"it was {echo}"}}
        members: dict[str, t.Any] = {"status": 400, "body": json.dumps({"error": error}), "headers": {"X-Echo": echo}}
        if index % 3 == 2:
            members = {"status": 200, "body": f"You sent {echo}", "content_type": "text/plain", "headers": {"X-Echo": echo}}
        world.box.fault(world.fleet.numbers[name], "body", times=-1, **members)
    return halves


def passphrase_wrong(world: World) -> None:
    """The keyring is under another passphrase, and its keys are damaged."""
    tasks = [{"waba.flows.whatsapp_flows_keyring": {"path": str(world.keys), "passphrase": "another-passphrase"}}]
    assert world.play(tasks).status == 0
    for path in world.keys.rglob("*.pem"):
        path.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")


FAILURES: dict[str, Wrong] = {
    "nothing": lambda world: None, "token": token_refused, "echo": token_echoed, "passphrase": passphrase_wrong,
}


@pytest.mark.attack("secret", "a rotation with every kind of secret at -vvvv, with differences, tracebacks and arguments shown, "
                              "that succeeds, or fails in several ways")
@pytest.mark.parametrize("failure", [
    "nothing", "echo", pytest.param("token", marks=pytest.mark.slow), pytest.param("passphrase", marks=pytest.mark.slow),
])
def test_no_secret_shows(secretive: World, failure: str) -> None:
    places = Places(secretive)
    more = FAILURES[failure](secretive) or {}
    run, texts = rotate(secretive, places, encryption_keys_replace_foreign=True)
    assert (run.status == 0) == (failure == "nothing"), run.output
    if failure == "passphrase":
        for path in secretive.keys.joinpath("default").glob("*.pem"):
            path.unlink()
    assert_nothing_shows(secretive, texts, **more)


@pytest.mark.attack("secret", "a private key given where a public one belongs, alone or beside another wrong option")
@pytest.mark.parametrize("module", ["whatsapp_business_encryption", "whatsapp_business_encryption_fleet"])
@pytest.mark.parametrize("wrong", [{}, {"retries": "many"}])
def test_a_private_key_given_as_the_public_one_is_not_echoed(world: World, module: str, wrong: dict[str, t.Any]) -> None:
    """Neither where the key is refused, nor where another option is wrong before the key is looked at."""
    old = world.fleet.old_keys["default"]
    key = serialization.load_pem_private_key(old.private_pem, old.passphrase.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, FORMS["PKCS#8"], serialization.NoEncryption()).decode()
    number = {"phone_number_id": "1", "business_public_key": pem}
    options = number if module == "whatsapp_business_encryption" else {"phone_numbers": [number]}
    world.environment.update(ANSIBLE_LOG_PATH=str(world.folder / "ansible.log"), ANSIBLE_INJECT_INVOCATION="true")
    run = world.play([{f"waba.flows.{module}": {**options, **wrong, "access_token": "a-token-0123456789"}}], "-vvvv")
    assert run.status != 0
    assert ("many" if wrong else "private key was given") in run.output
    text = run.output + (world.folder / "ansible.log").read_text()
    assert Scanner({str(i): line for i, line in enumerate(pem.splitlines()[1:-1])}).find(text) == set()


# -- what is rarer: other ways to show things, and other failures


def proof_fails(world: World) -> dict[str, str]:
    """The endpoint answers with all that it got, also in a header, and its URL holds a secret."""
    echo = Echo()
    secret = "canary-of-the-url-3391"
    endpoint = world.endpoints["endpoint-1"]
    world.add_hosts("whatsapp_endpoints", endpoint_1={
        **endpoint.inventory(), "whatsapp_endpoint_url": f"{echo.url}/flow?key={secret}", "whatsapp_app_secret": APP_SECRET})
    world.closing.callback(echo.close)
    return {"secret of the URL": secret}


def post_fails(world: World) -> dict[str, str]:
    """Each POST is applied, and then the connection breaks, or an error quotes the token."""
    for index, name in enumerate(world.numbers):
        token = world.fleet.token(world.fleet.wabas[name])
        kind, status = [("applied_then_reset", 500), ("applied_then_error", 500), ("error", 400)][index % 3]
        world.box.fault(world.fleet.numbers[name], kind, method="POST", times=-1, status=status, code=100, message=f"{token}!")
    return {}


def tls_fails(world: World) -> None:
    """The API's port speaks no TLS."""
    for variables in world.numbers.values():
        variables["whatsapp_base_url"] = world.box.base_url.replace("http:", "https:")


def keyring_damaged(world: World) -> None:
    (world.keys / "default").mkdir(parents=True)
    (world.keys / "default" / "keyring.json").write_text('{"schema": 1, "generations": [{"id": "')


def hooks_fail(world: World) -> None:
    """The user's own tasks handle what they were given, and fail."""
    given = "{{ encryption_keys_deployment | default({}) | to_json }}"
    fails = {"cmd": "sh -c 'cat; exit 1'", "stdin": given}
    tasks = [{"ansible.builtin.debug": {"msg": given}}, {"ansible.builtin.command": fails}]
    for name in ("deploy", "reload"):
        (world.folder / f"{name}.yml").write_text(json.dumps(tasks))


@dataclasses.dataclass(frozen=True)
class Case:
    """A rotation that goes wrong, the arguments of ansible-playbook, and what Ansible is set to show it with."""

    wrong: Wrong
    arguments: tuple[str, ...] = ("-vvvv", "--diff")
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    hooks: bool = False


CASES = {
    "quiet": Case(token_echoed, ("--diff",), {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline"}),
    "check": Case(lambda world: None, ("-v", "--diff", "--check"), {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}),
    "proof": Case(proof_fails, environment={"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"}),
    "post": Case(post_fails, environment={"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}),
    "tls": Case(tls_fails),
    "keyring": Case(keyring_damaged),
    "hooks": Case(hooks_fail, hooks=True),
}


@pytest.mark.slow
@pytest.mark.attack("secret", "other callback plugins and verbosities, check mode, failing POSTs, proofs, TLS, hooks, and "
                              "a damaged keyring")
@pytest.mark.parametrize("name", CASES)
def test_no_secret_shows_in_other_ways(secretive: World, name: str) -> None:
    case = CASES[name]
    places = Places(secretive)
    secretive.environment.update(case.environment)
    more = case.wrong(secretive) or {}
    hooks = {f"encryption_keys_{hook}_tasks": str(secretive.folder / f"{hook}.yml") for hook in ("deploy", "reload")}
    run, texts = rotate(
        secretive, places, *case.arguments, encryption_keys_replace_foreign=True, encryption_keys_verify_timeout=1,
        encryption_keys_prove_timeout=2, **(hooks if case.hooks else {}),
    )
    assert (run.status == 0) == (name == "check"), run.output
    assert_nothing_shows(secretive, texts, **more)


@pytest.mark.slow
@pytest.mark.attack("secret", "a vault host and an API host behind ssh: the environment and command lines of their processes")
def test_no_secret_shows_on_hosts_behind_ssh(secretive: World, sshd: Sshd) -> None:
    """The token is one of the control node's environment alone."""
    for number in secretive.numbers.values():
        del number["whatsapp_access_token"]
    (waba,) = {secretive.fleet.wabas["number-01"]}
    secretive.environment["WHATSAPP_ACCESS_TOKEN"] = secretive.fleet.token(waba)
    secretive.vaults["vault"] = sshd.vault()
    secretive.add_hosts("api", api_1=sshd.vault())
    places = Places(secretive, sshd.process.pid)
    run, texts = rotate(secretive, places, encryption_keys_replace_foreign=True, encryption_keys_api_host="api-1",
                        encryption_keys_max_failures=-1)
    assert run.outcomes["number-01"] == "replaced", run.output
    assert "python" in texts["command lines"]
    assert "SSH_CONNECTION" in texts["environment on hosts behind ssh"]
    assert_nothing_shows(secretive, texts)


@pytest.mark.slow
@pytest.mark.attack("addressed", "a rotation that keeps the files of all modules: what vault host, replica and endpoint get")
def test_each_host_is_given_what_it_needs_and_no_more(secretive: World) -> None:
    """Each has a remote temporary folder of its own, in which its modules and their arguments stay."""
    world = secretive
    groups = world.inventory["all"]["children"]
    hosts = {**groups["whatsapp_vault"]["hosts"], **groups["whatsapp_replicas"]["hosts"], **groups["whatsapp_endpoints"]["hosts"]}
    for name, variables in hosts.items():
        variables["ansible_remote_tmp"] = str(world.folder / "kept" / name)
    world.environment["ANSIBLE_KEEP_REMOTE_FILES"] = "1"
    run, dummy = rotate(world, Places(world), encryption_keys_replace_foreign=True)
    assert run.status == 0, run.output
    secrets = {name: secret for name, secret in secrets_of(world).items() if ".pem " not in name and "PRIVATE" not in secret}
    kept = {name: "\n".join(texts_below(world.folder / "kept" / name).values()) for name in hosts}
    found = leaks(kept, secrets)
    # Of a loop only the files of the last item are kept.
    assert found["vault"] - {"old passphrase default"} == {"passphrase", "endpoint passphrase"}
    assert (found["replica-1"], found["endpoint-1"]) == ({"passphrase"}, {"endpoint passphrase"})


@pytest.mark.slow
@pytest.mark.attack("accounted", "a credential that is short, or a word of results or of a name, so that Ansible blots it out")
def test_a_credential_that_is_a_word_fails_its_number_alone(ready: World) -> None:
    ready.numbers["number-04"]["whatsapp_access_token"] = "number"
    run = ready.run(encryption_keys_force=True, encryption_keys_max_failures=-1)
    assert run.status == 2
    assert {name for name, outcome in run.outcomes.items() if outcome == "failed"} == {"number-04"}
    assert "whatsapp_access_token is no credential" in run.failures
    assert run.outcomes["number-03"] == "replaced"


# -- errors that nobody foresaw

BROKEN = {
    "module_utils/_runs.py": ("run_single", "run_info", "run_many"),
    "module_utils/_keyring_run.py": ("run_keyring",),
    "module_utils/_endpoint_keys.py": ("run_endpoint_keys",),
    "module_utils/_ping.py": ("run_ping",),
    "plugin_utils/_inventory_rows.py": ("tokens_by_account",),
    "module_utils/_wabas.py": ("read_numbers",),
}
RAISE = "\n\ndef {}(*args, **kwargs):\n    raise RuntimeError(f'broken with {{args!r}} {{kwargs!r}}')\n"
ODD = "p\"w'd\\0 canary <odd>"


def broken_collection(collections: Path, folder: Path) -> Path:
    """Return a copy of the collection whose functions raise an error that quotes all that they were given."""
    shutil.copytree(collections, folder)
    for name, functions in BROKEN.items():
        path = folder / "ansible_collections" / "waba" / "flows" / "plugins" / name
        text = path.read_text(encoding="utf-8")
        assert all(function in text for function in functions)
        path.write_text(text + "".join(RAISE.format(function) for function in functions), encoding="utf-8")
    return folder


def crash_tasks() -> list[dict[str, t.Any]]:
    """Return a task for each module, with a secret in each option for one, and the filter: none is under no_log."""
    names = ("TOKEN", "SECRET", "PASSWORD")
    token, app_secret, password = (f"{{{{ lookup('ansible.builtin.env', 'A_{name}') }}}}" for name in names)
    key = "-----BEGIN PUBLIC KEY-----"
    row = {"phone_number_id": "1", "access_token": token, "business_public_key": key}
    odd = {"phone_number_id": "2", "provider": "on_premises", "base_url": "http://127.0.0.1:9", "username": "u",
           "password": password}
    modules: dict[str, dict[str, t.Any]] = {
        "whatsapp_business_encryption": row,
        "whatsapp_business_encryption_info": {"phone_numbers": [{"phone_number_id": "1"}, odd], "access_token": token},
        "whatsapp_business_encryption_fleet": {
            "phone_numbers": [row, {**odd, "business_public_key": key}], "app_secret": app_secret},
        "whatsapp_flows_keyring": {"path": "/nowhere", "passphrase": token, "import_passphrase": app_secret},
        "whatsapp_flows_endpoint_keys": {"path": "/nowhere", "passphrase": token, "keys": []},
        "whatsapp_flows_endpoint_ping": {
            "url": "https://flows.example.com", "app_secret": app_secret, "business_public_key": key},
    }
    tasks: list[dict[str, t.Any]] = [{f"waba.flows.{name}": options} for name, options in modules.items()]
    later = [{**task, "async": 60, "poll": 1} for task in tasks[:3]]  # as modules in processes of their own
    filters = [{"ansible.builtin.debug": {"msg": token.replace("}}", "| waba.flows.encryption_keys('tokens_problem') }}")}}]
    return [{**task, "ignore_errors": True} for task in (*tasks, *later, *filters)]


@pytest.mark.attack("secret", "functions of each module, of the filter and of the inventory plugin raise errors that quote all "
                              "that they were given, at -vvvv and with tracebacks")
def test_an_error_that_nobody_foresaw_shows_no_secret(world: World, tmp_path: Path) -> None:
    token = world.fleet.token("9")
    world.collections = broken_collection(world.collections, tmp_path / "broken")
    world.environment.update(A_TOKEN=token, A_SECRET=APP_SECRET, A_PASSWORD=ODD)
    places = Places(world)
    source = world.folder / "broken.whatsapp_phone_numbers.yml"
    source.write_text(json.dumps({
        "plugin": "waba.flows.whatsapp_phone_numbers", "waba_ids": ["1"], "access_token": token, "app_secret": APP_SECRET}))
    with places.watch() as watch:
        run = world.play(crash_tasks(), "-vvvv", "-i", str(source))
    texts = places.found(run, watch)
    assert run.output.count("An unexpected RuntimeError stopped the work") >= 11, run.output
    for place in ("temporary files while it runs", "temporary files of the hosts"):
        del texts[place]  # what is asynchronous reads its options from a file
    assert leaks(texts, {"token": token, "app secret": APP_SECRET, "odd password": ODD}) == {}
    assert "phone_numbers" in texts["system log"]
    assert ".ansible_async" in texts["home folder"]


# -- what Ansible shows on purpose

SHOWN = {
    "ANSIBLE_KEEP_REMOTE_FILES": "temporary files of the hosts",
    "ANSIBLE_DEBUG": "standard output",
}


@pytest.mark.slow
@pytest.mark.parametrize("variable", SHOWN)
def test_what_shows_secrets_by_its_nature_is_documented(world: World, variable: str) -> None:
    """With one variable of Ansible's a passphrase is where the documentation says, and without it it is not."""
    places = Places(world)
    options = {"path": str(world.keys), "passphrase": "{{ lookup('ansible.builtin.env', 'P') }}", "state": "read"}
    tasks = [{"waba.flows.whatsapp_flows_keyring": options, "no_log": True}]
    world.environment["P"] = "canary-on-purpose-4471"
    found = []
    for value in ("0", "1"):
        world.environment[variable] = value
        with places.watch() as watch:
            run = world.play(tasks)
        assert run.status == 0, run.output
        found.append(leaks(places.found(run, watch), {"passphrase": "canary-on-purpose-4471"}))
    del found[0]["temporary files while it runs"]  # without pipelining a module comes as a file; the role sets it
    assert found[0] == {}
    assert SHOWN[variable] in found[1]
    assert f"`{variable}" in (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


# -- a scanner that finds nothing proves nothing

PLANTED = (
    "standard output", "log file", "system log", "command lines", "environment on hosts behind ssh", "JUnit files", "tree files",
    "events", "fact cache", "retry files", "temporary files while it runs", "temporary files of the hosts",
    "temporary files of the control node", "other temporary files", "home folder", "report", "page", "metrics",
    "state of keyrings, manifests, reports", "traceback",
    "exception of a module",
)


def canary(place: str) -> str:
    """Return what is planted in a place, unlike what is in any other."""
    return f"planted-{'-'.join(place.replace(',', '').split())}-5150"


def planting_tasks(world: World, places: Places) -> list[dict[str, t.Any]]:
    """Return tasks that leave a canary in each place, by the means by which a secret would get there."""
    def shell(place: str, command: str) -> dict[str, t.Any]:
        return {"ansible.builtin.shell": command.format(canary=canary(place), places=places.folder), "no_log": True}

    (world.folder / "library").mkdir()
    crash = f"#!/usr/bin/python\nraise RuntimeError('{canary('exception of a module')}')\n"
    (world.folder / "library" / "crash.py").write_text(crash)
    (world.folder / "filter_plugins").mkdir()
    (world.folder / "filter_plugins" / "crash.py").write_text(
        "class FilterModule:\n    def filters(self):\n        return {'crash': self.crash}\n"
        f"    def crash(self, value):\n        raise RuntimeError('{canary('traceback')}')\n")
    shown = [{"ansible.builtin.debug": {"msg": canary(place)}} for place in (*PLANTED[:2], "JUnit files", "events")]
    written = {
        "temporary files of the hosts": "remote/x", "temporary files of the control node": "local/x",
        "other temporary files": "tmp/x", "report": "output.report", "page": "output.page", "metrics": "output.metrics",
    }
    state, remote = canary("state of keyrings, manifests, reports"), canary("environment on hosts behind ssh")
    return [
        *shown,
        {"ansible.builtin.set_fact": {"planted": canary("fact cache"), "cacheable": True}},
        *(shell(place, "echo {canary} > {places}/" + path) for place, path in written.items()),
        shell("home folder", "echo {canary} > ~/planted"),
        {"ansible.builtin.shell": f"mkdir -p {world.keys}/a && echo {state} > {world.keys}/a/keyring.json", "no_log": True},
        shell("command lines", ": {canary}; sleep 1"),
        shell("temporary files while it runs", "echo {canary} > {places}/tmp/y; sleep 1; rm {places}/tmp/y"),
        {"ansible.builtin.stat": {"path": f"/{canary('system log')}"}},
        {"ansible.builtin.command": "sleep 1", "environment": {"PLANTED": remote}, "no_log": True, "delegate_to": "far"},
        {"ansible.builtin.debug": {"msg": "{{ 'x' | crash }}"}, "ignore_errors": True},
        {"crash": {}, "ignore_errors": True},
        {"ansible.builtin.debug": {"msg": canary("tree files")}},
    ]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, collections: Path) -> t.Iterator[dict[str, str]]:
    """What one run left, by place, that had something planted in each."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server, Sandbox(example_fleet(1).state) as box:
        world = World(tmp_path_factory.mktemp("planted"), collections, box, example_fleet(1))
        lost = canary("retry files").replace("-", "_")
        world.add_hosts("others", far=server.vault(), **{lost: {"ansible_connection": "nowhere"}})
        places = Places(world, server.process.pid)
        path = world.folder / "play.yml"
        plays = [{"hosts": "vault", "tasks": planting_tasks(world, places)},
                 {"hosts": canary("retry files"), "tasks": [{"ansible.builtin.ping": {}}]}]
        path.write_text(json.dumps([{"gather_facts": False, **play} for play in plays]), encoding="utf-8")
        with places.watch() as watch:
            run = world.run(str(path), "-vvv")
        texts = places.found(run, watch)
        yield {**texts, "traceback": run.output, "exception of a module": run.output}
        world.stop()


@pytest.mark.parametrize("place", PLANTED)
def test_what_is_planted_in_a_place_is_found_there(planted: dict[str, str], place: str) -> None:
    assert leaks({place: planted[place]}, {"planted": canary(place)}) == {place: {"planted"}}


def test_every_place_is_planted_in(planted: dict[str, str]) -> None:
    assert set(planted) == set(PLANTED)


@pytest.mark.parametrize("form", encodings("x"))
def test_a_secret_is_found_in_every_form(form: str) -> None:
    for secret in ('canary "of\\ odd/ words+ ünd =%&<', "canary-plain-0123456789"):
        assert Scanner({"planted": secret}).find(f"some text {encodings(secret)[form]} more") == {"planted"}
    assert Scanner({"planted": "canary"}).find("some other text, can ary") == set()


def test_everything_secret_of_a_world_is_looked_for(world: World) -> None:
    assert world.run(encryption_keys_replace_foreign=True).status == 0
    secrets = secrets_of(world)
    scanner = Scanner(secrets)
    assert len(secrets) > 50
    assert [name for name, secret in secrets.items() if name not in scanner.find(f"x{secret}y")] == []
    leak = world.play([{"ansible.builtin.debug": {"msg": "{{ hostvars['number-01'].whatsapp_access_token }}"}}])
    assert scanner.find(leak.output)


@pytest.mark.attack("secret", "key material and what looks like a credential, looked for in each file of repository and tarball")
def test_the_tarball_holds_no_secret(collections: Path, record_property: t.Callable[[str, object], None]) -> None:
    """As it was installed from it."""
    texts = texts_below(collections)
    assert len(texts) > 100
    assert [path for path, text in texts.items() if secret_looking(text)] == []
    assert secret_looking(f"-----BEGIN PRIVATE KEY-----\n{('A' * 64 + chr(10)) * 4}")
    record_property("tries", len(texts))
