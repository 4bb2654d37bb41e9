# netci. `make demo` and `make test` install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
ROUNDS ?= 10
OUTAGE ?=
NAME ?=
WORKERS ?= 2

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
	@tools/packages git curl postgresql rabbitmq-server openssh-server openssh-client chromium nginx-light gcc make libc6-dev xz-utils rsync bubblewrap clang lld llvm sparse ccache bc flex bison libelf-dev libssl-dev libcap-dev libmnl-dev shellcheck yamllint pylint codespell patatt python3-yaml python3-jsonschema dt-schema linux-source-6.1 qemu-system-x86 busybox-static iproute2 iputils-ping kmod procps python3-minimal mawk openipmi ipmitool ethtool kexec-tools python3

demo: setup ## the whole road on practice servers; ONCE=1 ends with a table, SEED=n varies it
	@$(BIN)/python -m services --log warning demo --seed $(SEED) $(if $(ONCE),--once)

run: setup ## all rooms in one process, with ./netci.toml
	@$(BIN)/python -m services up

test: setup-dev packages ## every test (WORKERS=n at a time), with real PostgreSQL, RabbitMQ, OpenSSH and Chromium
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: setup-dev ## format, lint, import contracts, types, fast tests: green at every commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not slow'

format: setup-dev ## what `check` wants of layout
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What a bench needs besides git.
needs_apply := linux-source-6.1 xz-utils
needs_road := postgresql
needs_sync := postgresql
needs_sse := postgresql
needs_results := postgresql
needs_idle := postgresql
needs_web := postgresql chromium
needs_build := linux-source-6.1 xz-utils bubblewrap gcc make libc6-dev bc flex bison libelf-dev libssl-dev ccache sparse clang lld llvm
needs_checks := linux-source-6.1 xz-utils bubblewrap perl codespell shellcheck yamllint pylint python3-yaml python3-jsonschema
needs_schedule := openssh-client
needs_boot := socat qemu-system-x86 busybox-static openssh-server openssh-client iproute2 iputils-ping kmod procps python3-minimal mawk bubblewrap
needs_verdicts := $(needs_checks) postgresql

bench: setup-dev ## NAME=apply|mail|road|sync|ktap|oops|sse|results|web|idle|checks|verdicts|build|schedule|boot: a figure against its peer, as JSON in the last line
	@tools/packages git $(needs_$(NAME))
	@$(BIN)/python -c 'import tests.bench.$(NAME) as b; b.main()'

chaos: setup-dev packages ## ROUNDS=n SEED=n: kill everything at random; OUTAGE=2m: Patchwork in each trouble for so long; EXECUTORS=n: what befalls machines and executors, n rounds of each
	@$(if $(EXECUTORS),tools/packages faketime && $(BIN)/python -m tests.chaos.executors --rounds $(EXECUTORS),$(BIN)/python -m tests.chaos $(if $(OUTAGE),--outage $(OUTAGE),--rounds $(ROUNDS))) --seed $(SEED)

acceptance: setup-dev packages ## the main job on the kernel source, rooms apart as in compose.yaml; then kernels built, booted and tested in guests
	@tools/packages libnuma-dev socat kexec-tools
	@$(BIN)/python -m tests.acceptance
	@$(BIN)/python -m tests.acceptance.guests
