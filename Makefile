# Two commands do everything on a fresh machine with Python >= 3.11:   make demo   and   make test
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.huddle3d-ready
EXTRAS := dev,docs,heic,viewer
# Where to look for another build of PyTorch first. On Linux the public index has the CUDA build; small and without CUDA:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

.PHONY: setup demo test test-fast lint types imports check docs docs-pictures docs-settings clean

setup: $(STAMP)

# The stamp is written last: a set-up that was interrupted is run again.
$(STAMP): pyproject.toml constraints.txt src/huddle3d/weights/registry.toml
	@test -n "$(PYTHON)" || { echo "huddle3d needs Python 3.11, 3.12 or 3.13 (none found; name one: make PYTHON=/path/to/python3.12 setup)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[$(EXTRAS)]"
	$(BIN)/huddle3d models fetch blazepose
	$(BIN)/huddle3d models fetch blazepose-heavy || echo "The set-up goes on without blazepose-heavy: the smaller landmark network of blazepose does its work, less accurately. Try again: $(BIN)/huddle3d models fetch blazepose-heavy"
	touch $@

demo: setup
	$(BIN)/huddle3d demo --output out/demo --overwrite

test: setup
	$(BIN)/python -m pytest

test-fast: setup
	$(BIN)/python -m pytest -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell src tests docs scripts benchmarks README.md CHANGELOG.md CONTRIBUTING.md

types: setup
	$(BIN)/pyright

imports: setup
	$(BIN)/lint-imports

check: lint types imports docs test

# Everything is read again each time: a page that did not change would keep its warnings to itself.
docs: setup
	$(BIN)/python -m sphinx -b html -n -W --keep-going -E -q -c docs -d out/docs-cache . out/docs
	@echo "out/docs/index.html"

docs-pictures: setup
	$(BIN)/python scripts/draw_conventions.py

docs-settings: setup
	$(BIN)/python scripts/write_settings.py

clean:
	rm -rf out build dist *.egg-info src/*.egg-info
