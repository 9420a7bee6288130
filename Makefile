# `make help` lists the targets. Variables: PORT, PROJECT_DIR, WSGI_APP, BACKEND, HTTP_PORT, PYTHON, PYTEST, BENCH_ON.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
# The kit's own command, deploy/kit: isolated (-I), so that no module of a project can take the place of its own.
KIT = $(call of_python,executable) -I deploy/kit
# It is started, since a shim of pyenv is there for versions that are not.
of_python = $(or $(shell $(PYTHON) -c 'import sys; print(sys.$(1))' 2>/dev/null), \
  $(error $(PYTHON) is not here, or does not start. Ropewalk needs Python 3.11 or newer))
# Such as cpython-313, or cpython-314t for the build without the GIL.
TAG = $(call of_python,implementation.cache_tag + sys.abiflags)
# The tests on another Python have an environment of their own: make test-compiled PYTHON=python3.12
ifeq ($(origin PYTHON),command line)
VENV ?= build/tests-$(TAG)
endif
VENV ?= .venv
BIN := $(VENV)/bin
# Arguments for pytest: make test PYTEST="tests/server -x". The tests of a file share fixtures, so they stay together;
# the files that wait for containers come first.
PYTEST ?= -n 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.locked
SHELL_SCRIPTS = .ci/run $(shell grep -lrE '^\#!.*bash|shellcheck shell=bash' deploy nginx compare tests/helpers/bin)
DOCKERFILES = $(shell find . -name Dockerfile -not -path './.*')

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do
	  printf '  \033[1m%-11s\033[0m %s\n' "$$name" "$$text"
	done

.PHONY: run
run: ## Serve the project on this machine, without Docker, at http://127.0.0.1:8080 (PORT=...).
	@exec $(KIT) run

.PHONY: dev
dev: ## Run the project in Docker for development: reloads, DEBUG on, mails caught in a page (DEV_PORT=8090).
	@exec $(KIT) dev

.PHONY: up
up: ## Build and start the kit in Docker, at http://localhost:8080 and https://localhost:8443; if it runs, deploy.
	@exec $(KIT) up $(RELEASE_OPTIONS)

# Options of the next two: DRY_RUN=1, FORCE=1, JSON=1, UNLOCK=1. With TARGET=swarm or kubernetes, also in .env: to that.
RELEASE_OPTIONS = $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--force) $(if $(JSON),--json) $(if $(UNLOCK),--unlock)

.PHONY: deploy
deploy: ## Build the images, and replace what runs without losing a request (DRY_RUN=1, FORCE=1, JSON=1, TARGET=swarm or kubernetes).
	@exec $(KIT) deploy $(RELEASE_OPTIONS)

.PHONY: rollback
rollback: ## Go back to the release before, or to another one, without losing a request (TO=tag).
	@exec $(KIT) rollback $(if $(TO),--to "$$TO") $(RELEASE_OPTIONS)

.PHONY: releases
releases: ## List the releases that `make rollback` can go to (JSON=1).
	@exec $(KIT) releases $(if $(JSON),--json)

.PHONY: setup
setup: ## Check a server, or this machine, for a site: make setup HOST=user@server (INSTALL=1: install Docker there).
	@exec $(KIT) setup

.PHONY: adopt
adopt: ## Look at a project, and write .env and .env.project for it: make adopt PROJECT=../shop (later: make adopt).
	@exec $(KIT) adopt $(if $(PROJECT),"$$PROJECT")

.PHONY: look
look: ## Print what the kit finds in the project, all variables that it reads included (PROJECT=../shop: in another one).
	@exec $(KIT) look $(if $(PROJECT),"$$PROJECT")

.PHONY: down
down: ## Stop what `make up` started. The data stays; `docker compose down -v` removes it too.
	@exec $(KIT) down $(if $(UNLOCK),--unlock)

.PHONY: logs
logs: ## Follow the containers' logs, merged (SERVICE=app, LEVEL=warning, ID=<request id>, SINCE=10m).
	@exec $(KIT) logs

