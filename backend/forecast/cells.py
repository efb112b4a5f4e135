"""The hours of a local day as cells: 8 classes of 3 hours, with 4 places each.

A class has a place for each of its hours o'clock, and one more for the hour that comes twice on the day of 25
hours. So "the same hour yesterday" is the same cell on every day, and an absent hour is a cell with NaN.
Every array of this room has the units first (a unit is a station, parameter and view) and the cells last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

CLASSES, PLACES = 8, 4
CLASS_HOURS = 3


def _flat(clock: Integers) -> tuple[Integers, Integers]:
    """Return which columns of a day exist, and the flat cell of each."""
    columns = np.flatnonzero(clock >= 0)
    hours = clock[columns]
    repeated = np.append(False, hours[1:] == hours[:-1])
    place = np.where(repeated, PLACES - 1, hours % CLASS_HOURS)
    return columns, hours // CLASS_HOURS * PLACES + place


def to_cells(values: NDArray[Any], clock: Integers) -> Floats:
    """Return values (..., hours) as cells (..., 8, 4); NaN where the day has no such hour.

    `clock` is what a clock shows at each column, 0 to 23, negative where there is no hour: a row of
    `clock_hours` of scoring/grid.py.
    """
    columns, cells = _flat(clock)
    found = np.full((*values.shape[:-1], CLASSES * PLACES), np.nan)
    found[..., cells] = values[..., columns]
    return found.reshape(*values.shape[:-1], CLASSES, PLACES)


def from_cells(cells: Floats, clock: Integers) -> Floats:
    """Return cells (..., 8, 4) as the columns of the day, the inverse of `to_cells`."""
    columns, flat = _flat(clock)
    values = np.full((*cells.shape[:-2], len(clock)), np.nan)
    values[..., columns] = cells.reshape(*cells.shape[:-2], CLASSES * PLACES)[..., flat]
    return values
