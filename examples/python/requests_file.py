"""Reads a file of requests (../README.md): columns are views of the file, nothing is copied."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketrank import Column, Form, Model, Request

VALUES = {0: "<u1", 1: "<u8", 2: "<u1", 3: "<u4", 4: "<f4", 5: "<u1"}  # by form


class Parts:
    """The parts of a file, each on a multiple of 8 bytes."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self.file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self.file[:8] != b"PKRREQ1\n":
            raise SystemExit(f"{path} is no file of requests")
        self.at = 8

    def take(self, count: int, dtype: str) -> NDArray[Any]:
        part: NDArray[Any] = np.frombuffer(self.file, dtype, count, self.at)
        self.at += (part.nbytes + 7) // 8 * 8
        return part


def read_requests(path: str, model: Model) -> Iterator[Request]:
    """Requests of the file, one after the other."""
    parts = Parts(path)
    count, _ = parts.take(2, "<u4")
    for _ in range(count):
        time_low, time_high, candidates, most, flags, columns, state_bytes, num_weights = parts.take(8, "<u4").tolist()
        time = int(np.array([time_low | time_high << 32], np.uint64).view(np.int64)[0])
        request = Request(model, candidates, time=time, max_candidates=most, strict=bool(flags))
        heads = parts.take(6 * columns, "<u4").reshape(columns, 6).tolist()
        for index, (form, values, offsets, list_offsets, weights, _) in enumerate(heads):
            column = Column(
                Form(form),
                parts.take(values, VALUES[form]),
                parts.take(offsets, "<u4") if offsets else None,
                parts.take(list_offsets, "<u4") if list_offsets else None,
                parts.take(weights, "<f4") if weights else None,
            )
            if form != 0:
                request[index] = column
        if state_bytes:
            request.state = parts.take(state_bytes, "<u1")
        if num_weights:
            request.weights = parts.take(num_weights, "<f4")
        yield request
