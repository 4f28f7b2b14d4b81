#!/bin/bash
# cluster.sh foundation|up|down, ps, logs|kill|start SERVICE: the containers of compose.yaml. What is right is left alone.
#   foundation   Kafka, ZooKeeper and the registry with the images apps are built on: all that can start before cargo ends
#   up           everything, and waits until it is healthy
#   down         containers, volumes and network of the cluster; images stay
#   ps           the containers and how they are
#   logs         follows the output of one
#   kill, start  ends one without warning, as a power cut would, and starts it again: a killed one stays down
set -eu
. "$(dirname "$0")/lib.sh"
services='zookeeper kafka registry edge node-1 node-2 node-manager load-balancer deployment-manager app-manager monitoring'
log=$state_dir/compose.log

# One sentence for a taken port beats a half-started cluster.
check_ports() {
  [ -z "$(containers)" ] || return 0
  busy=$("$root/docker/edge/ports.sh")
  for port in 2181 5000 8010 8030 8040 8050 8070 8088 9092; do
    if echo "$busy" | grep -qx "$port"; then
      fail "port $port of this machine is taken by another program" "find it with: ss -ltnp 'sport = :$port'"
    fi
  done
}

# Apps are announced at the address that the edge listens on, if that is one.
announce() {
  case ${EDGE_BIND:-} in '' | 0.0.0.0 | :: | *[!0-9a-fA-F.:]*) ;; *) export EDGE_ADVERTISED=${EDGE_ADVERTISED:-$EDGE_BIND} ;; esac
}

# The nodes' addresses move with the network.
nodes_file() {
  [ -n "${AVISHKAR_NETWORK:-}" ] || return 0
  sed "s/172\.30\.7\./$AVISHKAR_NETWORK./" "$root/docker/cluster/nodes.toml" >"$state_dir/nodes.toml"
  export AVISHKAR_NODES_FILE=$state_dir/nodes.toml
}

start() {
  compose up -d "$@" >"$log" 2>&1 && return
  tail -n 20 "$log" >&2
  for service in setup $services; do
    [ "$(health "$service")" = unhealthy ] && show_log "$service"
  done
  fail "compose cannot start the cluster" "the whole log: $log"
}

health() {
  id=$(containers "$1" | head -n 1)
  [ -n "$id" ] || { echo missing; return; }
  docker inspect -f '{{if .State.Health}}{{if .State.Running}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}{{else}}{{.State.Status}}{{end}}' "$id"
}

is_healthy() { [ "$(health "$1")" = healthy ]; }

show_log() {
  id=$(containers "$1" | head -n 1)
  [ -n "$id" ] || return 0
  echo "--- last lines of $1" >&2
  docker logs --tail 20 "$id" >&2 2>&1 || true
}

wait_healthy() {
  for service in "$@"; do
    is_healthy "$service" && continue
    say "waiting for $service"
    if ! wait_for 120 is_healthy "$service"; then
      show_log "$service"
      fail "$service is $(health "$service") after 120 s" "its whole log: make logs SERVICE=$service"
    fi
  done
}

foundation() {
  check_ports
  say "starting Kafka, ZooKeeper and the registry"
  start zookeeper kafka registry
  "$root/docker/push-runtimes.sh"
  wait_healthy zookeeper kafka registry
}

up() {
  check_ports
  announce
  nodes_file
  say "starting the cluster"
  start
  wait_healthy $services
  say "the cluster is healthy"
}

remove() {
  if [ -n "$(containers)" ] || [ -n "$(docker volume ls -q --filter label=com.docker.compose.project=avishkar)" ]; then
    say "removing the cluster"
    compose down -v --remove-orphans -t 20 >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "compose cannot remove the cluster" "the whole log: $log"; }
    # Volumes that an earlier compose.yaml named.
    docker volume ls -q --filter label=com.docker.compose.project=avishkar | xargs -r docker volume rm >/dev/null
  fi
  # What a build of the registry's image left that was killed; one that runs holds the lock.
  mkdir -p "$state_dir/images"
  flock -n "$state_dir/images/lock" docker rm -fv avishkar-registry-filler >/dev/null 2>&1 || true
  rm -f "$state_dir/admin-password"
  say "no container, volume or network of the cluster is left"
}

# Containers of a stopped engine are still there, and would come back with it.
down() { with_engine remove; }

list() { docker ps -a --filter label=com.docker.compose.project=avishkar --format 'table {{.Label "com.docker.compose.service"}}\t{{.Status}}\t{{.Ports}}'; }

# of_service SERVICE COMMAND...: the command, with the id of the service's container after it.
of_service() {
  service=$1; shift
  [ -n "$service" ] || fail "which part?" "SERVICE=... is one of: $(echo $services)"
  id=$(containers "$service" | head -n 1)
  [ -n "$id" ] || fail "the cluster has no part $service" "one of: $(echo $services)"
  "$@" "$id"
}

follow()   { of_service "$1" docker logs --tail 100 -f; }
end()      { of_service "$1" docker kill >/dev/null; say "$1 is dead, and stays so until: make start SERVICE=$1"; }
start_it() { of_service "$1" docker start >/dev/null; say "$1 is started"; }

mkdir -p "$state_dir"
case ${1:-} in
  foundation | up | down) "$1" ;;
  ps) list ;;
  logs) follow "${2:-}" ;;
  kill) end "${2:-}" ;;
  start) start_it "${2:-}" ;;
  *) fail "usage: cluster.sh foundation|up|down|ps, or logs|kill|start SERVICE" ;;
esac
