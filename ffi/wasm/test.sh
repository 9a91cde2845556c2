#!/usr/bin/env bash
# Tests the package in Node: ffi/wasm/test.sh WORK, where WORK has the golden files (model.pkr, requests.req, goldens/, c.txt).
# Builds the package first. TypeScript comes by name from npm, once.
set -euo pipefail
work=$(cd "${1:?folder with the golden files}" && pwd)
cd "$(dirname "$0")"
./build.sh
tools=$(cd ../.. && pwd)/target/npm/types
[ -x "$tools/node_modules/.bin/tsc" ] ||
  npm install --silent --no-audit --no-fund --no-save --prefix "$tools" typescript@5 @types/node@20
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# The same bits as natively, by the example program.
seeds="2 3 4 7 9 12 13 19 23 30 102 104 109 112 113"
{
  node examples/rank.mjs "$work/model.pkr" "$work/requests.req"
  for seed in $seeds; do node examples/rank.mjs "$work/goldens/$seed.pkr" "$work/goldens/$seed.req"; done
} | cmp - "$work/c.txt"
echo "rank: $(grep -c ^request "$work/c.txt") requests, the bits of c.txt"

WORK=$work node --test --test-reporter spec test/*.test.mjs

# The package as an app gets it: installed into an empty folder, typed, and ranking.
npm install --silent --no-audit --no-fund --prefix "$temporary" "$PWD"/pocketrank-*.tgz
cp test/types.ts "$temporary/types.mts"
(
  cd "$temporary"
  "$tools/node_modules/.bin/tsc" --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --skipLibCheck false \
    --target es2022 --module nodenext --moduleResolution nodenext --lib es2023,dom --types node \
    --typeRoots "$tools/node_modules/@types" types.mts
  node types.mjs "$work/model.pkr"
)
