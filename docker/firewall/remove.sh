#!/bin/sh
# Takes down what apply.sh put up: the jumps of /jumps, then the chains that they lead to.
set -eu
while read -r rule; do
  while iptables -w 5 -C $rule 2>/dev/null; do iptables -w 5 -D $rule; done
  chain=${rule##* }
  if iptables -w 5 -n -L "$chain" >/dev/null 2>&1; then iptables -w 5 -F "$chain"; iptables -w 5 -X "$chain"; fi
done </jumps
