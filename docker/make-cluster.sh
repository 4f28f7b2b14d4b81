#!/bin/bash
# make-cluster.sh: from nothing to a running cluster with an app that answers. Images and the foundation are made
# while cargo builds; each step is skipped where its result is there.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"

docker/engine.sh up
[ ! -e "$state_dir/up/lock" ] || flock -n "$state_dir/up/lock" true || fail "a platform of one process runs on this machine" "use it, or remove it with: make down"
enter_docker_group "$@"
docker/images.sh ask
{ docker/images.sh base && docker/cluster.sh foundation; } </dev/null & images=$!
trap 'kill -- -$images 2>/dev/null || true' EXIT
say "cargo: building avishkar"
nice cargo build -p avishkar
wait $images || fail "the images or the foundation of the cluster could not be made; see above"
trap - EXIT
docker/program-images.sh
docker/cluster.sh up
docker/first-app.sh cluster
