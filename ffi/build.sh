#!/usr/bin/env bash
# Builds the C libraries for this machine (or TARGET) into target/sdk: libpocketrank.a and libpocketrank.so.
#
# The archive holds one object in which only pkr_* is global: two Rust static libraries in one app would otherwise
# collide (rust_begin_unwind, memcpy and friends of compiler_builtins).
#
#   ffi/build.sh            this machine, with all optional parts (features of this package)
#   FEATURES= ffi/build.sh  without them: the smallest library, which ranks a feed once
#   TARGET=aarch64-unknown-linux-gnu TOOLS=aarch64-linux-gnu- ffi/build.sh    with a cargo that can build for it
set -euo pipefail
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-target}
out=${OUT:-$target_dir/sdk${TARGET:+-$TARGET}}
tools=${TOOLS:-}
features=${FEATURES-formula,session,rerank,attention,quantile,levels,i8mm}
flags=(-p pocketrank-ffi --no-default-features --features "sdk${features:+,$features}" --profile sdk ${TARGET:+--target "$TARGET"})
built=$target_dir/${TARGET:+$TARGET/}sdk
mkdir -p "$out"

cargo rustc --quiet "${flags[@]}" --crate-type staticlib
# gc-sections from the exported functions: of core and compiler_builtins only what they call stays.
keep=$(sed -n 's/^[a-z].*[ *]\(pkr_[a-z_]*\)(.*/\1/p' include/pocketrank.h)
printf '%s\n' $keep >"$out/exports.txt"
roots=(); for name in $keep; do roots+=(-u "$name"); done
"${tools}ld" -r --gc-sections "${roots[@]}" -o "$out/pocketrank.o" "$built/libpocketrank_ffi.a"
"${tools}objcopy" --keep-global-symbols="$out/exports.txt" --strip-unneeded "$out/pocketrank.o"
rm -f "$out/libpocketrank.a"
"${tools}ar" rcsD "$out/libpocketrank.a" "$out/pocketrank.o"
rm "$out/pocketrank.o"

if [ -z "${STATIC_ONLY:-}" ]; then
  # Without libc: what Rust's linker line would pull in (crt files, libc) a no_std library does not need, but mem*.
  cargo rustc --quiet "${flags[@]}" --crate-type cdylib
  cp "$built/libpocketrank_ffi.so" "$out/libpocketrank.so"
fi
echo "$out"
