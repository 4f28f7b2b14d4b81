#!/bin/bash
# test.sh: the whole check. What waits and what computes go side by side; nothing is left behind, whatever happens.
# A suite that fails ends nothing: one run tells everything that is wrong, at its end, and fails.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"

avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
tab=$'\t'

# Makes every test program, and lists them by what they need, each as its crate's folder and itself. They are run as Cargo
# would run them: Cargo makes other programs for some crates than for all, where one asks for more of a shared dependency.
make_tests() {
  nice cargo test --workspace --no-run --message-format=json-render-diagnostics >"$scratch/made.json"
  sed -n 's|^.*"manifest_path":"\([^"]*\)/Cargo.toml".*"profile":{[^}]*"test":true}.*"executable":"\([^"]*\)".*$|\1\t\2|p' \
    "$scratch/made.json" | sort >"$scratch/suites"
  while IFS=$tab read -r folder program; do
    case ${folder##*/} in
      e2e) need=platform ;;                # a cluster, which its trials damage in turn
      adapters | avishkar) need=servers ;; # Kafka, ZooKeeper, an engine, one folder of settings
      sim) need=processor ;;               # minutes of it, and no clock
      *) need=nothing ;;
    esac
    printf '%s\t%s\n' "$folder" "$program" >>"$scratch/suites-$need"
  done <"$scratch/suites"
}

