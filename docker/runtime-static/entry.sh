#!/bin/sh
# Serves /app on $PORT with nginx.
set -eu
case ${PORT:-} in '' | *[!0-9]*) echo "PORT is not a number" >&2; exit 2 ;; esac
mkdir -p /tmp/nginx
sed "s/@PORT@/$PORT/" /etc/avishkar/nginx.conf >/tmp/nginx/nginx.conf
exec nginx -c /tmp/nginx/nginx.conf -e stderr
