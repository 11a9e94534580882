# Everything runs in .venv, which is built from requirements.lock and rebuilt when the lock changes.

.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first Python that is new enough; PYTHON=/path/to/python overrides it.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$name >/dev/null 2>&1 \
	&& $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$name && break; done)
endif

.PHONY: help run demo test test-slow test-install faults attack cluster audit sbom migrate-many lint format data-model openapi manifests clients dashboards bench profile node schemas venv many-rows docs image wheel

help:
	@echo "make run    serve on this machine: servers, migrations, demo catalogue, on new data one purchase; until Ctrl-C"
	@echo "make demo   one purchase on free ports, then stop; nothing is left behind"
	@echo "make test   the suite, but for what takes minutes"
	@echo "make faults the long fault campaign on each broker, and the flood, some 50 minutes; its tables go into docs/faults.md"
	@echo "make attack what strangers may try, each beside a control, some 15 minutes; ATTACKS='some words' for those with all of these in their names"
	@echo "make cluster what the loss of each part does to three hosts, some 30 minutes, as root; SCENARIO='some words' for those with all of these in their names"
	@echo "make test-slow  what takes minutes: single faults, floods, each benchmark in short"
	@echo "make test-install  the image, the wheel and compose.yaml run whole, some five minutes; the image as root on Debian 12; WAYS='image' for one of image, installed, compose"
	@echo "make audit  known holes in what the lock pins; make sbom lists what runs in production"
	@echo "make migrate-many  migrates PAYMENTS=1000000 beside traffic, and says how long it took and who waited longest"
	@echo "make many-rows  what lists, claims, sweeps and pruning take with ROWS=10000000 webhooks beside 100,000, and in parts"
	@echo "make lint   ruff, mypy, import contracts"
	@echo "make format ruff puts the code into its form and sorts the imports"
	@echo "make data-model  write docs/data-model.md from the models and a migrated database"
	@echo "make openapi  write docs/openapi.json, the document of a release, from the routes"
	@echo "make manifests  write deploy/kubernetes from the Helm chart and the values beside it"
	@echo "make clients  write clients/openapi.json from the routes, and what is generated of it; the TypeScript part needs node"
	@echo "make dashboards  write deploy/observability/grafana/*.json from panels/*.yaml beside them"
	@echo "make docs   builds docs/ as a site, into .site"
	@echo "make wheel  builds the wheel of this checkout, into dist/"
	@echo "make image  builds the image, by docker, podman or buildah"
	@echo "make bench  all figures of docs/performance.md, some 40 minutes; FIGURES='receive drain' for a few of them, AGAINST=COMMIT beside that one"
	@echo "make profile flame pictures of web and worker under the webhook receiver's load"
	@echo "make node   what tests run in node: linters of the API's document, public packages for receivers; and node itself, where it is missing"
	@echo "make schemas  the schemas of bank statements that tests compare with, into .schemas"
	@echo "make help   this list"

run: venv
	@exec .venv/bin/python -m checkout_service.local run

demo: venv
	@exec .venv/bin/python -m checkout_service.local demo

# A run a core, each with servers of its own; the tests of one file stay together, and so does what they share.
test: venv
	@exec .venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# BROKER=redis or amqp for one of them; FAULTS='a few words' for the faults whose names contain them.
BROKER ?=
FAULTS ?=

faults: venv
	@exec .venv/bin/python -m tests.faults $(if $(BROKER),--broker $(BROKER)) $(FAULTS)

# BROKER=amqp for RabbitMQ; ATTACKS='some words' for the attacks whose names contain all of them.
ATTACKS ?=

attack: venv
	@exec .venv/bin/python -m tests.attack $(if $(BROKER),--broker $(BROKER)) $(ATTACKS)

# SCENARIO='some words' for the scenarios whose names contain all of them. What it needs is named in tests/cluster/hosts.py.
SCENARIO ?=

cluster: venv
	@exec .venv/bin/python -m tests.cluster $(SCENARIO)

test-slow: venv
	@exec .venv/bin/python -m pytest -m slow

# What a shop installs, whole: make test has a short cut of each. WAYS='image installed' for some of the three.
WAYS ?= image installed compose

test-install: venv
	@exec .venv/bin/python -m pytest -m slow $(foreach way,$(WAYS),$(WAY_$(way)))

WAY_image := tests/deploying/test_image.py
WAY_installed := tests/packaging/test_installed_whole.py
WAY_compose := tests/deploying/test_compose.py

