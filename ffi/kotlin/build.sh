#!/usr/bin/env bash
# Compiles the Kotlin classes into target/kotlin/pocketrank.jar, and the native library for a Java virtual machine here into
# target/sdk-jni. Needs JDK 17 or later; the compiler comes from npm (.ci/cross-setup.sh kotlin) where it isn't there.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${CARGO_TARGET_DIR:-target}/kotlin
mkdir -p "$out"
command -v javac >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jdk-headless; }
# Java 8 is what Android has since API 21, with what its tools desugar; language 2.2 lets apps of Kotlin 2.1 read the classes.
.ci/cross kotlinc -Werror -Xexplicit-api=strict -Xjdk-release=1.8 -jvm-target 1.8 -language-version 2.2 -api-version 2.2 \
  -no-reflect -module-name pocketrank -d "$out/classes.jar" ffi/kotlin/src/main/kotlin
mv "$out/classes.jar" "$out/pocketrank.jar"
[ -n "${JAR_ONLY:-}" ] || ffi/kotlin/native.sh
echo "$out/pocketrank.jar"
