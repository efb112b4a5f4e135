"""The state of a unit as bytes, and back with the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backend.forecast.cells import Floats
from backend.forecast.learning import ForecastHours, State

_STEPS = 1000
"""Values of models and readings are whole thousandths: as 32-bit integers they take half the space."""

_NONE = np.iinfo(np.int32).min


@dataclass(frozen=True, slots=True, eq=False)
class UnitState:
    """What is known at one station: the state, its models, and the forecasts that wait for their readings.

    `waiting` is by local day. All arrays have one unit.
    """

    models: Sequence[str]
    state: State
    waiting: Mapping[int, ForecastHours]

    def packed(self) -> bytes:
        """Return the bytes of it."""
        arrays = self.state.arrays()
        values, errors = arrays.pop("past_values"), arrays.pop("past_errors")
        # The errors are o - p: with the reading of each hour they follow from the values, to the bit.
        there = ~np.isnan(values + errors)
        readings = np.where(there, values + errors, -np.inf).max(axis=2)
        parts: dict[str, NDArray[Any]] = {
            **arrays,
            "readings": _steps(np.where(np.isfinite(readings), readings, np.nan)),
            "combined": values[:, :, 0],
            "raw": _steps(values[:, :, 1:]),
        }
        waiting = {
            str(day): {field.name: _bytes(getattr(hours, field.name)) for field in fields(ForecastHours)}
            for day, hours in self.waiting.items()
        }
        return msgspec.msgpack.encode(
            (list(self.models), {name: _bytes(part) for name, part in parts.items()}, waiting)
        )

    @classmethod
    def unpacked(cls, content: bytes) -> UnitState:
        """Return the state of `packed`."""
        models, parts, waiting = msgspec.msgpack.decode(content)
        arrays = {name: _array(part) for name, part in parts.items()}
        readings, combined, raw = (arrays.pop(name) for name in ("readings", "combined", "raw"))
        values = np.concatenate([combined[:, :, None], _units(raw)], axis=2)
        state = State.from_arrays(
            arrays | {"past_values": values, "past_errors": _units(readings)[:, :, None] - values}
        )
        hours = {
            int(day): ForecastHours(**{name: _array(part) for name, part in of_day.items()})
            for day, of_day in waiting.items()
        }
        return cls(models, state, hours)


def _steps(values: Floats) -> NDArray[np.int32]:
    return np.where(np.isnan(values), _NONE, np.rint(values * _STEPS)).astype(np.int32)


def _units(steps: NDArray[np.int32]) -> Floats:
    return np.where(steps == _NONE, np.nan, steps / _STEPS)


def _bytes(part: NDArray[Any]) -> tuple[str, list[int], bytes]:
    return part.dtype.str, list(part.shape), np.ascontiguousarray(part).tobytes()


def _array(part: tuple[str, list[int], bytes]) -> NDArray[Any]:
    kind, shape, content = part
    return np.frombuffer(content, kind).reshape(shape)
