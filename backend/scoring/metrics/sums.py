"""Sums of one day, from which scores follow, and which may be added in any order.

Everything is a whole number in int64, so that two ways of adding give the same bits: thousandths of
the unit, their squares, millionths for sines and cosines. A day adds at most 25 squares of 250 km/h,
1.6e12, and int64 holds 9.2e18. After the idea of MET's SL1L2, VL1L2 and CTC lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np

from backend.scoring.grid import Bools, Integers


def no_sums(*shape: int) -> Integers:
    """Return sums of nothing, which take no memory."""
    return np.broadcast_to(np.int64(0), shape)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Named sums: a row per day in each, or totals of shape ().

    Sums of single hours have the shape of the grid, (days, 25): each holds what its pair adds.
    """

    _names: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(map(np.array_equal, self.columns(), other.columns()))

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def columns(self) -> tuple[Integers, ...]:
        """Return the sums in the order of their declaration."""
        kind = type(self)
        if not kind._names:
            # dataclasses.fields() takes longer than adding up a year of days.
            kind._names = tuple(field.name for field in fields(self))
        return tuple([getattr(self, name) for name in kind._names])

    def each(self, change: Callable[[Integers], Integers]) -> Self:
        """Return these sums with `change` applied to each."""
        return type(self)(*[change(column) for column in self.columns()])

    def of_days(self, mask: Bools | None = None) -> Self:
        """Return the sums of each day from those of its hours within `mask`."""
        hours = self.columns() if mask is None else [column * mask for column in self.columns()]
        return type(self)(*[column.sum(axis=-1, dtype=np.int64) for column in hours])

    def total(self) -> Self:
        """Return the sums over all days, of shape ()."""
        return type(self)(*[np.asarray(column.sum(dtype=np.int64)) for column in self.columns()])

    def groups(self, group: Integers, count: int) -> Self:
        """Return the sums over the days of each group, one row for each of `count`; -1 is in none."""
        inside = np.flatnonzero(group >= 0)
        group = group[inside]

        def added(column: Integers) -> Integers:
            totals = np.zeros(count, np.int64)
            np.add.at(totals, group, column[inside])
            return totals

        return self.each(added)
