# Two commands matter: `make demo` and `make test`. Both make .venv first if need be, from Python 3.11 or newer.
.DEFAULT_GOAL := help
.PHONY: help demo test test-all fuzz opinfo lint format grammar clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := build/demo
MODEL ?= resnet50
# How many examples `make fuzz` gives each test.
EXAMPLES ?= 2000
# Test processes. Each runs its kernels on one thread.
JOBS ?= auto
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$python; break; }; \
	done)

help:
	@echo "make demo      compile $(MODEL) to NumPy, PyTorch and JAX in ./$(DEMO), and verify that the three agree"
	@echo "make test      run the tests"
	@echo "make test-all  run the slow tests too"
	@echo "make fuzz      run the property tests with fresh random input, for longer: EXAMPLES=$(EXAMPLES) of it"
	@echo "make opinfo    compare with PyTorch's own samples in full, and write docs/opinfo.md"
	@echo "make lint      ruff, mypy, pyright and import-linter"
	@echo "make format    let ruff lay out the code"
	@echo "make grammar   write the parser's tables anew, after a change to grammar.lark"
	@echo "make clean     remove .venv, ./build and caches"

# torch comes first and by its exact version, so that pip takes a build that the machine offers, CPU-only ones included.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "architrave needs Python 3.11 or newer, and none was found on the PATH." \
		"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)" -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]' -c constraints.txt
	@touch $@

demo: $(INSTALLED)
	@mkdir -p $(DEMO)
	$(BIN)/architrave compile $(MODEL) --backend numpy --output $(DEMO)/$(MODEL)_numpy.py
	$(BIN)/architrave compile $(MODEL) --backend torch --output $(DEMO)/$(MODEL)_torch.py
	$(BIN)/architrave compile $(MODEL) --backend jax --output $(DEMO)/$(MODEL)_jax.py
	$(BIN)/architrave verify $(MODEL)

test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-all: $(INSTALLED)
	$(PYTEST)

fuzz: $(INSTALLED)
	EXAMPLES=$(EXAMPLES) $(PYTEST) -m hypothesis --hypothesis-profile=fuzz

opinfo: $(INSTALLED)
	$(BIN)/python -m pytest -n 0 --update-golden tests/opinfo

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

grammar: $(INSTALLED)
	$(BIN)/python -m architrave.dsl.parser --write

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
