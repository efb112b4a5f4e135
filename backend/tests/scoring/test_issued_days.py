"""Our own forecast in the score days: what was issued, as it was issued, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.core.columns import DIRECTION, GUST, SPEED
from backend.core.issued import IssuedForecast
from backend.core.local_time import local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.registry import OWN_MODEL
from backend.scoring.days.update import make_due, update
from backend.scoring.views import EVENING_BEFORE, MORNING, NOON, VIEWS, View
from backend.storage import days
from backend.storage.issued import append_issued, issued_forecasts, withdraw_issued
from backend.storage.score_queries import model_ids
from backend.storage.store import Store
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_days import (
    LONG_AFTER,
    SITE,
    a_run,
    add,
    derived,
    every,
    hours_of,
    measured,
    number,
    utc,
)
from backend.tests.support.stores import open_store

DAY = number(15)


@pytest.fixture
def store(database_url: str) -> Store:
    found = open_store(database_url, SITE)
    add(
        found,
        [a_run(utc(14, 6), every(60, utc(14, 22), 24, 15.0)), measured(every(10, utc(15, 4), 90, 14.0))],
    )
    update(found.database, LONG_AFTER)
    return found


def issue(store: Store, *forecasts: IssuedForecast) -> None:
    with store.database.write() as connection:
        append_issued(connection, forecasts)
    update(store.database, LONG_AFTER)


def own_hours(
    store: Store, view: View = EVENING_BEFORE, day: int = DAY, parameter: int = SPEED
) -> dict[int, float]:
    with store.database.read() as connection:
        own = model_ids(connection).get(OWN_MODEL.name, -1)
        found = days.forecast_columns(connection, 1, view.number, day, day)
    return hours_of(found, own, parameter)


def test_an_issued_forecast_is_a_score_day_of_its_view(store: Store) -> None:
    values = [float(hour) for hour in range(24)]
    issue(
        store,
        an_issued_day(SITE.id, DAY, values),
        an_issued_day(SITE.id, DAY, 30.0, parameter=Parameter.WIND_GUST),
    )
    assert own_hours(store) == {hour: float(hour) for hour in range(24)}
    assert own_hours(store, parameter=GUST) == dict.fromkeys(range(24), 30.0)
    assert [view.name for view in VIEWS if own_hours(store, view)] == [EVENING_BEFORE.name]


def test_its_lead_counts_from_the_decision(store: Store) -> None:
    issue(store, an_issued_day(SITE.id, DAY, 12.0))
    with store.database.read() as connection:
        own = model_ids(connection)[OWN_MODEL.name]
        found = days.forecast_columns(connection, 1, EVENING_BEFORE.number, DAY, DAY)
    [leads] = found.minutes[found.owner == own]
    assert leads[:24].tolist() == [(5 + hour) * 60 for hour in range(24)], "19:00 the evening before"


def test_an_hour_before_the_decision_is_no_forecast(store: Store) -> None:
    issue(store, an_issued_day(SITE.id, DAY, 12.0, view=NOON))
    assert sorted(own_hours(store, NOON)) == list(range(12, 24))


def test_a_calm_has_no_direction(store: Store) -> None:
    issue(
        store,
        an_issued_day(SITE.id, DAY, [0.0] * 12 + [9.0] * 12),
        an_issued_day(SITE.id, DAY, 250.0, parameter=Parameter.WIND_DIRECTION),
    )
    assert sorted(own_hours(store, parameter=DIRECTION)) == list(range(12, 24))


def test_what_is_not_public_late_or_withdrawn_is_never_scored(store: Store) -> None:
    issue(store, an_issued_day(SITE.id, DAY, 12.0, audience="operator"))
    assert own_hours(store) == {}
    issue(store, an_issued_day(SITE.id, DAY, 13.0, delay=timedelta(minutes=15, seconds=1)))
    assert own_hours(store) == {}
    issue(store, an_issued_day(SITE.id, DAY, 14.0, method="2", delay=timedelta(minutes=15)))
    assert own_hours(store)[12] == 14.0
    with store.database.read() as connection:
        rows = issued_forecasts(
            connection, [SITE.id], audience="public", view=EVENING_BEFORE.number, first=DAY, last=DAY
        )
    with store.database.write() as connection:
        withdraw_issued(connection, SITE.id, rows[-1].number, LONG_AFTER, "wrong units")
    update(store.database, LONG_AFTER)
    assert own_hours(store) == {}


def test_of_two_methods_the_one_issued_last_counts(store: Store) -> None:
    issue(store, an_issued_day(SITE.id, DAY, 12.0), an_issued_day(SITE.id, DAY, 13.0, method="2"))
    assert own_hours(store)[12] == 13.0


def test_a_rebuild_gives_the_same_rows(store: Store) -> None:
    issue(
        store,
        an_issued_day(SITE.id, DAY, 12.0),
        an_issued_day(SITE.id, DAY, 12.5, view=MORNING),
        an_issued_day(SITE.id, DAY + 3, 20.0),
    )
    before = derived(store.database)
    assert own_hours(store, day=DAY + 3), "nothing but the record is stored of this day"
    make_due(store.database, [1])
    update(store.database, LONG_AFTER)
    assert derived(store.database) == before


def test_the_days_of_the_models_stay_as_they_were(store: Store) -> None:
    def of_models() -> list[tuple[object, ...]]:
        with store.database.read() as connection:
            own = model_ids(connection).get(OWN_MODEL.name)
        return [row for row in derived(store.database)["forecast_day"] if row[3] != own]

    before = of_models()
    issue(store, an_issued_day(SITE.id, DAY, 12.0))
    assert of_models() == before


def test_a_new_series_takes_the_forecasts_issued_since_its_start(store: Store) -> None:
    moved = replace(SITE, latitude=45.9, valid_from=datetime.fromtimestamp(local_moment(DAY), UTC))
    store.save_sites([SITE, moved])
    issue(store, an_issued_day(SITE.id, DAY, 12.0), an_issued_day(SITE.id, DAY + 2, 20.0))
    with store.database.read() as connection:
        own = model_ids(connection)[OWN_MODEL.name]
        of_series = {
            series: days.forecast_columns(connection, series, EVENING_BEFORE.number, DAY, DAY + 3)
            for series in (1, 2)
        }
    assert {series: found.day[found.owner == own].tolist() for series, found in of_series.items()} == {
        1: [DAY],
        2: [DAY + 2],
    }


def test_the_hours_of_a_day_of_the_clock_change_stay_in_their_columns(store: Store) -> None:
    day = number(25, month=10)
    issue(store, an_issued_day(SITE.id, day, np.arange(25, dtype=float)))
    with store.database.read() as connection:
        own = model_ids(connection)[OWN_MODEL.name]
        found = days.forecast_columns(connection, 1, EVENING_BEFORE.number, day, day)
    [hourly] = found.hourly[found.owner == own]
    assert hourly[SPEED].tolist() == [1000 * hour for hour in range(25)]
    assert (hourly[GUST] == ABSENT).all()
