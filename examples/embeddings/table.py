"""Prints the tables of docs/embeddings.md: table.py RUNS, the folder that `pocketrank compare` made of experiment.toml, floors.toml or
kuairand.toml. Needs only Python.

AUC and Spearman's correlation are those of the exported files on the rows that were not trained on: mean over seeds, and standard
deviation.
"""

import json
import statistics
import sys
from pathlib import Path
from urllib.parse import unquote


def spread(values):
    text = f"{statistics.mean(values):.4f}"
    return text + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def main():
    variants = {}
    for path in Path(sys.argv[1]).glob("*/seed-*/result.json"):
        result = json.loads(path.read_text())
        if result.get("export"):
            variants.setdefault(unquote(path.parent.parent.name), []).append(result)
    size = lambda results: statistics.mean(r["export"]["bytes"] for r in results)
    rows = sorted(variants.items(), key=lambda item: size(item[1]))
    tasks = [t["name"] for t in rows[0][1][0]["export"]["tasks"]]
    print("| | bytes of the file | multiply-adds a candidate | " + " | ".join(tasks) + " | seeds |")
    print("|---|" + "---:|" * (len(tasks) + 3))
    for name, results in rows:
        found = [{t["name"]: t["file"] for t in r["export"]["tasks"]} for r in results]
        cells = [spread([f[task] for f in found]) for task in tasks]
        print(f"| {name} | {size(results):,.0f} | {results[0]['multiply_adds'][1]:,} | " + " | ".join(cells) + f" | {len(results)} |")


if __name__ == "__main__":
    main()
