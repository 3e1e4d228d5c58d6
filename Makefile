# Everything goes into .venv and .venv alone; `make help` lists what can be done.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export PIP_CACHE_DIR := $(CURDIR)/.venv/cache
export LOG

.DEFAULT_GOAL := help
.PHONY: run test lint bench soak deb docs screenshots help clean

run: .venv/run.stamp ## watch this machine's logins, or LOG=path from its start, and show them on a page
	@$(BIN)/logwatch-monitis run $(if $(LOG),--log "$$LOG" --from-start)

test: .venv/test.stamp ## run the whole test suite
	$(BIN)/python -m pytest

lint: .venv/test.stamp ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/test.stamp ## compare our speed with other tools on this machine; ARGS="--quick"
	$(BIN)/python benchmarks/compare.py $(ARGS)

soak: .venv/test.stamp ## run agent and monitor amid faults, rotations and kills; MINUTES=30 RATE=500
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30) --rate $(or $(RATE),500)

deb: ## build the Debian package into build/deb (needs debhelper and dpkg-dev)
	packaging/build-deb

docs: .venv/docs.stamp ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -n -T -W -q -b html docs docs/_build/html

screenshots: .venv/test.stamp ## take the pictures of the monitor's page anew, into docs/pictures
	$(BIN)/python docs/screenshots.py

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

clean: ## remove what was built and installed
	rm -rf .venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "make: this needs python3 with its venv module (Debian: apt install python3-venv)" >&2; exit 1; }

.venv/run.stamp: setup.cfg pyproject.toml | .venv/bin/python
	@echo "Installing logwatch-monitis into .venv"
	@$(INSTALL) --editable '.[monitor,archives]'
	@touch $@

.venv/test.stamp: setup.cfg pyproject.toml | .venv/bin/python
	@echo "Installing logwatch-monitis and what its tests need into .venv"
	@$(INSTALL) --editable '.[test]'
	@touch $@ .venv/run.stamp

.venv/docs.stamp: setup.cfg pyproject.toml | .venv/bin/python
	@echo "Installing what the documentation needs into .venv"
	@$(INSTALL) --editable '.[docs]'
	@touch $@
