"""Forecasts without a model of their own: yesterday, the climate, the mean of the models."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.scoring.constants import LEAST_CLIMATOLOGY_DAYS
from backend.scoring.grid import ABSENT, HOURS, Values, clock_hours, present, rounded_mean
from backend.scoring.sample.reference_forecasts import (
    climatology,
    direction_climatology,
    model_mean,
    model_mean_direction,
    yesterday,
)
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.tests.support.scoring_grids import filled, grid, grids, months, random_grid

MORNING, NOON, EVENING_BEFORE, TWO_EVENINGS_BEFORE = DECISION_VIEWS
FIRST = date(2026, 7, 1)


def numbered(days: int) -> Values:
    """Return hours whose values name them: day * 100 + hour."""
    return grid(*[[day * 100 + hour for hour in range(24)] for day in range(days)])


def yesterdays(o: Values, first: date, view: DecisionView) -> Values:
    return yesterday(o, clock_hours(first, len(o)), view)


@pytest.mark.parametrize("view", [MORNING, NOON])
def test_on_the_day_itself_yesterday_is_yesterday(view: DecisionView) -> None:
    assert yesterdays(numbered(3), FIRST, view)[2, :24].tolist() == [
        (100 + hour) * 1000 for hour in range(24)
    ]


def test_the_evening_before_only_knows_yesterdays_hours_up_to_then() -> None:
    hours = yesterdays(numbered(3), FIRST, EVENING_BEFORE)[2]
    assert hours[18] == 118_000
    assert hours[19] == 19_000  # 19 o'clock is not known at 19:00: the day before
    assert hours[23] == 23_000


def test_two_evenings_before_knows_the_day_of_the_decision_and_the_one_before() -> None:
    hours = yesterdays(numbered(5), FIRST, TWO_EVENINGS_BEFORE)[4]
    assert hours[12] == 212_000
    assert hours[20] == 120_000


@pytest.mark.parametrize("view", DECISION_VIEWS)
def test_nothing_that_was_not_known_at_the_decision_enters_the_reference(view: DecisionView) -> None:
    o, day = numbered(8), 5
    later = o.copy()
    later[day - view.days_before + 1 :] += 1_000_000
    decided = day - view.days_before
    if view.days_before:
        later[decided, view.hour :] += 1_000_000
    else:
        later[decided] += 1_000_000
    assert np.array_equal(yesterdays(o, FIRST, view)[day], yesterdays(later, FIRST, view)[day])


def test_a_missing_yesterday_is_absent_and_not_the_day_before() -> None:
    found = yesterdays(grid([1], [None], [3]), FIRST, MORNING)
    assert found[:, 0].tolist() == [ABSENT, 1000, ABSENT]


def test_yesterdays_clock_hour_is_taken_on_both_days_of_the_clock_change() -> None:
    # 29 March 2026 has 23 hours: its column 9 is 10 o'clock. The day after looks at that column.
    o = numbered(3)
    o[1, 23] = ABSENT
    spring = yesterdays(o, date(2026, 3, 28), MORNING)
    assert spring[1, 9] == 10_000  # 10 o'clock of the 28th
    assert spring[1, 23] == ABSENT
    assert spring[2, 10] == 109_000
    assert spring[2, 2] == ABSENT  # the 29th had no 2 o'clock
    # 25 October has 25: column 11 is 10 o'clock, columns 2 and 3 are both 2 o'clock.
    o = numbered(3)
    o[1, 24] = 124_000
    autumn = yesterdays(o, date(2026, 10, 24), MORNING)
    assert autumn[1, [2, 3, 4, 11, 24]].tolist() == [2_000, 2_000, 3_000, 10_000, 23_000]
    assert autumn[2, [2, 3, 10]].tolist() == [102_000, 104_000, 111_000]


def test_fewer_days_than_the_view_looks_back_give_no_reference() -> None:
    assert not present(yesterdays(numbered(1), FIRST, TWO_EVENINGS_BEFORE)).any()
    assert yesterdays(grid(), FIRST, MORNING).shape == (0, HOURS)


def climate(o: Values, first: date = FIRST) -> Values:
    return climatology(o, clock_hours(first, len(o)), months(first, len(o)))


def test_climatology_is_the_mean_of_the_other_days() -> None:
    # Eleven days of 0 to 10: without the first the mean is 5.5, without the last 4.5.
    o = grid(*[[day] for day in range(11)])
    assert climate(o)[[0, 10], 0].tolist() == [5_500, 4_500]


def test_climatology_needs_ten_other_days() -> None:
    assert not present(climate(filled(LEAST_CLIMATOLOGY_DAYS.value, 3.0))).any()
    assert (climate(filled(LEAST_CLIMATOLOGY_DAYS.value + 1, 3.0))[:, :24] == 3_000).all()


def test_climatology_does_not_know_the_verified_day() -> None:
    o = random_grid(np.random.default_rng(1), 30, 0, 60)
    changed = o.copy()
    changed[7] = 250_000
    assert np.array_equal(climate(o)[7], climate(changed)[7])
    assert not np.array_equal(climate(o)[8], climate(changed)[8])


def test_climatology_keeps_months_apart_and_joins_years() -> None:
    o = np.concatenate([filled(31, 10.0), filled(31, 20.0)])
    apart = climate(o)  # July, then August
    assert (apart[:31, :24] == 10_000).all()
    assert (apart[31:, :24] == 20_000).all()
    years = climate(np.concatenate([filled(365, 10.0), filled(1, 99.0)]))  # 1 July again
    assert (years[365, :24] == 10_000).all()


def test_climatology_has_values_where_the_day_itself_was_not_observed() -> None:
    o = filled(12, 4.0)
    o[3] = ABSENT
    assert (climate(o)[3, :24] == 4_000).all()


def test_climatology_follows_the_clock_on_the_day_it_is_changed() -> None:
    # March 2026: hour h observes h; on the 29th, column 9 is 10 o'clock.
    first = date(2026, 3, 1)
    clock = clock_hours(first, 31)
    o = np.where(clock >= 0, clock * 1000, ABSENT).astype(np.int32)
    found = climate(o, first)
    assert found[28, [9, 22]].tolist() == [10_000, 23_000]
    assert found[28, 23] == ABSENT


def test_the_mean_direction_of_other_days_goes_through_north() -> None:
    o = grid(*[[350.0], [10.0]] * 6)
    found = direction_climatology(o, clock_hours(FIRST, 12), months(FIRST, 12))
    # Six of one side against five of the other: within 2 degrees of north.
    assert ((found[:, 0] < 2_000) | (found[:, 0] > 358_000)).all()
    opposite = direction_climatology(
        grid(*[[0.0], [180.0]] * 6, [90.0]), clock_hours(FIRST, 13), months(FIRST, 13)
    )
    assert opposite[12, 0] == ABSENT


def test_the_mean_of_models_is_rounded_half_up_to_a_thousandth() -> None:
    a, b = grid([10, 0.001, -0.001, -0.002]), grid([13, 0, 0, -0.001])
    assert model_mean([a, b])[0, :4].tolist() == [11_500, 1, 0, -1]


@given(total=st.integers(-(10**12), 10**12), n=st.integers(1, 10**6))
def test_rounding_is_never_off_by_more_than_a_half(total: int, n: int) -> None:
    found = int(rounded_mean(np.array(total), np.array(n)))
    assert -n <= 2 * (total - found * n) < n


def test_the_mean_of_models_needs_all_of_them() -> None:
    found = model_mean([grid([1, None]), grid([3, 3])])
    assert found[0, :2].tolist() == [2_000, ABSENT]
    turned = model_mean_direction([grid([1, None]), grid([3, 3])])
    assert turned[0, :2].tolist() == [2_000, ABSENT]


def test_the_mean_direction_of_models_goes_through_north_and_may_not_exist() -> None:
    a, b = grid([350, 0, 359, 90]), grid([10, 180, 357, 90])
    assert model_mean_direction([a, b])[0, :4].tolist() == [0, ABSENT, 358_000, 90_000]


@given(a=grids(1, 0, 250), b=grids(1, 0, 250))
def test_the_order_of_models_changes_nothing(a: Values, b: Values) -> None:
    assert np.array_equal(model_mean([a, b]), model_mean([b, a]))
    assert np.array_equal(model_mean([a, a]), a)
