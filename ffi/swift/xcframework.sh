#!/usr/bin/env bash
# Makes ffi/swift/build/Pocketrank.xcframework and its zip for SwiftPM's binaryTarget, on Linux, without Apple's SDK: static
# libraries for iOS, its simulator and macOS, of one object a processor in which only pkr_* is global. Prints the zip's checksum.
#
#   ffi/swift/xcframework.sh            FEATURES as in ffi/build.sh; IPHONEOS_DEPLOYMENT_TARGET, MACOSX_DEPLOYMENT_TARGET
#
# The same sources and compiler give the same bytes. check.sh looks at what came out.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/ffi/swift/build
whole=$(sed -n 's/^features=${FEATURES-\(.*\)}$/\1/p' ffi/build.sh)
features=${FEATURES-$whole}
tools=${CROSS_HOME:-$HOME/.cache/cross}/bin
export IPHONEOS_DEPLOYMENT_TARGET=${IPHONEOS_DEPLOYMENT_TARGET:-13.0} MACOSX_DEPLOYMENT_TARGET=${MACOSX_DEPLOYMENT_TARGET:-11.0}
# Platform, its variant, its processors and Rust's name of each.
slices=(
  'ios-arm64 ios - arm64:aarch64-apple-ios'
  'ios-arm64_x86_64-simulator ios simulator arm64:aarch64-apple-ios-sim x86_64:x86_64-apple-ios'
  'macos-arm64_x86_64 macos - arm64:aarch64-apple-darwin x86_64:x86_64-apple-darwin'
)

object() { # TRIPLE FILE: the library as one object
  local archive=${CARGO_TARGET_DIR:-target}/$1/sdk/libpocketrank_ffi.a member
  .ci/cross cargo "$1" rustc --quiet --lib -p pocketrank-ffi --no-default-features --features "sdk${features:+,$features}" \
    --profile sdk --crate-type staticlib
  # Fat link-time optimisation and one codegen unit: all that is ours is in one member, and what it still needs is in libSystem.
  member=$("$tools/llvm-ar" t "$archive" | grep '^pocketrank_ffi-')
  [ "$(wc -l <<<"$member")" = 1 ] || { printf 'not one object but:\n%s\n' "$member" >&2; return 1; }
  "$tools/llvm-ar" p "$archive" "$member" >"$2.all"
  # Names of local functions stay: the linker divides the object by them, and drops what an app does not call.
  "$tools/llvm-objcopy" --keep-global-symbols="$out/exports" "$2.all" "$2"
  rm "$2.all"
}

mkdir -p "$out"
sed -n 's/^[a-z].*[ *]\(pkr_[a-z_]*\)(.*/_\1/p' include/pocketrank.h >"$out/exports"
new=$out/Pocketrank.xcframework
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$new"
mkdir "$new"

libraries=''
for slice in "${slices[@]}"; do
  read -r name platform variant processors <<<"$slice"
  mkdir -p "$new/$name/Headers/CPocketrank" "$work/$name"
  thin=() archs=''
  for one in $processors; do
    mkdir "$work/$name/${one%%:*}"
    object "${one#*:}" "$work/$name/${one%%:*}/pocketrank.o"
    "$tools/llvm-libtool-darwin" -static -D -o "$work/$name/${one%%:*}/libpocketrank.a" "$work/$name/${one%%:*}/pocketrank.o"
    thin+=("$work/$name/${one%%:*}/libpocketrank.a")
    archs+="<string>${one%%:*}</string>"
  done
  if [ ${#thin[@]} = 1 ]; then cp "${thin[0]}" "$new/$name/libpocketrank.a"
  else "$tools/llvm-lipo" -create "${thin[@]}" -output "$new/$name/libpocketrank.a"; fi
  # In a folder of the module's name: Xcode puts the headers of all libraries of an app into one.
  cp include/pocketrank.h "$new/$name/Headers/CPocketrank/"
  printf 'module CPocketrank {\n  header "pocketrank.h"\n  export *\n}\n' >"$new/$name/Headers/CPocketrank/module.modulemap"
  libraries+="
		<dict>
			<key>BinaryPath</key>
			<string>libpocketrank.a</string>
			<key>HeadersPath</key>
			<string>Headers</string>
			<key>LibraryIdentifier</key>
			<string>$name</string>
			<key>LibraryPath</key>
			<string>libpocketrank.a</string>
			<key>SupportedArchitectures</key>
			<array>$archs</array>
			<key>SupportedPlatform</key>
			<string>$platform</string>"
  [ "$variant" = - ] || libraries+="
			<key>SupportedPlatformVariant</key>
			<string>$variant</string>"
  libraries+='
		</dict>'
done
cat >"$new/Info.plist" <<P
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>AvailableLibraries</key>
	<array>$libraries
	</array>
	<key>CFBundlePackageType</key>
	<string>XFWK</string>
	<key>XCFrameworkFormatVersion</key>
	<string>1.0</string>
</dict>
</plist>
P
# A static library has no bundle: the package's copy is what an app's privacy report reads. This one is for apps without it.
cp ffi/swift/Sources/Pocketrank/PrivacyInfo.xcprivacy LICENSE* "$new/"

python3 - "$new" "$out/Pocketrank.xcframework.zip" <<'Z'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=9) as to:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        # The same time and mode for all: the checksum is of the contents.
        entry = zipfile.ZipInfo(str(path.relative_to(folder.parent)), (1980, 1, 1, 0, 0, 0))
        entry.external_attr, entry.compress_type, entry.create_system = 0o100644 << 16, zipfile.ZIP_DEFLATED, 3
        to.writestr(entry, path.read_bytes())
Z
echo "$new"
printf 'checksum %s\n' "$(sha256sum <"$out/Pocketrank.xcframework.zip" | cut -d' ' -f1)"
