#!/usr/bin/env bash
# Builds the example for this machine: examples/swift/rank/.build/release/rank.
set -euo pipefail
cd "$(dirname "$0")"
swift=../../ffi/swift
[ -e ../../target/sdk/libpocketrank.a ] || ../../ffi/build.sh >/dev/null
mkdir -p $swift/build/lib
cp ../../target/sdk/libpocketrank.a $swift/build/lib/
$swift/with-swift.sh swift build --package-path rank -c release -Xswiftc -warnings-as-errors \
  -Xlinker "-L$(cd $swift && pwd)/build/lib"
