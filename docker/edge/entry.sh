#!/bin/sh
# Starts the edge: finds out which front ports are free, renders the little that is not known before, becomes nginx.
#   EDGE_BIND         address to listen on (127.0.0.1)
#   EDGE_FRONT_PORTS  the pool (2000-2999)        EDGE_HOST_PORT  the listener for host names (8088)
#   EDGE_HOLD_SECONDS how long a request waits for an app at rest (60)
#   EDGE_RESERVED     more ports to leave alone   EDGE_WORKERS    worker processes (one per core, at most 4)
#   EDGE_TLS_PORT     host names over TLS (8443)  EDGE_TLS_ANNOUNCED  the port that visitors see, where it is another one
#   EDGE_REQUESTS_PER_ADDRESS  how many requests of one address may be under way (1000; 0: any number)
set -eu
bind=${EDGE_BIND:-127.0.0.1}
pool=${EDGE_FRONT_PORTS:-2000-2999}
host_port=${EDGE_HOST_PORT:-8088}
hold_seconds=${EDGE_HOLD_SECONDS:-60}
tls_port=${EDGE_TLS_PORT:-8443}
announced=${EDGE_TLS_ANNOUNCED:-$tls_port}
per_address=${EDGE_REQUESTS_PER_ADDRESS:-1000}
cores=$(nproc)
workers=${EDGE_WORKERS:-$((cores < 4 ? cores : 4))}
conf=/tmp/edge
run=/run/avishkar/edge

case $bind in *[!0-9a-fA-F.:]* | '') echo "edge: EDGE_BIND '$bind' is not an address" >&2; exit 2 ;; esac
case $pool-$host_port-$workers in *[!0-9-]*) echo "edge: EDGE_FRONT_PORTS, EDGE_HOST_PORT and EDGE_WORKERS are numbers" >&2; exit 2 ;; esac
case $hold_seconds in *[!0-9]* | "") echo "edge: EDGE_HOLD_SECONDS is a number" >&2; exit 2 ;; esac
case $tls_port-$announced in *[!0-9-]*) echo "edge: EDGE_TLS_PORT and EDGE_TLS_ANNOUNCED are numbers" >&2; exit 2 ;; esac
case $per_address in *[!0-9]* | "" | ??????*) per_address=65536 ;; esac
if [ "$per_address" -gt 65535 ]; then echo "edge: EDGE_REQUESTS_PER_ADDRESS is a number from 0 to 65535" >&2; exit 2; fi

rm -rf $conf/asked $conf/secure $conf/challenges
mkdir -p $conf/asked $conf/secure $conf/challenges/.well-known/acme-challenge $run
busy=$(/usr/lib/edge/ports.sh)
# The edge of before may be about to end.
tries=15
while [ $tries -gt 0 ] && echo "$busy" | grep -qx -e "$host_port" -e "$tls_port"; do
  sleep 0.2
  tries=$((tries - 1))
  busy=$(/usr/lib/edge/ports.sh)
done
tls_damage=nil
if echo "$busy" | grep -qx "$host_port"; then
  echo "edge: port $host_port, for host names, is taken by another program; stop it or set EDGE_HOST_PORT" >&2
  exit 1
fi
if echo "$busy" | grep -qx "$tls_port"; then
  if [ -n "${EDGE_TLS_PORT:-}" ]; then
    echo "edge: port $tls_port, for TLS, is taken by another program; stop it or set EDGE_TLS_PORT" >&2
    exit 1
  fi
  words="port $tls_port is taken by another program: nothing is served over TLS; set EDGE_TLS_PORT"
  echo "edge: $words" >&2
  tls_damage="\"$words\""
  tls_port=
fi
# Reserved: ZooKeeper, Docker's and Swarm's own, etcd's.
closed=$(printf '%s\n' 2181 2375 2376 2377 2378 2379 2380 ${EDGE_RESERVED:-} $busy | sort -nu |
  awk -v first="${pool%-*}" -v last="${pool#*-}" '$1 >= first && $1 <= last')

case $bind in *:*) at="[$bind]" ;; *) at=$bind ;; esac
echo "worker_processes $workers;" >$conf/main.conf
echo "listen $at:$host_port;" >$conf/host.conf
suffix=$([ "$announced" = 443 ] || echo ":$announced")
echo "map \"\" \$tls_suffix { default \"$suffix\"; }" >$conf/tls.conf
# A map costs every request something: there is none where visitors see the ports that are listened on.
port_as_seen='$server_port'
if [ -n "$tls_port" ] && [ "$announced" != "$tls_port" ]; then
  port_as_seen='$port_as_seen'
  echo "map \$server_port \$port_as_seen { default \$server_port; $tls_port $announced; }" >>$conf/tls.conf
fi
echo "proxy_set_header X-Forwarded-Port $port_as_seen;" >$conf/forwarded_port.conf
if [ -n "$tls_port" ]; then
  echo "listen $at:$tls_port ssl;" >$conf/tls_listen.conf
  echo "include /etc/edge/tls.conf;" >>$conf/tls.conf
fi
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
# Counted are requests under way: who only keeps connections open has none. The zone has room for more addresses than
# there can be connections. The platform's own question (control.lua) is nobody's, and an empty key is not counted; what is
# needed to know it is looked at only where somebody says to be it.
: >$conf/visitors.conf
: >$conf/visitor.conf
if [ "$per_address" -gt 0 ]; then
  cat >$conf/visitors.conf <<'VISITORS'
map $http_user_agent $visitor { default $binary_remote_addr; avishkar-edge $claimed_visitor; }
map "$remote_addr@$server_addr" $claimed_visitor { default $binary_remote_addr; "~^([^@]+)@\1$" ""; }
limit_conn_zone $visitor zone=visitors:4m;
limit_conn_log_level info;
limit_conn_status 429;
VISITORS
  printf '%s\n' "limit_conn visitors $per_address;" 'error_page 429 = @visitor_limited;' >$conf/visitor.conf
fi
cat >$conf/settings.lua <<SETTINGS
local M = {bind = "$bind", first = ${pool%-*}, last = ${pool#*-}, host_port = $host_port, hold_seconds = $hold_seconds, requests_per_address = $per_address, tls_port = ${tls_port:-nil}, tls_damage = $tls_damage, closed = {$(echo $closed | tr ' ' ',')}}
function M.open(port)
  for _, closed in ipairs(M.closed) do if port == closed then return false end end
  return port >= M.first and port <= M.last
end
return M
SETTINGS
rm -f $run/control.sock   # of an nginx that was killed
echo "edge: $(wc -l <$conf/front.conf) front ports on $bind, closed: $(echo $closed)"
exec nginx -c /etc/edge/nginx.conf -e stderr
