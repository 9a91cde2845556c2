#!/usr/bin/env bash
# Tests the Kotlin classes on a Java virtual machine of this host:
#   ffi/kotlin/test.sh WORK
# WORK has model.pkr, requests.req, reference.pkr, reference.req, goldens/ and c.txt (what examples/c/rank.c prints for all but
# the reference); target/sdk has the C library (ffi/build.sh). REQUESTS: of the leak test, a
# million unless said otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(cd "${1:?WORK: the folder of the golden files}" && pwd)
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/kotlin
ffi/kotlin/build.sh >/dev/null
native=$target/sdk-jni/libpocketrank_jni.so

# The slots of jni/env.rs are those of the JDK's own header.
jni=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")/include
{
  echo '#include <jni.h>'
  echo '#include <stddef.h>'
  sed -n 's/.*offset_of!(Functions, \([a-z_]*\)) == \([0-9]*\) \* SLOT.*/\1 \2/p' ffi/src/jni/env.rs | while read -r name slot; do
    camel=$(sed 's/_\(.\)/\U\1/g; s/^./\U&/' <<<"$name")
    echo "_Static_assert(offsetof(struct JNINativeInterface_, $camel) == $slot * sizeof(void *), \"$camel\");"
  done
} >"$out/slots.c"
[ "$(grep -c _Static_assert "$out/slots.c")" -ge 10 ]
gcc -std=c11 -fsyntax-only -I "$jni" -I "$jni/linux" "$out/slots.c"

home=${CROSS_HOME:-$HOME/.cache/cross}/kotlin/node_modules/kotlin-compiler/lib
path=$out/pocketrank.jar:$home/kotlin-test.jar:$home/kotlin-stdlib.jar
.ci/cross kotlinc -Werror -Xfriend-paths="$out/pocketrank.jar" -cp "$path" -d "$out/tests.jar" \
  ffi/kotlin/src/test/kotlin examples/kotlin/Requests.kt
run() { java -Ddev.pocketrank.library="$native" "${@:2}" -cp "$out/tests.jar:$path" "${1%% *}" ${1#* }; }

# The code in README.md is Kotlin.
{
  printf 'import %s\n' 'android.*' 'dev.pocketrank.*' java.io.IOException
  sed -n '/^```kotlin$/,/^```$/{ /^```/!p }' ffi/kotlin/README.md
} >"$out/Readme.kt"
.ci/cross kotlinc -Werror -cp "$path" -d "$out/readme.jar" "$out/Readme.kt" ffi/kotlin/src/test/android/StandIns.kt

# The same lines as C, to the bit, and nothing to say for the virtual machine's checker of JNI calls.
goldens() {
  "$@" "$work/model.pkr" "$work/requests.req"
  local pkr
  for seed in 2 3 4 7 9 12 13 19 23 30 102 104 109 112 113; do
    pkr=$work/goldens/$seed
    "$@" "$pkr.pkr" "$pkr.req"
  done
}
goldens examples/kotlin/run.sh | cmp - "$work/c.txt"
echo 'goldens: the bits of C'
JDK_JAVA_OPTIONS=-Xcheck:jni goldens examples/kotlin/run.sh 2>&1 | grep -v '^NOTE: Picked up' | cmp - "$work/c.txt"
echo 'goldens with -Xcheck:jni: the same, without a warning'

run "MainKt $work" -Xcheck:jni | tee "$out/checked.txt"
# Closing in the middle of calls, and collecting all the time, must make it say nothing either.
! grep -E '^(WARNING|FATAL)' "$out/checked.txt" || { echo 'the checker of JNI calls has found something'; exit 1; }
run "MainKt $work"
for collector in SerialGC ParallelGC ShenandoahGC; do
  java -XX:+Use$collector -version >/dev/null 2>&1 || { echo "$collector: skipped, this machine has none"; continue; }
  run "MainKt $work" -XX:+Use$collector | sed "s/^/$collector: /"
done
java -cp "$out/tests.jar:$path" AbsentKt "$work/model.pkr"
run "LeakKt $work ${REQUESTS:-1000000}" -Xms64m -Xmx64m -XX:+AlwaysPreTouch -XX:+UseSerialGC
