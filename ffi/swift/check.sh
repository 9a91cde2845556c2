#!/usr/bin/env bash
# Looks at what xcframework.sh made: what can be said of Mach-O libraries without Apple's machines. Nothing of it is run.
#
#   ffi/swift/check.sh          fails also if code has grown by more than 2 KiB over tests/snapshots/text_bytes_apple
#   UPDATE=1 ffi/swift/check.sh writes that file anew
set -euo pipefail
cd "$(dirname "$0")/../.."
framework=ffi/swift/build/Pocketrank.xcframework
[ -e $framework ] || ffi/swift/xcframework.sh >/dev/null
tools=${CROSS_HOME:-$HOME/.cache/cross}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "check: $*" >&2; exit 1; }

# What Xcode reads.
python3 - $framework <<'P'
import pathlib, plistlib, sys
folder = pathlib.Path(sys.argv[1])
info = plistlib.loads((folder / "Info.plist").read_bytes())
assert info["CFBundlePackageType"] == "XFWK" and info["XCFrameworkFormatVersion"] == "1.0"
for library in info["AvailableLibraries"]:
    place = folder / library["LibraryIdentifier"]
    assert (place / library["LibraryPath"]).is_file()
    assert (place / library["HeadersPath"] / "CPocketrank" / "module.modulemap").is_file()
    parts = [library["SupportedPlatform"], "_".join(library["SupportedArchitectures"]), library.get("SupportedPlatformVariant", "")]
    assert "-".join(parts).rstrip("-") == library["LibraryIdentifier"], parts
privacy = plistlib.loads((folder / "PrivacyInfo.xcprivacy").read_bytes())
nothing = dict.fromkeys(["NSPrivacyTrackingDomains", "NSPrivacyCollectedDataTypes", "NSPrivacyAccessedAPITypes"], [])
assert privacy == nothing | {"NSPrivacyTracking": False}
P

# Other Rust libraries of an app, each with its own core and what core needs.
cat >"$work/other.rs" <<'R'
#![no_std]
#[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
#[unsafe(no_mangle)] pub extern "C" fn NAME(n: u32) -> u32 { [1u32, 2, 3].get(n as usize).copied().unwrap_or(7) }
#[unsafe(no_mangle)] pub extern "C" fn NAME_wide(a: u128, b: u128) -> u128 { a / b }
R
other() { # TRIPLE NAME
  sed "s/NAME/$2/" "$work/other.rs" >"$work/$2.rs"
  "$tools/rustc" --edition 2024 -O -Cpanic=abort -A improper_ctypes_definitions --target "$1" --crate-type staticlib \
    -o "$work/lib$2.a" "$work/$2.rs"
}

