# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for secrets, in every form that they travel in, in every place that a run can leave one in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import os
import shutil
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .conftest import APP_SECRET, ENDPOINT_PASSPHRASE, PASSPHRASE, Run, World

FORMS = {"PKCS#8": serialization.PrivateFormat.PKCS8, "PKCS#1": serialization.PrivateFormat.TraditionalOpenSSL}
EVENTS = Path(__file__).with_name("every_event.py")
# Found by every Python that a run starts on the control node: what it would log goes to a file.
SYSLOG = """\
import os, syslog
def _write(*args):
    with open(os.environ["CANARY_SYSLOG"], "a") as stream:
        stream.write(str(args[-1]) + "\\n")
syslog.syslog = _write
"""
SHORTEST_NEEDLE = 6


def encodings(secret: str) -> dict[str, str]:
    """Return a secret in every form that it travels in, or that a peer may echo it in."""
    octets = secret.encode()
    found = {
        "as it is": secret,
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded, lower": quote(secret, safe="").replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d"),
        "percent-encoded as a form": quote_plus(secret),
        "every octet percent-encoded": "".join(f"%{octet:02x}" for octet in octets),
        "JSON": json.dumps(secret)[1:-1],
        "JSON within JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "JSON, every character": "".join(f"\\u{ord(character):04x}" for character in secret),
        "repr": repr(secret)[1:-1],
        "HTML": html.escape(secret),
        "HTML, every character": "".join(f"&#{ord(character)};" for character in secret),
        "hex": octets.hex(),
        "upper hex": octets.hex().upper(),
    }
    for before in range(3):
        text = base64.b64encode(bytes(before) + octets).decode().rstrip("=")
        # The digits at the ends depend on what stands beside the secret.
        inner = text[-(-before * 8 // 6):(before + len(octets)) * 8 // 6]
        found[f"base64 after {before} octets"] = inner
        found[f"URL-safe base64 after {before} octets"] = inner.replace("+", "-").replace("/", "_")
    return found


class Scanner:
    """Finds secrets in text, in all their forms. Its time does not depend on how many there are."""

    def __init__(self, secrets: t.Mapping[str, str]) -> None:
        self._needles: dict[str, dict[str, str]] = {}
        for name, secret in secrets.items():
            for form in encodings(secret).values():
                if len(form) >= SHORTEST_NEEDLE:
                    self._needles.setdefault(form[:SHORTEST_NEEDLE], {})[form] = name

    def find(self, text: str) -> set[str]:
        """Return the names of the secrets that a text holds."""
        starts = {text[at:at + SHORTEST_NEEDLE] for at in range(len(text) - SHORTEST_NEEDLE + 1)}
        candidates = [row for start in starts & set(self._needles) for row in self._needles[start].items()]
        return {name for needle, name in candidates if needle in text}


def private_material(world: World) -> dict[str, str]:
    """Return each private key of keyrings, replicas and endpoints in plain, a piece a line, and its encrypted form."""
    pieces: dict[str, str] = {}
    places = {world.keys: PASSPHRASE, world.folder / "replica-1": PASSPHRASE, world.folder / "endpoint-1": ENDPOINT_PASSPHRASE}
    for path, passphrase in ((path, word) for folder, word in places.items() for path in folder.rglob("*.pem")):
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
        assert isinstance(key, rsa.RSAPrivateKey)
        for label, form in FORMS.items():
            plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
            pieces.update({f"{path} {label} {i}": line for i, line in enumerate(plain.decode().splitlines()[2:-2])})
        numbers = key.private_numbers()
        secret_numbers = {"p": numbers.p, "q": numbers.q, "d": numbers.d}
        pieces.update({f"{path} {name}": f"{value:x}" for name, value in secret_numbers.items()})
        pieces.update({f"{path} encrypted {i}": line for i, line in enumerate(path.read_text().splitlines()[6:-2])})
    return pieces


def secrets_of(world: World) -> dict[str, str]:
    """Return every secret of a world by name."""
    secrets = {f"token {waba}": world.fleet.token(waba) for waba in set(world.fleet.wabas.values())}
    secrets.update({
        f"proof {waba}": hmac.new(APP_SECRET.encode(), world.fleet.token(waba).encode(), hashlib.sha256).hexdigest()
        for waba in set(world.fleet.wabas.values())
    })
    secrets.update({f"old passphrase {name}": key.passphrase for name, key in world.fleet.old_keys.items()})
    return {
        **secrets, "app secret": APP_SECRET, "passphrase": PASSPHRASE, "endpoint passphrase": ENDPOINT_PASSPHRASE,
        **private_material(world), "the head of a private key": "PRIVATE KEY-----",
    }


class Watch(threading.Thread):
    """Reads, while a run goes on, the command lines of its processes, environments behind sshd, and short-lived files.

    Processes are the run's by the home folder that it is given, or by the sshd that they descend from.
    """

    def __init__(self, world: World, folders: t.Iterable[Path] = (), sshd: int | None = None) -> None:
        super().__init__(daemon=True)
        self.command_lines: set[str] = set()
        self.remote_environments: set[str] = set()
        self.files: dict[str, str] = {}
        self._home = f"HOME={world.folder / 'home'}\0".encode()
        self._folders = tuple(folders)
        self._remote = {sshd} if sshd else set()
        self._foreign: set[int] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            self._look_at_processes()
            for folder in self._folders:
                self.files.update(texts_below(folder))
            time.sleep(0.02)

    def _look_at_processes(self) -> None:
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in self._foreign):
            path = Path("/proc", str(pid))
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split(maxsplit=2)[1])
                environment, line = (path / "environ").read_bytes(), (path / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue  # it ended meanwhile
            if parent in self._remote:
                self._remote.add(pid)
                self.remote_environments.add(_words(environment))
            elif self._home not in environment:
                if pid not in self._remote:
                    self._foreign.add(pid)
                continue
            self.command_lines.add(_words(line))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self.join()


def _words(value: bytes) -> str:
    return value.replace(b"\0", b" ").decode(errors="replace")


def texts_below(folder: Path) -> dict[str, str]:
    """Return the text of each file below a folder, by its path."""
    found = {}
    for path in [Path(base, name) for base, dummy, names in os.walk(folder) for name in names]:
        try:
            if path.is_file():
                found[str(path)] = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it was removed meanwhile
    return found


class Places:
    """Where a run can leave a secret, set up so that it can be looked at afterwards."""

    def __init__(self, world: World, sshd: int | None = None) -> None:
        self.world = world
        self.sshd = sshd
        self.folder = world.folder / "places"
        for name in ("plugins", "site", "local", "remote", "tmp", "events"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(EVENTS, self.folder / "plugins")
        (self.folder / "site" / "sitecustomize.py").write_text(SYSLOG, encoding="utf-8")
        world.environment.update({name: str(value) for name, value in self._environment().items()})

    def _environment(self) -> dict[str, str | Path]:
        folder = self.folder
        return {
            "ANSIBLE_LOG_PATH": folder / "ansible.log",
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": folder / "facts",
            "ANSIBLE_RETRY_FILES_ENABLED": "true", "ANSIBLE_RETRY_FILES_SAVE_PATH": folder / "retry",
            "ANSIBLE_CALLBACK_PLUGINS": folder / "plugins", "EVERY_EVENT_FILE": folder / "events" / "all",
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,ansible.builtin.tree,every_event",
            "JUNIT_OUTPUT_DIR": folder / "junit", "ANSIBLE_CALLBACK_TREE_DIR": folder / "tree",
            "ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "true", "ANSIBLE_DISPLAY_TRACEBACK": "always",
            "ANSIBLE_LOCAL_TEMP": folder / "local", "ANSIBLE_REMOTE_TEMP": folder / "remote", "TMPDIR": folder / "tmp",
            "PYTHONPATH": folder / "site", "CANARY_SYSLOG": folder / "syslog",
        }

    def outputs(self) -> dict[str, str]:
        """Return variables of the role that have it write whatever it can write on the control node."""
        return {f"encryption_keys_{name}_path": str(self.folder / f"output.{name}") for name in ("report", "page", "metrics")}

    def watch(self) -> Watch:
        """Return a watch over the run that is about to start."""
        return Watch(self.world, [self.folder / name for name in ("local", "remote", "tmp")], self.sshd)

    def found(self, run: Run, watch: Watch) -> dict[str, str]:
        """Return by place all that there is to be searched. What is empty was not used, or is not written."""
        folder, world = self.folder, self.world
        own = {world.keys, world.folder / "replica-1", *(endpoint.keys for endpoint in world.endpoints.values())}
        state = {path: text for base in own for path, text in texts_below(base).items() if not path.endswith(".pem")}
        texts = {
            "standard output": run.output,
            "command lines": "\n".join(watch.command_lines),
            "environment on hosts behind ssh": "\n".join(watch.remote_environments),
            "temporary files while it runs": _joined(watch.files),
            "state of keyrings, manifests, reports": _joined(state),
            "home folder": _joined(texts_below(world.folder / "home")),
        }
        names = {
            "log file": "ansible.log", "system log": "syslog", "report": "output.report", "page": "output.page",
            "metrics": "output.metrics", "fact cache": "facts", "retry files": "retry", "JUnit files": "junit",
            "tree files": "tree", "events": "events",
            "temporary files of the control node": "local", "temporary files of the hosts": "remote",
            "other temporary files": "tmp",
        }
        for place, name in names.items():
            path = folder / name
            texts[place] = path.read_text(errors="replace") if path.is_file() else _joined(texts_below(path))
        return texts


def _joined(texts: t.Mapping[str, str]) -> str:
    return "\n".join(f"{path}\n{text}" for path, text in texts.items())


def leaks(texts: t.Mapping[str, str], secrets: t.Mapping[str, str]) -> dict[str, set[str]]:
    """Return by place the names of the secrets that it holds; places with none are left out."""
    scanner = Scanner(secrets)
    found = {place: scanner.find(text) for place, text in texts.items()}
    return {place: names for place, names in found.items() if names}
