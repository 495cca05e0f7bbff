#!/usr/bin/env bash
# Installs, starts, reloads, upgrades and removes the packages of DIR in a Debian of its own, where
# systemd is process 1 in namespaces. Needs root, debootstrap and rpm; asks the Debian mirror the
# first time, and keeps the bare system in bin/dist-root.
#
# deploy/dist-test.sh DIR
#
# Nothing outside the namespaces changes but a cgroup that is removed at the end.
set -euo pipefail
dist=$(realpath "${1:?usage: deploy/dist-test.sh DIR}")
cd "$(dirname "$0")/.."
((EUID == 0)) || { echo "dist-test: namespaces need root" >&2; exit 1; }
for tool in debootstrap rpm unshare nsenter curl dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "dist-test: $tool is missing" >&2; exit 1; }
done

base=$PWD/bin/dist-root
if [[ ! -e $base/etc/debian_version ]]; then
  echo "dist-test: debootstrap"
  rm -rf "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase --include=systemd,dbus,logrotate,man-db bookworm "$base" >"$base.log" ||
    { tail -n 20 "$base.log"; exit 1; }
  rm -rf "$base"/var/cache/apt/archives/*.deb
fi

work=$(mktemp -d)
root=$work/root
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/c100k-dist-$$
init=
stop() {
  if [[ -n $init ]]; then kill -KILL "$init" 2>/dev/null || true; wait 2>/dev/null || true; fi
  for _ in {1..50}; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [[ -d $group ]] || break
    sleep 0.1
  done
  rm -rf "$work"
}
trap stop EXIT
cp -a --reflink=auto "$base" "$root"

failed=0
ok() { echo "ok    $1"; }
fail() { echo "FAIL  $1"; failed=$((failed + 1)); }
# check NAME COMMAND... succeeds if the command does.
check() {
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then ok "$name"; else fail "$name"; sed 's/^/      /' <<<"$out" | tail -n 12; fi
}
# same NAME WANT GOT
same() { if [[ $2 == "$3" ]]; then ok "$1: $3"; else fail "$1: $3, want $2"; fi; }
# await NAME COMMAND... waits at most half a minute until the command succeeds.
await() {
  local name=$1
  shift
  for _ in {1..300}; do
    if "$@" >/dev/null 2>&1; then ok "$name"; return; fi
    sleep 0.1
  done
  fail "$name"
}

# boot starts systemd in the root as process 1 of its own namespaces.
boot() {
  mkdir "$group"
  ( echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup \
      bash deploy/package/boot.sh "$root" ) >"$work/console" 2>&1 </dev/null &
  local parent=$!
  for _ in {1..300}; do
    init=$(cat "/proc/$parent/task/$parent/children" 2>/dev/null | tr -d ' ') || true
    if [[ -n $init ]] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then
      return
    fi
    sleep 0.1
  done
  echo "dist-test: systemd does not start here:" >&2
  tail -n 20 "$work/console" >&2
  exit 1
}
# inside runs a command of the root, web one of this machine in its network.
inside() { nsenter -t "$init" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "$@"; }
web() { nsenter -t "$init" -n "$@"; }
shown() { inside systemctl show c100k -P "$1"; }
status() { web curl -s -o /dev/null -m 10 -w '%{http_code}' "$@"; }
processes() { inside sh -c 'for p in /proc/[0-9]*/exe; do [ "$(readlink $p)" != /usr/bin/c100k ] || echo; done | wc -l'; }
settings() { cat >"$root/etc/c100k/c100k.yaml"; }
dropin() { mkdir -p "$root/etc/systemd/system/$1.d"; cat >"$root/etc/systemd/system/$1.d/test.conf"; inside systemctl daemon-reload; }

arch=$(dpkg --print-architecture)
deb=$(echo "$dist"/c100k_*_"$arch".deb)
# The version before is this one with a smaller number.
dpkg-deb -R "$deb" "$work/old"
sed -i 's/^Version: .*/Version: 0.0.0~before/' "$work/old/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/old" "$root/root/before.deb" >/dev/null
cp "$deb" "$root/root/now.deb"

boot
echo "--- $(inside systemctl --version | head -n 1), process 1 of a Debian $(cat "$root/etc/debian_version")"