.PHONY: why
why: ## Show one request's way and times through nginx and the server: make why ID=<the X-Request-ID of a response>.
	@exec $(KIT) why

.PHONY: doctor
doctor: ## Check the running site, with a mend for each finding (JSON=1: for programs).
	@exec $(KIT) doctor $(if $(JSON),--json)

.PHONY: status-page
status-page: ## Show the server's live status page, a port for each container, until Ctrl-C (ADMIN_PORT=9180).
	@exec $(KIT) status-page

.PHONY: render
render: ## Print the effective configuration and the origin of each value (WHAT="variables nginx server supervisor compose"; STACK=swarm or kubernetes: its files).
	@exec $(KIT) render

.PHONY: update
update: ## Build the images again on the newest packages of their base, then do as `make up`.
	@exec $(KIT) update

.PHONY: sbom
sbom: ## Write a bill of materials of each image, in sbom/ (CycloneDX).
	@exec $(KIT) sbom

.PHONY: sizes
sizes: ## Print the size of each image, and what it adds to its base.
	@exec $(KIT) sizes

.PHONY: prune
prune: ## Remove images, containers and networks of this project that nothing needs any more.
	@exec $(KIT) prune

.PHONY: remove
remove: ## Remove the project from Docker: containers, all its data, images. Asks first (FORCE=1: does not).
	@exec $(KIT) remove

.PHONY: manage
manage: ## Run the project's commands in the application's container: make manage CMD="createsuperuser" (Django, Flask).
	@exec $(KIT) manage

.PHONY: shell
shell: ## Open the project's Python shell in the application's container.
	@exec $(KIT) shell

.PHONY: dbshell
dbshell: ## Open the database's console in the application's container.
	@exec $(KIT) dbshell

.PHONY: prove
prove: ## Count what a site loses while it is deployed, rolled back, scaled, moved and hurt (6 minutes; QUICK=1: 2 minutes; FAULTS=1: faults in each step; TARGET=swarm).
	@exec $(KIT) prove

.PHONY: bench-deploy
bench-deploy: ## Measure how long a changed line of the sample project takes to be live, beside docker compose (ROUNDS=5).
	@exec $(KIT) bench-deploy

.PHONY: backup
backup: ## Save the database, the data, the uploads and the variables in one file, in backups/.
	@exec $(KIT) backup

.PHONY: backup-check
backup-check: ## Restore the newest backup beside the site, and compare it with what was saved (FILE=...).
	@exec $(KIT) backup-check

.PHONY: restore
restore: ## Replace the site's data by that of a backup: make restore FILE=backups/shop-20261129-033000.tar.gz.
	@exec $(KIT) restore

.PHONY: maintenance
maintenance: ## Show visitors a page instead of the site: make maintenance ON, or OFF (ALLOW="203.0.113.7").
	@exec $(KIT) maintenance $(firstword $(filter-out maintenance,$(MAKECMDGOALS)))
# its words
.PHONY: ON OFF on off status
ON OFF on off status:
	@:

.PHONY: left-out
left-out: ## List the project's files that its image will not get: secrets, databases, caches (IMAGE_INCLUDE=...).
	@exec $(KIT) left-out

.PHONY: times
times: ## Print all timeouts that are computed from REQUEST_TIMEOUT (REQUEST_TIMEOUT=60).
	@exec $(KIT) times

