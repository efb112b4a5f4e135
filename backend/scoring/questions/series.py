"""Recent days hour by hour: what was known at a decision, what came, and by how much it differed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backend.core.columns import NO_LEAD, UNPAIRED
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT
from backend.scoring.grid import NO_HOUR, SCALE, Values
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity, QuantitySample
from backend.scoring.sample.sample import Sample


@dataclass(frozen=True, slots=True)
class HourForecast:
    """A model's forecast of an hour, in the quantity's unit; `lead` in minutes."""

    model: str
    forecast: float | None
    error: float | None
    lead: int | None


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour: its moment (seconds since 1970), its local day and hour, its observation and forecasts.

    `offset` is how many minutes what was measured is from the hour.
    """

    moment: int
    day: int
    clock: int
    observation: float | None
    offset: int | None
    forecasts: tuple[HourForecast, ...]


def hours(sample: Sample, quantity: Quantity) -> Iterator[Hour]:
    """Yield every hour of a sample's days. Raises ValueError for a quantity without hourly values."""
    if quantity not in SINGLE_VALUED:
        raise ValueError(f"{quantity} has no hourly values")
    of_quantity = QuantitySample(sample, quantity)
    observed = of_quantity.observed
    of_model = {
        model: (
            of_quantity.series(model).main,
            np.where(of_quantity.pairs(model), of_quantity.errors(model), ABSENT),
        )
        for model in sample.forecasts
    }
    leads = {model: sample.lead(model, quantity.parameter) for model in of_model}
    moments, clock = sample.span.hours(), sample.clock
    for row, day in enumerate(sample.span.days):
        for hour in range(HOURS_A_DAY):
            if clock[row, hour] == NO_HOUR:
                continue
            forecasts = tuple(
                HourForecast(
                    model,
                    _value(forecast, row, hour),
                    _value(error, row, hour),
                    _unless(int(leads[model][row, hour]), NO_LEAD),
                )
                for model, (forecast, error) in of_model.items()
            )
            yield Hour(
                int(moments[row, hour]),
                day,
                int(clock[row, hour]),
                _value(observed.main, row, hour),
                _unless(int(sample.offsets[row, hour]), UNPAIRED),
                forecasts,
            )


def _value(values: Values, row: int, hour: int) -> float | None:
    value = int(values[row, hour])
    return None if value == ABSENT else value / SCALE


def _unless(value: int, missing: int) -> int | None:
    return None if value == missing else value
