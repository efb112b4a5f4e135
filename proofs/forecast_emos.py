"""Rolling EMOS, the reference of the literature: a normal distribution cut at 0, fitted to the last 45 days.

Thorarinsdottir & Gneiting 2010, J. R. Stat. Soc. A 173, 371-388. Location: an offset, and a factor for each
model. Variance: an offset, and a factor for the variance of the models. Fitted by the smallest mean CRPS, per
site and 3-hour class, each day from the parameters of the day before, by steps of Adam.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri  # type: ignore[import-untyped]

from backend.forecast.cells import Floats
from backend.forecast.interval import LEVELS

WINDOW = 45
LEAST_DAYS = 15
STEPS, FIRST_STEPS, RATE = 12, 400, 0.02
LEAST_SPREAD = 0.3
"""km/h: the least standard deviation, so that a calm month does not end in a point."""


def density(z: Floats) -> Floats:
    """Return the density of the standard normal distribution."""
    return np.asarray(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))


def crps_and_slopes(location: Floats, spread: Floats, observed: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the CRPS of the normal distribution cut at 0, and its derivatives by location and spread."""
    z, s = (observed - location) / spread, np.maximum(location / spread, -5.0)
    p = ndtr(s)
    of_z, d_z, d_s, twice = ndtr(z), density(z), density(s), ndtr(np.sqrt(2) * s)
    root = np.sqrt(np.pi)
    scaled = z * (2 * of_z / p + 1 - 2 / p) + 2 * d_z / p - twice / (root * p * p)
    by_z = 2 * of_z / p + 1 - 2 / p
    by_p = (-2 * z * of_z + 2 * z - 2 * d_z) / p**2 + 2 * twice / (root * p**3)
    by_s = d_s * by_p - np.sqrt(2) * density(np.sqrt(2) * s) / (root * p * p)
    return spread * scaled, by_s - by_z, scaled - z * by_z - s * by_s


class RollingEmos:
    """EMOS of all sites and classes at once; `models` (sites, models, 8, 4), `observed` (sites, 8, 4)."""

    def __init__(self, sites: int, models: int) -> None:
        """Start with the mean of the models and a spread of 3 km/h."""
        self.parameters = np.zeros((models + 3, sites, 8, 1))
        self.parameters[1 : models + 1] = 1 / models
        self.parameters[-2] = 3.0
        self.parameters[-1] = 0.5
        self.days: list[tuple[Floats, Floats]] = []
        self.fitted = False

    def learn(self, models: Floats, observed: Floats) -> None:
        """Add a day, and fit the window again."""
        self.days = [*self.days, (_filled(models), observed)][-WINDOW:]
        if len(self.days) >= LEAST_DAYS:
            self._fit(STEPS if self.fitted else FIRST_STEPS)
            self.fitted = True

    def forget(self, site: int) -> None:
        """Leave out the days so far of a site whose beacon was moved."""
        for _, observed in self.days:
            observed[site] = np.nan

    def quantiles(self, models: Floats) -> Floats:
        """Return the quantiles at LEVELS, (sites, 8, 4, 19); NaN before the first fit."""
        filled = _filled(models)
        location, spread, *_ = self._distribution(np.moveaxis(filled, 1, 0))
        below = ndtr(-np.maximum(location / spread, -5.0))[..., None]
        found = location[..., None] + spread[..., None] * ndtri(below + LEVELS * (1 - below))
        return np.maximum(found, 0.0) if self.fitted else np.full_like(found, np.nan)

    def _distribution(self, models: Floats) -> tuple[Floats, Floats, Floats]:
        """Return location, spread and the variance of the models, from `models` (models, sites, 8, n)."""
        offset, *factors, constant, by_variance = self.parameters
        location = offset + (np.stack(factors) * models).sum(axis=0)
        variance = models.var(axis=0)
        spread = np.sqrt(LEAST_SPREAD**2 + constant**2 + by_variance**2 * variance)
        return location, spread, variance

    def _fit(self, steps: int) -> None:
        models = np.concatenate([np.moveaxis(day[0][..., :3], 1, 0) for day in self.days], axis=-1)
        observed = np.concatenate([day[1][..., :3] for day in self.days], axis=-1)
        there = ~np.isnan(observed + models.sum(axis=0))
        models, observed = np.where(there, models, 1.0), np.where(there, observed, 1.0)
        share = there / np.maximum(there.sum(axis=-1, keepdims=True), 1)
        first, second = np.zeros_like(self.parameters), np.zeros_like(self.parameters)
        for step in range(1, steps + 1):
            location, spread, variance = self._distribution(models)
            _, by_location, by_spread = crps_and_slopes(location, spread, observed)
            by_location, by_spread = by_location * share, by_spread * share / spread
            slopes = np.stack(
                [
                    by_location.sum(axis=-1),
                    *(by_location * models).sum(axis=-1),
                    self.parameters[-2][..., 0] * by_spread.sum(axis=-1),
                    self.parameters[-1][..., 0] * (by_spread * variance).sum(axis=-1),
                ]
            )[..., None]
            first = 0.9 * first + 0.1 * slopes
            second = 0.99 * second + 0.01 * slopes**2
            size = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
            self.parameters = self.parameters - RATE * size * _scale(len(self.parameters))


def _scale(count: int) -> Floats:
    """Return how far a step goes: offsets and spreads are in km/h, factors have no unit."""
    return np.array([5.0, *[1.0] * (count - 3), 5.0, 2.0])[:, None, None, None]


def _filled(models: Floats) -> Floats:
    """Return the models with the mean of the others in place of a missing one."""
    there = ~np.isnan(models)
    mean = np.where(there, models, 0).sum(axis=1, keepdims=True) / np.maximum(
        there.sum(axis=1, keepdims=True), 1
    )
    return np.where(there, models, np.where(there.any(axis=1, keepdims=True), mean, np.nan))
