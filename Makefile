# Two commands do everything on a fresh Debian: `make demo` and `make test`.
# They need rustup's cargo, git, make and apt (as root); npm is used when it is there.
# What else is missing they install, and say so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What a host puts in service by itself, and what is built beside it for whoever wants it.
PLUGINS := perplexity aio brave
MORE_RUST := openai dataforseo
LANGUAGES := rust js python go
PLUGIN_CRATES := $(PLUGINS:%=-p aiv-plugin-%) $(MORE_RUST:%=-p aiv-plugin-%) -p aiv-example-echo
DIST := plugins/dist
SDK := target/sdk
CARGO := cargo
export CHAOS_SECONDS ?= 60
DRILL_PROFILE ?= release
# Build output is noise beside a result on standard output.
say = @echo "==> $(1)" >&2

.PHONY: help demo test check components plugins guests sdk host bench chaos drills fmt setup tools postgres redis clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@command -v cc >/dev/null || { echo "==> installing a C compiler" >&2; apt-get update -q >&2; apt-get install -qy --no-install-recommends gcc libc6-dev >&2; }
	@rustup target list --installed | grep -qx wasm32-wasip2 || { echo "==> adding the wasm target" >&2; rustup target add wasm32-wasip2 >&2; }

# A component is known by its digest: where it was built is no part of it.
components: export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
components: setup
	$(call say,building the components)
	@cd plugins && $(CARGO) build --release --locked --target wasm32-wasip2 >&2
	@mkdir -p $(DIST)/more $(SDK)
	@copy() { cmp -s $$1 $$2 || cp $$1 $$2; }; \
	from=plugins/target/wasm32-wasip2/release; \
	for plugin in $(PLUGINS); do copy $$from/$$plugin.wasm $(DIST)/$$plugin.wasm; done; \
	for plugin in $(MORE_RUST); do copy $$from/$$plugin.wasm $(DIST)/more/$$plugin.wasm; done; \
	copy $$from/echo.wasm $(SDK)/echo-rust.wasm

plugins: components $(DIST)/more/gemini.wasm $(DIST)/more/compatible.wasm ## Build the first-party components into plugins/dist

sdk: components $(LANGUAGES:%=$(SDK)/echo-%.wasm) ## Build the example of the SDK in every language into target/sdk

