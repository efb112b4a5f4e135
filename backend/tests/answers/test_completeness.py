"""What was received of what is expected, and what a source still offers of a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from backend.answers.completeness import SourceCompleteness, completeness
from backend.answers.service import ServiceParts
from backend.collectors.base import Archive
from backend.core.parameters import Parameter
from backend.core.records import ForecastBatch, IncompletePart, Observation, ObservationBatch, Run
from backend.main import Service
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.scheduler.past_days import selection_of_day
from backend.tests.support.served import NOW, fill, in_use, make_service
from backend.tests.support.worlds import (
    HandClock,
    brings_a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)


def tables_of(service: Service) -> dict[str, SourceCompleteness]:
    tables = completeness(cast(ServiceParts, service), service.sites())
    return {table.model or table.source: table for table in tables}


def counts(table: SourceCompleteness, site: str) -> list[tuple[int, int]]:
    (row,) = (row for row in table.sites if row.site == site)
    return [(day.received, day.expected) for day in row.days]


def test_hours_count_once_they_are_over_and_by_the_local_day(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    table = tables_of(service)["ffvl"]
    # Readings from 12:15 to 14:05 local time at 14:10: the hours 12 and 13 are over, of 14.
    assert counts(table, "grand-pre") == [*[(0, 24)] * 6, (2, 14)]
    assert [site.site for site in table.sites] == ["grand-pre"]
    assert table.sites[0].days[0].day == date(2026, 7, 9)


def test_of_a_network_without_history_only_the_hours_of_collections_are_expected(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    table = tables_of(service)["romma"]
    # Collections at 8, 10 and 12 UTC, which are 10, 12 and 14 local time; the last hour is not over.
    assert counts(table, "petit-col") == [*[(0, 6)] * 6, (2, 2)]


def test_an_hourly_schedule_expects_every_hour_of_a_day(tmp_path: Path) -> None:
    for line in ("5 * * * *", "0 * * * *", "59 * * * *"):
        config = SchedulerConfig.load(scheduler_enabled=False, scheduler_observation_cron=line)
        service = replace(make_service(tmp_path), config=config)
        in_use(service)
        assert counts(tables_of(service)["romma"], "petit-col") == [*[(0, 24)] * 6, (0, 14)], line


def test_days_of_a_change_of_the_clocks_have_their_hours(tmp_path: Path) -> None:
    service = make_service(tmp_path, clock=HandClock(datetime(2026, 10, 26, 12, 0, tzinfo=UTC)))
    in_use(service)
    expected = [expected for _, expected in counts(tables_of(service)["ffvl"], "grand-pre")]
    assert expected == [24, 24, 24, 24, 24, 25, 13]


def test_runs_count_once_they_can_be_published_and_incomplete_ones_are_marked(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    start = NOW.replace(hour=0, minute=0)
    service.store.add_forecasts(
        ForecastBatch(
            source="arome",
            route="object_storage",
            rank=0,
            collected_at=NOW,
            newest=start,
            run=Run("arome_0025", start, start + timedelta(hours=3), published=True),
            incomplete=(IncompletePart("06H", "grand-pre", "a value is missing"),),
        )
    )
    table = tables_of(service)["arome_0025"]
    (row,) = (row for row in table.sites if row.site == "grand-pre")
    today = row.days[-1]
    assert (today.received, today.expected, today.incomplete, today.missing) == (2, 2, 1, True)
    assert counts(table, "sans-balise")[-1] == (0, 1)
    assert table.has_gaps


def test_values_of_another_station_of_the_site_do_not_count_for_a_network(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    time = NOW - timedelta(days=1)
    reading = Observation("romma:902", Parameter.WIND_SPEED, time, 10.0)
    batch = ObservationBatch(source="romma", route="pages", rank=1, collected_at=NOW, records=(reading,))
    service.store.add_observations(batch)
    tables = tables_of(service)
    assert counts(tables["romma"], "grand-pre")[-2] == (1, 6)
    assert counts(tables["ffvl"], "grand-pre")[-2] == (0, 24)


# --- Collect a day again -----------------------------------------------------------------------------

CONFIG = SchedulerConfig.load()
PLAIN = observation_source(brings_a_reading)


@pytest.mark.parametrize(
    ("day", "offered"),
    [
        (date(2026, 7, 15), True),
        (date(2026, 7, 12), True),
        (date(2026, 7, 11), False),
        (date(2026, 7, 16), False),
    ],
)
def test_without_an_archive_a_day_is_offered_within_the_lookback(day: date, offered: bool) -> None:
    selection = selection_of_day(PLAIN, OBSERVATIONS, day, CONFIG, NOW)
    assert (selection is not None) is offered
    assert selection is None or (selection.sources, selection.until) == (("ffvl",), None)


def test_an_archive_serves_past_days_as_far_as_it_reaches() -> None:
    source = replace(PLAIN, past=Archive(routes=(), reach=timedelta(days=30)))
    selection = selection_of_day(source, OBSERVATIONS, date(2026, 7, 1), CONFIG, NOW, ("grand-pre",))
    assert selection is not None and selection.sites == ("grand-pre",)
    assert selection.since == datetime(2026, 6, 30, 22, tzinfo=UTC), "a local day starts at 22:00 UTC in July"
    assert selection.until == datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC)
    oldest = selection_of_day(source, OBSERVATIONS, date(2026, 6, 15), CONFIG, NOW)
    assert oldest is not None and oldest.since == NOW - timedelta(days=30)
    assert selection_of_day(source, OBSERVATIONS, date(2026, 6, 14), CONFIG, NOW) is None
    today = selection_of_day(source, OBSERVATIONS, NOW.date(), CONFIG, NOW)
    assert today is not None and today.until is None, "the present day is a plain collection"


def test_after_local_midnight_the_new_day_is_offered_and_the_archive_until_the_end_of_yesterday() -> None:
    after_midnight = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)  # 00:30 of 15 July in Paris
    today = selection_of_day(PLAIN, OBSERVATIONS, date(2026, 7, 15), CONFIG, after_midnight)
    assert today is not None
    source = replace(PLAIN, past=Archive(routes=(), reach=timedelta(days=30)))
    yesterday = selection_of_day(source, OBSERVATIONS, date(2026, 7, 14), CONFIG, after_midnight)
    assert yesterday is not None
    assert yesterday.until == datetime(2026, 7, 13, 23, 59, 59, tzinfo=UTC), "only days of UTC that are over"


def test_a_past_that_the_publisher_no_longer_serves_is_not_offered() -> None:
    no_history = observation_source(brings_a_reading, name="romma")
    assert selection_of_day(no_history, OBSERVATIONS, date(2026, 7, 14), CONFIG, NOW) is None
    short = replace(forecast_source(brings_a_run), serves=timedelta(hours=6))
    assert selection_of_day(short, FORECASTS, date(2026, 7, 14), CONFIG, NOW) is None
    assert selection_of_day(short, FORECASTS, date(2026, 7, 15), CONFIG, NOW) is not None


def test_a_source_that_is_off_offers_nothing() -> None:
    source = replace(PLAIN, disabled="a key is missing")
    assert selection_of_day(source, OBSERVATIONS, NOW.date(), CONFIG, NOW) is None
    assert selection_of_day(PLAIN, FORECASTS, date(2026, 7, 13), CONFIG, NOW) is None
