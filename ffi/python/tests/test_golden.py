"""The bits of the C example, and of the same arrays used again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, answers, read_requests

from pocketrank import Cpu, Model, Ranker, Ranking, Request

SEEDS = (2, 3, 4, 7, 9, 12, 13, 19, 23, 30, 102, 104, 109, 112, 113)


def same(a: Ranking, b: Ranking) -> bool:
    pairs = ((a.order, b.order), (a.fused, b.fused), (a.scores, b.scores))
    return all(x is not None and y is not None and x.tobytes() == y.tobytes() for x, y in pairs)


def test_lines_are_those_of_c(work: Path) -> None:
    lines = b""
    for model, requests in [("model", "requests"), *((f"goldens/{seed}",) * 2 for seed in SEEDS)]:
        command = [sys.executable, ROOT / "examples/python/rank.py", work / f"{model}.pkr", work / f"{requests}.req"]
        lines += subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    assert lines == (work / "c.txt").read_bytes()


def test_portable_code_has_the_same_bits(work: Path, ranker: Ranker, request_: Request) -> None:
    with Model.open(work / "model.pkr", cpu=Cpu.PORTABLE) as portable, Ranker(portable) as other:
        assert portable.isa == "portable" != ranker.model.isa
        assert same(other.rank(request_), ranker.rank(request_))


def test_bytes_views_and_writable_buffers_open(work: Path, model: Model) -> None:
    data = (work / "model.pkr").read_bytes()
    writable = bytearray(data)
    for source in (data, memoryview(data), writable, np.frombuffer(data, np.uint8)):
        with Model(source) as other:
            assert (other.digest, other.features) == (model.digest, model.features)
            writable[:100] = bytes(100)  # a copy was taken
            assert other.feature("item").index == model.feature("item").index
            Ranker(other).close()
        writable[:] = data


def test_model_says_what_it_is(work: Path, model: Model) -> None:
    assert model.name == "golden" and model.num_bytes == (work / "model.pkr").stat().st_size
    assert [t.name for t in model.tasks] == ["click", "watch", "complete", "like", "comment"]
    assert model.task("complete").given == model.task("watch").index and model.task("comment").unit == "s"
    assert [t.weight for t in model.terms] == [1.75, 0.25, -0.75, -0.5, 2.0] and model.formula is None
    for names in (model.features, model.tasks, model.labels):
        assert [x.index for x in names] == list(range(len(names)))
    assert all(model.feature(f.name) is f and model.feature(f.index) is f for f in model.features)
    assert all(model.label(x.name) is x for x in model.labels) and all(model.term(x.name) is x for x in model.terms)
    assert "golden" in repr(model)


def test_arrays_are_borrowed_and_written_again(ranker: Ranker, request_: Request) -> None:
    n = request_.num_candidates
    length = np.linspace(0, 100, n, dtype=np.float32)
    request = Request(ranker.model, n, columns={"length": length})
    first = ranker.rank(request)
    fresh = Request(ranker.model, n, columns={"length": length[::-1].copy()})
    length[:] = length[::-1].copy()
    again = ranker.rank(request, out=Ranking(np.empty(n, np.uint32), np.empty(n, np.float32), np.empty_like(first.scores), None))
    assert same(again, ranker.rank(fresh)) and not same(again, first)
    assert ranker.rank(request, out=again) is again


def test_top_and_terms(ranker: Ranker, request_: Request) -> None:
    whole = ranker.rank(request_, terms=True)
    top = ranker.rank(request_, top=3, scores=False)
    assert top.scores is None and top.order.tolist() == whole.order[:3].tolist() and top.fused.tobytes() == whole.fused.tobytes()
    total = np.zeros(len(whole.fused), np.float32)
    assert whole.terms is not None
    for addend in whole.terms.T:  # in their order: a fused score is their sum to the bit
        total += addend
    assert total.tobytes() == whole.fused.tobytes()


def test_parts_and_order_are_a_request(ranker: Ranker, requests: list[Request]) -> None:
    for request in [r for r in requests if r.num_candidates >= 8 and answers(ranker, r)][:20]:
        whole = ranker.rank(request)
        scores = np.zeros_like(whole.scores)
        rows = np.arange(min(request.num_candidates, request.max_candidates or 2**32), dtype=np.uint32)
        most, request.max_candidates = request.max_candidates, 0
        for part in (rows[::2].copy(), rows[1::2].copy()):
            request.only = part
            scores[part] = ranker.score(request)
        request.only, request.max_candidates = None, most
        assert same(ranker.order(request, scores), whole)


def test_item_sums_keep_the_bits(ranker: Ranker, requests: list[Request]) -> None:
    for request in [r for r in requests if r.num_candidates >= 2 and answers(ranker, r)][:20]:
        whole = ranker.rank(request)
        sums = ranker.item_sums(request)
        assert sums.shape == (request.num_candidates, ranker.model.item_sums_bytes)
        request.set_item_sums(sums)
        assert same(ranker.rank(request), whole)
        slots = np.arange(request.num_candidates, dtype=np.uint32)[::-1].copy()
        slots[0] = 2**32 - 1  # this one is computed
        request.set_item_sums(sums[::-1].copy(), slots)
        assert same(ranker.rank(request), whole)
        request.set_item_sums(None)


def test_gates_and_vectors(work: Path, ranker: Ranker, request_: Request) -> None:
    found = 0
    for seed in SEEDS:
        with Model.open(work / f"goldens/{seed}.pkr") as model, Ranker(model) as other:
            request = next(r for r in read_requests(str(work / f"goldens/{seed}.req"), model) if answers(other, r))
            gates = other.gates(request, 0)
            assert gates.shape[0] == len(model.tasks)
            if gates.size:
                found += 1
                assert np.allclose(gates.sum(axis=1), 1, atol=1e-5)
    assert found > 3
    values = ranker.vectors(request_, "item")
    assert values.shape == (request_.num_candidates, ranker.model.feature("item").dim) and values.any()


def test_leaving_out_is_a_missing_column(ranker: Ranker, request_: Request) -> None:
    whole = ranker.rank(request_)
    request_.leave_out(["length"])
    without = ranker.rank(request_)
    request_.leave_out([])
    assert same(ranker.rank(request_), whole) and not same(without, whole)


@pytest.mark.parametrize("text", ["", "item", "\u00e9\u4e2d"])
def test_rows_and_hashes_of_ids(model: Model, text: str) -> None:
    from pocketrank import PocketrankError, Status, hash_text

    assert hash_text("") == 0x2D06800538D394C2  # XXH3-64 of nothing
    texts = [f for f in model.features if f.id_type.name == "TEXT" and not f.derived]
    for feature in texts:
        if text == "":
            with pytest.raises(PocketrankError) as caught:
                model.row_of(feature.name, text)
            assert caught.value.status == Status.MISSING_VALUE
        else:
            assert model.row_of(feature.name, text) == model.row_of(feature.index, hash_text(text))
