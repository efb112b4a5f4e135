"""A station whose level changes slowly: it gets a question, and all its readings count."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from backend.core.clock import PARIS
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.core.registry import OWN_MODEL
from backend.scoring.days.drift import drifts
from backend.storage.database import Database
from backend.tests.support.score_store import keep
from backend.tests.support.stores import open_database

SPEED, WARMTH = Parameter.WIND_SPEED, Parameter.TEMPERATURE
SITE = Site("alone", "Alone", 45.9, 6.7, 1200.0, ("S",), ("ffvl:1", "romma:2"))
DAYS, FIRST = 120, date(2026, 3, 1)
NOW = datetime.combine(FIRST + timedelta(days=DAYS), datetime.min.time(), PARIS) + timedelta(hours=9)

Grid = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def weather(seed: int = 1) -> tuple[Grid, Grid]:
    """Return winds and temperatures of hours that scatter from day to day."""
    chance = np.random.default_rng(seed)
    of_day = chance.uniform(6, 24, DAYS)[:, None]
    wind = of_day + 5 * np.sin(np.arange(HOURS_A_DAY) / 4)[None, :]
    warmth = chance.normal(12, 4, DAYS)[:, None] + 5 * np.sin((np.arange(HOURS_A_DAY) - 9) / 4)[None, :]
    return wind.clip(0.5), warmth


def found(database: Database) -> list[tuple[str, Parameter, str, bool]]:
    flags = drifts(database, [SITE.id], NOW)
    assert all(flag.sites == (SITE.id,) and flag.until is not None for flag in flags)
    return [(flag.station, flag.parameter, flag.reason, flag.excludes) for flag in flags]


def kept(
    database: Database,
    wear: Grid,
    *,
    beside: Grid | None = None,
    warmer: float = 0.0,
    ours: Grid | None = None,
) -> None:
    """Keep 120 days of two models and a station that reads `wear` of the wind; `beside` is a second one.

    `ours` is the share of the wind that our own forecast announces, from nothing else than the past.
    """
    wind, warmth = weather()
    noise = np.random.default_rng(2).normal(0, 2, wind.shape)
    forecast = {SPEED: wind + noise.clip(-3, 3), WARMTH: warmth + noise / 2}
    late = (np.arange(DAYS) >= DAYS - 30)[:, None]
    stations = {"ffvl:1": {SPEED: wind * wear[:, None], WARMTH: warmth + warmer * late}}
    if beside is not None:
        stations["romma:2"] = {SPEED: wind * beside[:, None], WARMTH: warmth}
    models = {"arome_0025": forecast, "icon_d2": {SPEED: wind * 1.3, WARMTH: warmth - 1}}
    if ours is not None:
        models[OWN_MODEL.name] = {SPEED: wind * ours[:, None]}
    keep(database, SITE, FIRST, models=models, stations=stations)


STEADY = np.ones(DAYS)
WORN = np.concatenate([np.linspace(1, 0.8, 90), np.linspace(0.55, 0.4, 30)])


def test_a_wind_that_reads_less_and_less_is_a_question(database: Database) -> None:
    kept(database, WORN)
    assert found(database) == [("ffvl:1", SPEED, "drift", False)]


def test_our_own_forecast_that_learned_the_drift_does_not_hide_it(database: Database) -> None:
    kept(database, WORN, ours=5 * WORN)
    assert found(database) == [("ffvl:1", SPEED, "drift", False)]


def test_a_steady_station_and_one_that_scatters_are_none(database: Database) -> None:
    kept(database, np.random.default_rng(3).uniform(0.6, 1.4, DAYS))
    assert found(database) == []


def test_one_odd_week_is_no_drift(database: Database) -> None:
    odd = STEADY.copy()
    odd[-10:-3] = 0.2
    kept(database, odd)
    assert found(database) == []


def test_what_the_neighbour_does_too_is_the_models(database: Database) -> None:
    kept(database, WORN, beside=WORN)
    assert found(database) == []


def test_a_steady_neighbour_leaves_the_question(database: Database) -> None:
    kept(database, WORN, beside=STEADY)
    assert found(database) == [("ffvl:1", SPEED, "drift", False)]


@pytest.mark.parametrize(("warmer", "asked"), [(2.0, False), (4.0, True), (-4.0, True)])
def test_a_temperature_that_is_off_by_more_than_three_degrees_is_a_question(
    database: Database, warmer: float, asked: bool
) -> None:
    kept(database, STEADY, warmer=warmer)
    assert found(database) == ([("ffvl:1", WARMTH, "drift", False)] if asked else [])


def test_with_too_few_days_there_is_no_question(database: Database) -> None:
    kept(database, WORN)
    assert drifts(database, [SITE.id], NOW + timedelta(days=15)) == ()
    assert drifts(database, ["nowhere"], NOW) == ()
