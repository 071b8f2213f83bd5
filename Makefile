# Needs Python 3.11 and make, nothing else. Every target makes .venv first, and installs there what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME_INSTALLED := $(VENV)/.installed-runtime
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := .venv-bench/.installed
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help install run check prose test unit e2e mutants soak bench clean lock overloads sbom

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## make .venv with the surehook command, its runtime and all tools of this file

$(RUNTIME_INSTALLED): requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Surehook needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing Surehook's runtime into $(VENV) (about 30 s)…"; started=$$(date +%s); set -e; \
	$(PYTHON) -m venv $(VENV); \
	$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock; \
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation --no-deps -e .; \
	echo "Installed in $$(($$(date +%s) - started)) s."
	@touch $@

$(INSTALLED): requirements-dev.lock $(RUNTIME_INSTALLED)
	@echo "Installing the tools for tests and checks into $(VENV) (about 30 s)…"; started=$$(date +%s); set -e; \
	$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements-dev.lock; \
	echo "Installed in $$(($$(date +%s) - started)) s."
	@touch $@

run: $(RUNTIME_INSTALLED) ## start everything in this terminal: store, ingest, worker, dashboard
	@exec $(BIN)/surehook dev

check: install ## format, lint, types, layering and cycles, prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.check_prose

prose: install ## words and openings of docstrings, comments, log lines and documents (PLACE=docs for one folder)
	$(BIN)/python -m tools.check_prose $(PLACE)

test: install ## everything but chaos and browser
	$(BIN)/pytest -n 4 --dist worksteal -m "not browser and not chaos"

unit: install ## the unit tests alone (VENV=.venv-3.13 PYTHON=python3.13 for another Python)
	$(BIN)/pytest -n 4 tests/unit

e2e: install ## chaos and browser, and the transaction protocol and the order on random runs
	$(BIN)/pytest -n 2 --dist worksteal -m "browser or chaos" tests/e2e
	HYPOTHESIS_EXAMPLES=40 $(BIN)/pytest -n 2 --timeout 600 tests/integration/test_transaction_protocol.py \
		tests/integration/test_order_model.py

mutants: install ## run mutants of the store's scripts, each against the tests that must notice it (WORD=lease for some)
	$(BIN)/python -m tests.support.mutants $(WORD)

soak: install ## kill and cut off processes at random (SECONDS=600, SEED=any, EVENTS=1000000 go on until a million are accepted)
	$(BIN)/python -m tests.support.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(EVENTS),--events $(EVENTS))

bench: install $(BENCH_INSTALLED) ## compare with baselines in the same run, into bench/RESULTS.md (PART=endpoint for one part)
	$(BIN)/python -m bench $(PART)

$(BENCH_INSTALLED): requirements-bench.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) --require-hashes -r requirements-bench.lock
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header -p 3.11
lock: install ## resolve the lock files anew
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group pyproject.toml:build -o requirements-build.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	$(LOCK) --group pyproject.toml:bench -o requirements-bench.lock

sbom: install ## list the packages of an installation in sbom.json (CycloneDX), from requirements.lock
	$(BIN)/python -m tools.sbom

overloads: install ## write the typed overloads of @on anew
	$(BIN)/python -m tools.generate_overloads

clean: ## remove what make made (never ./data or .env)
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
