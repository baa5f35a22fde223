# lakeward: `make help` lists the verbs. Needs only Python 3.11+ and make; everything else goes into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
READY  := $(VENV)/.ready

export UV_COMPILE_BYTECODE := 1
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_LINK_MODE := copy
export LAKEWARD_LAUNCHED_BY := make

.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint format docs vulnerabilities soak fuzz bench lock clean

help: ## list the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v[:2] < (3, 14); sys.exit(0 if ok else "lakeward needs Python 3.11 to 3.13, and %s is %d.%d: set PYTHON=python3.x" % (sys.executable, v[0], v[1]))'
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

$(READY): $(UV) pyproject.toml uv.lock
	@echo "installing the packages of uv.lock"
	@$(UV) sync --frozen --quiet --inexact
	@touch $@

setup: $(READY) ## make .venv and install everything that uv.lock names

demo: $(READY) ## the whole way on 200,000 generated events: marts, report, audit
	@$(BIN)/lakeward demo

up: $(READY) ## broker, writer, Dagster web page and daemon, until Ctrl-C
	@$(BIN)/lakeward up

test: $(READY) ## all tests, a file at a time in each of two processes; JOBS=0 for one after the other
	@$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder

lint: $(READY) ## ruff, mypy, sqlfluff, yamllint and drift of generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/yamllint --strict .
	@cd dbt_project && ../$(BIN)/sqlfluff lint --disable-progress-bar models
	@$(BIN)/lakeward contracts check

format: $(READY) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY) ## write the pages that are generated: commands, metrics, marts, contracts
	@$(BIN)/python -c "from lakeward.metrics_reference import metrics_reference as r; import pathlib; pathlib.Path('docs/reference/metrics.md').write_text(r())"
	@$(BIN)/python -c "from lakeward.reference import cli_reference as r; import pathlib; pathlib.Path('docs/reference/cli.md').write_text(r())"
	@$(BIN)/python -c "from lakeward.marts_reference import marts_reference as r; import pathlib; pathlib.Path('docs/reference/marts.md').write_text(r())"
	@$(BIN)/python -c "from lakeward.mending_reference import mending_reference as r, mending_schema as j; import pathlib; pathlib.Path('docs/reference/mending.md').write_text(r()); pathlib.Path('docs/reference/mending.schema.json').write_text(j())"
	@$(BIN)/lakeward contracts generate

vulnerabilities: $(READY) ## installed packages against known vulnerabilities; says when the data is not reachable
	@$(BIN)/python -m tests.vulnerabilities

soak: $(READY) ## the writer's model on many more schedules; N=20000 SEED=1
	@$(BIN)/python -m tests.lake.writer.simulation.run --soak $(or $(SEED),1):$(or $(N),2000)

fuzz: $(READY) ## mutated messages against decoding; SECONDS=60 SEED=1
	@$(BIN)/python -m tests.fuzz.fuzzer --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

bench: $(READY) ## benchmarks; NAME=writer for one, NAME="writer --help" for its options
	@$(BIN)/python -m benchmarks $(NAME)

lock: $(UV) ## renew uv.lock
	@$(UV) lock --upgrade

clean: ## remove what demo and tests wrote; .venv stays
	rm -rf data dbt_project/target dbt_project/logs logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
