#!/usr/bin/env bash
# Makes a model of the simulated feed if there is none (under a minute after compiling), and builds and runs the program with it.
#   examples/rust/run.sh [FILE.pkr]     another model needs the features that main.rs names
set -euo pipefail
cd "$(dirname "$0")/../.."
file=${1:-target/demo/feed.pkr}
[ -f "$file" ] || cargo demo --out "$(dirname "$file")" >/dev/null
PKR_MODEL=$(realpath "$file") cargo run --quiet --release --manifest-path examples/rust/Cargo.toml --target-dir target/examples
