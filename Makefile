# Every command of the project; `make help` lists them. PYTHON is used once, to make .venv.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
HEADERS := $(CURDIR)/build/1.4.1-stock/mxnet/include/mkldnn
CXX_FILES = $(wildcard patches/opcache/*.cc patches/opcache/*.h patches/opcache/*/*.cc \
	patches/opcache/*/*.h tests/cpp/*.cc tests/cpp/*.h tools/*/*.cc tools/*/*.h)

.DEFAULT_GOAL := all
.PHONY: all help venv build test sanitize bench tables plot report bench-dist microbench verify reliability \
	converge doctor source-patch check format clean distclean

all: build

help:
	@echo 'make build      .venv, build/ (stock and patched MXNets, the library) and dist/ (wheels)'
	@echo 'make bench      training throughput, stock against patched; variables: MODELS BATCH'
	@echo '                IMAGE HOSTS SCOPES SAMPLES SERIES OUT TABLES CONFIG; a killed run goes on'
	@echo 'make tables     the tables in results/ and in the documents, from the records'
	@echo 'make plot       figures of the records in results/, in results/figures; variables: RECORD'
	@echo '                EFFICIENCY CONVERGE'
	@echo 'make report     one HTML page of everything in results/; variable: RECORD'
	@echo 'make bench-dist distributed training on this machine, stock against patched; variables:'
	@echo '                WORKERS SERVERS MODEL BATCH IMAGE HOST SCOPES STEPS ROUNDS PORT OUT'
	@echo 'make microbench single MKL-DNN calls, real against cached; variables: HOSTS ROUNDS'
	@echo '                REPETITIONS OUT'
	@echo 'make verify     the proof that results stay the same bits; variables: QUICK MODELS HOSTS'
	@echo '                SCOPES STAGES OPERATORS FAULTS MXNET_TESTS OUT RESUME'
	@echo 'make reliability'
	@echo '                threads, forks, kills, faults, hostile input, long runs; variables: QUICK'
	@echo '                STAGES HOSTS SEED OUT RESUME'
	@echo 'make converge   CIFAR-10 trained on stock and patched, bit for bit the same curve; variables:'
	@echo '                MODEL HOST SCOPES EPOCHS BATCH SUBSET DATA_DIR CONFIG OUT RESUME'
	@echo 'make doctor     what an MXNet gains and what stands in its way; variable: PYTHON_TO_CHECK'
	@echo 'make source-patch'
	@echo '                the cache as a patch for MXNet'"'"'s own source tree, in dist/'
	@echo 'make test       C++ tests and pytest; PYTEST_ARGS="-k name" runs some of pytest only'
	@echo 'make sanitize   C++ tests under AddressSanitizer, UBSan, LeakSanitizer and ThreadSanitizer'
	@echo 'make check      formatters (without changing anything), linter, type checker'
	@echo 'make format     formatters'
	@echo 'make venv       .venv only'
	@echo 'make clean      removes build/ and dist/'
	@echo 'make distclean  removes .venv too; downloaded wheels stay in the user'"'"'s cache folder'
	@echo 'PYTHON=python3.9 chooses the Python that .venv is made with (3.8 to 3.11)'

venv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'opcache: error: $(PYTHON) is needed, not found on PATH' >&2; exit 1; }
	@$(PYTHON) -m harness.prerequisites
	@$(PYTHON) -m harness.bootstrap

build: venv
	@$(VENV_PYTHON) -m harness build

test: build
	$(if $(wildcard tests/cpp/Makefile),$(MAKE) -C tests/cpp test HEADERS=$(HEADERS) BUILD=$(CURDIR)/build)
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

sanitize: build
	$(MAKE) -C tests/cpp sanitize HEADERS=$(HEADERS) BUILD=$(CURDIR)/build

bench: build
	@$(VENV_PYTHON) -m harness bench \
	  $(if $(MODELS),--models '$(MODELS)') $(if $(BATCH),--batch-size '$(BATCH)') \
	  $(if $(IMAGE),--image-size '$(IMAGE)') $(if $(HOSTS),--hosts '$(HOSTS)') \
	  $(if $(SCOPES),--scopes '$(SCOPES)') $(if $(SAMPLES),--samples '$(SAMPLES)') \
	  $(if $(SERIES),--series '$(SERIES)') $(if $(OUT),--out '$(OUT)') \
	  $(if $(TABLES),--tables '$(TABLES)') $(if $(CONFIG),--config '$(CONFIG)')

tables: venv
	@$(VENV_PYTHON) -m harness tables $(if $(EFFICIENCY),--efficiency '$(EFFICIENCY)')

plot: venv
	@$(VENV_PYTHON) -m harness plot $(RECORD) $(if $(EFFICIENCY),--efficiency '$(EFFICIENCY)') \
	  $(if $(CONVERGE),--converge '$(CONVERGE)')

report: plot
	@$(VENV_PYTHON) -m harness report $(RECORD)

bench-dist: build
	@$(VENV_PYTHON) -m harness bench-dist \
	  $(if $(WORKERS),--workers '$(WORKERS)') $(if $(SERVERS),--servers '$(SERVERS)') \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(BATCH),--batch-size '$(BATCH)') \
	  $(if $(IMAGE),--image-size '$(IMAGE)') $(if $(HOST),--host '$(HOST)') \
	  $(if $(SCOPES),--scopes '$(SCOPES)') $(if $(STEPS),--steps '$(STEPS)') \
	  $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(PORT),--port '$(PORT)') \
	  $(if $(OUT),--out '$(OUT)')

microbench: build
	@$(VENV_PYTHON) -m harness microbench \
	  $(if $(HOSTS),--hosts '$(HOSTS)') $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	  $(if $(REPETITIONS),--repetitions '$(REPETITIONS)') $(if $(OUT),--out '$(OUT)')

verify: build
	@$(VENV_PYTHON) -m harness verify $(if $(QUICK),--quick) \
	  $(if $(MODELS),--models '$(MODELS)') $(if $(HOSTS),--hosts '$(HOSTS)') \
	  $(if $(SCOPES),--scopes '$(SCOPES)') $(if $(STAGES),--stages '$(STAGES)') \
	  $(if $(OPERATORS),--operators '$(OPERATORS)') $(if $(FAULTS),--faults '$(FAULTS)') \
	  $(if $(MXNET_TESTS),--mxnet-tests '$(MXNET_TESTS)') \
	  $(if $(OUT),--out '$(OUT)') $(if $(RESUME),--resume '$(RESUME)')

reliability: build
	@$(VENV_PYTHON) -m harness reliability $(if $(QUICK),--quick) \
	  $(if $(STAGES),--stages '$(STAGES)') $(if $(HOSTS),--hosts '$(HOSTS)') \
	  $(if $(SEED),--seed '$(SEED)') \
	  $(if $(OUT),--out '$(OUT)') $(if $(RESUME),--resume '$(RESUME)')

converge: build
	@$(VENV_PYTHON) -m harness converge \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(HOST),--host '$(HOST)') \
	  $(if $(SCOPES),--scopes '$(SCOPES)') $(if $(EPOCHS),--epochs '$(EPOCHS)') \
	  $(if $(BATCH),--batch-size '$(BATCH)') $(if $(SUBSET),--subset '$(SUBSET)') \
	  $(if $(DATA_DIR),--data-dir '$(DATA_DIR)') $(if $(CONFIG),--config '$(CONFIG)') \
	  $(if $(OUT),--out '$(OUT)') $(if $(RESUME),--resume '$(RESUME)')

doctor: build
	@$(VENV_PYTHON) -m harness doctor $(if $(PYTHON_TO_CHECK),--python '$(PYTHON_TO_CHECK)')

source-patch: venv
	@$(VENV_PYTHON) -m harness source-patch

check: venv
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy harness $(wildcard models)
	$(if $(CXX_FILES),.venv/bin/clang-format --dry-run -Werror $(CXX_FILES))

format: venv
	$(VENV_PYTHON) -m ruff format .
	$(if $(CXX_FILES),.venv/bin/clang-format -i $(CXX_FILES))

clean:
	rm -rf build dist

distclean: clean
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
