#!/bin/sh
# docs/mmoe-synthetic.md: the paper's regression on six worlds, each network at its own learning rate. From the project's folder;
# about 5 GB in target/synthetic. `regression.sh rates` measures the rates, on five other worlds.
set -eu
if [ "${1-}" = rates ]; then
    experiment=rates worlds="1 2 11 12 13" correlations=1.0
else
    experiment=regression worlds="3 4 5 6 7 8" correlations="1.0 0.9 0.5 0.0"
fi
cargo build --release --features train --bin pocketrank --example mmoe_synthetic --example mmoe_synthetic_plot
bin=${CARGO_TARGET_DIR:-target}/release

write() { # CORRELATION WORLD
    [ -f "target/synthetic/$1-$2/model.toml" ] || "$bin/examples/mmoe_synthetic" --regression --correlation "$1" --rows 128000 \
        --scale 1.0 --seed "$2" --out "target/synthetic/$1-$2"
}

write 1.0 1 # The base of both experiments.
for p in $correlations; do
    for w in $worlds; do
        world=target/synthetic/$p-$w runs=target/synthetic/$experiment/$p-$w
        write "$p" "$w"
        "$bin/pocketrank" compare "examples/synthetic/$experiment.toml" --data "$world" --out "$runs"
        for run in "$runs"/*/seed-1; do
            # --scores copies one log: the rows of validation are all of it.
            sed '/^validation/d; s/train\.csv/valid.csv/' "$run/model.toml" > "$run/test.toml"
            "$bin/pocketrank" eval "$run" "$run/test.toml" --data "$world/valid.csv" --rows all --scores "$run/all.csv"
            cut -d, -f101- "$run/all.csv" > "$run/scores.csv" # Without the inputs.
            rm "$run/all.csv"
        done
        set -- "$@" "$p=$runs"
    done
done
[ "${1-}" = rates ] && shift && set -- "$@" --out target/synthetic/rates.svg
"$bin/examples/mmoe_synthetic_plot" --squared-error "$@"
