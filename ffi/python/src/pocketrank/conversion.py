"""Makes columns from Python lists, pandas Series, pyarrow arrays and numpy arrays of any type. Copies where it must.

Missing values are None, NaN and pandas.NA. Whole floats are ids too, as data frames write integers next to missing values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._memory import U8, U32_MAX, U64_MAX, Array, exactly
from .columns import MISSING_ID, Column, floats, ids, in_lists, octet_rows, utf8
from .errors import PocketrankError, Status
from .information import Feature, FeatureKind, IdType


def convert(feature: Feature, values: Any, weights: Any = None) -> Column:
    """A column of `feature`; `weights` are lists as long as those of a weighted feature.

    Errors: `Status.WRONG_FORM` with the feature, and the place and type of the first value that does not fit.
    """
    try:
        if isinstance(values, Column):
            return values
        if feature.kind == FeatureKind.IDS:
            return lists(values, weights)
        if feature.kind == FeatureKind.NUMBER:
            return floats(numbers(values))
        if feature.kind == FeatureKind.VECTOR:
            return octet_rows(vectors(values, feature.dim))
        return one_each(scalars(values), text=feature.id_type == IdType.TEXT)
    except PocketrankError as error:
        raise PocketrankError(error.status, f"{feature.name}: {error.args[0]}", feature.index, error.candidate) from None


def one_each(values: Array, *, text: bool) -> Column:
    """One id a value. For texts, an array of uint64 is what `hash_text` makes of them."""
    if text and values.dtype != np.uint64:
        return texts(values.tolist())
    return ids(integers(values))


def texts(values: Iterable[Any]) -> Column:
    """One text id a value; missing ones are empty."""
    encoded = [_utf8(value, at) for at, value in enumerate(values)]
    return utf8(np.frombuffer(b"".join(encoded) or b"\0", np.uint8), _offsets(map(len, encoded), len(encoded)))


def lists(values: Any, weights: Any = None) -> Column:
    """One list of ids, all integers or all texts, a value; a missing list is empty."""
    arrow = _arrow(values)
    if arrow is not None:
        lengths = arrow.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        flat = scalars(arrow.flatten())  # without what may lie behind a missing list
    else:
        parts = [() if is_missing(part) else part for part in values]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        flat = _joined(parts)
    is_text = flat.dtype == object and any(isinstance(value, str) for value in flat)
    inner = one_each(flat, text=is_text)
    offsets = _offsets(lengths, len(lengths))
    if weights is None:
        return in_lists(inner, offsets)
    of_ids = _joined([() if is_missing(part) else part for part in weights])
    if len(of_ids) != len(flat):
        raise PocketrankError(Status.COLUMN_LENGTH, f"list weights: {len(of_ids)}, but the lists have {len(flat)} ids")
    return in_lists(inner, offsets, numbers(of_ids))


def numbers(values: Any) -> NDArray[np.float32]:
    """Numbers as float32, NaN where they are missing; the same memory if they are that already."""
    array = scalars(values)
    if array.dtype == object:
        array = np.array([np.nan if is_missing(value) else _float(value, at) for at, value in enumerate(array)], np.float64)
    if array.dtype.kind not in "fiub":
        raise PocketrankError(Status.WRONG_FORM, f"an array of {array.dtype}; it must be of numbers")
    return np.ascontiguousarray(array, np.float32)


def integers(array: Array) -> NDArray[np.uint64]:
    """Ids in two's complement, `MISSING_ID` where they are missing; the same memory if they have 64 bits already."""
    if array.dtype.kind == "u":
        return np.ascontiguousarray(array, np.uint64)
    if array.dtype.kind == "i":
        return np.ascontiguousarray(array, np.int64).view(np.uint64)
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        whole = np.where(missing, 0, array)
        bad = np.flatnonzero((whole != np.floor(whole)) | (np.abs(whole) > 2.0**53))
        if bad.size:
            raise _unfit(int(bad[0]), array[bad[0]], "a whole number of at most 2^53")
        return np.where(missing, MISSING_ID, whole.astype(np.int64).view(np.uint64))
    return np.fromiter((_integer(value, at) for at, value in enumerate(array)), np.uint64, len(array))


