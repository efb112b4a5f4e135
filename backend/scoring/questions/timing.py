"""Whether the wind picks up earlier or later than announced: when it first rises through a limit on a day.

The forecast of the hours is joined by straight lines. The readings are smoothed over an hour, because the
first gusty reading above a limit comes before the wind of the hour does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.core.local_time import HOUR
from backend.scoring.constants import MEAN_REACH, MEAN_REPORTS, STRATUM_DAYS, TIMING_STEP
from backend.scoring.grid import Floats, Integers
from backend.scoring.intervals import Interval, Z, spread

NEVER = math.inf
"""The moment of a rise on a day without one."""

READINGS_GAP = MEAN_REACH.value * 60
"""Longest time, in seconds, between two smoothed readings that are joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The rises of the wind against those that a model announced, in minutes; negative: before the announced.

    `days` have both rises; `only_announced` and `only_observed` have one of them. `median` and `interval` are
    None with fewer than STRATUM_DAYS days; the interval also where days resemble each other too much.
    `same_side` is on how many of `days` the wind was on the side of the median.
    """

    days: int
    only_announced: int
    only_observed: int
    median: float | None
    interval: Interval | None
    same_side: int


def smoothed(time: Integers, speed: Floats) -> tuple[Integers, Floats]:
    """Return the mean of the readings within MEAN_REACH of each, where there are at least MEAN_REPORTS.

    `time` is the middle of each averaging window in seconds, in order.
    """
    reach = MEAN_REACH.value * 60
    first = np.searchsorted(time, time - reach, side="left")
    end = np.searchsorted(time, time + reach, side="right")
    total = np.concatenate([[0.0], np.cumsum(speed)])
    enough = end - first >= MEAN_REPORTS.value
    means = (total[end] - total[first]) / np.maximum(end - first, 1)
    return time[enough], means[enough]


def first_rise(
    time: Integers, speed: Floats, limit: float, window: tuple[int, int], longest_gap: int
) -> float | None:
    """Return when a wind first rises through `limit` within `window`; NEVER if it stays below.

    Between two values the wind changes evenly. None where the rise is not known: the wind is at the limit at
    the start already, or two values before the rise are further apart than `longest_gap` (all in seconds).
    """
    begins, ends = window
    inside = (time >= begins) & (time <= ends)
    time, speed = time[inside], speed[inside]
    if not len(time) or speed[0] >= limit:
        return None
    above = np.flatnonzero(speed >= limit)
    seen = time[: above[0] + 1] if len(above) else np.append(time, ends)
    if (np.diff(seen, prepend=begins) > longest_gap).any():
        return None
    if not len(above):
        return NEVER
    after = int(above[0])
    before = after - 1
    share = (limit - speed[before]) / (speed[after] - speed[before])
    return float(time[before] + share * (time[after] - time[before]))


def announced_rise(time: Integers, speed: Floats, limit: float, window: tuple[int, int]) -> float | None:
    """Return `first_rise` of hourly forecasts."""
    return first_rise(time, speed, limit, window, HOUR)


def timing(observed: list[float | None], announced: list[float | None]) -> Timing:
    """Compare the rises of successive days, as `first_rise` returns them."""
    minutes = []
    only_announced = only_observed = 0
    for came, expected in zip(observed, announced, strict=True):
        if came is None or expected is None:
            continue
        if came != NEVER and expected != NEVER:
            minutes.append((came - expected) / 60)
        only_announced += came == NEVER and expected != NEVER
        only_observed += came != NEVER and expected == NEVER
    enough = len(minutes) >= STRATUM_DAYS.value
    median = float(np.median(minutes)) if enough else None
    return Timing(
        days=len(minutes),
        only_announced=only_announced,
        only_observed=only_observed,
        median=median,
        interval=median_interval(np.array(minutes)) if enough else None,
        same_side=0 if median is None else sum(each * median > 0 for each in minutes),
    )


def median_interval(values: Floats) -> Interval | None:
    """Return the interval of the median of successive days, for any distribution.

    Its ends are order statistics: the `j`-th from below and from above, with
    `j = ceil(n (1/2 - z / (2 sqrt(n_eff))))`. For independent days (`n_eff = n`) that is the usual interval
    of a median (Conover 1999, Practical Nonparametric Statistics, 3.2); the effective number of days is that
    of all intervals (see scoring/intervals.py). None where `j` is below 1.
    """
    count = len(values)
    departures = (values - values.mean())[None, :]
    effective = float(spread(departures, np.ones((1, count), np.bool_)).effective_days[0])
    if math.isnan(effective):
        return None
    rank = math.ceil(count * (0.5 - Z / (2 * math.sqrt(effective))))
    if rank < 1:
        return None
    ordered = np.sort(values)
    return Interval(float(ordered[rank - 1]), float(ordered[count - rank]))


def rounded_minutes(minutes: float) -> int:
    """Return minutes at the nearest TIMING_STEP."""
    return round(minutes / TIMING_STEP.value) * TIMING_STEP.value
