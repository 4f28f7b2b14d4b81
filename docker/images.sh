#!/bin/bash
# images.sh ask|base|single|bench|trial|clean: builds what is missing of the images, two at a time, and keeps them in a cache if one is named.
# An image's tag is the hash of all it is made of, its parents' included, so a second run has nothing to do.
# The two images that hold the program, platform and node, wait for cargo: program-images.sh.
#   ask     gets sudo's password if it may be needed: before `base` runs in the background, where nobody can be asked
#   single  only what a platform in one process needs: the edge, and what apps are built on
#   bench   what the platform is measured beside, and no part of it
#   trial   a machine with systemd, for systemd-trial.sh
#   clean   removes all images
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root/docker"
work=$state_dir/images
mkdir -p "$work"
exec 9>"$work/lock" && flock 9     # make cluster and make images may meet

# What an image starts from or copies from, besides its own folder.
parents() {
  case $1 in
    debian) ;;
    builder) echo debian ;;
    base) echo builder debian ;;
    registry) echo registry-base $pushed_images ;;
    machine) echo builder node-base ;;
    kafka-zookeeper | registry-base | edge | address | stock-nginx | haproxy | firewall | systemd | node-base | platform-base | runtime-static | runtime-python | runtime-node) echo builder base ;;
    builder-python) echo builder runtime-python ;;
    builder-node) echo builder runtime-node ;;
  esac
}

hash_of() {
  # The build-env is left out on purpose: it says where packages come from, not what is in them.
  { (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum)
    for parent in $(parents "$1"); do hash_of "$parent"; done
  } | sha256sum | cut -c1-12
}

exists() { docker image inspect "$1" >/dev/null 2>&1; }

# Retags, and forgets the tags of former contents.
settle() {
  docker tag "avishkar/$1:$2" "avishkar/$1:dev"
  for old in $(docker images --format '{{.Repository}}:{{.Tag}}' "avishkar/$1" | grep -vE ":($2|dev)$"); do
    docker rmi "$old" >/dev/null 2>&1 || true
  done
}

build() {
  name=$1 hash=$(hash_of "$1") log=$work/$1.log
  if ! exists "avishkar/$name:$hash"; then
    say "image $name: building"
    began=$(date +%s)
    make_image "$name" "$hash" >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail "image $name cannot be built" "the whole log: $log" "no network? packages come from the machine's own mirrors"; }
    say "image $name: built in $(($(date +%s) - began)) s"
  fi
  settle "$name" "$hash"
}

make_image() {
  case $1 in
    debian) nice debian/make.sh "avishkar/debian:$2" "$work/build-env" ;;
    builder)
      rm -rf "$work/builder" && cp -r builder "$work/builder" && cp -r "$work/build-env" "$work/builder/build-env"
      nice docker build -q -t "avishkar/$1:$2" "$work/builder" ;;
    registry) registry/fill.sh "avishkar/registry:$2" ;;
    *) nice docker build -t "avishkar/$1:$2" "$1" ;;
  esac
}

# Images of ours that are wanted, in the order in which they can be made.
wanted='debian builder base kafka-zookeeper edge address stock-nginx firewall node-base machine platform-base runtime-static runtime-python builder-python
runtime-node builder-node registry-base registry'

# One file holds all images, so that the layers they share are in it once.
bundle=${AVISHKAR_CACHE_DIR:+$AVISHKAR_CACHE_DIR/images.tar.zst}
tags() { for name in $wanted; do echo "avishkar/$name:$(hash_of "$name")"; done; }

load_cache() {
  [ -n "$bundle" ] && [ -f "$bundle" ] || return 0
  for tag in $(tags); do
    exists "$tag" && continue
    say "images: loading from the cache"
    zstd -dc "$bundle" | docker load -q >"$work/load.log" 2>&1 || { say "images: the cache is broken, building instead"; rm -f "$bundle"; }
    return 0
  done
}

save_cache() {
  [ -n "$bundle" ] || return 0
  if [ -f "$bundle" ] && [ "$(tags)" = "$(cat "$bundle.tags" 2>/dev/null)" ]; then return; fi
  say "images: saving to the cache"
  mkdir -p "$AVISHKAR_CACHE_DIR"
  nice docker save $(tags) | nice zstd -q -1 -f -o "$bundle.new"
  mv "$bundle.new" "$bundle"
  tags >"$bundle.tags"
}

base() {
  ./build-env.sh "$work/build-env" trixie
  load_cache
  for name in debian builder base; do build "$name"; done
  # Two lanes: fetching and compressing share two cores well, and cargo may want some of them.
  ( build kafka-zookeeper; build runtime-python; build builder-python ) & lane=$!
  for name in edge address stock-nginx firewall node-base machine platform-base registry-base runtime-static runtime-node builder-node; do build "$name"; done
  wait $lane
  build registry
  save_cache
}

single() {
  ./build-env.sh "$work/build-env" trixie
  for name in debian builder base; do build "$name"; done
  ( build runtime-python; build builder-python ) & lane=$!
  for name in edge firewall runtime-static runtime-node builder-node; do build "$name"; done
  wait $lane
}

bench() {
  ./build-env.sh "$work/build-env" trixie
  for name in debian builder base haproxy; do build "$name"; done
}

trial() {
  ./build-env.sh "$work/build-env" trixie
  for name in debian builder base systemd; do build "$name"; done
}

ask() {
  [ "$(id -u)" != 0 ] && ! exists "avishkar/debian:$(hash_of debian)" || return 0
  debian/pull.sh || as_root true || fail "without an image registry the first image is made by debootstrap, which needs root"
}

remove() {
  say "removing the images"
  { docker images -q --filter label=avishkar.image; docker images -q avishkar/debian; } | sort -u | xargs -r docker rmi -f >/dev/null
  docker image prune -f --filter label=avishkar.image >/dev/null   # stages of builds
}

case ${1:-} in
  ask | base | single | bench | trial) "$1" ;;
  clean) with_engine remove ;;
  *) fail "usage: images.sh ask|base|single|bench|trial|clean" ;;
esac
