"""Prints the tables of docs/sparse.md: table.py RUNS TRUTH.csv [SEED...], where RUNS is what `pocketrank compare
examples/sparse/experiment.toml --out RUNS` (or levels.toml, rows.toml) made. Needs only Python; POCKETRANK names the program.

Every file is measured by `pocketrank eval FILE --truth TRUTH.csv --json` on the validation rows of its log.
"""

import json
import os
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

TASKS = ("click", "complete", "like", "favourite", "comment", "share")
METRICS = (("AUC", "tasks", "auc", 4), ("expected AUC", "truth", "expected_auc", 4),
           ("normalized entropy", "tasks", "normalized_entropy", 4), ("calibration", "tasks", "calibration", 2))


def measured(runs, variant, seed, truth):
    folder = Path(runs) / quote(variant, safe=",")
    program = os.environ.get("POCKETRANK", "pocketrank")
    command = [program, "eval", folder / f"seed-{seed}/model.pkr", folder / "model.toml", "--truth", truth, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def spread(values, digits):
    text = f"{statistics.mean(values):.{digits}f}"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def main():
    runs, truth, *seeds = sys.argv[1:]
    # By a variant that only that experiment has.
    of = {"ple": "experiment.toml", "two levels": "levels.toml"}
    name = next((file for variant, file in of.items() if (Path(runs) / quote(variant, safe=",")).exists()), "rows.toml")
    experiment = Path(__file__).with_name(name)
    described = tomllib.loads(experiment.read_text())
    seeds = [int(s) for s in seeds] or described["seeds"]
    variants = [v["name"] for v in described["variant"]]
    found = {v: [measured(runs, v, s, truth) for s in seeds] for v in variants}
    for task in TASKS:
        first = found[variants[0]][0]
        rows, rate = first["tasks"][task]["rows"], first["tasks"][task]["mean_label"]
        print(f"\n**{task}**, {100 * rate:.1f} % of {rows:,} validation rows; best expected AUC {first['truth'][task]['bound']:.4f}\n")
        print("| | " + " | ".join(name for name, *_ in METRICS) + " |\n|" + "---|" * (1 + len(METRICS)))
        for variant in variants:
            cells = [spread([m[part][task][key] for m in found[variant]], digits) for _, part, key, digits in METRICS]
            print(f"| {variant} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
