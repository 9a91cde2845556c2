#!/usr/bin/env bash
# Builds the package for this machine, against the archive of ffi/build.sh, which is made if it is not there. Arguments go to
# `swift build`. On Linux, Swift may come from a chroot: with-swift.sh.
#
#   ffi/swift/build.sh -c release
set -euo pipefail
cd "$(dirname "$0")"
sdk=../../target/sdk
[ -e $sdk/libpocketrank.a ] || ../build.sh >/dev/null
# Alone in a folder: beside libpocketrank.so the linker would take that.
mkdir -p build/lib
cp $sdk/libpocketrank.a build/lib/
./with-swift.sh swift build -Xswiftc -warnings-as-errors -Xlinker "-L$PWD/build/lib" "$@"
