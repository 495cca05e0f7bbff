# c100k: `make help` lists what there is.

GO      ?= go
BIN     := bin/c100k
REV     := $(shell git rev-parse HEAD 2>/dev/null)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X c100k/internal/version.revision=$(REV) -X c100k/internal/version.version=$(VERSION)
FUZZTIME ?= 10m
SOAK     ?= 1h
KILLS    ?= 100
PHONE    ?= 5m
# Flags for every go test below: TESTFLAGS=-v, TESTFLAGS='-run TestDrain'.
TESTFLAGS ?=
MICROFLAGS ?= -count 6 -benchtime 0.2s
BENCHSTAT := v0.0.0-20260908200009-22c9c6c9d4da
# Everything but the bench, whose runs are targets of their own.
PACKAGES := ./...

.DEFAULT_GOAL := help
.PHONY: help run build test test-setup race race-short debug fuzz bench bench-quick bench-compare bench-tls bench-auth ablation peers peers-test demo-100k demo-kill demo-hooks demo-resume demo-look demo-phone demo-cluster soak attack testssl tuning micro lint arm64 dist dist-check dist-test dist-jail helm clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build the node and run it on this laptop: demo page, echo, topics open to all
	$(BIN) serve --dev --drain 1s

build: ## build bin/c100k
	@test -x $(BIN) || echo 'make: building $(BIN); the first build compiles all dependencies: about three minutes on two cores'
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/c100k

test: test-setup build ## run all tests, real clients included; installs what they need
	@echo 'make: running all tests: about ten minutes on two cores, longer the first time'
	$(GO) vet $(PACKAGES)
	$(GO) test -timeout 20m $(TESTFLAGS) $(PACKAGES)

# The last command downloads what the one rival needs that a test builds.
test-setup: ## download and install all that the tests need: Go modules, Node packages, curl and Chromium where they are missing
	./internal/e2e/setup.sh
	$(GO) mod download
	@$(GO) list -C bench/peers -deps ./gorilla >/dev/null

race: test-setup build ## run all tests under the race detector
	$(GO) test -race -timeout 30m $(TESTFLAGS) $(PACKAGES)

race-short: ## run the tests of the packages with goroutines or locks under the race detector
	$(GO) test -race -timeout 20m $(TESTFLAGS) $$(internal/tidy/concurrent.sh)

debug: ## run the tests of netpoll and broadcast with their invariants checked after every turn, and those of what a debug build of websocket finds
	$(GO) test -tags c100kdebug -timeout 10m $(TESTFLAGS) ./netpoll/... ./broadcast/...
	$(GO) test -tags c100kdebug -skip Autobahn $(TESTFLAGS) ./websocket

fuzz: ## run every fuzz target for FUZZTIME (10m), one after the other
	./internal/tidy/fuzz.sh $(FUZZTIME)

bench: build peers ## the node beside floors in C, with goals, and beside its rivals: tables, JSON and page in bench/results (under an hour, alone on the box)
	$(GO) run ./bench --c100k $(BIN) --json bench/results/bench.json --page bench/results/bench.html $(BENCHFLAGS)

bench-quick: build peers ## five minutes of it: the node, the floors and two rivals
	$(GO) run ./bench --c100k $(BIN) --servers c100k,floor-send,floor-uring,gnet,gorilla --only echo,echo16,light,fan,burst --reps 2 --within 5m --seconds 2s $(BENCHFLAGS)

bench-compare: build ## the work tree beside the revision BASE, by turns: what has changed, and is it more than noise? (about half an hour; the tree must be clean)
	@test -n "$(BASE)" || { echo 'say what to compare with: make bench-compare BASE=main'; exit 2; }
	$(GO) run ./bench --c100k $(BIN) --base $(BASE) --only memory,handshake,echo,echo16,light,fan,burst --reps 8 --within 30m $(BENCHFLAGS)

bench-tls: build peers ## what TLS costs beside plain text, and beside rivals with TLS: the goals and all figures (about fifteen minutes, alone on the box)
	$(GO) run ./bench --c100k $(BIN) --tls --reps 3 --within 15m --json bench/results/bench-tls.json --page bench/results/bench-tls.html $(BENCHFLAGS)

bench-auth: ## what tokens cost: a handshake without one, with a new one, with the same again; a look-up of a right; memory for 100,000 connections (a minute)
	$(GO) test ./server -run '^$$' -bench '^BenchmarkHandshake$$' -benchtime 3000x
	$(GO) test ./internal/auth -run '^$$' -bench '^Benchmark(LookUp|Verify)$$' -benchtime 20000x
	$(GO) test ./internal/auth -run '^$$' -bench '^BenchmarkHeld$$' -benchtime 1x

ablation: build ## what each technique is worth: the same load with it and without it (about twenty minutes, alone on the box)
	$(GO) run ./bench --c100k $(BIN) --ablation --within 25m $(BENCHFLAGS)

