"""Lists under rules: spacing, decay, diversity, pins, exploration. Needs no model: scores of a server do as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import byref, c_size_t
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._abi import NO_CANDIDATE as _NO_CANDIDATE
from ._abi import lib, pkr_decay, pkr_list, pkr_pin, pkr_rules, pkr_slot, pkr_spacing
from ._memory import F32, I8, I64, U32_MAX, U64, U64_MAX, Array, address, block, check, exactly, fail, new_detail, unsigned
from .errors import PocketrankError, Status

NO_KEY = np.uint64(U64_MAX)
"""A key that no other candidate shares; -1 as a signed integer, as `pandas.factorize` gives where a value is missing."""
NO_CANDIDATE = np.uint32(_NO_CANDIDATE)
"""The candidate of an empty slot."""
SLOT = np.dtype([(name, np.uint32 if name in ("candidate", "relaxed") else np.float32) for name, *_ in pkr_slot._fields_])
"""A slot: `candidate`; `relaxed`, bit i: spacing rule i is broken here; `score` that it was compared by; `propensity` given the
slots before; `boost` that was added to its fused score; `decay` and `similarity` to the slots before."""


class Diversity(IntEnum):
    """What candidates are compared by beside their score."""

    NONE = 0
    MMR = 1
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); `weight` is lambda, in [0, 1]."""
    DPP = 2
    """The greedy list of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018); `weight` is theta, in [0, 1024]."""


class Exploration(IntEnum):
    """What chance does."""

    NONE = 0
    EPSILON = 1
    """Any candidate that the rules allow with probability `epsilon`, else the best."""
    THOMPSON = 2
    """The best of draws: to each fused score a normal number of deviation `sigma` is added."""


class RulePart(IntEnum):
    """`PocketrankError.feature` of `Status.BAD_RULE`; `candidate` is the index of the element."""

    FACTORS = 0
    BONUSES = 1
    DECAYS = 2
    SPACINGS = 3
    PINS = 4
    BLOCKED = 5
    HIDDEN = 6
    DIVERSITY = 7
    EXPLORATION = 8


Keys = NDArray[np.uint64] | NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Spacing:
    """At most `max` candidates of one key in any `window` positions that follow each other (1 to 256)."""

    keys: Keys
    max: int
    window: int


@dataclass(frozen=True, slots=True, eq=False)
class Decay:
    """Behind n of a key the distance above the least score counts (1 - floor) * factor^n + floor of what it is."""

    keys: Keys
    factor: float
    floor: float = 0.0


@dataclass(slots=True, eq=False)
class Rules:
    """The rules of one list; none by default, and the order is that of `Ranker.rank`. Arrays have an element a candidate."""

    spacings: Sequence[Spacing] = ()
    """At most 8, the most important first: if they cannot all be kept, the last is given up first."""
    decays: Sequence[Decay] = ()
    """At most 4. Together they multiply."""
    pins: Mapping[int, int] = field(default_factory=dict)
    """Position to candidate, whatever the other rules are."""
    blocked: Sequence[int] = ()
    """Positions that stay empty, for what the app puts there."""
    hidden: Sequence[int] = ()
    """Candidates that get no position."""
    factors: NDArray[np.float32] | None = None
    """Within [0, 1024]: multiply the distance of a fused score above the least one."""
    bonuses: NDArray[np.float32] | None = None
    """Added after that, in units of fused scores."""
    diversity: Diversity = Diversity.NONE
    weight: float = 0.0
    vectors: NDArray[np.int8] | None = None
    """`[candidates, dim]` on one scale, as `Ranker.vectors` makes them; dim at most 256."""
    exploration: Exploration = Exploration.NONE
    epsilon: float = 0.0
    sigma: NDArray[np.float32] | None = None
    """Standard deviations of the fused scores."""
    seed: int = 0
    """Of chance: the same seed gives the same list."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedList:
    """A list, and what happened."""

    slots: NDArray[np.void]
    """A `SLOT` a position; `pandas.DataFrame(slots)` shows them."""
    placed: int
    """Slots with a candidate."""
    relaxed: int
    """All slots' `relaxed`."""
    kept: int
    """Spacing rules that are kept wherever no pin breaks them: so many from the first on."""
    steps: int
    """Looks that it took to keep them."""

    @property
    def candidates(self) -> NDArray[np.uint32]:
        """The candidate of each position, or `NO_CANDIDATE`."""
        return self.slots["candidate"]


