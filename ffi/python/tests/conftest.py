"""Models and requests that the goldens have: test.sh names their folder in POCKETRANK_WORK."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketrank import Model, Ranker, Request

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "examples" / "python"))

from requests_file import read_requests  # noqa: E402


@pytest.fixture(scope="session")
def work() -> Path:
    return Path(os.environ["POCKETRANK_WORK"])


@pytest.fixture
def model(work: Path) -> Iterator[Model]:
    with Model.open(work / "model.pkr") as opened:
        yield opened


@pytest.fixture
def ranker(model: Model) -> Iterator[Ranker]:
    with Ranker(model) as made:
        yield made


@pytest.fixture
def requests(work: Path, model: Model) -> list[Request]:
    return list(read_requests(str(work / "requests.req"), model))


@pytest.fixture
def request_(requests: list[Request], ranker: Ranker) -> Request:
    """One with candidates enough to be interesting, which is answered."""
    return next(r for r in requests if answers(ranker, r) and 20 <= r.num_candidates <= 300 and r.max_candidates == 0)


def answers(ranker: Ranker, request: Request) -> bool:
    from pocketrank import PocketrankError

    try:
        ranker.rank(request)
    except PocketrankError:
        return False
    return True
