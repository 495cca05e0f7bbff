#!/usr/bin/env bash
# Runs the binary of DIR as the image of deploy/docker runs it, without a container engine: a root
# of the binary and the certificates alone, read-only; user 65532; no capability, no new privileges;
# its own process, network and other namespaces; and the system calls that Docker's default profile
# denies, io_uring among them, denied. Needs root, bubblewrap and python3-seccomp.
#
# deploy/dist-jail.sh DIR
set -euo pipefail
dist=$(realpath "${1:?usage: deploy/dist-jail.sh DIR}")
for tool in bwrap curl nsenter; do
  command -v "$tool" >/dev/null || { echo "dist-jail: $tool is missing" >&2; exit 1; }
done
/usr/bin/python3 -c 'import seccomp' || { echo "dist-jail: python3-seccomp is missing" >&2; exit 1; }
arch=$(dpkg --print-architecture)

work=$(mktemp -d)
node=
stop() {
  if [[ -n $node ]]; then kill -KILL "$node" 2>/dev/null || true; fi
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
mkdir -p "$work/root"/{usr/bin,etc/ssl/certs,data,proc,dev}
cp "$dist/c100k-linux-$arch" "$work/root/usr/bin/c100k"
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/" 2>/dev/null || true
chmod -R go+rX "$work"

# The list of https://docs.docker.com/engine/security/seccomp/. Docker allows what it names; this
# denies what it does not name, which comes to the same for these calls.
/usr/bin/python3 - "$work/filter" <<'PY'
import errno, sys
from seccomp import ALLOW, ERRNO, SyscallFilter
denied = """acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module
get_kernel_syms get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount move_pages nfsservctl
open_by_handle_at perf_event_open pivot_root process_vm_readv process_vm_writev ptrace query_module
quotactl reboot request_key set_mempolicy setns settimeofday swapon swapoff sysfs _sysctl umount2
unshare uselib userfaultfd ustat vserver"""
filter = SyscallFilter(ALLOW)
for name in denied.split():
    filter.add_rule(ERRNO(errno.EPERM), name)
filter.export_bpf(open(sys.argv[1], "wb"))
PY

start() { # start ARGS... runs `serve` in the jail.
  bwrap --ro-bind "$work/root" / --proc /proc --dev /dev --unshare-all --die-with-parent --new-session \
    --uid 65532 --gid 65532 --cap-drop ALL --clearenv --setenv HOME /data --chdir /data \
    --as-pid-1 --info-fd 4 --seccomp 5 -- /usr/bin/c100k serve "$@" 4>"$work/info" 5<"$work/filter" \
    >"$work/log" 2>&1 &
  node=$!
}
jailed() { grep -o '"child-pid": [0-9]*' "$work/info" | grep -o '[0-9]*$'; }
web() { nsenter -t "$(jailed)" -n "$@"; }
failed=0
same() {
  if [[ $2 == "$3" ]]; then echo "ok    $1: $3"; else echo "FAIL  $1: $3, want $2"; failed=$((failed + 1)); fi
}
of() { awk -v "key=$1:" '$1 == key { print $2 }' "/proc/$(jailed)/status"; }
ready() {
  for _ in {1..300}; do
    if [[ $(web curl -s -o /dev/null -m 5 -w '%{http_code}' http://127.0.0.1:9100/readyz 2>/dev/null) == 200 ]]; then return; fi
    sleep 0.1
  done
  cat "$work/log"
  echo "dist-jail: the node does not start" >&2
  exit 1
}

for workers in 1 2; do
  echo "--- $workers process(es)"
  start --public-topics 'news.>' --drain 1s --workers "$workers"
  ready
  same "capabilities" 0000000000000000 "$(of CapEff)"
  same "no new privileges" 1 "$(of NoNewPrivs)"
  same "a seccomp filter" 2 "$(of Seccomp)"
  web curl -sN -m 30 'http://127.0.0.1:8080/sse?topic=news.a' >"$work/heard" &
  heard=$!
  for _ in {1..300}; do
    if web curl -s -d hello http://127.0.0.1:9100/v1/topics/news.a | grep -q '"matched":1'; then break; fi
    sleep 0.1
  done
  for _ in {1..100}; do
    if grep -q 'data: hello' "$work/heard"; then break; fi
    sleep 0.1
  done
  same "a message arrives" "data: hello" "$(grep -m 1 '^data' "$work/heard" || true)"
  # Docker denies io_uring: the node takes plain system calls.
  same "io" '"io":"syscall"' "$(web curl -s http://127.0.0.1:9100/v1/stats | grep -o '"io":"[a-z]*"' | sort -u)"
  kill -TERM "$(jailed)"
  code=0
  wait "$node" || code=$?
  same "exit code after TERM" 0 "$code"
  node=
  wait "$heard" || true
done

echo "--- what the root refuses"
start --public-topics 'news.>' --history 'news.>=10,1m' --history-dir /data/history
code=0
wait "$node" || code=$?
node=
same "history on the read-only root fails, and says so" yes \
  "$( ((code != 0)) && grep -q 'read-only file system' "$work/log" && echo yes || cat "$work/log")"

((failed == 0)) || { echo "dist-jail: $failed failed"; exit 1; }
echo "dist-jail: pass"
