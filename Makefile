# Everything that is done to weir is a target here; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What make built comes first, so that a tofu built here is found by tests.
export PATH := $(CURDIR)/bin:$(PATH)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 20s
PKG ?= ./...
CHAOS ?= Chaos|ReplicaAtEachWrite

# The race detector needs cgo and a C compiler; CI must have both. Not expanded
# before a recipe asks for it. go vet gets it too, so that everything is compiled
# once and not twice.
RACE = $(shell if [ -n "$${CI:-}" ] || { [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null; }; then echo -race; fi)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/weir
	go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/weir .

.PHONY: demo
demo: build ## play the main job on this machine: a sandbox GitHub, real Git, real Terraform
	@scripts/get-terraform --required
	bin/weir demo

# At the end of each process the race detector waits for a second, if it is not
# told otherwise.
.PHONY: test
test: ## get what the tests need, then vet and run them all
	@scripts/get-terraform
	@scripts/get-npm-data
	@scripts/get-browser
	@scripts/get-services
	@scripts/get-provider
	go vet $(RACE) $(PKG)
	@[ -n "$(RACE)" ] || echo '!!! no C compiler: testing without the race detector' >&2
	GORACE="$${GORACE:-atexit_sleep_ms=100}" go test $(RACE) -parallel 4 -timeout 20m $(PKG)

.PHONY: chaos
chaos: ## kill, pause and cut off weir for WEIR_CHAOS (10m); WEIR_CHAOS_SEED plays one again
	@scripts/get-terraform --required
	@scripts/get-services
	WEIR_CHAOS=$${WEIR_CHAOS:-10m} go test -count=1 -v -timeout 0 -run '$(CHAOS)' ./integration

.PHONY: lint
lint: bin/golangci-lint ## run the linters; they stay at zero findings
	go mod tidy -diff
	go vet ./...
	bin/golangci-lint run ./...

bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -trimpath -buildvcs=false -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: bench
bench: build ## measure the budgets of docs/performance.md beside their floor
	@scripts/get-terraform --required
	@scripts/get-services
	go run ./integration/bench -weir bin/weir

.PHONY: golden
golden: ## rewrite the golden files; read the diff before you commit it
	go test -count=1 $$(grep -rl --include='*_test.go' --exclude-dir=node_modules 'flag.Bool("update"' . | xargs -r -n1 dirname | sort -u) -update

.PHONY: fuzz
fuzz: ## run each fuzz test for FUZZTIME (20s)
	@scripts/fuzz $(FUZZTIME)

.PHONY: clean
clean: ## remove what make built or fetched
	rm -rf bin integration/npm/node_modules integration/services/.dynamodb integration/services/.venv
