# Every target makes .venv and installs what it needs, once.
#   make demo    matte the photographs of demo/
#   make test    the tests (a few minutes)
#   make test-files   the table of files: pictures, clips, weights and settings of every kind
#   make check   lint, format, types and tests, which every change must pass
#   make gpu     tests and speed of an NVIDIA GPU, 20 minutes, into gpu-report/
#   make docs    the documentation as a site, in site/
#   make docs-pictures   remake the pictures and tables of docs/ with the present weights
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-files test-slow gpu check lint types format docs docs-pictures clean

demo: $(VENV)/.installed
	$(BIN)/python inference_images.py --config configs/demo.yaml
	@echo "Look at the contact sheets in demo/output/sheet"

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-files: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m 'files and not slow' -n 2 --dist loadfile

# Long tests, and those on real photographs that are not part of the repository.
test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile -rP

gpu: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.gpu_report --output-dir gpu-report

check: lint types docs test test-files

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Photographs and clip: see `python -m docs.make --help`.
docs-pictures: $(VENV)/.installed-dev
	$(BIN)/python -m docs.make --write

clean:
	rm -rf $(VENV) demo/output site

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[dev]"
	touch $@
