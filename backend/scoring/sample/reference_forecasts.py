"""Baseline forecasts that need no model, as arrays like a model's: a useful model errs less than they do.

All take and return arrays of the grid. "The same hour" is what the clock shows (`grid.clock_hours`):
on the days of the clock change that is not the same column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.scoring.constants import LEAST_CLIMATOLOGY_DAYS
from backend.scoring.grid import ABSENT, CLOCK, HOURS, NO_HOUR, Bools, Integers, Values, present, rounded_mean
from backend.scoring.metrics.direction import mean_direction, sines_and_cosines
from backend.scoring.views import View


def yesterday(o: Values, clock: Integers, view: View) -> Values:
    """Return the observation of the same hour on the newest day known at the decision.

    Breezes are diurnal, which makes this the strong naive rule. If that day's observation is missing,
    so is the reference. An hour that yesterday's clock showed twice counts with its first.
    """
    by_clock = o[:, :CLOCK].copy()
    for day in _changed_days(clock):
        by_clock[day] = ABSENT
        for column in reversed(range(HOURS)):  # backwards: the earlier of two equal hours is written last
            if clock[day, column] != NO_HOUR:
                by_clock[day, clock[day, column]] = o[day, column]
    earlier = np.full_like(by_clock, ABSENT)
    for hour, back in enumerate(view.newest_known_day()):
        earlier[back:, hour] = by_clock[: len(o) - back, hour] if back <= len(o) else ABSENT
    return _by_column(earlier, clock)


def climatology(o: Values, clock: Integers, months: Integers) -> Values:
    """Return the station's mean for each month and hour, over all days but the one being verified.

    From exact whole sums, minus the day's own; rounded to a thousandth, halves upwards. Absent with
    fewer than LEAST_CLIMATOLOGY_DAYS other values. Not for directions.
    """
    there = present(o)
    total, n = (_without_own_day(x, clock, months) for x in (np.where(there, o, 0), there))
    means = np.where(n >= LEAST_CLIMATOLOGY_DAYS.value, rounded_mean(total, n), ABSENT)
    return _by_column(means.astype(np.int32), clock)


def direction_climatology(o: Values, clock: Integers, months: Integers) -> Values:
    """Return the mean direction (of unit vectors) for each month and hour, without the verified day."""
    there = present(o)
    sines, cosines = sines_and_cosines(np.where(there, o, 0).astype(np.int64))
    n = _without_own_day(there, clock, months)
    sine, cosine = (_without_own_day(np.where(there, x, 0), clock, months) for x in (sines, cosines))
    angle, known = mean_direction(sine, cosine, n)
    means = np.where(known & (n >= LEAST_CLIMATOLOGY_DAYS.value), angle, ABSENT)
    return _by_column(means.astype(np.int32), clock)


def model_mean(models: Sequence[Values]) -> Values:
    """Return the mean of several models, to the nearest thousandth, halves upwards. Not for directions.

    Only where all of them have a value: a mean over fewer models is another forecast.
    """
    stack = np.stack(models).astype(np.int64)
    means = rounded_mean(stack.sum(axis=0), np.asarray(len(models)))
    return np.where((stack != ABSENT).all(axis=0), means, ABSENT).astype(np.int32)


def model_mean_direction(models: Sequence[Values]) -> Values:
    """Return the mean direction of several models, of unit vectors; absent where they cancel out."""
    stack = np.stack(models).astype(np.int64)
    sines, cosines = sines_and_cosines(stack)
    angle, known = mean_direction(sines.sum(axis=0), cosines.sum(axis=0), np.asarray(len(models)))
    return np.where((stack != ABSENT).all(axis=0) & known, angle, ABSENT).astype(np.int32)


def _changed_days(clock: Integers) -> list[int]:
    """Return the days on which the clocks change; on all others, column and clock hour are the same."""
    changed: list[int] = np.flatnonzero((clock[:, :CLOCK] != np.arange(CLOCK)).any(axis=1)).tolist()
    return changed


def _by_column(by_clock: Values, clock: Integers) -> Values:
    """Return values by column from values by clock hour."""
    values = np.take_along_axis(by_clock, np.where(clock == NO_HOUR, 0, clock), axis=1)
    return np.where(clock == NO_HOUR, ABSENT, values).astype(np.int32)


def _without_own_day(x: Integers | Values | Bools, clock: Integers, months: Integers) -> Integers:
    """Return, by day and clock hour, the sum of `x` over the other days of the same month of any year."""
    own = x[:, :CLOCK].astype(np.int64)
    for day in _changed_days(clock):
        shown = clock[day] != NO_HOUR
        own[day] = 0
        np.add.at(own[day], clock[day, shown], x[day, shown].astype(np.int64))
    by_month = np.zeros((13, CLOCK), dtype=np.int64)  # months count from 1
    for month in np.unique(months):
        by_month[month] = own[months == month].sum(axis=0)
    return np.asarray(by_month[months] - own)
