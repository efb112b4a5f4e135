"""The verdicts that the weather of the demo leads to: each outcome is to be seen in its days.

The days are made of the weather and the errors of the models, without a collection, which takes minutes.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.core.registry import DEFAULT_SOURCES, SOURCES
from backend.core.sites import load_sites
from backend.demo.store import OPEN_METEO_MODELS, SITES_FILE
from backend.demo.weather import EQUALS, FITS, HOUR, Values, Weather
from backend.scoring.grid import Hours, Span
from backend.scoring.questions.scorecard import Finding, Scorecard, Verdict
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import EVENING_BEFORE
from backend.storage.database import Database
from backend.tests.support.score_store import Grid, keep
from backend.tests.support.stores import make_tables

DAYS = 30
SEED = 1
SITES = {site.id: site for site in load_sites(SITES_FILE)}
MODELS = (
    *(model.name for source in SOURCES if source.name in DEFAULT_SOURCES for model in source.models),
    *OPEN_METEO_MODELS,
)
WITHOUT_GUSTS = {"meteo_parapente"}
SPEED, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
LAST = date(2026, 7, 14)
SHOWN = (*EQUALS, *(site for site, _ in FITS))
"""Sites with two models that err alike, and sites where only one model fits."""


def grids(values: list[Values], *, gusts: bool = True) -> dict[Parameter, Grid]:
    found = {SPEED: np.array([each.speed for each in values])}
    return found | {GUST: np.array([each.gust for each in values])} if gusts else found


def keep_days(database: Database, name: str) -> None:
    """Store the days of a site: each with the runs of 12 UTC of the day before."""
    site, weather = SITES[name], Weather(SEED)
    first = LAST - timedelta(days=DAYS - 1)
    hours = [each.astype(np.float64) for each in Span(day_number(first), day_number(LAST)).hours()]
    models = {
        model: grids(
            [weather.forecast(model, site, each[0] - 10 * HOUR, each) for each in hours],
            gusts=model not in WITHOUT_GUSTS,
        )
        for model in MODELS
        if model != "arome_001"  # the other grid of AROME, which a setting chooses
    }
    reports = [[weather.truth(site, each - 600.0 * back) for back in range(6)] for each in hours]
    station = {
        SPEED: np.array([of_day[0].speed for of_day in reports]),
        GUST: np.array([np.max([each.gust for each in of_day], axis=0) for of_day in reports]),
    }
    keep(database, site, first, models=models, stations={site.stations[0]: station})


def verdict(database: Database, name: str, quantity: Quantity, days: int = DAYS) -> Verdict:
    last = day_number(LAST)
    sample = Samples(database).load(SITES[name], EVENING_BEFORE, last - days + 1, last, hours=Hours.FLYING)
    return Scorecard(sample).verdict(quantity)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('verdicts')}/s")
    make_tables(database)
    for name in SHOWN:
        keep_days(database, name)
    return database


def test_every_outcome_of_a_verdict_is_in_the_days_of_a_demo(database: Database) -> None:
    for quantity, parameter in ((Quantity.WIND_SPEED, SPEED), (Quantity.WIND_GUST, GUST)):
        found = {name: verdict(database, name, quantity) for name in SHOWN}
        assert {each.finding for each in found.values()} == {Finding.WINNER, Finding.TOO_CLOSE}
        for name in (site for site, of in FITS if of is parameter):
            assert (found[name].finding, found[name].best) == (Finding.WINNER, FITS[name, parameter])
        young = verdict(database, SHOWN[0], quantity, days=20)
        assert young.finding is Finding.NOT_ENOUGH


@pytest.mark.parametrize("name", EQUALS)
def test_of_two_models_that_err_alike_none_is_named_as_better_than_the_other(
    database: Database, name: str
) -> None:
    found = verdict(database, name, Quantity.WIND_SPEED)
    assert found.best not in EQUALS[name] or found.finding is Finding.TOO_CLOSE, found
