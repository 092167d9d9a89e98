# "make help" lists the targets. Each needs nothing but Python 3.11+, make and the package indexes: what it misses it
# installs (as root on Debian or Ubuntu) or names.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-traffic test-exhaustive test-cluster test-cluster-long lint generate check-generated bench bench-planner \
        cluster-up cluster-down cluster-status tools deps crds-upgrade images package docs clean env

CHARTS := .venv/bin/vllm-charts
PYTEST := .venv/bin/python -m pytest
VALUES ?= values/models/tiny-cpu.yaml
ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: ## Make the Python environment (every other target does it first)
	@scripts/bootstrap.sh

demo: env ## Start a cluster, helm install a model, stream an answer (VALUES=values/models/...)
	@$(CHARTS) cluster demo --values $(VALUES)

test: test-fast test-traffic test-exhaustive test-cluster ## Run every test but the long ones

test-fast: env ## Run the tests that need no cluster and take little
	$(PYTEST) -n 2 --dist worksteal -m "not cluster and not traffic and not exhaustive" --ignore tests/cluster $(ARGS)

test-traffic: env ## Run the tests that send real traffic without a cluster: gateway, load generator
	$(PYTEST) -n 2 --dist worksteal -m traffic --ignore tests/cluster $(ARGS)

test-exhaustive: env ## Run the tests that try every case: each knob of both charts turned
	$(PYTEST) -n 2 --dist worksteal -m exhaustive --ignore tests/cluster $(ARGS)

test-cluster: env ## Run the tests on the local cluster
	$(PYTEST) -m "cluster and not long" tests/cluster $(ARGS)

test-cluster-long: env ## Run the tests on the local cluster that take long
	$(PYTEST) -m "cluster and long" tests/cluster $(ARGS)

lint: env ## Check style and types of the tooling, and lint the charts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(CHARTS) tools lint-charts

generate: env ## Write schemas, README tables and dashboards from their sources
	$(CHARTS) schema generate
	$(CHARTS) dashboards generate

check-generated: env ## Fail if a generated file does not match its source
	$(CHARTS) schema generate --check
	$(CHARTS) schema check
	$(CHARTS) dashboards generate --check

bench: env ## Measure renders and the fast tests against their budgets
	$(CHARTS) bench renders $(ARGS)

bench-planner: env ## Score the planner on measured cases
	$(CHARTS) plan bench $(ARGS)

cluster-up: env ## Start the local cluster
	@$(CHARTS) cluster up $(ARGS)

cluster-down: env ## End the local cluster and remove everything of it
	@$(CHARTS) cluster down

cluster-status: env ## Show the local cluster
	@$(CHARTS) cluster status

tools: env ## Build all pinned Go tools into the cache
	$(CHARTS) tools build

deps: env ## Fetch the dependencies of charts/llm-platform (ARGS="--from DIR" without internet)
	$(CHARTS) deps fetch $(ARGS)

crds-upgrade: env ## Bring the custom resource definitions of a cluster to the pinned versions
	$(CHARTS) deps crds-upgrade $(ARGS)

images: env ## List every image that the charts use, for sites without internet
	@$(CHARTS) release images $(ARGS)

package: env ## Package the charts into dist/
	@$(CHARTS) release package $(ARGS)

docs: env ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict

clean: ## Remove what was built in this tree (caches outside it stay)
	rm -rf dist site .artifacts .pytest_cache .ruff_cache .mypy_cache
