# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, sandboxes and a client. The conftest of the folder above has made tests.sandbox importable."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.waba.flows.tests.unit.sandbox.drivers import Client, call, start_program
from tests.sandbox import Sandbox, make_mixed_state, make_state


@pytest.fixture(scope="session")
def pems():
    """Public keys by name: two good ones, and what the API must refuse."""
    def public(key, form=PublicFormat.SubjectPublicKeyInfo):
        return key.public_key().public_bytes(Encoding.PEM, form).decode()

    good, other = (rsa.generate_private_key(65537, 2048) for dummy in range(2))
    pem = public(good)
    return {
        "good": pem,
        "other": public(other),
        "pkcs1": public(good, PublicFormat.PKCS1),
        "private": good.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "crlf": pem.replace("\n", "\r\n"),
        "escaped": pem.replace("\n", "\\n"),
        "cut": pem[:200] + "\n-----END PUBLIC KEY-----\n",
        "noise": "# a comment\n" + pem,
        "empty": "",
        "rsa1024": public(rsa.generate_private_key(65537, 1024)),  # noqa: S505 (to see it refused)
        "rsa4096": public(rsa.generate_private_key(65537, 4096)),
        "ec": public(ec.generate_private_key(ec.SECP256R1())),
    }


@pytest.fixture
def box():
    """A sandbox with three numbers of one WABA."""
    with Sandbox(make_state(3)) as running:
        yield running


@pytest.fixture
def mixed():
    """A sandbox with two accounts of every provider."""
    with Sandbox(make_mixed_state()) as running:
        yield running


@pytest.fixture
def client(box):
    """A client of `box`."""
    return Client(box)


@pytest.fixture
def request_to():
    """The plain request function, for a server that is not `box`."""
    return call


@pytest.fixture
def launch():
    """The function that starts the command line program."""
    return start_program
