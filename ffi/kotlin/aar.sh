#!/usr/bin/env bash
# Makes target/kotlin/pocketrank.aar for Android, without its SDK and NDK: classes, libraries of three ABIs, and rules for R8. The
# same sources give the same bytes. Then it takes the archive apart again and checks what a phone asks of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ffi/kotlin/elf.sh
target=${CARGO_TARGET_DIR:-target}
out=$target/kotlin
tools=${CROSS_HOME:-$HOME/.cache/cross}/bin
abis=(arm64-v8a=aarch64-linux-android armeabi-v7a=armv7-linux-androideabi x86_64=x86_64-linux-android)
JAR_ONLY=1 ffi/kotlin/build.sh >/dev/null
ffi/kotlin/native.sh "${abis[@]#*=}" >/dev/null

python3 - "$target" "${abis[@]}" <<'P'
"""Packs the archives: entries by name, all of one date, none compressed that a reader maps."""
import io, pathlib, sys, zipfile

target, abis = pathlib.Path(sys.argv[1]), dict(pair.split("=") for pair in sys.argv[2:])
here = pathlib.Path("ffi/kotlin")

def pack(entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.create_system = 0o644 << 16, 3
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".so") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return packed.getvalue()

with zipfile.ZipFile(target / "kotlin/pocketrank.jar") as jar:
    classes = pack({name: jar.read(name) for name in jar.namelist() if not name.endswith("/")})
aar = {"classes.jar": classes, "R.txt": b""}
for name in ("AndroidManifest.xml", "proguard.txt"):
    aar[name] = (here / "android" / name).read_bytes()
for abi, triple in abis.items():
    aar[f"jni/{abi}/libpocketrank_jni.so"] = (target / f"sdk-jni-{triple}/libpocketrank_jni.so").read_bytes()
(target / "kotlin/pocketrank.aar").write_bytes(pack(aar))
sources = here / "src/main/kotlin"
(target / "kotlin/pocketrank-sources.jar").write_bytes(
    pack({str(file.relative_to(sources)): file.read_bytes() for file in sources.rglob("*.kt")}))
P

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m zipfile -e "$out/pocketrank.aar" "$work"
(cd "$work" && find . -type f | LC_ALL=C sort) | diff - <(
  printf './%s\n' AndroidManifest.xml R.txt classes.jar
  for pair in "${abis[@]}"; do echo "./jni/${pair%%=*}/libpocketrank_jni.so"; done | LC_ALL=C sort
  echo ./proguard.txt
) || die 'the archive has other files'
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/AndroidManifest.xml"
declare -A machine=([arm64-v8a]=AArch64 [armeabi-v7a]=ARM [x86_64]='X86-64')
for pair in "${abis[@]}"; do
  so=$work/jni/${pair%%=*}/libpocketrank_jni.so
  check_android "$tools/llvm-nm" "$tools/llvm-readelf" "$so"
  grep -q "Machine:.*${machine[${pair%%=*}]}" <<<"$("$tools/llvm-readelf" -h "$so")" || die "$so: another machine"
  printf '%-12s %7d bytes\n' "${pair%%=*}" "$(stat -c %s "$so")"
done
# What classes of Java the code names: all of them have been in Android since API 21 (android/java-classes.txt has been looked
# through).
jdeps -verbose:class "$work/classes.jar" 2>/dev/null |
  awk '$2 == "->" && $3 ~ /^java\.[a-z]+\./ { print $3 }' | LC_ALL=C sort -u |
  diff ffi/kotlin/android/java-classes.txt - || die 'other classes of Java than those that were looked through'
# The rules for R8 keep the names that the library exports.
grep -q 'dev.pocketrank.Native' "$work/proguard.txt"
printf '%-12s %7d bytes\npocketrank.aar %d bytes, sha256 %s\n' classes.jar "$(stat -c %s "$work/classes.jar")" \
  "$(stat -c %s "$out/pocketrank.aar")" "$(sha256sum <"$out/pocketrank.aar" | cut -c1-16)"
