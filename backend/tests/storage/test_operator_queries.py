"""Queries of the operator's page, on both databases."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from backend.core.local_time import day_number
from backend.core.records import IncompletePart, Rejected
from backend.scheduler.config import FORECASTS
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.ledger import Ledger
from backend.storage.operator_queries import OperatorQueries
from backend.storage.run_records import SourceRun
from backend.tests.support.stores import (
    NOW,
    RUN,
    WIND,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
)

DAY = timedelta(days=1)


def test_received_runs_are_complete_or_not_by_site_and_model(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(20.0), parts=("00H06H",), sites=("planfait", "passy")))
    later = RUN + timedelta(hours=6)
    part = IncompletePart("00H06H", "planfait", "a value is missing")
    store.add_forecasts(forecasts(forecast(20.0, run=later), run=later, incomplete=(part,)))
    queries = OperatorQueries(store.database)
    found = queries.received_runs({"planfait", "passy"}, RUN - DAY, NOW)
    assert found == {
        ("planfait", "arome_0025"): {RUN: True, later: False},
        ("passy", "arome_0025"): {RUN: True},
    }
    assert queries.received_runs({"passy"}, RUN + DAY, NOW) == {}
    assert queries.received_runs(set(), RUN - DAY, NOW) == {}


def test_hours_with_readings_are_full_hours_each_once(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(*(reading(10.0, minutes=minutes) for minutes in (0, 10, 20, 130))))
    noon = NOW.replace(minute=0)
    found = OperatorQueries(store.database).hours_with_readings({"ffvl:2496", "romma:241"}, noon - DAY, NOW)
    hours = {to_epoch(noon - timedelta(hours=hours)) for hours in (0, 1, 3)}
    assert found == {"ffvl:2496": frozenset(hours)}


def test_rejected_values_are_grouped_by_the_first_word_of_their_reason(database_url: str) -> None:
    store = open_store(database_url)
    values = [
        Rejected("ffvl:2496", WIND, NOW - timedelta(minutes=minutes), f"{900 + minutes}", reason)
        for minutes, reason in enumerate(("out_of_range: above 300", "out_of_range: above 200", "missing"))
    ]
    store.add_observations(observations(rejected=tuple(values)))
    queries = OperatorQueries(store.database)
    found = queries.rejected(NOW - DAY)
    assert [(group.source, group.reason, group.count, group.raw) for group in found] == [
        ("ffvl", "out_of_range", 2, "901"),
        ("ffvl", "missing", 1, "902"),
    ]
    assert queries.rejected(NOW + DAY) == []


def test_flagged_readings_are_counted_by_station_parameter_and_reason(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(reading(10.0)))
    with store.database.write() as connection:
        site = connection.execute(sa.select(t.site.c.id).where(t.site.c.slug == "planfait")).scalar_one()
        station = connection.execute(
            sa.select(t.station.c.id).where(t.station.c.code == "ffvl:2496")
        ).scalar_one()
        rows = [
            {
                "site_id": site,
                "station_id": station,
                "parameter": 0,
                "reason": reason,
                "time": to_epoch(NOW) - age,
            }
            for age, reason in ((0, "stuck"), (600, "stuck"), (1200, "spike"), (900_000, "stuck"))
        ]
        connection.execute(sa.insert(t.doubted), rows)
    found = OperatorQueries(store.database).flagged(NOW - DAY, NOW)
    assert [(group.site, group.station, group.parameter, group.reason, group.count) for group in found] == [
        ("planfait", "ffvl:2496", WIND, "stuck", 2),
        ("planfait", "ffvl:2496", WIND, "spike", 1),
    ]
    assert found[0].last == NOW.replace(microsecond=0)


def test_the_size_has_the_values_that_each_day_stored(database_url: str) -> None:
    store = open_store(database_url)
    ledger = Ledger(store.database)
    for age, stored in ((0, 5), (1, 7), (9, 100)):
        claim = ledger.claim(FORECASTS, "cli", NOW - age * DAY)
        assert claim is not None
        source = SourceRun(source="arome", status="success", collected=stored, stored=stored)
        ledger.finish(claim, "success", NOW - age * DAY, duration=1, sources=[source])
    size = OperatorQueries(store.database).size(NOW, 3)
    today = day_number(NOW.date())
    assert size.days == {today - 2: 0, today - 1: 7, today: 5}
    assert size.values == 112
    assert size.bytes is not None and size.bytes > 10_000
