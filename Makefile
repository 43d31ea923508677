# `make quickstart` and `make test` set everything up by themselves, without root: a virtual environment in .venv, JAX for the accelerator found.
# Variables: PYTHON (an interpreter >= 3.11), ACCELERATOR (cpu, cuda or tpu; found by itself), ARGS (handed on to the script or to pytest),
# WORKERS (of the tests, 2).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Processes of the tests: one keeps one core busy and grows to several GB of compiled programs.
WORKERS ?= 2
CODE := mjx_skillmimic scripts configs tests notebooks setup.py

# Being on the path is not enough: version managers leave commands that exist and fail, so each candidate is run.
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$python; break; }; done)
ACCELERATOR ?= $(shell nvidia-smi -L 2>/dev/null | grep -q GPU && echo cuda || echo cpu)
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)

comma := ,
ACCELERATOR_EXTRA := $(filter cuda tpu,$(ACCELERATOR))
RUN_EXTRAS := $(if $(ACCELERATOR_EXTRA),[$(ACCELERATOR_EXTRA)])
DEV_EXTRAS := [dev$(if $(ACCELERATOR_EXTRA),$(comma)$(ACCELERATOR_EXTRA))]
INSTALL := $(if $(UV),uv pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check)

# One stamp for each set of packages: what is installed is not asked again until pyproject.toml changes.
RUN_STAMP := $(VENV)/.installed-$(ACCELERATOR)
DEV_STAMP := $(VENV)/.installed-dev-$(ACCELERATOR)

.PHONY: help quickstart test lint format docs-check notebooks clean

help: ## show these lines
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

quickstart: $(RUN_STAMP) ## install, train on one of our own clips, evaluate, draw: results under runs/quickstart/
	$(BIN)/python scripts/quickstart.py $(ARGS)

test: $(DEV_STAMP) ## install, ruff, then every test
	$(BIN)/ruff check $(CODE)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: $(DEV_STAMP) ## ruff (rules and format) and mypy
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

format: $(DEV_STAMP) ## let ruff rewrite the code
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

docs-check: $(DEV_STAMP) ## links, files, make targets and figure data named in the documentation exist
	$(BIN)/python scripts/check_docs.py

notebooks: $(DEV_STAMP) ## run the notebooks at reduced size, results under runs/notebooks/; ARGS=--full for their own sizes
	$(BIN)/python scripts/run_notebooks.py $(ARGS)

clean: ## remove the virtual environment, caches and builds; runs/ is kept
	rm -rf $(VENV) .cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis MUJOCO_LOG.TXT
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -n "$(UV)" ]; then uv venv --quiet --python '>=3.11,<3.14' $(VENV); \
	elif [ -z "$(PYTHON)" ]; then \
		echo "No Python >= 3.11 runs here. Install one, or uv (https://docs.astral.sh/uv), or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) has no venv module (on Debian and Ubuntu: the package python3-venv). Install it, or uv, or name another Python: make PYTHON=..." >&2; exit 1; \
	else echo "Virtual environment in $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); fi

$(RUN_STAMP): pyproject.toml setup.py | $(BIN)/python
	@echo "Installing mjx_skillmimic$(RUN_EXTRAS) into $(VENV) (accelerator: $(ACCELERATOR)); a few minutes the first time"
	$(INSTALL) --quiet -e '.$(RUN_EXTRAS)'
	@touch $@

$(DEV_STAMP): pyproject.toml setup.py | $(BIN)/python
	@echo "Installing mjx_skillmimic$(DEV_EXTRAS) into $(VENV) (accelerator: $(ACCELERATOR)); a few minutes the first time"
	$(INSTALL) --quiet -e '.$(DEV_EXTRAS)'
	@touch $@ $(RUN_STAMP)
