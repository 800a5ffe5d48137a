# make demo   render a data set, train on it, test, and draw the results
# make test   run the test suite
# make bench  measure the speed against the authors' network and others
# make ablation  train the variants of all plans that have no result yet, and
#             report them in docs/ablations.md: hours
# make docs   build the documentation site into site/
# make lint   check the style of the code
#
# Each target first installs what it needs into VENV, once.
#   VENV=DIR     the virtual environment (default: .venv)
#   PYTHON=EXE   the Python that makes it (default: python3.11)
#   JOBS=N       processes of the test suite (default: 2)
#   PYTEST_ARGS, DEMO_ARGS, BENCH_ARGS, ABLATION_ARGS   further arguments of
#                pytest, tools/demo.py, benchmarks/run.py and
#                tools/ablation.py, such as --results-dir DIR to start anew
#   PLANS, DATA  of make ablation (default: all plans, and their data in
#                data/synthhand: docs/ablations.md)

VENV ?= .venv
PYTHON ?= python3.11
JOBS ?= 2
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
ABLATION_ARGS ?=
PLANS ?= configs/ablations/*.yaml
DATA ?= data/synthhand

ifeq ($(strip $(VENV)),)
$(error VENV= must name a folder)
endif
PY := $(VENV)/bin/python
# an editable install belongs to one checkout: another one, or this one after a
# move, has another stamp
STAMP := $(VENV)/.lgh_mmpose-$(firstword $(shell printf %s '$(CURDIR)' | cksum))

SOURCES := lgh_mmpose configs demo tools benchmarks tests setup.py .dev_scripts

.PHONY: help demo test bench ablation docs lint install FORCE
.DELETE_ON_ERROR:

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

demo: $(STAMP)
	$(PY) tools/demo.py $(DEMO_ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

bench: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) benchmarks/run.py $(BENCH_ARGS)

ablation: $(STAMP)
	@test -d '$(DATA)' || { echo 'DATA=$(DATA) is missing; where the data' \
	    'of the plans come from is told in docs/ablations.md' >&2; exit 1; }
	$(PY) tools/ablation.py $(PLANS) --data-root '$(DATA)' $(ABLATION_ARGS)

docs: $(STAMP)
	$(PY) -m mkdocs build --strict

lint: $(STAMP)
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m isort --check-only --diff $(SOURCES)
	$(PY) -m yapf --diff --recursive --parallel $(SOURCES)

install: $(STAMP)

# the stamp comes last, so that an interrupted install is taken up again
$(STAMP): setup.py pyproject.toml
	@sh .dev_scripts/setup_venv.sh '$(VENV)' '$(PYTHON)'
	@touch '$@'

ifeq ($(wildcard lgh_mmpose/.mim/model-index.yml),)
$(STAMP): FORCE
endif

FORCE:
