# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site; tests/tools/docs.sh puts its sources together."""

project = "waba.flows"
copyright = "2026 The waba.flows authors"  # noqa: A001 (Sphinx wants this name)
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "sphinx_ansible_theme"
html_title = "waba.flows"
highlight_language = "text"
myst_heading_anchors = 3
# Built without a network: the references to Ansible's own documentation stay text.
intersphinx_mapping: dict[str, tuple[str, None]] = {}
suppress_warnings = ["ref.envvar", "ref.ref"]
