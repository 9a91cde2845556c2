"""What ranks: working memory for requests, one a thread."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_size_t, c_void_p
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._abi import lib, pkr_result
from ._memory import F32, U32, U32_MAX, Closing, address, block, check, exactly, new_detail, unsigned
from .errors import PocketrankError, Status
from .model import Model
from .request import Request


@dataclass(slots=True, eq=False)
class Ranking:
    """An order and what it came from. Arrays are the caller's; passed as `out` to the next call they are written again."""

    order: NDArray[np.uint32]
    """The best candidates, best first, as indices; equal ones by index."""
    fused: NDArray[np.float32]
    """Fused score of each candidate, `[candidates]`; negative infinity if it was not scored."""
    scores: NDArray[np.float32] | None
    """`[candidates, tasks]`; 0 for candidates not scored. None: not asked for."""
    terms: NDArray[np.float32] | None
    """Addends of each fused score, `[candidates, terms]`: why. None: not asked for."""
    scored: int = 0
    """Candidates scored."""
    missing: int = 0
    """Values that were missing and took their default."""
    not_finite: int = 0
    """Numbers that were infinite and were clamped."""
    unknown_ids: int = 0
    """Ids and rows outside their table, which took row 0."""
    cut_lists: int = 0
    """Lists longer than `max_len`, whose later ids were dropped."""


