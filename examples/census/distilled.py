"""A student of networks and trees, on real and on made-up records: distilled.py DATA OUT [SEED ...].

Teachers are model.toml and boosted trees, each trained on train.csv.gz less one of ten folds; a teacher is the mean of both
logits. A real record's teacher is of the fold that did not see it; half of it and half the label is what the student learns.
Beside them stand records that nobody is: a training record whose cells are each exchanged, one in ten, for those of other
records. Theirs is the mean of all folds. The students are model.toml with `teacher` on both kinds of rows, an MMoE as before.
Writes OUT/taught, their log, and OUT/experiment.toml, prints what the teachers have on valid.csv.gz, which they are not trained
on, and then the table of `compare`. Needs numpy and lightgbm; POCKETRANK names the program.
"""

import csv
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np

HERE = Path(__file__).parent
PROGRAM = os.environ.get("POCKETRANK", "pocketrank")
LABELS = {"income": ("income", "50000+"), "never_married": ("marital_stat", "Never married")}
UNUSED = {"row", "income", "marital_stat", "instance_weight"}
NUMBERS = {
    "age", "wage_per_hour", "capital_gains", "capital_losses", "dividends_from_stocks", "num_persons_worked_for_employer",
    "weeks_worked_in_year",
}  # fmt: skip
MADE = 300_000  # made-up records
EXCHANGED = 0.1  # share of their cells that are another record's
STUDENT = {  # probabilities teach what labels let it overfit
    "dropout = 0.1\n": "dropout = 0.05\n",
    "epochs = 6\n": "epochs = 8\n",
    "\nweight_decay = 0.3\n": "\nweight_decay = 0.03\n",
    "embedding_weight_decay = 0.03\n": "embedding_weight_decay = 0.01\n",
}
LEAST = 0.002  # only of records with at least this probability of the income: the others are clear cases
TREES = {
    "objective": "binary", "num_threads": 1, "verbose": -1, "num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20,
    "cat_smooth": 20, "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1,
}  # fmt: skip
COUNT = {"income": 400, "never_married": 250}  # trees
FOLDS = 10
MADE_FOLD, HELD_FOLD = 98, 99


def pocketrank(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, check=True).stdout


def read(path):
    with gzip.open(path, "rt", newline="") as log:
        head, *rows = csv.reader(log)
    return head, np.array(rows, dtype=object)


def write(path, head, rows):
    with open(path, "w", newline="") as log:
        writer = csv.writer(log, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def logit(probability):
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p))


def auc(labels, scores):
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    positive = labels.sum()
    return (rank[labels].sum() - positive * (positive + 1) / 2) / (positive * (len(labels) - positive))


class Columns:
    """Inputs of the trees: numbers, and categories numbered by what training has."""

    def __init__(self, head, rows):
        self.columns = [i for i, name in enumerate(head) if name not in UNUSED]
        self.codes = {i: {v: k for k, v in enumerate(sorted(set(rows[:, i])))} for i in self.columns if head[i] not in NUMBERS}
        self.categories = [k for k, i in enumerate(self.columns) if i in self.codes]

    def inputs(self, rows):
        def values(i):
            return [self.codes[i].get(value, -1) for value in rows[:, i]] if i in self.codes else rows[:, i].astype(float)

        return np.array([values(i) for i in self.columns]).T

    def trees(self, inputs, labels, task, seed):
        data = lightgbm.Dataset(inputs, labels, categorical_feature=self.categories)
        return lightgbm.train({**TREES, "seed": seed}, data, COUNT[task])


def made_up(head, rows, random):
    """Records of `rows` with one cell in ten exchanged."""
    made = rows[random.integers(0, len(rows), MADE)]
    for i, name in enumerate(head):
        if name not in UNUSED:
            exchanged = np.flatnonzero(random.random(MADE) < EXCHANGED)
            made[exchanged, i] = rows[random.integers(0, len(rows), len(exchanged)), i]
    return made


def network(fold, text, log, out):
    """Logits, of the network that did not see a fold, of that fold and of all rows that no network sees; elsewhere 0."""
    description, run, scored = (out / f"fold-{fold}{end}" for end in (".toml", "", ".csv"))
    part = f'validation = {{ where = "fold in ({fold}, {MADE_FOLD}, {HELD_FOLD})" }}'
    description.write_text(text.replace('validation = { path = "valid.csv.gz" }', part).replace("train.csv.gz", log.name))
    pocketrank("train", description, "--data", log, "--seed", fold + 1, "--out", run)
    pocketrank("eval", run, description, "--data", log, "--scores", scored)
    with open(scored, newline="") as file:
        head, *rows = csv.reader(file)
    scored.unlink()
    return np.array([[float(row[head.index(f"score_{task}")] or 0.5) for task in LABELS] for row in rows])


