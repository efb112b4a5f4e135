"""Intervals and chances from the past errors of the same forecast: weighted conformal quantiles.

An error counts for an hour of the same 3-hour class, in the same third of forecast strength, and a day
totals 1 over its hours. Vovk, Gammerman & Shafer 2005; weighted: Tibshirani et al. 2019, arXiv 1904.06019.
Days that resemble each other make the level approximate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.forecast.cells import PLACES, Bools, Floats, Integers

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


def _thirds(values: Floats, past: Floats) -> tuple[Floats, Floats]:
    """Return the third, 0 to 2, of forecasts (..., 8, 4) and of the past ones (..., 8, n)."""
    ordered = np.sort(past, axis=-1)
    count = (~np.isnan(past)).sum(axis=-1, keepdims=True)
    top = past.shape[-1] - 1
    lower, upper = (np.take_along_axis(ordered, np.minimum(count * k // 3, top), axis=-1) for k in (1, 2))
    return (values > lower) + 1.0 * (values > upper), (past > lower) + 1.0 * (past > upper)


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
    if (
        places == PLACES and np.isnan(values[..., -1]).all() and np.isnan(past_errors[..., -1]).all()
    ):  # no day of 25 hours
        inner = dressed(values[..., :-1], past_values[..., :-1], past_errors[..., :-1], least)
        return np.concatenate([inner, np.full_like(inner[..., :1, :], np.nan)], axis=-2)
    errors = np.moveaxis(past_errors, -3, -2)
    errors = errors.reshape(*errors.shape[:-2], -1)  # (..., 8, days * 4)
    past = np.moveaxis(past_values, -3, -2).reshape(errors.shape)
    there = ~np.isnan(errors)
    third, past_third = _thirds(values, np.where(there, past, np.nan))
    # The hours of a class have the same past errors: they are sorted once, calms first.
    keys = np.where(there, np.where(past + errors <= least, -np.inf, errors), np.inf)
    order = np.argsort(keys, axis=-1, kind="stable")
    by_day = np.where(there, past_third, -1).reshape(*there.shape[:-1], -1, places)
    of_third = (by_day[..., None, :] == by_day[..., None]).sum(axis=-1).reshape(there.shape)
    keys, past_third, in_third, in_class = (
        np.take_along_axis(part, order, -1)[..., None, :]
        for part in (keys, past_third, np.where(there, PARTS // of_third, 0), _day_weights(there, places))
    )
    alike = np.where(past_third == third[..., None], in_third, 0)
    enough = alike.sum(axis=-1, keepdims=True) >= THIRD_WEIGHT * PARTS
    weight = np.where(enough, alike, in_class).astype(np.int32)
    lower, upper, share = _between(weight)
    low, high = (
        np.maximum(values[..., None] + np.take_along_axis(keys, at, -1), least) for at in (lower, upper)
    )
    missing = np.isnan(values)[..., None] | (weight.sum(axis=-1, keepdims=True) < LEAST_WEIGHT * PARTS)
    low, high = np.where(missing, 0.0, low), np.where(missing, 0.0, high)
    return np.where(missing, np.nan, low + share * (high - low))


def _between(weight: NDArray[np.int32]) -> tuple[Integers, Integers, Floats]:
    """Return for each of LEVELS the two members that it lies between, and its share of the way.

    `weight` (..., n) is of sorted members, in PARTS of a day; those of weight 0 are no members. All ranks are
    whole numbers, so that a unit has the same bits in any company.
    """
    length, levels = weight.shape[-1], np.arange(1, len(LEVELS) + 1)
    cumulated = weight.cumsum(axis=-1, dtype=np.int32)
    total = cumulated[..., -1:]
    per_level = len(LEVELS) + 1
    rank = per_level * (cumulated - weight // 2 + PARTS // 2)  # also ascending where the weight is 0
    member = np.arange(length, dtype=np.int32)
    before = np.maximum.accumulate(np.where(weight > 0, member, np.int32(-1)), axis=-1)
    after = np.minimum.accumulate(np.where(weight > 0, member, np.int32(length))[..., ::-1], axis=-1)[
        ..., ::-1
    ]
    first, last = np.minimum(after[..., :1], length - 1), np.maximum(before[..., -1:], 0)
    wanted = np.clip(
        levels * (total + PARTS), np.take_along_axis(rank, first, -1), np.take_along_axis(rank, last, -1)
    )
    # One search for all rows: each has its own range of whole numbers.
    row = np.arange(rank[..., 0].size).reshape(*rank.shape[:-1], 1)
    reach = per_level * (length + 2) * PARTS
    found = np.searchsorted((rank + row * reach).ravel(), (wanted + row * reach).ravel())
    found = np.clip(found.reshape(wanted.shape) - row * length, 0, length - 1)
    upper = np.minimum(np.take_along_axis(after, found, -1), length - 1)
    lower = np.take_along_axis(before, np.maximum(found - 1, 0), -1)
    lower = np.where((found > 0) & (lower >= 0), lower, upper)
    low, high = np.take_along_axis(rank, lower, -1), np.take_along_axis(rank, upper, -1)
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
