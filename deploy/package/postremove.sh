#!/bin/sh
# After the files have gone. Configuration and state stay until a purge; rpm knows no purge, so
# there they stay for good, and so does the user that owns them.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/c100k /var/log/c100k /etc/c100k
	if getent passwd c100k >/dev/null; then userdel c100k; fi
	if getent group c100k >/dev/null; then groupdel c100k; fi
fi
