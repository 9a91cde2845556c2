"""Frames are their requests one by one, whatever pandas keeps the values in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_misuse import refused

from pocketrank import (
    Event,
    Feature,
    FeatureKind,
    IdType,
    Model,
    PocketrankError,
    Ranker,
    Request,
    Side,
    Status,
    UserState,
    convert,
    texts,
)
from pocketrank.frames import score_frame

SEEDS = (2, 4, 9, 13, 30, 104)


def some_value(feature: Feature, chance: np.random.Generator) -> Any:
    """A value of a feature as a log would have it, sometimes missing."""
    if chance.random() < 0.1:
        return None
    one = (lambda: f"w{chance.integers(30)}") if feature.id_type == IdType.TEXT else (lambda: int(chance.integers(-3, 60)))
    if feature.kind == FeatureKind.ID:
        return one()
    if feature.kind == FeatureKind.IDS:
        return [one() for _ in range(chance.integers(0, 6))]
    if feature.kind == FeatureKind.VECTOR:
        return bytes(chance.integers(0, 128, feature.dim).tolist())
    return float(np.float32(chance.normal(20, 10)))


def some_frame(model: Model, seed: int, num_requests: int = 12) -> pd.DataFrame:
    """Requests whose rows stand among each other."""
    chance = np.random.default_rng(seed)
    sent = [f for f in model.features if not f.derived]
    rows = []
    for number in range(num_requests):
        user = {f.name: some_value(f, chance) for f in sent if f.side == Side.USER}
        state = UserState(model)
        if model.labels:
            state.apply(Event(0, 1000, 1.0))
        for _ in range(chance.integers(1, 30)):
            item = {f.name: some_value(f, chance) for f in sent if f.side != Side.USER}
            past = bytes(state) if number % 2 else None
            rows.append({"request": f"r{number}", "at": 1000 + 60 * number, "past": past, **user, **item})
    frame = pd.DataFrame(rows)
    for f in sent:  # vectors have no missing values
        if f.kind == FeatureKind.VECTOR:
            frame[f.name] = [bytes(f.dim) if v is None else v for v in frame[f.name].astype(object)]
    return frame.iloc[chance.permutation(len(frame))]


def one_by_one(model: Model, frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """What `score_frame` says it does, in the plainest way."""
    out = pd.DataFrame(index=frame.index, columns=["fused", "rank", *(f"score_{t.name}" for t in model.tasks)])
    with Ranker(model) as ranker:
        for _, rows in frame.groupby("request", sort=False):
            request = Request(model, len(rows), time=int(rows["at"].iloc[0]))
            request.state = rows["past"].iloc[0]
            for f in model.features:
                if not f.derived:
                    values = rows[f.name].tolist()
                    request[f.index] = convert(f, values[:1] if f.side == Side.USER else values)
            for name, value in options.items():
                setattr(request, name, value)
            ranking = ranker.rank(request)
            out.loc[rows.index, "fused"] = ranking.fused
            out.loc[rows.index[ranking.order], "rank"] = np.arange(len(rows))
            for t in model.tasks:
                out.loc[rows.index, f"score_{t.name}"] = ranking.scores[:, t.index]  # type: ignore[index]
    return out.astype({"rank": np.uint32, **{c: np.float32 for c in out.columns if c != "rank"}})


def bits(frame: pd.DataFrame) -> list[bytes]:
    return [np.ascontiguousarray(frame[c].to_numpy()).tobytes() for c in frame.columns]


@pytest.fixture(params=SEEDS)
def golden(work: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    with Model.open(work / f"goldens/{request.param}.pkr") as opened:
        yield opened


def test_a_frame_is_its_requests(golden: Model) -> None:
    frame = some_frame(golden, 1)
    if golden.state_bytes == 0:
        frame["past"] = None
    options = {"request_column": "request", "time_column": "at", "state_column": "past"}
    scored = golden.score_frame(frame, **options)  # type: ignore[arg-type]
    plain = one_by_one(golden, frame)
    assert list(scored.columns) == list(plain.columns) and scored.index.equals(frame.index)
    assert bits(scored) == bits(plain)
    assert scored.attrs["requests"] == 12 and scored.attrs["failed"] == 0 and scored.attrs["missing"] > 0
    # The same rows in their requests' order, in extension types, under other names, with datetimes.
    together = frame.sort_values("request", kind="stable")
    assert bits(golden.score_frame(together, **options).loc[frame.index]) == bits(scored)  # type: ignore[arg-type]
    other = frame.convert_dtypes().rename(columns=lambda c: c if c == "request" else f"my_{c}")
    other["my_at"] = pd.to_datetime(frame["at"], unit="s")
    names = {f.name: f"my_{f.name}" for f in golden.features if not f.derived}
    again = golden.score_frame(other, request_column="request", time_column="my_at", state_column="my_past", columns=names)
    assert bits(again) == bits(scored)


def test_options_are_those_of_requests(model: Model) -> None:
    frame = some_frame(model, 3, 4)
    weights = np.float32([1, 0, 0, 0, 0])
    scored = score_frame(
        model, frame, request_column="request", time_column="at", state_column="past", max_candidates=2, weights=weights
    )
    assert bits(scored) == bits(one_by_one(model, frame, max_candidates=2, weights=weights))
    assert np.isneginf(scored["fused"]).any()
    with pytest.raises(TypeError, match="only"):
        score_frame(model, frame, request_column="request", only=[1])


def test_arrow_columns_have_the_same_values(model: Model) -> None:
    pa = pytest.importorskip("pyarrow")
    frame = some_frame(model, 5)
    options = {"request_column": "request", "time_column": "at", "state_column": "past"}
    scored = score_frame(model, frame, **options)  # type: ignore[arg-type]
    vectors = [f.name for f in model.features if f.kind == FeatureKind.VECTOR and f.name in frame]
    arrow = frame.drop(columns=vectors)
    arrow["past"] = frame["past"].astype(pd.ArrowDtype(pa.binary()))
    for f in model.features:
        if f.name in arrow:
            of_one = pa.string() if f.id_type == IdType.TEXT else pa.float32() if f.kind == FeatureKind.NUMBER else pa.int64()
            kind = pa.list_(of_one) if f.kind == FeatureKind.IDS else of_one
            plain = [None if isinstance(v, float) and v != v else v for v in frame[f.name].tolist()]
            plain = [int(v) if kind == pa.int64() and v is not None else v for v in plain]
            array = pa.array(plain, kind)
            arrow[f.name] = pd.Series(pd.arrays.ArrowExtensionArray(array), index=frame.index)
            assert len(convert(f, array)) == len(frame)
            ours, theirs = convert(f, frame[f.name]), convert(f, pa.chunked_array([array[:5], array[5:]]))
            assert ours.values.tobytes() == theirs.values.tobytes()
    arrow[vectors] = frame[vectors]
    assert bits(score_frame(model, arrow, **options)) == bits(scored)  # type: ignore[arg-type]


def test_frames_that_are_refused_say_where(model: Model) -> None:
    frame = some_frame(model, 7, 3).reset_index(drop=True)

    def score(f: pd.DataFrame, **options: Any) -> Any:
        return lambda: score_frame(model, f, **{"request_column": "request", **options})

    refused(Status.UNKNOWN_FEATURE, score(frame, time_column="when"), "no column 'when'")
    refused(Status.UNKNOWN_FEATURE, score(frame, columns={"colour": "item"}), "colour")
    refused(Status.UNKNOWN_FEATURE, score(frame, columns={"item": "thing"}), "no column 'thing'")
    refused(Status.WRONG_FORM, score(frame, columns={"clicks": "at"}), "clicks is derived")
    refused(Status.WRONG_FORM, score(frame.assign(length="long")), "length", "value 0", "'long'")
    refused(Status.COLUMN_LENGTH, score(frame.assign(age=np.arange(len(frame)))), "age is the user's", "row 1")
    refused(Status.COLUMN_LENGTH, score(frame.assign(at=np.arange(len(frame))), time_column="at"), "at is the user's")
    refused(Status.BAD_TIME, score(frame.assign(at=np.nan), time_column="at"), "row 0 has no time")
    refused(Status.MISSING_VALUE, score(frame.assign(request=None)), "row 0 says no request")
    refused(Status.BAD_OPTION, score(frame, on_error="ignore"))
    other = [bytes([row % 2]) for row in range(len(frame))]
    refused(Status.COLUMN_LENGTH, score(frame.assign(past=other), state_column="past"), "past is the user's")
    error = refused(Status.STATE_LAYOUT, score(frame.assign(past=bytes(model.state_bytes)), state_column="past"), "request 'r")
    assert isinstance(error.__cause__, PocketrankError)


def test_requests_that_fail_may_keep_their_order(model: Model) -> None:
    frame = some_frame(model, 8, 3).sort_values("request").reset_index(drop=True)
    bad = frame["request"] == "r1"
    frame["past"] = [bytes(3) if b else None for b in bad]
    kept = score_frame(model, frame, request_column="request", time_column="at", state_column="past", on_error="keep")
    assert kept.attrs["failed"] == 1 and kept["fused"].isna().equals(bad)
    assert kept["rank"][bad].tolist() == list(range(bad.sum()))
    alone = score_frame(model, frame[~bad], request_column="request", time_column="at")
    assert bits(kept[~bad]) == bits(alone)


def test_an_empty_frame(model: Model) -> None:
    scored = score_frame(model, some_frame(model, 9, 1).iloc[:0], request_column="request")
    assert len(scored) == 0 and scored.attrs["requests"] == 0 and "score_click" in scored


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1))))
@settings(deadline=None, derandomize=True, database=None)
def test_ids_are_their_two_s_complement(values: list[int | None]) -> None:
    feature = Feature(0, "f", Side.ITEM, FeatureKind.ID, IdType.INT, False, 1, False, 1, 1)
    expected = [2**64 - 1 if v is None else v % 2**64 for v in values]
    assert convert(feature, values).values.tolist() == expected
    assert convert(feature, pd.Series(values, dtype=object)).values.tolist() == expected
    if all(v is not None and v < 2**63 for v in values):
        array = np.array(values, np.int64)
        column = convert(feature, array)
        assert column.values.tolist() == expected and (not values or np.shares_memory(column.values, array))


@given(st.lists(st.one_of(st.none(), st.text())))
@settings(deadline=None, derandomize=True, database=None)
def test_texts_are_their_utf8(values: list[str | None]) -> None:
    column = texts(values)
    assert column.offsets is not None and len(column) == len(values)
    cut = [column.values[a:b].tobytes().decode() for a, b in zip(column.offsets, column.offsets[1:], strict=False)]
    assert cut == [v or "" for v in values]
    as_series = pd.Series(values, dtype="string")
    feature = Feature(0, "f", Side.ITEM, FeatureKind.ID, IdType.TEXT, False, 1, False, 1, 1)
    assert convert(feature, as_series).values.tobytes() == column.values.tobytes()


@given(st.lists(st.one_of(st.none(), st.floats(width=32))))
@settings(deadline=None, derandomize=True, database=None)
def test_numbers_are_floats_of_32_bits(values: list[float | None]) -> None:
    feature = Feature(0, "f", Side.ITEM, FeatureKind.NUMBER, IdType.NONE, False, 1, False, 1, 0)
    expected = np.array([np.nan if v is None else v for v in values], np.float32)
    for given_ in (values, pd.Series(values, dtype=object), pd.Series(values, dtype="Float32"), expected):
        column = convert(feature, given_)
        assert np.array_equal(column.values, expected, equal_nan=True)
    assert convert(feature, expected).values is expected


def test_weights_of_lists(model: Model) -> None:
    feature = next((f for f in model.features if f.weighted), None)
    if feature is None:
        feature = Feature(0, "f", Side.ITEM, FeatureKind.IDS, IdType.INT, False, 5, True, 1, 1)
    column = convert(feature, [[1, 2], None, [3]], [[0.5, 1.0], None, [0.25]])
    assert column.weights is not None and column.weights.tolist() == [0.5, 1.0, 0.25]
    assert column.list_offsets is not None and column.list_offsets.tolist() == [0, 2, 2, 3]
    refused(Status.COLUMN_LENGTH, lambda: convert(feature, [[1, 2]], [[0.5]]), "1, but the lists have 2")
