#!/bin/bash
# four-letter.sh: true while this ZooKeeper serves ("ruok" answered by "imok"). The image has no netcat.
set -eu
exec 3<>/dev/tcp/127.0.0.1/2181
printf ruok >&3
read -r -n 4 -t 2 answer <&3
[ "$answer" = imok ]
