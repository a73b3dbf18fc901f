# make demo   the page, on http://127.0.0.1:$(PORT)
# make test   lint, format, types and all tests
#
# Both make their own environment in .venv first; another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
PORT ?= 7860
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/python -m apps serve --port $(PORT)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

clean:
	rm -rf $(VENV)

# Stamp files: a second call installs nothing, a changed pyproject.toml installs again.
$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "perhaps needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Install one and name it, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 1; } >&2
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "No environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@
