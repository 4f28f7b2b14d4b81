#!/bin/sh
# debian/make.sh TAG BUILD_ENV: the root of all images, Debian 13 (trixie), slim: pulled where an image registry
# answers, else made here from Debian's packages.
set -eu
here=$(dirname "$0")
. "$here/../lib.sh"
tag=$1 build_env=$2 suite=trixie

if "$here/pull.sh"; then
  docker tag "debian:$suite-slim" "$tag"
  exit
fi
echo "no image registry answers: debootstrap"
mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}}' "$build_env"/etc/apt/sources.list.d/debian.*)
script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
target=$(mktemp -d)
trap 'as_root rm -rf "$target"' EXIT
trap 'exit 143' INT TERM   # else these end the script without the line above
as_root debootstrap --variant=minbase --include=ca-certificates "$suite" "$target" "$mirror" "$script"
# The address of the mirror is this machine's business: builders get it back with their build-env.
as_root rm -rf "$target"/etc/apt/sources.list* "$target"/var/cache/apt/archives/*.deb "$target"/var/lib/apt/lists/* \
  "$target"/usr/share/doc/* "$target"/usr/share/locale/* "$target"/var/log/*
as_root find "$target/usr/share/man" -type f -delete   # the folders stay: Java's packages fail without man1
as_root tar -C "$target" -c . | docker import -c 'CMD ["bash"]' - "$tag"
