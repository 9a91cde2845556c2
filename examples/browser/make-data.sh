#!/usr/bin/env bash
# Makes the demo's model and its feed from the simulator: examples/browser/make-data.sh OUT writes feed.pkr and feed.json.
# The same seed gives the same bytes. Needs node and ffi/wasm's library; the program is $POCKETRANK or target/release/pocketrank,
# which is built if it is not there.
set -euo pipefail
mkdir -p "${1:?folder for feed.pkr and feed.json}"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
program=${POCKETRANK:-target/release/pocketrank}
[ -x "$program" ] || cargo build --release --quiet --features train --bin pocketrank
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" simulate --rows 200000 --seed 7 --out "$work/feed" >/dev/null
# The simulator's description weighs five tasks, in seconds of watch time; the page has a weight for each of the seven.
description=$work/feed/page.toml
sed '/^\[\[fusion.term\]\]/,$d' "$work/feed/model.toml" >"$description"
while read -r task weight; do
  printf '[[fusion.term]]\ntask = "%s"\nentire = true\nweight = %s\n\n' "$task" "$weight"
done >>"$description" <<'TERMS'
click 2
duration 1
complete 10
like 20
comment 60
favourite 40
share 60
TERMS
printf '[export]\nname = "simulated feed"\n' >>"$description"
"$program" train "$description" --out "$work/run" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$program" export "$work/run" -o "$out/feed.pkr" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
node examples/browser/make-data.mjs "$work/feed" "$out" "$program" "$description"
ls -l "$out/feed.pkr" "$out/feed.json" | awk '{ print $NF, $5, "bytes" }'
