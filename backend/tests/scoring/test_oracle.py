"""Our formulas against the `scores` package (Bureau of Meteorology): written by others, from the papers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scores.categorical  # type: ignore[import-untyped]
import scores.continuous  # type: ignore[import-untyped]
import xarray as xr
from scipy.stats import ttest_1samp  # type: ignore[import-untyped]

from backend.scoring.grid import ABSENT, Floats, Values, paired
from backend.scoring.inference.comparison import MICRO, DailySeries, mean_test
from backend.scoring.metrics import contingency, direction, scalar
from backend.scoring.metrics.contingency import Contingency
from backend.tests.support.scoring_grids import (
    counted,
    direction_sums,
    errors,
    filled,
    grid,
    random_grid,
    scalar_sums,
)

SEEDS = range(8)
EDGES = {
    "one pair": (grid([3]), grid([5])),
    "constant": (filled(2, 7.0), filled(2, 7.0)),
    "zeros": (grid([0, 0, 1]), grid([0, 2, 0])),
    "extremes": (grid([250, 0]), grid([0, 250])),
}


def cases() -> list[tuple[Values, Values]]:
    generators = [np.random.default_rng(seed) for seed in SEEDS]
    return [(random_grid(g, 20, -40, 250, 0.3), random_grid(g, 20, -40, 250, 0.3)) for g in generators]


def labelled(values: Values) -> xr.DataArray:
    """Return values as `scores` wants them: in the unit, NaN where absent."""
    return xr.DataArray(np.where(values == ABSENT, np.nan, values / 1000), dims=["day", "hour"])


@pytest.mark.parametrize(("f", "o"), [*cases(), *EDGES.values()])
def test_continuous_scores_agree(f: Values, o: Values) -> None:
    totals, fcst, obs = scalar_sums(f, o).total(), labelled(f), labelled(o)
    assert scalar.mean_error(totals) == pytest.approx(float(scores.continuous.mean_error(fcst, obs)))
    assert scalar.mae(totals) == pytest.approx(float(scores.continuous.mae(fcst, obs)))
    assert scalar.rmse(totals) == pytest.approx(float(scores.continuous.rmse(fcst, obs)))
    percent = scores.continuous.percent_within_x(fcst, obs, threshold=5.0)
    share = scalar.within_share(errors(f, o), 5.0)
    assert share is not None
    assert 100 * share == pytest.approx(float(percent))


@pytest.mark.parametrize(("f", "o"), cases())
def test_correlation_agrees(f: Values, o: Values) -> None:
    ours = scalar.correlation(scalar_sums(f, o).total())
    theirs = scores.continuous.correlation.pearsonr(labelled(f), labelled(o))
    assert ours == pytest.approx(float(theirs), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_direction_mae_agrees(seed: int) -> None:
    generator = np.random.default_rng(seed)
    f, o = (random_grid(generator, 20, 0, 360, 0.3) for _ in range(2))
    sums = direction_sums(f, o, filled_like(f), filled_like(f)).total()
    theirs = scores.continuous.mae(labelled(f), labelled(o), is_angular=True)
    assert direction.mean_absolute_direction_error(sums) == pytest.approx(float(theirs))


def filled_like(values: Values) -> Values:
    return np.full_like(values, 20_000)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("limit", [5.0, 25.0, 38.0])
def test_tables_and_their_scores_agree(seed: int, limit: float) -> None:
    generator = np.random.default_rng(seed)
    f, o = (random_grid(generator, 20, 0, 40, 0.2) for _ in range(2))
    ours = counted(f, o, limit).total()
    pair = xr.DataArray(paired(f, o), dims=["day", "hour"])
    fcst, obs = ((labelled(x) > limit).astype(float).where(pair) for x in (f, o))
    theirs = scores.categorical.BinaryContingencyManager(fcst, obs).transform()
    theirs_counted = theirs.get_counts()
    names = ("tp_count", "fp_count", "fn_count", "tn_count")
    assert [int(cell) for cell in ours.columns()] == [int(theirs_counted[name]) for name in names]
    assert_scores_agree(ours, theirs)


# The names differ: their "false alarm rate" is our POFD, their "false alarm ratio" our FAR.
NAMES = {
    contingency.pod: "probability_of_detection",
    contingency.far: "false_alarm_ratio",
    contingency.pofd: "false_alarm_rate",
    contingency.csi: "critical_success_index",
    contingency.frequency_bias: "frequency_bias",
    contingency.ets: "equitable_threat_score",
    contingency.hss: "heidke_skill_score",
    contingency.peirce: "peirce_skill_score",
    contingency.sedi: "symmetric_extremal_dependence_index",
}


def assert_scores_agree(ours: Contingency, theirs: scores.categorical.BasicContingencyManager) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # theirs divides by 0, with a warning
        expected = {score: float(getattr(theirs, name)()) for score, name in NAMES.items()}
        expected[contingency.surprise_rate] = 1 - float(theirs.negative_predictive_value())
    for score, value in expected.items():
        mine = score(ours)
        if mine is None:
            assert not np.isfinite(value), score
        else:
            assert mine == pytest.approx(value, abs=1e-12), score


@pytest.mark.parametrize(
    "cells",
    [(0, 0, 0, 9), (9, 0, 0, 0), (0, 9, 0, 0), (0, 0, 9, 0), (0, 3, 0, 9), (3, 0, 0, 9), (28, 72, 23, 2680)],
)
def test_tables_with_empty_cells_agree(cells: tuple[int, int, int, int]) -> None:
    names = ("tp_count", "fp_count", "fn_count", "tn_count")
    counted = {name: xr.DataArray(float(cell)) for name, cell in zip(names, cells, strict=True)}
    counted["total_count"] = xr.DataArray(float(sum(cells)))
    ours = Contingency(*(np.array(cell) for cell in cells))
    assert_scores_agree(ours, scores.categorical.BasicContingencyManager(counted))


def daily(values: Floats) -> DailySeries:
    return DailySeries(np.rint(values * MICRO).astype(np.int64), np.ones(len(values), dtype=bool))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("days", [20, 60, 365])
def test_on_days_that_alternate_a_mean_test_is_students(seed: int, days: int) -> None:
    """Days that are less alike than by chance are taken for independent, as ttest_1samp takes all days."""
    noise = np.random.default_rng(seed).standard_normal(days)
    values = np.round(noise + 4.0 * (-1.0) ** np.arange(days) + 0.3, 6)
    ours, theirs = mean_test(daily(values)), ttest_1samp(values, 0.0)
    assert ours is not None
    assert ours.p_value == pytest.approx(float(theirs.pvalue), rel=1e-6)
    assert ours.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)), abs=1e-6)
