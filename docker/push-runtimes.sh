#!/bin/sh
# push-runtimes.sh [HOST:PORT]: puts the images that apps are built on into a registry, those that it lacks; without an
# address into the cluster's, where an older volume may lack the newest.
set -eu
. "$(dirname "$0")/lib.sh"
registry=${1:-127.0.0.1:5000}

wait_for 60 curl -fs "http://$registry/v2/" || fail "the registry does not answer at $registry" "its output: make logs SERVICE=registry"
for name in $pushed_images; do
  tag=$(content_tag "$name")
  [ -n "$tag" ] || fail "there is no image avishkar/$name" "make images"
  image=avishkar/$name
  if curl -fsI -o /dev/null -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$registry/v2/$image/manifests/$tag" 2>/dev/null; then continue; fi
  say "registry: pushing $image:$tag"
  docker tag "$image:$tag" "$registry/$image:$tag"
  pushed=$(nice docker push -q "$registry/$image:$tag" 2>&1) || fail "pushing $image failed: $pushed"
  docker rmi "$registry/$image:$tag" >/dev/null
done
