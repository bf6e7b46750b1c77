# The simulator's commands. Everything they need is made on first use, and made again only when its inputs change.

PYTHON    ?= python3
VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed

WARNING   ?= 120
RUNTIME   ?= auto
OUT       ?=
INTERRUPT ?=
ARGS      ?=
TEST_JOBS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup simulate test lint corpus explore-corpus bench screenshots clean lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo
	@echo "  make simulate takes WARNING=5 (seconds of notice), RUNTIME=auto|local-mode|process, OUT=DIR,"
	@echo "  INTERRUPT='step=60', and ARGS='…' for anything else that 'spot-simulator run --help' lists."

setup: $(INSTALLED) ## the virtual environment, with .venv/bin/spot-simulator

$(INSTALLED): .requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or later, or say make PYTHON=…" >&2; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.13, which TensorFlow and SageMaker's SDK need. Say make PYTHON=python3.11 …" >&2; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "No virtual environment could be made. On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 3; }
	@echo "Installing the locked dependencies into $(VENV) (a few minutes, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

simulate: setup ## one spot interruption of the bundled trainer, and the verdict
	@$(BIN)/spot-simulator run --runtime $(RUNTIME) --warning $(WARNING) \
	  $(if $(INTERRUPT),--interrupt '$(INTERRUPT)') $(if $(OUT),--out '$(OUT)') $(ARGS)

test: setup ## all tests; those on Docker run where an engine answers
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS)

lint: setup ## ruff, mypy --strict and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

corpus: setup ## trainers that lose state and trainers that survive, and whether the judge knows which
	@$(BIN)/python -m tests.trainers $(ARGS)

explore-corpus: setup ## how soon the search finds those that lose state, without being told where
	@$(BIN)/python -m tests.explore $(ARGS)

bench: setup ## what the simulator costs, against what one would use instead
	@test -x .venv-bench/bin/aws || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks

screenshots: setup ## the pictures in docs/images, from the run in RUN=DIR
	@test -n "$(RUN)" || { echo "Say which run: make screenshots RUN=runs/NAME" >&2; exit 2; }
	@$(BIN)/spot-simulator report '$(RUN)' >/dev/null || test -f '$(RUN)/report.html'
	@$(BIN)/python -m simulator.reports.picture '$(RUN)' docs/images/run.svg
	@$(BIN)/python tests/reports/screenshots.py '$(RUN)' docs/images

clean: ## what this Makefile and the simulator's runs left here
	@test ! -x $(BIN)/spot-simulator || $(BIN)/spot-simulator clean
	@rm -rf $(VENV) .venv-bench .venv-clients build runs .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info

lock: setup ## write .requirements.lock anew from pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra train --extra dev \
	  --no-emit-index-url --no-header pyproject.toml --output-file .requirements.lock
