#!/bin/sh
# run.sh PROGRAM NODE: the page in Debian's Chromium; 77, skipped, where that or the models are not installed.
folder=$(cd "$(dirname "$0")" && pwd)
export FOVEA_PROGRAM="$1"
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || exit 77
for model in gemma3-270m smollm2-135m-instruct; do
  "$FOVEA_PROGRAM" models list | grep -Eq "^$model .* yes " || exit 77
done
exec "${2:-node}" --test --test-concurrency=1 --test-timeout=180000 "$folder"/*.test.mjs
