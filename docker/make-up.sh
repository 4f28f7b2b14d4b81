#!/bin/bash
# make-up.sh: from nothing to a platform in one process on this machine, with a first app that answers. Images are made
# while cargo builds; each step is skipped where its result is there.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"

docker/engine.sh up
enter_docker_group "$@"
[ -z "$(containers)" ] || fail "the cluster is on this machine" "use it, or remove it with: make down"
docker/images.sh ask
docker/images.sh single </dev/null & images=$!
trap 'kill -- -$images 2>/dev/null || true' EXIT
say "cargo: building avishkar"
nice cargo build -p avishkar
wait $images || fail "the images could not be made; see above"
trap - EXIT
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
say "starting the platform"
# It outlives the terminal and the make that start it: no open file of theirs, on whose end somebody may wait.
(
  for open in /proc/"$BASHPID"/fd/*; do
    number=${open##*/}
    [ "$number" -le 2 ] || eval "exec $number>&-"
  done
  exec "$avishkar" up --detach --data "$state_dir/up"
)
docker/first-app.sh single
