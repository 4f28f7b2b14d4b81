#!/bin/bash
# newcomer.sh: tries the first command of the README as a newcomer meets it: made twice it is one platform, killed and made
# again its URL is back, and `down` leaves nothing. In a state folder of its own; for test.sh, where no platform runs.
set -eu
. "$(dirname "$0")/lib.sh"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
state_dir=$(mktemp -d "${TMPDIR:-/tmp}/newcomer.XXXXXX")
export AVISHKAR_STATE_DIR=$state_dir XDG_CONFIG_HOME=$state_dir/config
url=http://127.0.0.1:2000

finish() {
  status=$?
  trap - EXIT
  "$avishkar" down --purge --data "$state_dir/up" || status=1
  left=$(containers_of_up)$(docker network ls -q --filter label=avishkar.platform=network)
  [ -z "$left" ] || { echo "left behind: $left" >&2; status=1; }
  rm -rf "$state_dir"
  exit $status
}
trap finish EXIT
trap 'exit 143' INT TERM

process() { cat "$state_dir/up/lock"; }

"$root/docker/make-up.sh"
first=$(process)
"$root/docker/make-up.sh"
[ "$(process)" = "$first" ] || fail "made twice, it is another process"
kill -9 "$first"
curl -fsS -m 5 "$url" >/dev/null || fail "the app does not answer while the platform's process is dead"
"$root/docker/make-up.sh"
[ "$(process)" != "$first" ] || fail "killed, it is the same process"
curl -fsS -m 5 "$url" >/dev/null || fail "the app does not answer after the platform was started again"
