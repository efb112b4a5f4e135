"""Sums of many groups of hours at once: a row per day, a column per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np

from backend.scoring.bootstrap import only, resampled
from backend.scoring.daily import extent_of
from backend.scoring.direction import circular_bias, steady_bias
from backend.scoring.formula import Formula
from backend.scoring.grid import Integers, Values
from backend.scoring.intervals import Interval, arounds, percentiles
from backend.scoring.quantities import Quantity, Side, sums
from backend.scoring.strata import Groups
from backend.scoring.sums import Sums, no_sums

S = TypeVar("S", bound=Sums)


def hourly_sums(quantity: Quantity, side: Side, observed: Side) -> Sums:
    """Return the sums of each hour by itself, columns (days, hours)."""
    shape = side.main.shape
    one_by_one = sums(quantity, _one_by_one(side), _one_by_one(observed))
    return one_by_one.each(lambda column: column.reshape(shape))


def side_by_side(quantity: Quantity, sides: Sequence[Side], observed: Side) -> Sums:
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


def extent(of_groups: Any) -> slice:
    """Return the span from the first day on which any group has a pair to the last."""
    return extent_of((of_groups.n > 0).any(axis=1))


def drawn_from(of_groups: S, names: Sequence[str], span: slice) -> S | None:
    """Return replicates of some columns, the others 0; all groups get the same days, drawn from `span`."""
    drawn = resampled(only(of_groups, names), extent=span)
    return None if drawn is None else drawn[0]


def intervals(formula: Formula[Any], of_groups: Sums, drawn: Sums | None) -> list[Interval | None]:
    """Return the interval of a score in each group; of a turn, around its own value."""
    values = formula.each(over_days(of_groups)).tolist()
    if drawn is None:
        return [None] * len(values)
    if formula is steady_bias:
        return arounds(circular_bias.each(cast(Any, drawn)), values)
    return percentiles(formula.each(drawn))


def _one_by_one(side: Side) -> Side:
    speed: Values | None = None if side.speed is None else side.speed.reshape(-1, 1)
    return Side(side.main.reshape(-1, 1), speed)


def _stacked(sides: Sequence[Side]) -> Side:
    """Return one side whose days are those of all, one after the other."""
    speeds = [side.speed for side in sides if side.speed is not None]
    return Side(np.concatenate([side.main for side in sides]), np.concatenate(speeds) if speeds else None)