# suites NEED ARGUMENTS...: runs these test programs, and notes which fail.
suites() {
  mapfile -t programs <"$scratch/suites-$1"; shift
  for program in "${programs[@]}"; do
    folder=${program%"$tab"*} program=${program#*"$tab"}
    name="${folder##*/}, ${program##*/}"
    say "tests: $name"
    (cd "$folder" && CARGO_MANIFEST_DIR=$folder "$program" "$@") || echo "${name%-*}" >>"$scratch/failed"
  done
}

# run COMMAND...: in the background and waited for, so that a signal ends it, and not only what comes after it.
run() {
  "$@" </dev/null & running=$!
  echo $running >>"$scratch/run"
  ended=0
  wait "$running" || ended=$?
  running=
  return $ended
}

# Who was begun with this folder for files: test programs, servers, platforms of tests. The engine may have been, and goes on.
begun_with() {
  for process in /proc/[0-9]*; do
    grep -qszxF "TMPDIR=$1" "$process/environ" || continue
    grep -qsxE 'dockerd|docker-proxy|containerd.*' "$process/comm" || echo "${process#/proc/}"
  done
}
nobody_begun_with() { [ -z "$(begun_with "$1")" ]; }

end_all_begun_with() {
  for how in TERM KILL; do
    left=$(begun_with "$1")
    [ -n "$left" ] || return 0
    kill -$how $left 2>/dev/null || true
    wait_for 10 nobody_begun_with "$1" || true
  done
}

# The platforms of tests that could not end them.
end_platforms_in() {
  ends=0
  for folder in "$1"/.tmp*/platform "$1"/newcomer.*/up; do
    [ ! -d "$folder" ] || "$avishkar" down --purge --data "$folder" || ends=1
  done
  return $ends
}

# Numbers of processes come again: this run may have that of a former one.
is_of_tests() { [ "$1" != $$ ] && grep -qsF docker/test.sh "/proc/$1/cmdline"; }

# What runs that were killed, and could do nothing about it, left in memory and on disk.
clear_former_runs() {
  for former in /tmp/avishkar-test.*; do
    if [ ! -d "$former" ] || [ ! -O "$former" ]; then continue; fi
    by=(none)
    if [ -s "$former/run" ]; then mapfile -t by <"$former/run"; fi
    if is_of_tests "${by[0]}"; then fail "the tests run already, as process ${by[0]}" "wait for them, or end them: kill ${by[0]}"; fi
    say "removing what a run of the tests left that was killed: $former"
    for group in "${by[@]}"; do if is_of_tests "$group"; then kill -KILL -- "-$group" || true; fi; done
    end_all_begun_with "$former"
    docker rm -fv avishkar-systemd-trial >/dev/null 2>&1 || true
    end_platforms_in "$former" || say "a platform of it is left, see above"
    rm -rf "$former"
  done
}

# What needs nothing but processors has what all others leave of them.
compute() {
  set +m
  # That of a session counts against other sessions and containers, that of a process within its session.
  { echo 19 >/proc/self/autogroup; } 2>/dev/null || true
  renice -n 19 -p $$ >/dev/null
  say "cargo: lints, documents"
  cargo clippy --workspace --all-targets -- -D warnings || echo clippy >>"$scratch/failed"
  RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items || echo documents >>"$scratch/failed"
  cargo test --workspace --doc || echo "examples in documents" >>"$scratch/failed"
  suites processor
}

# Where something failed, what else does is worth knowing while there is time: after 90 minutes CI ends the run, and tells less.
go_on() {
  [ -s "$scratch/failed" ] || return 0
  [ "$SECONDS" -lt 3600 ] || { say "left out, for something failed and an hour is over: $1"; return 1; }
}

failures() { sort -u "$scratch/failed" | paste -sd ';' | sed 's/;/; /g'; }

finish() {
  status=$?
  trap - EXIT INT TERM
  unset TMPDIR
  for group in ${running:-} ${images:-} ${servers:-} ${alone:-} ${computing:-}; do { kill -- "-$group"; wait "$group"; } 2>/dev/null || true; done
  # Where a step between the suites ended the run, what failed before it is told too.
  [ -z "${alone:-}" ] || { say "what the suites had said that need nothing:"; cat "$scratch/alone.out"; }
  [ -z "${computing:-}" ] || { say "what lints, documents and the simulation had said:"; cat "$scratch/computing.out"; }
  [ -n "${told:-}" ] || [ ! -s "${scratch:-none}/failed" ] || { status=1; say "failed before: $(failures)"; }
  if [ -n "${scratch:-}" ]; then
    end_all_begun_with "$scratch"
    end_platforms_in "$scratch" || status=1
  fi
  [ -z "${ours:-}" ] || docker/fleet.sh down || status=1
  [ -z "${ours:-}" ] || docker/cluster.sh down || status=1
  [ -n "$engine_was_there" ] || docker/engine.sh down || status=1
  [ -z "${scratch:-}" ] || rm -rf "$scratch"
  exit $status
}

if [ "${1:-}" = compute ]; then
  scratch=$2
  compute
  exit
fi

engine_was_there=${AVISHKAR_TEST_ENGINE_WAS_THERE-$(docker version >/dev/null 2>&1 && echo yes)} || true
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
AVISHKAR_MORE_PACKAGES="systemd $(command -v npm >/dev/null || echo nodejs npm) $(command -v go >/dev/null || echo golang-go)" docker/engine.sh up
# Who joined the group just now begins anew, and finds an engine that was not there before.
AVISHKAR_TEST_ENGINE_WAS_THERE=$engine_was_there enter_docker_group "$@"
clear_former_runs
scratch=$(mktemp -d /tmp/avishkar-test.XXXXXX)
echo $$ >"$scratch/run"   # and, a line each, the groups that it begins and that are of this script
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
echo $images >>"$scratch/run"

say "cargo: format, and building the program and the tests"
cargo fmt --all --check || echo format >>"$scratch/failed"
# The binary is built with them: the cluster runs what was tested.
run make_tests

set +m   # setsid would fork if it were the head of a group
setsid "$root/docker/test.sh" compute "$scratch" >"$scratch/computing.out" 2>&1 </dev/null & computing=$!
set -m
suites nothing >"$scratch/alone.out" 2>&1 </dev/null & alone=$!
echo $alone >>"$scratch/run"

wait "$images" || fail "the images or the test servers could not be made; see above"
images=
run docker/program-images.sh
docker/share-servers.sh run </dev/null & servers=$!
run docker/cluster.sh up
docker/share-servers.sh await
wait "$alone" || echo "the suites that need nothing" >>"$scratch/failed"
alone=
say "what the suites said that need nothing:"
cat "$scratch/alone.out"

export AVISHKAR_TEST_KAFKA=127.0.0.1:9092 AVISHKAR_TEST_ZOOKEEPER=127.0.0.1:2181 AVISHKAR_TEST_REGISTRY=127.0.0.1:5000
export AVISHKAR_TEST_AZURITE=127.0.0.1:10000 AVISHKAR_TEST_S3=127.0.0.1:4568
AVISHKAR_TEST_PEBBLE=$(docker/share-servers.sh pebble)
export AVISHKAR_TEST_PEBBLE
export AVISHKAR_TEST_DOCKER=1 AVISHKAR_TEST_CLUSTER=1
say "contract suites on real servers, the command line"
run suites servers --test-threads=1
# The trials of the platform have visitors, who wait for nobody: nothing else runs then.
wait "$computing" || echo "lints, documents and the simulation" >>"$scratch/failed"
computing=
say "what lints, documents and the simulation said:"
cat "$scratch/computing.out"
if go_on "the composed platform"; then
  say "the composed platform"
  run suites platform --test-threads=1 --skip h_single:: --skip i_fleet::
fi
refused=$(docker/make-up.sh 2>&1) && refused=
case $refused in *"the cluster is on this machine"*) ;; *) echo "make up beside a cluster" >>"$scratch/failed" ;; esac
docker/cluster.sh down || echo "the end of the cluster" >>"$scratch/failed"
# The same machine cannot be both: a platform of one process has the ports that the cluster had.
if go_on "the platform in one process"; then
  say "the platform in one process"
  run suites platform --test-threads=1 h_single::
  run docker/newcomer.sh || echo "make up, as a newcomer has it" >>"$scratch/failed"
  run docker/systemd-trial.sh || echo "the unit on a machine with systemd" >>"$scratch/failed"
fi
if go_on "the fleet"; then
  say "the fleet"
  if run docker/fleet.sh cut && run docker/fleet.sh run; then
    run suites platform --test-threads=1 i_fleet:: --skip i_fleet::long::
  else
    echo "the start of the fleet" >>"$scratch/failed"
  fi
  docker/fleet.sh down || echo "the end of the fleet" >>"$scratch/failed"
fi
told=yes
[ ! -s "$scratch/failed" ] || fail "failed: $(failures)" "what each said is above"
say "all is well"
