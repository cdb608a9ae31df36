#!/usr/bin/env bash
# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Check the documentation of modules and role, and build the site into .build/docs/html; any warning is an error.

set -euo pipefail
cd "$(dirname "$0")/../.."

work=$PWD/.build/docs
rm -rf "$work"
mkdir -p "$work"
# As users get it, so that what the tarball lacks is missed here; and outside of the checkout, as antsibull-docs checks nothing in
# folders that git ignores, and says that all is well.
installed=$(mktemp -d)
trap 'rm -rf "$installed"' EXIT
python tests/install.py "$installed"
export ANSIBLE_COLLECTIONS_PATH=$installed
collection=$installed/ansible_collections/waba/flows

echo "antsibull-docs: check"
antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self --disallow-unknown-collection-refs "$collection"

echo "antsibull-docs: pages of modules, plugins and the role"
source=$work/source
mkdir -p "$source/collections"
antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$source/collections" waba.flows

cp "$collection"/docs/docsite/{conf.py,index.md} "$collection"/docs/*.* "$source"
cp -r "$collection/docs/examples" "$source"
for role in "$collection"/roles/*; do
  cp "$role/README.md" "$source/role-$(basename "$role").md"
done

echo "sphinx"
sphinx-build --quiet --fail-on-warning --keep-going --builder html "$source" "$work/html"
for page in index getting-started role-encryption_keys collections/index collections/whatsapp_business_encryption_module; do
  test -s "$work/html/$page.html"
done
echo "The site is $work/html/index.html."
