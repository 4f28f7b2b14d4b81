# What every script of this folder shares: how they speak, where they keep state, which compose is there.
# Sourced, never run.

root=$(cd "$(dirname "$0")/.." && pwd)
state_dir=${AVISHKAR_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/avishkar}
umask 022
export DOCKER_BUILDKIT=0            # the classic builder is everywhere; buildx is not
export COMPOSE_PROJECT_NAME=avishkar

say()  { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() { printf '\nerror: %s\n' "$1" >&2; shift; for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Calls Compose v2 where it is installed, else docker-compose 1.29 of Debian 12.
compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose -f "$root/compose.yaml" "$@"
  else
    docker-compose -f "$root/compose.yaml" "$@"
  fi
}

# wait_for SECONDS COMMAND...: true as soon as the command is, false when the time is over.
wait_for() {
  deadline=$(($(date +%s) + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.3
  done
}

# Images that nodes pull from the cluster's registry.
pushed_images='runtime-python runtime-node runtime-static builder-python builder-node'

# The tag of an image that says what is in it.
content_tag() { docker images --format '{{.Tag}}' "avishkar/$1" | grep -v '^dev$' | head -n 1; }

# Ids of the cluster's containers: of one service, or all.
containers() {
  docker ps -a -q --filter label=com.docker.compose.project=avishkar ${1:+--filter label=com.docker.compose.service=$1}
}
