#!/usr/bin/env bash
# Starts three nodes on this machine that form a cluster with nothing installed. Ctrl-C ends them.
# C100K names the binary; default: c100k of the PATH.
set -euo pipefail

c100k=${C100K:-c100k}
dir=$(mktemp -d)
nodes=()
end() {
  kill "${nodes[@]}" 2>/dev/null || true
  wait
  rm -rf "$dir"
}
trap end EXIT

head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/secret"
for n in 1 2 3; do
  peer=$((n % 3 + 1))
  "$c100k" serve --dev --listen "127.0.0.1:808$n" --admin "127.0.0.1:910$n" \
    --cluster "127.0.0.1:740$n" --cluster-peer "127.0.0.1:740$peer" --cluster-secret-file "$dir/secret" \
    >"$dir/$n.log" 2>&1 &
  nodes+=($!)
done

for n in 1 2 3; do
  for ((i = 0; i < 100; i++)); do
    curl -fs "http://127.0.0.1:910$n/metrics" 2>/dev/null | grep -q '^c100k_bus_peers 2$' && continue 2
    sleep 0.1
  done
  echo "node $n does not find the others:" >&2
  tail "$dir/$n.log" >&2
  exit 1
done

echo "three nodes are one: clients at 127.0.0.1:8081, :8082, :8083; API at :9101, :9102, :9103"
wait
