# The README's commands. Needs Python 3.11 or newer and nothing else; all that is installed lands in .venv/.
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# On two cores: tests of check wait more than they compute; those of test have servers of their own in each process;
# those of soak compute more, and some hold a clock.
CHECK_JOBS ?= 4
JOBS ?= 3
SOAK_JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --dist worksteal -n

# A shell may forbid Python to keep what it has compiled. Hundreds of tests start an interpreter, and each would
# compile everything again: it is kept within .venv/.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode

.PHONY: help demo check test soak chaos kubernetes fuzz setup lint lock sbom bench docs clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: .venv/.installed ## install everything into .venv/

.venv/.installed: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "setting up .venv/ (first time only; torch is large)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --require-hashes --requirements requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

demo: setup ## stream the sample posts through a local Kafka, Redis and the worker
	@$(BIN)/moderate demo

# Types beside the tests: each keeps one core busy for most of the time that this takes.
check: setup ## lint, types, and every test that needs neither a server nor torch
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy & types=$$!; $(PYTEST) $(CHECK_JOBS) --tier check; tests=$$?; wait $$types && exit $$tests

test: check ## check, and each promise once, against a real Kafka and Redis
	@$(PYTEST) $(JOBS) --tier test

soak: setup ## everything else: chaos, upgrades, alerts on real faults, the commands of the documentation
	@$(PYTEST) $(SOAK_JOBS) --tier soak

chaos: setup ## break workers, broker and Redis at random and count every post; SEED=1 MINUTES=3
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

kubernetes: setup ## apply, update, drain and back-fill on a real control plane, which Go builds first: once, for many minutes
	@sh tests/kubernetes/build.sh --keda >/dev/null
	@$(BIN)/python -m pytest -n 0 --kubernetes --timeout 900 tests/kubernetes

fuzz: setup ## read a million inputs that nobody thought of; INPUTS=1000000 SEED=0 TARGETS="records pictures"
	@$(BIN)/python -m tests.fuzz $(TARGETS) $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock: ## resolve the pinned ranges anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
		--no-emit-find-links --generate-hashes --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

sbom: setup ## write sbom.cdx.json (CycloneDX): all that requirements.lock names, with hashes
	@$(BIN)/uv tool run --quiet --from "cyclonedx-bom>=7.1,<8" cyclonedx-py requirements requirements.lock \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-format JSON \
		--output-file sbom.cdx.json
	@echo sbom.cdx.json

bench: setup ## measure the stream, its peers and three brokers: bench/results/, tables and plots
	@$(BIN)/python -m bench

docs: setup ## build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "site/index.html"

clean: ## stop local stacks and remove what make made
	@test ! -x $(BIN)/moderate || $(BIN)/moderate stack down
	rm -rf .venv .stack .stack-demo site .mypy_cache .ruff_cache .pytest_cache
