# Two commands on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# uv unpacks 6 GB in a third of pip's CPU time; it is told pip's index, and where it fails pip is asked
INDEX = $${PIP_INDEX_URL:-$$($(PIP) config get global.index-url 2>/dev/null)}
WANTED = $(if $(LIGHT),--no-deps -r constraints.txt -e .,-c constraints.txt -e '.[dev,opencv]')
APT := DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq

unexport PYTHONDONTWRITEBYTECODE  # without bytecode each start takes six seconds longer

.PHONY: help setup browser run test test-slow notebook lint clean

help:            ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## *' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make the environment in .venv, versions pinned by constraints.txt; LIGHT=1 without CUDA (Linux, no GPU)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt uv
	UV_DEFAULT_INDEX="$(INDEX)" $(BIN)/uv pip install --quiet --python $(BIN)/python $(WANTED) \
	|| $(PIP) install --quiet --no-compile $(WANTED)
	$(if $(LIGHT),$(BIN)/python genexp/machine/light.py)
	@touch $@

browser:         ## Chromium, in which the tests open the report's page: Debian's, where this may install it
	@which chromium chromium-browser google-chrome chrome 2>/dev/null | grep -q . \
	|| { [ "$$(id -u)" = 0 ] && $(APT) update && $(APT) install --yes --no-install-recommends chromium >/dev/null; } \
	|| echo "no Chromium, and none can be installed here: the tests that need one say that they are skipped"

run: $(STAMP)    ## train, evaluate and draw the default experiment: a QR code as a density
	$(BIN)/genexp run

test: $(STAMP) browser  ## everything that is quick
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-slow: $(STAMP)  ## the long trainings behind the README's numbers
	$(BIN)/python -m pytest -m slow

notebook: $(STAMP)  ## execute the example notebook again, in a folder of its own
	$(BIN)/python -m tests.store_notebook

lint: $(STAMP)   ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:           ## remove the environment
	rm -rf $(VENV)
