#!/usr/bin/env bash
# Builds an example and runs it: examples/c/run.sh rank|session|rerank|threads MODEL.pkr REQUESTS.req, or memory MODEL.pkr [CANDIDATES]
# Needs target/sdk (ffi/build.sh makes it) and a C99 compiler, CC or cc.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
example=${1:?usage: examples/c/run.sh rank|session|rerank|threads|memory MODEL.pkr [REQUESTS.req]}
target=${CARGO_TARGET_DIR:-$root/target}
[ -f "$target/sdk/libpocketrank.a" ] || "$root/ffi/build.sh" >/dev/null
${CC:-cc} -std=c99 -O2 -pthread -I "$root/include" "$root/examples/c/$example.c" "$target/sdk/libpocketrank.a" -o "$target/$example-c"
exec "$target/$example-c" "${@:2}"
