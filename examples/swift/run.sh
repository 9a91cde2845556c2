#!/usr/bin/env bash
# Builds the example and ranks: examples/swift/run.sh MODEL.pkr REQUESTS.req
set -euo pipefail
[ $# = 2 ] || { echo "usage: ${0##*/} MODEL.pkr REQUESTS.req" >&2; exit 2; }
model=$(readlink -f "$1") requests=$(readlink -f "$2")
cd "$(dirname "$0")"
./build.sh >&2
export SWIFT_BIND=$(dirname "$model"):$(dirname "$requests")
../../ffi/swift/with-swift.sh "$PWD/rank/.build/release/rank" "$model" "$requests"
