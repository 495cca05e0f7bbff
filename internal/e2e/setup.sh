#!/usr/bin/env bash
# Installs what the end-to-end tests need beside Go and Node 20: curl, Python, Chromium, OpenSSL,
# Redis, nginx, promtool, groff, bash-completion, an ACME server, and the Node packages. Does nothing
# where all of it is installed.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v python3 >/dev/null || missing+=(python3)
command -v chromium >/dev/null || missing+=(chromium)
command -v promtool >/dev/null || missing+=(prometheus)
command -v openssl >/dev/null || missing+=(openssl)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v redis-sentinel >/dev/null || missing+=(redis-sentinel)
command -v nginx >/dev/null || missing+=(nginx-light)
command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
command -v groff >/dev/null || missing+=(groff-base)
[[ -e /usr/share/bash-completion/bash_completion ]] || missing+=(bash-completion)
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
    echo "setup: $tool is missing; the tests need Node 20 or later with npm" >&2
    exit 1
  fi
done
if (($(node -p 'process.versions.node.split(".")[0]') < 20)); then
  echo "setup: this is Node $(node --version); the tests need Node 20 or later" >&2
  exit 1
fi

# The ACME server of the tests is a module of its own.
if [[ ! acme/bin/pebble -nt acme/go.mod || ! acme/bin/pebble-challtestsrv -nt acme/go.mod ]]; then
  echo "setup: building pebble" >&2
  mkdir -p acme/bin
  (cd acme && go build -o bin/ github.com/letsencrypt/pebble/v2/cmd/pebble github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv)
fi

# npm leaves a copy of the lock file. One that is newer than ours means that nothing has changed.
for packages in node ../../clients/js; do (
  cd "$packages"
  if [[ ! node_modules/.package-lock.json -nt package-lock.json || ! node_modules/.package-lock.json -nt package.json ]]; then
    echo "setup: installing the Node packages of $(basename "$PWD")" >&2
    npm ci --no-fund --no-audit --loglevel=error
    touch node_modules/.package-lock.json
  fi
); done
