"""A feed with a long tail, thinned from a simulated one: tail.py SIMULATED OUT, both folders. Needs only Python.

The simulator shows every item equally often. Here an item keeps a share 1 / (1 + rank / 300) of its rows, its rank drawn once, so
that few items have most of the log, as in a real feed. Whether a row is kept depends on its item and its number alone, never on
what the user did, so that the truth of the rows that stay is what it was; truth.csv is thinned with the log.

The log gets a column `item_pair`, a list of two ids that no other item has ("12|1000012"): pooled to its sum it is the plain sum of two
rows, which experiment.toml holds against two rows with weights of their own.
"""

import csv
import random
import sys
from pathlib import Path


def main():
    simulated, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(7)
    with open(simulated / "items.csv", newline="") as file:
        items = [row["item_id"] for row in csv.DictReader(file)]
    draw.shuffle(items)
    share = {item: 1 / (1 + rank / 300) for rank, item in enumerate(items)}
    for name in ("items.csv", "users.csv"):
        (out / name).write_bytes((simulated / name).read_bytes())
    kept = 0
    with (open(simulated / "log.csv", newline="") as log, open(simulated / "truth.csv", newline="") as truth,
          open(out / "log.csv", "w", newline="") as thin_log, open(out / "truth.csv", "w", newline="") as thin_truth):
        log, truth = csv.reader(log), csv.reader(truth)
        thin_log, thin_truth = csv.writer(thin_log, lineterminator="\n"), csv.writer(thin_truth, lineterminator="\n")
        columns = next(log)
        item = columns.index("item_id")
        thin_log.writerow([*columns, "item_pair"])
        thin_truth.writerow(next(truth))
        for row, fact in zip(log, truth, strict=True):
            if draw.random() < share[row[item]]:
                thin_log.writerow([*row, f"{row[item]}|{int(row[item]) + 1_000_000}"])
                thin_truth.writerow([kept, *fact[1:]])
                kept += 1
    print(f"{kept} rows")


if __name__ == "__main__":
    main()
