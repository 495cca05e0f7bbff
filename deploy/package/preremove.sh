#!/bin/sh
# Before the files go: the service stops, unless a new version follows.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;; # an upgrade
esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now c100k.socket c100k.service || true
