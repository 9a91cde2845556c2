#!/usr/bin/env bash
# Ranks a file of requests on an emulated Cortex-M4 and holds every line against the C example's on this machine. Prints what memory
# it took; fails over 8 KiB of stack or 64 KiB of memory.
#
#   examples/cortex-m/run.sh MODEL.pkr REQUESTS.req
#
# Installs compilers and QEMU where they are missing (.ci/cross-setup.sh, group cortex-m), as root on Debian.
set -euo pipefail
[ $# = 2 ] || { echo "usage: ${0##*/} MODEL.pkr REQUESTS.req" >&2; exit 2; }
PKR_MODEL=$(readlink -f "$1") PKR_REQUESTS=$(readlink -f "$2")
export PKR_MODEL PKR_REQUESTS CARGO_TERM_QUIET=true
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e ../../target/sdk/libpocketrank.a ] || ../../ffi/build.sh >/dev/null
cc -std=c99 -O2 -I ../../include ../c/rank.c ../../target/sdk/libpocketrank.a -o "$work/rank"
# Requests of at most 64 candidates: the watch has room for no more.
"$work/rank" "$PKR_MODEL" "$PKR_REQUESTS" |
  awk '/^request/ { head = $0; getline; few = NF <= 65; if (few) print head } few' >"$work/here.txt"
../../.ci/cross run-cortex-m --locked >"$work/watch.txt"
cmp "$work/here.txt" "$work/watch.txt"
printf '# %d requests, digest %s: as on this machine\n' "$(grep -c '^request' "$work/watch.txt")" \
  "$(sha256sum <"$work/watch.txt" | cut -c1-16)"
