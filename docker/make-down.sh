#!/bin/bash
# make-down.sh: removes the platform of `make up` and the cluster of `make cluster`, with their data and the platform's
# unit, and stops the engine that `make` started, unless somebody else uses it; images stay.
set -eu
. "$(dirname "$0")/lib.sh"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar

if [ -d "$state_dir/up" ]; then
  [ -x "$avishkar" ] || fail "there is no $avishkar to end the platform with" "cargo build -p avishkar"
  with_engine "$avishkar" down --purge --data "$state_dir/up"
fi
"$root/docker/cluster.sh" down
if [ -f "$state_dir/engine.pid" ]; then
  others=$(docker ps -q 2>/dev/null | wc -l)
  if [ "$others" = 0 ]; then
    "$root/docker/engine.sh" down
  else
    say "the Docker engine goes on: $others containers of others run in it; make engine-down stops it with them"
  fi
fi
