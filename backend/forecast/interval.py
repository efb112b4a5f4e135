"""Intervals and chances from the past errors of the same forecast: weighted conformal quantiles.

An error counts for an hour of the same 3-hour class, in the same third of forecast strength, and a day
totals 1 over its hours. Vovk, Gammerman & Shafer 2005; weighted: Tibshirani et al. 2019, arXiv 1904.06019.
Days that resemble each other make the level approximate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.forecast.cells import Bools, Floats, Integers

LEVELS = np.arange(1, 20) / 20.0
"""The quantiles that are issued: 5, 10, ..., 95 %. The 80 % interval goes from index LOW to index HIGH."""

LOW, LOWER_QUARTER, MEDIAN, UPPER_QUARTER, HIGH = 1, 4, 9, 14, 17

WINDOW = 90
"""Most days of past errors."""

SHARE, LEAST_WINDOW = 0.75, 20
"""Of fewer days the newest three quarters count, at least 20: errors of the first days, in which nothing was
corrected yet, make the interval of the second month too wide."""

LEAST_WEIGHT = 9
"""With fewer days of weight there is no interval: the 80 % order statistics would be beyond the sample."""

THIRD_WEIGHT = 20
"""With so many days of weight a third of strength stands alone; with fewer the whole class counts."""

PARTS = 24
"""Parts of a day that weights are counted in: each of 1 to 4 hours has a whole even number of them."""


_NO_THIRD = 3


def _thirds(values: Floats, past: Floats) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the third, 0 to 2, of forecasts (..., 8, 4) and of the past ones (..., 8, n)."""
    ordered = np.sort(past, axis=-1)
    count = (~np.isnan(past)).sum(axis=-1, keepdims=True)
    top = past.shape[-1] - 1
    lower, upper = (np.take_along_axis(ordered, np.minimum(count * k // 3, top), axis=-1) for k in (1, 2))
    one = np.int8(1)
    return one * (values > lower) + (values > upper), one * (past > lower) + (past > upper)


def _day_weights(chosen: Bools, places: int) -> Integers:
    """Return weights (..., n), in PARTS of a day: `places` successive entries total 1 over the chosen."""
    by_day = chosen.reshape(*chosen.shape[:-1], -1, places)
    count = np.maximum(by_day.sum(axis=-1, keepdims=True), 1)
    return np.asarray((by_day * (PARTS // count)).reshape(chosen.shape))


def newest(past_errors: Floats, days: Integers) -> Floats:
    """Return the past errors (units, days, ...) of the days that count, NaN elsewhere.

    `days`: (units,) how many days were learned so far.
    """
    window = np.clip(np.ceil(SHARE * days), LEAST_WINDOW, WINDOW)
    counts = np.arange(-past_errors.shape[1], 0) >= -window[:, None]
    return np.where(counts.reshape(*counts.shape, *[1] * (past_errors.ndim - 2)), past_errors, np.nan)


def dressed(values: Floats, past_values: Floats, past_errors: Floats, least: float) -> Floats:
    """Return the quantiles of the reading at LEVELS for each cell, (..., 8, 4, 19); NaN where too few days.

    `values`: (..., 8, 4) the forecasts to dress; `past_*`: (..., days, 8, 4), NaN where there is no pair.
    A past reading of `least` stays `least`: added to another forecast, the error of a calm would be a
    breeze. Quantiles lie between members by linear interpolation, the test point weighing 1: in a sample of n
    days with one hour each, level q is rank q (n + 1), type 6 of Hyndman & Fan 1996.
    """
    places = values.shape[-1]
    quantiles = np.full((*values.shape, len(LEVELS)), np.nan)
    past, errors = (  # a row for each class
        np.moveaxis(part, -3, -2).reshape(values.size // places, -1) for part in (past_values, past_errors)
    )
    some = np.flatnonzero(~np.isnan(errors).all(axis=0))  # of the second 2 o'clock one day a year at most
    if not len(some):
        return quantiles
    length = errors.shape[1]
    past, errors = past[:, some], errors[:, some]
    there = ~np.isnan(errors)
    third, past_third = _thirds(values.reshape(-1, places), np.where(there, past, np.nan))
    past_third[~there] = _NO_THIRD
    of_hours = np.full((len(errors), length), np.int8(_NO_THIRD))
    of_hours[:, some] = past_third
    *weights, days_of_third = _weights_of_days(of_hours, places)
    # The hours of a class have the same past errors: they are sorted once, calms first.
    keys, at = _sorted(np.where(there, np.where(past + errors <= least, -np.inf, errors), np.inf))
    past_third, in_third, in_class = (
        part.ravel()[at] for part in (past_third, *(each[:, some] for each in weights))
    )
    days = np.take_along_axis(days_of_third, third, -1)
    few = days < THIRD_WEIGHT
    days = np.where(few, days_of_third[:, _NO_THIRD:], days)
    # Only cells with an interval go on, and of those only the members: a third of the past errors, or all.
    cells = np.flatnonzero(~np.isnan(values).ravel() & (days.ravel() >= LEAST_WEIGHT))
    of_class, few = cells // places, few.ravel()[cells]
    chosen = past_third[of_class] == third.ravel()[cells, None]
    chosen[few] = past_third[of_class[few]] != _NO_THIRD
    counts = chosen.sum(axis=-1)
    member = np.flatnonzero(chosen) + np.repeat((of_class - np.arange(len(cells))) * len(some), counts)
    weight = np.where(np.repeat(few, counts), in_class.ravel()[member], in_third.ravel()[member])
    lower, upper, share = _between(weight, counts)
    low, high = (
        np.maximum(values.ravel()[cells, None] + keys.ravel()[member[each]], least) for each in (lower, upper)
    )
    quantiles.reshape(-1, len(LEVELS))[cells] = low + share * (high - low)
    return quantiles


def _sorted(keys: Floats) -> tuple[Floats, Integers]:
    """Return the rows of an array sorted, and where each of their members is in the flat array.

    Equal ones stay in their order. A stable sort of numpy does that in twice the time.
    """
    count, length = keys.shape
    start = np.arange(count, dtype=np.int32)[:, None] * length
    order = np.argsort(keys, axis=-1)
    keys = keys.ravel()[order + start]
    another = np.ones(keys.shape, dtype=np.bool_)
    another[:, 1:] = keys[:, 1:] != keys[:, :-1]
    group = another.cumsum(axis=-1, dtype=np.int32) * length
    return keys, np.sort(group + order.astype(np.int32), axis=-1) - group + start


def _weights_of_days(
    third: NDArray[np.int8], places: int
) -> tuple[NDArray[np.int8], NDArray[np.int8], Integers]:
    """Return the weights of past hours in their third and in their class, in PARTS of a day, and the days.

    `third` (classes, days * places); so are the weights, 0 where there is no pair. The days (classes, 4) are
    those with an hour in each third, and in any.
    """
    by_day = third.reshape(len(third), -1, places)
    there = by_day != _NO_THIRD
    of_class = there.sum(axis=-1, keepdims=True, dtype=np.int8)
    of_third = sum((by_day == by_day[..., place, None]).view(np.int8) for place in range(places))
    in_third, in_class = (
        (there * (PARTS // np.maximum(count, 1)).astype(np.int8)).reshape(third.shape)
        for count in (of_third, of_class)
    )
    thirds = np.bitwise_or.reduce(np.left_shift(np.int8(1), by_day), axis=-1)
    days = [(thirds & 1 << k > 0).sum(axis=-1) for k in range(_NO_THIRD)]
    return in_third, in_class, np.stack([*days, (of_class[..., 0] > 0).sum(axis=-1)], axis=-1)


def _between(weight: Integers, counts: Integers) -> tuple[Integers, Integers, Floats]:
    """Return for each of LEVELS the two members that it lies between, and its share of the way.

    `weight` is of the sorted members of all cells, one cell after the other, in PARTS of a day; `counts` are
    the members of each cell. All ranks are whole numbers, so that a unit has the same bits in any company.
    """
    levels, per_level = np.arange(1, len(LEVELS) + 1), len(LEVELS) + 1
    ends = counts.cumsum(dtype=np.int64)
    first, last = (ends - counts)[:, None], ends[:, None] - 1
    cumulated = weight.cumsum(dtype=np.int64)
    before = cumulated[first] - weight[first]
    # Ranks ascend over all cells, so that one search serves all of them.
    rank = per_level * (cumulated - weight // 2)
    wanted = levels * (cumulated[last] - before + PARTS) + per_level * (before - PARTS // 2)
    wanted = np.clip(wanted, rank[first], rank[last])
    upper = np.searchsorted(rank, wanted.ravel()).reshape(wanted.shape)
    lower = np.maximum(upper - 1, first)
    low, high = rank[lower], rank[upper]
    share = np.where(high > low, (wanted - low) / np.maximum(high - low, 1), 1.0)
    return lower, upper, share


def chance_of_day(
    values: Sequence[Floats], past_errors: Sequence[Floats], limits: Sequence[float], hours: Bools
) -> tuple[Floats, Floats]:
    """Return the chance that any parameter exceeds its limit in any of `hours`, and its number of days.

    One past day is one member: its errors of all hours and all parameters together. `values`: (units, 8, 4)
    per parameter; `past_errors`: (units, days, 8, 4); `hours`: (8, 4). `(k + 1) / (n + 2)`: never 0 or 1.
    NaN without any member. A member needs an error in at least half of the hours with a forecast.
    """
    above = np.zeros(past_errors[0].shape[:2], dtype=np.bool_)
    usable = np.ones_like(above)
    for value, errors, limit in zip(values, past_errors, limits, strict=True):
        paths = (value[:, None] + errors)[..., hours]
        above |= (paths > limit).any(axis=-1)
        expected = (~np.isnan(value[..., hours])).sum(axis=-1)[:, None]
        usable &= (2 * (~np.isnan(paths)).sum(axis=-1) >= expected) & (expected > 0)
    count = usable.sum(axis=-1)
    chance = ((above & usable).sum(axis=-1) + 1.0) / (count + 2.0)
    return np.where(count > 0, chance, np.nan), count.astype(float)


def chance_of_hour(values: Floats, past_errors: Floats, limit: float) -> tuple[Floats, Floats]:
    """Return the chance of more than `limit` in each cell, (units, 8, 4), and its days, by class.

    `(k + 1) / (n + 2)` with k and n in days, a day totals 1 over the hours of the class.
    """
    units, days, classes, places = past_errors.shape
    errors = np.moveaxis(past_errors, 1, 2).reshape(units, classes, days * places)
    weight = _day_weights(~np.isnan(errors), places)[:, :, None] / PARTS
    above = values[..., None] + errors[:, :, None] > limit
    count = np.broadcast_to(weight.sum(axis=-1), values.shape)
    chance = ((weight * above).sum(axis=-1) + 1.0) / (count + 2.0)
    return np.where((count > 0) & ~np.isnan(values), chance, np.nan), count
