#!/bin/bash
# make-images.sh: every image, the program's included, while cargo builds it.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"
docker/engine.sh up
enter_docker_group "$@"
docker/images.sh ask
docker/images.sh base </dev/null & images=$!
trap 'kill -- -$images 2>/dev/null || true' EXIT
say "cargo: building avishkar"
nice cargo build -p avishkar
wait $images
trap - EXIT
docker/program-images.sh
# A registry that runs keeps its volume, and with it only what it had: the new images name the newest.
if docker inspect -f '{{.State.Running}}' $(containers registry) 2>/dev/null | grep -q true; then docker/push-runtimes.sh; fi