exports=$(sed -n 's/^[a-z].*[ *]\(pkr_[a-z_]*\)(.*/_\1/p' include/pocketrank.h | LC_ALL=C sort)
look() { # SLICE ARCH TRIPLE PLATFORM NUMBER MINOS
  local slice=$1 arch=$2 triple=$3 platform=$4 number=$5 minos=$6 a=$work/$1-$2.a found roots=() name
  local library=$framework/$slice/libpocketrank.a
  if [ "$("$tools/llvm-lipo" -archs $library | wc -w)" = 1 ]; then cp $library "$a"
  else "$tools/llvm-lipo" $library -thin "$arch" -output "$a"; fi
  [ "$("$tools/llvm-ar" t "$a" | wc -l)" = 1 ] || fail "$slice $arch: more than one object"
  found=$("$tools/llvm-otool" -l "$a" |
    awk '$1 == "cmd" { build = $2 == "LC_BUILD_VERSION" } build && ($1 == "platform" || $1 == "minos") { printf "%s ", $2 }')
  [ "$found" = "$number $minos " ] || fail "$slice $arch: platform and least version are '$found', not '$number $minos'"
  found=$("$tools/llvm-nm" -g --defined-only "$a" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort)
  [ "$found" = "$exports" ] ||
    fail "$slice $arch: global are not the header's functions: $(diff <(echo "$exports") <(echo "$found"))"
  found=$("$tools/llvm-nm" -u "$a" | awk 'NF && !/:$/ { print $NF }' |
    grep -vE '^_mem(cpy|move|set|cmp|set_pattern(4|8|16))$' || true)
  [ -z "$found" ] || fail "$slice $arch: imports $found"
  found=$("$tools/llvm-nm" "$a" | grep -E 'panic|unwrap_failed|expect_failed|__rust_alloc' || true)
  [ -z "$found" ] || fail "$slice $arch: panics or heap: $found"

  # Linked beside each of two others, every object of both; as cargo leaves it, ours would collide, which shows that this looks.
  printf '%s\n' '--- !tapi-tbd' 'tbd-version: 4' "targets: [ $arch-$platform ]" \
    "install-name: '/usr/lib/libSystem.B.dylib'" 'exports:' "  - targets: [ $arch-$platform ]" '    symbols: [ _memcpy, _memmove, _memset, _memcmp, _memset_pattern4, _memset_pattern8,' \
    '      _memset_pattern16, _bcmp, _bzero, ___bzero, dyld_stub_binder ]' '...' >"$work/libSystem.tbd"
  local link=("$tools/ld64.lld" -arch "$arch" -platform_version "$platform" "$minos" "$minos" -dylib "$work/libSystem.tbd")
  for name in one two; do
    other "$triple" $name
    "${link[@]}" -force_load "$a" -force_load "$work/lib$name.a" -o "$work/both" ||
      fail "$slice $arch: does not link beside another"
  done
  found=${CARGO_TARGET_DIR:-target}/$triple/sdk/libpocketrank_ffi.a
  [ -e "$found" ] || fail "no $found: xcframework.sh makes it"
  if "${link[@]}" -force_load "$found" -force_load "$work/libone.a" -o "$work/both" 2>/dev/null; then
    fail "$slice $arch: nothing collides, whatever is linked"
  fi
  for name in $exports; do roots+=(-u "$name"); done
  "${link[@]}" -dead_strip -no_exported_symbols "${roots[@]}" "$a" -o "$work/alone"
  printf '%s %s %s\n' "$slice" "$arch" \
    "$("$tools/llvm-size" -m "$work/alone" | awk '$1 == "Section" && $2 == "__text:" { print $3 }')" >>"$work/sizes"
}
ios=${IPHONEOS_DEPLOYMENT_TARGET:-13.0} mac=${MACOSX_DEPLOYMENT_TARGET:-11.0}
look ios-arm64 arm64 aarch64-apple-ios ios 2 "$ios"
look ios-arm64_x86_64-simulator arm64 aarch64-apple-ios-sim ios-simulator 7 14.0
look ios-arm64_x86_64-simulator x86_64 x86_64-apple-ios ios-simulator 7 "$ios"
look macos-arm64_x86_64 arm64 aarch64-apple-darwin macos 1 "$mac"
look macos-arm64_x86_64 x86_64 x86_64-apple-darwin macos 1 "$mac"

# Header and module map, as Objective-C would import them.
clang=$(command -v "$tools/clang" clang clang-22 | head -1 || true)
if [ -n "$clang" ]; then
  echo '@import CPocketrank; unsigned version(void) { return pkr_abi_version(); }' >"$work/use.m"
  for slice in ios-arm64 ios-arm64_x86_64-simulator macos-arm64_x86_64; do
    "$clang" --target=arm64-apple-ios13.0 -ffreestanding -fsyntax-only -fmodules -fimplicit-module-maps \
      -fmodules-cache-path="$work/modules" -I $framework/$slice/Headers "$work/use.m" || fail "$slice: the module does not import"
  done
  echo 'module: imports'
else
  echo 'module: not looked at, no clang here'
fi


# The package's sources against the framework's module, if there is a Swift.
rc=0
(cd ffi/swift && ./with-swift.sh swiftc -typecheck -swift-version 6 -warnings-as-errors -module-name Pocketrank \
  -I "build/Pocketrank.xcframework/ios-arm64/Headers" Sources/Pocketrank/*.swift) 2>"$work/swift" || rc=$?
case $rc in
  0) echo "package: its types are right with the framework's module" ;;
  127) echo 'package: not looked at, no Swift here' ;;
  *) cat "$work/swift" >&2; fail "package: does not compile with the framework's module" ;;
esac

found=$(strings -a $framework/*/libpocketrank.a | grep -F -e "$HOME/" -e "$PWD/" -e .cargo/ | head -3 || true)
[ -z "$found" ] || fail "paths of this machine: $found"

echo 'bytes of code, all functions linked, without what is dead:'
cat "$work/sizes"
snapshot=tests/snapshots/text_bytes_apple
[ -z "${UPDATE:-}" ] || cp "$work/sizes" $snapshot
while read -r slice arch bytes; do
  limit=$(awk -v s="$slice" -v a="$arch" '$1 == s && $2 == a { print $3 }' $snapshot)
  [ "$bytes" -le $((limit + 2048)) ] || fail "$slice $arch: $bytes bytes of code, $limit in $snapshot"
done <"$work/sizes"
printf 'zip %s bytes, checksum %s\n' "$(stat -c %s ffi/swift/build/Pocketrank.xcframework.zip)" \
  "$(sha256sum <ffi/swift/build/Pocketrank.xcframework.zip | cut -d' ' -f1)"
