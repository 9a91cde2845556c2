"""Nothing grows over 100,000 requests, and nothing waits for the garbage collector."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

from pocketrank import Event, Model, Ranker, Request, Rules, Session, UserState, rerank

ROUNDS = 100_000


def resident() -> int:
    """Bytes of this process in memory now."""
    if not sys.platform.startswith("linux"):
        pytest.skip("no /proc")
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_requests_leave_nothing_behind(ranker: Ranker) -> None:
    model = ranker.model
    length = np.linspace(0, 10, 8, dtype=np.float32)
    request = Request(model, 8, columns={"length": length})
    state = UserState(model)
    event = Event(model.labels[0].name, 5, keys={"item": 3})
    rules = Rules(bonuses=np.zeros(8, np.float32))

    def screen(step: int) -> None:
        request["item"] = np.arange(step, step + 8)
        request.time = step
        ranking = ranker.rank(request)
        if step % 20 == 0:
            state.apply(event)
            request.state = state
            rerank(rules, ranking.fused)
            Request(model, 8, columns={"length": length})
            request.state = None
            with Session(ranker, request) as session:
                session.shown(0)

    def held() -> tuple[int, int]:
        gc.collect()
        return tracemalloc.get_traced_memory()[0], resident()

    # Blocks of before the tracing, which numpy and Python keep for the next object, count once others have taken their place.
    tracemalloc.start()
    for step in range(ROUNDS // 10):
        screen(step)
    traced, in_memory = held()
    for step in range(ROUNDS):
        screen(step)
    grown = np.subtract(held(), (traced, in_memory))
    tracemalloc.stop()
    assert grown[0] < ROUNDS // 2 and grown[1] < 40 * ROUNDS, grown


def test_handles_are_gone_with_their_last_reference(work: Path) -> None:
    gc.disable()
    try:
        model = Model.open(work / "model.pkr")
        request = Request(model, 4)
        ranker = Ranker(model)
        ranker.rank(request)
        left = [weakref.ref(thing) for thing in (model, ranker, request)]
        del model, ranker, request
        assert [ref() for ref in left] == [None] * 3
    finally:
        gc.enable()


def test_what_ends_is_wiped_however_it_ends(ranker: Ranker) -> None:
    for make in (lambda: Ranker(ranker.model, 4), lambda: Session(ranker, Request(ranker.model, 4))):
        for end in ("close", "with", "del"):
            thing = make()
            (memory,) = thing._gate._close.args[-1]  # type: ignore[union-attr]
            assert memory.any()
            if end == "close":
                thing.close()
            elif end == "with":
                with thing as same:
                    assert same is thing
            else:
                del thing
            assert not memory.any(), end
