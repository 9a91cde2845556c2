"""What a model and a formula say of themselves."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ._abi import (
    lib,
    pkr_feature_information,
    pkr_formula_information,
    pkr_label_information,
    pkr_model_information,
    pkr_task_information,
    pkr_term_information,
    pkr_weight_information,
)
from ._memory import F32, U64_MAX, address, check, exactly, unsigned
from .errors import NOWHERE, PocketrankError, Status


class Cpu(IntEnum):
    """The instruction set to run. Scores are the same bits by each of them."""

    AUTO = 0
    """The best that the library can tell this CPU has."""
    PORTABLE = 1
    NEON_DOTPROD = 2
    """Only on an aarch64 that has dot products; elsewhere the process would end."""
    NEON_I8MM = 3
    """Only on an aarch64 that has products of matrices."""


class Side(IntEnum):
    """Whose a feature is: one value a request for the user's, one a candidate for all others."""

    USER = 0
    ITEM = 1
    CANDIDATE = 2
    CROSS = 3


class FeatureKind(IntEnum):
    """What a value of a feature is."""

    ID = 0
    IDS = 1
    NUMBER = 2
    VECTOR = 3


class IdType(IntEnum):
    """What ids of a feature are."""

    NONE = 0
    INT = 1
    TEXT = 2


class KeyKind(IntEnum):
    """What a key of an event is given as."""

    ID = 0
    TEXT = 1
    NUMBER = 2


class TaskKind(IntEnum):
    """What a score is: a probability, or a duration in the task's unit."""

    BINARY = 0
    DURATION = 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, and so one column of a request."""

    index: int
    name: str
    side: Side
    kind: FeatureKind
    id_type: IdType
    derived: bool
    """Computed from other features or the user's state: the app sends nothing."""
    max_len: int
    """Ids of a list that are used; later ones are dropped and counted. 1 for all but lists."""
    weighted: bool
    """Its lists take weights."""
    dim: int
    """Bytes of a vector, values of an embedding row; 1 for a number without buckets."""
    num_embeddings: int
    """Rows of its table, 0 without one."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task, and so one score of a candidate."""

    index: int
    name: str
    kind: TaskKind
    given: int | None
    """Index of the task that the score is conditional on; None: per impression."""
    unit: str


@dataclass(frozen=True, slots=True)
class Term:
    """One weighted term of a model's fusion."""

    index: int
    name: str
    task: int
    entire: bool
    """Uses the score per impression; False: the conditional one."""
    weight: float


@dataclass(frozen=True, slots=True)
class Label:
    """One label of past impressions that feeds the user's state."""

    index: int
    name: str
    log1p: bool
    """The state keeps ln(1 + value)."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One named weight of a formula."""

    index: int
    name: str
    value: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class FormulaText:
    """A formula: what it is made of and what it costs."""

    text: str
    weights: tuple[Weight, ...]
    terms: tuple[str, ...]
    """Text of each addend of the fused score: what `Ranking.terms` is about."""
    cost: int
    """What a candidate costs, in additions; at most 1,024."""


def text_at(at: int | None, num_bytes: int) -> str:
    """A copy of a text of the library's, which is not NUL-terminated."""
    return ctypes.string_at(at, num_bytes).decode() if at and num_bytes else ""


def read_model(model: int) -> pkr_model_information:
    about = pkr_model_information()
    check(lib.pkr_model_info(model, ctypes.byref(about)), "model")
    return about


def read_feature(model: int, index: int) -> Feature:
    a = pkr_feature_information()
    check(lib.pkr_feature_info(model, index, ctypes.byref(a)), f"feature {index}")
    return Feature(
        index,
        text_at(a.name, a.name_bytes),
        Side(a.side),
        FeatureKind(a.kind),
        IdType(a.id_type),
        bool(a.derived),
        a.max_len,
        bool(a.weighted),
        a.dim,
        a.num_embeddings,
    )


def read_task(model: int, index: int) -> Task:
    a = pkr_task_information()
    check(lib.pkr_task_info(model, index, ctypes.byref(a)), f"task {index}")
    given = None if a.given == NOWHERE else a.given
    return Task(index, text_at(a.name, a.name_bytes), TaskKind(a.kind), given, text_at(a.unit, a.unit_bytes))


def read_term(model: int, index: int) -> Term:
    a = pkr_term_information()
    check(lib.pkr_term_info(model, index, ctypes.byref(a)), f"term {index}")
    return Term(index, text_at(a.name, a.name_bytes), a.task, bool(a.entire), a.weight)


def read_label(model: int, index: int) -> Label:
    a = pkr_label_information()
    check(lib.pkr_label_info(model, index, ctypes.byref(a)), f"label {index}")
    return Label(index, text_at(a.name, a.name_bytes), bool(a.log1p))


def read_formula(model: int, formula: int | None) -> FormulaText:
    """Describes a formula; None is that of the model's file. `Status.UNKNOWN_TASK` for a file without one."""
    a = pkr_formula_information()
    check(lib.pkr_formula_info(model, formula, ctypes.byref(a)), "formula")
    weights = []
    for index in range(a.num_weights):
        w = pkr_weight_information()
        check(lib.pkr_weight_info(model, formula, index, ctypes.byref(w)), f"weight {index}")
        weights.append(Weight(index, text_at(w.name, w.name_bytes), w.value, w.least, w.most))
    terms = []
    for index in range(a.num_terms):
        text, num_bytes = ctypes.c_void_p(), ctypes.c_size_t()
        check(lib.pkr_term_text(model, formula, index, ctypes.byref(text), ctypes.byref(num_bytes)), f"term {index}")
        terms.append(text_at(text.value, num_bytes.value))
    return FormulaText(text_at(a.text, a.text_bytes), tuple(weights), tuple(terms), a.cost)


def own_formula(model: int) -> FormulaText | None:
    """That of the model's file; None if its fusion is terms."""
    try:
        return read_formula(model, None)
    except PocketrankError as error:
        if error.status in (Status.UNKNOWN_TASK, Status.BAD_OPTION):  # the latter: a library without formulas
            return None
        raise


def find_weight(model: int, formula: int | None, name: str) -> int:
    """Index of a formula's weight."""
    encoded, found = name.encode(), ctypes.c_uint32()
    check(lib.pkr_weight_index(model, formula, encoded, len(encoded), ctypes.byref(found)), f"weight {name!r}")
    return found.value


def perturbed(
    model: int, formula: int | None, about: FormulaText, weights: NDArray[np.float32] | None, chance: tuple[int, int, float]
) -> NDArray[np.float32]:
    """Weights to try on one user: `chance` is seed, salt and sigma."""
    seed, salt, sigma = unsigned(chance[0], U64_MAX, "seed"), unsigned(chance[1], U64_MAX, "salt"), chance[2]
    at, count = (None, 0) if weights is None else (address(exactly(weights, F32, "weights")), weights.size)
    out = np.empty(len(about.weights), np.float32)
    status = lib.pkr_weights_perturb(model, formula, at, count, seed, salt, sigma, address(out), out.size)
    check(status, f"perturbing {len(about.weights)} weights by sigma {sigma}")
    return out
