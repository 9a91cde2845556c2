"""Microseconds that Python adds to a request of 8 candidates: ffi/python/bench.py WORK, where WORK has model.pkr.

For an environment that has the wheel, as target/python/test-venv-* that test.sh makes. Least of 20 rounds of 2,000.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from ctypes import byref
from pathlib import Path

import numpy as np

from pocketrank import Model, Ranker, Request
from pocketrank._abi import lib, pkr_result
from pocketrank._memory import address, new_detail

NUMBER = 2000


def least(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=NUMBER, repeat=20)) / NUMBER * 1e6


def main() -> None:
    with Model.open(Path(sys.argv[1]) / "model.pkr") as model, Ranker(model) as ranker:
        request, items = Request(model, 8), np.arange(8)
        request["item"] = items
        out = ranker.rank(request)
        result = pkr_result(order=address(out.order), order_len=8, fused=address(out.fused), fused_len=8)
        assert out.scores is not None
        result.scores, result.scores_len = address(out.scores), out.scores.size
        _, detail = new_detail()
        alone = least(lambda: lib.pkr_rank(model._handle, ranker._handle, byref(request._content), byref(result), detail))
        print(f"a call: {least(lambda: ranker.rank(request)) - alone:.1f} us more than the {alone:.1f} us of pkr_rank by ctypes")
        print(f"a column: {least(lambda: request.__setitem__('item', items)):.1f} us")


if __name__ == "__main__":
    main()
