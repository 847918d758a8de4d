# `make demo` and `make test` do their own set-up. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
MODELS := mpnet minilm smollm2
DATA ?=
LIMIT ?=
CASES ?= 3000
REQUESTS ?= 20000
CLIENTS ?= 64
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow quality fuzz soak bench bench-service bench-engines audit readme examples worked
.PHONY: screenshots check format serve clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

# torch comes first and by version: asked for as a dependency of others, pip may choose a far larger build.
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Polyseme needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,postgres,ray]'
	@touch $@

# Everything but the dictionary's own commands works without it, so that no source of it stops nothing.
setup: .venv/.ready ## the environment, the three models, verified, and WordNet where a source of it answers
	$(BIN)/polyseme models pull $(MODELS)
	$(BIN)/polyseme models verify $(MODELS)
	-$(BIN)/polyseme lexicon pull

demo: setup ## the senses of "bank" in 30 sentences, and a report
	@mkdir -p out
	$(BIN)/polyseme senses bank analysis/examples/bank.txt --html out/bank.html --json out/bank.json

# Two at a time, one thread each: the models are small, and most tests wait for something else.
test: setup ## the default tests; without a browser or a database server theirs are skipped
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

slow: setup ## the slow tests: real downloads, many cases
	$(BIN)/python -m pytest -m slow

quality: setup ## measured against labelled data: make quality DATA=FOLDER (LIMIT=200 usages, to be quick)
	@test -n "$(DATA)" || { echo "name the folder of the data: make quality DATA=FOLDER" >&2; exit 2; }
	POLYSEME_TEST_DATA="$(abspath $(DATA))" POLYSEME_QUALITY_LIMIT="$(LIMIT)" $(BIN)/python -m pytest -m quality -s

fuzz: setup ## schemathesis over the whole API: make fuzz CASES=3000
	POLYSEME_FUZZ_CASES=$(CASES) $(BIN)/python -m pytest tests/api/test_fuzz.py

soak: setup ## many clients of a real service: make soak REQUESTS=20000 CLIENTS=64
	$(BIN)/python -m tests.benchmarks.soak --requests $(REQUESTS) --clients $(CLIENTS)

bench: setup ## the encoder beside other ways and the machine itself: make bench DATA=FOLDER (BENCH="--only speed")
	@test -n "$(DATA)" || { echo "name a folder in the form of CoarseWSD-20: make bench DATA=FOLDER" >&2; exit 2; }
	$(BIN)/python -m tests.benchmarks.encoder --data "$(abspath $(DATA))" $(BENCH)

bench-service: setup ## what the service costs beside the bare model; wants a machine that does nothing else
	$(BIN)/python -m tests.benchmarks.throughput

bench-engines: setup ## corpora: Ray beside one process, memory as usages grow; wants a machine that does nothing else
	$(BIN)/python -m tests.benchmarks.engines

# Strict: what it could not ask about, because the package index's data is out of reach, is a failure too.
audit: .venv/.ready ## known vulnerabilities of what is installed
	@$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt || \
		{ echo "not audited clean: see the line above; without the package index's data nothing is known" >&2; exit 1; }

readme: setup ## writes the table of settings into the README
	$(BIN)/python -m service.settings_table README.md

examples: setup ## writes the examples of the API's description, and its snapshot
	$(BIN)/python -m tests.make_examples
	POLYSEME_WRITE_SNAPSHOT=1 $(BIN)/python -m pytest -q tests/api/test_openapi.py

worked: setup ## writes the worked examples of the pages, read with mpnet and smollm2
	$(BIN)/python -m tests.make_worked

screenshots: setup ## writes pictures of the pages to docs/; wants a Chromium
	$(BIN)/python -m tests.screenshots

check: setup ## format, lint, types, import rules, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

format: .venv/.ready ## writes the format and the safe lint fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

serve: setup ## the service on http://127.0.0.1:8000
	$(BIN)/polyseme serve

clean: ## removes the environment and what was built (models stay)
	rm -rf .venv build out *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
