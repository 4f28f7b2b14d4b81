#!/bin/sh
# Renders keepalived's file and becomes keepalived. Both machines say the same; neither is preferred, so that the address
# moves only when it has to. Needs the machine's own network, root, and the rights NET_ADMIN, NET_RAW and SETGID; nothing is
# written but in /tmp.
#   ADDRESS        the address that moves: IPv4, on the network of both machines, nobody's else
#   ADDRESS_OWN    this machine's own address     ADDRESS_PEER  the other's
#   ADDRESS_ID     of this pair, 1-255: two pairs of one network differ in it (51)
#   EDGE_HOST_PORT the edge's listener for host names (8088)
set -eu
id=${ADDRESS_ID:-51} port=${EDGE_HOST_PORT:-8088}
fail() { echo "address: $1" >&2; exit 2; }
for address in "${ADDRESS:-}" "${ADDRESS_OWN:-}" "${ADDRESS_PEER:-}"; do
  case $address in *[!0-9.]* | '') fail "ADDRESS, ADDRESS_OWN and ADDRESS_PEER are IPv4 addresses, not '$address'" ;; esac
done
case $id-$port in *[!0-9-]*) fail "ADDRESS_ID and EDGE_HOST_PORT are numbers" ;; esac
device=$(ip -o -4 address show | awk -v own="$ADDRESS_OWN" '{split($4, part, "/"); if (part[1] == own) {print $2; exit}}')
[ -n "$device" ] || fail "no network of this machine has ADDRESS_OWN $ADDRESS_OWN"

conf=/tmp/keepalived.conf
cat >$conf <<CONF
global_defs {
  vrrp_version 3
  enable_script_security
  script_user root
  vrrp_garp_master_refresh 1
}
vrrp_script edge {
  script "/usr/lib/address/check.sh $port"
  interval 1
  timeout 2
  fall 2
  rise 2
}
vrrp_instance edge {
  interface $device
  state BACKUP
  nopreempt
  virtual_router_id $id
  priority 100
  advert_int 0.4
  unicast_src_ip $ADDRESS_OWN
  unicast_peer { $ADDRESS_PEER }
  virtual_ipaddress { $ADDRESS/32 }
  track_script { edge }
}
CONF
# Of a keepalived that was killed here: whoever has it by now is not to be contradicted.
ip address delete "$ADDRESS/32" dev "$device" 2>/dev/null || true
echo "address: $ADDRESS on $device, with $ADDRESS_PEER"
# Its root is read-only: each of its processes wants a place for its number.
exec keepalived --dont-fork --log-console --vrrp --use-file=$conf \
  --pid=/tmp/main.pid --vrrp_pid=/tmp/vrrp.pid --checkers_pid=/tmp/checkers.pid --bfd_pid=/tmp/bfd.pid
