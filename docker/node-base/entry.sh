#!/bin/sh
# The machine's init (under tini): sshd, dockerd and the node agent, each restarted by itself when it ends, so that an
# agent that dies leaves the engine and the apps alone. TERM stops the agent, then the engine with its containers.
#   NODE_DNS   resolver for the containers of this machine; default: what was found where the image was built
set -eu
umask 022
say() { echo "node: $*"; }

for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind "$tree" 2>/dev/null || true; done
mount -o remount,rw,bind /proc/sys
# As a real machine forgets /run when its power goes: what is left there of an engine that was cut off is wrong.
rm -rf /run/docker /run/docker.pid /run/docker.sock /run/containerd
mkdir -p /run/sshd

# cgroup v2 lets no process live in a group that gives controllers to children: move ourselves into one below.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
  sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control || true
fi

dns=${NODE_DNS:-$(cat /etc/avishkar/build-env/etc/avishkar/resolvers 2>/dev/null || true)}
[ -n "$dns" ] || { say "set NODE_DNS: the containers of this machine need a resolver that they can reach"; exit 2; }
flags=
for address in $(echo "$dns" | tr ',' ' '); do
  case $address in
    127.* | ::1 | localhost) say "NODE_DNS is $address, a loopback address that containers cannot reach; give the resolver behind it"; exit 2 ;;
    *[!0-9a-fA-F.:]*) say "NODE_DNS is '$address', which is not an address"; exit 2 ;;
  esac
  flags="$flags --dns $address"
done

mkdir -p /var/lib/avishkar/ssh
[ -f /var/lib/avishkar/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /var/lib/avishkar/ssh/ssh_host_ed25519_key

/usr/lib/avishkar/supervise.sh sshd /usr/sbin/sshd -D -e & sshd=$!
/usr/lib/avishkar/supervise.sh dockerd dockerd $flags --log-level warn & engine=$!
agent=
if [ -x /usr/local/bin/avishkar ]; then
  /usr/lib/avishkar/supervise.sh agent avishkar service node-agent & agent=$!
fi

stop() {
  trap '' TERM INT
  say "stopping"
  # The agent first: else it would take the engine's end for crashes of its apps.
  [ -z "$agent" ] || { kill -TERM "$agent"; wait "$agent" || true; }
  kill -TERM "$engine"; wait "$engine" || true
  kill -TERM "$sshd"; wait "$sshd" || true
  exit 0
}
trap stop TERM INT
say "up: sshd, dockerd (resolver $dns)${agent:+, agent}"
while :; do wait; done
