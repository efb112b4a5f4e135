"""Direction and the wind as a vector: what must hold on a circle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.scoring.grid import Floats, Values, present
from backend.scoring.metrics.direction import (
    DirectionSums,
    circular_bias,
    circular_sd,
    direction_errors,
    mean_absolute_direction_error,
    mean_direction_error,
    quantisation_floor,
    resultant,
    sines_and_cosines,
    steady_bias,
    wrap,
)
from backend.scoring.metrics.vector import VectorSums, mean_vector_error, rms_vector_error, vector_errors
from backend.tests.support.scoring_grids import direction_sums, filled, grid, grids, random_grid, vector_sums

BOTH = (
    mean_absolute_direction_error,
    mean_direction_error,
    resultant,
    circular_bias,
    steady_bias,
    circular_sd,
)
DIRECTIONS = grids(2, 0, 360)
WINDS = grids(2, 0, 120)


def in_wind(f: Values, o: Values) -> DirectionSums:
    """Return the sums of directions in a steady wind of 20 km/h."""
    return direction_sums(f, o, filled(len(f), 20.0), filled(len(f), 20.0)).total()


def turned(values: Values, thousandths: int) -> Values:
    return np.where(present(values), (values.astype(np.int64) + thousandths) % 360_000, values).astype(
        np.int32
    )


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [
        (0, 0), (180, 180), (-180, 180), (180.001, -179.999), (-179.999, -179.999), (190, -170), (360, 0),
        (-360, 0), (540, 180), (720, 0), (725, 5), (-725, -5), (1080.5, 0.5),
    ],
)  # fmt: skip
def test_any_angle_wraps_into_minus_180_excluded_to_180_included(angle: float, wrapped: float) -> None:
    assert wrap(np.array(round(angle * 1000))) == round(wrapped * 1000)


@given(angle=st.integers(-(10**9), 10**9), turns=st.integers(-5, 5))
def test_whole_turns_change_no_angle(angle: int, turns: int) -> None:
    wrapped = int(wrap(np.array(angle + turns * 360_000)))
    assert wrapped == int(wrap(np.array(angle)))
    assert -180_000 < wrapped <= 180_000
    assert (wrapped - angle) % 360_000 == 0


@pytest.mark.parametrize(
    ("f", "o", "error"),
    [(350, 10, -20), (10, 350, 20), (360, 0, 0), (0, 180, 180), (180, 0, 180), (90, 270, 180), (359, 1, -2)],
)
def test_an_error_is_positive_clockwise_of_the_observation(f: float, o: float, error: float) -> None:
    assert direction_errors(grid([f]), grid([o]))[0, 0] == error * 1000
    assert mean_absolute_direction_error(in_wind(grid([f]), grid([o]))) == abs(error)


def test_errors_either_side_of_north_average_to_north() -> None:
    # 350 and 10 against 0: -10 and 10. sin cancels, cos is cos 10 degrees.
    sums = in_wind(grid([350, 10]), grid([0, 0]))
    assert circular_bias(sums) == 0.0
    assert mean_direction_error(sums) == 0.0
    assert mean_absolute_direction_error(sums) == 10.0
    assert resultant(sums) == pytest.approx(math.cos(math.radians(10)), abs=1e-6)
    assert circular_sd(sums) == pytest.approx(
        math.degrees(math.sqrt(-2 * math.log(math.cos(math.radians(10))))), abs=1e-3
    )


def test_errors_around_the_opposite_have_a_bias_of_180_and_not_of_zero() -> None:
    # 170 and -170: the arithmetic mean is 0, the circular one 180.
    sums = in_wind(grid([170, 190]), grid([0, 0]))
    assert mean_direction_error(sums) == 0.0
    assert circular_bias(sums) == 180.0


def test_errors_everywhere_have_no_bias_and_no_spread() -> None:
    sums = in_wind(grid([0, 90, 180, 270]), grid([0, 0, 0, 0]))
    assert resultant(sums) == 0.0
    assert circular_bias(sums) is None
    assert steady_bias(sums) is None
    assert circular_sd(sums) is None
    assert mean_absolute_direction_error(sums) == 90.0


@pytest.mark.parametrize("turn", range(0, 120, 7))
def test_errors_that_cancel_out_have_no_bias_although_their_sines_are_rounded(turn: int) -> None:
    sums = in_wind(grid([turn, turn + 120, turn + 240]), grid([0, 0, 0]))
    assert (resultant(sums), circular_bias(sums)) == (0.0, None)


@pytest.mark.parametrize(("half_angle", "steady"), [(59, True), (60, True), (61, False)])
def test_a_bias_is_steady_from_a_resultant_of_one_half(half_angle: float, steady: bool) -> None:
    # Two errors 45 ± a have the resultant cos a, and cos 60 degrees is one half.
    sums = in_wind(grid([45 + half_angle, 45 - half_angle]), grid([0, 0]))
    bias = steady_bias(sums)
    assert bias == pytest.approx(45) if steady else bias is None
    assert circular_bias(sums) == pytest.approx(45)


def test_equal_errors_have_no_spread_although_their_sines_are_rounded() -> None:
    for error in range(1, 360):
        sums = in_wind(grid([error] * 24), filled(1, 0.0))
        assert circular_sd(sums) == pytest.approx(0, abs=0.1)
        assert 1 - 1e-6 <= (resultant(sums) or 0) <= 1
    assert str(circular_sd(in_wind(grid([5]), grid([5])))) == "0.0"


def test_a_random_direction_gives_about_90_degrees() -> None:
    generator = np.random.default_rng(3)
    f, o = random_grid(generator, 400, 0, 359.999), random_grid(generator, 400, 0, 359.999)
    assert mean_absolute_direction_error(in_wind(f, o)) == pytest.approx(90, abs=2)


def test_light_and_undefined_winds_are_left_out_and_counted() -> None:
    #             fine  light  at 3 m/s  f calm  o without  not observed  not forecast
    speed_f = grid([20, 20, 20, 0, 20, 20, None])
    speed_o = grid([20, 10.799, 10.8, 20, 20, None, 20])
    f = grid([10, 10, 10, 0, 10, 10, None])
    o = grid([20, 20, 20, 20, None, 20, 20])
    sums = direction_sums(f, o, speed_f, speed_o).total()
    assert (int(sums.n), int(sums.light), int(sums.undefined)) == (2, 1, 2)
    assert mean_direction_error(sums) == -10.0


def test_the_light_wind_group_is_from_5_to_below_3_metres_a_second() -> None:
    speed_o = grid([4.999, 5, 10.799, 10.8])
    sums = direction_sums(filled(1, 0), filled(1, 0), speed_o, speed_o, least=5.0, below=10.8).total()
    assert (int(sums.n), int(sums.light)) == (2, 2)


def test_without_pairs_every_direction_score_is_none() -> None:
    empty = in_wind(grid([None]), grid([10]))
    assert [score(empty) for score in BOTH] == [None] * len(BOTH)


@given(f=DIRECTIONS, o=DIRECTIONS, angle=st.integers(0, 359_999))
def test_turning_the_compass_changes_no_direction_score(f: Values, o: Values, angle: int) -> None:
    assert in_wind(f, o) == in_wind(turned(f, angle), turned(o, angle))


@given(f=DIRECTIONS, o=DIRECTIONS)
def test_swapping_forecast_and_observation_mirrors_the_error(f: Values, o: Values) -> None:
    there, back = in_wind(f, o), in_wind(o, f)
    assert int(there.sum_sin) == -int(back.sum_sin)
    assert (int(there.sum_cos), int(there.sum_abs)) == (int(back.sum_cos), int(back.sum_abs))


def test_sixteen_points_cost_a_perfect_forecast_five_and_a_half_degrees() -> None:
    assert quantisation_floor(22.5) == 5.625
    truth = np.arange(0, 360_000, 25)
    measured = np.abs(wrap(truth - np.rint(truth / 22_500).astype(np.int64) * 22_500)).mean() / 1000
    assert measured == pytest.approx(5.625, abs=0.01)


def test_sines_are_whole_millionths() -> None:
    sines, cosines = sines_and_cosines(np.array([0, 30_000, 90_000, 180_000, -90_000]))
    assert sines.tolist() == [0, 500_000, 1_000_000, 0, -1_000_000]
    assert cosines.tolist() == [1_000_000, 866_025, 0, -1_000_000, 0]


def winds(f: Values, o: Values, speed_f: Values, speed_o: Values) -> VectorSums:
    return vector_sums(f, o, speed_f, speed_o).total()


def test_vector_errors_are_those_worked_out_by_hand() -> None:
    # 3 from the north and 4 from the east are 5 apart; 10 and 10 from opposite sides 20; equal winds 0.
    sums = winds(grid([0, 0, 350]), grid([90, 180, 350]), grid([3, 10, 7]), grid([4, 10, 7]))
    assert sums.vector_error_sum.item() == 25_000
    assert mean_vector_error(sums) == pytest.approx(25 / 3)
    assert rms_vector_error(sums) == pytest.approx(math.sqrt((25 + 400) / 3))


def test_a_calm_is_a_wind_without_direction_and_not_a_missing_one() -> None:
    ve, pair = vector_errors(
        grid([None, None, 10, 10]), grid([90, 90, None, None]), grid([0, 5, 8, 8]), grid([6, 6, 0, 3])
    )
    assert pair[0, :4].tolist() == [True, False, True, False]
    assert ve[0, [0, 2]].tolist() == [6_000, 8_000]


def test_without_pairs_the_vector_scores_are_none() -> None:
    empty = winds(grid([1]), grid([1]), grid([None]), grid([1]))
    assert (mean_vector_error(empty), rms_vector_error(empty)) == (None, None)


@given(f=DIRECTIONS, o=DIRECTIONS, speed_f=WINDS, speed_o=WINDS)
def test_a_vector_error_is_never_less_than_the_error_of_speed_nor_more_than_both_speeds(
    f: Values, o: Values, speed_f: Values, speed_o: Values
) -> None:
    ve, pair = vector_errors(f, o, speed_f, speed_o)
    assert (np.abs(speed_f - speed_o.astype(np.int64))[pair] <= ve[pair]).all()
    assert (ve[pair] <= (speed_f + speed_o.astype(np.int64))[pair]).all()


@given(f=DIRECTIONS, o=DIRECTIONS, speed_f=WINDS, speed_o=WINDS, angle=st.integers(0, 359_999))
def test_vector_errors_know_no_north_and_no_first(
    f: Values, o: Values, speed_f: Values, speed_o: Values, angle: int
) -> None:
    here = winds(f, o, speed_f, speed_o)
    assert here == winds(turned(f, angle), turned(o, angle), speed_f, speed_o)
    assert here == winds(o, f, speed_o, speed_f)


def test_vector_errors_are_those_of_the_components() -> None:
    generator = np.random.default_rng(4)
    f, o = (random_grid(generator, 200, 0, 360, absent=0) for _ in range(2))
    speed_f, speed_o = (random_grid(generator, 200, 0, 250, absent=0) for _ in range(2))

    def components(direction: Values, speed: Values) -> tuple[Floats, Floats]:
        t, speed_f64 = np.deg2rad(direction / 1000), speed.astype(float)
        return -speed_f64 * np.sin(t), -speed_f64 * np.cos(t)

    (uf, vf), (uo, vo) = components(f, speed_f), components(o, speed_o)
    ve, _ = vector_errors(f, o, speed_f, speed_o)
    assert np.abs(ve - np.hypot(uf - uo, vf - vo)).max() <= 0.5 + 1e-6
