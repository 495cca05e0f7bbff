#!/usr/bin/env bash
# Prints the packages whose code starts goroutines, locks or uses atomics: those that the race
# detector can say something about. The list is made from the code, so a new package is in it.
# The bench is left out: its tests run whole servers, and `make race` has them.
set -euo pipefail
cd "$(dirname "$0")/../.."
grep -rlE --include='*.go' --exclude='*_test.go' --exclude-dir=bench --exclude-dir=examples \
  --exclude-dir=node_modules '^\s+go [A-Za-z]|^(import|\s)+"sync(/atomic)?"' . |
  xargs -n1 dirname | sort -u
