"""Directions: circular means, turned models, signed intervals, and north that is no jump."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import circmean  # type: ignore[import-untyped]

from backend.forecast import directions
from backend.forecast.cells import PLACES, Floats
from backend.forecast.experts import DIRECTION
from backend.forecast.gate import Evidence, Reason, findings
from backend.forecast.interval import HIGH, LOW
from backend.forecast.learning import ForecastHours, State, issue, replay
from backend.forecast.verification import covered, over_days, pit
from backend.tests.support.forecast_worlds import stored


def north_wind(days: int, turned_by: list[float], seed: int = 3) -> tuple[Floats, Floats]:
    """Return models and readings around north, (days, 2, ...), in degrees; each model is turned."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(0, 25, (days, 2, 8, 1)) + generator.normal(0, 8, (days, 2, 8, PLACES))
    noise = generator.normal(0, 12, (days, 2, len(turned_by), 8, PLACES))
    models = truth[:, :, None] + np.array(turned_by)[:, None, None] + noise
    truth[..., -1] = models[..., -1] = np.nan
    return models % 360, truth % 360


def replayed(models: Floats, observed: Floats) -> list[ForecastHours]:
    start = State.fresh(*models.shape[1:3])
    return [hours for hours, _ in replay(stored(models, observed), start, DIRECTION)]


def error(values: Floats, observed: Floats) -> float:
    return float(np.nanmean(np.abs(directions.turn(values - observed))))


def test_the_mean_of_directions_is_that_of_scipy_and_missing_where_they_contradict() -> None:
    experts = np.array([350.0, 10.0, 40.0]).reshape(1, 3, 1, 1)
    mean = directions.combine(np.ones((1, 3, 1, 1)), experts)
    assert mean[0, 0, 0] == pytest.approx(float(circmean([350.0, 10.0, 40.0], high=360)))
    opposite = np.array([0.0, 120.0, 240.0]).reshape(1, 3, 1, 1)
    assert np.isnan(directions.combine(np.ones((1, 3, 1, 1)), opposite)).all()
    asleep = np.array([90.0, np.nan, np.nan]).reshape(1, 3, 1, 1)
    assert directions.combine(np.ones((1, 3, 1, 1)), asleep)[0, 0, 0] == pytest.approx(90.0)


def test_light_wind_has_no_direction() -> None:
    found = directions.in_wind(np.array([10.0, 20.0, 30.0]), np.array([10.7, 10.8, np.nan]))
    np.testing.assert_array_equal(found, [np.nan, 20.0, np.nan])


def test_turned_models_are_turned_back_across_north() -> None:
    models, observed = north_wind(120, [40.0, -30.0])
    hours = replayed(models, observed)
    value = np.stack([one.value for one in hours])
    assert np.nanmin(value) >= 0 and np.nanmax(value) < 360
    best = np.stack([one.best_value for one in hours])
    assert error(value[40:], observed[40:]) < 0.5 * error(best[40:], observed[40:])


def test_the_interval_of_a_direction_is_signed_and_covers() -> None:
    models, observed = north_wind(160, [40.0, -30.0])
    hours = replayed(models, observed)
    offsets = np.stack([one.quantiles for one in hours])[60:]
    assert np.nanmax(offsets[..., LOW]) < 0 < np.nanmin(offsets[..., HIGH])
    value = np.stack([one.value for one in hours])[60:]
    share = over_days(covered(pit(offsets, directions.turn(observed[60:] - value), seed=1))).mean
    assert 0.77 <= share <= 0.83


def test_a_model_whose_errors_contradict_each_other_is_left_raw() -> None:
    generator = np.random.default_rng(5)
    models, observed = north_wind(40, [0.0])
    observed = np.where(np.isnan(observed), np.nan, generator.uniform(0, 360, observed.shape))
    *_, (_, state) = replay(stored(models, observed), State.fresh(2, 1), DIRECTION)
    hours = issue(state, models[-1], DIRECTION)
    of_30_days = hours.experts[:, 3, :, :3]
    assert np.median(np.abs(directions.turn(of_30_days - models[-1][:, 0, :, :3]))) < 1


def test_the_gate_of_directions_has_no_condition_on_crps() -> None:
    generator = np.random.default_rng(8)
    less = 10 + generator.normal(0, 0.5, (60, 5))
    inside = np.tile((np.arange(20) < 16).astype(float), (60, 1))
    missing = np.full((60, 5), np.nan)
    evidence = Evidence(less, less + 3, less + 3, missing, missing, inside)
    inside[::2, 0], inside[1::2, -1] = 0.0, 1.0
    assert findings(evidence, with_crps=False) == ()
    assert [finding.reason for finding in findings(evidence)] == [Reason.CRPS_NOT_BETTER]
