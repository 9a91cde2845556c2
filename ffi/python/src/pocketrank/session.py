"""A feed while it is shown."""

from __future__ import annotations

from ctypes import byref, c_size_t, c_void_p
from functools import partial

import numpy as np

from ._abi import lib
from ._memory import U32_MAX, Closing, address, block, check, new_detail, unsigned
from .ranker import Ranker, Ranking
from .request import Request
from .state import Event, UserState


class Session(Closing):
    """The user's state, the candidates' item sums, and which of them are still to be shown.

        session = Session(ranker, request)      # reads the request's state and item columns
        request.state = None                    # from now on the session has it
        session.shown(ranking.order[0])
        session.feedback(Event("click", time))
        ranking = session.rerank(request)       # the bits of a fresh request about what is left

    It belongs to one thread at a time: `Status.OVERLAP` otherwise. Closing wipes it.
    """

    def __init__(self, ranker: Ranker, request: Request) -> None:
        """Begins with all candidates of a request. Errors: those of `Ranker.rank`; `Status.BAD_OPTION` for `only`, item sums."""
        model = ranker.model
        count = unsigned(request.num_candidates, U32_MAX, "num_candidates")
        need, handle = c_size_t(), c_void_p()
        with model._gate.reading():
            check(lib.pkr_session_bytes(model._handle, count, byref(need)), f"a session of {count} candidates")
        memory = block(need.value)
        call = partial(lib.pkr_session_begin, model._handle, ranker._handle)
        ranker._call(request, "session", call, address(memory), memory.nbytes, byref(handle))
        self.model = model
        self.ranker = ranker
        self._opened("session", handle, lib.pkr_session_close, memory, advice="a session belongs to one thread at a time")

    def feedback(self, event: Event) -> None:
        """Adds what the user did to the session's state. On any error that is as before. Errors: those of `UserState.apply`."""
        made = event.for_model(self.model)
        detail, place = new_detail()
        with self._gate.writing(), self.model._gate.reading():
            status = lib.pkr_session_feedback(self.model._handle, self._handle, byref(made), place)
        check(status, f"event {event.label!r}", detail)

    def shown(self, candidate: int) -> None:
        """Takes a candidate out of those still to be shown. Errors: `Status.BAD_INDEX` if it is none of them."""
        at = unsigned(candidate, U32_MAX, "candidate")
        with self._gate.writing():
            check(lib.pkr_session_shown(self._handle, at), f"candidate {at} shown")

    def rerank(
        self, request: Request, *, top: int | None = None, scores: bool = True, terms: bool = False, out: Ranking | None = None
    ) -> Ranking:
        """Orders what is still to be shown. `request` is that of the beginning, as it is now, without a state.

        What was shown has no score and comes last. Errors: those of `Ranker.rank`; `Status.BAD_OPTION` for a request with a
        state, `only` or item sums.
        """
        ranking = self.ranker._outputs(request, top, scores, terms) if out is None else out
        call = partial(lib.pkr_session_rerank, self.model._handle, self._handle, self.ranker._handle)
        with self._gate.writing():
            return self.ranker._into(ranking, request, "rerank", call, ranking.scores)

    def state(self) -> UserState:
        """A copy of the user's state, to be kept when the feed ends."""
        out = np.zeros(self.model.state_bytes, np.uint8)
        with self._gate.writing():
            check(lib.pkr_session_state(self._handle, address(out), out.size), "session's state")
        return UserState(self.model, out.tobytes())
