#!/usr/bin/env bash
# Tests of the C++ layer and of the C ABI's every function: tests/cpp/test.sh FOLDER [LIBRARY]
#
# FOLDER has model.pkr, requests.req, goldens/*.{pkr,req} and c.txt, what examples/c/rank.c prints for them (`.ci/run`, stage
# examples). LIBRARY is that of ffi/build.sh. By g++ and clang++, if they are there, in both standards, with and without exceptions.
set -euo pipefail
folder=$(cd "${1:?usage: tests/cpp/test.sh FOLDER [LIBRARY]}" && pwd)
cd "$(dirname "$0")/../.."
library=$(realpath "${2:-target/sdk/libpocketrank.a}")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I include)
bare=(-fno-exceptions -fno-rtti)
seeds="2 3 4 7 9 12 13 19 23 30 102 104 109 112 113"

first() { for name in "$@"; do if command -v "$name" >/dev/null; then echo "$name"; return; fi; done; }
gxx=$(first g++) clangxx=$(first clang++ clang++-22 clang++-19 clang++-14) cc=$(first gcc cc)
[ -n "$clangxx" ] || echo "skipped: clang++, which is not installed"

all() { # COMMAND...: on the feed's and all golden models
  "$@" "$folder/model.pkr" "$folder/requests.req"
  local seed
  for seed in $seeds; do "$@" "$folder/goldens/$seed.pkr" "$folder/goldens/$seed.req"; done
}

build() { # OUTPUT COMPILER FLAG... : the tests; one file of them with the other standard and without, or with, exceptions
  local to=$1 compiler=$2 other=(-std=c++20)
  shift 2
  case "$*" in *c++20*) other=(-std=c++17) ;; esac
  case "$*" in *fno-exceptions*) ;; *) other+=("${bare[@]}") ;; esac
  "$compiler" "${strict[@]}" "${other[@]}" -c tests/cpp/other_dialect.cpp -o "$to.o"
  "$compiler" "${strict[@]}" "$@" $(ls tests/cpp/*.cpp | grep -v -e other_dialect -e threads) "$to.o" "$library" -o "$to"
}

# Half of the combinations run, which is each option with each compiler; the other half is only compiled.
for compiler in $gxx $clangxx; do
  case $compiler in clang*) throwing=c++20 bare_standard=c++17 ;; *) throwing=c++17 bare_standard=c++20 ;; esac
  for flags in "-std=$throwing" "-std=$bare_standard ${bare[*]}"; do
    build "$out/test" "$compiler" $flags
    printf '%s %s: ' "$compiler" "$flags"
    (cd "$out" && ./test "$folder")
    [ "$compiler $flags" != "g++ -std=c++17" ] || cp "$out/test" "$out/plain"
    for example in rank session; do
      "$compiler" "${strict[@]}" $flags "examples/cpp/$example.cpp" "$library" -o "$out/$example"
    done
    all "$out/rank" | cmp - "$folder/c.txt"
    all "$out/session" >/dev/null
  done
  for flags in "-std=$bare_standard" "-std=$throwing ${bare[*]}"; do
    "$compiler" "${strict[@]}" $flags -fsyntax-only tests/cpp/*.cpp examples/cpp/*.cpp
  done
done
# Each header by itself.
for header in include/pocketrank.hpp include/pocketrank/*.hpp; do
  "$gxx" "${strict[@]}" -std=c++17 -fsyntax-only -include "$header" -x c++ - </dev/null
done

# Nothing undefined, nothing read that was not written, nothing outside, nothing lost. One file has no RTTI, which `vptr` reads.
build "$out/sanitized" "$gxx" -std=c++17 -g1 -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
(cd "$out" && ./sanitized "$folder")
if command -v valgrind >/dev/null; then
  (cd "$out" && valgrind --quiet --error-exitcode=9 --leak-check=full ./plain "$folder")
else
  echo "skipped: valgrind, which is not installed"
fi

# Threads that share a model while it is replaced.
"$gxx" "${strict[@]}" -std=c++17 -O1 -g -fsanitize=thread tests/cpp/threads.cpp "$library" -pthread -o "$out/threads"
TSAN_OPTIONS=halt_on_error=1 "$out/threads" "$folder"

# What the guide says compiles and ranks, by its own command in an empty folder; run.sh builds and runs an example.
mkdir "$out/app"
cp -r include/pocketrank* "$library" "$out/app"
sed -n '/^```cpp$/,/^```$/{/^```/d;p}' examples/cpp/README.md >"$out/app/feed.cpp"
"$gxx" "${strict[@]}" -std=c++17 -fsyntax-only "$out/app/feed.cpp"
cp "$folder/goldens/4.pkr" "$out/app/feed.pkr"
(cd "$out/app" && $(grep '^c++ ' "$OLDPWD/examples/cpp/README.md"))
[ "$(cd "$out/app" && ./feed | tail -3 | sort -n | tr '\n' ' ')" = '7 9 12 ' ] || { echo "the guide's program does not rank"; exit 1; }
examples/cpp/run.sh rank "$folder/model.pkr" "$folder/requests.req" |
  cmp - <("$out/rank" "$folder/model.pkr" "$folder/requests.req")

# An app that only ranks links the smallest library, which has nothing else.
"$gxx" "${strict[@]}" -std=c++17 -c examples/cpp/rank.cpp -o "$out/rank.o"
found=$(nm -u "$out/rank.o" | grep -E 'pkr_(formula|weight|term_text|session|rerank|item|score|order|gates|vectors)' || true)
[ -z "$found" ] || { printf 'rank needs optional parts of the library: %s\n' "$found"; exit 1; }

# Every function of the C header, by a program in C; and it is really every one.
"$cc" -std=c99 -g "${strict[@]}" -fsanitize=address,undefined -fno-sanitize-recover=all tests/abi/smoke.c "$library" -lm \
  -o "$out/smoke"
"$out/smoke" "$folder/goldens/4.pkr" "$folder/goldens/4.req" "$folder/goldens/102.pkr" "$folder/goldens/102.req"
for name in $(sed -n 's/^[a-z].*[ *]\(pkr_[a-z_]*\)(.*/\1/p' include/pocketrank.h); do
  grep -q "$name(" tests/abi/smoke.c || { echo "tests/abi/smoke.c does not call $name"; exit 1; }
  grep -rqw "$name" include/pocketrank.hpp include/pocketrank/ || { echo "include/pocketrank/ does not use $name"; exit 1; }
done