demo-100k: build ## 100,000 connections on this box: held, fed, dropped; a table of goals (under ten minutes, alone on the box)
	$(GO) run ./bench/crowd --c100k $(BIN) $(CROWDFLAGS)

demo-kill: build ## the same crowd, and one worker killed under load
	$(GO) run ./bench/crowd --c100k $(BIN) --only kill $(CROWDFLAGS)

demo-hooks: build ## 20,000 connections dropped at once, on a node whose connect hook takes 50 ms: all back, and the most requests at one time (a minute)
	$(GO) run ./bench/crowd --c100k $(BIN) --only hook-storm --conns 20000 $(CROWDFLAGS)

demo-resume: build ## 20,000 connections cut off at once, 100 messages missed by each; kill -9 of a node with --history-dir, a hundred times (CROWDFLAGS, KILLS=20)
	$(GO) run ./bench/crowd --c100k $(BIN) --only resume --conns 20000 $(CROWDFLAGS)
	$(GO) run ./bench/crash --c100k $(BIN) --kills $(KILLS)

demo-look: build ## 100,000 connections, and what the dashboard, a page of connections and /metrics cost (two minutes, alone on the box)
	$(GO) run ./bench/crowd --c100k $(BIN) --only look $(CROWDFLAGS)

demo-phone: ## a client of clients/js through a network that drops every 20 s for five minutes: is anything missed? (PHONE=1m)
	C100K_E2E_PHONE=$(PHONE) $(GO) test ./internal/e2e -run 'TestPhone$$' -count 1 -v -timeout 15m

demo-cluster: build ## three nodes and two Node socket.io servers on Redis with Sentinel, in network namespaces: a partition, a failover, a node killed; one table (root; after make test-setup; two minutes)
	$(GO) run ./bench/cluster --c100k $(BIN) $(CLUSTERFLAGS)

soak: build ## 100,000 connections for SOAK (1h): nobody lost, nobody back
	$(GO) run ./bench/crowd --c100k $(BIN) --only soak --soak $(SOAK) $(CROWDFLAGS)

attack: build ## strangers with 20,000 connections attack for an hour while 1,000 honest clients echo and listen (ATTACKFLAGS='--conns 5000 --for 2m')
	$(GO) run ./bench/attack --c100k $(BIN) $(ATTACKFLAGS)

testssl: build ## testssl.sh against a node of this build; fails for findings above LOW
	./internal/e2e/testssl.sh

tuning: build ## what the settings of tuning.md are worth on this box (about ten minutes, alone on it; some need root)
	$(GO) run ./bench/tuning --c100k $(BIN) $(TUNINGFLAGS)

# The tags are those that gnet's documentation advises for very many connections.
peers: ## build the rival servers of the bench into bench/peers/bin, and install those on Node
	$(GO) build -C bench/peers -trimpath -tags poll_opt,gc_opt -o bin/ ./...
	cd bench/peers/node && npm ci --no-fund --no-audit --loglevel=error

peers-test: peers ## test that all rivals do the same work
	$(GO) test -C bench/peers -count 1 -timeout 5m .

# To compare two revisions, give each a file and read them together: benchstat old.txt new.txt.
micro: ## run the micro-benchmarks beside the code and read them with benchstat; raw figures in bin/micro.txt (MICROFLAGS)
	@mkdir -p bin
	$(GO) test -run '^$$' -bench . -benchmem $(MICROFLAGS) ./netpoll/... ./frame/... ./broadcast/... ./internal/... > bin/micro.txt || { cat bin/micro.txt; exit 1; }
	$(GO) run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT) bin/micro.txt

dist: ## build what is released into bin/dist: binaries for amd64 and arm64, .deb, .rpm, SBOM, SHA256SUMS
	./deploy/dist.sh bin/dist

dist-check: ## build the release again elsewhere: are the bytes the same? (after make dist; FRESH=1: with an empty build cache)
	./deploy/dist-check.sh bin/dist

dist-test: ## install, start, reload, upgrade and remove the packages of bin/dist under a systemd in namespaces (root, Debian; two minutes)
	./deploy/dist-test.sh bin/dist

dist-jail: ## run the binary of bin/dist as the image would: read-only root, no user, no rights, Docker's seccomp list (root, bubblewrap)
	./deploy/dist-jail.sh bin/dist

helm: build ## render the chart of deploy/helm with the real helm, and compare what a rollout depends on
	./deploy/helm-test.sh

arm64: ## vet for arm64, the other processor that the release is for
	GOARCH=arm64 $(GO) vet $(PACKAGES)

lint: ## gofmt, vet, and staticcheck through the module proxy
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(PACKAGES)
	$(GO) vet -C bench/peers ./...
	$(GO) run -C bench/peers honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	@echo 'lint: pass'

clean: ## remove what was built
	rm -rf bin bench/floor/bin bench/peers/bin
