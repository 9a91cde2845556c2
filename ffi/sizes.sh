#!/usr/bin/env bash
# What the library adds to an app, by target and by optional parts: bytes of code, and of code and constants together.
#
#   ffi/sizes.sh                    builds every target with every set of parts and prints the tables as Markdown
#   ffi/sizes.sh aarch64-linux-android wasm32-unknown-unknown    these targets alone
#   ffi/sizes.sh --check [TARGET...]     and fails where a number is over tests/snapshots/sizes by 1 % + 512 bytes, or 3 % under
#   ffi/sizes.sh --update           and writes that snapshot
#   SETS=whole ffi/sizes.sh --check     these sets of parts alone, of smallest, formula, session, rerank, whole
#
# All exported functions are roots and a linker drops what they do not call; no symbols, no debugging information. A .so and a
# .wasm are whole files without symbols, elsewhere it is what a static link adds. Needs what .ci/cross-setup.sh installs.
# 40 libraries with link-time optimisation: 6 minutes of one core the first time, one minute when nothing has changed. JOBS=2 uses
# two cores, each with a folder of its own for what it builds.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
mode=
case ${1:-} in --*) mode=$1 && shift ;; esac
targets=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu aarch64-linux-android armv7-linux-androideabi x86_64-linux-android
  aarch64-apple-ios thumbv7em-none-eabihf wasm32-unknown-unknown)
[ $# = 0 ] || targets=("$@")
whole=$(sed -n 's/^features=${FEATURES-\(.*\)}$/\1/p' ffi/build.sh)
sets=("" formula session rerank "$whole")
names=(smallest formula session rerank whole)
wanted=${SETS:-${names[*]}}
tools=${CROSS_HOME:-$HOME/.cache/cross}/bin
target_dir=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # TARGET KIND PARTS: the library's file
  local flags=(rustc --quiet -p pocketrank-ffi --no-default-features --features "sdk${3:+,$3}" --profile sdk --crate-type "$2")
  # This machine's by its own toolchain, as ffi/build.sh does.
  if [ "$1" = x86_64-unknown-linux-gnu ]; then
    cargo "${flags[@]}" --target "$1" >&2
  else
    .ci/cross cargo "$1" "${flags[@]}" >&2
  fi
  case $2-$1 in
    staticlib-*) echo "$target_dir/$1/sdk/libpocketrank_ffi.a" ;;
    *-wasm*) echo "$target_dir/$1/sdk/pocketrank_ffi.wasm" ;;
    *) echo "$target_dir/$1/sdk/libpocketrank_ffi.so" ;;
  esac
}

roots() { # ARCHIVE: the functions that it exports
  "$tools/llvm-nm" -g --defined-only "$1" 2>/dev/null | awk 'NF > 1 && $(NF-1) == "T" && $NF ~ /^_?pkr_/ { print $NF }' | sort -u
}

measure() { # TARGET PARTS: "CODE ALL"
  local file code all symbols missing=()
  case $1 in
    *android* | wasm32*)
      file=$(build "$1" cdylib "$2")
      "$tools/llvm-strip" "$file" -o "$work/image"
      code=$("$tools/llvm-size" -A "$work/image" | awk '$1 == ".text" || $1 == "CODE" { print $2 }')
      all=$(stat -c %s "$work/image") ;;
    *apple*)
      file=$(build "$1" staticlib "$2")
      # All that may be missing, which every iOS has.
      symbols='_memcpy, _memmove, _memset, _memset_pattern4, _memset_pattern8, _memset_pattern16, _memcmp, _bcmp'
      printf '%s\n' '--- !tapi-tbd' 'tbd-version: 4' 'targets: [ arm64-ios ]' "install-name: '/usr/lib/libSystem.B.dylib'" \
        'exports:' '  - targets: [ arm64-ios ]' "    symbols: [ $symbols, dyld_stub_binder ]" '...' >"$work/libSystem.tbd"
      "$tools/ld64.lld" -arch arm64 -platform_version ios 13.0 13.0 -dylib -dead_strip -no_exported_symbols \
        $(roots "$file" | sed 's/^/-u /') "$file" "$work/libSystem.tbd" -o "$work/image"
      code=$("$tools/llvm-size" -m "$work/image" | awk '$1 == "Section" && $2 == "__text:" { print $3 }')
      all=$("$tools/llvm-size" -m "$work/image" | awk '/^\tSection/ { n += $NF } END { print n }') ;;
    *)
      file=$(build "$1" staticlib "$2")
      case $1 in *-none-*) ;; *) missing=(--defsym={memcpy,memmove,memset,memcmp,bcmp}=0) ;; esac # a microcontroller has no libc
      "$tools/ld.lld" --gc-sections -e 0 -z norelro $(roots "$file" | sed 's/^/-u/') "${missing[@]}" "$file" -o "$work/image"
      code=$("$tools/llvm-size" -A "$work/image" | awk '$1 == ".text" { print $2 }')
      all=$("$tools/llvm-size" "$work/image" | awk 'NR == 2 { print $4 }') ;;
  esac
  echo "$code $all"
}

