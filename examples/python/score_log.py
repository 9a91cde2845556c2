"""Scores a log with an exported model, in parts that end where requests end, and says how good its order is.

python score_log.py MODEL.pkr LOG OUT [--request request_id] [--time time] [--join TABLE KEY]... [--rows 200000]
                    [--label click [--where "policy == 'random'"]]

LOG, OUT and tables are .csv (or .csv.gz), or .parquet with pyarrow installed. Rows of a request stand together, as
`pocketrank simulate` writes them. OUT has a row for each of the log: its request, the fused score, the rank within the request, a
score of each task. With --label, NDCG of the model's order and of the log's own, over requests with at least one positive of
the rows that --where says: users click what stands on top, so only rows in random order tell which of the two is better.

Features of the user's past need the events in their order: sessions and `UserState` do that. Here users have none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketrank import Model

Frame = pd.DataFrame


def parts(path: Path, rows: int, request: str) -> Iterator[Frame]:
    """The log, some `rows` at a time; the last request of a part goes into the next, where it may go on."""
    kept: Frame | None = None
    for part in read(path, rows):
        whole = part if kept is None else pd.concat([kept, part], ignore_index=True)
        is_last = whole[request] == whole[request].iloc[-1]
        kept = whole[is_last]
        if not is_last.all():
            yield whole[~is_last]
    if kept is not None:
        yield kept


def read(path: Path, rows: int) -> Iterator[Frame]:
    if path.suffix != ".parquet":
        yield from pd.read_csv(path, chunksize=rows)
        return
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(rows):
        yield batch.to_pandas()


class Out:
    """A CSV or Parquet file that is written in parts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Any = None
        path.unlink(missing_ok=True)

    def write(self, part: Frame) -> None:
        if self.path.suffix != ".parquet":
            part.to_csv(self.path, mode="a", header=not self.path.exists(), index=False, float_format="%.9g")
            return
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pandas(part, preserve_index=False)
        self.writer = self.writer or pyarrow.parquet.ParquetWriter(self.path, table.schema)
        self.writer.write_table(table)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def ndcg(request: pd.Series[Any], rank: pd.Series[Any], label: pd.Series[Any]) -> tuple[float, int]:
    """Sum of the requests' NDCG (binary gains, discount 1 / log2(2 + rank)), and how many have a positive."""
    gain = label.fillna(0).clip(0, 1)
    best = gain.groupby(request).transform("sum") > gain.groupby(request).cumcount()  # as if the positives stood first
    discount = 1 / np.log2(2 + rank)
    ideal: Any = (best / np.log2(2 + gain.groupby(request).cumcount())).groupby(request).sum()
    real = (gain * discount).groupby(request).sum()
    has = ideal > 0
    return float((real[has] / ideal[has]).sum()), int(has.sum())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("log", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--request", default="request_id")
    p.add_argument("--time", default="time")
    p.add_argument("--join", nargs=2, action="append", default=[], metavar=("TABLE", "KEY"))
    p.add_argument("--label")
    p.add_argument("--where")
    p.add_argument("--rows", type=int, default=200_000)
    a = p.parse_args()
    tables = [(pd.concat(read(Path(path), 2**20)), key) for path, key in a.join]
    out, totals = Out(a.out), np.zeros(6)
    with Model.open(a.model) as model:
        for part in parts(a.log, a.rows, a.request):
            for table, key in tables:
                part = part.merge(table, on=key, how="left", validate="many_to_one")
            # On any error keep the order that the server sent: here the log's own.
            scored = model.score_frame(part, request_column=a.request, time_column=a.time, on_error="keep")
            out.write(pd.concat([part[[a.request]], scored], axis=1))
            totals[:2] += scored.attrs["requests"], scored.attrs["failed"]
            if a.label is not None:
                seen = part.assign(rank=scored["rank"], shown=part.groupby(a.request).cumcount())
                seen = seen if a.where is None else seen.query(a.where)
                totals[2:4] += ndcg(seen[a.request], seen["rank"], seen[a.label])
                totals[4:] += ndcg(seen[a.request], seen["shown"], seen[a.label])
    out.close()
    print(f"{totals[0]:.0f} requests scored, {totals[1]:.0f} kept the log's order")
    if a.label is not None:
        print(
            f"NDCG of {a.label} over {totals[3]:.0f} requests: model {totals[2] / totals[3]:.4f}, log {totals[4] / totals[5]:.4f}"
        )


if __name__ == "__main__":
    main()
