#!/bin/sh
# NDCG@10 on a stated utility: a ranking task with each of its losses, against pointwise tasks that are fused, with the weights of
# the utility and with tuned ones. Simulates, trains and measures; prints a line a run, then mean and standard deviation over seeds.
#
#     cargo build --release --features train && examples/learning-to-rank/run.sh
#
# Below 200,000 rows the export of a rare task may be refused by its budget. ROWS (200000), SEEDS ("1 2 3"), OUT (target/learning-to-rank) and THREADS (0: one a core) may be set.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/examples/learning-to-rank
pocketrank=${POCKETRANK:-$root/target/release/pocketrank}
out=${OUT:-$root/target/learning-to-rank}
rows=${ROWS:-200000}
seeds=${SEEDS:-1 2 3}
threads=${THREADS:-0}
utility="watch + 20 * like + 60 * comment + 40 * favourite + 60 * share"

mkdir -p "$out"
"$pocketrank" simulate --rows "$rows" --seed 1 --out "$out/feed" > /dev/null
feed=$out/feed
# Everything before the tasks.
sed '/^\[network\]/,/^$/!{/^\[\[task\]\]/,$d;}' "$feed/model.toml" > "$feed/features.toml"
cat "$feed/features.toml" "$here/click.toml" > "$feed/click.toml"
# What stopped training, and so is of no seed's report: all requests before the last tenth.
last=$(awk -F, 'END { print $1 }' "$feed/log.csv")
awk -F, -v n="$last" 'NR == 1 || $1 < (n + 1) * 0.9' "$feed/log.csv" > "$feed/before.csv"
: > "$out/results.txt"

# measure NAME SEED DESCRIPTION [FUSION]: trains, unless the run is there, exports, and notes how good the file's own order is.
measure() {
    run=$out/$3-$2
    "$pocketrank" train "$feed/$3.toml" --out "$run" --resume --seed "$2" --threads "$threads" > "$run.txt" 2> /dev/null
    "$pocketrank" export "$run" -o "$out/$1-$2.pkr" --data "$feed" --fusion "${4:-$feed/$3.toml}" > "$run.export.txt"
    run=$out/$1-$2
    "$pocketrank" eval "$run.pkr" "$feed/$3.toml" --data "$feed" --utility "$utility" > "$run.eval.txt"
    awk -v run="$1 $2" '/^fused score/ { print run, $3, $4 }' "$run.eval.txt" | tee -a "$out/results.txt"
}

for seed in $seeds; do
    measure stated-fusion "$seed" model
    "$pocketrank" tune "$out/stated-fusion-$seed.pkr" "$feed/model.toml" --data "$feed/before.csv" --maximise "$utility" \
        --out "$out/tune-$seed" --threads "$threads" > "$out/tune-$seed.txt"
    # The same model; its description with the weights that were found.
    sed '/^\[\[fusion.term\]\]/,$d' "$feed/model.toml" | cat - "$out/tune-$seed/weights.toml" > "$feed/tuned-$seed.toml"
    measure tuned-fusion "$seed" model "$feed/tuned-$seed.toml"
    for loss in softmax pairwise listnet lambdarank; do
        sed "s/^loss = .*/loss = \"$loss\"/" "$here/rank.toml" | cat "$feed/features.toml" - > "$feed/$loss.toml"
        measure "$loss" "$seed" "$loss"
    done
done

awk '
    { if (!($1 in n)) order[++m] = $1; n[$1]++; s[$1] += $3; q[$1] += $3 * $3; r[$1] += $4; w[$1] += $4 * $4 }
    function sd(sum, squares, n) { return n > 1 ? sqrt((squares - sum * sum / n) / (n - 1) + 1e-18) : 0 }
    END {
        printf "%-14s %8s %8s %8s %8s\n", "order by", "NDCG@10", "sd", "DCG@10", "sd"
        for (i = 1; i <= m; i++) {
            v = order[i]
            printf "%-14s %8.4f %8.4f %8.3f %8.3f\n", v, s[v] / n[v], sd(s[v], q[v], n[v]), r[v] / n[v], sd(r[v], w[v], n[v])
        }
    }' "$out/results.txt" | tee "$out/table.txt"
