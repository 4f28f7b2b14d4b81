#!/bin/sh
# Prints the TCP ports on which something of this network namespace listens, one a line.
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '
  function number(hex,  i, n) {for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1; return n}
  $4 == "0A" {count = split($2, part, ":"); print number(part[count])}' | sort -nu
