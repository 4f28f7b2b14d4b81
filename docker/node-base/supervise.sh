#!/bin/sh
# supervise.sh NAME COMMAND...: runs a command, and again whenever it ends, at once after a long run and with growing
# pauses (1 to 15 s) after short ones. TERM ends it and the command, and waits for that.
set -u
name=$1; shift
child= ending=
end() { ending=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null; }
trap end TERM INT
pause=1
while [ -z "$ending" ]; do
  began=$(date +%s)
  "$@" &
  child=$!
  wait "$child"; status=$?
  # A trap interrupts wait: wait once more for the real end.
  while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
  child=
  [ -z "$ending" ] || break
  [ $(($(date +%s) - began)) -lt 30 ] || pause=1
  echo "node: $name ended with $status; again in $pause s"
  sleep "$pause" & wait $!
  pause=$((pause * 2 > 15 ? 15 : pause * 2))
done
