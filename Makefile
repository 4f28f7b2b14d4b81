# Every task by one name; the work is in docker/*.sh and in cargo.
SERVICE ?= app-manager

.DEFAULT_GOAL := help
.PHONY: help engine engine-down images cluster down logs test bench fmt clippy doc clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

cluster: ## From nothing to a cluster on this machine with a first app that answers
	@docker/make-cluster.sh
down: ## Remove the cluster with its data; images stay
	@docker/cluster.sh down
logs: ## Follow the output of one part: make logs SERVICE=load-balancer
	@docker logs --tail 100 -f $$(docker ps -a -q --filter label=com.docker.compose.project=avishkar --filter label=com.docker.compose.service=$(SERVICE))
images: engine ## Build the images, the program's included
	@docker/make-images.sh
engine: ## Make sure that a Docker engine answers
	@docker/engine.sh up
engine-down: ## Stop the Docker engine, if we started it
	@docker/engine.sh down
test: ## The whole check: what CI runs
	@docker/test.sh
bench: ## Measure against the floors, on a running cluster
	cargo run -p benches
fmt: ## Format the code
	cargo fmt --all
clippy: ## Lint the code
	cargo clippy --workspace --all-targets -- -D warnings
doc: ## Build the documents of the code
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items
clean: down ## Remove the cluster, the images and what cargo built
	@docker/images.sh clean
	cargo clean
