"""Sums of one day, from which scores follow, and which may be added in any order.

Everything is a whole number in int64, so that two ways of adding give the same bits: thousandths of
the unit, their squares, millionths for sines and cosines. A day adds at most 25 squares of 250 km/h,
1.6e12, and int64 holds 9.2e18. After the idea of MET's SL1L2, VL1L2 and CTC lines.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from functools import cache
from typing import Self, cast

import numpy as np

from backend.scoring.grid import Integers


def no_sums(*shape: int) -> Integers:
    """Return sums of nothing, which take no memory."""
    return np.broadcast_to(np.int64(0), shape)


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cast(type[Sums], kind)))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Named sums: one row per day in each, or totals of shape ()."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(map(np.array_equal, self.columns(), other.columns()))

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def columns(self) -> tuple[Integers, ...]:
        """Return the sums in the order of their declaration."""
        return tuple(getattr(self, name) for name in _names(cast(Hashable, type(self))))

    def each(self, change: Callable[[Integers], Integers]) -> Self:
        """Return these sums with `change` applied to each."""
        return type(self)(*map(change, self.columns()))

    def total(self) -> Self:
        """Return the sums over all days, of shape ()."""
        return self.each(lambda column: np.asarray(column.sum(dtype=np.int64)))

    def groups(self, group: Integers, count: int) -> Self:
        """Return the sums over the days of each group, one row for each of `count`; -1 is in none."""
        inside = np.flatnonzero(group >= 0)
        group = group[inside]

        def added(column: Integers) -> Integers:
            found = np.zeros(count, np.int64)
            np.add.at(found, group, column[inside])
            return found

        return self.each(added)
