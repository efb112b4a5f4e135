"""Wind directions: models turned by their mean error, and combined as unit vectors. Degrees throughout.

A pair counts only where the wind was LEAST_SPEED and more, so the observed directions are `in_wind(...)`.
Means are circular (Mardia & Jupp 2000, Directional Statistics, 2.2), and missing where directions contradict
each other. Order of the experts and memories as for other parameters.
"""

from __future__ import annotations

import numpy as np

from backend.forecast.cells import CLASSES, PLACES, Floats
from backend.forecast.experts import CLIMATE_HALF_LIFE, LEAST_DAYS, PRIOR_DAYS, SHARES, Memory

LEAST_SPEED = 10.8
"""km/h: with less wind a vane turns at random."""

LEAST_RESULTANT = 0.5
"""Length of a mean of unit vectors below which there is no mean direction."""


def in_wind(direction: Floats, speed: Floats) -> Floats:
    """Return the directions, NaN where the speed (km/h) is under LEAST_SPEED or missing."""
    return np.where(speed >= LEAST_SPEED, direction, np.nan)


def turn(degrees: Floats) -> Floats:
    """Return differences of directions as -180 to 180, clockwise positive."""
    return np.asarray((degrees + 180.0) % 360.0 - 180.0)


def combine(weight: Floats, experts: Floats) -> Floats:
    """Return the direction of the weighted mean of unit vectors over axis 1; NaN below LEAST_RESULTANT."""
    angle = np.radians(np.nan_to_num(experts))
    weight = np.where(np.isnan(experts), 0.0, weight)
    sine, cosine = (weight * np.sin(angle)).sum(axis=1), (weight * np.cos(angle)).sum(axis=1)
    total = weight.sum(axis=1)
    there = (total > 0) & (np.hypot(sine, cosine) >= LEAST_RESULTANT * total)
    return np.where(there, np.degrees(np.arctan2(sine, cosine)) % 360.0, np.nan)


def advise(memory: Memory, models: Floats) -> Floats:
    """Return the directions of all experts, (units, experts, 8, 4), NaN where one sleeps.

    A model is turned by the weighted circular mean of its errors, not at all where they contradict.
    """
    weight, sine, cosine, *_, days = memory.moments
    clear = np.hypot(sine, cosine) >= LEAST_RESULTANT * weight
    turned_by = np.where(clear, np.degrees(np.arctan2(sine, cosine + PRIOR_DAYS)), 0.0)
    turned = (models[:, None] + turned_by[..., None]) % 360.0
    turned = np.where((days >= LEAST_DAYS)[..., None], turned, np.nan)
    turned = turned.reshape(len(models), -1, CLASSES, PLACES)
    sine, cosine = memory.climate
    climate = np.where((sine != 0) | (cosine != 0), np.degrees(np.arctan2(sine, cosine)) % 360.0, np.nan)
    means = (combine(np.ones_like(of), of) for of in (models, turned))
    others = np.stack([*means, memory.newest, climate], axis=1)
    return np.concatenate([models, turned, others], axis=1)


def remember(memory: Memory, models: Floats, observed: Floats) -> Memory:
    """Return what is known after a day. Moments: weight, sine and cosine of the errors, 0, 0, days."""
    errors = np.radians(observed[:, None] - models)
    there = ~np.isnan(errors)
    count = np.maximum(there.sum(axis=-1), 1)
    angle = np.where(there, errors, 0.0)
    day = there.any(axis=-1).astype(float)
    sine, cosine = ((there * part).sum(axis=-1) / count for part in (np.sin(angle), np.cos(angle)))
    nothing = np.zeros_like(day)
    moments = memory.moments.copy()
    moments[:5] *= np.where(day[:, None] > 0, SHARES[:, None, None], 1.0)
    moments += np.stack([day, sine, cosine, nothing, nothing, day])[:, :, None]
    seen = ~np.isnan(observed)
    angle = np.radians(np.where(seen, observed, 0.0))
    climate = memory.climate * np.where(seen, 0.5 ** (1 / CLIMATE_HALF_LIFE), 1.0)
    climate = climate + np.where(seen, np.stack([np.sin(angle), np.cos(angle)]), 0.0)
    return Memory(moments, np.where(seen, observed, memory.newest), climate)


def regrets(experts: Floats, combined: Floats, observed: Floats) -> Floats:
    """Return the gradient form of how much nearer each expert was, (units, experts, 8, 4)."""
    gradient = np.sign(turn(combined - observed))[:, None]
    return np.asarray(gradient * turn(combined[:, None] - experts))
