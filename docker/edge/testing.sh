#!/bin/sh
# Turns the builder's package sources, of either form, from Debian 13 to testing; security updates of 13 stay.
set -eu
cd /etc/apt/sources.list.d
for file in debian.*; do
  case $file in
    *.sources) sed -i -E -e 's/ trixie-(updates|backports)//g' -e '/^Suites:/s/trixie( |$)/testing\1/' "$file" ;;
    *.list) sed -i -E -e '/ trixie-(updates|backports) /d' -e 's/ trixie / testing /' "$file" ;;
  esac
done
