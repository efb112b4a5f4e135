"""The short form of `make prove PROVE="--only forecast"`: three sites, 130 days, one seed.

docs/forecast.md has the figures of the long one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scoringrules  # type: ignore[import-untyped]

from backend.forecast.experts import WIND
from backend.forecast.gate import Reason
from backend.forecast.interval import LEVELS
from backend.forecast.verification import covered
from proofs.forecast import aims, decisions, table
from proofs.forecast_emos import RollingEmos, crps_and_slopes
from proofs.forecast_replay import Issued, replay
from proofs.forecast_world import World, years


@pytest.fixture(scope="module")
def world() -> World:
    return years(130, 3, seed=3)


@pytest.fixture(scope="module")
def issued(world: World) -> Issued:
    return replay(world, "wind_speed", WIND, emos=True)


LONG_ONLY = ("CPU", "EMOS", "sites' intervals")
"""The time is no aim of a test; 40 days of 3 sites are too few for the others."""


def failed(issued: Issued) -> list[str]:
    missed = [aim.text for aim in aims(issued) if not aim.met]
    return [text for text in missed if not any(part in text for part in LONG_ONLY)]


def test_the_corrected_forecast_meets_the_aims_over_a_season(world: World, issued: Issued) -> None:
    assert failed(issued) == []
    *_, (_, gate) = decisions(issued, world)
    assert {finding.reason for finding in gate.findings} <= {Reason.COVERAGE_UNCERTAIN}, "three sites are few"


def test_a_forecast_of_another_day_misses_the_aims(issued: Issued) -> None:
    order = np.random.default_rng(1).permutation(len(issued.observed))
    shuffled = replace(issued, value=issued.value[order], quantiles=issued.quantiles[order])
    shuffled.placebo = issued.value
    missed = failed(shuffled)
    assert any(text.startswith("MAE") for text in missed)
    assert any(text.startswith("CRPS") for text in missed)
    assert any("placebo" in text for text in missed)


def test_a_calm_valley_is_covered_as_other_sites_are(issued: Issued) -> None:
    calm = issued.observed[:, :2]
    assert np.mean(calm[~np.isnan(calm)] == 0) > 0.5
    assert 0.75 <= float(np.nanmean(covered(issued.pit)[30:, :2])) <= 0.86


def test_all_references_are_scored_on_the_same_hours(issued: Issued) -> None:
    rows = table(issued, slice(60, None))
    assert list(rows) == ["corrected", "best raw model so far", "yesterday", "placebo", "EMOS of 45 days"]
    assert all(np.isfinite(mae) for mae, _ in rows.values())


def test_emos_has_the_crps_of_scoringrules_and_its_slopes() -> None:
    generator = np.random.default_rng(2)
    location, spread = generator.uniform(-3, 15, 40), generator.uniform(1, 5, 40)
    observed = generator.gamma(2, 3, 40)
    crps, by_location, by_spread = crps_and_slopes(location, spread, observed)
    np.testing.assert_allclose(crps, scoringrules.crps_tnormal(observed, location, spread, 0, np.inf))
    step = 1e-5
    for slope, other, more in (
        (by_location, (location + step, spread), (location - step, spread)),
        (by_spread, (location, spread + step), (location, spread - step)),
    ):
        numeric = (crps_and_slopes(*other, observed)[0] - crps_and_slopes(*more, observed)[0]) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-6)


def test_emos_finds_a_known_distribution() -> None:
    generator = np.random.default_rng(4)
    reference = RollingEmos(1, 2)
    for _ in range(45):
        truth = generator.normal(20, 4, (1, 8, 4))
        models = truth[:, None] + 3 + generator.normal(0, 0.1, (1, 2, 8, 4))
        reference.learn(models, truth + generator.normal(0, 2, (1, 8, 4)))
    quantiles = reference.quantiles(np.full((1, 2, 8, 4), 23.0))[..., 0, :]
    assert quantiles[..., LEVELS == 0.5].mean() == pytest.approx(20, abs=0.6)
    width = quantiles[..., np.isclose(LEVELS, 0.9)] - quantiles[..., np.isclose(LEVELS, 0.1)]
    assert width.mean() == pytest.approx(2 * 1.2816 * 2, rel=0.2)
