"""How often the tests cry wolf: series whose true mean is 0, nominal 5 %, measured.

Days of weather are correlated, so expect a little more than 5 %; a test that takes correlated hours for
independent cries wolf more than every second time. Seeded: the rates are the same on every run; the bands
are what 300 repeats leave uncertain (two standard errors, 2.5 points) around what was measured once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter  # type: ignore[import-untyped]

from backend.core.parameters import Parameter
from backend.scoring.bootstrap import mean_interval
from backend.scoring.daily import MICRO, DailySeries
from backend.scoring.diebold_mariano import hering_genton, hln
from backend.scoring.grid import Floats
from backend.scoring.intervals import Interval
from backend.scoring.verdict import Outcome, compare

REPEATS = 300


def autoregressive(seed: int, repeats: int, length: int, correlation: float) -> Floats:
    """Return stationary AR(1) series of variance 1 and mean 0, one per row."""
    shocks = np.random.default_rng(seed).standard_normal((repeats, length + 200))
    scale = math.sqrt(1 - correlation**2)
    return np.asarray(lfilter([scale], [1, -correlation], shocks, axis=1)[:, 200:])


def series(values: Floats) -> DailySeries:
    return DailySeries(np.rint(values * MICRO).astype(np.int64), np.ones(len(values), dtype=bool))


def by_hln(steps: int) -> Callable[[DailySeries], Interval | None]:
    return lambda daily: None if (found := hln(daily, steps)) is None else found.interval


def by_hg(daily: DailySeries) -> Interval | None:
    found = hering_genton(daily, 2)
    return None if found is None else found.interval


def false_alarms(daily: Floats, interval: Callable[[DailySeries], Interval | None]) -> float:
    """Return how often, in percent, an interval excludes the true mean."""
    found = [interval(series(values)) for values in daily]
    return 100 * float(np.mean([one is not None and one.excludes_zero() for one in found]))


HOURLY = autoregressive(1, REPEATS, 120 * 24, 0.9)
DAILY_MEANS = HOURLY.reshape(REPEATS, 120, 24).mean(axis=2)


def test_taking_correlated_hours_for_independent_cries_wolf_half_the_time() -> None:
    errors = HOURLY.std(axis=1, ddof=1) / math.sqrt(HOURLY.shape[1])
    assert 58 < 100 * np.mean(np.abs(HOURLY.mean(axis=1)) > 1.96 * errors) < 72


@pytest.mark.parametrize(
    ("interval", "low", "high"),
    [(by_hln(2), 3.0, 10.0), (by_hg, 3.0, 10.0), (mean_interval, 4.0, 12.0)],
    ids=["HLN", "HG", "blocks"],
)
def test_on_daily_means_of_correlated_hours_false_alarms_stay_near_five_percent(
    interval: Callable[[DailySeries], Interval | None], low: float, high: float
) -> None:
    assert low <= false_alarms(DAILY_MEANS, interval) <= high


@pytest.mark.parametrize(
    ("correlation", "interval", "low", "high"),
    [
        (0.0, by_hg, 2.5, 10.0),
        (0.0, by_hln(2), 2.5, 9.0),
        (0.5, by_hg, 2.5, 10.0),
        (0.5, by_hln(8), 2.5, 10.0),
        (0.5, by_hln(1), 22.0, 36.0),  # that is the plain t-test: h must be right
    ],
    ids=["independent HG", "independent HLN", "0.5 HG", "0.5 HLN h=8", "0.5 HLN h=1"],
)
def test_on_correlated_days_false_alarms_are_as_published_for_the_method(
    correlation: float, interval: Callable[[DailySeries], Interval | None], low: float, high: float
) -> None:
    assert low <= false_alarms(autoregressive(2, REPEATS, 360, correlation), interval) <= high


def test_a_third_of_the_days_missing_does_not_make_the_tests_cry_wolf() -> None:
    days = autoregressive(3, REPEATS, 240, 0.5)
    there = np.random.default_rng(4).random(days.shape) > 1 / 3
    there[:, [0, -1]] = True  # one span for all

    def alarms(interval: Callable[[DailySeries], Interval | None]) -> float:
        found = [
            interval(DailySeries(np.rint(np.where(kept, values, 0) * MICRO).astype(np.int64), kept))
            for values, kept in zip(days, there, strict=True)
        ]
        return 100 * float(np.mean([one is not None and one.excludes_zero() for one in found]))

    assert 2.5 <= alarms(by_hg) <= 10.0
    assert 2.5 <= alarms(by_hln(6)) <= 11.0
    assert 4.0 <= alarms(mean_interval) <= 14.0


def test_equal_models_are_seldom_told_apart_and_a_clear_difference_mostly_is() -> None:
    equal = [compare(series(values), 2, Parameter.WIND_SPEED).outcome for values in DAILY_MEANS * 3]
    assert sum(found is not Outcome.TOO_CLOSE for found in equal) <= 0.08 * REPEATS
    apart = [compare(series(values - 1.0), 2, Parameter.WIND_SPEED).outcome for values in DAILY_MEANS * 3]
    assert sum(found is Outcome.A_BETTER for found in apart) >= 0.8 * REPEATS
    assert Outcome.B_BETTER not in apart
