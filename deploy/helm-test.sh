#!/usr/bin/env bash
# Renders the chart with the real helm and compares what a rollout depends on. The first run builds
# helm, which takes some minutes. C100K is the program that reads the rendered configuration.
set -euo pipefail
cd "$(dirname "$0")/.."
c100k=${C100K:-bin/c100k}
helm=bin/tools/helm@v3.22.0
if [[ ! -x $helm ]]; then
  echo "helm-test: building helm"
  GOFLAGS=-trimpath GOBIN=$PWD/bin/tools go install helm.sh/helm/v3/cmd/helm@v3.22.0
  mv bin/tools/helm "$helm"
fi
chart=deploy/helm/c100k
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
same() {
  if [[ $2 == "$3" ]]; then echo "ok    $1: $3"; else echo "FAIL  $1: $3, want $2"; failed=$((failed + 1)); fi
}
render() { "$helm" template r "$chart" --kube-version 1.31.0 "$@"; }
value() { awk -v "key=$1:" '$1 == key { print $2; exit }' "$work/out"; }
count() { grep -c "$1" "$work/out" || true; }

"$helm" lint --quiet "$chart"
render >"$work/out"
for kind in Deployment Service ConfigMap Secret PodDisruptionBudget; do
  same "there is a $kind" yes "$(grep -q "^kind: $kind$" "$work/out" && echo yes)"
done
same "no ingress unless asked" 0 "$(count '^kind: Ingress')"
same "grace: preStop 5, drain 30, and 15" 50 "$(value terminationGracePeriodSeconds)"
same "drain of the node" 30s "$(value drain)"
same "maxUnavailable: rollout and disruption" 2 "$(count 'maxUnavailable: 1')"
same "probes" 3 "$(grep -cE '(startup|liveness|readiness)Probe:' "$work/out")"
same "a user, a read-only root, no rights" 3 \
  "$(grep -cE 'runAsNonRoot: true|readOnlyRootFilesystem: true|capabilities: \{drop: \[ALL\]\}' "$work/out")"

render --set drainSeconds=120,preStopSeconds=10,replicas=5,maxUnavailable=2 \
  --set 'config.public-topics={news.>}' --set config.bus=redis://redis:6379 \
  --set apiKey.existingSecret=mine,ingress.enabled=true,ingress.tlsSecret=certificate >"$work/out"
same "grace follows the drain" "145 120s" "$(value terminationGracePeriodSeconds) $(value drain)"
same "the secret is the given one" "0 1" "$(count '^kind: Secret') $(count 'secretName: mine')"
same "an ingress with TLS" "1 1" "$(count '^kind: Ingress') $(count 'secretName: certificate')"
sed -n 's/^    //; /^c100k.yaml: |/,/^---/p' "$work/out" | sed '1d; /^---/d' | sed 's/^    //' >"$work/c100k.yaml"
printf '%064d' 1 >"$work/key"
sed -i "s|/etc/c100k/secret/api-key|$work/key|" "$work/c100k.yaml"
same "the node takes its configuration" "$work/c100k.yaml: ok" "$("$c100k" config check "$work/c100k.yaml" 2>&1)"

refused() { if out=$(render "$@" 2>&1); then echo rendered; else grep -o "$want" <<<"$out" | head -n 1; fi; }
want='config.listen is set by the chart'
same "a setting of the chart's own is refused" "$want" "$(refused --set config.listen=:1)"
want='incompatible with Kubernetes'
same "Kubernetes 1.29 is refused" "$want" "$(refused --kube-version 1.29.0)"

((failed == 0)) || { echo "helm-test: $failed failed"; exit 1; }
echo "helm-test: pass"
