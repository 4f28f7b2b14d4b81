#!/bin/bash
# check.sh PORT: whether the edge of this machine answers on its listener for host names, and has a table of apps. One
# that has never been told any is no place for the address, and one whose load balancer is away is.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET /.well-known/avishkar-edge HTTP/1.1\r\nHost: _\r\nUser-Agent: avishkar-address\r\nConnection: close\r\n\r\n' >&3
read -r -t 1 line <&3
case $line in HTTP/1.1\ 204*) ;; *) exit 1 ;; esac
