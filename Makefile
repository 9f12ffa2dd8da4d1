# make demo   install what running needs, then drag points on the two embedded models (out/demo/index.html)
# make test   install what developing needs as well, then ruff, pyright, deptry and pytest in three processes
# make tpu    install TPU's compiler beside that, and test what it makes of a drag; no TPU is needed
# make ray    install Ray beside that, and kill the workers of a batch
# A stamp in .venv says what is installed already, so a second run goes straight to its work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INPUTS := pyproject.toml setup.py constraints.txt
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test test-most test-apart lint tpu ray
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/dragspace demo --out out/demo

# XLA's older code for fused loops compiles most tests in half the time, drawings of critters in ten times as much;
# parity holds what users run, but for the cases that it runs without optimisations. So there are two runs; side by side
# they leave neither of two cores idle. Nothing is won there by compiling a program in 32 parts.
APART := $(filter-out %_cases.py,$(wildcard tests/parity/test_*.py)) tests/critters
WHOLE := --xla_cpu_parallel_codegen_split_count=1
test: lint
	$(MAKE) --no-print-directory --jobs 2 test-most test-apart

test-most: $(INSTALLED_DEV)
	XLA_FLAGS="$(WHOLE) --xla_cpu_use_fusion_emitters=false" $(PYTEST) --numprocesses 2 $(addprefix --ignore ,$(APART))

test-apart: $(INSTALLED_DEV)
	XLA_FLAGS="$(WHOLE)" $(BIN)/python -m pytest $(APART)

# In a folder of its own: JAX would look for a TPU, and complain, wherever it finds the compiler.
tpu: $(INSTALLED_DEV)
	$(INSTALL) --no-deps --upgrade --target $(VENV)/tpu libtpu
	PYTHONPATH=$(VENV)/tpu $(BIN)/python -m pytest tests/benchmarks/test_tpu_compile.py

# A real cluster on this machine, and workers that are killed: more than the suite has time for.
ray: $(INSTALLED_DEV)
	$(INSTALL) --editable '.[ray]'
	$(BIN)/python -m pytest tests/batch/test_ray.py
	$(BIN)/python scripts/ray_faults.py --out out/ray

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/deptry dragspace_jax convert benchmarks
	$(BIN)/deptry scripts --ignore DEP002

$(INSTALLED): $(INPUTS) | $(BIN)/python
	$(INSTALL) --editable .
	touch $@

# The larger set holds the smaller one: after it, `make demo` has nothing to install. The package that BigGAN is held to
# comes without what it downloads its models with, which no test asks for.
$(INSTALLED_DEV): $(INPUTS) | $(BIN)/python
	$(INSTALL) --editable '.[torch,dev]'
	$(INSTALL) --no-deps pytorch-pretrained-biggan
	touch $(INSTALLED) $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
