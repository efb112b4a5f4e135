"""Sums of many groups of hours at once: a row per day, a column per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from backend.scoring.grid import SCALE, Floats, Integers, Values
from backend.scoring.inference.jackknife import departures_spread, jackknife, symmetric
from backend.scoring.intervals import Interval
from backend.scoring.metrics.direction import circular_bias, steady_bias
from backend.scoring.metrics.sums import Sums, no_sums
from backend.scoring.sample.quantities import Quantity, Series, sums
from backend.scoring.sample.strata import Groups

S = TypeVar("S", bound=Sums)


def hourly_sums(quantity: Quantity, side: Series, observed: Series) -> Sums:
    """Return the sums of each hour by itself, columns (days, hours)."""
    shape = side.main.shape
    one_by_one = sums(quantity, _one_by_one(side), _one_by_one(observed))
    return one_by_one.each(lambda column: column.reshape(shape))


def side_by_side(quantity: Quantity, sides: Sequence[Series], observed: Series) -> Sums:
    """Return the sums of several forecasts of the same hours, columns (days, sides)."""
    stacked = sums(quantity, _stacked(sides), _stacked([observed] * len(sides)))
    return stacked.each(lambda column: column.reshape(len(sides), -1).T)


def group_sums(hourly: Sums, groups: Groups) -> Sums:
    """Return the sums of each day and group, columns (days, groups)."""
    days, count = len(groups.index), len(groups.names)
    cell = np.arange(days)[:, None] * count + groups.index
    cell = np.where(groups.index >= 0, cell, -1).ravel()
    by_cell = hourly.each(np.ravel).groups(cell, days * count)
    return by_cell.each(lambda column: column.reshape(days, count))


def by_day_groups(of_days: S, group: Integers, count: int) -> S:
    """Return the sums of each day in the column of its group, as that of its month: (days, groups)."""
    days = np.arange(len(group))

    def laid_out(column: Integers) -> Integers:
        if not column.any():
            return no_sums(len(group), count)
        table = np.zeros((len(group), count), np.int64)
        table[days, group] = column
        return table

    return of_days.each(laid_out)


def over_days(of_groups: S) -> S:
    """Return the sums of each group over all days."""
    return of_groups.each(lambda column: column.sum(axis=0, dtype=np.int64))


def beside(tables: Sequence[S]) -> S:
    """Return the groups of several tables of one kind in one: (days, all of their groups)."""
    columns = zip(*(table.columns() for table in tables), strict=True)
    return type(tables[0])(*(np.concatenate(each, axis=1) for each in columns))


def days_of(of_groups: Any) -> Integers:
    """Return how many days each group has."""
    return np.asarray((of_groups.n > 0).sum(axis=0))


def alone(of_days: S) -> S:
    """Return the sums of days as those of one group: (days, 1)."""
    return of_days.each(lambda column: column[:, None])


# --- Intervals: every answer and file has its own from here ---------------------------------------------


class Sizes(NamedTuple):
    """The intervals of groups' mean sizes of error, and how many independent pairs each rests on."""

    intervals: list[Interval | None]
    effective_pairs: list[float | None]


def bias_intervals(quantity: Quantity, of_groups: Sums) -> list[Interval | None]:
    """Return the interval of each group's bias, in the quantity's unit; None where there is no bias.

    That of a direction's turn goes up to 180 degrees to either side of it, and its ends may lie beyond 180:
    it never runs the long way round.
    """
    formula, groups = quantity.bias, of_groups.columns()[0].shape[1]
    if formula is None:
        return [None] * groups
    if formula is steady_bias:
        return _turns(of_groups)
    return symmetric(jackknife(formula.each, of_groups, _present(of_groups)))


def size_intervals(quantity: Quantity, of_groups: Any) -> Sizes:
    """Return the interval of each group's mean size of error, in the quantity's unit.

    The effective number of pairs is `n * var_iid / var_days`, at most n: `var_iid` is the variance of the
    mean of n independent errors' sizes, `var_days` that of the same mean by its days. Hours that repeat each
    other count for less. Capped at n because more than was measured is hard to explain. None where either
    variance is 0 or unknown.
    """
    sure = jackknife(quantity.ranking.each, of_groups, _present(of_groups))
    totals = over_days(of_groups)
    columns = (totals.n, totals.sum_abs, totals.sum_squares, sure.spread.standard_error * SCALE)
    effective = [_effective(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
    return Sizes(symmetric(sure, lowest=0.0), effective)


def _effective(n: int, size: int, square: int, error: float) -> float | None:
    """Return the same of one group: whole numbers of any length, so that equal sizes have no variance."""
    if n < 2 or not error > 0:
        return None
    iid = (n * square - size * size) / (n * (n - 1)) / n
    return min(float(n), n * iid / error**2) if iid > 0 else None


def _turns(of_groups: Any) -> list[Interval | None]:
    """Return the interval of each group's steady turn: the spread is that of the circular bias around it."""
    values = steady_bias.each(over_days(of_groups))
    without = circular_bias.each(of_groups.each(lambda column: column.sum(axis=0) - column))
    turned = _wrapped(without - values)
    found = departures_spread(turned, _present(of_groups))
    reach = found.reach()
    known = np.isfinite(values + reach).tolist()
    return [
        Interval(value - half, value + half) if is_known else None
        for value, half, is_known in zip(
            values.tolist(), np.minimum(reach, 180.0).tolist(), known, strict=True
        )
    ]


def _wrapped(degrees: Floats) -> Floats:
    return np.asarray((degrees + 180.0) % 360.0 - 180.0)


def _present(of_groups: Any) -> Any:
    """Return which days have a pair, by group."""
    return np.asarray(of_groups.n > 0)


def _one_by_one(side: Series) -> Series:
    speed: Values | None = None if side.speed is None else side.speed.reshape(-1, 1)
    return Series(side.main.reshape(-1, 1), speed)


def _stacked(sides: Sequence[Series]) -> Series:
    """Return one side whose days are those of all, one after the other."""
    speeds = [side.speed for side in sides if side.speed is not None]
    return Series(np.concatenate([side.main for side in sides]), np.concatenate(speeds) if speeds else None)
