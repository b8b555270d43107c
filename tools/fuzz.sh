#!/usr/bin/env bash
# Runs every libFuzzer program of a build folder for a while and fails on findings.
#
#   tools/fuzz.sh BUILD_FOLDER SECONDS_EACH
#
# src/<room>/X_fuzz.cpp starts from the files in tests/data/files/seeds/X and keeps what it learns in build/fuzz-corpus/X.
# An input that breaks a program is kept in build/fuzz-artifacts/X-*; it belongs into the seeds once mended.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 seconds=$2 failed=0
artifacts=build/fuzz-artifacts
mkdir -p "$artifacts"

for source in $(find src -name '*_fuzz.cpp' | sort); do
  name=$(basename "$source" .cpp)
  target=${name%_fuzz}
  program=$(find "$folder" -type f -name "$name" -perm -u+x | head -n 1)
  corpus=build/fuzz-corpus/$target
  mkdir -p "$corpus"
  [ -d "tests/data/files/seeds/$target" ] && cp -rn "tests/data/files/seeds/$target/." "$corpus/"
  printf '%-28s %4d s  ' "$target" "$seconds"
  log=$artifacts/$target.log
  if "$program" "$corpus" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
      -artifact_prefix="$artifacts/$target-" -print_final_stats=1 > "$log" 2>&1 < /dev/null; then
    echo "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no finding"
  else
    failed=1
    echo "FINDING, see $log"
    grep -E 'SUMMARY|ERROR|runtime error|Test unit written' "$log" | head -n 4 >&2 || tail -n 4 "$log" >&2
  fi
done
exit $failed
