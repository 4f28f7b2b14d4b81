#!/bin/bash
# check.sh PORT: whether the edge of this machine answers on its listener for host names, whatever it answers.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: avishkar-address\r\nConnection: close\r\n\r\n' >&3
read -r -t 1 line <&3
case $line in HTTP/1.1\ [1-5]*) ;; *) exit 1 ;; esac
