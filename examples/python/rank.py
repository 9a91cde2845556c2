"""Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores: the lines of ../c/rank.c.

python rank.py MODEL.pkr REQUESTS.req

On any error the order stays the one that the server sent.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from requests_file import read_requests

from pocketrank import Model, PocketrankError, Ranker, Request, Status


def bits(name: str, values: NDArray[np.float32] | None) -> str:
    assert values is not None
    return "".join((name, *(f" {x:08x}" for x in values.ravel().view(np.uint32).tolist())))


def rank(ranker: Ranker, number: int, request: Request) -> None:
    n = request.num_candidates
    try:
        r = ranker.rank(request)
    except PocketrankError as error:
        # Whatever went wrong: the order that the server sent.
        print(f"request {number} PKR_ERR_{Status(error.status).name} server's order")
        print("order", *range(n))
        print("fused\nscores")
        return
    print(
        f"request {number} PKR_OK scored {r.scored} missing {r.missing} not_finite {r.not_finite} "
        f"unknown_ids {r.unknown_ids} cut_lists {r.cut_lists}"
    )
    print("order", *r.order.tolist())
    print(bits("fused", r.fused))
    print(bits("scores", r.scores))


def main(model_path: str, requests_path: str) -> None:
    with Model.open(model_path) as model, Ranker(model) as ranker:
        for number, request in enumerate(read_requests(requests_path, model)):
            rank(ranker, number, request)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: rank.py MODEL.pkr REQUESTS.req")
    main(*sys.argv[1:])
