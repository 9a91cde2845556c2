#!/usr/bin/env bash
# Builds the wheel of package `pocketrank` with the library of this machine in it, into target/python. The same inputs give the same bytes.
#
#   ffi/python/build.sh                      the library that ffi/build.sh makes
#   LIBRARY=FILE.so PLATFORM=linux_aarch64 ffi/python/build.sh    one that was built for another machine
#
# The tag is linux_* and not manylinux_*: the library needs nothing of the system (no NEEDED entry), but no policy was checked.
set -euo pipefail
cd "$(dirname "$0")/../.."
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=${OUT:-$target_dir/python}
if [ -z "${LIBRARY:-}" ]; then
  LIBRARY=$target_dir/sdk/libpocketrank.so
  [ -e "$LIBRARY" ] || ffi/build.sh >&2
fi
LIBRARY=$(realpath "$LIBRARY")
export LIBRARY

venv=$target_dir/python/build-venv
if ! "$venv/bin/python" -c 'import hatchling' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'hatchling>=1.24'
fi
# The time of every entry of the archive, whatever the clock says.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1577836800}
(cd ffi/python && umask 022 && "$venv/bin/hatchling" build --target wheel --directory "$out" >&2)
ls "$out"/pocketrank-*.whl
