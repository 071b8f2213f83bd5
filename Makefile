# Needs Python 3.11 and make, nothing else. Every target makes .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv-bench/.installed

.PHONY: help install run check prose test e2e soak bench clean lock overloads

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## make .venv from the lock file, with the surehook command in it

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Surehook needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

run: install ## start everything in this terminal: store, ingest, worker, dashboard
	@exec $(BIN)/surehook dev

check: install ## format, lint, types, layering and cycles
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

prose: install ## words and openings of docstrings, comments, log lines and documents (PLACE=docs for one folder)
	$(BIN)/python -m tools.check_prose $(PLACE)

test: install ## everything but the browser
	$(BIN)/pytest -n 4 --dist worksteal -m "not browser and not chaos"

e2e: install ## chaos and browser
	$(BIN)/pytest -m "browser or chaos" tests/e2e

SECONDS ?= 600
soak: install ## kill, stop and cut off everything at random for ten minutes (SECONDS=600, SEED=any)
	$(BIN)/python -m tests.support.soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

bench: install $(BENCH_INSTALLED) ## compare with baselines in the same run, into bench/RESULTS.md (PART=endpoint for one part)
	$(BIN)/python -m bench $(PART)

$(BENCH_INSTALLED): requirements-bench.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

lock: install ## resolve the lock files anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header -p 3.11 pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header -p 3.11 pyproject.toml --group dev -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header -p 3.11 --group pyproject.toml:bench -o requirements-bench.lock

overloads: install ## write the typed overloads of @on anew
	$(BIN)/python -m tools.generate_overloads

clean: ## remove what make made (never ./data or .env)
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