# A component whose tool is missing is left out: the file beside it says why.
componentize = @echo "==> building $@" >&2; mkdir -p $(@D); sdk/componentize $(1) $(2) $@ || [ $$? = 3 ]
JS_SDK := $(wildcard sdk/js/src/*.js)
PYTHON_SDK := $(wildcard sdk/python/aiv_sdk/*.py)
GO_SDK := $(wildcard sdk/go/aiv/*.go sdk/go/wit/*/*.go sdk/go/pkg/wit/*/*.go) sdk/go/preview1.wat
WIT := $(wildcard wit/provider-0.1/*.wit) sdk/componentize

$(DIST)/more/gemini.wasm: $(wildcard plugins/gemini/src/*.js) $(JS_SDK) $(WIT)
	$(call componentize,js,plugins/gemini/src/gemini.js)

$(DIST)/more/compatible.wasm: $(wildcard plugins/compatible/*.py plugins/compatible/compatible/*.py) $(PYTHON_SDK) $(WIT)
	$(call componentize,python,plugins/compatible)

$(SDK)/echo-rust.wasm: components ;

$(SDK)/echo-js.wasm: sdk/js/examples/echo.js $(JS_SDK) $(WIT)
	$(call componentize,js,$<)

$(SDK)/echo-python.wasm: sdk/python/examples/echo.py $(PYTHON_SDK) $(WIT)
	$(call componentize,python,$<)

$(SDK)/echo-go.wasm: $(wildcard sdk/go/examples/echo/*.go) $(GO_SDK) $(WIT)
	$(call componentize,go,sdk/go/examples/echo)

host: setup
	$(call say,building the host)
	@$(CARGO) build --locked -p aiv >&2

demo: components host ## Run the main job on recordings and serve the result (DEMO_ARGS="--exit --json")
	@target/debug/aiv demo $(DEMO_ARGS)

tools:
	@for tool in curl jq; do command -v $$tool >/dev/null || { echo "==> installing $$tool" >&2; apt-get update -q >&2; apt-get install -qy --no-install-recommends $$tool >&2; }; done

postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { echo "==> installing PostgreSQL" >&2; apt-get update -q >&2; apt-get install -qy --no-install-recommends postgresql >&2; }

redis:
	@command -v redis-server >/dev/null || { echo "==> installing Redis" >&2; apt-get update -q >&2; apt-get install -qy --no-install-recommends redis-server >&2; }

test: setup tools postgres redis plugins sdk ## Run the whole suite on SQLite, and on PostgreSQL with Redis
	$(call say,testing the components)
	cd plugins && $(CARGO) test --locked --workspace
	.ci/test-guests
	$(call say,testing analysis, runtime, mock vendors and sdk)
	$(CARGO) test --locked -p aiv-analysis -p aiv-runtime -p aiv-bench
	$(CARGO) test --locked -p aiv-sdk --features testing
	$(call say,testing the host on SQLite)
	$(CARGO) test --locked -p aiv
	$(call say,testing the host on PostgreSQL with Redis)
	.ci/with-services $(CARGO) test --locked -p aiv --test it
	$(call say,breaking what the host leans on for $(CHAOS_SECONDS) s)
	$(CARGO) build --locked -p aiv -p aiv-bench
	target/debug/aiv-chaos --aiv target/debug/aiv --lease 6
	$(call say,everything passed)

# cargo-deny is run once and built for it: without optimisation, where the rest is built.
check: setup ## Format, lints, docs, licences
	$(CARGO) fmt --all --check
	cd plugins && $(CARGO) fmt $(PLUGIN_CRATES) --check
	$(CARGO) clippy --locked --workspace --all-targets --features aiv-sdk/testing -- -D warnings
	cd plugins && $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@command -v cargo-deny >/dev/null || { echo "==> installing cargo-deny" >&2; $(CARGO) install --locked --version 0.20.2 --debug --target-dir target/tools cargo-deny >&2; }
	$(CARGO) deny --locked --config .cargo/deny.toml check bans licenses sources
	$(call say,everything is in order)

bench: setup postgres redis components ## Measure beside the peer, if it is there (BENCH_ARGS="--only pipeline --json")
	$(call say,building the host and the benchmark)
	@$(CARGO) build --release --locked -p aiv -p aiv-bench >&2
	@target/release/aiv-bench $(BENCH_ARGS)

chaos: setup postgres redis components ## Break what the host leans on and check the accounts (CHAOS_SECONDS=600, CHAOS_ARGS="--seed 7")
	$(call say,building the host)
	@$(CARGO) build --release --locked -p aiv -p aiv-bench >&2
	@target/release/aiv-chaos --aiv target/release/aiv $(CHAOS_ARGS)

guests: setup
	$(call say,building the components that misbehave)
	@cd host/runtime/tests/guests && $(CARGO) build --release --locked --target wasm32-wasip2 --target-dir $(CURDIR)/target/guests >&2

drills: setup postgres plugins guests ## Swap components under load, let hostile ones in, hold the API against its document (DRILL=hot-swap|hostile-plugins|schemathesis, DRILL_PROFILE=dev)
	$(call say,building the host)
	@$(CARGO) build $(DRILL_PROFILE:%=--profile %) --locked -p aiv -p aiv-bench >&2
	@built=target/$(DRILL_PROFILE:dev=debug); $$built/aiv-drills --aiv $$built/aiv $(if $(DRILL),--only $(DRILL)) $(DRILL_ARGS)

fmt: ## Format all code
	$(CARGO) fmt --all
	cd plugins && $(CARGO) fmt $(PLUGIN_CRATES)

clean: ## Remove what was built and the demo's data
	rm -rf target plugins/target plugins/dist data/demo.db*
