# Needs only make and Python 3.11 or later: every target sets up .venv by itself.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.raykqi-setup
UNFINISHED := $(VENV)/.raykqi-setup-unfinished
BENCHMARKS := transfer commits catalog cli triggers runs api serving

# The first interpreter that is new enough; `make PYTHON=/path/to/python` overrides the choice.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
endif

.PHONY: help
help: ## Print this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name what; do \
		printf '  %-12s %s\n' "$$name" "$$what"; done

.PHONY: setup
setup: $(STAMP) ## Create .venv with everything that development needs

.PHONY: quickstart
quickstart: $(STAMP) ## Run the example: three plans on Ray, started by pushing handwritten digits
	@$(BIN)/python -m examples.quickstart

.PHONY: check
check: $(STAMP) ## Lint, formatting, types and import rules; under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

.PHONY: test
test: $(STAMP) ## The whole test suite, without the soak tests
	@# What fails beside other tests on a busy machine may only have been late: it has to pass by itself.
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not soak" || { \
		echo "== once more, one at a time: what failed"; \
		$(BIN)/python -m pytest -n 0 -m "not soak" --last-failed --last-failed-no-failures none; }

.PHONY: soak
soak: $(STAMP) ## The long variants of tests, and properties with many examples
	$(BIN)/python -m pytest -m "soak or examples" --hypothesis-profile=soak

.PHONY: bench
bench: $(STAMP) ## All benchmarks, in their quick form
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name --quick; done

.PHONY: clean
clean: ## Remove .venv, caches and what builds left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .quickstart .benchmarks *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An installation that was interrupted leaves packages half there: UNFINISHED tells the next one to start afresh.
$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "raykqi needs Python 3.11 or later; none was found on PATH. Install one, or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; fi
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		if ! $(PYTHON) -c 'import ensurepip, venv' >/dev/null 2>&1; then \
			echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
			exit 1; fi; \
		echo "Creating $(VENV) with $$($(PYTHON) --version)"; \
		rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); fi
	@touch $(UNFINISHED)
	@echo "Installing raykqi and its development tools into $(VENV); the first time takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev]' -c constraints.txt
	@rm -f $(UNFINISHED)
	@touch $@
