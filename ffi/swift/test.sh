#!/usr/bin/env bash
# Tests the package. Says which Swift did it, or that there is none and only syntax was looked at.
#
#   ffi/swift/test.sh WORK [--chroot]
#
# WORK: golden files and what examples/c/rank.c prints for them (model.pkr, requests.req, goldens/*.{pkr,req}, c.txt).
# --chroot: installs Swift if there is none (with-swift.sh); so does CI in the environment. SANITIZE=address or thread: the unit
# tests under that sanitizer, whose look for leaks is off: XCTest's runner has some.
set -euo pipefail
work=$(cd "${1:?folder with the golden files}" && pwd)
cd "$(dirname "$0")"
[ "${2:-}" != --chroot ] || export CI=1
sources=(Package.swift Sources Tests ../../examples/swift/rank/Package.swift ../../examples/swift/rank/Sources)
export SWIFT_BIND=$work

rc=0
version=$(./with-swift.sh swift --version) || rc=$?
if [ $rc = 127 ]; then
  echo 'swift: NO COMPILER HERE, only the syntax is looked at (--chroot installs one)'
  python3 -c 'import tree_sitter_swift' 2>/dev/null ||
    { mkdir -p build/syntax && python3 -m pip install --quiet --target build/syntax tree-sitter tree-sitter-swift; } 2>/dev/null
  find "${sources[@]}" -name '*.swift' -print0 | PYTHONPATH=build/syntax xargs -0 python3 syntax.py
  exit
fi
[ $rc = 0 ] || exit $rc
head -1 <<<"$version"

if ./with-swift.sh swift-format --version >/dev/null 2>&1; then
  ./with-swift.sh swift-format lint --strict --recursive --configuration .swift-format "${sources[@]}"
  echo 'format: as .swift-format has it'
else
  echo 'format: not looked at, no swift-format here'
fi

# What only Apple's systems compile, against a module of that name with the one function that Linux has not.
if [ "$(uname)" = Linux ]; then
  mkdir -p build/darwin
  cat >build/darwin/Darwin.swift <<'S'
@_exported import Glibc
public func sysctlbyname(
  _: UnsafePointer<CChar>!, _: UnsafeMutableRawPointer!, _: UnsafeMutablePointer<Int>!, _: UnsafeMutableRawPointer!, _: Int
) -> Int32 { -1 }
S
  ./with-swift.sh swiftc -emit-module -module-name Darwin -o build/darwin/Darwin.swiftmodule build/darwin/Darwin.swift
  ./with-swift.sh swiftc -typecheck -swift-version 6 -warnings-as-errors -module-name Pocketrank -I build/darwin \
    -I Sources/CPocketrank Sources/Pocketrank/*.swift
  echo "types: also those behind canImport(Darwin)"
fi

# Documentation: every link leads somewhere, everything public has a comment.
if ./with-swift.sh docc --help >/dev/null 2>&1; then
  rm -rf build/docs
  mkdir -p build/docs/graph
  ./with-swift.sh swiftc -emit-module -swift-version 6 -module-name Pocketrank -I Sources/CPocketrank \
    -emit-module-path build/docs/Pocketrank.swiftmodule -emit-symbol-graph -emit-symbol-graph-dir build/docs/graph \
    Sources/Pocketrank/*.swift
  ./with-swift.sh docc convert --fallback-display-name Pocketrank --fallback-bundle-identifier pocketrank \
    --fallback-bundle-version 0 --additional-symbol-graph-dir build/docs/graph --output-path build/docs/out --warnings-as-errors
  python3 - build/docs/graph/Pocketrank.symbols.json <<'P'
import json, sys
symbols = [s for s in json.load(open(sys.argv[1]))["symbols"] if s["accessLevel"] == "public"]
bare = [".".join(s["pathComponents"]) for s in symbols if "docComment" not in s]
# What the compiler writes.
bare = [name for name in bare if not name.endswith(("hashValue", "hash(into:)", "init(rawValue:)", "==(_:_:)", "init(from:)"))]
print(f"documentation: {len(symbols)} symbols, links lead somewhere" if not bare else f"no comment: {bare}")
sys.exit(bool(bare))
P
else
  echo 'documentation: not looked at, no docc here'
fi

# The unit tests. What examples/c/rerank.c prints for the golden model, its lists' digest among it, is to come out here too.
sdk=../../target/sdk
[ -e $sdk/libpocketrank.a ] || ../build.sh >/dev/null
mkdir -p build/lib
cp $sdk/libpocketrank.a build/lib/
cc -std=c99 -O2 -I ../../include ../../examples/c/rerank.c build/lib/libpocketrank.a -o build/rerank
lists=$(build/rerank "$work/model.pkr" "$work/requests.req")
suite() { # FOLDER OF A PACKAGE
  # The last: in Debian's build, the library behind @Observable names a function that no other one has.
  ./with-swift.sh env "POCKETRANK_GOLDENS=$work" "POCKETRANK_RERANK=$lists" ASAN_OPTIONS=detect_leaks=0 \
    swift test --quiet --package-path "$1" ${SANITIZE:+--sanitize=$SANITIZE --scratch-path "$1/.build/$SANITIZE"} \
    -Xswiftc -warnings-as-errors -Xlinker "-L$PWD/build/lib" \
    $([ "$(uname)" != Linux ] || echo -Xlinker --allow-shlib-undefined) >build/test.txt 2>&1 ||
    { tail -50 build/test.txt; return 1; }
  grep -E 'Executed [1-9][0-9]* tests, with 0 failures' build/test.txt | tail -1
}
suite .
suite ../../examples/swift/rank

# Requests after the first allocate nothing.
if [ "$(uname)" = Linux ]; then
  ./build.sh -c release --product Allocations >/dev/null
  ./with-swift.sh .build/release/Allocations "$work/model.pkr"
fi

# The same bits as C, for all models.
../../examples/swift/build.sh >/dev/null
./with-swift.sh bash -c '
  set -e
  "$1" "$2/model.pkr" "$2/requests.req"
  for seed in $3; do "$1" "$2/goldens/$seed.pkr" "$2/goldens/$seed.req"; done
' - "$PWD/../../examples/swift/rank/.build/release/rank" "$work" "${SEEDS:-2 3 4 7 9 12 13 19 23 30 102 104 109 112 113}" |
  cmp - "$work/c.txt"
echo "bits: $(grep -c '^request' "$work/c.txt") requests, those of C"
