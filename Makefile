# `make demo` and `make test` are all that a new user needs; both make .venv first if it isn't there.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What tests use; `docs` of the dependency groups comes with `make docs`.
INSTALL := $(RUN)/pip install --quiet --constraint constraints.txt --editable '.[server,edf,dask,downstream,zmq,kafka,ophyd-async]' --group dev

# Many small processes on few cores: threads that spin for work would starve each other.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow lint types counts docs minimal benchmarks clean

help:
	@echo "make demo        a simulated rocking scan, filled while it is measured, in a real Tiled server"
	@echo "make test        the tests, but for those that take whole services or minutes"
	@echo "make test-slow   those"
	@echo "make lint types  ruff, the layers, spelling, mypy over source and tests"
	@echo "make counts      how large the source is; fails where modules or functions are too long"
	@echo "make docs        the documentation, in site/"
	@echo "make minimal     an installation without extras, tried"
	@echo "make benchmarks  figures of speed, as ratios in one run, into docs/speed.md"

# Installed anew only when the requirements change.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet --upgrade 'pip>=25.1'
	$(INSTALL)
	@touch $@

demo: $(STAMP)
	env -u OMP_NUM_THREADS $(RUN)/bcdi-inpaint demo $(ARGS)

test: $(STAMP)
	$(RUN)/pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

# Slow tests wait for servers and worker processes: more run at once than there are cores.
test-slow: $(STAMP)
	$(RUN)/pytest -n 3 --dist loadfile -m slow $(ARGS)

lint: $(STAMP)
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/lint-imports
	$(RUN)/codespell

types: $(STAMP)
	$(RUN)/mypy

counts: $(STAMP)
	@$(RUN)/python .ci/counts.py

docs: $(STAMP)
	$(RUN)/pip install --quiet --constraint constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --quiet

# As somebody installs it who wants no extras.
minimal: $(STAMP)
	$(PYTHON) -m venv .venv-minimal
	.venv-minimal/bin/pip install --quiet --constraint constraints.txt .
	.venv-minimal/bin/python .ci/minimal.py $(RUN)/tiled

benchmarks: $(STAMP)
	env -u OMP_NUM_THREADS $(RUN)/python benchmarks/write_page.py

clean:
	rm -rf $(VENV) .venv-minimal site .pytest_cache .mypy_cache .ruff_cache .hypothesis