def main():
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    seeds = [int(seed) for seed in sys.argv[3:]] or [1, 2, 3, 4, 5]
    taught = out / "taught"
    taught.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    head, real = read(data / "train.csv.gz")
    _, held = read(data / "valid.csv.gz")
    labels, held_labels = (
        np.array([rows[:, head.index(column)] == positive for column, positive in LABELS.values()]).T for rows in (real, held)
    )

    # Trees: each fold's own rows, by which the records are chosen that are changed, then all others.
    fold = random.permutation(len(real)) % FOLDS
    columns = Columns(head, real)
    inputs = columns.inputs(real)
    of_trees = np.zeros((len(real), len(LABELS)))
    forests = []
    for k in range(FOLDS):
        forests.append([columns.trees(inputs[fold != k], labels[fold != k, t], task, k) for t, task in enumerate(LABELS)])
        of_trees[fold == k] = np.array([f.predict(inputs[fold == k], raw_score=True) for f in forests[k]]).T
    made = made_up(head, real[of_trees[:, 0] > logit(LEAST)], random)
    rows = np.concatenate([made, real, held])
    fold = np.concatenate([np.full(MADE, MADE_FOLD), fold, np.full(len(held), HELD_FOLD)])
    unseen = columns.inputs(rows[fold >= FOLDS])
    trees = np.zeros((len(rows), len(LABELS)))
    trees[fold < FOLDS] = of_trees
    trees[fold >= FOLDS] = np.mean([[f.predict(unseen, raw_score=True) for f in forest] for forest in forests], axis=0).T

    # Networks, on the same folds.
    text = (HERE / "model.toml").read_text()
    log = out / "folds.csv"
    write(log, [*head, "fold"], np.concatenate([rows, fold[:, None].astype(str).astype(object)], axis=1))
    networks = np.zeros((len(rows), len(LABELS)))
    for k in range(FOLDS):
        logits = logit(network(k, text, log, out))
        networks[fold == k] = logits[fold == k]
        networks[fold >= FOLDS] += logits[fold >= FOLDS] / FOLDS

    both = (networks + trees) / 2
    for t, task in enumerate(LABELS):
        for what, scores in ("networks", networks), ("trees", trees), ("both", both):
            of_real, of_held = auc(labels[:, t], scores[fold < FOLDS, t]), auc(held_labels[:, t], scores[fold == HELD_FOLD, t])
            print(f"{task:14} {what:9} out of fold {of_real:.5f}, held {of_held:.5f}", flush=True)

    # Made-up rows come first, so that the rows which calibrate the file, the last ones, are real. Their labels, which nothing
    # learns, fall as the teacher says.
    probability = 1 / (1 + np.exp(-both))
    falls = random.random((MADE, len(LABELS))) < probability[:MADE]
    for t, (column, positive) in enumerate(LABELS.values()):
        rows[:MADE, head.index(column)] = np.where(falls[:, t], positive, ("- 50000", "Divorced")[t])
    probability[fold < FOLDS] = (probability[fold < FOLDS] + labels) / 2
    teacher = np.array([[repr(float(p)) for p in row] for row in probability], dtype=object)
    teacher[fold == HELD_FOLD] = ""
    table = np.concatenate([rows, teacher], axis=1)
    names = [*head, *(f"teacher_{task}" for task in LABELS)]
    write(taught / "train.csv", names, table[fold != HELD_FOLD])
    write(taught / "valid.csv", names, table[fold == HELD_FOLD])

    student = re.sub(r'\[\[task\]\]\nname = "(\w+)"\n', r'\g<0>teacher = { column = "teacher_\1", weight = 1.0 }\n', text)
    for old, new in STUDENT.items():
        assert student.count(old) == 1, old
        student = student.replace(old, new)
    (out / "student.toml").write_text(student.replace('.csv.gz"', '.csv"'))
    (out / "experiment.toml").write_text(f'base = "student.toml"\nseeds = {seeds}\n\n[[variant]]\nname = "distilled"\n')
    sys.stdout.buffer.write(pocketrank("compare", out / "experiment.toml", "--data", taught, "--out", out / "compare"))


if __name__ == "__main__":
    main()
