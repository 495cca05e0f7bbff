#!/bin/sh
# After the files are there: the user, the rights of its files, and the service.
#
# dpkg calls it with "configure" and the version before, empty the first time; rpm with the number
# of versions that are installed now.
set -e

getent group c100k >/dev/null || groupadd --system c100k
getent passwd c100k >/dev/null || useradd --system --gid c100k --home-dir /var/lib/c100k \
	--no-create-home --shell /usr/sbin/nologin --comment "c100k push server" c100k
chgrp c100k /etc/c100k /etc/c100k/c100k.yaml /etc/c100k/environment

case "$1" in
configure) first=$([ -z "$2" ] && echo yes || true) deb=yes ;;
1) first=yes deb= ;;
2) first= deb= ;;
*) exit 0 ;; # dpkg takes back an attempt: nothing has changed
esac

# Without systemd as the first process (a container, an image that is being built) the files are all
# there is to install.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if [ -z "$first" ]; then
	# A node that runs takes the new version; its connections are let go of over --drain.
	systemctl try-restart c100k.service || true
elif [ -n "$deb" ]; then
	# As Debian does: a service runs once it is installed. Nothing is open before it is configured
	# so. A port that is taken must not fail the installation.
	systemctl enable c100k.service
	systemctl start c100k.service || echo "c100k does not run: journalctl -u c100k says why" >&2
fi
