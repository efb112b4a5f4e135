"""What can be scored: each quantity with its unit, its kind of error and whether models are ranked by it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from backend.core.parameters import RULES, Parameter
from backend.scoring.grid import Values
from backend.scoring.metrics.direction import DirectionError
from backend.scoring.metrics.error_kind import ErrorKind, Series
from backend.scoring.metrics.scalar import ScalarError
from backend.scoring.metrics.vector import VectorError


class Quantity(StrEnum):
    """What is scored. `temperature` is corrected to the station's height, `temperature_raw` is not."""

    WIND_SPEED = "wind_speed"
    WIND_GUST = "wind_gust"
    WIND_DIRECTION = "wind_direction"
    TEMPERATURE = "temperature"
    TEMPERATURE_RAW = "temperature_raw"
    WIND = "wind"  # speed and direction in one, as a vector

    @property
    def parameter(self) -> Parameter:
        """Return the parameter that has this quantity's unit and least difference."""
        return _PARAMETER[self]

    @property
    def unit(self) -> str:
        """Return the unit of scores."""
        return "degrees" if self is Quantity.WIND_DIRECTION else RULES[self.parameter].unit

    @property
    def is_ranked(self) -> bool:
        """Whether models may be ranked by it: not by temperatures at the heights of their own ground."""
        return self is not Quantity.TEMPERATURE_RAW

    @property
    def kind(self) -> ErrorKind:
        """Return the kind of its errors: their sums, scores and bias."""
        return _KIND[self]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters that a series of this quantity needs."""
        return (Parameter.WIND_DIRECTION, Parameter.WIND_SPEED) if self.kind.of_wind else (self.parameter,)

    def series(self, values: Mapping[Parameter, Values]) -> Series:
        """Return the series of this quantity from the values of all parameters."""
        if self.kind.of_wind:
            return Series(values[Parameter.WIND_DIRECTION], values[Parameter.WIND_SPEED])
        return Series(values[self.parameter])


_PARAMETER = {
    Quantity.WIND_SPEED: Parameter.WIND_SPEED,
    Quantity.WIND_GUST: Parameter.WIND_GUST,
    Quantity.WIND_DIRECTION: Parameter.WIND_DIRECTION,
    Quantity.TEMPERATURE: Parameter.TEMPERATURE,
    Quantity.TEMPERATURE_RAW: Parameter.TEMPERATURE,
    Quantity.WIND: Parameter.WIND_SPEED,
}

_SCALAR = ScalarError()
_KIND: Mapping[Quantity, ErrorKind] = dict.fromkeys(Quantity, _SCALAR) | {
    Quantity.WIND_DIRECTION: DirectionError(),
    Quantity.WIND: VectorError(),
}

SINGLE_VALUED = tuple(quantity for quantity in Quantity if quantity.kind.bias is not None)
"""The quantities with one value an hour, and therefore with a bias. A wind is a speed and a direction."""
