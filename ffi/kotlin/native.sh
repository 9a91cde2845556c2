#!/usr/bin/env bash
# Builds the JNI library, engine inside: for this machine into target/sdk-jni, or for Android without the NDK. Prints where it is.
#
#   ffi/kotlin/native.sh                       libpocketrank_jni.so for a Java virtual machine here
#   ffi/kotlin/native.sh aarch64-linux-android armv7-linux-androideabi x86_64-linux-android
#
# It is linked from the static library by a list of what may be global: Rust's own link of a shared library would export the C ABI too.
set -euo pipefail
cd "$(dirname "$0")/../.."
target_dir=${CARGO_TARGET_DIR:-target}
features=sdk,jni,i8mm
flags=(-p pocketrank-ffi --no-default-features --features "$features" --profile sdk --crate-type staticlib)
say() { printf 'native.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Every native method of Native.kt, and nothing else.
names() {
  echo JNI_OnLoad
  sed -n 's/.*external fun \([A-Za-z]*\)(.*/Java_dev_pocketrank_Native_\1/p' ffi/kotlin/src/main/kotlin/dev/pocketrank/Native.kt
}

# check NM READELF FILE PATTERN: what is exported, panics, relocations, and that nothing but PATTERN is undefined.
check() {
  local nm=$1 readelf=$2 file=$3 others=$4 found segments dynamic
  found=$("$nm" -a "$file" | grep -E 'panic|unwrap_failed|expect_failed|index_fail|__rust_alloc' || true)
  [ -z "$found" ] || die "$file: panic or heap left: $found"
  "$nm" -D --defined-only "$file" | awk '{ print $NF }' | LC_ALL=C sort | diff - <(names | LC_ALL=C sort) >&2 ||
    die "$file: exports something else than Native.kt declares"
  found=$("$nm" -D --undefined-only "$file" | awk '{ print $NF }' | sed 's/@.*//' | grep -vE "$others" || true)
  [ -z "$found" ] || die "$file: undefined: $found"
  segments=$("$readelf" -lW "$file") dynamic=$("$readelf" -dW "$file")
  found=$(grep -E 'TEXTREL|RPATH|RUNPATH' <<<"$dynamic" || true)
  [ -z "$found" ] || die "$file: $found"
  grep -qE 'BIND_NOW|FLAGS.* NOW' <<<"$dynamic" || die "$file: bound lazily"
  grep -q GNU_RELRO <<<"$segments" || die "$file: no RELRO"
  grep -qE 'GNU_STACK .* RW ' <<<"$segments" || die "$file: its stack is executable"
  grep -q '\.note\.gnu\.build-id' <<<"$segments" || die "$file: no build id"
}

link=(-shared --gc-sections -soname libpocketrank_jni.so -z now -z relro -z noexecstack --build-id=sha1 --hash-style=both)
while read -r name; do link+=(-u "$name"); done < <(names)

for triple in "${@:-}"; do
  out=$target_dir/sdk-jni${triple:+-$triple}
  mkdir -p "$out"
  { echo '{ global:'; names | sed 's/$/;/'; echo 'local: *; };'; } >"$out/exports.map"
  if [ -z "$triple" ]; then
    cargo rustc --quiet "${flags[@]}"
    gcc -shared -nostartfiles -o "$out/libpocketrank_jni.so" "$(printf -- '-Wl,%s,' "${link[@]:1}" | sed 's/,-Wl,/,/g; s/,$//')" \
      -Wl,--version-script="$out/exports.map" "$target_dir/sdk/libpocketrank_ffi.a"
    check nm readelf "$out/libpocketrank_jni.so" '^(mem(cpy|move|set|cmp)|bcmp|strlen|_ITM_.*|__gmon_start__|__cxa_finalize)$'
  else
    tools=${CROSS_HOME:-$HOME/.cache/cross}/bin
    .ci/cross cargo "$triple" rustc --quiet "${flags[@]}"
    "$tools/ld.lld" "${link[@]}" -z max-page-size=16384 --version-script="$out/exports.map" \
      "$target_dir/$triple/sdk/libpocketrank_ffi.a" -o "$out/libpocketrank_jni.so"
    check "$tools/llvm-nm" "$tools/llvm-readelf" "$out/libpocketrank_jni.so" '^$'
    found=$("$tools/llvm-readelf" -dW "$out/libpocketrank_jni.so" | grep NEEDED || true)
    [ -z "$found" ] || die "$triple: $found"
    found=$("$tools/llvm-readelf" -lW "$out/libpocketrank_jni.so" | awk '$1 == "LOAD" && $NF != "0x4000"')
    [ -z "$found" ] || die "$triple: pages of less than 16 KiB: $found"
    "$tools/llvm-strip" --strip-all "$out/libpocketrank_jni.so"
  fi
  say "$out/libpocketrank_jni.so: $(stat -c %s "$out/libpocketrank_jni.so") bytes"
  echo "$out/libpocketrank_jni.so"
done
