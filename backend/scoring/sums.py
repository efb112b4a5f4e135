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

from backend.scoring.direction import sines_and_cosines, usable, wrap
from backend.scoring.events import Occurrence
from backend.scoring.grid import Bools, Integers, Values, paired
from backend.scoring.vector import vector_errors


def no_sums(*shape: int) -> Integers:
    """Return sums of nothing, which take no memory."""
    return np.broadcast_to(np.int64(0), shape)


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cast(type[Sums], kind)))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Named sums: one row per day in each, or totals of shape ()."""

    def __add__(self, other: Self) -> Self:
        mine, others = self.columns(), other.columns()
        return type(self)(*(one + two for one, two in zip(mine, others, strict=True)))

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

    def days(self, chosen: Bools | Integers | slice) -> Self:
        """Return the rows of the days `chosen`, by a mask, a slice or their indices."""
        return self.each(lambda column: column[chosen])

    def groups(self, group: Integers, count: int) -> Self:
        """Return the sums over the days of each group, one row for each of `count`; -1 is in none."""
        inside = np.flatnonzero(group >= 0)
        group = group[inside]

        def added(column: Integers) -> Integers:
            found = np.zeros(count, np.int64)
            np.add.at(found, group, column[inside])
            return found

        return self.each(added)


@dataclass(frozen=True, slots=True, eq=False)
class ScalarSums(Sums):
    """Sums over the pairs of a speed, gust or temperature, in thousandths (or their squares)."""

    n: Integers
    sum_f: Integers
    sum_o: Integers
    sum_ff: Integers
    sum_oo: Integers
    sum_fo: Integers
    sum_abs: Integers
    """The sum of `|f - o|`."""

    @property
    def sum_e(self) -> Integers:
        """The sum of `f - o`: exact, hence not kept twice."""
        return self.sum_f - self.sum_o

    @property
    def sum_ee(self) -> Integers:
        """The sum of `(f - o)**2`: exact, hence not kept twice."""
        return self.sum_ff - 2 * self.sum_fo + self.sum_oo

    @property
    def sum_squares(self) -> Integers:
        """The sum of the squares of what `sum_abs` adds up; each kind of sums has it."""
        return self.sum_ee

    @classmethod
    def of(cls, f: Values, o: Values, mask: Bools | None = None) -> Self:
        """Add up each day's pairs within `mask`; arrays of shape (days, 25)."""
        pair = paired(f, o, mask)
        fcst, obs = np.where(pair, f, 0).astype(np.int64), np.where(pair, o, 0).astype(np.int64)
        products = (pair, fcst, obs, fcst * fcst, obs * obs, fcst * obs, np.abs(fcst - obs))
        return cls(*(product.sum(axis=-1, dtype=np.int64) for product in products))


@dataclass(frozen=True, slots=True, eq=False)
class DirectionSums(Sums):
    """Sums over the pairs of a wind direction, with the number of those left out and why.

    `n + light + undefined` is the number of hours for which a wind was both forecast and observed.
    """

    n: Integers
    sum_sin: Integers
    """The sum of the errors' sines, in millionths; `sum_cos` likewise."""
    sum_cos: Integers
    sum_abs: Integers
    """The sum of `|d|` with `d` the wrapped error, in thousandths of a degree.

    `sum_d` is that of `d`, `sum_dd` that of `d**2`.
    """
    sum_d: Integers
    sum_dd: Integers
    light: Integers
    """Pairs left out because the observed wind was too light (or outside the speeds asked for)."""
    undefined: Integers
    """Pairs left out because one side had no direction, as in a forecast calm."""

    @property
    def sum_squares(self) -> Integers:
        """The sum of `|d|**2`."""
        return self.sum_dd

    @classmethod
    def of(
        cls, f: Values, o: Values, speed_f: Values, speed_o: Values, mask: Bools | None = None, *,
        least: float | None = None, below: float | None = None,
    ) -> Self:  # fmt: skip
        """Add up each day's pairs whose observed speed is in [`least`, `below`) km/h.

        By default every speed from LIGHT_WIND on; the light-wind group asks for BREEZE to LIGHT_WIND.
        """
        pair, light, undefined = usable(f, o, speed_f, speed_o, mask, least=least, below=below)
        d = wrap(f[pair].astype(np.int64) - o[pair])
        # The pairs lie day after day: what a day adds to the running sums is its own.
        n, light, undefined = (each.sum(axis=-1, dtype=np.int64) for each in (pair, light, undefined))
        running = np.zeros((5, len(d) + 1), np.int64)
        np.cumsum((*sines_and_cosines(d), np.abs(d), d, d * d), axis=1, out=running[:, 1:])
        ends = np.cumsum(n)
        return cls(*(n, *(running[:, ends] - running[:, ends - n]), light, undefined))


@dataclass(frozen=True, slots=True, eq=False)
class VectorSums(Sums):
    """Sums over pairs of winds: the length of the vector error in thousandths of a km/h, and its square."""

    n: Integers
    sum_ve: Integers
    sum_vv: Integers

    @property
    def sum_abs(self) -> Integers:
        """The sum of what a comparison of two models compares: here the length of the error."""
        return self.sum_ve

    @property
    def sum_squares(self) -> Integers:
        """The sum of the squares of these lengths."""
        return self.sum_vv

    @classmethod
    def of(cls, f: Values, o: Values, speed_f: Values, speed_o: Values, mask: Bools | None = None) -> Self:
        """Add up each day's pairs; `f` and `o` are directions. A calm is a pair too: a vector of length 0."""
        ve, pair = vector_errors(f, o, speed_f, speed_o, mask)
        return cls(*(product.sum(axis=-1, dtype=np.int64) for product in (pair, ve, ve * ve)))


@dataclass(frozen=True, slots=True, eq=False)
class Contingency(Sums):
    """Counts of an event: hits `a`, false alarms `b`, misses `c`, correct rejections `d`."""

    a: Integers
    b: Integers
    c: Integers
    d: Integers

    @property
    def n(self) -> Integers:
        """All pairs."""
        return self.a + self.b + self.c + self.d

    @classmethod
    def of(cls, f: Occurrence, o: Occurrence, mask: Bools | None = None) -> Self:
        """Count each day's hours for which both sides are known; a row per day, one or more columns."""
        known = f.known & o.known if mask is None else f.known & o.known & mask
        cells = (f.yes & o.yes, f.yes & ~o.yes, ~f.yes & o.yes, ~f.yes & ~o.yes)
        return cls(*((cell & known).sum(axis=-1, dtype=np.int64) for cell in cells))
