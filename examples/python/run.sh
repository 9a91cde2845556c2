#!/usr/bin/env bash
# Runs the Python examples: orders and bits of a file of requests against what C printed, a simulated log, and the same log on Spark.
#
#   examples/python/run.sh [WORK] [--spark]
#
# WORK has the golden files as .ci/run makes them; without it nothing is held against C. The program that makes the log is built if it is
# not there (POCKETRANK=FILE names another).
# --spark fetches pyspark (500 MB) and its Java must be there; without it Spark runs only where pyspark is installed already.
set -euo pipefail
work='' spark=''
for argument in "$@"; do
  case $argument in --spark) spark=1 ;; *) work=$(realpath "$argument") ;; esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
program=$(realpath -m "${POCKETRANK:-$target/release/pocketrank}")
venv=$target/python/example-venv
skip() { printf '%s: skipped: %s\n' "$1" "$2"; }

wheel=$(ffi/python/build.sh 2>/dev/null)
if ! "$venv/bin/python" -c 'import pandas, pyarrow' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check numpy pandas pyarrow
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
[ -z "$spark" ] || "$venv/bin/python" -c 'import pyspark' 2>/dev/null ||
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'pandas<3' pyspark setuptools

cd examples/python
export PYTHONDONTWRITEBYTECODE=1
if [ -n "$work" ]; then
  {
    "$venv/bin/python" rank.py "$work/model.pkr" "$work/requests.req"
    for seed in 2 3 4 7 9 12 13 19 23 30 102 104 109 112 113; do
      "$venv/bin/python" rank.py "$work/goldens/$seed.pkr" "$work/goldens/$seed.req"
    done
  } | cmp - "$work/c.txt"
  printf 'rank.py: %d requests, orders and bits of rank.c\n' "$(grep -c ^request "$work/c.txt")"
else
  skip rank.py "no folder of golden files was named"
fi

[ -x "$program" ] || cargo build --release --quiet --features train --bin pocketrank --manifest-path ../../Cargo.toml
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
"$program" simulate --rows 20000 --seed 1 --out "$run/log" >/dev/null
"$program" train "$run/log/model.toml" --out "$run/run" >/dev/null 2>&1
"$program" export "$run/run" -o "$run/feed.pkr" >/dev/null
tables=(--join "$run/log/items.csv" item_id --join "$run/log/users.csv" user_id)
"$venv/bin/python" score_log.py "$run/feed.pkr" "$run/log/log.csv" "$run/scores.csv" "${tables[@]}" --label click --where "policy == 'random'"
"$venv/bin/python" score_log.py "$run/feed.pkr" "$run/log/log.csv" "$run/parts.csv" "${tables[@]}" --rows 777 >/dev/null
cmp "$run/scores.csv" "$run/parts.csv"
echo "score_log.py: the same file in parts of 777 rows"

"$program" formula "$run/feed.pkr" 'wc * click + entire(duration)' --weight wc=1:0:10 -o "$run/fusion.pkf" >/dev/null
sed -n '/^```python/,/^```/{/^```/!p}' ../../ffi/python/README.md >"$run/readme.py"
(cd "$run" && "$venv/bin/python" -W error readme.py | tail -5)
echo "README.md: its lines run"

if ! "$venv/bin/python" -c 'import pyspark' 2>/dev/null; then
  skip spark_udf.py "pyspark is not installed; --spark installs it"
elif ! command -v java >/dev/null; then
  skip spark_udf.py "there is no Java"
else
  "$venv/bin/python" spark_udf.py "$run/feed.pkr" "$run/log/log.csv" "${tables[@]}" 2>"$run/spark.txt" || { tail -20 "$run/spark.txt"; exit 1; }
fi
