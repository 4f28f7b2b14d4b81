#!/bin/bash
# share-servers.sh install|run|await|pebble: servers that speak like Azure Blob and like S3, for the tests of shares, from npm;
# and Pebble, an ACME server, from the Go module proxy.
#   install  fetches them once, into a folder of the state directory that is named after their versions
#   pebble   prints where Pebble is: its tests run one for each edge, which it asks at
#   run      both, in the foreground and with nothing on disk that outlives them; ends with whoever ends its group
#   await    returns when both answer
set -eu
. "$(dirname "$0")/lib.sh"
# The last Azurite that runs on Node.js 18, which Debian 12 has. Nothing that a package brings is run at its installation.
packages='azurite@3.35.0 s3rver@3.7.1'
pebble=github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
folder=$state_dir/share-servers
here=$folder/$(echo "$packages" | tr -c 'a-z0-9.\n' -)-pebble-${pebble#*@}
azurite=127.0.0.1:10000
s3=127.0.0.1:4568

install() {
  [ ! -d "$here" ] || return 0
  command -v npm >/dev/null || fail "there is no npm, and the servers that tests of shares need come from it" "apt-get install nodejs npm"
  command -v go >/dev/null || fail "there is no go, and Pebble, which tests of certificates need, is made by it" "apt-get install golang-go, or see https://go.dev/dl"
  rm -rf "$folder" && mkdir -p "$folder"
  say "servers of shares: installing"
  npm install --prefix "$here.part" --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error $packages >"$folder/install.log" 2>&1 \
    || { tail -n 20 "$folder/install.log" >&2; fail "they cannot be installed" "the whole log: $folder/install.log"; }
  GOBIN=$here.part/bin CGO_ENABLED=0 go install "$pebble" >>"$folder/install.log" 2>&1 \
    || { tail -n 20 "$folder/install.log" >&2; fail "Pebble cannot be made" "the whole log: $folder/install.log"; }
  mv "$here.part" "$here"
}

run() {
  files=$(mktemp -d)
  trap 'rm -rf "$files"' EXIT
  # The account and the bucket that the tests know.
  AZURITE_ACCOUNTS=avishkar:b25seSBmb3IgdGVzdHM= node "$here/node_modules/azurite/dist/src/blob/main.js" --silent --disableTelemetry \
    --inMemoryPersistence --extentMemoryLimit 512 --blobHost "${azurite%:*}" --blobPort "${azurite#*:}" >"$folder/azurite.log" 2>&1 &
  node "$here/node_modules/s3rver/bin/s3rver.js" --silent --no-vhost-buckets --configure-bucket shares \
    --directory "$files" --address "${s3%:*}" --port "${s3#*:}" >"$folder/s3.log" 2>&1 &
  wait
}

answer() { curl -s -o /dev/null "http://$azurite/" && curl -s -o /dev/null "http://$s3/"; }

await() {
  wait_for 30 answer || { tail -n 5 "$folder/azurite.log" "$folder/s3.log" >&2; fail "the servers of shares do not answer" "is another program at $azurite or $s3?"; }
}

case ${1:-} in
  install | run | await) "$1" ;;
  pebble) echo "$here/bin/pebble" ;;
  *) fail "usage: share-servers.sh install|run|await|pebble" ;;
esac
