#!/usr/bin/env bash
# Runs the libraries for Android phones, emulated where they are for Arm: ffi/kotlin/emulated.sh WORK, with WORK as test.sh has
# it.
#
# A phone's loader is not here, but its libraries need nothing of it: glibc's loads them too. The C library by dlopen from a C
# program; the JNI library by Debian's Java for arm64, interpreted, with each kind of CPU, so that asking the kernel for
# instruction sets is tested too; that for x86-64 by this machine's Java. That for 32-bit Arm is only loaded: Debian's Java for it
# has another calling convention.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(cd "${1:?WORK: the folder of the golden files}" && pwd)
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/kotlin
cross=${CROSS_HOME:-$HOME/.cache/cross}
.ci/cross-setup.sh arm64 armel android
[ -e "$out/rank.jar" ] && [ -e "$out/tests.jar" ] || { echo 'ffi/kotlin/test.sh comes first'; exit 1; }

# Java for arm64, unpacked beside the cross compilers: its package lists are its own, so that this machine's stay as they are.
jvm=$cross/jvm-arm64
if [ ! -e "$jvm/.ready" ]; then
  rm -rf "$jvm"
  mkdir -p "$jvm/lists/partial" "$jvm/archives/partial"
  options=(-qq -o APT::Architectures::=arm64 -o "APT::Architectures::=$(dpkg --print-architecture)"
    -o "Dir::State::lists=$jvm/lists" -o "Dir::Cache::archives=$jvm/archives" -o Dir::Cache::pkgcache=
    -o Dir::Cache::srcpkgcache= -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1)
  (
    cd "$jvm"
    apt-get "${options[@]}" update || true
    apt-get "${options[@]}" download openjdk-17-jre-headless:arm64 zlib1g:arm64
    for package in ./*.deb; do dpkg-deb -x "$package" .; done
    rm -rf ./*.deb lists archives
    # Its settings are links into /etc, which is here.
    find usr/lib/jvm -type l -lname '/etc/java-17-openjdk/*' | while read -r link; do
      cp --remove-destination ".$(readlink "$link")" "$link"
    done
    touch .ready
  ) >/dev/null
fi
java=$(echo "$jvm"/usr/lib/jvm/java-17-openjdk-arm64/bin/java)
java_on() { # CPU ARG...
  local library=$target/sdk-jni-aarch64-linux-android/libpocketrank_jni.so
  qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$jvm/lib/aarch64-linux-gnu" \
    "$java" -Xint -Xmx256m -XX:+UseSerialGC -XX:-UsePerfData -Ddev.pocketrank.library="$library" "${@:2}"
}

# The C library for Android, without the JNI functions.
features=sdk,$(sed -n 's/^features=${FEATURES-\(.*\)}$/\1/p' ffi/build.sh)
library=$(CROSS_TARGETS=aarch64-linux-android .ci/cross build-android -p pocketrank-ffi --no-default-features \
  --features "$features" --profile sdk | tail -1)
aarch64-linux-gnu-gcc -std=gnu99 -O2 -Wall -Wextra -Werror -I include tests/abi/dlopen.c -ldl -o "$out/dlopen-arm64"
load() { qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu "$out/dlopen-arm64" "${@:2}"; }
rm -f "$out/dlopen.txt"
for name in model 2 3 4 7 9 12 13 19 23 30 102 104 109 112 113; do
  case $name in
    model) files=("$work/model.pkr" "$work/requests.req") ;;
    *) files=("$work/goldens/$name.pkr" "$work/goldens/$name.req") ;;
  esac
  load cortex-a53 "$library" "${files[@]}" >>"$out/dlopen.txt"
  [ $name != model ] || cp "$out/dlopen.txt" "$out/one.txt"
done
cmp "$out/dlopen.txt" "$work/c.txt"
echo 'C library for Android, arm64, by dlopen: the bits of the host'

phones=(aarch64-linux-android armv7-linux-androideabi x86_64-linux-android)
ffi/kotlin/native.sh "${phones[@]}" >/dev/null
arm-linux-gnueabi-gcc -std=gnu99 -O2 -Wall -Wextra -Werror -I include tests/abi/dlopen.c -ldl -o "$out/dlopen-armv7"
qemu-arm -cpu max -L /usr/arm-linux-gnueabi "$out/dlopen-armv7" "$target/sdk-jni-armv7-linux-androideabi/libpocketrank_jni.so" |
  grep -x 'JNI_OnLoad 0x10006'
java -Ddev.pocketrank.library="$target/sdk-jni-x86_64-linux-android/libpocketrank_jni.so" \
  -cp "$out/rank.jar:$out/pocketrank.jar" RankKt "$work/model.pkr" "$work/requests.req" | cmp - "$out/one.txt"
echo 'JNI library for Android, x86-64: the bits of the host'
load cortex-a53 "$target/sdk-jni-aarch64-linux-android/libpocketrank_jni.so" | grep -x 'JNI_OnLoad 0x10006'
path=$out/tests.jar:$out/pocketrank.jar:$out/rank.jar # rank.jar has the standard library
path+=:$cross/kotlin/node_modules/kotlin-compiler/lib/kotlin-test.jar
while read -r cpu detected isa; do
  said=$(java_on "$cpu" -cp "$path" IsaKt "$work/model.pkr")
  [ "$said" = "$detected $isa" ] || { echo "$cpu: $said, not $detected $isa"; exit 1; }
  java_on "$cpu" -cp "$path" RankKt "$work/model.pkr" "$work/requests.req" | cmp - "$out/one.txt"
  echo "JNI library for Android, arm64, $cpu: $said, the bits of the host"
done <<'CPUS'
cortex-a53 AUTO neon
cortex-a76 NEON_DOTPROD neon-dotprod
max NEON_I8MM neon-i8mm
CPUS
java_on max -cp "$path" MainKt "$work" | sed 's/^/JNI library for Android, arm64: /'
