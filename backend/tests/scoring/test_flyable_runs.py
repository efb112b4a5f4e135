"""Flyable days counted at any limits: the same counts as those of the table of events for each of them."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.scoring.grid import Hours
from backend.scoring.questions.flyability import event_tables, flyable_runs
from backend.scoring.sample.load import Samples
from backend.scoring.views import EVENING_BEFORE, NOON, DecisionView
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.stores import open_database, sqlite_url

FIRST, DAYS = date(2026, 3, 1), 60  # with the change to summer time
LIMITS = tuple(product((14.9, 15.0, 60.0), (30.0, 90.0)))


def winds(seed: int, missing: float) -> dict[Parameter, Grid]:
    """Return winds in whole km/h, so that some lie at a limit, with a share of missing values."""
    random = np.random.default_rng(seed)
    speed: Grid = np.round(random.gamma(2.0, 8.0, (DAYS, 25)))
    values: dict[Parameter, Grid] = {
        SPEED: speed,
        GUST: np.round(speed * 1.4 + 2),
        DIRECTION: np.round(random.random((DAYS, 25)) * 360),
    }
    for grid in values.values():
        grid[random.random((DAYS, 25)) < missing] = np.nan
    return values


@pytest.mark.parametrize("view", [EVENING_BEFORE, NOON])
@pytest.mark.parametrize("orientation", [(), ("S", "SW", "W", "NW", "N")])
@pytest.mark.parametrize("missing", [0.0, 0.06])
@pytest.mark.parametrize("gusts", [True, False])
def test_counts_are_those_of_the_table_at_the_same_limits(
    tmp_path: Path, view: DecisionView, orientation: tuple[str, ...], missing: float, gusts: bool
) -> None:
    site = Site("planfait", "Planfait", 45.85, 6.22, 950.0, orientation, ("ffvl:1",))
    models = {name: winds(seed, missing) for seed, name in enumerate(("arome_0025", "icon_d2", "gfs"))}
    models["gfs"][GUST] = constant(DAYS, np.nan)  # a model without gusts is judged without them
    station = winds(9, missing)
    if not gusts:
        station[GUST] = constant(DAYS, np.nan)
    with_store = open_database(sqlite_url(tmp_path))
    keep(with_store, site, FIRST, models=models, stations={"ffvl:1": station}, views=(view,))
    first = day_number(FIRST)
    last = day_number(FIRST + timedelta(days=DAYS - 1))
    sample = Samples(with_store).load(site, view, first, last, hours=Hours.FLYING)
    runs = flyable_runs(sample)
    for wind_limit, gust_limit in LIMITS:
        tables = event_tables(sample, wind_limit, gust_limit)
        table = next(each for each in tables if each.event == "not_flyable_day")
        expected = {
            each.model: (int(each.counts.c), int(each.counts.c + each.counts.d)) for each in table.models
        }
        assert runs.go_days(wind_limit, gust_limit) == expected
        assert runs.size == table.size
    assert any(of for _, of in runs.go_days(60.0, 90.0).values()), "the test must see flyable days"


def test_without_a_common_day_nothing_is_counted(tmp_path: Path) -> None:
    site = Site("planfait", "Planfait", 45.85, 6.22, 950.0, (), ("ffvl:1",))
    database = open_database(sqlite_url(tmp_path))
    keep(database, site, FIRST, models={"arome_0025": winds(1, 0.0)}, stations={})
    first = day_number(FIRST)
    sample = Samples(database).load(site, EVENING_BEFORE, first, first + 9)
    assert flyable_runs(sample).go_days(25.0, 35.0) == {}
