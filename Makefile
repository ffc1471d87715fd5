# `make serve` and `make test` do the whole set-up on a machine that has Python 3.11 or 3.12 with venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --constraint constraints.txt
SOURCES := cluster deployments dllm_worker loadtest tests

.DEFAULT_GOAL := help
.PHONY: help setup serve test check golden full redis clients prometheus helm hadolint monitoring dashboards reference schema chaos load aiperf bench audit sbom protos format lock

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(STAMP)  ## create .venv with the pinned versions; done once

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) setuptools
	$(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

serve: setup  ## start the cluster on this machine
	$(BIN)/dllm up

check: setup  ## style, formatting and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/mypy

test: check helm  ## check, then every test
	$(BIN)/pytest -q -n 2 --dist loadgroup

golden: setup  ## replay every case of the reference data
	$(BIN)/python -m dllm_worker.golden tests/golden

full: golden redis clients prometheus helm hadolint monitoring  ## the slow tests: every golden case, state server and serving mode, fuzzing, other clients, the chart as processes, load
	$(BIN)/pytest -q -m full

helm: setup  ## fetch helm and kubectl, by which the tests render the chart
	.ci/helm

redis: setup  ## fetch a redis-server for the slow tests; the others run on Valkey
	.ci/redis

prometheus: setup  ## fetch prometheus and promtool for the slow tests of rules and dashboards
	.ci/prometheus

hadolint: setup  ## fetch the linter of the Dockerfile for its slow test
	.ci/hadolint

monitoring: setup  ## install models of the Prometheus operator's objects for the slow test of the chart's
	PYTHON=$(PYTHON) .ci/monitoring

dashboards: setup  ## write the Grafana dashboards of the chart again
	$(BIN)/python -m cluster.monitoring helm/dllm-cluster/dashboards

reference: setup  ## write docs/configuration.md again
	$(BIN)/python -m cluster.reference >docs/configuration.md

schema: setup  ## write the schema of the chart's values again
	$(BIN)/python -m cluster.chart_schema >helm/dllm-cluster/values.schema.json

clients: setup  ## install other projects' clients for the slow tests, each in an environment of its own
	PYTHON=$(PYTHON) .ci/clients

protos: setup  ## compile the definitions of the gRPC services again
	.ci/protos

chaos: setup  ## kill, freeze and cut off the parts of a cluster under load
	$(BIN)/pytest -q -m chaos tests/chaos
	$(BIN)/python -m loadtest.chaos

aiperf: setup  ## install another project's load generator, about a gigabyte, to compare with
	PYTHON=$(PYTHON) .ci/aiperf

load: setup  ## load the cluster that runs here; SCENARIO=ramp names another scenario
	$(BIN)/locust -f loadtest/locustfile.py --headless --only-summary \
	  --scenario loadtest/scenarios/$(or $(SCENARIO),two-minutes).yaml

audit: setup  ## look the pinned versions up in the databases of known vulnerabilities
	.ci/audit

sbom: setup  ## write dist/sbom.json, the bill of materials of .venv
	.ci/sbom

bench: setup  ## measure the engine, the cost of the stack, a flood of malformed requests, and a start from a fresh clone
	$(BIN)/python -m dllm_worker.bench
	$(BIN)/python -m loadtest.stack_cost
	$(BIN)/python -m loadtest.routing --replicas 8 --requests 480
	$(BIN)/python -m loadtest.noisy_neighbour
	$(BIN)/python -m loadtest.tenancy
	$(BIN)/python -m loadtest.tax
	$(BIN)/python -m loadtest.autoscaling
	$(BIN)/python -m loadtest.tracing_cost
	$(BIN)/python -m loadtest.scrape_cost
	$(BIN)/python -m loadtest.fresh_start
	$(BIN)/python -m loadtest.malformed

format: setup  ## rewrite the sources in the house format
	$(BIN)/ruff check --fix --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock:  ## resolve the ranges of pyproject.toml again and write constraints.txt
	PYTHON=$(PYTHON) .ci/lock
