#!/bin/bash
# engine.sh up|down: makes sure that a Docker engine answers, and stops it again if we started it.
# Owns the file engine.pid in the state directory: it exists exactly while an engine of ours runs.
set -eu
. "$(dirname "$0")/lib.sh"
pid_file=$state_dir/engine.pid
log=$state_dir/engine.log

# The tests need more than a platform does.
packages="docker.io docker-compose debootstrap iptables iproute2 build-essential libssl-dev pkg-config kcat openssh-client curl zstd ${AVISHKAR_MORE_PACKAGES:-}"

# Our images hold this machine's own package settings: with another system's, Debian's would be installed from there.
check_system() {
  system=$(. /etc/os-release && echo "$ID ${VERSION_ID:--} $PRETTY_NAME")
  case $system in
    'debian 12 '* | 'debian 13 '*) ;;
    *) fail "this system is not Debian 12 or 13, and the images are built with its package settings (${system#* * })" ;;
  esac
}

install_missing() {
  missing=
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  if [ -n "$missing" ] && docker compose version >/dev/null 2>&1; then
    # Docker's own packages conflict with Debian's; where they are, they do the same work.
    missing=$(printf '%s ' $missing | sed -e 's/docker\.io //' -e 's/docker-compose //')
  fi
  # Debian 13 has the client in a package of its own; Debian 12 knows no such package.
  command -v docker >/dev/null || missing="$missing docker-cli"
  [ -n "$(echo $missing)" ] || return 0
  log_of_install=$state_dir/install.log
  as_root apt-get update -qq >"$log_of_install" 2>&1 || install_failed
  apt-cache show docker-cli >/dev/null 2>&1 || missing=${missing% docker-cli}
  say "installing: $(echo $missing)"
  # A package's own start script may fail where no init runs; the engine is started below.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
    >>"$log_of_install" 2>&1 || install_failed
  case " $missing " in *' docker.io '*) join_docker ;; esac
}

install_failed() {
  tail -n 20 "$log_of_install" >&2
  fail "installing failed" "the whole log: $log_of_install"
}

# Who has Docker installed here wants to use it. An engine that was there before is its owner's business.
join_docker() {
  [ "$(id -u)" != 0 ] || return 0
  say "$(id -un) joins the group docker, whose members can use the engine; your own shells are in it from the next sign-in"
  as_root usermod -aG docker "$(id -un)"
  enter_docker_group up
}

answers() { docker version --format '{{.Server.Version}}' 2>/dev/null | grep -q .; }

# Is this pid an engine, and neither its unburied corpse nor some later process that got the same number?
is_engine() {
  [ -n "$1" ] && grep -qsE 'dockerd|containerd' "/proc/$1/comm" && ! grep -qsE '^State:[[:space:]]*[ZX]' "/proc/$1/status"
}

# An engine that is being killed, or is only starting, gets a moment to come to an end or to answer.
answers_or_ended() { answers || ! is_engine "$1"; }

start() {
  for stale in /var/run/docker.pid /run/docker/containerd/containerd.pid; do
    [ -f "$stale" ] || continue
    pid=$(cat "$stale")
    wait_for 15 answers_or_ended "$pid" || true
    if answers; then return; fi
    if is_engine "$pid"; then continue; fi
    say "removing $stale: no such engine runs"
    as_root rm -f "$stale"
  done
  say "starting dockerd (log: $log)"
  # The engine outlives the terminal and the make that start it: a session of its own, and no open file of theirs,
  # on whose end somebody may wait. --group: it is for whoever called us.
  (
    for open in /proc/"$BASHPID"/fd/*; do
      number=${open##*/}
      [ "$number" -le 2 ] || eval "exec $number>&-"
    done
    exec $sudo setsid dockerd --group "$(id -gn)"
  ) >"$log" 2>&1 </dev/null &
  if ! wait_for 60 answers; then
    tail -n 20 "$log" >&2
    fail "dockerd does not answer after 60 s" "its log: $log" "inside a container it needs more rights: run on a real machine"
  fi
  cat /var/run/docker.pid >"$pid_file"
}

up() {
  mkdir -p "$state_dir"
  check_system
  install_missing
  if answers; then
    say "Docker engine $(docker version --format '{{.Server.Version}}') answers"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || fail "no engine answers at DOCKER_HOST=$DOCKER_HOST" "unset DOCKER_HOST to use this machine's"
  if [ "$(id -u)" != 0 ] && as_root docker version >/dev/null 2>&1; then
    fail "the Docker engine runs, but you may not use it" "sudo usermod -aG docker $(id -un), then run this again"
  fi
  start
  say "Docker engine $(docker version --format '{{.Server.Version}}') answers"
}

down() {
  [ -f "$pid_file" ] || return 0
  pid=$(cat "$pid_file")
  if is_engine "$pid"; then
    say "stopping the Docker engine that we started"
    as_root kill "$pid"
    wait_for 60 test ! -d "/proc/$pid" || fail "dockerd ($pid) does not stop" "its log: $log"
  fi
  rm -f "$pid_file"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) fail "usage: engine.sh up|down" ;;
esac
