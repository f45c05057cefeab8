# Everything is installed into .venv; nothing outside the checkout is touched. `make help` lists the targets.
# A file of constraints/: which versions of Python, Spark and the rest.
CELL ?= py311-spark41
CELL_PYTHON := python$(shell echo $(CELL) | sed -E 's/^py([0-9])([0-9]+)-.*/\1.\2/')
PYTHON ?= $(shell command -v $(CELL_PYTHON) || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RECBOLE := 1.2.1

.DEFAULT_GOAL := help
.PHONY: help demo picture test test-matrix test-cluster test-faults test-archive test-gpu dist dist-env benchmark-utility benchmark-profiles benchmark-stability benchmark-scale benchmark-gpu benchmark-faults benchmark-apply benchmark-dialects benchmark-field benchmark-search lint types doctor clean

help:  ## This list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml constraints/$(CELL).txt
	@sh scripts/preflight.sh $(CELL) "$(PYTHON)"
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/$(CELL).txt -e '.[demo,dev]'
	@touch $@

data/complete_journey/products.parquet: | $(VENV)/.installed
	$(BIN)/synthspark demo-data data/complete_journey

# Only files of the wheel are read: recbole is not installed.
data/ml-100k/movies.parquet: | $(VENV)/.installed
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest data recbole==$(RECBOLE)
	$(BIN)/synthspark demo-data data/ml-100k --shop ml-100k --wheel data/recbole-$(RECBOLE)-py3-none-any.whl

demo: $(VENV)/.installed data/complete_journey/products.parquet  ## The whole job on a real shop, into ./lake (about 8 minutes).
	$(BIN)/synthspark run --config conf/demo.yaml

picture: $(VENV)/.installed  ## docs/images/report.png, the first screen of the newest report in ./lake.
	$(BIN)/python scripts/picture.py lake

test: $(VENV)/.installed data/ml-100k/movies.parquet  ## The whole test suite.
	$(BIN)/python -m pytest

# CELLS="py311-spark35 py312-spark40" runs some only.
test-matrix: $(VENV)/.installed  ## Every tested pair of Python and Spark, and whether its values are the default's (an hour).
	$(BIN)/python scripts/matrix.py $(CELLS)

test-cluster: $(VENV)/.installed  ## The job on a standalone Spark cluster that is started here, on loopback.
	$(BIN)/python -m pytest -m cluster

test-faults: $(VENV)/.installed  ## What survives a kill -9 on that cluster: driver, executor, Python worker, training.
	$(BIN)/python -m pytest -m faults

test-archive: $(VENV)/.installed dist-env  ## The standalone command with --archives: workers have no package but the archive's (minutes).
	$(BIN)/python -m pytest -m archive

test-gpu: $(VENV)/.installed  ## Training on this machine's GPU: the same weights twice, after a kill, by two processes.
	$(BIN)/python -m pytest -m gpu -rs

dist: $(VENV)/.installed  ## dist/synthspark-<version>.zip, for spark-submit --py-files.
	$(BIN)/python scripts/dist.py

# A plain archive of a plain environment: docs/decisions/009 says why nothing cleverer is needed.
dist-env:  ## dist/environment.tar.gz, for spark-submit --archives: the third-party packages (about 1 GB; minutes). EXTRA=s3fs adds some.
	@sh scripts/preflight.sh $(CELL) "$(PYTHON)"
	rm -rf dist/environment
	"$(PYTHON)" -m venv --copies dist/environment
	dist/environment/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/$(CELL).txt . $(EXTRA)
	dist/environment/bin/python -m pip uninstall --quiet --yes synthspark
	tar -C dist/environment -I 'gzip -1' -cf dist/environment.tar.gz .

benchmark-utility: $(VENV)/.installed data/complete_journey/products.parquet data/ml-100k/movies.parquet  ## docs/utility.md from raw data (about an hour).
	$(BIN)/python benchmarks/utility.py

benchmark-profiles: $(VENV)/.installed  ## docs/profiles.md from raw data (more than an hour).
	$(BIN)/python benchmarks/profiles.py

benchmark-stability: $(VENV)/.installed data/complete_journey/products.parquet  ## docs/stability.md and its picture (about 12 minutes).
	$(BIN)/python benchmarks/stability.py

benchmark-scale: $(VENV)/.installed data/complete_journey/products.parquet  ## docs/scale.md: 10, 30 and 100 million events (hours).
	$(BIN)/python benchmarks/scale.py

# Two steps, as the second can be done where neither Spark nor the lake is.
benchmark-gpu: $(VENV)/.installed  ## docs/gpu.md: the demo's generators on this machine's GPU, after `make demo` (minutes).
	rm -rf benchmarks/lake/gpu
	$(BIN)/python benchmarks/gpu.py --prepare benchmarks/lake/gpu --folder benchmarks/lake/gpu

benchmark-faults: $(VENV)/.installed  ## docs/faults.md: kill -9 in every stage, on a cluster started here, and of every command (an hour and a half).
	$(BIN)/python benchmarks/fault_matrix.py
	$(BIN)/python benchmarks/command_faults.py

# FIELD="--config CONFIG --variant whole" does some only.
benchmark-field: $(VENV)/.installed data/complete_journey/products.parquet data/ml-100k/movies.parquet  ## docs/field.md: variants of the shops, what auto promises and what comes of it (hours).
	$(BIN)/python benchmarks/field.py $(FIELD)

# DATA: a folder with items.parquet and searches.parquet, and perhaps ratings.parquet; benchmarks/search.py says more.
benchmark-search: $(VENV)/.installed  ## Searches: virtual clicks of new items and queries, proven on the log in DATA.
	$(BIN)/python benchmarks/search.py $(DATA) $(SEARCH)

benchmark-apply: $(VENV)/.installed data/complete_journey/products.parquet  ## Yesterday's models against training again, at three dates (an hour and a half).
	$(BIN)/python benchmarks/apply.py

# How many of the ways to write a shop's tables are read right; SEEDS=0:500 takes an hour.
SEEDS ?= 0:500
benchmark-dialects: $(VENV)/.installed  ## Tables in random dialects: read right, refused, wrong in silence, crashed.
	$(BIN)/python benchmarks/dialects.py --seeds $(SEEDS)

lint: $(VENV)/.installed  ## ruff, format included.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## mypy, strict.
	$(BIN)/mypy

doctor: $(VENV)/.installed  ## What of the stack works on this machine.
	$(BIN)/synthspark doctor --config conf/demo.yaml

clean:  ## Remove the environment, the shops' data and their lakes.
	rm -rf $(VENV) .cells data/complete_journey data/ml-100k data/recbole-*.whl lake lake-ml-100k dist
