"""Memory that the library is handed, and who may use it when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ctypes import byref, c_void_p
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._abi import lib, pkr_error_detail
from .errors import NOWHERE, PocketrankError, Status

Array = NDArray[Any]

U32_MAX = 4294967295
U64_MAX = 18446744073709551615


def fail(status: int, what: str, detail: pkr_error_detail | None = None) -> PocketrankError:
    """The error of a call that answered `status`, with the place that `detail` names."""
    name = lib.pkr_status_name(status).decode()
    if detail is None or detail.status != status:
        return PocketrankError(status, f"{what}: {name} ({status})")
    feature = None if detail.feature == NOWHERE else int(detail.feature)
    candidate = None if detail.candidate == NOWHERE else int(detail.candidate)
    offset = None if detail.offset == U64_MAX else int(detail.offset)
    places = [
        f"{place} {at}" for place, at in (("feature", feature), ("candidate", candidate), ("offset", offset)) if at is not None
    ]
    return PocketrankError(status, f"{what}: {name} ({status})" + "".join(f", {p}" for p in places), feature, candidate, offset)


def check(status: int, what: str, detail: pkr_error_detail | None = None) -> None:
    """Raises the error of a call unless it is `Status.OK`."""
    if status != Status.OK:
        raise fail(status, what, detail)


def new_detail() -> tuple[pkr_error_detail, Any]:
    """A detail, and the pointer to it that a call takes."""
    detail = pkr_error_detail()
    return detail, byref(detail)


def block(num_bytes: int) -> Array:
    """Zeroed memory for a handle: `PKR_MEMORY_ALIGNMENT` is that of its elements."""
    return np.zeros((num_bytes + 7) // 8, np.uint64)


def address(array: Array) -> int:
    """Where the elements of an array are."""
    return array.ctypes.data


def unsigned(value: int, most: int, what: str) -> int:
    """An integer that fits: ctypes would cut it without a word."""
    number = int(value)
    if number != value or not 0 <= number <= most:
        raise PocketrankError(Status.BAD_OPTION, f"{what}: {value!r} is not an integer from 0 to {most}")
    return number


U8, I8, U32, I64, U64, F32 = (np.dtype(t) for t in (np.uint8, np.int8, np.uint32, np.int64, np.uint64, np.float32))


def exactly(array: object, dtype: np.dtype[Any], what: str, *, writable: bool = False) -> Array:
    """An array of this type whose elements follow each other, as it is: nothing is converted or copied in silence."""
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise PocketrankError(
            Status.WRONG_FORM, f"{what}: {kind}; it must be a numpy array of {dtype}: use numpy.asarray(x, {dtype.name!r})"
        )
    if array.dtype != dtype:
        raise PocketrankError(
            Status.WRONG_FORM, f"{what}: an array of {array.dtype}; it must be of {dtype}: use x.astype({dtype.name!r})"
        )
    flags = array.flags
    if not flags.c_contiguous or not flags.aligned:
        raise PocketrankError(
            Status.MISALIGNED,
            f"{what}: elements of an array of shape {array.shape}, strides {array.strides}, do not follow each other in memory; "
            "use numpy.ascontiguousarray(x)",
        )
    if writable and not flags.writeable:
        raise PocketrankError(Status.BAD_OPTION, f"{what}: the array is read-only; it must be writable")
    return array


def octets(data: object, what: str) -> Array:
    """The bytes of a `bytes`, `memoryview`, `mmap` or uint8 array, borrowed."""
    if isinstance(data, np.ndarray):
        return exactly(data, U8, what).reshape(-1)
    try:
        return np.frombuffer(data, np.uint8)  # type: ignore[call-overload, no-any-return, unused-ignore]
    except (TypeError, ValueError, BufferError) as error:
        if isinstance(data, (bytes, bytearray, memoryview)) and len(data) == 0:
            return np.zeros(0, np.uint8)
        raise PocketrankError(
            Status.WRONG_FORM, f"{what}: {type(data).__name__}; it must be bytes, or support the buffer protocol"
        ) from error


def constant(data: object, what: str) -> Array:
    """Bytes that nobody writes while the library reads them: borrowed, or of a writable buffer a copy."""
    content = octets(data, what)
    return octets(content.tobytes(), what) if content.flags.writeable else content


class Gate:
    """Lets many read, or one write, and nobody after closing; never waits but for a few instructions.

    The library trusts its caller in this, and ctypes releases the interpreter's lock during calls: without a gate two threads in
    one scratch would be undefined behaviour. With it the second one gets an error.
    """

    __slots__ = ("_advice", "_close", "_is_open", "_lock", "_readers", "_writing", "what")

    def __init__(self, what: str, close: Callable[[], None] | None = None, advice: str = "") -> None:
        self.what = what
        self._advice = advice
        self._close = close
        self._is_open = True
        self._lock = threading.Lock()
        self._readers = 0
        self._writing = False

    def reading(self) -> Pass:
        """A `with` in which nobody writes."""
        return Pass(self.begin_reading, self.end_reading)

    def writing(self) -> Pass:
        """A `with` in which nobody else reads or writes."""
        return Pass(self._begin_writing, self._end_writing)

    @property
    def is_open(self) -> bool:
        return self._is_open

    def close(self) -> None:
        """Ends what the gate is for, once the calls that run have ended; idempotent."""
        with self._lock:
            was_open, self._is_open = self._is_open, False
            idle = self._readers == 0 and not self._writing
        if was_open and idle:
            self._end()

    def _end(self) -> None:
        close, self._close = self._close, None
        if close is not None:
            close()

    def begin_reading(self) -> None:
        with self._lock:
            if not self._is_open or self._writing:
                raise self._refused()
            self._readers += 1

    def end_reading(self) -> None:
        with self._lock:
            self._readers -= 1
            last = self._readers == 0 and not self._is_open
        if last:
            self._end()

    def _begin_writing(self) -> None:
        with self._lock:
            if not self._is_open or self._writing or self._readers > 0:
                raise self._refused()
            self._writing = True

    def _end_writing(self) -> None:
        with self._lock:
            self._writing = False
            last = not self._is_open
        if last:
            self._end()

    def _refused(self) -> PocketrankError:
        if not self._is_open:
            return PocketrankError(Status.STALE, f"{self.what} is closed")
        return PocketrankError(Status.OVERLAP, f"{self.what} is in use by another thread; {self._advice}")


class Pass:
    """What a `with` needs of a gate. Made for each use: kept in its gate, the two would wait for the garbage collector."""

    __slots__ = ("_begin", "_end")

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()


Self = TypeVar("Self", bound="Closing")


class Closing:
    """A handle of the library, which ends by `close`, at the end of a `with`, or with its last reference."""

    _handle: int
    _gate: Gate

    def _opened(self, what: str, handle: c_void_p, close: Callable[[int], int], *memory: object, advice: str = "") -> None:
        """Begins its life: `close` is what ends the handle, and `memory`, which it lives in or borrows, lasts until then."""
        self._handle = handle.value or 0
        self._gate = Gate(what, partial(_release, close, self._handle, memory), advice)

    @property
    def is_open(self) -> bool:
        """False after `close`."""
        return self._gate.is_open

    def close(self) -> None:
        """Ends it: later uses raise `Status.STALE`, those that run in other threads end well. Idempotent."""
        self._gate.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_gate"):  # it was opened
            self._gate.close()


def _release(close: Callable[[int], int], handle: int, memory: tuple[object, ...]) -> None:
    # `memory` is named so that it lasts until here.
    close(handle)
