"""What an app can do wrong gets an error with a status and a place, and the process lives on."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketrank import (
    Column,
    Event,
    Form,
    Model,
    PocketrankError,
    Ranker,
    Ranking,
    Request,
    Session,
    Status,
    UserState,
    columns,
    convert,
    in_lists,
)


def refused(status: Status, call: Callable[[], object], *words: str) -> PocketrankError:
    """The error of a call, which has the status and says the words."""
    with pytest.raises(PocketrankError) as caught:
        call()
    assert caught.value.status == status, caught.value
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_files_that_are_no_models(work: Path, tmp_path: Path) -> None:
    data = (work / "model.pkr").read_bytes()
    refused(Status.TRUNCATED, lambda: Model(b""), "PKR_ERR_TRUNCATED (201)")
    refused(Status.BAD_MAGIC, lambda: Model(b"x" * 100))
    refused(Status.BAD_LENGTH, lambda: Model(data + b"\0"))
    refused(Status.BAD_DIGEST, lambda: Model(data[:-1] + b"\7"))
    refused(Status.WRONG_FORM, lambda: Model("feed.pkr"), "Model.open")
    refused(Status.WRONG_FORM, lambda: Model(np.zeros(8, np.float32)), "float32", "uint8")
    refused(Status.BAD_OPTION, lambda: Model(data, cpu=77))  # type: ignore[arg-type]
    (tmp_path / "empty").write_bytes(b"")
    refused(Status.TRUNCATED, lambda: Model.open(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError):
        Model.open(tmp_path / "none")


def test_names_that_the_model_does_not_have(model: Model) -> None:
    refused(Status.UNKNOWN_FEATURE, lambda: model.feature("colour"), "colour", "item, city, length")
    refused(Status.UNKNOWN_FEATURE, lambda: model.feature(99), "the model has 18")
    refused(Status.UNKNOWN_FEATURE, lambda: model.feature(-1))
    refused(Status.UNKNOWN_TASK, lambda: model.task("sleep"))
    refused(Status.UNKNOWN_TASK, lambda: model.term("sleep"))
    refused(Status.UNKNOWN_LABEL, lambda: model.label("sleep"))


def test_arrays_of_the_wrong_type_or_layout(model: Model) -> None:
    request = Request(model, 4)
    wide = np.zeros((4, 2), np.float32)
    for value, status, *words in (
        (np.zeros(4), Status.WRONG_FORM, "length", "float64", "float32"),
        (wide[:, 0], Status.MISALIGNED, "length", "ascontiguousarray"),
        (np.zeros(17, np.uint8)[1:].view(np.float32), Status.MISALIGNED, "length"),
        (["a", 1], Status.WRONG_FORM, "length", "value 0", "'a'", "number"),
        (np.array(["a"]), Status.WRONG_FORM, "length"),
    ):
        with pytest.raises(PocketrankError) as caught:
            request["length"] = value
        assert caught.value.status == status and all(word in str(caught.value) for word in words), caught.value
        assert request["length"] is None
    refused(Status.WRONG_FORM, lambda: Column(Form.IDS, np.zeros(4, np.float32)), "ids", "uint64")
    refused(Status.BAD_OFFSETS, lambda: Column(Form.TEXT, np.zeros(4, np.uint8), np.zeros(0, np.uint32)))
    refused(Status.WRONG_FORM, lambda: in_lists(columns.ids(np.zeros(1, np.int64)), np.zeros(2, np.int64)))  # type: ignore[arg-type]
    refused(Status.WRONG_FORM, lambda: setattr(request, "weights", np.zeros(5)), "weights", "float32")
    refused(Status.BAD_OPTION, lambda: setattr(request, "only", [-1]), "only", "-1")
    refused(Status.COLUMN_LENGTH, lambda: request.set_part(0, columns.ids(np.zeros(4, np.int64)), 2, 3))


def test_numbers_that_do_not_fit_are_not_cut(model: Model) -> None:
    for name in ("num_candidates", "max_candidates"):
        refused(Status.BAD_OPTION, lambda name=name: setattr(Request(model, 1), name, 2**32 + 1), name)  # type: ignore[misc]
        refused(Status.BAD_OPTION, lambda name=name: setattr(Request(model, 1), name, 1.5), name)  # type: ignore[misc]
    refused(Status.BAD_TIME, lambda: Request(model, 1, time=2**63))


def test_requests_that_are_refused_say_where(ranker: Ranker) -> None:
    model = ranker.model

    def rank(n: int = 4, **values: object) -> Callable[[], object]:
        request = Request(model, n, columns=values)
        return lambda: ranker.rank(request)

    error = refused(Status.COLUMN_LENGTH, rank(length=np.zeros(3, np.float32)), "length has 3 values; it must have 4")
    assert error.feature == model.feature("length").index
    refused(Status.COLUMN_LENGTH, rank(age=np.zeros(4, np.float32)), "age has 4 values; it must have 1 (side user)")
    refused(Status.WRONG_FORM, rank(length=np.zeros(4, np.uint64)), "length is a number")
    refused(Status.WRONG_FORM, rank(clicks=np.zeros(1, np.float32)), "clicks is derived: it takes no column")
    refused(Status.CANDIDATE_COUNT, rank(0))
    refused(Status.CANDIDATE_COUNT, lambda: Ranker(model, 3).rank(Request(model, 4)))
    refused(Status.CANDIDATE_COUNT, lambda: Ranker(model, 0))
    refused(Status.CANDIDATE_COUNT, lambda: Ranker(model, 5000))
    refused(Status.VECTOR_BYTE, rank(image=np.full((4, model.feature("image").dim), 200, np.uint8)))
    strict = Request(model, 4, strict=True)
    assert refused(Status.MISSING_VALUE, lambda: ranker.rank(strict)).feature is not None
    backwards = in_lists(columns.ids(np.zeros(4, np.int64)), np.array([0, 3, 1, 2, 4], np.uint32))
    refused(Status.BAD_OFFSETS, rank(item_tags=backwards))
    bad = Request(model, 4)
    bad.weights = [np.nan] * 5
    refused(Status.BAD_WEIGHT, lambda: ranker.rank(bad))
    bad.weights = [1.0]
    refused(Status.UNKNOWN_TASK, lambda: ranker.rank(bad))
    bad.weights, bad.only = None, [2, 1]
    refused(Status.BAD_INDEX, lambda: ranker.rank(bad))
    bad.only, bad.state = None, bytes(7)
    refused(Status.BUFFER_TOO_SMALL, lambda: ranker.rank(bad))
    bad.state = bytes(model.state_bytes)
    assert refused(Status.STATE_LAYOUT, lambda: ranker.rank(bad)).status // 100 == 6
    ranker.rank(Request(model, 4))


def test_a_buffer_that_a_request_has_keeps_its_place(model: Model) -> None:
    request, state, sums = Request(model, 4), bytearray(bytes(UserState(model))), bytearray(model.item_sums_bytes)
    request.state = state  # type: ignore[assignment]
    request.set_item_sums(sums)  # type: ignore[arg-type]
    for buffer in (state, sums):
        with pytest.raises(BufferError):
            buffer.extend(bytes(10**6))
    request.state = None
    request.set_item_sums(None)
    state.extend(b"x")


def test_outputs_of_another_size(ranker: Ranker) -> None:
    request = Request(ranker.model, 4)
    out = ranker.rank(Request(ranker.model, 3))
    refused(Status.BUFFER_TOO_SMALL, lambda: ranker.rank(request, out=out), "3 rows", "4 candidates")
    frozen = np.zeros(4, np.float32)
    frozen.flags.writeable = False
    refused(Status.BAD_OPTION, lambda: ranker.rank(request, out=Ranking(np.zeros(4, np.uint32), frozen, None, None)), "read-only")
    refused(Status.WRONG_FORM, lambda: ranker.order(request, np.zeros((4, 5))), "float64")
    refused(Status.CANDIDATE_COUNT, lambda: ranker.order(request, np.zeros((3, 5), np.float32)))
    nan = np.full((4, 5), np.nan, np.float32)
    assert refused(Status.NOT_FINITE, lambda: ranker.order(request, nan)).candidate == 0
    refused(Status.CANDIDATE_COUNT, lambda: ranker.gates(request, 4))
    refused(Status.WRONG_FORM, lambda: ranker.vectors(request, "age"))


def test_sums_of_another_model(work: Path, ranker: Ranker) -> None:
    request = Request(ranker.model, 2)
    sums = ranker.item_sums(request)
    sums[1, -1] ^= 1
    request.set_item_sums(sums)
    assert refused(Status.STALE_SUMS, lambda: ranker.rank(request)).candidate == 1
    with Model.open(work / "reference.pkr") as other, Ranker(other) as elsewhere:
        refused(Status.BAD_OPTION, lambda: elsewhere.rank(request), "golden", "reference")


def test_closing_twice_and_use_after_it(work: Path) -> None:
    model = Model.open(work / "model.pkr")
    ranker, request = Ranker(model, 4), Request(model, 4)
    session, state = Session(ranker, request), UserState(model)
    label = model.labels[0].name
    for thing in (session, ranker, model):
        assert thing.is_open
        thing.close()
        thing.close()
        assert not thing.is_open
    for call in (
        lambda: session.rerank(request),
        lambda: session.shown(0),
        lambda: session.state(),
        lambda: session.feedback(Event(label, 1)),
        lambda: ranker.rank(request),
        lambda: Ranker(model),
        lambda: UserState(model),
        lambda: state.apply(Event(label, 1)),
        lambda: model.row_of("item", 1),
        lambda: pickle.dumps(model),
    ):
        refused(Status.STALE, call, "closed")
    assert "closed" in repr(model) and model.name == "golden"


def test_a_closed_model_lets_no_ranker_rank(work: Path) -> None:
    model = Model.open(work / "model.pkr")
    ranker, request = Ranker(model, 4), Request(model, 4)
    model.close()
    refused(Status.STALE, lambda: ranker.rank(request), "model is closed")
    ranker.close()


def together(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Errors of `count` threads that begin at once."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_what_is_in_use_refuses_a_second_thread(ranker: Ranker) -> None:
    request, state = Request(ranker.model, 4), UserState(ranker.model)
    request.state = state
    session = Session(ranker, request)
    with ranker._gate.writing():  # as during a call
        refused(Status.OVERLAP, lambda: ranker.rank(request), "ranker is in use by another thread; make one ranker a thread")
    with session._gate.writing():
        refused(Status.OVERLAP, lambda: session.shown(0), "session")
    with request._reading():
        refused(Status.OVERLAP, lambda: setattr(request, "time", 3), "request")
        refused(Status.OVERLAP, lambda: request.__setitem__("item", None))
        refused(Status.OVERLAP, state.reset, "user state")
        bytes(state)
        ranker.rank(request)  # many may read
    with state._gate.writing():
        refused(Status.OVERLAP, lambda: ranker.rank(request), "user state")
    request.time = 3  # which the failed call holds no longer
    state.reset()


def test_a_crowd_in_one_ranker_and_one_request(work: Path) -> None:
    with Model.open(work / "reference.pkr") as model, Ranker(model) as ranker:
        requests = [Request(model, 500) for _ in range(4)]
        alone = ranker.rank(requests[0]).fused.tobytes()
        ranked = []

        def rank(number: int) -> None:
            for _ in range(60):
                try:
                    requests[number % 3].num_candidates = 500
                    assert ranker.rank(requests[number % 3]).fused.tobytes() == alone
                    ranked.append(number)
                except PocketrankError as error:
                    assert error.status == Status.OVERLAP

        assert together(4, rank) == []
        assert ranked


def test_threads_with_rankers_of_their_own(work: Path, model: Model, requests: list[Request]) -> None:
    from conftest import answers, read_requests

    with Ranker(model) as ranker:
        answered = [i for i, r in enumerate(requests) if answers(ranker, r)][:100]
        alone = [ranker.rank(requests[i]).scores.tobytes() for i in answered]  # type: ignore[union-attr]

    def rank(number: int) -> None:
        mine = list(read_requests(str(work / "requests.req"), model))
        with Ranker(model) as ranker:
            for i, expected in zip(answered, alone, strict=True):
                assert ranker.rank(mine[i]).scores.tobytes() == expected  # type: ignore[union-attr]

    assert together(4, rank) == []


def test_closing_while_others_rank(work: Path) -> None:
    for _ in range(20):
        model = Model.open(work / "reference.pkr")

        def rank(number: int, model: Model = model) -> None:
            if number == 0:
                model.close()
                return
            try:
                with Ranker(model) as ranker:
                    request = Request(model, 500)
                    while True:
                        ranker.rank(request)
            except PocketrankError as error:
                assert error.status == Status.STALE

        assert together(3, rank) == []
        assert not model.is_open


def test_errors_and_models_are_pickled(work: Path, model: Model, request_: Request) -> None:
    error = refused(Status.UNKNOWN_FEATURE, lambda: model.feature("x"))
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.status, str(copy), copy.feature) == (error.status, str(error), error.feature)
    by_path, by_bytes = pickle.dumps(model), pickle.dumps(Model((work / "model.pkr").read_bytes()))
    assert len(by_path) < 1000 < len(by_bytes)
    first = pickle.loads(by_path)
    assert pickle.loads(by_path) is first is pickle.loads(by_bytes)  # opened once a process
    with Ranker(first) as ranker, Ranker(model) as other:
        assert ranker.rank(request_).fused.tobytes() == other.rank(request_).fused.tobytes()
        assert pickle.loads(pickle.dumps(other)).candidates_max == other.candidates_max
    first.close()
    assert pickle.loads(by_path).is_open
    wrong = pickle.dumps(model).replace(b"model.pkr", b"other.pkr")
    assert wrong != by_path
    pickle.loads(by_path).close()
    with pytest.raises(FileNotFoundError):
        pickle.loads(wrong)


def test_a_file_that_changed_is_not_the_one_that_was_pickled(work: Path, tmp_path: Path) -> None:
    path = tmp_path / "feed.pkr"
    path.write_bytes((work / "goldens/2.pkr").read_bytes())
    pickled = pickle.dumps(Model.open(path))
    path.unlink()  # what is mapped stays; a new file takes the name
    path.write_bytes((work / "goldens/3.pkr").read_bytes())
    refused(Status.BAD_DIGEST, lambda: pickle.loads(pickled), "feed.pkr")


def test_values_that_no_column_takes(model: Model) -> None:
    item = model.feature("item")
    error = refused(Status.WRONG_FORM, lambda: convert(item, [1, None, "x"]), "item", "value 2", "'x'", "64-bit integer")
    assert (error.feature, error.candidate) == (item.index, 2)
    refused(Status.WRONG_FORM, lambda: convert(item, [1.5]), "1.5")
    refused(Status.WRONG_FORM, lambda: convert(item, np.array([0.0, 2.5])), "value 1", "whole")
    refused(Status.WRONG_FORM, lambda: convert(item, [2**64]))
    image = model.feature("image")
    refused(Status.WRONG_FORM, lambda: convert(image, [[1, 2, 3]]), "image", f"{image.dim} bytes")
    refused(Status.WRONG_FORM, lambda: convert(image, [[200] * image.dim]))
