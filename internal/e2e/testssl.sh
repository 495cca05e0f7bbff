#!/usr/bin/env bash
# Runs testssl.sh against a node of this build, and fails for findings above LOW. Those of the test's
# own certificate and of DNS are not the node's.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v testssl >/dev/null; then
  root=()
  if (($(id -u))); then root=(sudo); fi
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends testssl.sh openssl jq >/dev/null
fi
dir=$(mktemp -d)
node=
trap 'if [[ -n $node ]]; then kill "$node"; wait "$node" || true; fi; rm -rf "$dir"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 80 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$dir/key" -out "$dir/cert" 2>/dev/null
bin/c100k serve --dev --listen 127.0.0.1:0 --admin '' --drain 0s --tls-cert "$dir/cert" --tls-key "$dir/key" \
  --log-format json 2>"$dir/log" &
node=$!
address=
for _ in $(seq 100); do
  address=$(jq -r 'select(.msg == "serving").listen' "$dir/log")
  if [[ -n $address ]]; then break; fi
  sleep 0.1
done
echo "testssl.sh against $address: about five minutes" >&2
testssl --quiet --color 0 --warnings off --add-ca "$dir/cert" --jsonfile "$dir/findings" "https://$address" || true
above=$(jq -r '.[] | select(.severity | IN("MEDIUM", "HIGH", "CRITICAL"))
  | select(.id | test("^(cert|DNS)") | not) | "\(.severity) \(.id): \(.finding)"' "$dir/findings")
if [[ -n $above ]]; then
  echo "findings above LOW:" >&2
  echo "$above" >&2
  exit 1
fi
echo "no finding above LOW is the node's" >&2
