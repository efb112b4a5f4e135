"""Sums of many groups of hours at once: a row per day, a column per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from backend.scoring.grid import SCALE, Integers
from backend.scoring.inference.jackknife import departures_spread, jackknife, leave_one_out, symmetric
from backend.scoring.intervals import Interval
from backend.scoring.metrics.error_kind import ErrorKind, ErrorSums
from backend.scoring.metrics.sums import Sums, no_sums
from backend.scoring.sample.strata import Groups

S = TypeVar("S", bound=Sums)


def group_sums(hourly: S, groups: Groups) -> S:
    """Return the sums of each day and group, columns (days, groups)."""
    days, count = len(groups.index), len(groups.names)
    cell = np.arange(days)[:, None] * count + groups.index
    cell = np.where(groups.index >= 0, cell, -1).ravel()
    by_cell = hourly.each(np.ravel).groups(cell, days * count)
    return by_cell.each(lambda column: column.reshape(days, count))


def by_day_groups(of_days: S, group: Integers, count: int) -> S:
    """Return the sums of each day in the column of its group, as that of its month: (days, groups)."""
    days, columns = np.arange(len(group)), []
    for column in of_days.columns():
        table = np.zeros((len(group), count), np.int64) if column.any() else no_sums(len(group), count)
        if table.flags.writeable:
            table[days, group] = column
        columns.append(table)
    return type(of_days)(*columns)


def over_days(of_groups: S) -> S:
    """Return the sums of each group over all days."""
    return type(of_groups)(*[column.sum(axis=0, dtype=np.int64) for column in of_groups.columns()])


def beside(tables: Sequence[S]) -> S:
    """Return the groups of several tables of one kind in one: (days, all of their groups)."""
    columns = zip(*(table.columns() for table in tables), strict=True)
    return type(tables[0])(*(np.concatenate(each, axis=1) for each in columns))


def days_of(of_groups: ErrorSums) -> Integers:
    """Return how many days each group has."""
    return np.asarray((of_groups.n > 0).sum(axis=0))


def alone(of_days: S) -> S:
    """Return the sums of days as those of one group: (days, 1)."""
    return type(of_days)(*[column[:, None] for column in of_days.columns()])


# --- Intervals -------------------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """The intervals of groups' mean sizes of error, and how many independent pairs each rests on."""

    intervals: list[Interval | None]
    effective_pairs: list[float | None]


def bias_intervals(kind: ErrorKind, of_groups: ErrorSums) -> list[Interval | None]:
    """Return the interval of each group's bias, in the quantity's unit; None where there is no bias.

    It goes at most ErrorKind.widest_bias to either side.
    """
    if kind.bias is None:
        return [None] * of_groups.n.shape[1]
    values = kind.bias.each(over_days(of_groups))
    _, without = leave_one_out(of_groups)
    reach = departures_spread(kind.bias_changes(values, without), of_groups.n > 0).reach()
    half = np.minimum(reach, kind.widest_bias)
    columns = (values - half, values + half, np.isfinite(values + reach))
    return [
        Interval(low, high) if is_known else None
        for low, high, is_known in zip(*(column.tolist() for column in columns), strict=True)
    ]


def size_intervals(kind: ErrorKind, of_groups: ErrorSums) -> Sizes:
    """Return the interval of each group's mean size of error, in the quantity's unit.

    The effective number of pairs is `n * var_iid / var_days`, at most n: `var_iid` is the variance of the
    mean of n independent errors' sizes, `var_days` that of the same mean by its days. Hours that repeat each
    other count for less. Capped at n because more than was measured is hard to explain. None where either
    variance is 0 or unknown.
    """
    sizes = of_groups.sizes()
    jackknifed = jackknife(kind.ranking.each, sizes, sizes.n > 0)
    totals, errors = over_days(sizes), jackknifed.spread.standard_error * SCALE
    columns = (totals.n, totals.sum_abs, totals.sum_squares, errors)
    effective: list[float | None] = []
    # As Python's whole numbers, of any length: equal sizes then have a variance of exactly 0.
    for n, size, square, error in zip(*(column.tolist() for column in columns), strict=True):
        iid = (n * square - size * size) / (n * (n - 1)) / n if n > 1 and error > 0 else 0.0
        effective.append(min(float(n), n * iid / error**2) if iid > 0 else None)
    return Sizes(symmetric(jackknifed, lowest=0.0), effective)
