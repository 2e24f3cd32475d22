# Two commands for a newcomer: make demo, make test. Nothing else is needed but Python 3.11+ and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test real setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,real,s3,faiss]"
	touch $(STAMP)

demo: setup
	$(BIN)/xtreme-dag demo

test: setup
	$(BIN)/ruff check xtreme_dag tasks flows tests bench
	$(BIN)/ruff format --check xtreme_dag tasks flows tests bench
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --durations=15

real: setup
	$(BIN)/xtreme-dag run studies/real_small.yaml

clean:
	rm -rf $(VENV) .xtreme-dag build *.egg-info
