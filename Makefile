# The commands of this project. `make help` lists them.

# dev shares its build with `make test` and is ready sooner; release is faster once built (make run PROFILE=release).
PROFILE ?= dev
CONFIG  ?= conf/demo.yaml

OUT := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# Where cmake is if it had to come from PyPI.
export PATH := $(PATH):$(CURDIR)/.venv/bin
# A build that no other follows keeps nothing for one: from nothing that is a minute or two, and half the disk.
ifdef CI
export CARGO_INCREMENTAL ?= 0
endif
# The demo configuration's access key, which it documents in a comment.
KEY = $(shell grep -om1 'tg-[a-z0-9_-]*-g1-[0-9A-Za-z]*' conf/demo.yaml)
ADMIN_KEY = $(shell grep -om1 'tga-[a-z0-9_-]*-g1-[0-9A-Za-z]*' conf/demo.yaml)

.DEFAULT_GOAL := help
.PHONY: help run test test-tools test-build test-rust test-sdk test-clients test-browser screenshots test-upgrade soak soak-upgrades lint format clippy doc map figures catalog deny \
  coverage fuzz image-size profiled release bench tools clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: tools ## Build the gateway and start it with conf/demo.yaml
	@echo "==> building; the first time takes a few minutes"
	@cargo build --locked --profile $(PROFILE) --bin tollgate
	@echo
	@echo "==> starting with $(CONFIG); Ctrl-C stops it. In another terminal, try:"
	@echo
	@echo "    curl http://127.0.0.1:8080/v1/chat/completions \\"
	@echo "      -H 'Authorization: Bearer $(KEY)' \\"
	@echo "      -H 'Content-Type: application/json' \\"
	@echo "      -d '{\"model\": \"demo:echo\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'"
	@echo
	@echo "    and open the console, http://127.0.0.1:9090/, with the API key $(ADMIN_KEY)"
	@echo "    ($(OUT)/tollgate demo traffic gives it something to show)"
	@echo
	@exec $(OUT)/tollgate run --config $(CONFIG)

test: tools ## Run every test: Rust, then SDKs, coding agents and a browser against the real binary
	@$(MAKE) --no-print-directory -j2 test-tools test-build
	@$(MAKE) --no-print-directory test-rust test-sdk test-clients test-browser

# One waits for the network, the other for the compiler.
test-tools:
	@.ci/tools test

test-build:
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --locked --workspace --no-run; \
	else \
	  cargo test --locked --workspace --no-run --lib --bins --tests; \
	fi

# The bank of a fleet is tried on whichever of the two is there.
test-rust: export TOLLGATE_TEST_REDIS ?= $(shell command -v redis-server || command -v valkey-server)
test-rust:
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --locked --workspace --no-fail-fast; \
	else \
	  cargo test --locked --workspace --no-fail-fast --lib --bins --tests; \
	fi

test-sdk:
	@cargo build --locked --profile $(PROFILE) --bin tollgate
	@TOLLGATE_BIN=$(abspath $(OUT)/tollgate) .venv/bin/python -m pytest tests/python

# The Vercel AI SDK, LangChain, codex and claude, where they could be installed.
test-clients:
	@cargo build --locked --profile $(PROFILE) --bin tollgate
	@TOLLGATE_BIN=$(abspath $(OUT)/tollgate) .venv/bin/python -m pytest tests/clients

# The console, where Chromium and Playwright could be installed.
test-browser:
	@cargo build --locked --profile $(PROFILE) --bin tollgate
	@TOLLGATE_BIN=$(abspath $(OUT)/tollgate) .venv/bin/python -m pytest tests/browser

SHOTS ?= $(abspath $(OUT)/screenshots)
screenshots: ## Keep every page of the console as it looks, in SHOTS (a folder)
	@.ci/tools test
	@TOLLGATE_SCREENSHOTS=$(SHOTS) $(MAKE) --no-print-directory test-browser
	@echo "==> $(SHOTS)"

# Which commit's gateway this one must get on with: the last release, or the commit before. What is built is kept.
BASE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo HEAD~1)

