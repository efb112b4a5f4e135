"""How good issued forecasts were: CRPS, coverage, PIT, interval score, Brier score, reliability.

Scores are per hour and NaN where forecast or observation is missing; means are over days.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backend.core.issued import LEVELS as ISSUED_LEVELS
from backend.forecast.cells import Floats
from backend.forecast.interval import HIGH, LEVELS, LOW
from backend.scoring.intervals import spread

NOMINAL = 0.8
"""The share of observations that the interval is made for."""

BINS = 10

ISSUED = np.array(ISSUED_LEVELS) / 100
"""The levels of the quantiles of an issued row."""


def at_all_levels(issued: Floats) -> Floats:
    """Return the quantiles at LEVELS (..., 19) from those of an issued row (..., 5), in the order of ISSUED.

    Between two of them the distribution is taken as uniform; beyond the outermost it goes on as beside them.
    """
    after = np.clip(np.searchsorted(ISSUED, LEVELS), 1, len(ISSUED) - 1)
    share = (LEVELS - ISSUED[after - 1]) / (ISSUED[after] - ISSUED[after - 1])
    return np.asarray(issued[..., after - 1] * (1 - share) + issued[..., after] * share)


def crps(quantiles: Floats, observed: Floats) -> Floats:
    """Return the continuous ranked probability score in the unit: twice the mean pinball loss at LEVELS.

    Gneiting & Ranjan 2011, JBES 29, 411-422, as the mean over the 19 levels that are issued.
    """
    below = observed[..., None] - quantiles
    return np.asarray(2 * np.maximum(LEVELS * below, (LEVELS - 1) * below).mean(axis=-1))


def interval_score(quantiles: Floats, observed: Floats) -> Floats:
    """Return the interval score of the 80 % interval: its width, and 10 times the miss.

    Gneiting & Raftery 2007, JASA 102, 359-378.
    """
    low, high = quantiles[..., LOW], quantiles[..., HIGH]
    miss = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    return np.asarray(high - low + 2 / (1 - NOMINAL) * miss)


def pit(quantiles: Floats, observed: Floats, seed: int) -> Floats:
    """Return the probability integral transform, randomised between F(o-) and F(o) with a fixed seed.

    Czado, Gneiting & Held 2009, Biometrics 65, 1254-1261. A calm or a rounded reading that equals several
    quantiles would else over-cover by construction.
    """
    below = (quantiles < observed[..., None]).sum(axis=-1)
    to = (quantiles <= observed[..., None]).sum(axis=-1) + 1
    share = np.random.default_rng(seed).random(observed.shape)
    values = (below + share * (to - below)) / (len(LEVELS) + 1)
    return np.where(np.isnan(quantiles[..., LOW] + observed), np.nan, values)


def covered(pit_values: Floats) -> Floats:
    """Return 1 where 0.10 <= PIT <= 0.90, 0 elsewhere; NaN where there is none."""
    inside = (pit_values >= 0.1) & (pit_values <= 0.9)
    return np.where(np.isnan(pit_values), np.nan, inside.astype(float))


def plainly_covered(quantiles: Floats, observed: Floats) -> Floats:
    """Return 1 where the observation is within the 80 % interval, its ends included."""
    inside = (quantiles[..., LOW] <= observed) & (observed <= quantiles[..., HIGH])
    return np.where(np.isnan(quantiles[..., LOW] + observed), np.nan, inside.astype(float))


class DayMean(NamedTuple):
    """The mean of daily values with its 95 % interval, NaN below 5 days with a value; the days."""

    mean: float
    low: float
    high: float
    days: int


def over_days(values: Floats) -> DayMean:
    """Return the mean of the days and its interval, from values (days, ...), NaN where missing.

    A day is one value, the mean of its hours and sites, and successive days resemble each other: the interval
    is that of scoring/intervals.py.
    """
    by_day = values.reshape(len(values), int(np.prod(values.shape[1:])))  # of no day too
    count = (~np.isnan(by_day)).sum(axis=1)
    there = count > 0
    if not there.any():
        return DayMean(np.nan, np.nan, np.nan, 0)
    day = np.nansum(by_day, axis=1)[there] / count[there]
    mean = float(day.mean())
    departures = day - mean
    of_mean = spread(departures[None], np.ones((1, len(day)), dtype=np.bool_))
    reach = float(of_mean.reach()[0])
    return DayMean(mean, mean - reach, mean + reach, len(day))


def brier(chance: Floats, happened: Floats) -> Floats:
    """Return the squared error of a chance, `happened` being 0 or 1."""
    return np.asarray((chance - happened) ** 2)


class Reliability(NamedTuple):
    """Per tenth of chance: the mean chance, the share that happened, how many; NaN where none."""

    chance: Floats
    happened: Floats
    cases: Floats


def reliability(chance: Floats, happened: Floats) -> Reliability:
    """Return how often events happened per tenth of their chance."""
    there = ~np.isnan(chance + happened)
    bins = np.minimum((chance[there] * BINS).astype(np.int64), BINS - 1)
    count, chances, events = (
        np.bincount(bins, weight, BINS) for weight in (None, chance[there], happened[there])
    )
    divisor = np.where(count > 0, count, np.nan)
    return Reliability(chances / divisor, events / divisor, count.astype(float))
