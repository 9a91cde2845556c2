#!/usr/bin/env bash
# Builds an example and runs it: examples/cpp/run.sh rank|session MODEL.pkr REQUESTS.req
# Needs target/sdk (ffi/build.sh) and a C++17 compiler, CXX or c++; CXXFLAGS for others than -std=c++17 -O2.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
example=${1:?usage: examples/cpp/run.sh rank|session MODEL.pkr REQUESTS.req}
target=${CARGO_TARGET_DIR:-$root/target}
[ -f "$target/sdk/libpocketrank.a" ] || "$root/ffi/build.sh" >/dev/null
${CXX:-c++} ${CXXFLAGS:--std=c++17 -O2} -I "$root/include" "$root/examples/cpp/$example.cpp" "$target/sdk/libpocketrank.a" \
  -o "$target/$example-cpp"
exec "$target/$example-cpp" "${@:2}"
