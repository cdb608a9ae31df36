#!/usr/bin/env bash
# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Run ansible-test from a checkout in any folder: ansible_test.sh sanity|units [arguments]
#
# ansible-test wants the collection below ansible_collections/waba/flows and takes no symbolic link, so it gets a copy.

set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy="$work/ansible_collections/waba/flows"
mkdir -p "$copy"
git ls-files -co --exclude-standard -z | tar --null -cf - -T - | tar xf - -C "$copy"
git -C "$copy" init --quiet
git -C "$copy" add --all

# It fetches pip's installer from a host other than PyPI; where that cannot be reached, this one stands in for it.
cache="$HOME/.ansible/test/cache"
mkdir -p "$cache"
for version in 25_2 24_2 23_1_2; do
  [ -e "$cache/get_pip_$version.py" ] || cp tests/tools/get_pip.py "$cache/get_pip_$version.py"
done

# pyenv's shims answer for versions that are not switched on, and ansible-test believes them: put the real ones first.
if command -v pyenv > /dev/null; then
  for bin in "$(dirname "$(dirname "$(readlink -f "$(command -v pyenv)")")")"/versions/3.*/bin; do
    PATH="$bin:$PATH"
  done
fi
PATH="$(dirname "$(command -v ansible-test)"):$PATH"
export PATH

cd "$copy"
command=$1
shift
ansible-test "$command" --color no "$@"
