#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (10m by default), and stops at the first finding.
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${1:-10m}
# A target that stalls in minimizing an input would only seem to run.
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go | awk '{print $2}' | sort -u | while read -r target; do
		echo "== $dir $target ($time)"
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x
	done
done
