# Fillrate. `make` lists what there is.
# AWS_PORT, RPC_PORT, LOCALNET_ARGS and POOLS reach `up`; ARGS reaches `test`; FILE and CHILDREN reach `mutants`; PYTHON chooses the
# interpreter of .venv.

.DEFAULT_GOAL := help
.PHONY: help up down logs test lint mutants bench soak redrive package faults splits programs localstack npm-tools audit lock sbom web screenshots models lines coverage release protocol regressions

export AWS_PORT RPC_PORT LOCALNET_ARGS POOLS PYTHON

RUN := .venv/bin/python
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check --no-compile --require-hashes --no-build-isolation
INSTALL := infra/local_stack/install.sh $(RUN)
AUDIT := .venv-audit/bin
NPM_PROJECTS := tests/specs testing/sdk web

help:
	@echo "make up       start the local stack, deploy, trade once live (again: redeploy changed code)"
	@echo "              AWS_PORT=4566 RPC_PORT=8899 LOCALNET_ARGS='--chain tower' POOLS=registry.json"
	@echo "make down     stop what 'make up' started; orders and wallet stay in .local"
	@echo "make logs     follow the chain's, the emulator's and the functions' logs"
	@echo "make redrive  send dead letters back after an outage: a new order for each that failed, never two"
	@echo "make test     run all tests (ARGS='tests/unit -x'), on an emulator of their own; with npm, its tools are installed for them"
	@echo "make coverage measure which lines the tests in process run; fails below the floor in pyproject.toml"
	@echo "make lint     format, types, layers, templates"
	@echo "make mutants  change the code that decides about money and count which changes the tests notice (two hours or so);"
	@echo "              FILE=chalicelib/routing/split.py is one file's, CHILDREN=1 takes one core"
	@echo "make protocol check the never-twice protocol's model in every state, and that each planted mistake is found (needs SPIN);"
	@echo "              ARGS='\"lagging\"' runs the checks with that in their name"
	@echo "make lines    the product's lines of code by package (REV=v1.0.0: at a revision)"
	@echo "make bench    time quotes, next to the official SDKs' where Node and npm's packages are (make npm-tools);"
	@echo "              time and count orders, price what they cost on AWS, simulate what limits them, time pushes under attack"
	@echo "              (alone: -m bench.orders, bench.cost, bench.scaling, bench.routing, bench.landing, bench.push_lag). Written to build/bench;"
	@echo "              RECORD=1: to bench/results, which is committed; so does 'make soak'"
	@echo "make regressions  count and time a few orders, and compare with bench/results: a fifth more calls, units or bytes fails"
	@echo "make faults   kill, drop, expire, duplicate, then audit; FAULTS_SEED=n replays, FAULTS_SCALE=short is quicker,"
	@echo "              FAULTS_CHAIN=tower is the chain before Alpenglow"
	@echo "make splits   beside 10,000 random splits of each market, none of which may pay more (SPLITS=n)"
	@echo "make programs run the tests that 'make test' skips, on the venues' real bytecode (FILLRATE_PROGRAMS=DIR: CONTRIBUTING.md)"
	@echo "make localstack  deploy to LocalStack's own core and trade there, where Python 3.12 or 3.13 is (docs/deploy.md)"
	@echo "make soak     steady orders under light faults (MINUTES=3), then every order compared with the chain; memory"
	@echo "make models   write the client's models of the service's answers from its documents: client/fillrate/schemas.py"
	@echo "make web      build the page from web/ into chalicelib/web, which is committed (needs npm)"
	@echo "make screenshots  take the pictures in docs/images again (needs Chromium)"
	@echo "make package  build what is deployed: build/package"
	@echo "make audit    known vulnerabilities (where their database is reached), licences, unused packages, the templates' safety"
	@echo "make sbom     what is deployed, and what builds and tests it, as CycloneDX: build/sbom"
	@echo "make release  check, test and build what this commit would be released as; tags and pushes nothing (docs/release.md)"
	@echo "make lock     after a change of a requirements*.in: pin every package with its hashes (UPGRADE=--upgrade: the newest)"

up: .venv/.local
	@$(RUN) -m infra.local up

down:
	@if [ -x $(RUN) ]; then $(RUN) -m infra.local down; else echo "nothing was running"; fi

logs: .venv/.local
	@$(RUN) -m infra.local logs

# Three processes on two cores: those that use a running stack wait for it half of their time. tests/running_order.py has what
# runs in which.
test: .venv/.dev npm-tools
	@$(RUN) -m pytest -n 3 --dist loadgroup $(ARGS)

# Apart from `test`: measuring slows these tests by two thirds, and doesn't see the processes of the others. Hypothesis' profile
# ci has no deadline, which a measured test would miss, and the same examples each time.
coverage: .venv/.dev npm-tools
	@$(RUN) -m pytest tests/unit tests/integration tests/client -n 2 --dist loadfile --hypothesis-profile ci --cov --cov-report=term $(ARGS)

lint: .venv/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports --no-logo
	$(RUN) -m infra.package --stage prod --output build/lint --template-only
	.venv/bin/cfn-lint infra/deployment/data.yaml infra/deployment/monitoring.yaml infra/deployment/waf.yaml build/lint/template.json

splits: .venv/.dev
	@SPLITS=$${SPLITS:-10000} $(RUN) -m pytest tests/unit/test_many_candidates.py -rA $(ARGS)

