"""A formula that was shipped apart from its model."""

from __future__ import annotations

from ctypes import byref, c_void_p
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._abi import lib
from ._memory import Closing, address, block, check, constant, new_detail
from .information import Weight, find_weight, perturbed, read_formula

if TYPE_CHECKING:
    from .model import Model


class Formula(Closing):
    """Takes the place of a model's fusion in requests that name it (`Request.formula`). Immutable, for any number of threads.

    Errors of opening: 2xx and 3xx for the bytes, with the byte in `offset`; `Status.FORMULA_INPUT` for a task or feature that the
    model does not have, `Status.FORMULA_CODE`, `Status.FORMULA_COST`, `Status.FORMULA_RANGE` for a program that may not run.
    A request of another model answers `Status.FORMULA_MODEL`.
    """

    def __init__(self, model: Model, data: object) -> None:
        """Opens what `pocketrank formula -o FILE` wrote. The bytes are borrowed; of a writable buffer a copy."""
        content = constant(data, "formula")
        memory = block(lib.pkr_formula_bytes())
        handle = c_void_p()
        detail, place = new_detail()
        with model._gate.reading():
            status = lib.pkr_formula_open(
                model._handle, address(content), content.size, address(memory), memory.nbytes, byref(handle), place
            )
            check(status, "formula", detail)
            self.model = model
            self._opened("formula", handle, lib.pkr_formula_close, memory, content)
            about = read_formula(model._handle, self._handle)
        self._about = about
        self.text: str = about.text
        """What it was made of."""
        self.weights: tuple[Weight, ...] = about.weights
        """What `Request.weights` are, in this order."""
        self.terms: tuple[str, ...] = about.terms
        """Text of each addend: what the columns of `Ranking.terms` are about."""
        self.cost: int = about.cost
        """What a candidate costs, in additions; at most 1,024."""

    def weight(self, name: str) -> Weight:
        """The weight of this name. Errors: `Status.UNKNOWN_TASK`."""
        with self.model._gate.reading(), self._gate.reading():
            return self.weights[find_weight(self.model._handle, self._handle, name)]

    def perturb(self, seed: int, salt: int, sigma: float, weights: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Weights to try on one user, for tuning online: as `Model.perturb`. Log them with what was shown."""
        with self.model._gate.reading(), self._gate.reading():
            return perturbed(self.model._handle, self._handle, self._about, weights, (seed, salt, sigma))

    def __repr__(self) -> str:
        return f"<Formula {self.text!r}, {len(self.weights)} weights>"
