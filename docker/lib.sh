# What every script of this folder shares: how they speak, where they keep state, which compose is there.
# Sourced, never run.

root=$(cd "$(dirname "$0")/.." && pwd)
state_dir=${AVISHKAR_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/avishkar}
umask 022
export DOCKER_BUILDKIT=0            # the classic builder is everywhere; buildx is not
export COMPOSE_PROJECT_NAME=avishkar

say()  { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() { printf '\nerror: %s\n' "$1" >&2; shift; for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done; exit 1; }

# What listens on this machine, or is made of containers on it, is asked itself, whatever proxies the machine has.
own='localhost 127.0.0.1 ::1 '"${AVISHKAR_NETWORK:-172.30.7}.0/24 ${AVISHKAR_FLEET_NETWORK:-172.30.8}.0/24"
no_proxy=${no_proxy:-${NO_PROXY:-}}
for name in $own; do
  case ",$no_proxy," in *",$name,"*) ;; *) no_proxy=${no_proxy:+$no_proxy,}$name ;; esac
done
export no_proxy NO_PROXY="$no_proxy"

# What goes before a command to run it as root: sudo, with the proxies that it would drop. Without a terminal it fails
# rather than ask: a background job that asked would be stopped, and waited for without end.
sudo=
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  [ -t 0 ] || sudo="$sudo -n"
  sudo="$sudo env ${http_proxy:+http_proxy=$http_proxy} ${https_proxy:+https_proxy=$https_proxy} ${no_proxy:+no_proxy=$no_proxy}"
fi
as_root() {
  [ -z "$sudo" ] || command -v sudo >/dev/null || fail "this needs root, and there is no sudo: $*" "run it as root, or install sudo"
  $sudo "$@"
}

# Whoever joined the group `docker` after signing in is in it in new sessions only: the script starts again in one.
enter_docker_group() {
  [ "$(id -u)" != 0 ] && [ -n "${BASH_VERSION:-}" ] || return 0
  case " $(id -nG) " in *" docker "*) return 0 ;; esac
  case " $(id -nG "$(id -un)") " in *" docker "*) ;; *) return 0 ;; esac
  exec sg docker -c "$(printf '%q ' "$root/docker/${0##*/}" "$@")"
}
enter_docker_group "$@"

# Runs what only removes, with an engine, which is stopped again if it was; without Docker there is nothing to remove.
with_engine() {
  if ! command -v docker >/dev/null; then say "nothing to remove: Docker is not installed"; return 0; fi
  if docker version >/dev/null 2>&1; then "$@"; return; fi
  "$root/docker/engine.sh" up
  "$@"
  "$root/docker/engine.sh" down
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

# Ids of the containers of a platform in one process.
containers_of_up() {
  for part in edge app firewall; do docker ps -a -q --filter "label=avishkar.platform=$part"; done
}

# Ids of the machines of a fleet on this computer.
containers_of_fleet() { docker ps -a -q --filter label=avishkar.machine.of=fleet; }
