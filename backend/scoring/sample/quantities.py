"""What can be scored, and one quantity of a sample: its series, pairs, errors and sums, for each model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any, NamedTuple, Self, cast

import numpy as np

from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT, RULES, Parameter
from backend.core.registry import OWN_MODEL
from backend.scoring.constants import COMMON_SAMPLE_KEEPS
from backend.scoring.grid import Bools, Integers, Values
from backend.scoring.metrics.direction import DirectionError
from backend.scoring.metrics.scalar import ScalarError
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, Series, SizeSums
from backend.scoring.metrics.vector import VectorError
from backend.scoring.sample.sample import BASELINES, Sample


class Quantity(StrEnum):
    """What is scored. `temperature` is corrected to the station's height, `temperature_raw` is not."""

    parameter: Parameter
    """The parameter that has this quantity's unit and least difference."""
    parameters: tuple[Parameter, ...]
    """The parameters that a series of this quantity needs."""
    unit: str
    """The unit of scores."""
    kind: ErrorKind
    """The kind of its errors: their sums, scores and bias."""
    is_ranked: bool
    """Whether models may be ranked by it: not by temperatures at the heights of their own ground."""

    WIND_SPEED = "wind_speed", Parameter.WIND_SPEED, ScalarError()
    WIND_GUST = "wind_gust", Parameter.WIND_GUST, ScalarError()
    WIND_DIRECTION = "wind_direction", Parameter.WIND_DIRECTION, DirectionError()
    TEMPERATURE = "temperature", Parameter.TEMPERATURE, ScalarError()
    TEMPERATURE_RAW = "temperature_raw", Parameter.TEMPERATURE, ScalarError()
    WIND = "wind", Parameter.WIND_SPEED, VectorError()  # speed and direction in one, as a vector

    def __new__(cls, value: str, *attributes: Any) -> Self:
        """Make a member of its row above; a call with a value alone finds the member."""
        measured, error_kind = attributes
        quantity = str.__new__(cls, value)
        quantity._value_ = value
        quantity.parameter, quantity.kind = measured, error_kind
        of_wind = (Parameter.WIND_DIRECTION, Parameter.WIND_SPEED)
        quantity.parameters = of_wind if error_kind.of_wind else (measured,)
        is_direction = measured is Parameter.WIND_DIRECTION
        quantity.unit = "degrees" if is_direction else RULES[measured].unit
        quantity.is_ranked = value != "temperature_raw"
        return quantity

    def series(self, values: Mapping[Parameter, Values]) -> Series:
        """Return the series of this quantity from the values of all parameters."""
        if self.kind.of_wind:
            return Series(values[Parameter.WIND_DIRECTION], values[Parameter.WIND_SPEED])
        return Series(values[self.parameter])


SINGLE_VALUED = tuple(quantity for quantity in Quantity if quantity.kind.bias is not None)
"""The quantities with one value an hour, and therefore with a bias. A wind is a speed and a direction."""


# --- The hours that are compared -------------------------------------------------------------------------


class CommonSample(NamedTuple):
    """The models that are compared, in the order in which they were added, and the cases they share."""

    compared: tuple[str, ...]
    shared: Bools


def common_sample(pairs: Mapping[str, Bools], shape: tuple[int, ...]) -> CommonSample:
    """Return the models that can be compared without a large loss of cases, and the cases they share.

    `pairs` are the cases of each model, arrays of this `shape`: hours (days, 25), or whole days (days, 1).
    From the two that share the most on, a model is added as long as the common sample keeps
    COMMON_SAMPLE_KEEPS of what these two share.
    """
    hours = {name: int(of_model.sum()) for name, of_model in pairs.items()}
    counted = sorted((name for name in pairs if hours[name]), key=hours.__getitem__, reverse=True)
    shares = {(a, b): int((pairs[a] & pairs[b]).sum()) for a, b in combinations(counted, 2)}
    first = max(shares, key=shares.__getitem__, default=())
    if not first or not shares[first]:
        alone = tuple(counted[:1])
        return CommonSample(alone, pairs[alone[0]] if alone else np.zeros(shape, np.bool_))
    taken, shared = list(first), pairs[first[0]] & pairs[first[1]]
    # In the order of their hours: a model with few hours must not keep out one with many.
    for name in (name for name in counted if name not in first):
        both = shared & pairs[name]
        if int(both.sum()) >= COMMON_SAMPLE_KEEPS.value * shares[first]:
            taken.append(name)
            shared = both
    return CommonSample(tuple(taken), shared)


