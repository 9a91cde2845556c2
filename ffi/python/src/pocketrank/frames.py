"""Scores data frames: rows are candidates, and a column says of which request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._memory import Array
from .columns import Column
from .conversion import convert, is_missing
from .errors import PocketrankError, Status
from .information import Feature, Side
from .model import Model
from .ranker import Ranker
from .request import Request

Errors = Literal["raise", "keep"]


def score_frame(
    model: Model,
    frame: pd.DataFrame,
    *,
    request_column: str,
    time_column: str | None = None,
    state_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    on_error: Errors = "raise",
    **request_options: Any,
) -> pd.DataFrame:
    """Scores every request of a frame; each is what `Ranker.rank` answers about its rows, in the order in which they stand.

    Rows of a request have one value in `request_column` and need not be neighbours. Features are read from columns of their
    names, or of the names that `columns` has for them (feature to column); a feature that has no column is missing. For a
    feature of the user's side, the time and the state all rows of a request must say the same.

    - `time_column`: Unix seconds, or datetimes (without a zone: UTC). Without it the time is 0, or the option `time`.
    - `state_column`: stored states (`bytes(UserState)`); missing for a user without a past.
    - `on_error`: "raise", naming the request, or "keep": its rows stay in their order, with NaN for scores.
    - `request_options`: `max_candidates`, `strict`, `time`, `weights`, `formula` of each `Request`.

    The result has the frame's index and `fused`; `rank`, from 0 within the request; and `score_TASK` for each task. Its `attrs`
    count `requests`, `failed`, `missing`, `not_finite`, `unknown_ids` and `cut_lists`. Numbers are converted to float32 once for
    the whole frame and requests point into that: frames of millions of rows are better scored in parts, cut between requests.
    """
    if on_error not in ("raise", "keep"):
        raise PocketrankError(Status.BAD_OPTION, f'on_error: {on_error!r}; it must be "raise" or "keep"')
    for column in (request_column, time_column, state_column, *(columns or {}).values()):
        if column is not None and column not in frame.columns:
            raise PocketrankError(
                Status.UNKNOWN_FEATURE, f"the frame has no column {column!r}, but {', '.join(map(str, frame.columns))}"
            )
    starts, order = _requests(frame[request_column])
    sorted_frame = frame if order is None else frame.iloc[order]
    sources = _columns(model, sorted_frame, columns or {}, starts)
    times = None if time_column is None else _times(sorted_frame[time_column], starts)
    states = None if state_column is None else _states(sorted_frame[state_column], starts)

    total = len(frame)
    fused, ranks = np.full(total, np.nan, np.float32), np.zeros(total, np.uint32)
    scores = np.full((total, len(model.tasks)), np.nan, np.float32)
    counts = dict.fromkeys(("requests", "failed", "missing", "not_finite", "unknown_ids", "cut_lists"), 0)
    largest = int(np.diff(starts).max(initial=1))
    with Ranker(model, min(largest, model.candidates_max)) as ranker:
        request = _request(model, request_options)
        for number, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
            counts["requests"] += 1
            try:
                request.num_candidates = end - start
                for feature, source in sources:
                    request.set_part(feature.index, source, start, 1 if feature.side == Side.USER else end - start)
                if times is not None:
                    request.time = int(times[number])
                if states is not None:
                    request.state = None if is_missing(states[number]) else states[number]
                ranking = ranker.rank(request)
            except PocketrankError as error:
                if on_error == "raise":
                    name = sorted_frame[request_column].iloc[start]
                    message = f"request {name!r}: {error.args[0]}"
                    raise PocketrankError(error.status, message, error.feature, error.candidate, error.offset) from error
                counts["failed"] += 1
                ranks[start:end] = np.arange(end - start)
                continue
            fused[start:end], scores[start:end] = ranking.fused, ranking.scores
            ranks[start + ranking.order] = np.arange(end - start)
            for name in ("missing", "not_finite", "unknown_ids", "cut_lists"):
                counts[name] += getattr(ranking, name)
    if order is not None:
        back = np.empty_like(order)
        back[order] = np.arange(total)
        fused, ranks, scores = fused[back], ranks[back], scores[back]
    named = {f"score_{task.name}": scores[:, task.index] for task in model.tasks}
    out: pd.DataFrame = pd.DataFrame({"fused": fused, "rank": ranks, **named}, index=frame.index)
    out.attrs.update(counts)
    return out


def _request(model: Model, options: Mapping[str, Any]) -> Request:
    request = Request(model, 1)
    for name, value in options.items():
        if name not in ("max_candidates", "strict", "time", "weights", "formula"):
            raise TypeError(f"score_frame() got an unexpected argument {name!r}")
        setattr(request, name, value)
    return request


def _requests(column: pd.Series[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Where each request starts, and the end; and the order of rows in which requests are together, None: they are."""
    codes: NDArray[np.int64] = pd.factorize(column)[0]  # by first appearance
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise PocketrankError(Status.MISSING_VALUE, f"{column.name}: row {row} says no request")
    order = None
    if len(codes) and (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
    changes = np.flatnonzero(np.diff(codes)) + 1
    ends = [len(codes)] if len(codes) else []
    return np.concatenate(([0], changes, ends)).astype(np.int64), order


def _columns(
    model: Model, frame: pd.DataFrame, names: Mapping[str, str], starts: NDArray[np.int64]
) -> list[tuple[Feature, Column]]:
    """Columns of the whole frame."""
    for name in names:
        if model.feature(name).derived:
            raise PocketrankError(Status.WRONG_FORM, f"{name} is derived: it takes no column", model.feature(name).index)
    made = []
    for feature in model.features:
        name = names.get(feature.name, feature.name)
        if feature.derived or name not in frame.columns:
            continue
        series = frame[name]
        if feature.side == Side.USER:
            _same(series, starts, feature.name)
        made.append((feature, convert(feature, series)))
    return made


def _same(series: pd.Series[Any], starts: NDArray[np.int64], what: str) -> None:
    """That all rows of a request say the same of the user."""
    plain = series
    if series.dtype == object or "pyarrow" in str(series.dtype):
        plain = series.map(
            lambda value: tuple(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else value
        )
    codes = pd.factorize(plain)[0]
    first = np.repeat(codes[starts[:-1]], np.diff(starts))
    bad = np.flatnonzero(codes != first)
    if bad.size:
        row: object = series.index.tolist()[int(bad[0])]
        raise PocketrankError(
            Status.COLUMN_LENGTH, f"{what} is the user's, but row {row!r} differs from the first of its request"
        )


def _states(series: pd.Series[Any], starts: NDArray[np.int64]) -> Array:
    _same(series, starts, str(series.name))
    return series.to_numpy()[starts[:-1]]


def _times(series: pd.Series[Any], starts: NDArray[np.int64]) -> Array:
    if not pd.api.types.is_numeric_dtype(series.dtype):
        moments = pd.to_datetime(series, utc=True)
        series = (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    if series.isna().any():
        raise PocketrankError(Status.BAD_TIME, f"{series.name}: row {int(series.isna().to_numpy().argmax())} has no time")
    _same(series, starts, str(series.name))
    return series.to_numpy(np.int64)[starts[:-1]]
