# Targets of this checkout; `make` alone lists them. Set-up is a prerequisite of the others and takes no time once it is done.

# No target gains by running beside another, and clean and setup must not: -j changes nothing.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-media soak check bench clean constraints

# `make setup` chooses the mode; any other target keeps the mode of .venv (with or without SIM_ONLY=1).
KEEP := $(if $(filter setup,$(MAKECMDGOALS)),,--keep-mode)

# Tests do not use the Hub unless you set this variable.
test test-all soak bench: export HF_HUB_OFFLINE ?= 1
# One worker per core, each with one thread; WORKERS=0 runs everything in one process.
WORKERS ?= logical
test test-all soak: export OMP_NUM_THREADS ?= 1
PYTEST := .venv/bin/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## install everything into .venv; SIM_ONLY=1 leaves out the robot's SDK and needs no root
	@.ci/setup $(KEEP)

demo: setup ## record, imitate, reinforce, evaluate and run on a simulated robot; options in ARGS="…"
	@.venv/bin/reachy-kit demo $(ARGS)

test: setup ## the tests, without the long ones
	@$(PYTEST) -m "not long and not soak and not media" $(ARGS)

test-all: setup ## every test but the soaks; some install packages
	@$(PYTEST) -m "not soak and not media" $(ARGS)

soak: setup ## kill and wait dozens of times
	@$(PYTEST) -m soak $(ARGS)

test-media: setup ## camera and sound through the SDK, in a Debian 13 root that it makes; needs root and Debian's mmdebstrap
	@.ci/media-root $(ARGS)

check: setup ## style, types, layers, dependencies
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/deptry .

bench: setup ## measure; the numbers go to runs/bench.json
	@mkdir -p runs
	@.venv/bin/python tests/bench/run.py --json runs/bench.json $(ARGS)

constraints: ## pin the dependencies again in constraints.txt; ARGS=--upgrade moves to newer versions
	@.ci/setup --constraints $(ARGS)

clean: ## remove .venv and every cache; runs/ and data/ stay
	@rm -rf .venv .setup .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(wildcard reachy_kit sim policies lessons tests) -name __pycache__ -type d -prune -exec rm -rf {} +
