"""Lists under rules, those of examples/c/rerank.c among them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, answers
from hypothesis import given, settings
from hypothesis import strategies as st
from test_misuse import refused

from pocketrank import (
    NO_CANDIDATE,
    Decay,
    Diversity,
    Exploration,
    Ranker,
    Request,
    RulePart,
    Rules,
    Spacing,
    Status,
    rerank,
)
from pocketrank._abi import lib

POSITIONS = 10


def test_without_rules_it_is_the_order(ranker: Ranker, requests: list[Request]) -> None:
    for request in [r for r in requests if answers(ranker, r)][:40]:
        ranking = ranker.rank(request)
        made = rerank(Rules(), ranking.fused)
        assert made.candidates.tolist() == ranking.order.tolist()
        assert made.placed == len(ranking.order) and made.relaxed == 0 and (made.slots["propensity"] == 1).all()


def test_rules_of_the_c_example(work: Path, tmp_path: Path, ranker: Ranker, requests: list[Request]) -> None:
    feature = next(f for f in ranker.model.features if f.side != 0 and f.num_embeddings > 0)
    digest = 2166136261
    for request in [r for r in requests if answers(ranker, r)]:
        n = request.num_candidates
        fused = ranker.rank(request).fused
        i = np.arange(n)
        categories = i * i % 7
        rules = Rules(
            spacings=[Spacing(categories, max=2, window=4)],
            decays=[Decay(categories, factor=0.5, floor=0.25)],
            pins={2: n - 1},
            blocked=[1],
            exploration=Exploration.THOMPSON,
            seed=request.time & (2**64 - 1),
            sigma=(np.float32(0.01) * (i % 3).astype(np.float32)),
            diversity=Diversity.DPP,
            weight=2.0,
            vectors=ranker.vectors(request, feature.index),
        )
        made = rerank(rules, fused, POSITIONS)
        assert made.slots.tobytes() == rerank(rules, fused, POSITIONS).slots.tobytes()
        assert made.candidates[1] == NO_CANDIDATE and made.candidates[2] == n - 1
        assert made.placed == (n if n < POSITIONS else POSITIONS - 1)
        for word in np.frombuffer(made.slots.tobytes(), np.uint32).tolist():
            digest = (digest ^ word) * 16777619 & 0xFFFFFFFF
    said = c_says(work, tmp_path)
    assert f"{digest:08x}" in said, said


def c_says(work: Path, tmp_path: Path) -> str:
    """What the C example prints about the same requests, linked to the library that this package has loaded."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    program = tmp_path / "rerank"
    library = Path(lib._name)
    sources = ["-I", ROOT / "include", ROOT / "examples/c/rerank.c", library, f"-Wl,-rpath,{library.parent}"]
    subprocess.run(["cc", "-std=c99", "-O2", *sources, "-o", program], check=True)
    told = subprocess.run([program, work / "model.pkr", work / "requests.req"], check=True, stdout=subprocess.PIPE, text=True)
    return told.stdout


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_spacing_is_kept_or_reported(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    keys = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=n, max_size=n)), np.int64)
    fused = np.array(data.draw(st.lists(st.floats(-10, 10, width=32), min_size=n, max_size=n)), np.float32)
    most, window = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 8))
    made = rerank(Rules(spacings=[Spacing(keys, most, window)]), fused)
    assert sorted(made.candidates.tolist()) == list(range(n))
    placed = keys[made.candidates]
    worst = max((np.sum(placed[i : i + window] == k) for i in range(n) for k in set(keys[keys >= 0])), default=0)
    assert (worst > most) == (made.relaxed != 0) == (made.slots["relaxed"] != 0).any()
    assert made.kept == (0 if made.relaxed else 1)


def test_boosts_hidden_and_chance() -> None:
    fused = np.float32([1, 2, 3, 4])
    assert rerank(Rules(hidden=[3]), fused).candidates.tolist() == [2, 1, 0, NO_CANDIDATE]
    assert rerank(Rules(bonuses=np.float32([9, 0, 0, 0])), fused).candidates.tolist()[0] == 0
    assert rerank(Rules(factors=np.float32([1, 9, 1, 1])), fused).candidates.tolist()[0] == 1
    chance = Rules(exploration=Exploration.EPSILON, epsilon=0.5)
    firsts = []
    for chance.seed in range(2000):
        slot = rerank(chance, fused, 1).slots[0]
        firsts.append(slot["candidate"])
        assert slot["propensity"] == pytest.approx(0.625 if slot["candidate"] == 3 else 0.125)
    assert np.bincount(firsts, minlength=4)[3] == pytest.approx(1250, abs=90)


def test_rules_that_are_refused_say_which() -> None:
    fused = np.float32([1, 2, 3])
    for rules, part, element in (
        (Rules(pins={0: 7}), RulePart.PINS, 0),
        (Rules(hidden=[1, 9]), RulePart.HIDDEN, 1),
        (Rules(factors=np.float32([1, -1, 1])), RulePart.FACTORS, 1),
        (Rules(spacings=[Spacing(np.zeros(3, np.int64), 0, 1)]), RulePart.SPACINGS, 0),
        (Rules(decays=[Decay(np.zeros(2, np.int64), 0.5)]), RulePart.DECAYS, 0),
    ):
        error = refused(Status.BAD_RULE, lambda rules=rules: rerank(rules, fused), part.name.lower())  # type: ignore[misc]
        assert (error.feature, error.candidate) == (part, element)
    error = refused(Status.NOT_FINITE, lambda: rerank(Rules(), np.float32([1, np.nan])))
    assert error.candidate == 1
    refused(Status.WRONG_FORM, lambda: rerank(Rules(), np.zeros(3)), "fused", "float32")
    refused(Status.WRONG_FORM, lambda: rerank(Rules(spacings=[Spacing(np.array(["a"]), 1, 2)]), fused), "factorize")  # type: ignore[arg-type]
    refused(Status.CANDIDATE_COUNT, lambda: rerank(Rules(), np.zeros(5000, np.float32)))
    refused(Status.CANDIDATE_COUNT, lambda: rerank(Rules(), np.zeros(0, np.float32)))
    refused(Status.BAD_OPTION, lambda: rerank(Rules(seed=-1), fused), "seed")
    refused(Status.WRONG_FORM, lambda: rerank(Rules(vectors=np.zeros(3, np.int8)), fused), "[candidates, dim]")
