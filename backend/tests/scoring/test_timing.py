"""When the wind rises through a limit, and how much earlier or later than announced."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.scoring.questions.timing import (
    NEVER,
    announced_rise,
    first_rise,
    median_interval,
    rounded_minutes,
    smoothed,
    timing,
)

WINDOW = (0, 4 * 3600)
HOURLY = np.arange(5) * 3600


def rise(*speeds: float, limit: float = 20.0) -> float | None:
    return announced_rise(HOURLY[: len(speeds)], np.array(speeds), limit, WINDOW)


def test_the_rise_lies_between_two_hours_in_proportion() -> None:
    assert rise(10, 16, 24, 30, 30) == 1.5 * 3600
    assert rise(10, 20, 24, 30, 30) == 3600
    assert rise(10, 22, 10, 30, 30) == pytest.approx(3600 * 10 / 12)  # the first rise counts


def test_a_wind_that_stays_below_never_rises_and_one_above_at_the_start_is_not_known() -> None:
    assert rise(10, 12, 14, 13, 19.9) == NEVER
    assert rise(20, 25, 30, 10, 10) is None
    assert rise() is None


def test_a_gap_before_the_rise_leaves_it_unknown() -> None:
    hours = np.array([0, 3600, 3 * 3600, 4 * 3600])
    assert announced_rise(hours, np.array([10.0, 12, 24, 25]), 20, WINDOW) is None
    assert announced_rise(hours, np.array([10.0, 24, 24, 25]), 20, WINDOW) is not None
    assert announced_rise(hours[:2], np.array([10.0, 12]), 20, WINDOW) is None  # the end is not seen
    late = np.array([2 * 3600, 3 * 3600, 4 * 3600])
    assert announced_rise(late, np.array([10.0, 24, 24]), 20, WINDOW) is None  # the start is not seen


def test_readings_are_smoothed_over_an_hour() -> None:
    times = np.arange(0, 4 * 3600 + 1, 600)
    speeds = np.full(len(times), 10.0)
    speeds[5] = 60.0  # one gusty reading is no rise of the wind
    at, means = smoothed(times, speeds)
    assert first_rise(at, means, 20.0, (1800, 3 * 3600), 1800) == NEVER
    steady = np.where(times >= 2 * 3600, 30.0, 10.0)
    at, means = smoothed(times, steady)
    found = first_rise(at, means, 20.0, (1800, 3 * 3600), 1800)
    assert found == pytest.approx(2 * 3600 - 300, abs=1)  # halfway between the readings of the step


def test_sparse_readings_have_no_mean() -> None:
    at, means = smoothed(np.arange(0, 4 * 3600, 1200), np.full(12, 10.0))
    assert len(at) == len(means) == 0


def test_days_with_one_rise_are_counted_apart() -> None:
    found = timing([3600.0, NEVER, 7200.0, None, NEVER], [3600.0, 3600.0, NEVER, 1.0, NEVER])
    assert (found.days, found.only_announced, found.only_observed) == (1, 1, 1)
    assert found.median is None
    assert found.interval is None


def test_the_wind_that_comes_before_its_announcement_is_negative() -> None:
    announced: list[float | None] = [40_000.0] * 22
    earlier = [30, 50, 40, 35, 45, -10, 60, 30, 50, 40, -20, 35, 45, 60, 30, -15, 50, 40, 35, -5, 45, 60]
    observed: list[float | None] = [40_000.0 - 60 * minutes for minutes in earlier]
    found = timing(observed, announced)
    assert found.days == 22
    assert found.median == pytest.approx(-40.0)
    assert found.interval is not None
    assert found.interval.high < 0
    assert found.same_side == 18


def test_minutes_are_rounded_to_quarters_of_an_hour() -> None:
    assert [rounded_minutes(each) for each in (-40.0, 7.0, 8.0, 52.0)] == [-45, 0, 15, 45]


@pytest.mark.parametrize(("count", "rank"), [(20, 6), (25, 8), (30, 10), (100, 41)])
def test_the_interval_of_independent_days_is_the_one_of_the_binomial(count: int, rank: int) -> None:
    """The chance that the median lies outside is about 5 % with these ranks, and more with the next."""

    def outside(below: int) -> float:
        return float(2 * sum(math.comb(count, each) for each in range(below)) / 2**count)

    assert outside(rank) <= 0.05 + 0.008  # the normal approximation
    assert outside(rank + 1) > 0.05
    values = np.tile([1.0, -1.0], count // 2 + 1)[:count] * np.arange(1.0, count + 1)  # no persistence
    found = median_interval(values)
    assert found is not None
    ordered = np.sort(values)
    assert found.low <= ordered[rank - 1]  # the caution about persistence widens it a little
    assert found.low >= ordered[max(rank - 5, 0)]
    assert found.high == -found.low or found.high >= ordered[count - rank]


def test_days_that_resemble_each_other_widen_the_interval() -> None:
    noise = np.random.default_rng(3).normal(0, 30, 60)
    slow = np.repeat(np.random.default_rng(3).normal(0, 30, 6), 10)
    narrow, wide = median_interval(noise), median_interval(slow)
    assert narrow is not None
    assert wide is None or wide.high - wide.low > narrow.high - narrow.low
