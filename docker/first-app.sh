#!/bin/sh
# first-app.sh cluster|single|fleet [URL]: signs in as the first admin of a new platform, deploys samples/hello, and proves
# its URL by a request. Owns admin-password (0600) in the platform's folder: a password made here, for you to change.
set -eu
. "$(dirname "$0")/lib.sh"
avishkar=${CARGO_TARGET_DIR:-$root/target}/debug/avishkar
server=${2:-http://127.0.0.1:8010}
case ${1:-} in
  cluster) folder=$state_dir ;;
  single) folder=$state_dir/up ;;
  fleet) folder=$state_dir/fleet ;;
  *) fail "usage: first-app.sh cluster|single|fleet [URL]" ;;
esac
kind=$1
password=$folder/admin-password

one_time_token() {
  case $kind in
    cluster) docker exec "$(containers app-manager | head -n 1)" cat /data/one-time-token ;;
    single) cat "$folder/app-manager/one-time-token" ;;
    fleet)   # on the leader's machine: a standby's would be another one
      address=${server#http://}
      machine=$(docker ps -q --filter "label=avishkar.machine.address=${address%:*}" --filter label=avishkar.machine.of=fleet)
      part=$(docker exec "$machine" docker ps -q --filter label=avishkar.part=app-manager)
      wait_for 20 docker exec "$machine" docker exec "$part" test -s /data/one-time-token || return 0
      docker exec "$machine" docker exec "$part" cat /data/one-time-token ;;
  esac
}

sign_in() {
  if "$avishkar" --server $server apps >/dev/null 2>&1; then return; fi
  token=$folder/one-time-token
  umask 077
  if one_time_token >"$token" 2>/dev/null && [ -s "$token" ]; then
    [ -s "$password" ] || head -c 18 /dev/urandom | base64 >"$password"
    "$avishkar" --server $server login --username admin --password-file "$password" --one-time-token-file "$token"
    say "the first admin is 'admin', with the password in $password"
  elif [ -s "$password" ]; then
    "$avishkar" --server $server login --username admin --password-file "$password"
  else
    rm -f "$token"
    fail "this platform has an admin already, and you are not signed in" "$avishkar --server $server login"
  fi
  rm -f "$token"
}

url_of_hello() { "$avishkar" --server $server --json status hello 2>/dev/null | sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' | head -n 1; }

sign_in
# What is right is left alone: deploying the same again would replace its container.
url=$(url_of_hello)
if [ -n "$url" ] && curl -fs --max-time 10 -o /dev/null "$url"; then
  say "samples/hello is deployed"
else
  say "deploying samples/hello"
  "$avishkar" --server $server deploy "$root/samples/hello"
  url=$(url_of_hello)
fi
[ -n "$url" ] || fail "hello has no URL" "$avishkar status hello"
answer=$(curl -fsS --max-time 10 "$url") || fail "$url does not answer" "$avishkar logs hello"
say "$url answers:"
printf '%s\n' "$answer" | head -n 5
