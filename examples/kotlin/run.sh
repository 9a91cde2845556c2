#!/usr/bin/env bash
# Builds what is not there, and ranks: examples/kotlin/run.sh MODEL.pkr REQUESTS.req [portable]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
library=$target/sdk-jni/libpocketrank_jni.so
if [ ! -e "$target/kotlin/pocketrank.jar" ] || [ ! -e "$library" ]; then "$root/ffi/kotlin/build.sh" >&2; fi
program=$target/kotlin/rank.jar
if [ ! "$program" -nt "$target/kotlin/pocketrank.jar" ] || [ ! "$program" -nt "$here/Rank.kt" ]; then
  "$root/.ci/cross" kotlinc -Werror -cp "$target/kotlin/pocketrank.jar" -include-runtime -d "$program" \
    "$here/Rank.kt" "$here/Requests.kt" >&2
fi
exec java -Ddev.pocketrank.library="$library" -cp "$program:$target/kotlin/pocketrank.jar" RankKt "$@"
