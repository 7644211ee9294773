# Two commands matter: `make demo` and `make test`. Both set up what is missing and say so; all state is in .slipway/.
STATE := .slipway
PYTHON ?= python3
VENV := $(STATE)/venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow lint bench up down setup setup-dev system system-dev lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## from a fresh clone to a signed, promoted release that a consumer uses
	@$(BIN)/slipway demo

test: setup-dev ## every check: lint, types, import contracts, unit and integration tests
	@$(BIN)/python -m pytest -q -m "not slow"

test-slow: setup-dev ## what takes long: a whole release killed at every stage boundary
	@$(BIN)/python -m pytest -q -m slow

lint: setup-dev ## format, lint, types and import contracts only
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: setup-dev ## measure against peers, print tables
	@$(BIN)/python -m bench

up: setup ## start the embedded stack
	@$(BIN)/slipway up

down: ## stop what was started
	@if [ -x $(BIN)/slipway ]; then $(BIN)/slipway down; fi

system:
	@$(PYTHON) -m release.tools.system install

system-dev:
	@$(PYTHON) -m release.tools.system install --tests

setup: system $(VENV)/.runtime

setup-dev: system-dev $(VENV)/.dev

$(VENV)/bin/python:
	@echo "virtual environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make one; install python3-venv: sudo apt-get install python3-venv" >&2; exit 2; }

# --no-deps: the lock file is the whole list, so that nothing outside it can come in.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "python packages: requirements.lock ($$(grep -c '^[a-z].*==' requirements.lock) packages, pinned by hash)"
	@$(BIN)/pip install -q --no-deps --require-hashes -r requirements.lock 2>$(STATE)/pip.log || { tail -20 $(STATE)/pip.log >&2; exit 1; }
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e . 2>>$(STATE)/pip.log || { tail -20 $(STATE)/pip.log >&2; exit 1; }
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "python packages: requirements-dev.lock ($$(grep -c '^[a-z].*==' requirements-dev.lock) packages, pinned by hash)"
	@$(BIN)/pip install -q --no-deps --require-hashes -r requirements-dev.lock 2>$(STATE)/pip.log || { tail -20 $(STATE)/pip.log >&2; exit 1; }
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e . 2>>$(STATE)/pip.log || { tail -20 $(STATE)/pip.log >&2; exit 1; }
	@touch $@ $(VENV)/.runtime

lock: $(VENV)/bin/python ## resolve the dependencies anew and pin them by hash
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --universal --no-header --no-emit-index-url --generate-hashes --upgrade pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --no-header --no-emit-index-url --generate-hashes --upgrade --extra dev pyproject.toml -o requirements-dev.lock

clean: ## stop everything and remove every trace of it
	@if [ -x $(BIN)/slipway ]; then $(BIN)/slipway down --remove; fi
	@awk -v below="$(CURDIR)/$(STATE)/" 'index($$2, below) == 1 {print $$2}' /proc/mounts | xargs -r umount
	@rm -rf $(STATE) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
