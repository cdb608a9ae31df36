#!/usr/bin/env bash
# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# All linters, from a checkout in any folder.

set -euo pipefail
cd "$(dirname "$0")/../.."

tree=.build/tree
mkdir -p "$tree/ansible_collections/waba"
ln -sfn "$PWD" "$tree/ansible_collections/waba/flows"

echo "ruff"
ruff check .
echo "mypy"
MYPYPATH="$tree" mypy -p ansible_collections.waba.flows.plugins
MYPYPATH="$tree:tests/tools" mypy docs/examples docs/docsite tests/sandbox tests/awx tests/tools tests/conftest.py tests/fleet.py tests/install.py tests/documentation.py tests/demo tests/benchmarks tests/integration tests/model tests/slow tests/soak tests/browser tests/fuzz tests/unit/*.py
echo "ansible-lint"
ANSIBLE_COLLECTIONS_PATH="$PWD/$tree" ansible-lint --offline --profile production
echo "antsibull-changelog"
antsibull-changelog lint
if command -v shellcheck > /dev/null; then
  echo "shellcheck"
  shellcheck .ci/run tests/tools/*.sh tests/benchmarks/clients/*.sh
else
  echo "shellcheck is not installed: skipped"
fi
