# Everything a person does with Fieldbell from a checkout. `make` alone lists it.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# Options for pytest, for instance: make test ARGS="-k ledger -x"
ARGS ?=
PROCESSES ?= 2
TRANSLATIONS := $(patsubst %.po,%.mo,$(wildcard server/translations/*/LC_MESSAGES/messages.po))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile --no-deps
PACKAGES := $(wildcard server device_sim config scripts benchmarks tests wsgi.py)

help: ## Show what can be made
	@echo "Fieldbell: make <what>"
	@grep -hE '^[a-z0-9-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

run: $(VENV)/.run ready ## Start the demo: web, worker, simulated phones and handhelds (PORT=8000)
	@exec $(BIN)/python -m scripts.demo --port $(PORT)

start: $(VENV)/.run ready ## Start web and worker on your own database (settings: config/example.env)
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/honcho start

test: $(VENV)/.dev ready ## Run the tests (ARGS="-k ledger -x", PROCESSES=2)
	@$(BIN)/python -m pytest -n $(PROCESSES) $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, import contracts, translations, docs; no tests
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m scripts.check $(ARGS)

format: $(VENV)/.dev ## Rewrite the code in the house's format
	@$(BIN)/ruff format $(PACKAGES)
	@$(BIN)/ruff check --fix --select I $(PACKAGES)

translations: $(VENV)/.dev ## Collect the console's texts into server/translations
	@$(BIN)/python -m scripts.checks.translations --update

docs: $(VENV)/.dev ## Write the pages that are made from the code (settings, errors, commands)
	@$(BIN)/python -m scripts.checks.docs --write

bench: $(VENV)/.dev ready ## Measure speed; prints one JSON line per measurement
	@$(BIN)/python -m benchmarks $(ARGS)

torture: $(VENV)/.dev ready ## Kill everything 200 times, and a worker under load 100 times; nothing may be lost (ARGS="--seed 7")
	@$(BIN)/python -m device_sim torture --devices 8 --stops 10 --days 8 --kills 200 --minutes 40 $(ARGS)
	@$(BIN)/python -m tests.notify.killing $(KILLING)

vendor: $(VENV)/.run ## Fetch the browser libraries (done by run and test)
	@$(BIN)/python scripts/vendor.py

ready: vendor $(TRANSLATIONS)

%.mo: %.po | $(VENV)/.run
	@$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

clean: ## Forget the demo's data
	@FORCE=$(FORCE) scripts/forget-demo.sh

distclean: clean ## Forget the demo's data and everything that was installed
	rm -rf $(VENV) node_modules server/console/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamps make a second run start in a moment: pip is asked again only when the pins change. The pins are the
# whole closure (`make check` proves it), so pip need not search; bytecode is made as it is used.
$(BIN)/python:
	@python=$$(scripts/find-python.sh) && echo "Making $(VENV) with $$python …" && "$$python" -m venv --clear $(VENV)

$(VENV)/.run: requirements.txt | $(BIN)/python
	@echo "Installing the pinned packages into $(VENV) (once) …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@echo "Installing the packages for tests and checks into $(VENV) (once) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@

.PHONY: help run start test check format translations docs bench torture ready vendor clean distclean
