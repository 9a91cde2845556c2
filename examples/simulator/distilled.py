"""Teachers for each task, and a student of all of them: distilled.py SEED OUT [ROWS].

On the simulated feed no one description has both click and completion within 0.005 of the bound at 10^6 rows (docs/simulator.md): what
crosses add to the click's noise they take from completion's bias. Here click has the teacher without crosses, the others have the mean
of two with them (training seeds 1 and 2), and the student, crosses.toml with `teacher` in each binary task and twice the epochs, learns
from their scores alone. Prints each run's distance to the bound. Needs only Python; POCKETRANK names the program.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = os.environ.get("POCKETRANK", "pocketrank")


def pocketrank(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, check=True).stdout


def gaps(run, description, data, truth):
    found = json.loads(pocketrank("eval", run, description, "--data", data, "--truth", truth, "--json"))["truth"]
    print(run.name.ljust(10), {task: round(t.get("gap", t.get("xauc_gap")), 4) for task, t in found.items()}, flush=True)


def join(click, others, out):
    """The log with the click's score of one file and the means of the other scores of several."""
    with open(out, "w", newline="") as to:
        readers = [csv.reader(open(path, newline="")) for path in (click, *others)]
        heads = [next(reader) for reader in readers]
        writer = csv.writer(to, lineterminator="\n")
        writer.writerow(heads[0])
        scores = [i for i, name in enumerate(heads[0]) if name.startswith("score_") and name != "score_click"]
        for row, *rest in zip(*readers, strict=True):
            for i in scores:
                row[i] = repr(sum(float(r[i]) for r in rest) / len(rest))
            writer.writerow(row)


def student(text):
    def taught(task):
        name = task.group(1)
        return task.group(0) + ("" if name == "duration" else f'teacher = {{ column = "score_{name}", weight = 1.0 }}\n')

    return re.sub(r'\[\[task\]\]\nname = "(\w+)"\n', taught, text).replace("epochs = 5\n", "epochs = 10\n")


def main():
    seed, out, rows = sys.argv[1], Path(sys.argv[2]), (sys.argv[3:] or ["1000000"])[0]
    feed, scored = out / "feed", out / "scored"
    pocketrank("simulate", "--rows", rows, "--seed", seed, "--out", feed)
    topics, crosses = ((HERE / f"{name}.toml").read_text() for name in ("topics", "crosses"))
    descriptions = {
        "topics": topics,
        "crosses-1": crosses,
        "crosses-2": crosses.replace("\nseed = 1\n", "\nseed = 2\n"),
        "student": student(crosses),
    }
    scored.mkdir(exist_ok=True)
    for table in ("items.csv", "users.csv"):
        shutil.copy(feed / table, scored)
    for name, text in descriptions.items():
        description, run, data = out / f"{name}.toml", out / name, scored if name == "student" else feed
        description.write_text(text)
        if name == "student":
            join(out / "topics.csv", [out / f"crosses-{i}.csv" for i in (1, 2)], scored / "log.csv")
        pocketrank("train", description, "--data", data, "--out", run)
        gaps(run, description, data, feed / "truth.csv")
        if name != "student":
            pocketrank("eval", run, description, "--data", data, "--rows", "all", "--scores", out / f"{name}.csv")


if __name__ == "__main__":
    main()
