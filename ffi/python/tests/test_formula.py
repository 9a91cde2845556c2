"""Formulas that were shipped apart, and those of files."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import numpy as np
import pytest
from test_misuse import refused

from pocketrank import Formula, Model, Ranker, Request, Status
from pocketrank._abi import lib


def text_of(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def formula_file(task: str = "click", program: bytes = bytes([3, 0, 2, 0, 18, 0, 2, 1, 0])) -> bytes:
    """`wc * click + watch`, by docs/format.md, with another task or program."""
    text = "wc * click + watch"
    records = bytes([len(text), 2, 1, 2, len(program)]) + text.encode()
    records += b"".join(b"\0" + text_of(name) + b"\0\1" for name in (task, "watch"))  # scores as they are served
    records += text_of("wc") + struct.pack("<fff", 2.0, 0.0, 10.0)
    records += bytes([0, 10, 13, 18]) + program
    rest = struct.pack("<II", 1, 24 + len(records)) + records
    return b"\x89PKFORM\n" + struct.pack("<Q", xxh3(rest)) + rest


def xxh3(data: bytes) -> int:
    """XXH3-64: what the library makes of texts, of any bytes."""
    out = ctypes.c_uint64()
    assert lib.pkr_hash_text(data, len(data), ctypes.byref(out)) == Status.OK
    return out.value


def test_a_formula_takes_the_place_of_the_fusion(model: Model, ranker: Ranker, request_: Request) -> None:
    scores = ranker.rank(request_).scores
    assert scores is not None
    click, watch = scores[:, model.task("click").index], scores[:, model.task("watch").index]
    with Formula(model, formula_file()) as formula:
        assert formula.text == "wc * click + watch" and formula.terms == ("wc * click", "watch") and formula.cost > 0
        (weight,) = formula.weights
        assert formula.weight("wc") == weight and (weight.name, weight.value, weight.least, weight.most) == ("wc", 2, 0, 10)
        request_.formula = formula
        ranking = ranker.rank(request_, terms=True)
        assert ranking.terms is not None and ranking.terms.shape == (request_.num_candidates, 2)
        assert ranking.fused.tobytes() == (np.float32(2) * click + watch).tobytes()
        request_.weights = [0.5]
        assert ranker.rank(request_).fused.tobytes() == (np.float32(0.5) * click + watch).tobytes()
        request_.weights = [11.0]
        refused(Status.BAD_WEIGHT, lambda: ranker.rank(request_))
        refused(Status.UNKNOWN_TASK, lambda: formula.weight("w9"))
    refused(Status.STALE, lambda: ranker.rank(request_), "formula is closed")
    formula.close()
    refused(Status.STALE, lambda: formula.perturb(1, 2, 0.5))
    request_.formula = request_.weights = None
    assert ranker.rank(request_).scored > 0


def test_a_buffer_that_changes_afterwards_is_not_what_was_opened(model: Model, ranker: Ranker, request_: Request) -> None:
    buffer = bytearray(formula_file())
    request_.formula = Formula(model, buffer)
    fused = ranker.rank(request_).fused.tobytes()
    buffer[:] = bytes(len(buffer))
    assert ranker.rank(request_).fused.tobytes() == fused


def test_files_that_are_no_formulas(model: Model) -> None:
    good = formula_file()
    refused(Status.TRUNCATED, lambda: Formula(model, good[:20]))
    refused(Status.BAD_MAGIC, lambda: Formula(model, b"x" * 40))
    refused(Status.BAD_DIGEST, lambda: Formula(model, good[:-1] + b"\1"))
    refused(Status.FORMULA_INPUT, lambda: Formula(model, formula_file(task="sleep")))
    refused(Status.FORMULA_CODE, lambda: Formula(model, formula_file(program=bytes([3, 0, 2, 0, 99, 0, 2, 1, 0]))))
    refused(Status.FORMULA_RANGE, lambda: Formula(model, formula_file(program=bytes([3, 0, 2, 0, 19, 0, 2, 1, 0]))))
    refused(Status.WRONG_FORM, lambda: Formula(model, 7))


def test_a_formula_is_of_one_model(work: Path, ranker: Ranker) -> None:
    with Model.open(work / "goldens/2.pkr") as other:
        names = {t.name for t in other.tasks}
        if not {"click", "watch"} <= names:
            pytest.skip("golden 2 has other tasks")
        request = Request(ranker.model, 3)
        request.formula = Formula(other, formula_file())
        refused(Status.FORMULA_MODEL, lambda: ranker.rank(request))


def test_weights_for_one_user(work: Path, model: Model) -> None:
    formula = Formula(model, formula_file())
    weights = formula.perturb(7, 1, 0.5)
    assert weights.shape == (1,) and weights != 2 and 0 <= weights[0] <= 10
    assert formula.perturb(7, 1, 0.5).tobytes() == weights.tobytes() != formula.perturb(8, 1, 0.5).tobytes()
    assert formula.perturb(7, 1, 0.0, np.float32([3])) == 3
    refused(Status.BAD_WEIGHT, lambda: formula.perturb(7, 1, 5.0))
    refused(Status.BAD_OPTION, lambda: formula.perturb(-7, 1, 0.5), "seed")
    refused(Status.UNKNOWN_TASK, lambda: model.perturb(7, 1, 0.5))
    with Model.open(work / "goldens/102.pkr") as own:
        assert own.formula is not None and own.terms == () and own.num_terms == len(own.formula.terms)
        assert [w.name for w in own.formula.weights] == ["w0", "w1", "w2"]
        assert own.perturb(7, 1, 0.0).tolist() == [w.value for w in own.formula.weights]
        with Ranker(own) as ranker:
            ranking = ranker.rank(Request(own, 5), terms=True)
            assert ranking.terms is not None and ranking.terms.shape == (5, own.num_terms)
