"""Intervals and chances from the past errors of the same forecast: weighted conformal quantiles.

An error counts for an hour of the same 3-hour class, in the same third of forecast strength, and a day
totals 1 over its hours. Vovk, Gammerman & Shafer 2005; weighted: Tibshirani et al. 2019, arXiv 1904.06019.
Days that resemble each other make the level approximate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.forecast.cells import Bools, Floats

LEVELS = np.arange(1, 20) / 20.0
"""The quantiles that are issued: 5, 10, ..., 95 %. The 80 % interval goes from index LOW to index HIGH."""

LOW, LOWER_QUARTER, MEDIAN, UPPER_QUARTER, HIGH = 1, 4, 9, 14, 17

WINDOW = 90
"""Days of past errors."""

LEAST_WEIGHT = 9.0
"""With fewer days of weight there is no interval: the 80 % order statistics would be beyond the sample."""

THIRD_WEIGHT = 20.0
"""With so many days of weight a third of strength stands alone; with fewer the whole class counts."""

TINY = 1e-9


def _thirds(values: Floats, past: Floats) -> tuple[Floats, Floats]:
    """Return the third, 0 to 2, of forecasts (..., 8, 4) and of the past ones (..., 8, n)."""
    ordered = np.sort(past, axis=-1)
    count = (~np.isnan(past)).sum(axis=-1, keepdims=True)
    top = past.shape[-1] - 1
    lower, upper = (np.take_along_axis(ordered, np.minimum(count * k // 3, top), axis=-1) for k in (1, 2))
    return (values > lower) + 1.0 * (values > upper), (past > lower) + 1.0 * (past > upper)


def _one_day_weights(chosen: Bools, places: int) -> Floats:
    """Return weights (..., n) so that each day of `places` successive entries totals 1 over the chosen."""
    by_day = chosen.reshape(*chosen.shape[:-1], -1, places)
    count = np.maximum(by_day.sum(axis=-1, keepdims=True), 1)
    return np.asarray((by_day / count).reshape(chosen.shape))


def error_quantiles(values: Floats, past_values: Floats, past_errors: Floats) -> Floats:
    """Return the quantiles of the error o - p at LEVELS for each cell, (..., 8, 4, 19); NaN where too few.

    `values`: (..., 8, 4) the forecasts to dress; `past_*`: (..., days, 8, 4), NaN where there is no pair.
    """
    places = values.shape[-1]
    errors = np.moveaxis(past_errors, -3, -2)
    errors = errors.reshape(*errors.shape[:-2], -1)  # (..., 8, days * 4)
    past = np.moveaxis(past_values, -3, -2).reshape(errors.shape)
    there = ~np.isnan(errors)
    third, past_third = _thirds(values, np.where(there, past, np.nan))
    whole = _one_day_weights(there, places)
    # The weights depend on the third only: quantiles per third, and each cell takes those of its own.
    of_third = np.stack([_one_day_weights(there & (past_third == k), places) for k in range(3)], axis=-2)
    enough = of_third.sum(axis=-1, keepdims=True) >= THIRD_WEIGHT
    weight = np.where(enough, of_third, whole[..., None, :])
    order = np.argsort(errors, axis=-1, kind="stable")
    ordered = np.take_along_axis(errors, order, axis=-1)
    cumulated = np.take_along_axis(weight, order[..., None, :], axis=-1).cumsum(axis=-1)
    found = _at_levels(np.broadcast_to(ordered[..., None, :], cumulated.shape), cumulated)
    own = np.take_along_axis(found, third.astype(np.int64)[..., None], axis=-2)
    return np.where(np.isnan(values)[..., None], np.nan, own)


def _at_levels(ordered: Floats, cumulated: Floats) -> Floats:
    """Return the conformal quantiles of sorted errors with cumulated weights, (..., 19).

    The test point weighs 1: an upper quantile lies where the weight reaches level (W + 1), between two errors
    by linear interpolation, because whole order statistics of 20 days over-cover by some points. The lower
    ones are the mirror image; the median is that of the errors.
    """
    total = cumulated[..., -1:]
    before = np.concatenate([np.zeros_like(total), cumulated[..., :-1]], axis=-1)
    mirrored = total - before
    last = ordered.shape[-1] - 1
    parts = []
    for level in LEVELS.tolist():
        need = 0.5 * total if level == 0.5 else np.minimum(max(level, 1 - level) * (total + 1), total)
        if level < 0.5:
            at = np.maximum((mirrored >= need - TINY).sum(axis=-1, keepdims=True) - 1, 0)
            beyond = np.take_along_axis(before, at, axis=-1)
            reached, upto = total - beyond, np.take_along_axis(cumulated, at, axis=-1)
            next_at = np.minimum((cumulated <= upto + TINY).sum(axis=-1, keepdims=True), last)
            passed = total - upto
        else:
            at = np.minimum((cumulated < need - TINY).sum(axis=-1, keepdims=True), last)
            reached = np.take_along_axis(cumulated, at, axis=-1)
            passed = np.take_along_axis(before, at, axis=-1)
            next_at = np.minimum((cumulated < passed - TINY).sum(axis=-1, keepdims=True), at)
        share = np.clip((need - passed) / np.maximum(reached - passed, TINY), 0.0, 1.0)
        end, inner = (np.take_along_axis(ordered, place, axis=-1) for place in (at, next_at))
        inner = np.where(np.isnan(inner) | (level == 0.5), end, inner)
        parts.append(inner + share * (end - inner))
    found = np.concatenate(parts, axis=-1)
    return np.where(total >= LEAST_WEIGHT, found, np.nan)


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
    weight = _one_day_weights(~np.isnan(errors), places)[:, :, None]
    above = values[..., None] + errors[:, :, None] > limit
    count = np.broadcast_to(weight.sum(axis=-1), values.shape)
    chance = ((weight * above).sum(axis=-1) + 1.0) / (count + 2.0)
    return np.where((count > 0) & ~np.isnan(values), chance, np.nan), count