test-upgrade: export TOLLGATE_TEST_REDIS ?= $(shell command -v redis-server || command -v valkey-server)
test-upgrade: ## Run this gateway and the one of BASE (a commit) side by side on one Redis
	@commit=$$(git rev-parse --verify --short '$(BASE)^{commit}') || exit 1; \
	place=$(CURDIR)/target/upgrade/$$commit; \
	if [ ! -x "$$place/tollgate" ]; then \
	  echo "==> building $$commit"; \
	  git worktree prune && { [ -d "$$place/source" ] || git worktree add --quiet --detach "$$place/source" "$$commit"; } && \
	  (cd "$$place/source" && CARGO_TARGET_DIR=$(abspath $(or $(CARGO_TARGET_DIR),target)) \
	    cargo build --locked --bin tollgate) && \
	  cp $(abspath $(or $(CARGO_TARGET_DIR),target))/debug/tollgate "$$place/tollgate" && \
	  git worktree remove --force "$$place/source" || exit 1; \
	fi; \
	TOLLGATE_PREVIOUS_BIN="$$place/tollgate" cargo test --locked --test gateway side_by_side -- --nocapture

# TIME is in seconds; 60 shows that it works. TOLLGATE_BIN is another program to run.
soak: TIME ?= 3600
soak: ## Run gateways for an hour (TIME) through all that breaks, and judge memory, books and latency
	@.ci/tools test
	@[ -n "$(TOLLGATE_BIN)" ] || cargo build --locked --release --bin tollgate
	@TOLLGATE_BIN=$(abspath $(or $(TOLLGATE_BIN),$(or $(CARGO_TARGET_DIR),target)/release/tollgate)) \
	  .venv/bin/python tests/soak/soak.py --time $(TIME)

soak-upgrades: ## Upgrade gateways ten times under 500 streams and 50 WebSockets, and judge answers and charges
	@.ci/tools test
	@[ -n "$(TOLLGATE_BIN)" ] || cargo build --locked --release --bin tollgate
	@TOLLGATE_BIN=$(abspath $(or $(TOLLGATE_BIN),$(or $(CARGO_TARGET_DIR),target)/release/tollgate)) \
	  .venv/bin/python tests/soak/upgrades.py

lint: tools format clippy ## Check the format, the lints, and that no stray file is tracked

format:
	@cargo fmt --all --check
	@stray=$$(git ls-files --cached --ignored --exclude-standard); \
	[ -z "$$stray" ] || { echo "tracked, and yet ignored by .gitignore:" $$stray; exit 1; }

clippy:
	@cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## Make the documentation of every crate, and deny warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace

map: ## Draw the crates and their rooms, and fail on a circle or an arrow upwards
	@.ci/map

figures: ## Count lines by crate and room, and what crates show each other
	@.ci/lines
	@echo
	@.ci/public

# Where the reference files are: catalog.tsv, genai-prices-0.2.1.json, model-facts.tsv.
REFERENCE ?= ../shared/reference
catalog: ## Derive the built-in models and prices from REFERENCE, and say what changed
	@.ci/catalog $(REFERENCE)

bench: tools ## Run the benchmarks
	@cargo bench --locked --workspace

# Advisories come from a repository on the network; the other checks need none.
deny: ## Check the dependencies' licences, duplicates, sources and advisories
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install cargo-deny --locked"; exit 1; }
	@cargo deny --locked check --hide-inclusion-graph licenses bans sources
	@if [ -n "$$CI" ] || cargo deny fetch db >/dev/null 2>&1; then cargo deny --locked check advisories; \
	else echo "advisories were NOT checked: their database cannot be fetched"; fi

coverage: tools ## Say which lines the Rust tests reach
	@.ci/coverage

# tests/fuzz/README.md lists the targets. TIME is in seconds.
TARGET ?= request
fuzz: TIME ?= 60
fuzz: ## Fuzz one target for some seconds: make fuzz TARGET=request TIME=60
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked"; exit 1; }
	@mkdir -p target/fuzz/$(TARGET)
	@RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz/build $(TARGET) \
	  target/fuzz/$(TARGET) tests/fuzz/corpus/$(TARGET) -- -max_len=65536 -timeout=20 -malloc_limit_mb=256 -max_total_time=$(TIME) \
	  $(addprefix -dict=,$(wildcard tests/fuzz/$(TARGET).dict))

image-size: ## Say how large the container image is, without docker
	@cargo build --locked --release --bin tollgate
	@.ci/image --size $(or $(CARGO_TARGET_DIR),target)/release/tollgate

profiled: tools ## Build the program laid out by a profile of itself, and say where it is
	@.ci/profiled

release: tools ## Make a release: program, checksums, SBOM, image, in target/release-<version>
	@.ci/release

tools:
	@.ci/tools build

clean: ## Remove what was built
	@cargo clean
	@rm -rf .venv tests/clients/node_modules
