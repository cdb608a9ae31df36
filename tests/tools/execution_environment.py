# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what ansible-builder makes of the collection and of the example: C(python tests/tools/execution_environment.py FOLDER).

Runs with the Python of an environment that has ansible-builder. No image is built: that takes a container engine and a registry.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.install import install  # noqa: E402

BUILDER = str(Path(sys.executable).parent / "ansible-builder")
EXAMPLE = ROOT / "docs" / "examples" / "execution-environment.yml"
OWNER = "  # from collection waba.flows"


def requirements(name: str) -> list[str]:
    """Return the lines of a file of requirements in meta, without comments."""
    text = (ROOT / "meta" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def introspected(folder: Path) -> dict[str, list[str]]:
    """Return what ansible-builder finds in the installed collection, by the file that it is to come from."""
    install(folder / "collections")
    pip, bindep = folder / "pip.txt", folder / "bindep.txt"
    subprocess.run([BUILDER, "introspect", str(folder / "collections"), "--write-pip", str(pip), "--write-bindep", str(bindep)],
                   check=True)
    return {"ee-requirements.txt": pip.read_text().splitlines(), "ee-bindep.txt": bindep.read_text().splitlines()}


def created(folder: Path) -> str:
    """Return the Containerfile of the example, and with it what is to be installed from Galaxy."""
    context = folder / "context"
    subprocess.run([BUILDER, "create", "--file", str(EXAMPLE), "--context", str(context), "--output-filename", "Containerfile"],
                   check=True)
    return (context / "Containerfile").read_text() + (context / "_build" / "requirements.yml").read_text()


def main() -> None:
    """Fail unless all is found and nothing else."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, found in introspected(folder).items():
        wanted = [line + OWNER for line in requirements(name)]
        if sorted(found) != sorted(wanted) or not wanted:
            raise SystemExit(f"ansible-builder finds {found}, meta/{name} says {wanted}.")
    text = created(folder)
    for pattern in (r'^ARG ANSIBLE_INSTALL_REFS="ansible-core>=', r"^FROM base AS final$", r"^- name: waba\.flows$"):
        if not re.search(pattern, text, re.MULTILINE):
            raise SystemExit(f"The example's context lacks '{pattern}':\n{text}")
    print("ansible-builder finds what the collection needs, and makes a context of the example.")


if __name__ == "__main__":
    main()
