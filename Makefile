# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
SLOW ?= tests/slow tests/unit tests/integration
RESULTS = .build/results
AWX = .build/awx
RELEASE ?= .build/release
AUDIT = .build/audit
MATRIX ?=

.DELETE_ON_ERROR:
.PHONY: help demo test unit integration slow fuzz soak floors audit-deps promises awx browser lint sanity matrix galaxy ee licenses docs bench bench-full build clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/ready: tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, '$(PYTHON)' is not: install it, or name it with 'make PYTHON=python3.12 …'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian: python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing what tests and demo need from PyPI into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt || { \
	  echo "PyPI could not be reached, or a package is missing there: check the network and pip's settings." >&2; exit 1; }
	@touch $@

$(VENV)/ready-lint: tests/requirements-lint.txt $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-lint.txt
	@touch $@

$(AWX)/ready: tests/requirements-awx.txt $(VENV)/ready
	@echo "Getting the collection awx.awx from PyPI into $(AWX) …"
	@$(BIN)/python tests/awx/collection.py $< $(AWX)
	@touch $@

$(VENV)/ready-fuzz: tests/requirements-fuzz.txt $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-fuzz.txt
	@touch $@

$(VENV)/ready-bench: tests/requirements-bench.txt $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-bench.txt
	@touch $@

demo: $(VENV)/ready ## Rotate the keys of a fleet of 24 numbers, with a sandbox as the API and two endpoints
	@$(BIN)/python tests/demo/demo.py

test: $(VENV)/ready ## Run the tests
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow" --junitxml=$(RESULTS)/test.xml tests/unit tests/integration tests/awx

unit: $(VENV)/ready ## Run the unit tests alone
	$(BIN)/python -m pytest -n $(JOBS) tests/unit

integration: $(VENV)/ready ## Run the integration tests alone
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow" tests/integration

slow: $(VENV)/ready ## Run the tests that take long: processes killed at each step, clients with cached keys, whole stories
	$(BIN)/python -m pytest -n $(JOBS) -m slow --junitxml=$(RESULTS)/slow.xml $(SLOW)

fuzz: $(VENV)/ready-fuzz ## Feed the parsers garbage for ten minutes, guided by the coverage
	$(BIN)/python -m pytest --junitxml=$(RESULTS)/fuzz.xml tests/fuzz

soak: $(VENV)/ready ## Rotate 500 numbers 200 times while one request in thirty fails
	$(BIN)/python -m pytest --junitxml=$(RESULTS)/soak.xml tests/soak

floors: $(VENV)/ready ## Run unit tests with the lowest versions that are allowed, on the oldest Pythons that have them
	$(BIN)/python tests/tools/floors.py --jobs $(JOBS)

$(AUDIT)/ready: tests/requirements-audit.txt
	$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-audit.txt
	@touch $@

audit-deps: $(AUDIT)/ready ## Ask a vulnerability service, where one can be reached, about the libraries that are needed
	$(AUDIT)/bin/python tests/tools/audit_deps.py $(AUDIT)/bin/pip-audit

promises: $(VENV)/ready ## Make docs/promises.md from the results of test, slow, fuzz and soak
	$(BIN)/python tests/tools/promises.py $(wildcard $(RESULTS)/*.xml)

awx: $(VENV)/ready $(AWX)/ready ## Run awx_setup against a server that speaks AWX's API
	$(BIN)/python -m pytest -n $(JOBS) tests/awx

browser: $(VENV)/ready ## Drive the page of a report in Debian's chromium, where there is one
	$(BIN)/python -m pytest tests/browser

lint: $(VENV)/ready-lint ## Run ruff, mypy, ansible-lint, shellcheck and antsibull-changelog
	PATH="$(abspath $(BIN)):$$PATH" tests/tools/lint.sh

sanity: $(VENV)/ready ## Run ansible-test sanity on a copy of the checkout
	PATH="$(abspath $(BIN)):$$PATH" tests/tools/ansible_test.sh sanity

matrix: ## Run sanity, units and some integration tests with each ansible-core that is supported; MATRIX="--cores 2.16" chooses
	$(PYTHON) tests/tools/matrix.py --jobs $(JOBS) $(MATRIX)

$(RELEASE)/ready: tests/requirements-release.txt
	$(PYTHON) -m venv $(RELEASE)
	@$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-release.txt
	@touch $@

galaxy: $(RELEASE)/ready ## Build the tarball, check what is in it, and import it as Galaxy does
	$(RELEASE)/bin/python tests/tools/galaxy.py .build/galaxy

ee: $(RELEASE)/ready ## See what ansible-builder makes of the collection
	$(RELEASE)/bin/python tests/tools/execution_environment.py .build/ee

licenses: $(RELEASE)/ready ## Check that every file says whose it is and under which licence
	$(RELEASE)/bin/reuse lint

docs: $(RELEASE)/ready ## Check the documentation, and build the site into .build/docs/html
	PATH="$(abspath $(RELEASE)/bin):$$PATH" tests/tools/docs.sh

bench: $(VENV)/ready-bench ## Measure what the collection costs beside other ways, in under ten minutes
	$(BIN)/python -m tests.benchmarks --quick

bench-full: $(VENV)/ready-bench ## The same with up to 20,000 numbers and more rounds, in under 90 minutes
	$(BIN)/python -m tests.benchmarks

build: $(VENV)/ready ## Build the collection's tarball into dist
	$(BIN)/ansible-galaxy collection build --output-path dist --force

clean: ## Remove what make made
	rm -rf $(VENV) .ansible .build .demo .mypy_cache .pytest_cache .ruff_cache dist
