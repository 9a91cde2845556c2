# Sourced by native.sh and aar.sh: what every JNI library must be.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Every native method of Native.kt, and nothing else.
names() {
  echo JNI_OnLoad
  sed -n 's/.*external fun \([A-Za-z]*\)(.*/Java_dev_pocketrank_Native_\1/p' ffi/kotlin/src/main/kotlin/dev/pocketrank/Native.kt
}

# check NM READELF FILE PATTERN: what is exported, panics, relocations, and that nothing but PATTERN is undefined.
check() {
  local nm=$1 readelf=$2 file=$3 others=$4 found segments dynamic
  found=$("$nm" -a "$file" 2>/dev/null | grep -E 'panic|unwrap_failed|expect_failed|index_fail|__rust_alloc' || true)
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

# check_android NM READELF FILE: what a phone asks of it besides: it needs no other library, and lies on pages of 16 KiB.
check_android() {
  local found
  check "$1" "$2" "$3" '^$'
  found=$("$2" -dW "$3" | grep NEEDED || true)
  [ -z "$found" ] || die "$3: $found"
  found=$("$2" -lW "$3" | awk '$1 == "LOAD" && ($NF !~ /^0x(4000|8000|[0-9a-f]+0000)$/ || / RWE /)')
  [ -z "$found" ] || die "$3: pages of less than 16 KiB, or writable code: $found"
}
