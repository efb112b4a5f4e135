"""Scores of speeds, gusts and temperatures, on numbers worked out by hand and as laws."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.scoring.grid import Values, present
from backend.scoring.metrics.scalar import (
    ScalarSums,
    correlation,
    error_quantiles,
    error_sd,
    mae,
    mean_error,
    rmse,
    within_share,
)
from backend.scoring.sample.height_correction import is_far_in_height, to_station_height
from backend.tests.support.scoring_grids import errors, filled, grid, grids, scalar_sums

SCORES = (mean_error, mae, rmse, error_sd, correlation)
TEMPERATURES = grids(2, -40, 50)


def totals(f: Values, o: Values) -> ScalarSums:
    return scalar_sums(f, o).total()


def test_scores_of_four_errors_are_those_worked_out_by_hand() -> None:
    # e = 2, -1, 4, -1: mean 1; |e| 2, 1, 4, 1: mean 2; e² 4, 1, 16, 1: mean 5.5;
    # about the mean 1, -2, 3, -2: squares 18, over n - 1: 6.
    sums = totals(grid([12, 9, 24, 19]), grid([10, 10, 20, 20]))
    assert mean_error(sums) == 1.0
    assert mae(sums) == 2.0
    assert rmse(sums) == pytest.approx(math.sqrt(5.5))
    assert error_sd(sums) == pytest.approx(math.sqrt(6))


def test_correlation_is_the_one_worked_out_by_hand() -> None:
    # f 1, 2, 3 about 2: -1, 0, 1; o 2, 2, 5 about 3: -1, -1, 2. 3 / sqrt(2 * 6).
    assert correlation(totals(grid([1, 2, 3]), grid([2, 2, 5]))) == pytest.approx(3 / math.sqrt(12))


def test_without_pairs_every_score_is_none() -> None:
    for empty in (totals(grid([1]), grid([None])), totals(grid(), grid())):
        assert [score(empty) for score in SCORES] == [None] * len(SCORES)
    assert error_quantiles(errors(grid([1]), grid([None]))) is None
    assert within_share(errors(grid([1]), grid([None])), 5.0) is None


def test_one_pair_has_an_error_and_no_spread() -> None:
    one = totals(grid([3]), grid([5]))
    assert (mean_error(one), mae(one), rmse(one)) == (-2.0, 2.0, 2.0)
    assert error_sd(one) is None
    assert correlation(one) is None


@pytest.mark.parametrize("value", [0.0, 0.001, 33.333, -17.5])
def test_a_constant_series_has_no_correlation_and_an_exact_zero_spread(value: float) -> None:
    sums = totals(filled(40, value), grid(*[range(24)] * 40))
    assert correlation(sums) is None
    assert error_sd(totals(filled(40, value), filled(40, 0.0))) == 0.0


def test_zero_degrees_and_zero_wind_are_values_like_others() -> None:
    sums = totals(grid([0, 0]), grid([0, -4]))
    assert int(sums.n) == 2
    assert mean_error(sums) == 2.0


@given(f=TEMPERATURES, o=TEMPERATURES)
def test_squared_rmse_is_squared_bias_plus_variance(f: Values, o: Values) -> None:
    sums = totals(f, o)
    n, sd = int(sums.n), error_sd(sums)
    me, root = mean_error(sums), rmse(sums)
    if sd is not None and me is not None and root is not None:
        assert root**2 == pytest.approx(me**2 + (n - 1) / n * sd**2, rel=1e-9, abs=1e-9)


@given(f=TEMPERATURES, o=TEMPERATURES, shift=st.integers(-5_000, 5_000))
def test_a_shift_of_both_changes_no_error_and_one_of_the_forecast_moves_the_bias(
    f: Values, o: Values, shift: int
) -> None:
    def shifted(x: Values) -> Values:
        return np.where(present(x), x + np.int32(shift), x)

    sums, both, one = totals(f, o), totals(shifted(f), shifted(o)), totals(shifted(f), o)
    assert [score(both) for score in (mean_error, mae, rmse)] == [
        score(sums) for score in (mean_error, mae, rmse)
    ]
    spread, moved = error_sd(sums), error_sd(one)
    assert spread is None if moved is None else moved == pytest.approx(spread, abs=1e-9)
    r, after = correlation(sums), correlation(one)
    assert r is None if after is None else after == pytest.approx(r, abs=1e-9)
    assert int(one.sum_errors) == int(sums.sum_errors) + shift * int(sums.n)


@given(f=TEMPERATURES, o=TEMPERATURES)
def test_swapping_forecast_and_observation_turns_the_bias_and_nothing_else(f: Values, o: Values) -> None:
    there, back = totals(f, o), totals(o, f)
    assert (mae(there), rmse(there), error_sd(there)) == (mae(back), rmse(back), error_sd(back))
    assert int(there.sum_errors) == -int(back.sum_errors)
    assert correlation(there) == correlation(back)


@given(f=TEMPERATURES, o=TEMPERATURES)
def test_bias_mae_and_rmse_stand_in_their_order(f: Values, o: Values) -> None:
    me, size, root = (score(totals(f, o)) for score in (mean_error, mae, rmse))
    if me is not None and size is not None and root is not None:
        assert abs(me) <= size <= root * (1 + 1e-12)


def test_quantiles_interpolate_between_the_sorted_errors() -> None:
    # Type 7 of 0, 1, 2, 3, 10: place (n - 1) p = 0.4, 1, 2, 3, 3.6.
    f = grid([10, 0, 2, 1, 3])
    of_five = error_quantiles(errors(f, filled(1, 0.0)))
    assert of_five is not None
    assert astuple(of_five) == pytest.approx((0.4, 1.0, 2.0, 3.0, 7.2, 7.2))
    # Of sizes 4, 3, 2, 1, 0 the place 3.6 lies between 3 and 4.
    low = error_quantiles(errors(grid([-4, -3, -2, -1, 0]), filled(1, 0.0)))
    assert low is not None
    assert [low.p90, low.p90_abs] == pytest.approx([-0.4, 3.6])


def test_an_error_of_exactly_the_tolerance_is_within() -> None:
    assert within_share(errors(grid([5, -5, 5.001, -5.001]), filled(1, 0.0)), 5.0) == 0.5
    assert within_share(errors(grid([0.1 + 0.2]), filled(1, 0.0)), 0.3) == 1.0


def test_a_model_above_the_station_is_warmed_by_its_height() -> None:
    # 200 m higher: 200 * 0.0065 = 1.3 °C warmer at the station.
    corrected = to_station_height(grid([10, None, -1.3]), 1_500.0, 1_300.0)
    assert corrected is not None
    assert corrected.tolist() == grid([11.3, None, 0]).tolist()
    lower = to_station_height(grid([10, None]), 1_300.0, 1_500.0)
    assert lower is not None
    assert lower.tolist() == grid([8.7, None]).tolist()


def test_without_both_elevations_there_is_no_corrected_temperature() -> None:
    assert to_station_height(grid([10]), None, 1_300.0) is None
    assert to_station_height(grid([10]), 1_300.0, None) is None


def test_more_than_300_metres_apart_is_far() -> None:
    assert not is_far_in_height(1_300.0, 1_000.0)
    assert is_far_in_height(1_000.0, 1_300.1)
