"""The experts: each model raw, each model corrected with three memories, means, yesterday and climate.

The correction of a model is a ridge regression of `o - f` on `f` per class, with weights that fall by half in
3, 10 or 30 days. Order of the experts for M models: M raw, M corrected of each memory, the mean of the raw,
the mean of the corrected, the newest observation of the same hour, the climate of the hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from backend.forecast.cells import CLASSES, PLACES, Floats

MEMORIES = (3.0, 10.0, 30.0)
"""Half-lives, in days."""

PRIOR_DAYS = 1.0
"""What the assumption "no bias, slope 1" is worth, in days of pairs."""

SPREAD = 25.0
"""Variance of forecasts, squared units, that a day of the prior has for the slope: 5 km/h within a class."""

SLOPES = (0.4, 2.5)
LEAST_DAYS = 3
"""Days with pairs before the corrections of a model wake up."""

CLIMATE_HALF_LIFE = 30.0
EXTRA = 4
"""Experts that belong to no single model."""

SHARES = 0.5 ** (1.0 / np.array(MEMORIES))


class Rules(NamedTuple):
    """What corrections of a parameter may do: change the slope, and the least value there is.

    `circular`: the values are directions, in degrees, and corrections turn them (directions.py).
    """

    slope: bool
    least: float
    circular: bool = False


WIND = Rules(slope=True, least=0.0)
TEMPERATURE = Rules(slope=False, least=-np.inf)
DIRECTION = Rules(slope=False, least=-np.inf, circular=True)


class Memory(NamedTuple):
    """What the experts know.

    `moments`: (6, units, memories, models, 8): sums of weight, f, o - f, f², f (o - f); days.
    `newest`: (units, 8, 4) the newest observation of each cell. `climate`: (2, units, 8, 4) weight and sum.
    """

    moments: Floats
    newest: Floats
    climate: Floats


def fresh(units: int, models: int) -> Memory:
    """Return what is known before the first day."""
    return Memory(
        np.zeros((6, units, len(MEMORIES), models, CLASSES)),
        np.full((units, CLASSES, PLACES), np.nan),
        np.zeros((2, units, CLASSES, PLACES)),
    )


def expert_count(models: int) -> int:
    """Return how many experts there are for so many models."""
    return models * (1 + len(MEMORIES)) + EXTRA


def expert_names(models: Sequence[str]) -> list[str]:
    """Return the names of the experts in their order: "arome:10" is AROME with a memory of 10 days."""
    corrected = [f"{model}:{memory:g}" for memory in MEMORIES for model in models]
    return [*models, *corrected, "mean", "mean_corrected", "newest_observation", "climate"]


def _mean(values: Floats) -> Floats:
    """Return the mean over axis 1 of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def advise(memory: Memory, models: Floats, rules: Rules) -> Floats:
    """Return the values of all experts, (units, experts, 8, 4), NaN where one sleeps.

    `models`: (units, models, 8, 4), in the unit of the parameter.
    """
    units = len(models)
    weight, f, d, ff, fd, days = memory.moments
    worth = np.maximum(weight, 1e-12)
    mean_f = f / worth
    offset = d / (weight + PRIOR_DAYS)
    if rules.slope:
        variance = np.maximum(ff - f * mean_f, 0.0)
        covariance = fd - f * d / worth
        slope = np.clip(1 + covariance / (variance + PRIOR_DAYS * SPREAD), *SLOPES) - 1
    else:
        slope = np.zeros_like(mean_f)
    raw = models[:, None]
    corrected = raw + offset[..., None] + slope[..., None] * (raw - mean_f[..., None])
    corrected = np.maximum(corrected, rules.least)
    corrected = np.where((days >= LEAST_DAYS)[..., None], corrected, np.nan)
    corrected = corrected.reshape(units, -1, CLASSES, PLACES)
    climate_weight, climate_sum = memory.climate
    climate = np.where(climate_weight > 0, climate_sum / np.maximum(climate_weight, 1e-12), np.nan)
    others = np.stack([_mean(models), _mean(corrected), memory.newest, climate], axis=1)
    return np.concatenate([models, corrected, others], axis=1)


def remember(memory: Memory, models: Floats, observed: Floats) -> Memory:
    """Return what is known after a day: each class of the day counts as one day of pairs, or as none."""
    errors = observed[:, None] - models
    there = ~np.isnan(errors)
    count = np.maximum(there.sum(axis=-1), 1)
    f, d = np.where(there, models, 0.0), np.where(there, errors, 0.0)
    day = there.any(axis=-1).astype(float)
    sums = np.stack([day, *(part.sum(axis=-1) / count for part in (f, d, f * f, f * d)), day])
    shares = np.where(day[:, None] > 0, SHARES[:, None, None], 1.0)  # memory fades with pairs only
    moments = memory.moments.copy()
    moments[:5] *= shares
    moments += sums[:, :, None]
    seen = ~np.isnan(observed)
    climate = memory.climate * np.where(seen, 0.5 ** (1 / CLIMATE_HALF_LIFE), 1.0)
    climate = climate + np.stack([seen.astype(float), np.where(seen, observed, 0.0)])
    return Memory(moments, np.where(seen, observed, memory.newest), climate)


def forget_model(memory: Memory, model: int) -> Memory:
    """Return the memory after a declared jump of a model: its corrections sleep for LEAST_DAYS days."""
    moments = memory.moments.copy()
    moments[:, :, :, model] = 0.0
    return memory._replace(moments=moments)
