"""What can go wrong: one exception, and the library's statuses."""

from __future__ import annotations

from enum import IntEnum

NOWHERE = 4294967295
"""An index that does not apply (`PKR_NOWHERE`)."""


class Status(IntEnum):
    """Outcome of a call. Numbers come in blocks of a hundred, are never reused, and may be logged; the header explains each."""

    OK = 0

    # Arguments.
    NULL_POINTER = 101
    MISALIGNED = 102
    STRUCT_SIZE = 103
    BUFFER_TOO_SMALL = 104
    OVERLAP = 105
    STALE = 106
    LENGTH_OVERFLOW = 107
    BAD_OPTION = 108
    ISA_UNAVAILABLE = 109

    # The envelope of a file.
    TRUNCATED = 201
    BAD_MAGIC = 202
    UNSUPPORTED_VERSION = 203
    BAD_LENGTH = 204
    BAD_DIGEST = 205
    BAD_SHA256 = 206
    BAD_RESERVED = 207

    # Its records.
    BAD_DIRECTORY = 301
    MISSING_SECTION = 302
    UNKNOWN_SECTION = 303
    BAD_RECORD = 304
    NOT_CANONICAL = 305
    OVER_LIMIT = 306
    INCONSISTENT = 307
    BAD_NUMBER = 308

    # Its tensors.
    BAD_SHAPE = 401
    BAD_PADDING = 402
    BYTE_OUT_OF_RANGE = 403
    BAD_SCALE = 404
    BAD_VOCABULARY = 405

    # A request.
    CANDIDATE_COUNT = 501
    UNKNOWN_FEATURE = 502
    WRONG_FORM = 503
    COLUMN_LENGTH = 504
    BAD_OFFSETS = 505
    MISSING_VALUE = 506
    NOT_FINITE = 507
    UNKNOWN_ID = 508
    BAD_WEIGHT = 509
    UNKNOWN_TASK = 510
    VECTOR_BYTE = 511
    STALE_SUMS = 512
    BAD_INDEX = 513
    BAD_RULE = 514

    # A user's state.
    STATE_LAYOUT = 601
    STATE_CORRUPT = 602
    UNKNOWN_LABEL = 603
    BAD_TIME = 604

    # A formula.
    FORMULA_INPUT = 701
    FORMULA_CODE = 702
    FORMULA_COST = 703
    FORMULA_RANGE = 704
    FORMULA_MODEL = 705
    FORMULA_SCORES = 706


class PocketrankError(Exception):
    """Every error of this package: from the library, or from arrays that do not fit before the library sees them.

    On any error of a request keep the order that the server sent.
    """

    status: int
    """A `Status`; a plain number for one that this version of the package does not know."""
    feature: int | None
    """Index of the feature; for `Status.BAD_RULE` a `RulePart`."""
    candidate: int | None
    """Index of the candidate, or of the element of a rule."""
    offset: int | None
    """Byte of the model file, or the bytes or elements that would have been enough."""

    def __init__(
        self,
        status: int,
        message: str,
        feature: int | None = None,
        candidate: int | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = Status(status) if status in _KNOWN else status
        self.feature = feature
        self.candidate = candidate
        self.offset = offset

    def __reduce__(self) -> tuple[type[PocketrankError], tuple[object, ...]]:
        # Errors travel from workers to the driver with their place.
        return type(self), (self.status, self.args[0], self.feature, self.candidate, self.offset)


_KNOWN = frozenset(Status)
