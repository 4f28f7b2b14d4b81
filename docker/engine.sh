#!/bin/bash
# engine.sh up|down: makes sure that a Docker engine answers, and stops it again if we started it.
# Owns the file engine.pid in the state directory: it exists exactly while an engine of ours runs.
set -eu
. "$(dirname "$0")/lib.sh"
pid_file=$state_dir/engine.pid
log=$state_dir/engine.log

packages='docker.io docker-compose debootstrap iptables iproute2 build-essential libssl-dev pkg-config kcat openssh-client curl zstd'

install_missing() {
  missing=
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  if [ -n "$missing" ] && docker compose version >/dev/null 2>&1; then
    # Docker's own packages conflict with Debian's; where they are, they do the same work.
    missing=$(printf '%s ' $missing | sed -e 's/docker\.io //' -e 's/docker-compose //')
  fi
  [ -n "${missing# }" ] || return 0
  command -v apt-get >/dev/null || fail "these are missing and this is not Debian:$missing" "install them with the system's own tool"
  say "installing:$missing"
  # A package's own start script may fail where no init runs; the engine is started below.
  as_root sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing" \
    >"$state_dir/install.log" 2>&1 || { tail -n 20 "$state_dir/install.log" >&2; fail "installing failed" "the whole log: $state_dir/install.log"; }
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
    sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
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
  install_missing
  if answers; then
    say "Docker engine $(docker version --format '{{.Server.Version}}') answers"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || fail "no engine answers at DOCKER_HOST=$DOCKER_HOST" "unset DOCKER_HOST to use this machine's"
  if [ "$(id -u)" != 0 ] && as_root docker version >/dev/null 2>&1; then
    fail "the Docker engine runs, but you may not use it" "sudo usermod -aG docker $(id -un), then log in again"
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
