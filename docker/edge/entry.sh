#!/bin/sh
# Starts the edge: finds out which front ports are free, renders the little that is not known before, becomes nginx.
#   EDGE_BIND         address to listen on (127.0.0.1)
#   EDGE_FRONT_PORTS  the pool (2000-2999)        EDGE_HOST_PORT  the listener for host names (8088)
#   EDGE_RESERVED     more ports to leave alone   EDGE_WORKERS    worker processes (one per core, at most 4)
set -eu
bind=${EDGE_BIND:-127.0.0.1}
pool=${EDGE_FRONT_PORTS:-2000-2999}
host_port=${EDGE_HOST_PORT:-8088}
cores=$(nproc)
workers=${EDGE_WORKERS:-$((cores < 4 ? cores : 4))}
conf=/tmp/edge
run=/run/avishkar/edge

case $bind in *[!0-9a-fA-F.:]* | '') echo "edge: EDGE_BIND '$bind' is not an address" >&2; exit 2 ;; esac
case $pool-$host_port-$workers in *[!0-9-]*) echo "edge: EDGE_FRONT_PORTS, EDGE_HOST_PORT and EDGE_WORKERS are numbers" >&2; exit 2 ;; esac

rm -rf $conf/asked
mkdir -p $conf/asked $run
busy=$(/usr/lib/edge/ports.sh)
if echo "$busy" | grep -qx "$host_port"; then
  echo "edge: port $host_port, for host names, is taken by another program; stop it or set EDGE_HOST_PORT" >&2
  exit 1
fi
# Reserved: ZooKeeper, Docker's and Swarm's own, etcd's.
closed=$(printf '%s\n' 2181 2375 2376 2377 2378 2379 2380 ${EDGE_RESERVED:-} $busy | sort -nu |
  awk -v first="${pool%-*}" -v last="${pool#*-}" '$1 >= first && $1 <= last')

case $bind in *:*) at="[$bind]" ;; *) at=$bind ;; esac
echo "worker_processes $workers;" >$conf/main.conf
echo "listen $at:$host_port;" >$conf/host.conf
printf '%s\n' $closed | awk -v at="$at" -v first="${pool%-*}" -v last="${pool#*-}" '
  {closed[$1] = 1}
  END {for (port = first; port <= last; port++) if (!(port in closed)) print "listen " at ":" port ";"}' >$conf/front.conf
# A caller's request id is kept if it looks like one. Ours is this start and two counters: nginx's own is random, which
# costs as much as everything else that the edge does for a request.
start=$(cut -c 1-8 /proc/sys/kernel/random/uuid)
cat >$conf/request_id.conf <<REQUEST_ID
map \$http_x_request_id \$id_of_request {
  default $start-\$connection-\$connection_requests;
  "~^[A-Za-z0-9._:-]{1,128}\$" \$http_x_request_id;
}
REQUEST_ID
cat >$conf/settings.lua <<SETTINGS
local M = {bind = "$bind", first = ${pool%-*}, last = ${pool#*-}, host_port = $host_port, closed = {$(echo $closed | tr ' ' ',')}}
function M.open(port)
  for _, closed in ipairs(M.closed) do if port == closed then return false end end
  return port >= M.first and port <= M.last
end
return M
SETTINGS
rm -f $run/control.sock   # of an nginx that was killed
echo "edge: $(wc -l <$conf/front.conf) front ports on $bind, closed: $(echo $closed)"
exec nginx -c /etc/edge/nginx.conf -e stderr
