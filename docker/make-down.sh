#!/bin/bash
# make-down.sh: removes the platform of `make up` and the cluster of `make cluster`, with their data; images stay.
set -eu
. "$(dirname "$0")/lib.sh"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar

if [ -d "$state_dir/up" ]; then
  [ -x "$avishkar" ] || fail "there is no $avishkar to end the platform with" "cargo build -p avishkar"
  with_engine "$avishkar" down --purge --data "$state_dir/up"
fi
"$root/docker/cluster.sh" down