faults: .venv/.dev
	@export FAULTS_SCALE=$${FAULTS_SCALE:-full} FAULTS_SEED=$${FAULTS_SEED:-$$(date +%s)}; \
	echo "FAULTS_SEED=$$FAULTS_SEED FAULTS_SCALE=$$FAULTS_SCALE"; $(RUN) -m pytest tests/faults tests/e2e/test_turns.py -rA $(ARGS)

# Nothing is skipped here: a file that is missing, or too old, is a failure.
programs: .venv/.dev
	@test -n "$(FILLRATE_PROGRAMS)" || { echo "make programs FILLRATE_PROGRAMS=DIR; CONTRIBUTING.md says what the folder holds"; exit 2; }
	@FILLRATE_PROGRAMS="$(abspath $(FILLRATE_PROGRAMS))" $(RUN) -m pytest -m real_programs $(ARGS)

# Skipped, and said so, where LocalStack can't be installed.
localstack: .venv/.dev
	@if infra/localstack/create_venv.sh; then FILLRATE_LOCALSTACK=1 $(RUN) -m pytest tests/localstack -rA $(ARGS); \
	else echo "make localstack: SKIPPED, nothing was run"; fi

redrive: .venv/.local
	@.venv/bin/fillrate redrive $(if $(STAGE),--stage $(STAGE))

lines: .venv/bin/python
	@$(RUN) -m quality.lines $(REV)

protocol: .venv/.dev
	@$(RUN) -m quality.protocol $(ARGS)

mutants: .venv/.dev
	@$(RUN) -m quality.mutants $(FILE) $(if $(CHILDREN),--children $(CHILDREN))

bench: .venv/.dev
	@for bench in bench bench.orders bench.cost bench.scaling bench.routing bench.landing bench.push_lag; do $(RUN) -m $$bench $(if $(RECORD),--record) || exit 1; done

# A short run: calls, units and bytes don't depend on its length, and times warn only.
regressions: .venv/.dev
	@$(RUN) -m bench.orders --orders 10 --at-once 20 --counted 12 && $(RUN) -m bench.regressions

soak: .venv/.dev
	@$(RUN) -m bench.soak --minutes $(or $(MINUTES),3) $(if $(RECORD),--record)

models: .venv/.local
	@$(RUN) -m quality.code_generation client

web: .venv/.local web/node_modules/.package-lock.json
	@$(RUN) -m quality.code_generation schemas web/build/schemas.json
	@npm run --prefix web --silent types
	@npm run --prefix web --silent build

screenshots: .venv/.dev
	@$(RUN) -m tests.browser.screenshots

package: .venv/.local
	@$(RUN) -m infra.package --stage prod --output build/package

audit: .venv/.dev .venv-audit/.done
	@$(RUN) -m quality.audit

# Chalice's runtime is in the zip too, put there by Chalice itself.
sbom: .venv-audit/.done
	@mkdir -p build/sbom
	@{ cat requirements.txt; sed -n '/^chalice==/,/[^\]$$/p' requirements-local.txt; } > build/sbom/deployed.txt
	@$(AUDIT)/cyclonedx-py requirements build/sbom/deployed.txt --sv 1.6 --of JSON --output-reproducible -o build/sbom/deployed.json
	@$(AUDIT)/cyclonedx-py requirements requirements-dev.txt --sv 1.6 --of JSON --output-reproducible -o build/sbom/development.json
	@rm build/sbom/deployed.txt
	@ls build/sbom/*.json

release: .venv/.dev .venv-audit/.done
	@$(RUN) -m quality.release

LOCK_NOW := $(AUDIT)/uv pip compile --quiet --generate-hashes --no-header --no-annotate $(UPGRADE)
LOCK := $(LOCK_NOW) --universal --python-version 3.11
lock: .venv-audit/.done
	@for part in "" -local -dev -audit -build; do $(LOCK) requirements$$part.in -o requirements$$part.txt || exit 1; done
	@$(LOCK_NOW) --python-version 3.12 requirements-localstack.in -o requirements-localstack.txt

# Two steps, because `up` needs a third of what `test` needs. Made again when the requirements change.
.venv/bin/python:
	@echo "creating .venv"
	@infra/local_stack/create_venv.sh

.venv/.local: .venv/bin/python requirements-build.txt requirements-local.txt client/pyproject.toml
	@echo "installing what the local stack needs"
	@$(INSTALL) -r requirements-build.txt
	@$(INSTALL) -r requirements-local.txt
	@$(RUN) -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation -e client
	@touch $@

.venv/.dev: .venv/.local requirements-dev.txt
	@echo "installing what the tests need"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# What tests and the page's build need of npm; npm writes the file itself when it is done. Without npm, or without its registry,
# the tests that need it are skipped, and say so.
npm-tools: $(if $(shell command -v npm),$(NPM_PROJECTS:%=%/node_modules/.package-lock.json))

$(NPM_PROJECTS:%=%/node_modules/.package-lock.json): %/node_modules/.package-lock.json: %/package-lock.json
	@echo "installing npm's packages in $*"
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@ || \
		echo "npm's packages can't be installed in $*: tests that need them are skipped"

.venv-audit/.done: .venv/bin/python requirements-audit.txt
	@echo "installing what the audit needs"
	@test -x $(AUDIT)/python || $(RUN) -m venv .venv-audit
	@$(AUDIT)/python $(PIP_INSTALL) --only-binary :all: -r requirements-audit.txt
	@touch $@