class Ranker(Closing):
    """Working memory for requests of up to `candidates_max` candidates. Its contents never influence a result.

    One a thread: ctypes releases the interpreter's lock, so threads with rankers of their own run side by side, and a second
    thread in the same ranker gets `Status.OVERLAP`. It may move between threads, not between processes. Closing wipes the memory, so
    that nothing of any request stays in it.
    """

    def __init__(self, model: Model, candidates_max: int | None = None) -> None:
        """Makes one; `candidates_max` is the model's by default. Errors: `Status.CANDIDATE_COUNT`."""
        most = model.candidates_max if candidates_max is None else unsigned(candidates_max, U32_MAX, "candidates_max")
        need, handle = c_size_t(), c_void_p()
        with model._gate.reading():
            check(lib.pkr_scratch_bytes(model._handle, most, byref(need)), f"a ranker of {most} candidates")
            memory = block(need.value)
            status = lib.pkr_scratch_init(model._handle, most, address(memory), memory.nbytes, byref(handle))
            check(status, f"a ranker of {most} candidates")
        self.model = model
        self.candidates_max = most
        self.num_bytes: int = memory.nbytes
        self._opened("ranker", handle, lib.pkr_scratch_close, memory, advice="make one ranker a thread")

    def rank(
        self, request: Request, *, top: int | None = None, scores: bool = True, terms: bool = False, out: Ranking | None = None
    ) -> Ranking:
        """Scores and orders the candidates. `top`: how many of the order are wanted.

        Without `scores` what the order does not need is left out.

        On any error keep the order that the server sent. Errors: 5xx for the request, with feature and candidate; 6xx for the
        state.
        """
        ranking = self._outputs(request, top, scores, terms) if out is None else out
        call = partial(lib.pkr_rank, self.model._handle, self._handle)
        return self._into(ranking, request, "rank", call, ranking.scores)

    def score(self, request: Request) -> NDArray[np.float32]:
        """Scores alone, `[candidates, tasks]`, or of those that `request.only` names: a thread's part, for `order`."""
        only = request.only
        rows = request.num_candidates if only is None else len(only)
        scores = np.empty((rows, len(self.model.tasks)), np.float32)
        result = pkr_result(scores=address(scores), scores_len=scores.size)
        self._call(request, "score", partial(lib.pkr_score, self.model._handle, self._handle), byref(result))
        return scores

    def order(
        self,
        request: Request,
        scores: NDArray[np.float32],
        *,
        top: int | None = None,
        terms: bool = False,
        out: Ranking | None = None,
    ) -> Ranking:
        """Fuses and orders candidates by their scores, `[candidates, tasks]` as `score` made them.

        Errors: `Status.CANDIDATE_COUNT` for another number of scores, `Status.NOT_FINITE` with the candidate,
        `Status.FORMULA_SCORES` for a formula that reads scores before calibration.
        """
        given = exactly(scores, F32, "scores").reshape(-1)
        limit = request.max_candidates * len(self.model.tasks)
        if 0 < limit < given.size == request.num_candidates * len(self.model.tasks):
            given = given[:limit]  # those behind the limit have no score
        ranking = self._outputs(request, top, False, terms) if out is None else out
        handles = (self.model._handle, self._handle)
        ordered = self._into(
            ranking,
            request,
            "order",
            lambda what, result, detail: lib.pkr_order(*handles, what, address(given), given.size, result, detail),
            None,
        )
        ordered.scores = scores
        return ordered

    def item_sums(self, request: Request) -> NDArray[np.uint8]:
        """What the first layer makes of the candidates' item features, `[candidates, item_sums_bytes]`: `Request.set_item_sums`.

        They belong to this model file alone. Errors: `Status.BAD_OPTION` for a model without item features.
        """
        rows = request.num_candidates if request.only is None else len(request.only)
        sums = np.empty((rows, self.model.item_sums_bytes), np.uint8)
        call = partial(lib.pkr_item_sums, self.model._handle, self._handle)
        self._call(request, "item sums", call, address(sums), sums.size)
        return sums

    def gates(self, request: Request, candidate: int) -> NDArray[np.float32]:
        """Why: shares of the experts in every task's mixture for one candidate, `[tasks, experts]`; each row adds up to 1."""
        at = unsigned(candidate, U32_MAX, "candidate")
        call = partial(lib.pkr_gates, self.model._handle, self._handle)
        tasks = len(self.model.tasks)
        try:
            self._call(request, "gates", call, at, None, 0)
        except PocketrankError as error:
            if error.status != Status.BUFFER_TOO_SMALL or not error.offset:
                raise
            shares = np.empty((tasks, error.offset // tasks), np.float32)
            self._call(request, "gates", call, at, address(shares), shares.size)
            return shares
        return np.empty((tasks, 0), np.float32)  # a network without experts

    def vectors(self, request: Request, feature: str | int) -> NDArray[np.int8]:
        """What a feature is to the network, `[candidates, dim]` on one scale: `Rules.vectors`. Errors: `Status.WRONG_FORM`."""
        about = self.model.feature(feature)
        values = np.empty((request.num_candidates, about.dim), np.int8)
        call = partial(lib.pkr_vectors, self.model._handle, self._handle)
        self._call(request, f"vectors of {about.name}", call, about.index, address(values), values.size)
        return values

    def _outputs(self, request: Request, top: int | None, scores: bool, terms: bool) -> Ranking:
        n = request.num_candidates
        most = n if top is None else min(n, unsigned(top, U32_MAX, "top"))
        formula = request.formula
        addends = self.model.num_terms if formula is None else len(formula.terms)
        return Ranking(
            np.empty(most, np.uint32),
            np.empty(n, np.float32),
            np.empty((n, len(self.model.tasks)), np.float32) if scores else None,
            np.empty((n, addends), np.float32) if terms else None,
        )

    def _into(
        self, ranking: Ranking, request: Request, what: str, call: Callable[..., int], scores: NDArray[np.float32] | None
    ) -> Ranking:
        n = request.num_candidates
        for name, array in (("order", ranking.order), ("fused", ranking.fused), ("scores", scores), ("terms", ranking.terms)):
            if array is not None and (len(array) > n if name == "order" else len(array) != n):
                message = f"out.{name} has {len(array)} rows; the request has {n} candidates"
                raise PocketrankError(Status.BUFFER_TOO_SMALL, message, offset=n)
        held = (ranking.order, ranking.fused, scores, ranking.terms)  # whoever sets other ones meanwhile
        r = pkr_result()
        r.order, r.order_len = _output(ranking.order, U32, "order")
        r.fused, r.fused_len = _output(ranking.fused, F32, "fused")
        r.scores, r.scores_len = _output(scores, F32, "scores")
        r.terms, r.terms_len = _output(ranking.terms, F32, "terms")
        self._call(request, what, call, byref(r))
        del held
        ranking.scored, ranking.missing, ranking.not_finite = r.scored, r.missing, r.not_finite
        ranking.unknown_ids, ranking.cut_lists = r.unknown_ids, r.cut_lists
        return ranking

    def _call(self, request: Request, what: str, call: Callable[..., int], *arguments: Any) -> None:
        """A call with this ranker, its model and a request, none of which anybody closes or changes meanwhile."""
        if request.model is not self.model and request.model.digest != self.model.digest:
            raise PocketrankError(Status.BAD_OPTION, f"{what}: a request to {request.model!r}; the ranker is of {self.model!r}")
        detail, place = new_detail()
        with self._gate.writing(), self.model._gate.reading(), request._reading():
            status = call(byref(request._content), *arguments, place)
            if status != Status.OK:
                raise request._failed(status, what, detail)

    def __reduce__(self) -> tuple[Callable[..., Ranker], tuple[object, ...]]:
        # Its contents never influence a result: another process makes its own.
        return Ranker, (self.model, self.candidates_max)


def _output(array: NDArray[Any] | None, dtype: np.dtype[Any], what: str) -> tuple[int | None, int]:
    if array is None or array.size == 0:
        return None, 0
    return address(exactly(array, dtype, f"out.{what}", writable=True)), array.size
