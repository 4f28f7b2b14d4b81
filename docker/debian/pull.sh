#!/bin/sh
# debian/pull.sh: gets Debian 13 (trixie), slim, from an image registry; false where none answers.
timeout 30 docker pull -q debian:trixie-slim >/dev/null 2>&1