# The environment of lint and tests; created again when a lock file changes.
$(STAMP): tests/requirements.txt server/pyproject.toml
	@$(KIT) venv $(VENV)
	printf '\033[1m==>\033[0m Installing what lint and the tests need into $(VENV)\n'
	# Only the sample's image needs it, and it has no wheel for free-threaded Python.
	left_out=$$($(BIN)/python -c 'import sys; print("psycopg-binary" if "t" in sys.abiflags else "-")')
	sed "/^$$left_out==/,/[^\\]$$/d" tests/requirements.txt >$(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable server
	touch $@

.PHONY: test
test: $(STAMP) ## Run the tests that this machine can run, and report the others with the reason (COVERAGE=1: with coverage).
	@$(BIN)/python -m pytest $(PYTEST) $(if $(COVERAGE),--cov --cov-report=term --cov-report=html)

# By the Python that the wheel is for, in an environment of its own.
.PHONY: wheel
wheel: ## Write the server's wheel to dist/; COMPILED=1: the compiled one, for PYTHON=python3.13 (needs a C compiler).
	@env=build/wheel-$(TAG)
	$(KIT) venv $$env
	[[ $$env/.locked -nt server/compiled/requirements.txt ]] || {
	  $$env/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement server/compiled/requirements.txt
	  touch $$env/.locked
	}
	$$env/bin/python server/compiled/build_wheel.py $(if $(filter-out 0,$(COMPILED)),--compiled) dist

# Each time, since the sources may be others.
.PHONY: compiled
compiled: $(STAMP) ## Compile the server for the Python of the tests, into build/compiled.
	@wheel=$$($(MAKE) --silent wheel COMPILED=1 PYTHON=$(BIN)/python | tail -n 1)
	rm -rf build/compiled
	$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-deps --target build/compiled "$$wheel"

# Those that run the server in processes of this machine: the others use the images.
.PHONY: test-compiled
test-compiled: compiled ## Run the server's tests on the compiled build (PYTEST="tests/server -x", PYTHON=python3.12).
	@SERVER_BUILD=compiled PYTHONPATH=$(abspath build/compiled) $(BIN)/python -m pytest \
	  $(if $(filter command line,$(origin PYTEST)),$(PYTEST),$(PYTEST) tests/server tests/wire tests/integration tests/test_leaks.py tests/compare/faults)

.PHONY: lint
lint: $(STAMP) ## Check style, types, spelling, shell scripts, Dockerfiles, workflows and nginx's configuration.
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	DATA_DIR=.mypy_cache/sample_project $(BIN)/mypy  # its plugin loads the sample project's settings
	$(BIN)/shellcheck --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS)
	$(BIN)/hadolint $(DOCKERFILES)
	PYTHONPATH=compare $(BIN)/python -m tests.helpers.nginx_lint
	$(BIN)/codespell
	$(BIN)/zizmor --offline --strict-collection --quiet --no-progress .github

# Runs in an image of the Python that ships if a Docker engine is running, otherwise (or with BENCH_ON=host) on the host.
.PHONY: bench
bench: ## Compare Ropewalk with other servers (MINUTES=35; QUICK=1: 3 minutes; BENCH=--resume; BENCH_ON=host).
	@compare/bench/run bench $(if $(QUICK),--quick) $(if $(MINUTES),--minutes $(MINUTES)) $(BENCH)

