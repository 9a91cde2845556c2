#!/usr/bin/env bash
# Builds the JNI library, engine inside: for this machine into target/sdk-jni, or for Android without the NDK. Prints where it is.
#
#   ffi/kotlin/native.sh                       libpocketrank_jni.so for a Java virtual machine here
#   ffi/kotlin/native.sh aarch64-linux-android armv7-linux-androideabi x86_64-linux-android
#
# It is linked from the static library by a list of what may be global: Rust's own link of a shared library would export the C ABI
# too.
set -euo pipefail
cd "$(dirname "$0")/../.."
target_dir=${CARGO_TARGET_DIR:-target}
features=sdk,jni,i8mm
flags=(-p pocketrank-ffi --no-default-features --features "$features" --profile sdk --crate-type staticlib)
. ffi/kotlin/elf.sh

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
    check_android "$tools/llvm-nm" "$tools/llvm-readelf" "$out/libpocketrank_jni.so"
    # Names of functions, for crash reports: the same build id.
    cp "$out/libpocketrank_jni.so" "$out/libpocketrank_jni.so.symbols"
    "$tools/llvm-strip" --strip-all "$out/libpocketrank_jni.so"
  fi
  say "$out/libpocketrank_jni.so: $(stat -c %s "$out/libpocketrank_jni.so") bytes"
  echo "$out/libpocketrank_jni.so"
done
