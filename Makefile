# The environment's Python: .venv if there is one, else the one on the PATH.
# `make test PYTHON=/elsewhere/bin/python` uses another.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python)
# Where `make setup` makes the environment, and with what.
BASE_PYTHON ?= python3.11

.PHONY: help setup test test-jax test-torch lint format bench

help:
	@echo "make setup       an environment in .venv with everything for the work"
	@echo "make test        the tests, on TensorFlow"
	@echo "make test-jax    layers, models, analysis on JAX, and without TensorFlow"
	@echo "make test-torch  layers, models, analysis on PyTorch (extra: torch)"
	@echo "make lint        ruff, changing nothing"
	@echo "make format      ruff, mending what it can"
	@echo "make bench       the benchmark"

setup:
	$(BASE_PYTHON) -m venv .venv
	.venv/bin/python -m pip install -e ".[dev]"
	.venv/bin/pre-commit install

test:
	$(PYTHON) -m pytest

# TensorFlow is hidden for the import: a machine with Keras and JAX is enough.
test-jax:
	KERAS_BACKEND=jax $(PYTHON) -c \
	  'import sys; sys.modules["tensorflow"] = None; import glomo_keras'
	KERAS_BACKEND=jax $(PYTHON) -m pytest tests/ops tests/layers tests/models \
	  tests/analysis

test-torch:
	KERAS_BACKEND=torch $(PYTHON) -m pytest tests/ops tests/layers tests/models \
	  tests/analysis

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench:
	$(PYTHON) -m benchmarks
