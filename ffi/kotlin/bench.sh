#!/usr/bin/env bash
# What Kotlin and JNI cost beside C, on the reference model: ffi/kotlin/bench.sh WORK, with WORK as test.sh has it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(cd "${1:?WORK: the folder of the golden files}" && pwd)
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/kotlin
[ -e "$target/sdk/libpocketrank.so" ] || ffi/build.sh >/dev/null
[ -e "$out/pocketrank.jar" ] && [ -e "$target/sdk-jni/libpocketrank_jni.so" ] || ffi/kotlin/build.sh >/dev/null
gcc -std=c99 -O2 -Wall -Wextra -Werror -I include benches/native.c -o "$out/native" \
  -L "$target/sdk" -lpocketrank -Wl,-rpath,"$target/sdk"
.ci/cross kotlinc -Werror -cp "$out/pocketrank.jar" -include-runtime -d "$out/bench.jar" \
  ffi/kotlin/src/bench/Bench.kt examples/kotlin/Requests.kt
java -Ddev.pocketrank.library="$target/sdk-jni/libpocketrank_jni.so" -cp "$out/bench.jar:$out/pocketrank.jar" \
  BenchKt "$out/native" "$work"