echo "--- install"
check "dpkg -i" inside dpkg -i /root/before.deb
await "the service is active" inside systemctl is-active c100k
same "it starts at boot" enabled "$(inside systemctl is-enabled c100k)"
same "/readyz" 200 "$(status http://127.0.0.1:9100/readyz)"
same "no topic is open" 403 "$(status 'http://127.0.0.1:8080/sse?topic=news')"
same "rights of the configuration" "root c100k 640" "$(inside stat -c '%U %G %a' /etc/c100k/c100k.yaml)"
pid=$(shown MainPID)
of() { inside awk -v "key=$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }
same "user of the process" c100k "$(inside stat -c %U "/proc/$pid")"
same "capabilities" 0000000000000000 "$(of CapBnd)"
same "no new privileges" 1 "$(of NoNewPrivs)"
same "a seccomp filter" 2 "$(of Seccomp)"
check "the root is read-only for it" inside nsenter -t "$pid" -m sh -c '! touch /usr/x 2>/dev/null'
check "systemd-analyze verify" inside systemd-analyze verify c100k.service c100k.socket
check "systemd-analyze security: OK or better" inside sh -c 'systemd-analyze security c100k --no-pager | tail -n 1 | tee /dev/stderr | grep -q OK'
check "manual pages" inside man -w c100k-serve c100k-config-check c100k.yaml
check "bash completion" inside bash -n /usr/share/bash-completion/completions/c100k
check "logrotate -d" inside logrotate -d /etc/logrotate.d/c100k

echo "--- reload"
settings <<<'public-topics: [news]'
check "systemctl reload" inside systemctl reload c100k
web "$root/usr/bin/c100k" sub news --count 1 --url ws://127.0.0.1:8080/ws --no-reconnect >"$work/heard" 2>&1 &
subscriber=$!
for _ in {1..300}; do
  if web "$root/usr/bin/c100k" pub news hello 2>/dev/null | grep -q '^matched 1$'; then break; fi
  sleep 0.1
done
kill "$subscriber" 2>/dev/null || true
wait "$subscriber" || true
same "the topic is open, and a message arrives" hello "$(cat "$work/heard")"
same "the same process" "$pid" "$(shown MainPID)"
settings <<<'public-topcs: [news]'
check "a reload of a wrong file fails" bash -c '! "$@" 2>/dev/null' - nsenter -t "$init" -a systemctl reload c100k
same "the node goes on" "active $pid" "$(shown ActiveState) $(shown MainPID)"
settings <<<'public-topics: [news]'
check "and takes the next file that is right" inside systemctl reload c100k

echo "--- upgrade"
check "dpkg -i" inside dpkg -i --force-confold /root/now.deb
await "active again" inside systemctl is-active c100k
check "a new process" test "$(shown MainPID)" != "$pid"
same "the configuration has stayed" 'public-topics: [news]' "$(cat "$root/etc/c100k/c100k.yaml")"
same "version" "$(dpkg-deb -f "$deb" Version)" "$(inside dpkg-query -W -f '${Version}' c100k)"

echo "--- stop"
printf 'public-topics: [news]\ndrain: 4s\n' | settings
dropin c100k.service <<<$'[Service]\nTimeoutStopSec=1s'
inside systemctl restart c100k
web curl -sN 'http://127.0.0.1:8080/sse?topic=news' >/dev/null &
stream=$!
connected() { web curl -s 127.0.0.1:9100/metrics | grep -q '^c100k_connections{transport="sse"} 1'; }
await "a connection" connected
inside systemctl stop c100k
same "a drain longer than TimeoutStopSec ends well" "success" "$(shown Result)"
wait "$stream" || true

echo "--- watchdog"
settings <<<'public-topics: [news]'
dropin c100k.service <<<$'[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\nRestartSec=100ms'
inside systemctl start c100k
pid=$(shown MainPID)
inside sh -c "kill -STOP $pid"
restarted() { (($(shown NRestarts) > 0)) && [[ $(shown ActiveState) == active ]]; }
await "a process that hangs is ended, and started again" restarted
check "the journal says why" inside sh -c 'journalctl -u c100k --no-pager | grep -i "watchdog timeout"'

echo "--- wrong configuration at a start"
settings <<<'no-such-key: 1'
inside systemctl restart c100k 2>/dev/null || true
await "the service fails" inside systemctl is-failed c100k
same "without restarts" "78 0" "$(shown ExecMainStatus) $(shown NRestarts)"

echo "--- log file, and a directory for history"
printf 'public-topics: [news]\nlog-file: /var/log/c100k/c100k.log\nhistory: ["news=10,1m"]\nhistory-dir: /var/lib/c100k/history\n' | settings
check "start" inside systemctl start c100k
same "the log" "c100k 600" "$(inside stat -c '%U %a' /var/log/c100k/c100k.log)"
check "history is kept" inside test -d /var/lib/c100k/history
check "logrotate -f" inside logrotate -f /etc/logrotate.d/c100k
await "the old log is put aside" inside test -s /var/log/c100k/c100k.log.1
await "the node writes the new one" inside test -s /var/log/c100k/c100k.log
inside systemctl stop c100k

echo "--- workers"
printf 'public-topics: [news]\nworkers: 2\n' | settings
dropin c100k.service <<<'[Service]'
check "start" inside systemctl start c100k
same "/readyz" 200 "$(status http://127.0.0.1:9100/readyz)"
same "processes" 3 "$(processes)"
check "reload" inside systemctl reload c100k
inside systemctl stop c100k
same "all ended" "success 0" "$(shown Result) $(processes)"

echo "--- socket activation"
settings <<<'public-topics: [news]'
dropin c100k.socket <<<$'[Socket]\nListenStream=\nListenStream=80'
inside systemctl start c100k
inside systemctl stop c100k
check "enable --now c100k.socket" inside systemctl enable --now c100k.socket
same "the first client starts the node; port 80" 404 "$(status http://127.0.0.1:80/)"
same "the node has no capability" 0000000000000000 "$(pid=$(shown MainPID); of CapEff)"
( for _ in {1..40}; do status http://127.0.0.1:80/; echo; sleep 0.05; done ) >"$work/during" &
clients=$!
inside systemctl restart c100k
wait "$clients"
check "start of a service whose socket has started it" inside systemctl start c100k
same "nobody is refused during a restart" "" "$(grep -vE '^(404|503)$' "$work/during" || true)"

echo "--- remove and purge"
check "dpkg -r" inside dpkg -r c100k
same "nothing runs" 0 "$(processes)"
check "the configuration stays" test -e "$root/etc/c100k/c100k.yaml"
check "dpkg -P" inside dpkg -P c100k
check "nothing is left" bash -c "! ls -d $root/etc/c100k $root/var/lib/c100k $root/usr/bin/c100k 2>/dev/null && ! grep c100k $root/etc/passwd $root/etc/group"
same "failed units" "" "$(inside systemctl list-units --failed --plain --no-legend)"

inside journalctl --no-pager -n 80 >"$work/journal" || true
echo "--- rpm: files and scripts, without systemd as process 1"
rpm=$(echo "$dist"/c100k-*."$(uname -m)".rpm)
plain=$work/plain
cp -a --reflink=auto "$base" "$plain"
check "rpm -i" rpm --root "$plain" --nodeps -i "$rpm"
same "rpm -V: the group of the configuration is the service's" "G G G" \
  "$(rpm --root "$plain" --nodeps -V c100k | grep -o G | xargs)"
check "it runs" chroot "$plain" c100k version
same "user of the service" c100k "$(chroot "$plain" id -un c100k)"
check "rpm -U of the same" rpm --root "$plain" --nodeps -U --force "$rpm"
check "rpm -e" rpm --root "$plain" --nodeps -e c100k
check "the program is gone" test ! -e "$plain/usr/bin/c100k"

if command -v qemu-aarch64-static >/dev/null && [[ $arch != arm64 ]]; then
  echo "--- the binary for arm64, emulated"
  check "version" qemu-aarch64-static "$dist/c100k-linux-arm64" version
  check "it reads its configuration" qemu-aarch64-static "$dist/c100k-linux-arm64" config check
fi

echo
((failed == 0)) || { cat "$work/journal"; echo "dist-test: $failed failed"; exit 1; }
echo "dist-test: pass"
