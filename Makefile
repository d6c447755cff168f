# Every command of the project; `make help` lists them. PYTHON is used once, to create .venv.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
HEADERS := $(CURDIR)/build/1.4.1-stock/mxnet/include/mkldnn
CXX_FILES = $(wildcard patches/opcache/*.cc patches/opcache/*.h patches/opcache/*/*.cc \
	patches/opcache/*/*.h tests/cpp/*.cc tests/cpp/*.h tests/cpp/*/*.h tools/*/*.cc tools/*/*.h)

.DEFAULT_GOAL := all

CPP_TESTS = $(MAKE) -C tests/cpp HEADERS=$(HEADERS) BUILD=$(CURDIR)/build
COMMANDS := bench bench-dist bench-kit bench-releases converge doctor microbench plot reliability source-patch tables verify

# Variables that earlier versions read, and the options that replaced them.
REPLACED := BATCH=--batch-size CONFIG=--config CONVERGE=--converge DATA_DIR=--data-dir \
	EFFICIENCY=--efficiency EPOCHS=--epochs FAULTS=--faults HOST=--host HOSTS=--hosts \
	IMAGE=--image-size MODEL=--model MODELS=--models MXNET_TESTS=--mxnet-tests \
	OPERATORS=--operators OUT=--out PORT=--port PYTEST_ARGS= PYTHON_TO_CHECK=--python RECORD= \
	REPETITIONS=--repetitions RESUME=--resume ROUNDS=--rounds SAMPLES=--samples SCOPES=--scopes \
	SEED=--seed SERIES=--series SERVERS=--servers STAGES=--stages STEPS=--steps SUBSET=--subset \
	TABLES=--tables WORKERS=--workers
name = $(firstword $(subst =, ,$1))
option = $(word 2,$(subst =, ,$1))
GIVEN := $(foreach pair,$(REPLACED),$(if $(findstring command,$(origin $(call name,$(pair)))),$(pair)))
ifneq ($(strip $(GIVEN)),)
  NAMES := $(foreach pair,$(GIVEN),$(call name,$(pair)))
  OPTIONS := $(strip $(ARGS) $(foreach pair,$(GIVEN),$(call option,$(pair)) $($(call name,$(pair)))))
  $(error $(NAMES) $(if $(word 2,$(NAMES)),are,is) no longer read: make \
    $(or $(MAKECMDGOALS),all) $(if $(QUICK),QUICK=1 )ARGS='$(OPTIONS)')
endif

.PHONY: all help venv wheel build dist test sanitize report check format clean distclean $(COMMANDS)

all: build

help: ## This list; ARGS=--help: options; QUICK=1: short checks
	@sed -nE 's/^([a-z-]+):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

venv: ## Create .venv
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'opcache: error: $(PYTHON) is needed, not found on PATH' >&2; exit 1; }
	@$(PYTHON) -m harness.prerequisites $(PROGRAMS)
	@$(PYTHON) -m harness.bootstrap

wheel: venv ## Write the wheel of the cache for released MXNets
	@$(VENV_PYTHON) -m harness wheel

build: venv ## Build the library, patched MXNet releases and wheels
	@$(VENV_PYTHON) -m harness build

dist: venv ## Write all that a release hands out into dist/
	@$(VENV_PYTHON) -m harness dist

# The C++ programs of these are compiled on this machine; planted faults are patches.
test sanitize microbench verify reliability: PROGRAMS := g++ patch

test: build ## Run the C++ tests and pytest, which gets ARGS
	$(CPP_TESTS) test
	$(VENV_PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

sanitize: build ## Run the C++ tests under the sanitizers of the compiler
	$(CPP_TESTS) sanitize

bench: build ## Measure training throughput; a killed run resumes
bench-dist: build ## Measure distributed training on this machine
bench-kit: build ## Write an archive that measures on machines without network
bench-releases: build ## Measure every MXNet release, served or not
microbench: build ## Time single MKL-DNN calls, real and cached
verify: build ## Verify that the cache leaves all results the same bits
reliability: build ## Test threads, forks, faults, hostile input and long runs
converge: build ## Train on CIFAR-10 with and without the cache
doctor: build ## Tell whether an MXNet would gain, and what prevents it
source-patch: venv ## Write the cache as a patch of MXNet's source tree
tables: venv ## Write the tables in results/ and in the documents
plot: venv ## Draw the figures in results/figures

verify reliability: QUICKLY = $(if $(QUICK),--quick)
$(COMMANDS):
	@$(VENV_PYTHON) -m harness $@ $(QUICKLY) $(ARGS)

report: venv ## Draw the figures, then write results/report.html
	@$(VENV_PYTHON) -m harness plot $(filter %.json %.jsonl,$(ARGS))
	@$(VENV_PYTHON) -m harness report $(ARGS)

check: venv ## Check formats, lint, types and the order of the packages
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy harness models
	.venv/bin/lint-imports --no-cache
	.venv/bin/clang-format --dry-run -Werror $(CXX_FILES)
	.venv/bin/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml

format: venv ## Format Python and C++
	$(VENV_PYTHON) -m ruff format .
	.venv/bin/clang-format -i $(CXX_FILES)

clean: ## Remove build/ and dist/
	rm -rf build dist

distclean: clean ## Remove .venv too; wheels stay in ~/.cache/opcache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
