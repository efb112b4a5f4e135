"""Synthetic years for the proof of the corrected forecast: sites, models and readings whose making is known.

Sites share a synoptic part of the wind. A model sees the wind through its own factor and offset at each site,
which change with the season and drift, and errs by a day's and an hour's part, both AR(1), half of them in
common with the other models. The sizes are such that raw models err by 3 to 5 km/h and that EMOS gains about
a third on the best of them, which is more than such corrections gain on real data (docs/forecast.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backend.forecast.cells import CLASS_HOURS, CLASSES, PLACES, Floats, Integers

YEAR = 365
CALM_SITES = 2
"""Sites in calm valleys, whose beacons show 0 most of the time."""

STEPS = (1.0, 0.1, 3.6)
"""km/h: the steps of the readings of successive sites; the last is 1 m/s."""

SKILL = (0.9, 1.0, 1.15, 1.3)
"""The size of the errors of each model."""

COMMON = 1.6
"""The size of the errors that the models have in common, beside that of each model's own."""

LATE_DAYS = 3


class World(NamedTuple):
    """Wind, gusts and temperature (km/h and degC), and directions (degrees), by name.

    `models`: (days, sites, models, 8, 4); `observed`: (days, sites, 8, 4). `known`: (days,) the day from
    which on the readings count. `moved`: the site whose beacon was moved, and the day. `upgraded`: the model,
    and the day.
    """

    models: dict[str, Floats]
    observed: dict[str, Floats]
    known: Integers
    moved: tuple[int, int]
    upgraded: tuple[int, int]