judge() { # WHAT NOW THEN: whether the snapshot holds
  if [ -z "$3" ]; then
    echo "$1: $2 bytes, not in the snapshot"
  elif [ $(($2 * 100)) -gt $(($3 * 101 + 51200)) ]; then
    echo "$1: $2 bytes, more than 1 % + 512 over the snapshot's $3"
  elif [ $(($2 * 100)) -lt $(($3 * 97)) ]; then
    echo "$1: $2 bytes, 3 % under the snapshot's $3: write it down with ffi/sizes.sh --update"
  fi
}

job() { # NUMBER: every JOBS-th target
  local i target name
  [ "$1" = 0 ] || target_dir=$target_dir/sizes-$1
  export CARGO_TARGET_DIR=$target_dir
  for ((i = $1; i < ${#targets[@]}; i += jobs)); do
    target=${targets[i]}
    for name in "${!names[@]}"; do
      [[ " $wanted " = *" ${names[name]} "* ]] || continue
      numbers=$(measure "$target" "${sets[name]}")
      echo "$target ${names[name]} $numbers" >>"$work/$i.now"
    done
  done
}
jobs=${JOBS:-1} started=()
for ((n = 0; n < jobs; n++)); do
  mkdir "$work/$n"
  (work=$work/$n; job $n) & started+=($!)
done
for pid in "${started[@]}"; do wait "$pid"; done
for i in "${!targets[@]}"; do cat "$work/$((i % jobs))/$i.now"; done >"$work/now"

table() { # COLUMN
  awk -v column="$1" '
    NR == 1 { first = $1 }
    $1 == first { heads = heads " | " ($2 ~ /smallest|whole/ ? $2 : "+ " $2); rule = rule "|---:" }
    !($1 in row) { order[++count] = $1 }
    { row[$1] = row[$1] " | " $column }
    END {
      print "| target" heads " |"
      print "|---" rule "|"
      for (i = 1; i <= count; i++) print "| " order[i] row[order[i]] " |"
    }' "$work/now" | sed -E ':a; s/([0-9])([0-9]{3})( \||,)/\1,\2\3/; ta'
}
printf '\nBytes of code:\n\n'
table 3
printf '\nBytes of code and constants (.so and .wasm: of the file):\n\n'
table 4

snapshot=tests/snapshots/sizes
if [ "$mode" = --update ]; then # what was not measured stays
  awk '{ key = $1 " " $2 } NR == FNR { now[key] = $0; next } key in now { print now[key]; delete now[key]; next } { print }
    END { for (key in now) print now[key] }' "$work/now" "$snapshot" >"$work/merged"
  cp "$work/merged" "$snapshot"
fi
if [ "$mode" = --check ]; then
  while read -r target name code all; do
    had=($(awk -v t="$target" -v n="$name" '$1 == t && $2 == n { print $3, $4 }' "$snapshot")) || true
    judge "$target, $name, code" "$code" "${had[0]:-}"
    judge "$target, $name, all" "$all" "${had[1]:-}"
  done <"$work/now" >"$work/complaints"
  cat "$work/complaints"
  [ ! -s "$work/complaints" ]
fi
