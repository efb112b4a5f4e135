"""Which reading is paired with an hour: the one whose averaging window best covers it.

A forecast of the mean wind at 12:00 is compared with the mean that has 12:00 in its middle, a forecast of the
gust with the highest gust reported in the hour before, or with the report that is of this hour by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, GUST, SPEED, TEMPERATURE, UNPAIRED, ObservedDays, ReadingRows
from backend.core.local_time import HOUR, HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.constants import (
    GUST_REPORTS,
    MATCH_TOLERANCE,
    MATCH_TOLERANCE_MOST,
    USUAL_AVERAGING,
)
from backend.scoring.days.hourly_means import hourly_means
from backend.scoring.grid import Span


def pair(
    station: int,
    readings: ReadingRows,
    trusted: NDArray[np.int32],
    doubts: NDArray[np.int64],
    span: Span,
) -> ObservedDays:
    """Return the days of the span for which the station (its id) has readings or values.

    `trusted` are the values to use, (n, 4); `doubts` counts the others, (days of the span, 4, MOST_REASONS).
    Each hour of a station has at most one value of a parameter; a reading that covers the hour better
    replaces it when the day is recomputed.
    """
    interval = _intervals(readings, span)
    hourly = np.full((len(span.days), len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
    offsets = np.full((len(span.days), HOURS_A_DAY), UNPAIRED, np.int8)
    hours = span.hours()
    exists = hours < span.starts[1:, None]  # a day has 23, 24 or 25 hours
    averaging, middle = _windows(readings, readings.averaging)
    temperature = readings.temperature_averaging
    apart = not np.array_equal(temperature, readings.averaging)
    windows = dict.fromkeys(range(len(Parameter)), (averaging, middle))
    if apart:
        windows[TEMPERATURE] = _windows(readings, temperature)
    tolerance = np.clip(interval // 2, MATCH_TOLERANCE.value * 60, MATCH_TOLERANCE_MOST.value * 60)[:, None]
    calm = trusted[:, SPEED] == 0
    for parameter in range(len(Parameter)):
        # A gust is the highest of the hour, and not the one nearest to it: see below.
        if parameter == GUST:
            continue
        usable = trusted[:, parameter] != ABSENT
        if parameter == DIRECTION:
            usable &= ~calm  # a calm comes from nowhere
        rows = np.flatnonzero(usable)
        if not len(rows):
            continue
        chosen, distance = _nearest(windows[parameter][1][rows], hours)
        fits = exists & (np.abs(distance) <= tolerance)
        hourly[:, parameter][fits] = trusted[rows[chosen[fits]], parameter]
        if parameter == SPEED:
            offsets[fits] = np.rint(distance[fits] / 60).astype(np.int8)
    gusts = _gusts_of_hours(readings, trusted[:, GUST], hours, interval)
    hourly[:, GUST] = np.where(exists, gusts, ABSENT)
    means = hourly_means(middle, averaging, trusted, hours, interval)
    if apart:
        averaging, middle = windows[TEMPERATURE]
        of_temperature = hourly_means(middle, averaging, trusted, hours, interval)
        means[:, TEMPERATURE] = of_temperature[:, TEMPERATURE]
    means = np.where(exists[:, None], means, ABSENT)
    index, _ = span.locate(readings.time)
    counts = np.bincount(index[(index >= 0) & (index < len(span.days))], minlength=len(span.days))
    there = (hourly != ABSENT) | (means != ABSENT)
    days = np.flatnonzero((counts > 0) | there.any(axis=(1, 2)))
    coarsest = np.zeros(len(span.days) + 1, np.int64)
    np.maximum.at(coarsest, index[index >= 0], readings.resolution[index >= 0])
    return ObservedDays(
        owner=np.full(len(days), station),
        day=span.first + days,
        hourly=hourly[days],
        minutes=offsets[days],
        readings=counts[days],
        resolution=tuple(step / 1000 or None for step in coarsest[days].tolist()),
        means=means[days],
        doubts=doubts[days],
    )


def _windows(
    readings: ReadingRows, averaging: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the length (minutes) and the middle (seconds since 1970) of each averaging window."""
    known = np.where(averaging > 0, averaging, USUAL_AVERAGING.value)
    return known, readings.time - known * 30


def _nearest(
    middle: NDArray[np.int64], hours: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the index of the window nearest to each hour, the earlier of two, and its distance (seconds)."""
    order = np.argsort(middle, kind="stable")
    ordered = middle[order]
    after = np.clip(np.searchsorted(ordered, hours), 0, len(ordered) - 1)
    before = np.clip(after - 1, 0, None)
    take_before = np.abs(ordered[before] - hours) <= np.abs(ordered[after] - hours)
    chosen = np.where(take_before, before, after)
    return order[chosen], ordered[chosen] - hours


def _intervals(readings: ReadingRows, span: Span) -> NDArray[np.int64]:
    """Return how many seconds lie between two reports of each day, mostly; an hour where there are no two."""
    index, _ = span.locate(readings.time)
    found = np.full(len(span.days), HOUR, np.int64)
    edges = np.searchsorted(index, np.arange(len(span.days) + 1))
    for day in range(len(span.days)):
        times = readings.time[edges[day] : edges[day + 1]]
        if len(times) > 1:
            found[day] = int(np.median(np.diff(times)))
    return found


def _gusts_of_hours(
    readings: ReadingRows,
    gusts: NDArray[np.int32],
    hours: NDArray[np.int64],
    interval: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the gust of the hour that ends at each hour: ABSENT where none was reported for most of it.

    It is the highest of the reports in the hour. Where each report is of a period of its own, it is the one
    whose period has most in common with the hour, and the hour with it. So a gust of ten minutes is never the
    gust of an hour, however seldom such a station reports, nor is one of three hours.
    """
    rows = np.flatnonzero(gusts != ABSENT)
    found = np.full(hours.shape, ABSENT, np.int32)
    if not len(rows):
        return found
    time, gusts = readings.time[rows], gusts[rows]
    period = readings.gust_minutes * 60
    if period:
        chosen, late = _nearest(time, hours)  # late: seconds from the end of the hour to that of the period
        common = np.minimum(late, 0) + HOUR - np.maximum(late + HOUR - period, 0)
        enough = common >= GUST_REPORTS.value * max(period, HOUR)
        found[enough] = gusts[chosen[enough]]
        return found
    first = np.searchsorted(time, hours - HOUR, side="right")
    end = np.searchsorted(time, hours, side="right")
    expected = np.maximum(HOUR // np.maximum(interval, 60), 1)[:, None]
    enough = (end - first >= GUST_REPORTS.value * expected) & (end > first)
    # reduceat takes pairs of bounds: every second result is the maximum between them.
    bounds = np.stack((first[enough], end[enough]), axis=1).ravel()
    # An appended ABSENT, because the second bound may lie one beyond the last gust.
    found[enough] = np.maximum.reduceat(np.append(gusts, ABSENT), bounds)[::2] if len(bounds) else 0
    return found