# The environment of the next two: compare/plan needs one package, and nothing of the others.
PLAN_ENV := .run/plan/venv
$(PLAN_ENV)/.locked: compare/plan/requirements.txt
	@$(KIT) venv $(PLAN_ENV)
	$(PLAN_ENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.PHONY: plan
plan: $(PLAN_ENV)/.locked ## Say how many machines, workers and threads a load takes (RATE=5000 SERVICE_TIME=40ms P99=200ms CPU_SHARE=0.3 DISTRIBUTION=bimodal CORES=4).
	@cd compare && PYTHONPATH=../server $(abspath $(PLAN_ENV))/bin/python -m plan

.PHONY: plan-check
plan-check: $(PLAN_ENV)/.locked ## Compare what `make plan` predicts with what the server does; write docs/scaling.md (10 minutes; PLAN=--print).
	@cd compare && PYTHONPATH=../server $(abspath $(PLAN_ENV))/bin/python -m plan.check $(PLAN)

.PHONY: faults
faults: $(STAMP) ## Count the requests that servers drop under injected faults (10 minutes; QUICK=1: 3 minutes).
	@cd compare
	$(abspath $(BIN))/python -m faults $(if $(QUICK),--quick) $(FAULTS)

.PHONY: soak
soak: $(STAMP) ## Run the server for ten minutes under load, hostile clients, reloads and kills (MINUTES=10).
	@cd compare
	$(abspath $(BIN))/python -m faults.soak --minutes $(or $(MINUTES),10)

.PHONY: projects
projects: $(STAMP) ## Bring up the projects in tests/projects, each in three ways (ONLY="bottle falcon", WAYS=run).
	@$(BIN)/python -m tests.projects $(if $(ONLY),--only $(ONLY)) $(if $(WAYS),--ways $(WAYS))

.PHONY: swarm-test
swarm-test: $(STAMP) ## Bring up a swarm of three nodes in containers, deploy, hurt it under load, print a table (20 minutes; QUICK=1: two nodes).
	@PYTHONPATH=deploy:deploy/app $(BIN)/python -m tests.swarm

.PHONY: test-remote
test-remote: ## Try the kit's commands on a real server: make test-remote HOST=user@server (some minutes).
	@$(PYTHON) tests/remote_server.py

.PHONY: bench-start
bench-start: $(STAMP) ## Measure the time from a start to the first response, beside flask run, runserver and others (ROUNDS=10).
	@cd compare && PYTHONPATH=../server $(abspath $(BIN))/python -m bench.cold_start --rounds $(or $(ROUNDS),10) $(BENCH)

.PHONY: bench-builds
bench-builds: compiled ## Measure the CPU time of a request in the pure and the compiled build (BENCH="--row hello").
	@cd compare
	$(abspath $(BIN))/python -m bench.profile.builds pure=../server compiled=../build/compiled $(BENCH)

.PHONY: bench-nginx
bench-nginx: ## Measure what each part of the kit's nginx configuration costs a request (10 minutes; BENCH="page --rounds 3").
	@compare/bench/run bench.nginx_costs $(BENCH)

.PHONY: bench-reload
bench-reload: $(STAMP) ## Measure from a save to the new code, beside other reloaders (3 minutes; ROUNDS=15).
	@cd compare
	PYTHONPATH=../server $(abspath $(BIN))/python -m bench.reloading $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: profile
profile: ## Measure the cost of a request: system calls, time, memory, functions; write docs/benchmarks/profile.md.
	@compare/bench/run bench.profile

.PHONY: pages
pages: $(STAMP) ## Take pictures of the pages of nginx and the server, phone and desktop, and check them (SITE=http://...).
	@$(BIN)/python -m tests.pages

SECONDS_TO_FUZZ ?= 60
.PHONY: fuzz
fuzz: $(STAMP) ## Fuzz the parsers, guided by coverage (SECONDS_TO_FUZZ=60 each).
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/fuzz/requirements.txt
	$(BIN)/python -m tests.fuzz.fuzz --seconds $(SECONDS_TO_FUZZ)

.PHONY: lock
lock: $(STAMP) ## Lock the requirements, with hashes, from the *.in files.
	@for folder in server/compiled deploy deploy/cron deploy/dev deploy/backends/*/ tests/kit/backends/*/ sample_project compare compare/plan tests tests/fuzz; do
	  [[ -f $$folder/requirements.in ]] || continue
	  (cd $$folder && $(abspath $(BIN))/uv pip compile --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --quiet $(UPGRADE) requirements.in -o requirements.txt)
	done

.PHONY: docs
docs: $(STAMP) ## Generate docs/settings.md and the types of embedded settings from the server's settings table.
	@types=server/ropewalk/config/embedded_settings.py
	$(BIN)/python -m ropewalk.config.generate_docs > docs/settings.md.new
	$(BIN)/python -m ropewalk.config.generate_types > $$types.new
	mv docs/settings.md.new docs/settings.md
	mv $$types.new $$types

.PHONY: clean
clean: ## Remove what make created here: environments, caches, the data of `make run`. Docker's data stays.
	@rm -rf .run $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
