#!/usr/bin/env bash
# Builds pocketrank.wasm with all optional parts and packs the npm package: ffi/wasm/pocketrank-VERSION.tgz.
# Installs what it lacks: a Rust for wasm32 and its linker by .ci/cross-setup.sh, and expects node and npm.
set -euo pipefail
cd "$(dirname "$0")"
root=../..
features=sdk,$(sed -n 's/^features=${FEATURES-\(.*\)}$/\1/p' $root/ffi/build.sh)
wasm=$(cd $root && .ci/cross build-wasm -p pocketrank-ffi --no-default-features --features "$features" --profile sdk | tail -1)
cp "$wasm" pocketrank.wasm
cp $root/LICENSE-MIT $root/LICENSE-APACHE .
rm -f ./*.tgz
npm pack --silent