def rerank(rules: Rules, fused: NDArray[np.float32], num_slots: int | None = None) -> RankedList:
    """Makes a list of `num_slots` positions (all candidates by default): the best by `fused` under `rules`.

    The same arguments give the same bits on every CPU; any number of threads. Candidates with a fused score of negative infinity
    come last. Errors: `Status.BAD_RULE` with a `RulePart` in `feature` and the element in `candidate`; `Status.NOT_FINITE`;
    `Status.CANDIDATE_COUNT` for more than 4,096 candidates or positions.
    """
    scores = exactly(fused, F32, "fused").reshape(-1)
    slots = np.zeros(scores.size if num_slots is None else unsigned(num_slots, U32_MAX, "num_slots"), SLOT)
    kept: list[Any] = []
    asked = _read(rules, kept)
    need = c_size_t()
    check(
        lib.pkr_rerank_bytes(scores.size, slots.size, asked.dim, byref(need)),
        f"a list of {slots.size} of {scores.size} candidates",
    )
    memory = block(need.value)
    made = pkr_list(slot_bytes=SLOT.itemsize, slots=address(slots), num_slots=slots.size)
    detail, place = new_detail()
    status = lib.pkr_rerank(byref(asked), address(scores), scores.size, address(memory), memory.nbytes, byref(made), place)
    if status == Status.BAD_RULE:
        error = fail(status, "rerank", detail)
        part = RulePart(error.feature or 0).name.lower()
        raise PocketrankError(status, f"rerank: {part}, element {error.candidate}: BAD_RULE", error.feature, error.candidate)
    check(status, "rerank", detail)
    del kept  # the rules' arrays had to last until here
    return RankedList(slots, made.placed, made.relaxed, made.kept, made.steps)


def _read(rules: Rules, kept: list[Any]) -> pkr_rules:
    """The rules as the library takes them; what they point to goes into `kept`."""
    r = pkr_rules(
        diversity=int(rules.diversity),
        weight=rules.weight,
        exploration=int(rules.exploration),
        epsilon=rules.epsilon,
        seed=unsigned(rules.seed, U64_MAX, "seed"),
    )
    r.factors, r.num_factors = _floats(rules.factors, "factors", kept)
    r.bonuses, r.num_bonuses = _floats(rules.bonuses, "bonuses", kept)
    r.sigma, r.num_sigma = _floats(rules.sigma, "sigma", kept)
    r.blocked, r.num_blocked = _indices(rules.blocked, "blocked", kept)
    r.hidden, r.num_hidden = _indices(rules.hidden, "hidden", kept)
    if rules.vectors is not None:
        vectors = exactly(rules.vectors, I8, "vectors")
        if vectors.ndim != 2:
            raise PocketrankError(Status.WRONG_FORM, f"vectors: an array of shape {vectors.shape}; it must be [candidates, dim]")
        r.vectors, r.num_vector_values, r.dim = address(vectors), vectors.size, vectors.shape[1]
        kept.append(vectors)
    spacings = [
        pkr_spacing(
            max=unsigned(s.max, U32_MAX, "max"), window=unsigned(s.window, U32_MAX, "window"), **_keys(s.keys, "spacing", kept)
        )
        for s in rules.spacings
    ]
    decays = [pkr_decay(factor=d.factor, floor=d.floor, **_keys(d.keys, "decay", kept)) for d in rules.decays]
    pins = [pkr_pin(unsigned(p, U32_MAX, "position"), unsigned(c, U32_MAX, "candidate")) for p, c in rules.pins.items()]
    r.spacings, r.num_spacings = (pkr_spacing * len(spacings))(*spacings), len(spacings)
    r.decays, r.num_decays = (pkr_decay * len(decays))(*decays), len(decays)
    r.pins, r.num_pins = (pkr_pin * len(pins))(*pins), len(pins)
    return r


def _keys(keys: Array, what: str, kept: list[Any]) -> dict[str, int]:
    signed = getattr(keys, "dtype", None) == I64
    array = exactly(keys, I64 if signed else U64, f"keys of a {what} (pandas.factorize makes them of anything)")
    kept.append(array)
    return {"keys": address(array), "num_keys": array.size}


def _floats(values: NDArray[np.float32] | None, what: str, kept: list[Any]) -> tuple[int | None, int]:
    if values is None:
        return None, 0
    kept.append(exactly(values, F32, what))
    return address(values), values.size


def _indices(values: Sequence[int], what: str, kept: list[Any]) -> tuple[int | None, int]:
    if len(values) == 0:
        return None, 0
    array = np.array([unsigned(value, U32_MAX, what) for value in values], np.uint32)
    kept.append(array)
    return address(array), array.size
