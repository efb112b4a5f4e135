"""Sums of days: exact, additive, in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.scoring.grid import Bools, Values
from backend.scoring.metrics.scalar import error_sd, mae, mean_error, rmse
from backend.scoring.metrics.sums import Sums
from backend.tests.support.scoring_grids import (
    counted,
    direction_sums,
    filled,
    grid,
    grids,
    random_grid,
    scalar_sums,
    vector_sums,
)

WINDS = grids(3, 0, 250)
DIRECTIONS = grids(3, 0, 360)


def all_sums(f: Values, o: Values, turn_f: Values, turn_o: Values) -> list[Sums]:
    return [
        scalar_sums(f, o),
        direction_sums(turn_f, turn_o, f, o),
        vector_sums(turn_f, turn_o, f, o),
        counted(f, o, 25.0),
    ]


def added(one: Sums, two: Sums) -> Sums:
    return type(one)(*(a + b for a, b in zip(one.columns(), two.columns(), strict=True)))


def test_the_sums_of_a_day_are_those_worked_out_by_hand() -> None:
    # Errors: 2 and -3 on the first day, none on the second, 0 on the third.
    sums = scalar_sums(grid([12, 4, 9], [5], [0]), grid([10, 7, None], [None], [0]))
    assert sums.n.tolist() == [2, 0, 1]
    assert sums.sum_f.tolist() == [16_000, 0, 0]
    assert sums.sum_o.tolist() == [17_000, 0, 0]
    assert sums.sum_ff.tolist() == [160_000_000, 0, 0]
    assert sums.sum_oo.tolist() == [149_000_000, 0, 0]
    assert sums.sum_fo.tolist() == [148_000_000, 0, 0]
    assert sums.sum_errors.tolist() == [-1_000, 0, 0]
    assert sums.sum_abs.tolist() == [5_000, 0, 0]
    assert sums.sum_squares.tolist() == [13_000_000, 0, 0]


@given(f=WINDS, o=WINDS, turn_f=DIRECTIONS, turn_o=DIRECTIONS, order=st.permutations(range(3)))
def test_the_order_of_days_changes_nothing(
    f: Values, o: Values, turn_f: Values, turn_o: Values, order: list[int]
) -> None:
    forwards = all_sums(f, o, turn_f, turn_o)
    shuffled = all_sums(f[order], o[order], turn_f[order], turn_o[order])
    assert [sums.total() for sums in forwards] == [sums.total() for sums in shuffled]


@given(f=WINDS, o=WINDS, turn_f=DIRECTIONS, turn_o=DIRECTIONS, cut=st.integers(0, 3))
def test_partial_sums_merge_into_the_whole(
    f: Values, o: Values, turn_f: Values, turn_o: Values, cut: int
) -> None:
    whole = all_sums(f, o, turn_f, turn_o)
    first = all_sums(f[:cut], o[:cut], turn_f[:cut], turn_o[:cut])
    rest = all_sums(f[cut:], o[cut:], turn_f[cut:], turn_o[cut:])
    for one, two, both in zip(first, rest, whole, strict=True):
        assert added(one.total(), two.total()) == both.total()


@given(f=WINDS, o=WINDS, turn_f=DIRECTIONS, turn_o=DIRECTIONS, mask=st.integers(0, 2**24))
def test_the_sums_within_a_mask_and_outside_it_make_the_whole(
    f: Values, o: Values, turn_f: Values, turn_o: Values, mask: int
) -> None:
    inside = np.resize([bool(mask >> bit & 1) for bit in range(25)], f.shape)
    makers: tuple[Callable[[Bools | None], Sums], ...] = (
        lambda chosen: scalar_sums(f, o, chosen),
        lambda chosen: direction_sums(turn_f, turn_o, f, o, chosen),
        lambda chosen: vector_sums(turn_f, turn_o, f, o, chosen),
        lambda chosen: counted(f, o, 25.0, chosen),
    )
    for make in makers:
        assert added(make(inside), make(~inside)) == make(None)


def test_sums_of_days_are_the_same_in_any_grouping_as_bits() -> None:
    generator = np.random.default_rng(1)
    f, o = random_grid(generator, 400, 0, 250), random_grid(generator, 400, 0, 250)
    per_day = scalar_sums(f, o)
    backwards = per_day.each(lambda column: column[::-1])
    first = per_day.each(lambda column: column[:123])
    second = per_day.each(lambda column: column[123:])
    assert backwards.total() == added(first.total(), second.total())


def test_ten_years_of_the_strongest_winds_fit() -> None:
    decade = scalar_sums(filled(3653, 250.0), filled(3653, 0.0)).total()
    assert int(decade.sum_ff) == 3653 * 24 * 250_000**2
    assert (rmse(decade), error_sd(decade)) == (250.0, 0.0)


def test_a_long_nearly_constant_series_keeps_its_small_variance() -> None:
    # Errors alternate between 100.000 and 100.002 km/h: naive sums of squares in floats lose this.
    f = filled(1000, 250.0)
    f[:, 1:24:2] = 250_002
    totals = scalar_sums(f, filled(1000, 150.0)).total()
    assert error_sd(totals) == pytest.approx(0.001 * np.sqrt(24_000 / 23_999), rel=1e-9)


def test_days_of_different_kinds_are_not_equal() -> None:
    empty = grid([None])
    assert vector_sums(empty, empty, empty, empty) != scalar_sums(empty, empty)


def test_a_score_of_many_rows_is_refused_rather_than_guessed() -> None:
    sums = scalar_sums(filled(2, 1.0), filled(2, 0.0))
    with pytest.raises(ValueError, match="total"):
        mae(sums)
    assert mae.each(sums).tolist() == [1.0, 1.0]
    assert mean_error(sums.total()) == 1.0
