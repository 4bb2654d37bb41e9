# netci. `make demo` and `make test` install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
ROUNDS ?= 10
OUTAGE ?=
NAME ?=

.PHONY: help setup setup-dev packages demo test check bench chaos acceptance run format

help: ## this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/run.stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "netci needs Python 3.11 or newer: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || tools/packages python3-venv
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@printf '#!/bin/sh\nPYTHONPATH="$(CURDIR)" exec "$(CURDIR)/$(BIN)/python" -m services "$$@"\n' >$(BIN)/netci && chmod +x $(BIN)/netci
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/run.stamp ## a virtual environment with what netci runs on
	@command -v git >/dev/null || tools/packages git

setup-dev: $(VENV)/dev.stamp ## and with what its tests need

packages: ## Debian packages that the tests need (as root; else it says what to install)
	@tools/packages git curl postgresql rabbitmq-server openssh-server openssh-client chromium nginx-light gcc make libc6-dev xz-utils rsync

demo: setup ## the whole road on practice servers; ONCE=1 ends with a table, SEED=n varies it
	@$(BIN)/python -m services --log warning demo --seed $(SEED) $(if $(ONCE),--once)

run: setup ## all rooms in one process, with ./netci.toml
	@$(BIN)/python -m services up

test: setup-dev packages ## every test, with real PostgreSQL, RabbitMQ, OpenSSH and Chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup-dev ## format, lint, import contracts, types, fast tests: green at every commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

format: setup-dev ## what `check` wants of layout
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-dev ## NAME=apply|road|sync|ktap|sse|results: a figure against its peer, as JSON in the last line
	@$(BIN)/python -c 'import tests.bench.$(NAME) as b; b.main()'

chaos: setup-dev packages ## ROUNDS=n SEED=n: kill everything at random; OUTAGE=2m: Patchwork in each trouble for so long
	@$(BIN)/python -m tests.chaos $(if $(OUTAGE),--outage $(OUTAGE),--rounds $(ROUNDS)) --seed $(SEED)

acceptance: setup-dev ## the main job on the kernel source, rooms apart, as compose.yaml says
	@tools/packages git postgresql rabbitmq-server openssh-server openssh-client chromium nginx-light gcc make libc6-dev libcap-dev rsync iproute2 linux-source-6.1 xz-utils
	@$(BIN)/python -m tests.acceptance
