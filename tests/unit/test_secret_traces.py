# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in what libraries and Ansible write by themselves: logs, the system's log, results of errors that nobody foresaw."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import typing as t
from contextlib import redirect_stderr, redirect_stdout

import pytest
from ansible.module_utils import basic

from ansible_collections.waba.flows.plugins.module_utils import _module
from ansible_collections.waba.flows.plugins.module_utils._argspec import FLEET_SPEC
from ansible_collections.waba.flows.plugins.module_utils._errors import WabaError
from ansible_collections.waba.flows.plugins.module_utils._host_argspec import KEYRING_SPEC, Spec
from ansible_collections.waba.flows.plugins.module_utils._http import Deadline, HttpClient, HttpOptions, Job, Request, Transport

TOKEN = "EAAfake-token-of-a-log-0123456789"
ODD = ["p\"w'd with both quotes", "back\\slash", "line\nend", "tab\tand é", "plain-0123456789"]


@pytest.fixture
def broken_headers() -> t.Iterator[str]:
    """The URL of a server whose answer has a header line that is none, which quotes the request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                asked = connection.recv(65536).split(b"\r\n", 1)[0]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header but " + asked + b"\r\n\r\n{}")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


@pytest.mark.attack("secret", "malformed headers of an answer, which the HTTP library logs with the URL and a credential in it")
def test_the_http_library_logs_no_url(broken_headers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's log file is a handler of the root logger, which takes what any library logs from the level INFO on."""
    text = io.StringIO()
    root = logging.Logger("root", logging.INFO)
    root.addHandler(logging.StreamHandler(text))
    monkeypatch.setattr(logging.getLogger("urllib3"), "parent", root)
    http = HttpClient(Transport(), HttpOptions(5.0, 0, True), [TOKEN])
    http.call(Request("GET", broken_headers, query={"apikey": TOKEN}), lambda answer: None, Job(Deadline(5.0)))
    assert TOKEN not in text.getvalue()
    logging.getLogger("another").parent = root
    logging.getLogger("another").warning("kept")
    assert text.getvalue() == "kept\n"


@pytest.mark.attack("secret", "a proxy whose URL holds a password and is malformed or cannot be reached")
@pytest.mark.parametrize("proxy", [
    "http://user:{}@127.0.0.1:1", "http://user:{}@[bad", "http://user:{}@:99999", "user:{}@127.0.0.1:1", "http://user:{}",
    "socks5://user:{}@127.0.0.1:1", "http://user:{} x/y@127.0.0.1:1", "http:///user:{}@x", "http://user:{}@h:port",
])
def test_the_password_of_a_proxy_does_not_show(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.format("canary-of-a-proxy"))
    http = HttpClient(Transport(), HttpOptions(2.0, 0, True), [TOKEN])
    with pytest.raises(WabaError) as caught:
        http.call(Request("GET", "https://api.example.invalid"), lambda answer: None, Job(Deadline(5.0)))
    assert "canary" not in f"{caught.value} {caught.value.as_dict()}"


class Log:
    """Runs a module of a spec in this process, and keeps what it would write to the system's log, and its output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        self._patch, self._tmp = monkeypatch, tmp_path
        self.lines: list[str] = []
        monkeypatch.setattr(basic.syslog, "syslog", lambda *args: self.lines.append(str(args[-1])))
        monkeypatch.setattr(basic, "has_journal", False)

    def run(self, spec: Spec, arguments: dict[str, t.Any], work: t.Callable[..., dict[str, t.Any]]) -> str:
        given = {**arguments, "_ansible_remote_tmp": str(self._tmp), "_ansible_keep_remote_files": False}
        self._patch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
        self._patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output), pytest.raises(SystemExit):
            _module.run_module(spec, work)
        return output.getvalue()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Log:
    return Log(monkeypatch, tmp_path)


@pytest.mark.attack("secret", "passwords with quotes, backslashes and line ends in a list, which modules write to the system log")
@pytest.mark.parametrize("secret", ODD)
def test_the_system_log_has_no_secret_of_a_number(log: Log, secret: str) -> None:
    row = {"phone_number_id": "1", "provider": "on_premises", "username": "admin", "password": secret}
    output = log.run(FLEET_SPEC, {"phone_numbers": [row]}, lambda params, check_mode: {"changed": False})
    (line,) = [line for line in log.lines if "phone_numbers" in line]
    assert "admin" in line
    for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert form not in line
        assert form not in output


@pytest.mark.attack("secret", "functions of each module, of the filter and of the inventory plugin raise errors that quote all "
                              "that they were given, at -vvvv and with tracebacks")
@pytest.mark.parametrize("secret", ODD)
def test_an_error_that_nobody_foresaw_tells_its_place_and_not_its_text(log: Log, secret: str) -> None:
    def work(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        raise KeyError(f"within {params}")

    output = log.run(KEYRING_SPEC, {"passphrase": secret}, work)
    result = json.loads(output)
    assert result["failed"]
    assert "An unexpected KeyError stopped the work (work in test_secret_traces.py:" in result["msg"]
    assert secret not in output
    assert repr(secret)[1:-1] not in output
