#!/usr/bin/env bash
# Builds the release a second time and compares it byte for byte with DIR, which deploy/dist.sh has
# made of the same commit. The second build is as different as one machine allows: another
# directory, umask, time zone, home and file times; FRESH=1 adds an empty build cache, which takes
# minutes more.
#
# deploy/dist-check.sh DIR
set -euo pipefail
first=$(realpath "${1:?usage: deploy/dist-check.sh DIR}")
cd "$(dirname "$0")/.."
[[ -z $(git status --porcelain --untracked-files=no) ]] ||
  { echo "dist-check: commit first: the second build is of the commit" >&2; exit 2; }

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
git clone -q . "$work/a-longer/path/than the first"
cd "$work/a-longer/path/than the first"
mkdir bin
cp -r "$OLDPWD/bin/tools" bin/tools
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE
if [[ -n ${FRESH-} ]]; then export GOCACHE=$work/cache; fi
umask 077
mkdir "$work/home"
HOME=$work/home TZ=Asia/Kathmandu LC_ALL=C.UTF-8 GOFLAGS=-buildvcs=true GOAMD64=v3 \
  deploy/dist.sh "$work/second" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

if diff "$first/SHA256SUMS" "$work/second/SHA256SUMS"; then
  (cd "$first" && sha256sum --quiet -c SHA256SUMS)
  echo "dist-check: $(wc -l <"$first/SHA256SUMS") files, the same bytes twice"
  exit
fi
echo "dist-check: two builds of one commit differ" >&2
exit 1
