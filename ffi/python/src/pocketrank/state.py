"""A user's past: what derived features are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ._abi import lib, pkr_event, pkr_key
from ._memory import Gate, address, check, new_detail, octets
from .errors import PocketrankError, Status

if TYPE_CHECKING:
    from .model import Key, Model


@dataclass(frozen=True, slots=True)
class Event:
    """One label of one past impression, as it becomes known."""

    label: str | int
    time: int
    """When it became known, Unix seconds."""
    value: float = 1.0
    """0 or 1 for binary labels."""
    keys: Mapping[str | int, Key] = field(default_factory=dict)
    """What the impression showed, by feature: that of the features which derived features use as keys."""

    def for_model(self, model: Model) -> pkr_event:
        """The event as the library takes it."""
        keys = [model._key(model.feature(feature), value) for feature, value in self.keys.items()]
        array = (pkr_key * len(keys))(*keys)
        made = pkr_event(label=model.label(self.label).index, time=_time(self.time), value=self.value)
        made.keys, made.num_keys = array, len(keys)
        return made


class UserState:
    """A user's state: plain bytes that the app may store. It belongs to models with the same derived features.

    One thread at a time changes it, and none while a request reads it: `Status.OVERLAP` otherwise.
    """

    def __init__(self, model: Model, stored: bytes | None = None) -> None:
        """A user without a past, or what `bytes(state)` gave. Errors: `Status.BUFFER_TOO_SMALL` for fewer bytes."""
        self.model = model
        self._content = np.zeros(model.state_bytes, np.uint8)
        self._gate = Gate("user state", advice="apply events between requests")
        if stored is None:
            self.reset()
            return
        given = octets(stored, "user state")
        if given.size != model.state_bytes:
            raise PocketrankError(
                Status.BUFFER_TOO_SMALL if given.size < model.state_bytes else Status.STATE_LAYOUT,
                f"user state: {given.size} bytes; the model's have {model.state_bytes}",
                offset=model.state_bytes,
            )
        self._content[:] = given

    def reset(self) -> None:
        """Forgets the past."""
        if self._content.size == 0:
            return
        with self._gate.writing(), self.model._gate.reading():
            check(lib.pkr_state_reset(self.model._handle, address(self._content), self._content.size), "user state")

    def apply(self, event: Event) -> None:
        """Adds one event; apply them in the order in which they became known. On any error the state is as before.

        Errors: `Status.UNKNOWN_LABEL`, `Status.BAD_TIME`, `Status.STATE_LAYOUT`, `Status.STATE_CORRUPT`; for keys
        `Status.UNKNOWN_FEATURE`, `Status.WRONG_FORM`.
        """
        made = event.for_model(self.model)
        detail, place = new_detail()
        with self._gate.writing(), self.model._gate.reading():
            status = lib.pkr_state_apply(self.model._handle, address(self._content), self._content.size, made, place)
        check(status, f"event {event.label!r}", detail)

    def __bytes__(self) -> bytes:
        with self._gate.reading():
            return self._content.tobytes()

    def __len__(self) -> int:
        return int(self._content.size)


def _time(value: int) -> int:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise PocketrankError(Status.BAD_TIME, f"time: {value!r}; it must be Unix seconds of 64 bits")
    return number
