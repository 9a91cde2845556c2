#!/usr/bin/env bash
# Tests the demo and the library's bits in Chromium: examples/browser/test.sh WORK [SHOTS]. WORK has the golden files; SHOTS gets
# screenshots. Chromium comes from the distribution, playwright-core and axe-core from npm, each by name where it is missing.
set -euo pipefail
work=$(cd "${1:?folder with the golden files}" && pwd)
shots=${2:-$(mktemp -d)}
cd "$(dirname "$0")"
chromium=${CHROMIUM:-$(command -v chromium || true)}
if [ -z "$chromium" ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null
  chromium=$(command -v chromium)
fi
tools=$(cd ../.. && mkdir -p target/npm/browser && cd target/npm/browser && pwd)
[ -d "$tools/node_modules/axe-core" ] ||
  npm install --silent --no-audit --no-fund --no-save --prefix "$tools" playwright-core@1 axe-core@4
./run.sh --build
CHROMIUM=$chromium node test.mjs "$work" "$shots" "$tools"
echo "screenshots: $shots"
