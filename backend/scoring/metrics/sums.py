"""Sums of one day, the formulas that make scores of them, and the kinds of errors that are added up.

Everything is a whole number in int64, so that two ways of adding give the same bits: thousandths of
the unit, their squares, millionths for sines and cosines. A day adds at most 25 squares of 250 km/h,
1.6e12, and int64 holds 9.2e18. After the idea of MET's SL1L2, VL1L2 and CTC lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from backend.scoring.grid import Bools, Floats, Integers, Values


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Named sums: a row per day in each, (days,) or (days, groups), or totals of shape () or (groups,).

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
        """Return the sums over all days, columns (days, ...): of shape () where there are no groups."""
        return type(self)(*[np.asarray(column.sum(axis=0, dtype=np.int64)) for column in self.columns()])

    def groups(self, group: Integers, count: int) -> Self:
        """Return the sums over the days of each group, one row for each of `count`; -1 is in none."""
        inside = np.flatnonzero(group >= 0)
        group = group[inside]

        def added(column: Integers) -> Integers:
            totals = np.zeros(count, np.int64)
            np.add.at(totals, group, column[inside])
            return totals

        return self.each(added)


# --- Formulas --------------------------------------------------------------------------------------------


S = TypeVar("S")


class Formula(Generic[S]):
    """A score as a function of sums: of totals of shape () it is a number, or None where it is undefined.

    `each` applies it to every day and group of other sums; an array cannot hold None, so there, and only
    there, undefined is NaN.
    """

    def __init__(self, each: Callable[[S], Floats]) -> None:
        self.each = each
        update_wrapper(self, each)

    def __call__(self, sums: S) -> float | None:
        """Return the score of totals of shape (); raise ValueError for sums of days or groups."""
        values = self.each(sums)
        if np.ndim(values):
            raise ValueError("a score is of one total: call total() on sums of days, or each() for groups")
        return number(values)


def number(value: ArrayLike) -> float | None:
    """Return one value as a Python number, or None for NaN and infinity."""
    plain = float(np.asarray(value))
    return plain if np.isfinite(plain) else None


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the quotient, NaN where the denominator is 0 or anything is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.true_divide(numerator, denominator)
    return np.where(np.equal(denominator, 0), np.nan, quotient)


# --- Kinds of errors -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values of a model or station hour by hour: `main` is the quantity, `speed` the wind of a direction."""

    main: Values
    speed: Values | None = None

    @property
    def wind_speed(self) -> Values:
        """The speed that goes with a direction; raises ValueError where there is none."""
        if self.speed is None:
            raise ValueError("a direction is scored with its speed")
        return self.speed


@dataclass(frozen=True, slots=True, eq=False)
class ErrorSums(Sums):
    """Sums over pairs. Each kind of error has at least these."""

    n: Integers
    """The number of pairs."""

    if TYPE_CHECKING:
        # A column of some kinds and a property of others. At run time a property here would be taken by
        # dataclass() for the default of the column.
        @property
        def sum_abs(self) -> Integers:
            """The sum of the sizes of the errors, in thousandths."""

        @property
        def sum_squares(self) -> Integers:
            """The sum of the squares of these sizes."""

        @property
        def sum_errors(self) -> Integers:
            """The sum of the errors in thousandths; of a single pair, its error."""

    def sizes(self) -> SizeSums:
        """Return the part that the mean size of an error and its interval need."""
        return SizeSums(self.n, self.sum_abs, self.sum_squares)


@dataclass(frozen=True, slots=True, eq=False)
class SizeSums(ErrorSums):
    """The sizes of errors alone: models are compared by them for every kind of error."""

    sum_abs: Integers
    sum_squares: Integers


class ErrorKind(ABC):
    """A kind of error: what a pair adds to the sums, and the scores that follow from them."""

    formulas: ClassVar[Mapping[str, Formula[Any]]]
    """Its scores, by their names in a ScoreSet."""
    ranking: ClassVar[Formula[Any]]
    """The score that ranks models: smaller is better."""
    bias: ClassVar[Formula[Any] | None]
    """The bias; None for the length of a vector error, which has no sign."""
    widest_bias: ClassVar[float] = float("inf")
    """How far the interval of the bias may go to either side."""
    of_wind: ClassVar[bool] = False
    """Whether a pair needs the speed beside the direction."""
    left_out: ClassVar[Mapping[str, str]] = {}
    """The sums that count pairs of winds without a score, by their names in a ScoreSet."""

    @abstractmethod
    def hourly(self, f: Series, o: Series) -> ErrorSums:
        """Return the sums of each hour by itself, arrays (days, 25); 0 where there is no pair."""

    def bias_changes(self, bias: Floats, without: Any) -> Floats:
        """Return by how much the bias of groups changes in sums `without` a day each, (days, groups)."""
        assert self.bias is not None  # noqa: S101  # bias_intervals asks only kinds with a bias
        return self.bias.each(without) - bias
