#!/bin/bash
# test.sh: the whole check. Images and servers are made while cargo works; nothing is left behind, whatever happens.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"

avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
engine_was_there=; docker version >/dev/null 2>&1 && engine_was_there=yes
finish() {
  status=$?
  trap - EXIT INT TERM
  for group in ${images:-} ${servers:-}; do { kill -- "-$group"; wait "$group"; } 2>/dev/null || true; done
  # A test that was killed could not end the platform that it began.
  for folder in "${scratch:-none}"/.tmp*/platform; do
    [ ! -d "$folder" ] || "$avishkar" down --purge --data "$folder" || status=1
  done
  [ -z "${ours:-}" ] || docker/fleet.sh down || status=1
  [ -z "${ours:-}" ] || docker/cluster.sh down || status=1
  [ -n "$engine_was_there" ] || docker/engine.sh down || status=1
  [ -z "${scratch:-}" ] || rm -rf "$scratch"
  exit $status
}

trap finish EXIT INT TERM
AVISHKAR_MORE_PACKAGES="systemd $(command -v npm >/dev/null || echo nodejs npm) $(command -v go >/dev/null || echo golang-go)" docker/engine.sh up
enter_docker_group "$@"
scratch=$(mktemp -d /tmp/avishkar-test.XXXXXX)
export TMPDIR=$scratch
# A failure is told by its sentence and its line; a hundred frames of the runtime would bury both.
export RUST_BACKTRACE=0
if [ -n "$(containers)$(containers_of_up)$(containers_of_fleet)" ]; then
  # A platform may be somebody's: only the machine of CI throws it away unasked.
  [ -n "${CI:-}" ] || fail "a platform runs here; the tests start one of their own" "make down or make fleet-down, which remove it with all its apps"
  containers_of_up | xargs -r docker rm -f >/dev/null
  docker network ls -q --filter label=avishkar.platform=network | xargs -r docker network rm >/dev/null
  docker/fleet.sh down || true   # by force, where what it was made from is gone
  docker/cluster.sh down
fi
ours=yes
docker/images.sh ask
{ docker/share-servers.sh install && docker/images.sh base && docker/cluster.sh foundation; } </dev/null & images=$!

say "cargo: format, lints, documents"
cargo fmt --all --check
nice cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' nice cargo doc --workspace --no-deps --document-private-items
say "cargo: building the program and the tests"
# The binary is built with them: the cluster runs what was tested.
nice cargo test --workspace --no-run

wait "$images" || fail "the images or the test servers could not be made; see above"
images=
docker/program-images.sh
docker/share-servers.sh run </dev/null & servers=$!
docker/cluster.sh up
docker/share-servers.sh await

export AVISHKAR_TEST_KAFKA=127.0.0.1:9092 AVISHKAR_TEST_ZOOKEEPER=127.0.0.1:2181 AVISHKAR_TEST_REGISTRY=127.0.0.1:5000
export AVISHKAR_TEST_AZURITE=127.0.0.1:10000 AVISHKAR_TEST_S3=127.0.0.1:4568
AVISHKAR_TEST_PEBBLE=$(docker/share-servers.sh pebble)
export AVISHKAR_TEST_PEBBLE
export AVISHKAR_TEST_DOCKER=1 AVISHKAR_TEST_CLUSTER=1
# One at a time: the suites share one Kafka and one ZooKeeper, and the tests of the platform kill them in turn.
say "cargo test: all crates, contract suites on real servers, the composed platform"
cargo test --workspace -- --test-threads=1 --skip h_single:: --skip i_fleet::
docker/cluster.sh down
# The same machine cannot be both: a platform of one process has the ports that the cluster had.
say "cargo test: the platform in one process"
cargo test --workspace --test it -- --test-threads=1 h_single::
say "cargo test: the fleet"
docker/fleet.sh run
cargo test --workspace --test it -- --test-threads=1 i_fleet:: --skip i_fleet::long::
docker/fleet.sh down
say "all is well"
