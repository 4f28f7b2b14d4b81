#!/bin/sh
# What an engine in a container needs of its machine, then systemd, as on any machine.
set -eu
for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind "$tree" 2>/dev/null || true; done
mount -o remount,rw,bind /proc/sys
# As systemd has it on machines, and leaves it in containers: what the engine unmounts goes from the view of its own that a
# hardened service has, too. Else the networks of containers that ended live on in there, with the addresses of new ones.
mount --make-rshared /
exec /sbin/init "$@"
