"""Columns of a request: arrays as the library takes them, borrowed.

These functions check type and layout and copy nothing. What makes such arrays from Python objects, pandas Series and pyarrow
arrays is in `conversion`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ._abi import pkr_column
from ._memory import F32, I64, U8, U32, U32_MAX, U64, U64_MAX, Array, address, exactly
from .errors import PocketrankError, Status

MISSING_ID = np.uint64(U64_MAX)
"""The id of a value that is missing; -1 as a signed integer."""
MISSING_ROW = np.uint32(U32_MAX)
"""The row of a value that is missing."""


class Form(IntEnum):
    """What the values of a column are."""

    MISSING = 0
    IDS = 1
    """uint64; `MISSING_ID` is missing."""
    TEXT = 2
    """UTF-8, divided by `offsets`; an empty text is missing."""
    ROWS = 3
    """uint32 rows of the feature's table; `MISSING_ROW` is missing."""
    FLOATS = 4
    """float32; NaN is missing."""
    BYTES = 5
    """uint8, vectors of 0..127 on the model's grid."""


_DTYPES = {Form.MISSING: U8, Form.IDS: U64, Form.TEXT: U8, Form.ROWS: U32, Form.FLOATS: F32, Form.BYTES: U8}
_FORMS = {U64: Form.IDS, I64: Form.IDS, U32: Form.ROWS, F32: Form.FLOATS, U8: Form.BYTES}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one feature: one (or one list) for a feature of the user's side, one a candidate for all others.

    Arrays are borrowed: write new values into them and rank again. Errors: `Status.WRONG_FORM` for an array of another type,
    `Status.MISALIGNED` for one whose elements do not follow each other.
    """

    form: Form
    values: Array
    offsets: NDArray[np.uint32] | None = None
    """Of texts: the i-th is bytes `offsets[i]` to `offsets[i + 1]`."""
    list_offsets: NDArray[np.uint32] | None = None
    """Of lists: the i-th is ids `list_offsets[i]` to `list_offsets[i + 1]`."""
    weights: NDArray[np.float32] | None = None
    """Of lists: a weight in [0, 1] an id."""

    def __post_init__(self) -> None:
        name = self.form.name.lower()
        exactly(self.values, _DTYPES[self.form], name)
        for what, array, dtype in (
            ("offsets", self.offsets, U32),
            ("list offsets", self.list_offsets, U32),
            ("list weights", self.weights, F32),
        ):
            if array is not None and exactly(array, dtype, f"{what} of {name}").size == 0:
                raise PocketrankError(
                    Status.BAD_OFFSETS, f"{what} of {name} are empty; they must be one more than what they divide"
                )

    def __len__(self) -> int:
        """Values: lists, texts, ids, numbers, or vectors (bytes where the array has one dimension)."""
        offsets = self.list_offsets if self.list_offsets is not None else self.offsets
        return len(self.values) if offsets is None else len(offsets) - 1

    def write(self, to: pkr_column, start: int = 0, count: int | None = None) -> None:
        """Points a column of the library at `count` values from `start` on, all of them by default."""
        many = len(self) - start if count is None else count
        to.form, to.values, to.count = self.form, address(self.values), self.values.size
        to.offsets = to.list_offsets = to.weights = None
        to.num_offsets = to.num_list_offsets = to.num_weights = 0
        if self.offsets is not None:
            to.offsets, to.num_offsets = address(self.offsets), len(self.offsets)
        if self.weights is not None:
            to.weights, to.num_weights = address(self.weights), self.weights.size
        # Offsets may begin anywhere in the ids or bytes that they divide, so a part of them is a part of the column.
        if self.list_offsets is not None:
            to.list_offsets, to.num_list_offsets = address(self.list_offsets) + 4 * start, many + 1
        elif self.offsets is not None:
            to.offsets, to.num_offsets = to.offsets + 4 * start, many + 1
        else:
            width = self.values.size // max(len(self), 1)
            to.values, to.count = to.values + self.values.itemsize * width * start, width * many


MISSING = Column(Form.MISSING, np.zeros(0, np.uint8))
"""A column without values."""


def of_array(array: Array) -> Column:
    """A column that borrows an array: uint64 and int64 are ids, uint32 rows, float32 numbers, uint8 `[values, dim]` vectors."""
    form = _FORMS.get(array.dtype)
    if form is None:
        raise PocketrankError(
            Status.WRONG_FORM,
            f"an array of {array.dtype}; it must be of uint64 or int64 (ids), uint32 (rows), float32 (numbers), uint8 (vectors): "
            "use x.astype(...), or pocketrank.convert for anything else",
        )
    return Column(form, array.view(U64) if array.dtype == I64 else array)


def ids(values: NDArray[np.uint64] | NDArray[np.int64]) -> Column:
    """One integer id a value; `MISSING_ID`, or -1, is missing."""
    signed = isinstance(values, np.ndarray) and values.dtype == np.int64
    return Column(Form.IDS, exactly(values, I64, "ids").view(U64) if signed else values)


def rows(values: NDArray[np.uint32]) -> Column:
    """One row of the feature's table a value, as `Model.row_of` tells; `MISSING_ROW` is missing."""
    return Column(Form.ROWS, values)


def floats(values: NDArray[np.float32]) -> Column:
    """One number a value; NaN is missing."""
    return Column(Form.FLOATS, values)


def octet_rows(values: NDArray[np.uint8]) -> Column:
    """One vector a value, `[values, dim]` bytes 0..127 on the model's grid."""
    return Column(Form.BYTES, values)


def utf8(values: NDArray[np.uint8], offsets: NDArray[np.uint32]) -> Column:
    """One text id a value: the i-th is bytes `offsets[i]` to `offsets[i + 1]` of `values`; an empty one is missing."""
    return Column(Form.TEXT, values, offsets)


def in_lists(inner: Column, list_offsets: NDArray[np.uint32], weights: NDArray[np.float32] | None = None) -> Column:
    """Lists of the ids of `inner`: the i-th is `list_offsets[i]` to `list_offsets[i + 1]`, each id with a weight in [0, 1]."""
    return replace(inner, list_offsets=list_offsets, weights=weights)
