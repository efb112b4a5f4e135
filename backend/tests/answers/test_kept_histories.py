"""Past days that are kept in the process equal those read from the store, after each change."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import numpy as np

from backend.answers.home import prepare_home
from backend.answers.issued_history import IssuedHistory
from backend.answers.kept_histories import PastDays, day_chances, prepare_histories, present_histories
from backend.answers.service import ReadingParts
from backend.answers.withholding import NOTHING, withheld_from_public
from backend.core.issued import IssuedForecast
from backend.core.local_time import day_number
from backend.core.records import Site
from backend.scoring.views import EVENING_BEFORE
from backend.storage.database import Connection, Database
from backend.storage.issued import append_issued, issued_forecasts, withdraw_issued
from backend.storage.past_forecasts import past_forecasts
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, constant, keep
from backend.tests.support.scored_site import DAYS, FFVL, FIRST, scored_site
from backend.tests.support.served import NOW
from backend.tests.support.stores import open_database

SITE = Site(
    id="grand-pre",
    name="Grand Pré",
    latitude=45.9,
    longitude=6.7,
    elevation=1000,
    stations=(FFVL, "romma:902"),
)
FALL = date(2026, 10, 20)
"""The history contains the day of 25 hours."""

START, END = day_number(FALL), day_number(FALL) + 9


def issue(database: Database, *forecasts: IssuedForecast) -> None:
    with database.write() as connection:
        append_issued(connection, forecasts)


def days(first: int, last: int, wind: float = 20.0) -> list[IssuedForecast]:
    """Return wind, gust and direction of each day, other values each day."""
    values = {SPEED: wind, GUST: wind + 10, DIRECTION: 200.0}
    return [
        an_issued_day(SITE.id, day, value + day - START, parameter=parameter)
        for day in range(first, last + 1)
        for parameter, value in values.items()
    ]


def measure(database: Database, wind: float) -> None:
    values = {
        parameter: constant(12, value)
        for parameter, value in {SPEED: wind, GUST: 31.0, DIRECTION: 210.0}.items()
    }
    keep(database, SITE, FALL, models={}, stations={FFVL: values})


def history(database: Database, last: int = END) -> IssuedHistory:
    asked = PastDays(SITE, FFVL, EVENING_BEFORE, "public", last)
    return present_histories(database, [asked], NOTHING)[SITE.id]


def test_what_is_kept_equals_what_is_read_after_each_change(database_url: str) -> None:
    database = open_database(database_url)

    def kept(last: int = END) -> IssuedHistory:
        """Return the history that is kept, which must equal one that is read by a new process."""
        other = Database(database_url, durable=False)
        found, read = history(database, last), history(other, last)
        other.close()
        np.testing.assert_array_equal(found.issued, read.issued)
        np.testing.assert_array_equal(found.measured, read.measured)
        return found

    measure(database, 22.0)
    issue(database, *days(START, END + 1))
    before = kept()
    assert history(database) is before, "nothing came: nothing is read"
    assert before.errors(SPEED)[-10:, 4, 0].tolist() == [2.0 - day for day in range(10)]
    assert before.days(DIRECTION) == 10

    late = replace(days(END, END)[0], method="2")
    issue(database, replace(late, issued_at=late.decision_time + timedelta(hours=1)))
    np.testing.assert_array_equal(kept().issued, before.issued)

    issue(database, *(replace(row, method="3") for row in days(END, END, wind=25.0)))
    assert kept().errors(SPEED)[-1, 4, 0] == before.errors(SPEED)[-1, 4, 0] - 5

    with database.write() as connection:
        [newest] = [row for row in stored(connection, END) if (row.parameter, row.method) == (SPEED, "3")]
        withdraw_issued(connection, SITE.id, newest.number, NOW, "a wrong unit")
    np.testing.assert_array_equal(kept().issued[:, 0], before.issued[:, 0])

    next_day = kept(END + 1)
    assert next_day.errors(SPEED)[-1, 4, 0] == 22.0 - (20.0 + 10)
    measure(database, 5.0)
    assert kept(END + 1).errors(SPEED)[-1, 4, 0] == 5.0 - 30.0
    assert kept(END + 1).days(DIRECTION) == 0, "in light wind directions do not count"
    assert kept(END - 3).days(SPEED) == 7, "the clock was set back"


def stored(connection: Connection, day: int) -> list[IssuedForecast]:
    return issued_forecasts(connection, [SITE.id], audience="public", view=None, first=day, last=day)


def test_only_later_rows_and_later_days_are_read(database_url: str) -> None:
    database = open_database(database_url)
    issue(database, *days(START, END))
    issue(database, replace(days(START + 1, START + 1)[0], method="2"))
    with database.read() as connection:
        found = past_forecasts(
            connection, SITE.id, "public", EVENING_BEFORE.number, START, END, after=(30, END - 1)
        )
    assert [(row.parameter, row.day) for row in found] == [
        (SPEED, END), (GUST, END), (DIRECTION, END), (SPEED, START + 1)
    ]  # fmt: skip


def test_the_chance_in_the_list_follows_new_readings_at_once(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {}, {FFVL: {SPEED: constant(DAYS, 20.0)}})
    reading, tomorrow = cast(ReadingParts, service), NOW.date() + timedelta(days=1)
    first = day_number(FIRST)
    issue(
        service.database,
        *(an_issued_day(SITE.id, first + day, 20.0) for day in range(DAYS - 1)),
        an_issued_day(SITE.id, day_number(tomorrow), 20.0),
    )

    def days_above() -> int:
        chances = day_chances(
            reading, service.sites(), tomorrow, withheld_from_public(reading), wind_limit=25, gust_limit=35
        )
        return chances[SITE.id].days_above

    assert prepare_home(reading) == len(service.sites())
    assert prepare_histories(reading, tomorrow) == 1, "two sites have no forecast that is shown"
    assert days_above() == 0
    keep(
        service.database, service.sites()[0], FIRST, models={}, stations={FFVL: {SPEED: constant(DAYS, 30.0)}}
    )
    assert days_above() == DAYS - 1
