#!/bin/sh
# program-images.sh: makes the two images that hold the program, platform and node, each one layer on a base.
# Takes the binary that cargo built (CARGO_TARGET_DIR/debug/avishkar), stripped.
set -eu
. "$(dirname "$0")/lib.sh"
binary=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
work=$state_dir/images
[ -x "$binary" ] || fail "there is no $binary" "cargo build -p avishkar"
exec 9>"$work/lock" && flock 9

# Docker caches by content, so an unchanged binary makes no new layer.
context=$work/program
rm -rf "$context" && mkdir -p "$context"
install -s -m 755 "$binary" "$context/avishkar"
cp -r "$work/build-env" "$context/build-env"
# Which images apps are built on, by what is in them: nodes never mistake an old one for the newest.
{
  echo '[build]'
  for pair in python_builder:builder-python python:runtime-python node_builder:builder-node node:runtime-node static_site:runtime-static; do
    image=avishkar/${pair#*:}
    echo "${pair%%:*} = \"registry:5000/$image:$(content_tag "${pair#*:}")\""
  done
} >"$context/images.toml"

for name in platform node; do
  # The node is a machine: it knows how packages are reached from here. The platform must not.
  case $name in
    platform) about='COPY images.toml /etc/avishkar/images.toml' ;;
    node) about='COPY build-env /etc/avishkar/build-env' ;;
  esac
  printf '%s\n' "FROM avishkar/$name-base:dev" "$about" 'COPY avishkar /usr/local/bin/avishkar' >"$context/Dockerfile"
  docker build -q -t "avishkar/$name:dev" "$context" >"$work/$name.log" 2>&1 || { cat "$work/$name.log" >&2; fail "image $name cannot be built"; }
done
say "images platform and node: $(du -h "$context/avishkar" | cut -f1) of program on their bases"
