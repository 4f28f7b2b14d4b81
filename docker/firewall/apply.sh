#!/bin/sh
# Makes the rules of /rules (iptables-restore's form) hold, and the jumps of /jumps: a chain and a rule's words a line.
set -eu
iptables-restore --noflush --wait 5 </rules
while read -r rule; do
  # The words of a rule are several.
  iptables -w 5 -C $rule 2>/dev/null || iptables -w 5 -I $rule
done </jumps
