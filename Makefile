# Every target sets up what it needs, in .venv, from the locks: with uv if it is there, else with pip.

PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests
# Two for each processor and two more: tests wait for budgets, retries and processes.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN) + 2)
PEERS := dlt singer target airbyte
UV := uv pip install --quiet --python $(BIN)/python
# Errors only; what is imported is compiled when it first is, which is a small part of all that is installed.
PIP := $(BIN)/python -m pip install --quiet --quiet --no-compile --disable-pip-version-check

# What is imported is compiled once and not by every process: .venv belongs to these targets.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check format reference docs torture bench lock clean

demo: .venv/runs
	$(BIN)/task-history demo

test: .venv/analyzer .venv-axe/ready .venv-bigquery/ready .venv-analyst/ready .venv-dbt/ready .venv-dagster/ready \
		.venv-docs/ready .venv-ducklake/ready
	$(BIN)/pytest -n $(WORKERS) -m "not torture" $(TESTS)

check: .venv/ready .venv-semgrep/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive sources pipelines
	.venv-semgrep/bin/semgrep scan --quiet --error --metrics=off --disable-version-check --config .ci/semgrep.yml \
		sources pipelines

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is made from the code: the pages in docs/reference, signatures of the dlt sources, files in .dlt, dbt's sources.
reference: .venv/ready
	$(BIN)/python -m tests.support.generated
	$(BIN)/ruff format --quiet sources/task_history/source.py

# The documentation as a site in site/, which opens without a server. Every link inside it is checked.
docs: .venv-docs/ready
	.venv-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --jobs auto docs site

# The long versions: hundreds of kills, a million rows, every system and case. An hour or two.
torture: .venv/analyzer .venv-axe/ready .venv-bigquery/ready .venv-analyst/ready .venv-dbt/ready .venv-dagster/ready \
		.venv-docs/ready .venv-ducklake/ready
	$(BIN)/pytest -m torture $(TESTS)

# Peers at the same work from the same server: see docs/explanation/performance.md. BENCH="--only syncs" and the like.
bench: .venv/runs $(PEERS:%=.venv-bench-%/ready)
	$(BIN)/python -m tests.benchmarks $(BENCH)

# What runs.
.venv/runs: requirements.lock pyproject.toml
	@set -e; \
	if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --quiet --python ">=3.11" .venv; \
		$(UV) --require-hashes -r requirements.lock; \
		$(UV) --no-deps --no-build-isolation -e .; \
	else \
		test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
		$(PIP) --require-hashes -r requirements.lock; \
		$(PIP) --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

# What tests and checks need beside it; both locks hold all that they need.
.venv/ready: .venv/runs .ci/requirements-dev.lock
	@if command -v uv >/dev/null 2>&1; \
	then $(UV) --no-deps --require-hashes -r .ci/requirements-dev.lock; \
	else $(PIP) --no-deps --require-hashes -r .ci/requirements-dev.lock; fi
	@touch $@

# Google's analyzer of SQL, compiled: half a minute that tests do not have to wait for.
.venv/analyzer: .venv/ready
	@$(BIN)/python -m tests.destinations.bigquery.analyzer
	@touch $@

# BigQuery's emulator, which needs a Python of its own: the first one that runs. Where there is none nothing is made.
.venv-bigquery/ready: .ci/requirements-bigquery.lock
	@set -e; \
	for python in python3.13 python3.14 python3.15 $(HOME)/.pyenv/versions/3.1[3-9]*/bin/python ""; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1 && break; \
	done; \
	if test -z "$$python"; then echo "no Python 3.13 or newer is here: tests of BigQuery are skipped"; exit; fi; \
	if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python "$$python" .venv-bigquery; \
		uv pip install --quiet --python .venv-bigquery/bin/python --require-hashes -r $<; \
	else \
		"$$python" -m venv --clear .venv-bigquery; \
		.venv-bigquery/bin/python -m pip install --quiet --quiet --no-compile --disable-pip-version-check \
			--require-hashes -r $<; \
	fi; \
	touch $@

# Tools that each need an environment of their own: tests run without pandas, as users do, dbt wants an older protobuf
# than Google's client, semgrep and the peers of the benchmark pin what they use.
define ENVIRONMENT
	@set -e; \
	if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python ">=3.11,<3.14" $(@D); \
		uv pip install --quiet --python $(@D)/bin/python --no-deps --require-hashes -r $<; \
	else \
		$(PYTHON) -m venv --clear $(@D); \
		$(@D)/bin/python -m pip install --quiet --quiet --no-compile --disable-pip-version-check \
			--no-deps --require-hashes -r $<; \
	fi
endef

.venv-axe/ready .venv-dbt/ready .venv-docs/ready .venv-semgrep/ready: .venv-%/ready: .ci/requirements-%.lock
	$(ENVIRONMENT)
	@touch $@

# This project is in them as it stands here.
.venv-analyst/ready .venv-dagster/ready .venv-ducklake/ready: .venv-%/ready: .ci/requirements-%.lock
	$(ENVIRONMENT)
	@printf '%s\n' "$(CURDIR)/sources" "$(CURDIR)/pipelines" \
		> "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/task_history.pth"
	@touch $@

.venv-bench-%/ready: tests/benchmarks/peers/%.txt
	$(ENVIRONMENT)
	@touch $@

# The exact tested versions, with hashes; versions that the locks have already stay. It needs uv.
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url
lock:
	$(COMPILE) pyproject.toml --group build -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock -o .ci/requirements-dev.lock
	$(COMPILE) pyproject.toml --group build --extra fleet --extra postgres --extra notify --extra otel \
		-c requirements.lock -c .ci/requirements-dev.lock -o .ci/requirements-image.lock
	$(COMPILE) pyproject.toml --group analyst -c requirements.lock -o .ci/requirements-analyst.lock
	$(COMPILE) --group dagster -o .ci/requirements-dagster.lock
	$(COMPILE) --no-deps --group axe -o .ci/requirements-axe.lock
	$(COMPILE) --group dbt -o .ci/requirements-dbt.lock
	$(COMPILE) --group docs -o .ci/requirements-docs.lock
	$(COMPILE) pyproject.toml --group ducklake -o .ci/requirements-ducklake.lock
	$(COMPILE) --group semgrep -o .ci/requirements-semgrep.lock

clean:
	rm -rf .venv .venv-bigquery .venv-docs .venv-bench-* demo.duckdb site
