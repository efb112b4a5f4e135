# Two commands: `make demo` and `make test`. Each makes its own environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo serve test check lint bench crash faults fuzz prove scale soak screenshots lock audit sbom clean

# The lock names every package there is to install: --no-deps keeps pip from looking for others
# (pip 23 stumbles over "coverage[toml]" as soon as there is a release newer than the pinned one).
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'MétéoScore needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/pip check --disable-pip-version-check
	@touch $@

demo: $(READY)  ## 30 days of all default sources without network or keys, then a page to look at
	$(BIN)/meteo-score demo $(DEMO)

serve: $(READY)  ## the real thing: see "Going live" in the README
	$(BIN)/meteo-score serve

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Four at a time on two cores: many tests wait for a process, a browser or PostgreSQL.
test: lint  ## everything that must hold
	$(BIN)/coverage erase
	$(BIN)/pytest -n 4 --cov --cov-report=
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=95 --include='backend/scheduler/*'

check: lint  ## lint and the fast tests, in a minute and a half: for the developer's loop
	$(BIN)/pytest -n 2 -q -m "not slow"

crash: $(READY)  ## 30 days with SIGKILL at random moments against 30 undisturbed ones (CRASH="--days 3 --database sqlite")
	$(BIN)/python -m proofs.crash $(CRASH)

scale: $(READY)  ## several processes, killed at random, against one undisturbed (SCALE="--sites 100 --throughput")
	$(BIN)/python -m proofs.scale $(SCALE)

faults: $(READY)  ## every source and route under every fault (FAULTS="--route ffvl/page --fault hang")
	$(BIN)/python -m proofs.faults $(FAULTS)

soak: $(READY)  ## 30 days in one process under random faults (SOAK="--days 3 --seed 7 --database postgresql")
	$(BIN)/python -m proofs.soak $(SOAK)

fuzz: $(READY)  ## every parser against payloads gone wrong (SECONDS=3600, FUZZ="--only romma --seed 7")
	$(BIN)/python -m proofs.fuzz --seconds $(or $(SECONDS),60) $(FUZZ)

prove: $(READY)  ## how often intervals, biases and winners are right where the truth is known (PROVE="--only power")
	$(BIN)/python -m proofs.inference $(PROVE)

bench: $(READY)  ## speed, memory and latency, each beside an alternative (BENCH="storing --rounds 3 --quiet 120")
	$(BIN)/python -m proofs.bench $(BENCH)

screenshots: $(READY)  ## every page in Chromium into .screenshots (SCREENSHOTS="--readme": those of the README)
	$(BIN)/python -m proofs.screenshots $(SCREENSHOTS)

lock: $(READY)  ## pin the newest allowed versions, with hashes, for Python 3.11 to 3.13
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --quiet --upgrade -o requirements.lock
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --constraint requirements.lock \
	  --generate-hashes --no-annotate --no-header --quiet -o deploy/requirements.lock

audit: $(READY)  ## known advisories about the pinned packages, asked on the internet (docs/decisions/advisories.md)
	test -x .audit/bin/pip-audit || { $(PYTHON) -m venv .audit && .audit/bin/pip install --quiet pip-audit==2.10.1; }
	.audit/bin/pip-audit --disable-pip --require-hashes -r requirements.lock -r deploy/requirements.lock $(AUDIT)

sbom: $(READY)  ## the packages of an installation, with their hashes, as CycloneDX in dist/sbom.cdx.json
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements --output-reproducible --of JSON -o dist/sbom.cdx.json deploy/requirements.lock

clean:
	rm -rf $(VENV) .audit .demo .bench .screenshots .coverage* .mypy_cache .ruff_cache .pytest_cache
