"""Sessions and states: the bits of fresh requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import answers, read_requests
from test_golden import SEEDS, same
from test_misuse import refused

from pocketrank import Event, Model, PocketrankError, Ranker, Request, Session, Status, UserState


def test_each_order_is_that_of_a_fresh_request(work: Path) -> None:
    feeds = 0
    for seed in (None, *SEEDS):
        name = ["model", "requests"] if seed is None else [f"goldens/{seed}"] * 2
        with Model.open(work / f"{name[0]}.pkr") as model, Ranker(model) as ranker:
            for request in list(read_requests(str(work / f"{name[1]}.req"), model))[:60]:
                feeds += answers(ranker, request) and play(ranker, request)
    assert feeds > 300


def play(ranker: Ranker, request: Request) -> bool:
    model = ranker.model
    try:
        session = Session(ranker, request)
    except PocketrankError as error:
        assert error.status == Status.BAD_OPTION and model.item_sums_bytes == 0
        return False
    left = list(range(request.num_candidates))
    request.state = None
    with session:
        for step in range(min(4, len(left))):
            ranking = session.rerank(request)
            request.only, request.state = left, session.state()
            assert same(ranking, ranker.rank(request))
            request.only = request.state = None
            best = int(ranking.order[0])
            session.shown(best)
            left.remove(best)
            if model.labels:
                session.feedback(Event(model.labels[0].name, request.time + step))
    return True


def test_feedback_is_what_a_state_applies(ranker: Ranker, request_: Request) -> None:
    model = ranker.model
    state = UserState(model)
    assert len(state) == len(bytes(state)) == model.state_bytes
    request_.state = state
    events = [Event(label.name, request_.time + i, 1.0, {"item": 7, "length": 12.5}) for i, label in enumerate(model.labels)]
    before = ranker.rank(request_).fused.tobytes()
    with Session(ranker, request_) as session:
        for event in events:
            session.feedback(event)
            state.apply(event)
        assert bytes(session.state()) == bytes(state) != bytes(UserState(model))
    assert ranker.rank(request_).fused.tobytes() != before  # a state is read as it is
    request_.state = bytes(state)
    after = ranker.rank(request_).fused.tobytes()
    request_.state = UserState(model, bytes(state))
    assert ranker.rank(request_).fused.tobytes() == after
    state.reset()
    assert bytes(state) == bytes(UserState(model))


def test_events_that_are_refused_leave_the_state(model: Model) -> None:
    state = UserState(model)
    label = model.labels[0].name
    state.apply(Event(label, 1000))
    kept = bytes(state)
    for event, status in (
        (Event("sleep", 1), Status.UNKNOWN_LABEL),
        (Event(99, 1), Status.UNKNOWN_LABEL),
        (Event(label, 1, keys={"colour": 1}), Status.UNKNOWN_FEATURE),
        (Event(label, 2000, keys={"item": 1.5}), Status.WRONG_FORM),
        (Event(label, 2000, keys={"length": "long"}), Status.WRONG_FORM),
        (Event(label, 2**63), Status.BAD_TIME),
        (Event(label, -(2**62)), Status.BAD_TIME),
    ):
        refused(status, lambda event=event: state.apply(event))  # type: ignore[misc]
        assert bytes(state) == kept
    assert refused(Status.BUFFER_TOO_SMALL, lambda: UserState(model, kept[:-1])).offset == model.state_bytes


def test_a_session_refuses_what_it_cannot_have(ranker: Ranker, request_: Request) -> None:
    request_.only = np.arange(3, dtype=np.uint32)
    refused(Status.BAD_OPTION, lambda: Session(ranker, request_))
    request_.only = None
    with Session(ranker, request_) as session:
        session.shown(1)
        refused(Status.BAD_INDEX, lambda: session.shown(1))
        refused(Status.BAD_INDEX, lambda: session.shown(10**6))
        refused(Status.CANDIDATE_COUNT, lambda: session.rerank(Request(ranker.model, 1)))
        request_.state = UserState(ranker.model)
        refused(Status.BAD_OPTION, lambda: session.rerank(request_))