# --- One quantity of a sample ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class QuantitySample:
    """One quantity of a sample: the series, pairs, errors and sums of each model and baseline.

    `name` is a model or one of BASELINES; the mean of the models is that of the compared ones. Each array is
    computed once per sample: a verdict needs most of them several times.
    """

    sample: Sample
    quantity: Quantity

    @property
    def observed(self) -> Series:
        """What the reference station measured in the hours that count."""
        return self.quantity.series(self.sample.observed)

    @property
    def common(self) -> CommonSample:
        """The models that can be compared, and the hours they share."""
        key = self.quantity, "common"
        if key not in self.sample.computed:
            pairs = {name: self.pairs(name) for name in self.sample.forecasts}
            shape = len(self.sample.span.days), HOURS_A_DAY
            self.sample.computed[key] = common_sample(pairs, shape)
        return cast(CommonSample, self.sample.computed[key])

    def series(self, name: str) -> Series:
        """Return the forecasts of a model or baseline; ABSENT where there are none."""
        sample, quantity = self.sample, self.quantity
        if name not in BASELINES:
            if quantity is Quantity.TEMPERATURE:
                none = np.full_like(sample.observed[Parameter.TEMPERATURE], ABSENT)
                return Series(sample.temperatures.get(name, none))
            return quantity.series(sample.forecasts[name])
        key = quantity, "baseline", name
        if key not in sample.computed:
            values = {}
            # Our own forecast is a combination of the models: the mean is of the others.
            models = [model for model in self.common.compared if model != OWN_MODEL.name]
            for parameter in quantity.parameters:
                if quantity is Quantity.TEMPERATURE:
                    of_models = [
                        sample.temperatures[model] for model in models if model in sample.temperatures
                    ]
                else:
                    of_models = [sample.forecasts[model][parameter] for model in models]
                values[parameter] = sample.reference(name, parameter, of_models)
            sample.computed[key] = quantity.series(values)
        return cast(Series, sample.computed[key])

    def hourly(self, name: str) -> ErrorSums:
        """Return the sums of each hour by itself."""
        key = self.quantity, "hourly", name
        if key not in self.sample.computed:
            self.sample.computed[key] = self.quantity.kind.hourly(self.series(name), self.observed)
        return cast(ErrorSums, self.sample.computed[key])

    def pairs(self, name: str) -> Bools:
        """Return the hours that count as pairs, (days, 25)."""
        return np.asarray(self.hourly(name).n != 0)

    def errors(self, name: str) -> Integers:
        """Return the errors hour by hour, (days, 25), in thousandths; 0 where there is no pair."""
        return self.hourly(name).sum_errors

    def sums(self, name: str, mask: Bools | None = None) -> ErrorSums:
        """Return the sums of each day, of its pairs within `mask`."""
        # An array cannot be a key of a dictionary, its bytes can.
        key = self.quantity, "sums", name, None if mask is None else mask.tobytes()
        if key not in self.sample.computed:
            self.sample.computed[key] = self.hourly(name).of_days(mask)
        return cast(ErrorSums, self.sample.computed[key])

    def sizes(self, name: str, mask: Bools | None = None) -> SizeSums:
        """Return the sizes of errors of each day, of its pairs within `mask`."""
        within = None if mask is None else mask.tobytes()
        # The sums, where they were computed, contain the sizes; to add up the sizes alone takes less time.
        if (self.quantity, "sums", name, within) in self.sample.computed:
            return self.sums(name, mask).sizes()
        key = self.quantity, "sizes", name, within
        if key not in self.sample.computed:
            self.sample.computed[key] = self.hourly(name).sizes().of_days(mask)
        return cast(SizeSums, self.sample.computed[key])
