#!/bin/sh
# A teacher, its scores as a column of the log, and students of three sizes with and without it.
#
#     cargo build --release --features train && examples/distillation/run.sh
#
# ROWS (200000) and THREADS (0: one a core) may be set; everything goes to target/distillation. The teacher is the simulator's own
# model: seven tasks, 4 experts of 64 and 32.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/examples/distillation
pocketrank=${POCKETRANK:-$root/target/release/pocketrank}
out=$root/target/distillation
threads=${THREADS:-0}

mkdir -p "$out"
"$pocketrank" simulate --rows "${ROWS:-200000}" --seed 1 --out "$out" > /dev/null
sed '/^\[network\]/,$d' "$out/model.toml" | cat - "$here/student.toml" > "$out/student.toml"

"$pocketrank" train "$out/model.toml" --out "$out/teacher" --threads "$threads"
"$pocketrank" eval "$out/teacher" "$out/model.toml" --rows all --scores "$out/scored.csv" > /dev/null
for size in 16 8 4; do
    "$pocketrank" compare "$here/student-$size.toml" --out "$out/student-$size" --data "$out/scored.csv" --threads "$threads"
done
