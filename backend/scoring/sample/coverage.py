"""Data completeness per model, per station and per calendar month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.core.local_time import date_of, month_days
from backend.scoring.constants import COMPLETE_MONTH
from backend.scoring.grid import Bools, clock_hours, present
from backend.scoring.metrics.sums import Series
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DecisionView


@dataclass(frozen=True, slots=True)
class Coverage:
    """Hours available out of hours expected."""

    hours: int
    expected: int

    @property
    def share(self) -> float | None:
        """The share; None where no hour is expected."""
        return self.hours / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month: the number of `core.local_time.month_number`, and how much of it was observed.

    All hours of the month that the question counts are expected: a month that is not over, or only partly
    within the requested days, is complete only if enough of the whole month was observed. WMO LC-DNV excludes
    a station below COMPLETE_MONTH; here that is a label.
    """

    number: int
    coverage: Coverage

    @property
    def complete(self) -> bool:
        """Whether COMPLETE_MONTH of its hours were observed."""
        return self.coverage.hours >= COMPLETE_MONTH.value * self.coverage.expected


@dataclass(frozen=True, slots=True)
class Covered:
    """Data completeness of one question: by model, by reference station, and by month.

    `pairs` are the hours that each model has in common with the station, regardless of the other models.
    """

    pairs: Mapping[str, int]
    models: Mapping[str, Coverage]
    stations: Mapping[str, Coverage]
    months: tuple[Month, ...]


def covered(sample: Sample, quantity: Quantity, now: int) -> Covered:
    """Return data completeness from the first day with any value up to `now` (seconds since 1970).

    Only hours that the question counts are expected: of a model, those of the view; of a station, those of
    the days on which it is the reference. An hour with a wind too light for a direction counts as available.
    """
    of_quantity = QuantitySample(sample, quantity)
    observed = known(of_quantity.observed)
    forecast = {model: known(of_quantity.series(model)) for model in sample.forecasts}
    has_data = np.logical_or.reduce([observed, *forecast.values()]).any(axis=1)
    moments, view = sample.span.hours(), sample.view
    exists = moments < sample.span.starts[1:, None]
    # Days before the first value are not missing: the site was not collected yet.
    expected = exists & (moments <= now) & sample.counted & (np.cumsum(has_data) > 0)[:, None]
    in_view = expected
    if isinstance(view, DecisionView):
        in_view = expected & (moments >= sample.span.moments(view.hour, view.days_before)[:, None])
    numbers, hours = sample.span.month_numbers, observed.sum(axis=1)
    months = []
    # argmax() of booleans is the first True, and 0 where there is none.
    for number in np.unique(numbers[np.argmax(has_data) :]).tolist() if has_data.any() else ():
        days = month_days(number)
        # Counted by the clock: a month in which the clocks change has an hour more or less.
        clock = clock_hours(date_of(days[0]), len(days))
        coverage = Coverage(int(hours[numbers == number].sum()), int(sample.hours.counted(clock).sum()))
        months.append(Month(number, coverage))
    return Covered(
        pairs={model: int(of_quantity.pairs(model).sum()) for model in forecast},
        models={
            model: Coverage(int((values & in_view).sum()), int(in_view.sum()))
            for model, values in forecast.items()
        },
        stations={
            code: Coverage(int((observed & expected)[days].sum()), int(expected[days].sum()))
            for code, days in sample.reference_days.items()
        },
        months=tuple(months),
    )


def known(series: Series) -> Bools:
    """Return the hours that have a value; a calm wind has one although it has no direction."""
    if series.speed is None:
        return present(series.main)
    return np.asarray(present(series.speed) & (present(series.main) | (series.speed == 0)))
