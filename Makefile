# Every task by one name; the work is in docker/*.sh and in cargo.

.DEFAULT_GOAL := help
.PHONY: up help engine engine-down images cluster fleet fleet-down chaos ps logs kill start down test sim sim-long unit bench fmt clippy doc audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

up: ## From nothing to a platform in one process on this machine, with a first app that answers
	@docker/make-up.sh
cluster: ## From nothing to a cluster on this machine with a first app that answers
	@docker/make-cluster.sh
fleet: ## From nothing to a fleet of four machines on this computer with a first app that answers
	@docker/fleet.sh up
fleet-down: ## Remove what `fleet` made, with its data; images stay
	@docker/fleet.sh down
chaos: TRIALS ?= 10
chaos: fleet ## Kill leaders and machines of a fleet over and over, under load: make chaos TRIALS=3
	AVISHKAR_CHAOS_TRIALS=$(TRIALS) cargo test -p e2e --test it i_fleet:: -- --test-threads=1
ps: ## List the parts of the cluster and how they are
	@docker/cluster.sh ps
logs: SERVICE ?= app-manager
logs: ## Follow the output of one part: make logs SERVICE=load-balancer
	@docker/cluster.sh logs $(SERVICE)
kill: ## End one part without warning: make kill SERVICE=node-2
	@docker/cluster.sh kill $(SERVICE)
start: ## Start a part that was killed: make start SERVICE=node-2
	@docker/cluster.sh start $(SERVICE)
down: ## Remove what `up` or `cluster` made, with its data; images stay
	@docker/make-down.sh
images: engine ## Build the images, the program's included
	@docker/make-images.sh
engine: ## Make sure that a Docker engine answers
	@docker/engine.sh up
engine-down: ## Stop the Docker engine, if we started it
	@docker/engine.sh down
test: ## The whole check: what CI runs
	@docker/test.sh
sim: SEED ?= 1
sim: ## Tell the story of one simulated run: make sim SEED=7
	cargo run -q -p sim -- seed $(SEED)
sim-long: ## Run 10,000 simulated storms and 2,500 fleets, and say what they visited
	cargo run -q -p sim -- long
unit: ## Try the systemd unit on a machine of its own: a reboot, a power cut, killed processes
	@docker/images.sh single
	cargo build -p avishkar
	@docker/systemd-trial.sh
bench: ## Measure against the floors, on a running cluster
	@docker/images.sh bench
	cargo run -p benches
fmt: ## Format the code
	cargo fmt --all
clippy: ## Lint the code
	cargo clippy --workspace --all-targets -- -D warnings
doc: ## Build the documents of the code
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items
audit: ## Check licences, sources, duplicates and known holes of the dependencies; needs the network
	@command -v cargo-deny >/dev/null || { echo 'error: there is no cargo-deny; hint: cargo install --locked cargo-deny' >&2; exit 1; }
	cargo deny check
clean: down ## Remove the cluster, the images and what cargo built
	@docker/images.sh clean
	cargo clean
