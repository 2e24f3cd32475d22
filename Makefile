# For a newcomer: make demo. For a change: make check, make quick; before it is handed in: make test.
# Nothing else is needed but Python 3.11+ and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
# pip would compile one module after another, a third of an installation. Some packages have files that are none of Python 3.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/testing/|/transformers/models/|/_inductor/' $(VENV)/lib || true
CODE := xtreme_dag tasks flows tests bench docs

.PHONY: setup demo real lint check quick test drills docs clean

# The program alone; what only the real study needs; what only tests and checks need.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) -e .
	$(COMPILE)
	touch $@

$(VENV)/.installed-real: $(VENV)/.installed
	$(PIP) -e ".[real]"
	$(COMPILE)
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) -e ".[docs]"
	$(COMPILE)
	touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(PIP) -e ".[dev,docs,real,s3,faiss,lora,sentencepiece,dask,ray,mlflow,tensorboard]"
	$(COMPILE)
	touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/xtreme-dag demo

real: $(VENV)/.installed-real
	$(BIN)/xtreme-dag run studies/real_small.yaml

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

check: lint
	$(BIN)/mypy

# What a change most likely breaks, within 90 s: tests/quick.py chooses. BASE=COMMIT compares with that commit.
quick: $(VENV)/.installed-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.quick $(BASE)

# mypy is one of the tests: the other process goes on meanwhile. Hundreds of processes read the compiled modules.
test: lint
	$(BIN)/python -m compileall -qq -j 0 $(CODE)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m tests.whole

# Faults by the hundred and a million spoilt inputs: an hour or more, and root for the full disks. SEED repeats a failure.
SEED ?= 1
drills: $(VENV)/.installed-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.drills --seed $(SEED)

# The manual, into site/: strict, so a link that leads nowhere is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .xtreme-dag build site *.egg-info
