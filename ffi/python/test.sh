#!/usr/bin/env bash
# Builds the wheel twice (the same bytes), installs it into an environment of its own, checks types, and runs the tests.
#
#   ffi/python/test.sh WORK [PYTEST ARG...]
#
# WORK has the golden files as .ci/run makes them: model.pkr, requests.req, reference.pkr, goldens/, c.txt. PYTHON names another Python than
# python3. Fetches numpy, pandas, pyarrow, pytest, hypothesis, mypy and pandas-stubs by name, once.
set -euo pipefail
work=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/python
python=${PYTHON:-python3}
venv=$target/test-venv-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

if ! "$venv/bin/python" -c 'import numpy, pandas, pyarrow, pytest, hypothesis, mypy' 2>/dev/null; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check numpy pandas pyarrow pytest hypothesis mypy pandas-stubs
fi
wheel=$(ffi/python/build.sh 2>/dev/null)
first=$(sha256sum <"$wheel")
touch ffi/python/src/pocketrank/*.py
wheel=$(ffi/python/build.sh 2>/dev/null)
[ "$first" = "$(sha256sum <"$wheel")" ] || { echo "two builds of the wheel differ"; exit 1; }
printf '%s: %d bytes, the same twice\n' "$(basename "$wheel")" "$(stat -c %s "$wheel")"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"

cd ffi/python
"$venv/bin/mypy" --cache-dir "$target/mypy" src/pocketrank bench.py ../../examples/python/*.py
export POCKETRANK_WORK=$work PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" -m pytest "$@"
