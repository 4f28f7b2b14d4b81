#!/bin/bash
# fleet.sh up|run|cut|down: a fleet on this computer: four machines in containers, and on them the whole platform, brought up by
# `avishkar bootstrap`, with an app that answers. No part of it comes from compose, and no port of this computer is taken.
#   up    from nothing; each step is skipped where its result is there
#   run   the same where the engine, the images and the program are there
#   cut   for trials: begins it as nobody should, killed again and again, then twice at once; `run` goes on from there
#   down  nothing of it is left but the images
# Owns the folder fleet/ in the state directory: the description, the platform's key, what is known of it, and
# admin-password (0600). AVISHKAR_FLEET_NETWORK moves the network, its first three numbers.
set -eum   # m: what runs in the background is a group of its own, and ends as one
. "$(dirname "$0")/lib.sh"
cd "$root"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
folder=$state_dir/fleet
file=$folder/platform.toml
network=${AVISHKAR_FLEET_NETWORK:-172.30.8}

address_of() { docker inspect -f '{{index .Config.Labels "avishkar.machine.address"}}' "$1"; }

describe() {
  umask 077
  mkdir -p "$folder"
  tar -cf "$folder/build-env.tar" -C "$state_dir/images/build-env" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
  sed -e "s/172\.30\.8\./$network./" -e 's/^name = "fleet"$/&\nbuild_env = "build-env.tar"/' "$root/config/fleet-local.toml" >"$file"
  umask 022
}

# The two platforms would share two cores and this computer's memory, and neither would be what it should.
check_room() {
  [ -z "$(containers)" ] || fail "the cluster is on this computer" "remove it first: make down"
  [ -z "$(containers_of_up)" ] || fail "a platform of one process is on this computer" "remove it first: make down"
  free=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
  [ "$free" -ge 8 ] || [ -n "$(containers_of_fleet)" ] || fail "only $free GiB of memory are free, and a fleet needs 8" "end what else runs here"
}

brokers() { sed -n '/"kafka"/,/]/s/.*"\([0-9.:]*\)".*/\1/p' "$folder/fleet.state.json" | paste -sd, -; }

# The app manager that leads, at its machine.
door() {
  for machine in $(containers_of_fleet); do
    url=http://$(address_of "$machine"):8010
    if said=$(curl -fs -m 2 "$url/readyz?verbose") && [ "${said#*standing by}" = "$said" ]; then echo "$url"; return; fi
  done
  return 1
}

up() {
  docker/engine.sh up
  enter_docker_group "$@"
  check_room
  docker/images.sh ask
  docker/images.sh base </dev/null & images=$!
  trap 'kill -- -$images 2>/dev/null || true' EXIT
  say "cargo: building avishkar"
  nice cargo build -p avishkar
  wait $images || fail "the images could not be made; see above"
  trap - EXIT
  docker/program-images.sh
  run
}

run() {
  check_room
  describe
  say "bootstrapping four machines"
  "$avishkar" bootstrap apply "$file" || fail "the fleet is not there" "put right what is said above, then: make fleet" "or remove what there is: make fleet-down"
  if ! door >/dev/null; then
    say "start platform"
    "$avishkar" bus send Bootstrapper 'start platform' --brokers "$(brokers)"
    wait_for 300 door || fail "no app manager answers after 300 s" "its output: docker exec <machine> docker ps, docker logs"
  fi
  docker/first-app.sh fleet "$(door)"
}

# The bootstrapper is killed at moments that nobody chose, and each time begun anew; then two are begun at once, as on two
# computers: of one computer the second is refused.
cut() {
  check_room
  describe
  for seconds in 1 3 8 20 40; do
    say "bootstrapping, to be killed after $seconds s"
    "$avishkar" bootstrap apply "$file" & killed=$!
    sleep "$seconds"
    kill -KILL $killed 2>/dev/null || true
    ended=0
    wait $killed || ended=$?
    [ "$ended" = 137 ] || [ "$ended" = 0 ] || fail "it ended with $ended before it was killed"
  done
  say "bootstrapping twice at once"
  rm -rf "$folder.other"
  cp -a "$folder" "$folder.other"
  "$avishkar" bootstrap apply "$file" & one=$!
  "$avishkar" bootstrap apply "$folder.other/platform.toml" & other=$!
  trap 'kill -KILL $one $other 2>/dev/null || true' EXIT
  first= second=
  wait $one || first="the first of two could not bring the fleet up"
  wait $other || second="the second of two could not bring the fleet up"
  trap - EXIT
  [ -z "$first$second" ] || fail "${first:-$second}"
  rm -rf "$folder.other"
  machines=$(containers_of_fleet | wc -l)
  [ "$machines" = 4 ] || fail "there are $machines machines, and should be 4"
  say "one fleet of four machines came of it"
}

down() {
  destroyed=yes
  if [ -f "$file" ] && [ -x "$avishkar" ]; then
    say "removing the fleet"
    "$avishkar" bootstrap destroy "$file" --yes fleet || destroyed=
  fi
  # What was made from a description that is gone, and what the bootstrapper could not remove.
  containers_of_fleet | xargs -r docker rm -fv >/dev/null
  docker network ls -q --filter label=avishkar.machine.of=fleet | xargs -r docker network rm >/dev/null
  rm -rf "$folder" "$folder.other"
  [ -n "$destroyed" ] || fail "the bootstrapper could not remove the fleet, see above; its machines were removed without it"
  say "no machine, volume or network of the fleet is left"
}

mkdir -p "$state_dir"
case ${1:-} in
  up) up "$@" ;;
  run) run ;;
  cut) cut ;;
  down) with_engine down ;;
  *) fail "usage: fleet.sh up|run|cut|down" ;;
esac
