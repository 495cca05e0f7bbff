#!/usr/bin/env bash
# Runs fuzz targets one after the other: those of the packages given, all of the module without
# one. A target that fails does not stop the others; the exit code is 1 if one has failed.
#
#   internal/tidy/fuzz.sh [-budget SECONDS] TIME [DIRECTORY...]
#
# TIME is what each target gets (30s, 10m). With -budget, all targets together get no more than
# that many seconds: each gets an equal share where there are too many for TIME.
set -euo pipefail
cd "$(dirname "$0")/../.."

budget=0
if [[ ${1-} == -budget ]]; then
  budget=$2
  shift 2
fi
time=${1:-10m}
if (($#)); then shift; fi

# Every line is a directory and a target.
list() {
  if (($#)); then
    for dir in "$@"; do
      compgen -G "$dir/*_test.go" || true
    done
  else
    find . -name node_modules -prune -o -name '*_test.go' -print
  fi | xargs -r grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed -E 's|/[^/]*:func | |' | sort -u
}
mapfile -t targets < <(list "$@")

if ((budget && ${#targets[@]})); then
  seconds=$((budget / ${#targets[@]}))
  if ((seconds < 1)); then seconds=1; fi
  case $time in
  *m) most=$((${time%m} * 60)) ;;
  *s) most=${time%s} ;;
  *) echo "fuzz: with -budget, the time is in s or m, not $time" >&2 && exit 2 ;;
  esac
  if ((seconds < most)); then time=${seconds}s; fi
fi
echo "fuzz: ${#targets[@]} targets, $time each"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
for line in "${targets[@]}"; do
  dir=${line% *} target=${line#* }
  echo "== $dir $target ($time)"
  # A target that minimizes an input for long would only seem to run: hence -fuzzminimizetime.
  if go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x 2>&1 | tee "$log"; then
    echo "fuzz: pass $dir $target"
    continue
  fi
  # Before Go 1.27, the end of -fuzztime itself can be reported as a failure (golang/go#75804). It
  # names no input, and its only message is that of the deadline. The seeds decide then.
  if grep -qE '^ +context deadline exceeded$' "$log" &&
    ! grep -qE 'Failing input|_test\.go:[0-9]|panic|hung or terminated' "$log" &&
    go test "$dir" -run "^$target\$"; then
    echo "fuzz: pass $dir $target (the end of its time was reported as a failure, without an input)"
    continue
  fi
  echo "fuzz: FAIL $dir $target"
  failed+=("$dir $target")
done

if ((${#failed[@]})); then
  printf 'fuzz: failed: %s\n' "${failed[@]}"
  exit 1
fi
