# Python 3.11+ and make are all that these need. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
VAR_DIR ?= var
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test bench prove lint assets translations lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Krug needs Python 3.11 or newer; name it with PYTHON=python3.12 make …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv does not work here; on Debian: apt install python3-venv"; exit 1; }

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of requirements.lock…"
	@$(BIN)/pip install -q --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing the packages of requirements-dev.lock…"
	@$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(RUNTIME) ## the whole portal with its demo world on http://localhost:8000; PORT= moves it, Ctrl-C stops it
	@exec $(BIN)/portal up --demo --port $(PORT) --var $(VAR_DIR)

test: $(DEV) ## every test, the browser's included
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/pytest

bench: $(DEV) ## speed and memory as ratios, against the bars of the README; ONLY=prefix runs those that begin so
	@$(BIN)/python -m bench $(ONLY)

prove: $(DEV) ## faults and races at their full numbers, an hour and more; ONLY=prefix runs those that begin so
	@$(BIN)/python -m tests.load $(ONLY)

lint: $(DEV) ## format, lint, types, templates, import directions, lock files
	@$(BIN)/ruff format --check -q . || { echo "run .venv/bin/ruff format ."; exit 1; }
	@$(BIN)/ruff check -q .
	@$(BIN)/djlint --lint --quiet templates
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@! grep -nE '://|--index|--extra-index|--find-links|file:' requirements*.lock

assets: ## rebuild static/css/portal.css (the only thing that needs Node)
	npm install --no-audit --no-fund --no-package-lock
	npx @tailwindcss/cli -i static/src/app.css -o static/css/portal.css --minify

translations: $(DEV) ## collect the texts of code and templates into translations/
	@$(BIN)/pybabel -q extract -F translations/babel.cfg -k lazy_gettext -k _l --no-location --sort-output -o translations/messages.pot .
	@$(BIN)/pybabel -q update -N --no-wrap -i translations/messages.pot -d translations -l ru
	@$(BIN)/pybabel -q compile -d translations -l ru --statistics

lock: ## resolve requirements.in and dev.in anew (needs uv)
	uv pip compile --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q requirements.in -o requirements.lock
	uv pip compile --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q dev.in -c requirements.lock -o requirements-dev.lock

clean: ## remove the demo's data and everything built
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
