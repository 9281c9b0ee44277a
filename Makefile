# Every command of the repository; `make help` lists them. State lives in .local/, or in ASSAY_LOCAL_DIR for the stack's.
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PY := .local/venv/bin/python
VENV := deploy/local/venv.sh
export PYTHONPATH := $(CURDIR):$(CURDIR)/gen
# What a person says to pytest or to the admin command, say `make test ARGS="-k csv -x"`.
ARGS ?=
NAME ?=
# Without an environment there is nothing to stop or to look at, and none is made for that; $(1) is the exit status, 0 if not given.
STARTED = if [ ! -x $(PY) ]; then echo "The stack was never started; make up."; exit $(or $(1),0); fi;

.PHONY: help
help: ## list every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

.PHONY: up
up: venv ## start the whole stack on loopback, or bring a running one up to date; returns when it answers
	@$(PY) -m deploy.local.protos
	@$(PY) -m deploy.local up

.PHONY: down
down: ## stop the stack; the data stays
	@$(STARTED) $(PY) -m deploy.local down

.PHONY: status
status: ## tell what runs, with pids and addresses
	@$(STARTED) $(PY) -m deploy.local status

.PHONY: logs
logs: ## show the newest log lines and follow them in a terminal; NAME=runner-1 for one process
	@$(STARTED) $(PY) -m deploy.local logs $(NAME)

.PHONY: restart
restart: ## restart one process: NAME=runner-1
	@$(call STARTED,1) $(PY) -m deploy.local restart $(NAME)

.PHONY: admin
admin: ## make workspaces and keys, name a judge: ARGS="judge set --workspace ..."; without ARGS its help
	@$(call STARTED,1) $(PY) -m deploy.local admin $(ARGS)

.PHONY: demo
demo: up ## evaluate two versions of an answerer on 303 questions; TARGET=<openai base url> MODEL=<name> for your own
	@$(PY) -m deploy.demo $(if $(TARGET),--target "$(TARGET)") $(if $(MODEL),--model "$(MODEL)")

.PHONY: test
test: dev ## run every test against real servers; ARGS="-k csv -x" goes to pytest
	@$(PY) -m pytest -n 4 --no-loadscope-reorder $(ARGS)

.PHONY: chart-test
chart-test: dev ## lint, render, validate and examine the Kubernetes chart; ARGS goes to pytest
	@tests/chart/tools.sh
	@ASSAY_CHART_TOOLS=.local/chart $(PY) -m pytest -n 2 tests/chart $(ARGS)

.PHONY: bench
bench: dev ## print how fast it is on this machine; asserts nothing
	@$(PY) -m tests.bench $(ARGS)

.PHONY: lint
lint: dev ## ruff, mypy --strict and buf
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy services shared gateway deploy tests
	@.local/venv/bin/buf lint gen/assay.pb#format=binpb --config protos/buf.yaml

.PHONY: format
format: dev ## format the code and fix what ruff can fix
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

.PHONY: protos
protos: venv ## generate gen/ (stubs and the gateway's descriptor set) from protos/
	@$(PY) -m deploy.local.protos

.PHONY: openapi
openapi: venv ## write the OpenAPI document of the whole gateway to gen/openapi.json, and the page that shows it to gen/docs.html
	@$(PY) -m deploy.local.protos
	@$(PY) -m gateway.openapi --descriptor gen/assay.pb --out gen

.PHONY: stubs
stubs: dev ## build the stubs for internal gRPC clients as a wheel in .local/stubs/
	@$(PY) -m deploy.local.stubs

.PHONY: lock
lock: dev ## compile the locks from pyproject.toml; UPGRADE=1 takes newer versions
	@.local/venv/bin/uv pip compile $(LOCK) --extra embedded --extra model -o deploy/requirements.lock pyproject.toml
	@.local/venv/bin/uv pip compile $(LOCK) --all-extras -c deploy/requirements.lock -o deploy/requirements-dev.lock pyproject.toml
	@.local/venv/bin/uv pip compile $(LOCK) -o deploy/requirements-chart.lock tests/chart/tools.in
	@.local/venv/bin/uv pip compile $(LOCK) -c deploy/requirements.lock -o deploy/docker/service.lock pyproject.toml
	@for group in build gateway; do .local/venv/bin/uv pip compile $(LOCK) -c deploy/requirements.lock -o deploy/docker/$$group.lock --group $$group; done
LOCK := --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --python-version 3.11 $(if $(UPGRADE),--upgrade)

.PHONY: image
image: ## build the images of the last commit: BUILDER=docker|buildah IMAGE= TAG= BASE= WHEELS= BUILD_FLAGS=
	@deploy/docker/build.sh service gateway

.PHONY: cluster-test
cluster-test: dev ## run the images against Postgres and three NATS servers: kills, restarts, a migration; as root; ARGS="--rounds 3"
	@$(PY) -m tests.cluster $(ARGS)

.PHONY: chaos
chaos: dev ## kill, wipe, pause, stop Postgres, hold 2,000 streams, by the hundred: about 90 minutes; ARGS="--only kills --rounds 20"
	@$(PY) -m tests.chaos $(ARGS)

.PHONY: soak
soak: dev ## load and a kill a minute, then how memory and latency moved: DURATION=8h (s, m, h; 10m without it)
	@$(PY) -m tests.chaos.soak $(if $(DURATION),"$(DURATION)") $(ARGS)

.PHONY: clean
clean: ## stop the stack and remove its data, the environment and everything generated
	@if [ -x $(PY) ]; then $(PY) -m deploy.local down; fi
	rm -rf .local gen .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: venv dev
venv:
	@$(VENV) runtime
dev:
	@$(VENV) dev
	@$(PY) -m deploy.local.protos
