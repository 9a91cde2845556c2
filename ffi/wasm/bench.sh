#!/usr/bin/env bash
# Holds WebAssembly against native code: ffi/wasm/bench.sh WORK, where WORK has reference.pkr and reference.req. Native is
# target/sdk/libpocketrank.a (or $SDK/libpocketrank.a). Chromium is measured too if it and playwright-core are installed
# (examples/browser/test.sh installs them).
set -euo pipefail
work=$(cd "${1:?folder with reference.pkr and reference.req}" && pwd)
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
sdk=${SDK:-$root/target/sdk}
[ -f "$sdk/libpocketrank.a" ] || (cd "$root" && ffi/build.sh >/dev/null)
[ -f pocketrank.wasm ] || ./build.sh >/dev/null
native=$(mktemp -d)
trap 'rm -rf "$native"' EXIT
cc -std=c99 -O2 -Wall -Wextra -I "$root/include" "$root/benches/native.c" "$sdk/libpocketrank.a" -o "$native/native"
CHROMIUM=$(command -v chromium || true) node bench/bench.mjs "$native/native" "$work" "$root/target/npm/browser"
