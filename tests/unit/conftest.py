# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the collection and the sandbox importable from a checkout, and gives keys, a sandbox and a clock."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _make_collection_importable() -> None:
    """Under ansible-test the collection is there already; elsewhere a link gives the checkout the name it needs."""
    try:
        importlib.import_module("ansible_collections.waba.flows.plugins.module_utils._errors")
        return
    except ImportError:
        pass
    tree = ROOT / ".build" / "tree"
    link = tree / "ansible_collections" / "waba" / "flows"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # made before, or by another worker just now
        link.symlink_to(ROOT, target_is_directory=True)
    sys.path.insert(0, str(tree))
    for name in [name for name in sys.modules if name.split(".")[0] == "ansible_collections"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    package = importlib.import_module("ansible_collections")
    if str(tree / "ansible_collections") not in list(package.__path__):  # a package of that name is installed as well
        package.__path__.append(str(tree / "ansible_collections"))


def _make_sandbox_importable() -> None:
    """Load tests.sandbox by its file, since a package named tests from elsewhere may come first on the path."""
    if "tests.sandbox" in sys.modules:
        return
    sys.path.append(str(ROOT))
    importlib.import_module("tests")
    folder = ROOT / "tests" / "sandbox"
    spec = importlib.util.spec_from_file_location(
        "tests.sandbox", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["tests.sandbox"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["tests.sandbox"])


_make_collection_importable()
_make_sandbox_importable()

from ansible_collections.waba.flows.plugins.module_utils import _apply, _http  # noqa: E402
from ansible_collections.waba.flows.tests.unit.helpers import Clock, KeyPair, Keys  # noqa: E402
from tests.sandbox import Sandbox, make_state  # noqa: E402

# What the person who runs the tests has set must not reach them.
_ENVIRONMENT = (
    "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_ACCESS_TOKENS", "WHATSAPP_APP_SECRET", "WHATSAPP_USERNAME",
    "WHATSAPP_PASSWORD", "WHATSAPP_SID", "WHATSAPP_API_KEY", "WHATSAPP_APP_ID", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "WHATSAPP_KEYRING_PASSPHRASE", "WHATSAPP_ENDPOINT_PASSPHRASE",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Four RSA-2048 key pairs."""
    return Keys(*(KeyPair.generate() for dummy in range(4)))


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox with one number, which has no key."""
    with Sandbox(make_state(1)) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """A clock that only sleeping moves."""
    return Clock()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries and looks are as good as none."""
    monkeypatch.setattr(_http, "_FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(_apply, "_FIRST_LOOK_AGAIN", 0.01)
