"""A model: opened once, shared by threads."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Mapping
from ctypes import byref, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._abi import lib, pkr_key, pkr_open_options, pkr_requirements
from ._memory import U64_MAX, Closing, address, block, check, constant, new_detail
from .errors import PocketrankError, Status
from .information import (
    Cpu,
    Feature,
    FeatureKind,
    FormulaText,
    KeyKind,
    Label,
    Task,
    Term,
    own_formula,
    perturbed,
    read_feature,
    read_formula,
    read_label,
    read_model,
    read_task,
    read_term,
    text_at,
)

if TYPE_CHECKING:
    import pandas as pd

    from .frames import Errors

Key = int | float | str | None
"""A value of a feature of one impression: an int or text for ids, a number for numbers, None where it is missing."""

T = TypeVar("T")


class Model(Closing):
    """An exported model. Immutable: any number of threads may use it at once, each with its own `Ranker`.

    `Model(data)` borrows bytes, a memoryview, an mmap or a uint8 array that is read-only; of a writable buffer it keeps a copy,
    since nobody may write to what a model reads. `Model.open(path)` maps the file, which must not be cut short while it is open.

    Pickling (Spark, Ray, multiprocessing): a model that came from a path is pickled as its absolute path and digest, one that
    came from bytes as its bytes; either is opened once a process, however often it is unpickled.

    Errors: 2xx to 4xx for the file, with the byte in `offset`; `Status.STALE` after `close`.
    """

    def __init__(self, data: object, *, cpu: Cpu = Cpu.AUTO) -> None:
        if isinstance(data, (str, os.PathLike)):
            raise PocketrankError(Status.WRONG_FORM, f"model: a path, {data!s}; it must be bytes: use Model.open(path)")
        self._source: Any = None
        self._open(data, cpu)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, cpu: Cpu = Cpu.AUTO) -> Model:
        """Opens a file, mapped rather than read."""
        with open(path, "rb") as file:
            empty = os.fstat(file.fileno()).st_size == 0  # which nothing can map
            data: object = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        model = cls.__new__(cls)
        model._source = Path(path).absolute()
        model._open(data, cpu)
        return model

    def _open(self, data: object, cpu: Cpu) -> None:
        content = constant(data, "model")
        need = pkr_requirements()
        check(lib.pkr_model_query(address(content), content.size, byref(need)), "model")
        memory = block(need.model_bytes)
        handle = c_void_p()
        detail, place = new_detail()
        status = lib.pkr_model_open(
            address(content),
            content.size,
            address(memory),
            memory.nbytes,
            byref(pkr_open_options(cpu=int(cpu))),
            byref(handle),
            place,
        )
        check(status, "model", detail)
        self._content = content
        self._cpu = Cpu(cpu)
        self._opened("model", handle, lib.pkr_model_close, memory, content)
        at = self._handle
        about = read_model(at)
        self.name: str = text_at(about.name, about.name_bytes)
        self.digest: int = about.digest
        """XXH3-64 of the file: names it."""
        self.isa: str = text_at(about.isa, about.isa_bytes)
        """The instruction set that runs, as "avx2"."""
        self.candidates_max: int = about.candidates_max
        self.state_bytes: int = about.state_bytes
        """Bytes of a user's state; 0: the model has no derived features."""
        self.item_sums_bytes: int = about.item_sums_bytes
        """Bytes of one item's kept sums; 0: the model has no item features."""
        self.num_bytes: int = content.size
        self.features: tuple[Feature, ...] = tuple(read_feature(at, i) for i in range(about.num_features))
        self.tasks: tuple[Task, ...] = tuple(read_task(at, i) for i in range(about.num_tasks))
        self.num_terms: int = about.num_terms
        """Addends of a fused score by the file's fusion, be it `terms` or a formula."""
        self.formula: FormulaText | None = own_formula(at)
        """The formula of the file, if its fusion is one rather than `terms`."""
        weighted = 0 if self.formula else about.num_terms
        self.terms: tuple[Term, ...] = tuple(read_term(at, i) for i in range(weighted))
        self.labels: tuple[Label, ...] = tuple(read_label(at, i) for i in range(about.num_labels))
        self._indices: dict[tuple[str, str], int] = {}

    # Names.

    def feature(self, key: str | int) -> Feature:
        """The feature of this name or index. Errors: `Status.UNKNOWN_FEATURE`."""
        return self._named("feature", lib.pkr_feature_index, self.features, key, Status.UNKNOWN_FEATURE)

    def task(self, key: str | int) -> Task:
        """The task of this name or index. Errors: `Status.UNKNOWN_TASK`."""
        return self._named("task", lib.pkr_task_index, self.tasks, key, Status.UNKNOWN_TASK)

    def term(self, key: str | int) -> Term:
        """The fusion term of this name or index. Errors: `Status.UNKNOWN_TASK`."""
        return self._named("term", lib.pkr_term_index, self.terms, key, Status.UNKNOWN_TASK)

    def label(self, key: str | int) -> Label:
        """The label of this name or index. Errors: `Status.UNKNOWN_LABEL`."""
        return self._named("label", lib.pkr_label_index, self.labels, key, Status.UNKNOWN_LABEL)

    def _named(self, what: str, find: Callable[..., int], among: tuple[T, ...], key: str | int, status: Status) -> T:
        if isinstance(key, str):
            index = self._indices.get((what, key))
            if index is None:
                encoded, found = key.encode(), c_uint32()
                with self._gate.reading():
                    outcome = find(self._handle, encoded, len(encoded), byref(found))
                if outcome != Status.OK:
                    names = ", ".join(getattr(x, "name", "") for x in among)
                    raise PocketrankError(outcome, f"the model has no {what} {key!r}, but {names or 'none'}")
                index = self._indices[what, key] = found.value
            return among[index]
        if not 0 <= key < len(among):
            raise PocketrankError(status, f"{what} {key}: the model has {len(among)}")
        return among[key]

    # What needs no ranker.

    def row_of(self, feature: str | int, value: Key) -> int:
        """Row of an id in the feature's table, for columns of rows (`columns.rows`); 0 for an unknown id.

        Errors: `Status.WRONG_FORM` for a feature without such ids, `Status.MISSING_VALUE`.
        """
        about, out = self.feature(feature), c_uint32()
        with self._gate.reading():
            check(lib.pkr_row_of(self._handle, byref(self._key(about, value)), byref(out)), f"row of {value!r} in {about.name}")
        return out.value

    def _key(self, feature: Feature, value: Key) -> pkr_key:
        """A value of one impression, as the library takes it."""
        made = pkr_key(feature=feature.index)
        if feature.kind == FeatureKind.NUMBER:
            made.kind = KeyKind.NUMBER
            made.number = float("nan") if value is None else _number(value, feature)
        elif isinstance(value, str):
            made.kind = KeyKind.TEXT
            encoded = value.encode()
            made.text, made.text_bytes = encoded, len(encoded)
        else:
            made.kind = KeyKind.ID
            made.id = U64_MAX if value is None else _id(value, feature)
        return made

    def perturb(self, seed: int, salt: int, sigma: float, weights: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Weights of the file's formula to try on one user: each times e^(sigma z), within its bounds.

        z is standard normal and follows from `seed` (the user), `salt` (the experiment) and the weight's name.
        Errors: `Status.UNKNOWN_TASK` for a file without a formula; `Status.BAD_WEIGHT` for sigma outside [0, 4].
        """
        with self._gate.reading():
            about = self.formula or read_formula(self._handle, None)
            return perturbed(self._handle, None, about, weights, (seed, salt, sigma))

    def score_frame(
        self,
        frame: pd.DataFrame,
        *,
        request_column: str,
        time_column: str | None = None,
        state_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        on_error: Errors = "raise",
        **request_options: Any,
    ) -> pd.DataFrame:
        """Scores a data frame whose rows are candidates; `frames.score_frame` says how."""
        from .frames import score_frame

        return score_frame(
            self,
            frame,
            request_column=request_column,
            time_column=time_column,
            state_column=state_column,
            columns=columns,
            on_error=on_error,
            **request_options,
        )

    def __repr__(self) -> str:
        life = "" if self.is_open else ", closed"
        return (
            f"<Model {self.name!r} {self.digest:016x}, {len(self.features)} features, {len(self.tasks)} tasks, {self.isa}{life}>"
        )

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[object, ...]]:
        if not self.is_open:
            raise PocketrankError(Status.STALE, "model is closed and cannot be pickled")
        return reopen, (self._source or self._content.tobytes(), int(self._cpu), self.digest)


_KEPT = 8
_reopened: dict[tuple[int, int], Model] = {}
_reopening = threading.Lock()


def reopen(source: Path | bytes, cpu: int, digest: int) -> Model:
    """What unpickling calls: the model that this process has opened already, or opens now and keeps (the last 8)."""
    with _reopening:
        model = _reopened.pop((digest, cpu), None)
        if model is None or not model.is_open:
            model = Model.open(source, cpu=Cpu(cpu)) if isinstance(source, Path) else Model(source, cpu=Cpu(cpu))
        if model.digest != digest:
            raise PocketrankError(
                Status.BAD_DIGEST, f"{source!s} has digest {model.digest:016x}; the model that was pickled has {digest:016x}"
            )
        _reopened[digest, cpu] = model
        while len(_reopened) > _KEPT:
            del _reopened[next(iter(_reopened))]
    return model


def _number(value: Key, feature: Feature) -> float:
    if isinstance(value, str) or value is None:
        raise PocketrankError(Status.WRONG_FORM, f"{feature.name}: {value!r}; it must be a number", feature.index)
    return float(value)


def _id(value: Key, feature: Feature) -> int:
    # Signed ids are what their two's complement says, as in training.
    if isinstance(value, float) or value is None or not -(2**63) <= int(value) <= U64_MAX:
        raise PocketrankError(
            Status.WRONG_FORM, f"{feature.name}: {value!r}; it must be a 64-bit integer or a text", feature.index
        )
    return int(value) & U64_MAX


def hash_text(text: str) -> int:
    """What columns of ids take for a text: XXH3-64 of its UTF-8. For logs that keep hashes instead of texts."""
    encoded, out = text.encode(), c_uint64()
    check(lib.pkr_hash_text(encoded, len(encoded), byref(out)), "text")
    return out.value


def library_version() -> str:
    """Version of the library, as "0.1.0"."""
    version: bytes = lib.pkr_version()
    return version.decode()


def abi_version() -> int:
    """Version of the library's C ABI."""
    version: int = lib.pkr_abi_version()
    return version
