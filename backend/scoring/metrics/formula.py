"""What a score is to the code: a formula over sums that knows where it is undefined."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from backend.scoring.grid import Floats

S = TypeVar("S")


class Formula(Generic[S]):
    """A score as a function of sums: of totals it is a number, or None where it is undefined.

    `each` applies it to every row (day, group) of sums that are not totals;
    an array cannot hold None, so there, and only there, undefined is NaN.
    """

    def __init__(self, each: Callable[[S], Floats]) -> None:
        self.each = each
        update_wrapper(self, each)

    def __call__(self, sums: S) -> float | None:
        """Return the score of totals; raise ValueError for sums with rows."""
        values = self.each(sums)
        if np.ndim(values):
            raise ValueError("a score is of totals: call total() first, or ask for each row's")
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