def vectors(values: Any, dim: int) -> NDArray[np.uint8]:
    """Vectors of `dim` bytes 0..127, from an array `[values, dim]` of uint8 or a sequence of `bytes`, lists or arrays."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return exactly(values, U8, "vectors")
    out = np.zeros((len(values), dim), np.uint8)
    for at, value in enumerate(values):
        row = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
        if row.shape != (dim,) or row.dtype.kind not in "iu" or row.min() < 0 or row.max() > 127:
            raise _unfit(at, value, f"{dim} bytes of 0..127")
        out[at] = row
    return out


def scalars(values: Any) -> Array:
    """What holds one value each, as a numpy array: its own memory if it has such, else objects."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "null_count") and not hasattr(values, "dtype"):  # pyarrow
        plain = values.null_count == 0 and str(values.type) not in ("string", "large_string", "string_view")
        return values.to_numpy(zero_copy_only=False) if plain and not hasattr(values, "chunks") else _objects(values.to_pylist())
    dtype = getattr(values, "dtype", None)
    if dtype is None:
        return _objects(list(values))
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, np.dtype) or kind not in "iuf":
        return np.asarray(values.to_numpy())
    if kind == "f":
        return np.asarray(values.to_numpy(np.float64, na_value=np.nan))
    # pandas' nullable integers: a gap is NaN to numbers and the missing id to ids, so it stays an object until it is known.
    return np.asarray(values.to_numpy(object if values.hasnans else np.dtype(f"{kind}8")))


def _objects(values: list[Any]) -> Array:
    """An array of objects; numpy would make a matrix of lists."""
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _joined(parts: list[Any]) -> Array:
    """The elements of all parts."""
    if parts and all(isinstance(part, np.ndarray) and part.dtype.kind in "iuf" for part in parts):
        return np.concatenate(parts)
    return _objects([one for part in parts for one in part])


def _offsets(lengths: Iterable[int], count: int) -> NDArray[np.uint32]:
    ends = np.cumsum(np.fromiter(lengths, np.int64, count))
    if count and ends[-1] > U32_MAX:
        raise PocketrankError(
            Status.LENGTH_OVERFLOW, f"{ends[-1]} bytes or ids in one column; at most {U32_MAX}: use fewer rows at once"
        )
    return np.concatenate((np.zeros(1, np.uint32), ends.astype(np.uint32)))


def is_missing(value: Any) -> bool:
    """None, NaN and pandas.NA are."""
    pandas = sys.modules.get("pandas")  # whoever has a pandas.NA has imported it
    if value is None or (pandas is not None and value is pandas.NA):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def _utf8(value: Any, at: int) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if is_missing(value):
        return b""
    raise _unfit(at, value, "a text: use str(x)")


def _float(value: Any, at: int) -> float:
    if isinstance(value, (int, float, np.number, bool)):
        return float(value)
    raise _unfit(at, value, "a number")


def _integer(value: Any, at: int) -> int:
    if is_missing(value):
        return U64_MAX
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(float(value)) <= 2.0**53
    if is_whole or isinstance(value, (int, np.integer)):
        number = int(value)
        if -(2**63) <= number <= U64_MAX:
            return number & U64_MAX
    raise _unfit(at, value, "a 64-bit integer")


def _arrow(values: Any) -> Any:
    """The pyarrow array of lists in it, if there is one."""
    if hasattr(values, "combine_chunks"):
        values = values.combine_chunks()
    elif "pyarrow" in str(getattr(values, "dtype", "")):
        values = values.array.__arrow_array__()
        return _arrow(values)
    return values if hasattr(values, "value_lengths") else None


def _unfit(at: int, value: Any, right: str) -> PocketrankError:
    message = f"value {at} is {value!r} of type {type(value).__name__}; it must be {right}"
    return PocketrankError(Status.WRONG_FORM, message, candidate=at)
