"""Grids for the tests of scoring, from numbers a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.core.local_time import day_number
from backend.scoring.constants import LIGHT_WIND
from backend.scoring.grid import ABSENT, HOURS, Bools, Integers, Span, Values, paired
from backend.scoring.metrics.contingency import Contingency
from backend.scoring.metrics.direction import DirectionError, DirectionSums
from backend.scoring.metrics.events import above
from backend.scoring.metrics.scalar import ScalarError, ScalarSums
from backend.scoring.metrics.sums import Series
from backend.scoring.metrics.vector import VectorError, VectorSums

FEW = 4

Row = Sequence[float | None]


def grid(*rows: Row) -> Values:
    """Return days of hours in the parameter's unit; None and the hours not given are absent."""
    values = np.full((len(rows), HOURS), ABSENT, dtype=np.int32)
    for day, row in enumerate(rows):
        for hour, value in enumerate(row):
            if value is not None:
                values[day, hour] = round(value * 1000)
    return values


def errors(f: Values, o: Values) -> Integers:
    """Return `f - o` of all pairs in one row, in thousandths."""
    both = paired(f, o)
    return f[both].astype(np.int64) - o[both]


def counted(f: Values, o: Values, limit: float, mask: Bools | None = None) -> Contingency:
    """Return the counts by day of hours above a limit, in the parameter's unit."""
    return Contingency.of(above(f, limit), above(o, limit), mask)


def scalar_sums(f: Values, o: Values, mask: Bools | None = None) -> ScalarSums:
    """Return the sums by day of speeds, gusts or temperatures."""
    return ScalarError().hourly(Series(f), Series(o)).of_days(mask)


def direction_sums(
    f: Values, o: Values, speed_f: Values, speed_o: Values, mask: Bools | None = None, *,
    least: float = LIGHT_WIND.value, below: float | None = None,
) -> DirectionSums:  # fmt: skip
    """Return the sums by day of directions, of the winds observed from `least` to below `below` km/h."""
    return DirectionError(least, below).hourly(Series(f, speed_f), Series(o, speed_o)).of_days(mask)


def vector_sums(
    f: Values, o: Values, speed_f: Values, speed_o: Values, mask: Bools | None = None
) -> VectorSums:
    """Return the sums by day of winds; `f` and `o` are directions."""
    return VectorError().hourly(Series(f, speed_f), Series(o, speed_o)).of_days(mask)


def filled(days: int, value: float) -> Values:
    """Return `days` of 24 hours, all with the same value."""
    return grid(*[[value] * 24] * days)


def months(first: date, days: int) -> Integers:
    """Return the month, 1 to 12, of each of `days` days from `first`."""
    number = day_number(first)
    return Span(number, number + days - 1).months


def random_grid(
    generator: np.random.Generator, days: int, low: float, high: float, absent: float = 0.1
) -> Values:
    """Return `days` of random hours, evenly from `low` to `high`, a share of them `absent`."""
    values = generator.integers(round(low * 1000), round(high * 1000) + 1, size=(days, HOURS), dtype=np.int32)
    values[generator.random(values.shape) < absent] = ABSENT
    return values


def grids(days: int, low: float, high: float) -> st.SearchStrategy[Values]:
    """Return any grid of `days` with values in its first hours, gaps and the extremes among them."""
    values = st.one_of(st.just(ABSENT), st.integers(round(low * 1000), round(high * 1000)))
    cells = arrays(np.int32, (days, FEW), elements=values)
    return cells.map(
        lambda some: np.pad(some, ((0, 0), (0, HOURS - FEW)), constant_values=ABSENT).astype(np.int32)
    )
