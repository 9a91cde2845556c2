"""One request: columns by feature, and what else a call may be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ctypes import addressof
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._abi import NO_SLOT, STRICT, pkr_column, pkr_error_detail, pkr_request
from ._memory import F32, U32, U32_MAX, Array, Gate, Pass, address, exactly, fail, octets, unsigned
from .columns import MISSING, Column, Form, of_array
from .conversion import convert
from .errors import PocketrankError, Status
from .formula import Formula
from .information import Side
from .state import UserState, _time

if TYPE_CHECKING:
    from .model import Model

NO_SLOT_OF_SUMS = np.uint32(NO_SLOT)
"""In the slots of item sums: a candidate whose sums were not kept."""


class Request:
    """What is asked of a model: columns, and options.

        request = Request(model, 200, time=now)
        request["topic"] = topics          # an int64 or uint64 array of 200
        request["age"] = numpy.float32([31])

    Arrays are borrowed. For the next screen write into the same arrays, or set others; nothing else is made anew.
    A feature without a column is missing. Not for two threads at once while one changes it: `Status.OVERLAP`.
    """

    def __init__(
        self,
        model: Model,
        num_candidates: int,
        *,
        time: int = 0,
        max_candidates: int = 0,
        strict: bool = False,
        columns: Mapping[str | int, Any] | None = None,
    ) -> None:
        self.model = model
        self._gate = Gate("request", advice="a request that is being ranked cannot be changed")
        self._columns = (pkr_column * len(model.features))(*(pkr_column() for _ in model.features))
        self._content = pkr_request(columns=addressof(self._columns), num_columns=len(model.features))
        self._kept: dict[object, Any] = {}
        self.num_candidates = num_candidates
        self.time = time
        self.max_candidates = max_candidates
        self.strict = strict
        for key, values in (columns or {}).items():
            self[key] = values

    # Columns.

    def __setitem__(self, key: str | int, values: Any) -> None:
        """Sets a column: a `Column`; an array of the feature's type, borrowed; or a list, a Series, ... that `convert` takes."""
        feature = self.model.feature(key)
        if values is None:
            column = MISSING
        elif isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
            try:
                column = of_array(values)
            except PocketrankError as error:
                raise PocketrankError(error.status, f"{feature.name}: {error.args[0]}", feature.index) from None
        else:
            column = convert(feature, values)
        self.set_part(feature.index, column)

    def set_part(self, index: int, column: Column, start: int = 0, count: int | None = None) -> None:
        """Sets column `index` to `count` values of `column` from `start` on: one of many requests whose rows lie in one array."""
        if count is not None and not 0 <= start <= start + count <= len(column):
            raise PocketrankError(Status.COLUMN_LENGTH, f"values {start} to {start + count} of {len(column)}", index)
        with self._gate.writing():
            column.write(self._columns[index], start, count)
            self._kept[index] = column

    def __getitem__(self, key: str | int) -> Column | None:
        """The column that was set."""
        column: Column | None = self._kept.get(self.model.feature(key).index)
        return column

    def __delitem__(self, key: str | int) -> None:
        """Makes a column missing."""
        self[key] = None

    # Options.

    @property
    def num_candidates(self) -> int:
        """Candidates, 1 to what the ranker was made for."""
        count: int = self._content.num_candidates
        return count

    @num_candidates.setter
    def num_candidates(self, count: int) -> None:
        self._write(num_candidates=unsigned(count, U32_MAX, "num_candidates"))

    @property
    def max_candidates(self) -> int:
        """Candidates to score at most, a deadline turned into a count; 0: all. The others keep their order behind them."""
        count: int = self._content.max_candidates
        return count

    @max_candidates.setter
    def max_candidates(self, count: int) -> None:
        self._write(max_candidates=unsigned(count, U32_MAX, "max_candidates"))

    @property
    def time(self) -> int:
        """Unix seconds."""
        time: int = self._content.time
        return time

    @time.setter
    def time(self, time: int) -> None:
        self._write(time=_time(time))

    @property
    def strict(self) -> bool:
        """Whether missing, infinite and unknown values are errors rather than counted."""
        return bool(self._content.flags & STRICT)

    @strict.setter
    def strict(self, strict: bool) -> None:
        self._write(flags=STRICT if strict else 0)

    @property
    def state(self) -> UserState | bytes | Array | None:
        """The user's past: a `UserState`, which is read as it is then, or stored bytes; None: a user without one."""
        state: UserState | bytes | Array | None = self._kept.get("state")
        return state

    @state.setter
    def state(self, state: UserState | bytes | Array | None) -> None:
        content = state._content if isinstance(state, UserState) else None if state is None else octets(state, "state")
        if content is not None and content.size == 0:
            content = None
        self._point("state", content, keep=state, state_bytes=0 if content is None else content.size)

    @property
    def weights(self) -> Array | None:
        """Weights of the fusion's terms, or of its formula; None: those of the file."""
        return self._kept.get("weights")

    @weights.setter
    def weights(self, weights: NDArray[np.float32] | Sequence[float] | None) -> None:
        self._array("weights", weights, F32)

    @property
    def only(self) -> Array | None:
        """Candidates to score, by increasing index; None: all."""
        return self._kept.get("only")

    @only.setter
    def only(self, candidates: NDArray[np.uint32] | Sequence[int] | None) -> None:
        self._array("only", candidates, U32)

    @property
    def formula(self) -> Formula | None:
        """A formula in the place of the file's fusion."""
        return self._kept.get("formula")

    @formula.setter
    def formula(self, formula: Formula | None) -> None:
        with self._gate.writing():
            self._kept["formula"] = formula
            self._content.formula = None if formula is None else formula._handle

    def leave_out(self, features: Iterable[str | int]) -> None:
        """Ranks as if these features' columns were missing and the user had no past for them: what do they do to an order?"""
        self._array("without", [self.model.feature(f).index for f in features] or None, U32)

    def set_item_sums(self, sums: NDArray[np.uint8] | None, slots: NDArray[np.uint32] | None = None) -> None:
        """Kept sums of items, `[slots, Model.item_sums_bytes]` as `Ranker.item_sums` makes them; None: none.

        `slots` has the slot of each candidate, `NO_SLOT_OF_SUMS` where it is computed; without it candidate i has slot i.
        """
        content = None if sums is None else octets(sums, "item sums")
        self._point("item_sums", content, keep=content, item_sums_bytes=0 if content is None else content.size)
        self._array("item_slots", slots, U32)

    def _array(self, name: str, values: Any, dtype: np.dtype[Any]) -> None:
        if values is not None and not isinstance(values, np.ndarray):
            values = np.array([unsigned(v, U32_MAX, name) if dtype == U32 else v for v in values], dtype)
        content = None if values is None else exactly(values, dtype, name)
        self._point(name, content, keep=content, **{f"num_{name}": 0 if content is None else content.size})

    def _point(self, name: str, content: Array | None, *, keep: Any, **fields: int) -> None:
        with self._gate.writing():
            self._kept[name] = keep
            self._kept[name, "array"] = content  # which holds the buffer where it is
            setattr(self._content, name, None if content is None else address(content))
            for field, value in fields.items():
                setattr(self._content, field, value)

    def _write(self, **fields: int) -> None:
        with self._gate.writing():
            for field, value in fields.items():
                setattr(self._content, field, value)

    # For the calls.

    def _reading(self) -> Pass:
        """A `with` in which nobody changes the request or what it refers to."""
        return Pass(self._begin, self._end)

    def _begin(self) -> None:
        begun: list[Gate] = []
        try:
            for gate in self._gates():
                gate.begin_reading()
                begun.append(gate)
        except PocketrankError:
            for gate in begun:
                gate.end_reading()
            raise

    def _end(self) -> None:
        for gate in list(self._gates()):  # the same ones: nobody could change them
            gate.end_reading()

    def _gates(self) -> Iterator[Gate]:
        yield self._gate
        for key in ("state", "formula"):
            part = self._kept.get(key)
            if isinstance(part, (UserState, Formula)):
                yield part._gate

    def _failed(self, status: int, what: str, detail: pkr_error_detail) -> PocketrankError:
        """The error of a call with this request, in words."""
        error = fail(status, what, detail)
        if error.feature is None or error.feature >= len(self.model.features):
            return error
        feature = self.model.features[error.feature]
        message = f"{error.args[0]}: {feature.name}"
        column = self._kept.get(feature.index)
        if status == Status.COLUMN_LENGTH and isinstance(column, Column):
            expected = "1 (side user)" if feature.side == Side.USER else f"{self.num_candidates}"
            message += f" has {self._count(feature.index)} values; it must have {expected}"
        elif status == Status.WRONG_FORM:
            derived = "is derived: it takes no column" if feature.derived else f"is a {feature.kind.name.lower()}"
            message += f" {derived}" + (f" of {feature.id_type.name.lower()} ids" if feature.id_type else "")
        return PocketrankError(status, message, error.feature, error.candidate, error.offset)

    def _count(self, index: int) -> int:
        c = self._columns[index]
        lists = c.num_list_offsets or c.num_offsets
        count: int = lists - 1 if lists else c.count // (self.model.features[index].dim if c.form == Form.BYTES else 1)
        return count
