"""A store with rows in every table, and what any store contains: for copies and backups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from backend.core.columns import MOST_REASONS, ForecastDays, ObservedDays
from backend.core.issued import IssuedForecast, IssuedHours
from backend.core.local_time import month_number
from backend.core.records import Failure, GridPoint, IncompletePart, Outside, Rejected, Station
from backend.storage import days, published_months, quality_state
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.issued import append_issued
from backend.storage.ledger import Ledger
from backend.storage.replaced import Measure, Replaced, note_replaced
from backend.storage.run_records import SourceRun
from backend.tests.support.stores import (
    GUST,
    NOW,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    rows,
)

JOB = "collect_forecasts"
DAY = timedelta(days=1)

MakeUrl = Callable[[str], str]
"""Returns the address of a new database without tables, of the kind "sqlite" or "postgresql"."""

A_REPLACED_VALUE = Replaced(
    replaced_at=NOW,
    file="relevés d'été.csv",
    name="my_wrf",
    site="planfait",
    parameter="wind_gust",
    reference_time=RUN,
    time=NOW,
    old=Measure(value=12_500, available_at=1),
    new=Measure(value=-1, averaging_minutes=10, direction_resolution=22.5),
)

AN_ISSUED_FORECAST = IssuedForecast(
    site="planfait",
    audience="public",
    parameter=WIND,
    view=3,
    day=20_000,
    method="1",
    decision_time=NOW,
    issued_at=NOW,
    hours=IssuedHours(times=(0,), values=(18_200,), station="ffvl:2496", state="shown"),
)


def fill(url: str) -> None:
    """Put rows into every table, more of them than are copied at a time, and text of all kinds."""
    store = open_store(url, PLANFAIT)
    store.save_sites(
        (PLANFAIT, replace(PLANFAIT, name="Planfait <déplacé> 🪂", latitude=45.9, valid_from=NOW))
    )
    ledger = Ledger(store.database)
    ledger.note_schedule(JOB, "0 6 * * *", NOW - DAY)
    ledger.pause(JOB, "api 192.0.2.7", NOW)
    ledger.resume(JOB, "cli marie", NOW)
    ledger.note_missed(JOB, [RUN - DAY], "the service was off; no process ran it")
    claim = ledger.claim(JOB, "schedule", NOW, RUN)
    assert claim is not None
    point = GridPoint("arome_0025", "planfait", "12,7", model_elevation=912.3, height=None)
    many = (forecast(step % 250 / 7, hours=step / 60) for step in range(12_000))
    store.add_forecasts(
        forecasts(
            *many,
            forecast(0, GUST),
            grid_points=(point,),
            parts=("whole",),
            sites=("planfait",),
            incomplete=(IncompletePart("late", "planfait", "no file", ""),),
            outside=(Outside("icon_d2", "planfait", "no cell «ici»"),),
        ),
        claim,
    )
    beacon = Station("ffvl:2496", "Planfait\nl'été\t«\\N»", 45.85, 6.22, 950.1, "FFVL", "")
    store.add_observations(
        observations(
            *(reading(0.1, minutes=10), reading(-3.4567, WIND), reading(3, station="romma:241")),
            stations=(beacon,),
            listed="ffvl",
            complete_until={"ffvl:2496": NOW},
            averaging_minutes=10,
            direction_resolution=22.5,
            rejected=(Rejected("ffvl:2496", WIND, None, '9999 "x"', "out_of_range: high"),),
        )
    )
    # What comes later to the same hour and moment has a batch of its own.
    store.add_forecasts(forecasts(forecast(14, TEMPERATURE), collected_at=NOW + DAY))
    store.add_observations(observations(reading(21, TEMPERATURE, minutes=10), collected_at=NOW + DAY))
    with store.database.write() as connection:
        note_replaced(connection, [A_REPLACED_VALUE])
    failure = Failure("page", "https://beacons.example/1", "HTTP 500", "FetchError")
    source = SourceRun(source="arome", status="partial", failures=(failure,), bytes=5_000_000_000, newest=RUN)
    ledger.finish(claim, "partial", NOW, duration=60.25, sources=(source,))
    with store.database.write() as connection:
        fill_days(connection)
        append_issued(connection, [AN_ISSUED_FORECAST])
        fill_the_rest(connection)
    store.database.close()


def fill_days(connection: sa.Connection) -> None:
    """Put in a day of every kind, with bytes that no text could hold."""
    one, day, hourly = np.array([1]), np.array([20_000]), np.full((1, 4, 25), -2, np.int32)
    forecast = ForecastDays(one, day, hourly, np.full((1, 25), -1, np.int16), np.array([2]), hourly)
    offsets = np.full((1, 25), -128, np.int8)
    counts = np.full((1, 4, MOST_REASONS), 65_535, np.int64)
    measured = ObservedDays(one, day, hourly, offsets, np.array([144]), (22.5,), hourly + 1, counts)
    days.write_forecast_days(connection, 1, range(20_000, 20_001), {3: forecast})
    doubts = [(1, 1_728_000_000, 0, "stuck")]
    days.write_observed_days(connection, 1, range(20_000, 20_001), [measured], doubts)
    quality_state.write_limits(connection, 1, {24_000: np.full((4, 3), 7, np.int32)})
    month, later = month_number(20_001), day + 1
    published_months.publish_forecast_month(connection, 1, month, 1, {3: replace(forecast, day=later)})
    published_months.publish_observed_month(connection, 1, month, 1, replace(measured, day=later))


def fill_the_rest(connection: sa.Connection) -> None:
    """Put a row of its own into every table that has none yet."""
    for number, table in enumerate(t.metadata.sorted_tables, start=1):
        if connection.execute(sa.select(table).limit(1)).first() is None:
            values = {
                int: number,
                float: number / 2,
                str: f"l'été {number}\t",
                bytes: bytes([0, 255, number]),
            }
            kinds = {
                column.name: str if isinstance(column.type, t.SafeString) else column.type.python_type
                for column in table.c
            }
            row = {name: values.get(kind, True) for name, kind in kinds.items()}
            row |= {column.name: 1 for column in table.c if column.foreign_keys}
            connection.execute(sa.insert(table).values(row))


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(url)
    return {table.name: rows(database, table, *table.c.keys()) for table in t.metadata.sorted_tables}
