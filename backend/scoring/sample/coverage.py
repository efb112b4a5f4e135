"""How much of what could be had was had: of each model, of each station, and of each calendar month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.core.local_time import date_of, month_days, month_number
from backend.scoring.constants import COMPLETE_MONTH
from backend.scoring.grid import Bools, clock_hours, present
from backend.scoring.hours import Hours
from backend.scoring.sample.quantities import Quantity, Series, forecast_series, observed_side, pairs
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DecisionView


@dataclass(frozen=True, slots=True)
class Coverage:
    """So many `hours` were had of those `expected`."""

    hours: int
    expected: int

    @property
    def share(self) -> float | None:
        """The share, None of nothing expected."""
        return self.hours / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month: the number of `core.local_time.month_number`, and how much of it was observed.

    All of its hours that the question counts are expected, so that one that is cut short by the days asked
    for, or not over yet, is complete only if enough of the whole was observed. WMO LC-DNV leaves a station
    out below COMPLETE_MONTH; here that is a label.
    """

    number: int
    coverage: Coverage

    @property
    def complete(self) -> bool:
        """Whether COMPLETE_MONTH of its hours were observed."""
        return self.coverage.hours >= COMPLETE_MONTH.value * self.coverage.expected


@dataclass(frozen=True, slots=True)
class Covered:
    """What was had of one question, by model, by station that speaks, and by month.

    `pairs` are the hours that each model has in common with the station, whatever the others have.
    """

    pairs: Mapping[str, int]
    models: Mapping[str, Coverage]
    stations: Mapping[str, Coverage]
    months: tuple[Month, ...]


def covered(sample: Sample, quantity: Quantity, now: int) -> Covered:
    """Return what was had up to `now` (seconds since 1970), since the first day on which anything was.

    Only hours that the question counts are expected: of a model, those of the view; of a station, those of
    the days on which it speaks. Winds too light to tell a direction are had.
    """
    measured = observed_side(sample, quantity)
    sides = {model: forecast_series(sample, quantity, model) for model in sample.forecasts}
    observed = known(measured, quantity)
    said = {model: known(side, quantity) for model, side in sides.items()}
    had = np.logical_or.reduce([observed, *said.values()]).any(axis=1)
    expected = _over(sample, now) & sample.counted & (np.cumsum(had) > 0)[:, None]
    of_view = expected & _in_view(sample)
    return Covered(
        pairs={model: int(pairs(quantity, side, measured).sum()) for model, side in sides.items()},
        models={model: _counted(values, of_view) for model, values in said.items()},
        stations={
            code: _counted(observed, expected & days[:, None]) for code, days in sample.reference_days.items()
        },
        months=_months(sample, observed, int(np.argmax(had))) if had.any() else (),
    )


def known(side: Series, quantity: Quantity) -> Bools:
    """Return the hours of which a side says anything: of winds, also where they have no direction."""
    if side.speed is None or quantity not in {Quantity.WIND, Quantity.WIND_DIRECTION}:
        return present(side.main)
    return np.asarray(present(side.speed) & (present(side.main) | (side.speed == 0)))


def _over(sample: Sample, now: int) -> Bools:
    """Return the hours that the days have, and that are over."""
    moments = sample.span.hours()
    exists = np.arange(moments.shape[1]) < sample.span.lengths()[:, None]
    return np.asarray(exists & (moments <= now))


def _in_view(sample: Sample) -> Bools:
    moments, view = sample.span.hours(), sample.view
    if isinstance(view, DecisionView):
        return np.asarray(moments >= sample.span.moments(view.hour, view.days_before)[:, None])
    return np.ones(moments.shape, np.bool_)


def _counted(had: Bools, expected: Bools) -> Coverage:
    return Coverage(int((had & expected).sum()), int(expected.sum()))


def _months(sample: Sample, observed: Bools, first: int) -> tuple[Month, ...]:
    numbers = np.array([month_number(day) for day in sample.span.days])
    hours = observed.sum(axis=1)
    return tuple(
        Month(number, Coverage(int(hours[numbers == number].sum()), _length(number, sample.hours)))
        for number in np.unique(numbers[first:]).tolist()
    )


def _length(number: int, hours: Hours) -> int:
    """Return how many of these hours a calendar month has, the changes of the clocks included."""
    days = month_days(number)
    return int(hours.counted(clock_hours(date_of(days[0]), len(days))).sum())
