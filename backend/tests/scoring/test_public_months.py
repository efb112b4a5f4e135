"""Closed months as they are published: they change by at least 20 days, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from backend.core.local_time import day_number, month_number
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.scoring.days.public_months import merged, newest_closed_month, publish
from backend.scoring.sample.load import Samples
from backend.scoring.views import EVENING_BEFORE
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.due import note_due
from backend.storage.published_months import OF_MODEL, note_withdrawn
from backend.storage.score_queries import model_ids
from backend.tests.support.score_store import GUST, SPEED, Grid, constant, keep
from backend.tests.support.stores import open_database

MAY = date(2026, 5, 1)
PLACE = Site("grand-pre", "Grand Pré", 45.9, 6.7, 1400.0, stations=("romma:902",))
AFTER = datetime(2026, 6, 4, 12, tzinfo=UTC)
DAYS = 31


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


def stored(database: Database, observed: dict[Parameter, Grid], said: float = 22.0, **options: Any) -> None:
    models = {"arome_0025": {SPEED: constant(DAYS, said)}}
    keep(database, PLACE, MAY, models=models, stations={"romma:902": observed}, **options)


def published(database: Database) -> Any:
    first = day_number(MAY)
    return Samples(database).load(PLACE, EVENING_BEFORE, first, first + DAYS - 1, public=True)


def test_a_month_is_closed_three_days_after_its_end() -> None:
    may = month_number(day_number(MAY))
    assert newest_closed_month(day_number(date(2026, 6, 3))) == may - 1
    assert newest_closed_month(day_number(date(2026, 6, 4))) == may
    assert newest_closed_month(day_number(date(2026, 6, 30))) == may


def test_a_month_is_published_when_it_is_closed(database: Database) -> None:
    stored(database, {SPEED: constant(DAYS, 20.0)})
    assert publish(database, datetime(2026, 6, 3, 12, tzinfo=UTC)) == 0
    assert (published(database).observed[SPEED] == ABSENT).all()
    assert publish(database, AFTER) == 1
    assert (published(database).observed[SPEED][:, :24] == 20_000).all()
    assert (published(database).forecasts["arome_0025"][SPEED][:, :24] == 22_000).all()
    assert publish(database, AFTER) == 0


def test_a_withdrawn_month_is_published_again_by_whichever_process_is_next(database: Database) -> None:
    stored(database, {SPEED: constant(DAYS, 20.0)})
    publish(database, AFTER)
    before = published(database)
    month = month_number(day_number(MAY))
    with database.write() as connection:
        model = model_ids(connection)["arome_0025"]
        note_withdrawn(connection, site_id(database), month, OF_MODEL, model)
        # As a removal does it: the day is computed later, and has the removed value until then.
        note_due(connection, [(site_id(database), day_number(MAY) + 4)])
    assert publish(database, AFTER, {site_id(database): [month]}) == 0
    assert not published(database).forecasts
    with database.write() as connection:
        connection.execute(sa.delete(t.due_day))
    assert publish(database, AFTER) == 1
    assert (published(database).forecasts["arome_0025"][SPEED] == before.forecasts["arome_0025"][SPEED]).all()
    assert publish(database, AFTER) == 0


def test_a_late_value_is_in_no_published_month(database: Database) -> None:
    observed = constant(DAYS, 20.0)
    observed[4, 10] = np.nan
    stored(database, {SPEED: observed})
    publish(database, AFTER)
    before = published(database)
    stored(database, {SPEED: constant(DAYS, 20.0)})
    assert publish(database, AFTER, {site_id(database): [month_number(day_number(MAY))]}) == 0
    after = published(database)
    assert (after.observed[SPEED] == before.observed[SPEED]).all()
    assert after.observed[SPEED][4, 10] == ABSENT


@pytest.mark.parametrize(("days", "changed"), [(19, 0), (20, 1)])
def test_a_month_is_published_again_when_20_days_differ(database: Database, days: int, changed: int) -> None:
    stored(database, {SPEED: constant(DAYS, 20.0)})
    publish(database, AFTER)
    corrected = constant(DAYS, 20.0)
    corrected[:days] = 25.0
    stored(database, {SPEED: corrected})
    assert publish(database, AFTER, {site_id(database): [month_number(day_number(MAY))]}) == changed
    assert published(database).observed[SPEED][0, 0] == (25_000 if changed else 20_000)


def test_a_parameter_with_fewer_than_20_days_is_not_published(database: Database) -> None:
    gust = constant(DAYS, 30.0)
    gust[19:] = np.nan
    stored(database, {SPEED: constant(DAYS, 20.0), GUST: gust})
    publish(database, AFTER)
    assert (published(database).observed[GUST] == ABSENT).all()
    assert (published(database).observed[SPEED][:, :24] == 20_000).all()


def test_each_parameter_is_replaced_by_itself() -> None:
    """20 days of gusts do not put one late wind into a published figure."""
    live = np.full((1, DAYS, 4, 25), 20_000, np.int32)
    kept = live.copy()
    live[0, 3, 0, 12] = 27_000
    live[0, :20, 1] = 31_000
    values, taken = merged(kept, live)
    assert taken.tolist() == [[False, True, False, False]]
    assert values[0, 3, 0, 12] == 20_000
    assert (values[0, :20, 1] == 31_000).all()


def site_id(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(t.site.c.id)).scalar_one())