# 1,000,000 payments of the release before, migrated while purchases go on, down and up again; some ten minutes.
PAYMENTS ?= 1000000

migrate-many: venv
	@PAYMENTS=$(PAYMENTS) .venv/bin/python -m pytest -s -m slow tests/migrations/test_entries_of_what_is_there.py

audit: venv
	@exec .venv/bin/python -m tests.supply_chain audit

# Written to sbom.cdx.json, as CycloneDX.
sbom: venv
	@exec .venv/bin/python -m tests.supply_chain sbom

# 10,000,000 webhooks on a server of its own, then turned into parts; some 20 minutes and 10 GB under TMPDIR.
ROWS ?= 10000000

many-rows: venv
	@ROWS=$(ROWS) .venv/bin/python -m pytest -s -m slow tests/many_rows/test_figures.py

lint: venv
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: venv
	@.venv/bin/ruff check --select I --fix .
	@.venv/bin/ruff format .

data-model: venv
	@WRITE_DATA_MODEL=1 .venv/bin/python -m pytest tests/migrations/test_data_model.py

openapi: venv
	@WRITE_OPENAPI=1 .venv/bin/python -m pytest tests/api/test_breaking_changes.py

manifests: venv
	@WRITE_MANIFESTS=1 .venv/bin/python -m pytest tests/deploying/test_plain_manifests.py

dashboards: venv
	@.venv/bin/python deploy/observability/dashboards.py

clients: venv
	@.venv/bin/python -m clients.make

# mkdocs takes the pages' own word for what is missing: a link that leads nowhere fails it.
docs: venv
	@PYTHONPATH=. NO_MKDOCS_2_WARNING=1 .venv/bin/python -W ignore::DeprecationWarning -m mkdocs --quiet build --config-file deploy/docs/mkdocs.yml

# Of a copy of what git knows: an older build/ would be packed as well.
wheel: venv
	@exec .venv/bin/python -m tests.supply_chain wheel --to dist

# What it is made of, then the image itself: the first half needs a network, Debian 12 and Python 3.11.
image: venv
	@deploy/image/prepare.sh .venv/bin/python
	@deploy/image/build.sh

# Arguments for benchmarks/: names of figures, and --quick for seconds instead of minutes.
FIGURES ?=
# AGAINST=6e664bb measures some of them beside that commit, which is laid out and built in a folder of its own.
AGAINST ?=

bench: venv
	@exec .venv/bin/python -m benchmarks $(FIGURES) $(if $(AGAINST),--against="$(AGAINST)")

profile: venv
	@exec .venv/bin/python -m benchmarks.profile

# Into .node and clients/typescript, by locks. Without it the tests that run something in node are skipped.
node:
	@PYTHON="$(PYTHON)" tests/node/install.sh

schemas: venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
		--require-hashes --upgrade --target .schemas -r tests/schemas/schemas.lock

# The stamp is written last and names what the environment was built from, so an interrupted build, another lock,
# a moved folder or another Python all lead to a fresh one.
venv:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1). Install it, or run make PYTHON=..." >&2; \
		exit 1; \
	fi; \
	inputs=$$($(PYTHON) -c 'import hashlib, os, sys; \
		print(hashlib.sha256(open("requirements.lock", "rb").read()).hexdigest(), sys.version_info[:2], os.getcwd())') \
		|| exit 1; \
	if [ "$$(cat .venv/built-from 2>/dev/null)" = "$$inputs" ]; then exit 0; fi; \
	echo "Building .venv from requirements.lock; this happens once."; \
	rm -rf .venv || exit 1; \
	if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv .venv && pip=".venv/bin/python -m pip"; \
	elif $(PYTHON) -c 'import pip' 2>/dev/null; then \
		$(PYTHON) -m venv --without-pip .venv && pip="$(PYTHON) -m pip --python .venv/bin/python"; \
	else \
		echo "$(PYTHON) has neither ensurepip nor pip; on Debian: apt install python3-venv" >&2; exit 1; \
	fi || exit 1; \
	$$pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock || exit 1; \
	printf '%s\n' '#!/bin/sh' '# checkout, of the checkout that this environment is in.' \
		'root=$$(cd "$$(dirname "$$0")/../.." && pwd)' \
		'PYTHONPATH=$$root$${PYTHONPATH:+:$$PYTHONPATH} exec "$$root/.venv/bin/python" -P -m checkout_service.command_line "$$@"' \
		> .venv/bin/checkout && chmod +x .venv/bin/checkout || exit 1; \
	echo "$$inputs" > .venv/built-from
