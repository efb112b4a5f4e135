"""The grid: which clock hour a column is, on every day of the year."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from backend.scoring.grid import ABSENT, NO_HOUR, clock_hours, paired, present
from backend.tests.support.scoring_grids import grid, months

DAY = [*range(24), NO_HOUR]


def test_an_ordinary_day_has_its_24_hours_in_order() -> None:
    assert clock_hours(date(2026, 7, 1), 1).tolist() == [DAY]


def test_the_day_the_clocks_go_forward_has_no_two_o_clock_and_23_hours() -> None:
    before, day, after = clock_hours(date(2026, 3, 28), 3).tolist()
    assert before == DAY
    assert day == [0, 1, *range(3, 24), NO_HOUR, NO_HOUR]
    assert after == DAY


def test_the_day_the_clocks_go_back_has_two_o_clock_twice_and_25_hours() -> None:
    before, day, after = clock_hours(date(2026, 10, 24), 3).tolist()
    assert before == DAY
    assert day == [0, 1, 2, 2, *range(3, 24)]
    assert after == DAY


def test_months_follow_the_calendar_over_the_turn_of_the_year_and_a_leap_day() -> None:
    assert months(date(2027, 12, 31), 2).tolist() == [12, 1]
    assert months(date(2028, 2, 29), 2).tolist() == [2, 3]


def test_zero_is_a_value_and_the_sentinel_is_none() -> None:
    values = grid([0.0, None])
    assert present(values)[0, :2].tolist() == [True, False]
    assert values[0, 1] == ABSENT


def test_a_pair_needs_both_sides_and_the_mask() -> None:
    f, o = grid([1, 1, None, 1]), grid([1, None, 1, 1])
    mask = np.ones(f.shape, dtype=bool)
    mask[0, 3] = False
    assert np.flatnonzero(paired(f, o)).tolist() == [0, 3]
    assert np.flatnonzero(paired(f, o, mask)).tolist() == [0]


def test_arrays_of_different_days_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        paired(grid([1]), grid([1], [1]))