def lasting(generator: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> Floats:
    """Return stationary AR(1) series along the first axis, of mean 0 and variance 1."""
    series = generator.standard_normal(shape)
    for step in range(1, shape[0]):
        series[step] = correlation * series[step - 1] + np.sqrt(1 - correlation**2) * series[step]
    return series


def hourly(generator: np.random.Generator, days: int, shape: tuple[int, ...]) -> Floats:
    """Return AR(1) series of hours with a lag-1 correlation of 0.9, (days, *shape, 24)."""
    series = lasting(generator, 0.9, (days * 24, *shape))
    return np.moveaxis(series.reshape(days, 24, *shape), 1, -1)


def years(days: int, sites: int, seed: int) -> World:
    """Return a world of `days` days from 1 January on, with four models."""
    generator = np.random.default_rng(seed)
    moved, upgraded = (sites - 1, days * 2 // 5), (1, days * 4 // 7)
    count = len(SKILL)
    season = np.cos(2 * np.pi * (np.arange(days) - 196) / YEAR)[:, None, None]  # 1 in mid July
    daily = np.clip(np.sin((np.arange(24) - 8) * np.pi / 12), 0, None)

    # The wind itself, before the beacon: what is lasting in it is half common to the sites.
    synoptic = 0.8 * lasting(generator, 0.6, (days, 1)) + 0.6 * lasting(generator, 0.6, (days, sites))
    level = generator.uniform(9, 16, sites)[:, None]
    thermal = generator.uniform(2, 8, sites)[:, None] * (0.6 + 0.4 * season) * daily
    wind = level - 1.5 * season + thermal + 4 * synoptic[..., None] + 2 * hourly(generator, days, (sites,))
    at_beacon, seen = wind.copy(), wind.copy()
    at_beacon[:, :CALM_SITES] -= 14.0
    seen[:, :CALM_SITES] -= 12.0  # the models know a part of the shelter
    at_beacon[moved[1] :, moved[0]] = 0.8 * at_beacon[moved[1] :, moved[0]]

    models = _models(generator, seen, season, upgraded)
    gust_factor = generator.uniform(1.4, 1.8, sites)[:, None]
    of_models = generator.uniform(1.3, 2.0, count)[:, None]
    observed = {
        "wind_speed": np.maximum(at_beacon, 0),
        "wind_gust": np.maximum(at_beacon * gust_factor + 2 * hourly(generator, days, (sites,)), 0),
    }
    forecasts = {
        "wind_speed": np.maximum(models, 0),
        "wind_gust": np.maximum(models * of_models + 2 * hourly(generator, days, (sites, count)), 0),
    }
    warm = 8 + 9 * season + (2 + 4 * daily) + 4 * synoptic[..., None] + hourly(generator, days, (sites,))
    observed["temperature"] = warm
    forecasts["temperature"] = warm[:, :, None] + 0.6 * _errors(generator, days, sites, 3.0)
    turned = (
        200 + 60 * lasting(generator, 0.5, (days, sites))[..., None] + 15 * hourly(generator, days, (sites,))
    )
    observed["wind_direction"] = turned % 360
    forecasts["wind_direction"] = (turned[:, :, None] + 6 * _errors(generator, days, sites, 3.0)) % 360

    steps = np.array([STEPS[site % len(STEPS)] for site in range(sites)])[:, None]
    for name, step in (
        ("wind_speed", steps),
        ("wind_gust", steps),
        ("temperature", 0.1),
        ("wind_direction", 22.5),
    ):
        observed[name] = np.rint(observed[name] / step) * step
    return _with_gaps(generator, forecasts, observed, moved, upgraded)


def _errors(generator: np.random.Generator, days: int, sites: int, bias: float) -> Floats:
    """Return errors (days, sites, 4, 24): biases of sites and models that drift, and lasting parts."""
    count = len(SKILL)
    drift = bias * generator.standard_normal((sites, count)) + lasting(generator, 0.98, (days, sites, count))
    of_days = COMMON * lasting(generator, 0.5, (days, sites, 1)) + lasting(
        generator, 0.5, (days, sites, count)
    )
    of_hours = COMMON * hourly(generator, days, (sites, 1)) + hourly(generator, days, (sites, count))
    size = np.array(SKILL)[:, None]
    return drift[..., None] + size * (1.7 * of_days[..., None] + 1.4 * of_hours)


def _models(
    generator: np.random.Generator, wind: Floats, season: Floats, upgraded: tuple[int, int]
) -> Floats:
    """Return what the models announce of the wind, before it is cut at 0, (days, sites, 4, 24)."""
    days, sites, _ = wind.shape
    count = len(SKILL)
    errors = _errors(generator, days, sites, 1.3)
    factor = np.exp(0.1 * generator.standard_normal((sites, count, 1)))
    by_season = 0.7 * generator.standard_normal((sites, count, 1)) * season[:, None]
    by_class = 0.7 * np.repeat(generator.standard_normal((sites, count, CLASSES)), CLASS_HOURS, axis=-1)
    models = factor * wind[:, :, None] + by_season + by_class + errors
    model, day = upgraded
    better = 0.85 * errors[day:, :, model] + 1.3 * generator.standard_normal((sites, 1))
    new_factor = np.exp(0.1 * generator.standard_normal((sites, 1)))
    models[day:, :, model] = new_factor * wind[day:] + better
    return models


def _with_gaps(
    generator: np.random.Generator,
    forecasts: dict[str, Floats],
    observed: dict[str, Floats],
    moved: tuple[int, int],
    upgraded: tuple[int, int],
) -> World:
    """Return the world as cells, with missing runs, a week without a model, missing and late readings."""
    days, sites, count, _ = forecasts["wind_speed"].shape
    no_run = generator.random((days, 1, count, 1)) < 0.03
    no_run[days * 5 // 7 : days * 5 // 7 + 7, :, 2] = True
    no_day = generator.random((days, sites, 1)) < 0.03
    no_hour = generator.random((days, sites, 24)) < 0.02
    known = np.arange(days) + 1
    known[generator.random(days) < 0.02] += LATE_DAYS
    return World(
        {name: _cells(np.where(no_run, np.nan, values)) for name, values in forecasts.items()},
        {name: _cells(np.where(no_day | no_hour, np.nan, values)) for name, values in observed.items()},
        known,
        moved,
        upgraded,
    )


def _cells(hours: Floats) -> Floats:
    """Return hours of the clock (..., 24) as cells (..., 8, 4)."""
    classes = hours.reshape(*hours.shape[:-1], CLASSES, CLASS_HOURS)
    return np.pad(
        classes, [(0, 0)] * (classes.ndim - 1) + [(0, PLACES - CLASS_HOURS)], constant_values=np.nan
    )
