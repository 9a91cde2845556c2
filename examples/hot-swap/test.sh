#!/usr/bin/env bash
# Tests of the updater: examples/hot-swap/test.sh FOLDER [LIBRARY]
#
# FOLDER has goldens/{4,102,104}.{pkr,req}; LIBRARY is that of ffi/build.sh. SWAPS and THREADS change how much is done.
set -euo pipefail
folder=$(cd "${1:?usage: examples/hot-swap/test.sh FOLDER [LIBRARY]}" && pwd)
cd "$(dirname "$0")/../.."
library=$(realpath "${2:-target/sdk/libpocketrank.a}")
here=examples/hot-swap
swaps=${SWAPS:-300} threads=${THREADS:-4} kills=${KILLS:-40}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT # some of it is only read

build() { # OUTPUT FLAG... : hot-swap, swap_test and holder_cost
  local to=$1
  shift
  for main in main swap_test holder_cost; do
    ${CC:-gcc} -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Wno-unused-function -I include "$@" \
      $here/$main.c $here/model_file.c $here/slots.c $here/holder.c $here/update.c "$library" -pthread -lm -o "$to-$main"
  done
}
build "$work/plain" -O2
hot=$work/plain-main

# ---- What is published: two models of one layout, and what must be refused. ----
publish() { # NAME MODEL
  mkdir -p "$work/$1"
  cp "$2" "$work/$1/model.pkr"
  cp "$folder/goldens/4.req" "$work/$1/selftest.req"
  "$hot" manifest "$work/$1/model.pkr" "$work/$1/selftest.req" >"$work/$1/manifest"
}
publish good-a "$folder/goldens/4.pkr"
publish good-b "$folder/goldens/104.pkr"
spoil() { mkdir -p "$work/$1" && cp "$work/good-b/"* "$work/$1/"; } # NAME: a copy to be spoiled
size=$(stat -c %s "$work/good-b/model.pkr")
spoil truncated && truncate -s $((size - 1)) "$work/truncated/model.pkr"
spoil empty && : >"$work/empty/model.pkr"
spoil flipped && python3 - "$work/flipped/model.pkr" <<'P'
import sys
b = bytearray(open(sys.argv[1], "rb").read()); b[len(b) // 2] ^= 1; open(sys.argv[1], "wb").write(b)
P
spoil digest && sed -i 's/^digest ./digest f/; s/^digest f\(.*\)f$/digest e\1f/' "$work/digest/manifest"
! cmp -s "$work/digest/manifest" "$work/good-b/manifest"
spoil manifest && echo nonsense >"$work/manifest/manifest"
spoil bits && sed -i "s/^bits .*/bits 0123456789abcdef/" "$work/bits/manifest"
spoil selftest && cp "$folder/goldens/4.pkr" "$work/selftest/selftest.req"
mkdir -p "$work/layout"
cp "$folder/goldens/102.pkr" "$work/layout/model.pkr" && cp "$folder/goldens/102.req" "$work/layout/selftest.req"
"$hot" manifest "$work/layout/model.pkr" "$work/layout/selftest.req" >"$work/layout/manifest"
bad="truncated empty flipped digest manifest bits selftest layout"

digest() { sed -n 's/^digest //p' "$work/$1/manifest"; }
fresh() { # a folder with good-a installed
  rm -rf "$work/app"
  mkdir -p "$work/app/incoming" "$work/app/a"
  cp "$work/good-a/"* "$work/app/a/"
  echo a >"$work/app/current"
}
download() { cp "$work/$1/"* "$work/app/incoming/"; }
starts_with() { # NAME: the app starts, and has the model of that name
  local said
  said=$("$hot" start "$work/app") || { echo "does not start"; return 1; }
  [ "${said##* }" = "$(digest "$1")" ] || { echo "starts with $said, not $1"; return 1; }
}

refused() { # VERDICT COMMAND...: what is to be an update is none; the model before ranks on, and at the next start
  local verdict=$1
  shift
  if "$@" >"$work/out" 2>"$work/err"; then echo "taken, not refused: $verdict"; exit 1; fi
  grep -q "hot-swap: $verdict$" "$work/err" || { echo "not $verdict: $(cat "$work/err")"; exit 1; }
  grep -q " $(digest good-a)$" "$work/out" || { echo "$verdict, and yet $(cat "$work/out")"; exit 1; }
  starts_with good-a
}

# ---- Files: refused ones leave what there is; a broken slot leaves the other. ----
fresh
declare -A said=([truncated]='bad file' [empty]='bad file' [flipped]='bad file' [digest]='other digest' [manifest]='bad manifest'
  [bits]=self-test [selftest]=self-test [layout]='other layout')
for name in $bad; do
  download "$name" && refused "${said[$name]}" "$hot" update "$work/app"
done
for missing in 'model.pkr no files' 'manifest no files' 'selftest.req self-test'; do
  download good-b && rm "$work/app/incoming/${missing%% *}" && refused "${missing#* }" "$hot" update "$work/app"
done
download good-b && "$hot" update "$work/app" >/dev/null && starts_with good-b
for harm in 'truncate -s 100 b/model.pkr' 'rm b/model.pkr' 'rm b/manifest' 'rm -r b' 'cp a/model.pkr b/model.pkr'; do
  cp -r "$work/app" "$work/saved"
  (cd "$work/app" && $harm)
  starts_with good-a # the last one that was good
  download good-b && "$hot" update "$work/app" >/dev/null && starts_with good-b # and is updated again
  rm -rf "$work/app" && mv "$work/saved" "$work/app"
done
rm "$work/app/current" && starts_with good-a # without a name: a slot that is good
echo "refused: $bad; a broken current slot leaves the one before"

# ---- A file system that fails, at the last step and at the first; when it works again, so does the next update. ----
fresh && download good-b
ln -s /dev/full "$work/app/current.next"
refused 'not written' "$hot" update "$work/app"
rm "$work/app/current.next" && download good-b && "$hot" update "$work/app" >/dev/null && starts_with good-b
fresh && download good-b
chmod a+rx "$work" && chmod -R a-w "$work/app"
anyone=() # but root, who writes anywhere
[ "$(id -u)" != 0 ] || anyone=(setpriv --reuid=65534 --regid=65534 --clear-groups)
refused 'not written' "${anyone[@]}" "$hot" update "$work/app"
chmod -R u+w "$work/app" && "$hot" update "$work/app" >/dev/null && starts_with good-b
echo "not written: a full disk, a folder that is only read: the model before ranks on"

# ---- Kill -9 before each change, and at any time. ----
n=1
while :; do
  fresh && download good-b
  rc=0
  { PKR_KILL_AT=$n "$hot" update "$work/app" >/dev/null; } 2>/dev/null || rc=$?
  [ $rc != 0 ] || break
  [ $rc = 137 ] || { echo "step $n: exit $rc"; exit 1; }
  starts_with good-a >/dev/null || starts_with good-b || { echo "killed at step $n"; exit 1; }
  # The next attempt, from a fresh download, succeeds from whatever was left.
  download good-b && "$hot" update "$work/app" >/dev/null && starts_with good-b
  n=$((n + 1))
done
[ $n = 18 ] || { echo "$((n - 1)) changes: docs/hot-swap.md has another number"; exit 1; }
echo "killed before each of $((n - 1)) changes: a model ranks, and the next update succeeds"
# The time that updates take here, so that some kills come before, some within and some behind it.
fresh
began=$(date +%s%N)
for i in 1 2 3 4; do download good-$([ $((i % 2)) = 1 ] && echo b || echo a) && "$hot" update "$work/app" >/dev/null; done
micros=$((($(date +%s%N) - began) / 4000))
fresh
killed=0 done=0
for i in $(seq "$kills"); do
  download good-$([ $((i % 2)) = 1 ] && echo b || echo a)
  "$hot" update "$work/app" >/dev/null 2>&1 &
  pid=$!
  sleep "$(printf '0.%06d' $((RANDOM % 1000 * micros / 500)))"
  kill -9 $pid 2>/dev/null || true
  rc=0
  { wait $pid; } 2>/dev/null || rc=$?
  if [ $rc = 137 ]; then killed=$((killed + 1)); else done=$((done + 1)); fi
  starts_with good-a >/dev/null || starts_with good-b
done
[ $killed != 0 ]
echo "kill -9 at any time: $killed of $kills updates were, $done were done before: a model ranks after each"

# ---- Threads. ----
origins=("$work/good-a" "$work/good-b")
for name in $bad; do origins+=("$work/$name"); done
race() { # COMMAND SWAPS
  fresh
  ${1} "$work/app" "$folder/goldens/4.req" "$threads" "$2" "${origins[@]}"
}
race "$work/plain-swap_test" "$swaps"
"$work/plain-holder_cost"
build "$work/tsan" -O1 -g -fsanitize=thread
echo "ThreadSanitizer:" && TSAN_OPTIONS=halt_on_error=1 race "$work/tsan-swap_test" $((swaps / 3))
build "$work/asan" -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
echo "AddressSanitizer:" && race "$work/asan-swap_test" $((swaps / 3))
if command -v valgrind >/dev/null; then
  # Unless its lock is fair, four readers let the updater starve for minutes.
  echo "valgrind:" && race "valgrind --quiet --fair-sched=yes --error-exitcode=9 --leak-check=full $work/plain-swap_test" 12
else
  echo "skipped: valgrind, which is not installed"
fi
