"""The state of a unit as bytes, and back with the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backend.forecast.cells import PLACES, Floats
from backend.forecast.learning import STEPS, Advice, State

_NONE = np.iinfo(np.int32).min
_WINDOW = ("past_values", "past_readings")
"""Parts whose values are whole steps: as 32-bit integers they take half the space."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitState:
    """What is known at one station: the state, its models, and what was issued and waits for its readings.

    `waiting` is by local day. All arrays have one unit. `newest`: the newest local day that models were kept
    for, -1 before any. `moved`: the local day of the move of the mast that the learning started at, or 0.
    """

    models: Sequence[str]
    state: State
    waiting: Mapping[int, Advice]
    newest: int = -1
    moved: int = 0

    def packed(self) -> bytes:
        """Return the bytes of it."""
        arrays: dict[str, NDArray[Any]] = dict(self.state.arrays())
        for name in _WINDOW:
            arrays[name] = _steps(arrays[name])
        waiting = {
            str(day): {field.name: _bytes(getattr(hours, field.name)) for field in fields(Advice)}
            for day, hours in self.waiting.items()
        }
        parts = {name: _bytes(part) for name, part in arrays.items()}
        return msgspec.msgpack.encode((list(self.models), parts, waiting, self.newest, self.moved))

    @classmethod
    def unpacked(cls, content: bytes) -> UnitState:
        """Return the state of `packed`."""
        models, parts, waiting, newest, moved = msgspec.msgpack.decode(content)
        arrays = {name: _array(part) for name, part in parts.items()}
        for name in _WINDOW:
            arrays[name] = _units(arrays[name])
        hours = {
            int(day): Advice(**{name: _array(part) for name, part in of_day.items()})
            for day, of_day in waiting.items()
        }
        return cls(models, State.from_arrays(arrays), hours, newest, moved)


def _steps(values: Floats) -> NDArray[np.int32]:
    """Return values as whole steps; without the place of the second 2 o'clock where it has no value."""
    missing = np.isnan(values)
    steps = np.where(missing, _NONE, np.rint(np.where(missing, 0.0, values) * STEPS)).astype(np.int32)
    return steps[..., :-1] if missing[..., -1].all() else steps


def _units(steps: NDArray[np.int32]) -> Floats:
    values = np.where(steps == _NONE, np.nan, steps / STEPS)
    if values.shape[-1] == PLACES:
        return values
    return np.concatenate([values, np.full_like(values[..., :1], np.nan)], axis=-1)


def _bytes(part: NDArray[Any]) -> tuple[str, list[int], bytes]:
    return part.dtype.str, list(part.shape), np.ascontiguousarray(part).tobytes()


def _array(part: tuple[str, list[int], bytes]) -> NDArray[Any]:
    kind, shape, content = part
    return np.frombuffer(content, kind).reshape(shape)
