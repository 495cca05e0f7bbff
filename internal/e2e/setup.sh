#!/usr/bin/env bash
# Installs what the end-to-end tests need beside Go and Node: curl, Chromium, and the Node packages. Does nothing where all of it is there.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v chromium >/dev/null || missing+=(chromium)
if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null; then
    echo "setup: please install ${missing[*]} (this script can do that on Debian only)" >&2
    exit 1
  fi
  root=()
  if (($(id -u))); then root=(sudo); fi
  echo "setup: installing ${missing[*]}" >&2
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

for tool in node npm; do
  if ! command -v "$tool" >/dev/null; then
    echo "setup: $tool is needed (Node 18 or later)" >&2
    exit 1
  fi
done

# npm leaves a copy of the lock file behind; one that is as new as ours means that nothing has changed since.
cd node
if [[ ! node_modules/.package-lock.json -nt package-lock.json || ! node_modules/.package-lock.json -nt package.json ]]; then
  echo "setup: installing Node packages" >&2
  npm ci --no-fund --no-audit --loglevel=error
  touch node_modules/.package-lock.json
fi
