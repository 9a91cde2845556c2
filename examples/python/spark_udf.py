"""Scores a log on Spark, and holds every score against the same log scored without it: the same bits.

python spark_udf.py MODEL.pkr LOG.csv [--join TABLE.csv KEY]...

Needs pyspark, pandas, pyarrow and Java 17. `applyInPandas` hands a worker all rows of a request; the model travels with
the function: one that was opened from bytes is pickled as them, and each worker opens it once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketrank import Model


def scorer(model: Model) -> Any:
    """What workers run: rows of one group in, their row numbers and scores out."""

    def score(rows: pd.DataFrame) -> pd.DataFrame:
        # Spark does not keep the order of rows, and equal scores are ordered by index.
        rows = rows.sort_values("row", ignore_index=True)
        scored = model.score_frame(rows, request_column="request_id", time_column="time", on_error="keep")
        out: pd.DataFrame = pd.concat([rows[["row"]], scored.astype({"rank": np.int32})], axis=1)
        return out

    return score


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("log", type=Path)
    p.add_argument("--join", nargs=2, action="append", default=[], metavar=("TABLE", "KEY"))
    a = p.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need the same packages
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    model = Model(a.model.read_bytes())
    log = pd.read_csv(a.log)
    for table, key in a.join:
        log = log.merge(pd.read_csv(table), on=key, how="left", validate="many_to_one")
    used = {f.name for f in model.features} | {"request_id", "time"}
    log = log[[c for c in log.columns if c in used]].assign(row=np.arange(len(log)))

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "8")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    columns = ["row long", "fused float", "rank int", *(f"`score_{t.name}` float" for t in model.tasks)]
    # Groups of requests rather than single ones: a call for each of thousands of rows, not of forty.
    grouped = spark.createDataFrame(log).groupBy(F.pmod(F.hash("request_id"), F.lit(64)))
    on_spark = grouped.applyInPandas(scorer(model), schema=", ".join(columns)).toPandas().sort_values("row", ignore_index=True)
    spark.stop()

    plain = model.score_frame(log, request_column="request_id", time_column="time")
    differing = [
        c
        for c in plain.columns
        if not np.array_equal(on_spark[c].to_numpy().view(np.uint32), plain[c].to_numpy().view(np.uint32))
    ]
    print(f"{len(on_spark)} rows of {log['request_id'].nunique()} requests on Spark, {len(plain.columns)} columns")
    if differing or len(on_spark) != len(plain):
        sys.exit(f"other bits than without Spark: {', '.join(differing) or 'rows are missing'}")
    print("the bits of the same log without Spark")


if __name__ == "__main__":
    main()
