#!/usr/bin/env bash
# Builds the demo into examples/browser/dist (static files) and serves it: examples/browser/run.sh [PORT]; --build only builds.
# Needs cargo, node and npm. Training the model on the simulated feed takes a quarter of a minute, once.
set -euo pipefail
cd "$(dirname "$0")"
dist=dist
mkdir -p $dist/pocketrank
[ -f ../../ffi/wasm/pocketrank.wasm ] || ../../ffi/wasm/build.sh >/dev/null
cp -r site/. $dist/
cp -r ../../ffi/wasm/pocketrank.js ../../ffi/wasm/lib ../../ffi/wasm/pocketrank.wasm $dist/pocketrank/
[ -f $dist/feed.json ] || ./make-data.sh $dist
[ "${1:-}" != --build ] || exit 0
exec node serve.mjs $dist "${1:-8000}"
