"""Intervals of figures made of many days: Student's t with the effective number of independent days.

Weather lasts for days, so that `n` days of errors hold less than `n` independent values. The series of daily
values is taken as an AR(1) process: from its lag-1 autocorrelation `r` follows the effective number of days
`n_eff`, and an interval is `mean ± t(n_eff - 1) sqrt(s² / n_eff)`. See docs/decisions/effective-days.md for
the methods that this one was compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.scoring.constants import (
    CONFIDENCE,
    INTERVAL_DAYS,
    LEAST_EFFECTIVE_DAYS,
    MOST_PERSISTENCE,
    PERSISTENCE_CAUTION,
)
from backend.scoring.grid import Bools, Floats, Integers

Z = NormalDist().inv_cdf(0.5 + CONFIDENCE.value / 2)
"""How many standard errors an interval goes to either side where the variance is known."""


class Interval(NamedTuple):
    """The ends of a 95 % interval (CONFIDENCE), in the unit of what it encloses."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Return whether 0 lies strictly outside."""
        return self.low > 0 or self.high < 0


def wilson(rate: float, of: float, z: float = Z) -> Interval:
    """Return Wilson's score interval of a `rate` of `of` independent cases.

    `(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`. It stays within 0 to 1 and has a width even
    at 0 of n. Wilson 1927, JASA 22, 209-212. `z` is its half width in standard errors. Raises ValueError for
    what is no rate.
    """
    if not (0 <= rate <= 1 and of > 0):
        raise ValueError(f"{rate} of {of} cases is no rate")
    weight = z * z / of
    middle = rate + weight / 2
    half = z * math.sqrt(rate * (1 - rate) / of + weight / (4 * of))
    low = 0.0 if rate == 0 else (middle - half) / (1 + weight)
    high = 1.0 if rate == 1 else (middle + half) / (1 + weight)
    return Interval(low, high)


def student_quantile(freedom: Floats) -> Floats:
    """Return how many standard errors an interval of Student's t goes to either side; NaN where it is."""
    # Here, because it takes a second to load, and a service that collects may never be asked.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return np.asarray(stdtrit(freedom, 0.5 + CONFIDENCE.value / 2))


def student_tails(statistic: float, freedom: float) -> float:
    """Return the two-sided p-value of a statistic of Student's t."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(statistic)))


def quantiles(values: NDArray[Any], shares: Sequence[float]) -> Floats:
    """Return the quantiles of `values` (at least one) along their first axis, a row for each of `shares`.

    Linear interpolation between order statistics: type 7 of Hyndman & Fan 1996. It is np.quantile to the
    bit, without what that looks at first: an answer asks for hundreds of quantiles of some hundred values.
    """
    rows = np.ascontiguousarray(values.T)  # what is looked through lies side by side
    places = _places(rows.shape[-1], tuple(shares))
    ordered = np.partition(rows, places.sought, axis=-1).T
    low, high = ordered[places.below], ordered[places.above]
    weight = places.weight.reshape(-1, *[1] * (values.ndim - 1))
    step = high - low
    return np.asarray(np.where(weight < 0.5, low + step * weight, high - step * (1 - weight)))


class _Places(NamedTuple):
    """Between which order statistics quantiles lie, and how far from the lower one."""

    below: NDArray[np.int64]
    above: NDArray[np.int64]
    weight: Floats
    sought: tuple[int, ...]


@lru_cache(maxsize=4096)
def _places(count: int, shares: tuple[float, ...]) -> _Places:
    place = np.array(shares) * (count - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    return _Places(below, above, place - below, tuple(sorted({*below.tolist(), *above.tolist()})))


# --- Days that resemble each other -----------------------------------------------------------------------


class Spread(NamedTuple):
    """The standard error of each group's mean, and the effective number of days it rests on.

    NaN where fewer than INTERVAL_DAYS have a value.
    """

    standard_error: Floats
    effective_days: Floats

    def reach(self) -> Floats:
        """Return how far an interval goes to either side of its mean."""
        return student_quantile(self.effective_days - 1) * self.standard_error


def spread(departures: Floats, present: Bools) -> Spread:
    """Return the spread of the means of daily series, one series a row, arrays of shape (groups, days).

    `departures` are each day's value minus the mean, 0 on days that are not `present`. Days without a value
    are skipped: the days on either side of a gap resemble each other less, which correctly lowers `r`.

    With `S` the sum of the squared departures, the expectation of `S / n` is `(1 - 1 / n_eff)` times the
    variance of a day, so that the squared standard error is `S / n / (n_eff - 1)`. For independent days that
    is Student's own.
    """
    n = present.sum(axis=-1)
    if not present.all():
        # Days without a value go to the end: neighbours in the array follow each other in time.
        departures = np.take_along_axis(departures, np.argsort(~present, axis=-1, kind="stable"), axis=-1)
    squares = np.square(departures).sum(axis=-1)
    products = (departures[..., :-1] * departures[..., 1:]).sum(axis=-1)
    lag_1 = np.divide(products, squares, out=np.zeros(squares.shape), where=squares > 0)
    worth = np.maximum(effective_number(n, persistence(lag_1, n)), LEAST_EFFECTIVE_DAYS.value)
    enough = n >= INTERVAL_DAYS.value
    error = np.sqrt(squares / np.maximum(n, 1) / (worth - 1))
    return Spread(np.where(enough, error, np.nan), np.where(enough, worth, np.nan))


def persistence(lag_1: Floats, n: Integers) -> Floats:
    """Return the autocorrelation of successive days to reckon with, from that of a sample of `n` days.

    A sample's is too low by `(1 + 4 r) / n` in the mean (Marriott & Pope 1954, Biometrika 41, 390-402). After
    that correction PERSISTENCE_CAUTION of its standard error, `1 / sqrt(n)`, is added. From 0 to
    MOST_PERSISTENCE; days that alternate are not taken to be worth more than independent ones.
    """
    days = np.maximum(n, INTERVAL_DAYS.value)
    corrected = (days * lag_1 + 1.0) / (days - 4.0) + PERSISTENCE_CAUTION.value / np.sqrt(days)
    return np.clip(corrected, 0.0, MOST_PERSISTENCE.value)


def effective_number(n: Integers, r: Floats) -> Floats:
    """Return `n / (1 + 2 sum_{k=1}^{n-1} (1 - k / n) r**k)`: the independent days `n` days are worth.

    That is the variance of a day over that of the mean of `n` days of an AR(1) process.
    """
    days = np.maximum(n, 1)  # n = 0 has no spread: spread() sets it to NaN
    tail = r / (1.0 - r) - r * (1.0 - r**days) / (days * (1.0 - r) ** 2)
    return np.asarray(days / (1.0 + 2.0 * tail))
