# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job for real: a sandbox as the API, this machine as vault host and as host of two endpoints, 24 numbers in 3 WABAs.

Run it with C(make demo). Everything it makes lies in .demo of the checkout, or in the folder that is named as its argument;
what it started it stops.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fleet import Endpoint, Fleet, example_fleet, fingerprint_of, local_vault, start_sandbox  # noqa: E402

DEMO = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / ".demo"
REPORT = DEMO / "report.txt"
PAGE = DEMO / "audit.html"
PASSPHRASE = "a-demo-passphrase-that-protects-nothing"
ENDPOINT_PASSPHRASE = "another-demo-passphrase-for-the-endpoints"


def say(text: str = "") -> None:
    """Print a line and keep it in the report."""
    print(text, flush=True)
    with REPORT.open("a", encoding="utf-8") as report:
        report.write(text + "\n")


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n=== {text} ===\n")


class Api:
    """The sandbox, in a process of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self._process, self.base_url = start_sandbox(DEMO, fleet)

    def ask(self, path: str, method: str = "GET") -> t.Any:
        """Call the sandbox's control interface."""
        request = urllib.request.Request(f"{self.base_url}/_sandbox/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stop(self) -> None:
        """End the sandbox's process."""
        self._process.terminate()
        self._process.wait(10)


def show_state(api: Api, fleet: Fleet) -> None:
    """Print which key each number holds, as the API knows it, with a word for each key."""
    words = {key.fingerprint: f"old key '{name}'" for name, key in fleet.old_keys.items()}
    words[fleet.foreign_key.fingerprint] = "a key nobody here knows"
    numbers = api.ask("state")["numbers"]
    for name, identity in fleet.numbers.items():
        pem = numbers[identity]["business_public_key"]
        fingerprint = fingerprint_of(pem) if pem else "no key"
        status = numbers[identity]["signature_status"]
        say(f"{name}  {identity}  WABA {fleet.wabas[name]}  {status:8}  {fingerprint}  {words.get(fingerprint, '')}".rstrip())


def playbook(api: Api, name: str, *arguments: str, expect: int) -> str:
    """Run a playbook of the installed collection, or one of the demo's, and stop the demo if it ends otherwise than expected."""
    command = ["ansible-playbook", "-i", str(DEMO / "inventory.json"), name, *arguments]
    say("$ " + " ".join(command).replace(str(ROOT) + os.sep, ""))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(DEMO / "collections"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_NOCOWS": "1",
        "WHATSAPP_KEYRING_PASSPHRASE": PASSPHRASE,
        "WHATSAPP_ENDPOINT_PASSPHRASE": ENDPOINT_PASSPHRASE,
    }
    api.ask("requests", method="DELETE")
    started = time.monotonic()
    run = subprocess.run(
        command, cwd=DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    say(run.stdout.strip())
    posts = sum(request["method"] == "POST" for request in api.ask("requests"))
    took = time.monotonic() - started
    say(f"\nThat took {took:.1f} s, {posts} POST{'' if posts == 1 else 's'} reached the API, exit status {run.returncode}.")
    if run.returncode != expect:
        raise SystemExit(f"The demo expected exit status {expect}. Please report this with {REPORT}.")
    return run.stdout


def prepare(fleet: Fleet) -> None:
    """Make the demo's folder: the collection installed from its tarball, and the old private keys as they were found."""
    if DEMO.exists() and not (DEMO / "report.txt").exists() and any(DEMO.iterdir()):
        raise SystemExit(f"{DEMO} is not a folder of this demo; it is left alone.")
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "found").mkdir(parents=True, mode=0o700)
    for name, key in fleet.old_keys.items():
        (DEMO / "found" / f"{name}.pem").write_bytes(key.private_pem)
    subprocess.run([sys.executable, str(ROOT / "tests" / "install.py"), str(DEMO / "collections")], check=True)


def run_demo(api: Api, fleet: Fleet, endpoints: list[Endpoint]) -> None:
    """The story, step by step."""
    good, broken = endpoints
    good.start()
    broken.start(keys=DEMO / "wrong-folder")
    inventory = fleet.inventory(api.base_url, local_vault())
    hosts = {endpoint.name: endpoint.inventory() for endpoint in endpoints}
    inventory["all"]["children"]["whatsapp_endpoints"] = {"hosts": hosts}
    inventory["all"]["vars"] = {"encryption_keys_path": str(DEMO / "keys"), "encryption_keys_prove_timeout": 4}
    (DEMO / "inventory.json").write_text(json.dumps(inventory, indent=2), encoding="utf-8")
    rotate = "waba.flows.rotate"
    force = ("-e", "encryption_keys_force=true")

    title("The fleet as it was found")
    show_state(api, fleet)
    title("Day 1: import the keys that are in use, so that they are not lost")
    passphrases = {f"{name}_passphrase": key.passphrase for name, key in fleet.old_keys.items()}
    (DEMO / "passphrases.json").write_text(json.dumps(passphrases), encoding="utf-8")
    playbook(api, str(ROOT / "tests" / "demo" / "import.yml"), "-e", f"@{DEMO / 'passphrases.json'}",
             "-e", f"found={DEMO / 'found'}", expect=0)
    title("What would a rotation do? (check mode: not one POST)")
    playbook(api, rotate, *force, "--check", "--diff", expect=2)
    title("Rotate now: endpoint-2 was started with a wrong folder and misses the key, so nothing is published")
    playbook(api, rotate, *force, expect=2)
    pending = current_key("pending")
    title("Mend endpoint-2, then the same command: all but the foreign number, which is refused, so the run ends failed")
    broken.stop()
    broken.start()
    playbook(api, rotate, *force, expect=2)
    if current_key("current") != pending:
        raise SystemExit("The rotation did not go on with the same key.")
    say(f"It went on with the same key: {pending}")
    title("The fleet after the rotation")
    show_state(api, fleet)
    title("Again, as a schedule would: nothing changes, not one POST")
    playbook(api, rotate, expect=2)
    title("Allow the foreign key to be replaced, by its fingerprint")
    allowed = json.dumps({"encryption_keys_replaceable_fingerprints": [fleet.foreign_key.fingerprint]})
    playbook(api, rotate, "-e", allowed, expect=0)
    title("The fleet at the end")
    show_state(api, fleet)
    title("Audit: what each number holds, and whether the endpoints decrypt it; with a page for the browser")
    outputs = {"encryption_keys_page_path": str(PAGE), "encryption_keys_report_path": str(DEMO / "audit.json"),
               "encryption_keys_metrics_path": str(DEMO / "audit.prom")}
    playbook(api, "waba.flows.audit", "-e", json.dumps(outputs), expect=0)
    title("On the vault host, and on the endpoint hosts")
    paths = [path for folder in (DEMO / "keys", good.keys, broken.keys) for path in folder.rglob("*")]
    for path in sorted(paths):
        say(f"{oct(path.stat().st_mode & 0o7777)}  {path.relative_to(DEMO)}")


def current_key(state: str) -> str:
    """Return the fingerprint of the key of our own numbers that is in a state."""
    keyring = json.loads((DEMO / "keys" / "default" / "keyring.json").read_text(encoding="utf-8"))
    return str(next(one["fingerprint"] for one in keyring["generations"] if one["state"] == state))


def main() -> None:
    """Run the demo; stop sandbox and endpoints whatever happens."""
    fleet = example_fleet()
    prepare(fleet)
    api = Api(fleet)
    endpoints = [Endpoint(name, DEMO, ENDPOINT_PASSPHRASE) for name in ("endpoint-1", "endpoint-2")]
    try:
        run_demo(api, fleet, endpoints)
    finally:
        for endpoint in endpoints:
            endpoint.stop()
        api.stop()
    print(f"\nAll of this is in {REPORT}. Inventory, keyrings and the reports of the runs (keys/report-*.json) lie beside it.")
    print(f"The fleet as a page for the browser: {PAGE}")


if __name__ == "__main__":
    main()
