#!/bin/bash
# systemd-trial.sh: tries `avishkar up --install` on a machine that systemd runs: root's unit, then a user's. Over a reboot, a
# power cut, and the deaths of the platform's process and of the engine its app is the same container at the same URL, with
# nobody's help; `down --uninstall` leaves nothing. The machine is a container: of this computer it takes the engine, the
# images of `images.sh single`, and the program that cargo built.
set -eu
. "$(dirname "$0")/lib.sh"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
machine=avishkar-systemd-trial
url=http://127.0.0.1:2000
images='edge firewall runtime-python'
[ -x "$avishkar" ] || fail "there is no $avishkar" "cargo build -p avishkar"
docker image inspect $(printf 'avishkar/%s:dev ' $images) >/dev/null || fail "images are missing" "docker/images.sh single"

finish() {
  status=$?
  trap - EXIT
  [ $status = 0 ] || docker exec $machine journalctl -b --no-pager -n 100 || true
  docker rm -fv $machine >/dev/null 2>&1 || true
  rm -rf "$scratch"
  exit $status
}
scratch=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# as WHO SCRIPT: runs it on the machine, as whoever has the unit.
as() {
  docker exec -i $machine runuser -u "$1" -- sh -euc '
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6) XDG_RUNTIME_DIR=/run/user/$(id -u) scope=--user
    [ "$(id -u)" != 0 ] || scope=--system
    export HOME XDG_RUNTIME_DIR
    state=$HOME/.local/state/avishkar/up
    eval "$1"' sh "$2"
}

process() { as "$1" 'systemctl $scope show avishkar -p MainPID --value'; }
is_active() { as "$1" 'systemctl $scope is-active --quiet avishkar'; }
engine_answers() { docker exec $machine docker version; }
answers() { docker exec $machine curl -fs -m 2 -o /dev/null $url; }
# Its containers, running or not: which they are, and since when they run.
apps() { docker exec $machine docker ps -aq --no-trunc --filter label=avishkar.platform=app; }
began() { docker exec $machine docker inspect -f '{{.State.StartedAt}}' "$(apps)"; }

# same WHAT: there is one container, the first one, and it answers.
same() {
  wait_for 60 answers || fail "$who: no answer at $url after $1"
  wait_for 60 is_active "$who" || fail "$who: the unit does not run after $1"
  [ "$(apps)" = "$app" ] || fail "$who: after $1 it is another container, or more than one: $(apps)"
  say "$who: the same container answers after $1"
}

another_process() { now=$(process "$who") && [ "$now" != 0 ] && [ "$now" != "$killed" ]; }

try() {
  who=$1
  say "$who: avishkar up --install"
  said=$(as "$who" 'avishkar up --install')
  echo "$said"
  case $said in *"when you sign in"*) fail "$who: it does not begin with the machine, and may" ;; esac
  installed=$(process "$who")
  as "$who" 'avishkar up --install' >/dev/null
  [ "$(process "$who")" = "$installed" ] || fail "$who: installed again, it is another process"
  as "$who" 'head -c 18 /dev/urandom | base64 >~/password
    avishkar login --username admin --password-file ~/password --one-time-token-file "$state/app-manager/one-time-token"
    avishkar deploy /srv/hello'
  app=$(apps)
  same "its deployment"

  docker restart -t 60 $machine >/dev/null
  same "a reboot"
  docker kill $machine >/dev/null
  docker start $machine >/dev/null
  same "a power cut"

  started=$(began) killed=$(process "$who")
  docker exec $machine kill -9 "$killed"
  answers || fail "$who: the app does not answer while the platform's process is dead"
  wait_for 30 another_process || fail "$who: systemd does not start the process again"
  same "the end of the platform's process"
  [ "$(began)" = "$started" ] || fail "$who: the end of the platform's process was one of the app"

  docker exec $machine sh -c 'kill -9 $(pidof dockerd)'
  wait_for 30 engine_answers || fail "systemd does not start the engine again"
  same "the end of the engine"

  as "$who" 'avishkar down --uninstall --purge'
  left=$(docker exec $machine sh -c '
    docker ps -aq; docker network ls -q --filter label=avishkar.platform; docker volume ls -q
    pgrep -a avishkar; iptables -S | grep -i avishkar
    find /etc/systemd /root/.config/systemd /home/someone/.config/systemd -name "avishkar*"
    find /root/.local/state/avishkar /home/someone/.local/state/avishkar -type f' 2>/dev/null || true)
  [ -z "$left" ] || fail "$who: down --uninstall --purge leaves: $left"
  say "$who: down --uninstall leaves nothing"
}

"$root/docker/images.sh" trial
docker rm -fv $machine >/dev/null 2>&1 || true
# Debian 13's systemd wants to be told that the older control groups will do, where there are no others. Hierarchies that this
# computer does not use it must not begin: they would outlive it, and containerd hears of no end for want of memory where
# there is one that is not mounted.
older=
covered=()
if [ "$(docker info -f '{{.CgroupVersion}}')" = 1 ]; then
  older='systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1'
  for unused in $(awk '$2 == 0 && $4 == 1 { print $1 }' /proc/cgroups); do
    case $unused in net_cls | net_prio) unused=net_cls,net_prio ;; esac
    case " ${covered[*]} " in *"/$unused "*) ;; *) covered+=(--tmpfs "/sys/fs/cgroup/$unused") ;; esac
  done
fi
say "starting a machine with systemd"
docker run -d --name $machine --hostname $machine -e container=docker --tmpfs /run:exec,mode=755 --tmpfs /tmp:exec \
  --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
  --device-cgroup-rule 'a *:* rwm' "${covered[@]}" avishkar/systemd:dev $older >/dev/null
install -s -m 755 "$avishkar" "$scratch/avishkar"
docker cp -q "$scratch/avishkar" $machine:/usr/local/bin/avishkar
docker cp -q "$root/samples/hello" $machine:/srv/hello
wait_for 60 engine_answers || fail "the engine of the machine does not answer"
docker save $(printf 'avishkar/%s:dev ' $images) | docker exec -i $machine docker load -q >/dev/null

try root
say "someone: avishkar up --install, where their own systemd does not run"
as someone 'avishkar up --detach
  avishkar up --install && exit 1 || [ $? = 21 ]
  curl -fs http://127.0.0.1:8010/readyz >/dev/null || { echo "what ran in the background does not" >&2; exit 1; }
  avishkar down --purge'
[ -z "$(docker exec $machine find /home/someone/.config -name "avishkar*" 2>/dev/null)" ] || fail "what was refused left a unit"
docker exec $machine loginctl enable-linger someone
wait_for 30 as someone 'systemctl --user show --property=Version' || fail "the systemd of a user does not come"
try someone
