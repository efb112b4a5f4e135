"""Small worlds of forecasts and readings, with a truth that is known."""

from __future__ import annotations

import numpy as np

from backend.forecast import verification
from backend.forecast.cells import CLASSES, PLACES, Floats
from backend.forecast.experts import WIND
from backend.forecast.gate import Evidence
from backend.forecast.interval import HIGH, LOW
from backend.forecast.learning import Day, ForecastHours, State, issue, replay

HOURS = CLASSES * PLACES


def world(days: int, units: int, biases: list[float], seed: int) -> tuple[Floats, Floats]:
    """Return models (days, units, models, 8, 4) and readings (days, units, 8, 4), in km/h."""
    generator = np.random.default_rng(seed)
    wave = 15 + 6 * np.sin(np.arange(HOURS) / 5)
    truth = wave + generator.normal(0, 4, (days, units, 1)) + generator.normal(0, 1.5, (days, units, HOURS))
    shape = (days, units, len(biases), HOURS)
    errors = generator.normal(0, 2, (*shape[:-1], 1)) + generator.normal(0, 1.5, shape)
    models = np.maximum(truth[:, :, None] + np.array(biases)[:, None] + errors, 0)
    truth = np.maximum(truth, 0)
    cells = (CLASSES, PLACES)
    models, truth = models.reshape(*shape[:-1], *cells), truth.reshape(days, units, *cells)
    models[..., PLACES - 1] = truth[..., PLACES - 1] = np.nan  # only the day of 25 hours has a value there
    return models, truth


def stored(models: Floats, observed: Floats) -> list[Day]:
    """Return days decided the evening before, with readings that arrive by the end of the day."""
    return [Day(models[t], observed[t], t - 1, t) for t in range(len(models))]


def issued_days(models: Floats, observed: Floats) -> list[ForecastHours]:
    """Return what was issued for each day."""
    fresh = State.fresh(*models.shape[1:3])
    return [issued for issued, _ in replay(stored(models, observed), fresh, WIND)]


def values(issued: list[ForecastHours]) -> Floats:
    """Return the published values, (days, units, 8, 4)."""
    return np.stack([one.value for one in issued])


def evidence(models: Floats, observed: Floats) -> Evidence:
    """Return the evidence of all units; the placebo is the state of the unit before, on the same models."""
    fresh = State.fresh(*models.shape[1:3])
    units = models.shape[1]
    others = [(unit - 1) % units for unit in range(units)]
    pairs = list(replay(stored(models, observed), fresh, WIND))
    placebo = np.stack(
        [issue(state.taken(others), models[t], WIND).value for t, (_, state) in enumerate(pairs)]
    )
    issued = [pair[0] for pair in pairs]
    quantiles = np.stack([one.quantiles for one in issued])
    best = np.stack([one.best_value for one in issued])
    dressed = np.stack([one.best_quantiles for one in issued])
    return Evidence(
        error=np.abs(values(issued) - observed),
        best_error=np.abs(best - observed),
        placebo_error=np.abs(placebo - observed),
        crps=verification.crps(quantiles, observed),
        dressed_crps=verification.crps(dressed, observed),
        covered=verification.covered(verification.pit(quantiles, observed, seed=1)),
    )


def widths(issued: list[ForecastHours]) -> Floats:
    """Return the width of the 80 % interval, (days, units, 8, 4)."""
    quantiles = np.stack([one.quantiles for one in issued])
    return np.asarray(quantiles[..., HIGH] - quantiles[..., LOW])
