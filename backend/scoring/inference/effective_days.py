"""The uncertainty of a figure made of many days: Student's t with the effective number of independent days.

Weather lasts for days, so that `n` days of errors hold less than `n` independent values. The series of daily
values is taken as an AR(1) process: from its lag-1 autocorrelation `r` follows the effective number of days
`n_eff`, and an interval is `mean ± t(n_eff - 1) sqrt(s² / n_eff)`. See docs/decisions/effective-days.md for
the methods that this one was compared with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backend.scoring.constants import (
    INTERVAL_DAYS,
    LEAST_EFFECTIVE_DAYS,
    MOST_PERSISTENCE,
    PERSISTENCE_CAUTION,
)
from backend.scoring.grid import Bools, Floats, Integers
from backend.scoring.intervals import student_quantile


class Spread(NamedTuple):
    """The standard error of each group's mean, and the effective number of days it rests on.

    NaN where fewer than INTERVAL_DAYS have a value.
    """

    standard_error: Floats
    effective_days: Floats

    def reach(self) -> Floats:
        """Return how far an interval goes to either side of its mean."""
        return self.quantile() * self.standard_error

    def quantile(self) -> Floats:
        """Return how many standard errors that is: Student's t of the effective number of days."""
        return student_quantile(self.effective_days - 1)


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
    days = np.maximum(n, 1)
    tail = r / (1.0 - r) - r * (1.0 - r**days) / (days * (1.0 - r) ** 2)
    return np.asarray(days / (1.0 + 2.0 * tail))
