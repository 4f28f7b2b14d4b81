#!/bin/bash
# make-images.sh: every image, the program's included, while cargo builds it.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"
docker/images.sh base </dev/null & images=$!
trap 'kill -- -$images 2>/dev/null || true' EXIT
say "cargo: building avishkar"
nice cargo build -p avishkar
wait $images
trap - EXIT
docker/program-images.sh
