"""What can be scored, and how: each quantity with its sums, its errors and the score that ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from backend.core.parameters import RULES, Parameter
from backend.scoring.grid import ABSENT, Bools, Integers, Values, paired, present
from backend.scoring.metrics.direction import (
    DirectionSums,
    direction_errors,
    direction_pairs,
    mean_absolute_direction_error,
    steady_bias,
)
from backend.scoring.metrics.formula import Formula
from backend.scoring.metrics.scalar import ScalarSums, mae, mean_error
from backend.scoring.metrics.sums import Sums
from backend.scoring.metrics.vector import VectorSums, mean_vector_error, vector_errors
from backend.scoring.sample.sample import Sample


class Quantity(StrEnum):
    """What is scored. The temperature is brought to the station's height; the raw one is beside it."""

    WIND_SPEED = "wind_speed"
    WIND_GUST = "wind_gust"
    WIND_DIRECTION = "wind_direction"
    TEMPERATURE = "temperature"
    TEMPERATURE_RAW = "temperature_raw"
    WIND = "wind"  # speed and direction in one, as a vector

    @property
    def parameter(self) -> Parameter:
        """Return the parameter whose unit and least difference are this quantity's."""
        return _PARAMETER[self]

    @property
    def unit(self) -> str:
        """Return the unit of scores."""
        return "degrees" if self is Quantity.WIND_DIRECTION else RULES[self.parameter].unit

    @property
    def is_ranked(self) -> bool:
        """Whether models may be ranked by it: not by temperatures at the heights of their own grounds."""
        return self is not Quantity.TEMPERATURE_RAW

    @property
    def ranking(self) -> Formula[Any]:
        """Return the score that ranks models: smaller is better."""
        if self is Quantity.WIND_DIRECTION:
            return mean_absolute_direction_error
        return mean_vector_error if self is Quantity.WIND else mae

    @property
    def bias(self) -> Formula[Any] | None:
        """Return the bias: of directions the steady turn, of winds none, for a length has no sign."""
        if self is Quantity.WIND_DIRECTION:
            return steady_bias
        return None if self is Quantity.WIND else mean_error


_PARAMETER = {
    Quantity.WIND_SPEED: Parameter.WIND_SPEED,
    Quantity.WIND_GUST: Parameter.WIND_GUST,
    Quantity.WIND_DIRECTION: Parameter.WIND_DIRECTION,
    Quantity.TEMPERATURE: Parameter.TEMPERATURE,
    Quantity.TEMPERATURE_RAW: Parameter.TEMPERATURE,
    Quantity.WIND: Parameter.WIND_SPEED,
}


SINGLE_VALUED = tuple(quantity for quantity in Quantity if quantity is not Quantity.WIND)
"""The quantities with one value an hour, and therefore with a bias. A wind is a speed and a direction."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one side, a model or the station, says: `main` is the quantity, `speed` goes with a direction."""

    main: Values
    speed: Values | None = None


def forecast_series(sample: Sample, quantity: Quantity, model: str) -> Series:
    """Return what a model says of a quantity; all ABSENT where it says nothing."""
    if quantity is Quantity.TEMPERATURE:
        none = np.full_like(sample.observed[Parameter.TEMPERATURE], ABSENT)
        return Series(sample.temperatures.get(model, none))
    said = sample.forecasts[model]
    if quantity in {Quantity.WIND_DIRECTION, Quantity.WIND}:
        return Series(said[Parameter.WIND_DIRECTION], said[Parameter.WIND_SPEED])
    return Series(said[quantity.parameter])


def reference_side(sample: Sample, quantity: Quantity, name: str, models: Sequence[str]) -> Series:
    """Return what one of REFERENCES says of a quantity; the mean of the models is that of `models`."""

    def said(parameter: Parameter) -> Values:
        if quantity is Quantity.TEMPERATURE:
            of_models = [sample.temperatures[model] for model in models if model in sample.temperatures]
        else:
            of_models = [sample.forecasts[model][parameter] for model in models]
        return sample.reference(name, parameter, of_models)

    if quantity in {Quantity.WIND_DIRECTION, Quantity.WIND}:
        return Series(said(Parameter.WIND_DIRECTION), said(Parameter.WIND_SPEED))
    return Series(said(quantity.parameter))


def observed_side(sample: Sample, quantity: Quantity) -> Series:
    """Return what the station measured of a quantity."""
    if quantity in {Quantity.WIND_DIRECTION, Quantity.WIND}:
        return Series(sample.observed[Parameter.WIND_DIRECTION], sample.observed[Parameter.WIND_SPEED])
    return Series(sample.observed[quantity.parameter])


def pairs(quantity: Quantity, f: Series, o: Series) -> Bools:
    """Return the hours that count as pairs of a quantity."""
    if quantity is Quantity.WIND_DIRECTION:
        return direction_pairs(f.main, o.main, speed_of(f), speed_of(o))[0]
    if quantity is Quantity.WIND:
        return vector_errors(f.main, o.main, speed_of(f), speed_of(o))[1]
    return paired(f.main, o.main)


def sums(quantity: Quantity, f: Series, o: Series, mask: Bools | None = None) -> Sums:
    """Return the per-day sums of a quantity within `mask`."""
    if quantity is Quantity.WIND_DIRECTION:
        return DirectionSums.of(f.main, o.main, speed_of(f), speed_of(o), mask)
    if quantity is Quantity.WIND:
        return VectorSums.of(f.main, o.main, speed_of(f), speed_of(o), mask)
    return ScalarSums.of(f.main, o.main, mask)


def errors(quantity: Quantity, f: Series, o: Series) -> Integers:
    """Return the errors hour by hour, (days, 25), in thousandths; where there is no pair, 0."""
    there = pairs(quantity, f, o)
    if quantity is Quantity.WIND_DIRECTION:
        return np.where(there, direction_errors(f.main, o.main), 0)
    if quantity is Quantity.WIND:
        return np.where(there, vector_errors(f.main, o.main, speed_of(f), speed_of(o))[0], 0)
    return np.where(there, f.main.astype(np.int64) - o.main, 0)


def has_any(side: Series) -> bool:
    """Say whether a side says anything at all."""
    return bool(present(side.main).any())


def speed_of(side: Series) -> Values:
    """Return the speed that goes with a direction; raise ValueError where there is none."""
    if side.speed is None:
        raise ValueError("a direction is scored with its speed")
    return side.speed
