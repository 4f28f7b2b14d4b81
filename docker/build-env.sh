#!/bin/sh
# build-env.sh DIR SUITE: writes into DIR, laid out like a root file system, how this machine reaches packages:
# resolvers, certificate authorities, and the settings of apt, pip, npm and Maven. Images get it in builder
# stages only, by COPY; nothing of it reaches an image that is pushed.
set -eu
. "$(dirname "$0")/lib.sh"
out=$1 suite=$2
bundle=/etc/ssl/certs/ca-certificates.crt
rm -rf "$out"
mkdir -p "$out/etc/avishkar"

# Keeps what concerns the network of a settings file, one line a key, the last one wins.
network_settings() { cat "$@" 2>/dev/null | sed 's/[[:space:]]*=[[:space:]]*/=/' | awk -F= '!/^[#;\[]/ && NF > 1 {value[$1] = $0} END {for (key in value) print value[key]}' | sort; }

resolvers() {
  # A stub on a loopback address is out of a container's reach: take what stands behind it.
  for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf /run/NetworkManager/no-stub-resolv.conf; do
    found=$(awk '/^nameserver/ && $2 !~ /^127\./ && $2 !~ /:/ {print $2}' "$file" 2>/dev/null || true)
    [ -z "$found" ] || { echo "$found"; return; }
  done
  fail "containers cannot reach this machine's resolver, which listens on a loopback address" \
    "set NODE_DNS to the address of the resolver behind it, then run again"
}

apt() {
  mkdir -p "$out/etc/apt/apt.conf.d" "$out/etc/apt/sources.list.d"
  here=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed "s/$here/$suite/g" /etc/apt/sources.list.d/debian.sources >"$out/etc/apt/sources.list.d/debian.sources"
  else
    grep -E "^deb .*[ /-]$here" /etc/apt/sources.list | sed "s/$here/$suite/g" >"$out/etc/apt/sources.list.d/debian.list"
  fi
  for file in $(grep -lsE 'Acquire::(http|https|Check|Retries|ForceIP)' /etc/apt/apt.conf.d/* /etc/apt/apt.conf); do cp "$file" "$out/etc/apt/apt.conf.d/"; done
  if [ -d /etc/apt/auth.conf.d ]; then cp -r /etc/apt/auth.conf.d "$out/etc/apt/"; fi
  for name in http https; do
    eval "proxy=\${${name}_proxy:-}"
    [ -z "$proxy" ] || echo "Acquire::$name::Proxy \"$proxy\";" >>"$out/etc/apt/apt.conf.d/99proxy"
  done
}

authorities() {
  mkdir -p "$out/usr/local/share/ca-certificates" "$out/etc/ssl/certs"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$out/usr/local/share/ca-certificates/" \;
  if [ -f $bundle ]; then cp $bundle "$out$bundle"; fi
}

pip() {
  mkdir -p "$out/etc"
  {
    echo '[global]'
    { network_settings /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"
      [ -z "${PIP_INDEX_URL:-}" ] || echo "index-url=$PIP_INDEX_URL"
      [ -z "${PIP_EXTRA_INDEX_URL:-}" ] || echo "extra-index-url=$PIP_EXTRA_INDEX_URL"
      [ -z "${PIP_TRUSTED_HOST:-}" ] || echo "trusted-host=$PIP_TRUSTED_HOST"
      [ -z "${https_proxy:-}" ] || echo "proxy=$https_proxy"
    } | grep -E '^(index-url|extra-index-url|trusted-host|proxy|timeout|retries)=' >"$out/pip.tmp" || true
    network_settings "$out/pip.tmp"
    echo "cert=$bundle"
  } >"$out/etc/pip.conf"
  rm -f "$out/pip.tmp"
}

npm() {
  mkdir -p "$out/root"
  {
    { network_settings /etc/npmrc /usr/etc/npmrc "$HOME/.npmrc"
      [ -z "${npm_config_registry:-}" ] || echo "registry=$npm_config_registry"
    } | grep -E '^(registry|@[^:]+:registry|//[^=]+|proxy|https-proxy|noproxy|strict-ssl)=' || true
    echo "cafile=$bundle"
  } >"$out/root/.npmrc"
}

maven() {
  if [ -f "$HOME/.m2/settings.xml" ]; then mkdir -p "$out/root/.m2" && cp "$HOME/.m2/settings.xml" "$out/root/.m2/"; fi
}

if [ -n "${NODE_DNS:-}" ]; then found=$NODE_DNS; else found=$(resolvers); fi
printf '%s\n' $found >"$out/etc/avishkar/resolvers"
apt; authorities; pip; npm; maven
