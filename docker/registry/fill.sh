#!/bin/sh
# registry/fill.sh TAG: the registry with the images in it that apps are built on: pushed to an empty one, then
# committed. A new volume starts with them, so the cluster needs no step besides `docker compose up`.
set -eu
. "$(dirname "$0")/../lib.sh"
cd "$(dirname "$0")/.."
tag=$1
filler=avishkar-registry-filler
docker rm -fv $filler >/dev/null 2>&1 || true
trap 'docker rm -fv $filler >/dev/null' EXIT
trap 'exit 143' INT TERM   # else these end the script without the line above
docker run -d --name $filler -p 127.0.0.1::5000 avishkar/registry-base:dev
./push-runtimes.sh "127.0.0.1:$(docker port $filler 5000/tcp | sed 's/.*://')"
docker stop $filler >/dev/null
docker commit $filler "$tag"
