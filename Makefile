# What a developer runs; `make` alone tells. The checks themselves are steps of tests/run.sh.
.DEFAULT_GOAL := help
.PHONY: help build demo test lint fmt crds bench eval kit clean-kit
target := $(or $(CARGO_TARGET_DIR),target)
steps = tests/run.sh

help: ## Shows this list
	@echo 'KubeSkippy: a healer for Kubernetes. It needs Rust, Go (see tests/kit/gomod/go.mod) and a C compiler.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make demo NODE=real              the leak is a real process on a real kubelet (root, Linux)'
	@echo '  make demo KUBECONFIG=<file>      on a cluster of yours, after asking; it touches only what it made'
	@echo '  make demo DEMO=--keep            leaves everything up and tells how to look around'
	@echo '  make eval EVAL="--only slow-leak"  just this one; EVAL=--help lists more (docs/scenarios.md)'
	@echo '  make test STEPS="fmt clippy"     just these steps; tests/run.sh --help lists them'
	@echo
	@echo 'The first demo or test builds real servers from Go modules, once, in 10 to 20 minutes.'

build: ## Builds everything (always the whole workspace: one package alone compiles its dependencies anew)
	cargo build --workspace --locked

# A KUBECONFIG of the environment is not meant for the demo: only one named on make's command line is.
demo: build kit ## Shows a leak and a crash loop noticed, healed and verified on a real control plane
	@$(if $(filter command line,$(origin KUBECONFIG)),,unset KUBECONFIG;) \
	  exec $(target)/debug/demo $(if $(NODE),--node $(NODE)) $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig '$(KUBECONFIG)') $(DEMO)

test: ## Runs every check and all tests, on real servers
	@$(steps) $(STEPS)

lint: ## Runs the checks that need no server: format, lints, documentation
	@$(steps) fmt clippy doc

fmt: ## Formats the sources
	cargo fmt --all

crds: build ## Writes the custom resource definitions into deploy/crds
	$(target)/debug/crdgen

bench: kit ## Measures, with optimised builds (a first one takes half an hour); BENCH=latency: just that
	$(if $(BENCH),,cargo bench --workspace --locked --bench '*')
	cargo build --workspace --locked --release
	$(if $(BENCH),$(target)/release/bench $(BENCH),$(target)/release/bench idle && $(target)/release/bench latency && $(target)/release/bench latency --pods 5000)

eval: build kit ## Measures how good diagnoses and actions are, in about half an hour: a table over known failures
	@exec $(target)/debug/eval $(EVAL)

kit: ## Builds the real servers that tests and demo run on
	@tests/kit/build-kit.sh > /dev/null

clean-kit: ## Removes the built servers
	@dir=$$(tests/kit/build-kit.sh --print-dir) && rm -rf "$$(dirname "$$dir")" && echo "removed $$(dirname "$$dir")"
